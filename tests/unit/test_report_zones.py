"""Days, weeks, months and years of reports in zones whose clocks change, by hand: each point in one period, no hour twice."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from engine.analytics.records import EquityCurve, Track
from engine.analytics.report import performance
from engine.events import EquityMarked
from engine.performance_words import PerformanceQuery, PeriodView
from engine.units import NS_PER_SECOND
from store.history import StoredHistory
from tests.unit.engine_desk import Desk, rows_of, the_stop
from tests.unit.test_analytics import trip
from tests.unit.test_store_history import write
from tui.commands.reporting import day_end, day_start
from tui.compose import day_number_in
from tui.screens.performance_lines import month_lines

HOUR_NS = 3_600 * NS_PER_SECOND


def at(text: str) -> int:
    """A time in UTC, to the second."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_SECOND


def periods(zone: str, period: str, points: Sequence[tuple[str, int]], closed: Sequence[str] = ()) -> tuple[PeriodView, ...]:
    """The table of a curve of equities at these times, with round trips that ended at those."""
    curve = EquityCurve([at(one[0]) for one in points], [one[1] for one in points], [0] * len(points), [0] * len(points))
    trips = tuple(trip(100, closed_at_ns=at(one)) for one in closed)
    return performance(Track("main", "USD", 2, curve, trips, ()), day_number_in(zone), period=period).periods


def told(rows: Sequence[PeriodView]) -> list[tuple[str, float, int]]:
    return [(row.period, float(row.profit), row.round_trips) for row in rows]


def test_a_day_of_23_hours_and_one_of_25_end_with_their_own_midnight() -> None:
    """New York: 8 March 2026 is from 05:00 to 04:00 UTC, 1 November from 04:00 to 05:00."""
    spring = [("2026-03-07T12:00", 10_000), ("2026-03-08T05:00", 10_100), ("2026-03-08T05:01", 10_200),
              ("2026-03-09T03:59", 10_300), ("2026-03-09T04:00", 10_400), ("2026-03-09T04:01", 10_500)]
    assert told(periods("America/New_York", "day", spring, ["2026-03-08T05:00", "2026-03-09T04:00", "2026-03-09T04:01"])) == [
        ("2026-03-07", 1.0, 1), ("2026-03-08", 3.0, 1), ("2026-03-09", 1.0, 1)]
    autumn = [("2026-10-31T12:00", 10_000), ("2026-11-01T04:00", 10_100), ("2026-11-01T05:30", 10_200),
              ("2026-11-01T06:30", 10_300), ("2026-11-02T05:00", 10_400), ("2026-11-02T05:01", 10_500)]
    assert told(periods("America/New_York", "day", autumn, ["2026-11-02T04:59", "2026-11-02T05:01"])) == [
        ("2026-10-31", 1.0, 0), ("2026-11-01", 3.0, 1), ("2026-11-02", 1.0, 1)]


def test_a_day_whose_midnight_does_not_exist_begins_with_the_hour_that_does() -> None:
    """Cairo: on 24 April 2026 the clocks go from 24:00 (22:00 UTC) to 01:00."""
    points = [("2026-04-23T12:00", 10_000), ("2026-04-23T22:00", 10_100), ("2026-04-23T22:01", 10_300),
              ("2026-04-24T20:59", 10_600)]
    assert told(periods("Africa/Cairo", "day", points)) == [("2026-04-23", 1.0, 0), ("2026-04-24", 5.0, 0)]


@pytest.mark.parametrize(("zone", "stroke"), [
    ("Asia/Tokyo", "2026-12-31T15:00"), ("America/New_York", "2027-01-01T05:00"), ("UTC", "2027-01-01T00:00"),
    ("Asia/Kathmandu", "2026-12-31T18:15")])
