"""What a portfolio aims at: how its money is to be split, how far it may drift, and what is journaled of a rebalancing.

Fractions are parts of the money at the targets' disposal: the portfolio's equity less what it holds in other instruments.
"""

from decimal import Decimal
from enum import StrEnum

import msgspec

from engine.units import Lots, Nanoseconds

REBALANCE = "rebalance"
"""The origin of a rebalancing's orders, and the strategy of the positions that they open."""


class TargetMethod(StrEnum):
    """How the weights are found; all but `user` from the closed bars that the instruments have in common."""

    EQUAL = "equal"
    INVERSE_VOLATILITY = "inverse_volatility"
    RISK_PARITY = "risk_parity"
    USER = "user"


class TargetSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """The targets of a portfolio; a symbol has the weight that the method gives it, brought within its bounds.

    `weights` are those of the method `user`; `least` and `most` are bounds of single symbols, the fractions of that name those
    of all others. `cash_fraction` is left uninvested. An asset is rebalanced once it is further from its target than the band,
    or than the relative band times its target (0: that band is off). An order below `min_order` in money is not sent; all orders
    of a run together are worth at most `max_turnover_fraction` (0: off). Every entry comes with a stop `stop_fraction` away,
    which trails the best price where `stop_trails`; with 0 there is none, which `require_stop` must allow. What was stopped out
    is not bought again for `reentry_days`.
    """

    method: TargetMethod
    symbols: tuple[str, ...]
    weights: dict[str, float] = {}
    cash_fraction: float = 0.02
    least_fraction: float = 0.0
    most_fraction: float = 1.0
    least: dict[str, float] = {}
    most: dict[str, float] = {}
    lookback_bars: int = 120
    drift_band_fraction: float = 0.05
    relative_band_fraction: float = 0.25
    min_order: Decimal = Decimal(0)
    max_turnover_fraction: float = 0.0
    stop_fraction: float = 0.2
    stop_trails: bool = True
    reentry_days: float = 20.0

    def least_of(self, symbol: str) -> float:
        return self.least.get(symbol, self.least_fraction)

    def most_of(self, symbol: str) -> float:
        return self.most.get(symbol, self.most_fraction)

    @property
    def invested_fraction(self) -> float:
        """The part that is to be at work."""
        room = 1.0 - self.cash_fraction
        return min(room, sum(self.weights.values())) if self.method is TargetMethod.USER else room


class Rebalance(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """Bring a portfolio back to its targets now; a person's word is its own approval, a `scheduled` run's entries wait for one
    unless the portfolio executes by itself."""

    command_id: str
    portfolio: str = "main"
    scheduled: bool = False
    by: str = "user"


class RebalanceLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One instrument of a run as it was decided: its target and actual part, and the signed lots that it takes."""

    instrument_id: str
    target_fraction: float
    actual_fraction: float
    change_lots: Lots


class RebalanceRun(msgspec.Struct, frozen=True, omit_defaults=True):
    """The newest run of a portfolio: reductions go out with its start, entries once these are done, then it ends.

    `asks` where its entries wait for a person; `ended_at_ns` is 0 while it is at work; `waits` says
    what is missing before anything can be decided.
    """

    run_id: str
    by: str
    asks: bool
    lines: tuple[RebalanceLine, ...]
    started_at_ns: Nanoseconds
    ended_at_ns: Nanoseconds = 0
    outcome: str = ""
    waits: str = ""

    @property
    def at_work(self) -> bool:
        return not self.ended_at_ns
