"""The past in days: of the simulated market, of tapes, and of several venues as one."""

import asyncio
import csv
import itertools
from datetime import UTC, datetime
from pathlib import Path

import pytest

from brokers.market.invented import SimulatedMarket
from brokers.market.merged import AwaitedFeed, MergedFeed
from brokers.market.recorded import MergedTape, open_tape
from brokers.market.simulated import SimulatedFeed
from brokers.market.tape_days import TapeDays
from brokers.sessions import session_bounds
from engine.inputs import Bar
from engine.ports import DailyBars, HalfHours
from engine.trading_hours import NS_PER_DAY
from engine.units import NS_PER_SECOND


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_SECOND


FRIDAY_NOON = moment("2026-03-06T17:00:00")


@pytest.mark.parametrize("instrument_id", ["AAPL@paper", "BTC/USD@paper"])
def test_simulated_days_are_the_days_of_the_market(instrument_id: str) -> None:
    market = SimulatedMarket(7)
    feed = SimulatedFeed(market, lambda: FRIDAY_NOON)
    days = feed.daily_bars(instrument_id, 30)
    long_bars = market.history(instrument_id, 86_400, 30, FRIDAY_NOON // NS_PER_DAY * NS_PER_DAY)
    assert [day.close_ticks for day in days] == [bar.close_ticks for bar in long_bars]
    assert [day.open_ticks for day in days] == [bar.open_ticks for bar in long_bars]
    assert all(day.low_ticks <= min(day.open_ticks, day.close_ticks) <= max(day.open_ticks, day.close_ticks) <= day.high_ticks
               for day in days)
    assert all(before.close_ns <= after.open_ns for before, after in itertools.pairwise(days))
    assert days[-1].close_ns <= FRIDAY_NOON
    assert list(days) == list(SimulatedFeed(SimulatedMarket(7), lambda: FRIDAY_NOON).daily_bars(instrument_id, 30))


def test_a_day_is_told_once_it_is_over() -> None:
    now = [moment("2026-03-06T20:59:59")]
    feed = SimulatedFeed(SimulatedMarket(7), lambda: now[0])
    assert feed.daily_bars("AAPL@paper", 1)[0].close_ns == moment("2026-03-05T21:00:00")
    now[0] += NS_PER_SECOND
    assert feed.daily_bars("AAPL@paper", 1)[0].close_ns == moment("2026-03-06T21:00:00")


def test_shares_that_always_trade_have_days_of_utc() -> None:
    day = SimulatedFeed(SimulatedMarket(7, always_open=True), lambda: FRIDAY_NOON).daily_bars("AAPL@paper", 1)[0]
    assert (day.open_ns, day.close_ns) == (moment("2026-03-05T00:00:00"), moment("2026-03-06T00:00:00"))


async def test_of_several_venues_the_one_that_knows_is_asked() -> None:
    feed, listed = SimulatedFeed(SimulatedMarket(7), lambda: FRIDAY_NOON), asyncio.Event()
    merged = MergedFeed([AwaitedFeed(feed, listed)], {"paper": [0]})
    assert isinstance(merged, DailyBars)
    assert merged.daily_bars("AAPL@paper", 3) == ()
    listed.set()
    assert merged.daily_bars("AAPL@paper", 3) == feed.daily_bars("AAPL@paper", 3)
    assert merged.daily_bars("AAPL@elsewhere", 3) == ()
    assert feed.daily_bars("NOPE@paper", 3) == ()


async def test_half_hours_are_told_by_the_venue_that_knows_them() -> None:
    feed, listed = SimulatedFeed(SimulatedMarket(7), lambda: FRIDAY_NOON), asyncio.Event()
    merged = MergedFeed([AwaitedFeed(feed, listed)], {"paper": [0]})
    assert isinstance(merged, HalfHours)
    assert merged.half_hours("AAPL@paper", 4) == ()
    listed.set()
    halves = merged.half_hours("AAPL@paper", 8)
    assert list(halves) == list(feed.half_hours("AAPL@paper", 8))
    assert [bar.close_ns - bar.open_ns for bar in halves] == [1_800 * NS_PER_SECOND] * 8
    assert halves[-1].close_ns == FRIDAY_NOON
    assert halves[-5].open_ns == moment("2026-03-06T14:30:00")
    assert merged.half_hours("AAPL@elsewhere", 3) == feed.half_hours("NOPE@paper", 3) == ()


def written(path: Path, rows: list[tuple[str, float, float, float, float]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["time", "open", "high", "low", "close", "volume"])
        writer.writerows([(*row, 10) for row in rows])
    return path


def hourly(day: str, first: float) -> list[tuple[str, float, float, float, float]]:
    return [(f"2026-03-{day}T{hour:02}:00:00Z", first + hour, first + hour + 2, first + hour - 2, first + hour + 1)
            for hour in range(24)]


def test_hours_of_a_tape_become_days_as_far_as_it_was_played(tmp_path: Path) -> None:
    path = written(tmp_path / "BTC-USD_1h.csv", [*hourly("01", 100.0), *hourly("02", 200.0), *hourly("03", 300.0)])
    tape, now = open_tape(path, symbol="BTC/USD", warmup=30), [moment("2026-03-03T05:00:00")]
    days = TapeDays(MergedTape([tape]), lambda: now[0], session_bounds)
    name, tick = tape.instrument.instrument_id, tape.instrument.tick_size

    def prices(bar: Bar) -> list[float]:
        return [float(ticks * tick) for ticks in bar[3:7]]

    found = days.daily_bars(name, 10)
    assert [prices(bar) for bar in found] == [[100.0, 125.0, 98.0, 124.0], [200.0, 225.0, 198.0, 224.0]]
    assert found[0].volume_lots == 240 / tape.instrument.lot_size
    assert found[-1].close_ns == moment("2026-03-03T00:00:00")
    now[0] = moment("2026-03-04T00:00:00") - 1
    assert len(days.daily_bars(name, 10)) == 2
    now[0] += 1
    assert prices(days.daily_bars(name, 1)[0]) == [300.0, 325.0, 298.0, 324.0]


def test_a_day_that_the_tape_has_no_beginning_of_is_no_day(tmp_path: Path) -> None:
    path = written(tmp_path / "BTC-USD_1h.csv", [*hourly("01", 100.0)[5:], *hourly("02", 200.0), *hourly("03", 300.0)])
    tape = open_tape(path, symbol="BTC/USD")
    days = TapeDays(tape, lambda: moment("2026-03-04T00:00:00"), session_bounds).daily_bars(tape.instrument.instrument_id, 9)
    assert [day.open_ns for day in days] == [moment("2026-03-02T00:00:00"), moment("2026-03-03T00:00:00")]


def test_a_file_of_days_is_told_as_it_is(tmp_path: Path) -> None:
    rows = [(f"2026-03-{day:02}", 50.0 + day, 60.0 + day, 40.0 + day, 55.0 + day) for day in (2, 3, 4, 5, 6)]
    tape = open_tape(written(tmp_path / "AAPL_1d.csv", rows))
    bars = [item for item in tape.items() if isinstance(item, Bar)]
    assert list(TapeDays(tape, lambda: bars[3].close_ns, session_bounds).daily_bars("AAPL@paper", 10)) == bars[:4]
    assert TapeDays(tape, lambda: bars[3].close_ns, session_bounds).daily_bars("NOPE@paper", 10) == ()
