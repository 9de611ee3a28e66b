"""Each limit, tight and alone, in the simulated world: it decides something, it is told in words, and no book is beyond it."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from engine.events import BrakeSet, Event, OrderIntended, WantRefused, decode
from engine.inputs import AutomationLevel
from engine.orders import OrderKind, Purpose
from engine.tolerance import FIELDS
from tests.simulation.limit_checks import beyond_limits
from tests.simulation.run import Simulation
from tests.simulation.world import EVERY_LIMIT, NARROW, NARROWED, ROOMY
from tests.unit.engine_desk import Desk, bought, settings_of

CHECKS = {
    "max_leverage": "buying power", "max_order_notional": "order notional", "max_risk_per_order_fraction": "risk per order",
    "max_position_fraction": "position share", "max_gross_fraction": "gross exposure", "max_net_fraction": "net exposure",
    "max_sector_fraction": "sector share", "max_asset_class_fraction": "asset class share", "max_bucket_fraction": "bucket share",
    "max_heat_fraction": "heat", "max_bucket_heat_fraction": "bucket heat", "max_correlated_heat_fraction": "correlated heat",
    "max_daily_notional_fraction": "daily notional", "max_orders_per_day": "orders a day", "orders_per_minute": "order rate",
    "max_value_at_risk_fraction": "value at risk", "max_expected_shortfall_fraction": "expected shortfall",
    "max_daily_volume_fraction": "daily volume share", "max_spread_bps": "spread", "collar_bps": "price collar",
    "min_reward_to_risk": "reward to risk", "trading_hours": "trading hours", "blacklist": "blacklist",
    "preferred_sectors": "preferred sectors", "max_repeated_executions": "repeated execution",
    "max_losing_streak": "losing streak"}
SEEDS = 25
SETTINGS_OF_OTHERS = {"kelly_fraction", "require_stop", "max_order_notional_fraction", "tail_confidence", "repeat_seconds",
                      "duplicate_seconds", "stale_quote_seconds", "cooldown_seconds"}


def decided(events: list[Event], check: str) -> bool:
    """Whether a limit refused, cut or braked something; each such record says so in words."""
    found = False
    for event in events:
        if isinstance(event, WantRefused) and event.check == check:
            assert event.message
            assert event.limit
            assert event.value
            found = True
        elif isinstance(event, OrderIntended):
            assert all(one.limit and one.allowed for one in event.clamps)
            assert all(one.before is None or one.after < one.before for one in event.clamps)
            found |= any(one.limit == check for one in event.clamps)
        elif isinstance(event, BrakeSet) and event.brake == check:
            assert event.cause
            found = True
    return found


@pytest.mark.parametrize(("limit", "limits"), [(name, NARROWED[place]) for place, name in enumerate(NARROW)], ids=list(NARROW))
def test_a_tight_limit_decides_and_nothing_goes_beyond_it(limit: str, limits: object) -> None:
    for seed in range(SEEDS):
        simulation = Simulation(seed)
        (portfolio,) = simulation.settings.portfolios
        simulation.settings = replace(simulation.settings, portfolios=(
            replace(portfolio, limits=limits, automation=AutomationLevel.AUTO_EXECUTE),))
        assert simulation.run().violations == ()
        events = [decode(row.kind, row.payload) for row in simulation.journal.durable]
        if decided(events, CHECKS[limit]):
            return
    pytest.fail(f"{limit} never decided anything in {SEEDS} seeds")


def test_a_book_beyond_its_limits_is_noticed() -> None:
    """An entry that was right under roomy limits, looked at under tight ones."""
    desk = Desk(settings=settings_of("main", limits=ROOMY))
    desk.beat()
    desk.do(bought("a", 300, "80", kind=OrderKind.LIMIT, limit=Decimal(99)))
    (intent,) = [order.intent for order in desk.open(Purpose.ENTRY)]
    assert list(beyond_limits(desk.state, desk.market, intent)) == []
    portfolio = desk.state.portfolios["main"]
    tight = replace(portfolio, settings=replace(portfolio.settings, limits=replace(
        ROOMY, **{name: value for name, value in NARROW.items() if "fraction" in name}, blacklist=("COIN",))))
    desk.changed(portfolios={"main": tight})
    told = "; ".join(beyond_limits(desk.state, desk.market, intent))
    for name in ("gross", "net", "asset class", "bucket", "heat", "bucket heat", "correlated heat", "risk of the order",
                 "value at risk", "expected shortfall", "the day's entries", "blacklist"):
        assert name in told, told


def test_every_limit_is_on_in_the_simulation_and_tight_somewhere() -> None:
    off = {name for name in FIELDS if not getattr(EVERY_LIMIT, name)}
    assert off <= {"brake_flatten", "flat_before_close_minutes"}, "that one has no market that closes here"
    braking = {name for name in FIELDS if "brake" in name or "loss" in name or "drawdown" in name}
    assert set(NARROW) | braking | SETTINGS_OF_OTHERS | off == set(FIELDS)
