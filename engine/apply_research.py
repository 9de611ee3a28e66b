"""Events of research folded into the state, and the status of decisions that follows proposals, orders and fills."""

from collections.abc import Callable
from math import isclose
from typing import Any

import msgspec

from engine.event_base import Event
from engine.events import OrderFilled, OrderIntended, PositionSplit, ProposalRaised, ProposalSettled, Recorded, WantRefused
from engine.orders import Purpose
from engine.research.decided import ResearchCause
from engine.research.resolution import adjusted
from engine.research_events import (
    CalibrationLearned,
    DecisionGated,
    DecisionSealed,
    ForecastAdjusted,
    ForecastResolved,
    ForecastTouched,
    ResearchAlarmReleased,
    ResearchAlarmSet,
    ResearchBegun,
    ResearchChangeSettled,
    ResearchFinished,
)
from engine.research_state import (
    FAR_NS,
    KEPT_DECISIONS,
    ORIGIN,
    OpenForecast,
    PortfolioResearchState,
    ResearchState,
    SealedDecision,
)
from engine.research_words import ChangeProposed, DecisionStatus
from engine.service import ProposalStatus
from engine.state import Changes, State, newest

replace = msgspec.structs.replace
type Fold = Callable[[State, Any, Recorded], ResearchState]

SETTLED = {ProposalStatus.APPROVED: DecisionStatus.APPROVED, ProposalStatus.DECLINED: DecisionStatus.DECLINED,
           ProposalStatus.EXPIRED: DecisionStatus.EXPIRED, ProposalStatus.REFUSED: DecisionStatus.REFUSED}


# ---- runs ----------------------------------------------------------------------------------------------------------------


def _begun(state: State, event: ResearchBegun, recorded: Recorded) -> ResearchState:
    run = replace(event.run, begun_at_ns=recorded.at_ns)
    event_ns = recorded.at_ns if run.cause is ResearchCause.EVENT else state.research.of(run.portfolio).event_run_ns
    return _of(state, run.portfolio, run=run, event_run_ns=event_ns)


def _finished(state: State, event: ResearchFinished, recorded: Recorded) -> ResearchState:
    known = _today(state, event.portfolio)
    run = known.run
    if run is not None and run.run_id == event.run_id:
        run = replace(run, ended_at_ns=recorded.at_ns, failure=event.failure, text=event.text,
                      cost_micro_usd=event.cost_micro_usd)
    return _put(state, event.portfolio, replace(known, run=run, spent_micro_usd=known.spent_micro_usd + event.cost_micro_usd))


def _today(state: State, portfolio: str) -> PortfolioResearchState:
    """What is known of a portfolio, with nothing spent or risked yet where the day is a new one."""
    known = state.research.of(portfolio)
    return known if known.day == state.day else replace(known, day=state.day, spent_micro_usd=0, risked_bps=0.0)


def _of(state: State, portfolio: str, **changes: Any) -> ResearchState:
    return _put(state, portfolio, replace(_today(state, portfolio), **changes))


def _put(state: State, portfolio: str, after: PortfolioResearchState) -> ResearchState:
    return replace(state.research, portfolios={**state.research.portfolios, portfolio: after})


# ---- decisions -----------------------------------------------------------------------------------------------------------


def _sealed(state: State, event: DecisionSealed, recorded: Recorded) -> ResearchState:
    research, decided = state.research, event.decided
    status = DecisionStatus.SCORED_ONLY
    if decided.worth is None:
        status = DecisionStatus.REJECTED if decided.rejected else DecisionStatus.ABSTAINED
    kept = SealedDecision(replace(decided, answers=()), recorded.at_ns, status, event.refused or decided.reason)
    decisions = _kept({**research.decisions, decided.decision_id: kept})
    changes: dict[str, Any] = {"decisions": decisions, "seal": event.seal, "sealed_count": research.sealed_count + 1}
    if len(decisions) <= len(research.decisions):
        changes["orders"] = {order_id: key for order_id, key in research.orders.items() if key in decisions}
    if event.window is not None:
        instrument_id = event.window.instrument_id
        changes["open"] = {**research.open, decided.decision_id: OpenForecast(event.window)}
        changes["index"] = {**research.index, instrument_id: (*research.index.get(instrument_id, ()), decided.decision_id)}
        changes["next_end_ns"] = min(research.next_end_ns, event.window.ends_ns)
    return replace(research, **changes)


