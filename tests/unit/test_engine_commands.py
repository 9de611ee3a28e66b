"""Commands: done once by their id, refused on the record, answered exactly once; latches, days, and the events they leave."""

from decimal import Decimal
from typing import Any

import pytest

from engine.effects import SubmitOrders
from engine.events import AlertRaised, CommandDone, DayRolled, TradingStateChanged, WantRefused
from engine.inputs import (
    AcceptDrift,
    AcknowledgeAlert,
    Approve,
    CancelOrder,
    ClosePosition,
    Command,
    Decline,
    Flatten,
    PlaceOrder,
    Reconcile,
    SetProtection,
    SetTradingState,
    TapeEnded,
    TradingState,
)
from engine.market import NS_PER_DAY
from engine.orders import OrderKind, OrderStatus, Purpose, Side
from tests.unit.engine_desk import COIN_ID, NO_BRACKETS, NO_STOPS, START_NS, Desk, bought, fold, rows_of, settings_of


def ready() -> Desk:
    """Something is held, an entry rests, a trade is pending, an alert stands."""
    desk = Desk(can=NO_BRACKETS)
    desk.enter("held")
    assert desk.do(bought("resting", 5, kind=OrderKind.LIMIT, limit=Decimal(99))).accepted
    desk.accept()
    assert desk.do(bought("pending", 3, origin="dca", propose=True)).accepted
    return desk


def resting(desk: Desk) -> str:
    return desk.open(Purpose.ENTRY)[0].client_order_id


def accepted_commands(desk: Desk) -> list[Command]:
    proposal = next(iter(desk.state.proposals.values()))
    alert = next(iter(desk.state.alerts))
    return [
        bought("c", 7), CancelOrder("c", resting(desk)), ClosePosition("c", "COIN"),
        ClosePosition("c", "COIN", quantity=Decimal(3)),
        SetProtection("c", "COIN", stop=Decimal(96)), Approve("c", proposal.proposal_id, proposal.digest),
        Decline("c", proposal.proposal_id), SetTradingState("c", TradingState.HALTED),
        SetTradingState("c", TradingState.REDUCING, "main"), Flatten("c"), AcknowledgeAlert("c", alert), Reconcile("c"),
        bought("c", 3, None, side=Side.SELL)]


@pytest.mark.parametrize("place", range(13))
def test_a_command_takes_effect_once_however_often_it_arrives(place: int) -> None:
    desk = ready()
    command = accepted_commands(desk)[place]
    first = desk.do(command)
    assert first.accepted, first.refusal
    assert command.command_id in desk.state.commands
    state = desk.state
    desk.forget()
    again = desk.do(command)
    assert again.accepted
    assert again.text.startswith("already done, journal row ")
    assert desk.events == []
    assert desk.state is state
    assert [effect for effect in desk.effects if isinstance(effect, SubmitOrders)] == []


@pytest.mark.parametrize("place", range(13))
def test_a_command_is_known_over_a_restart(place: int) -> None:
    desk = ready()
    command = accepted_commands(desk)[place]
    desk.do(command)
    later = Desk(settings=desk.settings, can=desk.can, state=fold(rows_of(desk)), live=False)
    later.start()
    later.forget()
    assert later.do(command).text.startswith("already done")
    assert later.sent == []


REFUSED: list[tuple[Command, str]] = [
    (bought("c", symbol="NONE"), "instrument"), (bought("c", portfolio="none"), "portfolio"),
    (CancelOrder("c", "none"), "order"), (ClosePosition("c", "OTHER"), "position"),
    (ClosePosition("c", "COIN", "none"), "portfolio"), (ClosePosition("c", "COIN", quantity=Decimal(11)), "reduces"),
    (SetProtection("c", "OTHER", stop=Decimal(1)), "position"),
    (Approve("c", "none", ""), "pending"), (Decline("c", "none"), "pending"),
    (SetTradingState("c", TradingState.HALTED, "none"), "portfolio"), (Flatten("c", "none"), "portfolio"),
    (AcknowledgeAlert("c", "none"), "alert"), (AcceptDrift("c", "acct", COIN_ID), "drift"),
    (AcceptDrift("c", "none", "none"), "drift"),
    (bought("c", 3, None, side=Side.SELL, kind=OrderKind.LIMIT, limit=Decimal(101)), "reduces")]


