"""Each pre-trade check passes just at its limit and refuses just beyond it, by name, limit and value; exits pass them all."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from engine.arming import limits_digest
from engine.errors import InvariantBroken
from engine.inputs import (
    ArmAccount,
    AutomationLevel,
    ClosePosition,
    ConnectionChanged,
    Limits,
    OrderReport,
    SetTradingState,
    TradingState,
    TrailSpec,
)
from engine.orders import OrderKind, OrderStatus, Purpose, Side
from engine.protection import exit_intent
from engine.risk import RiskApproved, approve_entry, approve_exit, approve_flatten, approve_resend
from engine.service import CheckView, Refusal
from engine.want import Assessment, assess
from tests.unit.engine_desk import ACCOUNT, COIN_ID, NO_BRACKETS, PLAIN, Desk, bought, coin, settings_of

Setup = Callable[[], tuple[Desk, dict[str, Any]]]

CHECKS = {
    "instrument", "trading state", "automation", "connection", "drift", "minimum quantity", "maximum quantity", "stale quote",
    "price collar", "stop required", "stop side", "one stop", "target side", "duplicate", "order rate", "minimum notional",
    "order notional", "position share", "buying power", "heat", "trigger side", "breakeven side", "arming"}
LIMIT_CHECKS = {"self match", "spread", "risk per order", "daily notional", "orders a day"}  # rows of test_engine_limits


def checks_of(desk: Desk, **want: Any) -> dict[str, CheckView]:
    found = assess(desk.state, desk.market, desk.at_ns, bought(**want))
    assert isinstance(found, Assessment), found
    return {one.name: one for one in found.checks}


def loose(**limits: Any) -> Desk:
    """A desk whose limits stand in nobody's way, but for those named."""
    return Desk(**{"max_order_notional_fraction": 10.0, "max_position_fraction": 10.0, "max_leverage": 10.0,
                   "max_heat_fraction": 10.0, "collar_bps": 100_000, **limits})


def latched(state: TradingState, portfolio: str) -> Desk:
    desk = loose()
    desk.do(SetTradingState("latch", state, portfolio))
    return desk


def automated(level: AutomationLevel) -> Desk:
    return Desk(settings=settings_of("main", automation=level))


def real_money(*, armed: bool) -> Desk:
    settings = settings_of("main")
    desk = Desk(settings=msgspec.structs.replace(
        settings, portfolios=(msgspec.structs.replace(settings.portfolios[0], live=True),)))
    if armed:
        assert desk.do(ArmAccount("arm", "acct", limits_digest(settings.portfolios[0].limits), despite="a test")).accepted
    return desk


def disconnected(*, up: bool) -> Desk:
    desk = loose()
    desk.take(ConnectionChanged("acct", up=False, detail="gone"))
    if up:
        desk.take(ConnectionChanged("acct", up=True))
    return desk


def drifting(*, cleared: bool) -> Desk:
    desk = loose()
    desk.reported(positions={COIN_ID: 5})
    if cleared:
        desk.reported()
    return desk


def listed(**fields: Any) -> Desk:
    return Desk(instruments=(coin(**fields),), max_heat_fraction=10.0, max_order_notional_fraction=10.0,
                max_position_fraction=10.0, max_leverage=10.0)


def quoted(seconds_ago: float) -> Desk:
    desk = loose()
    desk.later(seconds_ago)
    return desk


def sent_before(seconds_ago: float, **limits: Any) -> Desk:
    """One entry of the same terms, sent a while ago; the quote is fresh."""
    desk = loose(**limits)
    assert desk.do(bought("first")).accepted
    desk.later(seconds_ago)
    desk.quote(10_000)
    return desk


def busy(orders: int, seconds_ago: float = 1.0) -> Desk:
    desk = loose(orders_per_minute=3)
    for place in range(orders):
        assert desk.do(bought(f"b{place}", place + 100)).accepted
    desk.later(seconds_ago)
    desk.quote(10_000)
    return desk


def held(lots: int, **limits: Any) -> Desk:
    desk = loose(**limits)
    desk.enter("held", lots)
    return desk


def beside_another(stop: str) -> Desk:
    """A desk with a buy of COIN that waits below the market, with a stop."""
    desk = loose()
    assert desk.do(bought("other", 3, stop, kind=OrderKind.LIMIT, limit=Decimal(99))).accepted
    return desk


