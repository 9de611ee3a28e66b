"""A seeded world: instruments, a tape of prices with jumps, and what a hectic person does meanwhile."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any, NamedTuple

from msgspec.structs import replace

from engine.inputs import (
    AutomationLevel,
    Bar,
    CancelOrder,
    ClosePosition,
    Command,
    Flatten,
    Limits,
    MarketItem,
    MarketTrade,
    PlaceOrder,
    PortfolioSettings,
    Quote,
    RemoveAlertRule,
    SetLimit,
    SetProtection,
    Settings,
    SetTradingState,
    SizeSpec,
    TradingState,
    TrailSpec,
)
from engine.instruments import AssetClass, Instrument
from engine.orders import OrderKind, Side
from engine.units import NS_PER_SECOND
from tests.simulation.alerts import NAMES, alert_command
from tests.simulation.candidates import on_their_way
from tests.simulation.over_time import over_time
from tests.simulation.research import LEARNING, researching
from tests.simulation.targets import rebalancings

ACCOUNT = "sim"
ITEMS = 260
QUIET_ITEMS = 140
STEP_NS = 2 * NS_PER_SECOND
START_NS = 1_700_000_000 * NS_PER_SECOND
PAST_BARS = 80
PAST_BAR_NS = 900 * NS_PER_SECOND


def _crypto(symbol: str, tick: str, lot: str) -> Instrument:
    return Instrument(f"{symbol}@paper", symbol, "paper", AssetClass.CRYPTO, symbol.partition("/")[0], "USD",
                      Decimal(tick), Decimal(lot), 2, 100_000_000, 100_000_000, min_notional_minor=1_000, taker_fee_ppm=1_000,
                      maker_fee_ppm=400)


def instruments() -> tuple[Instrument, ...]:
    """Three with awkward increments: money of a tick times a lot is a fraction of a cent."""
    return (_crypto("BTC/USD", "0.5", "0.0001"), _crypto("XRP/USD", "0.0001", "0.1"), _crypto("ETH/USD", "0.01", "0.001"))


STARTS = {"BTC/USD@paper": 60_000, "XRP/USD@paper": 5_000, "ETH/USD@paper": 200_000}


PLAIN_LIMITS = Limits(max_order_notional_fraction=0.3, max_position_fraction=0.5, max_heat_fraction=0.05, duplicate_seconds=2.0)
EVERY_LIMIT = Limits(
    max_order_notional_fraction=0.3, max_order_notional=Decimal(25_000), max_risk_per_order_fraction=0.02, min_reward_to_risk=0.5,
    max_position_fraction=0.4, max_leverage=1.0, max_gross_fraction=0.9, max_net_fraction=0.8, max_sector_fraction=0.7,
    max_asset_class_fraction=0.9, max_bucket_fraction=0.7, max_heat_fraction=0.04, max_bucket_heat_fraction=0.03,
    max_correlated_heat_fraction=0.035, max_daily_notional_fraction=2.0, max_orders_per_day=40, orders_per_minute=6,
    duplicate_seconds=2.0, max_spread_bps=300, trading_hours="mon-sun 00:00-23:59", blacklist=("DOGE/USD",),
    max_day_loss_fraction=0.01, max_week_loss_fraction=0.02, max_drawdown_fraction=0.03, max_losing_streak=3,
    cooldown_seconds=60.0, max_value_at_risk_fraction=0.05, max_expected_shortfall_fraction=0.06, max_daily_volume_fraction=0.02,
    preferred_sectors=("majors", "minors"), max_repeated_executions=3, repeat_seconds=300.0)
TIGHT_BRAKES = replace(EVERY_LIMIT, min_reward_to_risk=0.0, max_day_loss_fraction=0.0005, max_week_loss_fraction=0.001,
                       max_drawdown_fraction=0.0015, brake_halt_multiple=2.0, brake_flatten=True)
ROOMY = Limits(max_order_notional_fraction=0.6, max_position_fraction=0.9, max_leverage=2.0, max_heat_fraction=0.5,
               max_risk_per_order_fraction=0.0, max_sector_fraction=0.0, max_bucket_fraction=0.0, duplicate_seconds=2.0)
NARROW: dict[str, Any] = {  # one limit at a time, so tight that it is what decides
    "max_heat_fraction": 0.003, "max_bucket_heat_fraction": 0.003, "max_correlated_heat_fraction": 0.003,
    "max_risk_per_order_fraction": 0.001, "max_gross_fraction": 0.2, "max_net_fraction": 0.1, "max_asset_class_fraction": 0.2,
    "max_sector_fraction": 0.1, "max_bucket_fraction": 0.1, "max_position_fraction": 0.1, "max_leverage": 0.25,
    "max_order_notional": Decimal(5_000), "max_daily_notional_fraction": 0.2, "max_orders_per_day": 3, "orders_per_minute": 1,
    "max_value_at_risk_fraction": 0.003, "max_expected_shortfall_fraction": 0.004, "max_daily_volume_fraction": 0.0001,
    "max_spread_bps": 2, "collar_bps": 3, "min_reward_to_risk": 3.0, "trading_hours": "tue 22:15-22:18",
    "blacklist": ("XRP/USD",), "preferred_sectors": ("majors",), "max_repeated_executions": 1, "max_losing_streak": 1}
NARROWED = tuple(replace(ROOMY, **{name: value}) for name, value in NARROW.items())


def settings(random: Random) -> Settings:
    automation = random.choice((AutomationLevel.SUGGEST_ONLY, AutomationLevel.AUTO_EXECUTE))
    limits = random.choice((PLAIN_LIMITS, EVERY_LIMIT, EVERY_LIMIT, random.choice(NARROWED), TIGHT_BRAKES))
    return Settings((PortfolioSettings("main", ACCOUNT, "USD", 2, automation, limits),), settle_seconds=20.0,
                    gap_allowance_bps=random.choice((0, 50)), cancel_on_disconnect_seconds=6.0,
                    sectors={"BTC/USD": "majors", "ETH/USD": "majors", "XRP/USD": "minors"},
                    buckets={"XRP/USD": "coins", "ETH/USD": "coins"},
                    query_after_seconds=4.0, reconcile_seconds=60.0, proposal_seconds=30.0, flatten_deadline_seconds=90.0,
                    jobs=(LEARNING,))


class Silence(NamedTuple):
    """While the venue trades on, the engine sees no price of an instrument."""

    instrument_id: str
    from_ns: int
    to_ns: int


def silences(random: Random) -> tuple[Silence, ...]:
    """Up to two, some of them long enough for a price to be no price any more."""
    found = []
    for _ in range(random.randint(0, 2)):
        from_ns = START_NS + random.randint(10, ITEMS - 90) * STEP_NS
        found.append(Silence(random.choice(list(STARTS)), from_ns, from_ns + random.randint(10, 80) * STEP_NS))
    return tuple(found)


class WorldTape:
    """Quotes, prints and bars of all instruments; calm at the end, so that everything can settle."""

    def __init__(self, seed: int) -> None:
        self._items = tuple(_walk(Random(seed)))

    def instruments(self) -> tuple[Instrument, ...]:
        return instruments()

    def items(self) -> Iterator[MarketItem]:
        return iter(self._items)

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        return _past(instrument_id)


@cache
def _past(instrument_id: str) -> tuple[Bar, ...]:
    """Bars of a quarter of an hour from before the start, the same for every seed: what is measured on bars is known at once."""
    random, price, bars = Random(instrument_id), STARTS[instrument_id], []
    for place in range(PAST_BARS, 0, -1):
        opened, price = price, max(50, round(price * (1 + random.gauss(0, 0.0015))))
        close_ns = START_NS - (place - 1) * PAST_BAR_NS - STEP_NS
        low, high = sorted((opened, price))
        bars.append(Bar(instrument_id, close_ns - PAST_BAR_NS, close_ns, opened, high, low, price, 10_000))
    return tuple(bars)


def _walk(random: Random) -> Iterator[MarketItem]:
    prices = dict(STARTS)
    opens = dict(STARTS)
    for place in range(ITEMS + QUIET_ITEMS):
        at_ns = START_NS + place * STEP_NS
        instrument_id = random.choice(list(prices))
        calm = 0.002 if place < ITEMS else 0.0002
        jump = random.choice((-1, 1)) * 0.04 if place < ITEMS and random.random() < 0.02 else 0.0
        prices[instrument_id] = max(50, round(prices[instrument_id] * (1 + random.gauss(0, calm) + jump)))
        bid = prices[instrument_id]
        ask = bid + max(1, bid // 5_000)
        yield Quote(instrument_id, bid, ask, random.randint(0, 400), random.randint(0, 400), at_ns)
        if random.random() < 0.2:
            yield MarketTrade(instrument_id, random.choice((bid, ask)), random.randint(1, 500), 1, at_ns)
        if random.random() < 0.1:
            low, high = sorted((opens[instrument_id], bid))
            yield Bar(instrument_id, at_ns - 30 * STEP_NS, at_ns, opens[instrument_id], high + 3, max(1, low - 3), bid, 10_000)
            opens[instrument_id] = bid


def script(seed: int, settings: Settings) -> tuple[tuple[int, Command], ...]:
    """What is asked of the engine, and when."""
    random = Random(seed * 7919 + 1)
    commands: list[tuple[int, Command]] = []
    for place in range(random.randint(8, 22)):
        at_ns = START_NS + random.randint(5, ITEMS - 20) * STEP_NS + 1
        commands.append((at_ns, _command(random, f"c{seed}-{place}")))
    commands += _alert_rules(Random(seed * 104_729 + 5), seed)
    commands += rebalancings(Random(seed * 15_485_863 + 7), seed, START_NS + 20 * STEP_NS, (ITEMS - 40) * STEP_NS)
    commands += over_time(Random(seed * 179_424_673 + 11), seed, [one.symbol for one in instruments()], START_NS + 20 * STEP_NS,
                          (ITEMS - 120) * STEP_NS)
    more = Random(seed * 122_949_823 + 23)
    entries = [_entry(more, f"t{seed}-{place}", more.choice(("XRP/USD", "ETH/USD"))) for place in range(more.randint(8, 24))]
    commands += on_their_way(seed, settings, entries, START_NS + 3 * STEP_NS, (ITEMS - 60) * STEP_NS)
    commands += researching(Random(seed * 49_979_687 + 13), seed, START_NS + 10 * STEP_NS, (ITEMS - 60) * STEP_NS)
    commands.append((START_NS + (ITEMS - 10) * STEP_NS, SetTradingState(f"c{seed}-resume", TradingState.ACTIVE)))
    return tuple(sorted(commands, key=lambda entry: entry[0]))


def _alert_rules(random: Random, seed: int) -> list[tuple[int, Command]]:
    """Alert rules, from dice of their own; the last act stops them all, so that everything can settle."""
    commands: list[tuple[int, Command]] = []
    for place in range(random.randint(0, 8)):
        instrument = random.choice(instruments())
        at_ns = START_NS + random.randint(2, ITEMS - 20) * STEP_NS + 2
        commands.append((at_ns, alert_command(random, f"r{seed}-{place}", instrument, STARTS[instrument.instrument_id])))
    end_ns = START_NS + ITEMS * STEP_NS
    return commands + [(end_ns + place, RemoveAlertRule(f"r{seed}-end-{place}", f"rule-{place}")) for place in range(NAMES)]


def _command(random: Random, command_id: str) -> Command:
    symbol = random.choice([instrument.symbol for instrument in instruments()])
    roll = random.random()
    if roll < 0.72:
        return _entry(random, command_id, symbol)
    if roll < 0.82:
        return ClosePosition(command_id, symbol)
    if roll < 0.90:
        return SetProtection(command_id, symbol, trail=TrailSpec(percent=Decimal(random.choice(("1", "2.5")))))
    if roll < 0.91:
        limit, value = random.choice((("max_heat_fraction", "0.03"), ("max_heat_fraction", "default"), ("blacklist", "XRP/USD"),
                                      ("max_orders_per_day", "off"), ("max_heat_fraction", "nonsense")))
        return SetLimit(command_id, "main", limit, value)
    if roll < 0.93:
        return CancelOrder(command_id, "sim-1-12")
    if roll < 0.97:
        state = random.choice((TradingState.HALTED, TradingState.REDUCING, TradingState.ACTIVE))
        return SetTradingState(command_id, state)
    return Flatten(command_id)


def _entry(random: Random, command_id: str, symbol: str) -> PlaceOrder:
    instrument = next(one for one in instruments() if one.symbol == symbol)
    start = STARTS[instrument.instrument_id]
    side = random.choice((Side.BUY, Side.BUY, Side.SELL))
    away = side.sign * random.choice((0.01, 0.02, 0.05))
    stop = instrument.price(round(start * (1 - away)))
    lots = round(1_000_00 * random.uniform(0.5, 20) * instrument.value_den / (start * instrument.value_num))
    kind = random.choice((OrderKind.MARKET, OrderKind.MARKET, OrderKind.LIMIT, OrderKind.STOP))
    here = instrument.price(round(start * (1 + side.sign * random.choice((-0.01, 0.003)))))
    sized: dict[str, Any] = random.choice((
        {"quantity": instrument.quantity(lots)}, {"quantity": instrument.quantity(lots)},
        {"risk_percent": Decimal(random.choice(("0.2", "0.8", "3")))}, {"size": SizeSpec(largest=True)}))
    return PlaceOrder(
        command_id, symbol, side, **sized, kind=kind,
        limit=here if kind is OrderKind.LIMIT else None, trigger=here if kind is OrderKind.STOP else None,
        stop=stop, target=instrument.price(round(start * (1 + 2 * away))) if random.random() < 0.6 else None,
        trail=TrailSpec(percent=Decimal(2)) if random.random() < 0.3 else None,
        max_hold_seconds=random.choice((None, None, 120)), origin=random.choice(("manual", "dca")))
