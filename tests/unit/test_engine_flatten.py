"""The second stage of panic, decision by decision: halt, cancel, wait for what is unknown, close, believe only the venue."""

from decimal import Decimal

import pytest

from engine.effects import AskReport, SendCancelAll
from engine.events import AlertRaised, FlattenFinished, FlattenStarted
from engine.inputs import (
    CancelAllAnswered,
    ConnectionChanged,
    EngineStarted,
    Flatten,
    Limits,
    OrderReport,
    ReportFailed,
    SetTradingState,
    SubmitAnswered,
    TradingState,
    Unanswered,
)
from engine.orders import OrderIntent, OrderKind, OrderStatus, Purpose, Side
from engine.state import FlattenState
from tests.unit.engine_desk import ACCOUNT, COIN_ID, NO_BRACKETS, NO_STOPS, Desk, bought, settings_of

OTHER_ID = "OTHER@paper"


def panic(desk: Desk, portfolio: str = "") -> FlattenState:
    desk.forget()
    assert desk.do(Flatten("panic", portfolio)).accepted
    return at_work(desk)


def at_work(desk: Desk) -> FlattenState:
    assert desk.state.flatten is not None
    return desk.state.flatten


def cancelled_all(desk: Desk) -> list[str]:
    return [effect.account for effect in desk.effects if isinstance(effect, SendCancelAll)]


def venue_cancels(desk: Desk, account: str = ACCOUNT) -> None:
    """The venue cancels whatever rests there, and is asked what is left."""
    for order in list(desk.state.orders.values()):
        if order.intent.account == account and order.acked:
            desk.closed(order.client_order_id)
    desk.take(CancelAllAnswered(account, 2))


def closing(desk: Desk) -> list[OrderIntent]:
    return [intent for intent in desk.sent if intent.purpose is Purpose.FLATTEN]


def test_the_whole_sequence() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter(target=Decimal(110))
    (resting,) = desk.do(bought("more", 5, kind=OrderKind.LIMIT, limit=Decimal(99))).order_ids
    desk.accept()
    panic(desk)
    assert desk.state.trading_state is TradingState.HALTED
    assert cancelled_all(desk) == [ACCOUNT]
    assert closing(desk) == [], "first the orders, then the positions"

    desk.forget()
    venue_cancels(desk)
    assert [type(effect) for effect in desk.effects] == [AskReport]
    assert desk.order(resting).status is OrderStatus.CANCELED
    assert desk.sent == [], "protection is not put back while everything is being closed"

    desk.later(1)
    desk.reported()
    assert [(one.side, one.order_lots, one.kind, one.reduce_only) for one in closing(desk)] == [
        (Side.SELL, 10, OrderKind.MARKET, True)]
    desk.reported()
    assert len(closing(desk)) == 1, "what is on its way out is not sold twice"

    desk.accept()
    desk.forget()
    desk.later(1)
    desk.fill(closing_id(desk), 10, 9_990)
    assert any(isinstance(effect, AskReport) for effect in desk.effects), "a fill is no word of the venue that it is flat"
    assert not at_work(desk).finished
    desk.reported()
    flatten = at_work(desk)
    assert (flatten.finished, flatten.flat) == (True, True)
    (line,) = flatten.lines[ACCOUNT]
    assert (line.lots_at_start, line.lots_left, line.seconds_to_flat) == (10, 0, 2.0)
    assert desk.state.trading_state is TradingState.HALTED, "it stays halted"


def closing_id(desk: Desk) -> str:
    return desk.open(Purpose.FLATTEN)[0].client_order_id


def test_nothing_held_is_flat_with_the_first_report() -> None:
    desk = Desk()
    panic(desk)
    assert not at_work(desk).finished
    desk.take(CancelAllAnswered(ACCOUNT, 0))
    desk.later(0.1)
    desk.reported()
    assert (at_work(desk).finished, at_work(desk).flat) == (True, True)


def test_an_unknown_order_is_waited_for() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter()
    (unknown,) = desk.do(bought("more", 5)).order_ids
    desk.take(SubmitAnswered(unknown, Unanswered("timeout")))
    panic(desk)
    venue_cancels(desk)
    desk.later(1)
    desk.reported()
    assert closing(desk) == []
    (line,) = at_work(desk).lines[ACCOUNT]
    assert line.detail == "waits for an unknown order"
    desk.later(1)
    desk.fill(unknown, 5)
    desk.later(1)
    desk.reported()
    assert [intent.order_lots for intent in closing(desk)] == [15]


