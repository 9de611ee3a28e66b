"""What alert rules read: prices, moves, means, results, heat, drawdown, ages, connections; pure, from state and market.

None is "not known": no quote yet in this run, too few bars, equity without a price for every position.
"""

from bisect import bisect_right
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from operator import itemgetter
from typing import NamedTuple

from engine.alert_bands import spread_bps
from engine.alert_rules import AlertRuleState, Measure, Term, Unit
from engine.alert_text import number_text, span_text
from engine.inputs import Bar, Connectivity
from engine.instruments import Instrument
from engine.kernel.indicators import ema_step, latest_atr, rsi_grow, rsi_value
from engine.market import Mark, MarketView
from engine.positions import Position, position_key
from engine.research.decided import Cell
from engine.research_state import cell_of
from engine.state import State
from engine.units import NS_PER_SECOND, Minor, Nanoseconds, Ticks, seconds_to_ns
from engine.valuation import equity_minor, heat_minor, market_value_minor

MEMORY_OF_MEAN = 10  # after so many spans of an exponential mean its first value no longer counts
CALIBRATION_MEASURES = frozenset({Measure.CALIBRATION_SKILL, Measure.CALIBRATION_BRIER, Measure.CALIBRATION_N})
MONEY_MEASURES = frozenset({Measure.HEAT, Measure.DRAWDOWN, Measure.DAY_PNL}) | CALIBRATION_MEASURES


class Facts(NamedTuple):
    """What a look at a rule may read; `money` keeps what is costly, for as long as the state is this one."""

    state: State
    market: MarketView
    at_ns: Nanoseconds
    money: dict[tuple[str, str], float | None]


def mark_of(facts: Facts, instrument_id: str) -> Mark | None:
    """The newest quote of this run: what a replay has seen again of the time before it is older than what was acted on."""
    mark = facts.market.marks.get(instrument_id)
    return mark if mark is not None and mark.at_ns >= facts.state.session_at_ns else None


def value_text(facts: Facts, known: AlertRuleState, term: Term) -> str:
    """What one comparison reads, in its unit."""
    if term.measure is Measure.CONNECTION:
        return facts.state.account_of(known.rule.portfolio).connectivity.value
    value = value_of(facts, known, term)
    if value is None:
        return "not known"
    if term.unit is Unit.SECONDS:
        return span_text(int(value))
    suffix = "" if term.unit is Unit.EMA else term.unit.value
    places = 2 if suffix else 8
    return f"{number_text(Decimal(f'{value:.{places}f}'))}{suffix}"


def value_of(facts: Facts, known: AlertRuleState, term: Term) -> float | None:
    """What a comparison reads, in the unit of its level; None where it is not known."""
    instrument_id = known.instruments.get(term.symbol, "")
    instrument = facts.state.instruments.get(instrument_id)
    mark = mark_of(facts, instrument_id)
    if term.measure in MONEY_MEASURES:
        return _money_value(facts, known.rule.portfolio, term)
    if instrument is None:
        return None
    match term.measure:
        case Measure.VOLUME:
            return _volume(facts, instrument, term.over_seconds)
        case Measure.QUOTE_AGE:
            since_ns = mark.at_ns if mark else facts.state.session_at_ns
            return (facts.at_ns - since_ns) / NS_PER_SECOND
        case Measure.ATR | Measure.RSI:
            return _indicator_value(facts, instrument, mark, term)
        case Measure.AGE | Measure.PNL:
            return _position_value(facts, known, instrument, term)
    if mark is None:
        return None
    price = (mark.bid_ticks + mark.ask_ticks) / 2
    if term.measure is Measure.SPREAD:
        return spread_bps(mark.bid_ticks, mark.ask_ticks)
    if term.measure is Measure.MOVE:
        reference = reference_ticks(facts, instrument_id, term.over_seconds)
        return None if reference is None else 100 * (price - reference) / reference
    return price * float(instrument.tick_size)


