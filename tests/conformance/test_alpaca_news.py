"""Alpaca's news through the real alpaca-py, against a local server."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from brokers.alpaca.news import news_items
from brokers.news.fetching import SourceFailed
from engine.research.events import NewsItem
from tests.conformance.alpaca_desk import endpoints_at
from tests.conformance.alpaca_server.server import KEY, AlpacaServer

AT = 1_795_190_400 * 10 ** 9  # 2026-11-20T16:00:00Z


@pytest.fixture
async def server() -> AsyncIterator[AlpacaServer]:
    found = AlpacaServer([], time.time_ns())
    await found.open()
    found.articles = [
        {"id": 2, "headline": " Apple beats ", "created_at": "2026-11-20T15:00:00.5Z", "summary": "Sales",
         "symbols": ["AAPL", "BTCUSD"],
         "author": "x", "url": "https://example.com", "images": [], "content": "", "source": "benzinga", "updated_at": "x"},
        {"id": 1, "headline": "From the future", "created_at": "2026-11-20T17:00:00Z", "symbols": ["AAPL"]},
        {"id": 3, "headline": "Of others", "created_at": "2026-11-20T15:00:00Z", "symbols": ["F"]}]
    yield found
    await found.close()


async def asked(server: AlpacaServer, *symbols: str, key: tuple[str, str] = KEY) -> tuple[NewsItem, ...]:
    return await asyncio.to_thread(news_items, lambda: key, endpoints_at(server), symbols, "alpaca", AT)


async def test_headlines_come_with_their_symbols_and_times(server: AlpacaServer) -> None:
    item, = await asked(server, "AAPL", "BTC/USD")
    assert item == NewsItem("alpaca", "2", "Apple beats", AT - 3_600 * 10 ** 9 + 5 * 10 ** 8, AT, "Sales", ("AAPL", "BTC/USD"))
    assert {one.item_id for one in await asked(server)} == {"2", "3"}


@pytest.mark.parametrize(("status", "body"), [(500, "{}"), (403, '{"message": "no"}'), (200, "nonsense"), (200, '{"news": [{}]}'),
                                              (200, '{"news": [{"id": 1, "headline": "x", "created_at": "soon"}]}')])
async def test_a_fault_is_a_source_that_failed_and_is_not_asked_twice(server: AlpacaServer, status: int, body: str) -> None:
    server.fail_next("GET", "/v1beta1/news", status, body=body)
    with pytest.raises(SourceFailed, match="no news"):
        await asked(server, "AAPL")
    assert server.count("GET", "/v1beta1/news") == 1


async def test_a_key_that_is_refused_shows_in_no_message(server: AlpacaServer) -> None:
    with pytest.raises(SourceFailed) as failure:
        await asked(server, "AAPL", key=("PKWRONG", "a-secret"))
    assert "a-secret" not in str(failure.value)
