"""A book of seven instruments in two groups that move together, for pictures and tests of the risk screen."""

from decimal import Decimal
from random import Random

from msgspec.structs import replace

from engine.inputs import Bar, Limits
from engine.orders import OrderKind, Side
from engine.risk_views import risk_view
from engine.service import RiskView
from engine.units import NS_PER_SECOND
from tests.unit.engine_desk import START_NS, Desk, bought, coin, settings_of

MINUTE_NS = 60 * NS_PER_SECOND
COINS, STOCKS = ("BTC/USD", "ETH/USD", "SOL/USD"), ("AAPL", "MSFT", "NVDA")
UNKNOWN = "EUR/USD"
LIMITS = Limits(max_day_loss_fraction=0.01, max_week_loss_fraction=0.0, max_drawdown_fraction=0.0, max_heat_fraction=0.03,
                max_value_at_risk_fraction=0.2, max_correlated_heat_fraction=0.02, stale_quote_seconds=500.0,
                duplicate_seconds=0.0)


def crowded_book(count: int = 7) -> RiskView:
    """Longs and shorts, a resting entry, a braking day loss, and one instrument of which no bar is known."""
    names = (*COINS, *STOCKS, UNKNOWN)[:count]
    settings = settings_of("main", limits=LIMITS, buckets=dict.fromkeys(COINS, "coins") | dict.fromkeys(STOCKS, "technology"))
    desk = Desk(settings=settings, instruments=[coin(name) for name in names], live=False)
    random = Random(3)
    steps = {group: [random.gauss(0, 0.0004) for _ in range(150)] for group in (COINS, STOCKS)}
    for name in names:
        if name != UNKNOWN:
            _warm(desk, name, [step + random.gauss(0, 0.0003) for step in steps[COINS if name in COINS else STOCKS]])
    desk.start()
    _quote(desk, names, 10_000)
    desk.beat()
    for place, name in enumerate(names):
        side = Side.SELL if name == "NVDA" else Side.BUY
        desk.enter(name, 30 + 12 * place, "104" if side is Side.SELL else "95", symbol=name, side=side)
    desk.do(bought("resting", 20, "90", symbol=names[1], kind=OrderKind.LIMIT, limit=Decimal(99)))
    _quote(desk, names, 9_810)
    desk.beat()
    return risk_view(desk.state, desk.market, desk.at_ns, "main")


def with_used_limits(view: RiskView) -> RiskView:
    """The view with the limits of which something is used: what a picture shows that others' new limits must not change."""
    return replace(view, limits=tuple(limit for limit in view.limits if limit.used_fraction))


def _warm(desk: Desk, name: str, returns: list[float]) -> None:
    price, bars = 1_000_000.0, []
    for place, step in enumerate(returns):
        price *= 1 + step
        close, open_ns = round(price), START_NS - (len(returns) - place) * MINUTE_NS
        bars.append(Bar(f"{name}@paper", open_ns, open_ns + MINUTE_NS, close, close, close, close, 50))
    desk.market.warm(bars)


def _quote(desk: Desk, names: tuple[str, ...], bid: int) -> None:
    for name in names:
        desk.quote(bid, instrument_id=f"{name}@paper")
