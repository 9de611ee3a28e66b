"""Candidates as a person sees them."""

from decimal import Decimal

from engine.budgets import staged_fraction
from engine.candidates import NEW, Candidate, Evidence, EvidenceKind, digest_of, stage_in_force
from engine.lifecycle import gates, standing
from engine.lifecycle_words import CandidateView, EvidenceView, GateView, StageChangeView
from engine.market import MarketView
from engine.state import State
from engine.strategy_state import StrategySettings


def candidate_views(state: State, market: MarketView) -> tuple[CandidateView, ...]:
    """Every strategy of the configuration, in its order."""
    return tuple(_view(state, market, settings, state.candidates.get(settings.name, NEW))
                 for settings in state.settings.strategies if settings.portfolio in state.portfolios)


def _view(state: State, market: MarketView, settings: StrategySettings, candidate: Candidate) -> CandidateView:
    stage = stage_in_force(candidate, settings)
    digest = candidate.digest if settings.problem and candidate.digest else digest_of(settings)
    portfolio = state.portfolios[settings.portfolio].settings
    now = standing(state, market, settings, candidate)
    return CandidateView(
        name=settings.name, rule=settings.rule, portfolio=settings.portfolio, live=portfolio.live, stage=stage.value,
        next_stage=stage.following.value if stage.following else "", since_ns=candidate.since_ns, digest=digest,
        uses_model=settings.uses_model, may_enter=not settings.problem and (stage.is_live or not portfolio.live),
        capital_percent=100 * staged_fraction(state, settings), days=now.days, round_trips=now.round_trips,
        net=Decimal(now.net_minor).scaleb(-portfolio.minor_exponent), money_decimals=portfolio.minor_exponent,
        currency=portfolio.currency, drawdown_percent=100 * now.drawdown_fraction, losing_streak=now.losing_streak,
        gates=tuple(GateView(*gate) for gate in gates(state, market, settings)),
        evidence=tuple(EvidenceView(one.kind.value, one.source, evidence_words(one), one.at_ns, one.by, one.digest == digest)
                       for one in candidate.evidence.values()),
        history=tuple(StageChangeView(one.stage.value, one.at_ns, one.by, one.reason) for one in reversed(candidate.history)))


def evidence_words(evidence: Evidence) -> str:
    """What was found, in words."""
    if evidence.kind is EvidenceKind.PARITY:
        return "backtest and engine made the same fills" if evidence.same else "backtest and engine differ"
    if evidence.kind is EvidenceKind.CALIBRATION:
        return f"{evidence.forecasts} settled forecasts, Brier score {evidence.brier:.3f}"
    return (f"{evidence.days:.1f} days, {evidence.round_trips} round trips, drawdown {evidence.drawdown_fraction:.1%}, "
            f"return {evidence.return_fraction:+.1%}")
