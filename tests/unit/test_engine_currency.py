"""Portfolios of several currencies in one: rates from quotes and pegs, what is refused without one, and what is recorded.

Money is chosen to be checked by eye: `main` has 100,000.00 USD, `side` 100,000.00 of its own currency, EUR at 1.10 USD.
"""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest

from engine.currency import rate_of, rates_used, total_of, total_view
from engine.decide.brakes import START_PATIENCE_NS
from engine.events import AlertRaised, OrderIntended
from engine.inputs import ClosePosition, Limits, PortfolioSettings, Settings, SizeSpec
from engine.instruments import AssetClass, Instrument
from engine.orders import Purpose
from engine.service import AlertLevel, RateView, TotalView
from engine.settings import CurrencySettings
from engine.state import decode_state, encode_state
from engine.units import NS_PER_SECOND
from engine.valuation import heat_minor
from engine.want import Assessment, assess
from tests.unit.engine_desk import COIN, COIN_ID, NO_BRACKETS, Desk, account_of, bought

ROOMY = Limits(max_heat_fraction=1.0, max_order_notional_fraction=2.0, max_position_fraction=2.0, stale_quote_seconds=100_000)
HELD_MINOR = 10_000_000


def pair(base: str, quote: str) -> Instrument:
    name = f"{base}/{quote}"
    return Instrument(f"{name}@fx", name, "fx", AssetClass.CRYPTO, base, quote, Decimal("0.0001"), Decimal(1), 2, 10_000_000,
                      1_000_000)


EUR_USD, USD_EUR, BTC_USDT = pair("EUR", "USD"), pair("USD", "EUR"), pair("BTC", "USDT")


def desk(currency: str = "EUR", exponent: int = 2, fx: Instrument | None = EUR_USD, ticks: int = 11_000, **chosen: Any) -> Desk:
    """Two portfolios with an account each, and a quoted pair."""
    settings = Settings(
        (PortfolioSettings("main", account_of("main"), "USD", 2, limits=ROOMY),
         PortfolioSettings("side", account_of("side"), currency, exponent, limits=ROOMY)),
        currency=CurrencySettings(**chosen))
    made = Desk(can=NO_BRACKETS, settings=settings, instruments=(COIN, *([fx] if fx else [])))
    if fx is not None:
        made.quote(ticks - 10, ticks + 10, instrument_id=fx.instrument_id)
    return made


def refused_by(made: Desk, portfolio: str = "side", **want: Any) -> str:
    """The check that refuses an entry, empty where it goes."""
    receipt = made.do(bought(f"b{made.state.seq}", portfolio=portfolio, **want))
    return receipt.refusal.check if receipt.refusal else ""


# ---- rates -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("currency", "fx", "ticks", "rate"), [
    ("USD", None, 0, Fraction(1)), ("USDT", None, 0, Fraction(1)),
    ("EUR", EUR_USD, 11_000, Fraction(11, 10)), ("EUR", USD_EUR, 8_000, Fraction(10, 8)),
    ("BTC", BTC_USDT, 600_000_000, Fraction(60_000)), ("EUR", None, 0, None), ("GBP", EUR_USD, 11_000, None)])
def test_a_rate_is_one_by_peg_else_the_middle_of_a_quote_either_way_round(
        currency: str, fx: Instrument | None, ticks: int, rate: Fraction | None) -> None:
    made = desk(currency, fx=fx, ticks=ticks)
    found = rate_of(made.state, made.market, currency)
    assert (found.value if found else None) == rate


def test_without_a_quote_a_pair_says_nothing() -> None:
    made = desk(fx=None)
    made.instruments = (*made.instruments, EUR_USD)
    assert rate_of(made.state, made.market, "EUR") is None


def test_the_newest_quote_counts_unless_a_symbol_is_named() -> None:
    made = desk(fx=EUR_USD)
    other = pair("EUR", "USDC")
    made.changed(instruments={**made.state.instruments, other.instrument_id: other})
    made.later(5)
    made.quote(12_000, instrument_id=other.instrument_id)
    newest = rate_of(made.state, made.market, "EUR")
    assert newest is not None
    assert (newest.value, newest.source) == (Fraction(12, 10), "EUR/USDC@fx")
    made.changed(settings=desk(rates={"EUR": "EUR/USD"}).settings)
    chosen = rate_of(made.state, made.market, "EUR")
    assert chosen is not None
    assert chosen.source == "EUR/USD@fx"


# ---- everything together -----------------------------------------------------------------------------------------------------


