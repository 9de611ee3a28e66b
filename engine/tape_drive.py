"""The lockstep drive: a tape on a virtual clock. Every effect is finished before the next item is looked at, so that a replay
is the same every time, also when it was killed and goes on."""

import asyncio
import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Iterator

from engine.clocks import VirtualClock
from engine.errors import InvariantBroken
from engine.inputs import Bar, Input, MarketItem, MomentSeen, TapeEnded, TimeAdvanced
from engine.ports import Tape
from engine.publisher import SNAPSHOT_SECONDS
from engine.shell import WARM_BARS, Shell
from engine.units import NS_PER_SECOND, Nanoseconds

BATCH = 256
AFTER_ALL_NS = 1 << 62


class TapeDrive:
    """Shows a tape to the venue first and then to the engine, item by item."""

    def __init__(self, shell: Shell, tape: Tape) -> None:
        if not isinstance(shell.parts.clock, VirtualClock):
            raise InvariantBroken("a tape runs on a virtual clock")
        self._shell = shell
        self._tape = tape
        self._clock = shell.parts.clock
        self._script = deque(shell.parts.script)
        self._beat_ns: Nanoseconds = 0
        self._shown: MarketItem | None = None
        self._anchor: tuple[float, Nanoseconds] = (0.0, 0)

    async def run(self, ready: Callable[[], None]) -> None:
        """Go on where the journal and the venue stand, to the end of the tape or until the shell is stopping."""
        shell, tape, clock = self._shell, self._tape, self._clock
        for instrument in tape.instruments():
            shell.loop.warm(tape.history(instrument.instrument_id, WARM_BARS))
        resume_ns = max([shell.loop.state.at_ns, *(observer.cursor_ns for observer in shell.observers)])
        connected = False
        stamp = 0
        for item, following in _with_following(tape.items()):
            stamp = max(_item_time(item), stamp + 1)
            if stamp < resume_ns:
                self._warm(item, following, stamp)
                continue
            if not connected:
                if stamp == resume_ns:  # what was decided then was decided after the venue had seen it
                    self._show_venue(item, stamp)
                clock.advance_to(resume_ns or stamp)
                await self._connect(ready)
                connected = True
            await self._end_moment(item, stamp)
            await self._pace(stamp)
            if shell.stopping:
                return
            await self._run_script(stamp)
            clock.advance_to(stamp)
            await self._show(item, stamp, more_close=_close_together(item, following))
        if not connected:
            clock.advance_to(resume_ns)
            await self._connect(ready)
        await self._run_script(AFTER_ALL_NS)
        await self._settle([(clock.now_ns(), TapeEnded())])
        self._publish(ended=True)
        if not math.isinf(shell.parts.speed):
            await self._serve_after_tape()

    async def _connect(self, ready: Callable[[], None]) -> None:
        self._anchor = (time.monotonic(), self._clock.now_ns())
        await self._shell.connect(self._clock.now_ns())
        await self._settle([])
        self._shell.publish(force=True)
        ready()

    def _warm(self, item: MarketItem, following: MarketItem | None, stamp: Nanoseconds) -> None:
        """An item from before the point of resumption: seen, not acted on; the venue itself ignores what it knows. Where it ended
        within a moment, the strategies had not been asked: they still see the bars of that moment."""
        self._show_venue(item, stamp)
        self._shell.loop.remember(item, stamp, more_close=_close_together(item, following))

    def _show_venue(self, item: MarketItem, stamp: Nanoseconds) -> None:
        for observer in self._shell.observers:
            observer.see(item, stamp)

    async def _show(self, item: MarketItem, stamp: Nanoseconds, *, more_close: bool) -> None:
        self._shown = item
        self._show_venue(item, stamp)
        if self._shell.venue:
            await self._settle([])
        if self._needs_beat(stamp):
            if self._shell.unwritable:
                await self._shell.retry_journal()
            await self._settle([(stamp, TimeAdvanced(on_tape=True))])
        loop = self._shell.loop
        effects = loop.take_alone(stamp, item) if more_close else loop.take(stamp, item)
        # What a strategy remembers is durable before the venue's time goes on: a restart begins where the venue stands.
        if effects or loop.desk_wanted or self._shell.venue or self._shell.commands:
            await self._shell.release(effects)
            await self._settle([])
        self._publish()
        if self._shell.loop.inputs_taken % BATCH == 0:
            await asyncio.sleep(0)
            await self._settle([])

    async def _end_moment(self, item: MarketItem, stamp: Nanoseconds) -> None:
        """Before the next moment's first item, and between the closes and the opening quotes of one."""
        if self._shown is None:
            return
        all_closed = type(self._shown) is Bar and type(item) is not Bar
        if all_closed or stamp - self._beat_ns >= NS_PER_SECOND:
            await self._settle([(self._clock.now_ns(), MomentSeen())])

    def _needs_beat(self, stamp: Nanoseconds) -> bool:
        """A beat a second of the tape's time."""
        if stamp - self._beat_ns < NS_PER_SECOND:
            return False
        self._beat_ns = stamp
        return True

    async def _run_script(self, before_ns: Nanoseconds) -> None:
        """Timed commands whose time has come; one that already took effect before a restart is known by its id."""
        while self._script and self._script[0][0] < before_ns:
            at_ns, command = self._script.popleft()
            self._clock.advance_to(at_ns)
            await self._settle([(self._clock.now_ns(), command)])

    async def _settle(self, inputs: list[tuple[Nanoseconds, Input]]) -> None:
        """Process inputs and everything that follows from them, until nothing is left to say."""
        pending = deque(inputs)
        while pending or self._shell.venue or self._shell.commands:
            if pending:
                one = pending.popleft()
            else:
                waiting = self._shell.venue or self._shell.commands
                one = (self._clock.now_ns(), waiting.popleft())
            await self._shell.process([one])

    async def _pace(self, stamp: Nanoseconds) -> None:
        """Wait until an item is due; commands are taken meanwhile, at the tape's time."""
        if math.isinf(self._shell.parts.speed):
            return
        assert self._shell.wake is not None
        while not self._shell.stopping:
            started, origin_ns = self._anchor
            due = started + (stamp - origin_ns) / NS_PER_SECOND / self._shell.parts.speed
            wait_seconds = due - time.monotonic()
            if wait_seconds <= 0:
                return
            elapsed_ns = int((time.monotonic() - started) * self._shell.parts.speed * NS_PER_SECOND)
            self._clock.advance_to(min(stamp - 1, origin_ns + elapsed_ns))
            await self._settle([])
            self._publish()
            self._shell.wake.clear()
            if not self._shell.commands and not self._shell.venue:
                await _wait_for(self._shell.wake, min(wait_seconds, SNAPSHOT_SECONDS))

    async def _serve_after_tape(self) -> None:
        """The tape has ended and a person is watching: commands still work, at the last prices, until they leave."""
        assert self._shell.wake is not None
        while not self._shell.stopping:
            await self._settle([])
            self._publish()
            self._shell.wake.clear()
            if not self._shell.commands and not self._shell.venue:
                await _wait_for(self._shell.wake, 1.0)

    def _publish(self, *, ended: bool = False) -> None:
        where = time.strftime("%Y-%m-%d %H:%M", time.gmtime(self._clock.now_ns() / NS_PER_SECOND))
        self._shell.tape_position = "the tape has ended" if ended else where
        self._shell.publish(force=ended)


def _item_time(item: MarketItem) -> Nanoseconds:
    return item.close_ns if isinstance(item, Bar) else item.at_ns


def _with_following(items: Iterator[MarketItem]) -> Iterator[tuple[MarketItem, MarketItem | None]]:
    """Each item with the one after it; None after the last."""
    return itertools.pairwise(itertools.chain(items, (None,)))  # type: ignore[arg-type]


def _close_together(item: MarketItem, following: MarketItem | None) -> bool:
    """Whether both are bars that close at the same moment."""
    return type(item) is Bar and type(following) is Bar and item.close_ns == following.close_ns


async def _wait_for(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
