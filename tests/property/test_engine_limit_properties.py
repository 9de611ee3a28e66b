"""Over random books and limits: heat is within its limit at the moment of every entry, what was foretold is what comes, sizes
are monotone and within every limit, and every refusal and cut is explained."""

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.heat import bucket_heat, correlated_heat, heat_lines
from engine.inputs import Bar, EdgeSpec, Limits, PlaceOrder, SizeSpec
from engine.limits import book_of, size_checks
from engine.orders import OrderKind, Side
from engine.service import Refusal
from engine.units import NS_PER_SECOND
from engine.valuation import equity_minor, fraction, heat_minor
from engine.want import Assessment, assess
from tests.unit.engine_desk import Desk, coin, settings_of

SYMBOLS = ("COIN", "OTHER", "THIRD")
MINUTE_NS = 60 * NS_PER_SECOND
fractions = st.sampled_from([0.0, 0.001, 0.01, 0.05, 0.2, 1.0])
tight = st.sampled_from([0.001, 0.01, 0.05, 0.2, 1.0])

limits = st.fixed_dictionaries({
    "max_order_notional_fraction": tight, "max_position_fraction": tight, "max_heat_fraction": tight,
    "max_risk_per_order_fraction": fractions, "max_gross_fraction": fractions, "max_net_fraction": fractions,
    "max_sector_fraction": fractions, "max_asset_class_fraction": fractions, "max_bucket_fraction": fractions,
    "max_bucket_heat_fraction": fractions, "max_correlated_heat_fraction": fractions, "max_daily_notional_fraction": fractions,
    "max_daily_volume_fraction": fractions, "max_value_at_risk_fraction": fractions,
    "max_expected_shortfall_fraction": fractions})
ROOMY: dict[str, Any] = {
    "max_order_notional_fraction": 9.0, "max_position_fraction": 9.0, "max_leverage": 9.0, "max_risk_per_order_fraction": 0.0,
    "max_bucket_fraction": 0.0, "max_sector_fraction": 0.0, "max_daily_notional_fraction": 0.0}
heats = st.sampled_from([0.0, 0.002, 0.01, 0.05])
hot = st.fixed_dictionaries({
    **{name: st.just(value) for name, value in ROOMY.items()}, "max_heat_fraction": st.sampled_from([0.002, 0.01, 0.05]),
    "max_bucket_heat_fraction": heats, "max_correlated_heat_fraction": heats})
sides = st.sampled_from([Side.BUY, Side.SELL])
holdings = st.lists(st.tuples(st.sampled_from(SYMBOLS), sides, st.integers(1, 300), st.integers(1, 2_000)), max_size=3)
walks = st.lists(st.integers(-40, 40), min_size=30, max_size=30)


def booked(given_limits: dict[str, Any], held: list[tuple[str, Side, int, int]], steps: dict[str, list[int]],
           gap_bps: int, fee_ppm: int) -> Desk:
    """A desk with positions that were entered while nothing was limited, then put under the given limits."""
    chosen = settings_of(
        "main", limits=Limits(**{"duplicate_seconds": 0.0, **given_limits}), gap_allowance_bps=gap_bps,
        sectors={"COIN": "one", "OTHER": "one"}, buckets={"OTHER": "two", "THIRD": "two"})
    roomy = settings_of("main", limits=Limits(**ROOMY, max_heat_fraction=1.0, duplicate_seconds=0.0), gap_allowance_bps=gap_bps)
    desk = Desk(settings=roomy, instruments=[coin(symbol, taker_fee_ppm=fee_ppm) for symbol in SYMBOLS])
    for symbol in SYMBOLS:
        price, bars = 10_000, []
        for place, step in enumerate(steps[symbol]):
            price += step
            bars.append(Bar(f"{symbol}@paper", place * MINUTE_NS, (place + 1) * MINUTE_NS, price, price, price, price, 9))
        desk.market.warm(bars)
        desk.quote(10_000, instrument_id=f"{symbol}@paper")
    for place, (symbol, side, lots, distance) in enumerate(held):
        receipt = desk.do(PlaceOrder(f"h{place}", symbol, side, quantity=Decimal(lots),
                                     stop=Decimal(10_000 - side.sign * distance).scaleb(-2)))
        if receipt.accepted and receipt.order_ids:
            desk.accept(*receipt.order_ids)
            desk.fill(receipt.order_ids[0], lots)
            desk.accept()
    again = Desk(settings=chosen, instruments=desk.instruments, state=desk.state, live=False)
    again.market = desk.market
    again.start()
    again.forget()
    return again


sizes = st.one_of(
    st.builds(lambda lots: {"quantity": Decimal(lots)}, st.integers(1, 3_000)),
    st.builds(lambda bps: {"risk_percent": Decimal(bps).scaleb(-2)}, st.integers(1, 2_000)),
    st.just({"size": SizeSpec(largest=True)}),
    st.builds(lambda rate: {"size": SizeSpec(edge=EdgeSpec(Decimal(rate).scaleb(-2), Decimal(2), 200))}, st.integers(40, 90)),
    st.builds(lambda target: {"size": SizeSpec(volatility_percent=Decimal(target))}, st.integers(1, 500)))
around = (holdings, st.fixed_dictionaries(dict.fromkeys(SYMBOLS, walks)), st.sampled_from([0, 100]), st.sampled_from([0, 1_000]))
books = st.tuples(limits, *around)
hot_books = st.tuples(hot, *around)  # where heat, of all limits, is the one that binds


