"""The twelve instruments of the simulated market: familiar tickers, invented prices."""

from decimal import Decimal
from typing import NamedTuple

from engine.instruments import AssetClass, Instrument, instrument_id_of
from engine.units import Lots

VENUE = "paper"
TEN_DOLLARS_MINOR = 1_000


class SimulatedInstrument(NamedTuple):
    """An instrument with the character of its price.

    `daily_volatility` is the usual standard deviation of a day's logarithmic return, `spread_bps` the usual spread in
    quiet times, `typical_lots` the usual size at the best price, `common_share` how far it moves with its class.
    """

    instrument: Instrument
    base_price: float
    daily_volatility: float
    spread_bps: float
    typical_lots: Lots
    common_share: float


def _share(symbol: str, base_price: float, volatility: float, spread_bps: float, common: float) -> SimulatedInstrument:
    instrument = Instrument(
        instrument_id=instrument_id_of(symbol, VENUE), symbol=symbol, venue=VENUE, asset_class=AssetClass.EQUITY,
        base_currency=symbol, quote_currency="USD", tick_size=Decimal("0.01"), lot_size=Decimal(1), minor_exponent=2,
        max_ticks=10_000_000, max_lots=10_000_000, session="XNYS")
    return SimulatedInstrument(instrument, base_price, volatility, spread_bps, 400, common)


def _pair(base: str, tick: str, lot: str, base_price: float, volatility: float,
          spread_bps: float) -> SimulatedInstrument:
    symbol = f"{base}/USD"
    lot_size = Decimal(lot)
    instrument = Instrument(
        instrument_id=instrument_id_of(symbol, VENUE), symbol=symbol, venue=VENUE, asset_class=AssetClass.CRYPTO,
        base_currency=base, quote_currency="USD", tick_size=Decimal(tick), lot_size=lot_size, minor_exponent=2,
        max_ticks=1_000_000_000, max_lots=1_000_000_000, min_notional_minor=TEN_DOLLARS_MINOR, taker_fee_ppm=1_000,
        maker_fee_ppm=600, shortable=False)
    typical_lots = max(1, int(Decimal(60_000) / Decimal(str(base_price)) / lot_size))
    return SimulatedInstrument(instrument, base_price, volatility, spread_bps, typical_lots, 0.75)


DEFAULT_TWELVE: tuple[SimulatedInstrument, ...] = (
    _share("AAPL", 228.0, 0.016, 0.8, 0.65),
    _share("MSFT", 431.0, 0.015, 0.7, 0.68),
    _share("NVDA", 136.0, 0.030, 1.0, 0.60),
    _share("AMZN", 203.0, 0.019, 0.9, 0.62),
    _share("SPY", 587.0, 0.010, 0.3, 0.97),
    _share("TSLA", 297.0, 0.034, 1.2, 0.45),
    _pair("BTC", "0.01", "0.00001", 94_800.0, 0.027, 0.8),
    _pair("ETH", "0.01", "0.0001", 3_390.0, 0.035, 1.2),
    _pair("SOL", "0.01", "0.001", 189.0, 0.045, 2.0),
    _pair("XRP", "0.0001", "0.1", 2.24, 0.042, 2.5),
    _pair("ADA", "0.0001", "0.1", 0.91, 0.046, 3.0),
    _pair("DOGE", "0.00001", "1", 0.352, 0.050, 2.5),
)
