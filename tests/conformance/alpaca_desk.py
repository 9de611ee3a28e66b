"""The Alpaca adapter at a desk: the real client library against the local server."""

import asyncio
import time
from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec

from brokers.alpaca.broker import AlpacaBroker
from brokers.alpaca.endpoints import AlpacaEndpoints
from brokers.alpaca.pace import RequestPace
from engine.inputs import SubmitAnswer
from engine.instruments import Instrument
from engine.orders import OrderIntent
from tests.conformance.alpaca_server.server import KEY, AlpacaServer
from tests.conformance.desk import ACCOUNT, COIN, START_NS, Desk

DEADLINE_SECONDS = 60.0


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread or process will bring about."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.002)


def endpoints_at(server: AlpacaServer) -> AlpacaEndpoints:
    return AlpacaEndpoints(server.url, server.url, f"{server.stream_url}/stream", server.stream_url)


class SuiteBroker(AlpacaBroker):
    """The suite orders its coin; here that is whatever the desk trades."""

    instrument_id = ""

    async def submit(self, intents: Sequence[OrderIntent]) -> Sequence[SubmitAnswer]:
        return await super().submit([
            msgspec.structs.replace(each, instrument_id=self.instrument_id) if each.instrument_id == COIN.instrument_id else each
            for each in intents])


class AlpacaDesk(Desk):
    """One account, one instrument."""

    broker: SuiteBroker

    def __init__(self, served: Instrument, *, fractions: bool = False, per_minute: int = 100_000) -> None:
        super().__init__()
        self.served = served
        self.server = AlpacaServer([served], START_NS)
        self._fractions, self._per_minute = fractions, per_minute

    async def open(self) -> None:
        await self.server.open()
        self.broker = SuiteBroker(ACCOUNT, lambda: KEY, paper=True, symbols=[self.served.symbol], fractions=self._fractions,
                                  endpoints=endpoints_at(self.server), pace=RequestPace(self._per_minute))
        self.instrument = (await self.broker.connect(self.messages.append))[0]
        self.broker.instrument_id = self.instrument.instrument_id

    async def close(self) -> None:
        await self.broker.close()
        await self.server.close()

    async def quote(self, bid_ticks: int, ask_ticks: int, lots: int = 0) -> None:
        tick = self.instrument.tick_size
        self.server.account.quote(self.served.symbol, bid_ticks * tick, ask_ticks * tick, lots * self.instrument.lot_size)
        await self.settle()

    async def settle(self) -> None:
        await until(lambda: self.server.quiet and self.broker.stream_messages == self.server.frames_sent)

    def decimal(self, ticks: int) -> Decimal:
        return self.instrument.price(ticks)
