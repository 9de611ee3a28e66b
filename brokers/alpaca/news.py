"""Alpaca's news: headlines with the symbols that it names, through its library. Blocks; always called in a thread."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from brokers.alpaca.answers import fault_of
from brokers.alpaca.endpoints import AlpacaEndpoints, KeySource
from brokers.alpaca.wire import nanoseconds_of
from brokers.news.fetching import SourceFailed
from engine.research.events import NewsItem
from engine.units import NS_PER_SECOND, Nanoseconds

A_PAGE = 50
FIRST_LOOK_SECONDS = 3 * 86_400
MOST_SYMBOLS = 100


class WireArticle(msgspec.Struct):
    """A headline as the venue writes it."""

    id: int
    headline: str
    created_at: str
    summary: str = ""
    symbols: list[str] = []


class WireNews(msgspec.Struct):
    news: list[WireArticle] | None = None


def news_items(key_source: KeySource, endpoints: AlpacaEndpoints, symbols: Sequence[str], source: str,
               known_at_ns: Nanoseconds) -> tuple[NewsItem, ...]:
    """The newest fifty headlines of the last three days about some symbols (coins without their slash). Raises `SourceFailed`."""
    from brokers.alpaca.sdk import news_client

    start = datetime.fromtimestamp(known_at_ns // NS_PER_SECOND - FIRST_LOOK_SECONDS, UTC)
    query = {"start": start.strftime("%Y-%m-%dT%H:%M:%SZ"), "sort": "desc", "limit": str(A_PAGE), "include_content": "false"}
    if symbols:
        query["symbols"] = ",".join(symbol.replace("/", "") for symbol in symbols[:MOST_SYMBOLS])
    try:
        client = news_client(key_source(), endpoints)
        body: Any = client._request("GET", "/news", query, api_version="v1beta1")  # noqa: SLF001 - its get_news() parses too much
        found = msgspec.json.decode(body, type=WireNews)
        items = tuple(_item_of(article, source, known_at_ns) for article in found.news or ())
    except Exception as error:
        raise SourceFailed(f"it gave no news: {fault_of(error).cause}") from error
    return tuple(item for item in items if item.title and item.event_time_ns <= known_at_ns)


def _item_of(article: WireArticle, source: str, known_at_ns: Nanoseconds) -> NewsItem:
    return NewsItem(source, str(article.id), article.headline.strip(), nanoseconds_of(article.created_at), known_at_ns,
                    article.summary.strip(), tuple(_slashed(symbol) for symbol in article.symbols))


def _slashed(symbol: str) -> str:
    """BTCUSD is BTC/USD here; a share's symbol never ends so."""
    return f"{symbol[:-3]}/USD" if len(symbol) > 5 and symbol.endswith("USD") else symbol
