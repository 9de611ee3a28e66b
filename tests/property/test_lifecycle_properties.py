"""Candidates over random histories: no stage is skipped, none is given without evidence of the same form, a demotion takes no
protection away, and real money is entered from the staged stage on only."""

from collections.abc import Callable
from decimal import Decimal
from random import Random

import msgspec
import pytest

from engine.apply import apply
from engine.candidates import DemoteCandidate, Evidence, EvidenceKind, PromoteCandidate, RecordEvidence, Stage, digest_of
from engine.events import CancelRequested, OrderIntended
from engine.inputs import ClosePosition, PlaceOrder
from engine.lifecycle_events import CandidateDemoted, CandidatePromoted
from engine.orders import Purpose, Side
from engine.state import State
from tests.unit.engine_desk import fold, rows_of
from tests.unit.test_lifecycle import EASY, MINUTE_NS, Course, strategy

FORMS = (strategy(), strategy(source_hash="other"), msgspec.structs.replace(strategy(), symbols=("COIN", "OTHER")))
ASKED = msgspec.structs.replace(EASY, paper_min_days=0, paper_min_round_trips=1, staged_min_days=0, staged_min_round_trips=1,
                                demote_losing_streak=3, demote_drawdown_fraction=0.002)
REST = msgspec.structs.replace(EASY, paper_min_days=0, paper_min_round_trips=0, staged_min_days=0, staged_min_round_trips=0,
                               paper_max_drawdown_fraction=1.0, staged_max_drawdown_fraction=1.0, min_return_fraction=-1.0,
                               demote_losing_streak=0, demote_drawdown_fraction=0.0)

type Act = tuple[object, ...]
START: tuple[Act, ...] = (("record", EvidenceKind.BACKTEST, True, 0), ("record", EvidenceKind.PARITY, True, 0))


def acts(random: Random, count: int) -> list[Act]:
    """A history in which most things go well, so that it also comes to the last stages."""
    makers: list[tuple[int, Callable[[], Act]]] = [
        (8, lambda: ("next",)), (6, lambda: ("enter", random.choice((1, 50)))),
        (8, lambda: ("price", random.randint(9_900, 10_120))),
        (1, lambda: ("price", random.randint(9_200, 10_800))), (5, lambda: ("close",)),
        (2, lambda: ("record", random.choice((EvidenceKind.BACKTEST, EvidenceKind.PARITY)), random.random() < 0.8,
                     random.choice((0, 0, 0, 1)))),
        (2, lambda: ("restart", random.choice((0, 0, 0, 0, 0, 1, 2)), random.random() < 0.6)),
        (1, lambda: ("promote", random.choice(list(Stage)), random.randint(0, 1))),
        (1, lambda: ("demote", random.choice((None, *Stage)))),
    ]
    weights = [weight for weight, _ in makers]
    return [maker() for _, maker in random.choices(makers, weights, k=count)]


def stops_of(state: State) -> list[tuple[str, int]]:
    return [(order.client_order_id, len(order.cancel_requests)) for order in state.orders.values()
            if order.intent.purpose is Purpose.STOP]


def play(course: Course, act: Act) -> None:
    """One thing happens; the venue takes what is sent and fills what is at the market."""
    desk = course.desk
    match act:
        case ("record", EvidenceKind() as kind, bool() as good, int() as form):
            desk.do(RecordEvidence(course.command_id(), "s", Evidence(
                kind, digest_of(FORMS[form]), "x", days=400.0, round_trips=200, return_fraction=0.1,
                drawdown_fraction=0.1 if good else 0.9, same=good, symbols=("COIN", "OTHER"),
                bar_ns=MINUTE_NS)))
        case ("promote", Stage() as stage, int() as form):
            desk.do(PromoteCandidate(course.command_id(), "s", stage, digest_of(FORMS[form]), "ada"))
        case ("next",):
            following = course.stage.following
            if following is not None:
                course.promote(following)
        case ("demote", target):
            desk.do(DemoteCandidate(course.command_id(), "s", target, "ada"))  # type: ignore[arg-type]
        case ("enter", int() as lots):
            desk.do(PlaceOrder(course.command_id(), "COIN", Side.BUY, quantity=Decimal(lots), stop=Decimal(93), origin="s"))
        case ("price", int() as ticks):
            desk.later(30)
            desk.quote(ticks)
        case ("close",):
            desk.do(ClosePosition(course.command_id(), "COIN"))
        case ("restart", int() as form, bool() as live):
            course.restart(one=FORMS[form], live=live)
            desk = course.desk
            desk.quote(10_000)
    settle(course)


