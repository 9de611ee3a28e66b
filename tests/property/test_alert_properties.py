"""Alert rules: text and tree are one thing, and the quiet bands change nothing but the cost."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.alert_language import joined, parse_actions, parse_condition
from engine.alert_rules import (
    SHAPES,
    Action,
    AlertRule,
    AlertScope,
    AllOf,
    AnyOf,
    CloseAction,
    Comparison,
    Condition,
    HaltAction,
    Measure,
    NotifyAction,
    OrderAction,
    ReduceAction,
    Term,
    TightenAction,
    Unit,
    problem_of,
)
from engine.alert_text import actions_text, condition_text
from engine.errors import UsageError
from engine.events import Event
from engine.inputs import SetAlertRule
from engine.orders import Side
from tests.unit.engine_desk import COIN_ID, OTHER, Desk

SYMBOLS = st.sampled_from(("COIN", "OTHER", "BTC/USD", "BRK.B", "AND", "1INCH/USD", "X@paper"))
POSITIVE = st.decimals(min_value=Decimal("0.0001"), max_value=Decimal(99999), places=4)


@st.composite
def terms(draw: st.DrawFn) -> Term:
    measure = draw(st.sampled_from(Measure))
    shape = SHAPES[measure]
    unit = draw(st.sampled_from(shape.units))
    level = draw(POSITIVE)
    if unit in (Unit.SECONDS, Unit.EMA):
        level = Decimal(draw(st.integers(1, 200)))
    elif shape.negative:
        level *= draw(st.sampled_from((1, -1)))
    comparison = draw(st.sampled_from(sorted(shape.comparisons)))
    named = shape.scope in (AlertScope.INSTRUMENT, AlertScope.POSITION)
    return Term(measure, comparison, Decimal(0) if unit is Unit.WORD else level, unit,
                draw(SYMBOLS) if named else "", draw(st.integers(1, 400_000)) if shape.over else 0,
                draw(st.integers(1, 200)) if shape.bars else 0,
                draw(st.sampled_from(("down", "live", "reconciling"))) if unit is Unit.WORD else "")


def conditions() -> st.SearchStrategy[Condition]:
    return st.recursive(terms(), lambda inner: st.tuples(
        st.sampled_from((AllOf, AnyOf)), st.lists(inner, min_size=2, max_size=4)).map(lambda made: joined(*made)), max_leaves=8)


MAYBE = st.none() | POSITIVE
ACTIONS: st.SearchStrategy[Action] = st.one_of(
    st.just(NotifyAction()), st.just(ReduceAction()), st.booleans().map(lambda everything: HaltAction(everything=everything)),
    SYMBOLS.map(CloseAction), st.builds(lambda symbol, price: TightenAction(symbol, price=price), SYMBOLS, POSITIVE),
    st.builds(lambda symbol: TightenAction(symbol, entry=True), SYMBOLS),
    st.builds(lambda side, symbol, size, by_risk, *parts: OrderAction(
        side, symbol, None if by_risk else size, size if by_risk else None, *parts),
        st.sampled_from(Side), SYMBOLS, POSITIVE, st.booleans(), MAYBE, MAYBE, MAYBE, MAYBE))


@given(conditions())
def test_a_condition_reads_back_as_itself(condition: Condition) -> None:
    text = condition_text(condition)
    if problem_of(AlertRule("r", condition)) or len(text) > 900:
        return
    assert parse_condition(text) == condition
    assert condition_text(parse_condition(text)) == text


@given(st.lists(ACTIONS, min_size=1, max_size=4).map(tuple))
def test_actions_read_back_as_themselves(actions: tuple[Action, ...]) -> None:
    assert parse_actions(actions_text(actions)) == actions


@given(st.text(max_size=60) | st.lists(st.sampled_from(
    ("COIN", "price", ">", "<", "5", "5%", "5bps", "and", "or", "(", ")", "crosses", "above", "ema", "over", "15m", "heat", "pnl",
     "2R", "quote", "age", "connection", "is", "down")), max_size=12).map(" ".join))
def test_any_text_is_understood_or_refused_with_a_column(text: str) -> None:
    condition = _understood(text)
    if isinstance(condition, str):
        assert "column" in condition
        return
    assert not problem_of(AlertRule("r", condition))
    assert parse_condition(condition_text(condition)) == condition


def _understood(text: str) -> Condition | str:
    try:
        return parse_condition(text)
    except UsageError as told:
        return str(told)


# ---- bands ---------------------------------------------------------------------------------------------------------------

LEVELS = st.integers(9_994, 10_006).map(lambda ticks: Decimal(ticks) / 100)
SIGNS = st.sampled_from((Comparison.BELOW, Comparison.AT_MOST, Comparison.ABOVE, Comparison.AT_LEAST))
STEPS = st.integers(-6, 6).map(Decimal)


@st.composite
def quick_terms(draw: st.DrawFn) -> Term:
    """Comparisons that a quote alone decides, with levels where the prices are."""
    symbol = draw(st.sampled_from(("COIN", "COIN", "OTHER")))
    match draw(st.integers(0, 4)):
        case 0 | 1:
            comparison = draw(st.sampled_from(sorted(SHAPES[Measure.PRICE].comparisons)))
            level = draw(LEVELS) + draw(st.sampled_from((Decimal(0), Decimal("0.005"), Decimal("0.002"))))
            return Term(Measure.PRICE, comparison, level, symbol=symbol)
        case 2:
            return Term(Measure.SPREAD, draw(SIGNS), Decimal(draw(st.integers(0, 4))), Unit.BPS, symbol)
        case _:  # seven lots: a tick is 0.07 in money, 0.01 % of the cost, 0.002 R
            unit, tick = draw(st.sampled_from(((Unit.NUMBER, Decimal("0.07")), (Unit.PERCENT, Decimal("0.01")),
                                               (Unit.R, Decimal("0.002")))))
            return Term(Measure.PNL, draw(SIGNS), draw(STEPS) * tick, unit, "COIN")


def quick_conditions() -> st.SearchStrategy[Condition]:
    return st.recursive(quick_terms(), lambda inner: st.tuples(
        st.sampled_from((AllOf, AnyOf)), st.lists(inner, min_size=2, max_size=3)).map(lambda made: joined(*made)), max_leaves=5)


QUOTES = st.lists(st.tuples(st.booleans(), st.integers(-8, 8), st.integers(0, 4)), min_size=10, max_size=60)


@settings(max_examples=150)
@given(st.lists(st.tuples(quick_conditions(), st.booleans(), st.sampled_from((0, 2, 5))), min_size=1, max_size=4),
       st.sampled_from((None, Side.BUY, Side.SELL)), QUOTES)
def test_bands_change_nothing_but_the_cost(rules: list[tuple[Condition, bool, int]], held: Side | None,
                                           quotes: list[tuple[bool, int, int]]) -> None:
    """Looking at every rule on every quote records exactly what looking only outside the bands records."""
    assert _run(rules, held, quotes, with_bands=True) == _run(rules, held, quotes, with_bands=False)


def _run(rules: list[tuple[Condition, bool, int]], held: Side | None, quotes: list[tuple[bool, int, int]], *,
         with_bands: bool) -> list[Event]:
    desk = Desk()
    if held is not None:
        desk.enter(lots=7, stop="95" if held is Side.BUY else "105", side=held)
    for place, (condition, repeat, hysteresis_bps) in enumerate(rules):
        made = AlertRule(f"r{place}", condition, repeat=repeat, hysteresis_bps=hysteresis_bps, cooldown_seconds=0)
        assert desk.do(SetAlertRule(f"c{place}", made)).accepted
    desk.forget()
    price = {COIN_ID: 10_000, OTHER.instrument_id: 10_000}
    for other, step, spread in quotes:
        instrument_id = OTHER.instrument_id if other else COIN_ID
        price[instrument_id] = 10_000 + step
        if not with_bands:
            desk.market.alert_memo.bands.clear()
        desk.quote(price[instrument_id], price[instrument_id] + spread, instrument_id)
    return desk.events
