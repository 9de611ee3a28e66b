"""Answers of the news role and of the cross-examination: whatever comes is read or has a code, and nothing is raised."""

import json

from hypothesis import given
from hypothesis import strategies as st

from engine.research.event_words import EVENT_KINDS
from engine.research.models import Answered, ContentBlock
from engine.research.opinions import Opinion, Stance, Verdict
from engine.research.roles import read_notes, read_revision
from tests.unit.research_desk import asked, news_row, snapshot

ASKED = asked(shown=snapshot(rows=[news_row("Profits rise"), news_row("Costs fall", minute=2)]))
SHOWN = [item.evidence_id for item in ASKED.snapshot.texts]
OWN = Opinion("AAPL", Stance.LONG, 0.58, 0.55, 5, 200, 100, "t", "a")
ANY = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                   lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12)
NOTE = st.fixed_dictionaries({
    "item": st.sampled_from([*SHOWN, "E99"]) | ANY, "kind": st.sampled_from(EVENT_KINDS) | ANY,
    "symbols": st.lists(st.sampled_from(["AAPL", "MSFT", "NONE"])) | ANY, "direction": st.sampled_from(["up", "down"]) | ANY})
REVISION = st.fixed_dictionaries({
    "p_up": st.floats() | st.sampled_from([0.58, 0.61]) | ANY, "reason": st.text() | ANY,
    "evidence": st.lists(st.sampled_from(["E1", "E2", "E99"])) | ANY})


def said(value: object) -> Answered:
    return Answered("end_turn", (ContentBlock("text", json.dumps(value)),))


@given(st.fixed_dictionaries({"notes": st.lists(NOTE, max_size=5)}) | ANY)
def test_notes_name_only_what_was_shown_and_what_is_listed(value: object) -> None:
    notes, reading = read_notes(ASKED, said(value))
    if notes is None:
        assert reading.code
        assert reading.verdict in {Verdict.RETRY, Verdict.REJECT, Verdict.ABSTAIN}
        return
    assert len({note.item for note in notes}) == len(notes)
    for note in notes:
        assert note.item in SHOWN
        assert set(note.symbols) <= {"AAPL", "MSFT"}


@given(REVISION | ANY)
def test_a_revision_is_a_probability_with_a_citation_or_none(value: object) -> None:
    revision, reading = read_revision(ASKED, OWN, said(value))
    if revision is None:
        assert reading.code
        return
    assert 0 < revision.p_up < 1
    assert revision.p_up == OWN.p_up or revision.evidence
    assert set(revision.evidence) <= {"E1", "E2"} | set(SHOWN)


@given(st.text())
def test_any_text_at_all(text: str) -> None:
    answer = Answered("end_turn", (ContentBlock("text", text),))
    read_notes(ASKED, answer)
    read_revision(ASKED, OWN, answer)