def _kept(decisions: dict[str, SealedDecision]) -> dict[str, SealedDecision]:
    """The newest decisions, and older ones that a person is still asked about: without them an answer could not be checked."""
    left = newest(decisions, KEPT_DECISIONS)
    if left is decisions:
        return left
    asked = {key: one for key, one in decisions.items() if key not in left and one.status is DecisionStatus.PROPOSED}
    return {**asked, **left}


def _gated(state: State, event: DecisionGated, _: Recorded) -> ResearchState:
    research = _changed(state.research, event.decision_id, status=event.status, reason=event.reason, acts_as=event.acts_as,
                        conditions=event.conditions)
    sealed = research.decisions.get(event.decision_id)
    if sealed is None:
        return research
    portfolio = sealed.decided.portfolio
    known = replace(research.of(portfolio), acts_as=event.acts_as, conditions=event.conditions)
    return replace(research, portfolios={**research.portfolios, portfolio: known})


def _changed(research: ResearchState, decision_id: str, **fields: Any) -> ResearchState:
    known = research.decisions.get(decision_id)
    if known is None:
        return research
    return replace(research, decisions={**research.decisions, decision_id: replace(known, **fields)})


# ---- forecasts -----------------------------------------------------------------------------------------------------------


def _touched(state: State, event: ForecastTouched, _: Recorded) -> ResearchState:
    return _reopened(state.research, event.decision_id, lambda known: known if known.won is not None
                     else replace(known, won=event.won))


def _adjusted(state: State, event: ForecastAdjusted, _: Recorded) -> ResearchState:
    return _reopened(state.research, event.decision_id, lambda known: _in_new_shares(known, event.ratio))


def _in_new_shares(known: OpenForecast, ratio: float) -> OpenForecast:
    """The mark moves; bars from after it are told in shares of now, and what they touched before is recorded."""
    return replace(known, window=adjusted(known.window, known.window.forecast.at_ns + 1, ratio))


def _reopened(research: ResearchState, decision_id: str, change: Callable[[OpenForecast], OpenForecast]) -> ResearchState:
    known = research.open.get(decision_id)
    return research if known is None else replace(research, open={**research.open, decision_id: change(known)})


def _resolved(state: State, event: ForecastResolved, _: Recorded) -> ResearchState:
    research, key = state.research, event.decision_id
    known = research.open.get(key)
    if known is None:
        return research
    instrument_id = known.window.instrument_id
    left = tuple(one for one in research.index.get(instrument_id, ()) if one != key)
    index = {**research.index, instrument_id: left}
    if not left:
        del index[instrument_id]
    still = {name: one for name, one in research.open.items() if name != key}
    ends = research.next_end_ns
    if known.window.ends_ns <= ends:
        ends = min((one.window.ends_ns for one in still.values()), default=FAR_NS)
    research = replace(research, open=still, index=index, next_end_ns=ends)
    sealed = research.decisions.get(key)
    if sealed is None:
        return research
    return _changed(research, key, outcome=event.outcome, status=DecisionStatus.RESOLVED)


# ---- learning ------------------------------------------------------------------------------------------------------------


def _learned(state: State, event: CalibrationLearned, _: Recorded) -> ResearchState:
    return replace(state.research, learned=event.learned, maps=event.maps)


def _change_settled(state: State, event: ResearchChangeSettled, recorded: Recorded) -> ResearchState:
    research = state.research
    status = "applied" if event.applied else "rejected"

    def settled(change: ChangeProposed) -> ChangeProposed:
        return replace(change, status=status) if change.change_id == event.change_id else change

    learned = replace(research.learned, changes=tuple(map(settled, research.learned.changes)))
    if not event.applied:
        return replace(research, learned=learned)
    return replace(research, learned=learned, parameters={**research.parameters, event.parameter: event.value},
                   applied_ns={**research.applied_ns, event.parameter: recorded.at_ns})


def _alarm_set(state: State, event: ResearchAlarmSet, recorded: Recorded) -> ResearchState:
    return _of(state, event.portfolio, alarm=event.text, alarm_at_ns=recorded.at_ns)


def _alarm_released(state: State, event: ResearchAlarmReleased, _: Recorded) -> ResearchState:
    known = state.research.of(event.portfolio)
    return _of(state, event.portfolio, alarm="", released=known.alarm)


# ---- what follows from the rest of the engine -----------------------------------------------------------------------------


