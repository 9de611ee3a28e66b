"""From a wish to an exact order: increments, sizes found from risk, trails, and a card that tells what will be so."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.decide.entries import previewed
from engine.inputs import Bar, SetProtection, TrailSpec
from engine.kernel.indicators import latest_atr
from engine.orders import OrderKind, Side
from engine.positions import ExitPlan
from engine.service import OrderCard, Refusal
from engine.units import NS_PER_SECOND
from engine.valuation import equity_minor, fraction, gross_minor, heat_minor
from engine.want import Assessment, assess
from tests.unit.engine_desk import COIN_ID, START_NS, Desk, bought, coin


def found(desk: Desk, **want: Any) -> Assessment:
    assessed = assess(desk.state, desk.market, desk.at_ns, bought(**want))
    assert isinstance(assessed, Assessment), assessed
    return assessed


def refused(desk: Desk, **want: Any) -> Refusal:
    assessed = assess(desk.state, desk.market, desk.at_ns, bought(**want))
    assert isinstance(assessed, Refusal), assessed
    return assessed


# ---- what cannot be meant --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("want", "check", "value"), [
    ({"symbol": "COI"}, "instrument", "COI"),
    ({"portfolio": "other"}, "portfolio", "other"),
    ({"quantity": 0}, "quantity increment", "0"),
    ({"quantity": -1}, "quantity increment", "-1"),
    ({"quantity": "0.5"}, "quantity increment", "0.5"),
    ({"quantity": "NaN"}, "quantity increment", "NaN"),
    ({"quantity": "Infinity"}, "quantity increment", "Infinity"),
    ({"kind": OrderKind.LIMIT, "limit": Decimal("100.005")}, "price increment", "100.005"),
    ({"kind": OrderKind.LIMIT, "limit": Decimal(0)}, "price increment", "0"),
    ({"kind": OrderKind.LIMIT, "limit": Decimal(-1)}, "price increment", "-1"),
    ({"kind": OrderKind.LIMIT, "limit": Decimal("NaN")}, "price increment", "NaN"),
    ({"kind": OrderKind.LIMIT, "limit": Decimal("100000.01")}, "price increment", "100000.01"),
    ({"kind": OrderKind.STOP, "trigger": Decimal("100.001")}, "price increment", "100.001"),
    ({"stop": "-1"}, "price", "-1"),
    ({"stop": "0"}, "price", "0"),
    ({"stop": "NaN"}, "price", "NaN"),
    ({"stop": "Infinity"}, "price", "Infinity"),
    ({"stop": "100000.01"}, "price", "100000.01"),
    ({"target": Decimal("sNaN")}, "price", "sNaN"),
    ({"breakeven_at": Decimal(-5)}, "price", "-5"),
    ({"max_hold_seconds": 0}, "max hold", "0 s"),
    ({"max_hold_seconds": -3}, "max hold", "-3 s"),
    ({"kind": OrderKind.TRAILING_STOP}, "kind", "trailing_stop"),
    ({"limit": Decimal(100)}, "kind", "market"),
    ({"kind": OrderKind.LIMIT}, "kind", "limit"),
    ({"kind": OrderKind.STOP, "limit": Decimal(100)}, "kind", "stop"),
    ({"kind": OrderKind.STOP_LIMIT, "limit": Decimal(101)}, "kind", "stop_limit"),
    ({"quantity": None}, "quantity", "neither"),
    ({"risk_percent": Decimal(1)}, "quantity", "both"),
    ({"quantity": None, "risk_percent": Decimal(1), "stop": None}, "risk", "1"),
    ({"quantity": None, "risk_percent": Decimal(0)}, "risk", "0"),
    ({"quantity": None, "risk_percent": Decimal(-1)}, "risk", "-1"),
    ({"quantity": None, "risk_percent": Decimal("0.001")}, "risk", "0.001"),
    ({"quantity": None, "risk_percent": Decimal("NaN")}, "risk", "NaN"),
    ({"quantity": None, "risk_percent": Decimal("Infinity")}, "risk", "Infinity"),
    ({"quantity": None, "risk_percent": Decimal(1), "symbol": "OTHER"}, "risk", "1"),
    ({"trail": TrailSpec()}, "trail", None),
    ({"trail": TrailSpec(price=Decimal(1), percent=Decimal(1))}, "trail", None),
    ({"trail": TrailSpec(price=Decimal(0))}, "trail", None),
    ({"trail": TrailSpec(price=Decimal("NaN"))}, "trail", None),
    ({"trail": TrailSpec(price=Decimal("Infinity"))}, "trail", None),
    ({"trail": TrailSpec(price=Decimal("100000.01"))}, "trail", "100000.01"),
    ({"trail": TrailSpec(percent=Decimal("Infinity"))}, "trail", None),
    ({"trail": TrailSpec(percent=Decimal(100))}, "trail", "100 %"),
    ({"trail": TrailSpec(percent=Decimal("0.001"))}, "trail", "0.001 %"),
    ({"trail": TrailSpec(atr=Decimal(2))}, "trail", "0 bars"),
    ({"trail": TrailSpec(atr=Decimal("NaN"))}, "trail", None),
])
def test_what_cannot_be_meant_is_refused_by_name(want: dict[str, Any], check: str, value: str | None) -> None:
    desk = Desk()
    refusal = refused(desk, **want)
    assert refusal.check == check
    assert value is None or refusal.value == value
    assert refusal.message
    receipt = desk.do(bought(**want))
    assert receipt.refusal is not None
    assert receipt.refusal == refusal or receipt.refusal.check == "number"
    assert desk.sent == []


def test_a_near_symbol_is_named() -> None:
    assert "did you mean COIN?" in refused(Desk(), symbol="CONI").message


@pytest.mark.parametrize("symbol", ["COIN", "coin", " Coin ", "COIN@paper", "coin@PAPER"])
def test_a_symbol_is_found_however_it_is_written(symbol: str) -> None:
    assert found(Desk(), symbol=symbol).intent.instrument_id == COIN_ID


# ---- exact terms -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "stop", "target", "ticks"), [
    (Side.BUY, "95.001", "110.009", (9_501, 11_000)), (Side.SELL, "105.009", "90.001", (10_500, 9_001)),
    (Side.BUY, "95", "110", (9_500, 11_000))])
def test_stops_are_rounded_away_from_risk_and_targets_toward_the_entry(side: Side, stop: str, target: str,
                                                                       ticks: tuple[int, int]) -> None:
    plan = found(Desk(), side=side, stop=stop, target=Decimal(target)).intent.plan
    assert plan is not None
    assert (plan.stop_ticks, plan.target_ticks) == ticks


@pytest.mark.parametrize(("trail", "plan"), [
    (TrailSpec(price=Decimal(2)), ExitPlan(trail_ticks=200)), (TrailSpec(price=Decimal("2.001")), ExitPlan(trail_ticks=201)),
    (TrailSpec(percent=Decimal("2.5")), ExitPlan(trail_bps=250)), (TrailSpec(percent=Decimal("0.01")), ExitPlan(trail_bps=1))])
def test_a_trail_becomes_ticks_or_basis_points(trail: TrailSpec, plan: ExitPlan) -> None:
    assert found(Desk(), stop=None, trail=trail).intent.plan == plan


def bars(count: int) -> list[Bar]:
    return [Bar(COIN_ID, START_NS + place * 60 * NS_PER_SECOND, START_NS + (place + 1) * 60 * NS_PER_SECOND,
                10_000, 10_000 + 7 * place, 9_990, 10_000, 5) for place in range(count)]


def test_a_level_is_not_taken_for_a_trail_of_a_person() -> None:
    """65500 beside a price of 67000 would leave a stop at 1500."""
    desk = Desk()
    price = found(desk).intent.decision_ticks
    half = desk.state.instruments[COIN_ID].price(price // 2)
    assert found(desk, stop=None, trail=TrailSpec(price=half)).intent.plan == ExitPlan(trail_ticks=price // 2)
    refusal = refused(desk, stop=None, trail=TrailSpec(price=half + 1))
    assert (refusal.check, refusal.value) == ("trail", f"{half + 1:f}")
    assert "a trail is a distance" in refusal.message
    assert found(desk, stop=None, trail=TrailSpec(percent=Decimal(60))).intent.plan == ExitPlan(trail_bps=6_000)
    assert found(desk, stop=None, trail=TrailSpec(price=half + 1), origin="mine").intent.plan == \
        ExitPlan(trail_ticks=price // 2 + 100), "a strategy's numbers are its own, as in its backtest"


def test_an_atr_trail_is_resolved_to_ticks_before_the_order_goes() -> None:
    desk = Desk(live=False)
    desk.start()
    desk.market.warm(bars(20))
    desk.quote(10_000)
    atr = latest_atr([bar.high_ticks for bar in bars(20)], [bar.low_ticks for bar in bars(20)],
                     [bar.close_ticks for bar in bars(20)], 14)
    assessed = found(desk, stop=None, trail=TrailSpec(atr=Decimal("1.5")))
    assert assessed.intent.plan == ExitPlan(trail_ticks=int(Decimal(str(atr)) * Decimal("1.5")))
    assert assessed.card.trail == str(desk.state.instruments[COIN_ID].price(assessed.intent.plan.trail_ticks))


def test_an_atr_trail_waits_for_fourteen_bars() -> None:
    desk = Desk()
    desk.market.warm(bars(13))
    assert refused(desk, stop=None, trail=TrailSpec(atr=Decimal(2))).value == "13 bars"


def test_breakeven_leads_to_the_worst_entry() -> None:
    desk = Desk()
    desk.quote(9_990, 10_000)
    plan = found(desk, breakeven_at=Decimal("103.001")).intent.plan
    assert plan is not None
    assert (plan.breakeven_at_ticks, plan.breakeven_to_ticks) == (10_301, 10_000)


# ---- sizes -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("risk", "stop", "lots"), [
    ("1", "95", 200), ("0.5", "95", 100), ("1", "99", 1_000), ("1", "93", 142), ("0.01", "95", 2)])
def test_a_size_follows_from_the_risk_and_the_stop(risk: str, stop: str, lots: int) -> None:
    """1 % of 100,000.00 is 1,000.00; with 5.00 at risk a lot that is 200 lots."""
    roomy = Desk(max_order_notional_fraction=2.0, max_position_fraction=2.0, max_leverage=2.0)
    assert found(roomy, quantity=None, risk_percent=Decimal(risk), stop=stop).intent.order_lots == lots


def test_the_size_of_a_trail_follows_from_its_first_stop() -> None:
    assert found(Desk(), quantity=None, risk_percent=Decimal(1), stop=None,
                 trail=TrailSpec(price=Decimal(4))).intent.order_lots == 250


@given(risk=st.integers(1, 500), stop=st.integers(5_000, 9_999), ask=st.integers(10_000, 10_100))
def test_a_size_by_risk_never_risks_more_than_was_asked(risk: int, stop: int, ask: int) -> None:
    desk = Desk(max_heat_fraction=1.0, max_order_notional_fraction=1e3, max_position_fraction=1e3, max_leverage=1e3,
                max_risk_per_order_fraction=0.0, max_daily_notional_fraction=0.0)
    desk.quote(10_000, ask)
    percent = Decimal(risk).scaleb(-2)
    assessed = assess(desk.state, desk.market, desk.at_ns, bought(
        quantity=None, risk_percent=percent, stop=str(Decimal(stop).scaleb(-2))))
    budget = equity_minor(desk.state, desk.market, "main") * risk // 10_000
    if isinstance(assessed, Refusal):
        assert budget < ask - stop
        return
    lots = assessed.intent.order_lots
    assert lots * (ask - stop) <= budget
    assert (lots + 1) * (ask - stop) > budget or lots == desk.state.instruments[COIN_ID].max_lots


# ---- the card --------------------------------------------------------------------------------------------------------------


@given(lots=st.integers(1, 200), ticks=st.integers(5_000, 20_000), stop_bps=st.integers(10, 3_000),
       fee_ppm=st.sampled_from([0, 1_000]), before=st.integers(0, 100), side=st.sampled_from(Side))
def test_the_card_tells_what_heat_and_exposure_will_be(lots: int, ticks: int, stop_bps: int, fee_ppm: int, before: int,
                                                       side: Side) -> None:
    """Where bid and ask are one, only the fee paid at the entry, a part of equity, lies between card and fact."""
    instrument = coin(taker_fee_ppm=fee_ppm)
    desk = Desk(instruments=(instrument,), max_order_notional_fraction=10.0, max_position_fraction=10.0, max_leverage=10.0,
                max_heat_fraction=10.0)
    desk.quote(ticks)
    desk.quote(ticks)  # a jump is believed when it comes twice
    stop = str(Decimal(ticks - side.sign * max(1, ticks * stop_bps // 10_000)).scaleb(-2))
    if before:
        desk.enter("before", before, stop, at_ticks=ticks, side=side)
    desk.later(60)
    desk.quote(ticks)
    card = found(desk, quantity=lots, stop=stop, side=side).card
    assert card.heat_before_percent == percent(heat_minor(desk.state, desk.market, "main"), desk)
    receipt = desk.do(bought("c", lots, stop, side=side))
    assert receipt.accepted, receipt.refusal
    assert percent(heat_minor(desk.state, desk.market, "main"), desk) == card.heat_after_percent
    desk.accept(*receipt.order_ids)
    desk.fill(receipt.order_ids[0], lots, ticks, fee_minor=instrument.fee_minor(ticks, lots, maker=False))
    assert percent(heat_minor(desk.state, desk.market, "main"), desk) == pytest.approx(
        card.heat_after_percent, rel=2e-3, abs=2e-4)
    assert percent(gross_minor(desk.state, desk.market, "main"), desk) == pytest.approx(
        card.exposure_after_percent, rel=2e-3, abs=2e-4)


def percent(part: int, desk: Desk) -> float:
    return round(100 * fraction(part, equity_minor(desk.state, desk.market, "main")), 4)


def test_the_card_without_fees_is_exact() -> None:
    desk = Desk()
    desk.enter("before", 20, "98")
    desk.later(60)
    desk.quote(10_000)
    card = found(desk, quantity=30, stop="97", target=Decimal(106)).card
    assert (card.heat_before_percent, card.heat_after_percent) == (0.04, 0.1)
    assert (card.exposure_before_percent, card.exposure_after_percent) == (2.0, 5.0)
    assert (card.notional, card.worst_loss, card.reward_to_risk, card.fee_estimate) == (
        Decimal(3_000), Decimal(60), None, Decimal(0)), "the target is that of the position, which has none"
    desk.enter("then", 30, "97")
    assert percent(gross_minor(desk.state, desk.market, "main"), desk) == card.exposure_after_percent
    held = desk.held.stop_ticks
    assert held == 9_800, "the stop of what is held stays, since a stop never retreats"
    assert percent(heat_minor(desk.state, desk.market, "main"), desk) == 0.1


def test_without_a_price_the_card_is_empty_and_the_check_says_why() -> None:
    assessed = found(Desk(), symbol="OTHER")
    assert assessed.card.reference is None
    assert assessed.card.worst_loss is None
    assert not assessed.card.passed


# ---- protection of what is held ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("command", "check"), [
    ({"stop": Decimal(100)}, "stop side"), ({"stop": Decimal(101)}, "stop side"), ({"target": Decimal(100)}, "target side"),
    ({"breakeven_at": Decimal(100)}, "breakeven side"), ({"breakeven_at": Decimal(99)}, "breakeven side"),
    ({"clear": ("stop",)}, "stop required"), ({"clear": ("nonsense",)}, "clear"), ({"max_hold_seconds": 0}, "max hold"),
    ({"trail": TrailSpec()}, "trail"), ({"symbol": "OTHER"}, "position"), ({"symbol": "NONE"}, "instrument")])
def test_a_plan_that_would_leave_at_once_or_bare_is_refused(command: dict[str, Any], check: str) -> None:
    desk = Desk()
    desk.enter()
    desk.forget()
    receipt = desk.do(SetProtection("p", **{"symbol": "COIN", **command}))
    assert receipt.refusal is not None
    assert receipt.refusal.check == check
    assert [type(event).__name__ for event in desk.events] == ["WantRefused"]


def test_breakeven_looks_ahead_not_back() -> None:
    """The best price of long ago does not move the stop to the entry while the market is below it."""
    desk = Desk()
    desk.enter(stop=None, trail=TrailSpec(price=Decimal(20)))
    desk.quote(11_000)
    assert desk.held.best_ticks == 11_000
    desk.quote(9_900)
    assert desk.do(SetProtection("p", "COIN", breakeven_at=Decimal(105))).accepted
    assert (desk.held.stop_ticks, desk.held.exit_reason) == (9_000, "")
    desk.quote(10_500)
    assert (desk.held.stop_ticks, desk.held.exit_reason) == (10_000, "")


def test_parts_that_are_not_named_stay() -> None:
    desk = Desk()
    desk.enter(target=Decimal(110), max_hold_seconds=60)
    desk.do(SetProtection("p", "COIN", stop=Decimal(96)))
    desk.do(SetProtection("q", "COIN", clear=("max_hold",)))
    assert desk.held.plan == ExitPlan(stop_ticks=9_600, target_ticks=11_000)
    assert desk.held.stop_ticks == 9_600


# ---- the other way ---------------------------------------------------------------------------------------------------------


def test_the_card_of_what_closes_a_position_takes_its_heat_and_exposure_away() -> None:
    desk = Desk()
    desk.enter(lots=10)
    sold = bought("d", 4, None, side=Side.SELL)
    card = previewed(desk.state, desk.market, desk.at_ns, sold)
    assert isinstance(card, OrderCard)
    assert card.passed
    assert (card.quantity, card.worst_loss) == (Decimal(4), Decimal(0))
    assert card.heat_after_percent == pytest.approx(card.heat_before_percent * 0.6, abs=0.001)
    assert card.exposure_after_percent == pytest.approx(card.exposure_before_percent * 0.6, abs=0.001)
    assert desk.do(sold).accepted
    assert desk.held.exit_lots == 4


@pytest.mark.parametrize("want", [
    {"stop": Decimal(200)}, {"breakeven_at": Decimal(90)}, {"max_hold_seconds": 60}, {"quantity": Decimal(11)}])
def test_what_the_engine_would_refuse_to_close_with_its_preview_refuses(want: dict[str, Any]) -> None:
    desk = Desk()
    desk.enter(lots=10)
    sold = msgspec.structs.replace(bought("d", 4, None, side=Side.SELL), **want)
    answer = previewed(desk.state, desk.market, desk.at_ns, sold)
    assert isinstance(answer, Refusal)
    assert desk.do(sold).refusal == answer


# ---- more of the same ------------------------------------------------------------------------------------------------------


def test_the_card_of_an_addition_says_that_the_position_keeps_its_exits() -> None:
    desk = Desk()
    desk.enter(lots=10)
    assessed = found(desk, command_id="d", quantity=4, stop="97", target=Decimal(150), trail=TrailSpec(percent=Decimal(1)))
    told = [check.message for check in assessed.checks if check.name == "exits"]
    assert told == ["the position keeps its own, stop 95.00; protect changes them"]
    assert (assessed.card.stop, assessed.card.target, assessed.card.trail) == (Decimal(95), None, "")


@pytest.mark.parametrize("stop", ["95", None])
def test_an_addition_with_the_same_exits_or_none_says_nothing_of_them(stop: str | None) -> None:
    desk = Desk()
    desk.enter(lots=10)
    assert not [check for check in found(desk, command_id="d", quantity=4, stop=stop).checks if check.name == "exits"]
