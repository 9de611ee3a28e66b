"""A strategy over history: the compiled pass for built-in rules, the same pass interpreted for a person's own."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from engine.backtest import asked_ahead, baskets, passes
from engine.backtest.actions import Dividend, Split, dividend_rows, settle_actions
from engine.backtest.compiling import compiled, interpreted
from engine.backtest.entries import BPS, CHECKS, Limits, value_minor
from engine.backtest.holdings import (
    ACTION_FIELDS,
    ACTIONS_END,
    BORROW_MINOR,
    BORROW_PPM,
    CASH,
    CUTS,
    DIVIDENDS_MINOR,
    FILL_ROW,
    FILLS,
    FILLS_AT,
    FILLS_ROOM,
    HEAD,
    LOTS,
    NEXT_ACTION,
    REFUSED,
    ROW,
    SIZE_DEN,
    SIZES_AT,
    STOP,
    TRIP_ROW,
    TRIPS,
    TRIPS_AT,
    TRIPS_ROOM,
    entry_ticks_of,
)
from engine.backtest.longer_bars import Asked, Joining, as_lists, asked_on_longer_bars
from engine.backtest.regime_sizes import WHOLE, has_sizes, sizes_of
from engine.backtest.results import BacktestResult, Remaining
from engine.backtest.steps import Friction
from engine.errors import ConfigError, InstrumentError
from engine.instruments import ALWAYS_OPEN, Instrument
from engine.kernel.money import PPM
from engine.kernel.wants import BarColumns
from engine.regimes import USUAL_REGIMES, RegimeSettings
from engine.strategies.registry import BASKET, Strategy, params_of
from engine.tolerance import Limits as LimitSettings
from engine.trading_hours import SessionBounds
from engine.units import MAX_PRODUCT, NS_PER_SECOND, Minor, Nanoseconds

BARS_A_TRIP = 16
INTERPRETED_BARS = 300_000  # interpreted in the time that loading the compiler takes
LEAST_ROOM = 256
FIELDS = len(BarColumns._fields)
TABLE_FIELDS = 8  # 64 bytes a bar


class Series(NamedTuple):
    """The closed bars of one instrument in columns of 64-bit integers, oldest first; with the sessions of a market that closes,
    which longer bars do not reach over."""

    instrument: Instrument
    bars: BarColumns
    sessions: tuple[SessionBounds, ...] = ()


class Means(NamedTuple):
    """How a pass is run: compiled, kept below a folder, or interpreted."""

    compiles: bool
    cache_folder: Path | None


class Setup(NamedTuple):
    """Under which terms a backtest runs: cash, what trading costs beside the instrument's fees, limits and groups.

    `limits` are the portfolio's; `sectors` and `buckets` are by symbol. `gap_allowance_bps` is counted in heat. `max_positions`
    is how many instruments may be held at once (0: any number). `splits` were applied to the series already, by `restated`, and
    tell in which shares `dividends` are counted; `borrow_ppm` is what a short pays a year. `regimes` is how regimes are told, and
    what part of its usual size an entry has in each. The strategy's capital is a part of the equity (0: all of it), or fixed;
    `heat_budget_fraction` is what it may risk at once (0: what the limits allow). `bar_ns` is the length of the bars that the
    rule sees (0: those of the series); everything else goes by the bars of the series.
    """

    cash_minor: Minor
    limits: LimitSettings = LimitSettings()
    spread_bps: int = 0
    slippage_bps: int = 0
    fill_share_bps: int = BPS
    touch_fills: bool = False
    trail_step_fraction: float = 0.05
    gap_allowance_bps: int = 0
    max_positions: int = 0
    sectors: Mapping[str, str] = {}
    buckets: Mapping[str, str] = {}
    new_day_zone: str = "UTC"
    splits: tuple[Split, ...] = ()
    dividends: tuple[Dividend, ...] = ()
    borrow_ppm: int = 0
    regimes: RegimeSettings = USUAL_REGIMES
    capital_fraction: float = 0.0
    capital_fixed: Decimal | None = None
    heat_budget_fraction: float = 0.0
    bar_ns: Nanoseconds = 0

    @property
    def has_actions(self) -> bool:
        return bool(self.dividends or self.borrow_ppm)


NOT_IN_A_PASS = ("max_correlated_heat_fraction", "max_value_at_risk_fraction", "max_expected_shortfall_fraction",
                 "max_daily_volume_fraction", "flat_before_close_minutes", "trading_hours", "brake_flatten")


def backtest(series: Sequence[Series], strategy: Strategy, params: Mapping[str, object], setup: Setup,
             cache_folder: Path | None = None, *, interpreted_bars: int = 0) -> BacktestResult:
    """Run a strategy over the bars of one or several instruments in one account.

    What is compiled is kept below `cache_folder`. Up to `interpreted_bars` bars the same pass is interpreted, with the same
    result: a single short run is over before the compiler would have been loaded. Raises `ConfigError` for parameters that the
    strategy does not take and for limits that a pass over bars cannot express, `InstrumentError` where money would not fit 64
    bits, `TapeError` where the bars do not fit into those that the rule is to see.
    """
    problems = inexpressible(setup)
    if problems:
        raise ConfigError(problems[0])
    least, most = strategy.instruments
    if strategy.kind == BASKET and not least <= len(series) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise ConfigError(f"{strategy.name} trades a basket of {wanted} instruments, not {len(series)}; name a file for each")
    compiles = not strategy.source_hash and sum(len(one.bars.closes) for one in series) > interpreted_bars
    return _run(tuple(series), strategy, params_of(strategy, params), setup, Means(compiles, cache_folder))


def inexpressible(setup: Setup) -> list[str]:
    """The limits that are on and that bars alone cannot express, in words; empty where a pass can hold all of them."""
    found = [f"limits.{name} is on, which a compiled backtest cannot hold: turn it off, or replay the file with the engine"
             for name in NOT_IN_A_PASS if getattr(setup.limits, name, False)]
    if setup.new_day_zone != "UTC":
        found.append(f"engine.new_day_zone is {setup.new_day_zone}; a compiled backtest counts days in UTC: replay the file with "
                     "the engine")
    return found


def limits_of(setup: Setup, instrument: Instrument) -> Limits:
    """The portfolio's limits as numbers."""
    one = setup.limits
    small = Decimal(repr(one.brake_small_size)).as_integer_ratio()
    cap = int(one.max_order_notional.scaleb(instrument.minor_exponent)) if one.max_order_notional is not None else 0
    capital = int(setup.capital_fixed.scaleb(instrument.minor_exponent)) if setup.capital_fixed is not None else -1
    return Limits(
        one.max_order_notional_fraction, cap, one.max_risk_per_order_fraction, one.max_position_fraction, one.max_leverage,
        one.max_gross_fraction, one.max_net_fraction, one.max_sector_fraction, one.max_asset_class_fraction,
        one.max_bucket_fraction, one.max_heat_fraction, one.max_bucket_heat_fraction, one.max_daily_notional_fraction,
        one.max_orders_per_day, setup.max_positions, one.collar_bps, one.max_spread_bps, one.min_reward_to_risk,
        int(one.require_stop), one.max_day_loss_fraction, one.max_week_loss_fraction, one.max_drawdown_fraction,
        one.max_losing_streak, int(Decimal(str(one.cooldown_seconds)) * NS_PER_SECOND), one.brake_small_fraction,
        one.brake_small_size, small[0], small[1], one.brake_halt_multiple, setup.capital_fraction, capital,
        setup.heat_budget_fraction)


