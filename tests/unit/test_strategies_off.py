"""A strategy that cannot run today: everything else runs, what it holds stays protected, and it goes on where it was."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from engine.candidates import EvidenceKind, Stage
from engine.events import AlertRaised, OrderIntended
from engine.inputs import Approve, AutomationLevel, ClosePosition, EnableStrategy, OrderMissing, StrategyActed
from engine.lifecycle_events import CandidateDemoted
from engine.orders import OrderKind, Purpose
from engine.service import AlertLevel
from engine.strategy_state import StrategySettings
from engine.strategy_views import strategy_views
from tests.unit.engine_desk import ACCOUNT, COIN_ID, Desk, alerts, fold, rows_of, settings_of, the_stop
from tests.unit.test_lifecycle import Course, lifecycle_settings, staged_live, why
from tests.unit.test_lifecycle_down import resting, unanswered

OFF = "strategy-off"
BROKEN = "strategies/mine.py:3: invalid syntax; once that is mended, start the engine again"


def unread(settings: StrategySettings) -> StrategySettings:
    """As the configuration gives it where its file cannot be read: without defaults, without a hash."""
    return msgspec.structs.replace(settings, params={}, warmup_bars=0, source_hash="", problem=BROKEN)


def holding(course: Course, lots: int = 10) -> str:
    """The strategy holds something, with its stop at the venue; the stop's id."""
    receipt = course.desk.do(course.want(lots))
    assert receipt.accepted, receipt.refusal
    course.desk.accept()
    course.desk.fill(receipt.order_ids[0], lots)
    course.desk.accept()
    return the_stop(course.desk)


def exact(desk: Desk) -> bool:
    """Whether a replay of the journal comes to the very same state."""
    return fold(rows_of(desk)) == desk.state


# ---- told ----------------------------------------------------------------------------------------------------------------------


def test_it_is_a_critical_alarm_that_names_file_line_and_remedy_and_is_taken_back() -> None:
    course = staged_live()
    holding(course)
    mended = course.settings
    course.restart(one=unread(mended), live=True)
    (told,) = alerts(course.desk, OFF)
    assert told == (f"s is off: {BROKEN}; it enters nothing, and no rule will leave what it holds (COIN): stop, target and "
                    "longest hold stay, `quarterdeck close` closes it")
    assert course.desk.state.alerts[f"{OFF}:s"].level is AlertLevel.CRIT
    course.restart(one=mended, live=True)
    assert course.desk.state.alerts[f"{OFF}:s"].level is AlertLevel.INFO
    assert course.desk.state.alerts[f"{OFF}:s"].text == "s can run again, and goes on where it was"


def test_an_engine_of_one_command_tells_it_once() -> None:
    course = Course()
    for _ in range(3):
        course.restart(one=unread(course.settings))
        course.desk.later(3_600)
    assert course.desk.state.alerts[f"{OFF}:s"].count == 1


def test_it_is_shown_as_off_with_the_reason_whatever_was_switched() -> None:
    course = Course()
    assert course.desk.do(EnableStrategy("on", "s")).accepted
    course.restart(one=unread(course.settings))
    (view,) = strategy_views(course.desk.state, course.desk.market)
    assert (view.enabled, view.problem) == (False, BROKEN)
    refused = course.desk.do(EnableStrategy("again", "s"))
    assert why(refused) == f"s is off: {BROKEN}"
    assert course.desk.do(EnableStrategy("stop", "s", enabled=False)).accepted


# ---- what it holds -------------------------------------------------------------------------------------------------------------


def test_what_it_holds_keeps_its_stop_and_can_be_closed() -> None:
    course = staged_live()
    stop = holding(course)
    course.restart(one=unread(course.settings), live=True)
    desk = course.desk
    desk.quote(10_000)
    desk.reported(positions={COIN_ID: 10}, open_orders=(desk.order_report(desk.order(stop)),))
    assert desk.held.stop_ticks == 9_500 and the_stop(desk) == stop and not desk.cancels
    assert desk.do(ClosePosition("out", "COIN")).accepted
    assert exact(desk)


def test_the_engine_leaves_for_it_at_its_level_where_the_venue_lost_the_stop() -> None:
    course = staged_live()
    stop = holding(course)
    course.restart(one=unread(course.settings), live=True)
    desk = course.desk
    desk.reported(positions={COIN_ID: 10}, open_orders=())
    desk.closed(stop)
    assert [order.intent.trigger_ticks for order in desk.open(Purpose.STOP)] == [9_500], "its stop is placed again"
    assert exact(desk)


