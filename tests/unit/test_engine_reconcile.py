"""Reconciliation: a venue's complete report against our state, and the difference as events."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from engine.effects import AskOrder, AskReport
from engine.events import (
    AlertRaised,
    CashAdjusted,
    ConnectivityChanged,
    DriftCleared,
    DriftSeen,
    ExternalOrderSeen,
    OrderClosed,
    OrderDenied,
    OrderFilled,
    OrderMissed,
    OrderResent,
    PositionAdjusted,
    Reconciled,
)
from engine.inputs import (
    AcceptDrift,
    ClosePosition,
    ConnectionChanged,
    Connectivity,
    EngineStarted,
    FillReported,
    OrderMissing,
    OrderReport,
    Reconcile,
    ReportFailed,
    SubmitAnswered,
    Unanswered,
    VenueReported,
)
from engine.orders import ClosedAs, FillSource, OrderKind, OrderStatus, Purpose, Side
from engine.positions import EXTERNAL
from engine.service import StopHome
from tests.unit.engine_desk import ACCOUNT, CASH_MINOR, COIN_ID, NO_BRACKETS, Desk, bought, settings_of


def alerts(desk: Desk, code: str) -> list[str]:
    return [alert.text for alert in desk.of(AlertRaised) if alert.code == code]


def foreign(order_lots: int = 7, client_order_id: str = "", **more: Any) -> OrderReport:
    """An order of somebody else at our account."""
    return OrderReport(ACCOUNT, COIN_ID, client_order_id, "v-foreign", order_lots, more.pop("cum_lots", 0),
                       more.pop("closed_as", None), 1, side=Side.BUY, kind=OrderKind.LIMIT, limit_ticks=9_000, **more)


def money_adds_up(desk: Desk) -> bool:
    portfolio, account = desk.state.portfolios["main"], desk.state.accounts[ACCOUNT]
    cost = sum(position.cost_minor for position in desk.state.positions.values())
    return account.cash_minor == portfolio.adjusted_minor + portfolio.realized_minor - portfolio.fees_minor - cost


# ---- the first report -------------------------------------------------------------------------------------------------------


def test_the_first_report_brings_cash_positions_and_the_connection() -> None:
    desk = Desk(live=False)
    desk.start()
    account = desk.state.accounts[ACCOUNT]
    assert (account.cash_minor, account.funded, account.connectivity) == (CASH_MINOR, True, Connectivity.LIVE)
    assert [type(event) for event in desk.events[-4:]] == [ConnectivityChanged, CashAdjusted, Reconciled, ConnectivityChanged]


def test_positions_from_before_are_adopted_at_once_and_wait_for_a_word() -> None:
    desk = Desk(live=False, can=NO_BRACKETS)
    desk.take(EngineStarted("e", "test", desk.settings, desk.instruments, {ACCOUNT: NO_BRACKETS}))
    desk.take(ConnectionChanged(ACCOUNT, up=True))
    desk.reported(positions={COIN_ID: 5}, cash_minor=CASH_MINOR)
    assert (desk.held.lots, desk.held.strategy) == (5, EXTERNAL)
    assert desk.state.accounts[ACCOUNT].drifts[COIN_ID].settled
    assert money_adds_up(desk)


# ---- idempotent -------------------------------------------------------------------------------------------------------------


def test_the_same_report_twice_adds_nothing() -> None:
    desk = Desk(can=NO_BRACKETS)
    entry = desk.enter(lots=10)
    fill = desk.fill_of("", 3, 9_990, trade_id="theirs")
    ours = [desk.order_report(order) for order in desk.state.orders.values()]
    report = desk.report(fills=(fill, desk.fill_of(entry, 1, trade_id="t1")), positions={COIN_ID: 13},
                         open_orders=(*ours, foreign(client_order_id="x")))
    desk.take(VenueReported(report))
    desk.take(VenueReported(report))
    state = desk.state
    desk.forget()
    desk.take(VenueReported(report))
    assert desk.events == []
    assert desk.state is state


def test_a_clean_pass_is_recorded_once_in_a_while() -> None:
    desk = Desk()
    desk.forget()
    desk.reported()
    assert desk.events == []
    desk.later(300)
    desk.reported()
    assert [type(event) for event in desk.events] == [Reconciled]


# ---- fills ------------------------------------------------------------------------------------------------------------------


def test_a_fill_that_the_stream_lost_is_found_in_the_report() -> None:
    desk = Desk(can=NO_BRACKETS)
    (entry,) = desk.do(bought()).order_ids
    desk.accept()
    fill = desk.fill_of(entry, 10)
    desk.reported(fills=(fill,), looked_up=(desk.order_report(desk.order(entry), cum_lots=10),), positions={COIN_ID: 10},
                  cash_minor=CASH_MINOR - 100_000)
    assert (desk.held.lots, desk.order(entry).status) == (10, OrderStatus.FILLED)
    assert len(desk.open(Purpose.STOP)) == 1
    desk.forget()
    desk.take(FillReported(fill))
    assert desk.events == []


def lagging(desk: Desk) -> str:
    """An entry of which the venue counts 10 lots executed and offers no fill."""
    (entry,) = desk.do(bought()).order_ids
    desk.accept()
    desk.reported(looked_up=(desk.order_report(desk.order(entry), cum_lots=10, average_ticks=10_002.0, fees_minor=7),),
                  positions={COIN_ID: 10}, cash_minor=CASH_MINOR - 100_027)
    return entry


def test_missing_fills_are_waited_for_then_inferred() -> None:
    desk = Desk(can=NO_BRACKETS)
    entry = lagging(desk)
    assert desk.of(OrderFilled) == []
    assert alerts(desk, "fills-lag")
    desk.later(29)
    looked_up = (desk.order_report(desk.order(entry), cum_lots=10, average_ticks=10_002.0, fees_minor=7),)
    desk.reported(looked_up=looked_up, positions={COIN_ID: 10}, cash_minor=CASH_MINOR - 100_027)
    assert desk.of(OrderFilled) == []
    desk.later(1)
    desk.reported(looked_up=looked_up, positions={COIN_ID: 10}, cash_minor=CASH_MINOR - 100_027)
    (filled,) = desk.of(OrderFilled)
    assert (filled.fill.source, filled.fill.last_lots, filled.fill.last_ticks, filled.fill.fee_minor) == (
        FillSource.INFERRED, 10, 10_002, 7)
    assert desk.held.lots == 10
    assert desk.state.accounts[ACCOUNT].cash_minor == CASH_MINOR - 100_027
    assert len(desk.open(Purpose.STOP)) == 1
    assert money_adds_up(desk)


def test_real_fills_consume_what_was_inferred() -> None:
    desk = Desk(can=NO_BRACKETS)
    entry = lagging(desk)
    desk.later(30)
    desk.reported(looked_up=(desk.order_report(desk.order(entry), cum_lots=10, average_ticks=10_002.0, fees_minor=7),),
                  positions={COIN_ID: 10}, cash_minor=CASH_MINOR - 100_027)
    for lots in (4, 6):
        desk.fill(entry, lots, 10_002)
    assert (desk.held.lots, desk.order(entry).cum_lots, desk.order(entry).inferred_lots) == (10, 10, 0)
    assert desk.state.accounts[ACCOUNT].cash_minor == CASH_MINOR - 100_027


def test_an_order_report_ahead_of_its_fills_asks_for_the_whole() -> None:
    desk = Desk(can=NO_BRACKETS)
    (entry,) = desk.do(bought()).order_ids
    desk.accept()
    desk.forget()
    desk.take(desk.order_report(desk.order(entry), cum_lots=3))
    assert [type(effect) for effect in desk.effects] == [AskReport]
    assert desk.position is None


def test_a_fill_for_nobodys_order_moves_the_position_and_is_told() -> None:
    desk = Desk()
    desk.fill("who?", 3)
    assert (desk.held.lots, desk.held.strategy) == (3, EXTERNAL)
    assert alerts(desk, "external-fill")
    assert money_adds_up(desk)


@pytest.mark.parametrize("fields", [{"account": "elsewhere"}, {"instrument_id": "NONE@paper"}])
def test_a_fill_that_cannot_be_ours_moves_nothing(fields: dict[str, Any]) -> None:
    desk = Desk()
    desk.fill("who?", 3, **fields)
    assert desk.state.positions == {}


def test_a_late_fill_of_a_cancelled_order_counts() -> None:
    desk = Desk(can=NO_BRACKETS)
    (entry,) = desk.do(bought()).order_ids
    desk.accept()
    desk.closed(entry)
    desk.fill(entry, 4)
    assert (desk.order(entry).status, desk.held.lots, desk.held.stop_ticks) == (OrderStatus.CANCELED, 4, 9_500)
    assert alerts(desk, "late-fill")
    assert [order.intent.order_lots for order in desk.open(Purpose.STOP)] == [4]


# ---- foreign orders ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("client_order_id", ["", "theirs"])
def test_a_foreign_order_is_shown_counted_and_left_alone(client_order_id: str) -> None:
    desk = Desk()
    desk.reported(open_orders=(foreign(client_order_id=client_order_id),))
    (seen,) = desk.of(ExternalOrderSeen)
    assert (seen.intent.order_lots, seen.intent.strategy) == (7, EXTERNAL)
    assert desk.cancels == []
    (order,) = desk.state.orders.values()
    assert order.external
    desk.beat(400)
    assert desk.cancels == []
    desk.reported(open_orders=(foreign(client_order_id=client_order_id),))
    assert len(desk.of(ExternalOrderSeen)) == 1
    desk.reported(open_orders=())
    assert desk.state.orders == {}


@pytest.mark.parametrize("over", [foreign(cum_lots=7), foreign(closed_as=ClosedAs.CANCELED)])
def test_a_foreign_order_that_is_over_is_no_news(over: OrderReport) -> None:
    desk = Desk()
    desk.forget()
    desk.take(over)
    assert desk.events == []


# ---- orders without a trace -------------------------------------------------------------------------------------------------


def unanswered(desk: Desk) -> str:
    (entry,) = desk.do(bought()).order_ids
    desk.take(SubmitAnswered(entry, Unanswered("timeout")))
    return entry


def test_an_unanswered_order_is_unknown_and_looked_up() -> None:
    desk = Desk(can=NO_BRACKETS)
    entry = unanswered(desk)
    assert desk.order(entry).status is OrderStatus.UNKNOWN
    assert [effect for effect in desk.effects if isinstance(effect, AskOrder)][-1].client_order_id == entry
    desk.forget()
    desk.beat(5)
    assert [effect.client_order_id for effect in desk.effects if isinstance(effect, AskOrder)] == [entry]


def test_proof_of_absence_sends_a_fresh_order_again_under_its_id() -> None:
    desk = Desk(can=NO_BRACKETS)
    entry = unanswered(desk)
    desk.forget()
    desk.take(OrderMissing(ACCOUNT, entry, definitive=True))
    assert [type(event) for event in desk.events] == [OrderResent]
    assert [one.client_order_id for one in desk.sent] == [entry]
    assert desk.sent[0] == desk.order(entry).intent


def test_proof_of_absence_withdraws_an_order_that_is_no_longer_fresh() -> None:
    desk = Desk(can=NO_BRACKETS)
    entry = unanswered(desk)
    desk.later(5.1)
    desk.forget()
    desk.take(OrderMissing(ACCOUNT, entry, definitive=True))
    assert [type(event) for event in desk.events] == [OrderDenied]
    assert desk.sent == []


def test_one_look_or_two_prove_nothing_however_long_ago_it_was_sent() -> None:
    desk = Desk(can=NO_BRACKETS)
    entry = unanswered(desk)
    desk.later(3_600)
    for status in (OrderStatus.UNKNOWN, OrderStatus.UNKNOWN, OrderStatus.REJECTED):
        desk.take(OrderMissing(ACCOUNT, entry))
        assert desk.order(entry).status is status


def test_a_report_that_a_fill_has_overtaken_is_never_adopted() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter(lots=10)
    old_ns = desk.at_ns - 1
    for _ in range(3):
        report = msgspec.structs.replace(desk.report(positions={}), venue_time_ns=old_ns)
        desk.take(VenueReported(report))
        desk.later(desk.settings.settle_seconds + 1)
    assert desk.held.lots == 10
    desk.reported(positions={})
    assert desk.position is None, "one from after it is"


def test_an_absence_that_proves_nothing_must_repeat_over_the_settle_time() -> None:
    desk = Desk(can=NO_BRACKETS)
    entry = unanswered(desk)
    for _ in range(4):
        desk.later(7)
        desk.take(OrderMissing(ACCOUNT, entry))
        assert desk.order(entry).status is OrderStatus.UNKNOWN
    assert len(desk.of(OrderMissed)) == 4
    desk.later(3)
    desk.take(OrderMissing(ACCOUNT, entry))
    assert desk.order(entry).status is OrderStatus.REJECTED
    assert alerts(desk, "no-trace")


def test_it_counts_again_when_it_turns_up_after_all() -> None:
    desk = Desk(can=NO_BRACKETS)
    entry = unanswered(desk)
    for _ in range(4):
        desk.later(11)
        desk.take(OrderMissing(ACCOUNT, entry))
    assert desk.order(entry).closed
    desk.take(desk.order_report(desk.order(entry)))
    assert desk.order(entry).status is OrderStatus.DISPUTED
    assert not desk.order(entry).closed


def test_an_answer_in_between_forgets_the_misses() -> None:
    desk = Desk(can=NO_BRACKETS)
    entry = unanswered(desk)
    desk.take(OrderMissing(ACCOUNT, entry))
    desk.accept(entry)
    assert desk.state.misses == {}


# ---- drift ------------------------------------------------------------------------------------------------------------------


def test_a_difference_is_seen_settled_and_accepted() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter()
    desk.forget()
    desk.reported(positions={COIN_ID: 7})
    (drift,) = desk.of(DriftSeen)
    assert (drift.our_lots, drift.venue_lots, drift.settled) == (10, 7, False)
    assert desk.held.lots == 10
    early = desk.do(AcceptDrift("early", ACCOUNT, COIN_ID))
    assert early.refusal is not None
    assert early.refusal.value == "still being looked at"

    desk.beat(29)
    assert not any(isinstance(effect, AskReport) for effect in desk.effects)
    desk.beat(1)
    assert any(isinstance(effect, AskReport) for effect in desk.effects)
    desk.reported(positions={COIN_ID: 7})
    (adjusted,) = desk.of(PositionAdjusted)
    assert (adjusted.lots_before, adjusted.lots_after) == (10, 7)
    assert desk.held.lots == 7
    assert alerts(desk, "drift")
    assert money_adds_up(desk)

    desk.quote(10_000)
    blocked = desk.do(bought("blocked"))
    assert blocked.refusal is not None
    assert blocked.refusal.check == "drift"
    assert desk.do(ClosePosition("part", "COIN", quantity=Decimal(1))).accepted, "exits are never blocked"
    assert desk.do(AcceptDrift("yes", ACCOUNT, COIN_ID)).accepted
    assert desk.state.accounts[ACCOUNT].drifts == {}
    assert desk.do(bought("free")).accepted


def test_a_difference_that_vanishes_clears_itself() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter()
    desk.reported(positions={COIN_ID: 7})
    desk.later(5)
    desk.reported()
    (cleared,) = desk.of(DriftCleared)
    assert cleared.by == "the venue agrees again"
    assert desk.state.accounts[ACCOUNT].drifts == {}
    assert desk.of(PositionAdjusted) == []


def test_a_difference_that_ends_flat_on_both_sides_clears_itself() -> None:
    """The report came before the fill of a stop: ours 10, theirs 0; then the fill arrives."""
    desk = Desk(can=NO_BRACKETS)
    desk.enter()
    (stop,) = desk.open(Purpose.STOP)
    desk.reported(positions={})
    assert desk.state.accounts[ACCOUNT].drifts
    desk.fill(stop.client_order_id, 10, 9_500)
    desk.reported(positions={}, open_orders=())
    assert desk.state.accounts[ACCOUNT].drifts == {}
    desk.quote(9_500)
    assert desk.do(bought("free", 11, "90")).accepted


def test_what_the_venue_closed_behind_our_back_is_flat_here_too() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter()
    desk.reported(positions={}, open_orders=())
    desk.later(30)
    desk.reported(positions={}, open_orders=())
    assert desk.position is None
    assert money_adds_up(desk)


# ---- cash -------------------------------------------------------------------------------------------------------------------


def test_cash_follows_the_venue_when_nothing_happens() -> None:
    desk = Desk()
    desk.reported(cash_minor=CASH_MINOR - 123)
    assert desk.of(CashAdjusted)[-1].delta_minor == -123
    assert desk.state.accounts[ACCOUNT].cash_minor == CASH_MINOR - 123
    assert alerts(desk, "cash")
    assert money_adds_up(desk)


def test_cash_waits_while_fills_come() -> None:
    desk = Desk(can=NO_BRACKETS)
    entry = desk.enter()
    desk.forget()
    desk.reported(fills=(desk.fill_of(entry, 1, trade_id="more"),), positions={COIN_ID: 11}, cash_minor=1)
    assert desk.of(CashAdjusted) == []


def test_cash_waits_while_positions_differ() -> None:
    desk = Desk()
    desk.forget()
    desk.reported(positions={COIN_ID: 3}, cash_minor=1)
    assert desk.of(CashAdjusted) == []


def test_cash_waits_for_fills_that_lag() -> None:
    """The venue's cash already holds a fill whose report is still to come: taking it over would count it twice."""
    desk = Desk(can=NO_BRACKETS)
    (entry,) = desk.do(bought()).order_ids
    desk.accept()
    desk.forget()
    desk.reported(looked_up=(desk.order_report(desk.order(entry), cum_lots=10, average_ticks=10_000.0),),
                  positions={}, cash_minor=CASH_MINOR - 100_000)
    assert desk.of(CashAdjusted) == []
    desk.fill(entry, 10)
    assert desk.state.accounts[ACCOUNT].cash_minor == CASH_MINOR - 100_000