def test_an_unknown_order_is_not_waited_for_without_end() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter()
    (unknown,) = desk.do(bought("more", 5)).order_ids
    desk.take(SubmitAnswered(unknown, Unanswered("timeout")))
    panic(desk)
    venue_cancels(desk)
    desk.later(29.9)
    desk.reported()
    assert closing(desk) == []
    desk.later(0.1)
    desk.reported()
    assert [intent.order_lots for intent in closing(desk)] == [10]
    desk.accept(closing_id(desk))
    desk.fill(closing_id(desk), 10)
    desk.later(1)
    desk.reported()
    assert not at_work(desk).finished, "not flat while an order may still come to life"


def test_orders_of_others_are_cancelled_too() -> None:
    desk = Desk(can=NO_BRACKETS)
    foreign = OrderReport(ACCOUNT, COIN_ID, "", "v-foreign", 7, 0, None, 1, kind=OrderKind.LIMIT, limit_ticks=9_000)
    desk.reported(open_orders=(foreign,))
    panic(desk)
    desk.take(CancelAllAnswered(ACCOUNT, 1))
    desk.later(1)
    desk.reported(open_orders=(foreign,))
    assert not at_work(desk).finished
    desk.forget()
    desk.beat()
    assert cancelled_all(desk) == [ACCOUNT], "asked again while one is open"
    desk.later(1)
    desk.reported(open_orders=())
    assert at_work(desk).flat


def test_the_venues_word_counts_where_it_differs_from_ours() -> None:
    desk = Desk(can=NO_BRACKETS)
    panic(desk)
    desk.take(CancelAllAnswered(ACCOUNT, 0))
    desk.later(1)
    desk.reported(positions={COIN_ID: -3, OTHER_ID: 4})
    assert sorted((one.instrument_id, one.side, one.order_lots) for one in closing(desk)) == [
        (COIN_ID, Side.BUY, 3), (OTHER_ID, Side.SELL, 4)]


def test_a_refused_closing_order_is_tried_again() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter()
    panic(desk)
    venue_cancels(desk)
    for _ in range(3):
        desk.later(1)
        desk.reported()
        desk.refuse(closing_id(desk))
    assert [intent.order_lots for intent in closing(desk)] == [10, 10, 10]


def test_a_closing_order_that_filled_in_part_is_completed() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter()
    panic(desk)
    venue_cancels(desk)
    desk.later(1)
    desk.reported()
    desk.accept()
    first = closing_id(desk)
    desk.later(1)
    desk.fill(first, 4)
    desk.closed(first)
    desk.later(1)
    desk.reported()
    assert [intent.order_lots for intent in closing(desk)] == [10, 6]


def test_beats_ask_again_until_the_venue_answers() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter()
    panic(desk)
    desk.take(CancelAllAnswered(ACCOUNT, Unanswered("timeout")))
    desk.take(ReportFailed(ACCOUNT, "timeout"))
    desk.forget()
    desk.beat()
    assert cancelled_all(desk) == [ACCOUNT]
    assert not at_work(desk).finished


def test_at_the_deadline_it_says_what_is_left_and_puts_protection_back() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter()
    panic(desk)
    venue_cancels(desk)
    desk.later(1)
    desk.reported()
    desk.refuse(closing_id(desk))
    desk.forget()
    desk.beat(118)
    assert not at_work(desk).finished
    desk.quote(10_000)
    desk.beat(1)
    flatten = at_work(desk)
    assert (flatten.finished, flatten.flat) == (True, False)
    assert flatten.detail == f"left: {COIN_ID} 10 lots; 0 open orders"
    assert [one.purpose for one in desk.sent] == [Purpose.STOP], "what could not be closed is protected again"
    assert [alert.subject for alert in desk.of(AlertRaised) if alert.code == "flatten"] == ["NOT FLAT"]


def test_a_venue_that_never_answered_is_named() -> None:
    desk = Desk()
    panic(desk)
    desk.beat(120)
    assert at_work(desk).detail == f"left: no known positions; 0 open orders; no report from {ACCOUNT}"
    assert not at_work(desk).flat


def test_an_engine_watched_position_is_left_to_the_panic_while_it_works() -> None:
    desk = Desk(can=NO_STOPS)
    desk.enter()
    panic(desk)
    desk.forget()
    desk.quote(9_400)
    assert desk.sent == []


def test_a_second_press_while_at_work_changes_nothing() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter()
    panic(desk)
    receipt = desk.do(Flatten("again"))
    assert (receipt.accepted, receipt.text) == (True, "a flatten is already at work")
    assert len(desk.of(FlattenStarted)) == 1


def test_a_press_after_the_end_starts_anew() -> None:
    desk = Desk()
    panic(desk)
    desk.later(1)
    desk.reported()
    assert at_work(desk).finished
    desk.forget()
    desk.do(Flatten("once more"))
    assert not at_work(desk).finished
    assert cancelled_all(desk) == [ACCOUNT]


