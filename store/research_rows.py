"""The tables of research among the journal's views: decisions and what became of them, forecasts and how they turned out, and the
newest calibration. Whole records lie in them as JSON, beside the columns that are asked for."""

import sqlite3
from collections.abc import Iterable

import msgspec

from engine.event_base import Event
from engine.research.decided import Decided, Forecast
from engine.research.resolution import Outcome, resolved
from engine.research_events import DecisionSealed, ForecastResolved
from engine.research_state import ResearchState, SealedDecision
from engine.research_words import CalibrationView, ConditionView, DecisionStatus
from engine.state import State
from store.view_rows import Row, Table

DECISIONS = Table("research_decisions", """decision_id TEXT, portfolio TEXT, symbol TEXT, instrument_id TEXT, analyst TEXT,
    stance TEXT, at_ns INTEGER, sealed_at_ns INTEGER, status TEXT, reason TEXT, proposal_id TEXT, order_id TEXT, acts_as TEXT,
    conditions TEXT, outcome TEXT, filled INTEGER, decided TEXT""")

FORECASTS = Table("research_forecasts", """decision_id TEXT, portfolio TEXT, instrument_id TEXT, at_ns INTEGER, ends_ns INTEGER,
    resolved_seq INTEGER, forecast TEXT""")

CALIBRATION = Table("research_calibration", "place INTEGER, computed_at_ns INTEGER, learned TEXT")

TABLES = (DECISIONS, FORECASTS, CALIBRATION)

_encode = msgspec.json.Encoder().encode
_conditions = msgspec.json.Decoder(tuple[ConditionView, ...])
_outcome = msgspec.json.Decoder(Outcome | None)
_decided = msgspec.json.Decoder(Decided)
_forecast = msgspec.json.Decoder(Forecast)
_learned = msgspec.json.Decoder(CalibrationView)
# Forecasts of one close by one voice for one portfolio are one piece of evidence, however often they were made: the first counts.
_PLACES = """SELECT decision_id, at_ns, forecast, ROW_NUMBER() OVER (
    PARTITION BY portfolio, instrument_id, ends_ns, json_extract(forecast, '$.cell'), json_extract(forecast, '$.horizon_days')
    ORDER BY at_ns, decision_id) AS place FROM research_forecasts"""
COLUMNS = "decided, sealed_at_ns, status, reason, proposal_id, order_id, acts_as, conditions, outcome, filled"


def follow(connection: sqlite3.Connection, before: State, state: State, event: Event) -> None:
    """Write what one event says of research; called with every row, so it asks little where there is nothing."""
    if state.research is before.research:
        return
    if isinstance(event, DecisionSealed):
        DECISIONS.put(connection, [_decision_row(state.research.decisions[event.decided.decision_id], event.decided)])
        if event.window is not None:
            FORECASTS.put(connection, [_forecast_row(event)])
    elif isinstance(event, ForecastResolved):
        _resolve(connection, before.research, state.seq, event)
    elif state.research.learned is not before.research.learned:
        learned = state.research.learned
        CALIBRATION.put(connection, [(1, learned.computed_at_ns, _text(learned))])
    _follow_decisions(connection, before.research, state.research)


def _follow_decisions(connection: sqlite3.Connection, before: ResearchState, after: ResearchState) -> None:
    if after.decisions is before.decisions:
        return
    for decision_id, sealed in after.decisions.items():
        known = before.decisions.get(decision_id)
        if known is not None and known is not sealed:
            connection.execute(
                "UPDATE research_decisions SET status = ?, reason = ?, proposal_id = ?, order_id = ?, acts_as = ?, "
                "conditions = ?, outcome = ?, filled = ? WHERE decision_id = ?", (*_progress(sealed), decision_id))


def _decision_row(sealed: SealedDecision, decided: Decided) -> Row:
    return (decided.decision_id, decided.portfolio, decided.symbol, decided.instrument_id, decided.analyst, decided.stance.value,
            decided.as_of_ns, sealed.sealed_at_ns, *_progress(sealed), _text(decided))


def _progress(sealed: SealedDecision) -> Row:
    return (sealed.status.value, sealed.reason, sealed.proposal_id, sealed.order_id, sealed.acts_as, _text(sealed.conditions),
            _text(sealed.outcome), int(sealed.filled))


