"""The performance screen: opened by its key on a report of the real analytics, and its way into the chart."""

import asyncio
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from engine.errors import UsageError
from engine.inputs import Bar
from engine.service import CurveView, PerformanceQuery, PerformanceView
from tests.tui.driving import Driver, driving
from tests.tui.performance_views import performance_view
from tests.tui.views import NOW_NS, SECOND, account, snapshot
from tui.panes.chart import ChartPane, Past, window
from tui.screens.performance_lines import figure_lines, grouping_lines, month_lines
from tui.widgets.curve import label_decimals, resampled

EMPTY = PerformanceView("main", "USD", 2, 0, 0, 0, 252, "month", (performance_view().figures[0],))


def chart_of(app: Driver) -> ChartPane:
    return app.app.workstation.query_one(ChartPane)


async def opened(app: Driver) -> None:
    await app.press("P")
    await app.sees("Performance of main")


async def test_p_opens_equity_and_the_first_figures() -> None:
    async with driving(snapshot(), size=(80, 24)) as app:
        await opened(app)
        await app.sees("▸106,665.00", "Max drawdown", "Sharpe", "Profit factor", "1/4")
        assert app.service.queries[0].portfolio == "main"
        await app.press("escape")
        await app.until(lambda: "Performance of" not in app.text)


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40)])
async def test_the_curve_leaves_room_for_every_first_figure(size: tuple[int, int]) -> None:
    async with driving(snapshot(), size=size) as app:
        await opened(app)
        await app.sees("Max drawdown", "Calmar", "Slippage bps")


async def test_n_turns_the_parts_and_comes_back_to_the_first() -> None:
    async with driving(snapshot(), size=(80, 24)) as app:
        await opened(app)
        for words in (("2/4", "Turnover", "Slippage bps"), ("3/4", "Months, return in percent", "by strategy", "by decision"),
                      ("4/4", "ENDED BY", "AAPL"), ("1/4", "▸106,665.00")):
            await app.press("n")
            await app.sees(*words)


async def test_space_scrolls_what_does_not_fit() -> None:
    async with driving(snapshot(), size=(80, 24)) as app:
        await opened(app)
        await app.press("n", "n")
        await app.sees("by strategy")
        assert "stop hit" not in app.text
        await app.press("space")
        await app.sees("stop hit")
        await app.press("space")
        await app.sees("Months, return")


async def test_a_large_screen_shows_nearly_everything_at_once() -> None:
    async with driving(snapshot(), size=(160, 45)) as app:
        await opened(app)
        await app.sees("1/2", "▸106,665.00", "Turnover", "Months, return in percent", "ENDED BY", "approved proposal")
        await app.press("n")
        await app.sees("2/2", "by strategy", "by exit reason", "slippage")


async def test_enter_on_a_round_trip_shows_it_in_the_chart_until_its_key_is_pressed() -> None:
    async with driving(snapshot(), size=(160, 45)) as app:
        await opened(app)
        await app.press("enter")
        await app.sees("LONG round trip 40", "▲in", "▲out")
        chart = chart_of(app)
        assert chart.has_focus
        assert chart.instrument_id == "AAPL@SIM"
        await app.publish(snapshot(version=2))
        await app.sees("LONG round trip 40")
        await app.press("7")
        await app.until(lambda: "round trip" not in app.text)
        assert chart.past is None


async def test_selecting_something_else_shows_now_again() -> None:
    async with driving(snapshot(), size=(160, 45)) as app:
        await opened(app)
        await app.press("enter")
        await app.sees("LONG round trip 40")
        await app.press("1", "down")
        await app.until(lambda: "round trip" not in app.text and chart_of(app).instrument_id == "BTC-USD@SIM")


async def test_a_round_trip_from_before_the_bars_says_so() -> None:
    async with driving(snapshot(), size=(80, 24)) as app:
        await opened(app)
        await app.press("n", "n", "n")
        await app.sees("4/4")
        await app.press("end", "enter")
        await app.sees("No bars are kept from then; the oldest is of")


async def test_a_round_trip_from_before_the_bars_says_so_also_where_they_come_late() -> None:
    async with driving(snapshot(), size=(160, 45)) as app:
        come = asyncio.Event()
        bars = app.service.bars

        async def late(instrument_id: str, limit: int) -> Sequence[Bar]:
            await come.wait()
            return await bars(instrument_id, limit)

        app.service.bars = late  # type: ignore[method-assign]
        await opened(app)
        await app.press("end", "enter")
        await app.publish(snapshot(version=2))
        await app.sees("Loading bars…")
        come.set()
        await app.sees("No bars are kept from then; the oldest is of")