@pytest.mark.parametrize("portfolio", ["", "main"])
def test_resuming_waits_for_the_end(portfolio: str) -> None:
    desk = Desk()
    panic(desk)
    receipt = desk.do(SetTradingState("r", TradingState.ACTIVE, portfolio))
    assert receipt.refusal is not None
    assert receipt.refusal.check == "flatten"
    desk.take(CancelAllAnswered(ACCOUNT, 0))
    desk.later(1)
    desk.reported()
    assert at_work(desk).finished
    assert desk.do(SetTradingState("s", TradingState.ACTIVE, portfolio)).accepted


def test_entries_are_refused_meanwhile_and_afterwards() -> None:
    desk = Desk()
    panic(desk)
    refused = desk.do(bought())
    assert refused.refusal is not None
    assert refused.refusal.check == "trading state"


# ---- one portfolio of two ------------------------------------------------------------------------------------------------------


def two() -> Desk:
    desk = Desk(can=NO_BRACKETS, settings=settings_of("main", "side", limits=Limits(max_heat_fraction=0.5)))
    desk.enter()
    desk.enter("side", portfolio="side")
    return desk


def test_a_portfolio_is_flattened_by_itself() -> None:
    desk = two()
    flatten = panic(desk, "side")
    assert flatten.accounts == ("acct-side",)
    assert cancelled_all(desk) == ["acct-side"]
    assert desk.state.effective_state("side") is TradingState.HALTED
    assert desk.state.effective_state("main") is TradingState.ACTIVE
    venue_cancels(desk, "acct-side")
    desk.later(1)
    desk.reported(account="acct-side")
    desk.reported()
    assert [(one.account, one.order_lots) for one in closing(desk)] == [("acct-side", 10)]
    desk.accept()
    desk.fill(closing_id(desk), 10)
    desk.later(1)
    desk.reported(account="acct-side")
    assert (at_work(desk).finished, at_work(desk).flat) == (True, True)
    assert desk.held.lots == 10


def test_the_other_portfolio_keeps_its_protection_meanwhile() -> None:
    desk = two()
    panic(desk, "side")
    desk.forget()
    stop = next(order for order in desk.open(Purpose.STOP) if order.intent.portfolio == "main")
    desk.closed(stop.client_order_id)
    assert [(one.purpose, one.portfolio) for one in desk.sent] == [(Purpose.STOP, "main")]


def test_everything_is_flat_only_when_every_venue_said_so() -> None:
    desk = two()
    panic(desk)
    for account in (ACCOUNT, "acct-side"):
        venue_cancels(desk, account)
    desk.later(1)
    for account in (ACCOUNT, "acct-side"):
        desk.reported(account=account)
    desk.accept()
    first, second = desk.open(Purpose.FLATTEN)
    desk.later(1)
    desk.fill(first.client_order_id, 10)
    desk.later(1)
    desk.reported(account=first.intent.account)
    assert not at_work(desk).finished
    desk.fill(second.client_order_id, 10)
    desk.later(1)
    desk.reported(account=second.intent.account)
    assert at_work(desk).flat
    assert [event.flat for event in desk.of(FlattenFinished)] == [True]


def test_an_unknown_portfolio_is_refused() -> None:
    receipt = Desk().do(Flatten("p", "nowhere"))
    assert receipt.refusal is not None
    assert receipt.refusal.check == "portfolio"


def test_a_lost_connection_does_not_end_it() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter()
    panic(desk)
    desk.take(ConnectionChanged(ACCOUNT, up=False))
    desk.take(ConnectionChanged(ACCOUNT, up=True))
    desk.later(1)
    desk.reported(open_orders=())
    assert not at_work(desk).finished
    assert [intent.order_lots for intent in closing(desk)] == [10]


def test_flat_is_flat_where_the_fill_of_what_was_adopted_is_told_afterwards() -> None:
    """An emergency engine adopts what another bought. Where the venue's clock stands at that very fill, the next report tells it:
    counted twice, our book would hold what the venue does not, and panic would wait out the whole settle time."""
    desk = Desk(live=False, can=NO_BRACKETS)
    desk.take(EngineStarted("e", "test", desk.settings, desk.instruments, {ACCOUNT: NO_BRACKETS}))
    desk.take(ConnectionChanged(ACCOUNT, up=True))
    theirs = desk.fill_of("", 5, trade_id="theirs")
    desk.reported(positions={COIN_ID: 5}, fills=())
    desk.later(1)
    panic(desk)
    desk.reported(fills=(theirs,))
    assert desk.held.lots == 5
    (close,) = closing(desk)
    desk.fill(close.client_order_id, 5)
    desk.reported(fills=(theirs,))
    assert at_work(desk).finished and at_work(desk).flat


def test_a_stranger_who_trades_after_the_adoption_is_counted() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.later(1)
    desk.reported(positions={COIN_ID: 2}, fills=(desk.fill_of("", 2, trade_id="later"),))
    assert desk.held.lots == 2
