"""What a venue lets an account do: barred from opening, kept from closing what was opened today, silent about what it holds, or
another account than the one that holds our positions."""

from typing import Any

import msgspec
import pytest

from engine.account_events import AccountTold, CloseRefused
from engine.events import PositionAdjusted
from engine.inputs import (
    NOT_TODAY,
    ClosePosition,
    ConnectionChanged,
    Connectivity,
    EngineStarted,
    Flatten,
    Refused,
    ReportFailed,
    SubmitAnswered,
    VenueReported,
)
from engine.limits import loss_checks
from engine.market import MarketView
from engine.orders import Purpose
from engine.service import AlertLevel, Refusal
from engine.trading_hours import NS_PER_DAY, SessionBounds
from engine.units import NS_PER_SECOND
from tests.unit.engine_desk import (
    ACCOUNT,
    COIN,
    COIN_ID,
    OTHER,
    PLAIN,
    START_NS,
    Desk,
    alerts,
    bought,
    coin,
    fold,
    rows_of,
    the_stop,
)

HOURS_NS = 3_600 * NS_PER_SECOND
DENIED = "trade denied due to pattern day trading protection"
SHARE = coin(session="XNYS")


def told(desk: Desk, **fields: Any) -> None:
    desk.take(VenueReported(msgspec.structs.replace(desk.report(), **fields)))


def refused_by(desk: Desk, command_id: str = "again") -> str:
    refusal = desk.do(bought(command_id)).refusal
    return refusal.check if isinstance(refusal, Refusal) else ""


def in_a_session() -> Desk:
    """A market that opens at each midnight of UTC for twelve hours; ten shares held, stop at rest."""
    desk = Desk(can=PLAIN, live=False, instruments=(SHARE,), stale_quote_seconds=1e6, duplicate_seconds=0.0)

    def bounds(_: str, at_ns: int) -> SessionBounds:
        open_ns = at_ns // NS_PER_DAY * NS_PER_DAY
        today = SessionBounds(open_ns, open_ns + 12 * HOURS_NS)
        return today if at_ns < today.close_ns else SessionBounds(open_ns + NS_PER_DAY, open_ns + NS_PER_DAY + 12 * HOURS_NS)

    desk.market.session_bounds = bounds
    desk.at_ns = START_NS // NS_PER_DAY * NS_PER_DAY + HOURS_NS
    desk.start()
    desk.quote(10_000)
    return desk


def levels(desk: Desk, code: str) -> list[AlertLevel]:
    return [alert.level for alert in desk.state.alerts.values() if alert.code == code]


# ---- barred ----------------------------------------------------------------------------------------------------------------


def test_a_barred_account_opens_nothing_and_says_why_until_the_venue_lifts_it() -> None:
    desk = Desk(can=PLAIN, duplicate_seconds=0.0)
    desk.enter()
    told(desk, barred="the venue has blocked the account from trading (status ACTIVE)")
    receipt = desk.do(bought("more"))
    assert receipt.refusal is not None
    assert receipt.refusal.check == "account"
    assert "the venue has blocked the account from trading" in receipt.refusal.message
    assert levels(desk, "barred") == [AlertLevel.CRIT]
    assert desk.do(ClosePosition("out", "COIN")).accepted, "what only reduces is never held back by us"
    told(desk)
    assert levels(desk, "barred") == [AlertLevel.INFO]
    assert desk.state.accounts[ACCOUNT].barred == ""


def test_it_is_told_once_and_comes_back_from_the_journal() -> None:
    desk = Desk(can=PLAIN)
    for _ in range(3):
        told(desk, barred="blocked", owner="one")
    assert desk.of(AccountTold) == [AccountTold(ACCOUNT, "one", "blocked")]
    assert fold(rows_of(desk)).accounts == desk.state.accounts


# ---- not today ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", [Purpose.STOP, Purpose.EXIT])
def test_an_exit_kept_for_today_is_told_critically_tried_again_and_nothing_is_added_until_tomorrow(purpose: Purpose) -> None:
    desk = in_a_session()
    desk.enter(accept=False)
    order_id = the_stop(desk)
    if purpose is Purpose.EXIT:
        desk.accept()
        desk.do(ClosePosition("out", "COIN"))
        desk.confirm_cancels()
        order_id = desk.open(Purpose.EXIT)[0].client_order_id
    desk.take(SubmitAnswered(order_id, Refused(DENIED, NOT_TODAY)))
    assert desk.of(CloseRefused) == [CloseRefused(ACCOUNT, COIN_ID, DENIED)]
    assert levels(desk, "close-refused") == [AlertLevel.CRIT]
    assert DENIED in alerts(desk, "close-refused")[0]
    desk.forget()
    desk.beat(60)
    assert [one.purpose for one in desk.sent] == [purpose], "tried again"
    assert refused_by(desk) == ("leaving" if purpose is Purpose.EXIT else "way out")
    desk.later(24 * 3_600)
    desk.quote(10_000)
    desk.reported()
    assert refused_by(desk, "tomorrow") != "way out"


def test_an_entry_refused_for_it_bars_nothing_by_itself() -> None:
    desk = in_a_session()
    (entry,) = desk.do(bought()).order_ids
    desk.take(SubmitAnswered(entry, Refused(DENIED, NOT_TODAY)))
    assert desk.of(CloseRefused) == []