def _proposed(state: State, event: ProposalRaised, _: Recorded) -> ResearchState:
    return _changed(state.research, event.proposal.decision_id, status=DecisionStatus.PROPOSED, reason="",
                    proposal_id=event.proposal.proposal_id)


def _settled(state: State, event: ProposalSettled, _: Recorded) -> ResearchState:
    """One that was replaced (by its half) is settled as well, but no longer the decision's."""
    proposal = state.proposals.get(event.proposal_id)
    known = state.research.decisions.get(proposal.decision_id) if proposal and proposal.decision_id else None
    if known is None or known.proposal_id != event.proposal_id:
        return state.research
    return _changed(state.research, known.decided.decision_id, status=SETTLED.get(event.status, known.status),
                    reason=event.reason)


def _refused(state: State, event: WantRefused, _: Recorded) -> ResearchState:
    return _changed(state.research, event.command_id, status=DecisionStatus.REFUSED, reason=event.message)


def _intended(state: State, event: OrderIntended, _: Recorded) -> ResearchState:
    """An entry of research belongs to the decision that asked for it, or whose approval this is."""
    intent, research = event.intent, state.research
    if intent.strategy != ORIGIN or intent.purpose is not Purpose.ENTRY:
        return research
    waiting = [sealed for sealed in research.decisions.values()
               if not sealed.order_id and sealed.decided.instrument_id == intent.instrument_id
               and sealed.decided.portfolio == intent.portfolio
               and (sealed.decided.decision_id == event.command_id or sealed.status is DecisionStatus.APPROVED)]
    if not waiting:
        return research
    decided = waiting[-1].decided
    research = _changed(research, decided.decision_id, status=DecisionStatus.APPROVED, reason="", order_id=intent.client_order_id)
    known = _today(state, intent.portfolio)
    risked = known.risked_bps + (decided.worth.risk_bps if decided.worth else 0.0)
    return replace(research, orders={**research.orders, intent.client_order_id: decided.decision_id},
                   portfolios={**research.portfolios, intent.portfolio: replace(known, risked_bps=risked)})


def _filled(state: State, event: OrderFilled, _: Recorded) -> ResearchState:
    key = state.research.orders.get(event.fill.client_order_id, "")
    known = state.research.decisions.get(key)
    if known is None or known.filled:
        return state.research
    status = known.status if known.outcome is not None else DecisionStatus.FILLED
    return _changed(state.research, key, status=status, filled=True)


def _split(state: State, event: PositionSplit, _: Recorded) -> ResearchState:
    """Each holder tells it; the days tell the others, and may have been first."""
    research, ratio = state.research, event.numerator / event.denominator
    for key in research.index.get(event.instrument_id, ()):
        window = research.open[key].window
        is_known = any(isclose(one.ratio, ratio) for one in window.adjustments)
        if window.forecast.portfolio == event.portfolio and not is_known:
            research = _reopened(research, key, lambda known: _in_new_shares(known, ratio))
    return research


FOLDS: dict[type[Event], Fold] = {
    ResearchBegun: _begun, ResearchFinished: _finished, DecisionSealed: _sealed, DecisionGated: _gated,
    ForecastTouched: _touched, ForecastAdjusted: _adjusted, ForecastResolved: _resolved, CalibrationLearned: _learned,
    ResearchChangeSettled: _change_settled, ResearchAlarmSet: _alarm_set, ResearchAlarmReleased: _alarm_released,
}
_FOLLOWED: dict[type[Event], Fold] = {
    ProposalRaised: _proposed, ProposalSettled: _settled, WantRefused: _refused, OrderIntended: _intended, OrderFilled: _filled,
    PositionSplit: _split,
}


def _as_handler(fold: Fold) -> Callable[[State, Any, Recorded], Changes]:
    return lambda state, event, recorded: {"research": fold(state, event, recorded)}


HANDLERS: dict[type[Event], Callable[[State, Any, Recorded], Changes]] = {
    kind: _as_handler(fold) for kind, fold in FOLDS.items()}


def followed(state: State, recorded: Recorded) -> Changes:
    """What an event of orders and proposals says of the decisions and forecasts behind them."""
    fold = _FOLLOWED.get(type(recorded.event))
    if fold is None or not (state.research.decisions or state.research.index):
        return {}
    after = fold(state, recorded.event, recorded)
    return {} if after is state.research else {"research": after}