# ---- failure ----------------------------------------------------------------------------------------------------------------


def test_failure_is_not_flat() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter()
    before = desk.state
    desk.forget()
    desk.take(ReportFailed(ACCOUNT, "no answer"))
    assert [type(event) for event in desk.events] == [AlertRaised]
    assert (desk.state.positions, desk.state.orders, desk.state.accounts) == (before.positions, before.orders, before.accounts)


def test_a_report_of_an_unknown_account_says_nothing() -> None:
    desk = Desk()
    report = desk.report()
    desk.forget()
    desk.take(VenueReported(msgspec.structs.replace(report, account="elsewhere")))
    assert desk.events == []


def test_reconciling_goes_on_asking_until_the_venue_answers() -> None:
    desk = Desk()
    desk.take(ConnectionChanged(ACCOUNT, up=False))
    desk.take(ConnectionChanged(ACCOUNT, up=True))
    desk.take(ReportFailed(ACCOUNT, "no answer"))
    desk.forget()
    desk.beat()
    assert [effect.account for effect in desk.effects if isinstance(effect, AskReport)] == [ACCOUNT]
    blocked = desk.do(bought())
    assert blocked.refusal is not None
    assert blocked.refusal.check == "connection"
    desk.reported()
    desk.quote(10_000)
    assert desk.do(bought("now")).accepted


def test_a_person_may_ask_the_venue_now() -> None:
    desk = Desk(settings=settings_of("main", "side"))
    desk.forget()
    assert desk.do(Reconcile("r")).accepted
    assert [effect.account for effect in desk.effects if isinstance(effect, AskReport)] == [ACCOUNT, "acct-side"]


def test_a_stop_that_is_missing_in_the_report_is_put_back() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter()
    (stop,) = desk.open(Purpose.STOP)
    desk.forget()
    desk.reported(open_orders=(), looked_up=(desk.order_report(stop, ClosedAs.CANCELED),))
    assert [event.closed_as for event in desk.of(OrderClosed)] == [ClosedAs.CANCELED]
    assert [one.purpose for one in desk.sent] == [Purpose.STOP]
    assert desk.state.homes[desk.held.key].home is StopHome.PENDING