# name of the check; a desk and want just within the limit; one just beyond it; the limit and the value that are told
TABLE: list[tuple[str, Setup, Setup, str, str]] = [
    ("instrument", lambda: (listed(), {}), lambda: (listed(tradable=False), {}), "tradable", "not tradable"),
    ("instrument", lambda: (listed(shortable=False), {}),
     lambda: (listed(shortable=False), {"side": Side.SELL, "stop": "105"}), "tradable", "long only"),
    ("trading state", lambda: (latched(TradingState.ACTIVE, ""), {}), lambda: (latched(TradingState.REDUCING, ""), {}),
     "ACTIVE", "REDUCING"),
    ("trading state", lambda: (latched(TradingState.ACTIVE, "main"), {}),
     lambda: (latched(TradingState.REDUCING, "main"), {}), "ACTIVE", "REDUCING"),
    ("trading state", lambda: (latched(TradingState.ACTIVE, ""), {}), lambda: (latched(TradingState.HALTED, ""), {}),
     "ACTIVE", "HALTED"),
    ("trading state", lambda: (latched(TradingState.ACTIVE, "main"), {}), lambda: (latched(TradingState.HALTED, "main"), {}),
     "ACTIVE", "HALTED"),
    ("automation", lambda: (automated(AutomationLevel.SUGGEST_ONLY), {}),
     lambda: (automated(AutomationLevel.MONITOR_ONLY), {}), "suggest_only or higher", "monitor_only"),
    ("connection", lambda: (loose(), {}), lambda: (disconnected(up=False), {}), "live", "down"),
    ("connection", lambda: (loose(), {}), lambda: (disconnected(up=True), {}), "live", "reconciling"),
    ("arming", lambda: (real_money(armed=True), {}), lambda: (real_money(armed=False), {}), "armed", "not armed"),
    ("drift", lambda: (drifting(cleared=True), {}), lambda: (drifting(cleared=False), {}), "none", "ours 0, venue 5 lots"),
    ("minimum quantity", lambda: (listed(min_lots=10), {}), lambda: (listed(min_lots=10), {"quantity": 9}), "10", "9"),
    ("maximum quantity", lambda: (loose(), {"quantity": 1_000_000}), lambda: (loose(), {"quantity": 1_000_001}),
     "1000000", "1000001"),
    ("stale quote", lambda: (quoted(10.0), {}), lambda: (quoted(10.1), {}), "10 s", "10.1 s"),
    ("price collar", lambda: (loose(collar_bps=500), {"kind": OrderKind.LIMIT, "limit": Decimal(105)}),
     lambda: (loose(collar_bps=500), {"kind": OrderKind.LIMIT, "limit": Decimal("105.01")}), "500 bps", "501 bps"),
    ("price collar",
     lambda: (loose(collar_bps=500), {"side": Side.SELL, "kind": OrderKind.LIMIT, "limit": Decimal(95), "stop": "106"}),
     lambda: (loose(collar_bps=500), {"side": Side.SELL, "kind": OrderKind.STOP, "trigger": Decimal("94.99"), "stop": "106"}),
     "500 bps", "501 bps"),
    ("trigger side", lambda: (loose(), {"kind": OrderKind.STOP, "trigger": Decimal("100.01")}),
     lambda: (loose(), {"kind": OrderKind.STOP, "trigger": Decimal(100)}), "above 100.00", "100.00"),
    ("trigger side", lambda: (loose(), {"side": Side.SELL, "kind": OrderKind.STOP, "trigger": Decimal("99.99"), "stop": "106"}),
     lambda: (loose(), {"side": Side.SELL, "kind": OrderKind.STOP, "trigger": Decimal(100), "stop": "106"}),
     "below 100.00", "100.00"),
    ("stop required", lambda: (loose(), {"stop": None, "trail": TrailSpec(percent=Decimal(2))}),
     lambda: (loose(), {"stop": None}), "a stop", "no stop"),
    ("stop side", lambda: (loose(), {"stop": "99.99"}), lambda: (loose(), {"stop": "100"}), "below 100.00", "100.00"),
    ("stop side", lambda: (loose(), {"side": Side.SELL, "stop": "100.01"}),
     lambda: (loose(), {"side": Side.SELL, "stop": "100"}), "above 100.00", "100.00"),
    ("one stop", lambda: (beside_another("95"), {"stop": "95"}), lambda: (beside_another("95"), {"stop": "94"}),
     "95.00", "94.00"),
    ("target side", lambda: (loose(), {"target": Decimal("100.01")}), lambda: (loose(), {"target": Decimal(100)}),
     "above 100.00", "100.00"),
    ("target side", lambda: (loose(), {"side": Side.SELL, "stop": "105", "target": Decimal("99.99")}),
     lambda: (loose(), {"side": Side.SELL, "stop": "105", "target": Decimal(100)}), "below 100.00", "100.00"),
    ("breakeven side", lambda: (loose(), {"breakeven_at": Decimal("100.01")}),
     lambda: (loose(), {"breakeven_at": Decimal(100)}), "above 100.00", "100.00"),
    ("breakeven side", lambda: (loose(), {"side": Side.SELL, "stop": "105", "breakeven_at": Decimal("99.99")}),
     lambda: (loose(), {"side": Side.SELL, "stop": "105", "breakeven_at": Decimal(102)}), "below 100.00", "102.00"),
    ("duplicate", lambda: (sent_before(10.0), {}), lambda: (sent_before(9.9), {}), "10 s", "9.9 s ago"),
    ("order rate", lambda: (busy(2), {}), lambda: (busy(3), {}), "3 a minute", "3"),
    ("order rate", lambda: (busy(3, 60.0), {}), lambda: (busy(3, 59.9), {}), "3 a minute", "3"),
    ("minimum notional", lambda: (listed(min_notional_minor=100_000), {}),
     lambda: (listed(min_notional_minor=100_001), {}), "1000.01 USD", "1000.00 USD"),
    ("order notional", lambda: (loose(max_order_notional_fraction=0.01), {}),
     lambda: (loose(max_order_notional_fraction=0.01), {"quantity": 11}), "1000.00 USD", "1100.00 USD"),
    ("order notional", lambda: (loose(max_order_notional=Decimal(1_000)), {}),
     lambda: (loose(max_order_notional=Decimal("999.99")), {}), "999.99 USD", "1000.00 USD"),
    ("position share", lambda: (held(10, max_position_fraction=0.02), {}),
     lambda: (held(10, max_position_fraction=0.02), {"quantity": 11}), "2.0%", "2.1%"),
    ("buying power", lambda: (held(10, max_leverage=0.02), {}), lambda: (held(10, max_leverage=0.02), {"quantity": 11}),
     "1000.00 USD", "1100.00 USD"),
    ("heat", lambda: (held(10, max_heat_fraction=0.001), {}), lambda: (held(10, max_heat_fraction=0.001), {"quantity": 12}),
     "0.10%", "0.11%"),
]


