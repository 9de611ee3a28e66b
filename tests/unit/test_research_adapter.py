"""Raw answers, read: every vector as expected, every check needed, nothing that raises."""

import inspect
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from engine.research import adapter, answer_fields, answer_json
from engine.research.adapter import STEPS, read_answer, read_object
from engine.research.models import Answered, ContentBlock
from engine.research.opinions import Opinion, Reading, Verdict
from engine.research.schema import CLAIM_FIELDS, FIELDS, opinion_schema
from tests.unit.research_answers import Case, case_of, cases, context_of, document

CASES = cases()


def named(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_answer_is_read_as_expected(case: Case) -> None:
    reading = read_answer(case.answer, case.context)
    assert (reading.verdict, reading.code, reading.repairs) == (case.verdict, case.code, case.repairs)
    is_taken = case.verdict in {"accept", "accept_repaired"}
    assert (reading.opinion is not None) == is_taken
    assert bool(reading.message) != is_taken
    told: dict[str, Any] = json.loads(json.dumps(as_fields(reading.opinion))) if reading.opinion else {}
    assert {name: told[name] for name in case.opinion} == case.opinion


def as_fields(opinion: Opinion) -> dict[str, Any]:
    return {name: getattr(opinion, name) for name in opinion.__struct_fields__ if name != "claims"}


def test_names_of_cases_are_unlike() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 150


# ---- no check is idle ------------------------------------------------------------------------------------------------


def outcome(case: Case, steps: tuple[Callable[..., Any], ...]) -> Reading | str:
    try:
        return read_answer(case.answer, case.context, steps)
    except Exception as fault:  # without the check before it, a later one may well fail
        return type(fault).__name__


@pytest.mark.parametrize("left_out", STEPS, ids=lambda step: step.__name__)
def test_every_check_is_needed(left_out: Callable[..., Any]) -> None:
    rest = tuple(step for step in STEPS if step is not left_out)
    assert len(rest) == len(STEPS) - 1
    assert any(outcome(case, rest) != read_answer(case.answer, case.context) for case in CASES)


def test_there_are_as_many_checks_as_the_module_names() -> None:
    assert len(STEPS) == len({step.__name__ for step in STEPS}) >= 50


def test_every_code_of_the_source_is_seen() -> None:
    """A fault that no vector provokes would be untested, whatever the table says."""
    seen = {case.code.split(":")[0] for case in CASES} | {repair for case in CASES for repair in case.repairs}
    source = "".join(inspect.getsource(module) for module in (adapter, answer_fields, answer_json))
    codes = set(re.findall(r'(?:retry|reject|repaired|_Unacceptable|ABSTAIN,)\(?\s*f?"([A-Z_]+)', source))
    assert len(codes) >= 45
    assert codes <= seen


# ---- what the policy means -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [56, "56%", 0.56, "0.56"])
def test_one_probability_in_four_spellings(value: object) -> None:
    reading = read_answer(case_of({"name": "", "edit": {"p_up": value}, "expect": ["", "", []]}).answer, context_of())
    assert reading.opinion is not None
    assert reading.opinion.p_up == 0.56


def test_a_message_carries_nothing_of_the_answer_that_acts() -> None:
    nasty = "\x1b]0;title\x07\u202e" + "go " * 200
    reading = read_answer(case_of({"name": "", "edit": {"stance": nasty}, "expect": ["", "", []]}).answer, context_of())
    assert reading.code == "UNKNOWN_ENUM:stance"
    assert reading.message.isprintable()
    assert len(reading.message) < 120


def test_a_code_carries_nothing_of_the_answer_that_acts() -> None:
    reading = read_answer(Answered("\x1b[2J" + "x" * 500, (ContentBlock("text", "{}"),)), context_of())
    assert reading.code.isprintable()
    assert len(reading.code) < 60


def test_what_is_rejected_is_not_asked_again() -> None:
    """Impossible values teach the model to fit the check; unclear ones are worth one more question."""
    rejected = {case.code.split(":")[0] for case in CASES if case.verdict == "reject"}
    asked_again = {case.code.split(":")[0] for case in CASES if case.verdict == "retry"}
    assert rejected == {
        "UNEXPECTED_TOOL_USE", "CONTROL_KEY", "SYMBOL_NOT_ALLOWED", "SYMBOL_MISMATCH", "NO_POSITION", "NOT_SHORTABLE",
        "BARRIER_SIDE", "STOP_TOO_TIGHT", "TARGET_TOO_FAR", "STOP_TOO_FAR", "BELOW_ZERO", "ATR_UNKNOWN", "UNKNOWN_EVIDENCE",
        "CLAIM_UNKNOWN", "CLAIM_MISMATCH"}
    assert not rejected & asked_again


@pytest.mark.parametrize(("value", "is_true"), [(59.1, True), (59.39, True), (59.4, False), (58.81, True), (58.79, False)])
def test_a_claim_is_true_within_half_a_percent(value: float, *, is_true: bool) -> None:
    claim = {"evidence_id": "E2", "field": "rsi14", "value": value}
    reading = read_answer(case_of({"name": "", "edit": {"claims": [claim]}, "expect": ["", "", []]}).answer, context_of())
    assert (reading.verdict is Verdict.ACCEPT) == is_true


@pytest.mark.parametrize(("stop_bps", "code"), [(44, "STOP_TOO_TIGHT"), (45, ""), (2414, ""), (2415, "STOP_TOO_FAR")])
def test_levels_are_held_against_the_average_true_range(stop_bps: int, code: str) -> None:
    # 3.6 of 200 is 180 bps: a quarter is 45, six times the root of five days 2414.95
    reading = read_answer(case_of({"name": "", "edit": {"stop_bps": stop_bps}, "expect": ["", "", []]}).answer, context_of())
    assert reading.code == code


# ---- another schema, the same rules ----------------------------------------------------------------------------------


def test_an_object_of_another_schema_is_read_by_the_same_rules() -> None:
    told, reading = read_object(Answered("end_turn", (ContentBlock("text", '```json\n{"p_up": 0.5}\n```'),)))
    assert told == {"p_up": 0.5}
    assert reading.repairs == ("CODE_FENCE",)


@pytest.mark.parametrize("name", ["refusal", "calls a tool", "a key twice", "oversize", "list of two"])
def test_what_is_no_object_is_none_there_too(name: str) -> None:
    case = named(name)
    told, reading = read_object(case.answer)
    assert told is None
    assert (reading.verdict, reading.code) == (case.verdict, case.code)


# ---- the schema ------------------------------------------------------------------------------------------------------


def objects_of(schema: dict[str, Any]) -> list[dict[str, Any]]:
    nested = [schema.get("items", {}), *schema.get("properties", {}).values(), *schema.get("anyOf", [])]
    return ([schema] if schema.get("type") == "object" else []) + [found for part in nested if part for found in objects_of(part)]


def keywords_of(schema: dict[str, Any]) -> set[str]:
    nested = [schema.get("items", {}), *schema.get("properties", {}).values(), *schema.get("anyOf", [])]
    return set(schema) | {word for part in nested if part for word in keywords_of(part)}


def test_every_field_is_required_and_no_other_is_allowed() -> None:
    for found in objects_of(opinion_schema()):
        assert found["required"] == list(found["properties"])
        assert found["additionalProperties"] is False
        assert found["properties"]  # an open map would allow no key at all


def test_the_schema_keeps_to_what_the_interface_understands() -> None:
    assert keywords_of(opinion_schema()) <= {"type", "properties", "required", "additionalProperties", "enum", "anyOf", "items",
                                             "description"}


def test_the_schema_names_the_fields_that_are_read() -> None:
    top, claim = objects_of(opinion_schema())
    assert tuple(top["properties"]) == FIELDS
    assert tuple(claim["properties"]) == CLAIM_FIELDS
    assert set(document()["base"]) <= set(FIELDS)


def test_no_field_of_the_schema_orders_or_sizes() -> None:
    assert not set(FIELDS) & (answer_fields.CONTROL | answer_fields.SIZING)
