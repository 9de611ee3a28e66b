"""What research does now in one short line, and what became of a forecast in a few words: for panes, cards and screens."""

from collections.abc import Sequence

from engine.service import DecisionView, ResearchView, RunView
from tui.formats import number, plain, plain_float

ROLE_MARKS = {"waiting": "·", "asking": "…", "answered": "✓", "abstained": "○", "failed": "✗"}
BETWEEN = " · "
RULES = "RULES, NO MODEL"


def research_line(views: Sequence[ResearchView], width: int) -> str:
    """The portfolio whose run is under way, or the first: run, who answers, what that comes to and why, money of the day.

    What matters most stands first and is kept longest. Each part has forms, the fullest first, and takes the fullest that leaves
    room for the others; what does not fit `width` cells at all is left out.
    """
    if not views:
        return ""
    view = next((one for one in views if under_way(one.run)), views[0])
    parts = [*([_run(view.run)] if view.run is not None and under_way(view.run) else []), _who(view), _level(view),
             *([_spent(view)] if view.spent_usd or view.badge != RULES else [])]
    if len(views) > 1:
        parts.insert(0, (plain(view.portfolio),))
    said: list[str] = []
    left = width
    for place, forms in enumerate(parts):
        later = sum(len(other[-1]) + len(BETWEEN) for other in parts[place + 1:])
        fitting = next((form for form in forms if len(form) <= left - later), forms[-1])
        if len(fitting) <= left:
            said.append(fitting)
            left -= len(fitting) + len(BETWEEN)
    return BETWEEN.join(said)


def under_way(run: RunView | None) -> bool:
    """Whether this run goes on."""
    return run is not None and not run.ended_at_ns


def outcome_words(view: DecisionView) -> str:
    """What became of a forecast, and whether it repeats one that counts already."""
    repeated = ", repeated" if view.repeated else ""
    if view.void:
        return f"void: {plain(view.void)}{repeated}"
    if view.up is None:
        return f"open{repeated}" if view.p_cal is not None else "-"
    won = "" if view.won is None else ", target first" if view.won else ", target missed"
    return f"{'up' if view.up else 'not up'} {plain_float(view.return_bps, 0, signed=True)} bps{won}{repeated}"


def _run(run: RunView) -> tuple[str, ...]:
    about = f"{plain(run.symbol) or 'scan'} {run.done}/{len(run.symbols) or '?'}"
    marks = [(ROLE_MARKS.get(one.state, "?"), plain(one.role)) for one in run.roles]
    cost = f"${number(run.cost_usd, 2)}"
    long = " ".join(f"{mark}{role}" for mark, role in marks)
    short = "".join(mark for mark, _ in marks)
    return (" ".join(filter(None, (about, long, cost))), " ".join(filter(None, (about, short, cost))))


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
    return (f"${number(view.spent_usd, 2)} of ${number(view.day_budget_usd, 2)}",)
