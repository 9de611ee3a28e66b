"""The paper broker against the suite, in memory and on disk, at once and with latency, in every mix of capabilities."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from brokers.paper.broker import PaperBroker
from brokers.paper.records import PaperOptions
from engine.inputs import Quote
from engine.instruments import Instrument
from tests.conformance.broker_suite import CLAIMABLE, BrokerSuite
from tests.conformance.desk import ACCOUNT, COIN, SECOND_NS, START_NS, Desk


class PaperDesk(Desk):
    """The paper broker with its market in the test's hand."""

    broker: PaperBroker

    def __init__(self, options: PaperOptions, path: Path | None, instrument: Instrument = COIN) -> None:
        super().__init__()
        self.instrument = instrument
        self.broker = PaperBroker(ACCOUNT, path, options, [instrument])
        self._at_ns = START_NS

    async def open(self) -> None:
        await self.broker.connect(self.messages.append)
        self.broker.advance(self._at_ns)

    async def close(self) -> None:
        await self.broker.close()

    async def quote(self, bid_ticks: int, ask_ticks: int, lots: int = 0) -> None:
        self._at_ns += SECOND_NS
        quote = Quote(self.instrument.instrument_id, bid_ticks, ask_ticks, lots, lots, self._at_ns)
        self.broker.see(quote, self._at_ns)

    async def settle(self) -> None:
        self._at_ns += SECOND_NS
        self.broker.advance(self._at_ns)


async def opened(desk: PaperDesk) -> AsyncIterator[PaperDesk]:
    await desk.open()
    await desk.quote(9_990, 10_010)
    yield desk
    await desk.close()


def capability_mixes() -> list[dict[str, bool]]:
    return [dict(zip(CLAIMABLE, mix, strict=True)) for mix in itertools.product((True, False), repeat=len(CLAIMABLE))]


@pytest.mark.parametrize("mix", capability_mixes(), ids=lambda mix: "".join(name[0] for name in CLAIMABLE if mix[name]))
class TestPaperBrokerWithEveryMixOfCapabilities(BrokerSuite):
    @pytest.fixture
    def claimed(self, mix: dict[str, bool]) -> frozenset[str]:
        return frozenset(name for name in CLAIMABLE if mix[name])

    @pytest.fixture
    async def desk(self, mix: dict[str, bool]) -> AsyncIterator[PaperDesk]:
        async for desk in opened(PaperDesk(msgspec.structs.replace(PaperOptions(), **mix), None)):
            yield desk


class TestPaperBrokerOnDisk(BrokerSuite):
    claims = frozenset(CLAIMABLE)

    @pytest.fixture
    async def desk(self, tmp_path: Path) -> AsyncIterator[PaperDesk]:
        async for desk in opened(PaperDesk(PaperOptions(), tmp_path / "paper.db")):
            yield desk


class TestPaperBrokerWithLatency(BrokerSuite):
    claims = frozenset(CLAIMABLE)

    @pytest.fixture
    async def desk(self) -> AsyncIterator[PaperDesk]:
        async for desk in opened(PaperDesk(PaperOptions(latency_ms=80, latency_jitter_ms=40), None)):
            yield desk
