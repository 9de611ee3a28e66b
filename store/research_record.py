"""The record of research as it is asked: decisions, calibration, threads and events, out of the journal's views and the archive.
Any thread may ask; the engine goes on writing meanwhile."""

import sqlite3
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec

from engine.errors import UsageError
from engine.ports import ForecastsKnown
from engine.research.acted import results_of
from engine.research.answer_rates import rates_of
from engine.research.decided import RoleAnswer
from engine.research.recalibration import CellMap
from engine.research.threads import entries_of, thread_view
from engine.research_state import SealedDecision
from engine.research_views import MICRO_USD, decision_view
from engine.research_words import (
    AnswerView,
    DecisionDetail,
    EventsView,
    RateOfCode,
    ResearchPage,
    ResearchQuery,
    ResearchQueryKind,
)
from engine.state import State
from store import research_rows
from store.research_archive import ResearchArchive
from store.research_pruning import Needed
from store.research_results import acted_of
from store.view_reader import ViewReader

MOST_DECISIONS = 1_000
THREAD_DECISIONS = 200
RATED_DECISIONS = 200  # more than the newest hundred calls can be spread over
NO_EVENTS = EventsView("", (), (), (), ())


class StoredResearch:
    """Answers for screens and for the learning. `state` is asked for threads and maps, `events` for the events of a day and a
    portfolio; `archive` may be missing: then raw texts are."""

    def __init__(self, journal: Path, state: Callable[[], State], archive: ResearchArchive | None = None,
                 events: Callable[[str, str], EventsView] | None = None) -> None:
        self._reader = ViewReader(journal)
        self._state = state
        self._archive = archive
        self._events = events

    def page(self, query: ResearchQuery) -> ResearchPage:
        """The answer to one question; raises `UsageError` for a decision or a portfolio that is not known."""
        state = self._state()
        if query.portfolio and query.portfolio not in state.portfolios:
            known = ", ".join(state.portfolios) or "none"
            raise UsageError(f"--portfolio {query.portfolio}: no such portfolio; known are {known}")
        if query.kind is ResearchQueryKind.EVENTS:  # feeds are asked: nobody else waits for that
            return ResearchPage(events=NO_EVENTS if self._events is None else self._events(query.key, query.portfolio))
        with self._reader.views() as connection:
            match query.kind:
                case ResearchQueryKind.DECISIONS:
                    found = research_rows.decisions_of(connection, query.portfolio, max(1, min(query.limit, MOST_DECISIONS)))
                    repeated = research_rows.repeated_among(connection, [one.decided.decision_id for one in found])
                    return ResearchPage(decisions=tuple(
                        decision_view(one, state.research.maps, repeated=one.decided.decision_id in repeated) for one in found))
                case ResearchQueryKind.DECISION:
                    return ResearchPage(decision=self._detail(connection, query.key, state.research.maps))
                case ResearchQueryKind.CALIBRATION:
                    learned = research_rows.calibration_of(connection)
                    return ResearchPage(calibration=msgspec.structs.replace(learned, codes=_rates(connection)))
                case ResearchQueryKind.THREADS:
                    return self._threads(connection, state, query)

    def forecasts(self) -> ForecastsKnown:
        """Every forecast, for the learning."""
        with self._reader.views() as connection:
            found = research_rows.forecasts_of(connection)
            acted = acted_of(connection)
            codes = _rates(connection)
        return ForecastsKnown(self._state().seq, found, codes, results_of(acted), tuple(one.sealed for one in acted))

    def needed(self) -> Needed:
        """What of the archive must stay: that of decisions whose forecast is still open."""
        with self._reader.views() as connection:
            found = research_rows.open_decisions_of(connection)
        return Needed(frozenset(one.run_id for one in found), frozenset(one.snapshot_id for one in found))

    def _detail(self, connection: sqlite3.Connection, decision_id: str, maps: tuple[CellMap, ...]) -> DecisionDetail:
        sealed = research_rows.decision_of(connection, decision_id)
        if sealed is None:
            raise UsageError(f"{decision_id}: no such decision; `quarterdeck decisions` lists them")
        answers = tuple(self._answer(sealed, one) for one in sealed.decided.answers)
        body = self._archive.snapshot(sealed.decided.snapshot_id) if self._archive is not None else None
        removed_ns = self._archive.removed_at_ns(sealed.decided.run_id) if self._archive is not None else 0
        repeated = bool(research_rows.repeated_among(connection, [decision_id]))
        return DecisionDetail(decision_view(sealed, maps, repeated=repeated), answers, body.decode() if body else "", removed_ns)

    def _answer(self, sealed: SealedDecision, one: RoleAnswer) -> AnswerView:
        prompt = raw = ""
        if self._archive is not None and one.call_hash:
            calls = self._archive.calls(sealed.decided.run_id, one.call_hash)
            if calls:
                prompt, raw = calls[-1].prompt, calls[-1].raw
        return AnswerView(one.role, one.analyst, one.p_up, one.stance.value if one.stance else "", one.code, one.repairs,
                          one.tokens_in, one.tokens_out, Decimal(one.cost_micro_usd) / MICRO_USD, one.latency_ms, prompt, raw)

    def _threads(self, connection: sqlite3.Connection, state: State, query: ResearchQuery) -> ResearchPage:
        names = [query.portfolio] if query.portfolio else list(state.portfolios)
        views = []
        for name in names:
            decisions = research_rows.decisions_of(connection, name, THREAD_DECISIONS)
            views.append(thread_view(entries_of(state, name, decisions), name, state.at_ns, max(1, query.limit)))
        return ResearchPage(threads=tuple(views))


def _rates(connection: sqlite3.Connection) -> tuple[RateOfCode, ...]:
    """How the newest calls of models were read."""
    return rates_of(one.decided for one in research_rows.decisions_of(connection, "", RATED_DECISIONS))
