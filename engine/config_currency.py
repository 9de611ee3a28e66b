"""The `[currency]` section of the configuration file: the money in which all portfolios are added up."""

from collections.abc import Iterator, Mapping, Sequence

from pydantic import Field, field_validator

from engine.config_limits import Section
from engine.settings import CurrencySettings
from engine.tolerance import Limits

_DEFAULTS = CurrencySettings()
_CODE = r"^([A-Z0-9]{2,10})?$"


class CurrencyConfig(Section):
    """The one money in which portfolios of several currencies are added up, and what holds for all of them together."""

    base: str = Field(default="", pattern=_CODE, description="The currency of the total; empty: that of the first portfolio.")
    pegs: dict[str, str] = Field(
        default=_DEFAULTS.pegs, description="Currencies taken as worth exactly one of another; {} for none.")
    rates: dict[str, str] = Field(
        default={}, description='The symbol whose quotes say what a currency is worth, such as EUR = "EUR/USD"; without one '
        "it is any that trades the one for the other.")
    max_rate_age_seconds: float = Field(
        default=_DEFAULTS.max_rate_age_seconds, gt=0, le=604_800,
        description="Entries that depend on an older rate are refused.")
    max_total_heat_fraction: float = Field(
        default=_DEFAULTS.max_total_heat_fraction, ge=0, le=1,
        description="What all portfolios may risk together, as a part of all that they are worth; 0: no limit.")
    max_total_gross_fraction: float = Field(
        default=_DEFAULTS.max_total_gross_fraction, ge=0, le=100,
        description="What may be at work in all portfolios together, as a part of all that they are worth; 0: no limit.")

    @field_validator("pegs")
    @classmethod
    def _pegs_end(cls, pegs: dict[str, str]) -> dict[str, str]:
        for currency, peg in pegs.items():
            if peg in pegs:
                raise ValueError(f"{currency} is pegged to {peg}, which is pegged itself; name what {peg} is worth instead")
        return pegs


def total_contradictions(chosen: CurrencyConfig, limits: Sequence[Limits]) -> Iterator[str]:
    """Limits on all portfolios together that those of the single ones, `limits`, leave without a meaning, one line each."""
    for name, of_one in (("max_total_heat_fraction", "max_heat_fraction"), ("max_total_gross_fraction", "max_leverage")):
        total, largest = getattr(chosen, name), max(getattr(one, of_one) for one in limits)
        if total > largest:
            yield (f"currency.{name} ({total:g}) is above the limits.{of_one} of every portfolio ({largest:g} at most): "
                   "it never binds")


def currency_contradictions(chosen: CurrencyConfig, currencies: Mapping[str, str], symbols: Sequence[str]) -> Iterator[str]:
    """Portfolios whose money nothing converts, one line each; `currencies` are those of the portfolios, in their order."""
    base = chosen.base or next(iter(currencies.values()))
    priced = {frozenset(chosen.pegs.get(part, part) for part in symbol.split("/")) for symbol in symbols if "/" in symbol}
    for portfolio, currency in currencies.items():
        pair = frozenset((chosen.pegs.get(currency, currency), chosen.pegs.get(base, base)))
        if len(pair) == 2 and pair not in priced:
            yield (f'portfolio "{portfolio}": is kept in {currency}, and nothing says what that is worth in {base}: no account '
                   f"names {currency}/{base} among its symbols, and [currency] pegs it to nothing; nothing can be entered there")
