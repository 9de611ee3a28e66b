"""The pipeline with models that say what they are told: roles, cross-examination, judges, bounds, abstention, replay."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest
from msgspec.structs import replace

from engine.research.breaker import Breaker
from engine.research.calling import LiveCaller, RecordedCaller
from engine.research.decided import Cell, Decided
from engine.research.deciding import digest_of
from engine.research.event_words import Direction, EventKind
from engine.research.events import NoteReading
from engine.research.models import Answered, Ask, Unavailable
from engine.research.opinions import Stance
from engine.research.pipeline import run_pipeline
from engine.research.recalibration import CellMap, Series, parent_of
from engine.research.settings import BreakerSettings, Budgets, Deadlines, ModelLine
from engine.research.spending import Purse
from engine.research.task import Asked, PipelineTask
from engine.research_words import RoleProgress
from tests.unit.research_desk import (
    AS_OF_NS,
    MODELS_ON,
    PRICES,
    SpeakingModel,
    StoreInMemory,
    answer,
    asked,
    news_row,
    opinion_text,
    snapshot,
    usual_answer,
)

type Say = Callable[[Ask], Answered | Unavailable]
NEWS = '{"notes": [{"item": "%s", "kind": "earnings", "symbols": ["AAPL"], "direction": "up"}]}'


class Bench:
    """A run's surroundings, with a clock that stands unless it is moved."""

    def __init__(self, say: Say = usual_answer, budgets: Budgets = Budgets(), lines: tuple[ModelLine, ...] = ()) -> None:  # noqa: B008
        self.settings = replace(MODELS_ON, lines=lines or MODELS_ON.lines, budgets=budgets)
        self.store = StoreInMemory()
        self.model = SpeakingModel(say)
        self.now_ns = 1
        self.purse = Purse(budgets, PRICES)
        self.breaker = Breaker(BreakerSettings())
        self.caller = LiveCaller({line.name: self.model for line in self.settings.lines}, self.store, self.purse, self.breaker,
                                 Deadlines(), lambda: self.now_ns)
        self.told: list[RoleProgress] = []
        self.noted: list[NoteReading] = []

    def run(self, what: Asked | None = None) -> tuple[Decided, ...]:
        given = what or asked(settings=self.settings)
        return asyncio.run(run_pipeline(PipelineTask(replace(given, settings=self.settings), self.caller, self.store,
                                                     self.told.append, self.noted.extend)))


def saying(**texts: str) -> Say:
    """The usual answers, but for some roles."""
    def say(ask: Ask) -> Answered | Unavailable:
        role = ask.role.partition(":")[0]
        return answer(texts[role]) if role in texts else usual_answer(ask)
    return say


def test_roles_then_cross_examination_then_judges_come_to_a_decision() -> None:
    bench = Bench()
    modelled, rule = bench.run()
    assert sorted(bench.model.asked[:3]) == ["market", "risk", "strategy"]
    assert sorted(bench.model.asked[3:5]) == ["cross:market", "cross:strategy"]
    assert sorted(bench.model.asked[5:]) == ["judge:1", "judge:2", "judge:3"]
    assert (modelled.analyst, modelled.decision_id, modelled.stance) == ("llm/model-a", "R7-1", Stance.LONG)
    assert modelled.actionable, modelled.reason
    assert modelled.worth is not None
    assert modelled.worth.p_raw == (0.58, 0.58, 0.58)
    assert modelled.cost_micro_usd == 8 * (1_000 * 2 + 200 * 10)
    assert modelled.latency_ms == 120  # three stages of 40
    assert [one.role for one in modelled.answers][-3:] == ["judge:1", "judge:2", "judge:3"]
    assert (rule.analyst, rule.actionable) == ("rule/1", False)
    assert rule.worth is not None
    assert {one.state for one in bench.told} == {"waiting", "asking", "answered"}


