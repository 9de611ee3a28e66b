"""Snapshots for the app's tests: real structs, plausible numbers, everything frozen in time."""

from decimal import Decimal

from engine.inputs import AutomationLevel, Bar, Connectivity, Limits, TradingState
from engine.orders import OrderKind, OrderStatus, Purpose, Side, TimeInForce
from engine.service import (
    AccountView,
    AlertLevel,
    AlertView,
    CheckView,
    FillView,
    HealthView,
    Mode,
    OrderCard,
    OrderView,
    PositionView,
    ProposalStatus,
    ProposalView,
    QuoteView,
    Snapshot,
    StopHome,
)

SECOND = 1_000_000_000
NOW_NS = 1_772_980_327 * SECOND  # 2026-03-08 14:32:07 UTC


def account(portfolio: str = "main", **changes: object) -> AccountView:
    fields: dict[str, object] = {
        "portfolio": portfolio, "account": "paper-1", "currency": "USD", "money_decimals": 2,
        "cash": Decimal("58316.44"), "equity": Decimal("104213.55"),
        "day_pnl": Decimal("213.55"), "day_pnl_percent": 0.21,
        "realized_pnl": Decimal("120.10"), "unrealized_pnl": Decimal("444.35"), "fees": Decimal("12.40"),
        "heat_percent": 3.1, "heat_limit_percent": 6.0, "gross_exposure_percent": 61.0,
        "buying_power": Decimal("58316.44"), "trading_state": TradingState.ACTIVE, "trading_state_cause": "",
        "automation": AutomationLevel.SUGGEST_ONLY, "connectivity": Connectivity.LIVE, "drift": (), "limits": Limits()}
    return AccountView(**{**fields, **changes})  # type: ignore[arg-type]


def position(symbol: str = "AAPL", **changes: object) -> PositionView:
    fields: dict[str, object] = {
        "portfolio": "main", "symbol": symbol, "instrument_id": f"{symbol}@SIM", "side": "LONG",
        "quantity": Decimal(120), "entry": Decimal("187.20"), "mark": Decimal("191.45"), "mark_age_seconds": 0.3,
        "mark_stale": False, "market_value": Decimal("22974.00"), "pnl": Decimal("510.00"), "pnl_percent": 2.27,
        "r_multiple": 1.06, "stop": Decimal("183.20"), "stop_distance_percent": -4.31, "target": Decimal("199.20"),
        "target_distance_percent": 4.05, "trail": "2%",
        "breakeven_at": Decimal("191.20"), "max_hold_left_seconds": 9000.0,
        "stop_home": StopHome.VENUE, "stop_home_detail": "venue order 8f21, since 13:02:11", "unprotected_seconds": 0.4,
        "unprotected_now": False, "open_risk": Decimal("990.00"), "open_risk_percent": 0.95,
        "opened_at_ns": NOW_NS - 5400 * SECOND, "age_seconds": 5400.0, "strategy": "manual", "currency": "USD",
        "price_decimals": 2, "quantity_decimals": 0}
    return PositionView(**{**fields, **changes})  # type: ignore[arg-type]


def order(order_id: str = "QD-1-17", **changes: object) -> OrderView:
    fields: dict[str, object] = {
        "client_order_id": order_id, "venue_order_id": "8f21", "portfolio": "main", "symbol": "AAPL",
        "instrument_id": "AAPL@SIM", "side": Side.SELL, "purpose": Purpose.STOP, "kind": OrderKind.STOP,
        "quantity": Decimal(120), "filled": Decimal(0), "limit": None, "trigger": Decimal("183.20"), "average": None,
        "status": OrderStatus.NEW, "working": True, "time_in_force": TimeInForce.GTC,
        "placed_at_ns": NOW_NS - 5400 * SECOND, "age_seconds": 5400.0, "reason": "", "strategy": "manual",
        "external": False}
    return OrderView(**{**fields, **changes})  # type: ignore[arg-type]


