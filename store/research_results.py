"""What came of decisions, out of the journal's views: the round trip that each began, what its fills slipped, and the proposals
that were declined or expired."""

import sqlite3
from collections.abc import Mapping
from typing import Any

from engine.analytics.records import TripRecord
from engine.research.acted import Acted
from engine.research_state import SealedDecision
from engine.service import ProposalStatus
from store.research_rows import COLUMNS, sealed_decision

type TripKey = tuple[str, str, int]
type FillRows = Mapping[tuple[str, str], list[tuple[int, int | None]]]

_TRIPS = """SELECT portfolio, instrument_id, symbol, strategy, decision, side, quantity, opened_at_ns, closed_at_ns, entry_price,
    exit_price, realized_minor, fees_minor, initial_risk_minor, exit_reason, adverse_fraction, favourable_fraction, regime
    FROM round_trips ORDER BY number"""
_ENTRIES = "SELECT client_order_id, min(at_ns) FROM fills GROUP BY client_order_id"
_DECISIONS = f"SELECT {COLUMNS} FROM research_decisions WHERE outcome != 'null' ORDER BY at_ns, decision_id"
_FILLS = "SELECT portfolio, instrument_id, at_ns, slippage_minor FROM fills ORDER BY at_ns, trade_id"


def acted_of(connection: sqlite3.Connection) -> tuple[Acted, ...]:
    """Every decision whose forecast has been resolved, with what was done about it. A position that was held before the entry is
    not the decision's alone: it has no round trip here."""
    entries = dict(connection.execute(_ENTRIES))
    trips = _trips(connection)
    fills = _fills(connection)
    answers = dict(connection.execute("SELECT proposal_id, status FROM proposals"))
    exponents = dict(connection.execute("SELECT portfolio, minor_exponent FROM portfolios"))
    found = []
    for row in connection.execute(_DECISIONS):
        sealed = sealed_decision(row)
        trip = _trip_of(sealed, entries, trips)
        answer = answers.get(sealed.proposal_id, "")
        found.append(Acted(
            sealed, trip, _slipped(sealed, trip, fills), exponents.get(sealed.decided.portfolio, 2),
            was_declined=answer == ProposalStatus.DECLINED.value, has_expired=answer == ProposalStatus.EXPIRED.value))
    return tuple(found)


def _trips(connection: sqlite3.Connection) -> dict[TripKey, TripRecord]:
    found: dict[TripKey, TripRecord] = {}
    for portfolio, *row in connection.execute(_TRIPS):
        record = TripRecord._make((*row[:5], float(row[5]), *row[6:]))
        found[portfolio, record.instrument_id, record.opened_at_ns] = record
    return found


def _fills(connection: sqlite3.Connection) -> FillRows:
    found: dict[tuple[str, str], list[tuple[int, int | None]]] = {}
    for portfolio, instrument_id, at_ns, slippage_minor in connection.execute(_FILLS):
        found.setdefault((portfolio, instrument_id), []).append((at_ns, slippage_minor))
    return found


def _trip_of(sealed: SealedDecision, entries: Mapping[str, Any], trips: Mapping[TripKey, TripRecord]) -> TripRecord | None:
    opened_ns = entries.get(sealed.order_id) if sealed.order_id else None
    decided = sealed.decided
    return None if opened_ns is None else trips.get((decided.portfolio, decided.instrument_id, opened_ns))


def _slipped(sealed: SealedDecision, trip: TripRecord | None, fills: FillRows) -> int | None:
    """What all fills of a round trip slipped together; None where one of them is not known."""
    if trip is None:
        return None
    own = [slippage for at_ns, slippage in fills.get((sealed.decided.portfolio, trip.instrument_id), ())
           if trip.opened_at_ns <= at_ns <= trip.closed_at_ns]
    known = [slippage for slippage in own if slippage is not None]
    return sum(known) if known and len(known) == len(own) else None