def test_worth_risk_and_exposure_are_added_up_in_the_base_currency() -> None:
    made = desk()
    made.enter(portfolio="side", lots=100)
    total = total_of(made.state, made.market)
    assert (total.currency, total.minor_exponent, total.left_out) == ("USD", 2, ())
    assert total.equity_minor == HELD_MINOR + HELD_MINOR * 11 // 10
    assert total.heat_minor == heat_minor(made.state, made.market, "side") * 11 // 10 == 55_000
    assert total.gross_minor == 1_000_000 * 11 // 10


def test_a_coarser_money_rounds_worth_down_and_risk_up() -> None:
    made = desk("JPY", exponent=0, fx=pair("USD", "JPY"), ticks=1_499_999)
    total = total_of(made.state, made.market)
    assert total.equity_minor == HELD_MINOR + int(Fraction(HELD_MINOR * 100 * 10_000, 1_499_999))


def test_a_portfolio_without_a_rate_is_left_out_and_named() -> None:
    view = total_view(desk(fx=None).state, desk(fx=None).market, 0)
    assert view is not None
    assert (view.equity, view.left_out) == (Decimal(100_000), ("side",))


def test_the_view_tells_the_rates_with_their_age() -> None:
    made = desk()
    view = total_view(made.state, made.market, made.at_ns + 3 * NS_PER_SECOND)
    assert view is not None
    assert (view.equity, view.currency) == (Decimal(210_000), "USD")
    assert view.rates == (RateView("EUR", "USD", Decimal("1.1"), "EUR/USD@fx", 3.0),)


def test_one_portfolio_needs_no_total() -> None:
    made = Desk()
    assert total_view(made.state, made.market, made.at_ns) is None


