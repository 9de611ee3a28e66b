"""Searches for parameters: all of a grid or some of it, or what optuna asks for, and what the best of so many is worth."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from engine.errors import UsageError
from engine.search.honesty import Honesty, honesty
from engine.search.outcomes import OBJECTIVES, WHOLE, Outcome, profit_factor, ranked, score, sharpe
from engine.strategy_state import Number
from tui.commands.backtesting import Prepared, Wish, prepared
from tui.formats import percent, plain_float
from tui.printing import numbers, print_facts, print_json, print_note, print_table, words

if TYPE_CHECKING:
    from engine.search.spaces import Space
    from engine.search.sweeping import Progress, Search

SECONDS_A_LINE = 0.5


class Asked(NamedTuple):
    """What to search, as it was typed. `most_sets` is the number of samples or trials, 0 for all."""

    vary: tuple[str, ...]
    most_sets: int
    seed: int
    objective: str
    jobs: int
    cluster: str | None
    top: int
    csv: Path | None


class SetView(msgspec.Struct, frozen=True):
    """A set and its figures; None where one is not defined."""

    params: dict[str, Number]
    score: float | None
    sharpe: float | None
    return_percent: float
    max_drawdown_percent: float
    round_trips: int
    won_percent: float | None
    profit_factor: float | None


class SearchView(msgspec.Struct, frozen=True):
    """What `sweep --json` and `optimize --json` print. `asked` sets were wanted this time, `honesty.trials` were ever tried."""

    strategy: str
    symbols: tuple[str, ...]
    bars: int
    objective: str
    asked: int
    seconds: float
    kept_in: str
    honesty: Honesty
    best: tuple[SetView, ...]


def sweep(home: Path, wish: Wish, asked: Asked, *, as_json: bool) -> int:
    """Try the sets of a grid; 0. Raises `UsageError`, `ConfigError`, `TapeError` for what cannot be meant."""
    from engine.search.sweeping import Job

    ready, space = ready_for(home, wish, asked)
    sets = sets_of(space, asked)

    def work(search: "Search", progress: "Progress") -> list[Outcome]:  # noqa: ARG001 - the search itself tells its progress
        return search.outcomes([Job(WHOLE, one) for one in sets])

    return _searched(home, wish, asked, ready, work, as_json=as_json, tells_itself=True)


def optimize(home: Path, wish: Wish, asked: Asked, *, as_json: bool) -> int:
    """Try what optuna asks for; 0. Raises as `sweep` does."""
    from engine.search.adaptive import Terms
    from engine.search.adaptive import optimize as learn

    ready, space = ready_for(home, wish, asked)

    def work(search: "Search", progress: "Progress") -> list[Outcome]:
        return learn(search, space, Terms(asked.objective, asked.most_sets, asked.seed), progress)

    return _searched(home, wish, asked, ready, work, as_json=as_json, tells_itself=False)


def ready_for(home: Path, wish: Wish, asked: Asked) -> tuple[Prepared, "Space"]:
    """The bars and terms, and the space to search."""
    from engine.search.spaces import space_of

    if asked.objective not in OBJECTIVES:
        raise UsageError(f"--objective {asked.objective}: must be one of {', '.join(OBJECTIVES)}")
    ready = prepared(home, wish)
    return ready, space_of(ready.strategy, ready.params, asked.vary)


def sets_of(space: "Space", asked: Asked) -> list[dict[str, Number]]:
    """The sets of a grid, all of them or as many as were asked for."""
    from engine.search.spaces import all_sets, sampled_sets

    return sampled_sets(space, asked.most_sets, asked.seed) if asked.most_sets else all_sets(space)


def _searched(home: Path, wish: Wish, asked: Asked, ready: Prepared, work: "Callable[[Search, Progress], list[Outcome]]", *,
              as_json: bool, tells_itself: bool) -> int:
    began = time.perf_counter()
    with searching_in(home, wish, asked, ready, as_json=as_json, silent=not tells_itself) as (search, path, progress):
        found = work(search, progress)
        tried, ratios = search.tried(), search.ratios()
    best = ranked(asked.objective, tried)
    view = SearchView(
        ready.strategy.name, tuple(one.instrument.symbol for one in ready.series),
        sum(len(one.bars.closes) for one in ready.series), asked.objective, len(found), time.perf_counter() - began, str(path),
        honesty(best[0], tried, ratios),
        tuple(set_view(asked.objective, one) for one in best[:asked.top]))
    if asked.csv is not None:
        write_sets(asked.csv, [set_view(asked.objective, one) for one in best])
    if as_json:
        print_json(view)
    else:
        _show(view)
    return 0


@contextmanager
def searching_in(home: Path, wish: Wish, asked: Asked, ready: Prepared, *, as_json: bool,
                 silent: bool = False) -> "Iterator[tuple[Search, Path, Progress]]":
    """A search at work, where its results are kept, and what is told of its progress; `silent` leaves telling to the caller."""
    from tui.compose_search import crew_of, material_of, opened_search

    material = material_of(home, ready)
    with progress_of(as_json=as_json) as progress, crew_of(material, asked.jobs, asked.cluster) as crew:
        tell = (lambda _done, _total: None) if silent else progress
        with opened_search(home, material, crew, wish.files, tell) as (search, path):
            try:
                yield search, path, progress
            except KeyboardInterrupt:
                print_note("what was tried so far is kept; the same command goes on from there")
                raise


@contextmanager
def progress_of(*, as_json: bool) -> "Iterator[Progress]":
    """Where progress goes: a bar on the terminal, lines of JSON on standard error with --json, else nowhere."""
    if as_json:
        last = [0.0]

        def line(done: int, total: int) -> None:
            now = time.monotonic()
            if done >= total or now - last[0] >= SECONDS_A_LINE:
                last[0] = now
                print(msgspec.json.encode({"done": done, "total": total}).decode(), file=sys.stderr, flush=True)

        yield line
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        with Progress("trying", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True),
                      transient=True) as bar:
            task = bar.add_task("")
            yield lambda done, total: bar.update(task, completed=done, total=total)
    else:
        yield lambda _done, _total: None


# ---- what is told --------------------------------------------------------------------------------------------------------------


def set_view(objective: str, one: Outcome) -> SetView:
    """A set as it is told."""
    return SetView(
        one.params, score(objective, [one]), sharpe([one]).value, (one.grown - 1) * 100, one.max_drawdown * 100, one.round_trips,
        100 * one.won / one.round_trips if one.round_trips else None, profit_factor([one]).value)


def write_sets(path: Path, sets: Sequence[SetView]) -> None:
    """Every set with its figures as a table of values separated by commas."""
    from engine.analytics.tables import Table
    from store.table_files import write_csv

    names = tuple(sets[0].params)
    figures = SetView.__struct_fields__[1:]
    rows = [(*(one.params[name] for name in names), *(getattr(one, name) for name in figures)) for one in sets]
    write_csv(path, Table((*names, *figures), rows))
    print_note(f"wrote {path}")


def honesty_facts(told: Honesty) -> list[tuple[str, str]]:
    """The number of trials and what it does to the best of them, in words."""
    deflated = f"{percent(told.deflated * 100)} likely better than luck" if told.deflated is not None else told.deflated_why
    fitted = f"{percent(told.overfitting * 100)} likely overfitted" if told.overfitting is not None else told.overfitting_why
    return [("trials", f"{told.trials} ever on these bars"),
            ("luck alone", luck_text(told.luck_sharpe, told.trials)), ("deflated Sharpe", deflated), ("overfitting", fitted)]


def luck_text(luck_sharpe: float | None, trials: int) -> str:
    """What chance alone would show."""
    return f"a Sharpe ratio of {plain_float(luck_sharpe, 2)} for the best of {trials} worthless trials"


def text_of(params: dict[str, Number]) -> str:
    """A set as it is typed."""
    return " ".join(f"{name}={value:g}" for name, value in params.items())


def _show(view: SearchView) -> None:
    print_facts([
        ("strategy", view.strategy), ("instruments", ", ".join(view.symbols)), ("bars", f"{view.bars:,}"),
        ("asked", f"{view.asked} sets in {view.seconds:.1f} s"), *honesty_facts(view.honesty), ("kept in", view.kept_in)])
    print()
    scored = view.objective == "calmar"  # the others stand in a column of their own
    rows = [[text_of(one.params), *([plain_float(one.score, 2)] if scored else []), plain_float(one.sharpe, 2),
             percent(one.return_percent, signed=True), percent(one.max_drawdown_percent), str(one.round_trips),
             percent(one.won_percent), plain_float(one.profit_factor, 2)] for one in view.best]
    heads = (["calmar"] if scored else []) + ["sharpe", "return", "drawdown", "round trips", "won", "profit factor"]
    print_table((*words("set"), *numbers(*heads)), rows, empty="")