def fill(trade_id: str = "T-1", **changes: object) -> FillView:
    fields: dict[str, object] = {
        "trade_id": trade_id, "client_order_id": "QD-1-16", "portfolio": "main", "symbol": "AAPL", "side": Side.BUY,
        "quantity": Decimal(120), "price": Decimal("187.20"), "fee": Decimal("1.12"), "currency": "USD",
        "purpose": Purpose.ENTRY, "at_ns": NOW_NS - 5400 * SECOND, "source": "stream"}
    return FillView(**{**fields, **changes})  # type: ignore[arg-type]


CHECKS = (
    CheckView("trading state", True, "ACTIVE", "ACTIVE", "entries are allowed"),
    CheckView("order size", True, "25.0%", "7.6%", "notional within the limit"),
    CheckView("position size", True, "30.0%", "7.6%", "position within the limit"),
    CheckView("heat", True, "6.0%", "3.4%", "heat within the limit"),
    CheckView("exposure", True, "100%", "68.6%", "exposure within the limit"),
    CheckView("price collar", True, "5.0%", "0.1%", "price near the market"),
    CheckView("fresh quote", True, "10s", "0.3s", "the quote is fresh"),
    CheckView("stop", True, "required", "151.90", "a stop bounds the loss"),
)
FAILED_CHECK = CheckView("heat", False, "6.0%", "6.4%", "heat would be 6.4%, above the limit of 6.0%")


def card(**changes: object) -> OrderCard:
    fields: dict[str, object] = {
        "portfolio": "main", "symbol": "AMD", "side": Side.BUY, "quantity": Decimal(50), "kind": OrderKind.LIMIT,
        "limit": Decimal("158.20"), "trigger": None, "stop": Decimal("151.90"),
        "target": Decimal("168.00"), "trail": "",
        "reference": Decimal("158.12"), "notional": Decimal("7910.00"), "fee_estimate": Decimal("0.79"),
        "worst_loss": Decimal("316.58"), "reward_to_risk": 1.56,
        "equity_share_percent": 7.59, "heat_before_percent": 3.1,
        "heat_after_percent": 3.4, "exposure_before_percent": 61.0, "exposure_after_percent": 68.6, "currency": "USD",
        "checks": CHECKS}
    return OrderCard(**{**fields, **changes})  # type: ignore[arg-type]


def proposal(proposal_id: str = "P-1", **changes: object) -> ProposalView:
    fields: dict[str, object] = {
        "proposal_id": proposal_id, "digest": f"digest-of-{proposal_id}", "card": card(), "origin": "momentum",
        "rationale": ("Breakout over the 20 day high on 1.8 times the usual volume; "
                      "earnings in two sessions are a gap risk."),
        "raised_at_ns": NOW_NS - 30 * SECOND, "expires_at_ns": NOW_NS + 42 * SECOND, "seconds_left": 42.0,
        "band_low": Decimal("157.33"), "band_high": Decimal("158.91"), "status": ProposalStatus.PENDING,
        "status_reason": ""}
    return ProposalView(**{**fields, **changes})  # type: ignore[arg-type]


def alert(alert_id: str = "A-1", **changes: object) -> AlertView:
    fields: dict[str, object] = {
        "alert_id": alert_id, "at_ns": NOW_NS - 27 * SECOND, "level": AlertLevel.WARN, "code": "quote_stale",
        "subject": "TSLA", "text": "quote is 38s old, limit 10s: entries in TSLA are blocked until it is fresh",
        "acknowledged": False, "count": 1}
    return AlertView(**{**fields, **changes})  # type: ignore[arg-type]


