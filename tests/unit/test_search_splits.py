"""How bars are divided: nothing that is judged on is chosen on, and what is near it neither."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from engine.errors import UsageError
from engine.search.splits import Plan, splits_of

HOUR = 3_600_000_000_000


def moments(count: int) -> list[int]:
    return [(1_000 + number) * HOUR for number in range(count)]


def places(at_ns: list[int], span: tuple[int, int]) -> list[int]:
    return [number for number, one in enumerate(at_ns) if span[0] < one <= span[1]]


@given(some.integers(300, 900), some.sampled_from(("anchored", "rolling", "purged")), some.integers(2, 6), some.integers(0, 15),
       some.integers(0, 15))
def test_judged_bars_are_never_chosen_on(count: int, scheme: str, windows: int, purge: int, embargo: int) -> None:
    at_ns = moments(count)
    judged_all: list[int] = []
    for split in splits_of(at_ns, Plan(scheme, windows, 0.4, purge, embargo)):
        judged = places(at_ns, split.judge)
        chosen = [place for span in split.choose for place in places(at_ns, span)]
        judged_all += judged
        assert chosen
        before = [place for place in chosen if place < judged[0]]
        after = [place for place in chosen if place > judged[-1]]
        assert sorted(before + after) == chosen, "nothing inside what is judged on"
        assert not before or judged[0] - max(before) > purge
        assert not after or (scheme == "purged" and min(after) - judged[-1] > embargo)
    first = 0 if scheme == "purged" else round(count * 0.4)
    assert judged_all == list(range(first, count)), "every bar after the first choice is judged on once"


def test_anchored_grows_and_rolling_stays() -> None:
    at_ns = moments(1_000)
    sizes = {scheme: [len(places(at_ns, split.choose[0])) for split in splits_of(at_ns, Plan(scheme, 5, 0.5, 0, 0))]
             for scheme in ("anchored", "rolling")}
    assert sizes == {"anchored": [500, 600, 700, 800, 900], "rolling": [500] * 5}


def test_too_few_bars_say_so() -> None:
    with pytest.raises(UsageError, match="too few"):
        splits_of(moments(60), Plan("anchored", 20, 0.5, 0, 0))