def test_roles_are_blind_and_see_no_word_from_outside() -> None:
    shown = snapshot(rows=[news_row("Marker words about profits")])
    bench = Bench(saying(news='{"notes": []}'))
    bench.run(asked(shown=shown))
    by_role = {ask.role: ask for ask in bench.store.asks}
    assert "Marker words" in by_role["news"].user
    assert all("Marker words" not in "".join((*ask.system, ask.user)) for role, ask in by_role.items() if role != "news")
    assert all("OPINIONS" not in by_role[role].user for role in ("market", "strategy", "risk"))
    assert "other_opinions" in by_role["cross:market"].user


def test_without_texts_nobody_reads_news() -> None:
    bench = Bench()
    bench.run()
    assert "news" not in bench.model.asked


def test_the_stable_part_of_a_prompt_is_the_same_for_every_symbol_and_moment() -> None:
    first, second = Bench(), Bench()
    first.run()
    second.run(asked(number=2, shown=snapshot("MSFT"), run_id="R8"))
    assert {ask.role: ask.system for ask in first.store.asks if ask.role in ("market", "risk")} \
        == {ask.role: ask.system for ask in second.store.asks if ask.role in ("market", "risk")}


def test_an_unclear_answer_is_asked_again_once_with_what_was_wrong() -> None:
    def say(ask: Ask) -> Answered | Unavailable:
        if ask.role == "market" and "could not be used" not in ask.user:
            return answer("no object at all")
        return usual_answer(ask)
    bench = Bench(say)
    modelled, _ = bench.run()
    assert bench.model.asked.count("market") == 2
    assert modelled.actionable, modelled.reason
    assert [one.code == "" for one in modelled.answers if one.role == "market"] == [False, True]


def test_a_second_unclear_answer_is_an_abstention_and_nothing_is_voted_on() -> None:
    bench = Bench(saying(judge="still no object"))
    modelled, rule = bench.run()
    assert bench.model.asked.count("judge:1") == 2
    assert modelled.worth is None
    assert modelled.code
    assert not modelled.rejected
    assert not modelled.actionable
    assert not rule.actionable


def test_an_answer_that_cannot_be_meant_is_rejected_and_not_asked_again() -> None:
    bench = Bench(saying(strategy=opinion_text(symbol="MSFT")))
    modelled, _ = bench.run()
    assert bench.model.asked.count("strategy") == 1
    assert modelled.rejected
    assert modelled.worth is None


@pytest.mark.parametrize("code", ["TIMEOUT", "RATE_LIMITED", "OVERLOADED", "SERVER_ERROR", "UNREACHABLE", "MALFORMED", "BAD_KEY"])
@pytest.mark.parametrize("role", ["market", "cross:strategy", "judge:2"])
def test_a_call_without_an_answer_ends_it_with_its_code(code: str, role: str) -> None:
    bench = Bench(lambda ask: Unavailable(code, "it failed") if ask.role == role else usual_answer(ask))
    modelled, rule = bench.run()
    assert (modelled.code, modelled.worth, modelled.actionable) == (code, None, False)
    assert not rule.actionable
    assert len(modelled.answers) == len(bench.store.calls)


def test_a_model_that_raises_is_an_answer_that_did_not_come() -> None:
    def say(ask: Ask) -> Answered | Unavailable:
        raise RuntimeError("boom")
    assert Bench(say).run()[0].code == "MALFORMED"


def test_the_risk_role_takes_away_and_never_adds() -> None:
    usual = Bench().run()[0].worth
    assert usual is not None
    vetoed = Bench(saying(risk=opinion_text("flat", 0.5))).run()[0]
    assert (vetoed.stance, vetoed.actionable) == (Stance.FLAT, False)
    assert "vetoes" in vetoed.reason
    lowered = Bench(saying(risk=opinion_text(p_win=0.45))).run()[0].worth
    raised = Bench(saying(risk=opinion_text(p_up=0.9, p_win=0.95))).run()[0].worth
    assert lowered is not None
    assert raised is not None
    assert lowered.ev_bps < usual.ev_bps
    assert any("risk role" in clamp for clamp in lowered.clamps)
    assert (raised.p_agg, raised.p_win_agg, raised.risk_bps) == (usual.p_agg, usual.p_win_agg, usual.risk_bps)


