"""The world of research in one place: days of the market, events and their impact, memories, threads. It asks feeds and files, so
it works in a thread of its own and never in the engine's."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from engine.errors import EngineUnreachable, QuarterdeckError, VenueUnreachable
from engine.inputs import Bar
from engine.instruments import Instrument
from engine.plain_text import plain
from engine.ports import DailyBars
from engine.research.context import MarketDay, Past, abnormal_bps, atr_ticks, market_day, regime_of, volatility_of
from engine.research.event_graph import EventGraph
from engine.research.event_words import EventKind
from engine.research.events import EventNote, NoteReading
from engine.research.impact import Impact, PastEvent, Strength, impacts_of, strengths
from engine.research.memory import MemoryItem, Recall, WorldMemory, chosen, memories_of
from engine.research.rows import (
    rows_of_context,
    rows_of_days,
    rows_of_impacts,
    rows_of_memory,
    rows_of_news,
    rows_of_thread,
)
from engine.research.rule_analyst import Daily
from engine.research.snapshot import Row
from engine.research.threads import digest_of, entries_of
from engine.research_state import SealedDecision
from engine.state import State
from engine.trading_hours import NS_PER_DAY
from engine.units import NS_PER_SECOND, Nanoseconds

PAST_DAYS = 320
FRESH_NS = 600 * NS_PER_SECOND
AGAIN_NS = 60 * NS_PER_SECOND
NEWS_DAYS = 3
CALENDAR_DAYS = 30
MOST_NEWS_ROWS = 24
MOST_COMING = 8
MOST_WATCHED = 60
PEERS_SECONDS = 15.0
_log = logging.getLogger("quarterdeck.research")
_days = msgspec.json.Decoder(MarketDay)


type Known = Mapping[tuple[EventKind, str], Strength]


class WorldAsk(NamedTuple):
    """What is looked at: an instrument for a portfolio at a moment. `watched` are the instruments that the portfolio holds or
    looks at: sectors, peers of abnormal returns; `decisions` every sealed decision that the state keeps."""

    state: State
    portfolio: str
    instrument_id: str
    as_of_ns: Nanoseconds
    watched: Sequence[str] = ()
    decisions: Sequence[SealedDecision] = ()
    sectors: Mapping[str, str] = {}


class Gathered(NamedTuple):
    """What was found: rows for the snapshot, the closes that rules count on, the regime in words, and the ATR of a day in bps of
    the newest close (0 where there is none)."""

    rows: tuple[Row, ...]
    daily: Daily
    regime: str
    atr_bps: float


class ResearchWorld:
    """Gathers, keeps what it learns, and never fails: a part that cannot be had is left out, and the log says so."""

    def __init__(self, memory: WorldMemory, bars: DailyBars | None = None, graph: EventGraph | None = None) -> None:
        self.memory = memory
        self.graph = graph or EventGraph(())
        self._bars = bars
        self._kept: dict[str, tuple[Nanoseconds, Past]] = {}
        self._lock = threading.Lock()

    def past(self, instrument: Instrument, as_of_ns: Nanoseconds) -> Past:
        """The closed days of an instrument as of a moment; the feed is asked again after ten minutes."""
        with self._lock:
            at_ns, known = self._kept.get(instrument.instrument_id, (0, None))
            if known is not None and at_ns <= as_of_ns < at_ns + FRESH_NS:
                return known.until(as_of_ns)
        feed = self._bars
        bars: Sequence[Bar] = () if feed is None else self._tried(
            "daily bars", lambda: feed.daily_bars(instrument.instrument_id, PAST_DAYS), ())
        found = Past(instrument, bars)
        with self._lock:  # what was not to be had is asked for again soon
            self._kept[instrument.instrument_id] = (as_of_ns if bars else as_of_ns - FRESH_NS + AGAIN_NS, found)
        return found.until(as_of_ns)

    def remember(self, decisions: Iterable[SealedDecision]) -> None:
        """Keep the memories of those that are resolved. A run brings the newest decisions, the nightly learning all of them:
        where many are made a day the state has let go of them long before their forecasts end. Blocks."""
        self._tried("memories", lambda: self.memory.keep_memories(memories_of(decisions)), None)

    def gather_rows(self, ask: WorldAsk) -> Gathered:
        """Everything that a snapshot of an instrument needs beside mark and portfolio. Blocks."""
        instrument = ask.state.instruments[ask.instrument_id]
        pasts = self.pasts(ask)
        past = pasts[instrument.symbol]
        self.remember(ask.decisions)
        self.resolve_events(ask, pasts)
        notes = self.notes_about(instrument.symbol, ask.as_of_ns)
        impacts = self.impacts((note for note in notes if not note.flag), ask, pasts)
        today = self.today(ask, tuple(pasts.values()), notes)
        regime = regime_of(past).words if past.bars else ""
        recall = Recall(ask.portfolio, instrument.symbol, tuple(dict.fromkeys(note.kind.value for note in notes)), regime,
                        ask.as_of_ns)
        remembered: tuple[MemoryItem, ...] = self._tried("memories", lambda: chosen(self.memory.found(recall), recall), ())
        entries = entries_of(ask.state, ask.portfolio, ask.decisions)
        rows = (*rows_of_days(past), *rows_of_context(today, instrument.symbol), *rows_of_news(notes),
                *rows_of_impacts(impacts, instrument.symbol, {note.note_id: note.known_at_ns for note in notes if not note.flag}),
                *rows_of_memory(remembered),
                *rows_of_thread(digest_of(entries, ask.as_of_ns), entries, ask.as_of_ns))
        tick = float(instrument.tick_size)
        daily = Daily(*([float(ticks * tick) for ticks in column] for column in (
            (bar.close_ticks for bar in past.bars), (bar.high_ticks for bar in past.bars), (bar.low_ticks for bar in past.bars))))
        atr = atr_ticks(past.bars)
        return Gathered(rows, daily, regime, atr / past.bars[-1].close_ticks * 10_000 if atr else 0.0)

    def pasts(self, ask: WorldAsk) -> dict[str, Past]:
        """The days of what is asked about and, as far as they come in time, of what is watched; by symbol."""
        names = dict.fromkeys((ask.instrument_id, *ask.watched))
        listed = [ask.state.instruments[name] for name in list(names)[:MOST_WATCHED] if name in ask.state.instruments]
        found: dict[str, Past] = {}
        deadline = time.monotonic() + PEERS_SECONDS
        for one in listed:
            if found and time.monotonic() > deadline:
                _log.warning("research: daily bars of %d instruments were not waited for", len(listed) - len(found))
                break
            if one.symbol not in found:  # another venue may list it too: what is asked about comes first
                found[one.symbol] = self.past(one, ask.as_of_ns)
        return found

    def keep_readings(self, readings: Sequence[NoteReading], known_at_ns: Nanoseconds) -> None:
        """Keep what a model made of items, for the table of events."""
        self._tried("notes of the news role", lambda: self.memory.keep_readings(readings, known_at_ns), None)

    def notes_about(self, symbol: str, as_of_ns: Nanoseconds) -> tuple[EventNote, ...]:
        """What a calendar says is to come in the next thirty days, soonest first, then notes of the last three days, newest
        first, by when they were known or took place: those that name the symbol, its neighbours along the graph, or whole
        markets. At most as many as a snapshot can hold, eight of what is to come."""
        fresh_ns, ahead_ns = as_of_ns - NEWS_DAYS * NS_PER_DAY, as_of_ns + CALENDAR_DAYS * NS_PER_DAY

        def read() -> dict[str, EventNote]:
            both = (*self.memory.notes(fresh_ns, as_of_ns), *self.memory.scheduled(fresh_ns, ahead_ns, as_of_ns))
            return {note.note_id: note for note in both if note.event_time_ns <= ahead_ns}

        nothing: dict[str, EventNote] = {}
        found = self._tried("events", read, nothing)
        reaching = {origin for note in found.values() for origin in note.symbols
                    if any(path.names[-1] == symbol for path in self.graph.reached_from(origin, note.known_at_ns))}
        about = [note for note in found.values() if not note.symbols or not reaching.isdisjoint(note.symbols)
                 or symbol in note.symbols]
        coming = sorted((note for note in about if note.event_time_ns > as_of_ns),
                        key=lambda note: (symbol not in note.symbols, note.event_time_ns, note.note_id))[:MOST_COMING]
        past = sorted((note for note in about if note.event_time_ns <= as_of_ns),
                      key=lambda note: (symbol not in note.symbols, -max(note.known_at_ns, note.event_time_ns), note.note_id))
        return (*coming, *past[:MOST_NEWS_ROWS - len(coming)])

    def impacts(self, notes: Iterable[EventNote], ask: WorldAsk, pasts: Mapping[str, Past]) -> tuple[Impact, ...]:
        """What notes mean for everybody, by the events that were resolved by then."""
        known: Known = self._tried("events", lambda: strengths(self.memory.outcomes(ask.as_of_ns), ask.as_of_ns), {})
        volatilities = {symbol: found for symbol, past in pasts.items() if (found := volatility_of(past)) is not None}
        return tuple(impact for note in notes if note.event_time_ns <= ask.as_of_ns
                     for impact in impacts_of(note, self.graph, known, ask.sectors, volatilities))

    def resolve_events(self, ask: WorldAsk, pasts: Mapping[str, Past]) -> None:
        """Write into our own table what followed the notes of the last month, where the next close is there."""
        since_ns = ask.as_of_ns - CALENDAR_DAYS * NS_PER_DAY

        def resolved() -> None:
            done = {(row.note_id, row.symbol) for row in self.memory.outcomes(ask.as_of_ns)}
            rows = [PastEvent(note.note_id, symbol, note.kind, ask.sectors.get(symbol, ""), note.push, *found)
                    for note in self.memory.notes(since_ns, ask.as_of_ns) if note.push and not note.flag
                    for symbol in note.symbols if (note.note_id, symbol) not in done
                    and (found := abnormal_bps(symbol, max(note.known_at_ns, note.event_time_ns), pasts)) is not None]
            self.memory.keep_outcomes(rows)

        self._tried("events", resolved, None)

    def learn_from(self, state: State, notes: Sequence[EventNote], now_ns: Nanoseconds) -> None:
        """Fill our own table from events of the past that a calendar tells now: what followed each, by closes of the last 320
        days. It was not known before now, so a snapshot of an earlier moment does not see it. Raises `VenueUnreachable` where
        there are no closes at all."""
        named = frozenset(symbol for note in notes for symbol in note.symbols)
        first = [name for name, one in state.instruments.items() if one.symbol in named]
        if not first or self._bars is None:
            return
        pasts = self.pasts(WorldAsk(state, "", first[0], now_ns, (*first, *state.instruments)))
        if not any(past.bars for past in pasts.values()):
            raise VenueUnreachable("its past is learned once there are daily bars; it is asked again")
        self.memory.keep_outcomes([
            PastEvent(note.note_id, symbol, note.kind, state.settings.sectors.get(symbol, ""), note.push, found[0], now_ns)
            for note in notes if note.push and not note.flag for symbol in note.symbols
            if (found := abnormal_bps(symbol, note.event_time_ns, pasts)) is not None])

    def today(self, ask: WorldAsk, pasts: Sequence[Past], notes: Sequence[EventNote]) -> MarketDay:
        """The market of the day, kept as it was first seen; what that did not look at is looked at now."""
        day = ask.as_of_ns // NS_PER_DAY
        body = self._tried("market days", lambda: self.memory.day(day, ask.as_of_ns), None)
        kept = _days.decode(body) if body else None
        names = {past.instrument.symbol for past in pasts if past.bars}
        if kept is not None and names <= kept.regimes.keys():
            return kept
        made = market_day(day, ask.as_of_ns, pasts, ask.sectors, [note.note_id for note in notes])
        if kept is None and names:
            self._tried("market days", lambda: self.memory.keep_day(day, ask.as_of_ns, msgspec.json.encode(made)), None)
        return made

    @staticmethod
    def _tried[T](what: str, work: Callable[[], T], otherwise: T) -> T:
        """The part, or what stands for it where it cannot be had."""
        try:
            return work()
        except EngineUnreachable:
            return otherwise  # the engine has ended, and with it whoever waited for this
        except QuarterdeckError as error:
            _log.warning("research: no %s: %s", what, plain(str(error)))
        except Exception as error:  # noqa: BLE001 - a source that breaks must not take a run with it
            _log.warning("research: no %s (%s)", what, type(error).__name__)
        return otherwise
