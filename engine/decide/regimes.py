"""Once a day the regime of each instrument is found and recorded, a few instruments with each beat."""

from engine.kernel.regimes import Regime, regime_at
from engine.market import MarketView
from engine.regimes import RegimeSettings
from engine.strategy_events import RegimeFound
from engine.turn import Turn

INSTRUMENTS_A_BEAT = 20


def beat(turn: Turn) -> None:
    """Look at instruments that have no regime of this day yet and bars enough for one."""
    state, settings, found = turn.state, turn.state.settings.regimes, 0
    if state.day < 0:
        return
    for instrument_id in state.instruments:
        known = state.regimes.get(instrument_id)
        if (known is not None and known.day == state.day) \
                or turn.market.bars_stamp(instrument_id)[1] < settings.needed_bars:
            continue
        regime = regime_of(settings, turn.market, instrument_id)
        turn.emit(RegimeFound(instrument_id, state.day, regime.trend, regime.volatility, round(regime.efficiency, 6),
                              round(regime.ratio, 6)))
        found += 1
        if found >= INSTRUMENTS_A_BEAT:
            return

def regime_of(settings: RegimeSettings, market: MarketView, instrument_id: str) -> Regime:
    """The regime by the newest closed bars."""
    closes = [bar.close_ticks for bar in market.bars(instrument_id, settings.needed_bars)]
    return regime_at(closes, len(closes) - 1, len(closes), settings.trend_bars, settings.volatility_bars, settings.usual_bars,
                     settings.trend_from, settings.calm_below, settings.wild_from)
