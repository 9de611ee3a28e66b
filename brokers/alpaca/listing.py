"""What Alpaca's assets are as instruments, and which instrument a symbol or an asset's id means.

Shares: tick 0.01, which is valid at every price (finer prices are allowed below one dollar only, and never needed), whole
shares unless the account trades fractions, then a millionth of a share where the venue takes fractions at all. Prices of
executions may lie between ticks. Coins: the increments that the venue names; only pairs against the dollar, since the
account's cash is kept in dollars. The size of a lot never depends on what is held: positions in a journal are counted in it.
"""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from brokers.alpaca.wire import WireAsset
from engine.errors import ConfigError
from engine.inputs import VenueCapabilities
from engine.instruments import AssetClass, Instrument, instrument_id_of
from engine.units import MAX_PRODUCT, steps_up

SHARE_CLASS = "us_equity"
COIN_CLASS = "crypto"
CURRENCY = "USD"
MINOR_EXPONENT = 2
SHARE_TICK = Decimal("0.01")
WHOLE_SHARE = Decimal(1)
SHARE_FRACTION = Decimal("0.000001")
LEAST_FRACTIONAL_MINOR = 100  # an order with a fraction of a share must be worth a dollar
COIN_TICK = Decimal("0.01")
COIN_LOT = Decimal("0.0001")
MOST_TICKS = 10 ** 8
MOST_LOTS = 10 ** 12
COIN_TAKER_FEE_PPM = 2_500  # the first tier, up to 100,000 dollars a month
COIN_MAKER_FEE_PPM = 1_500


def capabilities_of(*, coins: bool, fractions: bool) -> VenueCapabilities:
    """What an account does natively. Stops rest here; only whole shares trail, have their exits sent with them, or rest with stop
    and target as a pair. The exits of a bracket work once its entry is filled to the last share."""
    whole = not coins and not fractions
    return VenueCapabilities(stop=True, bracket=whole, oco=whole, reduce_only=False, trailing=whole, idempotent_ids=True,
                             children_wait=whole)


def instrument_of(asset: WireAsset, *, venue: str, fractions: bool) -> Instrument | None:
    """The instrument of an asset, or None for a class that is not traded here (options, perpetuals)."""
    if asset.asset_class == SHARE_CLASS:
        return _share(asset, venue, fractions=fractions and asset.fractionable)
    if asset.asset_class == COIN_CLASS:
        return _coin(asset, venue)
    return None


def _share(asset: WireAsset, venue: str, *, fractions: bool) -> Instrument:
    lot = SHARE_FRACTION if fractions else WHOLE_SHARE
    borrowable = asset.borrow_status == "easy_to_borrow" if asset.borrow_status else asset.easy_to_borrow
    return Instrument(
        instrument_id=instrument_id_of(asset.symbol, venue), symbol=asset.symbol, venue=venue,
        asset_class=AssetClass.EQUITY, base_currency=asset.symbol, quote_currency=CURRENCY, tick_size=SHARE_TICK, lot_size=lot,
        minor_exponent=MINOR_EXPONENT, max_ticks=MOST_TICKS, max_lots=_most_lots(SHARE_TICK, lot),
        min_notional_minor=LEAST_FRACTIONAL_MINOR if fractions else 0, shortable=asset.shortable and borrowable,
        tradable=_tradable(asset), session="XNYS")


def _coin(asset: WireAsset, venue: str) -> Instrument:
    base, _, quote = asset.symbol.partition("/")
    if quote != CURRENCY:
        raise ConfigError(f"{asset.symbol} at {venue}: the account is kept in {CURRENCY}, so only pairs against {CURRENCY} can "
                          "be traded; remove it from the symbols")
    tick, lot = asset.price_increment or COIN_TICK, asset.min_trade_increment or COIN_LOT
    return Instrument(
        instrument_id=instrument_id_of(asset.symbol, venue), symbol=asset.symbol, venue=venue, asset_class=AssetClass.CRYPTO,
        base_currency=base, quote_currency=quote, tick_size=tick, lot_size=lot, minor_exponent=MINOR_EXPONENT,
        max_ticks=MOST_TICKS, max_lots=_most_lots(tick, lot), min_lots=max(1, steps_up(asset.min_order_size or lot, lot)),
        taker_fee_ppm=COIN_TAKER_FEE_PPM, maker_fee_ppm=COIN_MAKER_FEE_PPM, shortable=False, tradable=_tradable(asset),
        session="24/7")


def _tradable(asset: WireAsset) -> bool:
    return asset.tradable and asset.status == "active"


def _most_lots(tick: Decimal, lot: Decimal) -> int:
    """As many lots as fit 62 bits together with the highest price."""
    value = Fraction(tick) * Fraction(lot) * Fraction(10) ** MINOR_EXPONENT
    return min(MOST_LOTS, (MAX_PRODUCT - 1) // (MOST_TICKS * value.numerator))


class Listing:
    """The instruments of one account by their ids, by symbol and by the venue's id of the asset."""

    def __init__(self) -> None:
        self._by_instrument: dict[str, Instrument] = {}
        self._by_name: dict[str, Instrument] = {}

    def add(self, asset: WireAsset, instrument: Instrument) -> None:
        self._by_instrument[instrument.instrument_id] = instrument
        for name in (asset.id, asset.symbol, asset.symbol.replace("/", "")):
            self._by_name.setdefault(name, instrument)

    def instrument(self, instrument_id: str) -> Instrument | None:
        return self._by_instrument.get(instrument_id)

    def named(self, *names: str | None) -> Instrument | None:
        """The instrument of the first name that is known; a name is a symbol, with its slash or without, or an asset's id."""
        return next((self._by_name[name] for name in names if name and name in self._by_name), None)

    def missing(self, names: Iterable[str]) -> list[str]:
        """The names that mean nothing yet, each once."""
        return [name for name in dict.fromkeys(names) if name not in self._by_name]

    def instruments(self) -> tuple[Instrument, ...]:
        return tuple(self._by_instrument.values())
