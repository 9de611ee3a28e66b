"""Where the result of a decision came from: the market, the selection, the moment, the size, the way out, and the costs.

The parts of a position add up to its realised result to the minor unit. With side s, quantity q, the quantity u of one unit of
size, the mark m at the decision, the price e of the entry, the planned way out h (target, stop or the close of the horizon) and
the price x at which it ended:

    beta = s*u*m*b*r    selection = s*u*(h-m) - beta    timing = s*u*(m-e)    exit = s*u*(x-h)    sizing = s*(q-u)*(x-e)

r is the market's return from the decision to the planned way out, b the instrument's beta to it; costs are the fees. A report's
groups by strategy, instrument and regime are `engine.analytics.attribution`; these go by the kind of decision instead.
"""

from collections.abc import Sequence
from math import fsum
from typing import NamedTuple

import msgspec

from engine.units import Minor


class Kind(msgspec.Struct, frozen=True, order=True):
    """What decisions are compared by, within a portfolio. `event_type` and `regime` may be ""; `approval` is who let it through:
    person or rule."""

    portfolio: str
    stance: str
    analyst: str
    event_type: str = ""
    regime: str = ""
    approval: str = ""


class Taken(NamedTuple):
    """A decision that was acted on, from its mark to flat. Prices in currency; `realized_minor` is what the books say, before
    `fees_minor`; `unit_quantity` is that of one unit of size, the same risk for every decision."""

    kind: Kind
    side: int
    quantity: float
    unit_quantity: float
    mark_price: float
    entry_price: float
    planned_price: float
    exit_price: float
    market_return: float
    beta: float
    realized_minor: Minor
    fees_minor: Minor
    minor_exponent: int = 2


class Parts(msgspec.Struct, frozen=True):
    """Results in minor units by where they came from; they add up to `net_minor`."""

    beta_minor: Minor
    selection_minor: Minor
    timing_minor: Minor
    sizing_minor: Minor
    exit_minor: Minor
    cost_minor: Minor

    @property
    def net_minor(self) -> Minor:
        return self.beta_minor + self.selection_minor + self.timing_minor + self.sizing_minor + self.exit_minor + self.cost_minor


class KindResult(msgspec.Struct, frozen=True):
    """All positions of one kind of decision."""

    kind: Kind
    positions: int
    parts: Parts


class NotTaken(NamedTuple):
    """A proposal that was declined or expired: what it would have come to on paper in bps of equity, costs included, and whether
    a person had said no (else it expired)."""

    net_bps: float
    declined: bool


class HumanValue(msgspec.Struct, frozen=True):
    """What people added by saying no, in bps of equity: the losses that were avoided less the gains that were missed. None of
    these is a result that was booked."""

    declined: int
    avoided_bps: float
    missed_bps: float
    expired: int
    expired_bps: float

    @property
    def value_bps(self) -> float:
        return self.avoided_bps - self.missed_bps


def parts_of(taken: Taken) -> Parts:
    """The parts of one position. Each is rounded to the minor unit and what rounding leaves belongs to the selection."""
    scale = 10 ** taken.minor_exponent
    unit = taken.side * taken.unit_quantity * scale
    beta = round(unit * taken.mark_price * taken.beta * taken.market_return)
    timing = round(unit * (taken.mark_price - taken.entry_price))
    leaving = round(unit * (taken.exit_price - taken.planned_price))
    extra = taken.side * (taken.quantity - taken.unit_quantity) * scale
    sizing = round(extra * (taken.exit_price - taken.entry_price))
    selection = taken.realized_minor - beta - timing - leaving - sizing
    return Parts(beta, selection, timing, sizing, leaving, -taken.fees_minor)


def by_kind(positions: Sequence[Taken]) -> tuple[KindResult, ...]:
    """The positions by kind of decision, the largest result first."""
    groups: dict[Kind, list[Parts]] = {}
    for one in positions:
        groups.setdefault(one.kind, []).append(parts_of(one))
    found = [KindResult(kind, len(own), total(own)) for kind, own in groups.items()]
    return tuple(sorted(found, key=lambda one: (-one.parts.net_minor, one.kind)))


def total(parts: Sequence[Parts]) -> Parts:
    """The sum of some parts."""
    return Parts(*(sum(getattr(one, name) for one in parts) for name in Parts.__struct_fields__))


def human_value(not_taken: Sequence[NotTaken]) -> HumanValue:
    """What declining was worth, and beside it what only expired."""
    declined = [one.net_bps for one in not_taken if one.declined]
    expired = [one.net_bps for one in not_taken if not one.declined]
    return HumanValue(len(declined), -fsum(net for net in declined if net < 0), fsum(net for net in declined if net > 0),
                      len(expired), fsum(expired))


def paper_bps(side: int, return_bps: float, won: int | None, target_bps: float, stop_bps: float, cost_bps: float) -> float:
    """What a position that was never taken would have come to, in bps of its notional after costs: target and stop as they were
    touched, else the close of the horizon."""
    held = side * return_bps - cost_bps
    if won == 0 and held > 0:
        return -(stop_bps + cost_bps)
    if won == 1 and held <= 0:
        return target_bps - cost_bps
    return min(target_bps - cost_bps, max(-(stop_bps + cost_bps), held))


def beta_of(returns: Sequence[float], market_returns: Sequence[float]) -> float:
    """The covariance with the market over its variance; 1 where there is too little to tell."""
    count = len(returns)
    if count < 20 or count != len(market_returns):
        return 1.0
    own, market = fsum(returns) / count, fsum(market_returns) / count
    variance = fsum((one - market) ** 2 for one in market_returns)
    if variance <= 0:
        return 1.0
    return fsum((a - own) * (b - market) for a, b in zip(returns, market_returns, strict=True)) / variance
