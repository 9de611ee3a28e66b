"""Fifty cycles recorded through the real SDK against a local server, then replayed with the server gone: the same, 50 of 50."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from brokers.models.anthropic_messages import AnthropicMessages
from brokers.models.chat_completions import ChatCompletions
from engine.research.breaker import Breaker
from engine.research.calling import LiveCaller
from engine.research.models import Model
from engine.research.pipeline import run_pipeline
from engine.research.replay import replayed
from engine.research.settings import BreakerSettings, Budgets, Deadlines, ModelLine
from engine.research.snapshot import Row, RowKind
from engine.research.spending import Purse
from engine.research.task import PipelineTask
from store.research_archive import ARCHIVE_FILE, ResearchArchive
from store.research_recording import recording_of
from tests.conformance.model_server import Reply, serving
from tests.unit.research_desk import MODELS_ON, PRICES, asked, news_row, opinion_text, snapshot

CYCLES = 50
ODD = (Reply("no object"), Reply('{"schema_version": 1', "max_tokens"), Reply("I cannot.", "refusal"),
       Reply(opinion_text(symbol="MSFT")), Reply(status=400, error="invalid_request_error"))


def rule(body: dict[str, Any]) -> Reply:
    """Answers that follow from the request and differ by it, now and then one that cannot be used."""
    chance = hashlib.sha256(msgspec.json.encode(body["messages"])).digest()
    said = str(body["messages"])
    stop = "stop" if "response_format" in body else "end_turn"
    if chance[0] < 6:
        return ODD[chance[1] % len(ODD)]
    if "<untrusted" in said:
        return Reply('{"notes": []}', stop)
    p_up = round(0.5 + chance[2] / 2_000, 4)
    if "your_role" in said:
        return Reply(f'{{"p_up": {p_up}, "reason": "RSI", "evidence": ["E2"]}}', stop)
    return Reply(opinion_text("long" if chance[3] > 60 else "flat", p_up), stop)


async def recorded(archive: ResearchArchive, cycles: int) -> tuple[list[str], int]:
    """The codes of the models' decisions, and how many requests the server saw."""
    budgets = Budgets(day_micro_usd=10 ** 9, day_tokens=10 ** 9)
    lines = (ModelLine("one", model="model-a", news_model="model-n"), ModelLine("two", "chat", model="model-b"))
    settings = replace(MODELS_ON, lines=lines, budgets=budgets)
    now_ns = 1
    async with serving(rule) as server:
        models: dict[str, Model] = {"one": AnthropicMessages("one", server.address, "k"),
                                   "two": ChatCompletions("two", server.address, "k")}
        caller = LiveCaller(models, archive, Purse(budgets, PRICES), Breaker(BreakerSettings(failures=10 ** 6)), Deadlines(),
                            lambda: now_ns)
        codes = []
        for number in range(1, cycles + 1):
            other = Row(kind=RowKind.MACRO, event_time_ns=1, known_at_ns=1, source="engine", facts={"number": float(number)})
            what = asked(number, snapshot(rows=[other, news_row(f"Item {number}")]), settings, run_id=f"R{number}")
            decided = await run_pipeline(PipelineTask(what, caller, archive))
            codes.append(decided[0].code)
        await caller.close()
    return codes, len(server.requests)


@pytest.mark.slow
async def test_fifty_cycles_are_replayed_to_the_same_digests_with_nobody_to_ask(tmp_path: Path) -> None:
    archive = ResearchArchive(tmp_path / ARCHIVE_FILE)
    codes, requests = await recorded(archive, CYCLES)
    assert codes.count("") > 20
    assert len(set(codes)) > 2
    assert requests > 8 * CYCLES
    same = 0
    for run_id in archive.runs():
        recording = recording_of(archive, run_id)
        for one in recording.asked:
            found = await replayed(one.body, one.digest, recording)
            assert found.misses == 0
            same += found.is_same
    assert (same, len(archive.runs())) == (CYCLES, CYCLES)


def test_the_record_holds_no_key(tmp_path: Path) -> None:
    archive = ResearchArchive(tmp_path / ARCHIVE_FILE)

    async def once() -> None:
        async with serving(rule) as server:
            model = AnthropicMessages("one", server.address, "sk-planted-key")
            caller = LiveCaller({"one": model}, archive, Purse(Budgets(), PRICES), Breaker(), Deadlines(), lambda: 1)
            await run_pipeline(PipelineTask(asked(settings=MODELS_ON), caller, archive))
            await caller.close()

    asyncio.run(once())
    archive.close()
    assert not any(b"sk-planted-key" in path.read_bytes() for path in tmp_path.iterdir())
