"""The roles: what each is shown, the schema that it answers by, and how its answer is read."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from engine.research.adapter import AnswerContext, Listed, read_answer, read_object
from engine.research.canonical import canonical
from engine.research.event_words import EVENT_KINDS, Direction, EventKind
from engine.research.models import Answered, Ask
from engine.research.opinions import Opinion, Reading, Stance, Verdict
from engine.research.prompts import COMMON, CROSS, NEWS, OPINION, ROLE_TEXTS
from engine.research.schema import MOST_EVIDENCE, closed_object, opinion_schema
from engine.research.settings import ModelLine
from engine.research.task import Asked
from engine.research.untrusted import clean, delimiter_of, fence

ROLES = ("market", "strategy", "risk")
CROSSED = ("market", "strategy")
NEWS_ROLE = "news"
MOST_REASON = 300
DIRECTIONS = tuple(one.value for one in Direction)


class NewsNote(NamedTuple):
    """An event that the news role found in one item: typed words alone, none of the item's own."""

    item: str
    kind: EventKind
    symbols: tuple[str, ...]
    direction: Direction


class Revision(NamedTuple):
    """A role's probability after the cross-examination, and what it cited for a change."""

    p_up: float
    reason: str = ""
    evidence: tuple[str, ...] = ()


# ---- what is asked -------------------------------------------------------------------------------------------------------


def role_ask(asked: Asked, line: ModelLine, role: str) -> Ask:
    """The question to one of the blind roles: the snapshot without anything that came from news. So what they say tells how far
    news moved the judges."""
    return _ask(asked, line, role, (COMMON, OPINION, ROLE_TEXTS[role]), _question(asked, asked.snapshot.blind_body),
                opinion_schema())


def news_ask(asked: Asked, line: ModelLine) -> Ask:
    """The question to the one role that reads texts from outside, between two lines that none of them can write."""
    told = f"Listed symbols: {', '.join(sorted(asked.symbols))}\n"
    return _ask(asked, line, NEWS_ROLE, (NEWS,), told + fence(asked.snapshot.texts, delimiter_of(asked.salt, NEWS_ROLE)),
                news_schema())


def cross_ask(asked: Asked, line: ModelLine, role: str, opinions: Mapping[str, Opinion]) -> Ask:
    """The question of the cross-examination: the own opinion beside those of the others."""
    others = {name: _told(one) for name, one in opinions.items() if name != role}
    told = canonical({"your_role": role, "your_opinion": _told(opinions[role]), "other_opinions": others}).decode()
    return _ask(asked, line, f"cross:{role}", (COMMON, CROSS), f"{_question(asked, asked.snapshot.blind_body)}\nOPINIONS\n{told}",
                cross_schema())


def judge_ask(asked: Asked, line: ModelLine, number: int, opinions: Mapping[str, Opinion], revisions: Mapping[str, Revision],
              notes: Sequence[NewsNote]) -> Ask:
    """The question to a judge: the snapshot with what was typed from news, none of its words. `number` tells samples apart in
    the record; the text of all is the same."""
    told = {name: _told(one) | ({"revised_p_up": revisions[name].p_up, "reason": revisions[name].reason}
                                if name in revisions else {}) for name, one in opinions.items()}
    noted = [{"evidence_id": note.item, "kind": note.kind, "symbols": note.symbols, "direction": note.direction}
             for note in notes]
    said = canonical({"opinions": told, "event_notes": noted}).decode()
    return _ask(asked, line, f"judge:{number}", (COMMON, OPINION, ROLE_TEXTS["judge"]),
                f"{_question(asked, asked.snapshot.trusted_body)}\nOPINIONS\n{said}", opinion_schema())


def _ask(asked: Asked, line: ModelLine, role: str, system: tuple[str, ...], user: str, schema: dict[str, Any]) -> Ask:
    return Ask(role, line.model_of(role), system, user, schema, asked.settings.answer_tokens,
               asked.settings.deadlines.call_seconds, line.effort)


def _question(asked: Asked, body: bytes) -> str:
    return f"Asked: {asked.symbol}, over {asked.horizon_days} trading days.\nSNAPSHOT\n{body.decode()}"


def _told(opinion: Opinion) -> dict[str, object]:
    """An opinion as another role is shown it; its words were cleaned when they were read."""
    return {"stance": opinion.stance, "p_up": opinion.p_up, "p_win": opinion.p_win, "horizon_days": opinion.horizon_days,
            "target_bps": opinion.target_bps, "stop_bps": opinion.stop_bps, "thesis": opinion.thesis, "against": opinion.against,
            "evidence": opinion.evidence}


# ---- by which schema it is answered --------------------------------------------------------------------------------------


def news_schema() -> dict[str, Any]:
    """Notes of events: an item, a kind, symbols, a direction; no number and no prose."""
    note = closed_object({
        "item": {"type": "string", "description": "the id of the item"},
        "kind": {"type": "string", "enum": list(EVENT_KINDS)},
        "symbols": {"type": "array", "items": {"type": "string"}, "description": "listed symbols that it concerns"},
        "direction": {"type": "string", "enum": list(DIRECTIONS)},
    })
    return closed_object({"notes": {"type": "array", "items": note, "description": "at most one note for an item"}})


