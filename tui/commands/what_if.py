"""What else could have been: results drawn anew, and the same bars under worse conditions."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from engine.errors import UsageError
from engine.search.chance import METHODS, QUANTILES, Chance
from tui.commands.backtesting import Prepared, Wish, prepared
from tui.formats import percent
from tui.printing import numbers, print_facts, print_json, print_note, print_table, words

if TYPE_CHECKING:
    from engine.analytics.records import Track
    from engine.backtest.results import BacktestResult
    from engine.search.stress import Scenario

NS_PER_DAY = 86_400_000_000_000
NAMES = {"growth": "return", "max_drawdown": "deepest drawdown", "cagr": "yearly growth"}


class Draw(NamedTuple):
    """How to draw, as it was typed."""

    method: str
    paths: int
    years: float
    block_days: float
    ruin_percent: float
    seed: int
    portfolio: str


class StressView(msgspec.Struct, frozen=True):
    """One scenario's results."""

    scenario: str
    about: str
    return_percent: float
    max_drawdown_percent: float
    worst_day_percent: float
    round_trips: int
    won_percent: float | None


def montecarlo(home: Path, wish: Wish, draw: Draw, *, as_json: bool) -> int:
    """Draw futures from a backtest or from a portfolio's own past; 0. Raises `UsageError` where there is too little."""
    if draw.method not in (*METHODS, "both"):
        raise UsageError(f"--method {draw.method}: must be trades, blocks or both")
    track = _backtested(home, wish) if wish.files else _recorded(home, draw.portfolio)
    chances = [_drawn(track, method, draw) for method in METHODS if draw.method in (method, "both")]
    if as_json:
        print_json({"name": track.name, "quantiles": QUANTILES, "methods": chances})
        return 0
    for number, chance in enumerate(chances):
        if number:
            print()
        _show_chance(track.name, chance)
    return 0


def _backtested(home: Path, wish: Wish) -> "Track":
    from engine.backtest.tracks import track_of

    ready = prepared(home, wish)
    return track_of(_result(ready), ready.series, f"backtest of {ready.strategy.name}", ready.setup.regimes)


def _result(ready: Prepared) -> "BacktestResult":
    from engine.backtest.run import INTERPRETED_BARS, backtest
    from tui.compose_backtest import cache_folder

    return backtest(ready.series, ready.strategy, ready.params, ready.setup, cache_folder(),
                    interpreted_bars=INTERPRETED_BARS)


def _recorded(home_path: Path, portfolio: str) -> "Track":
    from engine.service import PerformanceQuery
    from store.history import StoredHistory
    from tui.commands.link import existing_home

    home = existing_home(home_path)
    if not home.journal.is_file():
        raise UsageError("nothing is recorded in this home yet; name files of bars to backtest on")
    return StoredHistory(home.journal).track(PerformanceQuery(portfolio, 0, 0, "month"))


def _drawn(track: "Track", method: str, draw: Draw) -> Chance:
    from engine.analytics import measures
    from engine.search.chance import Terms, simulate, trip_returns

    span_years = measures.years(track.curve)
    if method == "trades":
        returns, block = trip_returns(track), 0.0
    else:
        days = measures.by_days(track.curve, measures.growth(track.curve), lambda at_ns: at_ns // NS_PER_DAY,
                                every_close=track.every_close)
        returns, block = days.returns.tolist(), draw.block_days
    years = draw.years or span_years
    steps = max(1, round(len(returns) * years / span_years)) if span_years > 0 else len(returns)
    return simulate(method, returns, Terms(draw.paths, steps, years, block, draw.ruin_percent / 100, draw.seed))


def _show_chance(name: str, chance: Chance) -> None:
    what = "round trips, each by itself" if chance.method == "trades" else f"days in blocks of about {chance.mean_block:g}"
    print_facts([
        (name, f"{chance.paths:,} futures of {chance.steps} {what}, drawn from {chance.results}"),
        ("ruin", f"{percent(chance.ruin_probability * 100)} fall to {percent(chance.ruin_fraction * 100, 0)} of the start"),
        ("loss", f"{percent(chance.loss_probability * 100)} end below the start")])
    rows = []
    for spread in chance.spreads:
        seen = chance.observed.get(spread.name)
        rows.append([NAMES[spread.name], percent(None if seen is None else seen * 100), percent(spread.mean * 100),
                     *(percent(value * 100) for value in spread.quantiles)])
    print_table((*words("figure"), *numbers("seen", "mean", *(f"{part * 100:g}%" for part in QUANTILES))), rows, empty="")


def stress(home: Path, wish: Wish, names: tuple[str, ...], *, as_json: bool) -> int:
    """Run the scenarios; 0. Raises `UsageError` for one that is not known or needs several instruments."""
    from engine.search.stress import SCENARIOS, stressed, worst_time

    known = {one.name: one for one in SCENARIOS}
    for name in names:
        if name not in known:
            raise UsageError(f"--scenario {name}: must be one of {', '.join(known)}")
    ready = prepared(home, wish)
    chosen = [known[name] for name in names] or _possible(SCENARIOS, ready)
    views = [_stress_view(home, ready, "as it was", "the bars as they are")]
    at_ns = worst_time(_result(ready))
    views += [_stress_view(home, ready._replace(series=list(stressed(ready.series, one, at_ns))), one.name, one.about)
              for one in chosen]
    if as_json:
        print_json(views)
        return 0
    rows = [[one.scenario, percent(one.return_percent, signed=True), percent(one.max_drawdown_percent),
             percent(one.worst_day_percent, signed=True), str(one.round_trips), percent(one.won_percent), one.about]
            for one in views]
    columns = (*words("scenario"), *numbers("return", "drawdown", "worst day", "round trips", "won"), *words("what it is"))
    print_table(columns, rows, empty="")
    return 0


def _possible(scenarios: "Sequence[Scenario]", ready: Prepared) -> "list[Scenario]":
    """All scenarios; without those that need several instruments where there is one."""
    if len(ready.series) > 1:
        return list(scenarios)
    print_note("correlation-one is left out: it needs several instruments")
    return [one for one in scenarios if one.name != "correlation-one"]


def _stress_view(home: Path, ready: Prepared, name: str, about: str) -> StressView:
    from engine.search.measuring import outcome_of
    from engine.search.outcomes import WHOLE
    from tui.compose_search import material_of

    one = outcome_of(material_of(home, ready), WHOLE, ready.params, None, with_returns=True)
    return StressView(name, about, (one.grown - 1) * 100, one.max_drawdown * 100, min(one.returns) * 100, one.round_trips,
                      100 * one.won / one.round_trips if one.round_trips else None)
