"""Pending trades: a strategy's order waits for a person, is sent once exactly as shown, or ends with the reason."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from engine.inputs import (
    Approve,
    AutomationLevel,
    CancelOrder,
    Decline,
    Limits,
    PlaceOrder,
    SetTradingState,
    TradingState,
    TrailSpec,
)
from engine.orders import OrderKind, OrderStatus, Purpose, Side
from engine.service import ProposalStatus
from engine.state import State
from tests.unit.engine_desk import COIN_ID, NO_BRACKETS, Desk, bought, fold, rows_of, settings_of

LIMITS = Limits(max_heat_fraction=0.5)


def desk_of(automation: AutomationLevel = AutomationLevel.SUGGEST_ONLY, **more: Any) -> Desk:
    return Desk(settings=settings_of("main", automation=automation, limits=LIMITS, proposal_seconds=120.0, proposal_band_bps=50),
                **more)


def wish(command_id: str = "c", **more: Any) -> PlaceOrder:
    return bought(command_id, **{"origin": "dca", "rationale": "because", **more})


def pending(desk: Desk, **more: Any) -> Approve:
    """A pending trade, and the approval of exactly what was shown."""
    receipt = desk.do(wish(**more))
    assert receipt.accepted, receipt.refusal
    assert desk.sent == []
    proposal = desk.state.proposals[receipt.proposal_id]
    return Approve("a", receipt.proposal_id, proposal.digest)


def status_of(desk: Desk, approval: Approve) -> ProposalStatus:
    return desk.state.proposals[approval.proposal_id].status


# ---- who asks ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("automation", "want", "outcome"), [
    (AutomationLevel.SUGGEST_ONLY, {}, "pending"),
    (AutomationLevel.SUGGEST_ONLY, {"origin": "manual"}, "sent"),
    (AutomationLevel.SUGGEST_ONLY, {"origin": "manual", "propose": True}, "pending"),
    (AutomationLevel.AUTO_EXECUTE, {}, "sent"),
    (AutomationLevel.AUTO_EXECUTE, {"propose": True}, "pending"),
    (AutomationLevel.AUTO_EXECUTE, {"origin": "manual"}, "sent"),
    (AutomationLevel.MONITOR_ONLY, {}, "refused"),
    (AutomationLevel.MONITOR_ONLY, {"origin": "manual"}, "refused"),
    (AutomationLevel.MONITOR_ONLY, {"origin": "manual", "propose": True}, "refused"),
])
def test_the_automation_level_says_who_is_asked(automation: AutomationLevel, want: dict[str, Any], outcome: str) -> None:
    desk = desk_of(automation)
    receipt = desk.do(wish(**want))
    assert receipt.accepted is (outcome != "refused")
    assert bool(desk.sent) is (outcome == "sent")
    assert bool(desk.state.proposals) is (outcome == "pending")
    if receipt.refusal is not None:
        assert receipt.refusal.check == "automation"


def test_a_wish_that_fails_its_checks_is_never_shown() -> None:
    desk = desk_of()
    receipt = desk.do(wish(stop=None))
    assert receipt.refusal is not None
    assert receipt.refusal.check == "stop required"
    assert desk.state.proposals == {}


# ---- approved ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("want", [
    {}, {"target": Decimal(110)}, {"kind": OrderKind.LIMIT, "limit": Decimal("99.5")}, {"side": Side.SELL, "stop": "105"},
    {"kind": OrderKind.STOP, "trigger": Decimal(101)}, {"stop": None, "trail": TrailSpec(percent=Decimal(3))},
    {"quantity": None, "risk_percent": Decimal("0.5")}, {"max_hold_seconds": 600}, {"symbol": " coin "}])
def test_an_approval_sends_exactly_what_was_shown(want: dict[str, Any]) -> None:
    desk = desk_of()
    approval = pending(desk, **want)
    card = desk.state.proposals[approval.proposal_id].card
    desk.later(5)
    desk.quote(10_000)
    receipt = desk.do(approval)
    assert receipt.accepted, receipt.refusal
    entry = desk.sent[0]
    assert receipt.order_ids == tuple(intent.client_order_id for intent in desk.sent)
    coin = desk.state.instruments[COIN_ID]
    assert (coin.quantity(entry.order_lots), entry.side, entry.kind) == (card.quantity, card.side, card.kind)
    assert (entry.limit_ticks, entry.trigger_ticks) == tuple(
        0 if price is None else price / coin.tick_size for price in (card.limit, card.trigger))
    assert (entry.strategy, entry.reason) == ("dca", "because")
    assert status_of(desk, approval) is ProposalStatus.APPROVED


def test_the_size_found_from_risk_stays_when_equity_changes() -> None:
    desk = desk_of()
    approval = pending(desk, quantity=None, risk_percent=Decimal(1))
    desk.reported(cash_minor=8_000_000)
    assert desk.do(approval).accepted
    assert desk.sent[0].order_lots == 200


def test_an_approved_bracket_takes_its_children_along() -> None:
    desk = desk_of()
    assert desk.do(pending(desk, target=Decimal(110))).accepted
    assert [(intent.purpose, intent.trigger_ticks or intent.limit_ticks) for intent in desk.sent] == [
        (Purpose.ENTRY, 0), (Purpose.STOP, 9_500), (Purpose.TARGET, 11_000)]
    without = desk_of(can=NO_BRACKETS)
    assert without.do(pending(without, target=Decimal(110))).accepted
    assert [intent.purpose for intent in without.sent] == [Purpose.ENTRY]


# ---- not approved -----------------------------------------------------------------------------------------------------------


def test_another_digest_is_refused_and_the_trade_stays_pending() -> None:
    desk = desk_of()
    approval = pending(desk)
    receipt = desk.do(msgspec.structs.replace(approval, command_id="wrong", digest="0" * 32))
    assert receipt.refusal is not None
    assert (receipt.refusal.check, receipt.refusal.limit) == ("digest", approval.digest)
    assert status_of(desk, approval) is ProposalStatus.PENDING
    assert desk.do(approval).accepted


def test_an_unknown_trade_is_refused() -> None:
    receipt = desk_of().do(Approve("a", "p-none", "0"))
    assert receipt.refusal is not None
    assert (receipt.refusal.check, receipt.refusal.value) == ("pending", "unknown")


def test_an_approval_is_used_once() -> None:
    desk = desk_of()
    approval = pending(desk)
    assert desk.do(approval).accepted
    count = len(desk.sent)
    again = desk.do(msgspec.structs.replace(approval, command_id="again"))
    assert again.refusal is not None
    assert (again.refusal.check, again.refusal.value) == ("pending", "APPROVED")
    assert desk.do(approval).text.startswith("already done")
    assert len(desk.sent) == count


def refusal_after(desk: Desk, approval: Approve, check: str, status: ProposalStatus) -> None:
    """The approval is refused by that check, ends the pending trade, and can never be used again."""
    desk.forget()
    receipt = desk.do(approval)
    assert receipt.refusal is not None
    assert receipt.refusal.check == check
    assert desk.sent == []
    assert status_of(desk, approval) is status
    assert desk.state.proposals[approval.proposal_id].status_reason == receipt.refusal.message
    again = desk.do(msgspec.structs.replace(approval, command_id="again"))
    assert again.refusal is not None
    assert again.refusal.check == "pending"
    assert desk.sent == []


@pytest.mark.parametrize(("seconds", "passed"), [(119.9, True), (120.0, False), (500.0, False)])
def test_an_approval_comes_before_the_expiry_or_not_at_all(seconds: float, passed: bool) -> None:
    desk = desk_of()
    approval = pending(desk)
    desk.later(seconds)
    desk.quote(10_000)
    if passed:
        assert desk.do(approval).accepted
    else:
        refusal_after(desk, approval, "expiry", ProposalStatus.EXPIRED)


def test_a_beat_ends_what_nobody_answered() -> None:
    desk = desk_of()
    approval = pending(desk)
    desk.beat(119.9)
    assert status_of(desk, approval) is ProposalStatus.PENDING
    desk.beat(0.1)
    assert status_of(desk, approval) is ProposalStatus.EXPIRED
    assert not desk.do(approval).accepted


@pytest.mark.parametrize(("bid", "passed"), [(10_050, True), (9_950, True), (10_051, False), (9_949, False)])
@pytest.mark.parametrize("side", Side)
def test_the_market_stays_within_the_band_or_the_trade_ends(bid: int, passed: bool, side: Side) -> None:
    desk = desk_of()
    approval = pending(desk, side=side, stop="90" if side is Side.BUY else "110")
    desk.quote(bid)
    if passed:
        assert desk.do(approval).accepted
    else:
        refusal_after(desk, approval, "price band", ProposalStatus.REFUSED)


def with_settings(desk: Desk, **fields: Any) -> None:
    """The portfolio's settings as another start would bring them."""
    known = desk.state.portfolios["main"]
    desk.changed(portfolios={"main": msgspec.structs.replace(known, settings=msgspec.structs.replace(known.settings, **fields))})


