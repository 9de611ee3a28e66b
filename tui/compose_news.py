"""The news of a home, put together: its sources, what is done with what they tell, and the graph along which events are felt."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

from brokers.market.simulated import SimulatedFeed, SimulatedMarket
from brokers.news.desk import NewsDesk, Source, Standing
from brokers.news.fetching import SourceFailed
from engine.config import Config
from engine.config_accounts import SIMULATED
from engine.config_events import NewsConfig
from engine.errors import ConfigError, KeysUnavailable, UsageError
from engine.event_desk import EventDesk, events_of_day
from engine.inputs import RunResearch
from engine.research.builtin_graph import BUILT_IN, NAMES, builtin_edges
from engine.research.event_graph import EventGraph, edges_of_csv, unknown_names
from engine.research.events import NewsItem
from engine.research_words import EventsView
from engine.research_world import ResearchWorld
from engine.state import State
from engine.units import NS_PER_SECOND, Nanoseconds
from store.home import Home
from store.research_archive import ARCHIVE_FILE
from store.research_memory import ResearchMemory
from tui.compose_venues import alpaca_endpoints
from tui.key_access import key_store, required_key

MOST_GRAPH_BYTES = 5_000_000
_log = logging.getLogger("quarterdeck.news")


class Around(NamedTuple):
    """How news reaches the engine: its newest state, its clock, and the way for a command; from any thread."""

    state: Callable[[], State]
    now_ns: Callable[[], Nanoseconds]
    send: Callable[[RunResearch], object]


class HomeNews(NamedTuple):
    """The desk that asks the sources, not yet started, and what it makes of what they tell."""

    desk: NewsDesk
    events: EventDesk
    view: Callable[[str, str], EventsView]


def graph_of(home: Home, config: Config) -> EventGraph:
    """The ties of the configuration; a file that cannot be used is left out, and the log says why."""
    edges = builtin_edges() if config.events.builtin_graph else ()
    if config.events.graph:
        path = home.path / config.events.graph
        try:
            if path.stat().st_size > MOST_GRAPH_BYTES:
                raise ConfigError(f"{path}: is longer than {MOST_GRAPH_BYTES} bytes")
            edges += edges_of_csv(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError, ConfigError) as error:
            _log.error("events: the graph is left out: %s", error)
    return EventGraph(edges)


def news_of(home: Home, config: Config, world: ResearchWorld, around: Around) -> HomeNews:
    """The news of a home. Nothing is asked before the desk is started."""
    terms = config.events
    events = EventDesk(world, around.state, around.send, aliases={**NAMES, **{name.lower(): symbol for name, symbol
                                                                              in terms.names.items()}},
                       least_tie=terms.least_tie, begins_research=terms.begin_research)
    desk = NewsDesk([source_of(home, config, one) for one in config.news], events.take, around.now_ns)

    def view(day: str, portfolio: str) -> EventsView:
        try:
            state = around.state()
            told = (*source_words(desk.standings()), *graph_words(world.graph, state))
            return events_of_day(world, state, around.now_ns(), day, portfolio, told)
        except ValueError as error:
            raise UsageError(f"{day}: is no date such as 2026-01-31") from error

    return HomeNews(desk, events, view)


@contextmanager
def recorded_events(home: Home, config: Config, state: State) -> Iterator[Callable[[str, str], EventsView] | None]:
    """The events that a home remembers, where no engine runs: real venues are not asked what came of them. None where it has
    remembered nothing yet."""
    path = home.path / ARCHIVE_FILE
    if not path.is_file():
        yield None
        return
    memory = ResearchMemory(path)
    simulated = config.market.source == SIMULATED
    bars = SimulatedFeed(SimulatedMarket(config.market.seed, always_open=config.market.always_open), time.time_ns)
    world = ResearchWorld(memory, bars if simulated else None, graph_of(home, config))
    try:
        yield news_of(home, config, world, Around(lambda: state, time.time_ns, lambda _: None)).view
    finally:
        memory.close()


def source_of(home: Home, config: Config, news: NewsConfig) -> Source:
    """One configured source as the desk asks it."""
    if news.kind == "alpaca":
        return Source(news.name, news.kind, every_seconds=news.every_seconds, ask=_account_news(home, config, news))
    return Source(news.name, news.kind, news.url, home.path / news.file if news.file else None, news.every_seconds, news.private)


def _account_news(home: Home, config: Config, news: NewsConfig) -> Callable[[Nanoseconds], Sequence[NewsItem]]:
    """The news of an account; its key is read each time, and a key that is not there is a source that failed."""
    account = config.account_named(news.account)

    def ask(at_ns: Nanoseconds) -> Sequence[NewsItem]:
        from brokers.alpaca.news import news_items

        try:
            key = required_key(key_store(home.path, config), account.name)
        except (ConfigError, KeysUnavailable) as error:
            raise SourceFailed(str(error)) from error
        return news_items(lambda: (key.key_id, key.secret), alpaca_endpoints(account), account.symbols, news.name, at_ns)

    return ask


def source_words(standings: Sequence[Standing]) -> tuple[str, ...]:
    """The last word of each source as a line."""
    return tuple(f"{one.name}: {one.failure or f'{one.items} items, {one.fresh} new'} ({_minute(one.at_ns)})"
                 for one in standings)


def graph_words(graph: EventGraph, state: State) -> tuple[str, ...]:
    """The names of one's own ties that nothing lists, which are mistakes as a rule (ALBM for ALB)."""
    listed = {one.symbol for one in state.instruments.values()}
    own = [edge for edge in graph.edges if edge.source != BUILT_IN]
    unknown = unknown_names(own, listed.union(*((edge.origin, edge.reached) for edge in graph.edges if edge.source == BUILT_IN)))
    return (f"graph: listed nowhere, is that meant? {', '.join(unknown[:20])}",) if unknown else ()


def _minute(at_ns: Nanoseconds) -> str:
    return f"{datetime.fromtimestamp(at_ns // NS_PER_SECOND, UTC):%H:%M} UTC"
