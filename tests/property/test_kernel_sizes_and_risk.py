"""Sizes stay within their budget and move the right way; risk is never negative and never shrinks by adding to it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kernel.heat import open_risk_minor, order_risk_minor
from engine.kernel.rounding import scaled_down, scaled_up
from engine.kernel.sizing import lots_for_notional, lots_for_risk, smallest_cap

ticks = st.integers(1, 10_000_000)
nums = st.integers(1, 1_000)
dens = st.integers(1, 100_000_000)
caps = st.integers(0, 1_000_000)
money = st.integers(0, 10**11)


@settings(max_examples=300, deadline=None)
@given(value=st.integers(-(10**18), 10**18), parts=st.integers(0, 10**6), whole=st.integers(1, 10**9))
def test_scaling_is_exact(value: int, parts: int, whole: int) -> None:
    assert scaled_down(value, parts, whole) == value * parts // whole
    assert scaled_up(value, parts, whole) == -(-value * parts // whole)


@settings(max_examples=300, deadline=None)
@given(equity=money, bps=st.integers(0, 10_000), entry=ticks, stop=ticks, num=nums, den=dens, cap=caps)
def test_size_by_risk_stays_within_the_risk_and_is_the_largest_that_does(
        equity: int, bps: int, entry: int, stop: int, num: int, den: int, cap: int) -> None:
    lots = lots_for_risk(equity, bps, entry, stop, num, den, cap)
    assert 0 <= lots <= cap
    budget = equity * bps // 10_000
    per_lot = abs(entry - stop) * num
    assert lots * per_lot <= budget * den
    if per_lot and bps and budget:
        assert lots == cap or (lots + 1) * per_lot > budget * den


@settings(max_examples=300, deadline=None)
@given(equity=money, more=money, bps=st.integers(1, 5_000), entry=ticks, distance=st.integers(1, 1_000_000),
       wider=st.integers(0, 1_000_000), num=nums, den=dens, cap=caps)
def test_size_by_risk_is_monotone(equity: int, more: int, bps: int, entry: int, distance: int, wider: int, num: int,
                                  den: int, cap: int) -> None:
    lots = lots_for_risk(equity, bps, entry, entry + distance, num, den, cap)
    assert lots_for_risk(equity + more, bps, entry, entry + distance, num, den, cap) >= lots
    assert lots_for_risk(equity, bps, entry, entry + distance + wider, num, den, cap) <= lots
    assert lots_for_risk(equity, bps, entry, entry + distance, num, den, cap + 1) >= lots


@settings(max_examples=300, deadline=None)
@given(notional=money, price=ticks, num=nums, den=dens, cap=caps)
def test_size_by_notional_stays_within_it(notional: int, price: int, num: int, den: int, cap: int) -> None:
    lots = lots_for_notional(notional, price, num, den, cap)
    assert 0 <= lots <= cap
    assert lots * price * num <= notional * den
    assert lots == cap or not notional or (lots + 1) * price * num > notional * den


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-10, 100), min_size=1, max_size=6))
def test_the_smallest_cap_is_the_smallest(caps_lots: list[int]) -> None:
    lots, index = smallest_cap(caps_lots)
    assert lots == max(0, min(caps_lots)) == max(0, caps_lots[index])


risks = {"lots": st.integers(-100_000, 100_000), "mark": ticks, "stop": st.one_of(st.just(0), ticks), "num": nums,
         "den": dens, "gap_bps": st.integers(0, 2_000), "fee_ppm": st.integers(0, 10_000)}


@settings(max_examples=300, deadline=None)
@given(**risks)
def test_open_risk_is_never_negative_and_at_least_the_way_to_the_stop(
        lots: int, mark: int, stop: int, num: int, den: int, gap_bps: int, fee_ppm: int) -> None:
    risk = open_risk_minor(lots, mark, stop, num, den, gap_bps, fee_ppm)
    assert risk >= 0
    way = mark * abs(lots) if stop == 0 else (mark - stop) * lots
    assert risk * den >= way * num
    assert order_risk_minor(1 if lots > 0 else -1, abs(lots), mark, stop, num, den, gap_bps, fee_ppm) == risk


@settings(max_examples=300, deadline=None)
@given(more=st.integers(0, 1_000), **risks)
def test_open_risk_is_monotone(more: int, lots: int, mark: int, stop: int, num: int, den: int, gap_bps: int,
                               fee_ppm: int) -> None:
    sign = 1 if lots >= 0 else -1
    risk = open_risk_minor(lots, mark, stop, num, den, gap_bps, fee_ppm)
    assert open_risk_minor(lots, mark, stop, num, den, gap_bps + more, 0) >= open_risk_minor(
        lots, mark, stop, num, den, gap_bps, 0)
    assert open_risk_minor(lots, mark, stop, num, den, gap_bps, fee_ppm + more) >= risk
    assert open_risk_minor(lots + sign * more, mark, stop, num, den, gap_bps, fee_ppm) >= risk
    if stop > more and lots > 0:
        assert open_risk_minor(lots, mark, stop - more, num, den, gap_bps, 0) >= open_risk_minor(
            lots, mark, stop, num, den, gap_bps, 0)
