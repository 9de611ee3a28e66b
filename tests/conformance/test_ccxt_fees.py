"""Fees from what was bought, from money and from a third coin: our lots are the venue's lots and our cash is its cash."""

from collections.abc import AsyncIterator, Iterable
from decimal import Decimal

import pytest

from engine.inputs import VenueReport
from engine.orders import Fill, OrderKind, Side
from engine.positions import Position, cash_delta_minor, fold_fill
from tests.conformance.ccxt_server.backing import CASH_MINOR, Backing
from tests.conformance.ccxt_server.desks import CcxtDesk, opened
from tests.conformance.desk import intent


@pytest.fixture
async def in_kind() -> AsyncIterator[CcxtDesk]:
    async with opened(backing=Backing(fee_currency="BTC")) as desk:
        yield desk


@pytest.fixture
async def in_a_third_coin() -> AsyncIterator[CcxtDesk]:
    async with opened(backing=Backing(fee_currency="BNB")) as desk:
        yield desk


def folded(desk: CcxtDesk, fills: Iterable[Fill]) -> tuple[int, int]:
    """Lots and cash that the engine would have."""
    position: Position | None = None
    cash_minor = CASH_MINOR
    for fill in fills:
        position, _ = fold_fill(position, fill, desk.instrument, None, "main")
        cash_minor += cash_delta_minor(fill, desk.instrument)
    return (position.lots if position else 0), cash_minor


def venue_says(report: VenueReport) -> tuple[int, int]:
    return sum(each.lots for each in report.positions), report.cash_minor


async def test_lots_and_cash_are_the_venues_after_every_fill(in_kind: CcxtDesk) -> None:
    for number, lots in enumerate([10, 7, 1_000, 2, 333, 10, 10]):
        await in_kind.broker.submit([intent(f"b{number}", order_lots=lots)])
        await in_kind.settle()
        assert folded(in_kind, in_kind.fills()) == venue_says(await in_kind.report())
    held = await in_kind.lots_held()
    bought = sum(fill.last_lots for fill in in_kind.fills())
    assert held < bought
    await in_kind.broker.submit([intent("s", Side.SELL, order_lots=held)])
    await in_kind.settle()
    assert folded(in_kind, in_kind.fills()) == venue_says(await in_kind.report())
    assert await in_kind.lots_held() == 0


async def test_an_order_counts_all_that_executed_and_the_position_what_is_left(in_kind: CcxtDesk) -> None:
    await in_kind.broker.submit([intent("b", order_lots=1_000)])
    await in_kind.settle()
    (fill,) = in_kind.fills("b")
    assert (fill.last_lots, fill.base_fee_lots) == (1_000, 1)
    assert fill.fee_minor == in_kind.instrument.signed_notional_minor(fill.last_ticks, 1)


async def test_a_restart_counts_the_same(in_kind: CcxtDesk) -> None:
    for number in range(4):
        await in_kind.broker.submit([intent(f"b{number}", order_lots=10 + number)])
    await in_kind.settle()
    before = in_kind.fills()
    await in_kind.close()
    await in_kind.open()
    report = await in_kind.report()
    assert [(fill.trade_id, fill.base_fee_lots, fill.fee_minor) for fill in report.fills] == [
        (fill.trade_id, fill.base_fee_lots, fill.fee_minor) for fill in before]
    assert folded(in_kind, report.fills) == venue_says(report)


async def test_what_filled_while_nobody_listened_counts_the_same(in_kind: CcxtDesk) -> None:
    await in_kind.broker.submit([intent("b", order_lots=13), intent("l", order_lots=21, kind=OrderKind.LIMIT, limit_ticks=9_900)])
    await in_kind.settle()
    await in_kind.close()
    in_kind.backing.quote(9_880, 9_900, lots=8)
    in_kind.backing.quote(9_870, 9_890)
    await in_kind.open()
    report = await in_kind.report()
    assert len(report.fills) == 3
    assert folded(in_kind, report.fills) == venue_says(report)


async def test_dust_of_earlier_days_makes_up_for_a_fee(in_kind: CcxtDesk) -> None:
    in_kind.backing.deposits["BTC"] = Decimal("0.0095")
    assert await in_kind.lots_held() == 0
    await in_kind.broker.submit([intent("b", order_lots=10)])
    await in_kind.settle()
    (fill,) = in_kind.fills("b")
    assert fill.base_fee_lots == 0
    assert await in_kind.lots_held() == 10


async def test_a_third_coin_is_valued_at_its_price(in_a_third_coin: CcxtDesk) -> None:
    desk = in_a_third_coin
    await desk.broker.submit([intent("b", order_lots=1_000)])
    await desk.settle()
    (fill,) = desk.fills("b")
    fee_coins = desk.backing.trades[0].fee
    assert fill.base_fee_lots == 0
    assert fill.fee_minor == int(fee_coins * 500 * 10 ** 8)
    assert await desk.lots_held() == 1_000