def test_one_source_of_news_moves_little_and_crosses_no_threshold() -> None:
    shown = snapshot(rows=[news_row("Profits rise")])
    item = shown.texts[0].evidence_id
    flat = opinion_text("long", 0.505, 0.5)
    bench = Bench(saying(market=flat, strategy=flat, risk=flat, cross='{"p_up": 0.505, "reason": "", "evidence": []}',
                         news=NEWS % item, judge=opinion_text("long", 0.95, 0.95)))
    modelled, _ = bench.run(replace(asked(shown=shown), aggressiveness=1))
    assert modelled.single_source
    assert not modelled.actionable
    assert modelled.worth is not None
    assert modelled.worth.p_agg < 0.55
    assert modelled.worth.p_raw == (0.95, 0.95, 0.95)
    assert any(clamp.startswith("news") for clamp in modelled.worth.clamps)
    assert modelled.event_tags == ("earnings",)


def test_a_note_about_an_item_that_was_not_shown_is_not_heeded_and_flagged() -> None:
    bench = Bench(saying(news=NEWS % "E99"))
    modelled, _ = bench.run(asked(shown=snapshot(rows=[news_row("Profits rise")])))
    assert (modelled.code, modelled.actionable) == ("", True)
    assert modelled.flags == ("news: UNKNOWN_EVIDENCE",)
    assert [one.code for one in modelled.answers if one.role == "news"] == ["UNKNOWN_EVIDENCE"]


def test_a_news_role_that_cannot_be_heard_ends_the_vote_like_any_other() -> None:
    bench = Bench(lambda ask: Unavailable("OVERLOADED", "busy") if ask.role == "news" else usual_answer(ask))
    modelled, _ = bench.run(asked(shown=snapshot(rows=[news_row("Profits rise")])))
    assert (modelled.code, modelled.worth, modelled.actionable) == ("OVERLOADED", None, False)


def test_a_revision_without_a_citation_is_none() -> None:
    bench = Bench(saying(cross='{"p_up": 0.9, "reason": "the others say so", "evidence": []}'))
    modelled, _ = bench.run()
    crossed = [one for one in modelled.answers if one.role.startswith("cross")]
    assert [one.p_up for one in crossed] == [0.58, 0.58]
    assert all(one.repairs == ("UNCITED_REVISION",) for one in crossed)


@pytest.mark.parametrize(("role", "text"), [
    ("market", opinion_text(evidence=["E1", "E3"], claims=[])),
    ("cross", '{"p_up": 0.6, "reason": "The item.", "evidence": ["E3"]}')])
def test_who_is_blind_to_news_cannot_cite_it(role: str, text: str) -> None:
    bench = Bench(saying(**{role: text}))
    modelled, _ = bench.run(asked(shown=snapshot(rows=[news_row("Profits rise")])))
    assert (modelled.code, modelled.rejected) == ("UNKNOWN_EVIDENCE", True)
    seen = Bench(saying(judge=opinion_text(evidence=["E1", "E3"], claims=[])))
    assert seen.run(asked(shown=snapshot(rows=[news_row("Profits rise")])))[0].code == "", "judges are told that it is there"


def test_without_consensus_it_is_flat_and_still_scored() -> None:
    def say(ask: Ask) -> Answered | Unavailable:
        if ask.role == "judge:1":
            return answer(opinion_text("short", 0.3))
        return answer(opinion_text("flat", 0.5)) if ask.role == "judge:2" else usual_answer(ask)
    modelled, _ = Bench(say).run()
    assert (modelled.stance, modelled.actionable) == (Stance.FLAT, False)
    assert modelled.worth is not None
    assert "no consensus" in modelled.reason


def test_a_second_line_gives_judges_of_its_own() -> None:
    bench = Bench(lines=(ModelLine("one", model="model-a"), ModelLine("two", model="model-b")))
    modelled, _ = bench.run()
    assert modelled.analyst == "llm/model-a+llm/model-b"
    assert [one.analyst for one in modelled.answers if one.role.startswith("judge")] == ["llm/model-a"] * 3 + ["llm/model-b"] * 3


