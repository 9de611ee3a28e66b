"""Several forecasts of one close by the same analyst are one piece of evidence: the first counts, the others are told apart."""

import sqlite3

import msgspec
import pytest

from engine.research.decided import Cell, Forecast
from engine.research.learning import learn
from engine.trading_hours import NS_PER_DAY
from store.research_rows import FORECASTS, forecasts_of, repeated_among
from tests.unit.known_forecasters import forecasts

CELL = Cell("llm/one", "p1", "2-5", "equity")
MINUTE_NS = 60_000_000_000
replace = msgspec.structs.replace


@pytest.fixture
def connection() -> sqlite3.Connection:
    opened = sqlite3.connect(":memory:")
    opened.execute(FORECASTS.create_statement)
    return opened


def put(connection: sqlite3.Connection, forecast: Forecast, instrument_id: str = "paper:AAPL", ends_ns: int = 5 * NS_PER_DAY,
        ) -> None:
    FORECASTS.put(connection, [(forecast.decision_id, forecast.portfolio, instrument_id, forecast.at_ns, ends_ns, 0,
                                msgspec.json.encode(forecast).decode())])


def made(decision_id: str, minute: int, portfolio: str = "main", cell: Cell = CELL, horizon_days: int = 5) -> Forecast:
    return Forecast(decision_id, portfolio, cell, minute * MINUTE_NS, 0.6, 0.6, horizon_days=horizon_days)


def test_the_first_forecast_of_a_close_counts_and_the_later_ones_repeat_it(connection: sqlite3.Connection) -> None:
    for forecast in (made("d9", 0), made("d2", 5), made("d1", 10)):
        put(connection, forecast)
    assert [(one.decision_id, one.repeated) for one in forecasts_of(connection)] == [("d9", False), ("d2", True), ("d1", True)]
    assert repeated_among(connection, ["d1", "d9", "unknown"]) == {"d1"}
    assert repeated_among(connection, []) == frozenset()


def test_another_question_or_another_voice_repeats_nothing(connection: sqlite3.Connection) -> None:
    put(connection, made("d1", 0))
    put(connection, made("d2", 5, portfolio="other"))
    put(connection, made("d3", 5, cell=replace(CELL, analyst="rule/1")))
    put(connection, made("d4", 5, horizon_days=4))
    put(connection, made("d5", 5), instrument_id="paper:MSFT")
    put(connection, made("d6", 2_000), ends_ns=6 * NS_PER_DAY)
    assert not any(one.repeated for one in forecasts_of(connection))
    assert repeated_among(connection, [f"d{number}" for number in range(1, 7)]) == frozenset()


def test_repeats_are_left_out_of_every_cell_and_counted() -> None:
    firsts = forecasts(1, 220, 2, 1)
    again = [replace(one, decision_id=f"{one.decision_id}-{turn}", at_ns=one.at_ns + turn, repeated=True)
             for one in firsts for turn in (1, 2)]
    alone, crowded = learn(firsts, (), 5), learn([*firsts, *again], (), 5)
    [cell] = crowded.view.cells
    assert (cell.n, cell.repeated) == (220, 440)
    assert crowded.maps == alone.maps
    assert replace(cell, repeated=0) == alone.view.cells[0]
    assert crowded.view.changes == alone.view.changes


def test_what_was_recorded_before_is_read_and_hashed_as_ever() -> None:
    """The mark is told when forecasts are read; it is in no sealed row."""
    assert b"repeated" not in msgspec.json.encode(made("d1", 0))
