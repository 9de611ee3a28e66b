"""Research without a model: the rule's decisions, reproducible, labelled, and kept with all that they rest on."""

import asyncio

import msgspec
import pytest

from engine.research.calling import RecordedCaller
from engine.research.decided import ResearchCause
from engine.research.deciding import digest_of
from engine.research.opinions import Stance
from engine.research.pipeline import run_pipeline
from engine.research.rule_analyst import Daily
from engine.research.task import Asked, PipelineTask
from tests.unit.research_desk import StoreInMemory, asked, rising


def run(what: Asked, store: StoreInMemory | None = None) -> tuple[object, ...]:
    kept = store or StoreInMemory()
    return asyncio.run(run_pipeline(PipelineTask(what, RecordedCaller(kept), kept)))


def test_the_rule_decides_alone_where_no_model_is_configured() -> None:
    (decided,) = asyncio.run(run_pipeline(PipelineTask(asked(), RecordedCaller(StoreInMemory()), StoreInMemory())))
    assert decided.analyst == "rule/1"
    assert decided.decision_id == "R7-1r"
    assert decided.stance is Stance.LONG
    assert decided.actionable, decided.reason
    assert decided.worth is not None
    assert decided.worth.risk_bps == pytest.approx(10.0)  # on probation
    assert decided.cost_micro_usd == 0


def test_three_runs_without_a_key_come_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    stores = [StoreInMemory() for _ in range(3)]
    for store in stores:
        run(asked(), store)
    assert len({one for store in stores for one in store.digests.values()}) == 1


def test_what_was_asked_is_kept_and_comes_to_the_same_after_being_read_again() -> None:
    store = StoreInMemory()
    first = run(asked(), store)
    again = msgspec.json.decode(store.asked["R7", "AAPL@paper"], type=Asked)
    assert run(again) == first
    assert store.digests["R7", "AAPL@paper"] == digest_of(run(again))  # type: ignore[arg-type]
    assert store.snapshots[again.snapshot.snapshot_id] == again.snapshot.body


def test_a_drill_is_scored_and_never_proposed() -> None:
    (decided,) = asyncio.run(run_pipeline(PipelineTask(asked(cause=ResearchCause.DRILL), RecordedCaller(StoreInMemory()),
                                                       StoreInMemory())))
    assert not decided.actionable
    assert "drill" in decided.reason
    assert decided.worth is not None


def test_too_few_days_are_flat_and_still_a_forecast() -> None:
    few = Daily(rising(30).closes)
    (decided,) = asyncio.run(run_pipeline(PipelineTask(asked(daily=few), RecordedCaller(StoreInMemory()), StoreInMemory())))
    assert decided.stance is Stance.FLAT
    assert not decided.actionable
    assert decided.worth is not None
    assert decided.worth.p_agg == 0.5
