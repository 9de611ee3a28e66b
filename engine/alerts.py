"""Alert rules held against state and market: pure. What holds, what has changed sides, and within which quotes that stays so.

Truth has three values: true, false, and not known (no quote yet in this run, too few bars, equity without a price for every
position). What is not known neither fires a rule nor readies one that has fired.

The price of a rule is the middle of bid and ask, kept as twice the middle so that it stays a whole number of ticks.
"""

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from engine.alert_bands import Band, spread_bps
from engine.alert_rules import (
    AlertRuleState,
    AllOf,
    Comparison,
    Condition,
    Measure,
    OrderAction,
    Term,
    Unit,
)
from engine.alert_text import term_text
from engine.alert_values import (
    Facts,
    atr_ticks,
    connection_truth,
    ema_ticks,
    mark_of,
    position_of,
    reference_ticks,
    unit_minor,
    value_of,
    value_text,
)
from engine.inputs import Connectivity
from engine.market import Mark
from engine.positions import position_key
from engine.service import AlertReading
from engine.state import State

BPS = 10_000
_EASIER_BELOW = frozenset({Comparison.ABOVE, Comparison.AT_LEAST, Comparison.CROSSES_ABOVE})
_MIRRORED = {Comparison.ABOVE: Comparison.BELOW, Comparison.AT_LEAST: Comparison.AT_MOST,
             Comparison.BELOW: Comparison.ABOVE, Comparison.AT_MOST: Comparison.AT_LEAST}


class Cut(NamedTuple):
    """A comparison solved for what a quote says: true where the observed value is at least `at`, or the other way round."""

    observed: str
    at: float
    inverted: bool = False

    def holds(self, value: float) -> bool:
        return (value >= self.at) is not self.inverted


class Verdict(NamedTuple):
    """What a look at a rule found: whether its condition holds, and on which side of each crossing's level the price is.

    A rule that is armed is looked at as asked; one that has fired with every level made easier by its hysteresis, and must not
    hold so before it is ready again.
    """

    holds: bool | None
    sides: tuple[int, ...]


def waits_for_venue(state: State, known: AlertRuleState) -> bool:
    """A rule with an order looks at nothing before the venue has been asked: it would fire into a closed door."""
    if not any(isinstance(action, OrderAction) for action in known.rule.actions):
        return False
    account = state.account_of(known.rule.portfolio)
    return account.connectivity is not Connectivity.LIVE or not account.funded


def judge(facts: Facts, known: AlertRuleState) -> Verdict:
    """Look at a rule with the newest facts; a crossing holds only at its moment."""
    slack_bps = 0 if known.armed else known.rule.hysteresis_bps
    truths: list[bool | None] = []
    sides: list[int] = []
    for term in known.rule.terms:
        if not term.crosses:
            truths.append(truth_of(facts, known, term, slack_bps))
            continue
        before = known.sides[len(sides)] if len(sides) < len(known.sides) else 0
        side = _side_now(facts, known, term, before)
        crossed = before == -side != 0 and side == (1 if term.comparison is Comparison.CROSSES_ABOVE else -1)
        sides.append(side)
        truths.append(None if not side or mark_of(facts, known.instruments.get(term.symbol, "")) is None else crossed)
    return Verdict(_decided(known.rule.condition, iter(truths)), tuple(sides))


def is_over(facts: Facts, known: AlertRuleState) -> bool:
    """Whether a condition that has just fired is over at once, because the moment of a crossing was all that made it hold."""
    truths = (False if term.crosses else truth_of(facts, known, term, known.rule.hysteresis_bps) for term in known.rule.terms)
    return _decided(known.rule.condition, iter(list(truths))) is False


def _decided(condition: Condition, truths: Iterator[bool | None]) -> bool | None:
    """A tree's truth from those of its comparisons, in the order of its text."""
    if isinstance(condition, Term):
        return next(truths)
    parts = [_decided(part, truths) for part in condition.parts]
    deciding = not isinstance(condition, AllOf)
    if deciding in parts:
        return deciding
    return None if None in parts else not deciding


