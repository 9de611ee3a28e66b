"""Bars and market trades closed into longer bars, and backtests of both on the command line."""

import json
from pathlib import Path

import pytest

from brokers.market.recorded import open_tape
from engine.backtest.longer_bars import in_longer_bars
from engine.backtest.run import Series
from engine.errors import TapeError
from engine.kernel.wants import BarColumns
from tests.parity.tapes import bars, instrument, series
from tests.unit.test_cli_backtest import rows
from tui.command_line import run
from tui.compose_backtest import series_of

MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS


@pytest.fixture(autouse=True)
def _homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUARTERDECK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_longer_bars_hold_what_their_parts_hold() -> None:
    """Each long bar against its parts, found one by one; nights leave bars out."""
    short = series("S0", 3, 400, night=30, volume=50)
    long = in_longer_bars(short, HOUR_NS)
    parts: dict[int, list[tuple[int, ...]]] = {}
    for row in zip(*(column.tolist() for column in short.bars), strict=True):  # type: ignore[attr-defined]
        parts.setdefault(row[0] // HOUR_NS, []).append(row)
    expected = [(hour * HOUR_NS, (hour + 1) * HOUR_NS, own[0][2], max(one[3] for one in own), min(one[4] for one in own),
                 own[-1][5], sum(one[6] for one in own)) for hour, own in parts.items()]
    expected = [one for one in expected if one[1] <= short.bars.closes_ns[-1]]
    assert list(zip(*(column.tolist() for column in long.bars), strict=True)) == expected  # type: ignore[attr-defined]
    assert len(expected) > 30


def test_cutting_the_end_off_changes_no_earlier_bar() -> None:
    whole = bars(5, 300)
    long = in_longer_bars(Series(instrument("S0"), whole), HOUR_NS).bars
    for upto in (50, 123, 299):
        cut = in_longer_bars(Series(instrument("S0"), BarColumns(*(column[:upto] for column in whole))), HOUR_NS).bars
        count = len(cut.closes)
        assert all((one == other[:count]).all() for one, other in zip(cut, long, strict=True))  # type: ignore[attr-defined]


@pytest.mark.parametrize(("bar_ns", "words"), [(7 * MINUTE_NS, "divides a day"), (2 * MINUTE_NS, "a bar of 300 s does not fit")])
def test_a_length_that_does_not_fit_is_refused(bar_ns: int, words: str) -> None:
    with pytest.raises(TapeError, match=words):
        in_longer_bars(series("S0", 1, 50), bar_ns)


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
    assert len(found.bars.closes) == 166
    assert set(found.bars.volumes) == {round(12 * 0.5 / float(found.instrument.lot_size))}
    assert all(low <= opened <= high for opened, high, low in zip(*found.bars[2:5], strict=True))


def test_a_backtest_in_longer_bars_is_the_engines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fine = tmp_path / "ETH-USD_5m.csv"
    fine.write_text("timestamp,open,high,low,close,volume\n" + "".join(hourly(3_000)))
    for file in (fine, trades(tmp_path, 3_000)):
        asked = [str(file), "-s", "ema_cross", "--set", "warmup_bars=60", "--bar", "1h", "--json"]
        assert run(["backtest", *asked]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["bars"] in (249, 250)
        assert told["fills"] > 0
        assert run(["parity", *asked]) == 0
        assert json.loads(capsys.readouterr().out)["backtest_fills"] == told["fills"]


def test_what_cannot_be_meant_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(trades(tmp_path))
    for more, status, words in (([], 1, "make bars of them with --bar 5m"), (["--bar", "long"], 2, "must be a span"),
                                (["--bar", "7m"], 1, "divides a day"), (["--bar", "1d"], 1, "but ema_cross wants nothing")):
        assert run(["backtest", file, *more]) == status
        assert words in capsys.readouterr().err
