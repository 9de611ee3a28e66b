"""RSS and Atom through feedparser, imported here alone; always in a thread, on bytes that were bounded before."""

import calendar
import re
from time import struct_time
from typing import Any

from brokers.news.fetching import SourceFailed
from engine.research.events import NewsItem
from engine.units import NS_PER_SECOND, Nanoseconds

MOST_ITEMS = 200
MOST_TEXT = 4_000
EARLY_NS = 300 * NS_PER_SECOND  # how far a publisher's clock may be ahead of ours
_TAG = re.compile(r"<[^>]{0,500}>")
_ENTITIES = re.compile(rb"<!\s*(?:ENTITY|\[CDATA\[\s*<!ENTITY)", re.IGNORECASE)
HEAD_BYTES = 100_000


def items_of_feed(body: bytes, source: str, known_at_ns: Nanoseconds, content_type: str = "") -> tuple[NewsItem, ...]:
    """The items of a feed, at most two hundred, in its own order; an item without a date, or with one that lies in the future, is
    left out. Raises `SourceFailed` where it is no feed, and for one that declares entities of its own."""
    import feedparser

    squeezed = body[:HEAD_BYTES].replace(b"\x00", b"")  # UTF-16 puts a zero beside each letter
    if _ENTITIES.search(squeezed):
        raise SourceFailed("it declares entities of its own, which are not expanded")
    headers = {"content-type": content_type} if content_type else {}
    try:
        found = feedparser.parse(body, response_headers=headers, sanitize_html=True, resolve_relative_uris=False)
    except Exception as error:
        raise SourceFailed(f"it cannot be read as a feed ({type(error).__name__})") from error
    if not found.get("version") and not found.entries:
        raise SourceFailed("it is no feed")
    items = (_item_of(entry, source, known_at_ns) for entry in found.entries[:MOST_ITEMS])
    return tuple(item for item in items if item is not None)


def _item_of(entry: Any, source: str, known_at_ns: Nanoseconds) -> NewsItem | None:
    moment = next((entry[key] for key in ("published_parsed", "updated_parsed") if dict.__contains__(entry, key)), None)
    title = words_of(str(entry.get("title", "")))
    if not isinstance(moment, struct_time) or not title:
        return None
    try:
        event_time_ns = calendar.timegm(moment) * NS_PER_SECOND
    except (ValueError, OverflowError):
        return None
    if event_time_ns <= 0 or event_time_ns > known_at_ns + EARLY_NS:
        return None
    text = words_of(str(entry.get("summary", "")))
    return NewsItem(source, str(entry.get("id") or entry.get("link") or title)[:500], title,
                    min(event_time_ns, known_at_ns), known_at_ns, "" if text == title else text)


def words_of(markup: str) -> str:
    """The words of a piece of markup, without its tags; escaped ones too."""
    import html  # its table of two thousand names is not wanted before the first feed

    bare = _TAG.sub(" ", html.unescape(_TAG.sub(" ", markup[:MOST_TEXT])))
    return " ".join(bare.split())
