"""Homes at local venues, for the tests of the composition: a served Alpaca in a thread of its own, and keys in a keyring of
this process."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import keyring
import keyring.backend
import pytest

from engine.service import Snapshot
from engine.trading_hours import day_of_utc
from store.home import Home, open_home
from store.keys import Key, KeyringStore
from tests.conformance.alpaca_server.account import coin, share
from tests.conformance.alpaca_server.server import KEY, AlpacaServer, quote_message
from tests.conformance.ccxt_server.backing import API_KEY, SECRET, Backing
from tests.conformance.ccxt_server.binance import BinanceVenue
from tui.running_engine import EngineLink

DEADLINE_SECONDS = 60.0
BITCOIN = "BTC/USD"
BINANCE_KEY = Key(API_KEY, SECRET)


class MemoryKeyring(keyring.backend.KeyringBackend):
    """A keyring of this process."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # the library's own is without types
        self.kept: dict[tuple[str, str], str] = {}
        self.broken: Exception | None = None

    def get_password(self, service: str, username: str) -> str | None:
        self._fail()
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._fail()
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._fail()
        del self.kept[service, username]

    def _fail(self) -> None:
        if self.broken is not None:
            raise self.broken


@contextmanager
def memory_keyring() -> Iterator[MemoryKeyring]:
    """The keyring of this process in the place of the platform's."""
    before = keyring.get_keyring()
    made = MemoryKeyring()
    keyring.set_keyring(made)
    try:
        yield made
    finally:
        keyring.set_keyring(before)


class Served:
    """An event loop in a thread of its own, for a local venue."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="served-venue")
        self._thread.start()

    def call[T](self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run something in the server's loop."""
        return asyncio.run_coroutine_threadsafe(make(), self._loop).result(DEADLINE_SECONDS)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE_SECONDS)
        self._loop.close()


class ServedAlpaca(Served):
    """A local Alpaca that lists a coin and a share, running in a thread until the block ends."""

    def __init__(self, share_lot: str = "1") -> None:
        super().__init__()
        self._share_lot = share_lot
        self.server = self.call(self._made)
        self.url, self.stream_url = self.server.url, self.server.stream_url

    async def _made(self) -> AlpacaServer:
        listed = [coin(BITCOIN, lot_size="0.0001", least=1), share("AAPL", lot_size=self._share_lot)]
        server = AlpacaServer(listed, time.time_ns())
        await server.open()
        return server

    def quote(self, bid: str, ask: str, symbol: str = BITCOIN) -> None:
        """A quote: for the venue's own matching, and on the market's stream."""
        async def send() -> None:
            self.server.account.quote(symbol, Decimal(bid), Decimal(ask))
            await self.server.send_market(quote_message(symbol, bid, ask, time.time_ns()))

        self.call(send)

    def close(self) -> None:
        self.call(self.server.close)
        super().close()


class ServedBinance(Served):
    """A local binance that lists BTC/USD around 100."""

    def __init__(self) -> None:
        super().__init__()
        self.backing = Backing()
        self.venue = self.call(self._made)

    async def _made(self) -> BinanceVenue:
        venue = BinanceVenue(self.backing)
        await venue.start()
        self.backing.quote(9_990, 10_010)
        return venue

    def quote(self, bid_ticks: int = 9_990, ask_ticks: int = 10_010) -> None:
        async def send() -> None:
            self.backing.quote(bid_ticks, ask_ticks, 100)
            self.venue.on_quote()

        self.call(send)

    def close(self) -> None:
        self.call(self.venue.stop)
        super().close()

    def account(self, name: str = "bin", *, sandbox: bool = False) -> str:
        """An account section at this venue."""
        return f"""
[[account]]
name = "{name}"
venue = "ccxt:binance"
sandbox = {str(sandbox).lower()}
symbols = ["BTC/USD"]
[account.endpoints]
rest_url = "{self.venue.rest_url}"
stream_url = "{self.venue.stream_url}"
"""


@contextmanager
def served_binance() -> Iterator[ServedBinance]:
    made = ServedBinance()
    try:
        yield made
    finally:
        made.close()


@contextmanager
def served_alpaca(share_lot: str = "1") -> Iterator[ServedAlpaca]:
    made = ServedAlpaca(share_lot)
    try:
        yield made
    finally:
        made.close()


def alpaca_account(server: ServedAlpaca, name: str = "alp", *, paper: bool = False, symbols: str = f'"{BITCOIN}", "AAPL"') -> str:
    """An account section at the served venue."""
    return f"""
[[account]]
name = "{name}"
venue = "alpaca"
paper = {str(paper).lower()}
symbols = [{symbols}]
[account.endpoints]
rest_url = "{server.url}"
data_url = "{server.url}"
stream_url = "{server.stream_url}/stream"
data_stream_url = "{server.stream_url}"
"""


def portfolio(name: str, account: str, limits: str = "max_order_notional = 50000") -> str:
    return f"""
[[portfolio]]
name = "{name}"
account = "{account}"
[portfolio.limits]
{limits}
"""


def home_with(path: Path, config: str, *accounts: str, key: Key | None = None) -> Home:
    """A home with a configuration, and the served venue's key for some accounts."""
    home = open_home(path)
    home.config.write_text(config)
    for account in accounts:
        KeyringStore(home.path).write(account, key or Key(*KEY))
    return home


@contextmanager
def quoting(tell: Callable[[], None], every_seconds: float = 0.05) -> Iterator[None]:
    """Have a venue tell its price again and again, whenever somebody comes to listen."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(every_seconds):
            tell()

    thread = threading.Thread(target=work, name="quoting")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(DEADLINE_SECONDS)


def until(link: EngineLink, condition: Callable[[Snapshot], bool], nudge: Callable[[], None] = lambda: None) -> Snapshot:
    """The first snapshot that meets a condition; `nudge` is called before each look."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        nudge()
        found = link.snapshot_now()
        if condition(found):
            return found
        assert not link.engine.finished.is_set(), link.engine.failure
        assert time.monotonic() < deadline, f"it did not happen in time: {found}"
        time.sleep(0.02)


def prices_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares have prices whatever the hour and the day at which the test runs."""
    monkeypatch.setattr("tui.compose_venues.session_bounds", lambda _, at_ns: day_of_utc(at_ns))
