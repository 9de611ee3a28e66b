"""The picture of the market: absurd items are left out, jumps are believed the second time, ATR equals the kernel's."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.inputs import Bar, MarketItem, MarketTrade, Quote
from engine.kernel.indicators import latest_atr
from engine.market import KEPT_BARS, NS_PER_DAY, MarketView
from engine.units import NS_PER_SECOND
from tests.unit.engine_desk import COIN_ID

SECOND = NS_PER_SECOND
NOON_NS = 19_876 * NS_PER_DAY + NS_PER_DAY // 2


def quoted(view: MarketView, bid: int, ask: int | None = None, seconds: float = 0) -> bool:
    at_ns = NOON_NS + round(seconds * SECOND)
    return view.see(Quote(COIN_ID, bid, bid + 1 if ask is None else ask, 0, 0, at_ns), at_ns)


def bar_of(place: int, low: int, high: int, close: int, opened: int | None = None) -> Bar:
    return Bar(COIN_ID, NOON_NS + place * SECOND, NOON_NS + (place + 1) * SECOND, opened or close, high, low, close, 1)


# ---- what is left out --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bid", "ask"), [(0, 100), (-1, 100), (100, 99), (0, 0), (100, 0)])
def test_a_crossed_or_empty_quote_is_left_out(bid: int, ask: int) -> None:
    view = MarketView()
    assert not quoted(view, bid, ask)
    assert view.marks == {}
    assert view.rejected_items == 1
    assert quoted(view, 100, 101)
    assert not quoted(view, bid, ask)
    assert view.marks[COIN_ID][:2] == (100, 101)


def test_a_locked_quote_is_taken() -> None:
    assert quoted(MarketView(), 100, 100)


@pytest.mark.parametrize("price", [0, -5])
def test_a_print_without_a_price_is_left_out(price: int) -> None:
    view = MarketView()
    assert not view.see(MarketTrade(COIN_ID, price, 1, 0, NOON_NS), NOON_NS)
    assert view.marks == {}


@pytest.mark.parametrize(("low", "high", "close"), [(0, 10, 5), (-1, 10, 5), (10, 9, 10), (10, 12, 9), (10, 12, 13)])
def test_an_impossible_bar_is_left_out(low: int, high: int, close: int) -> None:
    view = MarketView()
    assert not view.see(bar_of(0, low, high, close), NOON_NS)
    assert view.bars(COIN_ID, 5) == []
    assert view.marks == {}


# ---- jumps -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bid", "taken"), [(12_000, True), (12_001, False), (8_000, True), (7_999, False)])
def test_a_jump_of_more_than_a_fifth_waits(bid: int, taken: bool) -> None:
    view = MarketView()
    quoted(view, 10_000)
    assert quoted(view, bid, seconds=1) is taken
    assert view.marks[COIN_ID].bid_ticks == (bid if taken else 10_000)


def test_a_lone_jump_leaves_no_trace() -> None:
    view = MarketView()
    quoted(view, 10_000)
    assert not quoted(view, 5_000, seconds=1)
    assert quoted(view, 10_001, seconds=2)
    assert not quoted(view, 5_000, seconds=3), "the price was back in between: it is a lone one again"


def test_a_jump_that_comes_twice_is_believed() -> None:
    view = MarketView()
    quoted(view, 10_000)
    assert not quoted(view, 5_000, seconds=1)
    assert quoted(view, 5_400, seconds=2), "about the same is the same"
    assert view.marks[COIN_ID].bid_ticks == 5_400


def test_two_jumps_apart_from_each_other_confirm_nothing() -> None:
    view = MarketView()
    quoted(view, 10_000)
    assert not quoted(view, 5_000, seconds=1)
    assert not quoted(view, 20_000, seconds=2)
    assert quoted(view, 20_100, seconds=3)


def test_a_gap_after_silence_is_taken_at_once() -> None:
    view = MarketView()
    quoted(view, 10_000)
    assert not quoted(view, 5_000, seconds=60)
    view = MarketView()
    quoted(view, 10_000)
    assert quoted(view, 5_000, seconds=60.1)


def test_an_open_far_from_the_close_before_is_taken_where_bars_are_all_there_is() -> None:
    view = MarketView()
    quoted(view, 10_000)
    view.see(bar_of(0, 10_000, 10_100, 10_050), NOON_NS + SECOND)
    assert quoted(view, 5_000, seconds=1)
    view = MarketView()
    quoted(view, 10_000)
    quoted(view, 10_010, seconds=0.5)
    view.see(bar_of(0, 10_000, 10_100, 10_050), NOON_NS + SECOND)
    assert not quoted(view, 5_000, seconds=1), "quotes came inside the bar: one that jumps waits for a second"


def test_jumps_of_one_instrument_do_not_confirm_those_of_another() -> None:
    view = MarketView()
    quoted(view, 10_000)
    view.see(Quote("OTHER", 10_000, 10_001, 0, 0, NOON_NS), NOON_NS)
    assert not quoted(view, 5_000, seconds=1)
    assert not view.see(Quote("OTHER", 5_000, 5_001, 0, 0, NOON_NS + SECOND), NOON_NS + SECOND)


# ---- marks -------------------------------------------------------------------------------------------------------------------


def test_the_sides_of_a_mark() -> None:
    view = MarketView()
    quoted(view, 100, 104)
    mark = view.marks[COIN_ID]
    assert (mark.value_ticks(1), mark.value_ticks(-1), mark.take_ticks(1), mark.take_ticks(-1)) == (100, 104, 104, 100)
    assert mark.last_ticks == 102


def test_a_print_moves_the_last_price_alone() -> None:
    view = MarketView()
    quoted(view, 100, 104)
    view.see(MarketTrade(COIN_ID, 103, 1, 0, NOON_NS + SECOND), NOON_NS + SECOND)
    assert view.marks[COIN_ID] == (100, 104, 103, NOON_NS)
    quoted(view, 101, 104, seconds=2)
    assert view.marks[COIN_ID].last_ticks == 103
    quoted(view, 104, 106, seconds=3)
    assert view.marks[COIN_ID].last_ticks == 105


def test_a_bar_that_is_told_again_or_late_counts_once() -> None:
    view = MarketView()

    def bar(minute: int, close: int) -> Bar:
        return Bar(COIN_ID, minute * 60 * NS_PER_SECOND, (minute + 1) * 60 * NS_PER_SECOND, close, close, close, close, 10)

    def known() -> list[int]:
        return [each.close_ticks for each in view.bars(COIN_ID, 10)]

    taken = [view.see(each, each.close_ns) for each in (bar(1, 100), bar(2, 110), bar(2, 110), bar(1, 100), bar(2, 90))]
    assert (taken, known()) == ([True, True, False, False, False], [100, 110])
    assert view.marks[COIN_ID].last_ticks == 110
    assert view.see(bar(4, 120), 600 * NS_PER_SECOND), "a gap is none of them"
    assert known() == [100, 110, 120]


def test_a_bar_is_a_price_where_nothing_newer_is_known() -> None:
    view = MarketView()
    quoted(view, 100, 104, seconds=0.5)
    view.see(bar_of(0, 90, 120, 110), NOON_NS + SECOND)
    assert view.marks[COIN_ID] == (108, 112, 110, NOON_NS + SECOND)
    quoted(view, 111, 112, seconds=5)
    view.see(bar_of(1, 90, 120, 95), NOON_NS + 6 * SECOND)
    assert view.marks[COIN_ID].bid_ticks == 111


# ---- bars and ATR --------------------------------------------------------------------------------------------------------------


def walked(count: int, seed: int) -> list[Bar]:
    """Bars of a random walk, with gaps between them."""
    random, price, bars = Random(seed), 10_000, []
    for place in range(count):
        opened = max(50, price + random.randint(-40, 40))
        close = max(50, opened + random.randint(-60, 60))
        bars.append(bar_of(place, min(opened, close) - random.randint(0, 30), max(opened, close) + random.randint(0, 30), close,
                           opened))
        price = close
    return bars


@settings(max_examples=60)
@given(count=st.integers(0, 60), seed=st.integers(0, 10_000), warmed=st.integers(0, 30))
def test_atr_is_the_kernels_to_the_last_digit(count: int, seed: int, warmed: int) -> None:
    bars = walked(count, seed)
    view = MarketView()
    view.warm(bars[:warmed])
    for bar in bars[warmed:]:
        view.see(bar, bar.close_ns)
    batch = latest_atr([bar.high_ticks for bar in bars], [bar.low_ticks for bar in bars], [bar.close_ticks for bar in bars], 14)
    assert view.atr_ticks(COIN_ID) == (batch if count >= 14 else None)
    assert view.bars(COIN_ID, 100) == bars


def test_history_that_comes_late_counts_as_earlier() -> None:
    bars = walked(30, 5)
    early, late = MarketView(), MarketView()
    early.warm(bars[:20])
    for bar in bars[20:]:
        early.see(bar, bar.close_ns)
        late.see(bar, bar.close_ns)
    late.warm(bars[:20])
    late.warm(bars[:22])
    assert late.bars(COIN_ID, 100) == early.bars(COIN_ID, 100) == bars
    assert late.atr_ticks(COIN_ID) == early.atr_ticks(COIN_ID)
    assert late.marks == early.marks


def test_bars_are_bounded_and_the_newest_are_kept() -> None:
    view = MarketView()
    for place in range(KEPT_BARS + 10):
        view.see(bar_of(place, 90, 110, 100), NOON_NS)
    assert len(view.bars(COIN_ID, 10 ** 6)) == KEPT_BARS
    assert view.bars(COIN_ID, 1)[0].open_ns == NOON_NS + (KEPT_BARS + 9) * SECOND


# ---- the day -----------------------------------------------------------------------------------------------------------------


def test_the_first_price_of_a_day_opens_it() -> None:
    view = MarketView()
    quoted(view, 100)
    quoted(view, 105, seconds=60)
    assert view.day_open_ticks(COIN_ID) == 100


@pytest.mark.parametrize("kind", ["quote", "print", "bar"])
def test_a_new_day_opens_with_its_own_first_price(kind: str) -> None:
    view = MarketView()
    quoted(view, 100)
    tomorrow = NOON_NS + NS_PER_DAY
    items: dict[str, MarketItem] = {
        "quote": Quote(COIN_ID, 110, 111, 0, 0, tomorrow), "print": MarketTrade(COIN_ID, 110, 1, 0, tomorrow),
        "bar": Bar(COIN_ID, tomorrow - SECOND, tomorrow, 110, 110, 110, 110, 1)}
    view.see(items[kind], tomorrow)
    assert view.day_open_ticks(COIN_ID) == 110
    quoted(view, 112, seconds=86_400 + 60)
    assert view.day_open_ticks(COIN_ID) == 110


def test_the_day_is_that_of_the_settings_zone() -> None:
    view = MarketView(lambda at_ns: (at_ns - NS_PER_DAY // 2) // NS_PER_DAY)
    quoted(view, 100, seconds=-1)
    quoted(view, 110, seconds=1)
    assert view.day_open_ticks(COIN_ID) == 110
