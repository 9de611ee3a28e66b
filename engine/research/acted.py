"""From decisions that were acted on, or were not, to what attribution, human value and the cost model are made from."""

from collections.abc import Sequence
from decimal import Decimal
from math import fsum
from statistics import median
from typing import NamedTuple

from engine.analytics.records import TripRecord
from engine.research.attribution import Kind, NotTaken, Taken, by_kind, human_value, paper_bps
from engine.research.opinions import Stance
from engine.research.proposed_changes import CostSeen
from engine.research_state import SealedDecision
from engine.research_words import AttributionView, HumanView
from engine.trading_hours import NS_PER_DAY
from engine.units import Nanoseconds

BPS = 10_000
SIDES = {Stance.LONG: 1, Stance.SHORT: -1}
LEAST_MARKET = 3
BY_RULE = "auto_execute"


class Acted(NamedTuple):
    """A sealed decision, the round trip that its entry began (None: none, or it has not ended) with what its fills slipped, and
    the decimals of its money. `was_declined` and `has_expired` tell what became of its proposal."""

    sealed: SealedDecision
    trip: TripRecord | None = None
    slippage_minor: int | None = None
    minor_exponent: int = 2
    was_declined: bool = False
    has_expired: bool = False


class Results(NamedTuple):
    """What the learning looks at beside forecasts."""

    taken: tuple[Taken, ...] = ()
    not_taken: tuple[NotTaken, ...] = ()
    costs: tuple[CostSeen, ...] = ()


def results_of(decisions: Sequence[Acted]) -> Results:
    """The results of all decisions whose forecast has been resolved; the others come later."""
    known = [one for one in decisions if one.sealed.outcome is not None and one.sealed.decided.worth is not None]
    markets = _markets(known)
    ended = [one for one in known if one.trip is not None and one.sealed.decided.stance in SIDES]
    unit_bps = median(_risk_bps(one) for one in ended) if ended else 0.0
    return Results(tuple(_taken(one, unit_bps, markets) for one in ended),
                   tuple(paper for one in known if (paper := _not_taken(one)) is not None),
                   tuple(cost for one in ended if (cost := _cost(one)) is not None))


def costs_since(results: Results, applied_ns: Nanoseconds) -> Results:
    """The results with the costs of decisions that were made under the slippage in use: what was expected before would ask for
    the same change again and again."""
    return results._replace(costs=tuple(cost for cost in results.costs if cost.decided_ns > applied_ns))


def _risk_bps(one: Acted) -> float:
    worth = one.sealed.decided.worth
    return worth.risk_bps if worth is not None and worth.risk_bps > 0 else 1.0


def _markets(known: Sequence[Acted]) -> dict[tuple[int, int], float]:
    """The market's return by day and horizon: the mean of all instruments that were looked into, of three or more."""
    groups: dict[tuple[int, int], dict[str, float]] = {}
    for one in known:
        outcome = one.sealed.outcome
        if outcome is not None and outcome.return_bps is not None:
            groups.setdefault(_when(one), {})[one.sealed.decided.instrument_id] = outcome.return_bps / BPS
    return {when: fsum(own.values()) / len(own) for when, own in groups.items() if len(own) >= LEAST_MARKET}


def _when(one: Acted) -> tuple[int, int]:
    return one.sealed.decided.as_of_ns // NS_PER_DAY, one.sealed.decided.horizon_days


def _taken(one: Acted, unit_bps: float, markets: dict[tuple[int, int], float]) -> Taken:
    decided, outcome, trip = one.sealed.decided, one.sealed.outcome, one.trip
    assert trip is not None
    assert outcome is not None
    mark = float(decided.ref_mark)
    planned = trip.exit_price if outcome.return_bps is None else mark * (1 + outcome.return_bps / BPS)
    kind = Kind(decided.portfolio, decided.stance.value, decided.analyst, decided.event_tags[0] if decided.event_tags else "",
                decided.regime, "rule" if one.sealed.acts_as == BY_RULE else "person")
    return Taken(kind, trip.side, trip.quantity, trip.quantity * unit_bps / _risk_bps(one), mark, trip.entry_price, planned,
                 trip.exit_price, markets.get(_when(one), 0.0), 1.0, trip.realized_minor, trip.fees_minor, one.minor_exponent)


def _not_taken(one: Acted) -> NotTaken | None:
    decided, outcome = one.sealed.decided, one.sealed.outcome
    worth, side = decided.worth, SIDES.get(decided.stance)
    if not (one.was_declined or one.has_expired) or side is None or worth is None:
        return None
    if outcome is None or outcome.return_bps is None:
        return None
    distance = decided.stop_bps + worth.cost_bps
    notional = worth.risk_bps / distance if distance > 0 else 0.0
    net = notional * paper_bps(side, outcome.return_bps, outcome.won, decided.target_bps, decided.stop_bps, worth.cost_bps)
    return NotTaken(net, declined=one.was_declined)


def _cost(one: Acted) -> CostSeen | None:
    """What a round trip cost beside what was expected, in bps of its entry; None where its slippage is not known."""
    trip, worth = one.trip, one.sealed.decided.worth
    notional_minor = 0.0 if trip is None else trip.entry_price * trip.quantity * 10 ** one.minor_exponent
    if trip is None or worth is None or one.slippage_minor is None or notional_minor <= 0:
        return None
    return CostSeen(trip.closed_at_ns, worth.cost_bps, BPS * (trip.fees_minor + one.slippage_minor) / notional_minor,
                    one.sealed.decided.as_of_ns)


# ---- as it is shown --------------------------------------------------------------------------------------------------------


def attribution_of(results: Results) -> tuple[AttributionView, ...]:
    """The positions by kind of decision, the largest result first; each portfolio's money has the same decimals."""
    exponents = {one.kind.portfolio: one.minor_exponent for one in results.taken}
    found = []
    for row in by_kind(results.taken):
        kind, parts = row.kind, row.parts
        net, beta, selection, timing, sizing, leaving, cost = (
            Decimal(minor).scaleb(-exponents[kind.portfolio]) for minor in (
                parts.net_minor, parts.beta_minor, parts.selection_minor, parts.timing_minor, parts.sizing_minor,
                parts.exit_minor, parts.cost_minor))
        found.append(AttributionView(kind.portfolio, kind.stance, kind.analyst, kind.event_type, kind.regime, kind.approval,
                                     row.positions, net, beta, selection, timing, sizing, leaving, cost))
    return tuple(found)


def human_of(results: Results) -> HumanView | None:
    """What saying no was worth; None where nobody ever had to."""
    if not results.not_taken:
        return None
    found = human_value(results.not_taken)
    return HumanView(found.declined, found.avoided_bps, found.missed_bps, found.value_bps, found.expired, found.expired_bps)