def terms_of(instruments: Sequence[Instrument], setup: Setup) -> list[list[int]]:
    """The terms of each instrument as the first fields of its row."""
    groups: dict[tuple[str, str], int] = {}

    def number(kind: str, name: str) -> int:
        return groups.setdefault((kind, name), len(groups)) if name else -1

    rows = []
    for one in instruments:
        if one.value_den * PPM * max(1, one.taker_fee_ppm, one.maker_fee_ppm) >= MAX_PRODUCT:
            raise InstrumentError(f"{one.instrument_id}: fees do not fit 62 bits; use a coarser tick or lot")
        sector = setup.sectors.get(one.symbol) or setup.sectors.get(one.instrument_id, "")
        bucket = setup.buckets.get(one.symbol) or setup.buckets.get(one.instrument_id) or sector or one.symbol
        limits = setup.limits
        barred = any(one.is_called(name) for name in limits.blacklist) or (
            bool(limits.preferred_sectors) and sector not in limits.preferred_sectors)
        rows.append([one.value_num, one.value_den, one.taker_fee_ppm, one.maker_fee_ppm, one.min_lots, one.max_lots,
                     one.max_ticks, one.min_notional_minor, int(one.shortable), int(one.tradable and not barred),
                     number("sector", sector),
                     number("class", one.asset_class), number("bucket", bucket), int(bucket != one.symbol),
                     int(one.session == ALWAYS_OPEN)])
    return rows


