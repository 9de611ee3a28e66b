"""The repeated-execution throttle: a strategy that enters one way too often is stopped until a person lets it go on."""

from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from engine.events import BrakeSet, CancelRequested
from engine.inputs import AutomationLevel, ClosePosition, Limits, SetTradingState, TradingState
from engine.orders import OrderKind, Purpose, Side
from engine.repeats import BRAKE, repeats
from engine.risk_views import risk_view
from engine.service import BrakeLevel, Refusal
from tests.unit.engine_desk import Desk, alerts, bought, fold, rows_of, settings_of

MOST = 3
LIMITS: dict[str, Any] = {
    "max_heat_fraction": 0.9, "max_order_notional_fraction": 0.9, "max_position_fraction": 0.9,
    "max_risk_per_order_fraction": 0.0, "duplicate_seconds": 0.0, "max_repeated_executions": MOST, "repeat_seconds": 600.0,
    "stale_quote_seconds": 100_000.0}


def desk_of(automation: AutomationLevel = AutomationLevel.AUTO_EXECUTE, **limits: Any) -> Desk:
    return Desk(settings=settings_of("main", automation=automation, limits=Limits(**{**LIMITS, **limits})))


def execute(desk: Desk, command_id: str, origin: str = "dca", **want: Any) -> Refusal | None:
    """An entry that fills, or why it did not go."""
    receipt = desk.do(bought(command_id, 5, "90", origin=origin, **want))
    if receipt.accepted:
        desk.accept(*receipt.order_ids)
        desk.fill(receipt.order_ids[0], 5)
        desk.accept()
    return receipt.refusal


def stopped(desk: Desk, strategy: str = "dca") -> bool:
    brake = desk.state.portfolios["main"].brakes.get(BRAKE + strategy)
    return brake is not None and brake.level is BrakeLevel.STOPPED


def test_it_passes_at_its_limit_and_is_stopped_after_it_until_a_person_resumes() -> None:
    desk = desk_of()
    assert [execute(desk, f"c{place}") for place in range(MOST)] == [None] * MOST
    refused = execute(desk, "at-once")
    assert refused is not None, "before any beat"
    assert (refused.check, refused.limit, refused.value) == ("repeated execution", "3", "3")
    desk.beat()
    assert stopped(desk)
    assert "COIN executed 3 times within 600 s, limit 3" in alerts(desk, "repeats")[0]
    desk.later(5_000)
    assert execute(desk, "later") is not None, "time alone does not let it go"
    assert desk.do(SetTradingState("resume", TradingState.ACTIVE, "main", by="anna")).accepted
    brake = desk.state.portfolios["main"].brakes[BRAKE + "dca"]
    assert (brake.level, brake.released_by) == (BrakeLevel.NONE, "anna")
    assert [execute(desk, f"d{place}") for place in range(MOST)] == [None] * MOST, "counted from there on"
    assert execute(desk, "again") is not None


def test_the_others_and_the_person_go_on_at_full_size_and_exits_are_never_held_back() -> None:
    desk = desk_of()
    for place in range(MOST):
        execute(desk, f"c{place}")
    desk.beat()
    assert desk.state.effective_state("main") is TradingState.ACTIVE
    assert risk_view(desk.state, desk.market, desk.at_ns, "main").size_percent == 100
    assert execute(desk, "other", origin="grid") is None
    assert [execute(desk, f"m{place}", origin="manual") for place in range(MOST + 2)] == [None] * (MOST + 2)
    assert desk.do(ClosePosition("close", "COIN")).accepted


def test_only_the_same_way_within_the_window_and_only_what_executed_counts() -> None:
    desk = desk_of()
    desk.quote(10_000, instrument_id="OTHER@paper")
    for place in range(MOST - 1):
        execute(desk, f"c{place}")
    assert execute(desk, "elsewhere", symbol="OTHER") is None
    for place in range(3):  # these rest and do not execute
        assert desk.do(bought(f"r{place}", 5, "90", origin="dca", kind=OrderKind.LIMIT, limit=Decimal(99))).accepted
    desk.beat()
    assert not stopped(desk)
    desk.later(700)
    assert [execute(desk, f"e{place}") for place in range(MOST - 1)] == [None] * (MOST - 1)
    desk.beat()
    assert not stopped(desk), "the first ones lie outside of the window"


def test_what_a_stopped_strategy_has_working_is_withdrawn() -> None:
    desk = desk_of()
    for place in range(MOST - 1):
        execute(desk, f"c{place}")
    orders = {}
    for origin in ("dca", "grid"):
        receipt = desk.do(bought(origin, 5, "90", origin=origin, kind=OrderKind.LIMIT, limit=Decimal(99)))
        orders[origin] = receipt.order_ids[0]
        desk.accept(*receipt.order_ids)
    execute(desk, "last")
    desk.beat()
    assert stopped(desk)
    assert orders["dca"] in desk.cancels
    assert orders["grid"] not in desk.cancels
    assert [one.client_order_id for one in desk.of(CancelRequested) if one.reason == "dca is stopped"] == [orders["dca"]]


def test_it_outlasts_a_restart_and_is_recorded_once() -> None:
    desk = desk_of()
    for place in range(MOST):
        execute(desk, f"c{place}")
    for _ in range(5):
        desk.beat()
    assert [event.level for event in desk.of(BrakeSet)] == [BrakeLevel.STOPPED]
    again = Desk(settings=desk.settings, state=fold(rows_of(desk)), live=False)
    again.start()
    again.quote(10_000)
    refused = execute(again, "after")
    assert refused is not None
    assert "is stopped in main" in refused.message


def test_a_persons_approval_is_no_repetition_and_it_can_be_off() -> None:
    asked = desk_of(AutomationLevel.SUGGEST_ONLY)
    assert all(asked.do(bought(f"p{place}", 5, "90", origin="dca")).proposal_id for place in range(MOST + 2))
    off = desk_of(max_repeated_executions=0)
    assert [execute(off, f"o{place}") for place in range(MOST + 2)] == [None] * (MOST + 2)


def test_slices_of_one_order_are_one_execution() -> None:
    desk = desk_of()
    for place in range(MOST + 2):
        entry = desk.enter(f"s{place}", 5, "90", origin="dca")
        order = desk.order(entry)
        sliced = replace(order, intent=replace(order.intent, slice_of="parent"))
        desk.changed(closed={**desk.state.closed, order.client_order_id: sliced})
    (same,) = repeats(desk.state, desk.at_ns, "main").values()
    assert list(same) == ["parent"]
    desk.beat()
    assert not stopped(desk)
    assert execute(desk, "another") is None


def test_the_two_directions_are_two_ways() -> None:
    desk = desk_of()
    for place in range(MOST - 1):
        execute(desk, f"c{place}")
        assert desk.do(ClosePosition(f"x{place}", "COIN")).accepted
        for _ in range(3):
            desk.confirm_cancels()
            desk.accept()
            desk.beat()
            for order in desk.open(Purpose.EXIT):
                desk.fill(order.client_order_id, order.leaves_lots)
        assert desk.position is None
    receipt = desk.do(bought("short", 5, "110", origin="dca", side=Side.SELL))
    assert receipt.accepted
    desk.accept(*receipt.order_ids)
    desk.fill(receipt.order_ids[0], 5)
    desk.beat()
    assert not stopped(desk)
