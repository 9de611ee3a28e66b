"""What research does now in one short line, and what became of a forecast in a few words: for panes, cards and screens."""

from collections.abc import Sequence
from typing import NamedTuple

from engine.service import DecisionView, ResearchView, RunView
from tui.formats import number, plain, plain_float

ROLE_MARKS = {"waiting": "·", "asking": "…", "answered": "✓", "abstained": "○", "failed": "✗"}
BETWEEN = " · "


class _Part(NamedTuple):
    """A piece of the line in its forms, the fullest first; without room for any it is left out."""

    forms: tuple[str, ...]


def research_line(views: Sequence[ResearchView], width: int) -> str:
    """The portfolio whose run is under way, or the first: run, who answers, what that comes to and why, money of the day.

    What matters most stands first and is kept longest; the rest is shortened or left out until it fits `width` cells.
    """
    if not views:
        return ""
    view = next((one for one in views if under_way(one.run)), views[0])
    parts = [*([_Part(_run_forms(view.run))] if view.run is not None and under_way(view.run) else []), _Part(_who(view)),
             _Part(_level(view)), _Part(_spent(view))]
    if len(views) > 1:
        parts.insert(0, _Part((plain(view.portfolio),)))
    said, left = [], width
    for part in parts:
        fitting = next((form for form in part.forms if len(form) <= left), "")
        if fitting:
            said.append(fitting)
            left -= len(fitting) + len(BETWEEN)
    return BETWEEN.join(said)


def under_way(run: RunView | None) -> bool:
    """Whether this run goes on."""
    return run is not None and not run.ended_at_ns


def outcome_words(view: DecisionView) -> str:
    """What became of a forecast."""
    if view.void:
        return f"void: {plain(view.void)}"
    if view.up is None:
        return "open" if view.p_cal is not None else "-"
    won = "" if view.won is None else ", target first" if view.won else ", target missed"
    return f"{'up' if view.up else 'not up'} {plain_float(view.return_bps, 0, signed=True)} bps{won}"


def _run_forms(run: RunView) -> tuple[str, ...]:
    about = f"{plain(run.symbol) or 'scan'} {run.done}/{len(run.symbols) or '?'}"
    marks = [(ROLE_MARKS.get(one.state, "?"), plain(one.role)) for one in run.roles]
    cost = f"${number(run.cost_usd, 2)}"
    long = " ".join(f"{mark}{role}" for mark, role in marks)
    short = "".join(mark for mark, _ in marks)
    return (" ".join(filter(None, (about, long, cost))), " ".join(filter(None, (about, short, cost))), about)


def _who(view: ResearchView) -> tuple[str, ...]:
    badge = plain(view.badge)
    rules = f"models left alone until {plain(view.breaker)}, rules act" if view.breaker else ""
    at = f"{badge} at {plain(view.host)}" if view.host else badge
    return tuple(filter(None, (rules and f"{badge}, {rules}", rules and "models left alone", at, badge)))


def _level(view: ResearchView) -> tuple[str, ...]:
    acts = view.acts_as
    if not view.fallback:
        return (acts,)
    return (f"{acts} instead of {view.automation}: {plain(view.fallback)}", f"{acts}: {plain(view.fallback)}", f"{acts}!")


def _spent(view: ResearchView) -> tuple[str, ...]:
    return (f"${number(view.spent_usd, 2)} of ${number(view.day_budget_usd, 2)}",) if view.day_budget_usd else ()
