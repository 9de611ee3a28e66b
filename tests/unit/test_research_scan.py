"""The market scan: what deserves a run, in which order, and why."""

from engine.research.rule_analyst import Daily
from engine.research.scan import DAY_NS, Candidate, affordable, ranked

NOW_NS = 1_000 * DAY_NS
QUIET = Daily(tuple(100.0 * (1.01 if day % 2 else 1.0) for day in range(80)))


def candidate(symbol: str, mark: float = 101.0, **changed: object) -> Candidate:
    return Candidate(symbol, QUIET, mark, looked_ns=NOW_NS)._replace(**changed)  # type: ignore[arg-type]


def reasons(one: Candidate) -> tuple[str, ...]:
    return ranked([one], NOW_NS, 5)[0].reasons


def test_a_quiet_instrument_that_was_just_looked_into_has_no_reason() -> None:
    assert ranked([candidate("A")], NOW_NS, 5)[0] == ("A", 0.0, ())


def test_each_reason_is_told() -> None:
    assert reasons(candidate("A", mark=105.0)) == ("moved +4.0 %, 4.0 times the usual day",)
    assert reasons(candidate("A", volumes=(*(10.0,) * 20, 30.0))) == ("volume 3.0 times the usual",)
    assert reasons(candidate("A", regime="trend", last_regime="range")) == ("regime now trend, was range",)
    assert reasons(candidate("A", events=2)) == ("2 events",)
    assert reasons(candidate("A", held_since_ns=NOW_NS - 8 * DAY_NS)) == ("held for 8 days",)
    assert reasons(candidate("A", looked_ns=0)) == ("not looked into yet",)
    assert reasons(candidate("A", looked_ns=NOW_NS - 5 * DAY_NS)) == ("last looked into 5.0 days ago",)


def test_the_weightiest_comes_first_and_ties_go_by_symbol() -> None:
    found = ranked([candidate("C"), candidate("B"), candidate("A", events=1), candidate("D", mark=110.0, events=1)], NOW_NS, 5)
    assert [one.symbol for one in found] == ["D", "A", "B", "C"]
    assert found[0].reasons[0].startswith("moved")


def test_no_single_reason_outweighs_everything() -> None:
    wild = ranked([candidate("A", mark=500.0, volumes=(*(10.0,) * 20, 9_999.0), events=99)], NOW_NS, 5)[0]
    assert wild.score <= 9.0


def test_what_has_no_price_is_left_out() -> None:
    assert ranked([candidate("A", mark=0.0)], NOW_NS, 5) == ()


def test_a_scan_is_no_larger_than_what_is_left_of_the_day_pays_for() -> None:
    assert affordable(300_000, 10_000_000, 4) == 4
    assert affordable(300_000, 700_000, 4) == 2
    assert affordable(300_000, 100_000, 4) == 0
    assert affordable(0, 0, 4) == 4
