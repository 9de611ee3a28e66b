"""Strategies over recorded bars: the backtest with its report, and its comparison with the engine."""

import math
import time
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from engine.errors import ConfigError, UsageError
from engine.settings import Settings
from engine.tolerance import FIELDS, PRESETS, Limits, RiskTolerance, with_limit
from engine.units import NS_PER_SECOND
from tui.commands import bar_notes, recording
from tui.commands.parsing import positive, seconds_of, ungrouped
from tui.formats import moment, money, percent
from tui.printing import numbers, print_facts, print_json, print_note, print_table, words

if TYPE_CHECKING:
    from brokers.market.actions import Actions
    from engine.backtest.results import BacktestResult
    from engine.backtest.run import Series, Setup
    from engine.service import PerformanceView
    from engine.strategies.registry import Strategy

PPM_A_BPS = 100
PPM_A_PERCENT = 10_000
BPS = 10_000
MOST_CASH_MINOR = 1 << 53
MOST_FEE_BPS = 5_000
SLOW_BARS = 2_000_000
BUDGETS = ("capital_fraction", "capital_fixed", "heat_budget_fraction")
OFF_IN_A_PASS = {"max_correlated_heat_fraction": 0.0, "max_value_at_risk_fraction": 0.0, "max_expected_shortfall_fraction": 0.0,
                 "max_daily_volume_fraction": 0.0}


class Wish(NamedTuple):
    """The options of both commands as they were typed."""

    files: tuple[Path, ...]
    strategy: str
    params: tuple[str, ...]
    limits: tuple[str, ...]
    tolerance: str | None
    cash: str
    fee_bps: str | None
    spread_bps: int
    slippage_bps: int
    volume_percent: float
    on_bad: str
    symbol: str | None
    record: bool = False
    actions: str | None = None
    borrow_percent: float = 0.0
    budgets: tuple[str, ...] = ()
    bar: str | None = None


class Prepared(NamedTuple):
    """A wish made exact."""

    series: "list[Series]"
    strategy: "Strategy"
    params: dict[str, Any]
    setup: "Setup"


class BacktestView(msgspec.Struct, frozen=True):
    """What `backtest --json` prints; money as decimal text. `hold_return_percent` is buying all at the first open and holding,
    dividends included."""

    strategy: str
    params: dict[str, Any]
    symbols: tuple[str, ...]
    bars: int
    from_ns: int
    to_ns: int
    currency: str
    cash: Decimal
    final_equity: Decimal
    return_percent: float
    hold_return_percent: float
    fills: int
    round_trips: int
    refused: dict[str, int]
    cuts: dict[str, int]
    dividends: Decimal
    borrow_fees: Decimal
    seconds: float
    performance: Any


