"""Own orders never meet: an entry that would is refused, an exit that would withdraws the entry and goes."""

from decimal import Decimal
from typing import Any

import pytest

from engine.inputs import ClosePosition, Limits
from engine.orders import OrderKind, Purpose, Side
from engine.service import Refusal
from tests.unit.engine_desk import Desk, bought, settings_of, stop_ticks

LIMITS = Limits(max_heat_fraction=0.9, max_order_notional_fraction=0.9, max_position_fraction=0.9,
                max_risk_per_order_fraction=0.0, duplicate_seconds=0.0)


def two_portfolios() -> Desk:
    """Two portfolios with an account each, at the same venue."""
    return Desk(settings=settings_of("main", "side", limits=LIMITS))


def resting(desk: Desk, portfolio: str, side: Side, limit: str, **more: Any) -> str:
    stop = Decimal(90) if side is Side.BUY else Decimal(110)
    receipt = desk.do(bought(f"rest-{portfolio}", 10, str(stop), side=side, portfolio=portfolio, kind=OrderKind.LIMIT,
                             limit=Decimal(limit), **more))
    assert receipt.accepted, receipt.refusal
    desk.accept(*receipt.order_ids)
    return receipt.order_ids[0]


def refused(desk: Desk, **want: Any) -> Refusal | None:
    want.setdefault("stop", "90" if want.get("side", Side.BUY) is Side.BUY else "110")
    return desk.do(bought("entry", 10, **want)).refusal


@pytest.mark.parametrize(("limit", "meets"), [("100.00", True), ("99.99", False)])
def test_an_entry_that_would_meet_another_portfolios_order_is_refused(limit: str, meets: bool) -> None:
    """A sale at market takes the bid, 100.00: our own buy that rests there would be its other side."""
    desk = two_portfolios()
    order_id = resting(desk, "main", Side.BUY, limit)
    found = refused(desk, side=Side.SELL, portfolio="side")
    assert (found is not None) is meets
    if found is not None:
        assert (found.check, found.value) == ("self match", order_id)
        assert "main" in found.message
        assert desk.state.orders.keys() >= {order_id}, "the resting one stays"


@pytest.mark.parametrize(("kind", "price", "meets"), [
    (OrderKind.LIMIT, "101.50", True), (OrderKind.LIMIT, "101.49", False), (OrderKind.STOP, "101.50", True),
    (OrderKind.STOP, "101.40", False)])
def test_a_resting_entry_counts_up_to_the_price_it_may_reach(kind: OrderKind, price: str, meets: bool) -> None:
    desk = two_portfolios()
    resting(desk, "main", Side.SELL, "101.50")
    terms = {"limit": Decimal(price)} if kind is OrderKind.LIMIT else {"trigger": Decimal(price)}
    assert (refused(desk, portfolio="side", kind=kind, **terms) is not None) is meets


@pytest.mark.parametrize(("side", "rests", "limit", "meets"), [
    (Side.SELL, "99.50", "99.50", True), (Side.SELL, "99.50", "99.51", False), (Side.BUY, "100.50", "100.50", True),
    (Side.BUY, "100.00", "99.90", False), (Side.SELL, "100.00", "100.10", False)])
def test_a_limit_order_reaches_its_limit_and_no_further(side: Side, rests: str, limit: str, meets: bool) -> None:
    """A sale with a limit below the bid works itself down to ours; a buy that waits below the market never comes near it."""
    desk = two_portfolios()
    resting(desk, "main", side.opposite, rests)
    assert (refused(desk, portfolio="side", side=side, kind=OrderKind.LIMIT, limit=Decimal(limit)) is not None) is meets


def test_a_target_of_another_portfolio_is_met_too_and_a_stop_is_not() -> None:
    desk = two_portfolios()
    desk.enter("held", 10, "95", target=Decimal("100.50"))
    assert {order.intent.kind for order in desk.open(Purpose.TARGET)} == {OrderKind.LIMIT}
    assert refused(desk, portfolio="side", kind=OrderKind.LIMIT, limit=Decimal("100.50")) is not None
    assert stop_ticks(desk) == [9_500]
    assert desk.do(bought("low", 10, "90", portfolio="side", kind=OrderKind.LIMIT, limit=Decimal(95))).accepted


def test_orders_of_other_instruments_and_the_same_side_never_meet() -> None:
    desk = two_portfolios()
    desk.quote(10_000, instrument_id="OTHER@paper")
    resting(desk, "main", Side.BUY, "100.00")
    assert refused(desk, portfolio="side") is None
    assert desk.do(bought("other", 5, "110", symbol="OTHER", side=Side.SELL, portfolio="side")).accepted


def test_an_exit_goes_and_the_entry_that_it_would_meet_is_withdrawn() -> None:
    desk = two_portfolios()
    entry = desk.do(bought("held", 10, "90", portfolio="side"))
    desk.accept(*entry.order_ids)
    desk.fill(entry.order_ids[0], 10)
    met, below = resting(desk, "main", Side.BUY, "100.00"), ""
    receipt = desk.do(bought("below", 10, "90", kind=OrderKind.LIMIT, limit=Decimal("99.90")))
    below = receipt.order_ids[0]
    desk.accept(below)
    desk.forget()
    assert desk.do(ClosePosition("close", "COIN", "side")).accepted
    for _ in range(3):  # the stop at the venue is cancelled first where it must be
        desk.confirm_cancels()
        desk.beat()
    assert met in desk.cancels
    assert below not in desk.cancels
    assert any(intent.purpose is Purpose.EXIT for intent in desk.sent)
