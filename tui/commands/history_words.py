"""The words of the commands that run strategies over history."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from tui.commands.options import Json, home_of, leave

Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Bars: CSV, CSV.gz or Parquet; one file an instrument.")]
Rule = Annotated[str, typer.Option("--strategy", "-s", metavar="NAME", help="A built-in strategy, or a file of the home's own.")]
Params = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter; may be repeated.")]
LimitWords = Annotated[list[str] | None, typer.Option("--limit", metavar="NAME=VALUE", help="A limit; may be repeated.")]
Tolerance = Annotated[str | None, typer.Option("--tolerance", help="Limits of a risk tolerance: conservative, moderate or "
                                                                    "aggressive; without it those of the home.")]
Cash = Annotated[str, typer.Option("--cash", help="What the account starts with.")]
Fee = Annotated[str | None, typer.Option("--fee-bps", help="Fee of every fill; without it the instrument's own.")]
Spread = Annotated[int, typer.Option("--spread-bps", min=0, max=5_000, help="Spread around each open.")]
Slippage = Annotated[int, typer.Option("--slippage-bps", min=0, max=5_000, help="Slippage of market orders and stops.")]
Share = Annotated[float, typer.Option("--volume-percent", min=0.01, max=100.0, help="The part of a bar's volume to be had.")]
OnBad = Annotated[str, typer.Option("--on-bad", help="refuse or skip rows that cannot be meant.")]
Symbol = Annotated[str | None, typer.Option("--symbol", help="The instrument of a single file.")]
Record = Annotated[bool, typer.Option("--record", help="Keep it as evidence of a candidate: --strategy names one of "
                                                     "config.toml, whose parameters are used.")]
Actions = Annotated[str | None, typer.Option("--actions", metavar="FILE", help="Splits and dividends: a table of symbol, date, "
                                                                                "kind, value; adj_close takes them from that "
                                                                                "column of the bars.")]
Borrow = Annotated[float, typer.Option("--borrow-percent", min=0.0, max=1_000.0, help="What shorts pay a year.")]
Budgets = Annotated[list[str] | None, typer.Option("--budget", metavar="NAME=NUMBER", help="What the strategy may use: "
                                                   "capital_fraction or capital_fixed, heat_budget_fraction; may be repeated.")]
OfBars = Annotated[str | None, typer.Option("--bar", metavar="LENGTH", help="Let the rule see bars of this length, 5m, 1h or "
                                                                          "1d, joined from the file's bars or market trades.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="FOLDER", help="Write the report, tables and result there.")]


def backtest(context: typer.Context, files: Files, strategy: Rule = "ema_cross", params: Params = None,
             limits: LimitWords = None, tolerance: Tolerance = None, cash: Cash = "100000", fee_bps: Fee = None,
             spread_bps: Spread = 2, slippage_bps: Slippage = 0, volume_percent: Share = 100.0, on_bad: OnBad = "refuse",
             symbol: Symbol = None, actions: Actions = None, borrow_percent: Borrow = 0.0, budgets: Budgets = None,
             bar: OfBars = None, out: Out = None, record: Record = False, as_json: Json = False) -> None:
    """Run a strategy over recorded bars by the engine's own rules, compiled: fills, round trips, equity, a whole report."""
    from tui.commands import backtesting

    wish = backtesting.Wish(tuple(files), strategy, tuple(params or ()), tuple(limits or ()), tolerance, cash, fee_bps,
                            spread_bps, slippage_bps, volume_percent, on_bad, symbol, record, actions, borrow_percent,
                            tuple(budgets or ()), bar)
    leave(backtesting.backtest_files(home_of(context), wish, out, as_json=as_json))


def parity(context: typer.Context, files: Files, strategy: Rule = "ema_cross", params: Params = None,
           limits: LimitWords = None, tolerance: Tolerance = None, cash: Cash = "100000", fee_bps: Fee = None,
           spread_bps: Spread = 2, slippage_bps: Slippage = 0, volume_percent: Share = 100.0, on_bad: OnBad = "refuse",
           symbol: Symbol = None, actions: Actions = None, budgets: Budgets = None, bar: OfBars = None, record: Record = False,
           as_json: Json = False) -> None:
    """Run the compiled backtest and the engine itself over the same bars, and name the first fill in which they differ."""
    from tui.commands import backtesting

    wish = backtesting.Wish(tuple(files), strategy, tuple(params or ()), tuple(limits or ()), tolerance, cash, fee_bps,
                            spread_bps, slippage_bps, volume_percent, on_bad, symbol, record, actions,
                            budgets=tuple(budgets or ()), bar=bar)
    leave(backtesting.parity_of_files(home_of(context), wish, as_json=as_json))


COMMANDS: dict[str, Callable[..., None]] = {"backtest": backtest, "parity": parity}
