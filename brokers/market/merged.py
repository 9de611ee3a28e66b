"""The market data of several venues as one feed."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from brokers.waiting import Backoff
from engine.inputs import Bar, MarketItem
from engine.ports import DailyBars, HalfHours, MarketFeed

FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 60.0
_log = logging.getLogger("quarterdeck.venues")


class AwaitedFeed:
    """A feed that begins once its venue has told what it lists."""

    def __init__(self, inner: MarketFeed, listed: asyncio.Event) -> None:
        self._inner = inner
        self._listed = listed
        self._closed = asyncio.Event()

    async def run(self, sink: Callable[[MarketItem], None]) -> None:
        waiting = {asyncio.create_task(event.wait()) for event in (self._listed, self._closed)}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        if not self._closed.is_set():
            await self._inner.run(sink)

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        return self._inner.history(instrument_id, limit) if self._listed.is_set() else ()

    def half_hours(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        """The half hours that the feed knows; none where it knows none, or before its venue has told what it lists."""
        if not self._listed.is_set() or not isinstance(self._inner, HalfHours):
            return ()
        return self._inner.half_hours(instrument_id, limit)

    def daily_bars(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        """The days that the feed knows; none where it knows none, or before its venue has told what it lists."""
        if not self._listed.is_set() or not isinstance(self._inner, DailyBars):
            return ()
        return self._inner.daily_bars(instrument_id, limit)

    async def close(self) -> None:
        self._closed.set()
        await self._inner.close()


class MergedFeed:
    """Several feeds, in the same event loop. One that fails is begun again, ever more slowly; the others do not notice."""

    def __init__(self, feeds: Sequence[MarketFeed], venues: Mapping[str, Sequence[int]]) -> None:
        """`venues` says for the venue of an instrument (what follows its @) which of the feeds may know its past: several
        accounts at one venue list what they like."""
        self._feeds = tuple(feeds)
        self._venues = dict(venues)
        self._closed = asyncio.Event()

    async def run(self, sink: Callable[[MarketItem], None]) -> None:
        await asyncio.gather(*(self._keep(feed, sink) for feed in self._feeds))

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        """Bars of an instrument from the first feed of its venue that has some; none where no feed has."""
        for at in self._venues.get(instrument_id.rpartition("@")[2], ()):
            bars = self._feeds[at].history(instrument_id, limit)
            if bars:
                return bars
        return ()

    def half_hours(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        """Half hours of an instrument from the first feed of its venue that has some; none where no feed has."""
        for at in self._venues.get(instrument_id.rpartition("@")[2], ()):
            feed = self._feeds[at]
            bars = feed.half_hours(instrument_id, limit) if isinstance(feed, HalfHours) else ()
            if bars:
                return bars
        return ()

    def daily_bars(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        """Daily bars of an instrument from the first feed of its venue that has some; none where no feed has."""
        for at in self._venues.get(instrument_id.rpartition("@")[2], ()):
            feed = self._feeds[at]
            bars = feed.daily_bars(instrument_id, limit) if isinstance(feed, DailyBars) else ()
            if bars:
                return bars
        return ()

    async def close(self) -> None:
        self._closed.set()
        for feed in self._feeds:
            await feed.close()

    async def _keep(self, feed: MarketFeed, sink: Callable[[MarketItem], None]) -> None:
        backoff = Backoff(FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS)
        while not self._closed.is_set():
            try:
                await feed.run(sink)
                return
            except Exception as error:  # noqa: BLE001 - its quotes go stale, which blocks entries by itself
                wait_seconds = backoff.next_seconds()
                _log.error("market data stopped (%s); trying again in %.0f s", type(error).__name__, wait_seconds)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), wait_seconds)
