"""Conditions and actions as text: one canonical form, and errors that name their column."""

import pytest

from engine.alert_language import parse_actions, parse_condition
from engine.alert_rules import AllOf, AnyOf, Comparison, Measure, Term, Unit, terms_of
from engine.alert_text import actions_text, condition_text
from engine.errors import UsageError


@pytest.mark.parametrize(("text", "canonical"), [
    ("BTC/USD price > 70000 and spread < 5bps", "BTC/USD price > 70000 and spread < 5bps"),
    ("  btc/usd price>=70000.50", "BTC/USD price >= 70000.5"),
    ("BTC/USD price > 1 and BTC/USD spread < 5 bps", "BTC/USD price > 1 and spread < 5bps"),
    ("A price > 1 and B price > 1 and A pnl < -2 R", "A price > 1 and B price > 1 and A pnl < -2R"),
    ("((A price > 1) and (A spread < 5bps and heat > 3%))", "A price > 1 and spread < 5bps and heat > 3%"),
    ("A price > 1 or heat > 3% and drawdown > 5%", "A price > 1 or heat > 3% and drawdown > 5%"),
    ("(A price > 1 or heat > 3%) and drawdown > 5%", "(A price > 1 or heat > 3%) and drawdown > 5%"),
    ("A price crosses 5", "A price crosses above 5 or price crosses below 5"),
    ("heat > 1% and A price crosses 5", "heat > 1% and (A price crosses above 5 or price crosses below 5)"),
    ("A price crosses below ema(50)", "A price crosses below ema(50)"),
    ("A move over 90m < -3%", "A move over 1h30m < -3%"),
    ("A volume over 60s > 10 and atr(14) > 2% and atr(7) < 150", "A volume over 1m > 10 and atr(14) > 2% and atr(7) < 150"),
    ("A rsi(14) < 30", "A rsi(14) < 30"),
    ("A age > 2d and quote age > 90s", "A age > 2d and quote age > 1m30s"),
    ("day pnl < -500 or day pnl < -2%", "day pnl < -500 or day pnl < -2%"),
    ("connection is down", "connection is down"),
    ("BTC/USDT:USDT@okx price > 5", "BTC/USDT:USDT@okx price > 5"),
])
def test_a_condition_is_read_and_written_in_one_form(text: str, canonical: str) -> None:
    condition = parse_condition(text)
    assert condition_text(condition) == canonical
    assert parse_condition(canonical) == condition


def test_and_binds_closer_than_or() -> None:
    found = parse_condition("A price > 1 or A price < 2 and heat > 3%")
    assert isinstance(found, AnyOf)
    assert isinstance(found.parts[1], AllOf)


def test_a_symbol_holds_until_another_is_named() -> None:
    symbols = [term.symbol for term in terms_of(parse_condition("A price > 1 and spread < 2bps and heat > 1% and pnl > 3"))]
    assert symbols == ["A", "A", "", "A"]


def test_a_term_says_what_it_means() -> None:
    assert parse_condition("A price crosses above ema(20)") == Term(
        Measure.PRICE, Comparison.CROSSES_ABOVE, parse_condition("A price > ema(20)").level, Unit.EMA, "A")  # type: ignore[union-attr]


@pytest.mark.parametrize(("text", "column", "words"), [
    ("", 1, "expected a symbol"),
    ("price > 5", 1, "which symbol"),
    ("BTC/USD prise > 5", 9, "what of BTC/USD"),
    ("BTC/USD price 5", 15, "expected >"),
    ("BTC/USD price > 5bps", 17, "such as 70000"),
    ("BTC/USD price > -5", 17, "above 0"),
    ("BTC/USD price > 5 and", 22, "the end"),
    ("BTC/USD price > 5 heat > 3%", 19, "found 'heat'"),
    ("(heat > 3%", 11, "')'"),
    ("heat > 3%)", 10, "found ')'"),
    ("heat = 3%", 6, "means nothing"),
    ("heat > 3", 8, "such as 3%"),
    ("BTC/USD heat > 3%", 1, "leave the symbol out"),
    ("BTC/USD price > 1e5", 17, "a number"),
    ("BTC/USD move > 3%", 14, "'over'"),
    ("BTC/USD move over 0s > 3%", 19, "a span"),
    ("BTC/USD price > ema(0)", 17, "1 to 200 bars"),
    ("BTC/USD atr(900) > 3%", 20, "1 to 200 bars"),
    ("connection is broken", 15, "'down'"),
    ("heat crosses above 3%", 6, "expected >"),
    ("A price > 99999999999999", 11, "below"),
])
def test_an_error_points_at_its_column(text: str, column: int, words: str) -> None:
    with pytest.raises(UsageError) as told:
        parse_condition(text)
    assert f"column {column}:" in str(told.value)
    assert words in str(told.value)
    assert "\n" not in str(told.value)


def test_a_condition_has_bounds() -> None:
    with pytest.raises(UsageError, match="more than 24"):
        parse_condition(" and ".join(["heat > 1%"] * 25))
    with pytest.raises(UsageError, match="nested deeper"):
        parse_condition("(" * 9 + "heat > 1%" + ")" * 9)
    with pytest.raises(UsageError, match="longer than"):
        parse_condition("heat > 1% and " * 200)


@pytest.mark.parametrize(("text", "canonical"), [
    ("notify", "notify"),
    ("close btc/usd; notify", "close BTC/USD; notify"),
    ("buy 0.10 BTC/USD stop 65000 target 80000 trail 2%", "buy 0.1 BTC/USD stop 65000 target 80000 trail 2%"),
    ("sell risk 1 % A limit 5 stop 6", "sell risk 1% A limit 5 stop 6"),
    ("tighten A to 5; tighten A to 1%; tighten A to entry", "tighten A to 5; tighten A to 1%; tighten A to entry"),
    ("halt; halt everything; reduce", "halt; halt everything; reduce"),
])
def test_actions_are_read_and_written_in_one_form(text: str, canonical: str) -> None:
    actions = parse_actions(text)
    assert actions_text(actions) == canonical
    assert parse_actions(canonical) == actions


@pytest.mark.parametrize(("text", "column"), [
    ("", 1), ("sell", 5), ("buy A", 5), ("buy 0 A", 1), ("buy 1 A stop 3 stop 4", 16), ("close", 6), ("tighten A 5", 11),
    ("tighten A to 100%", 1), ("reduce everything", 8), ("notify;", 8), ("buy 5% A", 5), ("buy risk 5 A", 10),
])
def test_a_wrong_action_points_at_its_column(text: str, column: int) -> None:
    with pytest.raises(UsageError, match=f"action, column {column}:"):
        parse_actions(text)
