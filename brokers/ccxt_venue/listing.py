"""A venue's markets as instruments, and the way between the two."""

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from fractions import Fraction
from typing import Any, Final

from brokers.ccxt_venue.numbers import exact
from engine.errors import InstrumentError
from engine.instruments import AssetClass, Instrument, instrument_id_of
from engine.units import MAX_PRODUCT, steps_up

DECIMAL_PLACES: Final = 2
SIGNIFICANT_DIGITS: Final = 3
TICK_SIZE: Final = 4
LARGEST_TICKS: Final = 10 ** 9
PRICE_ROOM: Final = 20
LARGEST_LOTS: Final = 10 ** 12
PPM: Final = 1_000_000


class Listing:
    """The instruments of one account: spot markets of one quote currency, one for each base currency.

    `prices` are what the symbols cost now; they say how much room a price needs.

    Raises `InstrumentError` for a symbol that the venue does not list, that is not spot, or whose numbers are unusable.
    """

    def __init__(self, venue: str, markets: Mapping[str, Any], precision_mode: int, symbols: Sequence[str],
                 minor_exponent: int, prices: Mapping[str, Decimal] | None = None) -> None:
        self.instruments: dict[str, Instrument] = {}
        self.symbols: dict[str, str] = {}
        for symbol in symbols:
            price = (prices or {}).get(symbol)
            instrument = instrument_of(venue, spot_market(venue, markets, symbol), precision_mode, minor_exponent, price)
            self.instruments[symbol] = instrument
            self.symbols[instrument.instrument_id] = symbol
        self.quote_currency = self._one_quote_currency(venue)
        self._one_market_per_base(venue)

    def _one_quote_currency(self, venue: str) -> str:
        quotes = sorted({each.quote_currency for each in self.instruments.values()})
        if len(quotes) != 1:
            raise InstrumentError(f"{venue}: an account is kept in one currency; its symbols are quoted in "
                                  f"{', '.join(quotes) or 'none'}: use one account for each")
        return quotes[0]

    def _one_market_per_base(self, venue: str) -> None:
        bases: dict[str, str] = {}
        for symbol, instrument in self.instruments.items():
            other = bases.setdefault(instrument.base_currency, symbol)
            if other != symbol:
                raise InstrumentError(f"{venue}: {other} and {symbol} would share one balance of {instrument.base_currency}; "
                                      "trade one of them")

    def by_symbol(self, symbol: str | None) -> Instrument | None:
        return self.instruments.get(symbol or "")

    def symbol_of(self, instrument_id: str) -> str | None:
        return self.symbols.get(instrument_id)

    def all(self) -> tuple[Instrument, ...]:
        return tuple(self.instruments.values())


def spot_market(venue: str, markets: Mapping[str, Any], symbol: str) -> Any:
    """The market of a symbol; refuses what is not spot."""
    market = markets.get(symbol)
    if market is None:
        close = sorted(known for known in markets if known.split("/")[0] == symbol.split("/", maxsplit=1)[0])[:5]
        hint = f"; it lists {', '.join(close)}" if close else ""
        raise InstrumentError(f"{venue} does not list {symbol}{hint}")
    if not market.get("spot"):
        raise InstrumentError(f"{venue}: {symbol} is a {market.get('type') or 'derivative'} market; only spot markets are "
                              "traded here, a swap's margin and funding are not accounted for")
    return market


def instrument_of(venue: str, market: Any, precision_mode: int, minor_exponent: int,
                  price: Decimal | None = None) -> Instrument:
    """A market's increments, limits and fees; the largest price and quantity are capped so that products fit 62 bits."""
    symbol = market["symbol"]
    precision, limits = market.get("precision") or {}, market.get("limits") or {}
    tick_size = increment(precision.get("price"), precision_mode, f"{venue} {symbol} price")
    lot_size = increment(precision.get("amount"), precision_mode, f"{venue} {symbol} quantity")
    max_ticks = _steps_limit(_limit(limits, "price", "max"), tick_size, _roomy_ticks(price, tick_size))
    value = Fraction(tick_size) * Fraction(lot_size) * Fraction(10) ** minor_exponent
    fitting_lots = (MAX_PRODUCT - 1) // (value.numerator * max_ticks)
    if fitting_lots < 1:
        raise InstrumentError(f"{venue} {symbol}: money in {minor_exponent} decimals is too fine for its increments; "
                              "use fewer decimals")
    max_lots = _steps_limit(_limit(limits, "amount", "max"), lot_size, min(LARGEST_LOTS, fitting_lots))
    max_lots = _steps_limit(_limit(limits, "market", "max"), lot_size, max_lots)  # or no exit at market would take all of it
    cost = _limit(limits, "cost", "min") or Decimal(0)
    return Instrument(
        instrument_id=instrument_id_of(symbol, venue), symbol=symbol, venue=venue, asset_class=AssetClass.CRYPTO,
        base_currency=market["base"], quote_currency=market["quote"], tick_size=tick_size, lot_size=lot_size,
        minor_exponent=minor_exponent, max_ticks=max_ticks, max_lots=max_lots,
        min_lots=max(1, steps_up(_limit(limits, "amount", "min") or Decimal(0), lot_size)),
        min_notional_minor=int(cost.scaleb(minor_exponent).to_integral_value(ROUND_CEILING)),
        taker_fee_ppm=_ppm(market.get("taker")), maker_fee_ppm=_ppm(market.get("maker")), shortable=False,
        tradable=market.get("active") is not False)


def increment(precision: Any, precision_mode: int, what: str) -> Decimal:
    """The smallest step that a precision means; raises `InstrumentError` where it means none."""
    value = exact(precision)
    if value is None:
        raise InstrumentError(f"{what}: the venue does not say its increment")
    if precision_mode == TICK_SIZE:
        step = value
    elif precision_mode == DECIMAL_PLACES:
        step = Decimal(1).scaleb(-int(value))
    else:
        raise InstrumentError(f"{what}: precision in significant digits has no fixed increment and is not supported")
    if step <= 0:
        raise InstrumentError(f"{what}: an increment of {step} is impossible")
    return step.normalize()


def _roomy_ticks(price: Decimal | None, tick_size: Decimal) -> int:
    """Room for a price to rise twentyfold at least, as a power of ten, so that it does not change from day to day."""
    if price is None or price <= 0:
        return LARGEST_TICKS
    return int(10 ** len(str(int(price * PRICE_ROOM / tick_size))))


def _limit(limits: Any, of_what: str, which: str) -> Decimal | None:
    return exact((limits.get(of_what) or {}).get(which))


def _steps_limit(limit: Decimal | None, step: Decimal, largest: int) -> int:
    if limit is None or limit <= 0:
        return largest
    return max(1, min(largest, int((limit / step).to_integral_value(ROUND_FLOOR))))


def _ppm(rate: Any) -> int:
    """A fee rate in parts per million, rounded up; an unknown one counts as nothing until the venue says."""
    return max(0, int(((exact(rate) or Decimal(0)) * PPM).to_integral_value(ROUND_CEILING)))
