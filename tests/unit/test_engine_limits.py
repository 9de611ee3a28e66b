"""Every limit refuses just beyond itself and passes just at it, and names check, limit and value; sizes by their checks."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from engine.inputs import Bar, ClosePosition, Command, Limits, SetLimit, TradingState, TrailSpec
from engine.limits import book_of, local_time, size_checks, within_hours
from engine.orders import OrderKind, Purpose, Side
from engine.parents import OverTime
from engine.service import CheckView
from engine.settings import CurrencySettings
from engine.strategy_state import StrategySettings
from engine.tolerance import FIELDS
from engine.units import NS_PER_SECOND
from engine.want import Assessment, assess
from tests.unit.engine_desk import COIN, COIN_ID, Desk, bought, settings_of

ROOMY: dict[str, Any] = {
    "max_heat_fraction": 1.0, "max_order_notional_fraction": 2.0, "max_position_fraction": 2.0, "max_leverage": 4.0,
    "max_risk_per_order_fraction": 0.0, "duplicate_seconds": 0.0, "max_daily_notional_fraction": 0.0, "max_orders_per_day": 0}


def desk(settings: dict[str, Any] | None = None, **limits: Any) -> Desk:
    """A desk where only the limits that are named bind: 100,000.00 of cash, COIN and OTHER at 100.00."""
    made = Desk(settings=settings_of("main", limits=Limits(**{**ROOMY, **limits}), **(settings or {})))
    made.quote(10_000, instrument_id="OTHER@paper")
    return made


def holding(lots: int = 100, side: Side = Side.BUY, symbol: str = "OTHER", settings: dict[str, Any] | None = None,
            **limits: Any) -> Desk:
    made = desk(settings, **limits)
    _enter(made, lots, side, symbol)
    return made


def _enter(made: Desk, lots: int, side: Side, symbol: str) -> None:
    receipt = made.do(bought("before", lots, "95" if side is Side.BUY else "105", side=side, symbol=symbol))
    assert receipt.accepted, receipt.refusal
    made.accept(*receipt.order_ids)
    made.fill(receipt.order_ids[0], lots)
    made.accept()


def checks_of(made: Desk, **want: Any) -> dict[str, CheckView]:
    found = assess(made.state, made.market, made.at_ns, bought(**want))
    assert isinstance(found, Assessment), found
    return {one.name: one for one in found.checks}


def with_volume(made: Desk, lots_a_minute: int) -> Desk:
    """An hour of bars of one minute each."""
    minute = 60 * NS_PER_SECOND
    made.market.warm([Bar(COIN_ID, place * minute, (place + 1) * minute, 10_000, 10_000, 10_000, 10_000, lots_a_minute)
                      for place in range(60)])
    return made


SECTORS = {"sectors": {"COIN": "money", "OTHER": "money"}}
type Case = Callable[[], tuple[Desk, dict[str, Any]]]
TABLE: list[tuple[str, Case, Case, str, str]] = [
    ("risk per order", lambda: (desk(max_risk_per_order_fraction=0.001), {"quantity": 20}),
     lambda: (desk(max_risk_per_order_fraction=0.001), {"quantity": 24}), "0.10%", "0.12%"),
    ("spread", lambda: (_spread(20), {}), lambda: (_spread(21), {}), "20 bps", "21 bps"),
    ("orders a day", lambda: (holding(10, max_orders_per_day=2), {}), lambda: (holding(10, max_orders_per_day=1), {}), "1", "1"),
    ("daily notional", lambda: (holding(10, max_daily_notional_fraction=0.02), {}),
     lambda: (holding(10, max_daily_notional_fraction=0.02), {"quantity": 11}), "2000.00 USD", "2100.00 USD"),
    ("gross exposure", lambda: (holding(10, Side.SELL, max_gross_fraction=0.02), {}),
     lambda: (holding(10, Side.SELL, max_gross_fraction=0.02), {"quantity": 11}), "2.0%", "2.1%"),
    ("net exposure", lambda: (holding(10, Side.SELL, max_net_fraction=0.02), {"quantity": 30}),
     lambda: (holding(10, Side.SELL, max_net_fraction=0.02), {"quantity": 31}), "2.0%", "2.1%"),
    ("sector share", lambda: (holding(10, settings=SECTORS, max_sector_fraction=0.02), {}),
     lambda: (holding(10, settings=SECTORS, max_sector_fraction=0.02), {"quantity": 11}), "2.0%", "2.1%"),
    ("asset class share", lambda: (holding(10, max_asset_class_fraction=0.02), {}),
     lambda: (holding(10, max_asset_class_fraction=0.02), {"quantity": 11}), "2.0%", "2.1%"),
    ("bucket share", lambda: (holding(10, settings=SECTORS, max_bucket_fraction=0.02), {}),
     lambda: (holding(10, settings=SECTORS, max_bucket_fraction=0.02), {"quantity": 11}), "2.0%", "2.1%"),
    ("bucket heat", lambda: (holding(10, settings=SECTORS, max_bucket_heat_fraction=0.001), {}),
     lambda: (holding(10, settings=SECTORS, max_bucket_heat_fraction=0.001), {"quantity": 14}), "0.10%", "0.12%"),
    ("correlated heat", lambda: (holding(10, max_correlated_heat_fraction=0.001), {}),
     lambda: (holding(10, max_correlated_heat_fraction=0.001), {"quantity": 14}), "0.10%", "0.12%"),
    ("daily volume share", lambda: (with_volume(desk(max_daily_volume_fraction=0.01), 1), {"quantity": 14}),
     lambda: (with_volume(desk(max_daily_volume_fraction=0.01), 1), {"quantity": 15}), "1.00%", "1.04%"),
    ("daily volume share", lambda: (with_volume(desk(max_daily_volume_fraction=0.01), 1), {}),
     lambda: (desk(max_daily_volume_fraction=0.01), {}), "1.00%", "not known"),
    ("reward to risk", lambda: (desk(min_reward_to_risk=2.0), {"target": Decimal(110)}),
     lambda: (desk(min_reward_to_risk=2.0), {"target": Decimal("109.99")}), "2", "2.00"),
    ("reward to risk", lambda: (desk(min_reward_to_risk=2.0), {"stop": None, "trail": TrailSpec(price=Decimal(2))}),
     lambda: (desk(min_reward_to_risk=2.0), {}), "2", "no target"),
    ("blacklist", lambda: (desk(blacklist=("OTHER",)), {}), lambda: (desk(blacklist=("coin",)), {}), "not listed", "listed"),
    ("preferred sectors", lambda: (desk(SECTORS, preferred_sectors=("money",)), {}),
     lambda: (desk(preferred_sectors=("money",)), {}), "money", "no sector"),
    ("trading hours", lambda: (desk(trading_hours="sat 12:00-13:00"), {}),
     lambda: (desk(trading_hours="mon-fri 12:00-13:00"), {}), "mon-fri 12:00-13:00 UTC", "sat 12:00"),
]


def _spread(ticks: int) -> Desk:
    made = desk(max_spread_bps=20)
    made.quote(10_000, 10_000 + ticks)
    return made


@pytest.mark.parametrize(("name", "within", "beyond", "limit", "value"), TABLE,
                         ids=[f"{row[0]}-{place}" for place, row in enumerate(TABLE)])
def test_a_limit_passes_at_itself_and_refuses_beyond(name: str, within: Case, beyond: Case, limit: str, value: str) -> None:
    made, want = within()
    assert checks_of(made, **want)[name].passed
    made, want = beyond()
    found = checks_of(made, **want)[name]
    assert (found.passed, found.limit, found.value) == (False, limit, value)
    assert found.message
    assert "\n" not in found.message


def test_a_limit_that_is_off_is_not_told() -> None:
    told = checks_of(desk(max_spread_bps=0))
    assert not {row[0] for row in TABLE} & set(told)


@pytest.mark.parametrize(("limit", "name"), [
    ("max_day_loss_fraction", "day loss"), ("max_week_loss_fraction", "week loss"), ("max_drawdown_fraction", "drawdown")])
def test_a_loss_stops_entries_before_the_beat_that_latches_it(limit: str, name: str) -> None:
    losses: dict[str, Any] = {"max_day_loss_fraction": 0.0, "max_week_loss_fraction": 0.0, "max_drawdown_fraction": 0.0}
    made = desk(**{**losses, limit: 0.02})
    made.beat()
    _enter(made, 1_000, Side.BUY, "OTHER")
    made.quote(9_801, instrument_id="OTHER@paper")
    assert checks_of(made, quantity=1)[name].passed
    made.quote(9_800, instrument_id="OTHER@paper")
    found = checks_of(made, quantity=1)[name]
    assert (found.passed, found.limit, found.value) == (False, "2.00%", "2.00%")


STRICTEST: dict[str, Any] = {
    name: type(default)(1) if isinstance(default := getattr(Limits(), name), int) and not isinstance(default, bool) else 1e-9
    for name in FIELDS}
STRICTEST |= {
    "max_order_notional": Decimal("0.01"), "min_reward_to_risk": 100.0, "require_stop": True, "duplicate_seconds": 3_600.0,
    "repeat_seconds": 86_400.0, "tail_confidence": 0.999, "trading_hours": "mon 00:00-00:01", "blacklist": ("COIN",),
    "preferred_sectors": ("none",), "flat_before_close_minutes": 1_440, "cooldown_seconds": 2_592_000.0,
    "brake_halt_multiple": 1.0, "brake_flatten": False}
LEAVING: dict[str, Command] = {
    "close": ClosePosition("out", "COIN"), "part": ClosePosition("out", "COIN", "main", Decimal(40)),
    "sell": bought("out", 40, None, side=Side.SELL), "over time": bought("out", 40, None, side=Side.SELL, over=OverTime(600))}


@pytest.mark.parametrize("way", LEAVING)
def test_exits_are_never_held_back_by_any_limit(way: str) -> None:
    """Every limit that there is at its strictest, budgets and limits on everything too, after a loss that halted."""
    assert set(STRICTEST) == set(FIELDS)
    made = desk()
    made.beat()
    _enter(made, 100, Side.BUY, "COIN")
    portfolio, configured = made.state.portfolios["main"], made.state.settings
    budget = StrategySettings("manual", "momentum", "main", ("COIN",), capital_fixed=Decimal("0.01"), heat_budget_fraction=1e-9)
    together = CurrencySettings(base="EUR", max_total_heat_fraction=1e-9, max_total_gross_fraction=1e-9)
    made.changed(
        portfolios={"main": replace(portfolio, settings=replace(portfolio.settings, limits=Limits(**STRICTEST)))},
        settings=replace(configured, strategies=(budget,), currency=together))
    made.quote(9_600, 9_900)
    made.beat(3_600)
    made.confirm_cancels()
    made.forget()
    assert made.state.effective_state("main") is TradingState.HALTED
    assert not made.do(bought("more", 1, "90")).accepted
    receipt = made.do(LEAVING[way])
    assert receipt.accepted, receipt.refusal
    assert [intent.side for intent in made.sent if intent.purpose is Purpose.EXIT] == [Side.SELL] or made.state.parents


def test_a_brake_halves_what_an_order_may_be() -> None:
    made = desk(max_order_notional_fraction=0.2, max_risk_per_order_fraction=0.02, max_heat_fraction=0.1,
                max_day_loss_fraction=0.04, max_week_loss_fraction=0.0, max_drawdown_fraction=0.0)
    made.beat()
    _enter(made, 100, Side.BUY, "OTHER")
    made.quote(8_000, instrument_id="OTHER@paper")
    made.beat()
    told = checks_of(made, quantity=1)
    assert told["order notional"].limit == "9800.00 USD"
    assert told["risk per order"].limit == "1.00%"
    assert told["heat"].limit == "5.00%"


@pytest.mark.parametrize(("hours", "moment", "inside"), [
    ("09:30-16:00", "2026-03-07 09:30", True), ("09:30-16:00", "2026-03-07 16:00", False),
    ("mon-fri 09:30-16:00", "2026-03-07 10:00", False), ("fri-mon 09:30-16:00", "2026-03-07 10:00", True),
    ("22:00-02:00", "2026-03-07 01:59", True), ("22:00-02:00", "2026-03-07 02:00", False),
    ("fri 22:00-02:00", "2026-03-07 01:00", True), ("fri 22:00-02:00", "2026-03-06 01:00", False),
    ("sat 22:00-02:00", "2026-03-07 21:59", False),
])
def test_hours_are_those_of_the_local_clock(hours: str, moment: str, inside: bool) -> None:
    assert within_hours(hours, datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo("UTC"))) is inside


@pytest.mark.parametrize(("moment", "hour"), [("2026-03-08T06:59:00+00:00", 1), ("2026-03-08T07:00:00+00:00", 3),
                                              ("2026-11-01T05:59:00+00:00", 1), ("2026-11-01T06:30:00+00:00", 1)])
def test_the_local_clock_follows_daylight_saving(moment: str, hour: int) -> None:
    at_ns = int(datetime.fromisoformat(moment).timestamp()) * NS_PER_SECOND
    assert local_time("America/New_York", at_ns).hour == hour


def test_a_day_counts_what_was_sent_and_begins_anew() -> None:
    made = desk(max_orders_per_day=5)
    made.beat()
    made.do(bought("one", 10))
    known = made.state.portfolios["main"]
    assert (known.day_entry_count, known.day_entry_notional_minor) == (1, 100_000)
    made.beat(86_400)
    known = made.state.portfolios["main"]
    assert (known.day_entry_count, known.day_entry_notional_minor) == (0, 0)


def test_working_entries_count_toward_every_share() -> None:
    made = desk(SECTORS, max_gross_fraction=0.02, max_sector_fraction=0.02)
    assert made.do(bought("rest", 10, "80", kind=OrderKind.LIMIT, limit=Decimal(90))).accepted
    told = checks_of(made, quantity=12)
    assert (told["gross exposure"].value, told["sector share"].value) == ("2.1%", "2.1%")


def test_an_entry_that_would_hedge_makes_no_room_before_it_has_filled() -> None:
    """Long 1,000, a short of 500 waits far above: it may never come, so that no more longs fit under a limit of 1,200."""
    made = holding(10, max_net_fraction=0.012)
    waits = made.do(bought("hedge", 5, "150", side=Side.SELL, kind=OrderKind.LIMIT, limit=Decimal(100)))
    assert waits.accepted, waits.refusal
    assert checks_of(made, quantity=2)["net exposure"].passed
    assert not checks_of(made, quantity=3)["net exposure"].passed


def test_what_brings_longs_and_shorts_closer_is_not_held_back_by_their_difference() -> None:
    made = holding(100)
    made.do(SetLimit("s", "main", "max_net_fraction", "0.05"))
    assert not checks_of(made, quantity=1)["net exposure"].passed
    assert checks_of(made, quantity=1, side=Side.SELL, stop="110")["net exposure"].passed


def test_the_book_and_its_checks_are_those_of_the_order() -> None:
    made = desk(max_gross_fraction=0.5)
    found = assess(made.state, made.market, made.at_ns, bought("c", 7))
    assert isinstance(found, Assessment)
    book = book_of(made.state, made.market, found.intent, 10_000)
    told = {one(book, 7).name: one(book, 7) for one in size_checks(book)}
    assert told.items() <= {one.name: one for one in found.checks}.items()


def test_a_position_grows_only_as_far_as_one_order_can_close_it() -> None:
    made, most = holding(100, symbol="COIN"), COIN.max_lots
    assert checks_of(made, quantity=most - 100)["maximum quantity"].passed
    beyond = checks_of(made, quantity=most - 99)["maximum quantity"]
    assert not beyond.passed
    assert "able to close it all" in beyond.message
