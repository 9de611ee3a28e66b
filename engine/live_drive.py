"""The live drive: the system's clock, a feed, and effects performed side by side."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

from engine.clocks import SystemClock
from engine.health import CLOCK_AHEAD
from engine.inputs import Bar, ConnectionChanged, EngineStopping, FeedChanged, FirstPricesSeen, Input, MarketItem, TimeAdvanced
from engine.ports import HalfHours, MarketFeed
from engine.shell import WARM_BARS, Shell, log_failure
from engine.units import NS_PER_SECOND, Nanoseconds

BEAT_SECONDS = 1.0
LONGEST_SILENCE_SECONDS = 15.0
BATCH = 256
LAST_CALLS_SECONDS = 3.0
LONGEST_FEED_WAIT_SECONDS = 60.0
SLEEP_NS = 10 * NS_PER_SECOND
TOLD_AHEAD_SECONDS = 2
MINUTE_NS = 60 * NS_PER_SECOND
HALF_HOUR_NS = 30 * MINUTE_NS
MOST_PARTS = 10_000
_log = logging.getLogger("quarterdeck.engine")


class LiveDrive:
    """Takes what comes, in batches that share one commit."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._drained_ns: Nanoseconds = 0
        self._priced = True

    async def run(self, ready: Callable[[], None]) -> None:
        """Connect, reconcile, say `ready`, then run until the shell is stopping."""
        shell, feed = self._shell, self._shell.parts.feed
        await shell.connect(shell.parts.clock.now_ns())
        await self._drain()
        if feed is not None:
            warming = shell.spawn(self._warm_from(feed))
            shell.spawn(self._feed(feed))
            if shell.parts.ready_when_warm:
                await warming
                await self._drain()  # the first prices, which came meanwhile
                await shell.process([(shell.parts.clock.now_ns(), FirstPricesSeen())])
        shell.spawn(self._beats())
        shell.publish(force=True)
        ready()
        assert shell.wake is not None
        while not shell.stopping:
            await shell.wake.wait()
            shell.wake.clear()
            shell.pulses.beat("engine", LONGEST_SILENCE_SECONDS)
            await self._drain()
            shell.publish()
        if feed is not None:
            await feed.close()
        await shell.process([(shell.parts.clock.now_ns(), EngineStopping())])
        await shell.finish_calls(LAST_CALLS_SECONDS)
        while shell.venue:
            await shell.process([(shell.parts.clock.now_ns(), shell.venue.popleft())])

    async def _warm_from(self, feed: MarketFeed) -> None:
        """Bars from before the start, fetched beside the engine's loop: a stop does not wait for a chart."""
        await self._shell.until_served()
        for instrument_id in list(self._shell.loop.state.instruments):
            try:
                bars = await asyncio.to_thread(feed.history, instrument_id, WARM_BARS)
            except Exception as error:  # noqa: BLE001 - without history there is no ATR yet, and that says so itself
                log_failure(error)
                continue
            self._shell.loop.warm(bars)
            await self._warm_longer(feed, instrument_id)

    async def _warm_longer(self, feed: MarketFeed, instrument_id: str) -> None:
        """As many longer bars, joined from an older past."""
        loop = self._shell.loop
        for bar_ns in loop.desk.lengths_on(instrument_id, loop.state):
            try:
                parts = await asyncio.to_thread(_parts_of, feed, instrument_id, bar_ns)
            except Exception as error:  # noqa: BLE001 - without them it warms up on what comes, and shows how far it is
                log_failure(error)
                continue
            loop.warm_longer(bar_ns, parts)

    async def _feed(self, feed: MarketFeed) -> None:
        """A feed that dies is told and started again, ever more slowly; meanwhile its stale quotes block entries by
        themselves, and the protection ledger says what only the engine guarded."""
        wait_seconds = BEAT_SECONDS
        while True:
            try:
                await feed.run(self._take_price)
                cause = "it ended by itself"
            except Exception as error:  # noqa: BLE001 - whatever ended it, prices are wanted again
                log_failure(error)
                cause = type(error).__name__
            if self._shell.stopping:
                return
            if self._priced:
                wait_seconds = BEAT_SECONDS
            self._priced = False
            self._shell.deliver(FeedChanged(up=False, detail=f"{cause}; tried again in {wait_seconds:g} s"))
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(2 * wait_seconds, LONGEST_FEED_WAIT_SECONDS)

    def _take_price(self, item: MarketItem) -> None:
        """A price; the first after the feed had died says that it is back."""
        self._shell.pulses.beat("feed")
        if not self._priced:
            self._priced = True
            self._shell.deliver(FeedChanged(up=True))
        self._shell.take_market(item)

    async def _beats(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                await self._before_beat()
            except Exception as error:  # noqa: BLE001 - without beats no deadline, no retry and no panic would go on
                log_failure(error)
            self._shell.pulses.beat("clock", LONGEST_SILENCE_SECONDS)
            self._shell.deliver(TimeAdvanced())

    async def _before_beat(self) -> None:
        self._shell.obey_halt_aside()
        self._shell.retry_journal_aside()
        self._look_at_clock()
        for observer in self._shell.observers:
            observer.advance(self._shell.parts.clock.now_ns())

    def _look_at_clock(self) -> None:
        """A wall clock that was set back is no reason to stand still, but one to tell: health shows it, the log says it once."""
        clock, counts = self._shell.parts.clock, self._shell.pulses.counts
        ahead_seconds = clock.ahead_ns() // NS_PER_SECOND if isinstance(clock, SystemClock) else 0
        if ahead_seconds < TOLD_AHEAD_SECONDS:
            counts.pop(CLOCK_AHEAD, None)
            return
        if CLOCK_AHEAD not in counts:
            _log.warning("the clock was set back: the engine's time is %d s ahead of it and goes on", ahead_seconds)
        counts[CLOCK_AHEAD] = ahead_seconds

    async def _drain(self) -> None:
        """Everything that waits, commands before the venue's words, the venue's before prices, in batches."""
        await self._notice_sleep()
        while self._shell.commands or self._shell.venue or self._shell.market:
            await self._shell.process(self._batch())
            await self._notice_sleep()  # a disk or a process that stood still in between: what waits is as old as that

    async def _notice_sleep(self) -> None:
        """After a pause (a laptop that slept, a stopped process) nothing is acted on before the venue has been asked and a
        halt that another process raised meanwhile is obeyed."""
        now_ns = self._shell.parts.clock.now_ns()
        slept = self._drained_ns and now_ns - self._drained_ns > SLEEP_NS
        self._drained_ns = now_ns
        if not slept:
            return
        self._shell.market.clear()
        await self._shell.process([(now_ns, ConnectionChanged(broker.account, up=True, detail="the process was paused"))
                                   for broker in self._shell.parts.brokers])
        self._shell.obey_halt()

    def _batch(self) -> Iterable[tuple[Nanoseconds, Input]]:
        taken = 0
        while taken < BATCH:
            if self._shell.commands:
                taking: Input = self._shell.commands.popleft()
            elif self._shell.venue:
                taking = self._shell.venue.popleft()
            elif self._shell.market:
                item = self._shell.market.popleft()
                for observer in self._shell.observers:
                    observer.see(item, self._shell.parts.clock.now_ns())
                taking = item
            else:
                return
            taken += 1
            yield self._shell.parts.clock.now_ns(), taking


def _parts_of(feed: MarketFeed, instrument_id: str, bar_ns: Nanoseconds) -> Sequence[Bar]:
    """What longer bars are joined from: half hours, or minutes where those are no parts of them or are not known."""
    found: Sequence[Bar] = ()
    if isinstance(feed, HalfHours) and bar_ns % HALF_HOUR_NS == 0:
        found = feed.half_hours(instrument_id, min(MOST_PARTS, WARM_BARS * bar_ns // HALF_HOUR_NS))
    return found or feed.history(instrument_id, min(MOST_PARTS, WARM_BARS * bar_ns // MINUTE_NS))
