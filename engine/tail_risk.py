"""What a book may lose on a bad day: value at risk and expected shortfall of what is held now, over the instruments' own returns.

Each return of the past is laid on the money that is at work now; that gives one profit or loss of the book for each closed bar,
scaled to one trading day by the square root of time. Historical figures are taken from those losses themselves, normal ones
from their standard deviation around no drift:

- value at risk, historical: the smallest loss that at least `confidence` of the losses do not exceed; normal: `z * sigma`.
- expected shortfall, historical: the mean of the worst `1 - confidence` of the losses, the one on the border counted in part
  (Acerbi and Tasche, "On the coherence of expected shortfall", 2002); normal: `sigma * phi(z) / (1 - confidence)`.

Stops are not taken into account: these figures say what the market does, heat what our stops do. Of the positions alone and of
the positions with every working entry the worse counts, since an entry that would make the book safer may never fill. What has
too few bars counts in full, as if all of it could be lost.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import ceil, floor, fsum, sqrt, sumprod
from statistics import NormalDist
from typing import NamedTuple
from zlib import crc32

from engine.correlation import common_stamp, returns_in_common
from engine.instruments import Instrument
from engine.market import MarketView
from engine.units import Minor

TAIL_RETURNS = 500
KEPT_TABLES = 16
HORIZON_DAYS = 1.0


class Returns(NamedTuple):
    """Returns in common by instrument, and `periods`, how many of their bars a trading day has (at least 1)."""

    rows: dict[str, list[float]]
    periods: float

    @property
    def length(self) -> int:
        return len(next(iter(self.rows.values()))) if self.rows else 0


class Tail(NamedTuple):
    """Losses of one trading day, in minor units and never below 0."""

    historical_var_minor: float
    normal_var_minor: float
    historical_shortfall_minor: float
    normal_shortfall_minor: float

    def with_more(self, minor: float) -> "Tail":
        return Tail(*(value + minor for value in self))

    def or_worse(self, other: "Tail") -> "Tail":
        return Tail(*(max(one, two) for one, two in zip(self, other, strict=True)))


NOTHING_LOST = Tail(0.0, 0.0, 0.0, 0.0)


class TailBook(NamedTuple):
    """A book as its tail sees it, and the returns of one instrument of which more may be bought or sold.

    `held` are the daily profits and losses of the positions alone, `working` those with every entry filled; `held_full_minor`
    and `working_full_minor` is the money that counts in full.
    """

    confidence: float
    held: Sequence[float]
    working: Sequence[float]
    held_full_minor: Minor
    working_full_minor: Minor
    along: Sequence[float] | None = None

    def tail(self, more_minor: Minor = 0) -> Tail:
        """The tail with so much more money (signed) in that instrument."""
        now = self._now()
        if not more_minor:
            return now
        if self.along is None:
            more = tail_of(self.working, self.confidence).with_more(self.working_full_minor + abs(more_minor))
        else:
            results = [value + more_minor * step for value, step in zip(self.working, self.along, strict=True)]
            more = tail_of(results, self.confidence).with_more(self.working_full_minor)
        return now.or_worse(more)

    def _now(self) -> Tail:
        held = tail_of(self.held, self.confidence).with_more(self.held_full_minor)
        return held.or_worse(tail_of(self.working, self.confidence).with_more(self.working_full_minor))


def tail_book(market: MarketView, work: Sequence[tuple[Instrument, Minor, bool]], confidence: float,
              more_in: Instrument | None = None) -> TailBook:
    """The book of some signed money by instrument (whether it only works yet comes third), before an entry of `more_in`."""
    held: dict[str, Minor] = {}
    working: dict[str, Minor] = {}
    instruments = {one.instrument_id: one for one, _, _ in work} | ({more_in.instrument_id: more_in} if more_in else {})
    for instrument, minor, is_working in work:
        key = instrument.instrument_id
        working[key] = working.get(key, 0) + minor
        if not is_working:
            held[key] = held.get(key, 0) + minor
    returns = returns_for(market, list(instruments.values()))
    along = returns.rows.get(more_in.instrument_id) if more_in else None
    scale = sqrt(HORIZON_DAYS * returns.periods)
    return TailBook(
        confidence, results_of(held, returns), results_of(working, returns), _in_full(held, returns), _in_full(working, returns),
        [scale * value for value in along] if along is not None else None)


def returns_for(market: MarketView, instruments: Sequence[Instrument]) -> Returns:
    """The returns that these instruments have in common; kept until all of them closed another bar."""
    wanted = tuple(sorted(one.instrument_id for one in instruments))
    slot = crc32("|".join(wanted).encode()) % KEPT_TABLES
    return market.remembered(("tail", slot), (wanted, common_stamp(market, wanted, TAIL_RETURNS)),
                             lambda: _measured(market, sorted(instruments, key=lambda one: one.instrument_id)))


def _measured(market: MarketView, instruments: Sequence[Instrument]) -> Returns:
    rows = returns_in_common(market, [one.instrument_id for one in instruments], TAIL_RETURNS)
    known = [one for one in instruments if one.instrument_id in rows]
    day_ns = max((one.trading_day_ns for one in known), default=0)
    lengths = [bar.close_ns - bar.open_ns for one in known for bar in market.bars(one.instrument_id, 1)]
    shortest_ns = min((length for length in lengths if length > 0), default=0)
    return Returns(rows, max(1.0, day_ns / shortest_ns) if shortest_ns else 1.0)


def results_of(money: dict[str, Minor], returns: Returns) -> list[float]:
    """The book's profits and losses of a trading day, one for each return; none where nothing is at work."""
    known = [(minor, returns.rows[key]) for key, minor in money.items() if minor and key in returns.rows]
    if not known:
        return [0.0] * returns.length
    weights = [float(minor) for minor, _ in known]
    scale = sqrt(HORIZON_DAYS * returns.periods)
    return [scale * sumprod(weights, column) for column in zip(*(row for _, row in known), strict=True)]


