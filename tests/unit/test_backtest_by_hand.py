"""A few bars worked out by hand: what a backtest does inside a bar, against numbers anybody can check, and the engine beside it.

A bar is (open, high, low, close) in cents, or with a volume; 10,000 is a price of 100.00. The wants stand at the close of the
first bar, at 10,000, so 10 % of 10,000.00 is ten shares, and they go out to the second bar's open.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest

from engine.backtest.results import EXIT_REASONS, BacktestResult
from engine.backtest.run import Series, Setup, backtest
from engine.instruments import AssetClass, Instrument
from engine.kernel.wants import BY_RISK, BY_SHARE, ENTER, BarColumns, Held, RuleWant, leave_all, no_want
from engine.strategies.registry import Strategy, built_in
from engine.tolerance import Limits
from tui.compose_backtest import engine_run, first_difference

MINUTES_NS = 5 * 60 * 1_000_000_000
START_NS = 1_700_000_400 * 1_000_000_000
CASH = 1_000_000
FREE = Limits(
    max_order_notional_fraction=10.0, max_position_fraction=10.0, max_heat_fraction=1.0, max_risk_per_order_fraction=0.0,
    max_day_loss_fraction=0.0, max_week_loss_fraction=0.0, max_drawdown_fraction=0.0, max_losing_streak=0, require_stop=False,
    max_daily_notional_fraction=0.0, max_orders_per_day=0, max_leverage=2.0)
FREE_BUT_GROSS = msgspec.structs.replace(FREE, max_gross_fraction=0.15)
FREE_BUT_DAY = msgspec.structs.replace(FREE, max_day_loss_fraction=0.005)
Bars = Sequence[tuple[int, ...]]
FIRST = (10_000, 10_000, 10_000, 10_000)


def instrument(name: str = "ACME", taker_ppm: int = 0, maker_ppm: int = 0) -> Instrument:
    return Instrument(f"{name}@paper", name, "paper", AssetClass.CRYPTO, name, "USD", Decimal("0.01"), Decimal(1), 2,
                      10_000_000, 1_000_000, taker_fee_ppm=taker_ppm, maker_fee_ppm=maker_ppm)


def columns(bars: Bars) -> BarColumns:
    rows = [(START_NS + place * MINUTES_NS, START_NS + (place + 1) * MINUTES_NS, *bar[:4], bar[4] if len(bar) > 4 else 0)
            for place, bar in enumerate(bars)]
    return BarColumns(*(np.array(column, np.int64) for column in zip(*rows, strict=True)))  # type: ignore[arg-type]


def long(**terms: int) -> RuleWant:
    return RuleWant(ENTER, 1, BY_SHARE, 1_000, 0, 0, 0, 0)._replace(**terms)


def short(**terms: int) -> RuleWant:
    return long(sign=-1, **terms)


def saying(wants: dict[int, RuleWant]) -> Strategy:
    """A strategy that says these wants once so many bars are known."""
    def rule(params: Any, memory: Any, bars: BarColumns, place: int, seen: int, held: Held) -> tuple[Any, RuleWant]:
        return memory, wants.get(seen, no_want())

    return built_in("momentum")._replace(name="by_hand", rule=rule, warmup=lambda _: 1, source_hash="x")


def run(bars: Bars, wants: dict[int, RuleWant], *, taker_ppm: int = 0, maker_ppm: int = 0, limits: Limits = FREE,
        names: tuple[str, ...] = ("ACME",), **terms: Any) -> BacktestResult:
    """The backtest, once the engine on the paper venue was found to do the very same; each name has these bars."""
    series = [Series(instrument(name, taker_ppm, maker_ppm), columns(bars)) for name in names]
    setup = Setup(CASH, limits, **terms)
    found = backtest(series, saying(wants), {}, setup)
    assert first_difference(found, engine_run(series, saying(wants), {}, setup)) == ""
    return found


def fills(found: BacktestResult) -> list[tuple[int, int, int, str]]:
    """Each fill as (bars since the start, signed lots, price, why it left): n is the open of bar n + 1 and the close of bar n."""
    return [(-((START_NS - row.at_ns) // MINUTES_NS), row.sign * row.lots, row.ticks, EXIT_REASONS.get(row.code, "entry"))
            for row in found.fill_rows()]


def mirrored(bars: Bars) -> Bars:
    """The same bars upside down around 100.00."""
    return [(20_000 - o, 20_000 - low, 20_000 - high, 20_000 - c, *rest) for o, high, low, c, *rest in bars]


STOP, TARGET = 9_900, 10_200
# What follows the first bar, and the fills.
INSIDE: dict[str, tuple[Bars, list[tuple[int, int, int, str]]]] = {
    "stop touched": ([(10_000, 10_050, 9_900, 9_950)], [(1, 10, 10_000, "entry"), (2, -10, 9_900, "stop")]),
    "stop not reached": ([(10_000, 10_050, 9_901, 9_950)], [(1, 10, 10_000, "entry")]),
    "stop before target": ([(10_000, 10_300, 9_900, 10_250)], [(1, 10, 10_000, "entry"), (2, -10, 9_900, "stop")]),
    "target touched": ([(10_000, 10_200, 9_950, 10_150)], [(1, 10, 10_000, "entry")]),
    "target crossed": ([(10_000, 10_201, 9_950, 10_150)], [(1, 10, 10_000, "entry"), (2, -10, 10_200, "target")]),
    "gap through the stop": ([(10_000, 10_050, 9_950, 10_000), (9_700, 9_990, 9_650, 9_980)],
                             [(1, 10, 10_000, "entry"), (2, -10, 9_700, "stop")]),
    "gap over the target": ([(10_000, 10_050, 9_950, 10_000), (10_400, 10_450, 10_350, 10_400)],
                            [(1, 10, 10_000, "entry"), (2, -10, 10_400, "target")]),
    "open at the target": ([(10_000, 10_050, 9_950, 10_000), (10_200, 10_250, 10_150, 10_200)],
                           [(1, 10, 10_000, "entry"), (2, -10, 10_200, "target")]),
    "entry below its stop": ([(9_800, 9_850, 9_750, 9_800)], [(1, 10, 9_800, "entry"), (1, -10, 9_800, "stop")]),
    "entry beyond its target": ([(10_300, 10_350, 10_250, 10_300)], [(1, 10, 10_300, "entry"), (1, -10, 10_300, "target")]),
    "entry far from the close": ([(10_150, 10_190, 10_100, 10_150)], [(1, 10, 10_150, "entry")]),
}


@pytest.mark.parametrize("side", ["long", "short"])
@pytest.mark.parametrize("name", INSIDE)
def test_inside_a_bar(name: str, side: str) -> None:
    bars, expected = INSIDE[name]
    if side == "long":
        found = run([FIRST, *bars], {1: long(stop_ticks=STOP, target_ticks=TARGET)})
    else:
        found = run([FIRST, *mirrored(bars)], {1: short(stop_ticks=20_000 - STOP, target_ticks=20_000 - TARGET)})
        expected = [(bar, -lots, 20_000 - ticks, why) for bar, lots, ticks, why in expected]
    assert fills(found) == expected
    cash = CASH - sum(lots * ticks for _, lots, ticks, _ in expected)
    held = sum(lots for _, lots, _, _ in expected)
    close = bars[-1][3] if side == "long" else 20_000 - bars[-1][3]
    assert found.final_equity_minor == cash + held * close


def test_slippage_is_paid_by_market_orders_and_stops_and_not_by_targets() -> None:
    bars = [FIRST, (10_000, 10_050, 9_850, 9_900)]
    assert fills(run(bars, {1: long(stop_ticks=9_900)}, slippage_bps=10)) == [
        (1, 10, 10_010, "entry"), (2, -10, 9_890, "stop")]  # 10 bps of 9,900 are 9.9, rounded away
    bars = [FIRST, (10_000, 10_300, 9_950, 10_250)]
    assert fills(run(bars, {1: long(stop_ticks=9_900, target_ticks=10_200)}, slippage_bps=10)) == [
        (1, 10, 10_010, "entry"), (2, -10, 10_200, "target")]


def test_fees_of_taker_and_maker() -> None:
    bars = [FIRST, (10_000, 10_300, 9_950, 10_250)]
    found = run(bars, {1: long(stop_ticks=9_900, target_ticks=10_200)}, taker_ppm=1_000, maker_ppm=400)
    assert [(row.fee_minor, row.maker) for row in found.fill_rows()] == [(100, False), (41, True)]  # 0.04 % of 1,020.00 is 0.408
    assert found.final_equity_minor == CASH + 10 * 200 - 100 - 41
    trip = found.round_trips()[0]
    assert (trip.realized_minor, trip.fees_minor, trip.initial_risk_minor) == (2_000, 141, 1_000)


def test_the_spread_is_paid_at_the_open_and_when_a_rule_leaves() -> None:
    bars = [FIRST, (10_000, 10_050, 9_950, 10_000), (10_100, 10_150, 10_050, 10_100)]
    found = run(bars, {1: long(), 2: leave_all()}, spread_bps=20)
    assert fills(found) == [(1, 9, 10_010, "entry"), (2, -9, 10_090, "rule")]  # ten shares at 100.10 are more than a tenth


def test_a_thin_bar_fills_a_part_and_the_rest_leaves_at_the_next_open() -> None:
    bars = [FIRST, (10_000, 10_050, 9_900, 9_950, 6), (9_940, 9_990, 9_930, 9_950, 6)]
    assert fills(run(bars, {1: long(stop_ticks=9_900)}, fill_share_bps=5_000)) == [
        (1, 10, 10_000, "entry"), (2, -3, 9_900, "stop"), (2, -7, 9_940, "stop")]
    bars = [FIRST, (10_000, 10_300, 9_950, 10_150, 6), (10_100, 10_250, 10_050, 10_150, 100)]
    assert fills(run(bars, {1: long(stop_ticks=9_900, target_ticks=10_200)}, fill_share_bps=5_000)) == [
        (1, 10, 10_000, "entry"), (2, -3, 10_200, "target"), (3, -7, 10_200, "target")]


def test_a_trailing_stop_follows_the_high_of_a_bar_from_the_next_one_on() -> None:
    bars = [FIRST, (10_000, 10_150, 9_980, 10_140), (10_120, 10_130, 10_050, 10_100)]
    assert fills(run(bars, {1: long(trail_ticks=100)})) == [(1, 10, 10_000, "entry"), (3, -10, 10_050, "stop")]
    fallen = [FIRST, (10_000, 10_150, 9_980, 10_040), (10_030, 10_060, 10_020, 10_050)]  # closed below where the stop then stood
    assert fills(run(fallen, {1: long(trail_ticks=100)})) == [(1, 10, 10_000, "entry"), (2, -10, 10_030, "stop")]
    before = [FIRST, (10_000, 10_150, 9_900, 10_140)]  # the low of the bar comes before its high
    assert fills(run(before, {1: long(trail_ticks=100)})) == [(1, 10, 10_000, "entry"), (2, -10, 9_900, "stop")]


def test_the_longest_time_ends_at_the_next_open() -> None:
    bars = [FIRST, *[(10_000, 10_010, 9_990, 10_000)] * 2, (10_020, 10_030, 10_010, 10_020), (10_100, 10_100, 10_100, 10_100)]
    assert fills(run(bars, {1: long(max_hold_ns=2 * MINUTES_NS)})) == [(1, 10, 10_000, "entry"), (3, -10, 10_020, "maximum time")]


def test_risk_sizes_by_the_way_to_the_stop() -> None:
    bars = [FIRST, (10_000, 10_050, 9_950, 10_000)]
    found = run(bars, {1: long(size_kind=BY_RISK, size_bps=100, stop_ticks=9_900)})
    assert fills(found) == [(1, 100, 10_000, "entry")]  # 1 % of 10,000.00 over 1.00 a share
    assert run(bars, {1: long(size_kind=BY_RISK, size_bps=100)}).refused == {"risk": 1}


def test_a_part_leaves_and_more_is_added_under_the_same_plan() -> None:
    bars = [FIRST, *[(10_000, 10_010, 9_990, 10_000)] * 3, (10_000, 10_010, 9_890, 9_900)]
    found = run(bars, {1: long(stop_ticks=9_900), 2: leave_all()._replace(size_bps=3_333), 3: long(stop_ticks=9_000)})
    assert fills(found) == [(1, 10, 10_000, "entry"), (2, -3, 10_000, "rule"), (3, 10, 10_000, "entry"), (5, -17, 9_900, "stop")]


def test_money_is_the_end_of_it() -> None:
    bars = [FIRST, (10_000, 10_010, 9_990, 10_000)]
    assert fills(run(bars, {1: long(size_bps=30_000, stop_ticks=9_900)})) == [(1, 200, 10_000, "entry")]  # a leverage of two
    refused = run(bars, {1: long(size_bps=5)})
    assert (fills(refused), refused.refused) == ([], {"size": 1})  # 5.00 buy no share of 100.00


@pytest.mark.parametrize(("terms", "check"), [
    ({"trail_ticks": 10_000_001}, "trail"), ({"stop_ticks": 9_900, "target_ticks": 1 << 61}, "price"),
    ({"stop_ticks": 9_900, "max_hold_ns": 11 * 366 * 86_400 * 1_000_000_000}, "max hold")])
def test_a_plan_that_no_order_can_have_is_refused(terms: dict[str, int], check: str) -> None:
    found = run([FIRST, (10_000, 10_010, 9_990, 10_000)], {1: long(**terms)})
    assert (fills(found), found.refused) == ([], {check: 1})


def test_two_instruments_share_one_account_and_its_limits() -> None:
    bars = [FIRST, (10_000, 10_010, 9_990, 10_000), (10_000, 10_010, 9_990, 10_000)]
    found = run(bars, {1: long(stop_ticks=9_900)}, limits=FREE_BUT_GROSS, names=("ACME", "BETA"))
    assert [(row.instrument_id, row.lots) for row in found.fill_rows()] == [("ACME@paper", 10), ("BETA@paper", 5)]
    assert found.cuts == {"gross exposure": 1}


def test_the_losing_day_ends_the_day() -> None:
    fall = [FIRST, (10_000, 10_010, 9_000, 9_000), *[(9_000, 9_010, 8_990, 9_000)] * 3]
    found = run(fall, {1: long(stop_ticks=9_100), 3: long()}, limits=FREE_BUT_DAY)
    assert fills(found) == [(1, 10, 10_000, "entry"), (2, -10, 9_100, "stop")]  # 9.00 of 10,000.00 are lost
    assert sum(found.refused.values()) == 1


CLOSE_NS = 1_699_995_600 * 1_000_000_000  # 2023-11-14 21:00 UTC, 16:00 in New York
OPEN_NS = CLOSE_NS + 17 * 3_600_000_000_000 + 1_800_000_000_000


def over_night(bars: Bars, wants: dict[int, RuleWant]) -> list[tuple[str, int, int, str]]:
    """The last three bars of a share's session and the first of the next one; fills as (minutes to the close or since the open,
    lots, price, why it left)."""
    starts = [CLOSE_NS - 3 * MINUTES_NS, CLOSE_NS - 2 * MINUTES_NS, CLOSE_NS - MINUTES_NS, OPEN_NS, OPEN_NS + MINUTES_NS]
    share = msgspec.structs.replace(instrument(), asset_class=AssetClass.EQUITY, session="XNYS")
    rows = [(start, start + MINUTES_NS, *bar, 0) for start, bar in zip(starts, bars, strict=False)]
    series = [Series(share, BarColumns(*(np.array(column, np.int64) for column in zip(*rows, strict=True))))]  # type: ignore[arg-type]
    found = backtest(series, saying(wants), {}, Setup(CASH, FREE))
    assert first_difference(found, engine_run(series, saying(wants), {}, Setup(CASH, FREE))) == ""
    return [(_minutes(row.at_ns), row.sign * row.lots, row.ticks, EXIT_REASONS.get(row.code, "entry"))
            for row in found.fill_rows()]


def _minutes(at_ns: int) -> str:
    name, since_ns = ("close", CLOSE_NS) if at_ns < OPEN_NS else ("open", OPEN_NS)
    return f"{name} {(at_ns - since_ns) // 60_000_000_000:+d}"


QUIET = (10_000, 10_010, 9_990, 10_000)


def test_a_stop_that_the_night_jumps_over_fills_at_the_next_open() -> None:
    bars = [FIRST, QUIET, QUIET, (9_600, 9_700, 9_500, 9_650)]
    assert over_night(bars, {1: long(stop_ticks=9_900)}) == [("close -10", 10, 10_000, "entry"), ("open +0", -10, 9_600, "stop")]


def test_what_is_wanted_at_the_last_close_waits_for_the_next_open() -> None:
    bars = [FIRST, QUIET, QUIET, (10_300, 10_310, 10_290, 10_300), (10_400, 10_400, 10_400, 10_400)]
    assert over_night(bars, {3: long(), 4: leave_all()}) == [("open +0", 10, 10_300, "entry"), ("open +5", -10, 10_400, "rule")]


def test_a_time_that_is_over_with_the_session_ends_at_the_next_open() -> None:
    bars = [FIRST, QUIET, QUIET, (10_300, 10_310, 10_290, 10_300)]
    assert over_night(bars, {1: long(max_hold_ns=2 * MINUTES_NS)}) == [
        ("close -10", 10, 10_000, "entry"), ("open +0", -10, 10_300, "maximum time")]


def test_the_same_again_is_the_same() -> None:
    bars = [FIRST, (10_000, 10_300, 9_950, 10_250, 7)]
    wants = {1: long(stop_ticks=9_900, target_ticks=10_200)}
    one, other = (run(bars, wants, taker_ppm=700, slippage_bps=3, spread_bps=2) for _ in range(2))
    assert one.fills.tolist() == other.fills.tolist()
    assert one.equity_minor.tolist() == other.equity_minor.tolist()
