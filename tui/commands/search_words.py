"""The words of the commands that search for parameters and ask what else could have been."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from tui.commands.history_words import (
    Actions,
    Borrow,
    Budgets,
    Cash,
    Fee,
    Files,
    LimitWords,
    OfBars,
    OnBad,
    Params,
    Rule,
    Share,
    Slippage,
    Spread,
    Symbol,
    Tolerance,
)
from tui.commands.options import Json, home_of, leave

Vary = Annotated[list[str] | None, typer.Option("--vary", metavar="NAME=FROM:TO:STEP", help="What to vary, or NAME=A,B,C; may be "
                                                                                        "repeated.")]
Samples = Annotated[int, typer.Option("--samples", min=0, help="Try so many combinations drawn by chance; 0 tries all.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of what is drawn by chance.")]
Objective = Annotated[str, typer.Option("--objective", help="sharpe, return, calmar or profit_factor.")]
Jobs = Annotated[int, typer.Option("--jobs", min=0, max=1_024, help="How many work at once; 0 is one for each core.")]
Cluster = Annotated[str | None, typer.Option("--cluster", metavar="ADDRESS", help="A dask scheduler, such as tcp://10.0.0.5:8786.")]
Top = Annotated[int, typer.Option("--top", min=1, max=100_000, help="How many of the best to show.")]
Csv = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write what every set came to.")]
Trials = Annotated[int, typer.Option("--trials", min=1, max=100_000, help="How many sets to ask for.")]
Scheme = Annotated[str, typer.Option("--scheme", help="anchored, rolling, or purged for cross-validation.")]
Windows = Annotated[int, typer.Option("--windows", min=2, max=100, help="How many stretches to judge on.")]
ChooseShare = Annotated[float, typer.Option("--choose-percent", min=5.0, max=95.0, help="The part of the bars before the first "
                                                                                       "window.")]
Purge = Annotated[int | None, typer.Option("--purge-bars", min=0, help="Bars left out between choosing and judging; without it "
                                                                      "the warm-up for purged, else none.")]
Embargo = Annotated[float, typer.Option("--embargo-percent", min=0.0, max=50.0, help="Bars left out after what is judged on; the "
                                                                                        "longest warm-up at least.")]
MaybeFiles = Annotated[list[Path] | None, typer.Argument(metavar="[FILE...]", help="Bars to backtest on; without any, what the "
                                                                                 "home's portfolio did.", show_default=False)]
OfPortfolio = Annotated[str, typer.Option("--portfolio", "-p", help="Without files: one portfolio instead of all together.")]
Method = Annotated[str, typer.Option("--method", help="trades, blocks or both.")]
Paths = Annotated[int, typer.Option("--paths", min=100, max=1_000_000, help="How many futures to draw.")]
Years = Annotated[float, typer.Option("--years", min=0.0, max=100.0, help="How long each is; 0 is as long as the past.")]
Block = Annotated[float, typer.Option("--block-days", min=1.0, max=1_000.0, help="The mean length of a block.")]
Ruin = Annotated[float, typer.Option("--ruin-percent", min=1.0, max=99.0, help="Ruin is this much of the start, or less, at any "
                                                                             "time.")]
Scenarios = Annotated[list[str] | None, typer.Option("--scenario", metavar="NAME", help="Only these; may be repeated.")]


def sweep(context: typer.Context, files: Files, vary: Vary = None, strategy: Rule = "ema_cross", params: Params = None,
          samples: Samples = 0, seed: Seed = 1, objective: Objective = "sharpe", limits: LimitWords = None,
          tolerance: Tolerance = None, cash: Cash = "100000", fee_bps: Fee = None, spread_bps: Spread = 2,
          slippage_bps: Slippage = 0, volume_percent: Share = 100.0, on_bad: OnBad = "refuse", symbol: Symbol = None,
          actions: Actions = None, borrow_percent: Borrow = 0.0, budgets: Budgets = None, bar: OfBars = None,
          jobs: Jobs = 0, cluster: Cluster = None, top: Top = 10, csv: Csv = None, as_json: Json = False) -> None:
    """Try many sets of parameters, and say how much of the best is luck; goes on where it was ended."""
    from tui.commands import backtesting, searching

    wish = backtesting.Wish(tuple(files), strategy, tuple(params or ()), tuple(limits or ()), tolerance, cash, fee_bps,
                            spread_bps, slippage_bps, volume_percent, on_bad, symbol, actions=actions,
                            borrow_percent=borrow_percent, budgets=tuple(budgets or ()), bar=bar)
    asked = searching.Asked(tuple(vary or ()), samples, seed, objective, jobs, cluster, top, csv)
    leave(searching.sweep(home_of(context), wish, asked, as_json=as_json))


def optimize(context: typer.Context, files: Files, vary: Vary = None, strategy: Rule = "ema_cross", params: Params = None,
             trials: Trials = 100, seed: Seed = 1, objective: Objective = "sharpe", limits: LimitWords = None,
             tolerance: Tolerance = None, cash: Cash = "100000", fee_bps: Fee = None, spread_bps: Spread = 2,
             slippage_bps: Slippage = 0, volume_percent: Share = 100.0, on_bad: OnBad = "refuse", symbol: Symbol = None,
             actions: Actions = None, borrow_percent: Borrow = 0.0, budgets: Budgets = None, bar: OfBars = None,
             jobs: Jobs = 0, cluster: Cluster = None, top: Top = 10, csv: Csv = None, as_json: Json = False) -> None:
    """Search for parameters by what was learned from those tried before (optuna); goes on where it was ended."""
    from tui.commands import backtesting, searching

    wish = backtesting.Wish(tuple(files), strategy, tuple(params or ()), tuple(limits or ()), tolerance, cash, fee_bps,
                            spread_bps, slippage_bps, volume_percent, on_bad, symbol, actions=actions,
                            borrow_percent=borrow_percent, budgets=tuple(budgets or ()), bar=bar)
    asked = searching.Asked(tuple(vary or ()), trials, seed, objective, jobs, cluster, top, csv)
    leave(searching.optimize(home_of(context), wish, asked, as_json=as_json))


def walk_forward(context: typer.Context, files: Files, vary: Vary = None, strategy: Rule = "ema_cross", params: Params = None,
                 scheme: Scheme = "anchored", windows: Windows = 5, choose_percent: ChooseShare = 50.0, purge_bars: Purge = None,
                 embargo_percent: Embargo = 1.0, samples: Samples = 0, seed: Seed = 1, objective: Objective = "sharpe",
                 limits: LimitWords = None, tolerance: Tolerance = None, cash: Cash = "100000", fee_bps: Fee = None,
                 spread_bps: Spread = 2, slippage_bps: Slippage = 0, volume_percent: Share = 100.0, on_bad: OnBad = "refuse",
                 symbol: Symbol = None, actions: Actions = None, borrow_percent: Borrow = 0.0, budgets: Budgets = None,
                 bar: OfBars = None,
                 jobs: Jobs = 0, cluster: Cluster = None, as_json: Json = False) -> None:
    """Choose parameters on one part of the bars and judge them on the next, again and again."""
    from tui.commands import backtesting, searching, walking

    wish = backtesting.Wish(tuple(files), strategy, tuple(params or ()), tuple(limits or ()), tolerance, cash, fee_bps,
                            spread_bps, slippage_bps, volume_percent, on_bad, symbol, actions=actions,
                            borrow_percent=borrow_percent, budgets=tuple(budgets or ()), bar=bar)
    asked = searching.Asked(tuple(vary or ()), samples, seed, objective, jobs, cluster, 1, None)
    plan = walking.Planned(scheme, windows, choose_percent, purge_bars, embargo_percent)
    leave(walking.walk_forward(home_of(context), wish, asked, plan, as_json=as_json))


def montecarlo(context: typer.Context, files: MaybeFiles = None, portfolio: OfPortfolio = "", strategy: Rule = "ema_cross",
               params: Params = None, method: Method = "both", paths: Paths = 10_000, years: Years = 0.0,
               block_days: Block = 10.0, ruin_percent: Ruin = 50.0, seed: Seed = 1, limits: LimitWords = None,
               tolerance: Tolerance = None, cash: Cash = "100000", fee_bps: Fee = None, spread_bps: Spread = 2,
               slippage_bps: Slippage = 0, volume_percent: Share = 100.0, on_bad: OnBad = "refuse", symbol: Symbol = None,
               actions: Actions = None, borrow_percent: Borrow = 0.0, budgets: Budgets = None, bar: OfBars = None,
               as_json: Json = False) -> None:
    """Draw the same results anew: how deep drawdowns, how slow growth and how likely ruin could have been."""
    from tui.commands import backtesting, what_if

    wish = backtesting.Wish(tuple(files or ()), strategy, tuple(params or ()), tuple(limits or ()), tolerance, cash, fee_bps,
                            spread_bps, slippage_bps, volume_percent, on_bad, symbol, actions=actions,
                            borrow_percent=borrow_percent, budgets=tuple(budgets or ()), bar=bar)
    draw = what_if.Draw(method, paths, years, block_days, ruin_percent, seed, portfolio)
    leave(what_if.montecarlo(home_of(context), wish, draw, as_json=as_json))


def stress(context: typer.Context, files: Files, strategy: Rule = "ema_cross", params: Params = None, scenarios: Scenarios = None,
           limits: LimitWords = None, tolerance: Tolerance = None, cash: Cash = "100000", fee_bps: Fee = None,
           spread_bps: Spread = 2, slippage_bps: Slippage = 0, volume_percent: Share = 100.0, on_bad: OnBad = "refuse",
           symbol: Symbol = None, actions: Actions = None, borrow_percent: Borrow = 0.0, budgets: Budgets = None,
           bar: OfBars = None,
           as_json: Json = False) -> None:
    """Run the same bars under worse conditions: crashes, three times the volatility, everything moving as one."""
    from tui.commands import backtesting, what_if

    wish = backtesting.Wish(tuple(files), strategy, tuple(params or ()), tuple(limits or ()), tolerance, cash, fee_bps,
                            spread_bps, slippage_bps, volume_percent, on_bad, symbol, actions=actions,
                            borrow_percent=borrow_percent, budgets=tuple(budgets or ()), bar=bar)
    leave(what_if.stress(home_of(context), wish, tuple(scenarios or ()), as_json=as_json))


COMMANDS: dict[str, Callable[..., None]] = {
    "sweep": sweep, "optimize": optimize, "walk-forward": walk_forward, "montecarlo": montecarlo, "stress": stress}
