"""Exit rules against hand-worked cases."""

import pytest

from engine.kernel.exits import (
    HOLD_OVER,
    NO_EXIT,
    SAME_MOMENT_NS,
    STOP_HIT,
    TARGET_HIT,
    ExitState,
    bar_step,
    exit_in_bar,
    exit_on_price,
    trail_level,
    trailed,
)

LONG = ExitState(sign=1, entry_ticks=1000, opened_at_ns=100, stop_ticks=950, best_ticks=1000, target_ticks=1100,
                 trail_ticks=0, trail_bps=0, breakeven_at_ticks=0, breakeven_to_ticks=0, max_hold_ns=0)
SHORT = LONG._replace(sign=-1, stop_ticks=1050, target_ticks=900)


@pytest.mark.parametrize(("state", "price_ticks", "expected"), [
    (LONG, 1200, (950, 1200)),
    (LONG._replace(trail_ticks=40), 1020, (980, 1020)),
    (LONG._replace(trail_ticks=40), 980, (960, 1000)),
    (LONG._replace(trail_ticks=400), 1020, (950, 1020)),
    (LONG._replace(trail_bps=333), 1010, (977, 1010)),        # 1010 * 0.9667 = 976.367, a long's stop up
    (SHORT._replace(trail_bps=333), 990, (1022, 990)),        # 990 * 1.0333 = 1022.967, a short's stop down
    (SHORT._replace(trail_ticks=40), 980, (1020, 980)),
    (SHORT._replace(trail_ticks=40), 1040, (1040, 1000)),
    (LONG._replace(trail_bps=1), 1000, (999, 1000)),          # at least one tick wide
    (SHORT._replace(trail_bps=1), 1000, (1001, 1000)),
    (LONG._replace(stop_ticks=0), 1500, (0, 1500)),
    (LONG._replace(stop_ticks=0, trail_ticks=40), 1500, (1460, 1500)),
    (LONG._replace(stop_ticks=0, trail_ticks=4000), 1500, (0, 1500)),
    (LONG._replace(best_ticks=0), 990, (950, 990)),
    (LONG._replace(trail_ticks=40), 0, (960, 1000)),
])
def test_trailing(state: ExitState, price_ticks: int, expected: tuple[int, int]) -> None:
    assert trailed(state, price_ticks) == expected


@pytest.mark.parametrize(("state", "price_ticks", "stop_ticks"), [
    (LONG._replace(breakeven_at_ticks=1050, breakeven_to_ticks=1002), 1049, 950),
    (LONG._replace(breakeven_at_ticks=1050, breakeven_to_ticks=1002), 1050, 1002),
    (LONG._replace(breakeven_at_ticks=1050), 1060, 1000),
    (LONG._replace(breakeven_at_ticks=1050, breakeven_to_ticks=1002, stop_ticks=1010), 1050, 1010),
    (LONG._replace(breakeven_at_ticks=1050, breakeven_to_ticks=1002, best_ticks=1070), 990, 1002),
    (SHORT._replace(breakeven_at_ticks=950, breakeven_to_ticks=998), 951, 1050),
    (SHORT._replace(breakeven_at_ticks=950, breakeven_to_ticks=998), 950, 998),
    (LONG._replace(breakeven_at_ticks=1050, breakeven_to_ticks=1002, trail_ticks=20), 1060, 1040),
])
def test_breakeven(state: ExitState, price_ticks: int, stop_ticks: int) -> None:
    assert trailed(state, price_ticks)[0] == stop_ticks


def test_no_trail_asked_is_no_level() -> None:
    assert trail_level(1, 1000, 0, 0) == 0
    assert trail_level(1, 0, 0, 100) == 0


