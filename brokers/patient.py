"""A broker that does not mind when its venue is out of reach at the start: the others begin, and it keeps trying."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from brokers.waiting import Backoff
from engine.errors import ConfigError, InstrumentError, VenueUnreachable
from engine.inputs import (
    CancelAnswer,
    ConnectionChanged,
    InstrumentsListed,
    NotSent,
    OrderMissing,
    OrderReport,
    SubmitAnswer,
    Unanswered,
    VenueCapabilities,
    VenueReport,
)
from engine.instruments import Instrument
from engine.orders import OrderIntent
from engine.ports import Broker, VenueMessage
from engine.units import Nanoseconds

FIRST_WAIT_SECONDS = 2.0
LONGEST_WAIT_SECONDS = 60.0
NOT_OPEN = "the venue could not be reached yet"
_log = logging.getLogger("quarterdeck.venues")

type Sink = Callable[[VenueMessage], None]


class OutOfReach:
    """Stands where a broker cannot be made, as without a key: the account is there, and nothing of it is known."""

    def __init__(self, account: str, cause: str) -> None:
        self.account = account
        self.capabilities = VenueCapabilities(stop=False)
        self._cause = cause

    async def connect(self, sink: Sink) -> tuple[Instrument, ...]:  # noqa: ARG002 - the port's shape
        raise VenueUnreachable(self._cause)

    async def close(self) -> None: ...

    async def submit(self, intents: Sequence[OrderIntent]) -> Sequence[SubmitAnswer]:
        return [NotSent(self._cause)] * len(intents)

    async def cancel(self, client_order_id: str, venue_order_id: str) -> CancelAnswer:  # noqa: ARG002 - the port's shape
        return NotSent(self._cause)

    async def cancel_all(self) -> int | Unanswered:
        return Unanswered(self._cause)

    async def order(self, client_order_id: str) -> OrderReport | OrderMissing | Unanswered:  # noqa: ARG002 - the port's shape
        return Unanswered(self._cause)

    async def report(self, since_ns: Nanoseconds,  # noqa: ARG002 - the port's shape
                     client_order_ids: Sequence[str]) -> VenueReport | Unanswered:  # noqa: ARG002
        return Unanswered(self._cause)


class PatientBroker:
    """Stands before another broker. While that one is not open nothing is sent, and nothing is said of what it holds."""

    def __init__(self, inner: Broker, currency: str, minor_exponent: int,
                 first_wait_seconds: float = FIRST_WAIT_SECONDS) -> None:
        """`currency` and `minor_exponent` are the account's money, which all that is listed must be paid in. `failure` is why
        it is not open, once it was tried. `held` is what the journal holds of this account, counted in its lots."""
        self.inner = inner
        self.account = inner.account
        self.capabilities = inner.capabilities
        self.listing: tuple[Instrument, ...] = ()
        self.opened = asyncio.Event()
        self.failure: VenueUnreachable | None = None
        self.held: Mapping[str, Instrument] = {}
        self.on_opened: list[Callable[[tuple[Instrument, ...]], None]] = []
        self._money = (currency, minor_exponent)
        self._backoff = Backoff(first_wait_seconds, LONGEST_WAIT_SECONDS)
        self._trying: asyncio.Task[None] | None = None

    async def connect(self, sink: Sink) -> tuple[Instrument, ...]:
        """Open the account; where the venue is out of reach say so to `sink` and go on trying. Raises `ConfigError` for what
        time does not mend."""
        try:
            await self._open(sink)
        except VenueUnreachable as error:
            self.failure = error
            _log.warning("account %s: %s", self.account, error)
            sink(ConnectionChanged(self.account, up=False, detail=str(error)))
            self._trying = asyncio.create_task(self._keep_trying(sink))
        except InstrumentError as error:
            raise ConfigError(f"account {self.account}: {error}") from error
        return self.listing

    async def _open(self, sink: Sink) -> None:
        listing = await self.inner.connect(sink)
        for one in listing:
            if (one.quote_currency, one.minor_exponent) != self._money:
                await self.inner.close()
                raise ConfigError(f"account {self.account}: {one.symbol} is paid in {one.quote_currency} of {one.minor_exponent} "
                                  f"decimals, the account is kept in {self._money[0]} of {self._money[1]}")
            before = self.held.get(one.instrument_id, one)
            if (before.lot_size, before.tick_size) != (one.lot_size, one.tick_size):
                await self.inner.close()
                raise ConfigError(f"account {self.account}: {one.symbol} is held in lots of {before.lot_size} and ticks of "
                                  f"{before.tick_size}, now listed with {one.lot_size} and {one.tick_size}: undo the change of "
                                  "the configuration, or close it first with `quarterdeck panic`")
        self.capabilities, self.listing, self.failure = self.inner.capabilities, listing, None
        self.opened.set()
        for tell in self.on_opened:
            tell(listing)

    async def _keep_trying(self, sink: Sink) -> None:
        while True:
            await asyncio.sleep(self._backoff.next_seconds())
            try:
                await self._open(sink)
            except (VenueUnreachable, ConfigError, InstrumentError) as error:
                _log.warning("account %s: %s", self.account, error)
                sink(ConnectionChanged(self.account, up=False, detail=str(error)))
                continue
            sink(InstrumentsListed(self.account, self.listing, self.capabilities))
            sink(ConnectionChanged(self.account, up=True, detail="the venue can be reached"))
            return

    async def close(self) -> None:
        if self._trying is not None:
            self._trying.cancel()
        await self.inner.close()

    async def submit(self, intents: Sequence[OrderIntent]) -> Sequence[SubmitAnswer]:
        return await self.inner.submit(intents) if self.opened.is_set() else [NotSent(NOT_OPEN)] * len(intents)

    async def cancel(self, client_order_id: str, venue_order_id: str) -> CancelAnswer:
        return await self.inner.cancel(client_order_id, venue_order_id) if self.opened.is_set() else NotSent(NOT_OPEN)

    async def cancel_all(self) -> int | Unanswered:
        return await self.inner.cancel_all() if self.opened.is_set() else Unanswered(NOT_OPEN)

    async def order(self, client_order_id: str) -> OrderReport | OrderMissing | Unanswered:
        return await self.inner.order(client_order_id) if self.opened.is_set() else Unanswered(NOT_OPEN)

    async def report(self, since_ns: Nanoseconds, client_order_ids: Sequence[str]) -> VenueReport | Unanswered:
        return await self.inner.report(since_ns, client_order_ids) if self.opened.is_set() else Unanswered(NOT_OPEN)