@pytest.mark.parametrize(("name", "within", "beyond", "limit", "value"), TABLE,
                         ids=[f"{row[0]}-{place}" for place, row in enumerate(TABLE)])
def test_a_check_passes_at_its_limit_and_refuses_beyond_it(name: str, within: Setup, beyond: Setup, limit: str,
                                                           value: str) -> None:
    desk, want = within()
    assert checks_of(desk, **want)[name].passed
    desk, want = beyond()
    failed = checks_of(desk, **want)[name]
    assert (failed.passed, failed.limit, failed.value) == (False, limit, value)
    assert failed.message
    assert "\n" not in failed.message


def test_every_check_has_its_row() -> None:
    assert {row[0] for row in TABLE} == CHECKS
    told = set(checks_of(real_money(armed=True), kind=OrderKind.STOP, trigger=Decimal(101), target=Decimal(110),
                         breakeven_at=Decimal(105)))
    assert told == CHECKS | LIMIT_CHECKS


@pytest.mark.parametrize(("name", "within", "beyond", "limit", "value"), TABLE,
                         ids=[f"{row[0]}-{place}" for place, row in enumerate(TABLE)])
def test_a_refusal_names_the_check_and_nothing_is_sent(name: str, within: Setup, beyond: Setup, limit: str, value: str) -> None:
    desk, want = beyond()
    desk.forget()
    first = next(one for one in checks_of(desk, **want).values() if not one.passed)
    receipt = desk.do(bought("beyond", **want))
    assert not receipt.accepted
    assert receipt.refusal is not None
    assert (receipt.refusal.check, receipt.refusal.limit, receipt.refusal.value) == (first.name, first.limit, first.value)
    assert desk.sent == []
    assert [type(event).__name__ for event in desk.events] == ["WantRefused"]


def test_without_a_quote_only_what_needs_none_is_checked() -> None:
    desk = loose()
    told = checks_of(desk, symbol="OTHER")
    assert (told["stale quote"].passed, told["stale quote"].value) == (False, "no quote")
    assert "heat" not in told


def test_a_wide_market_is_beyond_the_collar_of_a_market_order() -> None:
    desk = Desk(collar_bps=500)
    desk.quote(10_000, 10_501)
    assert not checks_of(desk)["price collar"].passed
    desk.quote(10_000, 10_500)
    assert checks_of(desk)["price collar"].passed