def _forecast_row(event: DecisionSealed) -> Row:
    assert event.window is not None
    forecast = event.window.forecast
    return (forecast.decision_id, forecast.portfolio, event.window.instrument_id, forecast.at_ns, event.window.ends_ns, 0,
            _text(forecast))


def _resolve(connection: sqlite3.Connection, before: ResearchState, seq: int, event: ForecastResolved) -> None:
    """Also a decision that the state has let go of meanwhile gets its outcome."""
    known = before.open.get(event.decision_id)
    if known is None:
        return
    forecast = resolved(known.window.forecast, event.outcome)
    connection.execute("UPDATE research_forecasts SET resolved_seq = ?, forecast = ? WHERE decision_id = ?",
                       (seq, _text(forecast), event.decision_id))
    connection.execute("UPDATE research_decisions SET status = ?, outcome = ? WHERE decision_id = ?",
                       (DecisionStatus.RESOLVED.value, _text(event.outcome), event.decision_id))


def _text(value: object) -> str:
    return _encode(value).decode()


# ---- reading -------------------------------------------------------------------------------------------------------------


def decisions_of(connection: sqlite3.Connection, portfolio: str, limit: int) -> tuple[SealedDecision, ...]:
    """The newest decisions, of one portfolio or of all, newest first."""
    named = "WHERE portfolio = ?" if portfolio else ""
    rows = connection.execute(f"SELECT {COLUMNS} FROM research_decisions {named} ORDER BY at_ns DESC, decision_id DESC LIMIT ?",
                              (portfolio, limit) if portfolio else (limit,))
    return tuple(map(sealed_decision, rows))


def decision_of(connection: sqlite3.Connection, decision_id: str) -> SealedDecision | None:
    """One decision with every call behind it."""
    row = connection.execute(f"SELECT {COLUMNS} FROM research_decisions WHERE decision_id = ?", (decision_id,)).fetchone()
    return sealed_decision(row) if row else None


def sealed_decision(row: tuple[str, ...]) -> SealedDecision:
    """A decision from its `COLUMNS`."""
    decided, at_ns, status, reason, proposal_id, order_id, acts_as, conditions, outcome, filled = row
    return SealedDecision(_decided.decode(decided), int(at_ns), DecisionStatus(status), reason, proposal_id, order_id, acts_as,
                          _conditions.decode(conditions), _outcome.decode(outcome), bool(filled))


def forecasts_of(connection: sqlite3.Connection) -> tuple[Forecast, ...]:
    """Every forecast that was ever sealed, with its outcome where it has one, and whether it repeats an earlier one."""
    rows = connection.execute(f"SELECT forecast, place > 1 FROM ({_PLACES}) ORDER BY at_ns, decision_id")
    return tuple(msgspec.structs.replace(_forecast.decode(text), repeated=bool(repeats)) for text, repeats in rows)


def repeated_among(connection: sqlite3.Connection, decision_ids: Iterable[str]) -> frozenset[str]:
    """Those of these decisions whose forecast repeats an earlier one of the same close."""
    named = msgspec.json.encode(list(decision_ids)).decode()
    rows = connection.execute(
        f"SELECT decision_id FROM ({_PLACES} WHERE ends_ns IN (SELECT ends_ns FROM research_forecasts WHERE decision_id IN "
        "(SELECT value FROM json_each(:named)))) WHERE place > 1 AND decision_id IN (SELECT value FROM json_each(:named))",
        {"named": named})
    return frozenset(row[0] for row in rows)


def open_decisions_of(connection: sqlite3.Connection) -> tuple[Decided, ...]:
    """The decisions whose forecast is not told yet."""
    rows = connection.execute("SELECT decided FROM research_decisions JOIN research_forecasts USING (decision_id) "
                              "WHERE resolved_seq = 0 ORDER BY decision_id")
    return tuple(_decided.decode(row[0]) for row in rows)


def calibration_of(connection: sqlite3.Connection) -> CalibrationView:
    """What the newest learning found; empty before the first."""
    row = connection.execute("SELECT learned FROM research_calibration").fetchone()
    return _learned.decode(row[0]) if row else CalibrationView((), (), (), 0)
