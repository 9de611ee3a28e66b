"""From a portfolio's targets to what would have to be bought and sold: weights, drift, and the lots that undo it.

Pure, from the state and the newest prices. What is on its way is waited for, and what cannot be traded now is left as it is, each
with a note that says so; so a plan that was carried out is followed by an empty one.
"""

from decimal import Decimal
from math import fsum, sqrt
from typing import NamedTuple

from engine.correlation import LEAST_RETURNS, returns_in_common, shrunk_correlation, standardised
from engine.instruments import Instrument
from engine.kernel.sizing import lots_for_notional
from engine.kernel.weights import bounded_into, equal_into, inverse_volatility_into, risk_parity_into
from engine.market import NS_PER_DAY, MarketView
from engine.orders import Purpose
from engine.positions import Position
from engine.service import ProposalStatus, Refusal
from engine.state import State
from engine.targets import REBALANCE, TargetMethod, TargetSettings
from engine.units import NS_PER_SECOND, Lots, Minor, Nanoseconds, Ticks
from engine.valuation import equity_minor, market_value_minor, portfolio_positions
from engine.want import resolve

STOPPED = ("stop", "the stop", "level passed")
NO_PRICE, STALE = "has no price yet", "has no fresh quote"


class Split(NamedTuple):
    """The weights of the instruments, by id, and from how many returns they were found (0: from none)."""

    weights: dict[str, float]
    returns: int


class Line(NamedTuple):
    """One instrument: its target and actual part, and the signed lots that bring it there; `note` says what holds it back.

    `price_ticks` is where those lots would trade now. An instrument is `drifted` once it is outside its bands.
    """

    instrument: Instrument
    target_fraction: float
    actual_fraction: float
    held_lots: Lots
    change_lots: Lots
    price_ticks: Ticks
    drifted: bool
    note: str = ""

    @property
    def drift_fraction(self) -> float:
        return self.actual_fraction - self.target_fraction

    @property
    def change_minor(self) -> Minor:
        """What the lots are worth, without a sign."""
        return self.instrument.notional_minor(self.price_ticks, abs(self.change_lots))


class Plan(NamedTuple):
    """A portfolio against its targets; `base_minor` is the money that the fractions are parts of.

    `lines` hold the changes that would be made now: none of them where nothing drifted out of its bands.
    """

    portfolio: str
    equity_minor: Minor
    base_minor: Minor
    cash_fraction: float
    returns: int
    lines: tuple[Line, ...]
    capped: bool = False

    @property
    def is_due(self) -> bool:
        return any(line.change_lots for line in self.lines)

    @property
    def turnover_minor(self) -> Minor:
        return sum(line.change_minor for line in self.lines)


def targets_of(state: State, portfolio: str) -> TargetSettings | Refusal:
    """The targets of a portfolio."""
    known = state.portfolios.get(portfolio)
    if known is None:
        return Refusal("portfolio", ", ".join(state.portfolios), portfolio, f"there is no portfolio called {portfolio!r}")
    if known.settings.targets is None:
        return Refusal("targets", "a [portfolio.targets] section", "none",
                       f"{portfolio} has no targets; give it a [portfolio.targets] section in the configuration")
    return known.settings.targets


# ---- weights -----------------------------------------------------------------------------------------------------------


def split_of(market: MarketView, instruments: list[Instrument], targets: TargetSettings) -> Split | Refusal:
    """The weights that the method gives, within their bounds."""
    count = len(instruments)
    raw, returns = [0.0] * count, 0
    if targets.method is TargetMethod.USER:
        raw = [targets.weights.get(symbol, 0.0) for symbol in targets.symbols]
    elif targets.method is TargetMethod.EQUAL:
        equal_into(raw)
    else:
        found = _covariance(market, instruments, targets.lookback_bars)
        if isinstance(found, Refusal):
            return found
        matrix, returns = found
        if targets.method is TargetMethod.RISK_PARITY:
            settled = risk_parity_into(matrix, count, raw)
        else:
            settled = inverse_volatility_into([sqrt(matrix[place * count + place]) for place in range(count)], raw)
        if not settled:
            return Refusal("weights", "a price that moves", "none", "no weights were found: a price of them never moves")
    least = [targets.least_of(symbol) for symbol in targets.symbols]
    most = [targets.most_of(symbol) for symbol in targets.symbols]
    weights = [0.0] * count
    bounded_into(raw, least, most, targets.invested_fraction, weights)
    return Split({one.instrument_id: weight for one, weight in zip(instruments, weights, strict=True)}, returns)


