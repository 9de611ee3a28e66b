"""`python -m tests.bench.venues`: what the engine and the adapters add to a venue's own library, on loopback.

Tick to order: from a price handed to the engine to the first request that moves a trailing stop arriving at the venue, beside
the floor: one bare call of the same library arriving there. Reconciliation of 1,000 open orders and 100 positions (binance's
local venue has one market, so one position): the adapter's complete report, and the core's comparison. Start-up: from nothing
to a reconciled engine on such an account. Server and engine share one process and its loop, as the floor does.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from decimal import Decimal
from statistics import median, quantiles
from typing import Any

from brokers.alpaca.broker import AlpacaBroker
from brokers.alpaca.feed import AlpacaFeed
from brokers.alpaca.pace import RequestPace
from engine.clocks import SystemClock
from engine.decide import decide
from engine.inputs import Quote, VenueReport, VenueReported
from engine.orders import OrderKind, Side
from engine.ports import Broker, Clock, MarketFeed
from engine.turn import Stamped
from tests.conformance.alpaca_desk import endpoints_at
from tests.conformance.alpaca_server.account import share
from tests.conformance.alpaca_server.server import KEY, AlpacaServer
from tests.conformance.ccxt_sites import BinanceSite, CcxtSite
from tests.conformance.day_sites import AlpacaSite
from tests.conformance.desk import ACCOUNT
from tests.conformance.scripted_day import NOBODY_THERE, Site

ROUNDS = 20
ORDERS = 1_000
POSITIONS = 100
NOWHERE = "61e69015-8549-4bfd-b9c3-01e75843f47d"


class Arrivals(list[Any]):
    """The requests of a local venue, the newest one's arrival noted."""

    at = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.came = asyncio.Event()

    def append(self, item: Any) -> None:
        self.at = time.perf_counter()
        super().append(item)
        self.came.set()


class QuickShares(AlpacaSite):
    """An Alpaca that allows any number of requests a minute."""

    symbols: tuple[str, ...] = ("AAPL",)

    def parts(self) -> tuple[Broker, MarketFeed, Clock]:
        endpoints = endpoints_at(self.server)
        broker = AlpacaBroker(ACCOUNT, lambda: KEY, paper=True, symbols=self.symbols, endpoints=endpoints,
                              pace=RequestPace(100_000))
        return broker, AlpacaFeed(lambda: KEY, paper=True, instruments=broker.instruments, endpoints=endpoints), SystemClock()


class ManyShares(QuickShares):
    """An account that holds many shares and has many orders at rest."""

    symbols = ("AAPL", *(f"S{place:03}" for place in range(POSITIONS - 1)))

    def __init__(self) -> None:
        super().__init__()
        self.server = AlpacaServer([share(symbol) for symbol in self.symbols], time.time_ns())
        self.server.account.real_time = True

    def fill_up(self) -> None:
        account = self.server.account
        for symbol in self.symbols:
            account.quote(symbol, Decimal("99.90"), Decimal("100.10"), seconds=0)
        for place in range(POSITIONS + ORDERS):
            terms = {"type": "market"} if place < POSITIONS else {"type": "limit", "limit_price": "50"}
            status, answer = account.place({"symbol": self.symbols[place % POSITIONS], "qty": "1", "side": "buy",
                                            "time_in_force": "gtc", "client_order_id": f"bench-{place}", **terms})
            assert status == 200, answer


class ManyOrders(BinanceSite):
    """An account with many orders in its one market."""

    def fill_up(self) -> None:
        self.backing.place("bench", Side.BUY, OrderKind.MARKET, Decimal(1), foreign=True)
        for place in range(ORDERS):
            self.backing.place(f"bench-{place}", Side.BUY, OrderKind.LIMIT, Decimal("0.20"), limit=Decimal(50), foreign=True)


def noted(site: AlpacaSite | CcxtSite) -> Arrivals:
    arrivals = Arrivals()
    if isinstance(site, AlpacaSite):
        site.server.requests = arrivals
    else:
        site.backing.requests = arrivals
    return arrivals