# ---- budget, breaker, deadline -------------------------------------------------------------------------------------------


def test_a_budget_that_ends_within_the_cycle_is_an_abstention() -> None:
    bench = Bench(budgets=Budgets(cycle_micro_usd=40_000))
    modelled, _ = bench.run()
    assert (modelled.code, modelled.worth) == ("BUDGET", None)
    assert bench.purse.day_micro_usd <= 40_000


def test_a_day_never_costs_more_than_it_may() -> None:
    bench = Bench(budgets=Budgets(day_micro_usd=100_000))
    bench.purse.begin_day("2026-11-20")
    codes = [bench.run(asked(number=number))[0].code for number in range(1, 8)]
    assert bench.purse.day_micro_usd <= 100_000
    assert codes[0] == ""
    assert codes[-1] == "BUDGET"
    bench.purse.begin_day("2026-11-21")
    assert bench.run(asked(number=9))[0].code == ""


def test_what_the_journal_knows_to_be_spent_counts() -> None:
    bench = Bench(budgets=Budgets(day_micro_usd=100_000))
    bench.purse.begin_day("2026-11-20", spent_micro_usd=99_000)
    assert bench.run()[0].code == "BUDGET"


def test_after_several_failures_the_rules_answer_for_a_while() -> None:
    bench = Bench(lambda ask: Unavailable("OVERLOADED", "529"))
    bench.run()
    assert bench.breaker.is_open(bench.now_ns)
    asked_before = len(bench.model.asked)
    modelled, rule = bench.run(asked(number=2))
    assert len(bench.model.asked) == asked_before
    assert modelled.code == "BREAKER"
    assert rule.actionable
    bench.now_ns = bench.breaker.open_until_ns
    bench.model.say = usual_answer
    assert bench.run(asked(number=3))[0].code == ""


def test_failures_far_apart_open_nothing() -> None:
    breaker = Breaker(BreakerSettings(3, 300.0, 600.0))
    for minute in (0, 4, 8, 12):
        breaker.heard("TIMEOUT", minute * 60 * 10 ** 9)
    assert not breaker.is_open(12 * 60 * 10 ** 9)
    breaker.heard("BUDGET", 12 * 60 * 10 ** 9)
    assert not breaker.is_open(12 * 60 * 10 ** 9)
    breaker.heard("TIMEOUT", 13 * 60 * 10 ** 9)
    assert breaker.is_open(13 * 60 * 10 ** 9)
    assert not breaker.is_open(23 * 60 * 10 ** 9)


def test_a_cycle_that_takes_too_long_abstains() -> None:
    def say(ask: Ask) -> Answered | Unavailable:
        bench.now_ns += 15 * 10 ** 9
        return usual_answer(ask)
    bench = Bench(say)
    modelled, _ = bench.run()
    assert (modelled.code, modelled.worth) == ("TIMEOUT", None)


def test_without_a_key_the_rule_acts() -> None:
    bench = Bench()
    bench.caller.models = {}
    modelled, rule = bench.run()
    assert modelled.code == "NO_KEY"
    assert rule.actionable
    assert bench.model.asked == []


def test_no_more_than_four_calls_are_under_way_at_once() -> None:
    under_way = most = 0

    class Counting(SpeakingModel):
        async def ask(self, ask: Ask, heard: Callable[[int], None] | None = None) -> Answered | Unavailable:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            under_way -= 1
            return usual_answer(ask)

    bench = Bench(lines=tuple(ModelLine(name, model="model-a") for name in ("one", "two", "three")))
    bench.caller.models = dict.fromkeys(("one", "two", "three"), Counting())
    assert bench.run()[0].code == ""
    assert most == 4


# ---- replay --------------------------------------------------------------------------------------------------------------


def test_a_recorded_run_comes_to_the_same_without_a_model() -> None:
    bench = Bench()
    decided = bench.run()
    again = msgspec.json.decode(bench.store.asked["R7", "AAPL@paper"], type=Asked)
    replayed = asyncio.run(run_pipeline(PipelineTask(again, RecordedCaller(bench.store), StoreInMemory())))
    assert replayed == decided
    assert digest_of(replayed) == bench.store.digests["R7", "AAPL@paper"]


