"""What the models of a run come to: four roles blind to each other, one cross-examination, judges, and code that adds them up.

A call without an answer that can be used ends it: the models abstain with its code. There is never a vote of those who were left;
only the news role, which has no vote, may be left unheeded.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from msgspec.structs import replace

from engine.research.aggregation import Agreed, agreed, line_weights, logit, mean_in_log_odds
from engine.research.decided import CONTAMINATED, MASKED, Cell, Decided, RoleAnswer, horizon_bucket
from engine.research.deciding import Voiced, abstained, weighed
from engine.research.events import NoteReading
from engine.research.hearing import Hearing, Part
from engine.research.news_weight import cap_of_items, cap_of_single_source
from engine.research.opinions import Opinion, Stance
from engine.research.prompts import PROMPT_VERSION
from engine.research.recalibration import calibrated, map_for
from engine.research.roles import (
    CROSSED,
    NEWS_ROLE,
    ROLES,
    NewsNote,
    Revision,
    cross_ask,
    is_veto,
    judge_ask,
    news_ask,
    read_notes,
    read_opinion,
    read_revision,
    role_ask,
)
from engine.research.snapshot import STAND_IN, anonymised, is_contaminated
from engine.research.task import Asked, PipelineTask
from engine.research.worth import OPENING, PROBATION_UNDER_N, no_edge_p
from engine.research_words import RoleProgress

DISSENT_LOGIT = 0.4
VETO = "the risk role vetoes: it says {stance}"


class Heeded(NamedTuple):
    """What the roles said before the judges spoke."""

    opinions: Mapping[str, Opinion]
    revisions: Mapping[str, Revision]
    notes: tuple[NewsNote, ...]

    def p_up_of(self, role: str) -> float:
        """A role's probability, after its revision where it made one."""
        return self.revisions[role].p_up if role in self.revisions else self.opinions[role].p_up


async def decide_by_models(task: PipelineTask) -> Decided:
    """The decision of the models. Roles are asked of the first line, judges of every line; where the settings say so, without
    ticker and dates."""
    if not task.asked.settings.masked:
        return await _decide(task, task.asked)
    named = (task.asked.instrument_id, task.asked.symbol.partition("/")[0])
    asked = replace(task.asked, snapshot=anonymised(task.asked.snapshot, named), symbols=(STAND_IN,))
    shown = asked.snapshot
    task.store.keep_snapshot(shown.snapshot_id, shown.portfolio, shown.symbol, shown.as_of_ns, shown.body)
    return replace(await _decide(task, asked), symbol=task.asked.symbol, portfolio=task.asked.snapshot.portfolio)


def analyst_of(asked: Asked) -> str:
    """Who judges, and what keeps the forecast apart from others of the same models."""
    lines = asked.settings.lines
    names = "+".join(dict.fromkeys(f"llm/{line.model_of('judge')}" for line in lines))
    is_late = any(is_contaminated(asked.snapshot.as_of_ns, line.trained_until_ns) for line in lines)
    return names + (CONTAMINATED if is_late else "") + (MASKED if asked.settings.masked else "")


async def _decide(task: PipelineTask, asked: Asked) -> Decided:
    hearing = Hearing(task.caller.cycle(asked.run_id), asked.settings.prices, task.told)
    analyst = analyst_of(asked)
    answers: list[RoleAnswer] = []

    def failed(parts: Sequence[Part[Any]]) -> Decided | None:
        answers.extend(chain.from_iterable(part.answers for part in parts))
        first = next((part for part in parts if part.code), None)
        if first is None:
            return None
        why = f"{first.answers[-1].role}: {first.message or first.code}"
        return abstained(asked, analyst, answers, first.code, why, rejected=first.rejected)

    for role in _all_roles(asked):
        task.told(RoleProgress(role, "waiting"))
    opinions, read = await _roles(asked, hearing)
    notes, flags = _without_nonsense(read)
    task.noted(_readings(task.asked, tuple(chain.from_iterable(part.value or () for part in notes))))
    if (decided := failed((*opinions.values(), *notes))) is not None:
        return decided
    said = {role: part.value for role, part in opinions.items() if part.value is not None}
    crossed = await _cross_examination(asked, hearing, said)
    if (decided := failed(tuple(crossed.values()))) is not None:
        return decided
    heeded = Heeded(said, {role: part.value for role, part in crossed.items() if part.value is not None},
                    tuple(chain.from_iterable(part.value or () for part in notes)))
    judges = await _judges(asked, hearing, heeded)
    if (decided := failed(tuple(part for _, part in judges))) is not None:
        return decided
    found = [(line, part.value) for line, part in judges if part.value is not None]
    decided = weighed(asked, _voiced(asked, analyst, heeded, found, tuple(answers)))
    return replace(decided, flags=(*decided.flags, *flags))


