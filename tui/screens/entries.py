"""What people type into dialogs, read strictly: numbers, spans of time, trails. A wrong entry is told by field."""

import re
from decimal import Decimal, InvalidOperation

from engine.errors import UsageError
from engine.inputs import TrailSpec

_SPAN = re.compile(r"(\d+)\s*([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def number_entry(text: str, field: str) -> Decimal | None:
    """A positive number, None where nothing was typed. Raises `UsageError`."""
    text = text.strip().replace(",", "").replace("_", "")
    if not text:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise UsageError(f"{field}: {text!r} is not a number; write it like 1250.50") from None
    if not value.is_finite() or value <= 0:
        raise UsageError(f"{field}: must be above zero")
    return value


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
