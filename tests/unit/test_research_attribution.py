"""Where results came from: the parts add up to the books, each part is the one that was planted, and saying no has its worth."""

from decimal import Decimal
from random import Random

import pytest

from engine.analytics.records import TripRecord
from engine.research.acted import Acted, attribution_of, human_of, results_of
from engine.research.attribution import (
    HumanValue,
    Kind,
    NotTaken,
    Taken,
    beta_of,
    by_kind,
    human_value,
    paper_bps,
    parts_of,
    total,
)
from engine.research.decided import Decided, Worth
from engine.research.opinions import Stance
from engine.research.resolution import Outcome
from engine.research_state import SealedDecision
from engine.trading_hours import NS_PER_DAY

KIND = Kind("main", "long", "llm/one", "earnings", "trend up", "person")


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
    kind = Kind("main", chance.choice(["long", "short"]), chance.choice(["llm/one", "rule/1"]), chance.choice(["", "earnings"]))
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
    found = human_value([NotTaken(-5.0, declined=True), NotTaken(3.0, declined=True), NotTaken(-1.0, declined=True),
                         NotTaken(8.0, declined=False)])
    assert found == HumanValue(declined=3, avoided_bps=6.0, missed_bps=3.0, expired=1, expired_bps=8.0)
    assert found.value_bps == 3
    assert human_value([]).value_bps == 0


@pytest.mark.parametrize(("side", "change", "won", "net"), [
    (1, 100, 1, 90), (1, 500, 1, 290), (1, 500, 0, -210), (1, -500, 0, -210), (1, -100, 1, 290), (1, -100, 0, -110),
    (-1, -100, 1, 90), (-1, 500, 0, -210)])
def test_what_a_position_would_have_come_to_on_paper(side: int, change: float, won: int, net: float) -> None:
    """Target 300, stop 200, costs 10 bps: a stop that was touched stays touched, whatever the close."""
    assert paper_bps(side, change, won, 300, 200, 10) == net


def test_beta() -> None:
    chance = Random(3)
    market = [chance.gauss(0, 0.01) for _ in range(500)]
    assert beta_of([1.3 * one for one in market], market) == pytest.approx(1.3)
    assert beta_of(market[:19], market[:19]) == 1.0
    assert beta_of([0.01] * 30, [0.0] * 30) == 1.0


# ---- from the record to results --------------------------------------------------------------------------------------


WORTH = Worth((0.6,), 0.6, 0.55, 0.53, 0.0, 0.5, "shrink", 10, cost_bps=10, ev_bps=20, ev_low_bps=5, breakeven_p=0.4,
              kelly_risk_fraction=0.1, risk_bps=10, consensus=True)


def decision(number: int, symbol: str = "AAA", change_bps: float = 100, *, acts_as: str = "suggest_only",
             stance: Stance = Stance.LONG, day: int = 0, resolved: bool = True) -> SealedDecision:
    decided = Decided(f"d{number}", "run", "main", "T1", symbol, symbol, "s", day * NS_PER_DAY, Decimal(100), "quote", "llm/one",
                      "p1", stance, 5, 300, 200, WORTH, actionable=True, event_tags=("earnings",), regime="trend up")
    outcome = Outcome(1, up=int(change_bps > 0), won=int(change_bps > 10), return_bps=change_bps) if resolved else None
    return SealedDecision(decided, 0, acts_as=acts_as, outcome=outcome)


def trip(entry: float, leaving: float, fees_minor: int = 100) -> TripRecord:
    return TripRecord("AAA", "AAA", "research", "approved proposal", 1, 100.0, 5, 9, entry, leaving,
                      round((leaving - entry) * 10_000), fees_minor, 20_000, "stop")


def test_results_come_from_the_record() -> None:
    alone = Acted(decision(2, acts_as="auto_execute"), trip(100, 99))
    acted = [Acted(decision(1), trip(100.2, 100.5), slippage_minor=2_000), alone,
             Acted(decision(3, resolved=False), trip(100, 101)), Acted(decision(4, change_bps=-500), was_declined=True),
             Acted(decision(5, change_bps=400), has_expired=True), Acted(decision(6, stance=Stance.FLAT))]
    found = results_of(acted)
    assert [one.kind.approval for one in found.taken] == ["person", "rule"]
    assert found.taken[0].planned_price == pytest.approx(101)
    assert found.taken[0].unit_quantity == 100
    assert [one.declined for one in found.not_taken] == [True, False]
    assert [one.net_bps for one in found.not_taken] == pytest.approx([-10, 290 / 21])
    [cost] = found.costs
    assert cost.expected_bps == 10
    assert cost.realised_bps == pytest.approx(10_000 * 21 / 10_020)
    views = attribution_of(found)
    assert sum(one.net for one in views) == Decimal("-72.00")  # 30 - 100, and fees of 1 each
    assert all(one.beta + one.selection + one.timing + one.sizing + one.exit + one.cost == one.net for one in views)
    human = human_of(found)
    assert human is not None
    assert (human.declined, human.expired) == (1, 1)
    assert human.value_bps == pytest.approx(10)
    assert human_of(results_of([])) is None


def test_the_market_is_what_was_looked_into_that_day() -> None:
    others = [Acted(decision(number, symbol, change_bps=change)) for number, symbol, change in ((2, "BBB", 200), (3, "CCC", 300))]
    mine = Acted(decision(1, change_bps=100), trip(100, 101))
    assert results_of([mine, *others]).taken[0].market_return == pytest.approx(0.02)
    assert results_of([mine, others[0]]).taken[0].market_return == 0
    assert results_of([mine, others[0], Acted(decision(3, "CCC", 300, day=1))]).taken[0].market_return == 0