def test_a_year_ends_where_the_zone_says(zone: str, stroke: str) -> None:
    """Thursday 31 December 2026 and the Friday after it are of one week, which is the 53rd of 2026; Monday's is the first."""
    noon, late = at(stroke) - 12 * HOUR_NS, at(stroke) + 84 * HOUR_NS  # Monday 4 January, 12:00
    moments = [noon, at(stroke), at(stroke) + NS_PER_SECOND, late]
    points = [(datetime.fromtimestamp(one // NS_PER_SECOND, UTC).replace(tzinfo=None).isoformat(), worth)
              for one, worth in zip(moments, (10_000, 10_100, 10_300, 10_800), strict=True)]
    assert told(periods(zone, "month", points)) == [("2026-12", 1.0, 0), ("2027-01", 7.0, 0)]
    assert told(periods(zone, "week", points)) == [("2026-W53", 3.0, 0), ("2027-W01", 5.0, 0)]
    assert told(periods(zone, "day", points))[:2] == [("2026-12-31", 1.0, 0), ("2027-01-01", 2.0, 0)]


def test_the_table_of_months_has_a_line_a_year_that_ends_in_the_zone_and_links_its_months() -> None:
    points = [("2026-10-30T14:00", 10_000), ("2026-11-30T15:00", 11_000), ("2026-12-31T14:59", 12_100),
              ("2026-12-31T15:01", 12_705)]
    lines = ["".join(text for text, _ in line) for line in month_lines(periods("Asia/Tokyo", "month", points))]
    assert [line[:4] for line in lines[2:]] == ["2027", "2026"]
    assert lines[2].split() == ["2027", "+5.0", *["·"] * 11, "+5.0"]
    assert lines[3].split() == ["2026", *["·"] * 9, "0.0", "+10", "+10", "+21"]


# ---- what is asked for by dates ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("zone", "day", "first", "after"), [
    ("UTC", "2026-03-08", "2026-03-08T00:00", "2026-03-09T00:00"),
    ("America/New_York", "2026-03-08", "2026-03-08T05:00", "2026-03-09T04:00"),
    ("America/New_York", "2026-11-01", "2026-11-01T04:00", "2026-11-02T05:00"),
    ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00", "2026-04-24T21:00"),
    ("Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00", "2026-04-05T13:30"),
    ("Pacific/Kiritimati", "2026-12-31", "2026-12-30T10:00", "2026-12-31T10:00")])
def test_a_date_is_the_day_of_the_zone(zone: str, day: str, first: str, after: str) -> None:
    where = ZoneInfo(zone)
    assert (day_start(day, where, "--from"), day_end(day, where)) == (at(first) + 1, at(after) + 1)
    number = day_number_in(zone)
    assert number(at(first)) == number(at(after) - 1) == number(at(first) - 1) + 1 == number(at(after)) - 1


def test_reports_of_single_days_add_up_to_that_of_all_of_them(tmp_path: Path) -> None:
    """What closes on the very stroke of midnight is the end of the day before, in one report and not in none or in both."""
    desk = Desk()
    desk.at_ns = at("2026-03-07T23:59")
    desk.quote(10_000)
    desk.beat()
    desk.enter("a", 10, "95")
    desk.at_ns = at("2026-03-08T00:00") - NS_PER_SECOND
    desk.quote(10_200)
    desk.fill(the_stop(desk), 10, 10_200)
    desk.beat()
    assert isinstance(desk.of(EquityMarked)[-1], EquityMarked) and desk.at_ns == at("2026-03-08T00:00")
    desk.later(3_600)
    desk.quote(10_000)
    desk.enter("b", 10, "95")
    desk.later(60)
    desk.fill(the_stop(desk), 10, 10_500)
    desk.beat()
    history = StoredHistory(write(tmp_path / "journal.db", rows_of(desk), views=True))
    zone = ZoneInfo("UTC")
    tracks = [history.track(PerformanceQuery("main", day_start(day, zone, "--from"), day_end(day, zone)))
              for day in ("2026-03-07", "2026-03-08")]
    days = [performance(track, day_number_in("UTC")) for track in tracks]
    profits = [figure.value for view in days for figure in view.figures if figure.key == "profit"]
    assert profits == [20.0, 50.0]
    assert [len(view.trips) for view in days] == [1, 1]