def test_a_call_that_was_not_recorded_is_an_error_and_never_made() -> None:
    bench = Bench()
    bench.run()
    again = msgspec.json.decode(bench.store.asked["R7", "AAPL@paper"], type=Asked)
    other = replace(again, horizon_days=6)
    modelled, _ = asyncio.run(run_pipeline(PipelineTask(other, RecordedCaller(bench.store), StoreInMemory())))
    assert (modelled.code, modelled.actionable) == ("NOT_RECORDED", False)


# ---- what keeps forecasts apart --------------------------------------------------------------------------------------------


def test_a_forecast_from_before_the_end_of_training_is_called_contaminated() -> None:
    late = replace(MODELS_ON.lines[0], trained_until_ns=AS_OF_NS + 1)
    modelled, rule = Bench(lines=(late,)).run()
    assert modelled.analyst == "llm/model-a (contaminated)"
    assert rule.analyst == "rule/1"
    assert Bench(lines=(replace(late, trained_until_ns=AS_OF_NS),)).run()[0].analyst == "llm/model-a"


def test_scores_that_are_kept_apart_are_no_prior_for_others() -> None:
    def learned(analyst: str) -> CellMap:
        return CellMap(Cell(analyst, "p1", "2-5", "equity"), up=Series(n=300, base_rate=0.9), last_at_ns=1)

    cell = Cell("llm/model-b", "p1", "2-5", "equity")
    assert parent_of(cell, [learned("llm/model-a (contaminated)"), learned("rule/1")]) is None
    assert parent_of(cell, [learned("llm/model-a")]) is not None


@pytest.mark.parametrize("masked", [False, True])
def test_what_the_news_role_reads_is_told_by_the_names_of_note_model_and_instrument(masked: bool) -> None:
    name = "ASSET" if masked else "AAPL"
    told = f'{{"item": "E3", "kind": "earnings", "symbols": ["{name}", "OTHER"], "direction": "up"}}'
    bench = Bench(saying(news=f'{{"notes": [{told}]}}'))
    bench.settings = replace(bench.settings, masked=masked)
    bench.run(asked(shown=snapshot(rows=[replace(news_row("Profits rise"), facts={"note": "n1"})])))
    analyst = "llm/model-n (masked)" if masked else "llm/model-n"
    assert bench.noted == [NoteReading("n1", analyst, EventKind.EARNINGS, ("AAPL",), Direction.UP)]


def test_a_text_that_is_marked_is_read_by_nobody_and_nonsense_is_not_told() -> None:
    bench = Bench(saying(news=NEWS % "E3"))
    marked = replace(news_row("Profits rise"), facts={"note": "n1"}, flags=("direct_override",))
    bench.run(asked(shown=snapshot(rows=[marked])))
    assert bench.noted == []
    other = Bench(saying(news='{"notes": [{"item": "E3", "kind": "miracle", "symbols": [], "direction": "up"}]}'))
    other.run(asked(shown=snapshot(rows=[replace(news_row("Profits rise"), facts={"note": "n1"})])))
    assert other.noted == []


def test_masked_models_see_neither_ticker_nor_date_and_decide_on_the_same_instrument() -> None:
    bench = Bench(lambda ask: answer(opinion_text(symbol="ASSET")) if ask.role.partition(":")[0] in {
        "market", "strategy", "risk", "judge"} else usual_answer(ask))
    bench.settings = replace(bench.settings, masked=True)
    modelled, rule = bench.run(asked(shown=snapshot(rows=[news_row("AAPL rises on 2024-10-03")])))
    for ask in bench.store.asks:
        assert "AAPL" not in ask.user
        assert "2024" not in ask.user
    assert (modelled.analyst, modelled.symbol, modelled.portfolio) == ("llm/model-a (masked)", "AAPL", "main")
    assert modelled.actionable, modelled.reason
    assert bench.store.snapshots.keys() == {modelled.snapshot_id, rule.snapshot_id}
    assert modelled.snapshot_id != rule.snapshot_id
