"""Whole cycles through the real SDK against a server that misbehaves: each ends with the right code, and the rule is scored."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from brokers.models.anthropic_messages import AnthropicMessages
from engine.research.breaker import Breaker
from engine.research.calling import LiveCaller
from engine.research.decided import Decided
from engine.research.pipeline import run_pipeline
from engine.research.settings import Budgets, Deadlines
from engine.research.spending import Purse
from engine.research.task import PipelineTask
from tests.conformance.model_server import Reply, Rule, serving
from tests.unit.research_desk import MODELS_ON, PRICES, StoreInMemory, asked, opinion_text

SHORT = Deadlines(call_seconds=0.6, cycle_seconds=1.5)
SAFETY_SECONDS = 60.0


def usual(body: dict[str, Any]) -> Reply:
    if "your_role" in str(body["messages"]):
        return Reply('{"p_up": 0.57, "reason": "RSI.", "evidence": ["E2"]}')
    return Reply(opinion_text())


async def cycle(rule: Rule, deadlines: Deadlines) -> tuple[tuple[Decided, ...], StoreInMemory]:
    store = StoreInMemory()
    settings = replace(MODELS_ON, deadlines=deadlines)
    clock = asyncio.get_running_loop().time
    async with serving(rule) as server, asyncio.timeout(SAFETY_SECONDS):
        model = AnthropicMessages("one", server.address, "k")
        caller = LiveCaller({"one": model}, store, Purse(Budgets(), PRICES), Breaker(), deadlines, lambda: round(clock() * 1e9))
        decided = await run_pipeline(PipelineTask(asked(settings=settings), caller, store))
        await caller.close()
    return decided, store


@pytest.mark.parametrize(("reply", "code"), [
    (Reply(status=429, error="rate_limit_error", headers={"retry-after": "60"}), "RATE_LIMITED"),
    (Reply(status=529, error="overloaded_error"), "OVERLOADED"),
    (Reply(status=500, error="api_error"), "SERVER_ERROR"),
    (Reply(status=401, error="authentication_error"), "BAD_KEY"),
    (Reply(raw="{", status=200), "MALFORMED"),
    (Reply(opinion_text(), seconds=30.0), "TIMEOUT"),
    (Reply(opinion_text(), pause=30.0), "TIMEOUT"),
    (Reply("I cannot help with that.", "refusal"), "REFUSAL"),
    (Reply('{"schema_version": 1, "sym', "max_tokens"), "MAX_TOKENS"),
    (Reply('{"answer": 42}'), "SCHEMA_VERSION"),
    (Reply("no object at all"), "NO_JSON"),
])
@pytest.mark.parametrize("from_call", [0, 5])
async def test_a_cycle_ends_with_the_code_of_what_went_wrong(reply: Reply, code: str, from_call: int) -> None:
    calls = 0

    def rule(body: dict[str, Any]) -> Reply:
        nonlocal calls
        calls += 1
        return reply if calls > from_call else usual(body)

    (modelled, benchmark), store = await cycle(rule, SHORT if code == "TIMEOUT" else Deadlines())
    assert modelled.code.startswith(code), modelled.code
    assert (modelled.worth, modelled.actionable) == (None, False)
    assert benchmark.worth is not None
    assert not benchmark.actionable
    assert len(store.calls) == len(modelled.answers)


async def test_a_cycle_of_calls_that_each_take_their_time_ends_too() -> None:
    def rule(body: dict[str, Any]) -> Reply:
        return usual(body)._replace(seconds=0.5)

    (modelled, _), _ = await cycle(rule, Deadlines(call_seconds=5.0, cycle_seconds=1.2))
    assert modelled.code == "TIMEOUT"


async def test_a_cycle_without_a_fault_is_a_forecast() -> None:
    (modelled, _), _ = await cycle(usual, Deadlines())
    assert modelled.actionable, modelled.reason
    assert modelled.cost_micro_usd > 0