def _volume(facts: Facts, instrument: Instrument, over_seconds: int) -> float | None:
    lots = facts.market.volume_since_lots(instrument.instrument_id, facts.at_ns - over_seconds * NS_PER_SECOND)
    return None if lots is None else float(instrument.quantity(lots))


def _indicator_value(facts: Facts, instrument: Instrument, mark: Mark | None, term: Term) -> float | None:
    if term.measure is Measure.RSI:
        return rsi(facts.market, instrument.instrument_id, term.bars)
    atr = atr_ticks(facts.market, instrument.instrument_id, term.bars)
    if atr is None or term.unit is Unit.NUMBER:
        return None if atr is None else atr * float(instrument.tick_size)
    return None if mark is None else 200 * atr / (mark.bid_ticks + mark.ask_ticks)


def _position_value(facts: Facts, known: AlertRuleState, instrument: Instrument, term: Term) -> float | None:
    position = position_of(facts, known, term)
    if position is None:
        return None
    if term.measure is Measure.AGE:
        return (facts.at_ns - position.opened_at_ns) / NS_PER_SECOND
    unit = unit_minor(term.unit, position, instrument)
    if mark_of(facts, instrument.instrument_id) is None or not unit:
        return None
    return float((market_value_minor(facts.state, facts.market, position) - position.cost_minor) / unit)


def _money_value(facts: Facts, portfolio: str, term: Term) -> float | None:
    """Heat, drawdown or the day's result of a portfolio; found once for each state."""
    key = (portfolio, f"{term.measure.value} {term.unit.value}")
    if key not in facts.money:
        facts.money[key] = _found_money(facts, portfolio, term)
    return facts.money[key]


def _calibration(facts: Facts, portfolio: str, measure: Measure) -> float | None:
    """Of the cells that the portfolio's decisions are scored in: the least skill, the largest Brier score, the most forecasts."""
    research = facts.state.research
    own = {cell_of(sealed.decided) for sealed in research.decisions.values() if sealed.decided.portfolio == portfolio}
    cells = [view for view in research.learned.cells
             if view.n and Cell(view.analyst, view.prompt_version, view.horizon, view.asset_class) in own]
    match measure:
        case Measure.CALIBRATION_SKILL:
            return min((view.skill_percent for view in cells if view.skill_percent is not None), default=None)
        case Measure.CALIBRATION_BRIER:
            return max((view.brier for view in cells if view.brier is not None), default=None)
        case _:
            return float(max((view.n for view in cells), default=0))


def _found_money(facts: Facts, portfolio: str, term: Term) -> float | None:
    if term.measure in CALIBRATION_MEASURES:
        return _calibration(facts, portfolio, term.measure)
    state, market = facts.state, facts.market
    known = state.portfolios.get(portfolio)
    if known is None or not state.account_of(portfolio).funded or not is_quoted(facts, portfolio):
        return None
    equity = equity_minor(state, market, portfolio)
    if term.measure is Measure.HEAT:
        return _percent(heat_minor(state, market, portfolio), equity)
    unmoved = equity - known.waiting_flow_minor  # what waits for a price has not moved what losses are measured from
    if term.measure is Measure.DRAWDOWN:
        return None if known.high_water_minor is None else _percent(max(0, known.high_water_minor - unmoved),
                                                                    known.high_water_minor)
    if known.day_equity_minor is None or market.day_number(facts.at_ns) != state.day:
        return None  # a new day has no result before it has begun
    if term.unit is Unit.PERCENT:
        return _percent(unmoved - known.day_equity_minor, known.day_equity_minor)
    return float(Decimal(known.day_result_minor(equity)).scaleb(-known.settings.minor_exponent))


def _percent(part: Minor, whole: Minor) -> float | None:
    return 100 * part / whole if whole > 0 else None


def is_quoted(facts: Facts, portfolio: str) -> bool:
    """Whether every position of a portfolio has had a quote in this run; before that its equity is a guess."""
    return all(mark_of(facts, position.instrument_id) for position in facts.state.positions.values()
               if position.portfolio == portfolio)