# ---- one comparison ------------------------------------------------------------------------------------------------------


def truth_of(facts: Facts, known: AlertRuleState, term: Term, slack_bps: int) -> bool | None:
    """Whether a comparison holds, made easier by a part of its level."""
    cut = cut_of(facts, known, term, slack_bps)
    if isinstance(cut, Cut):
        mark = mark_of(facts, known.instruments.get(term.symbol, ""))
        return None if mark is None else cut.holds(_observed(cut.observed, mark))
    return cut


def cut_of(facts: Facts, known: AlertRuleState, term: Term, slack_bps: int) -> Cut | bool | None:
    """A comparison solved for what a quote says, or its truth where no quote matters to it."""
    match term.measure:
        case Measure.PRICE | Measure.MOVE:
            return _price_cut(facts, known, term, slack_bps)
        case Measure.SPREAD:
            return _spread_cut(term.comparison, term.level, slack_bps)
        case Measure.PNL:
            return _pnl_cut(facts, known, term, level_of(term.level, term.comparison, slack_bps))
        case Measure.ATR:
            return _atr_cut(facts, known, term, level_of(term.level, term.comparison, slack_bps))
        case Measure.CONNECTION:
            return connection_truth(facts, known, term)
        case Measure.AGE if position_of(facts, known, term) is None:
            return False
    value = value_of(facts, known, term)
    return None if value is None else compared(value, term.comparison, level_of(term.level, term.comparison, slack_bps))


@lru_cache(8_192)
def level_of(level: Decimal, comparison: Comparison, slack_bps: int) -> Fraction:
    """A level moved to the easier side by a part of itself."""
    exact = Fraction(level)
    slack = abs(exact) * slack_bps / BPS
    return exact - slack if comparison in _EASIER_BELOW else exact + slack


def compared(value: float, comparison: Comparison, level: Fraction) -> bool:
    """A number held against a level."""
    match comparison:
        case Comparison.ABOVE:
            return value > level
        case Comparison.AT_LEAST:
            return value >= level
        case Comparison.BELOW:
            return value < level
        case _:
            return value <= level


def _observed(observed: str, mark: Mark) -> float:
    match observed:
        case "middle2":
            return mark.bid_ticks + mark.ask_ticks
        case "bid":
            return mark.bid_ticks
        case "ask":
            return mark.ask_ticks
        case _:
            return spread_bps(mark.bid_ticks, mark.ask_ticks)


def _whole_cut(observed: str, comparison: Comparison, level: Fraction) -> Cut:
    """The smallest whole number from which on a comparison changes its truth."""
    match comparison:
        case Comparison.ABOVE:
            return Cut(observed, math.floor(level) + 1)
        case Comparison.AT_LEAST:
            return Cut(observed, math.ceil(level))
        case Comparison.BELOW:
            return Cut(observed, math.ceil(level), inverted=True)
        case _:
            return Cut(observed, math.floor(level) + 1, inverted=True)


@lru_cache(8_192)
def _spread_cut(comparison: Comparison, wanted: Decimal, slack_bps: int) -> Cut:
    level = float(level_of(wanted, comparison, slack_bps))
    at = math.nextafter(level, math.inf) if comparison in (Comparison.ABOVE, Comparison.AT_MOST) else level
    return Cut("spread", at, inverted=comparison in (Comparison.BELOW, Comparison.AT_MOST))


# ---- prices --------------------------------------------------------------------------------------------------------------


class PriceBase(NamedTuple):
    """What a price level is made of: a price in ticks of `tick_size`, a mean, or a part of the price at a window's beginning."""

    kind: str
    base: Decimal | float


