"""The world as rows of a snapshot: days, indicators, regimes, sectors, events and what they mean, memories, the thread."""

from collections.abc import Iterable, Sequence
from statistics import fmean

from engine.inputs import Bar
from engine.instruments import Instrument
from engine.research.context import MarketDay, Past, Regime, indicators_of
from engine.research.events import EventNote
from engine.research.impact import Impact
from engine.research.memory import MemoryItem
from engine.research.snapshot import Fact, Row, RowKind
from engine.research_words import ThreadEntry
from engine.units import Nanoseconds

LIQUIDITY_DAYS = 20
DAILY_BARS = "daily bars"
CODE = "quarterdeck"


def rows_of_days(past: Past) -> tuple[Row, ...]:
    """The newest closed day, the indicators and the usual turnover of one instrument; nothing where it has no past."""
    if not past.bars:
        return ()
    instrument, newest = past.instrument, past.bars[-1]
    source = f"{DAILY_BARS} of {instrument.venue}"
    at_ns = newest.close_ns
    rows = [Row(kind=RowKind.BAR, event_time_ns=at_ns, known_at_ns=at_ns, source=source, facts=_day(past.bars, instrument))]
    figures = indicators_of(past)
    if figures:
        rows.append(Row(kind=RowKind.INDICATOR, event_time_ns=at_ns, known_at_ns=at_ns, source=source, facts={**figures}))
    recent = past.bars[-LIQUIDITY_DAYS:]
    turnovers = [float(instrument.price(bar.close_ticks) * instrument.quantity(bar.volume_lots)) for bar in recent]
    rows.append(Row(kind=RowKind.LIQUIDITY, event_time_ns=at_ns, known_at_ns=at_ns, source=source,
                    facts={"daily_turnover": round(fmean(turnovers), 2), "days": float(len(recent))}))
    return tuple(rows)


def _day(bars: Sequence[Bar], instrument: Instrument) -> dict[str, Fact]:
    newest = bars[-1]
    prices = {"open": newest.open_ticks, "high": newest.high_ticks, "low": newest.low_ticks, "close": newest.close_ticks}
    facts: dict[str, Fact] = {**{name: float(instrument.price(ticks)) for name, ticks in prices.items()},
                              "volume": float(instrument.quantity(newest.volume_lots)), "days_known": float(len(bars))}
    if len(bars) > 1:
        facts["prev_close"] = float(instrument.price(bars[-2].close_ticks))
    return facts


def rows_of_context(today: MarketDay, symbol: str) -> tuple[Row, ...]:
    """The regime of the symbol and how sectors stand, as they were first seen on that day."""
    rows = []
    regime = today.regimes.get(symbol)
    if regime is not None and regime.vintage_ns:
        rows.append(Row(kind=RowKind.REGIME, event_time_ns=regime.vintage_ns, known_at_ns=today.known_at_ns, source=CODE,
                        vendor_revision=str(regime.vintage_ns), facts=_regime(regime)))
    for one in today.sectors:
        facts: dict[str, Fact] = {"sector": one.sector, "members": float(one.members)}
        for weeks, rank, strength in zip((1, 4, 12), one.ranks, one.strength_percent, strict=True):
            if rank is not None and strength is not None:
                facts |= {f"rank_{weeks}w": float(rank), f"strength_{weeks}w_percent": round(strength, 4)}
        rows.append(Row(kind=RowKind.SECTOR, event_time_ns=today.known_at_ns, known_at_ns=today.known_at_ns, source=CODE,
                        facts=facts))
    return tuple(rows)


def _regime(regime: Regime) -> dict[str, Fact]:
    facts: dict[str, Fact] = {"trend": regime.trend, "volatility": regime.volatility}
    if regime.percentile is not None:
        facts["volatility_percentile"] = round(regime.percentile, 4)
    return facts


def rows_of_news(notes: Iterable[EventNote]) -> tuple[Row, ...]:
    """Each note twice: typed, which every role may read, and in its source's words, which the news role alone is shown."""
    rows: list[Row] = []
    for note in notes:
        flags = tuple(filter(None, note.flag.split(",")))
        facts: dict[str, Fact] = {"note": note.note_id, "kind": note.kind.value, "direction": note.direction.value,
                                  "names": " ".join(note.symbols) or "market"}
        if note.surprise is not None:
            facts["surprise_z"] = round(note.surprise, 4)
        to_come = note.event_time_ns > note.known_at_ns
        rows.append(Row(kind=RowKind.CALENDAR if to_come else RowKind.EVENT_NOTE, event_time_ns=note.event_time_ns,
                        known_at_ns=note.known_at_ns, source=note.source, facts=facts, flags=flags))
        rows.append(Row(kind=RowKind.NEWS, event_time_ns=note.event_time_ns, known_at_ns=note.known_at_ns, source=note.source,
                        facts={"note": note.note_id}, text=note.quote, flags=flags))
    return tuple(rows)


def rows_of_impacts(impacts: Iterable[Impact], symbol: str, known_at_ns: dict[str, Nanoseconds]) -> tuple[Row, ...]:
    """What events mean for one symbol, where our own history tells; `known_at_ns` is when each note was known."""
    return tuple(
        Row(kind=RowKind.IMPACT, event_time_ns=known_at_ns[one.note_id], known_at_ns=known_at_ns[one.note_id], source=CODE,
            facts={"note": one.note_id, "impact_bps": round(one.impact_bps, 4), "history_n": float(one.history_n),
                   "hops": float(one.path.hops), "path": one.path.text})
        for one in impacts if one.symbol == symbol and one.impact_bps is not None and one.note_id in known_at_ns)


def rows_of_memory(items: Iterable[MemoryItem]) -> tuple[Row, ...]:
    """Memories in the text that code made of them."""
    return tuple(Row(kind=RowKind.MEMORY, event_time_ns=item.created_at_ns, known_at_ns=item.resolved_at_ns, source=CODE,
                     facts={"memory": item.memory_id, "won": float(item.won)}, text=item.text) for item in items)


def rows_of_thread(digest: str, entries: Sequence[ThreadEntry], as_of_ns: Nanoseconds) -> tuple[Row, ...]:
    """The digest of the last seven days, known since its newest entry; nothing where there is none."""
    newest_ns = max((entry.at_ns for entry in entries if entry.at_ns <= as_of_ns), default=0)
    if not digest or not newest_ns:
        return ()
    return (Row(kind=RowKind.THREAD, event_time_ns=newest_ns, known_at_ns=newest_ns, source=CODE, text=digest),)
