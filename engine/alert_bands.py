"""The quiet bands of alert rules: while an instrument's quote stays inside a rule's band, the rule has nothing to say.

A band is made when a rule was looked at, from the very numbers that the look depended on, and kept beside the market picture,
never journaled: without it every quote would be looked at, with the same outcome. It errs on the side of asking.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple, cast

from engine.alert_rules import AlertRuleState
from engine.positions import Position
from engine.service import AlertRuleView

SPREAD_PARTS = 20_000  # bid + ask is twice the price, and a spread is told in hundredths of a percent of it


class Band(NamedTuple):
    """Half-open ranges, `low <= value < high`, of twice the price, bid and ask in ticks and of the spread in bps.

    It holds for exactly this `known` rule and, where `position_key` is set, this position. `plain` bands bound the price alone.
    """

    known: AlertRuleState
    low: float = -math.inf
    high: float = math.inf
    plain: bool = True
    low_bid: float = -math.inf
    high_bid: float = math.inf
    low_ask: float = -math.inf
    high_ask: float = math.inf
    low_spread: float = -math.inf
    high_spread: float = math.inf
    position_key: str = ""
    position: Position | None = None


class AlertMemo:
    """What watching the rules keeps between inputs: bands by instrument and rule, costly views of closed bars, and which rules
    only their cool-down keeps from firing."""

    def __init__(self) -> None:
        self.bands: dict[str, dict[str, Band]] = {}
        self.rule_views: dict[str, tuple[AlertRuleState, AlertRuleView]] = {}
        self.held_back: dict[str, None] = {}
        self._views: dict[Hashable, tuple[Hashable, object]] = {}

    def put(self, instrument_id: str, rule_id: str, band: Band) -> None:
        self.bands.setdefault(instrument_id, {})[rule_id] = band

    def drop(self, instrument_ids: Sequence[str], rule_id: str) -> None:
        """Forget a rule's bands: the next quote is looked at."""
        for instrument_id in instrument_ids:
            self.bands.get(instrument_id, {}).pop(rule_id, None)

    def forget_views(self) -> None:
        """Forget the views of bars: other rules ask for other ones."""
        self._views.clear()

    def remembered[T](self, key: Hashable, stamp: Hashable, work: Callable[[], T]) -> T:
        """What `work` gave for this key, worked out again once the stamp has changed."""
        known = self._views.get(key)
        if known is None or known[0] != stamp:
            known = self._views[key] = (stamp, work())
        return cast("T", known[1])


def spread_bps(bid: int, ask: int) -> float:
    """The spread in hundredths of a percent of the price."""
    return (ask - bid) * SPREAD_PARTS / (bid + ask)


def asking(index: tuple[str, ...], rules: dict[str, AlertRuleState], positions: dict[str, Position], bands: dict[str, Band],
           bid: int, ask: int) -> tuple[str, ...]:
    """The rules of an instrument that have to be looked at because of a quote: those outside their band, or without one."""
    middle2 = bid + ask
    found: list[str] | None = None
    for rule_id in index:
        band = bands.get(rule_id)
        if band is None or band.known is not rules[rule_id] or not band.low <= middle2 < band.high \
                or not (band.plain or _inside(band, positions, bid, ask)):
            if found is None:
                found = []
            found.append(rule_id)
    return () if found is None else tuple(found)


def _inside(band: Band, positions: dict[str, Position], bid: int, ask: int) -> bool:
    return (band.low_bid <= bid < band.high_bid and band.low_ask <= ask < band.high_ask
            and band.low_spread <= spread_bps(bid, ask) < band.high_spread
            and (not band.position_key or positions.get(band.position_key) is band.position))
