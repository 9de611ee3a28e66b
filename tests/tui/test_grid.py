"""The table: aligned at the point, numbers never clipped, only changed rows painted, cursor and scroll kept."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.tui.driving import driving
from tests.tui.views import quote, snapshot
from tui.formats import number
from tui.panes.market import MarketPane
from tui.widgets.candles import Candle, braille_rows, candle_cells, scale_of
from tui.widgets.columns import Cell, Column, Row, Widths, shortened

COLUMNS = (Column("name", "NAME", rank=0, most=10), Column("a", "A", "point", rank=0),
           Column("b", "B", "point", rank=1),
           Column("text", "TEXT", rank=2, least=5, most=40, flex=True))


@given(st.lists(st.tuples(st.text(max_size=30), st.decimals(-10**9, 10**9, places=2), st.decimals(0, 10**6, places=6)),
                min_size=1, max_size=20), st.integers(min_value=1, max_value=200))
def test_lines_are_as_wide_as_promised_and_no_digit_is_lost(cases: list[tuple[str, Decimal, Decimal]],
                                                            width: int) -> None:
    rows = [Row(str(index), (Cell(shortened(name, cell_len(name))), Cell(number(a, 2)), Cell(number(b)),
                             Cell("words " * 9)))
            for index, (name, a, b) in enumerate(cases)]
    widths = Widths(COLUMNS)
    for row in rows:
        widths.measure(row)
    placed = widths.place(width)
    for row in rows:
        points = set()
        for each in placed:
            fitted = widths.fitted(row.cells[each.place], each)
            assert cell_len(fitted) == each.width
            if each.column.align == "point":
                assert row.cells[each.place].text in fitted
                points.add((each.place, fitted.rfind(".")))
        assert all(at >= 0 for _, at in points)


def test_decimal_points_stand_under_each_other() -> None:
    widths = Widths((Column("n", "N", "point"),))
    texts = ["1.5", "120", "60,984.50", "0.0001", "−3.25?"]
    rows = [Row(str(index), (Cell(text),)) for index, text in enumerate(texts)]
    for row in rows:
        widths.measure(row)
    [placed] = widths.place(40)
    fitted = [widths.fitted(row.cells[0], placed) for row in rows]
    assert {text.find(".") for text in fitted if "." in text} == {6}
    assert fitted[1].rstrip().endswith("120") and len(fitted[1].rstrip()) == 6


def test_the_least_important_columns_go_first() -> None:
    widths = Widths(COLUMNS)
    widths.measure(Row("1", (Cell("ABC"), Cell("1.00"), Cell("2.00"), Cell("some words"))))
    assert [[each.column.key for each in widths.place(width)] for width in (100, 20, 12, 2)] == [
        ["name", "a", "b", "text"], ["name", "a", "b"], ["name", "a"], ["name"]]


async def test_only_changed_rows_are_painted_again() -> None:
    quotes = tuple(quote(f"SYM{index:02}", "200.00") for index in range(12))
    async with driving(snapshot(quotes=quotes)) as driver:
        await driver.press("6", "z")
        await driver.pilot.pause()
        pane = driver.app.workstation.query_one(MarketPane)
        before = pane.painted_rows
        await driver.publish(snapshot(2, quotes=(quote("SYM00", "201.00"), *quotes[1:])))
        await driver.sees("201.00")
        assert pane.painted_rows - before == 1
        await driver.publish(snapshot(3, quotes=(quote("SYM00", "201.00"), *quotes[1:])))
        assert pane.painted_rows - before == 1


async def test_cursor_and_scroll_stay_while_rows_come_and_go() -> None:
    quotes = tuple(quote(f"SYM{index:03}", "100.00") for index in range(300))
    async with driving(snapshot(quotes=quotes), size=(80, 24)) as driver:
        await driver.press("6", "pagedown", "pagedown", "pagedown", "down")
        pane = driver.app.workstation.query_one(MarketPane)
        key, top = pane.cursor_key, pane.scroll_y
        assert top > 0
        await driver.publish(snapshot(2, quotes=tuple(quote(each.symbol, "105.00") for each in quotes)))
        assert (pane.cursor_key, pane.scroll_y) == (key, top)
        await driver.publish(snapshot(3, quotes=quotes[3:]))
        assert pane.cursor_key == key
        await driver.sees(key.removesuffix("@SIM"))
        await driver.press("end")
        assert pane.cursor_key == "SYM299@SIM"
        await driver.press("home")
        assert (pane.cursor_key, pane.scroll_y) == ("SYM003@SIM", 0)


async def test_filter_and_sorting() -> None:
    async with driving() as driver:
        await driver.press("slash", *"ts", "enter")
        await driver.sees("1 Positions 1/4", "TSLA")
        await driver.press("slash", "escape")
        await driver.sees("1 Positions 4")
        await driver.press("O", "o")
        pane = driver.app.workstation.query_one("#positions")
        assert [row.cells[0].text for row in pane.rows] == ["TSLA", "NVDA", "BTC-USD", "AAPL"]  # type: ignore[attr-defined]
        await driver.sees("SYMBOL↓")


candles = st.builds(lambda low, spread, opened, closed: Candle(
    low + spread * opened, low + spread, low, low + spread * closed), st.floats(1, 1000), st.floats(0, 50),
    st.floats(0, 1), st.floats(0, 1))


@given(st.lists(candles, min_size=1, max_size=40), st.integers(min_value=1, max_value=30))
def test_a_chart_fits_its_rows_and_shows_every_candle(bars: list[Candle], rows: int) -> None:
    scale = scale_of(bars, [], rows)
    assert scale.low < scale.high
    for candle in bars:
        cells = candle_cells(candle, scale)
        assert len(cells) == rows
        assert any(cell != " " for cell in cells)
    lines = braille_rows([candle.close for candle in bars], scale, 20)
    assert [len(line) for line in lines] == [20] * rows


def test_rising_and_falling_candles_differ_in_shape() -> None:
    rising, falling = Candle(1, 4, 0, 3), Candle(3, 4, 0, 1)
    scale = scale_of([rising], [], 10)
    assert set(candle_cells(rising, scale)) & set("┃╽╿") and not set(candle_cells(rising, scale)) & set("█▀▄")
    assert set(candle_cells(falling, scale)) & set("█▀▄")


def test_a_near_level_widens_the_chart_and_a_far_one_does_not() -> None:
    bars = [Candle(100, 101, 99, 100)]
    assert scale_of(bars, [98.0], 10).low < 98.0
    assert scale_of(bars, [50.0], 10).low > 90.0
