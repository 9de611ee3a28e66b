"""The day's money of research counts once, whatever happens between a request and the row that tells of its answer."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.research.breaker import Breaker
from engine.research.calling import LiveCaller
from engine.research.models import Answered, Ask, Unavailable, Usage
from engine.research.pipeline import run_pipeline
from engine.research.settings import Budgets, Deadlines
from engine.research.spending import Purse, cost_micro_usd
from engine.research.task import PipelineTask
from engine.research_views import Live, research_views
from store.research_archive import ARCHIVE_FILE, KeptCall, ResearchArchive
from tests.unit.research_desk import MODELS_ON, PRICES, SpeakingModel, asked, usual_answer
from tests.unit.research_runs import desk_of

PER_CALL_MICRO_USD = 1_000 * 2 + 200 * 10
CALLS = 8


class Killed(BaseException):
    """Stands for the end of the process."""


def run(archive: ResearchArchive, purse: Purse, say: Callable[[Ask], Answered | Unavailable], run_id: str = "R7") -> str:
    """One cycle; the code of the models' decision."""
    caller = LiveCaller({"one": SpeakingModel(say)}, archive, purse, Breaker(), Deadlines(), lambda: 1)
    task = PipelineTask(replace(asked(run_id=run_id), settings=MODELS_ON), caller, archive)
    return asyncio.run(run_pipeline(task))[0].code


def purse_of(archive: ResearchArchive, day: str = "20778", day_micro_usd: int = 10**9) -> Purse:
    """The purse of a process that has just begun."""
    purse = Purse(Budgets(day_micro_usd=day_micro_usd), PRICES, archive)
    purse.begin_day(day)
    return purse


def test_a_process_that_ends_within_a_cycle_forgets_none_of_its_money(tmp_path: Path) -> None:
    archive = ResearchArchive(tmp_path / ARCHIVE_FILE)

    def dying(ask: Ask) -> Answered | Unavailable:
        if ask.role == "judge:2":
            raise Killed
        return usual_answer(ask)

    purse = purse_of(archive)
    with contextlib.suppress(Killed):
        run(archive, purse, dying)
    after = purse_of(archive)
    assert after.day_micro_usd > 6 * PER_CALL_MICRO_USD, "six answers, and a seventh that may be charged"
    assert after.day_tokens > 6 * 1_200
    least = after.day_micro_usd
    assert run(archive, purse_of(archive, day_micro_usd=least), usual_answer, "R8") == "BUDGET"
    assert purse_of(archive, "20779").day_micro_usd == 0


@pytest.mark.parametrize(("budgets", "told"), [
    (Budgets(cycle_micro_usd=1), "cycle_usd ($0.0000) ends before this call: $0.0000 taken, up to $0."),
    (Budgets(day_micro_usd=1), "day_usd "), (Budgets(cycle_tokens=9), "cycle_tokens (9) ends before this call: 0 taken, up to "),
    (Budgets(day_tokens=9), "day_tokens ")])
def test_the_budget_that_ends_is_named(tmp_path: Path, budgets: Budgets, told: str) -> None:
    archive = ResearchArchive(tmp_path / ARCHIVE_FILE)
    assert run(archive, Purse(budgets, PRICES, archive), usual_answer) == "BUDGET"
    assert {one.raw.startswith(f"BUDGET: {told}") for one in archive.calls("R7")} == {True}


def test_money_is_counted_once_in_a_day_by_a_process_and_the_next(tmp_path: Path) -> None:
    archive = ResearchArchive(tmp_path / ARCHIVE_FILE)
    purse = purse_of(archive)
    assert run(archive, purse, usual_answer) == ""
    assert purse.day_micro_usd == purse.paid_micro_usd == CALLS * PER_CALL_MICRO_USD
    purse.begin_day("20778", spent_micro_usd=CALLS * PER_CALL_MICRO_USD)
    assert purse.day_micro_usd == purse_of(archive).day_micro_usd == CALLS * PER_CALL_MICRO_USD
    assert purse_of(archive).day_tokens == CALLS * 1_200
    assert purse.close_run("R7") == CALLS * PER_CALL_MICRO_USD
    assert purse.close_run("R7") == 0


