"""Targets and budgets in the simulation: some worlds aim at something, are rebalanced at odd times, and bound a strategy."""

from collections import Counter
from decimal import Decimal
from random import Random

from msgspec.structs import replace

from engine.budgets import uses
from engine.events import OrderIntended, decode
from engine.inputs import Command, Rebalance, Settings
from engine.market import MarketView
from engine.orders import OrderIntent, Purpose
from engine.ports import JournalRow
from engine.state import State
from engine.strategy_state import StrategySettings
from engine.target_events import RebalanceStarted
from engine.targets import REBALANCE, TargetMethod, TargetSettings
from engine.valuation import equity_minor

SYMBOLS = ("BTC/USD", "XRP/USD", "ETH/USD")


def aimed(settings: Settings, random: Random) -> Settings:
    """Half of the worlds have targets, a third a strategy with a budget; it does not run, orders are given in its name."""
    (portfolio,) = settings.portfolios
    targets = _targets(random) if random.random() < 0.5 else None
    budget = random.choice(({}, {"capital_fixed": Decimal(8_000)}, {"capital_fraction": 0.1, "heat_budget_fraction": 0.004}))
    strategies = (StrategySettings("dca", "ema_cross", "main", ("BTC/USD",), enabled=False, **budget),)
    return replace(settings, portfolios=(replace(portfolio, targets=targets),), strategies=strategies)


def _targets(random: Random) -> TargetSettings:
    symbols = tuple(random.sample(SYMBOLS, random.choice((2, 3))))
    return TargetSettings(
        random.choice((TargetMethod.EQUAL, TargetMethod.USER, TargetMethod.USER)), symbols,
        weights={symbol: random.choice((0.0, 0.005, 0.01, 0.03, 0.3)) for symbol in symbols},
        cash_fraction=random.choice((0.1, 0.6)), drift_band_fraction=random.choice((0.002, 0.03)),
        max_turnover_fraction=random.choice((0.0, 0.2)), stop_fraction=random.choice((0.03, 0.06)),
        stop_trails=random.random() < 0.5, reentry_days=random.choice((0.0, 0.0005)))


def rebalancings(random: Random, seed: int, start_ns: int, span_ns: int) -> list[tuple[int, Command]]:
    """Some rebalancings, by hand and by the schedule, also in worlds without targets, which refuse them."""
    return [(start_ns + random.randrange(span_ns), Rebalance(f"b{seed}-{place}", scheduled=random.random() < 0.5))
            for place in range(random.randint(0, 14))]


def budget_violations(state: State, market: MarketView, intent: OrderIntent) -> list[str]:
    """At the moment an entry leaves, no strategy uses more than it has."""
    equity = equity_minor(state, market, intent.portfolio)
    found = []
    for use in uses(state, market, intent.portfolio):
        if use.strategy == intent.strategy and use.capital_minor is not None and use.work_minor > use.capital_minor:
            found.append(f"{use.strategy} has {use.work_minor} of {use.capital_minor} at work at {intent.client_order_id}")
        if use.strategy == intent.strategy and use.heat_fraction and use.heat_minor > use.heat_fraction * equity * (1 + 1e-9):
            found.append(f"{use.strategy} risks {use.heat_minor} at {intent.client_order_id}")
    return found


def by_hand(state: State, intent: OrderIntent) -> bool:
    """Whether an entry belongs to a rebalancing that a person asked for, which is its own approval."""
    run = state.portfolios[intent.portfolio].rebalance
    return intent.strategy == REBALANCE and run is not None and not run.asks


def done_twice(rows: list[JournalRow]) -> list[str]:
    """Orders of a run that went out more than once, or for more than was decided."""
    decided: dict[str, int] = {}
    sent: Counter[str] = Counter()
    found: list[str] = []
    for row in rows:
        event = decode(row.kind, row.payload)
        if isinstance(event, RebalanceStarted):
            decided |= {f"{event.command_id}:{line.instrument_id}": line.change_lots for line in event.lines}
        elif isinstance(event, OrderIntended) and event.intent.purpose is Purpose.ENTRY and event.command_id in decided:
            sent[event.command_id] += 1
            if event.intent.order_lots > max(0, decided[event.command_id]):
                found.append(f"{event.command_id} sent {event.intent.order_lots} lots, decided were {decided[event.command_id]}")
    return found + [f"{command_id} went out {count} times" for command_id, count in sent.items() if count > 1]
