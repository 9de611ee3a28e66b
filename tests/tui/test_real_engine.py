"""The app on the real engine: paper venue, simulated market, journal; from an empty home to flat again, by keyboard."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widgets import Input

from engine.config import Config
from engine.inputs import TradingState
from engine.service import StopHome
from store.home import Home
from tests.tui.driving import Driver, HandClock, looked_at
from tui.app import QuarterdeckApp
from tui.compose import open_engine
from tui.running_engine import RunningEngine


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningEngine]:
    with open_engine(Home(tmp_path / "home"), Config(), serve=False) as engine:
        yield engine


async def test_from_an_empty_home_to_a_protected_position_and_flat_again(running: RunningEngine) -> None:
    app = QuarterdeckApp(running.engine)
    async with app.run_test(size=(120, 35)) as pilot:
        driver = Driver(app, None, pilot, HandClock())  # type: ignore[arg-type]
        await driver.until(lambda: priced(app))
        await buy_with_stop(driver, "BTC/USD")
        await driver.until(lambda: app.service.latest().positions)
        await driver.until(lambda: app.service.latest().positions[0].stop_home is StopHome.VENUE)
        await driver.press("1")
        await driver.sees("BTC/USD", "LONG", "✓ at venue", "✓ 1 protected")

        await driver.press("f9")
        await driver.until(lambda: app.halt_words == "HALTED")
        assert app.service.latest().positions, "stops and positions stay"

        await driver.press("b")
        await driver.sees("New order")
        await driver.press(*"0.01")
        await driver.sees("entries are blocked")
        await driver.press("escape")

        await driver.press("ctrl+x", "right", "enter")
        await driver.until(lambda: flattened(app))
        await driver.sees("FLAT: the venue itself reports no position")
        assert app.service.latest().positions == ()
        assert app.service.latest().accounts[0].trading_state is TradingState.HALTED


async def test_a_pending_trade_is_approved_on_its_card(running: RunningEngine) -> None:
    from decimal import Decimal

    from engine.inputs import PlaceOrder
    from engine.orders import Side

    clock = HandClock()
    app = QuarterdeckApp(running.engine, now_seconds=clock)
    async with app.run_test(size=(80, 24)) as pilot:
        driver = Driver(app, None, pilot, clock)  # type: ignore[arg-type]
        await driver.until(lambda: priced(app))
        assert app.snapshot is not None
        bid = next(quote.bid for quote in app.snapshot.quotes if quote.symbol == "ETH/USD")
        assert bid is not None
        receipt = await running.engine.send(PlaceOrder(
            "proposal-1", "ETH/USD", Side.BUY, quantity=Decimal("0.5"),
            stop=(bid * Decimal("0.97")).quantize(Decimal("0.01")), propose=True, rationale="because of [a test]"))
        assert receipt.proposal_id
        await driver.until(lambda: app.service.latest().proposals)
        await driver.press("2", "enter")
        await driver.sees("Decision: BUY", "because of [a test]", "heat")
        await driver.until(lambda: looked_at(driver))
        await driver.press("a")
        await driver.until(lambda: app.service.latest().positions)


def flattened(app: QuarterdeckApp) -> bool:
    return app.snapshot is not None and app.snapshot.flatten is not None and app.snapshot.flatten.finished


def priced(app: QuarterdeckApp) -> bool:
    return app.snapshot is not None and bool(app.snapshot.accounts) and all(
        quote.bid is not None for quote in app.snapshot.quotes if quote.session_open)


async def buy_with_stop(driver: Driver, symbol: str) -> None:
    app = driver.app
    assert app.snapshot is not None
    quote = next(quote for quote in app.snapshot.quotes if quote.symbol == symbol)
    assert quote.bid is not None
    await driver.press("b")
    app.screen.query_one("#symbol", Input).value = symbol.lower()
    app.screen.query_one("#stop", Input).value = str((quote.bid * 97 / 100).quantize(quote.tick_size))
    app.screen.query_one("#quantity", Input).value = "0.05"
    await driver.until(lambda: not app.screen.query_one("#act").disabled)
    await driver.press("f5")
