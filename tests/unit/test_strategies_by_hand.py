"""Each built-in rule on a few bars worked out by hand: what it wants, when, and how much of it."""

from typing import Any

import pytest

from engine.errors import ConfigError
from engine.kernel.wants import BY_RISK, BY_SHARE, ENTER, KEEP, LEAVE, NOTHING, BarColumns, Held, RuleWant, flat, leave_all
from engine.strategies.registry import BUILT_IN, RULE, built_in, params_of

HOUR_NS = 3_600 * 1_000_000_000


def bars_of(closes: list[int], *, reach: int = 0, spacing_ns: int = HOUR_NS, length_ns: int = HOUR_NS) -> BarColumns:
    """A bar for each close, `reach` beyond open and close on both sides."""
    opens = [closes[0], *closes[:-1]]
    opens_ns = [place * spacing_ns for place in range(len(closes))]
    return BarColumns(opens_ns, [at_ns + length_ns for at_ns in opens_ns], opens,
                      [max(pair) + reach for pair in zip(opens, closes, strict=True)],
                      [min(pair) - reach for pair in zip(opens, closes, strict=True)], closes, [1] * len(closes))


def wants(rule: str, bars: BarColumns, held: dict[int, Held] | None = None, **params: Any) -> dict[int, RuleWant]:
    """What the rule wants after each bar, counted from 1; `held` is what it holds after those bars, flat after the others."""
    strategy = built_in(rule)
    chosen, memory = params_of(strategy, params), strategy.memory()
    found = {}
    for place in range(len(bars.closes)):
        memory, want = strategy.rule(chosen, memory, bars, place, place + 1, (held or {}).get(place + 1, flat()))
        if want.act != NOTHING:
            found[place + 1] = want
    return found


def long(entry: int, since: int = 1, lots: int = 10) -> Held:
    return Held(lots, entry, 1, 0, since)


def test_dca_buys_at_equal_intervals_and_ends() -> None:
    bought = wants("dca", bars_of([100] * 8), interval_seconds=7_200, mean_bars=2, most_buys=3, stop_bps=5_000)
    assert bought == {bar: RuleWant(ENTER, 1, BY_SHARE, 100, 50, 0, 0, 0) for bar in (2, 4, 6)}


def test_dca_buys_more_the_deeper_the_dip() -> None:
    bars = bars_of([10_000, 10_000, 9_000, 9_000, 3_000])  # 9,000 lies 1/19 below the mean of 10,000 and 9,000
    bought = wants("dca", bars, interval_seconds=3_600, mean_bars=2, dip_weight=10.0, most_times=3.0, stop_bps=0)
    assert [want.size_bps for want in bought.values()] == [100, 152, 100, 300]  # 1 + 10 / 19; none; at most three times
    assert bought[3].stop_ticks == 0


def test_an_ema_cross_by_hand() -> None:
    # The slow mean, alpha 1/2: 100, 99, 97.5, 99.75. The ranges: 0, 2, 2, 6, smoothed over 2: 0, 1, 1.5, 3.75.
    bought = wants("ema_cross", bars_of([1_000, 980, 960, 1_020]), fast_bars=1, slow_bars=3, atr_bars=2, warmup_bars=2,
                   stop_atr=2.0, target_atr=3.0, risk_bps=50)
    assert bought == {4: RuleWant(ENTER, 1, BY_RISK, 50, 0, 1_020 + 112, 75, 0)}


def test_an_ema_cross_waits_until_its_slow_mean_is_one() -> None:
    closes = [1_000, 980, 960, 1_020, 900, 1_100, 900, 1_100]
    assert min(wants("ema_cross", bars_of(closes), fast_bars=1, slow_bars=6, atr_bars=2, warmup_bars=2)) > 6
    strategy = built_in("ema_cross")
    assert strategy.warmup(params_of(strategy, {"slow_bars": 400})) == 400
    assert strategy.warmup(params_of(strategy, {})) == 100


