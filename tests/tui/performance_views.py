"""A report for the app's tests, made from a track by the real analytics: ninety days of a walk, the same every time."""

from engine.analytics.records import EquityCurve, FillRecord, Track, TripRecord
from engine.analytics.report import performance
from engine.market import NS_PER_DAY
from engine.performance_words import PerformanceView
from tests.tui.views import NOW_NS, SECOND

DAYS = 150
_SYMBOLS = (("AAPL", 187.2), ("BTC-USD", 61_250.0), ("NVDA", 131.05), ("XOM", 114.88))
_STRATEGIES = (("momentum", "strategy"), ("manual", "manual"), ("reversal", "approved proposal"))
_REASONS = ("stop hit", "target reached", "closed by a person")


def _chances(seed: int = 99) -> list[int]:
    found = []
    for _ in range(2_000):
        seed = (seed * 1_103_515_245 + 12_345) % (1 << 31)
        found.append(seed // 65_536 % 1_000)
    return found


def track() -> Track:
    """The track behind the report; its newest round trip ended ten minutes before `NOW_NS`, in AAPL."""
    chance = _chances()
    at_ns = [NOW_NS - (DAYS - place) * NS_PER_DAY for place in range(DAYS + 1)]
    equity = [10_000_000]
    for place in range(DAYS):
        equity.append(equity[-1] + (chance[place] - 470) * 180)
    flow = [0] * len(equity)
    flow[60] = 500_000
    equity = [worth + (500_000 if place >= 60 else 0) for place, worth in enumerate(equity)]
    trips = tuple(_trip(place, chance[200 + 3 * place:]) for place in range(40))
    fills = tuple(FillRecord(trip.opened_at_ns, trip.instrument_id, trip.symbol, trip.strategy, trip.decision, "entry", trip.side,
                             trip.quantity, trip.entry_price, 2_000_000, 120, chance[900 + place] - 300)
                  for place, trip in enumerate(trips))
    return Track("main", "USD", 2, EquityCurve(at_ns, equity, flow, [chance[500 + one] * 4_000 for one in range(len(equity))]),
                 trips, fills)


def _trip(place: int, chance: list[int]) -> TripRecord:
    symbol, price = _SYMBOLS[(place + 1) % len(_SYMBOLS)]
    strategy, decision = _STRATEGIES[chance[0] % 3]
    moved = (chance[1] - 450) / 20_000
    closed_ns = NOW_NS - 600 * SECOND - (39 - place) * 3 * NS_PER_DAY
    return TripRecord(
        f"{symbol}@SIM", symbol, strategy, decision, 1 if chance[2] > 200 else -1, 10.0, closed_ns - 3_600 * SECOND, closed_ns,
        price, price * (1 + moved), round(2_000_000 * moved), 240, 20_000 if place % 7 else 0, _REASONS[chance[2] % 3],
        max(0.0, -moved) + 0.004, max(0.0, moved) + 0.006)


def performance_view() -> PerformanceView:
    """The report on that track."""
    return performance(track(), lambda at_ns: at_ns // NS_PER_DAY)