def test_a_bare_entry_passes_where_no_stop_is_required() -> None:
    assert checks_of(loose(require_stop=False), stop=None)["stop required"].passed


def test_a_second_entry_may_lean_on_the_stop_of_what_is_held() -> None:
    assert checks_of(held(10), stop=None)["stop required"].passed


def test_an_unknown_order_counts_in_full() -> None:
    desk = Desk(max_position_fraction=0.02)
    desk.do(bought("first"))
    assert checks_of(desk, quantity=11)["position share"].value == "2.1%"
    assert checks_of(desk)["heat"].value == "0.10%"
    bought_up = Desk(max_leverage=0.02)
    bought_up.do(bought("first"))
    assert checks_of(bought_up)["buying power"].passed
    left = checks_of(bought_up, quantity=11)["buying power"]
    assert (left.passed, left.limit, left.value) == (False, "1000.00 USD", "1100.00 USD")


# ---- exits ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [TradingState.REDUCING, TradingState.HALTED])
@pytest.mark.parametrize("portfolio", ["", "main"])
def test_exits_pass_while_entries_are_blocked(state: TradingState, portfolio: str) -> None:
    desk = held(10)
    desk.do(SetTradingState("halt", state, portfolio))
    desk.forget()
    assert desk.do(ClosePosition("out", "COIN")).accepted
    assert [(intent.purpose, intent.side, intent.order_lots) for intent in desk.sent] == [(Purpose.EXIT, Side.SELL, 10)]


def test_exits_pass_beyond_order_rate_heat_collar_and_a_stale_quote() -> None:
    desk = loose(orders_per_minute=1, max_heat_fraction=0.001)
    desk.enter("held", 10, "99")
    tight = Limits(orders_per_minute=0, max_heat_fraction=0.0, max_order_notional_fraction=0.0, max_position_fraction=0.0,
                   max_leverage=0.0, collar_bps=0, stale_quote_seconds=0.0)
    portfolio = desk.state.portfolios["main"]
    desk.changed(portfolios={"main": msgspec.structs.replace(
        portfolio, settings=msgspec.structs.replace(portfolio.settings, limits=tight,
                                                    automation=AutomationLevel.MONITOR_ONLY))})
    desk.later(3_600)
    desk.forget()
    assert not desk.do(bought("in")).accepted
    assert desk.do(ClosePosition("out", "COIN")).accepted
    assert [intent.purpose for intent in desk.sent] == [Purpose.EXIT]


def test_order_rate_and_duplicates_hold_entries_back_and_never_exits() -> None:
    """A minute may see two entries: the third is refused, ten closes go one after the other."""
    desk = loose(orders_per_minute=2, duplicate_seconds=10.0)
    desk.enter("held", 20)
    again = desk.do(bought("again", 20))
    assert again.refusal is not None and again.refusal.check == "duplicate"
    assert desk.do(bought("second", 11)).accepted
    third = desk.do(bought("third", 12))
    assert third.refusal is not None and third.refusal.check == "order rate"
    for place in range(10):
        receipt = desk.do(ClosePosition(f"out{place}", "COIN", "main", Decimal(1)))
        assert receipt.accepted, receipt.refusal
        desk.accept()
        for order in desk.open(Purpose.EXIT):
            desk.fill(order.client_order_id, order.leaves_lots)
        desk.accept()
        desk.confirm_cancels()
    assert desk.held.lots == 10


@pytest.mark.parametrize("can", [NO_BRACKETS, PLAIN])
@pytest.mark.parametrize(("side", "lots", "purpose"), [
    (Side.SELL, 11, Purpose.EXIT), (Side.BUY, 1, Purpose.EXIT), (Side.SELL, 10, Purpose.ENTRY)])
def test_an_exit_can_neither_open_nor_turn_a_position(can: Any, side: Side, lots: int, purpose: Purpose) -> None:
    desk = Desk(can=can)
    desk.enter("held", 10)
    desk.confirm_cancels()
    intent = exit_intent(desk.turn(), desk.held, 10, OrderKind.MARKET, Purpose.EXIT)
    refused = approve_exit(desk.state, msgspec.structs.replace(intent, side=side, order_lots=lots, purpose=purpose))
    assert isinstance(refused, Refusal)
    assert refused.check == "reduces"


