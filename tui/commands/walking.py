"""Walk-forward and purged cross-validation as a command."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from engine.errors import UsageError
from engine.search.outcomes import score, sharpe
from engine.strategy_state import Number
from tui.commands.backtesting import Prepared, Wish
from tui.commands.searching import Asked, luck_text, ready_for, searching_in, sets_of, text_of
from tui.formats import moment, percent, plain_float
from tui.printing import numbers, print_facts, print_json, print_table, words

if TYPE_CHECKING:
    from engine.search.splits import Split
    from engine.search.walking import Walk, Window


class Planned(NamedTuple):
    """How to divide the bars, as it was typed."""

    scheme: str
    windows: int
    choose_percent: float
    purge_bars: int | None
    embargo_percent: float


class WindowView(msgspec.Struct, frozen=True):
    """A stretch that was judged, with the set that was chosen for it."""

    from_ns: int
    to_ns: int
    params: dict[str, Number]
    chosen_score: float | None
    judged_score: float | None
    judged_sharpe: float | None
    return_percent: float
    max_drawdown_percent: float
    round_trips: int


class WalkView(msgspec.Struct, frozen=True):
    """What `walk-forward --json` prints. The judged figures are of what no choice had seen, the deepest drawdown is that inside a
    window. Each choice was among `sets`; `trials` were ever made on these bars."""

    strategy: str
    scheme: str
    objective: str
    sets: int
    trials: int
    chosen_sharpe: float | None
    judged_sharpe: float | None
    judged_return_percent: float
    max_drawdown_percent: float
    luck_sharpe: float
    deflated: float | None
    deflated_why: str
    windows: tuple[WindowView, ...]


def walk_forward(home: Path, wish: Wish, asked: Asked, planned: Planned, *, as_json: bool) -> int:
    """Choose and judge; 0. Raises `UsageError`, `ConfigError`, `TapeError` for what cannot be meant."""
    from engine.search.splits import SCHEMES
    from engine.search.walking import walk

    if planned.scheme not in SCHEMES:
        raise UsageError(f"--scheme {planned.scheme}: must be one of {', '.join(SCHEMES)}")
    ready, space = ready_for(home, wish, asked)
    sets = sets_of(space, asked)
    splits = splits_for(ready, sets, planned)
    with searching_in(home, wish, asked, ready, as_json=as_json) as (search, _, _):
        found = walk(search, sets, splits, asked.objective)
    view = _view(ready.strategy.name, planned.scheme, asked.objective, found)
    if as_json:
        print_json(view)
    else:
        _show(view)
    return 0


def splits_for(ready: Prepared, sets: Sequence[dict[str, Number]], planned: Planned) -> "list[Split]":
    """What is chosen on after a judged stretch warms up on the bars before it, so the embargo is no shorter than the longest
    warm-up of any set: nothing of what is judged on is read."""
    from engine.backtest.longer_bars import recorded_bars
    from engine.search.measuring import moments_in
    from engine.search.spaces import longest_warmup
    from engine.search.splits import Plan, splits_of

    at_ns, warmup = moments_in(ready.series), 0
    if planned.scheme == "purged":
        longest = longest_warmup(ready.strategy, sets)
        warmup = max(recorded_bars(one.bars, longest, ready.setup.bar_ns) for one in ready.series)
    purge = warmup if planned.purge_bars is None else planned.purge_bars
    embargo = max(warmup, round(len(at_ns) * planned.embargo_percent / 100))
    return splits_of(at_ns, Plan(planned.scheme, planned.windows, planned.choose_percent / 100, purge, embargo))


def _view(strategy: str, scheme: str, objective: str, found: "Walk") -> WalkView:
    return WalkView(
        strategy, scheme, objective, found.sets, found.trials, found.chosen_sharpe.value, found.judged_sharpe.value,
        (found.judged_growth - 1) * 100, found.max_drawdown * 100, found.luck_sharpe, found.deflated.value, found.deflated.why,
        tuple(_window_view(objective, one) for one in found.windows))


def _window_view(objective: str, one: "Window") -> WindowView:
    judged = one.judged
    return WindowView(one.split.judge.from_ns, one.split.judge.to_ns, one.params, score(objective, one.chosen),
                      score(objective, [judged]), sharpe([judged]).value, (judged.grown - 1) * 100, judged.max_drawdown * 100,
                      judged.round_trips)


def _show(view: WalkView) -> None:
    deflated = f"{percent(view.deflated * 100)} likely better than luck" if view.deflated is not None else view.deflated_why
    print_facts([
        ("strategy", f"{view.strategy}, {view.scheme}, by {view.objective}"),
        ("trials", f"{view.sets} sets in each window, {view.trials} ever on these bars"),
        ("Sharpe where chosen", plain_float(view.chosen_sharpe, 2)), ("Sharpe where judged", plain_float(view.judged_sharpe, 2)),
        ("return where judged", percent(view.judged_return_percent, signed=True)),
        ("deepest drawdown", f"{percent(view.max_drawdown_percent)} inside a window"),
        ("luck alone", luck_text(view.luck_sharpe, view.trials)),
        ("deflated Sharpe", deflated)])
    print()
    rows = [[moment(one.from_ns), moment(one.to_ns), text_of(one.params), plain_float(one.chosen_score, 3),
             plain_float(one.judged_score, 3),
             percent(one.return_percent, signed=True), percent(one.max_drawdown_percent),
             str(one.round_trips)] for one in view.windows]
    print_table((*words("judged after", "until", "set"), *numbers("chosen", "judged", "return", "drawdown", "round trips")), rows,
                empty="")
