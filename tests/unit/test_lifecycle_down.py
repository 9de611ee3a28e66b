"""A candidate that goes back: at once, whatever is known of prices, with every entry that it has no right to any more."""

from decimal import Decimal
from typing import Any

import msgspec

from engine.candidates import Stage
from engine.events import OrderResent
from engine.inputs import (
    CancelAnswered,
    CancelOrder,
    CancelRefused,
    OrderMissing,
    PlaceOrder,
    StrategyActed,
    SubmitAnswered,
    Unanswered,
)
from engine.lifecycle_events import CandidateDemoted
from engine.market import MarketView
from engine.orders import OrderKind, Purpose, Side
from engine.parents import OverTime
from tests.unit.engine_desk import ACCOUNT, Desk, alerts, bought
from tests.unit.test_lifecycle import EASY, Course, lifecycle_settings, staged_live, why


def full_live(**asked: Any) -> Course:
    course = staged_live(**asked)
    for _ in range(2):
        course.round_trip(100)
    assert course.promote(Stage.FULL_LIVE).accepted
    course.desk.later(1)
    return course


def resting(course: Course, lots: int = 5, **more: Any) -> str:
    """An entry that the venue holds below the market."""
    receipt = course.desk.do(course.want(lots, kind=OrderKind.LIMIT, limit=Decimal(97), **more))
    assert receipt.accepted, receipt.refusal
    course.desk.accept()
    return receipt.order_ids[0]


def refuse_cancels(desk: Desk) -> None:
    for order in list(desk.state.orders.values()):
        if len(order.cancel_requests) > len(order.cancel_answers):
            desk.take(CancelAnswered(order.client_order_id, order.cancel_requests[-1], CancelRefused("busy")))


# ---- at once -------------------------------------------------------------------------------------------------------------------


def test_a_losing_streak_demotes_also_where_something_has_no_price() -> None:
    """Counting round trips needs no price; a part of a capital does."""
    course = staged_live(demote_losing_streak=2)
    course.round_trip(-10)
    course.round_trip(-10)
    course.desk.quote(10_000, instrument_id="OTHER@paper")
    other = course.desk.do(PlaceOrder("o", "OTHER", Side.BUY, quantity=Decimal(1), stop=Decimal(95)))
    course.desk.fill(other.order_ids[0], 1, instrument_id="OTHER@paper")
    course.desk.market = MarketView()  # as after a start: no feed has spoken yet
    course.desk.beat()
    assert course.stage is Stage.PAPER


def test_a_bound_that_broke_while_no_engine_ran_demotes_before_anything_is_wanted() -> None:
    """The fills come with the first report; a bar closes before the first beat."""
    course = staged_live(demote_losing_streak=1)
    receipt = course.desk.do(course.want())
    course.desk.accept()
    course.desk.fill(receipt.order_ids[0], 10)
    course.desk.accept()
    (stop,) = course.desk.open(Purpose.STOP)
    fill = course.desk.fill_of(stop.client_order_id, 10, 9_900)
    desk = Desk(settings=lifecycle_settings(course.settings, live=True, asked=course.desk.settings.lifecycle),
                state=course.desk.state, live=False)
    desk.start()
    desk.quote(10_000)
    desk.reported(fills=(fill,), open_orders=(), positions={})
    assert desk.position is None and not desk.of(CandidateDemoted)
    desk.take(StrategyActed("s", "COIN@paper", desk.at_ns, {}, "buys", (course.want(),)))
    assert [one.stage for one in desk.of(CandidateDemoted)] == [Stage.PAPER]
    assert not desk.sent


# ---- what it had asked for -----------------------------------------------------------------------------------------------------