async def test_a_long_table_of_months_leaves_the_round_trips_in_sight() -> None:
    view = performance_view()
    months = tuple(replace(view.months[0], period=f"{year}-{month:02}") for year in range(2010, 2026) for month in range(1, 13))
    async with driving(snapshot(), size=(160, 45)) as app:
        app.service.report = replace(view, months=months, trip_count=1_234)
        await opened(app)
        await app.sees("1/2", "Turnover", "ENDED BY", "the newest 40 of 1,234 round trips")
        assert "Months, return" not in app.text
        await app.press("n")
        await app.sees("2/2", "Months, return in percent", "2010")
        assert "the newest" not in app.text


async def test_nothing_is_said_of_the_curve_while_it_is_worked_out() -> None:
    async with driving(snapshot(), size=(80, 24)) as app:
        known = asyncio.Event()
        answer = app.service.performance

        async def slow(query: PerformanceQuery) -> PerformanceView:
            await known.wait()
            return await answer(query)

        app.service.performance = slow  # type: ignore[method-assign]
        await app.press("P")
        await app.sees("working it out…")
        assert "not enough of a history" not in app.text
        known.set()
        await app.sees("Performance of main", "Sharpe")


async def test_a_report_that_cannot_be_made_says_why_and_panic_is_still_there() -> None:
    async with driving(snapshot(), size=(80, 24)) as app:
        app.service.report = UsageError("nothing is recorded in this home yet")
        await app.press("P")
        await app.sees("no report: nothing is recorded in this home yet")
        await app.press("f9")
        await app.until(lambda: any(type(one).__name__ == "SetTradingState" for one in app.service.sent))


async def test_without_a_history_there_is_no_chart_and_the_figures_say_so() -> None:
    async with driving(snapshot(), size=(80, 24)) as app:
        app.service.report = EMPTY
        await opened(app)
        await app.sees("not enough of a history for a chart yet")
        await app.press("n", "n", "n")
        await app.sees("No round trip has ended yet.")


async def test_another_portfolio_is_asked_for() -> None:
    async with driving(snapshot(accounts=(account(), account("side"))), size=(80, 24)) as app:
        await opened(app)
        await app.press("p")
        await app.until(lambda: [query.portfolio for query in app.service.queries] == ["main", "side"])


async def test_a_terminal_that_changes_its_size_is_followed() -> None:
    async with driving(snapshot(), size=(160, 45)) as app:
        await opened(app)
        await app.press("n")
        await app.sees("2/2")
        await app.pilot.resize_terminal(80, 24)
        await app.sees("2/4", "Turnover")


def test_lines_fit_their_width_and_signs_tell_without_colour() -> None:
    view = performance_view()
    for width in (72, 146):
        for lines in (figure_lines(view, width), month_lines(view.months), grouping_lines(view.groupings, 2, width)):
            assert all(sum(len(text) for text, _ in line) <= max(width, 72) for line in lines)
    cells = "".join(text for line in month_lines(view.months) for text, _ in line)
    assert "+" in cells
    assert "−" in cells


def test_an_undefined_figure_says_why_on_the_screen() -> None:
    view = performance_view()
    figure = replace(view.figures[0], label="Sharpe", value=None, why="needs at least two days")
    (line,) = figure_lines(replace(view, figures=(figure,)), 72)
    assert "– needs at least" in "".join(text for text, _ in line)


def test_a_curve_is_read_by_time_and_keeps_the_deepest_fall_of_each_step() -> None:
    curve = CurveView((0, 10, 11, 40), (1.0, 2.0, 3.0, 4.0), (0.0, 5.0, 1.0, 0.0))
    read = resampled(curve, 4)
    assert read.equity == [2.0, 3.0, 3.0, 4.0]
    assert read.fall_percent == [5.0, 5.0, 1.0, 1.0]


def test_the_labels_of_a_curve_tell_small_accounts_apart() -> None:
    assert [label_decimals(*ends) for ends in ((9.2, 9.9), (0.0500, 0.0508), (99_000.0, 101_000.0), (2e6, 3e6), (5.0, 5.0))] == [
        3, 6, 2, 0, 2]


def test_a_window_holds_the_span_and_what_is_around_it() -> None:
    from tests.tui.views import bars

    many = bars("AAPL@SIM", 300)
    past = Past("AAPL@SIM", NOW_NS - 200 * 60 * SECOND, NOW_NS - 190 * 60 * SECOND, "", ())
    shown = window(many, 40, past)
    assert len(shown) == 40
    assert shown[0].open_ns < past.from_ns
    assert shown[-1].close_ns > past.to_ns
    assert window(many, 40, None) == many[-40:]
    narrow = window(many, 6, past)
    assert len(narrow) == 6
    assert narrow[0].open_ns <= past.from_ns
    assert narrow[-1].close_ns >= past.to_ns
    assert {bar.close_ns - bar.open_ns for bar in narrow} == {3 * 60 * SECOND}
