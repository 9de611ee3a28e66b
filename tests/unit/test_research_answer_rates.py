"""How answers of models were read, as a figure of health."""

from engine.research.answer_rates import rates_of
from engine.research.decided import Decided
from engine.research.models import Answered, Ask, Unavailable
from tests.unit.research_desk import answer, asked, opinion_text, usual_answer
from tests.unit.test_research_pipeline import Bench, Say


def decided(say: Say, runs: int = 1) -> list[Decided]:
    bench = Bench(say)
    return [one for number in range(runs) for one in bench.run(asked(number))]


def again(ask: Ask) -> Answered | Unavailable:
    return answer("no object") if ask.role == "market" and "could not be used" not in ask.user else usual_answer(ask)


def by_name(decisions: list[Decided]) -> dict[str, tuple[int, int, bool]]:
    return {one.code: (one.count, one.of, one.alarm) for one in rates_of(decisions)}


def test_without_a_call_there_is_no_rate() -> None:
    assert rates_of(()) == ()


def test_answers_that_were_asked_again_are_counted_by_code() -> None:
    found = by_name(decided(again))
    assert found["asked again"] == (1, 9, False)
    assert found["NO_JSON"] == (1, 9, False)
    assert found["rejected"] == (0, 9, False)


def test_an_alarm_needs_a_hundred_calls() -> None:
    assert by_name(decided(again, 12))["asked again"] == (12, 100, True)
    assert by_name(decided(usual_answer, 13))["asked again"] == (0, 100, False)


def test_refused_answers_and_missing_ones_are_told_apart() -> None:
    refused = by_name(decided(lambda ask: answer(opinion_text(symbol="MSFT")) if ask.role == "risk" else usual_answer(ask), 34))
    assert refused["rejected"][2]
    assert refused["SYMBOL_MISMATCH"][0] == refused["rejected"][0]
    missing = by_name(decided(lambda ask: Unavailable("TIMEOUT", "late") if ask.role == "judge:1" else usual_answer(ask)))
    assert missing["unanswered"] == missing["TIMEOUT"] == (1, 8, False)


def test_repairs_are_counted_and_no_alarm() -> None:
    found = by_name(decided(lambda ask: answer(f"```json\n{opinion_text()}\n```") if ask.role == "risk" else usual_answer(ask)))
    assert found["CODE_FENCE"] == (1, 8, False)