def _covariance(market: MarketView, instruments: list[Instrument], lookback: int) -> tuple[list[float], int] | Refusal:
    """The covariance of the newest returns in common, its correlations shrunk as everywhere else, as one row after the other."""
    ids = [one.instrument_id for one in instruments]
    rows = returns_in_common(market, ids, lookback)
    missing = [one.symbol for one in instruments if one.instrument_id not in rows]
    if missing:
        return Refusal("weights", f"{LEAST_RETURNS + 1} bars in common", ", ".join(missing),
                       f"there are too few bars of {', '.join(missing)} yet to weigh them by")
    standard = [standardised(rows[one]) for one in ids]
    if any(one is None for one in standard):
        still = [one.symbol for one, row in zip(instruments, standard, strict=True) if row is None]
        return Refusal("weights", "a price that moves", ", ".join(still), f"the price of {', '.join(still)} never moves")
    matrix, _ = shrunk_correlation([row for row in standard if row is not None])
    deviations = [_deviation(rows[one]) for one in ids]
    flat = [matrix[one][other] * deviations[one] * deviations[other] for one in range(len(ids)) for other in range(len(ids))]
    return flat, len(rows[ids[0]])


def _deviation(returns: list[float]) -> float:
    mean = fsum(returns) / len(returns)
    return sqrt(fsum((value - mean) ** 2 for value in returns) / len(returns))


# ---- drift and what undoes it ----------------------------------------------------------------------------------------


def plan_of(state: State, market: MarketView, at_ns: Nanoseconds, portfolio: str) -> Plan | Refusal:
    """What stands where, and what a rebalancing would do now: nothing where nothing drifted out of its bands."""
    targets = targets_of(state, portfolio)
    if isinstance(targets, Refusal):
        return targets
    instruments = _instruments(state, targets, portfolio)
    if isinstance(instruments, Refusal):
        return instruments
    split = market.remembered(("weights", portfolio), _stamp(market, instruments, targets),
                              lambda: split_of(market, instruments, targets))
    if isinstance(split, Refusal):
        return split
    plan = plan_for(state, market, at_ns, portfolio, split)
    if isinstance(plan, Refusal):
        return plan
    return _within_turnover(plan._replace(lines=_due(plan.lines, targets, plan.base_minor)), targets)


def plan_for(state: State, market: MarketView, at_ns: Nanoseconds, portfolio: str, split: Split) -> Plan | Refusal:
    """The changes that bring a portfolio to given weights, whatever its bands say."""
    targets = targets_of(state, portfolio)
    if isinstance(targets, Refusal):
        return targets
    instruments = _instruments(state, targets, portfolio)
    if isinstance(instruments, Refusal):
        return instruments
    weighed = [one for one in instruments if one.instrument_id in split.weights]
    own = frozenset(one.instrument_id for one in instruments)
    others = [position for position in portfolio_positions(state, portfolio) if position.instrument_id not in own]
    equity = equity_minor(state, market, portfolio)
    base = equity - sum(abs(market_value_minor(state, market, position)) for position in others)
    if base <= 0:
        return Refusal("equity", "above 0", str(base), f"{portfolio} has no money at its targets' disposal")
    lines = [_line(state, market, at_ns, portfolio, targets, instrument, split.weights[instrument.instrument_id], base)
             for instrument in weighed]
    return Plan(portfolio, equity, base, 1.0 - fsum(line.actual_fraction for line in lines), split.returns, tuple(lines))


def _instruments(state: State, targets: TargetSettings, portfolio: str) -> list[Instrument] | Refusal:
    found = [resolve(state, symbol, portfolio) for symbol in targets.symbols]
    return next((one for one in found if isinstance(one, Refusal)), None) or [one for one in found if isinstance(one, Instrument)]


def _stamp(market: MarketView, instruments: list[Instrument], targets: TargetSettings) -> tuple[object, ...]:
    return (targets, *((one.instrument_id, market.bars_stamp(one.instrument_id)) for one in instruments))


def _line(  # noqa: PLR0917 - all of it says where the instrument stands
        state: State, market: MarketView, at_ns: Nanoseconds, portfolio: str, targets: TargetSettings, instrument: Instrument,
        target: float, base: Minor) -> Line:
    position = state.position(portfolio, instrument.instrument_id)
    held = position.lots if position else 0
    value = market_value_minor(state, market, position) if position else 0
    mark = market.marks.get(instrument.instrument_id)
    if mark is None:
        return _judged(Line(instrument, target, value / base, held, 0, 0, drifted=False, note=NO_PRICE), targets)
    missing = int(target * base) - value
    side = 1 if missing > 0 else -1
    price = mark.take_ticks(side)
    lots = side * lots_for_notional(abs(missing), price, instrument.value_num, instrument.value_den, instrument.max_lots)
    if not target and held > 0:
        lots = -held
    line = Line(instrument, target, value / base, held, max(lots, -max(0, held)), price, drifted=False)
    note = _held_back(state, market, at_ns, portfolio, targets, line, position)
    if note or _too_small(line, targets):
        line = line._replace(change_lots=0, note=note)
    return _judged(line, targets)


