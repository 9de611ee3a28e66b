"""ccxt's numbers, exactly: what it parsed as a float was written as a decimal, and the shortest text of it is that."""

from decimal import Decimal
from typing import Any

NS_PER_MS = 1_000_000


def exact(value: Any) -> Decimal | None:
    """A number of ccxt as a decimal, None where it is missing or not finite."""
    if value is None or value == "":
        return None
    number = value if isinstance(value, Decimal) else Decimal(str(value))
    return number if number.is_finite() else None


def exact_or_zero(value: Any) -> Decimal:
    return exact(value) or Decimal(0)


def ns_of(milliseconds: Any) -> int:
    """A time of ccxt in nanoseconds, 0 where it is missing."""
    return int(milliseconds) * NS_PER_MS if milliseconds else 0


def plain(value: Decimal) -> str:
    """A decimal without an exponent."""
    return f"{value.normalize():f}"