def _readings(asked: Asked, notes: Sequence[NewsNote]) -> tuple[NoteReading, ...]:
    """What the news role made of items that we keep a note of, by the instrument's own name also where it was masked."""
    analyst = f"llm/{asked.settings.lines[0].model_of(NEWS_ROLE)}" + (MASKED if asked.settings.masked else "")
    evidence = asked.snapshot.evidence
    return tuple(
        NoteReading(name, analyst, note.kind, tuple(asked.symbol if symbol == STAND_IN else symbol for symbol in note.symbols),
                    note.direction)
        for note in notes if isinstance(name := evidence[note.item].get("note"), str))


type Notes = Part[tuple[NewsNote, ...]]


def _without_nonsense(read: Sequence[Notes]) -> tuple[tuple[Notes, ...], tuple[str, ...]]:
    """What the news role read, and a flag where it gave no answer that can be used. It has no vote, and the texts before it are
    anybody's: one that makes it talk nonsense takes no decision away, but keeps a standing rule out."""
    is_nonsense = [bool(part.code) and not part.unheard for part in read]
    parts = tuple(part._replace(value=(), code="", rejected=False) if spoiled else part
                  for part, spoiled in zip(read, is_nonsense, strict=True))
    return parts, tuple(f"{NEWS_ROLE}: {part.code}" for part, spoiled in zip(read, is_nonsense, strict=True) if spoiled)


def _all_roles(asked: Asked) -> tuple[str, ...]:
    """The names under which the progress of a run is told, in their order."""
    judges = range(1, asked.settings.judge_samples * len(asked.settings.lines) + 1)
    news = (NEWS_ROLE,) if asked.snapshot.texts else ()
    return (*ROLES, *news, *(f"cross:{role}" for role in CROSSED), *(f"judge:{number}" for number in judges))


async def _roles(asked: Asked, hearing: Hearing) -> tuple[dict[str, Part[Opinion]], tuple[Part[tuple[NewsNote, ...]], ...]]:
    """The roles side by side; the news role only where there are texts to read."""
    line = asked.settings.lines[0]
    blind = [hearing.put(line.name, role_ask(asked, line, role), lambda answer: read_opinion(asked, answer, is_blind=True))
             for role in ROLES]
    readers = ([hearing.put(line.name, news_ask(asked, line), lambda answer: read_notes(asked, answer))]
               if asked.snapshot.texts else [])
    opinions, notes = await asyncio.gather(asyncio.gather(*blind), asyncio.gather(*readers))
    return dict(zip(ROLES, opinions, strict=True)), tuple(notes)


async def _cross_examination(asked: Asked, hearing: Hearing, said: Mapping[str, Opinion]) -> dict[str, Part[Revision]]:
    line = asked.settings.lines[0]

    async def one(role: str) -> Part[Revision]:
        return await hearing.put(line.name, cross_ask(asked, line, role, said),
                                 lambda answer: read_revision(asked, said[role], answer))

    return dict(zip(CROSSED, await asyncio.gather(*(one(role) for role in CROSSED)), strict=True))


async def _judges(asked: Asked, hearing: Hearing, heeded: Heeded) -> list[tuple[str, Part[Opinion]]]:
    """So many samples of each line, each with the name of who judged."""
    samples = asked.settings.judge_samples
    seats = [(line, place * samples + number) for place, line in enumerate(asked.settings.lines)
             for number in range(1, samples + 1)]
    parts = await asyncio.gather(*(
        hearing.put(line.name, judge_ask(asked, line, number, heeded.opinions, heeded.revisions, heeded.notes),
                    lambda answer: read_opinion(asked, answer)) for line, number in seats))
    return [(f"llm/{line.model_of('judge')}", part) for (line, _), part in zip(seats, parts, strict=True)]


# ---- adding up -----------------------------------------------------------------------------------------------------------


