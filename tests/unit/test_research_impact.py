"""Events along the graph, by hand: a planted graph of six names, its cycle, two hops, history by n / (n + 20)."""

import pytest
from msgspec.structs import replace

from engine.errors import ConfigError
from engine.research.event_graph import Edge, EventGraph, Relation, edges_of_csv, unknown_names
from engine.research.event_words import Direction, EventKind
from engine.research.events import EventNote
from engine.research.impact import PastEvent, Strength, Volatility, impacts_of, strengths

DAY = 86_400_000_000_000
AT = 20_000 * DAY
NOTE = EventNote("n1", EventKind.SUPPLY, ("ALB",), Direction.DOWN, "Albemarle halts production", "wire", AT - 1, AT, -2.0)
CALM = Volatility(200.0, 200.0)


def edge(origin: str, reached: str, weight: float, **terms: int) -> Edge:
    return Edge(origin, reached, Relation.CUSTOMER, weight, "test", **terms)


# ALB -> TSLA -> AAPL -> MSFT, TSLA -> ALB (a cycle), ALB -> SQM -> TSLA (the weaker way), AAPL -> F beyond two hops
PLANTED = EventGraph([edge("ALB", "TSLA", 0.5), edge("TSLA", "AAPL", 0.4), edge("AAPL", "MSFT", 0.9), edge("TSLA", "ALB", 1.0),
                      edge("ALB", "SQM", 0.8), edge("SQM", "TSLA", 0.9), edge("AAPL", "F", 1.0)])
KNOWN = {(EventKind.SUPPLY, "materials"): Strength(30.0, 40)}
SECTORS = {"ALB": "materials"}
EVERYBODY = dict.fromkeys(("ALB", "TSLA", "AAPL", "MSFT", "SQM", "F"), CALM)


def test_a_planted_graph_gives_the_values_worked_by_hand() -> None:
    found = {one.symbol: one for one in impacts_of(NOTE, PLANTED, KNOWN, SECTORS, EVERYBODY)}
    # 30 bps * -2 * (200/200) * weights * 0.5 ** (hops - 1); a name is direct at 0 hops and its first neighbours are undiminished
    assert {name: one.impact_bps for name, one in found.items()} == {
        "ALB": -60.0, "TSLA": -30.0, "SQM": -48.0, "AAPL": pytest.approx(-60.0 * 0.5 * 0.4 * 0.5, abs=1e-12)}
    assert {name: one.path.hops for name, one in found.items()} == {"ALB": 0, "TSLA": 1, "SQM": 1, "AAPL": 2}
    assert found["AAPL"].path.text == "ALB - customer > TSLA - customer > AAPL"
    assert all(one.history_n == 40 for one in found.values())


def test_a_cycle_ends_and_two_hops_are_the_end() -> None:
    ring = EventGraph([edge("A", "B", 1.0), edge("B", "C", 1.0), edge("C", "A", 1.0)])
    assert [path.names for path in ring.reached_from("A", AT)] == [("A",), ("A", "B"), ("A", "B", "C")]
    assert [(path.names[-1], path.hops) for path in PLANTED.reached_from("TSLA", AT)] == [
        ("TSLA", 0), ("ALB", 1), ("AAPL", 1), ("SQM", 2), ("F", 2), ("MSFT", 2)]  # 1, 0.4, 0.4 of 0.8 by a half, 0.2, 0.18


def test_the_way_through_two_is_taken_where_it_is_stronger() -> None:
    graph = EventGraph([edge("A", "B", 0.1), edge("A", "C", 0.9), edge("C", "B", 0.9)])
    reached = {path.names[-1]: path for path in graph.reached_from("A", AT)}
    assert reached["B"].names == ("A", "C", "B")
    assert reached["B"].decay == pytest.approx(0.405)


def test_an_edge_counts_while_it_is_valid() -> None:
    graph = EventGraph([edge("A", "B", 0.5, valid_from_ns=AT, valid_to_ns=AT + DAY)])
    assert [len(graph.reached_from("A", at)) for at in (AT - 1, AT, AT + DAY - 1, AT + DAY)] == [1, 2, 2, 1]