def test_nothing_is_left_to_exit_from_flat() -> None:
    desk = Desk()
    desk.enter("held", 10)
    intent = exit_intent(desk.turn(), desk.held, 10, OrderKind.MARKET, Purpose.EXIT)
    assert isinstance(approve_exit(desk.state, intent), RiskApproved)
    desk.fill(desk.open(Purpose.STOP)[0].client_order_id, 10, 9_500)
    assert desk.position is None
    assert isinstance(approve_exit(desk.state, intent), Refusal)


def test_without_reduce_only_two_exits_together_may_not_exceed_what_is_held() -> None:
    desk = Desk(can=PLAIN)
    desk.enter("held", 10)
    (stop,) = desk.open(Purpose.STOP)
    assert stop.status is OrderStatus.NEW
    intent = exit_intent(desk.turn(), desk.held, 1, OrderKind.MARKET, Purpose.EXIT)
    refused = approve_exit(desk.state, intent)
    assert isinstance(refused, Refusal)
    assert "already on their way out" in refused.value
    together = msgspec.structs.replace(intent, oco_group=stop.intent.oco_group)
    assert isinstance(approve_exit(desk.state, together), RiskApproved)


def test_an_order_that_is_not_ours_never_keeps_an_exit_in() -> None:
    """On a venue without reduce-only orders it may rest there for good: nobody here cancels it."""
    desk = Desk(can=PLAIN)
    desk.enter("held", 10, None, max_hold_seconds=60, trail=TrailSpec(price=Decimal(50)))
    foreign = OrderReport(ACCOUNT, COIN_ID, "foreign-1", "v-f", 3, 0, None, desk.at_ns, side=Side.SELL, kind=OrderKind.LIMIT,
                          limit_ticks=30_000)
    desk.reported(open_orders=(*(desk.order_report(order) for order in desk.state.orders.values()), foreign))
    assert desk.order("foreign-1").external
    for _ in range(4):
        desk.beat(61)
        desk.confirm_cancels()
    assert [(one.order_lots, one.side) for one in desk.sent if one.purpose is Purpose.EXIT] == [(10, Side.SELL)]
    assert "foreign-1" not in desk.cancels


@pytest.mark.parametrize(("venue_lots", "side", "lots", "passed"), [
    (10, Side.SELL, 10, True), (10, Side.SELL, 11, False), (10, Side.BUY, 1, False), (-10, Side.BUY, 10, True),
    (0, Side.SELL, 1, False)])
def test_a_flatten_order_is_held_against_the_venues_own_word(venue_lots: int, side: Side, lots: int, passed: bool) -> None:
    desk = Desk()
    desk.enter("held", 10)
    intent = msgspec.structs.replace(exit_intent(desk.turn(), desk.held, lots, OrderKind.MARKET, Purpose.FLATTEN), side=side)
    assert isinstance(approve_flatten(intent, venue_lots), RiskApproved) is passed
    assert isinstance(approve_flatten(msgspec.structs.replace(intent, purpose=Purpose.EXIT), venue_lots), Refusal)


def test_an_entry_is_sent_again_only_while_entries_are_allowed() -> None:
    desk = Desk()
    (entry, *_) = desk.do(bought()).order_ids
    assert isinstance(approve_resend(desk.state, desk.order(entry), desk.at_ns), RiskApproved)
    desk.do(SetTradingState("halt", TradingState.HALTED))
    refused = approve_resend(desk.state, desk.order(entry), desk.at_ns)
    assert isinstance(refused, Refusal)
    assert refused.check == "trading state"


# ---- the seal --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seal", [None, object(), True, "seal"])
def test_an_approval_cannot_be_made_elsewhere(seal: object) -> None:
    desk = Desk()
    found = assess(desk.state, desk.market, desk.at_ns, bought())
    assert isinstance(found, Assessment)
    with pytest.raises(InvariantBroken, match="made by engine.risk alone"):
        RiskApproved(found.intent, seal)


def test_children_of_another_entry_are_never_approved() -> None:
    desk = Desk()
    found = assess(desk.state, desk.market, desk.at_ns, bought())
    assert isinstance(found, Assessment)
    entry = msgspec.structs.replace(found.intent, client_order_id="e")
    child = msgspec.structs.replace(entry, client_order_id="e-s", side=Side.SELL, purpose=Purpose.STOP, parent_id="e")
    assert not isinstance(approve_entry(found.checks, entry, [child]), Refusal)
    for wrong in ({"parent_id": "other"}, {"side": Side.BUY}, {"order_lots": 11}):
        with pytest.raises(InvariantBroken, match="does not protect"):
            approve_entry(found.checks, entry, [msgspec.structs.replace(child, **wrong)])