def test_momentum_by_hand() -> None:
    bars = bars_of([1_000, 1_010, 1_030, 1_005], reach=5)
    bought = wants("momentum", bars, {4: long(1_030)}, lookback_bars=2, enter_above=0.02, atr_bars=2, stop_atr=2.0)
    # The ranges: 10, 20, 30, mean of the first two 15, then (15 + 30) / 2 = 22.5.
    assert bought == {3: RuleWant(ENTER, 1, BY_RISK, 100, 0, 0, 45, 0), 4: leave_all()}


def test_mean_reversion_by_hand() -> None:
    bars = bars_of([1_000, 1_000, 1_000, 1_000, 970, 1_001])
    bought = wants("mean_reversion", bars, {6: long(970)}, mean_bars=4, width=1.7, rsi_bars=2, atr_bars=2, stop_atr=2.0,
                   max_hold_bars=10)
    # 970 lies 22.5 below the mean of 992.5; the deviation is sqrt(3 * 7.5^2 + 22.5^2) / 2 = 12.99: 1.73 of them. Range 15.
    assert bought == {5: RuleWant(ENTER, 1, BY_RISK, 100, 940, 0, 0, 10 * HOUR_NS), 6: leave_all()}


def test_mean_reversion_by_the_strength_index() -> None:
    # Changes of 0, +10 and -30: the means of two are 5 and 0, then 2.5 and 15: 100 * 2.5 / 17.5 = 14.3.
    asked: dict[str, Any] = {"mean_bars": 3, "use_bands": 0, "use_rsi": 1, "rsi_bars": 2, "atr_bars": 2, "shorts": 1}
    assert wants("mean_reversion", bars_of([1_000, 1_000, 1_010, 980]), rsi_low=15.0, **asked)[4].sign == 1
    assert wants("mean_reversion", bars_of([1_000, 1_000, 1_010, 980]), rsi_low=14.0, **asked) == {}
    assert wants("mean_reversion", bars_of([1_000, 1_000, 990, 1_020]), rsi_low=15.0, **asked)[4].sign == -1


@pytest.mark.parametrize(("days", "hold_days"), [(1, 10), (2, 20)])
def test_a_longest_hold_in_bars_counts_bars_and_not_the_hours_of_a_session(days: int, hold_days: int) -> None:
    bars = bars_of([1_000, 1_000, 1_000, 1_000, 970], spacing_ns=24 * days * HOUR_NS, length_ns=6 * HOUR_NS)
    bought = wants("mean_reversion", bars, mean_bars=4, width=1.7, rsi_bars=2, atr_bars=2, max_hold_bars=10)
    assert bought[5].max_hold_ns == hold_days * 24 * HOUR_NS


def test_a_breakout_by_hand() -> None:
    bars = bars_of([100, 104, 102, 103, 106, 101], reach=1)
    bought = wants("breakout", bars, {6: long(106)}, enter_bars=3, leave_bars=2, atr_bars=2, stop_atr=2.0)
    # The high of the three bars before is 105. Ranges 2, 6, 4, 3, 5: 4, 4, 3.5, 4.25, twice that rounds to 8.
    assert bought == {5: RuleWant(ENTER, 1, BY_RISK, 100, 98, 0, 0, 0)}, "101 is not below the low of 101 of two bars"
    lower = bars_of([100, 104, 102, 103, 106, 100], reach=1)
    assert wants("breakout", lower, {6: long(106)}, enter_bars=3, leave_bars=2, atr_bars=2)[6].act == LEAVE


def grid_walk(closes: list[int], parts: list[int], **params: Any) -> list[tuple[int, int]]:
    """The wants of a grid as (act, size) after each close; it holds `parts` of ten lots after each."""
    held = {place + 1: long(100, lots=10 * count) if count else flat() for place, count in enumerate(parts)}
    found = wants("grid", bars_of(closes), held, **params)
    return [(found[place + 1].act, found[place + 1].size_bps) if place + 1 in found else (0, 0) for place in range(len(closes))]


