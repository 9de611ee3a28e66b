"""From opinions to decisions: what code makes of them, the same for a model's and for the rule's."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from engine.research.aggregation import Agreed, agreed
from engine.research.canonical import canonical, digest
from engine.research.decided import Cell, Decided, ResearchCause, RoleAnswer, horizon_bucket
from engine.research.opinions import Opinion, Stance
from engine.research.prompts import PROMPT_VERSION
from engine.research.recalibration import map_for
from engine.research.rule_analyst import RULE_ANALYST, RULE_PROMPT_VERSION, Situation, rule_opinion
from engine.research.task import Asked
from engine.research.worth import why_not, worth_of

BENCHMARK_SUFFIX = "r"
BENCHMARK = "scored beside the models, as what they have to beat"
DRILL = "a drill: scored, never proposed"


class Voiced(NamedTuple):
    """What an analyst came to, before it is weighed: the voices as one, the words of one of them, and who was asked.

    `veto` is why nothing may come of it, whatever it is worth; `clamps` what was taken from it before.
    """

    analyst: str
    prompt_version: str
    agreed: Agreed
    words: Opinion
    answers: tuple[RoleAnswer, ...]
    event_tags: tuple[str, ...] = ()
    dissent: str = ""
    veto: str = ""
    clamps: tuple[str, ...] = ()
    single_source: bool = False


def decide_by_rule(asked: Asked) -> Decided:
    """The decision of the analyst without a model."""
    daily = asked.daily
    opinion = rule_opinion(asked.symbol, daily, asked.horizon_days, Situation(asked.side, asked.shortable, asked.round_trip_bps),
                           evidence=("E1",))
    answer = RoleAnswer("rule", RULE_ANALYST, "", opinion.p_up, opinion.stance)
    voiced = Voiced(RULE_ANALYST, RULE_PROMPT_VERSION, agreed([opinion]), opinion, (answer,))
    return weighed(asked, voiced, suffix=BENCHMARK_SUFFIX)


def weighed(asked: Asked, voiced: Voiced, suffix: str = "") -> Decided:
    """The decision that an analyst's voices come to: calibrated, valued, sized and gated by code alone."""
    found = voiced.agreed
    cell = Cell(voiced.analyst, voiced.prompt_version, horizon_bucket(found.horizon_days), asked.asset_class)
    worth = worth_of(found, map_for(cell, asked.maps), asked.round_trip_bps, asked.room)
    reason = voiced.veto or why_not(worth, found.aggregate, asked.aggressiveness, asked.parameters)
    if not reason and asked.cause is ResearchCause.DRILL:
        reason = DRILL
    words = voiced.words
    return replace(
        _nothing_said(asked, voiced.analyst, voiced.prompt_version, suffix),
        stance=found.aggregate.stance, horizon_days=found.horizon_days, target_bps=found.target_bps, stop_bps=found.stop_bps,
        worth=replace(worth, clamps=(*voiced.clamps, *worth.clamps)), actionable=not reason, thesis=words.thesis,
        against=words.against, reason=reason, dissent=voiced.dissent, evidence=words.evidence, event_tags=voiced.event_tags,
        single_source=voiced.single_source, **_totals(voiced.answers))


def abstained(asked: Asked, analyst: str, answers: Sequence[RoleAnswer], code: str, reason: str, *, rejected: bool) -> Decided:
    """The decision of models that came to nothing: no forecast, and the code that says why."""
    return replace(_nothing_said(asked, analyst, PROMPT_VERSION, ""), code=code, reason=reason, rejected=rejected,
                   **_totals(answers))


def as_benchmark(rule: Decided) -> Decided:
    """The rule's decision where models are in charge: scored only."""
    return replace(rule, actionable=False, reason=rule.reason or BENCHMARK)


def digest_of(decisions: Sequence[Decided]) -> str:
    """The sha256 of what a run came to for one instrument: equal when every field is."""
    return digest(canonical(decisions))


def _nothing_said(asked: Asked, analyst: str, prompt_version: str, suffix: str) -> Decided:
    snapshot = asked.snapshot
    return Decided(
        decision_id=f"{asked.run_id}-{asked.number}{suffix}", run_id=asked.run_id, portfolio=snapshot.portfolio,
        thread_id=asked.thread_id, instrument_id=asked.instrument_id, symbol=asked.symbol, snapshot_id=snapshot.snapshot_id,
        as_of_ns=snapshot.as_of_ns, ref_mark=snapshot.mark.price, ref_source=snapshot.mark.source, analyst=analyst,
        prompt_version=prompt_version, stance=Stance.FLAT, horizon_days=asked.horizon_days, target_bps=0, stop_bps=0, worth=None,
        actionable=False, flags=snapshot.flags, regime=asked.regime, aggressiveness=asked.aggressiveness,
        asset_class=asked.asset_class)


def _totals(answers: Sequence[RoleAnswer]) -> dict[str, Any]:
    """The answers, what they cost together, and how long they took: of calls side by side the longest counts."""
    stages: dict[str, int] = {}
    for one in answers:
        stage = one.role.partition(":")[0]
        name = stage if stage in {"cross", "judge"} else "roles"
        stages[name] = max(stages.get(name, 0), one.latency_ms)
    return {"answers": tuple(answers), "cost_micro_usd": sum(one.cost_micro_usd for one in answers),
            "latency_ms": sum(stages.values())}