def bare_call(site: AlpacaSite | CcxtSite) -> Callable[[], Awaitable[object]]:
    """A cancel of nothing, by the library alone; where the library blocks, in a thread."""
    if isinstance(site, AlpacaSite):
        from alpaca.trading.client import TradingClient

        client = TradingClient(*KEY, paper=True, url_override=site.server.url)
        return lambda: asyncio.to_thread(client.cancel_order_by_id, NOWHERE)
    exchange = site.ccxt._session.exchange
    return lambda: exchange.cancel_order("1", "BTC/USD")


async def floor_ms(site: AlpacaSite | CcxtSite, arrivals: Arrivals) -> list[float]:
    call, taken = bare_call(site), []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        with suppress(Exception):
            await call()
        assert arrivals.at > began
        taken.append(1_000 * (arrivals.at - began))
    return taken


async def tick_to_order_ms(site: AlpacaSite | CcxtSite, arrivals: Arrivals) -> list[float]:
    await site.quote("99.90", "100.10")
    await site.buy(10, "95", trail="5")
    await site.agree(10)
    taken = []
    for step in range(1, ROUNDS + 1):
        bid = Decimal("99.90") + step * Decimal("0.60")
        await site.market(bid, bid + Decimal("0.10"), 0)
        quote = Quote(site.instrument_id, site.ticks(str(bid)), site.ticks(str(bid)) + 1, 0, 0, time.time_ns())
        arrivals.came.clear()
        began = time.perf_counter()
        site.running._shell.take_market(quote)
        await arrivals.came.wait()
        taken.append(1_000 * (arrivals.at - began))
        await site.agree(10)
    return taken


async def latencies(site: AlpacaSite | CcxtSite) -> None:
    await site.open()
    arrivals = noted(site)
    floor = await floor_ms(site, arrivals)
    line(site, "bare call arrives (floor)", floor, median(floor))
    orders = await tick_to_order_ms(site, arrivals)
    line(site, "tick to order arrives", orders, median(floor))
    await site.close()


async def reconciliation(site: ManyShares | ManyOrders, held: int) -> None:
    if isinstance(site, ManyShares):
        await site.server.open()
        site.port = int(site.server.url.rpartition(":")[2])
    else:
        await site.venue.start()
        site.backing.quote(9_990, 10_010)
    site.fill_up()
    site.phase = NOBODY_THERE[-1]  # what others bought has no stop, and is not ours to protect
    began = time.perf_counter()
    await site.start()
    started = 1_000 * (time.perf_counter() - began)
    floor = median(await floor_ms(site, noted(site)))
    reports, core = [], []
    for _ in range(5):
        began = time.perf_counter()
        report = await site.broker.report(0, ())
        reports.append(1_000 * (time.perf_counter() - began))
        assert isinstance(report, VenueReport), report
        assert (len(report.open_orders), len(report.positions)) == (ORDERS, held)
        began = time.perf_counter()
        decide(site.state, Stamped(time.time_ns(), VenueReported(report), site.running.market))
        core.append(1_000 * (time.perf_counter() - began))
    line(site, f"start-up, {ORDERS} orders, {held} positions", [started], floor)
    line(site, f"report, {ORDERS} orders, {held} positions", reports, floor)
    line(site, "comparison in the core", core, floor)
    await site.close()


def line(site: Site, what: str, taken: list[float], floor: float) -> None:
    worst = quantiles(taken, n=20)[18] if len(taken) >= 20 else max(taken)
    ratio = median(taken) / floor
    sys.stdout.write(f"{site.name:8} {what:42} p50 {median(taken):9.2f} ms  p95 {worst:9.2f} ms  {ratio:8.1f}x floor\n")
    sys.stdout.flush()


async def main() -> None:
    await latencies(QuickShares())
    await latencies(BinanceSite())
    await reconciliation(ManyShares(), POSITIONS)
    await reconciliation(ManyOrders(), 1)


if __name__ == "__main__":
    asyncio.run(main())
