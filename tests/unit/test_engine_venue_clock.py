"""What the venue's clock and its trade ids may do to us: skew, and one trade told twice with other numbers."""

import msgspec

from engine.effects import AskReport
from engine.inputs import ConnectionChanged, Connectivity, EngineStarted, FillReported, SetProtection, TimeAdvanced, VenueReported
from engine.service import AlertLevel
from engine.turn import FILL_OVERLAP_NS
from engine.units import NS_PER_SECOND
from tests.unit.engine_desk import NO_BRACKETS, Desk, alerts, bought

HOUR_NS = 3_600 * NS_PER_SECOND


def asked_since(desk: Desk) -> int:
    turn = desk.turn()
    turn.ask_report("acct")
    (effect,) = turn.effects
    assert isinstance(effect, AskReport)
    return effect.since_ns


def test_fills_are_asked_for_by_the_venues_own_clock() -> None:
    """A venue whose clock is minutes behind ours would else be asked for less than was missed."""
    desk = Desk()
    desk.later(2 * 3_600)
    late = msgspec.structs.replace(desk.report(), venue_time_ns=desk.at_ns - HOUR_NS)
    desk.take(VenueReported(late))
    assert asked_since(desk) == desk.at_ns - HOUR_NS - FILL_OVERLAP_NS


def test_what_happens_after_the_first_report_is_asked_for_however_far_that_clock_is_behind() -> None:
    desk = Desk(live=False)
    desk.take(EngineStarted("e", "test", desk.settings, desk.instruments, {"acct": NO_BRACKETS}))
    desk.take(ConnectionChanged("acct", up=True))
    behind_ns = desk.at_ns - HOUR_NS
    desk.take(VenueReported(msgspec.structs.replace(desk.report(), venue_time_ns=behind_ns)))
    assert desk.state.accounts["acct"].connectivity is Connectivity.LIVE
    assert asked_since(desk) == behind_ns


def test_a_clock_ahead_of_ours_takes_nothing_off_the_unprotected_time() -> None:
    desk = Desk(can=NO_BRACKETS, require_stop=False)
    entry = desk.do(bought(stop=None)).order_ids[0]
    desk.accept()
    desk.fill(entry, 10, at_ns=desk.at_ns + HOUR_NS)
    desk.take(TimeAdvanced())
    desk.do(SetProtection("p", "COIN", stop=desk.instruments[0].price(9_500)))
    desk.accept()
    assert desk.held.bare_total_ns == 0


def test_one_trade_told_twice_with_other_numbers_is_an_alarm_and_counted_once() -> None:
    desk = Desk(can=NO_BRACKETS)
    entry = desk.do(bought()).order_ids[0]
    desk.accept()
    fill = desk.fill_of(entry, 4)
    desk.take(FillReported(fill))
    desk.forget()
    desk.take(FillReported(fill))
    assert desk.rows == []
    for _ in range(2):
        desk.take(FillReported(msgspec.structs.replace(fill, last_lots=5)))
    assert desk.held.lots == 4
    assert alerts(desk, "fill-clash") == [
        "the venue told of COIN@paper trade t1 twice: 4 lots, then 5; the first is counted, the next report shows which is held"]
    assert desk.state.alerts["fill-clash:t1#5"].level is AlertLevel.CRIT


def test_a_clock_that_differs_is_told_once_again_where_it_is_serious_and_once_more_when_it_agrees() -> None:
    desk = Desk()
    for ahead_seconds in (0, 1.9, -2.5, -3.0, 11.0, 12.0, 0.2, 0.0):
        desk.later(1)
        report = msgspec.structs.replace(desk.report(), clock_ahead_ns=round(ahead_seconds * NS_PER_SECOND))
        desk.take(VenueReported(report))
    assert alerts(desk, "clock") == [
        "our clock is 2.5 s behind the venue's; set this computer's clock",
        "our clock is 11.0 s ahead of the venue's; set this computer's clock", "our clock and the venue's agree again"]