def test_an_arithmetic_grid_buys_each_step_down_and_sells_it_a_step_higher() -> None:
    walked = grid_walk([10_000, 9_901, 9_900, 9_790, 9_899, 9_900, 9_999, 10_000], [0, 0, 0, 1, 2, 2, 1, 1],
                       levels=3, step_bps=100, part_bps=500, stop_steps=2)
    assert walked == [(0, 0), (0, 0), (ENTER, 500), (ENTER, 500), (0, 0), (LEAVE, 5_000), (0, 0), (LEAVE, 10_000)]
    deep = wants("grid", bars_of([10_000, 9_650]), levels=3, step_bps=100, part_bps=500, stop_steps=2)
    assert deep == {2: RuleWant(ENTER, 1, BY_SHARE, 1_500, 9_500, 0, 0, 0)}, "three steps at once; the stop is five steps down"


def test_a_geometric_grid_has_steps_of_equal_ratio() -> None:
    asked: dict[str, Any] = {"levels": 3, "step_bps": 1_000, "geometric": 1, "part_bps": 500, "stop_steps": 1}
    assert wants("grid", bars_of([10_000, 9_000]), **asked)[2].stop_ticks == 6_561  # 0.9 ^ 4
    assert [wants("grid", bars_of([10_000, close]), **asked)[2].size_bps for close in (9_000, 8_101, 8_100, 7_290)] == [
        500, 500, 1_000, 1_500]


def test_a_grid_moves_its_centre_up_and_pauses_after_its_stop() -> None:
    moved = wants("grid", bars_of([10_000, 10_200, 10_098]), recentre_steps=2, step_bps=100)
    assert moved[3].stop_ticks == 10_200 - 7 * 102, "a step below the new centre"
    assert wants("grid", bars_of([10_000, 10_199, 10_098]), recentre_steps=2, step_bps=100) == {}
    # Bought after bar 2 and sold by its stop after bar 3, it waits two bars and begins anew around bar 5.
    stopped = grid_walk([10_000, 9_900, 9_000, 8_000, 7_000, 6_930], [0, 0, 0, 0, 0, 0], pause_bars=2, step_bps=100)
    assert stopped == [(0, 0), (ENTER, 500), (0, 0), (0, 0), (0, 0), (ENTER, 500)]


def test_an_ensemble_counts_its_votes() -> None:
    asked: dict[str, Any] = {"fast_bars": 1, "slow_bars": 2, "lookback_bars": 2, "channel_bars": 2, "mean_bars": 2, "width": 0.5,
                             "atr_bars": 2}
    rising = bars_of([1_000, 1_010, 1_020, 1_030])  # cross, momentum and breakout +1, reversion -1: 2.5 / 3.5 = 0.714
    assert wants("ensemble", rising, enter_score=0.71, **asked)[4].sign == 1
    assert wants("ensemble", rising, enter_score=0.72, **asked) == {}
    assert wants("ensemble", rising, enter_score=0.72, reversion_weight=0.0, **asked)[4].sign == 1
    fallen = bars_of([1_000, 1_010, 1_020, 1_030, 990])
    assert wants("ensemble", fallen, {4: long(1_030), 5: long(1_030)}, enter_score=0.9, leave_score=0.0, **asked)[5].act == LEAVE


def targets(rule: str, closes: tuple[list[int], ...], held: dict[int, tuple[Held, ...]] | None = None,
            **params: Any) -> dict[int, list[int]]:
    """The target weights of a basket after each moment at which it sets any."""
    strategy, columns = built_in(rule), tuple(bars_of(one) for one in closes)
    chosen, memory = params_of(strategy, params), strategy.memory()
    found = {}
    for place in range(len(closes[0])):
        out = [KEEP] * len(closes)
        now = (held or {}).get(place + 1, (flat(),) * len(closes))
        memory = strategy.rule(chosen, memory, columns, (place,) * len(closes), place + 1, now, out)
        if out != [KEEP] * len(closes):
            found[place + 1] = out
    return found