def position_changed(desk: Desk) -> None:
    desk.enter("other", 5)


def position_reduced(desk: Desk) -> None:
    (stop,) = desk.open(Purpose.STOP)
    desk.fill(stop.client_order_id, 2, 9_990)


def order_added(desk: Desk) -> None:
    assert desk.do(bought("other", 5, kind=OrderKind.LIMIT, limit=Decimal(99))).accepted


def limits_changed(desk: Desk) -> None:
    with_settings(desk, limits=msgspec.structs.replace(LIMITS, max_heat_fraction=0.4))


def automation_changed(desk: Desk) -> None:
    with_settings(desk, automation=AutomationLevel.AUTO_EXECUTE)


def reduced(desk: Desk) -> None:
    desk.do(SetTradingState("t", TradingState.REDUCING, "main"))


def halted(desk: Desk) -> None:
    desk.do(SetTradingState("t", TradingState.HALTED))


@pytest.mark.parametrize("change", [position_changed, order_added, limits_changed, automation_changed, reduced, halted])
def test_what_a_person_took_for_granted_must_still_be_so(change: Any) -> None:
    desk = desk_of()
    approval = pending(desk)
    change(desk)
    refusal_after(desk, approval, "context", ProposalStatus.REFUSED)


def test_a_position_that_shrank_meanwhile_is_another_context() -> None:
    desk = desk_of(can=NO_BRACKETS)
    desk.enter("held", 5)
    desk.forget()
    approval = pending(desk)
    position_reduced(desk)
    refusal_after(desk, approval, "context", ProposalStatus.REFUSED)


