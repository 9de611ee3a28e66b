"""Strategies on their way to real money in the simulation: in some worlds the account holds real money, a rule trades there, and
it goes up and down the stages by a person, by evidence, by bounds, and by another form after a crash."""

from collections.abc import Iterator
from random import Random
from typing import Any

from msgspec.structs import replace

from engine.arming import limits_digest
from engine.candidates import (
    DemoteCandidate,
    Evidence,
    EvidenceKind,
    LifecycleSettings,
    PromoteCandidate,
    RecordEvidence,
    Stage,
    digest_of,
)
from engine.inputs import ArmAccount, AutomationLevel, Command, Limits, PlaceOrder, Settings
from engine.market import MarketView
from engine.orders import Order, OrderIntent, OrderKind, Purpose
from engine.parents import OverTime
from engine.state import State
from engine.strategies.registry import built_in, params_of
from engine.strategy_state import StrategySettings
from engine.units import NS_PER_SECOND, Nanoseconds
from engine.valuation import entry_orders, equity_minor, market_value_minor, portfolio_positions, reference_ticks

NAME = "trend"
SYMBOLS = ("XRP/USD", "ETH/USD")
DEAR_PPM = 1_000
BROKEN = "strategies/trend.py:3: invalid syntax"
PARAMS = {"enter_bars": 2, "leave_bars": 1, "atr_bars": 2, "risk_bps": 50}
NOTHING_ASKED = LifecycleSettings(
    paper_min_days=0.0, paper_min_round_trips=0, paper_max_drawdown_fraction=1.0, staged_min_days=0.0, staged_min_round_trips=0,
    staged_max_drawdown_fraction=1.0, min_return_fraction=-1.0)


def dice(seed: int) -> Random:
    return Random(seed * 32_452_843 + 17)


def has_candidate(seed: int) -> bool:
    """A third of the worlds are about candidates."""
    return dice(seed).random() < 0.34


def trend(random: Random) -> StrategySettings:
    """A rule with a form; how much it may use is no part of it."""
    strategy = built_in("breakout")
    params = params_of(strategy, PARAMS)
    capital: dict[str, Any] = random.choice(({}, {"capital_fraction": 0.4}, {"capital_fraction": 0.9}))
    return StrategySettings(NAME, "breakout", "main", SYMBOLS, params._asdict(), warmup_bars=strategy.warmup(params), **capital)


def with_candidate(settings: Settings, seed: int, roomy: Limits) -> Settings:
    """The settings of a world about candidates: real money, mostly by itself and with roomy limits, and bounds that break
    easily."""
    if not has_candidate(seed):
        return settings
    random = dice(seed)
    (portfolio,) = settings.portfolios
    lifecycle = replace(
        NOTHING_ASKED, staged_capital_fraction=random.choice((0.05, 0.25, 0.5)),
        demote_losing_streak=random.choice((0, 1, 2)), demote_drawdown_fraction=random.choice((0.0, 0.0005, 0.002)))
    if random.random() < 0.8:
        portfolio = replace(portfolio, automation=AutomationLevel.AUTO_EXECUTE, limits=roomy)
    return replace(settings, portfolios=(replace(portfolio, live=True),), lifecycle=lifecycle,
                   strategies=(*settings.strategies, trend(random)))


def after_crash(settings: Settings, seed: int, crashes: int) -> Settings:
    """What the configuration says when the engine comes up again: mostly the same, or another form, or none of it, or the rule's
    file is broken until the next crash."""
    if not crashes or not has_candidate(seed):
        return settings
    random = Random(seed * 86_028_121 + crashes)
    known = settings.strategies[-1]
    other = random.choice((
        known, known, known, known, replace(known, params={**known.params, "enter_bars": 3}), replace(known, name="renamed"),
        replace(known, symbols=(*SYMBOLS, "BTC/USD")), replace(known, symbols=SYMBOLS[:1])))
    if Random(seed * 49_979_759 + crashes).random() < 0.25:
        other = replace(other, params={}, warmup_bars=0, problem=BROKEN)
    return replace(settings, strategies=(*settings.strategies[:-1], other))


def evidence(kind: EvidenceKind, **more: Any) -> Evidence:
    return Evidence(kind, **{"digest": digest_of(trend(Random(0))), "source": "a file", "days": 400.0, "round_trips": 200,
                             "return_fraction": 0.1, "drawdown_fraction": 0.1, "symbols": SYMBOLS, "fee_ppm": DEAR_PPM,
                             "bar_ns": 60 * NS_PER_SECOND, "same": True, **more})