def test_another_base_turns_everything_round() -> None:
    made = desk(base="EUR")
    total = total_of(made.state, made.market)
    assert (total.currency, total.equity_minor) == ("EUR", HELD_MINOR + HELD_MINOR * 10 // 11)


# ---- entries -----------------------------------------------------------------------------------------------------------------


def test_an_entry_whose_rate_is_unknown_or_old_is_refused_and_says_what_helps() -> None:
    made = desk(fx=None)
    receipt = made.do(bought("b", portfolio="side"))
    assert receipt.refusal is not None
    assert (receipt.refusal.check, receipt.refusal.value) == ("currency rate", "no rate")
    assert "trade EUR/USD in some account, or peg" in receipt.refusal.message
    assert refused_by(made, "main") == "", "whose money needs no rate is not held up"

    made = desk(max_rate_age_seconds=60)
    made.later(60)
    assert refused_by(made, symbol="COIN") == ""
    made.later(1)
    receipt = made.do(bought("c", 11, portfolio="side"))
    assert receipt.refusal is not None
    assert (receipt.refusal.check, receipt.refusal.limit, receipt.refusal.value) == ("currency rate", "60 s", "61 s old")


def test_an_exit_asks_for_no_rate() -> None:
    made = desk(max_rate_age_seconds=60)
    made.enter(portfolio="side")
    made.later(61)
    made.forget()
    assert made.do(ClosePosition("x", "COIN", "side")).accepted
    assert [one.purpose for one in made.sent] == [Purpose.EXIT]


def test_where_a_limit_holds_for_all_everybodys_rate_is_needed() -> None:
    made = desk(fx=None, max_total_heat_fraction=0.5)
    assert refused_by(made, "main") == "currency rate"


@pytest.mark.parametrize(("limit", "check", "lots"), [
    ({"max_total_heat_fraction": 0.01}, "total heat", 382), ({"max_total_gross_fraction": 0.1}, "total exposure", 191)])
def test_what_all_risk_and_hold_together_is_limited_at_the_rate(limit: dict[str, Any], check: str, lots: int) -> None:
    """Of 210,000 USD 1 % is 2,100: 381 coins with 5 EUR at risk each are 2,095.50 USD; 10 % are 21,000: 190 coins of 110 USD."""
    made = desk(**limit)
    assert refused_by(made, quantity=lots) == check
    made = desk(**limit)
    assert refused_by(made, quantity=lots - 1) == ""
    assert refused_by(made, "main", quantity=50) == check, "another portfolio's risk counts too"


def test_sizing_is_cut_to_what_all_may_risk_together() -> None:
    made = desk(max_total_heat_fraction=0.01)
    found = assess(made.state, made.market, made.at_ns, bought(quantity=None, portfolio="side", size=SizeSpec(largest=True)))
    assert isinstance(found, Assessment), found
    assert found.intent.order_lots == 381
    assert found.card.clamps[-1].limit == "total heat"


def test_the_rates_that_decided_are_recorded_with_the_order() -> None:
    made = desk()
    made.later(2)
    made.quote(10_000)
    made.do(bought("b", portfolio="side"))
    (intended,) = made.of(OrderIntended)
    assert intended.rates == (RateView("EUR", "USD", Decimal("1.1"), "EUR/USD@fx", 2.0),)
    made.do(bought("c", 11, portfolio="main"))
    assert made.of(OrderIntended)[1].rates == ()
    assert rates_used(made.state, made.market, made.at_ns, "main") == ()


# ---- rates that go away ------------------------------------------------------------------------------------------------------


def rate_alerts(made: Desk) -> list[tuple[AlertLevel, str]]:
    return [(event.level, event.text) for event in made.of(AlertRaised) if event.code == "rate"]


def shown(made: Desk) -> TotalView:
    view = total_view(made.state, made.market, made.at_ns)
    assert view is not None
    return view


def test_a_rate_that_grows_old_is_told_once_and_once_more_when_it_is_fresh() -> None:
    made = desk(max_rate_age_seconds=60)
    made.later(START_PATIENCE_NS / NS_PER_SECOND)
    made.quote(10_990, 11_010, instrument_id=EUR_USD.instrument_id)
    made.enter(portfolio="side")
    before = shown(made)
    made.beat(60)
    assert (rate_alerts(made), shown(made).stale) == ([], ())
    for _ in range(200):
        made.beat(1)
    ((level, text),) = rate_alerts(made)
    assert level is AlertLevel.WARN
    assert "the rate EUR/USD is more than 60 s old: worth and risk of all together rest on it as it was" in text
    after = shown(made)
    assert after.stale == ("EUR/USD",)
    assert (after.equity, after.heat_percent) == (before.equity, before.heat_percent), "nothing jumps"
    made.quote(10_990, 11_010, instrument_id=EUR_USD.instrument_id)
    for _ in range(3):
        made.beat(1)
    assert rate_alerts(made)[1:] == [(AlertLevel.INFO, "the rate EUR/USD is fresh again")]
    assert shown(made).stale == ()


def test_a_rate_that_nobody_knows_is_told_after_prices_had_their_time() -> None:
    made = desk(fx=None)
    made.beat(START_PATIENCE_NS / NS_PER_SECOND - 1)
    assert rate_alerts(made) == []
    for _ in range(100):
        made.beat(1)
    ((_, text),) = rate_alerts(made)
    assert text.startswith("no rate EUR/USD is known: side is left out of what all are worth and risk together")
    assert shown(made).stale == ("EUR/USD",)


def test_one_money_for_all_needs_no_rate_and_no_word() -> None:
    made = desk("USD", fx=None)
    made.beat(2 * START_PATIENCE_NS / NS_PER_SECOND)
    assert rate_alerts(made) == []


# ---- who left the configuration --------------------------------------------------------------------------------------------


def left_alone(made: Desk, *, fx: bool = True) -> Desk:
    """The engine after a restart with `main` alone in its configuration, all that is quoted seen again."""
    alone = msgspec.structs.replace(made.settings, portfolios=made.settings.portfolios[:1])
    again = Desk(can=NO_BRACKETS, settings=alone, state=decode_state(encode_state(made.state)), instruments=made.instruments,
                 live=False)
    again.later(60)
    again.start()
    again.quote(10_000)
    if fx:
        again.quote(10_990, 11_010, instrument_id=EUR_USD.instrument_id)
    return again


def test_money_of_a_portfolio_that_left_the_configuration_makes_no_room_for_the_others() -> None:
    made = desk(max_total_heat_fraction=0.05)
    assert total_of(made.state, made.market).equity_minor == 21_000_000
    again = left_alone(made, fx=False)
    assert total_of(again.state, again.market).equity_minor == HELD_MINOR
    assert total_view(again.state, again.market, again.at_ns) is None
    assert refused_by(again, "main", quantity=10) == "", "no rate is needed for what is not there any more"


def test_what_a_portfolio_that_left_the_configuration_holds_is_still_at_risk() -> None:
    made = desk(max_total_heat_fraction=0.05)
    made.enter(portfolio="side", lots=300)
    assert made.state.position("side", COIN_ID) is not None
    before = total_of(made.state, made.market)
    again = left_alone(made)
    after = total_of(again.state, again.market)
    assert (after.equity_minor, after.heat_minor, after.gross_minor) == (HELD_MINOR, before.heat_minor, before.gross_minor)
    assert refused_by(left_alone(made, fx=False), "main", quantity=10) == "currency rate"
