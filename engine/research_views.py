"""Research as a person sees it: pure functions from state, market and what the desk shows of a run under way."""

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from engine.events import Proposal
from engine.market import MarketView
from engine.research.recalibration import CellMap, map_for
from engine.research_approval import acting, blocked
from engine.research_state import ResearchRun, SealedDecision, cell_of
from engine.research_words import DecisionView, ResearchView, RunView
from engine.service import ProposalStatus
from engine.state import State
from engine.trading_hours import moment_text
from engine.units import Nanoseconds


class Live(NamedTuple):
    """What the desk shows beside the state: who answers at which hosts, until when the models are left alone (0: they are not),
    the runs under way by portfolio, and what its purse has paid on which day."""

    badge: str = ""
    host: str = ""
    breaker_until_ns: Nanoseconds = 0
    runs: Mapping[str, RunView] = {}
    day: str = ""
    spent_micro_usd: int = 0


NOBODY = Live()
MICRO_USD = 1_000_000


def research_views(state: State, at_ns: Nanoseconds, live: Live = NOBODY) -> tuple[ResearchView, ...]:
    """Research of every portfolio; none where it is switched off."""
    if not state.settings.research.enabled:
        return ()
    return tuple(_view(state, at_ns, live, portfolio) for portfolio in state.portfolios)


def _view(state: State, at_ns: Nanoseconds, live: Live, portfolio: str) -> ResearchView:
    settings, known = state.settings.research, state.research.of(portfolio)
    chosen = state.portfolios[portfolio].settings
    level, fallback = acting(state, portfolio, at_ns)
    failing = next((one for one in known.conditions if not one.holds), None)
    acts_as = level.value
    if not fallback and failing is not None and known.acts_as and known.acts_as != level.value:
        acts_as, fallback = known.acts_as, f"{failing.name}: {failing.value}, asked {failing.asked}"
    spent = max(state.research.spent_micro_usd(state.day), live.spent_micro_usd if live.day == str(state.day) else 0)
    run = live.runs.get(portfolio)
    if run is None and known.run is not None:
        run = run_view(known.run)
    return ResearchView(
        portfolio=portfolio, badge=live.badge or settings.badge, host=live.host, automation=chosen.automation.value,
        acts_as=acts_as, fallback=fallback, aggressiveness=chosen.research.aggressiveness, spent_usd=_usd(spent),
        day_budget_usd=_usd(settings.budgets.day_micro_usd),
        breaker=moment_text(live.breaker_until_ns).removesuffix(" UTC") if live.breaker_until_ns > at_ns else "",
        open_forecasts=sum(one.window.forecast.portfolio == portfolio for one in state.research.open.values()), run=run,
        conditions=known.conditions)


def run_view(run: ResearchRun) -> RunView:
    """A run as the journal knows it, without the progress of its roles."""
    symbol = run.symbols[0] if len(run.symbols) == 1 else ""
    text = run.failure or run.text or run.note
    return RunView(run.run_id, run.cause.value, symbol, run.symbols, 0, run.begun_at_ns, run.ended_at_ns, (),
                   _usd(run.cost_micro_usd), text)


def decision_view(sealed: SealedDecision, maps: tuple[CellMap, ...], *, repeated: bool = False) -> DecisionView:
    """One decision as a line or a card, beside what its cell is worth by now; `repeated` is the record's to know."""
    one, outcome = sealed.decided, sealed.outcome
    worth, cell = one.worth, map_for(cell_of(one), maps)
    return DecisionView(
        decision_id=one.decision_id, run_id=one.run_id, portfolio=one.portfolio, thread_id=one.thread_id, symbol=one.symbol,
        instrument_id=one.instrument_id, at_ns=one.as_of_ns, analyst=one.analyst, stance=one.stance.value, status=sealed.status,
        horizon_days=one.horizon_days, p_cal=worth.p_cal if worth else None, cell_n=cell.up.n, skill_percent=cell.skill_percent,
        skill_low_percent=cell.skill_low_percent, skill_high_percent=cell.skill_high_percent,
        breakeven_p=worth.breakeven_p if worth else None, ev_low_bps=worth.ev_low_bps if worth else None,
        ev_bps=worth.ev_bps if worth else None, target_bps=one.target_bps, stop_bps=one.stop_bps, ref_mark=one.ref_mark,
        risk_bps=worth.risk_bps if worth else 0.0, thesis=one.thesis, against=one.against, dissent=one.dissent, flags=one.flags,
        clamps=worth.clamps if worth else (), reason=sealed.reason, proposal_id=sealed.proposal_id,
        up=outcome.up if outcome else None, won=outcome.won if outcome else None, void=outcome.void if outcome else "",
        return_bps=outcome.return_bps if outcome else None, cost_usd=_usd(one.cost_micro_usd), latency_ms=one.latency_ms,
        snapshot_id=one.snapshot_id, p_stated=worth.p_agg if worth else None,
        p_win=(worth.p_win_agg if worth.probation else worth.p_win) if worth else None,
        probation=worth.probation if worth else False, repeated=repeated)


def decision_of(state: State, proposal: Proposal) -> DecisionView | None:
    """The research behind a pending trade."""
    sealed = state.research.decisions.get(proposal.decision_id) if proposal.decision_id else None
    return decision_view(sealed, state.research.maps) if sealed is not None else None


def blocked_text(state: State, market: MarketView, at_ns: Nanoseconds, proposal: Proposal) -> str:
    """Why a pending trade cannot be approved as things are; unread marks are the reader's to know."""
    if not proposal.decision_id or proposal.status is not ProposalStatus.PENDING:
        return ""
    refusal = blocked(state, market, at_ns, proposal)
    return refusal.message if refusal is not None else ""


def _usd(micro_usd: int) -> Decimal:
    return Decimal(micro_usd) / MICRO_USD
