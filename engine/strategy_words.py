"""What is told of strategies: whether each runs, what it holds, its last want and why nothing came of it."""

from decimal import Decimal

import msgspec


class StrategyLine(msgspec.Struct, frozen=True):
    """A strategy on one of its instruments. `quantity` is signed, 0 when flat; `waiting` is an entry that is on its way or
    waits for an answer; `refusal` is why nothing came of the last want."""

    symbol: str
    instrument_id: str
    bars: int
    quantity: Decimal
    entry: Decimal | None
    waiting: str
    want: str
    want_at_ns: int
    refusal: str


class RegimeView(msgspec.Struct, frozen=True):
    """An instrument's regime of a day (days since 1970-01-01): `trend` is "trend up", "trend down" or "range", `volatility`
    "calm", "normal" or "wild"; `size_percent` is the part of its usual size that an entry has."""

    symbol: str
    instrument_id: str
    day: int
    trend: str
    volatility: str
    efficiency: float
    volatility_ratio: float
    size_percent: float


class StrategyView(msgspec.Struct, frozen=True):
    """A strategy of the configuration. `note` says who switched it and why, or what keeps it from running. `bar_seconds` is
    the length of the bars that its rule sees, 0 for those of the feed. `problem` says why it cannot run: then it is off, whatever
    anybody switched."""

    name: str
    rule: str
    portfolio: str
    symbols: tuple[str, ...]
    params: dict[str, int | float]
    warmup_bars: int
    enabled: bool
    note: str
    lines: tuple[StrategyLine, ...]
    bar_seconds: int = 0
    problem: str = ""
