"""The news desk: asks each source in its time, in a loop and a thread of its own, and hands on what is new."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from brokers.news.aside import aside
from brokers.news.calendar_files import items_of_csv, items_of_ics
from brokers.news.feeds import items_of_feed
from brokers.news.fetching import MOST_BYTES, Fetched, SourceFailed, fetch
from brokers.waiting import Backoff
from engine.errors import QuarterdeckError
from engine.plain_text import plain
from engine.research.events import NewsItem
from engine.units import Nanoseconds

LONGEST_PAUSE_SECONDS = 3_600.0
READING_SECONDS = 10.0
ASKING_SECONDS = 30.0
KEPT_NAMES = 5_000
_log = logging.getLogger("quarterdeck.news")

type SourceKind = Literal["rss", "ics", "csv", "alpaca"]
type Take = Callable[[Sequence[NewsItem]], object]


class Source(NamedTuple):
    """Where news comes from: an address or a file of the home, and how often it is asked. `ask` is set where it is neither (a
    broker's news): it is called in a thread and gives items."""

    name: str
    kind: SourceKind
    address: str = ""
    file: Path | None = None
    every_seconds: float = 300.0
    private: bool = False
    ask: Callable[[Nanoseconds], Sequence[NewsItem]] | None = None


class Standing(NamedTuple):
    """A source's last word: when it was asked, how many items it had, how many were new, and why it failed, if it did."""

    name: str
    at_ns: Nanoseconds
    items: int
    fresh: int
    failure: str


class NewsDesk:
    """One task a source; `take` is handed new items in the desk's thread. What breaks is logged once and asked again, ever more
    slowly."""

    def __init__(self, sources: Sequence[Source], take: Take, now_ns: Callable[[], Nanoseconds]) -> None:
        self._sources = tuple(sources)
        self._take = take
        self._now_ns = now_ns
        self._standings: dict[str, Standing] = {}
        self._seen: dict[str, dict[str, None]] = {source.name: {} for source in sources}
        self._known: dict[str, Fetched] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()

    def start(self) -> None:
        """Begin to ask; nothing is done where there is no source."""
        if self._sources:
            self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="news", daemon=True)
            self._thread.start()

    def close(self, seconds: float = 3.0) -> None:
        """End at once; an answer under way is not waited for."""
        if self._thread is None or not self._ready.wait(seconds):
            return
        loop, main = self._loop, self._main
        assert loop is not None
        assert main is not None
        if self._thread.is_alive() and not loop.is_closed():
            loop.call_soon_threadsafe(main.cancel)
        self._thread.join(seconds)

    def standings(self) -> tuple[Standing, ...]:
        """The last word of each source that was asked; any thread."""
        known = self._standings.copy()
        return tuple(known[source.name] for source in self._sources if source.name in known)

    async def _run(self) -> None:
        self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
        self._ready.set()
        try:
            await asyncio.gather(*(self._keep(source) for source in self._sources))
        except asyncio.CancelledError:
            return

    async def _keep(self, source: Source) -> None:
        backoff = Backoff(source.every_seconds, max(source.every_seconds, LONGEST_PAUSE_SECONDS))
        told = ""
        while True:
            standing = await self.ask_once(source)
            if standing.failure != told:
                told = standing.failure
                _log.log(logging.WARNING if told else logging.INFO, "news %s: %s", source.name, told or "it answers again")
            if not standing.failure:
                backoff = Backoff(source.every_seconds, max(source.every_seconds, LONGEST_PAUSE_SECONDS))
            await asyncio.sleep(backoff.next_seconds() if standing.failure else source.every_seconds)

    async def ask_once(self, source: Source) -> Standing:
        """Ask a source now and hand on what is new; never raises for what a source may do."""
        at_ns = self._now_ns()
        try:
            items = await self._items(source, at_ns)
            fresh = self._fresh(source, items)
            if fresh:
                await aside(lambda: self._take(fresh))
                self._note_seen(source, fresh)  # what could not be kept comes again
            standing = Standing(source.name, at_ns, len(items), len(fresh), "")
        except QuarterdeckError as error:
            standing = Standing(source.name, at_ns, 0, 0, plain(str(error)))
        except Exception as error:  # noqa: BLE001 - one source must not end the others
            standing = Standing(source.name, at_ns, 0, 0, f"it broke ({type(error).__name__})")
        if standing.failure:
            self._known.pop(source.name, None)  # what was read but not kept has to come whole again
        self._standings[source.name] = standing
        return standing

    def _fresh(self, source: Source, items: Sequence[NewsItem]) -> tuple[NewsItem, ...]:
        """The items not handed on before, oldest first."""
        seen = self._seen[source.name]
        fresh = {item.item_id: item for item in items if item.item_id not in seen}
        return tuple(sorted(fresh.values(), key=lambda item: (item.event_time_ns, item.item_id)))

    def _note_seen(self, source: Source, items: Sequence[NewsItem]) -> None:
        seen = self._seen[source.name]
        seen |= dict.fromkeys(item.item_id for item in items)
        for name in list(seen)[:max(0, len(seen) - KEPT_NAMES)]:
            del seen[name]

    async def _items(self, source: Source, at_ns: Nanoseconds) -> Sequence[NewsItem]:
        ask, file = source.ask, source.file
        if ask is not None:
            return await _bounded(aside(lambda: ask(at_ns)), ASKING_SECONDS)
        if file is not None:
            fetched = Fetched(await aside(lambda: _file_body(file)))
        else:
            fetched = await fetch(source.address, self._known.get(source.name), private=source.private)
        if fetched.body is None:
            return ()
        body = fetched.body
        items = await _bounded(aside(lambda: _parsed(source, body, fetched.content_type, at_ns)), READING_SECONDS)
        self._known[source.name] = fetched._replace(body=None)  # only what could be read need not come again
        return items


async def _bounded[T](work: Awaitable[T], seconds: float) -> T:
    """A result in time. A thread cannot be stopped, but it is no longer waited for."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise SourceFailed(f"it could not be read within {seconds:g} s") from None


def _parsed(source: Source, body: bytes, content_type: str, at_ns: Nanoseconds) -> Sequence[NewsItem]:
    match source.kind:
        case "ics":
            return items_of_ics(body, source.name, at_ns)
        case "csv":
            return items_of_csv(body, source.name, at_ns)
        case _:
            return items_of_feed(body, source.name, at_ns, content_type)


def _file_body(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SourceFailed(f"{path.name} is longer than {MOST_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise SourceFailed(f"{path.name} cannot be read: {error.strerror}") from error
