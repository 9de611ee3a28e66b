"""Strategies as a person sees them."""

from decimal import Decimal

from engine.instruments import Instrument
from engine.market import MarketView
from engine.positions import entry_ticks
from engine.regimes import TREND_WORDS, VOLATILITY_WORDS
from engine.service import Refusal
from engine.state import State
from engine.strategy_state import StrategyPlace, StrategySettings, StrategyState
from engine.strategy_wants import waiting_sign
from engine.strategy_words import RegimeView, StrategyLine, StrategyView
from engine.units import NS_PER_SECOND
from engine.want import resolve

NO_PLACE = StrategyPlace(0)


def strategy_views(state: State, market: MarketView) -> tuple[StrategyView, ...]:
    """Every strategy of the configuration, in its order."""
    return tuple(_view(state, market, settings) for settings in state.settings.strategies
                 if settings.portfolio in state.portfolios)


def regime_views(state: State) -> tuple[RegimeView, ...]:
    """The newest regime of each instrument that has one."""
    settings = state.settings.regimes
    return tuple(
        RegimeView(state.instruments[key].symbol, key, one.day, TREND_WORDS[one.trend], VOLATILITY_WORDS[one.volatility],
                   one.efficiency, one.ratio, 100 * one.size_factor(settings))
        for key, one in state.regimes.items() if key in state.instruments)


def _view(state: State, market: MarketView, settings: StrategySettings) -> StrategyView:
    known = state.strategies.get(settings.name) or StrategyState()
    found = [resolve(state, symbol, settings.portfolio) for symbol in settings.symbols]
    missing = [one.message for one in found if isinstance(one, Refusal)]
    lines = tuple(_line(state, market, settings, known, one) for one in found if isinstance(one, Instrument))
    note = "; ".join(missing)
    if known.switched is not None:
        told = f"{'enabled' if known.switched else 'stopped'} by {known.switched_by}"
        told += f": {known.switch_reason}" if known.switch_reason else ""
        note = f"{told}; {note}" if note else told
    return StrategyView(settings.name, settings.rule, settings.portfolio, settings.symbols, settings.params, settings.warmup_bars,
                        known.runs(settings), note, lines, settings.bar_ns // NS_PER_SECOND, settings.problem)


def _line(state: State, market: MarketView, settings: StrategySettings, known: StrategyState,
          instrument: Instrument) -> StrategyLine:
    instrument_id = instrument.instrument_id
    place = known.places.get(instrument_id) or known.places.get("") or NO_PLACE
    position = state.position(settings.portfolio, instrument_id)
    own = position if position is not None and position.strategy == settings.name else None
    waiting = waiting_sign(state, settings, instrument)
    bars = market.longer_bars.get((instrument_id, settings.bar_ns), 0) if settings.bar_ns else market.bars_stamp(instrument_id)[1]
    return StrategyLine(
        instrument.symbol, instrument_id, bars,
        instrument.quantity(own.lots) if own else Decimal(0), instrument.price(entry_ticks(own, instrument)) if own else None,
        "buy" if waiting > 0 else "sell" if waiting < 0 else "", place.want, place.want_at_ns, place.refusal)