def test_a_market_that_never_closes_knows_no_such_day() -> None:
    desk = Desk(can=PLAIN, duplicate_seconds=0.0)
    desk.enter(accept=False)
    desk.take(SubmitAnswered(the_stop(desk), Refused(DENIED, NOT_TODAY)))
    assert refused_by(desk) == ""


# ---- silence -----------------------------------------------------------------------------------------------------------------


def test_reports_that_keep_failing_bar_entries_and_are_told_critically_until_one_comes() -> None:
    desk = Desk(can=PLAIN, stale_quote_seconds=1e6)
    desk.later(desk.settings.reconcile_seconds)
    desk.take(ReportFailed(ACCOUNT, "unauthorized."))
    assert levels(desk, "no-report") == [], "one may fail"
    desk.later(desk.settings.reconcile_seconds)
    desk.take(ReportFailed(ACCOUNT, "unauthorized."))
    assert levels(desk, "no-report") == [AlertLevel.CRIT]
    assert refused_by(desk) == "account"
    desk.reported()
    assert refused_by(desk, "now") == ""


# ---- another account -----------------------------------------------------------------------------------------------------------


def test_the_report_of_another_account_undoes_nothing_and_nothing_is_sent_there() -> None:
    desk = Desk(can=PLAIN)
    told(desk, owner="ours")
    desk.enter()
    desk.take(EngineStarted("e", "test", desk.settings, desk.instruments, {ACCOUNT: PLAIN}))
    desk.forget()
    for _ in range(3):
        told(desk, owner="theirs", positions=(), open_orders=(), cash_minor=5)
        desk.beat(desk.settings.settle_seconds + 1)
    assert (desk.held.lots, desk.of(PositionAdjusted), desk.sent, desk.cancels) == (10, [], [], [])
    assert desk.state.accounts[ACCOUNT].connectivity is not Connectivity.LIVE
    assert levels(desk, "another-account") == [AlertLevel.CRIT]


def test_a_panic_closes_nothing_in_another_account() -> None:
    desk = Desk(can=PLAIN)
    told(desk, owner="ours")
    desk.enter()
    desk.forget()
    desk.do(Flatten("panic"))
    told(desk, owner="theirs", positions=(msgspec.structs.replace(desk.report().positions[0], lots=77),))
    assert desk.sent == []


def test_an_account_of_which_we_hold_nothing_may_change_hands() -> None:
    desk = Desk(can=PLAIN)
    told(desk, owner="ours")
    told(desk, owner="theirs")
    assert desk.state.accounts[ACCOUNT].owner == "theirs"
    assert desk.state.accounts[ACCOUNT].connectivity is Connectivity.LIVE


# ---- what the venue lists no more ----------------------------------------------------------------------------------------------


def test_a_report_that_does_not_speak_of_an_instrument_undoes_no_position_of_it() -> None:
    desk = Desk(can=PLAIN, instruments=(COIN, OTHER))
    desk.enter()
    desk.forget()
    for _ in range(3):
        told(desk, positions=(), instruments=(OTHER,))
        desk.later(desk.settings.settle_seconds + 1)
    assert (desk.held.lots, desk.of(PositionAdjusted)) == (10, [])
    assert len(alerts(desk, "unlisted")) == 1, "told once"
    for _ in range(2):
        told(desk, positions=(), instruments=(COIN, OTHER))
        desk.later(desk.settings.settle_seconds + 1)
    assert desk.position is None, "one that lists it does"


def test_a_report_of_all_that_is_held_says_so_of_what_is_listed_no_more() -> None:
    """A share under a new symbol: kept beside it, the old one would count twice and no panic would ever be done."""
    desk = Desk(can=PLAIN, instruments=(COIN, OTHER))
    desk.enter()
    (held,) = desk.report().positions
    renamed = (msgspec.structs.replace(held, instrument_id=OTHER.instrument_id),)
    for _ in range(2):
        told(desk, positions=renamed, instruments=(OTHER,), all_held=True)
        desk.later(desk.settings.settle_seconds + 1)
    assert {one.instrument_id: one.lots for one in desk.state.positions.values()} == {OTHER.instrument_id: 10}
    assert alerts(desk, "unlisted") == []


def test_what_is_listed_no_more_and_never_priced_again_ends_no_limit_on_losses() -> None:
    desk = Desk(can=PLAIN, instruments=(COIN, OTHER), max_day_loss_fraction=0.02, duplicate_seconds=0.0)
    desk.enter()
    desk.beat()
    desk.market = MarketView()  # a start knows no price of before
    desk.take(EngineStarted("e", "test", desk.settings, (OTHER,), {ACCOUNT: PLAIN}, {ACCOUNT: (OTHER.instrument_id,)}))
    desk.take(ConnectionChanged(ACCOUNT, up=True))
    told(desk, instruments=(OTHER,))
    desk.quote(10_000, instrument_id=OTHER.instrument_id)
    told_of = {one.name for one in loss_checks(desk.state, desk.market, "main")}
    assert "day loss" in told_of, "what has no price any more counts at its cost"
