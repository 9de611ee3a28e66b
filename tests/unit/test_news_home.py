"""News of a whole home: from a calendar in its folder to a journaled run of research, told by the service and from the record."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.config import Config, parse_config
from engine.research.decided import ResearchCause
from engine.research_words import EventsView, ResearchQuery, ResearchQueryKind
from store.backup import backup
from store.home import Home, open_home
from tui.compose import open_engine
from tui.compose_news import graph_of, recorded_events
from tui.folding import restored_state
from tui.running_engine import RunningEngine

pytestmark = pytest.mark.slow

CONFIG = """
[events]
graph = "ties.csv"
builtin_graph = false
[[news]]
name = "own"
kind = "csv"
file = "calendar.csv"
[[news]]
name = "gone"
kind = "ics"
file = "none.ics"
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    found = open_home(tmp_path / "h")
    found.config.write_text(CONFIG)
    moment = datetime.now(UTC) - timedelta(seconds=30)
    (found.path / "calendar.csv").write_text(
        f"time,title,kind,symbols\n{moment:%Y-%m-%dT%H:%M:%SZ},Bitcoin exchange hacked,security,BTC/USD\n")
    (found.path / "ties.csv").write_text("from,to,relation,weight,source\nBTC/USD,ETH/USD,partner,0.7,own\n"
                                         "ALBM,TSLA,customer,0.3,own\n")
    return found


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def events_of(running: RunningEngine) -> EventsView:
    found = asyncio.run(running.engine.research(ResearchQuery(ResearchQueryKind.EVENTS))).events
    assert found is not None
    return found


def test_a_calendar_of_the_home_begins_a_run_and_is_told(home: Home) -> None:
    config = parse_config(CONFIG, "config.toml")
    with open_engine(home, config) as running:
        until(lambda: running.engine.state.research.of("main").run)
        run = running.engine.state.research.of("main").run
        assert run is not None
        assert (run.cause, run.symbols, run.by, run.note) == (
            ResearchCause.EVENT, ("BTC/USD", "ETH/USD"), "events", "security BTC/USD")
        until(lambda: len(events_of(running).sources) == 3)
        view = events_of(running)
        assert [one.quote for one in view.notes] == ["Bitcoin exchange hacked"]
        assert [(one.symbol, one.hops) for one in view.impacts] == [("BTC/USD", 0), ("ETH/USD", 1)]
        assert view.sources[0].startswith("own: 1 items, 1 new")
        assert view.sources[1].startswith("gone: none.ics cannot be read")
        assert view.sources[2] == "graph: listed nowhere, is that meant? ALBM"
    with recorded_events(home, config, restored_state(home)) as asked:
        assert asked is not None
        assert asked("", "main").notes == view.notes


def test_a_short_engine_asks_no_source(home: Home) -> None:
    with open_engine(home, parse_config(CONFIG, "config.toml"), serve=False) as running:
        assert events_of(running).notes == ()


def test_a_graph_that_cannot_be_used_costs_the_graph_alone(home: Home) -> None:
    config = parse_config(CONFIG, "config.toml")
    (home.path / "ties.csv").write_text("from,to,relation,weight,source\nA,B,likes,0.7,own\n")
    assert graph_of(home, config).edges == ()
    (home.path / "ties.csv").unlink()
    assert graph_of(home, config).edges == ()
    assert len(graph_of(home, Config()).edges) > 20


def test_a_home_without_a_past_has_no_events(tmp_path: Path) -> None:
    empty = open_home(tmp_path / "e")
    with recorded_events(empty, Config(), restored_state(empty)) as asked:
        assert asked is None


def test_calendars_ties_and_memories_are_part_of_a_backup(home: Home) -> None:
    with open_engine(home, parse_config(CONFIG, "config.toml")) as running:
        until(lambda: running.engine.state.research.of("main").run)
    backup(home, home.path / "backups", time.time_ns())
    names = {path.name for path in (home.path / "backups").rglob("*")}
    assert {"calendar.csv", "ties.csv", "research.db"} <= names
