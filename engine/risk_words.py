"""What a portfolio risks, as the surfaces are told it: part of the vocabulary of `engine.service`, which offers these names."""

from decimal import Decimal
from enum import StrEnum

import msgspec


class BrakeLevel(StrEnum):
    """What a brake allows: orders of the usual size, smaller ones, reductions only, or nothing until a person acts.
    STOPPED holds one strategy back and leaves the portfolio as it is."""

    NONE = "NONE"
    STOPPED = "STOPPED"
    SMALLER = "SMALLER"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class HeatView(msgspec.Struct, frozen=True):
    """One open risk and what it is made of: the way to the stop, the allowance for a gap, the fee of leaving.

    `client_order_id` is empty for a position; `status` is `position` or the order's status.
    """

    symbol: str
    instrument_id: str
    client_order_id: str
    status: str
    side: str
    quantity: Decimal
    price: Decimal
    stop: Decimal | None
    risk: Decimal
    risk_percent: float
    distance: Decimal
    gap: Decimal
    fee: Decimal
    bucket: str


class ShareView(msgspec.Struct, frozen=True):
    """A sector, an asset class or a bucket: what is at work in it, and its heat, in percent of equity."""

    kind: str
    name: str
    gross_percent: float
    heat_percent: float


class LimitView(msgspec.Struct, frozen=True):
    """One limit: what it allows, what of it is used (0 to 1 and more, None where that means nothing), and where it comes from."""

    name: str
    value: str
    used: str
    used_fraction: float | None
    source: str
    about: str


class BrakeView(msgspec.Struct, frozen=True):
    """One brake: its level, why and since when, from which equity it is measured, and who let it go last."""

    name: str
    level: BrakeLevel
    cause: str
    baseline: Decimal
    equity: Decimal
    at_ns: int
    until_ns: int
    released_by: str
    released_at_ns: int
    release_cause: str


class TailView(msgspec.Struct, frozen=True):
    """What the book as it is held now would have lost on its instruments' own returns, in percent of equity.

    Value at risk and expected shortfall over `horizon_days` trading days at `confidence_percent`: historical, from the
    `returns` themselves, and normal, from their deviation. Stops are not taken into account. `in_full_percent` is the money in
    instruments with too few bars: it is part of each of the four, as if it could all be lost.
    """

    confidence_percent: float
    horizon_days: float
    returns: int
    historical_var_percent: float
    normal_var_percent: float
    historical_shortfall_percent: float
    normal_shortfall_percent: float
    in_full_percent: float


class CorrelationView(msgspec.Struct, frozen=True):
    """The shrunk correlation of returns between the instruments at risk, in the rows' order; -1 to 1, 1 on the diagonal."""

    symbols: tuple[str, ...]
    matrix: tuple[tuple[float, ...], ...]
    unknown: tuple[str, ...] = ()


class BudgetView(msgspec.Struct, frozen=True):
    """What a strategy uses of its portfolio: money at work against its capital, heat against its budget (None: it has none).

    `used_percent` is of the capital, of the equity where it has none; both heats are percents of equity.
    """

    strategy: str
    work: Decimal
    capital: Decimal | None
    compounds: bool
    used_percent: float
    heat_percent: float
    heat_limit_percent: float | None


class RiskView(msgspec.Struct, frozen=True):
    """What a portfolio risks and how much of its limits is used; percents are of equity.

    `correlated_heat_percent` takes the shrunk correlation of `correlation_returns` returns into account (0: too few bars).
    `size_percent` is what the brakes leave of the usual size of an order.
    """

    portfolio: str
    tolerance: str
    currency: str
    money_decimals: int
    equity: Decimal
    high_water: Decimal | None
    heat_percent: float
    heat_limit_percent: float
    correlated_heat_percent: float
    correlation_returns: int
    correlation_shrinkage: float
    gross_percent: float
    net_percent: float
    size_percent: float
    losing_streak: int
    lines: tuple[HeatView, ...]
    shares: tuple[ShareView, ...]
    limits: tuple[LimitView, ...]
    brakes: tuple[BrakeView, ...]
    tail: TailView | None = None
    correlations: CorrelationView | None = None
    budgets: tuple[BudgetView, ...] = ()