def _price_base(facts: Facts, known: AlertRuleState, term: Term) -> PriceBase | None:
    """None while a mean or a move has too few bars."""
    instrument_id = known.instruments.get(term.symbol, "")
    instrument = facts.state.instruments.get(instrument_id)
    if instrument is None:
        return None
    if term.measure is Measure.MOVE:
        reference = reference_ticks(facts, instrument_id, term.over_seconds)
        return None if reference is None else PriceBase("move", reference)
    if term.unit is Unit.EMA:
        mean = ema_ticks(facts.market, instrument_id, int(term.level))
        return None if mean is None else PriceBase("mean", mean)
    return PriceBase("price", instrument.tick_size)


def _price_cut(facts: Facts, known: AlertRuleState, term: Term, slack_bps: int) -> Cut | None:
    base = _price_base(facts, known, term)
    return None if base is None else _cut_at(base.kind, base.base, term.level, term.comparison, slack_bps)


@lru_cache(16_384)
def _cut_at(kind: str, base: Decimal | float, level: Decimal, comparison: Comparison, slack_bps: int) -> Cut:
    return _whole_cut("middle2", comparison, _doubled(kind, base, level, comparison, slack_bps))


@lru_cache(16_384)
def _doubled(kind: str, base: Decimal | float, level: Decimal, comparison: Comparison, slack_bps: int) -> Fraction:
    """What twice the price is held against, in ticks."""
    if kind == "price":
        return 2 * level_of(level, comparison, slack_bps) / Fraction(base)
    if kind == "mean":
        return 2 * level_of(Decimal(base), comparison, slack_bps)
    return 2 * Fraction(base) * (1 + level_of(level, comparison, slack_bps) / 100)


def _price_level(facts: Facts, known: AlertRuleState, term: Term, slack_bps: int) -> Fraction | None:
    base = _price_base(facts, known, term)
    return None if base is None else _doubled(base.kind, base.base, term.level, term.comparison, slack_bps)


def side_cut(facts: Facts, known: AlertRuleState, term: Term, side: int) -> Cut | None:
    """From where on the price counts as above the level. The crossing that is asked for happens at the level itself, the way
    back only beyond the hysteresis, so that a price that trembles at its level crosses it once."""
    asked = 1 if term.comparison is Comparison.CROSSES_ABOVE else -1
    slack_bps = known.rule.hysteresis_bps if side == asked else 0
    level = _price_level(facts, known, term, slack_bps)
    if level is None:
        return None
    return Cut("middle2", math.floor(level) + 1 if side <= 0 else math.ceil(level))


def _side_now(facts: Facts, known: AlertRuleState, term: Term, before: int) -> int:
    """The side of a level on which the price is; exactly on it, it stays where it was."""
    mark = mark_of(facts, known.instruments.get(term.symbol, ""))
    cut = None if mark is None else side_cut(facts, known, term, before)
    if mark is None or cut is None:
        return before
    middle2 = mark.bid_ticks + mark.ask_ticks
    if before:
        return 1 if middle2 >= cut.at else -1
    level = _price_level(facts, known, term, 0)
    return 0 if level is None or middle2 == level else 1 if middle2 > level else -1


def _atr_cut(facts: Facts, known: AlertRuleState, term: Term, level: Fraction) -> Cut | bool | None:
    instrument_id = known.instruments.get(term.symbol, "")
    instrument = facts.state.instruments.get(instrument_id)
    atr = atr_ticks(facts.market, instrument_id, term.bars)
    if atr is None or instrument is None:
        return None
    if term.unit is Unit.NUMBER:
        return compared(atr * float(instrument.tick_size), term.comparison, level)
    return _whole_cut("middle2", _MIRRORED[term.comparison], Fraction(atr) * 200 / level)


# ---- positions -----------------------------------------------------------------------------------------------------------


