"""One ccxt exchange object: made, keyed, paced and closed in one place, and never shown (its fields hold the key)."""

import asyncio
import importlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from brokers.ccxt_venue.answers import HeldBack, cause_of, is_a
from brokers.ccxt_venue.profiles import VenueProfile, profile_of
from brokers.waiting import retry_after_seconds
from engine.errors import ConfigError, QuarterdeckError, VenueUnreachable

type KeySource = Callable[[], tuple[str, str, str | None]]

HOLD_SECONDS = 2.0
LONGEST_HOLD_SECONDS = 300.0
CLOCK_FAIL_MS = 10_000
ROOM_SECONDS = 0.05
PING_MS = 10_000
LINE_SECONDS = 2.0


class Endpoints(NamedTuple):
    """Where the venue is reached instead of its own addresses: scheme, host and port; the paths stay the venue's. And how
    long an answer may take."""

    rest_url: str = ""
    stream_url: str = ""
    answer_seconds: float = 10.0


VENUES_OWN = Endpoints()
USUAL_OPTIONS: Mapping[str, Any] = {
    "maxRetriesOnFailure": 0, "defaultType": "spot",
    # some exchanges raise as a warning that a list of all symbols is dear; we ask for it seldom, and must have all of it
    "warnOnFetchOpenOrdersWithoutSymbol": False, "fetchOpenOrders": {"warnWithoutSymbol": False}}