def want_of(size: dict[str, Any], symbol: str, side: Side, distance: int, resting: int) -> PlaceOrder:
    entry = 10_000 - side.sign * resting
    return PlaceOrder("w", symbol, side, kind=OrderKind.LIMIT if resting else OrderKind.MARKET,
                      limit=Decimal(entry).scaleb(-2) if resting else None,
                      stop=Decimal(entry - side.sign * distance).scaleb(-2), **size)


@settings(max_examples=200)
@given(st.one_of(books, hot_books, hot_books), sizes, st.sampled_from(SYMBOLS), sides, st.integers(1, 2_000),
       st.sampled_from([0, 0, 50, 400]))
def test_an_entry_keeps_heat_within_its_limits_and_does_what_was_foretold(
        book: Any, size: dict[str, Any], symbol: str, side: Side, distance: int, resting: int) -> None:
    desk = booked(*book)
    want = want_of(size, symbol, side, distance, resting)
    held = desk.state.position("main", f"{symbol}@paper")
    if held is not None and held.sign != side.sign:
        return
    found = assess(desk.state, desk.market, desk.at_ns, want)
    before = desk.state
    receipt = desk.do(want)
    if not receipt.accepted:
        assert receipt.refusal is not None
        assert receipt.refusal.check
        assert receipt.refusal.limit
        assert receipt.refusal.value
        assert receipt.refusal.message
        assert desk.state.orders == before.orders
        return
    assert isinstance(found, Assessment)
    state, market = desk.state, desk.market
    equity, rules = equity_minor(state, market, "main"), state.portfolios["main"].settings.limits
    lines = heat_lines(state, market, "main")
    heat = fraction(heat_minor(state, market, "main"), equity)
    assert heat <= rules.max_heat_fraction
    assert found.card.heat_after_percent == round(100 * heat, 4)
    in_bucket = bucket_heat(lines).get(found.card.bucket, 0)
    assert found.card.bucket_heat_after_percent == round(100 * fraction(in_bucket, equity), 4)
    correlated = fraction(correlated_heat(market, lines).minor(), equity)
    assert abs(found.card.correlated_heat_after_percent - 100 * correlated) <= 100 * 2 / equity + 1e-4
    if rules.max_correlated_heat_fraction:
        assert correlated <= rules.max_correlated_heat_fraction + 2 / equity
    if rules.max_bucket_heat_fraction:
        assert fraction(in_bucket, equity) <= rules.max_bucket_heat_fraction


@settings(max_examples=120)
@given(books, sizes, st.sampled_from(SYMBOLS), sides, st.integers(1, 2_000))
def test_a_sized_order_is_within_every_limit_and_every_cut_is_explained(
        book: Any, size: dict[str, Any], symbol: str, side: Side, distance: int) -> None:
    if "quantity" in size:
        return
    desk = booked(*book)
    found = assess(desk.state, desk.market, desk.at_ns, want_of(size, symbol, side, distance, 0))
    if isinstance(found, Refusal):
        assert found.check
        assert found.message
        return
    limited = book_of(desk.state, desk.market, found.intent, 10_000)
    assert all(one(limited, found.intent.order_lots).passed for one in size_checks(limited))
    quantities = [one.after for one in found.card.clamps]
    assert quantities == sorted(quantities, reverse=True)
    assert all(one.limit and one.allowed for one in found.card.clamps)
    if found.card.clamps:
        assert found.card.clamps[-1].after == found.card.quantity
        cut = found.card.clamps[-1].limit
        one_more = {check.name: check for check in (one(limited, found.intent.order_lots + 1) for one in size_checks(limited))}
        assert cut == "maximum quantity" or not one_more[cut].passed


rising = st.one_of(
    st.tuples(st.integers(1, 1_000), st.integers(0, 1_000)).map(
        lambda pair: [{"risk_percent": Decimal(asked).scaleb(-2)} for asked in (pair[0], sum(pair))]),
    st.tuples(st.integers(1, 300), st.integers(0, 300)).map(
        lambda pair: [{"size": SizeSpec(volatility_percent=Decimal(asked))} for asked in (pair[0], sum(pair))]),
    st.tuples(st.integers(1, 98), st.integers(0, 98)).map(
        lambda pair: [{"size": SizeSpec(edge=EdgeSpec(Decimal(min(99, rate)).scaleb(-2), Decimal(2), 200))}
                      for rate in (pair[0], sum(pair))]),
    st.tuples(st.integers(1, 500), st.integers(0, 500)).map(
        lambda pair: [{"size": SizeSpec(edge=EdgeSpec(Decimal("0.6"), Decimal(2), count))} for count in (pair[0], sum(pair))]))


@settings(max_examples=160)
@given(books, st.sampled_from(SYMBOLS), sides, st.integers(1, 2_000), rising)
def test_asking_for_more_is_never_a_smaller_order(book: Any, symbol: str, side: Side, distance: int, sizes: Any) -> None:
    """More risk, a higher volatility, a better edge, a longer record of it: whatever limits cut, the order does not shrink."""
    desk = booked(*book)
    lots = []
    for size in sizes:
        want = want_of(size, symbol, side, distance, 0)
        found = assess(desk.state, desk.market, desk.at_ns, want)
        lots.append(found.intent.order_lots if isinstance(found, Assessment) else 0)
    assert lots[0] <= lots[1]
