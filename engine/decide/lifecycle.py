"""Candidates at work: evidence is kept, a person promotes one stage at a time, a broken bound demotes without asking."""

import math
from collections.abc import Callable

import msgspec

from engine.candidates import (
    NEW,
    DemoteCandidate,
    Evidence,
    PromoteCandidate,
    RecordEvidence,
    Stage,
    digest_of,
    stage_in_force,
)
from engine.decide import parents
from engine.lifecycle import fall_due, gates, outlived
from engine.lifecycle_events import CandidateDemoted, CandidatePromoted, EvidenceRecorded
from engine.orders import OrderIntent, Purpose
from engine.service import AlertLevel, Refusal
from engine.strategy_state import StrategySettings
from engine.turn import Turn
from engine.units import Nanoseconds

CODE = "candidate"
AUTOMATIC = "engine"


def record(turn: Turn, command: RecordEvidence) -> None:
    """Keep evidence of a strategy in the form that it has now; bad news takes effect at once."""
    what = f"record {command.evidence.kind} of {command.strategy}"
    settings = _configured(turn, command.strategy)
    refusal = settings if isinstance(settings, Refusal) else _unusable(settings, command.evidence)
    if refusal is not None or isinstance(settings, Refusal):
        assert refusal is not None
        turn.refuse(command.command_id, what, refusal)
        return
    evidence = msgspec.structs.replace(command.evidence, at_ns=turn.at_ns, by=command.by)
    turn.emit(EvidenceRecorded(command.strategy, evidence, command.command_id))
    fall_where_due(turn, settings)
    turn.accept(command.command_id, f"{evidence.kind} of {command.strategy} is recorded")


def _unusable(settings: StrategySettings, evidence: Evidence) -> Refusal | None:
    numbers = (evidence.days, evidence.drawdown_fraction, evidence.return_fraction, evidence.brier)
    counts = (evidence.days, evidence.drawdown_fraction, evidence.brier, evidence.round_trips, evidence.forecasts)
    if not all(math.isfinite(one) for one in numbers) or min(counts) < 0:
        return Refusal("evidence", "finite numbers, none below 0 but the return", str(numbers),
                       f"that is no evidence of {settings.name}: one of its numbers cannot be")
    digest = digest_of(settings)
    if settings.problem and not settings.source_hash:
        return Refusal("strategy", "one that can run", "off",
                       f"{settings.name} is off, so its form cannot be told: {settings.problem}")
    if evidence.digest != digest:
        return Refusal("digest", digest, evidence.digest,
                       f"that was found of another rule or other parameters than {settings.name} has; find it anew with those")
    return None


def promote(turn: Turn, command: PromoteCandidate) -> None:
    """One stage further, in the form that was shown, where every gate is met."""
    what = f"promote {command.strategy} to {command.stage}"
    settings = _configured(turn, command.strategy)
    if isinstance(settings, Refusal):
        turn.refuse(command.command_id, what, settings)
        return
    fall_where_due(turn, settings)
    refusal = _unpromotable(turn, settings, command)
    if refusal is not None:
        turn.refuse(command.command_id, what, refusal)
        return
    known, digest = turn.state.candidates.get(settings.name, NEW), digest_of(settings)
    words = tuple(gate.words for gate in gates(turn.state, turn.market, settings))
    turn.emit(CandidatePromoted(
        settings.name, command.stage, digest, settings.symbols, command.by, command.reason, words,
        tuple(one for one in known.evidence.values() if one.digest == digest), known.results, command.command_id))
    text = f"{settings.name} is in {command.stage}{_meaning(turn, settings, command.stage)}"
    turn.alert(AlertLevel.WARN if command.stage.is_live else AlertLevel.INFO, CODE, settings.name,
               f"promoted to {command.stage} by {command.by}")
    turn.accept(command.command_id, text)


def _unpromotable(turn: Turn, settings: StrategySettings, command: PromoteCandidate) -> Refusal | None:
    """Why a strategy cannot go to that stage now."""
    stage = stage_in_force(turn.state.candidates.get(settings.name), settings)
    if stage.following is None or command.stage is not stage.following:
        then = f"the next one is {stage.following}" if stage.following else "there is no further one"
        return Refusal("stage", str(stage.following or stage), command.stage,
                       f"{settings.name} is in {stage}; {then}, and none is skipped")
    digest = digest_of(settings)
    if command.digest != digest:
        return Refusal("digest", digest, command.digest,
                       f"{settings.name} is no longer as it was shown; read it again and promote it then")
    unmet = [gate for gate in gates(turn.state, turn.market, settings) if not gate.met]
    if unmet:
        return Refusal(unmet[0].name, unmet[0].needed, unmet[0].found,
                       f"{settings.name} may not go to {command.stage} yet: {'; '.join(gate.words for gate in unmet)}")
    return None