def _run(series: tuple[Series, ...], strategy: Strategy, params: Any, setup: Setup, means: Means) -> BacktestResult:
    total = sum(len(one.bars.closes) for one in series)
    room = total // BARS_A_TRIP + LEAST_ROOM
    sizes = _sizes(series, setup, means)
    while True:
        w = _account(series, setup, room, sizes)
        equity_at_ns, equity = _pass(w, series, strategy, params, setup, means)
        if w[TRIPS] <= w[TRIPS_ROOM] and w[FILLS] <= w[FILLS_ROOM]:
            return _result(w, series, strategy, setup, total, equity_at_ns, equity)
        room = int(max(w[TRIPS], w[FILLS] // 2 + 1))


def _sizes(series: tuple[Series, ...], setup: Setup, means: Means) -> Any:
    """The sizes of entries at each bar, all instruments one after the other; empty where all have their usual size."""
    import numpy

    if not has_sizes(setup.regimes):
        return ()
    columns: list[Any] = [numpy.concatenate(column) for column in zip(*(one.bars for one in series), strict=True)]
    starts = numpy.cumsum([0, *(len(one.bars.closes) for one in series)]).tolist()
    return sizes_of(BarColumns(*columns), starts, setup.regimes, means.cache_folder, compiles=means.compiles)


def _account(series: tuple[Series, ...], setup: Setup, room: int, sizes: Any) -> Any:
    """The array that a pass works on: the account, a row each, dividends, the sizes of entries by regime, and room for twice as
    many fills as round trips."""
    import numpy

    logs_at = HEAD + len(series) * ROW
    actions = dividend_rows([one.instrument for one in series], setup.dividends, setup.splits)
    actions_at, sizes_at = logs_at, logs_at + len(actions) * ACTION_FIELDS
    logs_at = sizes_at + len(sizes)
    w = numpy.empty(logs_at + room * (2 * FILL_ROW + TRIP_ROW), numpy.int64)
    w[:logs_at] = 0
    for number, row in enumerate(terms_of([one.instrument for one in series], setup)):
        w[HEAD + number * ROW:HEAD + number * ROW + len(row)] = row
    w[actions_at:sizes_at] = [field for row in actions for field in row]
    w[NEXT_ACTION], w[ACTIONS_END], w[BORROW_PPM] = actions_at, sizes_at, setup.borrow_ppm
    if len(sizes):
        w[sizes_at:logs_at], w[SIZES_AT], w[SIZE_DEN] = sizes, sizes_at, WHOLE
    w[CASH] = setup.cash_minor
    w[FILLS_AT], w[FILLS_ROOM] = logs_at, 2 * room
    w[TRIPS_AT], w[TRIPS_ROOM] = logs_at + 2 * room * FILL_ROW, room
    return w


def side_by_side(series: Sequence[Series]) -> list[Series]:
    """The same series laid out as a pass over several reads them: one table, a line of the processor's cache for each bar. Worth
    it where they are run over more than once, since a pass would otherwise lay them out itself each time."""
    import numpy

    table = _table([one.bars for one in series])
    starts = numpy.cumsum([0, *(len(one.bars.closes) for one in series)]).tolist()
    views = [[table[start:end, field] for field in range(FIELDS)] for start, end in itertools.pairwise(starts)]
    return [one._replace(bars=BarColumns(*columns)) for one, columns in zip(series, views, strict=True)]


def _table(bars: Sequence[BarColumns]) -> Any:
    """All bars as rows of one table, one instrument after the other; without copying where they lie so already."""
    import numpy

    total, start = sum(len(one.closes) for one in bars), 0
    first: Any = bars[0].opens_ns
    table = first.base
    in_place = table is not None and table.shape == (total, TABLE_FIELDS) and table.flags.c_contiguous
    for one in bars if in_place else ():
        for field, column in enumerate(one):
            at: Any = column
            in_place = in_place and at.base is table and \
                at.__array_interface__["data"][0] == table.ctypes.data + 8 * (start * TABLE_FIELDS + field)
        start += len(one.closes)
    if in_place:
        return table
    table = numpy.zeros((total, TABLE_FIELDS), numpy.int64)
    for field in range(FIELDS):
        table[:, field] = numpy.concatenate([one[field] for one in bars])
    return table


def _pass(w: Any, series: tuple[Series, ...], strategy: Strategy, params: Any, setup: Setup,
          means: Means) -> tuple[Any, Any]:
    """Run over all bars; the times and the equity of every close. A person's own rule runs in the same pass, interpreted."""
    import numpy

    friction = Friction(setup.spread_bps, setup.slippage_bps, setup.fill_share_bps, int(setup.touch_fills),
                        setup.trail_step_fraction, setup.gap_allowance_bps)
    limits = limits_of(setup, series[0].instrument)
    braked = bool(limits.day_loss or limits.week_loss or limits.drawdown or limits.losing_streak or limits.orders_per_day
                  or limits.daily_fraction)
    joined: list[Any] = list(series[0].bars)
    if len(series) > 1 and means.compiles:
        table = _table([one.bars for one in series])
        joined = [table[:, field] for field in range(FIELDS)]
    elif len(series) > 1:
        joined = [numpy.concatenate(columns) for columns in zip(*(one.bars for one in series), strict=True)]
    starts: list[int] = numpy.cumsum([0, *(len(one.bars.closes) for one in series)]).tolist()
    asked = _asked(series, strategy, params, setup, means)
    terms = (friction, limits, braked, asked.params, strategy.memory())
    if means.compiles:
        at_ns, equity = _compiled_pass(w, joined, starts, terms, (strategy, asked), setup, means.cache_folder)
    else:
        at_ns, equity = _interpreted_pass(w, joined, starts, terms, (strategy, asked), setup)
    return (joined[1] if _is_alone(starts, strategy, setup) else at_ns), equity


def _asked(series: tuple[Series, ...], strategy: Strategy, params: Any, setup: Setup, means: Means) -> Asked:
    """What the pass asks: the strategy's own rule, or what asks it on longer bars."""
    if not setup.bar_ns:
        return Asked(strategy.rule, params, {})
    how = Joining(setup.bar_ns, means.compiles, means.cache_folder)
    return asked_on_longer_bars([one.bars for one in series], [one.sessions for one in series], strategy, params, how)


def _is_alone(starts: list[int], strategy: Strategy, setup: Setup) -> bool:
    """Whether the faster pass over a single instrument does it."""
    return len(starts) == 2 and strategy.kind != BASKET and not setup.has_actions


def _entry_of(strategy: Strategy, setup: Setup, rule: Callable[..., Any],
              several: Callable[..., Any]) -> tuple[Callable[..., Any], dict[str, Callable[..., Any]]]:
    """The pass over several instruments that a strategy needs (`several` where it is no basket), and what takes the places of
    the names there."""
    opening: dict[str, Callable[..., Any]] = {"before_opens": settle_actions} if setup.has_actions else {}
    if strategy.kind == BASKET:
        return baskets.one_basket, {"weights": rule, **opening}
    return several, {"rule": rule, **opening}


def _compiled_pass(w: Any, joined: list[Any], starts: list[int], terms: tuple[Any, ...],
                   asking: tuple[Strategy, Asked], setup: Setup, cache_folder: Path | None) -> tuple[Any, Any]:
    import numpy

    strategy, asked = asking
    bars, total = BarColumns(*joined), starts[-1]
    equity = numpy.empty(total, numpy.int64)
    if _is_alone(starts, strategy, setup):
        compiled(passes.one_instrument, {"rule": asked.rule, **asked.inner}, cache_folder)(w, bars, *terms, equity)
        return None, equity
    at_ns = numpy.empty(total, numpy.int64)
    pass_of, replaced = _entry_of(strategy, setup, asked.rule, passes.several_instruments)
    entry = compiled(pass_of, {**replaced, **asked.inner}, cache_folder)
    cursor = passes.Cursor(*numpy.zeros((len(passes.Cursor._fields), len(starts) - 1), numpy.int64))
    marked = entry(w, bars, numpy.array(starts), *terms, cursor, at_ns, equity)
    return at_ns[:marked], equity[:marked]


def _interpreted_pass(w: Any, joined: list[Any], starts: list[int], terms: tuple[Any, ...],
                      asking: tuple[Strategy, Asked], setup: Setup) -> tuple[Any, Any]:
    """The same, interpreted."""
    import numpy

    strategy, asked = asking
    rule = asked.rule
    if asked.inner:
        friction, limits, braked, params, memory = terms
        rule, terms = asked.interpreted_rule(), (friction, limits, braked, as_lists(params), memory)
    bars, total, logs_at = _readable(joined), starts[-1], int(w[FILLS_AT])
    work, equity = w[:logs_at].tolist() + [0] * (len(w) - logs_at), [0] * total
    if _is_alone(starts, strategy, setup):
        interpreted(passes.one_instrument, {"rule": rule})(work, bars, *terms, equity)
        at_ns, marked = None, total
    else:
        times, cursor = [0] * total, passes.Cursor(*([0] * (len(starts) - 1) for _ in passes.Cursor._fields))
        entry, replaced = _entry_of(strategy, setup, rule, asked_ahead.several_asked_ahead)
        if strategy.next_entry is not None and not asked.inner:
            replaced["next_entry"] = strategy.next_entry
        over_lists = interpreted(entry, {**replaced, "next_moment": _soonest})
        marked = over_lists(work, bars, starts, *terms, cursor, times, equity)
        at_ns = numpy.array(times[:marked], numpy.int64)
    fills_end = logs_at + min(work[FILLS], work[FILLS_ROOM]) * FILL_ROW
    trips_at, trips_end = work[TRIPS_AT], work[TRIPS_AT] + min(work[TRIPS], work[TRIPS_ROOM]) * TRIP_ROW
    w[:fills_end], w[trips_at:trips_end] = work[:fills_end], work[trips_at:trips_end]
    return at_ns, numpy.array(equity[:marked], numpy.int64)


def _soonest(cursor: passes.Cursor) -> int:
    """As `engine.backtest.passes.next_moment`, over lists."""
    return int(min(cursor.next_ns))


def _readable(joined: list[Any]) -> BarColumns:
    """Prices as lists, which the interpreter reads several times as fast as arrays; times and volumes, which few bars ask for, as
    they lie; unless that is between two words of memory, as where a cluster brought them."""
    import numpy

    opens_ns, closes_ns, opens, highs, lows, closes, volumes = joined
    as_they_lie = [memoryview(numpy.require(one, requirements="A")) for one in (opens_ns, closes_ns, volumes)]
    return BarColumns(as_they_lie[0], as_they_lie[1], opens.tolist(), highs.tolist(), lows.tolist(), closes.tolist(),
                      as_they_lie[2])


def _result(w: Any, series: tuple[Series, ...], strategy: Strategy, setup: Setup, total: int, equity_at_ns: Any,
            equity: Any) -> BacktestResult:
    fills = w[w[FILLS_AT]:w[FILLS_AT] + w[FILLS] * FILL_ROW].reshape(-1, FILL_ROW)
    trips = w[w[TRIPS_AT]:w[TRIPS_AT] + w[TRIPS] * TRIP_ROW].reshape(-1, TRIP_ROW)
    remaining = tuple(
        Remaining(one.instrument.instrument_id, int(w[at + LOTS]), int(entry_ticks_of(w, at)), int(w[at + STOP]),
                  int(value_minor(w, at)))
        for one, at in zip(series, range(HEAD, HEAD + len(series) * ROW, ROW), strict=True) if w[at + LOTS] != 0)
    return BacktestResult(
        strategy.name, tuple(one.instrument for one in series), total, setup.cash_minor, int(w[CASH]), fills, trips, equity_at_ns,
        equity, _counts(w, REFUSED), _counts(w, CUTS), remaining, int(w[DIVIDENDS_MINOR]), int(w[BORROW_MINOR]))


def _counts(w: Any, first: int) -> dict[str, int]:
    return {name: int(w[first + place]) for place, name in enumerate(CHECKS) if w[first + place]}
