"""Where Alpaca is reached; every address can be pointed elsewhere, at a proxy or at a server on this machine."""

from collections.abc import Callable
from typing import NamedTuple

VENUE = "alpaca"

type KeySource = Callable[[], tuple[str, str]]
"""Gives (key id, secret) when asked. It is asked at each connect, so that a key changed meanwhile is taken up."""


class AlpacaEndpoints(NamedTuple):
    """The four addresses, without a path of their own but for the account's stream, and how long an answer may take."""

    trading_url: str
    data_url: str
    trading_stream_url: str
    data_stream_url: str
    answer_seconds: float = 10.0


LIVE_ENDPOINTS = AlpacaEndpoints("https://api.alpaca.markets", "https://data.alpaca.markets",
                                 "wss://api.alpaca.markets/stream", "wss://stream.data.alpaca.markets")
PAPER_ENDPOINTS = AlpacaEndpoints("https://paper-api.alpaca.markets", "https://data.alpaca.markets",
                                  "wss://paper-api.alpaca.markets/stream", "wss://stream.data.alpaca.markets")


def endpoints_of(*, paper: bool) -> AlpacaEndpoints:
    """Alpaca's own addresses of its paper or its live venue."""
    return PAPER_ENDPOINTS if paper else LIVE_ENDPOINTS
