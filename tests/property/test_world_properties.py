"""The world of research over generated input: strangers' bytes break nothing, notes are harmless, paths end."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from brokers.news.calendar_files import items_of_csv, items_of_ics
from brokers.news.feeds import items_of_feed, words_of
from brokers.news.fetching import SourceFailed, problem_of
from engine.plain_text import plain
from engine.research.event_graph import MOST_HOPS, Edge, EventGraph, Relation
from engine.research.event_words import Direction
from engine.research.events import Names, NewsItem, note_of
from engine.research.impact import MOST_SIGMAS, Strength, Volatility, impacts_of
from engine.research.memory import MemoryItem, Pool, Recall, chosen

AT = 1_795_190_400 * 10 ** 9
NAMES = Names(frozenset("ABCDEF"), {"apple": "A"})
PIECES = st.sampled_from([
    "<rss version='2.0'>", "<channel>", "<item>", "</item>", "<title>", "</title>", "]]>", "<![CDATA[", "&amp;", "&#x1b;",
    "<pubDate>", "</pubDate>", "Fri, 20 Nov 2026 15:00:00 GMT", "BEGIN:VCALENDAR\n", "BEGIN:VEVENT\n", "END:VEVENT\n", "DTSTART:",
    "20261120T1", "SUMMARY:", "time,title\n", "2026-11-20", ",", '"', "\n", "\x00"])
BODIES = st.one_of(st.binary(max_size=400), st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=30).map(
    lambda parts: "".join(parts).encode("utf-8", "replace")))


@given(BODIES)
def test_whatever_strangers_send_is_items_or_a_source_that_failed(body: bytes) -> None:
    for read in (items_of_feed, items_of_csv, items_of_ics):
        items: tuple[NewsItem, ...] = ()
        with suppress(SourceFailed):
            items = read(body, "wire", AT)
        assert all(item.known_at_ns == AT and item.event_time_ns > 0 and item.title for item in items)


@given(st.text(max_size=300))
def test_no_address_raises(address: str) -> None:
    assert isinstance(problem_of(address, private=False), str)


@given(st.text(max_size=600), st.text(max_size=600), st.lists(st.text(max_size=5), max_size=5))
def test_a_note_is_harmless_and_names_only_what_is_listed(title: str, text: str, symbols: list[str]) -> None:
    note = note_of(NewsItem("wire", "1", title, AT - 1, AT, text, tuple(symbols)), NAMES)
    if note is not None:
        assert set(note.symbols) <= NAMES.symbols
        assert len(note.quote) <= 300
        assert plain(note.quote) == note.quote
        assert note.surprise is None
    assert "<b>" not in words_of(title)


EDGES = st.lists(st.tuples(st.sampled_from("ABCDEF"), st.sampled_from("ABCDEF"), st.floats(0, 1)), max_size=40).map(
    lambda found: [Edge(origin, reached, Relation.PARTNER, weight, "x") for origin, reached, weight in found
                   if origin != reached])


@given(EDGES, st.sampled_from("ABCDEF"))
def test_paths_end_and_visit_no_name_twice(edges: list[Edge], origin: str) -> None:
    paths = EventGraph(edges).reached_from(origin, AT)
    assert len({path.names[-1] for path in paths}) == len(paths) <= 6
    for path in paths:
        assert path.hops <= MOST_HOPS
        assert len(set(path.names)) == len(path.names)
        assert 0 <= path.decay <= 1


@given(EDGES, st.floats(-1e6, 1e6), st.one_of(st.none(), st.floats(-10, 10)), st.floats(0.1, 1_000), st.floats(0.1, 1_000))
def test_no_impact_is_beyond_three_deviations(edges: list[Edge], bps: float, surprise: float | None, now: float,
                                              usual: float) -> None:
    note = note_of(NewsItem("wire", "1", "Apple beats", AT - 1, AT), NAMES)
    assert note is not None
    assert note.direction is Direction.UP
    moves = dict.fromkeys("ABCDEF", Volatility(now, usual))
    for impact in impacts_of(note, EventGraph(edges), {(note.kind, ""): Strength(bps, 5)}, {}, moves):
        assert impact.impact_bps is not None
        assert abs(impact.impact_bps) <= MOST_SIGMAS * now * (1 + 1e-12)


MEMORIES = st.lists(st.tuples(st.sampled_from(["main", "other"]), st.sampled_from(["A", "B"]), st.integers(-50, 50),
                              st.booleans()), max_size=40)


@given(MEMORIES, st.integers(1, 6))
def test_memories_are_of_one_portfolio_of_the_past_and_in_proportion(rows: list[tuple[str, str, int, bool]], most: int) -> None:
    items = tuple(MemoryItem(f"m{number:03}", portfolio, symbol, (), "calm", AT - 10 ** 12, AT + offset * 10 ** 9, won, "text")
                  for number, (portfolio, symbol, offset, won) in enumerate(rows))
    recall = Recall("main", "A", (), "calm", AT, most)
    allowed = [item for item in items if item.portfolio == "main" and item.resolved_at_ns <= AT]
    found = chosen(Pool(items, len(items)), recall)
    assert set(found) <= set(allowed)
    assert len(found) == min(most, len(allowed))
    if found:
        share = sum(item.won for item in allowed) / len(allowed)
        assert abs(sum(item.won for item in found) - share * len(found)) <= 0.5 + 1e-9