def settle(course: Course) -> None:
    desk = course.desk
    mark = desk.market.marks["COIN@paper"]
    for order in list(desk.state.orders.values()):
        if order.intent.purpose in (Purpose.ENTRY, Purpose.EXIT) and desk.state.order(order.client_order_id) is not None:
            if not order.acked:
                desk.accept(order.client_order_id)
            if not desk.order(order.client_order_id).closed:
                desk.fill(order.client_order_id, order.leaves_lots, mark.bid_ticks, trade_id=course.command_id())
    desk.accept()
    desk.confirm_cancels()
    desk.beat()
    desk.accept()
    desk.confirm_cancels()


def judge(course: Course, seen: int, state: State) -> State:
    """Every row since then, folded one by one, keeps the promises."""
    desk = course.desk
    for row in desk.rows[seen:]:
        event, before = row.event, state.candidates.get("s")
        after = apply(state, row)
        configured = next(one for one in after.settings.strategies if one.name == "s")
        if isinstance(event, CandidatePromoted):
            was = before.stage if before is not None else Stage.RESEARCH
            assert was.following is event.stage, "no stage is skipped"
            assert event.digest == digest_of(configured)
            assert event.by == "ada"
            kinds = {one.kind: one for one in event.evidence}
            assert all(one.digest == event.digest for one in event.evidence), "evidence is of the same form"
            assert EvidenceKind.BACKTEST in kinds
            assert event.stage is Stage.BACKTEST or kinds[EvidenceKind.PARITY].same
        if isinstance(event, CandidateDemoted):
            assert before is not None and event.stage.place < before.stage.place
            assert stops_of(after) == stops_of(state), "protection stays"
            assert after.positions == state.positions
        if isinstance(event, OrderIntended) and event.intent.purpose is Purpose.ENTRY and event.intent.strategy == "s" \
                and state.portfolios["main"].settings.live:
            assert before is not None and before.stage.is_live
            assert before.digest == digest_of(configured) and set(configured.symbols) <= set(before.symbols)
        if isinstance(event, CancelRequested) and "back in" in event.reason:
            order = state.order(event.client_order_id)
            assert order is not None and order.intent.purpose is Purpose.ENTRY
        state = after
    assert state == desk.state
    return state


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_the_way_is_walked_stage_by_stage_and_protection_stays(seed: int, lenient: bool) -> None:
    course = Course(asked=REST if lenient else ASKED)
    seen, state = len(course.desk.rows), course.desk.state
    for act in [*START, *acts(Random(seed), 80)]:
        play(course, act)
        state = judge(course, seen, state)
        seen = len(course.desk.rows)
    assert fold(rows_of(course.desk)) == course.desk.state


def test_these_histories_come_everywhere() -> None:
    """Else the promises above would have been kept by nothing having happened."""
    found: dict[object, None] = {}
    for seed in range(20):
        for asked in (REST, ASKED):
            course = Course(asked=asked)
            for act in [*START, *acts(Random(seed), 80)]:
                play(course, act)
            for event in course.desk.events:
                if isinstance(event, CandidatePromoted):
                    found[event.stage] = None
                elif isinstance(event, CandidateDemoted):
                    found[event.reason.split(" ")[0] if event.by == "engine" else "ada"] = None
    assert {*list(Stage)[1:], "ada", "backtest", "its"} <= found.keys()
