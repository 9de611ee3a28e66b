"""Exit and fill rules hold over generated states, bars and the paths inside them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kernel.exits import (
    NO_EXIT,
    STOP_HIT,
    TARGET_HIT,
    ExitState,
    bar_step,
    exit_in_bar,
    exit_on_price,
    tighter_stop,
    trailed,
)
from engine.kernel.fills import (
    LIMIT,
    MARKET,
    STOP,
    STOP_LIMIT,
    fill_in_bar,
    fill_on_quote,
    fillable_lots,
    with_slippage,
)

prices = st.integers(1, 400)
signs = st.sampled_from([1, -1])
maybe_level = st.one_of(st.just(0), prices)

exit_states = st.builds(
    ExitState, sign=signs, entry_ticks=prices, opened_at_ns=st.just(0), stop_ticks=maybe_level, best_ticks=prices,
    target_ticks=maybe_level, trail_ticks=st.one_of(st.just(0), st.integers(1, 60)),
    trail_bps=st.one_of(st.just(0), st.integers(1, 4_000)), breakeven_at_ticks=maybe_level,
    breakeven_to_ticks=maybe_level, max_hold_ns=st.just(0))


@st.composite
def bars_with_paths(draw: st.DrawFn) -> tuple[tuple[int, int, int, int], list[int]]:
    """A bar and a way through it, tick by tick, that visits its open, extremes and close."""
    path = [draw(st.integers(50, 350))]
    for turn_ticks in draw(st.lists(st.integers(-40, 40), min_size=1, max_size=8)):
        start_ticks, step = path[-1], 1 if turn_ticks > 0 else -1
        path.extend(max(1, start_ticks + step * n) for n in range(1, abs(turn_ticks) + 1))
    return (path[0], max(path), min(path), path[-1]), path


@settings(max_examples=300, deadline=None)
@given(state=exit_states, seen=st.lists(prices, max_size=20))
def test_a_stop_never_retreats(state: ExitState, seen: list[int]) -> None:
    for price_ticks in seen:
        stop_ticks, best_ticks = trailed(state, price_ticks)
        assert state.stop_ticks == 0 or (stop_ticks - state.stop_ticks) * state.sign >= 0
        assert stop_ticks >= 0
        assert (best_ticks - state.best_ticks) * state.sign >= 0
        state = state._replace(stop_ticks=stop_ticks, best_ticks=best_ticks)


@settings(max_examples=300, deadline=None)
@given(state=exit_states, seen=st.lists(prices, min_size=1, max_size=20))
def test_a_stop_depends_on_the_best_price_alone(state: ExitState, seen: list[int]) -> None:
    walked = state
    for price_ticks in seen:
        stop_ticks, best_ticks = trailed(walked, price_ticks)
        walked = walked._replace(stop_ticks=stop_ticks, best_ticks=best_ticks)
    best_ticks = max(seen) if state.sign > 0 else min(seen)
    assert trailed(state, best_ticks) == (walked.stop_ticks, walked.best_ticks)


@settings(max_examples=300, deadline=None)
@given(state=exit_states, price_ticks=prices)
def test_a_trail_stays_behind_the_best_price(state: ExitState, price_ticks: int) -> None:
    only_trail = state._replace(stop_ticks=0, breakeven_at_ticks=0)
    stop_ticks, best_ticks = trailed(only_trail, price_ticks)
    assert stop_ticks == 0 or (best_ticks - stop_ticks) * state.sign >= 1


@settings(max_examples=400, deadline=None)
@given(state=exit_states, bar_and_path=bars_with_paths())
def test_a_bar_is_never_better_than_any_path_inside_it(
        state: ExitState, bar_and_path: tuple[tuple[int, int, int, int], list[int]]) -> None:
    bar, path = bar_and_path
    state = state._replace(trail_ticks=0, trail_bps=0, breakeven_at_ticks=0)
    code, price_ticks = exit_in_bar(state, *bar, 0, 0)
    on_path = [(exit_on_price(state, price, price, 0), price) for price in path]
    hits = [(hit, price) for hit, price in on_path if hit != NO_EXIT]
    assert (code != NO_EXIT) == bool(hits)
    if hits:
        first_code, first_ticks = hits[0]
        assert (price_ticks - first_ticks) * state.sign <= 0
        assert bar[2] <= price_ticks <= bar[1]
        assert code == STOP_HIT or first_code == code == TARGET_HIT


@settings(max_examples=300, deadline=None)
@given(state=exit_states, bar_and_path=bars_with_paths())
def test_what_a_bar_ratchets_is_in_force_only_afterwards(
        state: ExitState, bar_and_path: tuple[tuple[int, int, int, int], list[int]]) -> None:
    bar, path = bar_and_path
    code, price_ticks, after = bar_step(state, *bar, 0, 0)
    untrailed = state._replace(trail_ticks=0, trail_bps=0, breakeven_at_ticks=0)
    assert (code, price_ticks) == exit_in_bar(untrailed, *bar, 0, 0)
    if code != NO_EXIT:
        assert after == state
        return
    for price in path:
        stop_ticks, _ = trailed(state, price)
        assert tighter_stop(state.sign, stop_ticks, after.stop_ticks) == after.stop_ticks


order_terms = st.tuples(signs, st.sampled_from([MARKET, LIMIT, STOP, STOP_LIMIT]), prices, prices)


def first_fill_on_path(side: int, kind: int, limit: int, trigger: int, path: list[int]) -> int:
    """What an order gets where the market trades tick by tick with no spread, a limit only once traded through."""
    active = kind in (MARKET, LIMIT)
    for place, price in enumerate(path):
        if not active and (price - trigger) * side >= 0:
            active = True
            if kind == STOP:
                return price
            if (limit - price) * side > 0:
                return price
            continue
        if not active:
            continue
        if kind == MARKET or (place == 0 and (limit - price) * side > 0):
            return price
        if (limit - price) * side > 0:
            return limit
    return 0


@settings(max_examples=500, deadline=None)
@given(terms=order_terms, bar_and_path=bars_with_paths())
def test_a_fill_in_a_bar_is_never_better_than_on_any_path(
        terms: tuple[int, int, int, int], bar_and_path: tuple[tuple[int, int, int, int], list[int]]) -> None:
    side, kind, limit, trigger = terms
    bar, path = bar_and_path
    in_bar = fill_in_bar(side, kind, limit, trigger, *bar, False)
    on_path = first_fill_on_path(side, kind, limit, trigger, path)
    if in_bar:
        assert bar[2] <= in_bar <= bar[1]
        assert on_path != 0
        assert (in_bar - on_path) * side >= 0
        if kind in (LIMIT, STOP_LIMIT):
            assert (limit - in_bar) * side >= 0
    if kind in (MARKET, LIMIT, STOP):
        assert bool(in_bar) == bool(on_path)


@settings(max_examples=300, deadline=None)
@given(terms=order_terms, bid=prices, spread=st.integers(0, 5))
def test_a_quote_fills_at_the_far_side_and_within_the_limit(terms: tuple[int, int, int, int], bid: int,
                                                            spread: int) -> None:
    side, kind, limit, trigger = terms
    price = fill_on_quote(side, kind, limit, trigger, bid, bid + spread)
    assert price in (0, bid + spread if side > 0 else bid)
    if price and kind in (LIMIT, STOP_LIMIT):
        assert (limit - price) * side >= 0


@settings(max_examples=200, deadline=None)
@given(price=st.integers(1, 10**9), side=signs, bps=st.integers(0, 9_999), more=st.integers(0, 500))
def test_slippage_is_never_better_and_grows(price: int, side: int, bps: int, more: int) -> None:
    slipped = with_slippage(price, side, bps)
    assert (slipped - price) * side >= 0
    assert slipped >= 1
    assert (with_slippage(price, side, bps + more) - slipped) * side >= 0


@settings(max_examples=200, deadline=None)
@given(available=st.integers(0, 10**12), share_bps=st.integers(0, 10_000), lot=st.integers(1, 1_000))
def test_fillable_lots_are_whole_and_within_the_share(available: int, share_bps: int, lot: int) -> None:
    lots = fillable_lots(available, share_bps, lot)
    assert lots % lot == 0
    assert 0 <= lots * 10_000 <= available * share_bps
    assert (lots + lot) * 10_000 > available * share_bps or lots == 0