def _voiced(asked: Asked, analyst: str, heeded: Heeded, judges: Sequence[tuple[str, Opinion]],
            answers: tuple[RoleAnswer, ...]) -> Voiced:
    """The judges as one voice, bounded by what news may move and by the risk role, which can only take away."""
    opinions = [opinion for _, opinion in judges]
    found = agreed(opinions, line_weights([line for line, _ in judges], asked.parameters.weights))
    behind = asked.snapshot.news_behind({note.item for note in heeded.notes})
    capped, clamps = _bounded_by_news(asked, heeded, found, behind, _reach(asked, analyst, found))
    held, veto, taken = _bounded_by_risk(heeded.opinions["risk"], capped)
    alike = [one for one in opinions if one.stance is held.aggregate.stance] or opinions
    words = min(alike, key=lambda one: abs(logit(one.p_up) - logit(held.aggregate.p_agg)))
    tags = dict.fromkeys(chain(chain.from_iterable(one.event_tags for one in alike), (note.kind.value for note in heeded.notes)))
    return Voiced(analyst, PROMPT_VERSION, held, words, answers, tuple(sorted(tags)), _dissent(heeded, held), veto,
                  (*clamps, *taken), single_source=_is_single(behind))


def _is_single(behind: Mapping[str, str]) -> bool:
    return len(set(behind.values())) == 1


def _reach(asked: Asked, analyst: str, found: Agreed) -> Callable[[float], float]:
    """As what a probability of these judges is held against the threshold: as stated on probation, else calibrated."""
    cell = Cell(analyst, PROMPT_VERSION, horizon_bucket(found.horizon_days), asked.asset_class)
    series = map_for(cell, asked.maps).up
    return (lambda p: p) if series.n < PROBATION_UNDER_N else lambda p: calibrated(p, series)


def _bounded_by_news(asked: Asked, heeded: Heeded, found: Agreed, behind: Mapping[str, str],
                     reach: Callable[[float], float]) -> tuple[Agreed, tuple[str, ...]]:
    """The judges' probabilities, no further from those of the roles that read no news than the items may move them; `behind`
    holds the source of each."""
    if not behind:
        return found, ()
    items = 1 if _is_single(behind) else len(behind)
    threshold = asked.parameters.threshold_percent(asked.aggressiveness) / 100
    stance = found.aggregate.stance

    def capped(p_with: float, p_without: float) -> float:
        if _is_single(behind):
            return cap_of_single_source(p_with, p_without, threshold, reach)
        return cap_of_items(p_with, p_without, items)

    p_agg = capped(found.aggregate.p_agg, mean_in_log_odds([heeded.p_up_of(role) for role in ROLES]))
    p_win = found.p_win
    if p_win is not None:
        alike = [one.p_win for one in heeded.opinions.values() if one.stance is stance and one.p_win is not None]
        without = mean_in_log_odds(alike) if alike else no_edge_p(found.target_bps, found.stop_bps)
        p_win = min(p_win, cap_of_items(p_win, without, items))
    told = "" if p_agg == found.aggregate.p_agg else f"news: p_up {found.aggregate.p_agg:.3f} -> {p_agg:.3f}"
    won = "" if p_win == found.p_win else f"news: p_win {found.p_win:.3f} -> {p_win:.3f}"
    return (found._replace(aggregate=found.aggregate._replace(p_agg=p_agg), p_win=p_win),
            tuple(one for one in (told, won) if one))


def _bounded_by_risk(risk: Opinion, found: Agreed) -> tuple[Agreed, str, tuple[str, ...]]:
    """The voice after the risk role: a lower `p_win` counts, anything but the same stance is a veto to flat."""
    stance = found.aggregate.stance
    if is_veto(risk, stance):
        flat = found._replace(aggregate=found.aggregate._replace(stance=Stance.FLAT), p_win=None)
        return flat, VETO.format(stance=risk.stance.value), (f"risk role: {stance.value} -> flat",)
    if stance in OPENING and found.p_win is not None and risk.p_win is not None and risk.p_win < found.p_win:
        return found._replace(p_win=risk.p_win), "", (f"risk role: p_win {found.p_win:.3f} -> {risk.p_win:.3f}",)
    return found, "", ()


def _dissent(heeded: Heeded, held: Agreed) -> str:
    """The role that stands furthest off, where it says something else or is far in log-odds; "" where all are close."""
    middle = logit(held.aggregate.p_agg)
    role = max(ROLES, key=lambda name: abs(logit(heeded.p_up_of(name)) - middle))
    opinion, p_up = heeded.opinions[role], heeded.p_up_of(role)
    if opinion.stance is held.aggregate.stance and abs(logit(p_up) - middle) <= DISSENT_LOGIT:
        return ""
    return f"{role} {opinion.stance.value} {p_up:.2f}"
