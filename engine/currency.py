"""All portfolios in one money: rates between currencies, what everything together is worth and risks, and the checks of an
entry that depend on it.

A rate is 1 between a currency and its peg, else the middle of the newest quote of an instrument that trades the one for the
other. An unknown rate is never guessed: what would need it is left out of the total, and entries that depend on it are refused.
"""

from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING, NamedTuple

from engine.inputs import PortfolioSettings
from engine.instruments import Instrument
from engine.market import MarketView
from engine.service import CheckView, RateView, TotalView
from engine.settings import CurrencySettings
from engine.state import PortfolioState, State
from engine.units import NS_PER_SECOND, Lots, Minor, Nanoseconds
from engine.valuation import equity_minor, fraction, gross_minor, heat_minor, working_notional_minor

if TYPE_CHECKING:  # a book holds a total, so only the type checker may look the other way
    from engine.limits import Book

SHOWN_PLACES = Decimal("0.00000001")


class Rate(NamedTuple):
    """What one unit of `currency` is worth in `into`; `source` is the instrument that says so, empty where a rule does.

    `at_ns` is when its quote was received, None where a rule needs none.
    """

    currency: str
    into: str
    value: Fraction
    source: str = ""
    at_ns: Nanoseconds | None = None

    def age_seconds(self, at_ns: Nanoseconds) -> float | None:
        return None if self.at_ns is None else (at_ns - self.at_ns) / NS_PER_SECOND

    def view(self, at_ns: Nanoseconds) -> RateView:
        shown = (Decimal(self.value.numerator) / self.value.denominator).quantize(SHOWN_PLACES)
        return RateView(self.currency, self.into, shown, self.source, self.age_seconds(at_ns))


class Total(NamedTuple):
    """Every portfolio whose rate is known, in minor units of `currency`; `left_out` are the others."""

    currency: str
    minor_exponent: int
    equity_minor: Minor
    heat_minor: Minor
    gross_minor: Minor
    rates: tuple[Rate, ...]
    left_out: tuple[str, ...]


def added_up(state: State) -> dict[str, PortfolioState]:
    """The portfolios that count in the total: the configured ones, and whoever left the configuration with something at risk."""
    chosen = {one.portfolio: None for one in state.settings.portfolios}
    at_risk = dict.fromkeys(position.portfolio for position in state.positions.values())
    at_risk |= dict.fromkeys(order.intent.portfolio for order in state.orders.values())
    at_risk |= dict.fromkeys(parent.intent.portfolio for parent in state.parents.values() if parent.works)
    return {name: known for name, known in state.portfolios.items() if name in chosen or name in at_risk}


def rate_of(state: State, market: MarketView, currency: str) -> Rate | None:
    """The rate from a currency into the base currency, None where nothing says it."""
    chosen, (into, _) = state.settings.currency, state.settings.base_currency
    own, base = chosen.pegged(currency), chosen.pegged(into)
    if own == base:
        return Rate(currency, into, Fraction(1))
    named = chosen.rates.get(currency)
    quoted = [(instrument, mark.at_ns) for instrument in state.instruments.values()
              if _direction(chosen, instrument, own, base) and (named is None or instrument.is_called(named))
              and (mark := market.marks.get(instrument.instrument_id)) is not None]
    if not quoted:
        return None
    instrument, at_ns = max(quoted, key=lambda found: found[1])
    mark = market.marks[instrument.instrument_id]
    price = Fraction(mark.bid_ticks + mark.ask_ticks, 2) * Fraction(instrument.tick_size)
    value = price if _direction(chosen, instrument, own, base) > 0 else 1 / price
    return Rate(currency, into, value, instrument.instrument_id, at_ns)


def _direction(chosen: CurrencySettings, instrument: Instrument, own: str, base: str) -> int:
    """1 where the instrument's price is what one unit of `own` costs in `base`, -1 for the inverse, else 0."""
    pair = (chosen.pegged(instrument.base_currency), chosen.pegged(instrument.quote_currency))
    return 1 if pair == (own, base) else -1 if pair == (base, own) else 0


def converted(minor: Minor, settings: PortfolioSettings, rate: Rate, into_exponent: int) -> Fraction:
    """Money of a portfolio in minor units of the base currency, not yet rounded."""
    return minor * rate.value * Fraction(10) ** (into_exponent - settings.minor_exponent)


def total_of(state: State, market: MarketView) -> Total:
    """All portfolios together: worth is rounded down, what is risked and what is at work up. What left the configuration risks
    what it did, but its money may be elsewhere by now: it is worth nothing here."""
    base, exponent = state.settings.base_currency
    equity = heat = gross = 0
    rates: dict[str, Rate] = {}
    left_out: list[str] = []
    chosen = frozenset(one.portfolio for one in state.settings.portfolios)
    for name, known in added_up(state).items():
        rate = rate_of(state, market, known.settings.currency)
        if rate is None:
            left_out.append(name)
            continue
        rates[rate.currency] = rate
        work = gross_minor(state, market, name) + working_notional_minor(state, market, name)
        if name in chosen:
            equity += floor(converted(equity_minor(state, market, name), known.settings, rate, exponent))
        heat += ceil(converted(heat_minor(state, market, name), known.settings, rate, exponent))
        gross += ceil(converted(work, known.settings, rate, exponent))
    return Total(base, exponent, equity, heat, gross, tuple(rates.values()), tuple(left_out))