# ---- nothing new ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("live", [False, True])
def test_it_enters_nothing_and_what_was_on_its_way_is_withdrawn(*, live: bool) -> None:
    course = staged_live() if live else Course()
    waiting = resting(course)
    course.restart(one=unread(course.settings), live=live)
    course.desk.quote(10_000)
    course.desk.beat()
    assert course.desk.cancels == [waiting]
    refused = course.desk.do(course.want())
    assert why(refused) == f"s is off: {BROKEN}"
    sent = len(course.desk.of(OrderIntended))
    course.desk.take(StrategyActed("s", COIN_ID, course.desk.at_ns, {}, "buys", (course.want(),)))
    assert len(course.desk.of(OrderIntended)) == sent


def test_an_entry_that_never_arrived_is_not_sent_again() -> None:
    course = Course()
    entry = unanswered(course)
    course.restart(one=unread(course.settings))
    course.desk.take(OrderMissing(ACCOUNT, entry, definitive=True))
    assert not course.desk.open(Purpose.ENTRY)
    assert not course.desk.sent


def test_a_pending_trade_of_it_is_not_approved() -> None:
    one = Course().settings
    settings = settings_of("main", automation=AutomationLevel.SUGGEST_ONLY, strategies=(one,))
    desk = Desk(settings=settings)
    course = Course()
    receipt = desk.do(course.want())
    again = Desk(settings=msgspec.structs.replace(settings, strategies=(unread(one),)), state=desk.state)
    again.quote(10_000)
    refused = again.do(Approve("yes", receipt.proposal_id, again.state.proposals[receipt.proposal_id].digest))
    assert why(refused) == f"s is off: {BROKEN}"


# ---- its stage -----------------------------------------------------------------------------------------------------------------


def test_its_stage_is_neither_lost_nor_won_and_it_goes_on_exactly_where_it_was() -> None:
    course = staged_live()
    holding(course)
    before, mended = course.desk.state, course.settings
    course.restart(one=unread(mended), live=True)
    for _ in range(5):
        course.desk.quote(10_000)
        course.desk.beat(60)
    assert course.stage is Stage.STAGED_LIVE and not course.view.may_enter
    assert not course.desk.of(CandidateDemoted)
    assert course.desk.state.candidates == before.candidates
    assert course.desk.state.strategies == before.strategies
    assert exact(course.desk)
    course.restart(one=mended, live=True)
    course.desk.quote(10_000)
    course.desk.beat()
    assert (course.stage, course.view.may_enter) == (Stage.STAGED_LIVE, True)
    assert course.desk.do(course.want(kind=OrderKind.LIMIT, limit=Decimal(99))).refusal is None
    assert exact(course.desk)


def test_another_form_demotes_once_it_can_run() -> None:
    course = staged_live()
    mended = course.settings
    course.restart(one=unread(mended), live=True)
    course.desk.beat()
    course.restart(one=msgspec.structs.replace(mended, params={**mended.params, "fast_bars": 3}), live=True)
    course.desk.beat()
    assert course.stage is Stage.RESEARCH
    assert [one.stage for one in course.desk.of(CandidateDemoted)] == [Stage.RESEARCH]


def test_its_own_losses_demote_it_while_it_is_off() -> None:
    course = staged_live(demote_losing_streak=1)
    stop = holding(course)
    course.restart(one=unread(course.settings), live=True)
    course.desk.fill(stop, 10, 9_500, trade_id="lost")
    course.desk.beat()
    assert course.desk.state.candidates["s"].stage is Stage.PAPER


def test_nothing_promotes_it_and_nothing_is_proven_of_what_cannot_be_read() -> None:
    course = Course()
    course.record()
    course.restart(one=unread(course.settings))
    refused = course.promote(Stage.BACKTEST)
    assert why(refused) == f"s may not go to backtest yet: strategy: {BROKEN}, needed one that can run"
    assert why(course.record(EvidenceKind.PARITY)) == f"s is off, so its form cannot be told: {BROKEN}"


def test_what_was_not_tried_yet_takes_evidence_of_its_new_form() -> None:
    """Its file can be read: the backtest that lets it run is evidence of exactly what will run."""
    course = Course()
    course.restart(one=msgspec.structs.replace(course.settings, source_hash="abc", problem="mine.py: not tried in this form yet"))
    assert course.record().accepted


def test_of_two_strategies_the_other_runs() -> None:
    one = Course().settings
    other = msgspec.structs.replace(one, name="t", symbols=("OTHER",))
    settings = lifecycle_settings(one)
    desk = Desk(settings=msgspec.structs.replace(settings, strategies=(unread(one), other)))
    views: dict[str, Any] = {view.name: view for view in strategy_views(desk.state, desk.market)}
    assert (views["s"].enabled, views["t"].enabled) == (False, True)
    assert [event.subject for event in desk.of(AlertRaised) if event.code == OFF] == ["s"]
