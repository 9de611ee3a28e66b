"""Calendars of what is to come and what came of it: ICS and CSV, from a file of the home or fetched."""

import csv
import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from brokers.news.fetching import SourceFailed
from engine.research.event_words import EVENT_KINDS
from engine.research.events import NewsItem
from engine.units import NS_PER_SECOND, Nanoseconds

MOST_ITEMS = 5_000
COLUMNS = ("time", "title", "kind", "symbols", "actual", "consensus", "usual_miss")
NO_YEAR_BEFORE, NO_YEAR_AFTER = 1990, 2100


def items_of_csv(body: bytes, source: str, known_at_ns: Nanoseconds) -> tuple[NewsItem, ...]:
    """Rows with time (UTC, ISO 8601), title, and as far as they are there kind, symbols (by spaces), actual, consensus and
    usual_miss. A row is told again, under another name, once its actual number has come. Raises `SourceFailed` with the line."""
    reader = csv.DictReader(_text_of(body).splitlines())
    fields = [name.strip() for name in reader.fieldnames or ()]
    if "time" not in fields or "title" not in fields:
        raise SourceFailed(f"its first line must name the columns {', '.join(COLUMNS)}; time and title are needed")
    items: list[NewsItem] = []
    try:
        for line, row in enumerate(reader, start=2):
            if len(items) >= MOST_ITEMS:
                raise SourceFailed(f"it has more than {MOST_ITEMS} rows")
            cells = {(name or "").strip(): (value or "").strip() if isinstance(value, str) else "" for name, value in row.items()}
            items.append(_item_of_row(cells, source, known_at_ns, line))
    except csv.Error as error:
        raise SourceFailed(f"it is no CSV: {error}") from error
    return tuple(items)


def _item_of_row(cells: dict[str, str], source: str, known_at_ns: Nanoseconds, line: int) -> NewsItem:
    kind, title = cells.get("kind", "").lower(), cells["title"]
    if kind and kind not in EVENT_KINDS:
        raise SourceFailed(f'line {line}: kind "{kind[:40]}" is none of {", ".join(EVENT_KINDS)}')
    try:
        at_ns = _moment_ns(datetime.fromisoformat(cells["time"]))
    except ValueError:
        raise SourceFailed(f'line {line}: "{cells["time"][:40]}" is no time such as 2026-01-31T13:30:00Z') from None
    if not title:
        raise SourceFailed(f"line {line}: it has no title")
    numbers = [_number(cells.get(name, ""), name, line) for name in ("actual", "consensus", "usual_miss")]
    came = "" if numbers[0] is None else "=came"
    return NewsItem(source, f"{cells['time']} {title}{came}", title, at_ns, known_at_ns,
                    symbols=tuple(cells.get("symbols", "").split()), kind=kind, actual=numbers[0], consensus=numbers[1],
                    usual_miss=numbers[2])


def _number(text: str, name: str, line: int) -> float | None:
    if not text:
        return None
    try:
        found = float(text)
    except ValueError:
        found = float("nan")
    if not abs(found) < 1e15:
        raise SourceFailed(f'line {line}: {name} "{text[:40]}" is no number')
    return found


def items_of_ics(body: bytes, source: str, known_at_ns: Nanoseconds) -> tuple[NewsItem, ...]:
    """The events of an iCalendar file: UID, DTSTART, SUMMARY, and a kind among CATEGORIES. An event without a start or a summary
    is left out. Raises `SourceFailed` where it is no calendar."""
    lines = re.sub(r"\r?\n[ \t]", "", _text_of(body)).splitlines()
    if not lines or lines[0].strip().upper() != "BEGIN:VCALENDAR":
        raise SourceFailed("it is no iCalendar file")
    items: list[NewsItem] = []
    event: dict[str, tuple[str, str]] | None = None
    for line in lines:
        name, _, value = line.partition(":")
        key, _, terms = name.upper().partition(";")
        if (key, value.strip().upper()) == ("BEGIN", "VEVENT"):
            event = {}
        elif (key, value.strip().upper()) == ("END", "VEVENT") and event is not None:
            if (item := _item_of_event(event, source, known_at_ns)) is not None and len(items) < MOST_ITEMS:
                items.append(item)
            event = None
        elif event is not None:
            event.setdefault(key, (name.partition(";")[2] if terms else "", value.strip()))
    return tuple(items)


def _item_of_event(event: dict[str, tuple[str, str]], source: str, known_at_ns: Nanoseconds) -> NewsItem | None:
    terms, start = event.get("DTSTART", ("", ""))
    title = _unescaped(event.get("SUMMARY", ("", ""))[1])
    at_ns = _start_ns(start, terms)
    if at_ns is None or not title:
        return None
    categories = [one.strip().lower() for one in event.get("CATEGORIES", ("", ""))[1].split(",")]
    kind = next((one for one in categories if one in EVENT_KINDS), "")
    symbols = tuple(one.upper() for one in categories if one and one not in EVENT_KINDS)
    uid = event.get("UID", ("", ""))[1] or title
    return NewsItem(source, f"{uid[:300]} {start}", title, at_ns, known_at_ns, symbols=symbols, kind=kind)


def _start_ns(text: str, terms: str) -> Nanoseconds | None:
    """`20260131T133000Z`, a local time with TZID, or a date, which begins at midnight of UTC."""
    zone = re.search(r'TZID="?([^;:"]+)', terms, re.IGNORECASE)
    try:
        whole = datetime.strptime(text[:15], "%Y%m%dT%H%M%S") if "T" in text else datetime.strptime(text[:8], "%Y%m%d")  # noqa: DTZ007
        local = ZoneInfo(zone[1]) if zone is not None and not text.endswith("Z") else UTC
        return _moment_ns(whole.replace(tzinfo=local))
    except (ValueError, KeyError, OSError):
        return None


def _moment_ns(moment: datetime) -> Nanoseconds:
    if not NO_YEAR_BEFORE <= moment.year <= NO_YEAR_AFTER:
        raise ValueError("no year of ours")
    known = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return int(known.timestamp()) * NS_PER_SECOND


def _unescaped(text: str) -> str:
    return re.sub(r"\\([,;\\nN])", lambda found: " " if found[1] in "nN" else found[1], text)


def _text_of(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("latin-1")
