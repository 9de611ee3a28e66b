"""Market data as it reaches the engine: quotes, prints and closed bars; part of the vocabulary of `engine.inputs`."""

from typing import NamedTuple

from engine.units import Lots, Nanoseconds, Ticks


class Quote(NamedTuple):
    """Best bid and ask; `at_ns` is the venue's time. Sizes of 0 mean unknown."""

    instrument_id: str
    bid_ticks: Ticks
    ask_ticks: Ticks
    bid_lots: Lots
    ask_lots: Lots
    at_ns: Nanoseconds


class MarketTrade(NamedTuple):
    """One print of the market."""

    instrument_id: str
    price_ticks: Ticks
    lots: Lots
    aggressor: int
    at_ns: Nanoseconds


class Bar(NamedTuple):
    """Open, high, low, close and volume of `[open_ns, close_ns)`; known only at its close."""

    instrument_id: str
    open_ns: Nanoseconds
    close_ns: Nanoseconds
    open_ticks: Ticks
    high_ticks: Ticks
    low_ticks: Ticks
    close_ticks: Ticks
    volume_lots: Lots


type MarketItem = Quote | MarketTrade | Bar
