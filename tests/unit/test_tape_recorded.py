"""Recorded tapes: formats found out, bad rows named, items in order."""

import gzip
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from brokers.market.recorded import MergedTape, inspect, item_time_ns, open_tape
from engine.errors import TapeError
from engine.inputs import Bar, MarketTrade, Quote
from engine.instruments import AssetClass

HEADER = "timestamp,open,high,low,close,volume\n"
ROWS = ("2018-01-10T04:55:00Z,0.0984,0.0995,0.0982,0.0994,18.5\n"
        "2018-01-10T05:00:00Z,0.0995,0.0998,0.0990,0.0997,25.25\n"
        "2018-01-10T05:05:00Z,0.0997,0.1007,0.0990,0.1000,36.0\n")
FIRST_NS = 1_515_560_100 * 10 ** 9
FIVE_MINUTES_NS = 300 * 10 ** 9

type Writer = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    def to_file(name: str, text: str) -> Path:
        path = tmp_path / name
        if name.endswith(".gz"):
            path.write_bytes(gzip.compress(text.encode()))
        else:
            path.write_text(text, encoding="utf-8")
        return path
    return to_file


@pytest.mark.parametrize("name", ["ETH-BTC_5m.csv", "ETH-BTC_5m.csv.gz"])
def test_bars_come_as_a_quote_at_the_open_and_a_bar_at_the_close(write: Writer, name: str) -> None:
    tape = open_tape(write(name, HEADER + ROWS), spread_bps=20)
    instrument = tape.instrument
    assert (instrument.symbol, instrument.base_currency, instrument.quote_currency, instrument.asset_class) == (
        "ETH/BTC", "ETH", "BTC", AssetClass.CRYPTO)
    assert (instrument.tick_size, instrument.lot_size, instrument.minor_exponent) == (
        Decimal("0.0001"), Decimal("0.01"), 8)
    items = list(tape.items())
    assert items[:2] == [
        Quote(instrument.instrument_id, 984, 985, 0, 0, FIRST_NS),
        Bar(instrument.instrument_id, FIRST_NS, FIRST_NS + FIVE_MINUTES_NS, 984, 995, 982, 994, 1_850)]
    assert [item_time_ns(item) for item in items] == sorted(item_time_ns(item) for item in items)
    assert len(items) == 6
    assert list(tape.items()) == items


@pytest.mark.parametrize(("spread_bps", "bid", "ask"), [(0, 984, 984), (2, 984, 985), (100, 980, 989)])
def test_the_synthetic_spread_surrounds_the_open(write: Writer, spread_bps: int, bid: int, ask: int) -> None:
    quote = next(iter(open_tape(write("ETH-BTC_5m.csv", HEADER + ROWS), spread_bps=spread_bps).items()))
    assert quote[1:3] == (bid, ask)


@pytest.mark.parametrize("stamps", [
    ("1515560100", "1515560400"), ("1515560100000", "1515560400000"), ("1515560100000000", "1515560400000000"),
    ("1515560100000000000", "1515560400000000000"), ("2018-01-10 04:55:00", "2018-01-10 05:00:00"),
    ("2018-01-10T05:55:00+01:00", "2018-01-10T06:00:00+01:00"), ("1515560100.0", "1515560400.0"),
])
def test_times_of_every_style(write: Writer, stamps: tuple[str, str]) -> None:
    text = "".join(f"{stamp},10,11,9,10.5,3\n" for stamp in stamps)
    tape = open_tape(write("BTCUSDT_x.csv", text))
    assert (tape.report.first_ns, tape.report.last_ns) == (FIRST_NS, FIRST_NS + FIVE_MINUTES_NS)
    assert tape.report.bar_seconds == 300
    assert tape.instrument.symbol == "BTC/USDT"


def test_exchange_rows_without_a_header(write: Writer) -> None:
    row = "{open},94.10,95.00,93.50,94.00,12.345,{close},1160.1,42,6.1,573.2,0\n"
    opens = [1_515_560_100_000 + n * 60_000 for n in range(3)]
    text = "".join(row.format(open=open_ms, close=open_ms + 59_999) for open_ms in opens)
    tape = open_tape(write("LTCUSDT-1m-2018-01.csv", text))
    assert (tape.report.rows, tape.report.bar_seconds, tape.instrument.lot_size) == (3, 60, Decimal("0.001"))


