"""The only module that imports alpaca-py, and so requests, pandas and websockets; it is imported inside functions alone.

What the library does behind one's back is taken out here: it sends a request again after 429 and 504, waits without end for
an answer, and turns numbers into floats. Here a request goes once, in bounded time, and its answer is handed on as bytes.
"""

import logging
from typing import Any

from alpaca.common.exceptions import APIError  # noqa: TID253 - see above
from alpaca.data.enums import CryptoFeed, DataFeed  # noqa: TID253
from alpaca.data.historical.news import NewsClient  # noqa: TID253
from alpaca.data.historical.stock import StockHistoricalDataClient  # noqa: TID253
from alpaca.data.live.crypto import CryptoDataStream  # noqa: TID253
from alpaca.data.live.stock import StockDataStream  # noqa: TID253
from alpaca.data.live.websocket import DataStream  # noqa: TID253
from alpaca.trading.client import TradingClient  # noqa: TID253
from alpaca.trading.stream import TradingStream  # noqa: TID253
from requests.exceptions import HTTPError

from brokers.alpaca.endpoints import AlpacaEndpoints

__all__ = ["APIError", "DataStream", "OnceMarketClient", "OnceNewsClient", "OnceTradingClient", "TradingStream", "market_client",
           "market_stream", "news_client", "trading_client", "trading_stream"]

CONNECT_SECONDS = 3.0
PING_SECONDS = 10


class _Once:
    """One attempt for each request, whatever comes back; the body as bytes."""

    _session: Any
    timeouts = (CONNECT_SECONDS, CONNECT_SECONDS)

    def _one_request(self, method: str, url: str, opts: dict[str, Any], retry: int) -> bytes:  # noqa: ARG002 - its signature
        response = self._session.request(method, url, timeout=self.timeouts, **opts)
        try:
            response.raise_for_status()
        except HTTPError as error:
            raise APIError(response.text, error) from error  # type: ignore[no-untyped-call] # it says nothing of its types
        return bytes(response.content)


class OnceTradingClient(_Once, TradingClient):  # type: ignore[misc] # bytes where the library hands on what it parsed
    """alpaca-py's client of the trading API, without its second attempts."""


class OnceMarketClient(_Once, StockHistoricalDataClient):  # type: ignore[misc] # the same
    """alpaca-py's client of the market data API, without its second attempts."""


class OnceNewsClient(_Once, NewsClient):  # type: ignore[misc] # the same
    """alpaca-py's client of the news API, without its second attempts."""


def news_client(key: tuple[str, str], endpoints: AlpacaEndpoints) -> OnceNewsClient:
    """A client of the news API."""
    client = OnceNewsClient(key[0], key[1], url_override=endpoints.data_url)
    client.timeouts = (CONNECT_SECONDS, endpoints.answer_seconds)
    return client


def trading_client(key: tuple[str, str], endpoints: AlpacaEndpoints, *, paper: bool) -> OnceTradingClient:
    """A client of the trading API."""
    client = OnceTradingClient(key[0], key[1], paper=paper, url_override=endpoints.trading_url)
    client.timeouts = (CONNECT_SECONDS, endpoints.answer_seconds)
    return client


def market_client(key: tuple[str, str], endpoints: AlpacaEndpoints) -> OnceMarketClient:
    """A client of the market data API."""
    client = OnceMarketClient(key[0], key[1], url_override=endpoints.data_url)
    client.timeouts = (CONNECT_SECONDS, endpoints.answer_seconds)
    return client


def trading_stream(key: tuple[str, str], endpoints: AlpacaEndpoints, *, paper: bool) -> TradingStream:
    """The account's stream, not yet connected."""
    return TradingStream(key[0], key[1], paper=paper, raw_data=True, url_override=endpoints.trading_stream_url,
                         websocket_params=_socket_settings())


def market_stream(key: tuple[str, str], endpoints: AlpacaEndpoints, *, coins: bool, feed: str) -> DataStream:
    """The market's stream of shares (`feed` is "iex" or "sip") or of coins, not yet connected."""
    if coins:
        return CryptoDataStream(key[0], key[1], raw_data=True, feed=CryptoFeed.US, websocket_params=_socket_settings(),
                                url_override=f"{endpoints.data_stream_url}/v1beta3/crypto/{CryptoFeed.US.value}")
    return StockDataStream(key[0], key[1], raw_data=True, feed=DataFeed(feed), websocket_params=_socket_settings(),
                           url_override=f"{endpoints.data_stream_url}/v2/{feed}")


def _socket_settings() -> dict[str, Any]:
    """A silent connection is noticed within twenty seconds. The socket's own log would show the key in its frames."""
    silent = logging.getLogger("quarterdeck.alpaca.socket")
    silent.setLevel(logging.WARNING)
    return {"ping_interval": PING_SECONDS, "ping_timeout": PING_SECONDS, "max_queue": 4096, "open_timeout": PING_SECONDS,
            "close_timeout": 1, "logger": silent}
