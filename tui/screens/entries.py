"""What people type into dialogs, read strictly: numbers, spans of time, trails. A wrong entry is told by field."""

import re
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from engine.errors import UsageError
from engine.inputs import SizeSpec, TrailSpec
from tui.commands.parsing import edge_of, percent_of, positive, sane, ungrouped

_SPAN = re.compile(r"(\d{1,12})\s*([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def number_entry(text: str, field: str) -> Decimal | None:
    """A positive number, None where nothing was typed. Raises `UsageError`."""
    text = ungrouped(text, field)
    if not text:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise UsageError(f"{field}: {text!r} is not a number; write it like 1250.50") from None
    if not value.is_finite() or value <= 0:
        raise UsageError(f"{field}: must be above zero")
    return sane(value, field)


# How an order may be sized: the word of the choice, and what is typed then.
SIZES = {"quantity": "how much", "risk": "1% or 50bp of equity", "risk by ATR": "1% 2  (risk, ranges)",
         "volatility": "15% of equity a year", "edge": "0.55 1.5 80", "largest": "all that the limits allow"}


class SizeEntry(NamedTuple):
    """A size as an order takes it: exactly one of a quantity, a risk in percent of equity, and a way of `size`."""

    quantity: Decimal | None = None
    risk_percent: Decimal | None = None
    size: SizeSpec | None = None


def size_entry(way: str, text: str) -> SizeEntry:
    """What was typed, by the way of sizing that was chosen. Raises `UsageError`."""
    text = text.strip()
    if way == "largest":
        return SizeEntry(size=SizeSpec(largest=True))
    if not text:
        raise UsageError(f"{way}: type {SIZES[way]}")
    if way == "risk":
        return SizeEntry(risk_percent=percent_of(text, way))
    if way == "risk by ATR":
        parts = text.lower().removesuffix("atr").split()
        if len(parts) != 2:
            raise UsageError(f"{way}: type the risk and how many average ranges, such as 1% 2")
        return SizeEntry(risk_percent=percent_of(parts[0], way), size=SizeSpec(atr=positive(parts[1], way)))
    if way == "volatility":
        return SizeEntry(size=SizeSpec(volatility_percent=positive(text.removesuffix("%").strip(), way)))
    if way == "edge":
        return SizeEntry(size=SizeSpec(edge=edge_of(text, way)))
    return SizeEntry(quantity=number_entry(text, way))


def span_entry(text: str, field: str) -> int | None:
    """A span of time in seconds, such as `90m`, `2h`, `1d 12h`; None where nothing was typed. Raises `UsageError`."""
    text = text.strip().lower()
    if not text:
        return None
    if not re.fullmatch(rf"(?:{_SPAN.pattern}\s*)+", text):
        raise UsageError(f"{field}: {text!r} is not a span of time; write it like 90m, 2h or 1d 12h")
    seconds = sum(int(count) * _SECONDS[unit] for count, unit in _SPAN.findall(text))
    if seconds <= 0:
        raise UsageError(f"{field}: must be longer than nothing")
    return seconds


def trail_entry(text: str, field: str) -> TrailSpec | None:
    """A trailing stop: `2%`, `1.5atr`, or a price offset such as `50`; None where nothing was typed."""
    text = text.strip().lower()
    if text.endswith("%"):
        return TrailSpec(percent=_needed(text[:-1], field))
    if text.endswith("atr"):
        return TrailSpec(atr=_needed(text[:-3], field))
    price = number_entry(text, field)
    return TrailSpec(price=price) if price is not None else None


def _needed(text: str, field: str) -> Decimal:
    value = number_entry(text, field)
    if value is None:
        raise UsageError(f"{field}: a number is missing; write it like 2% or 1.5atr")
    return value