@pytest.mark.parametrize(("command", "check"), REFUSED)
def test_every_refusal_is_on_the_record(command: Command, check: str) -> None:
    desk = ready()
    desk.forget()
    receipt = desk.do(command)
    assert receipt.refusal is not None
    assert receipt.refusal.check == check
    (refused,) = desk.of(WantRefused)
    assert (refused.command_id, refused.check, refused.limit, refused.value, refused.message) == (
        "c", receipt.refusal.check, receipt.refusal.limit, receipt.refusal.value, receipt.refusal.message)
    assert refused.what
    assert not desk.sent and not desk.cancels
    assert "\n" not in refused.message


def test_a_refused_command_stays_refused_under_its_id() -> None:
    """A client that lost the answer and asks again must not hear that it was done."""
    desk = ready()
    first = desk.do(bought("c", symbol="NONE"))
    desk.forget()
    again = desk.do(bought("c", symbol="NONE"))
    assert not again.accepted
    assert again.refusal is not None
    assert again.refusal.message == f"already refused, journal row {first.seq}"
    assert desk.events == []


def test_a_second_cancel_asks_the_venue_once() -> None:
    desk = ready()
    entry = resting(desk)
    desk.do(CancelOrder("one", entry))
    desk.do(CancelOrder("two", entry))
    assert desk.cancels == [entry]
    assert desk.order(entry).status is OrderStatus.PENDING_CANCEL


def test_an_order_that_is_over_cannot_be_cancelled() -> None:
    desk = ready()
    entry = resting(desk)
    desk.closed(entry)
    receipt = desk.do(CancelOrder("c", entry))
    assert receipt.refusal is not None
    assert receipt.refusal.check == "order"


# ---- trading state ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("globally", "own", "effective"), [
    (TradingState.ACTIVE, TradingState.ACTIVE, TradingState.ACTIVE),
    (TradingState.REDUCING, TradingState.ACTIVE, TradingState.REDUCING),
    (TradingState.ACTIVE, TradingState.REDUCING, TradingState.REDUCING),
    (TradingState.HALTED, TradingState.REDUCING, TradingState.HALTED),
    (TradingState.REDUCING, TradingState.HALTED, TradingState.HALTED)])
def test_the_stricter_latch_counts(globally: TradingState, own: TradingState, effective: TradingState) -> None:
    desk = Desk(settings=settings_of("main", "side"))
    desk.do(SetTradingState("g", globally))
    desk.do(SetTradingState("o", own, "main"))
    assert desk.state.effective_state("main") is effective
    assert desk.state.effective_state("side") is globally


def test_resuming_everything_releases_every_portfolio() -> None:
    desk = Desk(settings=settings_of("main", "side"))
    desk.do(SetTradingState("a", TradingState.HALTED, "side"))
    desk.do(SetTradingState("b", TradingState.HALTED))
    desk.do(SetTradingState("c", TradingState.ACTIVE))
    assert desk.state.effective_state("side") is TradingState.ACTIVE
    assert [(event.portfolio, event.state) for event in desk.of(TradingStateChanged)][-2:] == [
        ("", TradingState.ACTIVE), ("side", TradingState.ACTIVE)]


def test_resuming_one_portfolio_says_that_everything_is_still_halted() -> None:
    desk = Desk(settings=settings_of("main", "side"))
    desk.do(SetTradingState("a", TradingState.HALTED))
    receipt = desk.do(SetTradingState("b", TradingState.ACTIVE, "main"))
    assert receipt.text == "main's own latch is ACTIVE; everything is HALTED all the same"
    desk.do(SetTradingState("c", TradingState.ACTIVE))
    assert desk.do(SetTradingState("d", TradingState.ACTIVE, "main")).text == "main is ACTIVE"


