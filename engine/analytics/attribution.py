"""Results by what they have in common: strategy, instrument, who decided, why it ended, the market's regime."""

from collections.abc import Callable, Sequence
from decimal import Decimal

from engine.analytics import measures
from engine.analytics.records import FillRecord, Track, TripRecord
from engine.performance_words import GroupingView, GroupView

_TRIPS: dict[str, Callable[[TripRecord], str]] = {
    "strategy": lambda trip: trip.strategy, "instrument": lambda trip: trip.symbol, "decision": lambda trip: trip.decision,
    "exit reason": lambda trip: trip.exit_reason, "regime": lambda trip: trip.regime,
}
_FILLS: dict[str, Callable[[FillRecord], str]] = {
    "strategy": lambda fill: fill.strategy, "instrument": lambda fill: fill.symbol, "decision": lambda fill: fill.decision,
}


def groupings(track: Track) -> tuple[GroupingView, ...]:
    """The round trips by everything they can be told apart by; a way in which none has a name is left out."""
    found = []
    for by, name_of in _TRIPS.items():
        if not track.trips or not any(name_of(trip) for trip in track.trips):
            continue
        rows = _rows(track, name_of, _FILLS.get(by))
        found.append(GroupingView(by, tuple(sorted(rows, key=lambda row: (-row.net, row.name)))))
    return tuple(found)


def _rows(track: Track, trip_name: Callable[[TripRecord], str], fill_name: Callable[[FillRecord], str] | None) -> list[GroupView]:
    trips: dict[str, list[TripRecord]] = {}
    for trip in track.trips:
        trips.setdefault(trip_name(trip) or "unknown", []).append(trip)
    fills: dict[str, list[FillRecord]] = {}
    for fill in track.fills if fill_name else ():
        fills.setdefault(fill_name(fill) if fill_name else "", []).append(fill)
    names = dict.fromkeys((*trips, *fills))
    return [_row(track, name, trips.get(name, []), fills.get(name, []), costed=fill_name is not None) for name in names]


def _row(track: Track, name: str, trips: Sequence[TripRecord], fills: Sequence[FillRecord], *, costed: bool) -> GroupView:
    """Fees are those of the fills where these can be told apart in this way, else those of the round trips."""
    wins, factor, mean = measures.win_rate(trips), measures.profit_factor(trips), measures.expectancy_minor(trips)
    cost = measures.costs(fills)
    fees = cost.fees_minor if costed and track.fills else sum(trip.fees_minor for trip in trips)
    return GroupView(
        name=name, round_trips=len(trips), win_percent=None if wins.value is None else 100 * wins.value,
        net=_money(track, sum(trip.net_minor for trip in trips)),
        mean=None if mean.value is None else _money(track, mean.value), profit_factor=factor.value, fees=_money(track, fees),
        slippage=_money(track, cost.slippage_minor) if cost.known_fills else None)


def _money(track: Track, minor: float) -> Decimal:
    return Decimal(round(minor)).scaleb(-track.minor_exponent)
