"""What a file's name says of its instrument: symbol, currencies, asset class and the length of its bars."""

import re
from pathlib import Path
from typing import NamedTuple

from engine.instruments import AssetClass

SUFFIXES = (".gz", ".csv", ".parquet", ".pq", ".txt")
QUOTES = ("USDT", "USDC", "FDUSD", "BUSD", "USD", "EUR", "GBP", "JPY", "CHF", "BTC", "ETH", "BNB", "TRY")
EXPONENTS = {"USD": 2, "EUR": 2, "GBP": 2, "CHF": 2, "TRY": 2, "JPY": 0, "USDT": 6, "USDC": 6, "FDUSD": 6, "BUSD": 6}
PAIR = re.compile(r"^([A-Za-z0-9]{1,10})[-_/]?(" + "|".join(QUOTES) + r")(?:$|[-_. ])", re.IGNORECASE)
SEPARATED_PAIR = re.compile(r"^([A-Za-z0-9]{1,10})[-_/](" + "|".join(QUOTES) + r")(?:$|[-_. ])", re.IGNORECASE)
STOCK = re.compile(r"^([A-Za-z][A-Za-z0-9.]{0,9})(?:$|[-_ ])")
LENGTH = re.compile(r"[-_. ](\d{1,4})\s*(s|sec|m|min|h|hour|d|day|w|week)(?:$|[-_. ])", re.IGNORECASE)
SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3_600, "hour": 3_600, "d": 86_400, "day": 86_400,
           "w": 604_800, "week": 604_800}


class NamedInstrument(NamedTuple):
    """What the name gives; `bar_seconds` 0 where it does not say."""

    symbol: str
    base_currency: str
    quote_currency: str
    asset_class: AssetClass
    bar_seconds: int


def named_instrument(path: Path, symbol: str | None = None) -> NamedInstrument | None:
    """Read a file's name, or a symbol given instead of it; None where no symbol can be seen."""
    stem = path.name
    while Path(stem).suffix.lower() in SUFFIXES:
        stem = Path(stem).stem
    length = LENGTH.search(stem)
    bar_seconds = int(length.group(1)) * SECONDS[length.group(2).lower()] if length else 0
    text = symbol or stem
    pair = SEPARATED_PAIR.match(text) or _glued_pair(text)
    if pair:
        base, quote = pair.group(1).upper(), pair.group(2).upper()
        return NamedInstrument(symbol or f"{base}/{quote}", base, quote, AssetClass.CRYPTO, bar_seconds)
    stock = STOCK.match(text)
    if stock is None:
        return None
    name = stock.group(1).upper()
    return NamedInstrument(symbol or name, name, "USD", AssetClass.EQUITY, bar_seconds)


def _glued_pair(text: str) -> re.Match[str] | None:
    """BTCUSDT and the like: six letters or more, so that no share is taken for a pair."""
    pair = PAIR.match(text)
    return pair if pair and len(pair.group(1)) >= 3 else None


def minor_exponent_of(currency: str) -> int:
    """Decimal places of a currency's smallest unit; coins count in hundred-millionths."""
    return EXPONENTS.get(currency, 8)