def _pnl_cut(facts: Facts, known: AlertRuleState, term: Term, level: Fraction) -> Cut | bool:
    """A position's result solved for the price at which it could leave; without a position there is none."""
    position = position_of(facts, known, term)
    if position is None or (term.unit is Unit.R and not position.initial_risk_minor):
        return False
    instrument = facts.state.instruments[position.instrument_id]
    money = _whole_cut("", term.comparison, level * unit_minor(term.unit, position, instrument))
    least = Fraction((int(money.at) + position.cost_minor) * instrument.value_den, abs(position.lots) * instrument.value_num)
    if position.lots > 0:
        return Cut("bid", math.ceil(least), money.inverted)
    return Cut("ask", math.floor(-least) + 1, not money.inverted)


# ---- bands ---------------------------------------------------------------------------------------------------------------


def bands_of(facts: Facts, known: AlertRuleState) -> dict[str, Band]:
    """For each instrument of a rule that has a quote the range of quotes in which no comparison changes: the rule has just
    been looked at with these facts, so inside it there is nothing new."""
    ranges: dict[str, dict[str, tuple[float, float]]] = {}
    crossing = 0
    for term in known.rule.terms:
        instrument_id = known.instruments.get(term.symbol, "")
        mark = mark_of(facts, instrument_id)
        if term.crosses:
            side = known.sides[crossing] if crossing < len(known.sides) else 0
            crossing += 1
        else:
            side = 0
        if mark is None or not term.symbol:
            continue
        found = ranges.setdefault(instrument_id, {})
        for cut in _watched_cuts(facts, known, term, side):
            value = _observed(cut.observed, mark)
            low, high = found.get(cut.observed, (-math.inf, math.inf))
            found[cut.observed] = (max(low, cut.at), high) if value >= cut.at else (low, min(high, cut.at))
    return {instrument_id: _band(facts, known, instrument_id, found) for instrument_id, found in ranges.items()}


def _watched_cuts(facts: Facts, known: AlertRuleState, term: Term, side: int) -> Sequence[Cut]:
    """Where a quote would change what is known of a comparison: as asked while armed, by its hysteresis after it fired."""
    if not term.crosses:
        cut = cut_of(facts, known, term, 0 if known.armed else known.rule.hysteresis_bps)
        return (cut,) if isinstance(cut, Cut) else ()
    if side:
        found = side_cut(facts, known, term, side)
        return () if found is None else (found,)
    level = _price_level(facts, known, term, 0)
    if level is None:
        return ()
    return (Cut("middle2", math.ceil(level)), Cut("middle2", math.floor(level) + 1))


def _band(facts: Facts, known: AlertRuleState, instrument_id: str, found: dict[str, tuple[float, float]]) -> Band:
    everything = (-math.inf, math.inf)
    held = any(term.measure in (Measure.PNL, Measure.AGE) and known.instruments.get(term.symbol) == instrument_id
               for term in known.rule.terms)
    key = position_key(known.rule.portfolio, instrument_id) if held else ""
    return Band(known, *found.get("middle2", everything), not held and not found.keys() - {"middle2"},
                *found.get("bid", everything), *found.get("ask", everything), *found.get("spread", everything),
                key, facts.state.positions.get(key) if key else None)


# ---- in words ------------------------------------------------------------------------------------------------------------


def readings(facts: Facts, known: AlertRuleState) -> tuple[AlertReading, ...]:
    """Every comparison as it is now, for a person."""
    found: list[AlertReading] = []
    crossing = 0
    for term in known.rule.terms:
        named = f"{term.symbol} {term_text(term)}" if term.symbol else term_text(term)
        if term.crosses:
            before = known.sides[crossing] if crossing < len(known.sides) else 0
            side = _side_now(facts, known, term, before)
            crossing += 1
            found.append(AlertReading(named, value_text(facts, known, term), None if not side else False))
            continue
        found.append(AlertReading(named, value_text(facts, known, term), truth_of(facts, known, term, 0)))
    return tuple(found)


def reading_text(facts: Facts, known: AlertRuleState) -> str:
    """What every comparison reads now, in one line."""
    return ", ".join(f"{term.symbol} {term.measure.value} {value_text(facts, known, term)}".strip()
                     for term in known.rule.terms)
