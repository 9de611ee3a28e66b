"""Numbers keep their digits and their sign; outside text loses everything that could act on a terminal."""

import unicodedata
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import UsageError
from engine.inputs import TrailSpec
from tui.formats import age, arrow, clock, countdown, duration, money, multiple, number, percent, plain, plural
from tui.screens.entries import number_entry, span_entry, trail_entry


@pytest.mark.parametrize(("value", "decimals", "signed", "text"), [
    ("1234567.891", 2, False, "1,234,567.89"), ("-0.001", 2, False, "0.00"), ("-92.93", 2, True, "−92.93"),
    ("510", 2, True, "+510.00"), ("0", 2, True, "0.00"), ("0.3500", None, False, "0.3500"),
    ("1E+3", None, False, "1,000"),
])
def test_numbers(value: str, decimals: int | None, signed: bool, text: str) -> None:
    assert number(Decimal(value), decimals, signed=signed) == text


def test_nothing_is_said_as_nothing() -> None:
    assert (number(None), percent(None), multiple(None), age(None), countdown(None)) == ("–", "–", "–", "never", "–")


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-10**12, max_value=10**12, places=4))
def test_every_digit_survives(value: Decimal) -> None:
    assert Decimal(number(value, 4).replace(",", "").replace("−", "-")) == value


def test_percent_money_multiple_arrow() -> None:
    assert percent(-0.43, signed=True) == "−0.43%"
    assert percent(-0.001, 1, signed=True) == "0.0%"
    assert money(Decimal("-3.5"), 2, "USD", signed=True) == "−3.50 USD"
    assert multiple(1.056) == "+1.06R"
    assert [arrow(1), arrow(-1), arrow(0), arrow(None)] == ["▲", "▼", "·", "·"]


def test_times() -> None:
    assert [age(seconds) for seconds in (-1, 0.9, 1, 59.9, 60, 3600, 90_000)] == [
        "<1s", "<1s", "1s", "59s", "1m", "1h", "1d"]
    assert [countdown(seconds) for seconds in (-5, 42, 725, 10_930)] == ["0:00", "0:42", "12:05", "3:02:10"]
    assert [duration(seconds) for seconds in (45, 200, 7_500, 356_400)] == ["45s", "3m 20s", "2h 05m", "4d 03h"]
    assert clock(1_772_980_327_000_000_000) == "14:32:07"
    assert (plural(1, "order"), plural(2, "order")) == ("1 order", "2 orders")


@pytest.mark.parametrize(("text", "harmless"), [
    ("\x1b[31mred\x1b[0m", "red"), ("\x1b]0;title\x07after", "after"), ("\x1b]8;;http://x\x1b\\link", "link"),
    ("\x9b31mred", "red"), ("a\tb\r\nc", "a b c"), ("a\u202eb\u2066c\u200bd", "abcd"), ("\x1bPq\x1b\\x", "x"),
    ("[red]kept[/]", "[red]kept[/]"), ("Zürich 東京", "Zürich 東京"), ("\x07\x00\x7f", ""), ("\x1b", ""),
])
def test_outside_text(text: str, harmless: str) -> None:
    assert plain(text) == harmless


@given(st.text())
def test_no_character_that_acts_survives(text: str) -> None:
    categories = {unicodedata.category(character) for character in plain(text)}
    assert not categories & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert plain(plain(text)) == plain(text)


def test_entries() -> None:
    assert number_entry(" 1,250.50 ", "limit") == Decimal("1250.50")
    assert (number_entry("", "limit"), span_entry(" ", "max hold"), trail_entry("", "trail")) == (None, None, None)
    assert [span_entry(text, "max hold") for text in ("90m", "2h", "1d 12h", "45 s")] == [5_400, 7_200, 129_600, 45]
    assert trail_entry("2%", "trail") == TrailSpec(percent=Decimal(2))
    assert trail_entry("1.5 ATR", "trail") == TrailSpec(atr=Decimal("1.5"))
    assert trail_entry("50", "trail") == TrailSpec(price=Decimal(50))


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-1", "0", "1e", "ten", "1.2.3"])
def test_what_is_not_a_positive_number_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="limit"):
        number_entry(text, "limit")


@pytest.mark.parametrize("text", ["0s", "2", "h", "2x", "2h!", "-2h"])
def test_what_is_not_a_span_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="max hold"):
        span_entry(text, "max hold")
