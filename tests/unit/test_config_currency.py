"""The `[currency]` section: what is refused, and what is told of portfolios whose money nothing converts."""

import pytest

from engine.config import check_config, parse_config
from engine.errors import ConfigError
from engine.settings import CurrencySettings

ACCOUNTS = """
[[account]]
name = "dollars"
venue = "ccxt:kraken"
symbols = ["BTC/USD"{pair}]
[[account]]
name = "others"
venue = "ccxt:binance"
currency = "{currency}"
symbols = ["BTC/{currency}"]
[[portfolio]]
name = "main"
account = "dollars"
[[portfolio]]
name = "side"
account = "others"
"""


@pytest.mark.parametrize(("currency", "pair", "more", "told"), [
    ("EUR", "", "", True), ("EUR", ', "EUR/USD"', "", False), ("USDT", "", "", False),
    ("USDT", "", "[currency]\npegs = {}", True), ("EUR", "", '[currency]\npegs = {EUR = "USD"}', False)])
def test_money_that_nothing_converts_is_told(currency: str, pair: str, more: str, told: bool) -> None:
    text = ACCOUNTS.replace("{currency}", currency).replace("{pair}", pair) + more
    checked = check_config(text, "c.toml")
    assert checked.errors == ()
    warnings = [line for line in checked.warnings if "nothing says what that is worth" in line]
    assert len(warnings) == told
    assert all(f'portfolio "side": is kept in {currency}' in line for line in warnings)


def test_the_engine_gets_the_section_with_the_decimals_of_its_base() -> None:
    made = parse_config('[currency]\nbase = "JPY"\nmax_total_heat_fraction = 0.1', "c.toml").settings()
    assert made.currency == CurrencySettings(base="JPY", minor_exponent=0, max_total_heat_fraction=0.1)
    assert made.base_currency == ("JPY", 0)


def test_without_a_base_the_first_portfolio_says_it() -> None:
    assert parse_config("", "c.toml").settings().base_currency == ("USD", 2)


@pytest.mark.parametrize(("line", "told"), [
    ('pegs = {USDT = "USDC", USDC = "USD"}', "USDT is pegged to USDC, which is pegged itself"), ('base = "usd"', "currency.base"),
    ("max_rate_age_seconds = 0", "currency.max_rate_age_seconds")])
def test_nonsense_is_refused_in_one_line(line: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        parse_config(f"[currency]\n{line}", "c.toml")


@pytest.mark.parametrize(("total", "told"), [
    ("max_total_heat_fraction = 0.07", True), ("max_total_heat_fraction = 0.06", False), ("max_total_gross_fraction = 1.5", True),
    ("max_total_gross_fraction = 1", False)])
def test_a_limit_on_everything_above_that_of_each_is_told(total: str, told: bool) -> None:
    text = ACCOUNTS.replace("{currency}", "USDT").replace("{pair}", "") + f"[currency]\n{total}"
    warnings = [line for line in check_config(text, "c.toml").warnings if "it never binds" in line]
    assert bool(warnings) is told


@pytest.mark.parametrize(("currency", "source", "told"), [
    ("EUR", "simulated", True), ("USD", "simulated", False), ("EUR", "far", False)])
def test_an_account_in_a_money_that_the_simulated_market_does_not_have_is_told(currency: str, source: str, told: bool) -> None:
    text = f'''
[market]
source = "{source}"
[[account]]
name = "paper"
currency = "{currency}"
[[account]]
name = "far"
venue = "ccxt:kraken"
currency = "EUR"
symbols = ["BTC/EUR"]
'''
    assert any("only in a replay" in line for line in check_config(text, "c.toml").warnings) is told