def _judged(line: Line, targets: TargetSettings) -> Line:
    """The line with the word on whether it is outside its bands."""
    drift, relative = abs(line.drift_fraction), targets.relative_band_fraction * line.target_fraction
    beyond = 0 < targets.drift_band_fraction < drift or 0 < relative < drift
    return line._replace(drifted=beyond or (not line.target_fraction and line.held_lots > 0))


def _due(lines: tuple[Line, ...], targets: TargetSettings, base: Minor) -> tuple[Line, ...]:
    """The lines with their changes, or without any where nothing that can be changed is outside its bands.

    Once one is outside, all go back to their targets: what one gives the others are to have. Cash is outside where the changes
    add up to more than the band.
    """
    net = sum(line.change_minor if line.change_lots > 0 else -line.change_minor for line in lines)
    cash_drifted = 0 < targets.drift_band_fraction < abs(net) / base
    if cash_drifted or any(line.drifted and line.change_lots for line in lines):
        return lines
    return tuple(line._replace(change_lots=0) for line in lines)


def _within_turnover(plan: Plan, targets: TargetSettings) -> Plan:
    """All changes made smaller by the same part where they come to more than a run may turn over."""
    cap = int(targets.max_turnover_fraction * plan.base_minor)
    turnover = plan.turnover_minor
    if not targets.max_turnover_fraction or turnover <= cap:
        return plan
    lines = []
    for line in plan.lines:
        side = 1 if line.change_lots > 0 else -1
        less = line._replace(change_lots=side * (abs(line.change_lots) * cap // turnover))
        lines.append(less._replace(change_lots=0) if _too_small(less, targets) else less)
    return plan._replace(lines=tuple(lines), capped=True)


def _too_small(line: Line, targets: TargetSettings) -> bool:
    """Less than the venue takes, or than is worth an order."""
    instrument = line.instrument
    least = max(instrument.min_notional_minor, int(targets.min_order.scaleb(instrument.minor_exponent)))
    return abs(line.change_lots) < instrument.min_lots or line.change_minor < least


def _held_back(
        state: State, market: MarketView, at_ns: Nanoseconds, portfolio: str, targets: TargetSettings, line: Line,
        position: Position | None) -> str:
    """Why nothing may be changed in an instrument now; empty where it may."""
    instrument = line.instrument
    if position is not None and position.lots < 0:
        return "is held short: close it by hand"
    if position is not None and position.exit_reason:
        return f"is on its way out: {position.exit_reason}"
    orders = [order for order in state.orders_in(portfolio, instrument.instrument_id) if order.intent.purpose is Purpose.ENTRY]
    if orders:
        return f"{orders[0].client_order_id} is at work"
    parent = state.parent_in(portfolio, instrument.instrument_id)
    if parent is not None:  # between two slices no order of it stands
        return f"{parent.parent_id} is at work"
    if _is_asked(state, instrument, portfolio):
        return "a decision on it waits for a person"
    if not market.session_open(instrument.session, at_ns):
        return "the market is closed"
    stale_ns = state.portfolios[portfolio].settings.limits.stale_quote_seconds * NS_PER_SECOND
    if at_ns - market.marks[instrument.instrument_id].at_ns > stale_ns:
        return STALE
    until_ns = _barred_until_ns(state, portfolio, instrument.instrument_id, targets.reentry_days)
    if line.change_lots > 0 and at_ns < until_ns:
        return f"was stopped out; bought again in {(until_ns - at_ns) / NS_PER_DAY:.1f} days"
    return ""


def _is_asked(state: State, instrument: Instrument, portfolio: str) -> bool:
    return any(proposal.status is ProposalStatus.PENDING and proposal.want.portfolio == portfolio
               and instrument.is_called(proposal.want.symbol) for proposal in state.proposals.values())


def _barred_until_ns(state: State, portfolio: str, instrument_id: str, days: float) -> Nanoseconds:
    """When what the targets' own stop has closed may be bought again, as far back as round trips are remembered."""
    last = next((trip for trip in reversed(state.round_trips)
                 if trip.portfolio == portfolio and trip.instrument_id == instrument_id), None)
    if last is None or last.strategy != REBALANCE or not last.exit_reason.startswith(STOPPED):
        return 0
    return last.closed_at_ns + int(Decimal(repr(days)) * NS_PER_DAY)
