"""What a person types on the command line, as values."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial

import pytest

from engine.errors import UsageError
from engine.inputs import PlaceOrder, TrailSpec
from tui.commands.ordering import entry_order
from tui.commands.parsing import edge_of, percent_of, positive, seconds_of, trail_of
from tui.screens.entries import number_entry, span_entry


@pytest.mark.parametrize(("text", "trail"), [
    ("2%", TrailSpec(percent=Decimal(2))), ("0.5 %", TrailSpec(percent=Decimal("0.5"))),
    ("50", TrailSpec(price=Decimal(50))), ("1.5atr", TrailSpec(atr=Decimal("1.5"))),
    ("2 ATR", TrailSpec(atr=Decimal(2))),
])
def test_trails(text: str, trail: TrailSpec) -> None:
    assert trail_of(text) == trail


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "x", "%", "atr", "101%", "-2%"])
def test_impossible_trails_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--trail"):
        trail_of(text)


@pytest.mark.parametrize(("text", "seconds"), [
    ("90s", 90), ("45m", 2_700), ("2h", 7_200), ("1h30m", 5_400), ("3d", 259_200), ("1d 2h 3m 4s", 93_784),
])
def test_spans(text: str, seconds: int) -> None:
    assert seconds_of(text, "--max-hold") == seconds


@pytest.mark.parametrize("text", ["", "0", "90", "0h", "-5m", "2w", "h", "1.5h", "soon"])
def test_impossible_spans_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="must be a span"):
        seconds_of(text, "--max-hold")


@pytest.mark.parametrize("text", ["0,5", "1,5", "2,50", "1.000,5", "1,2345", "12,34,567", ",5", "5,", "0,500", "0,125", "00,500",
                                  "0_5", "1_00"])
def test_a_comma_is_no_decimal_point_and_is_not_passed_over(text: str) -> None:
    with pytest.raises(UsageError, match="write a decimal point, as in 0.5"):
        positive(text, "quantity")
    with pytest.raises(UsageError, match="write a decimal point, as in 0.5"):
        number_entry(text, "quantity")


@pytest.mark.parametrize(("text", "value"), [("1,000", 1_000), ("1,234,567.5", Decimal("1234567.5")), (" 7 ", 7)])
def test_commas_between_thousands_are_taken(text: str, value: Decimal) -> None:
    assert positive(text, "quantity") == value
    assert number_entry(text, "quantity") == value


@pytest.mark.parametrize("text", ["1e9999999", "1e-9999999", "9" * 30])
def test_a_number_that_nothing_could_be_reckoned_with_is_told_not_reckoned_with(text: str) -> None:
    for read in (positive, percent_of, number_entry):
        with pytest.raises(UsageError, match="could be meant"):
            read(text, "stop")


@pytest.mark.parametrize("text", ["²", "9" * 5_000, "9" * 5_000 + "m"])
def test_a_span_that_is_no_whole_number_of_anything_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="must be a span"):
        seconds_of(text, "--max-hold")
    with pytest.raises(UsageError, match="not a span"):
        span_entry(text, "max hold")


@pytest.mark.parametrize("text", ["1bp%", "1%bp", "5s", "1%%", "1bps%"])
def test_a_percentage_has_one_unit(text: str) -> None:
    with pytest.raises(UsageError, match="--risk"):
        percent_of(text, "--risk")


_order: Callable[..., PlaceOrder] = partial(entry_order, "BUY", "BTC/USD", "1")


@pytest.mark.parametrize("option", ["trail", "max_hold", "stop", "take_profit", "breakeven"])
def test_an_exit_that_is_named_but_empty_is_not_left_out_silently(option: str) -> None:
    with pytest.raises(UsageError, match=option.replace("_", "-")):
        _order(**{option: ""})


@pytest.mark.parametrize("text", ["0.55,1.5,²", "0.55,1.5," + "9" * 5_000])
def test_a_count_of_round_trips_is_digits(text: str) -> None:
    with pytest.raises(UsageError, match="--edge"):
        edge_of(text)


def test_numbers() -> None:
    assert positive("1_000.50", "quantity") == Decimal("1000.50")
    assert [percent_of(text, "--risk") for text in ("1%", "1", "100bp", "100 bps")] == [Decimal(1)] * 4
    assert percent_of("50bp", "--risk") == Decimal("0.5")
    with pytest.raises(UsageError, match="at most 100%"):
        percent_of("150", "--risk")