def test_a_halt_that_was_lifted_again_leaves_the_context_as_it_was() -> None:
    desk = desk_of()
    approval = pending(desk)
    halted(desk)
    desk.do(SetTradingState("r", TradingState.ACTIVE))
    assert desk.do(approval).accepted


def test_something_in_another_instrument_is_no_change_of_the_context() -> None:
    desk = desk_of()
    desk.quote(10_000, instrument_id="OTHER@paper")
    approval = pending(desk)
    assert desk.do(bought("other", symbol="OTHER")).accepted
    desk.forget()
    assert desk.do(approval).accepted


def test_a_stale_price_is_refused_at_the_approval() -> None:
    desk = desk_of()
    approval = pending(desk)
    desk.later(11)
    refusal_after(desk, approval, "stale quote", ProposalStatus.REFUSED)


# ---- declined ---------------------------------------------------------------------------------------------------------------


def test_a_declined_trade_is_over() -> None:
    desk = desk_of()
    approval = pending(desk)
    assert desk.do(Decline("d", approval.proposal_id, "not today")).accepted
    proposal = desk.state.proposals[approval.proposal_id]
    assert (proposal.status, proposal.status_reason) == (ProposalStatus.DECLINED, "not today")
    assert not desk.do(approval).accepted
    again = desk.do(Decline("e", approval.proposal_id))
    assert again.refusal is not None
    assert again.refusal.value == "DECLINED"
    assert desk.sent == []


# ---- over a restart ---------------------------------------------------------------------------------------------------------


def restarted(desk: Desk, seconds: float) -> Desk:
    """Another run of the engine, on what the journal of the first one adds up to."""
    state: State = fold(rows_of(desk))
    assert state == desk.state
    other = Desk(settings=desk.settings, can=desk.can, state=state, live=False)
    other.later(seconds)
    other.start()
    other.quote(10_000)
    return other


def test_a_pending_trade_outlives_a_restart_under_the_same_digest() -> None:
    first = desk_of()
    approval = pending(first)
    second = restarted(first, 60)
    proposal = second.state.proposals[approval.proposal_id]
    assert proposal == first.state.proposals[approval.proposal_id]
    receipt = second.do(approval)
    assert receipt.accepted, receipt.refusal
    assert second.sent[0].order_lots == 10
    assert second.order(receipt.order_ids[0]).status is OrderStatus.PENDING_NEW


def test_a_pending_trade_does_not_outlive_its_expiry_by_a_restart() -> None:
    first = desk_of()
    approval = pending(first)
    second = restarted(first, 121)
    assert not second.do(approval).accepted
    assert second.sent == []


def test_a_cancelled_entry_does_not_bring_its_pending_trade_back() -> None:
    desk = desk_of()
    approval = pending(desk, kind=OrderKind.LIMIT, limit=Decimal("99.9"))
    (entry, *_) = desk.do(approval).order_ids
    desk.accept()
    desk.do(CancelOrder("x", entry))
    desk.closed(entry)
    assert status_of(desk, approval) is ProposalStatus.APPROVED
    assert not desk.do(msgspec.structs.replace(approval, command_id="again")).accepted
