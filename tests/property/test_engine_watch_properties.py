"""The quiet band is sound: whatever the rules would do about a price lies outside it, so nothing is ever missed."""

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.decide.prices import quote_asks, quote_seen
from engine.inputs import Quote
from engine.kernel.exits import trailed
from engine.positions import ExitPlan, Position, exit_state
from engine.watch import FAR_TICKS, NEVER_NS, watch_of
from tests.unit.engine_desk import ACCOUNT, COIN, COIN_ID, START_NS, Desk, settings_of

SECOND = 1_000_000_000
EMPTY = Desk()


@st.composite
def positions(draw: st.DrawFn) -> Position:
    """A position as it is after its entry, under any plan that an entry may have."""
    sign, entry = draw(st.sampled_from([1, -1])), draw(st.integers(10, 20_000))
    reach = st.integers(1, 2 * entry)
    stop = draw(st.none() | reach)
    target = draw(st.none() | reach)
    trail_kind = draw(st.sampled_from(["", "ticks", "bps"]))
    breakeven = draw(st.none() | reach)
    plan = ExitPlan(
        stop_ticks=max(1, entry - sign * stop) if stop else 0, target_ticks=max(1, entry + sign * target) if target else 0,
        trail_ticks=draw(reach) if trail_kind == "ticks" else 0,
        trail_bps=draw(st.integers(1, 9_999)) if trail_kind == "bps" else 0,
        breakeven_at_ticks=max(1, entry + sign * breakeven) if breakeven else 0, breakeven_to_ticks=entry if breakeven else 0,
        max_hold_ns=draw(st.sampled_from([0, 5 * SECOND])))
    lots = draw(st.integers(1, 20))
    bare = Position("main", ACCOUNT, COIN_ID, "manual", sign * lots, sign * lots * entry, START_NS, "e", plan=plan,
                    stop_ticks=plan.stop_ticks, best_ticks=entry, exit_lots=draw(st.sampled_from([0, 0, 1])))
    stop_ticks, best_ticks = trailed(exit_state(bare, COIN), entry)
    return Position("main", ACCOUNT, COIN_ID, "manual", sign * lots, sign * lots * entry, START_NS, "e", plan=plan,
                    stop_ticks=stop_ticks, best_ticks=best_ticks, exit_lots=bare.exit_lots,
                    exit_reason="part" if bare.exit_lots else "")


@settings(max_examples=400)
@given(position=positions(), moves=st.lists(st.tuples(st.integers(-60, 60), st.integers(0, 3), st.integers(0, 2)), min_size=1,
                                            max_size=25),
       fraction=st.sampled_from([0.0, 0.05, 0.3]))
def test_nothing_that_the_rules_would_do_lies_inside_the_quiet_band(
        position: Position, moves: list[tuple[int, int, int]], fraction: float) -> None:
    desk = Desk(settings=settings_of("main", trail_step_fraction=fraction), live=False)
    desk.start()
    desk.changed(positions={position.key: position}, watches={COIN_ID: (watch_of(position, fraction),)})
    price = position.best_ticks
    for parts, spread, seconds in moves:
        price = max(1, price + round(price * parts / 1_000) + parts % 3)
        desk.later(seconds)
        bid = price if position.sign > 0 else max(1, price - spread)
        quote = Quote(COIN_ID, bid, max(bid, price) + (spread if position.sign > 0 else 0), 0, 0, desk.at_ns)
        asked = quote_asks(desk.state.watches[COIN_ID], quote, desk.at_ns)
        turn = desk.turn()
        quote_seen(turn, quote)
        assert asked or not turn.events, f"{turn.events} at {quote} although inside {desk.state.watches[COIN_ID]}"
        desk.state = turn.state
        held = desk.state.positions[position.key]
        assert desk.state.watches[COIN_ID] == (watch_of(held, fraction),)
        if held.exit_reason != position.exit_reason:
            return


@settings(max_examples=400)
@given(position=positions(), price=st.integers(1, 60_000), seconds=st.integers(0, 10))
def test_any_single_price_far_or_near(position: Position, price: int, seconds: int) -> None:
    fraction = EMPTY.state.settings.trail_step_fraction
    desk = Desk(state=EMPTY.state, live=False)
    desk.changed(positions={position.key: position}, watches={COIN_ID: (watch_of(position, fraction),)})
    desk.at_ns = START_NS + seconds * SECOND
    quote = Quote(COIN_ID, price, price, 0, 0, desk.at_ns)
    assume(not quote_asks(desk.state.watches[COIN_ID], quote, desk.at_ns))
    turn = desk.turn()
    quote_seen(turn, quote)
    assert turn.events == []


@given(position=positions(), price=st.integers(-10, 60_000), seconds=st.integers(0, 10 ** 6))
def test_what_is_on_its_way_out_is_never_asked(position: Position, price: int, seconds: int) -> None:
    leaving = Position("main", ACCOUNT, COIN_ID, "manual", position.lots, position.cost_minor, START_NS, "e", plan=position.plan,
                       stop_ticks=position.stop_ticks, best_ticks=position.best_ticks, exit_reason="stop hit")
    watch = watch_of(leaving, 0.05)
    assert watch[2:] == (-FAR_TICKS, FAR_TICKS, NEVER_NS)
    assert not quote_asks((watch,), Quote(COIN_ID, price, price, 0, 0, 0), START_NS + seconds * SECOND)


@settings(max_examples=150)
@given(position=positions(), prices=st.lists(st.integers(1, 40_000), min_size=1, max_size=20))
def test_a_stop_never_retreats(position: Position, prices: list[int]) -> None:
    desk = Desk(state=EMPTY.state, live=False)
    desk.changed(positions={position.key: position}, watches={COIN_ID: (watch_of(position, 0.05),)})
    for price in prices:
        before = desk.state.positions[position.key]
        turn = desk.turn()
        quote_seen(turn, Quote(COIN_ID, price, price, 0, 0, desk.at_ns))
        desk.state = turn.state
        after = desk.state.positions[position.key]
        assert not before.stop_ticks or (after.stop_ticks - before.stop_ticks) * position.sign >= 0
        assert (after.best_ticks - before.best_ticks) * position.sign >= 0