def test_from_full_to_staged_the_entries_of_full_size_are_withdrawn() -> None:
    course = full_live()
    waiting = resting(course, 400)
    receipt = course.demote()
    assert receipt.text == "s is back in staged_live; 1 working entries cancelled; what it holds stays protected"
    assert course.desk.cancels == [waiting]
    course.desk.confirm_cancels()
    course.desk.later(20)
    course.desk.quote(10_000)
    assert course.desk.do(course.want(400, kind=OrderKind.LIMIT, limit=Decimal(97))).refusal is not None
    smaller = resting(course, 50)
    course.desk.beat()
    assert smaller not in course.desk.cancels, "what it asks for within its part of the capital may work"


def test_a_cancel_that_the_venue_refused_is_asked_again() -> None:
    course = staged_live()
    waiting = resting(course)
    assert course.demote(Stage.PAPER).accepted
    for _ in range(3):
        refuse_cancels(course.desk)
        for _ in range(70):
            course.desk.beat()
    assert course.desk.cancels == [waiting] * 4
    course.desk.confirm_cancels()
    assert not course.desk.open(Purpose.ENTRY)


def test_a_cancel_of_the_entries_of_full_size_is_asked_again_too() -> None:
    course = full_live()
    waiting = resting(course, 400)
    course.desk.later(1)
    assert course.demote().accepted
    refuse_cancels(course.desk)
    for _ in range(10):
        course.desk.beat()
    assert course.desk.cancels == [waiting] * 2


def test_an_entry_of_a_strategy_that_is_configured_no_more_goes_and_none_follows() -> None:
    """Renamed, moved to another portfolio or taken out: nobody would look after its bounds."""
    course = staged_live()
    waiting = resting(course)
    parent = course.desk.do(course.want(40, over=OverTime(600), kind=OrderKind.LIMIT, limit=Decimal(97)))
    assert parent.accepted, parent.refusal
    course.desk.accept()
    renamed = msgspec.structs.replace(course.settings, name="t")
    course.restart(one=renamed, live=True)
    course.desk.accept()
    course.desk.beat()
    assert waiting in course.desk.cancels
    (ended,) = course.desk.state.parents.values()
    assert ended.ended_as == "its strategy may not enter any more"
    refused = why(course.desk.do(course.want()))
    assert refused == "s is no strategy of main any more: it enters nothing there"
    assert course.desk.do(bought("by hand", 1)).accepted
    course.desk.confirm_cancels()
    course.desk.beat(60)
    assert [one.intent.strategy for one in course.desk.open(Purpose.ENTRY)] == ["manual"]


def test_what_a_strategy_holds_that_trades_it_no_more_is_told() -> None:
    course = staged_live()
    receipt = course.desk.do(course.want())
    course.desk.accept()
    course.desk.fill(receipt.order_ids[0], 10)
    course.desk.accept()
    course.restart(live=True)
    assert not alerts(course.desk, "strategy")
    course.restart(one=msgspec.structs.replace(course.settings, symbols=("OTHER",)), live=True)
    (told,) = alerts(course.desk, "strategy")
    assert told.startswith("holds COIN, and does not trade it in main any more: its stop stays, but no rule will leave it")
    assert course.desk.held.stop_ticks == 9_500 and course.desk.open(Purpose.STOP)


# ---- what never arrived --------------------------------------------------------------------------------------------------------


def unanswered(course: Course) -> str:
    entry: str = course.desk.do(course.want()).order_ids[0]
    course.desk.take(SubmitAnswered(entry, Unanswered("timeout")))
    return entry


def test_an_entry_that_never_arrived_is_not_sent_again_for_a_demoted_strategy() -> None:
    course = staged_live()
    entry = unanswered(course)
    course.demote(Stage.PAPER)
    course.desk.take(OrderMissing(ACCOUNT, entry, definitive=True))
    assert not course.desk.of(OrderResent)
    assert not course.desk.open(Purpose.ENTRY)


def test_nor_one_that_a_person_has_cancelled() -> None:
    course = Course(asked=EASY)
    entry = unanswered(course)
    assert course.desk.do(CancelOrder("x", entry)).accepted
    course.desk.take(OrderMissing(ACCOUNT, entry, definitive=True))
    assert not course.desk.of(OrderResent)
    assert not course.desk.open(Purpose.ENTRY)