def _in_full(money: dict[str, Minor], returns: Returns) -> Minor:
    return sum(abs(minor) for key, minor in money.items() if key not in returns.rows)


# ---- the figures ---------------------------------------------------------------------------------------------------------------


def tail_of(results: Sequence[float], confidence: float) -> Tail:
    """Value at risk and expected shortfall of equally likely results, both ways."""
    if not results:
        return NOTHING_LOST
    worst_first = sorted(results)
    sigma = deviation(results)
    z, density = normal_factors(confidence)
    return Tail(historical_var(worst_first, confidence), z * sigma, historical_shortfall(worst_first, confidence),
                sigma * density / (1 - confidence))


def historical_var(worst_first: Sequence[float], confidence: float) -> float:
    """`inf{x : P(loss <= x) >= confidence}`, 0 where that is a profit."""
    beyond = floor(len(worst_first) * (1 - confidence) + 1e-9)
    return max(0.0, -worst_first[min(beyond, len(worst_first) - 1)])


def historical_shortfall(worst_first: Sequence[float], confidence: float) -> float:
    """The mean of the worst part of the results, as a loss; the result on the border counts as far as it belongs to the part."""
    part = len(worst_first) * (1 - confidence)
    whole = floor(part + 1e-9)
    total = fsum(worst_first[:whole])
    if part - whole > 1e-9:
        total += (part - whole) * worst_first[whole]
    return max(0.0, -total / part)


def deviation(results: Sequence[float]) -> float:
    """The standard deviation around the mean, over all but one."""
    count = len(results)
    mean = fsum(results) / count
    centred = [value - mean for value in results]
    return sqrt(sumprod(centred, centred) / (count - 1)) if count > 1 else 0.0


@lru_cache(maxsize=32)
def normal_factors(confidence: float) -> tuple[float, float]:
    """The normal quantile of a confidence, and the normal density there."""
    normal = NormalDist()
    z = normal.inv_cdf(confidence)
    return z, normal.pdf(z)


def in_minor(loss: float) -> Minor:
    """A loss in whole minor units, rounded up."""
    return ceil(loss)
