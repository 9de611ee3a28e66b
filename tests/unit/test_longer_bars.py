"""Bars and market trades closed into longer bars, and backtests of both on the command line."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from brokers.market.recorded import open_tape
from brokers.sessions import session_bounds
from engine.backtest.longer_bars import Joining, join, sessions_over
from engine.errors import TapeError
from engine.kernel.wants import BarColumns
from engine.trading_hours import SessionBounds
from tests.parity.tapes import bars, series
from tests.unit.test_cli_backtest import rows
from tui.command_line import run
from tui.compose_backtest import series_of

MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS


@pytest.fixture(autouse=True)
def _homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUARTERDECK_HOME", str(tmp_path / "home"))


def rows_of(columns: BarColumns) -> list[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in columns), strict=True))  # type: ignore[attr-defined]


def long_bars(short: BarColumns, sessions: Sequence[SessionBounds] = ()) -> list[tuple[int, ...]]:
    return rows_of(join(short, sessions, Joining(HOUR_NS)).bars)


def bars_at(*opens_minutes: int, first_ns: int = 1_000 * HOUR_NS, length: int = 1) -> BarColumns:
    """Bars of some minutes that open so many minutes after a whole hour; each has prices and a volume of its own."""
    rows = [(first_ns + at * MINUTE_NS, first_ns + (at + length) * MINUTE_NS, 100 + at, 110 + at, 90 + at, 105 + at, 1 + at)
            for at in opens_minutes]
    return BarColumns(*np.array(rows, np.int64).T)


def test_longer_bars_hold_what_their_parts_hold() -> None:
    """Each long bar against its parts, found one by one; nights leave bars out, the first hour began before the recording."""
    short = series("S0", 3, 400, night=30, volume=50)
    parts: dict[int, list[tuple[int, ...]]] = {}
    for row in rows_of(short.bars):
        parts.setdefault(row[0] // HOUR_NS, []).append(row)
    expected = [(hour * HOUR_NS, (hour + 1) * HOUR_NS, own[0][2], max(one[3] for one in own), min(one[4] for one in own),
                 own[-1][5], sum(one[6] for one in own)) for hour, own in parts.items()]
    expected = [one for one in expected[1:] if one[1] <= short.bars.closes_ns[-1]]
    assert long_bars(short.bars) == expected
    assert len(expected) > 30


def test_cutting_the_end_off_changes_no_earlier_bar_and_none_is_told_before_it_is_over() -> None:
    whole = bars(5, 300, night=7)
    long = long_bars(whole)
    for upto in range(1, 300):
        cut = BarColumns(*(column[:upto] for column in whole))
        told = join(cut, (), Joining(HOUR_NS))
        assert rows_of(told.bars) == long[:len(told.bars.closes)]
        assert all(end_ns <= whole.closes_ns[upto - 1] for end_ns in told.bars.closes_ns)


def asks(short: BarColumns, sessions: Sequence[SessionBounds] = ()) -> dict[int, int]:
    """At which bar, counted from 0, each longer bar is told, by the hour in which it begins."""
    told = join(short, sessions, Joining(HOUR_NS))
    places = np.flatnonzero(told.asks >= 0).tolist()
    return {open_ns // HOUR_NS - 1_000: place for open_ns, place in zip(told.bars.opens_ns, places, strict=True)}


@pytest.mark.parametrize(("minutes", "told"), [
    ([0, 30, 59, 60], {0: 2}),  # with its last part
    ([0, 30, 58, 61], {0: 3}),  # its last part is missing: with the first from beyond it
    ([0, 30, 179, 180], {0: 2, 2: 3}),  # that part ends an hour itself: the older first, that hour with the next
    ([0, 30, 179, 239, 299, 300], {0: 2, 2: 3, 3: 4, 4: 5}),
    ([20, 59, 60, 119], {1: 3}),  # nobody saw how the first hour began
    ([20, 61, 119], {1: 2}),  # but where something was seen before, an hour that begins late is whole
    ([0, 59, 119, 120], {0: 1, 1: 2}),  # an hour of one part
])
def test_when_a_longer_bar_is_told(minutes: list[int], told: dict[int, int]) -> None:
    assert asks(bars_at(*minutes)) == told


def test_a_session_cuts_longer_bars_and_what_is_outside_belongs_to_none() -> None:
    """Trading from 30 to 150 minutes after the first hour, and again a day later; then an early close after 40 minutes."""
    first_ns = 1_000 * HOUR_NS
    days = [(30, 150), (24 * 60 + 30, 24 * 60 + 70)]
    sessions = [SessionBounds(first_ns + opens * MINUTE_NS, first_ns + closes * MINUTE_NS) for opens, closes in days]
    minutes = [at for day in (0, 24 * 60) for at in range(day, day + 200)]
    short = bars_at(*minutes)
    told = [((one[0] - first_ns) // MINUTE_NS, (one[1] - first_ns) // MINUTE_NS, one[6]) for one in long_bars(short, sessions)]
    assert [one[:2] for one in told] == [(30, 60), (60, 120), (120, 150), (1_470, 1_500), (1_500, 1_510)]
    assert told[2][2] == sum(1 + at for at in range(120, 150))
    assert [minutes[place] for place in np.flatnonzero(join(short, sessions, Joining(HOUR_NS)).asks >= 0)] == [
        59, 119, 149, 1_499, 1_509]


def test_the_sessions_of_an_exchange_are_those_of_its_calendar() -> None:
    """2024-11-27, Thanksgiving, and the half day after it, in minutes of New York."""
    open_ns = 1_732_717_800 * 10**9
    short = bars_at(*(day * 1_440 + minute for day in (0, 2) for minute in range(390)), first_ns=open_ns)
    sessions = sessions_over("XNYS", short, session_bounds)
    assert [(one.close_ns - one.open_ns) // MINUTE_NS for one in sessions[:2]] == [390, 210]
    told = long_bars(short, sessions)
    lengths = [(one[1] - one[0]) // MINUTE_NS for one in told]
    assert lengths == [30, *[60] * 6, 30, *[60] * 3]


@pytest.mark.parametrize(("bar_ns", "words"), [(7 * MINUTE_NS, "divides a day"), (2 * MINUTE_NS, "a bar of 300 s does not fit")])
def test_a_length_that_does_not_fit_is_refused(bar_ns: int, words: str) -> None:
    with pytest.raises(TapeError, match=words):
        join(bars(1, 50), (), Joining(bar_ns))


def hourly(count: int) -> list[str]:
    """Rows of five minutes from a whole hour on."""
    return [f"{1_600_002_000 + 300 * place},{line.partition(',')[2]}" for place, line in enumerate(rows(count))]


def trades(folder: Path, count: int = 2_000) -> Path:
    path = folder / "BTC-USD_trades.csv"
    lines = [f"{line.split(',')[0]},{line.split(',')[1]},0.5,buy" for line in hourly(count)]
    path.write_text("\n".join(["timestamp,price,amount,side", *lines]) + "\n")
    return path


def test_market_trades_become_bars(tmp_path: Path) -> None:
    found = series_of(open_tape(trades(tmp_path)), HOUR_NS)
    assert len(found.bars.closes) == 1_999  # of a minute; the last had not closed
    assert set(found.bars.volumes) == {round(0.5 / float(found.instrument.lot_size))}
    hours = join(found.bars, (), Joining(HOUR_NS)).bars
    assert len(hours.closes) == 166
    assert set(hours.volumes) == {round(12 * 0.5 / float(found.instrument.lot_size))}
    assert all(low <= opened <= high for opened, high, low in zip(*found.bars[2:5], strict=True))


def test_a_backtest_in_longer_bars_is_the_engines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fine = tmp_path / "ETH-USD_5m.csv"
    fine.write_text("timestamp,open,high,low,close,volume\n" + "".join(hourly(3_000)))
    for file in (fine, trades(tmp_path, 3_000)):
        asked = [str(file), "-s", "ema_cross", "--set", "warmup_bars=60", "--bar", "1h", "--json"]
        assert run(["backtest", *asked]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["bars"] in (2_999, 3_000)
        assert told["fills"] > 0
        assert run(["parity", *asked]) == 0
        assert json.loads(capsys.readouterr().out)["backtest_fills"] == told["fills"]


def test_what_cannot_be_meant_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(trades(tmp_path))
    for more, status, words in (([], 1, "make bars of them with --bar 5m"), (["--bar", "long"], 2, "must be a span"),
                                (["--bar", "7m"], 1, "divides a day"), (["--bar", "1d"], 1, "but ema_cross wants nothing")):
        assert run(["backtest", file, *more]) == status
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(("hours", "session"), [(range(14, 21), "XNYS"), (range(9, 24), "XNYS"), (range(24), "24/7")])
def test_a_recorded_share_is_told_by_the_hours_of_its_bars(tmp_path: Path, hours: Sequence[int], session: str) -> None:
    """Minutes of a Monday and a Tuesday; what has bars at night is no share, whatever it is called."""
    path = tmp_path / "ABC_1m.csv"
    starts = [1_780_876_800 + 86_400 * day + 3_600 * hour for day in (0, 1) for hour in hours]
    stamps = [start + 60 * minute for start in starts for minute in range(60)]
    path.write_text("timestamp,open,high,low,close,volume\n" + "".join(f"{at},10,11,9,10.5,100\n" for at in stamps))
    tape = open_tape(path)
    assert tape.bar_session == session
    found = series_of(tape, 4 * HOUR_NS)
    ends = {int(end_ns) // HOUR_NS % 24 for end_ns in join(found.bars, found.sessions, Joining(4 * HOUR_NS)).bars.closes_ns}
    assert ends == ({16, 20} if session == "XNYS" else {0, 4, 8, 12, 16, 20})
