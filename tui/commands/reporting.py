"""The report on performance: on the terminal, as JSON, as a table in a file, as a page with charts."""

import re
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from engine.errors import UsageError
from engine.service import GroupingView, PerformanceQuery, PerformanceView, PeriodView
from engine.units import NS_PER_SECOND, Nanoseconds
from tui.commands.link import existing_home
from tui.formats import measure, moment, money, number, percent, plain, plain_float, plural
from tui.printing import numbers, print_json, print_note, print_table, words

if TYPE_CHECKING:
    from engine.analytics.records import Track

SHOWN_TRIPS = 10
NS_PER_DAY = 86_400 * NS_PER_SECOND


class Wanted(NamedTuple):
    """The options of the command as they were typed."""

    portfolio: str
    since: str | None
    until: str | None
    period: str
    table: str
    csv: Path | None
    parquet: Path | None
    html: Path | None


def report(path: Path, wanted: Wanted, *, as_json: bool) -> None:
    """Report on what a home has recorded; works beside a running engine and without one.

    Raises `UsageError` for what cannot be meant, or where nothing is recorded.
    """
    from engine.analytics.report import performance
    from engine.config import load_config
    from store.history import StoredHistory

    _refuse_unknown(wanted)
    home = existing_home(path)
    if not home.journal.is_file():
        raise UsageError("nothing is recorded in this home yet; there is nothing to report on")
    zone_name = load_config(home.config).engine.new_day_zone
    zone = ZoneInfo(zone_name)
    query = PerformanceQuery(wanted.portfolio, day_start(wanted.since, zone, "--from"),
                             day_end(wanted.until, zone), wanted.period)
    if query.to_ns and query.to_ns <= query.from_ns:
        raise UsageError(f"--from {wanted.since} --to {wanted.until}: the span ends before it begins")
    track = StoredHistory(home.journal).track(query)
    view = performance(track, _day_number(zone_name), period=wanted.period)
    for written in write_files(track, view, wanted):
        print_note(f"wrote {written}")
    if as_json:
        print_json(view)
    elif not (wanted.csv or wanted.parquet or wanted.html):
        show(view)


def _refuse_unknown(wanted: Wanted) -> None:
    from engine.analytics.report import PERIODS
    from engine.analytics.tables import TABLES

    for option, value, known in (("--period", wanted.period, PERIODS), ("--table", wanted.table, tuple(TABLES))):
        if value not in known:
            raise UsageError(f"{option} {value}: must be one of {', '.join(known)}")


def _day_number(zone_name: str) -> Callable[[Nanoseconds], int]:
    if zone_name == "UTC":
        return lambda at_ns: at_ns // NS_PER_DAY
    from tui.compose import day_number_in

    return day_number_in(zone_name)


def _midnight(text: str, zone: ZoneInfo, option: str) -> datetime:
    """The beginning of a day in a zone: a date, or so many days ago; raises `UsageError`."""
    ago = re.fullmatch(r"(\d{1,5})d", text.strip())
    try:
        today = datetime.fromtimestamp(time.time(), zone)
        day = today - timedelta(days=int(ago[1])) if ago else datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise UsageError(f"{option} {text}: must be a date such as 2026-03-01, or days such as 90d") from None
    return datetime(day.year, day.month, day.day, tzinfo=zone)


def day_start(text: str | None, zone: ZoneInfo, option: str) -> Nanoseconds:
    """When a day begins, 0 for no text: just after the stroke of midnight, which is the end of the day before."""
    return int(_midnight(text, zone, option).timestamp()) * NS_PER_SECOND + 1 if text else 0


def day_end(text: str | None, zone: ZoneInfo) -> Nanoseconds:
    """When the next day begins, by a change to summer time an hour sooner; 0 for no text."""
    if not text:
        return 0
    day = _midnight(text, zone, "--to") + timedelta(days=1)
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * NS_PER_SECOND + 1


# ---- files ---------------------------------------------------------------------------------------------------------------------


def write_files(track: "Track", view: PerformanceView, wanted: Wanted) -> list[Path]:
    """Write what is asked for; the files written."""
    from engine.analytics.page import page
    from engine.analytics.tables import table_of
    from store.table_files import write_csv, write_parquet, write_text

    written = []
    if wanted.csv or wanted.parquet:
        table = table_of(track, view, wanted.table)
        for target, write in ((wanted.csv, write_csv), (wanted.parquet, write_parquet)):
            if target is not None:
                write(target, table)
                written.append(target)
    if wanted.html is not None:
        write_text(wanted.html, page(view))
        written.append(wanted.html)
    return written


# ---- the terminal --------------------------------------------------------------------------------------------------------------


def show(view: PerformanceView, all_trips: str = "--csv FILE") -> None:
    """The report as tables: figures, periods, attribution, the newest round trips."""
    span = f"{moment(view.from_ns)} to {moment(view.to_ns)} UTC, {plural(view.days, 'day')}"
    span = span if view.to_ns else "no equity recorded"
    print(f"{plain(view.name)}: {span}, by {view.days_per_year} days a year, in {view.currency}")
    print()
    print_table((*words("figure"), *numbers("value"), *words("")), [
        [figure.label, measure(figure.value, figure.unit, view.money_decimals), figure.why] for figure in view.figures],
                empty="no figures")
    print()
    print_table((*words(view.period), *numbers("equity", "profit", "return", "drawdown", "paid in", "round trips")),
                _period_rows(view.periods, view.money_decimals), empty="no periods")
    for grouping in view.groupings:
        print()
        print_table((*words(f"by {grouping.by}"), *numbers("round trips", "won", "result", "mean", "profit factor", "fees",
                                                           "slippage")), _group_rows(grouping, view.money_decimals), empty="")
    if view.trips:
        print()
        _show_trips(view, all_trips)


def _period_rows(periods: Sequence[PeriodView], decimals: int) -> list[list[str]]:
    return [[row.period, money(row.equity, decimals), money(row.profit, decimals, signed=True),
             percent(row.return_percent, signed=True), percent(row.drawdown_percent), money(row.paid_in, decimals),
             str(row.round_trips)] for row in periods]


def _group_rows(grouping: GroupingView, decimals: int) -> list[list[str]]:
    return [[row.name, str(row.round_trips), percent(row.win_percent, 1), money(row.net, decimals, signed=True),
             money(row.mean, decimals, signed=True), plain_float(row.profit_factor, 2), money(row.fees, decimals),
             money(row.slippage, decimals)] for row in grouping.groups]


def _show_trips(view: PerformanceView, all_trips: str) -> None:
    columns = (*numbers("#"), *words("symbol", "side"), *numbers("quantity"), *words("closed (UTC)"),
               *numbers("entry", "exit", "result", "R", "MAE", "MFE"), *words("strategy", "decision", "ended by"))
    rows = [[str(trip.number), trip.symbol, trip.side, f"{trip.quantity:,.10g}", moment(trip.closed_at_ns), f"{trip.entry:,.10g}",
             f"{trip.exit:,.10g}", number(trip.net, view.money_decimals, signed=True),
             plain_float(trip.r_multiple, 2, signed=True),
             percent(trip.mae_percent), percent(trip.mfe_percent), trip.strategy, trip.decision, trip.exit_reason]
            for trip in view.trips[:SHOWN_TRIPS]]
    print_table(columns, rows, empty="no round trips")
    if view.trip_count > len(rows):
        print_note(f"the newest {len(rows)} of {view.trip_count:,} round trips; {all_trips} writes them all")