@pytest.mark.parametrize(("state", "bid_ticks", "ask_ticks", "code"), [
    (LONG, 951, 960, NO_EXIT),
    (LONG, 950, 960, STOP_HIT),
    (LONG, 940, 960, STOP_HIT),
    (LONG, 1099, 1100, NO_EXIT),
    (LONG, 1100, 1101, TARGET_HIT),
    (LONG, 0, 940, NO_EXIT),
    (SHORT, 1040, 1049, NO_EXIT),
    (SHORT, 1040, 1050, STOP_HIT),
    (SHORT, 900, 901, NO_EXIT),
    (SHORT, 899, 900, TARGET_HIT),
    (SHORT, 1060, 0, NO_EXIT),
    (LONG._replace(stop_ticks=1100), 1100, 1101, STOP_HIT),
    (LONG._replace(stop_ticks=0, target_ticks=0), 1, 2, NO_EXIT),
])
def test_a_long_is_judged_by_the_bid_and_a_short_by_the_ask(state: ExitState, bid_ticks: int, ask_ticks: int,
                                                           code: int) -> None:
    assert exit_on_price(state, bid_ticks, ask_ticks, 200) == code


def test_the_longest_hold_comes_last_and_needs_no_price() -> None:
    state = LONG._replace(max_hold_ns=50)
    assert exit_on_price(state._replace(max_hold_ns=51 + SAME_MOMENT_NS), 1000, 1001, 150) == NO_EXIT
    assert exit_on_price(state, 1000, 1001, 150) == HOLD_OVER
    assert exit_on_price(state, 0, 0, 150) == HOLD_OVER
    assert exit_on_price(state, 950, 951, 150) == STOP_HIT
    assert exit_on_price(state, 1100, 1101, 150) == TARGET_HIT


@pytest.mark.parametrize(("state", "bar", "expected"), [
    (LONG, (1000, 1050, 960, 1010), (NO_EXIT, 0)),
    (LONG, (1000, 1050, 950, 1010), (STOP_HIT, 950)),
    (LONG, (900, 1000, 890, 990), (STOP_HIT, 900)),         # gap through the stop leaves at the open
    (LONG, (1000, 1150, 940, 1140), (STOP_HIT, 950)),       # both inside: the stop wins
    (LONG, (1000, 1100, 960, 1010), (TARGET_HIT, 1100)),
    (LONG, (1130, 1150, 900, 1140), (TARGET_HIT, 1130)),    # gap beyond the target leaves at the better open
    (SHORT, (1000, 1050, 960, 1010), (STOP_HIT, 1050)),
    (SHORT, (1080, 1090, 960, 1010), (STOP_HIT, 1080)),
    (SHORT, (1000, 1060, 890, 900), (STOP_HIT, 1050)),
    (SHORT, (1000, 1040, 900, 910), (TARGET_HIT, 900)),
    (SHORT, (880, 1100, 870, 1090), (TARGET_HIT, 880)),
])
def test_exits_in_a_bar(state: ExitState, bar: tuple[int, int, int, int], expected: tuple[int, int]) -> None:
    assert exit_in_bar(state, *bar, 200, 260) == expected


@pytest.mark.parametrize(("max_hold_ns", "expected"), [(100, (HOLD_OVER, 1000)), (130, (HOLD_OVER, 1010)),
                                                       (160, (HOLD_OVER, 1010)), (161, (NO_EXIT, 0))])
def test_a_hold_ends_at_the_open_or_at_the_close(max_hold_ns: int, expected: tuple[int, int]) -> None:
    state = LONG._replace(max_hold_ns=max_hold_ns + SAME_MOMENT_NS)
    assert exit_in_bar(state, 1000, 1050, 960, 1010, 200, 260) == expected


def test_a_bar_is_held_against_the_old_stop_and_ratchets_for_the_next() -> None:
    state = LONG._replace(trail_ticks=40, target_ticks=0)
    code, price_ticks, after = bar_step(state, 1000, 1080, 990, 1030, 200, 260)
    assert (code, price_ticks) == (NO_EXIT, 0)
    assert (after.stop_ticks, after.best_ticks) == (1040, 1080)
    assert after == state._replace(stop_ticks=1040, best_ticks=1080)
    assert bar_step(after, 1035, 1050, 1020, 1030, 260, 320) == (STOP_HIT, 1035, after)


def test_a_short_ratchets_with_the_low() -> None:
    _, _, after = bar_step(SHORT._replace(trail_ticks=40, target_ticks=0), 1000, 1010, 930, 990, 200, 260)
    assert (after.stop_ticks, after.best_ticks) == (970, 930)