def backtest_files(home: Path, wish: Wish, out: Path | None, *, as_json: bool) -> int:
    """Run the strategy and report; 0. Raises `UsageError`, `ConfigError`, `TapeError` for what cannot be meant."""
    from engine.analytics.report import performance
    from engine.backtest.run import INTERPRETED_BARS, backtest
    from engine.backtest.tracks import track_of
    from tui.compose_backtest import cache_folder

    ready = prepared(home, wish)
    total = sum(len(one.bars.closes) for one in ready.series)
    if ready.strategy.source_hash and total > SLOW_BARS:
        print_note(f"{total:,} bars through a rule in Python take about {total // 500_000} s")
    began = time.perf_counter()
    result = backtest(ready.series, ready.strategy, ready.params, ready.setup, cache_folder(),
                      interpreted_bars=INTERPRETED_BARS)
    seconds = time.perf_counter() - began
    _remember_trial(home, ready.strategy, result)
    bar_notes.tell_large_fills(result, ready.series, ready.setup.fill_share_bps)
    track = track_of(result, ready.series, f"backtest of {ready.strategy.name}", ready.setup.regimes)
    report = performance(track, lambda at_ns: at_ns // 86_400_000_000_000)
    view = _view(ready, result, report, seconds)
    if out is not None:
        _write(out, track, report, view)
    if as_json:
        print_json(view)
    else:
        _show(view, report)
    if wish.record:
        recording.record(home, wish.strategy, recording.backtest_evidence(
            ready, report, view.return_percent, view.round_trips))
    return 0


def parity_of_files(home: Path, wish: Wish, *, as_json: bool) -> int:
    """Compare backtest and engine; 1 where they differ."""
    from engine.backtest.run import INTERPRETED_BARS, backtest
    from tui.compose_backtest import cache_folder, engine_run, first_difference

    ready = prepared(home, wish)
    if ready.setup.dividends:
        print_note("dividends are left out here: the paper venue pays none")
        ready = ready._replace(setup=ready.setup._replace(dividends=()))
    tested = backtest(ready.series, ready.strategy, ready.params, ready.setup, cache_folder(),
                      interpreted_bars=INTERPRETED_BARS)
    run = engine_run(ready.series, ready.strategy, ready.params, ready.setup)
    difference = _looks_ahead(ready) or first_difference(tested, run)
    if as_json:
        print_json({"same": not difference, "difference": difference, "bars": tested.bars, "backtest_fills": len(tested.fills),
                    "engine_fills": len(run.fills), "round_trips": len(tested.trips)})
    elif difference:
        print(difference)
    else:
        print(f"the same: {len(tested.fills)} fills and {len(tested.trips)} round trips over {tested.bars:,} bars")
    if wish.record:
        recording.record(home, wish.strategy, recording.parity_evidence(ready, tested, difference))
    return 1 if difference else 0


def _looks_ahead(ready: Prepared) -> str:
    """Where a rule wants something else because later bars are there, in one line; nothing where none does."""
    from engine.strategies.hindsight import looks_ahead_at
    from engine.strategies.registry import BASKET, params_of

    bars = [one.bars for one in ready.series]
    asked = [bars] if ready.strategy.kind == BASKET else [[one] for one in bars]
    for several in asked:
        close_ns = looks_ahead_at(ready.strategy, params_of(ready.strategy, ready.params), several)
        if close_ns:
            return (f"{ready.strategy.name} looks ahead: at {moment(close_ns)} it wants or remembers something else once later "
                    "bars are there; no backtest of it can be believed")
    return ""


# ---- from words to terms -------------------------------------------------------------------------------------------------------


def prepared(home: Path, wish: Wish) -> Prepared:
    """The bars, the strategy, the parameters and the terms; raises `UsageError`, `ConfigError` or `TapeError`."""
    from brokers.market.recorded import open_tape
    from engine.backtest.run import Setup
    from tui.compose_backtest import restated_series

    if wish.on_bad not in ("refuse", "skip"):
        raise UsageError(f"--on-bad {wish.on_bad}: must be refuse or skip")
    if wish.symbol and len(wish.files) > 1:
        raise UsageError("--symbol names the instrument of one file; name the files so that they tell theirs")
    _refuse_no_numbers(wish)
    fee_ppm = _fee_ppm(wish.fee_bps) if wish.fee_bps is not None else None
    rule, written = recording.configured_form(home, wish.strategy) if wish.record else (wish.strategy, {})
    strategy = _strategy(home, rule)
    tapes = [open_tape(path, on_bad=wish.on_bad, symbol=wish.symbol, spread_bps=wish.spread_bps, taker_fee_ppm=fee_ppm,
                       maker_fee_ppm=fee_ppm) for path in wish.files]
    currencies = {tape.instrument.quote_currency for tape in tapes}
    if len(currencies) > 1:
        raise UsageError(f"the files are in {' and '.join(sorted(currencies))}; test those of one currency together")
    names = [tape.instrument.symbol for tape in tapes]
    if len(set(names)) < len(names):
        raise UsageError("two files hold the same instrument; name one file an instrument")
    first = tapes[0].instrument
    limits, groups = _limits(home, wish)
    budgets = {**(recording.configured_budgets(home, wish.strategy) if wish.record else {}), **_budgets(wish.budgets)}
    setup = Setup(_cash_minor(wish, first.minor_exponent), limits, wish.spread_bps, wish.slippage_bps,
                  int(wish.volume_percent * BPS / 100), sectors=groups.sectors,
                  buckets=groups.buckets, new_day_zone=groups.new_day_zone, regimes=groups.regimes, **budgets)
    if setup.capital_fraction and setup.capital_fixed is not None:
        raise UsageError("capital_fixed and capital_fraction are both given; capital compounds or is fixed")
    actions = _actions(wish, names)
    setup = setup._replace(splits=actions.splits, dividends=actions.dividends,
                           borrow_ppm=round(wish.borrow_percent * PPM_A_PERCENT))
    bar_ns = recording.configured_bar_ns(home, wish.strategy) if wish.record else 0
    bar_ns = seconds_of(wish.bar, "--bar") * NS_PER_SECOND if wish.bar else bar_ns
    setup = setup._replace(bar_ns=bar_ns)
    series = [restated_series(tape, actions.splits, bar_ns) for tape in tapes]
    params = {**written, **_params(wish.params)}
    bar_notes.refuse_too_few(tapes, series, (strategy, params), bar_ns)
    bar_notes.tell(tapes, series)
    bar_notes.tell_splits(series, actions.splits)
    return Prepared(series, strategy, params, setup)


def _refuse_no_numbers(wish: Wish) -> None:
    for name, value in (("--volume-percent", wish.volume_percent), ("--borrow-percent", wish.borrow_percent)):
        if not math.isfinite(value):
            raise UsageError(f"{name} {value}: must be a number")


def _fee_ppm(text: str) -> int:
    try:
        bps = Decimal(ungrouped(text, "--fee-bps"))
    except InvalidOperation:
        bps = Decimal(-1)
    if not bps.is_finite() or not 0 <= bps <= MOST_FEE_BPS:
        raise UsageError(f"--fee-bps {text}: must be a number of 0 to {MOST_FEE_BPS:,}")
    return int(bps * PPM_A_BPS)


def _cash_minor(wish: Wish, exponent: int) -> int:
    cash_minor = int(positive(wish.cash, "--cash").scaleb(exponent))
    if not cash_minor:
        raise UsageError(f"--cash {wish.cash}: is less than the smallest unit of its currency; name more")
    if cash_minor >= MOST_CASH_MINOR:
        raise UsageError(f"--cash {wish.cash}: is more than an account can count; name less")
    return cash_minor


def _actions(wish: Wish, symbols: Sequence[str]) -> "Actions":
    """The splits and dividends of the files; each that names none of them is told."""
    from brokers.market import actions as read

    if wish.actions is None:
        for path in wish.files:
            if read.has_adjusted(path):
                print_note(f"{path.name} has {read.ADJUSTED}: --actions {read.ADJUSTED} takes splits and dividends from it")
        return read.Actions()
    if wish.actions != read.ADJUSTED:
        found = read.read_actions(Path(wish.actions))
        strange = {one.symbol for one in found.splits} | {one.symbol for one in found.dividends}
        strange -= set(symbols)
        if strange:
            print_note(f"{wish.actions}: no bars of {', '.join(sorted(strange))}")
        return found
    told = [read.actions_of_adjusted(path, symbol) for path, symbol in zip(wish.files, symbols, strict=True)]
    return read.Actions(tuple(one for each in told for one in each.splits), tuple(one for each in told for one in each.dividends))


def _strategy(home: Path, name: str) -> "Strategy":
    from engine.strategies.registry import BUILT_IN, built_in
    from engine.strategies.user import load_user_strategy, user_strategy_path

    path = user_strategy_path(home, name)
    if path.is_file():
        return load_user_strategy(path)
    if name not in BUILT_IN:
        raise ConfigError(f"there is no built-in strategy called {name!r}, and no {path}; there are: {', '.join(BUILT_IN)}")
    return built_in(name)


def _params(given: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        try:
            found[name.strip()] = int(value) if value.strip().lstrip("+-").isdigit() else float(value)
        except ValueError:
            equals = ""
        if not equals:
            raise UsageError(f"--set {text}: must be NAME=NUMBER")
    return found


def _budgets(given: Sequence[str]) -> dict[str, Any]:
    """What the strategy may use, by the names that `[[strategies]]` has for it."""
    found: dict[str, Any] = {}
    for text in given:
        name, _, value = (part.strip() for part in text.partition("="))
        if name not in BUDGETS:
            raise UsageError(f"--budget {text}: must be NAME=NUMBER, with one of {', '.join(BUDGETS)}")
        number = positive(value, f"--budget {name}")
        most = {"capital_fraction": 10, "heat_budget_fraction": 1}.get(name)
        if most is not None and number > most:
            raise UsageError(f"--budget {text}: must be a part of the equity, at most {most}")
        found[name] = number if most is None else float(number)
    return found


def _limits(home: Path, wish: Wish) -> tuple[Limits, Settings]:
    """The limits, and the settings of the home, or what stands for them: groups of symbols, the zone of days, regimes."""
    from engine.config import load_config

    groups = Settings(())
    limits = PRESETS[RiskTolerance.MODERATE]
    if wish.tolerance is not None:
        if wish.tolerance not in set(RiskTolerance):
            raise UsageError(f"--tolerance {wish.tolerance}: must be one of {', '.join(RiskTolerance)}")
        limits = PRESETS[RiskTolerance(wish.tolerance)]
    elif (home / "config.toml").is_file():
        groups = load_config(home / "config.toml").settings()
        limits = groups.portfolios[0].limits
    dropped = [name for name in OFF_IN_A_PASS if getattr(limits, name)]
    named = {text.partition("=")[0].strip() for text in wish.limits}
    limits = msgspec.structs.replace(limits, **{name: OFF_IN_A_PASS[name] for name in dropped if name not in named})
    if dropped:
        print_note(f"off here, since bars alone do not tell them: {', '.join(dropped)}")
    for text in wish.limits:
        name, equals, value = text.partition("=")
        if not equals or name.strip() not in FIELDS:
            raise UsageError(f"--limit {text}: must be NAME=VALUE, with a limit that `quarterdeck risk` names")
        try:
            limits = with_limit(limits, name.strip(), value)
        except ValueError as error:
            raise UsageError(f"--limit {error}") from None
    return limits, groups


def _remember_trial(home: Path, strategy: "Strategy", result: "BacktestResult") -> None:
    """A strategy of the home's own may trade once it was tried in the form that it has now."""
    from engine.strategies.user import FOLDER
    from store.tried_strategies import Trial, record_trial

    if strategy.source_hash and (home / FOLDER).is_dir():
        record_trial(home / FOLDER, strategy.source_hash, Trial(strategy.name, time.time_ns(), result.bars, len(result.trips)))


# ---- what is told --------------------------------------------------------------------------------------------------------------


def _view(ready: Prepared, result: "BacktestResult", report: "PerformanceView", seconds: float) -> BacktestView:
    from engine.backtest.actions import held_return

    first = result.instruments[0]
    cash, final = first.money(result.cash_minor), first.money(result.final_equity_minor)
    held = [held_return(one.instrument, one.bars, ready.setup.dividends, ready.setup.splits) for one in ready.series]
    return BacktestView(
        strategy=result.strategy, params=ready.params, symbols=tuple(one.symbol for one in result.instruments), bars=result.bars,
        from_ns=report.from_ns, to_ns=report.to_ns, currency=first.quote_currency, cash=cash, final_equity=final,
        return_percent=float(final / cash - 1) * 100, hold_return_percent=sum(held) / len(held) * 100, fills=len(result.fills),
        round_trips=len(result.trips), refused=result.refused, cuts=result.cuts,
        dividends=first.money(result.dividends_minor) or Decimal(0), borrow_fees=first.money(result.borrow_minor) or Decimal(0),
        seconds=seconds, performance=report)


def _show(view: BacktestView, report: "PerformanceView") -> None:
    from tui.commands.reporting import show

    decimals = report.money_decimals
    print_facts([
        ("strategy", f"{view.strategy} {' '.join(f'{name}={value}' for name, value in view.params.items())}".strip()),
        ("instruments", ", ".join(view.symbols)), ("bars", f"{view.bars:,}"),
        ("equity", f"{money(view.cash, decimals)} to {money(view.final_equity, decimals)} {view.currency}"),
        ("return", percent(view.return_percent, signed=True)),
        ("buy and hold", percent(view.hold_return_percent, signed=True)),
        *([("dividends", f"{money(view.dividends, decimals)} {view.currency}")] if view.dividends else []),
        *([("borrowing", f"{money(-view.borrow_fees, decimals)} {view.currency}")] if view.borrow_fees else []),
        ("time", f"{view.seconds:.2f} s")])
    print()
    rows = [["refused", name, str(count)] for name, count in view.refused.items()]
    rows += [["cut", name, str(count)] for name, count in view.cuts.items()]
    if rows:
        print_table((*words("limits", "by"), *numbers("times")), rows, empty="")
        print()
    show(report, "--out FOLDER")


def _write(folder: Path, track: Any, report: "PerformanceView", view: BacktestView) -> None:
    from engine.analytics.page import page
    from engine.analytics.tables import table_of
    from store.table_files import write_csv, write_parquet, write_text

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {folder}: {error.strerror or error}") from error
    for name in ("round_trips", "fills", "equity", "periods"):
        table = table_of(track, report, name)
        write_csv(folder / f"{name}.csv", table)
        write_parquet(folder / f"{name}.parquet", table)
    write_text(folder / "report.html", page(report))
    write_text(folder / "result.json", msgspec.json.format(msgspec.json.encode(view), indent=2).decode() + "\n")
    print_note(f"wrote {folder}")