class Session:
    """An open exchange. Every request goes through `call`: exits and cancels overtake reads, a ban is obeyed by all."""

    def __init__(self, exchange_id: str, key_source: KeySource | None = None, *, endpoints: Endpoints = VENUES_OWN,
                 sandbox: bool = False, rate_limit_ms: int | None = None) -> None:
        self.exchange_id = exchange_id
        self.profile: VenueProfile = profile_of(exchange_id)
        self.skew_ms = 0
        self.watchers: list[Callable[[Any], None]] = []
        self._key_source = key_source
        self._endpoints, self._sandbox, self._rate_limit_ms = endpoints, sandbox, rate_limit_ms
        self._exchange: Any = None
        self._urgent = 0
        self._calm = asyncio.Event()
        self._calm.set()
        self._line, self._closing = asyncio.Lock(), asyncio.Lock()
        self._held_until = 0.0
        self._credited_at = time.monotonic()

    def __repr__(self) -> str:
        return f"Session({self.exchange_id})"

    @property
    def exchange(self) -> Any:
        """The ccxt object; raises `VenueUnreachable` where it is not open."""
        if self._exchange is None:
            raise VenueUnreachable(f"{self.exchange_id} is not connected")
        return self._exchange

    @property
    def is_open(self) -> bool:
        return self._exchange is not None

    # ---- life ----

    async def open(self) -> None:
        """Load ccxt (it takes seconds, so in a thread), make the exchange and read its markets.

        Raises `ConfigError` for an exchange or sandbox that does not exist, `VenueUnreachable` for all else.
        """
        library = await asyncio.to_thread(importlib.import_module, "ccxt.pro")
        maker = getattr(library, self.exchange_id, None) if self.exchange_id in library.exchanges else None
        if maker is None:
            raise ConfigError(f"ccxt knows no exchange with streams called {self.exchange_id!r}; check its id")
        self._exchange = self._made(maker)
        try:
            await self._load()
        except BaseException as error:
            cause = self.clean(cause_of(error))
            await self.close()
            if isinstance(error, Exception) and not isinstance(error, QuarterdeckError):
                raise VenueUnreachable(f"{self.exchange_id} cannot be reached: {cause}; "
                                       "check the network and the address") from None
            raise

    def _made(self, maker: Callable[[Any], Any]) -> Any:
        exchange = configured(maker, self.profile, endpoints=self._endpoints, sandbox=self._sandbox,
                              rate_limit_ms=self._rate_limit_ms)
        if not any(str(address).startswith(("https:", "wss:")) for address in leaves(exchange.urls["api"])):
            exchange.timeout_on_exit = 0  # the wait is for TLS connections to end
        self._guard_messages(exchange)
        if self._key_source is not None:
            exchange.apiKey, exchange.secret, password = self._key_source()
            if password is not None:
                exchange.password = password
        return exchange

    async def _load(self) -> None:
        exchange = self.exchange
        if exchange.has.get("fetchTime"):
            await self.measure_clock()
        await self.call(exchange.load_markets)

    def _guard_messages(self, exchange: Any) -> None:
        """An exception inside ccxt's handler would end its receiving silently; here it ends the connection loudly."""
        handle = exchange.handle_message

        def guarded(client: Any, message: Any) -> None:
            try:
                if isinstance(message, dict):
                    for watcher in self.watchers:
                        watcher(message)
                handle(client, message)
            except Exception as error:  # noqa: BLE001 - whatever it is, the watchers must hear of it
                client.on_error(ConnectionError(f"a message could not be understood: {type(error).__name__}"))

        exchange.handle_message = guarded

    async def close(self) -> None:
        """Close connections and forget the key; safe to call twice."""
        async with self._closing:  # a second caller waits, and goes on where the first was cancelled
            exchange = self._exchange
            if exchange is not None:
                await exchange.close()
                exchange.apiKey = exchange.secret = exchange.password = ""
                self._exchange = None

    # ---- requests ----

    async def call(self, method: Callable[..., Awaitable[Any]], *arguments: Any, urgent: bool = False) -> Any:
        """Call one method of ccxt. Reads wait while something urgent is under way; nothing is sent while the venue bans us.

        Raises `HeldBack` for an urgent request during a ban, and whatever ccxt raises.
        """
        self.exchange  # noqa: B018 - raises where it is closed
        if urgent:
            self._urgent += 1
            self._calm.clear()
            try:
                return await self._paced(method, arguments, urgent=True)
            finally:
                self._urgent -= 1
                if not self._urgent:
                    self._calm.set()
        while self._urgent or not self._room():
            await self._calm.wait()
            await asyncio.sleep(ROOM_SECONDS)
        return await self._paced(method, arguments, urgent=False)

    def _room(self) -> bool:
        """Whether a read leaves enough of the venue's limit to exits and cancels, which would wait behind it in the queue."""
        burst = self.profile.burst
        return burst is None or bool(self._credited()["tokens"] >= burst.reserve)

    def _credited(self) -> Any:
        """ccxt's own bucket, with the time credited in which nobody waited for it: it fills only while somebody does."""
        throttler, burst, now = self.exchange.throttler, self.profile.burst, time.monotonic()
        if burst is not None and not throttler.running:
            earned = (now - self._credited_at) * 1_000 * throttler.config["refillRate"]
            throttler.config["tokens"] = min(burst.tokens, throttler.config["tokens"] + earned)
        self._credited_at = now
        return throttler.config

    async def _paced(self, method: Callable[..., Awaitable[Any]], arguments: tuple[Any, ...], *, urgent: bool) -> Any:
        self._credited()
        left_seconds = self._held_until - time.monotonic()
        if left_seconds > 0 and urgent:
            raise HeldBack(f"{self.exchange_id} asked to wait another {left_seconds:.0f} s")
        while (left_seconds := self._held_until - time.monotonic()) > 0:  # noqa: ASYNC110 - a deadline that may move
            await asyncio.sleep(left_seconds)
        try:
            if not self.profile.serial:
                return await method(*arguments)
            async with self._in_line(urgent=urgent):
                return await method(*arguments)
        except Exception as error:
            self._note(error)
            raise

    @asynccontextmanager
    async def _in_line(self, *, urgent: bool) -> AsyncIterator[None]:
        """One request after the other, as the venue wants them by their numbers. What is urgent waits only so long for one that
        hangs, and overtakes it: should that one arrive after all, the venue refuses its number, and it is asked again."""
        waits = asyncio.timeout(LINE_SECONDS if urgent else None)
        try:
            async with waits:
                await self._line.acquire()
        except TimeoutError:
            yield
            return
        try:
            yield
        finally:
            self._line.release()

    def _note(self, error: Exception) -> None:
        if is_a(error, "RateLimitExceeded", "DDoSProtection"):
            headers = self._exchange.last_response_headers if self._exchange is not None else None
            self._held_until = max(self._held_until, time.monotonic() + hold_seconds(headers))

    @property
    def held(self) -> bool:
        """Whether the venue asked us to be quiet."""
        return self._held_until > time.monotonic()

    async def measure_clock(self) -> int:
        """The venue's time in milliseconds; our clock's difference is measured, and corrected where the venue checks it.

        Raises `VenueUnreachable` where the difference is too large to sign requests with.
        """
        before_ns = time.time_ns()
        venue_ms: int = await self.call(self.exchange.fetch_time)
        self.skew_ms = (before_ns + time.time_ns()) // 2_000_000 - venue_ms
        if self.profile.corrects_clock:
            self.exchange.options["timeDifference"] = self.skew_ms
        elif self.profile.verified and not self.profile.serial and abs(self.skew_ms) > CLOCK_FAIL_MS:
            raise VenueUnreachable(f"{self.exchange_id}: this computer's clock is {abs(self.skew_ms) / 1_000:.0f} s "
                                   f"{'fast' if self.skew_ms > 0 else 'slow'}; set it, the venue refuses such requests")
        return venue_ms

    def clean(self, text: str) -> str:
        """A text without the key, should a venue repeat it."""
        exchange = self._exchange
        for secret in (exchange.apiKey, exchange.secret, exchange.password) if exchange is not None else ():
            if secret:
                text = text.replace(secret, "***")
        return text