def test_daily_bars_of_shares_are_sessions_in_new_york(write: Writer) -> None:
    text = ("Date,Open,High,Low,Close,Volume,Adj Close\n2024-03-08,10.00,10.50,9.90,10.20,1000,5.12345678901\n"
            "2024-03-11,10.20,10.60,10.10,10.30,1100,5.2\n")
    tape = open_tape(write("AAPL_1d.csv", text))
    bars = [item for item in tape.items() if isinstance(item, Bar)]
    hours = [((bar.open_ns // 10 ** 9) % 86_400 / 3_600, (bar.close_ns // 10 ** 9) % 86_400 / 3_600) for bar in bars]
    assert hours == [(14.5, 21.0), (13.5, 20.0)]  # the clocks went forward on the tenth
    instrument = tape.instrument
    assert (instrument.asset_class, instrument.quote_currency, instrument.session) == (AssetClass.EQUITY, "USD", "24/7")
    assert (instrument.tick_size, instrument.lot_size, tape.report.gaps) == (Decimal("0.01"), Decimal(1), 0)


def test_market_trades_quote_first_where_the_price_moved(write: Writer) -> None:
    text = ("timestamp,id,side,price,amount\n2019-10-11T00:00:11.620000Z,7,sell,0.00141342,23.0\n"
            "2019-10-11T00:00:11.620000Z,8,buy,0.00141342,54.0\n2019-10-11T00:00:17.964000Z,9,sell,0.00141266,8.0\n")
    tape = open_tape(write("XRP-ETH_trades.csv", text), spread_bps=0)
    items = list(tape.items())
    assert [type(item) for item in items] == [Quote, MarketTrade, MarketTrade, Quote, MarketTrade]
    name = tape.instrument.instrument_id
    assert items[1:3] == [MarketTrade(name, 141_342, 23, -1, 1_570_752_011_620_000_000),
                          MarketTrade(name, 141_342, 54, 1, 1_570_752_011_620_000_000)]
    assert tape.history(name, 10) == ()


def test_parquet_is_read_like_csv(write: Writer, tmp_path: Path) -> None:
    import datetime

    import pyarrow
    import pyarrow.parquet

    start = datetime.datetime(2018, 1, 10, 4, 55, tzinfo=datetime.UTC)
    table = pyarrow.table({
        "symbol": ["x"] * 3, "time": [start + datetime.timedelta(minutes=5 * n) for n in range(3)],
        "open": [0.0984, 0.0995, 0.0997], "high": [0.0995, 0.0998, 0.1007], "low": [0.0982, 0.0990, 0.0990],
        "close": [0.0994, 0.0997, 0.1000], "volume": [18.5, 25.25, 36.0]})
    pyarrow.parquet.write_table(table, tmp_path / "ETH-BTC_5m.parquet")
    parquet, csv = open_tape(tmp_path / "ETH-BTC_5m.parquet"), open_tape(write("ETH-BTC_5m.csv", HEADER + ROWS))
    assert list(parquet.items()) == list(csv.items())
    assert parquet.instrument == csv.instrument


def test_a_declared_tick_rounds_to_the_nearest(write: Writer) -> None:
    text = ("time,open,high,low,close,volume\n2024-01-01,10.123456789,10.2,10.0,10.13,5\n"
            "2024-01-02,10.1,10.2,10.0,10.17,5\n")
    tape = open_tape(write("ADJ_1d.csv", text), tick_size=Decimal("0.05"))
    bars = [item for item in tape.items() if isinstance(item, Bar)]
    assert [(bar.open_ticks, bar.close_ticks) for bar in bars] == [(202, 203), (202, 203)]


def test_warm_up_bars_become_history(write: Writer) -> None:
    tape = open_tape(write("ETH-BTC_5m.csv", HEADER + ROWS), warmup=2)
    name = tape.instrument.instrument_id
    assert [bar.open_ns for bar in tape.history(name, 9)] == [FIRST_NS, FIRST_NS + FIVE_MINUTES_NS]
    assert [bar.open_ns for bar in tape.history(name, 1)] == [FIRST_NS + FIVE_MINUTES_NS]
    assert len(list(tape.items())) == 2
    assert tape.history("other", 9) == ()


def test_tapes_merge_by_time(write: Writer) -> None:
    one = open_tape(write("ETH-BTC_5m.csv", HEADER + ROWS))
    two = open_tape(write("XMR-BTC_5m.csv", HEADER + ROWS.replace(":55:", ":56:").replace(":00:00", ":01:00")
                          .replace(":05:", ":06:")))
    items = list(MergedTape([one, two]).items())
    times = [item_time_ns(item) for item in items]
    assert times == sorted(times)
    assert len(items) == 12
    assert [item.instrument_id for item in items[:2]] == ["ETH/BTC@paper", "XMR/BTC@paper"]


def test_tapes_that_disagree_on_an_instrument_do_not_merge(write: Writer) -> None:
    one = open_tape(write("ETH-BTC_5m.csv", HEADER + ROWS))
    two = open_tape(write("ETH-BTC_5m_later.csv", HEADER + "2019-01-10T04:55:00Z,0.09843,0.0995,0.0982,0.0994,18.5\n"))
    with pytest.raises(TapeError, match="declare the tick"):
        MergedTape([one, two])


# ---- what is wrong with a file ----


@pytest.mark.parametrize(("row", "where"), [
    ("2018-01-10T05:10:00Z,abc,0.1007,0.0990,0.1000,36.0", "column open: 'abc' is not a number"),
    ("2018-01-10T05:10:00Z,nan,0.1007,0.0990,0.1000,36.0", "column open: 'nan' is not a finite number"),
    ("2018-01-10T05:10:00Z,0.1,inf,0.0990,0.1000,36.0", "column high: 'inf' is not a finite number"),
    ("2018-01-10T05:10:00Z,0.1,0.1007,-0.0990,0.1000,36.0", "column low: must be above zero"),
    ("2018-01-10T05:10:00Z,0.1,0.1007,0,0.1000,36.0", "column low: must be above zero"),
    ("2018-01-10T05:10:00Z,0.1,0.0900,0.0990,0.1000,36.0", "column high: high 0.09 is below low 0.099"),
    ("2018-01-10T05:10:00Z,0.2,0.1007,0.0990,0.1000,36.0", "column open: open 0.2 lies outside 0.099 to 0.1007"),
    ("2018-01-10T05:10:00Z,0.1,0.1007,0.0990,0.0500,36.0", "column close: close 0.05 lies outside"),
    ("2018-01-10T05:10:00Z,0.1,0.1007,0.0990,0.1000,-3", "column volume: negative volume"),
    ("2018-01-10T05:10:00Z,0.1,0.1007,0.0990,0.1000,", "column volume: empty"),
    ("2018-01-10T05:10:00Z,0.1,0.1007", "column low: the row has only 3 columns"),
    ("2018-01-10T05:05:00Z,0.1,0.1007,0.0990,0.1000,36.0", "column time: the same time as the bar before"),
    ("2018-01-10T05:01:00Z,0.1,0.1007,0.0990,0.1000,36.0", "column time: time goes backwards"),
    ("yesterday,0.1,0.1007,0.0990,0.1000,36.0", "column time: 'yesterday' is not a time"),
])
def test_a_bad_row_is_refused_by_line_and_column_or_skipped(write: Writer, row: str, where: str) -> None:
    good = "2018-01-10T05:15:00Z,0.0997,0.1007,0.0990,0.1000,36.0\n"
    path = write("ETH-BTC_5m.csv", HEADER + ROWS + row + "\n" + good)
    with pytest.raises(TapeError) as caught:
        open_tape(path)
    assert f"line 5, {where}" in str(caught.value)
    assert "\n" not in str(caught.value)
    tape = open_tape(path, on_bad="skip")
    assert (tape.report.rows, tape.report.bad_count) == (4, 1)
    assert tape.bad_rows[0].startswith(f"line 5, {where}")
    assert len(list(tape.items())) == 8


def test_many_bad_rows_are_counted_and_the_list_stays_short(write: Writer) -> None:
    rows = "".join(f"2018-01-{day:02}T00:00:00Z,x,1,1,1,1\n" for day in range(1, 29)) * 10
    path = write("ETH-BTC_5m.csv", HEADER + ROWS + rows)
    with pytest.raises(TapeError, match="and 279 more bad rows"):
        open_tape(path)
    report = inspect(path)
    assert (report.rows, report.bad_count, len(report.bad_rows)) == (3, 280, 50)


def test_bad_market_trades(write: Writer) -> None:
    text = ("timestamp,id,side,price,amount\n1570752011000,7,sell,0.14,23.0\n1570752012000,7,buy,0.14,54.0\n"
            "1570752010000,8,buy,0.14,54.0\n1570752013000,9,buy,0.14,0\n1570752014000,10,buy,0.15,1\n")
    report = inspect(write("XRP-ETH_trades.csv", text))
    assert report.bad_rows == ("line 3, column trade_id: 7 appears twice", "line 4, column time: time goes backwards",
                               "line 5, column quantity: must be above zero")
    assert report.rows == 2


def test_gaps_are_counted_not_refused(write: Writer) -> None:
    later = "2018-01-10T06:00:00Z,0.0997,0.1007,0.0990,0.1000,36.0\n"
    report = open_tape(write("ETH-BTC_5m.csv", HEADER + ROWS + later)).report
    assert (report.gaps, report.longest_gap_ns) == (1, 55 * 60 * 10 ** 9)


@pytest.mark.parametrize(("name", "text", "message"), [
    ("ETH-BTC_5m.csv", "", "the file is empty"),
    ("ETH-BTC_5m.csv", "\n\n", "the file is empty"),
    ("ETH-BTC_5m.csv", HEADER, "no usable row"),
    ("ETH-BTC_5m.csv", "timestamp,open,high,low\n1,2,3,4\n", "no column for close"),
    ("ETH-BTC_5m.csv", "timestamp,price\n1,2\n", "no column for quantity"),
    ("ETH-BTC_5m.csv", "1,2\n", "2 columns and no header"),
    ("ETH-BTC.csv", HEADER + ROWS.splitlines()[0], "length of its bars"),
    ("ETH-BTC_1h.csv", HEADER + ROWS, "overlap"),
    ("_5m.csv", HEADER + ROWS, "tells no symbol"),
    ("ETH-BTC_5m.parquet", "not parquet", "not a readable Parquet file"),
])
def test_files_that_cannot_be_used_say_why(write: Writer, name: str, text: str, message: str) -> None:
    path = write(name, text)
    with pytest.raises(TapeError) as caught:
        open_tape(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_truncated_gzip_is_refused_and_can_be_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "ETH-BTC_5m.csv.gz"
    rows = "".join(f"{1_515_560_100 + 300 * n},0.0984,0.09{95 + n % 5},0.0982,0.0994,18.{n}\n" for n in range(20_000))
    packed = gzip.compress((HEADER + rows).encode())
    path.write_bytes(packed[:len(packed) // 2])
    with pytest.raises(TapeError, match="end too early"):
        open_tape(path)
    tape = open_tape(path, on_bad="skip")
    assert 0 < tape.report.rows < 20_000
    assert sum(isinstance(item, Bar) for item in tape.items()) == tape.report.rows


def test_what_is_not_gzip_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "ETH-BTC_5m.csv.gz"
    path.write_text("hello")
    with pytest.raises(TapeError, match="not compressed by gzip"):
        open_tape(path)
    with pytest.raises(TapeError, match="no such file"):
        open_tape(tmp_path / "missing.csv")
    with pytest.raises(TapeError, match="not a file"):
        open_tape(tmp_path)
    with pytest.raises(TapeError, match="either refuse or skip"):
        open_tape(path, on_bad="ignore")
