"""What can be traded: increments, limits, and the exact conversion of ticks and lots to money."""

from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

import msgspec

from engine.errors import InstrumentError
from engine.units import MAX_PRODUCT, NS_PER_SECOND, Lots, Minor, Nanoseconds, Ticks

ALWAYS_OPEN = "24/7"
DAY_NS = 86_400 * NS_PER_SECOND
SESSION_NS = 23_400 * NS_PER_SECOND


class AssetClass(StrEnum):
    EQUITY = "equity"
    CRYPTO = "crypto"


class Instrument(msgspec.Struct, frozen=True):
    """One tradable instrument at one venue.

    `value_num / value_den` is the money, in minor units of the quote currency, of one tick times one lot.
    Fees are in parts per million of the notional. `session` is "24/7" or an exchange code such as "XNYS".
    """

    instrument_id: str
    symbol: str
    venue: str
    asset_class: AssetClass
    base_currency: str
    quote_currency: str
    tick_size: Decimal
    lot_size: Decimal
    minor_exponent: int
    max_ticks: Ticks
    max_lots: Lots
    min_lots: Lots = 1
    min_notional_minor: Minor = 0
    multiplier: Decimal = Decimal(1)
    taker_fee_ppm: int = 0
    maker_fee_ppm: int = 0
    shortable: bool = True
    tradable: bool = True
    session: str = ALWAYS_OPEN
    value_num: int = 0
    value_den: int = 0

    def __post_init__(self) -> None:
        if self.tick_size <= 0 or self.lot_size <= 0 or self.multiplier <= 0 or self.max_ticks < 1 or self.max_lots < 1:
            raise InstrumentError(f"{self.instrument_id}: tick size, lot size, multiplier and limits must be positive")
        value = (Fraction(self.tick_size) * Fraction(self.lot_size) * Fraction(self.multiplier)
                 * Fraction(10) ** self.minor_exponent)
        msgspec.structs.force_setattr(self, "value_num", value.numerator)
        msgspec.structs.force_setattr(self, "value_den", value.denominator)
        if self.max_ticks * self.max_lots * value.numerator >= MAX_PRODUCT:
            raise InstrumentError(f"{self.instrument_id}: largest price x largest quantity does not fit 62 bits; "
                                  "use a coarser tick or lot, or lower limits")

    def is_called(self, name: str) -> bool:
        """Whether a person's name for it means it: its symbol or its whole id, in any case."""
        return name.upper() in (self.symbol.upper(), self.instrument_id.upper())

    @property
    def trading_day_ns(self) -> Nanoseconds:
        """How long it trades in a day: all of it, or an exchange's six and a half hours."""
        return DAY_NS if self.session == ALWAYS_OPEN else SESSION_NS

    def signed_notional_minor(self, ticks: Ticks, signed_lots: Lots) -> Minor:
        """Value of a signed quantity, rounded down: an asset is worth less, a liability weighs more."""
        return ticks * signed_lots * self.value_num // self.value_den

    def notional_minor(self, ticks: Ticks, lots: Lots) -> Minor:
        """Size of a quantity in money, rounded up; `lots` >= 0."""
        return -(-(ticks * lots * self.value_num) // self.value_den)

    def fee_minor(self, ticks: Ticks, lots: Lots, *, maker: bool) -> Minor:
        """Fee of one fill, rounded up."""
        ppm = self.maker_fee_ppm if maker else self.taker_fee_ppm
        return -(-(ticks * lots * self.value_num * ppm) // (self.value_den * 1_000_000))

    def price(self, ticks: Ticks) -> Decimal:
        return ticks * self.tick_size

    def quantity(self, lots: Lots) -> Decimal:
        return lots * self.lot_size

    def money(self, minor: Minor) -> Decimal:
        return Decimal(minor).scaleb(-self.minor_exponent)


def instrument_id_of(symbol: str, venue: str) -> str:
    """The key of an instrument: its symbol at its venue."""
    return f"{symbol}@{venue}"