def test_a_latch_is_kept_over_a_restart_with_its_cause() -> None:
    desk = Desk()
    desk.do(SetTradingState("a", TradingState.HALTED, "main", "earnings", "someone"))
    later = Desk(settings=desk.settings, state=fold(rows_of(desk)), live=False)
    later.start()
    portfolio = later.state.portfolios["main"]
    assert (portfolio.trading_state, portfolio.cause, portfolio.latched_by) == (TradingState.HALTED, "earnings", "someone")
    later.quote(10_000)
    assert not later.do(bought()).accepted


@pytest.mark.parametrize("state", [TradingState.HALTED, TradingState.REDUCING])
def test_a_latch_withdraws_working_entries_of_its_portfolio(state: TradingState) -> None:
    desk = Desk(can=NO_BRACKETS, settings=settings_of("main", "side"))
    for place, portfolio in enumerate(("main", "side")):
        desk.do(bought(f"c{place}", 5, kind=OrderKind.LIMIT, limit=Decimal(99), portfolio=portfolio))
    desk.accept()
    mine = next(order.client_order_id for order in desk.open(Purpose.ENTRY) if order.intent.portfolio == "main")
    desk.do(SetTradingState("s", state, "main"))
    assert desk.cancels == [mine]


# ---- the end of a tape, days ------------------------------------------------------------------------------------------------


def test_the_end_of_a_tape_withdraws_entries_and_leaves_protection() -> None:
    desk = ready()
    entry = resting(desk)
    desk.forget()
    desk.take(TapeEnded())
    assert desk.cancels == [entry]


def test_a_day_begins_with_the_equity_of_that_moment_and_only_once() -> None:
    desk = Desk(can=NO_STOPS)
    desk.beat(0)
    assert [event.equity_minor for event in desk.of(DayRolled)] == [{"main": 10_000_000}]
    desk.enter(lots=100)
    desk.forget()
    desk.at_ns = (START_NS // NS_PER_DAY + 1) * NS_PER_DAY
    desk.quote(10_100)
    desk.beat(0)
    desk.beat(1)
    assert [event.equity_minor for event in desk.of(DayRolled)] == [{"main": 10_010_000}]
    later = Desk(settings=desk.settings, can=desk.can, state=desk.state, live=False)
    later.start()
    later.quote(10_100)
    later.beat(1)
    assert later.of(DayRolled) == [], "a restart does not reset the day"


def test_a_deposit_is_no_profit_of_the_day() -> None:
    desk = Desk()
    desk.beat(0)
    desk.reported(cash_minor=12_000_000)
    assert desk.state.portfolios["main"].day_equity_minor == 12_000_000


def test_the_same_alert_is_not_repeated_within_a_minute() -> None:
    desk = Desk()
    desk.do(SetTradingState("a", TradingState.HALTED, cause="x"))
    desk.later(59)
    desk.do(SetTradingState("b", TradingState.HALTED, cause="x"))
    assert len(desk.of(AlertRaised)) == 1
    desk.later(1)
    desk.do(SetTradingState("c", TradingState.HALTED, cause="x"))
    assert [alert.count for alert in desk.state.alerts.values()] == [2]


def test_a_command_that_changes_nothing_else_leaves_a_row() -> None:
    desk = ready()
    desk.do(ClosePosition("one", "COIN"))
    desk.do(ClosePosition("two", "COIN"))
    assert [event.command_id for event in desk.of(CommandDone)] == ["two"]


def test_ids_are_made_of_the_row_and_never_repeat() -> None:
    desk = ready()
    seen = [order.client_order_id for order in (*desk.state.orders.values(), *desk.state.closed.values())]
    assert len(seen) == len(set(seen))
    later = Desk(settings=desk.settings, can=desk.can, state=fold(rows_of(desk)), live=False)
    later.start()
    later.quote(10_000)
    receipt = later.do(bought("more", 2))
    assert receipt.accepted, receipt.refusal
    assert not set(receipt.order_ids) & set(seen)


def test_a_want_says_whose_it_is() -> None:
    desk = Desk()
    want: Any = PlaceOrder("c", "COIN", Side.BUY, quantity=Decimal(1), stop=Decimal(95), origin="dca", propose=True, by="dca")
    desk.do(want)
    proposal = next(iter(desk.state.proposals.values()))
    assert (proposal.want.origin, proposal.want.by) == ("dca", "dca")