def on_their_way(seed: int, settings: Settings, entries: list[PlaceOrder], from_ns: Nanoseconds,
                 span_ns: Nanoseconds) -> list[tuple[Nanoseconds, Command]]:
    """The account is armed, the candidate is brought to its first live stage at once, and then things happen to it; `entries` are
    given in its name, wherever it stands."""
    if not has_candidate(seed):
        return []
    random = Random(seed * 67_867_967 + 19)
    digest = digest_of(trend(Random(0)))
    limits = limits_digest(settings.portfolios[0].limits)
    found: list[tuple[Nanoseconds, Command]] = [
        (from_ns + place * span_ns // 5, ArmAccount(f"l{seed}-arm-{place}", settings.portfolios[0].account, limits, 100.0,
                                                    by="ada", despite="a simulation")) for place in range(5)]
    way: list[Command] = [
        RecordEvidence(f"l{seed}-e1", NAME, evidence(EvidenceKind.BACKTEST)),
        RecordEvidence(f"l{seed}-e2", NAME, evidence(EvidenceKind.PARITY)),
        *(PromoteCandidate(f"l{seed}-p{place}", NAME, stage, digest, "ada")
          for place, stage in enumerate((Stage.BACKTEST, Stage.PAPER, Stage.STAGED_LIVE)))]
    found += [(from_ns + place + 1, command) for place, command in enumerate(way)]
    for place in range(random.randint(2, 12)):
        at_ns = from_ns + 10 + random.randrange(span_ns)
        found += [(at_ns + step, command) for step, command in enumerate(_events(random, f"l{seed}-{place}", digest))]
    over = [random.choice((None, None, None, OverTime(60), OverTime(300))) for _ in entries]
    return found + [(from_ns + 10 + random.randrange(span_ns), replace(
        one, origin=NAME, over=spread if one.kind in (OrderKind.MARKET, OrderKind.LIMIT) else None))
        for one, spread in zip(entries, over, strict=True)]


def _events(random: Random, command_id: str, digest: str) -> list[Command]:
    """A person tries the whole way up from wherever it stands, by the form that they were shown; or something leads it back."""
    roll = random.random()
    if roll < 0.6:
        shown = random.choice((digest, digest, digest, "another"))
        last = random.randint(2, len(Stage))
        return [PromoteCandidate(f"{command_id}-{stage}", NAME, stage, shown, "ada") for stage in list(Stage)[1:last]]
    if roll < 0.8:
        return [RecordEvidence(command_id, NAME, evidence(EvidenceKind.PARITY, same=random.random() < 0.7))]
    return [DemoteCandidate(command_id, NAME, random.choice((None, None, *Stage)), "ada")]


# ---- what must hold ------------------------------------------------------------------------------------------------------------


def without_right(state: State, intent: OrderIntent) -> str:
    """Why a candidate had no right to an entry with real money, worked out from the promotions alone; "" where it had."""
    if not state.portfolios[intent.portfolio].settings.live or intent.strategy not in (NAME, "renamed"):
        return ""
    settings = next((one for one in state.settings.strategies if one.name == intent.strategy), None)
    candidate = state.candidates.get(intent.strategy)
    if settings is None and candidate is None:
        return ""  # a name that was never a strategy's is one like any other
    if settings is None or candidate is None:
        return "it is no candidate"
    if settings.problem:
        return "it is off"
    if candidate.stage not in (Stage.STAGED_LIVE, Stage.FULL_LIVE):
        return f"it is in {candidate.stage}"
    if settings.params != trend(Random(0)).params or not set(settings.symbols) <= set(SYMBOLS):
        return "its form is another than was approved"
    return ""


def unlawful(state: State, market: MarketView, intent: OrderIntent) -> Iterator[str]:
    """At the moment an entry leaves, its strategy has the right to it, and has no more at work than its stage allows."""
    why = without_right(state, intent)
    if why:
        yield f"{intent.client_order_id} of {intent.strategy} went out, but {why}"
    candidate = state.candidates.get(intent.strategy)
    settings = next((one for one in state.settings.strategies if one.name == intent.strategy), None)
    if why or intent.strategy != NAME or candidate is None or settings is None or not state.portfolios["main"].settings.live:
        return
    part = state.settings.lifecycle.staged_capital_fraction if candidate.stage is Stage.STAGED_LIVE else 1.0
    if part == 1.0 and not settings.capital_fraction:
        return
    most = equity_minor(state, market, "main") * (settings.capital_fraction or 1.0) * part
    work = _at_work_minor(state, market)
    if work > most + 1:
        yield f"{NAME} has {work} of {most:.0f} at work at {intent.client_order_id} in {candidate.stage}"


def _at_work_minor(state: State, market: MarketView) -> int:
    held = sum(abs(market_value_minor(state, market, one)) for one in portfolio_positions(state, "main") if one.strategy == NAME)
    return held + sum(
        state.instruments[one.intent.instrument_id].notional_minor(reference_ticks(market, one), one.leaves_lots)
        for one in entry_orders(state, "main") if one.intent.strategy == NAME)


def should_be_gone(state: State, order: Order) -> bool:
    """Whether a working entry is one that its candidate has no right to any more."""
    return order.intent.purpose is Purpose.ENTRY and not order.external and bool(without_right(state, order.intent))