def total_view(state: State, market: MarketView, at_ns: Nanoseconds) -> TotalView | None:
    """The total as a person sees it; None where there is only one portfolio to add up."""
    if len(added_up(state)) < 2:
        return None
    total, chosen = total_of(state, market), state.settings.currency
    return TotalView(
        currency=total.currency, money_decimals=total.minor_exponent,
        equity=Decimal(total.equity_minor).scaleb(-total.minor_exponent),
        heat_percent=100 * fraction(total.heat_minor, total.equity_minor),
        heat_limit_percent=100 * chosen.max_total_heat_fraction,
        gross_percent=100 * fraction(total.gross_minor, total.equity_minor),
        gross_limit_percent=100 * chosen.max_total_gross_fraction,
        rates=tuple(rate.view(at_ns) for rate in total.rates if rate.source or rate.currency != rate.into),
        left_out=total.left_out, stale=tuple(rate_trouble(state, market, at_ns)))


def rate_trouble(state: State, market: MarketView, at_ns: Nanoseconds) -> dict[str, str]:
    """What is wrong with the rates that the total of several portfolios needs, in words by pair, such as EUR/USD; empty where all
    are known and fresh."""
    chosen, (into, _) = state.settings.currency, state.settings.base_currency
    found: dict[str, str] = {}
    for currency in dict.fromkeys(known.settings.currency for known in added_up(state).values()):
        rate, pair = rate_of(state, market, currency), f"{currency}/{into}"
        if rate is None:
            names = ", ".join(name for name, known in added_up(state).items() if known.settings.currency == currency)
            found[pair] = (f"no rate {pair} is known: {names} is left out of what all are worth and risk together; entries that "
                           "need it wait")
        elif (rate.age_seconds(at_ns) or 0.0) > chosen.max_rate_age_seconds:
            found[pair] = (f"the rate {pair} is more than {chosen.max_rate_age_seconds:g} s old: worth and risk of all together "
                           "rest on it as it was; entries that need it wait")
    return found


# ---- checks of an entry ------------------------------------------------------------------------------------------------------


def needs_total(state: State) -> bool:
    """Whether any limit holds for all portfolios together."""
    chosen = state.settings.currency
    return bool(chosen.max_total_heat_fraction or chosen.max_total_gross_fraction)


def rate_checks(state: State, market: MarketView, at_ns: Nanoseconds, portfolio: str) -> list[CheckView]:
    """Whether the rates that an entry depends on are known and fresh: its own portfolio's, and everybody's where a limit
    holds for all of them."""
    chosen = state.settings.currency
    asked = added_up(state) if needs_total(state) else [portfolio]
    currencies = dict.fromkeys(state.portfolios[name].settings.currency for name in asked)
    found = {currency: rate_of(state, market, currency) for currency in currencies}
    into, _ = state.settings.base_currency
    return [_rate_check(chosen.max_rate_age_seconds, f"{currency}/{into}", rate, at_ns) for currency, rate in found.items()
            if rate is None or rate.at_ns is not None]


def _rate_check(limit_seconds: float, pair: str, rate: Rate | None, at_ns: Nanoseconds) -> CheckView:
    age = rate.age_seconds(at_ns) if rate is not None else None
    passed = age is not None and age <= limit_seconds
    message = (f"no rate {pair} is known: trade {pair} in some account, or peg the one to the other under [currency]"
               if age is None else f"the rate {pair} is {age:.0f} s old; wait for a quote")
    return CheckView("currency rate", passed, f"{limit_seconds:g} s", "no rate" if age is None else f"{age:.0f} s old",
                     "" if passed else message)


def rates_used(state: State, market: MarketView, at_ns: Nanoseconds, portfolio: str) -> tuple[RateView, ...]:
    """The rates from quotes that an entry's checks depended on, for its record."""
    asked = added_up(state) if needs_total(state) else [portfolio]
    found = (rate_of(state, market, currency)
             for currency in dict.fromkeys(state.portfolios[name].settings.currency for name in asked))
    return tuple(rate.view(at_ns) for rate in found if rate is not None and rate.at_ns is not None)


def total_heat(book: "Book", lots: Lots) -> CheckView:
    """What all portfolios risk together, against all that they are worth."""
    before_minor = book.total.heat_minor if book.total else 0
    limit = book.state.settings.currency.max_total_heat_fraction
    return _together(book, "total heat", before_minor, book.risk(lots), limit)


def total_exposure(book: "Book", lots: Lots) -> CheckView:
    """What is at work in all portfolios together, against all that they are worth."""
    before_minor = book.total.gross_minor if book.total else 0
    limit = book.state.settings.currency.max_total_gross_fraction
    return _together(book, "total exposure", before_minor, book.notional(lots), limit)


def _together(book: "Book", name: str, before_minor: Minor, more_minor: Minor, limit: float) -> CheckView:
    """Without every rate nothing is known of the whole, and nothing is added to it."""
    total, settings = book.total, book.state.portfolios[book.intent.portfolio].settings
    rate = next((one for one in total.rates if one.currency == settings.currency), None) if total else None
    if total is None or rate is None or total.left_out:
        return CheckView(name, False, f"{limit:.2%}", "no rate",  # noqa: FBT003
                         f"{name} is not known: no rate for {', '.join(total.left_out) if total else settings.portfolio}")
    after_minor = before_minor + ceil(converted(more_minor, settings, rate, total.minor_exponent))
    share = fraction(after_minor, total.equity_minor)
    return CheckView(name, share <= limit, f"{limit:.2%}", f"{share:.2%}", "" if share <= limit else (
        f"{name} of all portfolios would be {share:.2%} of what they are worth in {total.currency}; the limit is {limit:.2%}"))
