"""What came of decisions, read from the journal's views."""

import sqlite3
from collections.abc import Iterator
from decimal import Decimal

import msgspec
import pytest

from engine.research.acted import results_of
from engine.research.decided import Decided, Worth
from engine.research.opinions import Stance
from engine.research.resolution import Outcome
from store import research_rows, view_rows
from store.research_results import acted_of

WORTH = Worth((0.6,), 0.6, 0.55, 0.53, 0.0, 0.5, "shrink", 10, cost_bps=10, ev_bps=20, ev_low_bps=5, breakeven_p=0.4,
              kelly_risk_fraction=0.1, risk_bps=10, consensus=True)


def text(value: object) -> str:
    return msgspec.json.encode(value).decode()


@pytest.fixture
def views() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    for table in (*view_rows.TABLES, *research_rows.TABLES):
        connection.execute(table.create_statement)
    view_rows.PORTFOLIOS.put(connection, [("main", "paper", "EUR", 3, 0, 0, 0, 0, "", "", "", "", "", 0, "")])
    yield connection
    connection.close()


def decide(views: sqlite3.Connection, number: int, order_id: str = "", proposal_id: str = "", *, resolved: bool = True) -> None:
    decided = Decided(f"d{number}", "run", "main", "T1", "AAA", "AAA", "s", number, Decimal(100), "quote", "llm/one", "p1",
                      Stance.LONG, 5, 300, 200, WORTH, actionable=True)
    outcome = Outcome(50, up=0, won=0, return_bps=-300.0) if resolved else None
    research_rows.DECISIONS.put(views, [(f"d{number}", "main", "AAA", "AAA", "llm/one", "long", number, number, "resolved", "",
                                         proposal_id, order_id, "suggest_only", "[]", text(outcome), 1, text(decided))])


def fill(views: sqlite3.Connection, trade_id: str, order_id: str, at_ns: int, slippage_minor: int | None) -> None:
    view_rows.FILLS.put(views, [("paper", "AAA", trade_id, order_id, "", "main", "BUY", "ENTRY", 1, 1, "100", "100", 5, 0, "",
                                 at_ns, "AAA", "research", "strategy", 1_000_000, slippage_minor)])


def ended(views: sqlite3.Connection, number: int, opened_ns: int, closed_ns: int) -> None:
    view_rows.ROUND_TRIPS.put(views, [(number, "main", "AAA", "research", 1, 100, "100", opened_ns, closed_ns, -200_000, 700, 1,
                                       "stop", "AAA", "approved proposal", 100.0, 98.0, None, None, "trend up")])


def test_a_decision_is_joined_to_the_round_trip_that_its_entry_began(views: sqlite3.Connection) -> None:
    decide(views, 1, "o1")
    fill(views, "t1", "o1", 10, 4_000)
    fill(views, "t2", "x1", 20, 2_000)
    ended(views, 1, 10, 20)
    [found] = acted_of(views)
    assert found.trip is not None
    assert (found.trip.opened_at_ns, found.trip.realized_minor, found.trip.quantity) == (10, -200_000, 100.0)
    assert (found.slippage_minor, found.minor_exponent) == (6_000, 3)
    [cost] = results_of([found]).costs
    assert cost.realised_bps == pytest.approx(10_000 * 6_700 / 10_000_000)


def test_what_was_held_before_belongs_to_no_decision(views: sqlite3.Connection) -> None:
    decide(views, 1, "o1")
    fill(views, "t0", "x0", 5, None)
    fill(views, "t1", "o1", 10, 4_000)
    ended(views, 1, 5, 20)
    [found] = acted_of(views)
    assert (found.trip, found.slippage_minor) == (None, None)


def test_slippage_that_is_not_known_of_one_fill_is_not_known(views: sqlite3.Connection) -> None:
    decide(views, 1, "o1")
    fill(views, "t1", "o1", 10, 4_000)
    fill(views, "t2", "x1", 20, None)
    ended(views, 1, 10, 20)
    assert acted_of(views)[0].slippage_minor is None


def test_declined_and_expired_are_told_from_the_proposal(views: sqlite3.Connection) -> None:
    for number, status in ((1, "DECLINED"), (2, "EXPIRED"), (3, "APPROVED")):
        decide(views, number, proposal_id=f"p{number}")
        view_rows.PROPOSALS.put(views, [(f"p{number}", "main", "AAA", "BUY", "1", "research", "", "", status, "", 0, 0)])
    decide(views, 4, proposal_id="p1", resolved=False)
    assert [(one.was_declined, one.has_expired) for one in acted_of(views)] == [(True, False), (False, True), (False, False)]
    assert [one.declined for one in results_of(acted_of(views)).not_taken] == [True, False]
