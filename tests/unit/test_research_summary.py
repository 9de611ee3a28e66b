"""A day of events in one view, and the configuration of what feeds it."""

import pytest
from msgspec.structs import replace

from engine.config import check_config
from engine.research.builtin_graph import NAMES, builtin_edges
from engine.research.daily_summary import Known, clusters, day_bounds, day_text, events_view
from engine.research.event_graph import EventGraph
from engine.research.event_words import Direction, EventKind
from engine.research.events import EventNote
from engine.research.impact import Strength, Volatility, impacts_of

AT = 20_777 * 86_400 * 10 ** 9
KNOWN = Known(frozenset({"SOL/USD"}), {"SOL/USD": 0.58}, {"ETH/USD": "chain", "SOL/USD": "chain"},
              {("n1", "SOL/USD"): -120.0}, ("wire: 2 items",))


def note(name: str, kind: EventKind, *symbols: str, at_ns: int = AT) -> EventNote:
    return EventNote(name, kind, symbols, Direction.DOWN, f"quote {name}", "wire", at_ns - 1, at_ns)


NOTES = (note("n1", EventKind.SECURITY, "ETH/USD"), note("n2", EventKind.RATES, at_ns=AT + 5),
         note("n3", EventKind.SECURITY, "SOL/USD", at_ns=AT + 3), note("n4", EventKind.EARNINGS, "AAPL", at_ns=AT + 9))
GRAPH = EventGraph(builtin_edges())
STRENGTHS = {(EventKind.SECURITY, ""): Strength(100.0, 30)}
MOVES = dict.fromkeys(("ETH/USD", "SOL/USD", "BTC/USD"), Volatility(300.0, 300.0))
IMPACTS = [impact for one in NOTES for impact in impacts_of(one, GRAPH, STRENGTHS, {}, MOVES)]


def test_what_means_most_to_what_is_held_comes_first() -> None:
    view = events_view("2026-11-20", NOTES, IMPACTS, KNOWN)
    assert [one.note_id for one in view.notes] == ["n3", "n1", "n4", "n2"]  # the newer of equals first
    direct, *others = [one for one in view.impacts if one.note_id == "n1"]
    assert (direct.symbol, direct.hops, direct.impact_bps, direct.held) == ("ETH/USD", 0, -100.0, False)
    sol = next(one for one in others if one.symbol == "SOL/USD")
    assert (sol.hops, sol.impact_bps, sol.history_n, sol.held) == (1, -40.0, 30, True)
    assert (sol.conviction, sol.realised_bps) == (0.58, -120.0)
    assert [one.impact_bps for one in view.impacts if one.note_id == "n4"] == [None] * 5  # no history is no number
    assert view.sources == KNOWN.sources


def test_what_models_made_of_an_item_stands_behind_its_note_and_counts_for_nothing() -> None:
    readings = tuple(replace(note(f"{name}/llm/a", EventKind.OTHER, "ETH/USD"), analyst="llm/a")
                     for name in ("n1", "n4", "older"))
    view = events_view("2026-11-20", NOTES, IMPACTS, KNOWN._replace(readings=readings))
    assert [one.note_id for one in view.notes] == ["n3", "n1", "n1/llm/a", "n4", "n4/llm/a", "n2", "older/llm/a"]
    alone = events_view("2026-11-20", NOTES, IMPACTS, KNOWN)
    assert (view.impacts, view.clusters) == (alone.impacts, alone.clusters)


def test_clusters_are_events_of_a_kind_and_names_that_several_reach() -> None:
    found = clusters(NOTES, IMPACTS, KNOWN.sectors)
    assert "2 events of security in chain: ETH/USD, SOL/USD" in found
    assert "SOL/USD is reached by 2 events" in found
    assert not any("earnings" in one for one in found)
    assert clusters((), (), {}) == ()


def test_a_day_has_its_bounds() -> None:
    start_ns, end_ns = day_bounds(day_text(AT + 5))
    assert (start_ns, end_ns) == (AT, AT + 86_400 * 10 ** 9)
    with pytest.raises(ValueError, match="today"):
        day_bounds("today")


def test_the_built_in_graph_names_listed_tickers_and_ends() -> None:
    names = {name for edge in builtin_edges() for name in (edge.origin, edge.reached)}
    assert "ALB" in names
    assert "ALBM" not in names
    assert names <= {*NAMES.values(), "SPY"}
    assert all(len(GRAPH.reached_from(name, AT)) < 12 for name in names)


@pytest.mark.parametrize(("text", "word"), [
    ('name = "a"', "either url or file"), ('name = "a"\nurl = "ftp://x"', "http"),
    ('name = "a"\nurl = "https://x"\nfile = "x.ics"', "either"),
    ('name = "a"\nkind = "ics"\nfile = "../x.ics"', "without a path"), ('name = "a"\nfile = "x.xml"', "calendar"),
    ('name = "a"\nkind = "alpaca"', "needs account"),
    ('name = "a"\nkind = "alpaca"\naccount = "paper"', "no account of kind alpaca"),
    ('name = "a"\nurl = "https://x"\n[[news]]\nname = "a"\nurl = "https://y"', "already taken"),
    ('name = "a"\nurl = "https://x"\nevery_seconds = 1.0', "every_seconds")])
def test_a_source_that_cannot_be_meant_is_refused_in_a_line(text: str, word: str) -> None:
    errors = check_config(f"[[news]]\n{text}\n", "config.toml").errors
    assert len(errors) == 1
    assert word in errors[0]
    assert "\n" not in errors[0]


def test_sources_and_names_are_read() -> None:
    config = check_config('[events]\nnames = {"big blue" = "IBM"}\n[[news]]\nname = "wire"\nurl = "https://example.com/feed"\n'
                          '[[news]]\nname = "own"\nkind = "csv"\nfile = "calendar.csv"\n', "config.toml").config
    assert config is not None
    assert [(one.name, one.kind, one.every_seconds) for one in config.news] == [("wire", "rss", 300.0), ("own", "csv", 300.0)]
    assert config.events.names == {"big blue": "IBM"}