def test_no_impact_is_beyond_three_daily_deviations() -> None:
    quiet = {"ALB": Volatility(10.0, 10.0)}
    wild = {"ALB": Volatility(300.0, 100.0, "wild")}
    alone = EventGraph(())
    assert [(one.impact_bps, one.capped) for one in impacts_of(NOTE, alone, KNOWN, SECTORS, quiet)] == [(-30.0, True)]
    found = impacts_of(replace(NOTE, surprise=1.5), alone, KNOWN, SECTORS, wild, {"wild": 1.2})
    assert found[0].impact_bps == pytest.approx(30.0 * 1.5 * 1.2 * 3.0)


def test_without_history_direction_or_volatility_there_is_no_number() -> None:
    alone = EventGraph(())
    told = {why: impacts_of(note, alone, known, SECTORS, volatilities)[0] for why, note, known, volatilities in (
        ("no history", NOTE, {}, EVERYBODY), ("no volatility", NOTE, KNOWN, {}),
        ("no direction", replace(NOTE, surprise=None, direction=Direction.UNCLEAR), KNOWN, EVERYBODY))}
    assert all((one.impact_bps, one.why_not) == (None, why) for why, one in told.items())
    assert told["no history"].history_n == 0


def row(number: int, push: float, abnormal_bps: float, sector: str = "materials", resolved: int = AT) -> PastEvent:
    return PastEvent(f"n{number}", "ALB", EventKind.SUPPLY, sector, push, abnormal_bps, resolved)


def test_history_is_a_median_shrunk_by_its_number() -> None:
    table = [row(1, -1.0, -100.0), row(2, 2.0, 40.0), row(3, -0.5, 20.0), row(4, 1.0, 900.0, "energy"), row(5, 0.0, 5_000.0),
             row(6, 1.0, 7_000.0, resolved=AT + 1)]
    known = strengths(table, AT)
    assert known[EventKind.SUPPLY, "materials"] == Strength(40.0 * 3 / 23, 3)  # of 100, 40 and -20
    assert known[EventKind.SUPPLY, "energy"] == Strength(900.0 / 21, 1)
    assert known[EventKind.SUPPLY, ""] == Strength(70.0 * 4 / 24, 4)  # of 100, 40, -20 and 900
    assert impacts_of(NOTE, EventGraph(()), known, {}, EVERYBODY)[0].history_n == 4  # all sectors, where its own is not known


def test_a_file_of_edges_is_read_and_its_faults_are_named() -> None:
    text = "from,to,relation,weight,source,valid_from,valid_to\nalb,TSLA,customer,0.4,10-K,2025-01-01,\nALBM,F,supplier,1,x,,\n"
    first, second = edges_of_csv(text, "graph.csv")
    assert (first.origin, first.reached, first.relation, first.weight) == ("ALB", "TSLA", Relation.CUSTOMER, 0.4)
    assert not first.holds(first.valid_from_ns - 1)
    assert second.holds(AT)
    assert unknown_names([first, second], ["ALB", "TSLA", "F"]) == ("ALBM",)


@pytest.mark.parametrize(("line", "word"), [
    ("ALB,TSLA,likes,0.4,x,,", "relation"), ("ALB,TSLA,customer,1.4,x,,", "weight"), ("ALB,TSLA,customer,nan,x,,", "weight"),
    ("ALB,ALB,customer,0.4,x,,", "two different"), ("ALB,TSLA,customer,0.4,,,", "source"),
    ("ALB,TSLA,customer,0.4,x,yesterday,", "date")])
def test_a_bad_edge_is_refused_with_its_line(line: str, word: str) -> None:
    with pytest.raises(ConfigError, match=f"graph.csv: line 2.*{word}"):
        edges_of_csv(f"from,to,relation,weight,source,valid_from,valid_to\n{line}\n", "graph.csv")


def test_a_file_without_its_columns_is_refused() -> None:
    with pytest.raises(ConfigError, match="missing: relation, weight, source"):
        edges_of_csv("from,to\nA,B\n", "graph.csv")