def test_a_call_that_a_midnight_passes_over_gives_the_new_day_nothing_back(tmp_path: Path) -> None:
    archive = ResearchArchive(tmp_path / ARCHIVE_FILE)
    purse = purse_of(archive)

    def over_midnight(ask: Ask) -> Answered | Unavailable:
        if ask.role == "judge:1":  # another portfolio's run begins the new day while judges are asked
            purse.begin_day("20779")
        return usual_answer(ask)

    run(archive, purse, over_midnight)
    assert purse.day_micro_usd == purse.paid_micro_usd == archive.spent_on("20779")[0] >= 0
    assert purse.day_micro_usd + archive.spent_on("20778")[0] == purse.close_run("R7") == CALLS * PER_CALL_MICRO_USD


def test_a_run_that_looked_before_midnight_turns_no_day_back(tmp_path: Path) -> None:
    archive = ResearchArchive(tmp_path / ARCHIVE_FILE)
    purse = purse_of(archive, "20779")
    aside = purse.put_aside("R7", 5_000, 10)
    purse.begin_day("20778")  # another portfolio's, whose state is of then: its evidence took a while to gather
    later = purse.put_aside("R8", 7_000, 10)
    purse.begin_day("20779")
    purse.ended(aside)
    purse.ended(later)
    assert (purse.day_micro_usd, purse.paid_micro_usd) == (12_000, 12_000) == (archive.spent_on("20779")[0], 12_000)


def test_what_came_too_late_counts_for_the_run_and_what_failed_does_not(tmp_path: Path) -> None:
    archive = ResearchArchive(tmp_path / ARCHIVE_FILE)
    purse = purse_of(archive)
    assert run(archive, purse, lambda ask: Unavailable("TIMEOUT", "late")) == "TIMEOUT"
    spent = purse.paid_micro_usd
    assert spent == purse_of(archive).day_micro_usd == purse.close_run("R7") > 0
    assert run(archive, purse, lambda ask: Unavailable("OVERLOADED", "529"), "R8") == "OVERLOADED"
    assert (purse.close_run("R8"), purse.paid_micro_usd) == (0, spent)


@pytest.mark.parametrize("usage", [Usage(), Usage(tokens_in=1_000), Usage(cache_read_tokens=1_000)])
def test_a_provider_that_does_not_count_tokens_is_not_taken_for_free(tmp_path: Path, usage: Usage) -> None:
    archive = ResearchArchive(tmp_path / ARCHIVE_FILE)

    def uncounted(ask: Ask) -> Answered | Unavailable:
        answer = usual_answer(ask)
        return replace(answer, usage=usage) if isinstance(answer, Answered) else answer

    purse = purse_of(archive)
    assert run(archive, purse, uncounted) == ""
    assert purse.day_micro_usd > CALLS * 2_000 * 10, "as much as the longest answers cost"
    assert purse.day_micro_usd == sum(cost_of(one) for one in archive.calls("R7"))
    assert run(archive, purse_of(archive, day_micro_usd=purse.day_micro_usd), uncounted, "R8") == "BUDGET"


def cost_of(kept: KeptCall) -> int:
    assert isinstance(kept.answer, Answered)
    return cost_micro_usd(PRICES["model-a"], kept.answer.usage)


def test_the_money_that_is_shown_holds_what_the_journal_cannot_know_yet() -> None:
    desk = desk_of()
    state = desk.state
    (view,) = research_views(state, desk.at_ns, Live(day=str(state.day), spent_micro_usd=250_000))
    assert float(view.spent_usd) == 0.25
    (view,) = research_views(state, desk.at_ns, Live(day=str(state.day - 1), spent_micro_usd=250_000))
    assert view.spent_usd == 0