def _meaning(turn: Turn, settings: StrategySettings, stage: Stage) -> str:
    """What the stage allows, in words."""
    live = turn.state.portfolios[settings.portfolio].settings.live
    if not stage.is_live:
        return "; it enters nothing with real money" if live else ""
    part = turn.state.settings.lifecycle.staged_capital_fraction if stage is Stage.STAGED_LIVE else 1.0
    where = "" if live else f"; {settings.portfolio} is on paper, name a portfolio with real money in the configuration"
    return f": it may enter with real money, with {part:.0%} of its capital{where}"


def demote(turn: Turn, command: DemoteCandidate) -> None:
    """Back to an earlier stage, as a person wishes."""
    settings = _configured(turn, command.strategy)
    if isinstance(settings, Refusal):
        turn.refuse(command.command_id, f"demote {command.strategy}", settings)
        return
    stage = stage_in_force(turn.state.candidates.get(settings.name), settings)
    target = command.stage or list(Stage)[max(0, stage.place - 1)]
    if target.place >= stage.place:
        turn.refuse(command.command_id, f"demote {command.strategy}", Refusal(
            "stage", f"below {stage}", target, f"{settings.name} is in {stage}; {target} is not further back"))
        return
    withdrawn = _fall(turn, settings, target, command.reason or f"demoted by {command.by}", command.by, command.command_id)
    entries = f"; {withdrawn} working entries cancelled" if withdrawn else ""
    turn.accept(command.command_id, f"{settings.name} is back in {target}{entries}; what it holds stays protected")


def beat(turn: Turn) -> None:
    """Look at every candidate's form and bounds, and at entries that should be gone: a cancel may be refused or overtaken."""
    if turn.state.candidates:
        for settings in turn.state.settings.strategies:
            fall_where_due(turn, settings)
    if turn.state.candidates or turn.state.settings.strategies:
        _withdraw(turn, "its strategy may not enter any more", lambda intent, asked_ns: outlived(
            turn.state, intent, asked_ns))


def fall_where_due(turn: Turn, settings: StrategySettings) -> None:
    """Demote a candidate whose form changed or whose bound is broken."""
    fall = fall_due(turn.state, turn.market, settings)
    if fall is not None:
        _fall(turn, settings, fall.stage, fall.reason, AUTOMATIC)


def _fall(turn: Turn, settings: StrategySettings, stage: Stage, reason: str, by: str, command_id: str = "") -> int:
    """Record it, tell it, and withdraw the entries that it made with real money, with more rights than it has now; how many.
    Exits stay as they are."""
    turn.emit(CandidateDemoted(settings.name, stage, by, reason, command_id))
    turn.alert(AlertLevel.ERROR if by == AUTOMATIC else AlertLevel.WARN, CODE, settings.name, f"back in {stage}: {reason}")
    known = turn.state.portfolios.get(settings.portfolio)
    if known is None or not known.settings.live:
        return 0
    return _withdraw(turn, f"{settings.name} is back in {stage}", lambda intent, _: (
        intent.strategy, intent.portfolio) == (settings.name, settings.portfolio))


def _withdraw(turn: Turn, reason: str, is_meant: Callable[[OrderIntent, Nanoseconds], bool]) -> int:
    """Cancel entries and end those over time, told by their terms and when they were asked for; how many of the first."""
    entries = [order for order in turn.state.orders.values() if order.intent.purpose is Purpose.ENTRY and not order.external
               and is_meant(order.intent, order.intended_at_ns)]
    for parent in list(turn.state.parents.values()):
        if parent.works and not parent.from_lots and is_meant(parent.intent, parent.started_at_ns):
            parents.end(turn, parent, reason)
    for order in entries:
        turn.cancel(order, reason)
    return len(entries)


def _configured(turn: Turn, name: str) -> StrategySettings | Refusal:
    for one in turn.state.settings.strategies:
        if one.name == name and one.portfolio in turn.state.portfolios:
            return one
    names = ", ".join(one.name for one in turn.state.settings.strategies) or "none"
    return Refusal("strategy", names, name, f"there is no strategy called {name!r}; there is: {names}")