def quote(symbol: str = "AAPL", last: str = "191.45", **changes: object) -> QuoteView:
    price = Decimal(last)
    fields: dict[str, object] = {
        "instrument_id": f"{symbol}@SIM", "symbol": symbol,
        "bid": price - Decimal("0.01"), "ask": price + Decimal("0.01"),
        "last": price, "change_percent": 1.2, "age_seconds": 0.3, "stale": False, "session_open": True,
        "price_decimals": 2, "quantity_decimals": 0, "quantity_step": Decimal(1), "currency": "USD",
        "tick_size": Decimal("0.01")}
    return QuoteView(**{**fields, **changes})  # type: ignore[arg-type]


def health() -> HealthView:
    return HealthView(journal_seq=18_204, journal_lag_ms=0.4, inputs_per_second=212.0, queue_depth=0,
                      uptime_seconds=7200.0, replay_position="", replay_speed="")


def snapshot(version: int = 1, **changes: object) -> Snapshot:
    """A day at work: four positions, one of them stale and watched by the engine, two decisions, a few alerts."""
    fields: dict[str, object] = {
        "version": version, "at_ns": NOW_NS, "mode": Mode.PAPER, "engine_id": "e1", "accounts": (account(),),
        "positions": (
            position(),
            position("BTC-USD", quantity=Decimal("0.3500"), entry=Decimal("61250.00"), mark=Decimal("60984.50"),
                     market_value=Decimal("21344.58"), pnl=Decimal("-92.93"), pnl_percent=-0.43, r_multiple=-0.21,
                     stop=Decimal("59980.00"), stop_distance_percent=1.65, target=Decimal("64100.00"),
                     target_distance_percent=5.11, trail="1.5 ATR", stop_home=StopHome.ENGINE, quantity_decimals=4,
                     stop_home_detail="venue has no trailing stop", max_hold_left_seconds=None, age_seconds=1260.0,
                     open_risk=Decimal("351.58"), open_risk_percent=0.34, strategy="breakout"),
            position("NVDA", side="SHORT", quantity=Decimal(25), entry=Decimal("131.05"), mark=Decimal("128.90"),
                     market_value=Decimal("-3222.50"), pnl=Decimal("53.75"), pnl_percent=1.64, r_multiple=0.53,
                     stop=Decimal("135.10"), stop_distance_percent=4.81, target=None, target_distance_percent=None,
                     trail="", breakeven_at=None, max_hold_left_seconds=None, unprotected_seconds=0.0,
                     open_risk=Decimal("155.00"), open_risk_percent=0.15, strategy="reversal", age_seconds=420.0),
            position("TSLA", quantity=Decimal(10), entry=Decimal("244.00"), mark=Decimal("241.30"),
                     mark_age_seconds=38.0, mark_stale=True, market_value=Decimal("2413.00"), pnl=Decimal("-27.00"),
                     pnl_percent=-1.11, r_multiple=-0.36, stop=Decimal("236.50"), stop_distance_percent=1.99,
                     target=Decimal("259.00"), target_distance_percent=7.34, trail="", stop_home=StopHome.PENDING,
                     unprotected_seconds=3.0, max_hold_left_seconds=None, age_seconds=64.0,
                     open_risk=Decimal("48.00"), open_risk_percent=0.05),
        ),
        "orders": (
            order(),
            order("QD-1-18", symbol="AAPL", purpose=Purpose.TARGET, kind=OrderKind.LIMIT, limit=Decimal("199.20"),
                  trigger=None),
            order("QD-1-21", symbol="XOM", instrument_id="XOM@SIM", side=Side.BUY, purpose=Purpose.ENTRY,
                  kind=OrderKind.LIMIT, quantity=Decimal(30), filled=Decimal(10), limit=Decimal("114.90"), trigger=None,
                  average=Decimal("114.88"), status=OrderStatus.PARTIALLY_FILLED, age_seconds=75.0,
                  placed_at_ns=NOW_NS - 75 * SECOND),
            order("QD-1-22", symbol="GME", instrument_id="GME@SIM", side=Side.BUY, purpose=Purpose.ENTRY,
                  kind=OrderKind.MARKET, quantity=Decimal(500), trigger=None, status=OrderStatus.DENIED, working=False,
                  reason="position share 11.1% above the limit of 2.0%", age_seconds=386.0, venue_order_id="",
                  placed_at_ns=NOW_NS - 386 * SECOND),
            order("QD-1-16", side=Side.BUY, purpose=Purpose.ENTRY, kind=OrderKind.MARKET, trigger=None,
                  filled=Decimal(120), average=Decimal("187.20"), status=OrderStatus.FILLED, working=False),
        ),
        "fills": (fill(), fill("T-2", symbol="XOM", quantity=Decimal(10), price=Decimal("114.88"), fee=Decimal("0.06"),
                               client_order_id="QD-1-21", at_ns=NOW_NS - 60 * SECOND),
                  fill("T-3", symbol="BTC-USD", quantity=Decimal("0.3500"), price=Decimal("61250.00"),
                       fee=Decimal("10.72"), client_order_id="QD-1-14", at_ns=NOW_NS - 1260 * SECOND)),
        "proposals": (
            proposal(),
            proposal("P-2", card=card(symbol="META", quantity=Decimal(5), kind=OrderKind.MARKET, limit=None,
                                      reference=Decimal("512.10"), notional=Decimal("2560.50"), stop=Decimal("498.00"),
                                      target=None, worst_loss=Decimal("71.10"), heat_after_percent=6.4,
                                      checks=(FAILED_CHECK, *CHECKS[:3], *CHECKS[4:])),
                     seconds_left=85.0, expires_at_ns=NOW_NS + 85 * SECOND, origin="research"),
            proposal("P-0", status=ProposalStatus.EXPIRED, seconds_left=0.0, status_reason="nobody answered in 120s",
                     raised_at_ns=NOW_NS - 600 * SECOND, expires_at_ns=NOW_NS - 480 * SECOND,
                     card=card(symbol="XOM", side=Side.SELL, quantity=Decimal(30), limit=Decimal("114.90"))),
        ),
        "alerts": (
            alert(),
            alert("A-2", at_ns=NOW_NS - 185 * SECOND, level=AlertLevel.ERROR, code="order_refused", subject="GME",
                  text="order refused by the venue: insufficient buying power (code 201)", acknowledged=True),
            alert("A-3", at_ns=NOW_NS - 720 * SECOND, level=AlertLevel.INFO, code="reconciled", subject="paper-1",
                  text="compared 4 positions and 3 orders with the venue, no difference", acknowledged=True, count=4),
        ),
        "quotes": (
            quote(), quote("AMD", "158.12", change_percent=0.8),
            quote("BTC-USD", "60984.50", change_percent=-1.31, quantity_decimals=4, quantity_step=Decimal("0.0001")),
            quote("META", "512.10", change_percent=0.0), quote("NVDA", "128.90", change_percent=-1.6),
            quote("TSLA", "241.30", change_percent=-0.9, age_seconds=38.0, stale=True),
            quote("XOM", "114.91", change_percent=0.4),
        ),
        "flatten": None, "health": health()}
    return Snapshot(**{**fields, **changes})  # type: ignore[arg-type]


def bars(instrument_id: str, count: int, last_ticks: int = 19_145) -> list[Bar]:
    """A walk that ends at `last_ticks`, the same one every time."""
    closes, state = [last_ticks], 12_345
    for _ in range(count):
        state = (state * 1_103_515_245 + 12_345) % (1 << 31)
        closes.append(closes[-1] + state // 65_536 % 61 - 31)
    closes.reverse()
    made = []
    for index in range(count):
        first, last = closes[index], closes[index + 1]
        open_ns = NOW_NS - (count - index) * 60 * SECOND
        made.append(Bar(instrument_id, open_ns, open_ns + 60 * SECOND, first, max(first, last) + index * 7 % 13,
                        min(first, last) - index * 5 % 11, last, 1_000))
    return made
