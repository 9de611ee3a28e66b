"""How the local Alpaca writes: ids, times, numbers, refusals."""

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from engine.units import NS_PER_SECOND

SPACE = uuid.UUID("5f0f3c1e-0d3c-4b7a-9f5e-6f9b8c7d6e5f")

type Answer = tuple[int, Any]


def asset_id_of(symbol: str) -> str:
    return str(uuid.uuid5(SPACE, f"asset {symbol}"))


def stamp(at_ns: int) -> str:
    """A time as the venue writes it, with its nanoseconds."""
    seconds, rest = divmod(at_ns, NS_PER_SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def text(number: Decimal) -> str:
    return format(number.normalize(), "f")


def error(status: int, message: str, code: int = 0) -> Answer:
    return status, {"code": code or status * 100_000, "message": message}