def test_pairs_buys_the_cheap_one_and_sells_the_dear_one() -> None:
    first, second = [1_000, 1_010, 1_000, 1_010, 1_000, 1_050, 1_005], [1_000] * 7
    both = (long(1_050, lots=-10), long(1_000))
    found = targets("pairs", (first, second), {7: both}, mean_bars=3, stop_width=50.0)
    assert found == {6: [-2_000, 2_000], 7: [0, 0]}
    alone = targets("pairs", ([*first[:6], 1_060], second), {7: (flat(), both[1])}, mean_bars=3, stop_width=50.0)
    assert alone[7] == [0, 0], "one side was stopped out: the other goes too"


def test_rebalance_sets_its_weights_at_intervals() -> None:
    closes = ([100] * 8, [50] * 8)
    asked: dict[str, Any] = {"lookback_bars": 3, "interval_seconds": 7_200, "total_bps": 9_000}
    assert targets("rebalance", closes, method=0, **asked) == {bar: [4_500, 4_500] for bar in (4, 6, 8)}
    assert targets("rebalance", closes, method=3, weight_1=1.0, weight_2=2.0, **asked)[4] == [3_000, 6_000]
    assert targets("rebalance", closes, method=1, **asked) == {}, "prices that do not move have no volatility"


def test_rebalance_by_volatility_gives_the_calmer_one_more() -> None:
    wild, calm = [1_000, 1_020, 1_000, 1_020, 1_000], [1_000, 1_010, 1_000, 1_010, 1_000]
    weights = targets("rebalance", (wild, calm), method=1, lookback_bars=4, total_bps=9_000)[5]
    assert weights == [3_009, 5_990]  # deviations 0.0198039 and 0.0099505: 33.442 % and 66.558 % of 9,000


def test_given_weights_begin_with_the_first_symbol_and_none_is_given_to_the_ninth() -> None:
    with pytest.raises(ConfigError, match="method = 3: give weight_1, weight_2"):
        params_of(built_in("rebalance"), {"method": 3, "weight_3": 1.0})
    many = targets("rebalance", tuple([100] * 4 for _ in range(10)), method=3, weight_1=1.0, weight_8=1.0, lookback_bars=3)
    assert many[4] == [4_500, *[0] * 6, 4_500, 0, 0]


@pytest.mark.parametrize("name", [name for name in BUILT_IN if built_in(name).kind == RULE and name != "grid"])
def test_nothing_is_wanted_before_the_warm_up_is_over(name: str) -> None:
    strategy = built_in(name)
    params, memory = strategy.params(), strategy.memory()
    closes = [10_000 + 400 * (-1) ** place + 37 * (place % 11) for place in range(strategy.warmup(params) - 1)]
    bars = bars_of(closes, reach=20)
    for place in range(len(closes)):
        memory, want = strategy.rule(params, memory, bars, place, place + 1, flat())
        assert want.act == NOTHING


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_parameter_refuses_what_is_no_number_of_its_kind(name: str) -> None:
    strategy = built_in(name)
    for field, default in strategy.params()._asdict().items():
        least, largest = strategy.bounds[field]
        wrong: list[Any] = [least - 1, largest + 1, float("nan"), float("inf"), "many", None, [1], 1e300, 10 ** 400]
        if isinstance(default, int):
            wrong.append(least + 0.5)
        for value in wrong:
            with pytest.raises(ConfigError) as caught:
                params_of(strategy, {field: value})
            assert str(caught.value).startswith(field)
            assert "\n" not in str(caught.value)
        assert isinstance(params_of(strategy, {field: default})._asdict()[field], type(default))
