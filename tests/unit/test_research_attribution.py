"""Where results came from: the parts add up to the books, each part is the one that was planted, and saying no has its worth."""

from random import Random

import pytest

from engine.research.attribution import HumanValue, Kind, NotTaken, Taken, beta_of, by_kind, human_value, parts_of, total

KIND = Kind("long", "llm/one", "earnings", "trend up", "person")


def test_each_part_is_the_one_that_was_planted() -> None:
    """Bought 200 where 100 are one unit: mark 100, paid 100.50, planned out at 104, out at 103; the market rose 1 %, beta 1.5."""
    taken = Taken(KIND, 1, 200, 100, 100.0, 100.5, 104.0, 103.0, 0.01, 1.5, realized_minor=50_000, fees_minor=300)
    parts = parts_of(taken)
    assert (parts.beta_minor, parts.selection_minor) == (15_000, 25_000)
    assert (parts.timing_minor, parts.exit_minor) == (-5_000, -10_000)
    assert (parts.sizing_minor, parts.cost_minor) == (25_000, -300)
    assert parts.net_minor == 49_700


def test_a_short_gains_from_what_falls() -> None:
    parts = parts_of(Taken(KIND, -1, 100, 100, 100.0, 99.5, 96.0, 97.0, 0.01, 1.0, realized_minor=25_000, fees_minor=0))
    assert (parts.beta_minor, parts.selection_minor, parts.timing_minor, parts.exit_minor, parts.sizing_minor) == (
        -10_000, 50_000, -5_000, -10_000, 0)


def book(chance: Random) -> Taken:
    side, exponent = chance.choice([-1, 1]), chance.choice([0, 2, 8])
    mark = chance.uniform(1, 500)
    entry, planned, leaving = (mark * chance.uniform(0.9, 1.1) for _ in range(3))
    quantity = chance.randint(1, 5_000)
    realized = round(side * quantity * (leaving - entry) * 10 ** exponent)
    kind = Kind(chance.choice(["long", "short"]), chance.choice(["llm/one", "rule/1"]), chance.choice(["", "earnings"]))
    return Taken(kind, side, quantity, chance.randint(1, 5_000), mark, entry, planned, leaving, chance.gauss(0, 0.02),
                 chance.uniform(0, 2), realized, chance.randint(0, 2_000), exponent)


def test_the_parts_of_a_thousand_books_add_up() -> None:
    """To the minor unit; and what is called selection is selection, not what is left of other things: within 0.03."""
    chance = Random(1)
    for _ in range(1_000):
        own = [book(chance) for _ in range(chance.randint(1, 5))]
        found = by_kind(own)
        assert sum(one.parts.net_minor for one in found) == sum(one.realized_minor - one.fees_minor for one in own)
        assert sum(one.positions for one in found) == len(own)
        for one in own:
            scale = one.side * one.unit_quantity * 10 ** one.minor_exponent
            selection = scale * ((one.planned_price - one.mark_price) - one.mark_price * one.beta * one.market_return)
            assert parts_of(one).selection_minor == pytest.approx(selection, abs=3, rel=1e-9)


def test_kinds_are_told_apart_and_ranked() -> None:
    chance = Random(2)
    own = [book(chance) for _ in range(60)]
    found = by_kind(own)
    assert {one.kind for one in found} == {one.kind for one in own}
    assert [one.parts.net_minor for one in found] == sorted((one.parts.net_minor for one in found), reverse=True)
    assert total([one.parts for one in found]).net_minor == sum(one.realized_minor - one.fees_minor for one in own)
    assert by_kind([]) == ()


def test_what_saying_no_was_worth() -> None:
    found = human_value([NotTaken(-500, declined=True), NotTaken(300, declined=True), NotTaken(-100, declined=True),
                         NotTaken(800, declined=False)])
    assert found == HumanValue(declined=3, avoided_minor=600, missed_minor=300, expired=1, expired_minor=800)
    assert found.value_minor == 300
    assert human_value([]).value_minor == 0


def test_beta() -> None:
    chance = Random(3)
    market = [chance.gauss(0, 0.01) for _ in range(500)]
    assert beta_of([1.3 * one for one in market], market) == pytest.approx(1.3)
    assert beta_of(market[:19], market[:19]) == 1.0
    assert beta_of([0.01] * 30, [0.0] * 30) == 1.0
