"""A paper account that lives on a real venue's market data: its instruments and its prices, but no real money."""

from collections.abc import Callable
from pathlib import Path

from brokers.paper.broker import PaperBroker
from brokers.paper.records import PaperOptions
from brokers.patient import PatientBroker
from engine.inputs import InstrumentsListed
from engine.instruments import Instrument
from engine.ports import VenueMessage


class PaperOnVenue(PaperBroker):
    """Lists what `source` lists, as soon as that is known. Where nobody else opens `source`, this account does."""

    def __init__(self, account: str, memory_path: Path | None, options: PaperOptions, source: PatientBroker, *,
                 opens_source: bool) -> None:
        super().__init__(account, memory_path, options)
        self.source = source
        self.opens_source = opens_source

    async def connect(self, sink: Callable[[VenueMessage], None]) -> tuple[Instrument, ...]:
        if self.opens_source and not self.source.opened.is_set():
            await self.source.connect(_unheard)
        self.list_instruments(self.source.listing)
        listed = await super().connect(sink)
        if not self.source.opened.is_set():
            self.source.on_opened.append(lambda instruments: self._list_late(instruments, sink))
        return listed

    def _list_late(self, instruments: tuple[Instrument, ...], sink: Callable[[VenueMessage], None]) -> None:
        self.list_instruments(instruments)
        sink(InstrumentsListed(self.account, self.venue.listing(), self.capabilities))

    async def close(self) -> None:
        await super().close()
        if self.opens_source:
            await self.source.close()


def _unheard(_message: VenueMessage) -> None:
    """What an account tells that is here for its prices alone."""
