"""The analyst without a model: counted by hand on small histories, flat unless it leans, and the same each time."""

from math import sin

import pytest

from engine.research.opinions import Stance
from engine.research.rule_analyst import Daily, Situation, alike_days, rule_opinion, smoothed, won_after


def climbing(days: int, step: float = 0.01) -> list[float]:
    return [100 * (1 + step) ** day * (1 + 0.002 * sin(day)) for day in range(days)]


def test_laplace() -> None:
    assert smoothed(0, 0) == 0.5
    assert smoothed(7, 10) == pytest.approx(8 / 12)


def test_too_little_history_is_flat_at_half() -> None:
    found = rule_opinion("AAA", Daily(climbing(59)), 5)
    assert (found.stance, found.p_up, found.p_win) == (Stance.FLAT, 0.5, None)
    assert "59 daily closes" in found.thesis


def test_a_market_that_always_rose_is_counted_by_laplace() -> None:
    daily = Daily(climbing(200))
    alike = alike_days(daily, 5)
    assert alike.ups == alike.days > 10
    found = rule_opinion("AAA", daily, 5, evidence=("E1",))
    assert found.p_up == pytest.approx((alike.days + 1) / (alike.days + 2))
    assert found.stance is Stance.LONG
    assert found.p_win == pytest.approx((alike.days + 1) / (alike.days + 2))
    assert (found.horizon_days, found.evidence, found.claims) == (5, ("E1",), ())
    assert f"{alike.days} of {alike.days}" in found.thesis
    assert len(found.thesis) <= 400
    assert len(found.against) <= 300


def test_few_days_are_told_to_be_few() -> None:
    assert rule_opinion("AAA", Daily(climbing(90)), 5).against.startswith("Only ")
    assert rule_opinion("AAA", Daily(climbing(900)), 1).against.startswith("Days overlap")


def test_only_days_alike_are_counted() -> None:
    """200 days up and 200 days down: today is in the fall, so days of the rise are not counted."""
    rise = climbing(200)
    daily = Daily([*rise, *(rise[-1] * price / 100 for price in climbing(200, -0.01))])
    found = rule_opinion("AAA", daily, 1)
    assert found.stance is Stance.SHORT
    assert found.p_up < 0.3


@pytest.mark.parametrize(("held", "shortable", "stance"), [
    (0, True, Stance.SHORT), (0, False, Stance.FLAT), (1, True, Stance.EXIT), (1, False, Stance.EXIT), (-1, True, Stance.SHORT)])
def test_the_stance_follows_what_is_held(held: int, shortable: bool, stance: Stance) -> None:
    falling = Daily(climbing(200, -0.01))
    found = rule_opinion("AAA", falling, 5, Situation(held=held, shortable=shortable))
    assert found.stance is stance
    assert (found.p_win is None) is (stance in {Stance.FLAT, Stance.EXIT})


def test_without_a_lean_it_is_flat_and_still_scored() -> None:
    wave = Daily([100 + day % 2 for day in range(400)])  # every day is like today, and every other one is followed by a rise
    found = rule_opinion("AAA", wave, 1)
    assert (found.stance, found.p_win) == (Stance.FLAT, None)
    assert found.p_up == pytest.approx(0.5, abs=0.005)


def test_the_barrier_rule_is_that_of_the_resolution() -> None:
    daily = Daily([100, 100, 101], highs=[100, 103, 101], lows=[100, 99, 101])
    assert won_after(daily, 0, 2, 1, 300, 10) == 1
    assert won_after(daily, 0, 2, 1, 100, 10) == 0   # both on one day
    assert won_after(daily, 0, 2, -1, 100, 10) == 0
    assert won_after(daily, 0, 2, -1, 300, 10) == 0  # the stop of a short
    assert won_after(daily, 0, 2, 1, 400, 10) == 1   # neither: the close pays
    assert won_after(daily, 0, 2, 1, 400, 101) == 0  # not after such costs


def test_the_future_of_a_day_is_not_known() -> None:
    """What comes later changes no opinion of today: the history is cut where the caller cuts it, and the last days count only
    as far as their horizon has passed."""
    prices = climbing(300)
    alike = alike_days(Daily(prices), 20)
    assert alike.days <= 300 - 20 - 20