def cross_schema() -> dict[str, Any]:
    """A probability, and why it changed."""
    return closed_object({
        "p_up": {"type": "number", "description": "above 0 and below 1"},
        "reason": {"type": "string", "description": f"at most {MOST_REASON} characters"},
        "evidence": {"type": "array", "items": {"type": "string"},
                     "description": f"evidence ids of the snapshot, at most {MOST_EVIDENCE}; empty without a change"},
    })


# ---- how it is read ------------------------------------------------------------------------------------------------------


def context_of(asked: Asked, *, is_blind: bool = False) -> AnswerContext:
    """What an answer about the asked instrument is held against; of whoever is blind to news, without what came from it."""
    mark = float(asked.snapshot.mark.price)
    listed = Listed(mark, mark * asked.atr_bps / 10_000 if asked.atr_bps else None, asked.shortable)
    return AnswerContext(asked.symbol, dict.fromkeys((asked.symbol, *asked.symbols), listed), {asked.symbol: asked.held},
                         asked.snapshot.blind_evidence if is_blind else asked.snapshot.evidence)


def read_opinion(asked: Asked, answer: Answered, *, is_blind: bool = False) -> tuple[Opinion | None, Reading]:
    """An opinion, by every check of the adapter: what it cites was shown to whoever gave it."""
    reading = read_answer(answer, context_of(asked, is_blind=is_blind))
    return reading.opinion, reading


def read_notes(asked: Asked, answer: Answered) -> tuple[tuple[NewsNote, ...] | None, Reading]:
    """The notes of the news role. A note about an item that was not shown, or of a kind that does not exist, spoils the answer; a
    symbol that is not listed falls away, with a code."""
    found, reading = read_object(answer)
    if found is None:
        return None, reading
    rows = found.get("notes")
    if set(found) != {"notes"} or not isinstance(rows, list):
        return None, _again("SCHEMA", "the one field is notes, a list")
    shown = {item.evidence_id for item in asked.snapshot.texts}
    notes: dict[str, NewsNote] = {}
    dropped = False
    for row in rows:
        note = _note(row)
        if note is None:
            return None, _again("SCHEMA", "a note has item, kind, symbols and direction, by the lists of the schema")
        if note.item not in shown:
            return None, Reading(Verdict.REJECT, "UNKNOWN_EVIDENCE", reading.repairs)
        known = tuple(symbol for symbol in note.symbols if symbol in asked.symbols or symbol == asked.symbol)
        dropped = dropped or known != note.symbols
        notes.setdefault(note.item, note._replace(symbols=known))
    repairs = (*reading.repairs, "UNLISTED_SYMBOL") if dropped else reading.repairs
    return tuple(notes.values()), Reading(Verdict.ACCEPT_REPAIRED if repairs else Verdict.ACCEPT, "", repairs)


def _note(row: object) -> NewsNote | None:
    if not isinstance(row, Mapping) or set(row) != {"item", "kind", "symbols", "direction"}:
        return None
    item, kind, symbols, direction = row["item"], row["kind"], row["symbols"], row["direction"]
    if not isinstance(item, str) or kind not in EVENT_KINDS or direction not in DIRECTIONS:
        return None
    if not isinstance(symbols, list) or not all(isinstance(one, str) for one in symbols):
        return None
    return NewsNote(item, EventKind(kind), tuple(symbols), Direction(direction))


def read_revision(asked: Asked, own: Opinion, answer: Answered) -> tuple[Revision | None, Reading]:
    """A revised probability; one that cites nothing is no revision, and the first one stands."""
    found, reading = read_object(answer)
    if found is None:
        return None, reading
    p_up, reason, evidence = found.get("p_up"), found.get("reason"), found.get("evidence")
    if set(found) != {"p_up", "reason", "evidence"} or not isinstance(reason, str) or not isinstance(evidence, list):
        return None, _again("SCHEMA", "the fields are p_up, reason and evidence")
    if isinstance(p_up, bool) or not isinstance(p_up, int | float) or not 0 < p_up < 1:
        return None, _again("P_RANGE", "p_up must be a number above 0 and below 1")
    shown = asked.snapshot.blind_evidence
    cited = [one for one in evidence if isinstance(one, str) and one in shown]
    if len(cited) != len(evidence) or len(cited) > MOST_EVIDENCE:
        return None, Reading(Verdict.REJECT, "UNKNOWN_EVIDENCE", reading.repairs)
    said = clean(reason, MOST_REASON)
    if p_up != own.p_up and not (cited and said):
        return Revision(own.p_up), Reading(Verdict.ACCEPT_REPAIRED, "", (*reading.repairs, "UNCITED_REVISION"))
    return Revision(float(p_up), said, tuple(cited)), reading


def is_veto(risk: Opinion, stance: Stance) -> bool:
    """Whether the risk role keeps a position from being opened: it says anything but the same stance."""
    return stance in {Stance.LONG, Stance.SHORT} and risk.stance is not stance


def _again(code: str, message: str) -> Reading:
    return Reading(Verdict.RETRY, code, (), None, message)
