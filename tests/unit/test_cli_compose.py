"""The composition root: what a start finds again, what the venue did meanwhile, which day it is."""

import asyncio
import threading
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from brokers.market.simulated import SimulatedMarket
from engine.config import Config, MarketConfig
from engine.inputs import PlaceOrder, VenueReport
from engine.orders import OrderIntent, OrderKind, Purpose, Side
from engine.units import NS_PER_SECOND
from store.home import Home, open_home
from store.snapshots import load_latest
from tui import compose
from tui.commands.link import command_id
from tui.compose import WarmingFeed, catch_up, day_number_in, open_engine, paper_brokers, short_engine, simulated_market
from tui.folding import folded_snapshot, restored_state

pytestmark = pytest.mark.slow

DAY_NS = 86_400 * NS_PER_SECOND
NOW_NS = int(datetime(2026, 3, 14, 12, tzinfo=UTC).timestamp()) * NS_PER_SECOND
BITCOIN = "BTC/USD@paper"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home(tmp_path / "h")


def test_a_start_finds_the_snapshot_that_the_last_end_saved(home: Home) -> None:
    with short_engine(home) as link:
        receipt = link.send_now(PlaceOrder(command_id(), "ETH/USD", Side.BUY, quantity=Decimal(1), stop=Decimal(100)))
    assert receipt.accepted, receipt
    found = load_latest(home.snapshots, 1, lambda _: None)
    assert found.snapshot is None, "a snapshot that no journal row vouches for must be passed over"
    state = restored_state(home)
    saved = max(home.snapshots.glob("*.snapshot"))
    assert int(saved.stem) == state.seq, "nothing is left to read after the snapshot"
    saved.write_bytes(saved.read_bytes()[:-1])
    assert restored_state(home) == state, "without the snapshot the rows add up to the same state"
    shown = folded_snapshot(home)
    assert shown is not None
    assert [position.symbol for position in shown.positions] == ["ETH/USD"]


def test_an_engine_goes_on_where_it_ended(home: Home) -> None:
    with open_engine(home, Config(), serve=False) as running:
        first = running.engine.state.engine_id
    with open_engine(home, Config(), serve=False) as running:
        assert running.engine.state.engine_id == first
        assert running.engine.latest().accounts[0].equity == 100_000


@pytest.mark.parametrize("is_painted", [True, False])
def test_the_past_is_invented_after_a_screen_is_painted_or_soon(monkeypatch: pytest.MonkeyPatch, *, is_painted: bool) -> None:
    monkeypatch.setattr(compose, "LONGEST_WAIT_FOR_SCREEN_SECONDS", 20.0 if is_painted else 0.05)
    feed = WarmingFeed(SimulatedMarket(7), lambda: NOW_NS)
    feed.painted, began = threading.Event(), threading.Event()
    found: list[int] = []

    def ask() -> None:
        began.set()
        found.append(len(feed.history(BITCOIN, 3)))

    asking = threading.Thread(target=ask)
    asking.start()
    began.wait(20)
    if is_painted:
        assert not found
        feed.painted.set()
    asking.join(20)
    assert found == [3]
    assert len(feed.daily_bars(BITCOIN, 2)) == 2, "nothing is waited for twice"


def test_the_paper_venue_catches_up_with_what_the_market_did_while_nobody_looked(home: Home) -> None:
    config = Config(market=MarketConfig(seed=11))
    market = simulated_market(config)
    bars = market.minute_bars(BITCOIN, NOW_NS, NOW_NS + DAY_NS)
    lowest = min(bar.low_ticks for bar in bars)
    (broker,) = paper_brokers(home, config, market)

    async def hold(trigger_ticks: int) -> None:
        await broker.connect(lambda _: None)
        quote = market.quote(BITCOIN, NOW_NS)
        assert quote is not None
        broker.see(quote, NOW_NS)
        entry = OrderIntent("e", "main", "paper", BITCOIN, Side.BUY, 1_000, OrderKind.MARKET, Purpose.ENTRY)
        stop = OrderIntent("s", "main", "paper", BITCOIN, Side.SELL, 1_000, OrderKind.STOP, Purpose.STOP,
                           trigger_ticks=trigger_ticks, reduce_only=True)
        await broker.submit([entry])
        await broker.submit([stop])
        await broker.close()

    asyncio.run(hold(lowest + 10))
    (again,) = paper_brokers(home, config, market)
    catch_up(again, config, NOW_NS + DAY_NS)
    report = asyncio.run(again.report(0, ()))
    assert isinstance(report, VenueReport)
    assert [fill.client_order_id for fill in report.fills] == ["e", "s"]
    assert report.positions == ()
    asyncio.run(again.close())


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kathmandu"])
def test_a_day_changes_at_the_midnight_of_its_zone(zone: str) -> None:
    day_number = day_number_in(zone)
    for day in (8, 9, 14):  # clocks change in New York on the 8th
        midnight = int(datetime(2026, 3, day, tzinfo=ZoneInfo(zone)).timestamp()) * NS_PER_SECOND
        assert day_number(midnight) == day_number(midnight - 1) + 1
        assert day_number(midnight) == day_number(midnight + 3_600 * NS_PER_SECOND)