def configured(maker: Callable[[Any], Any], profile: VenueProfile, *, endpoints: Endpoints, sandbox: bool,
               rate_limit_ms: int | None) -> Any:
    """An exchange object as we want it: its own pace kept, nothing retried, nothing logged, addresses as asked."""
    pace: dict[str, Any] = {} if rate_limit_ms is None else {"rateLimit": rate_limit_ms}
    if profile.burst is not None:
        pace["tokenBucket"] = {"capacity": profile.burst.tokens, "tokens": profile.burst.tokens}
    exchange = maker({"enableRateLimit": True, "timeout": round(1_000 * endpoints.answer_seconds), "verbose": False, **pace})
    exchange.logger = logging.getLogger("quarterdeck.silent")  # ccxt logs request headers, which hold the key
    exchange.logger.disabled = True
    # a stream is dead after two pings without an answer; some exchanges would be asked every three minutes only
    streaming = getattr(exchange, "streaming", None)  # ccxt's blocking classes have none
    if streaming is not None:
        exchange.streaming = {**streaming, "keepAlive": min(PING_MS, streaming.get("keepAlive") or PING_MS)}
    exchange.options = exchange.deep_extend(exchange.options, USUAL_OPTIONS, profile.options)
    if not profile.reads_currencies:
        exchange.has["fetchCurrencies"] = False
    if sandbox:
        if not exchange.urls.get("test"):
            raise ConfigError(f"{exchange.id} has no sandbox; use the paper venue to practise")
        misdirected = in_sandbox(exchange, endpoints)
        if misdirected:
            raise ConfigError(misdirected)
    exchange.urls["api"] = redirected(exchange.urls["api"], endpoints)
    return exchange


def hold_seconds(headers: Mapping[str, str] | None) -> float:
    """How long a venue asks us to wait; a default where it does not say, and never more than five minutes at once."""
    asked = next((retry_after_seconds(value) for name, value in (headers or {}).items() if name.lower() == "retry-after"), None)
    return HOLD_SECONDS if asked is None else min(LONGEST_HOLD_SECONDS, asked)


def redirected(addresses: Any, endpoints: Endpoints) -> Any:
    """ccxt's table of addresses with other hosts and the same paths."""
    if isinstance(addresses, Mapping):
        return {name: redirected(below, endpoints) for name, below in addresses.items()}
    if not isinstance(addresses, str):
        return addresses
    base = endpoints.stream_url if addresses.startswith(("ws:", "wss:")) else endpoints.rest_url
    return base.rstrip("/") + urlsplit(addresses).path if base else addresses


def in_sandbox(exchange: Any, endpoints: Endpoints) -> str:
    """Turn an exchange to its sandbox; what is wrong with going to `endpoints` then, in words, empty where nothing is."""
    real = hosts_of(exchange)
    exchange.set_sandbox_mode(True)
    asked = {urlsplit(url).hostname for url in (endpoints.rest_url, endpoints.stream_url) if url}
    for host in sorted(filter(None, asked - hosts_of(exchange))):
        if any(_domain(host) == _domain(one) for one in real):
            return (f"{exchange.id}: {host} trades real money, and sandbox = true says practice; for real money write "
                    "sandbox = false and leave the address empty")
    return ""


def hosts_of(exchange: Any) -> set[str]:
    """The hosts that an exchange is reached at, as it stands."""
    addresses = (str(address).replace("{hostname}", exchange.hostname or "") for address in leaves(exchange.urls["api"]))
    return {host for address in addresses if (host := urlsplit(address).hostname)}


def _domain(host: str) -> str:
    """What belongs to one owner: exchanges have several hosts for the same thing."""
    return ".".join(host.rstrip(".").rsplit(".", 2)[-2:])


def leaves(addresses: Any) -> list[Any]:
    """All addresses of a table."""
    if isinstance(addresses, Mapping):
        return [leaf for below in addresses.values() for leaf in leaves(below)]
    return [addresses]
