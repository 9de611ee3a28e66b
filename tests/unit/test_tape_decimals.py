"""How many decimals the numbers of a tape are written with, which is what its ticks and lots are made from."""

import pytest

from brokers.market.columns import MOST_DECIMALS, decimals_of


@pytest.mark.parametrize(("values", "decimals"), [
    ([], 0),
    (["100", "7"], 0),
    (["100.50", "3.25", "1.2000"], 2),
    (["0", "1E-7"], 7),
    (["0.0", "2.5e-3", "1.12345"], 5),
    (["1e22", "5"], 0),
    (["0.12345678901"], MOST_DECIMALS),
    ([1.0, 2.25], 2),
    ([3, 1e-05], 5),
])
def test_the_most_decimals_that_any_is_written_with(values: list[object], decimals: int) -> None:
    assert decimals_of(values) == decimals


def test_what_is_no_number_is_no_decimals() -> None:
    assert decimals_of(["nan", "12.5"]) == 1
    with pytest.raises(ArithmeticError):
        decimals_of(["1e-3", "abc"])