def connection_truth(facts: Facts, known: AlertRuleState, term: Term) -> bool | None:
    """A venue that has not yet come up at the beginning of a run gets its time before it counts as down."""
    account = facts.state.account_of(known.rule.portfolio)
    starting = account.reconciled_at_ns < facts.state.session_at_ns
    patience_ns = seconds_to_ns(facts.state.settings.settle_seconds)
    if starting and account.connectivity is not Connectivity.LIVE and facts.at_ns - facts.state.session_at_ns < patience_ns:
        return None
    return account.connectivity.value == term.word


# ---- positions -----------------------------------------------------------------------------------------------------------


def position_of(facts: Facts, known: AlertRuleState, term: Term) -> Position | None:
    return facts.state.positions.get(position_key(known.rule.portfolio, known.instruments.get(term.symbol, "")))


def unit_minor(unit: Unit, position: Position, instrument: Instrument) -> Fraction:
    """One unit of a result, in minor units of money."""
    match unit:
        case Unit.PERCENT:
            return Fraction(abs(position.cost_minor), 100)
        case Unit.R:
            return Fraction(position.initial_risk_minor)
        case _:
            return Fraction(10) ** instrument.minor_exponent


# ---- bars ----------------------------------------------------------------------------------------------------------------


def reference_ticks(facts: Facts, instrument_id: str, over_seconds: int) -> Ticks | None:
    """The close of the newest bar that was closed when the window began; None where no bar is that old."""
    market = facts.market
    closes = market.alert_memo.remembered(("closes", instrument_id), market.bars_stamp(instrument_id),
                                          lambda: market.closes(instrument_id))
    place = bisect_right(closes, facts.at_ns - over_seconds * NS_PER_SECOND, key=itemgetter(0))
    return closes[place - 1][1] if place else None


def ema_ticks(market: MarketView, instrument_id: str, bars: int) -> float | None:
    """The exponential mean of closes, in ticks; None until there are that many bars."""
    return market.alert_memo.remembered(("ema", instrument_id, bars), market.bars_stamp(instrument_id),
                                        lambda: _ema(market.bars(instrument_id, bars * MEMORY_OF_MEAN), bars))


def _ema(bars: Sequence[Bar], length: int) -> float | None:
    if len(bars) < length:
        return None
    mean = float(bars[0].close_ticks)
    for bar in bars[1:]:
        mean = ema_step(mean, length, bar.close_ticks)
    return mean


def atr_ticks(market: MarketView, instrument_id: str, bars: int) -> float | None:
    """Wilder's average true range, in ticks; None until there are that many bars."""
    return market.alert_memo.remembered(("atr", instrument_id, bars), market.bars_stamp(instrument_id),
                                        lambda: _atr(market.bars(instrument_id, bars * MEMORY_OF_MEAN), bars))


def _atr(bars: Sequence[Bar], length: int) -> float | None:
    if len(bars) < length:
        return None
    return latest_atr([bar.high_ticks for bar in bars], [bar.low_ticks for bar in bars], [bar.close_ticks for bar in bars],
                      length)


def rsi(market: MarketView, instrument_id: str, bars: int) -> float | None:
    """Wilder's relative strength index of closes, 0 to 100; None until there are as many changes as bars."""
    return market.alert_memo.remembered(("rsi", instrument_id, bars), market.bars_stamp(instrument_id),
                                        lambda: _rsi(market.bars(instrument_id, bars * MEMORY_OF_MEAN), bars))


def _rsi(bars: Sequence[Bar], length: int) -> float | None:
    if len(bars) <= length:
        return None
    seen, gain, loss = 0, 0.0, 0.0
    for before, bar in pairwise(bars):
        seen, gain, loss = rsi_grow(seen, gain, loss, length, float(bar.close_ticks - before.close_ticks))
    return rsi_value(gain, loss)
