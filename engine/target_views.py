"""A portfolio's targets as a person sees them: what stands where, what a rebalancing would do now, and what the last one did."""

from decimal import Decimal
from typing import Any

from engine.construction import Line, Plan, plan_of
from engine.market import MarketView
from engine.service import Refusal, TargetLineView, TargetsView
from engine.state import PortfolioState, State
from engine.targets import TargetSettings
from engine.units import NS_PER_SECOND, Nanoseconds


def target_views(state: State, market: MarketView, at_ns: Nanoseconds) -> tuple[TargetsView, ...]:
    """Every portfolio that has targets, worked out at most once a second while nothing is recorded."""
    aimed = [(name, known, targets) for name, known in state.portfolios.items()
             if (targets := known.settings.targets) is not None]
    if not aimed:
        return ()
    return market.remembered("targets", (state.engine_id, state.seq, at_ns // NS_PER_SECOND), lambda: tuple(
        _view(name, known, targets, plan_of(state, market, at_ns, name)) for name, known, targets in aimed))


def _view(portfolio: str, known: PortfolioState, targets: TargetSettings, plan: Plan | Refusal) -> TargetsView:
    exponent = known.settings.minor_exponent
    fixed: dict[str, Any] = {
        "portfolio": portfolio, "currency": known.settings.currency, "money_decimals": exponent, "method": targets.method.value,
        "cash_target_percent": _percent(1.0 - targets.invested_fraction),
        "drift_band_percent": _percent(targets.drift_band_fraction),
        "relative_band_percent": _percent(targets.relative_band_fraction), "stop_percent": _percent(targets.stop_fraction),
        **_run(known)}
    if isinstance(plan, Refusal):
        return TargetsView(returns=0, base=Decimal(0), cash_percent=0.0, turnover_percent=0.0, due=False, capped=False, lines=(),
                           refusal=plan.message, **fixed)
    return TargetsView(
        returns=plan.returns, base=Decimal(plan.base_minor).scaleb(-exponent), cash_percent=_percent(plan.cash_fraction),
        turnover_percent=_percent(plan.turnover_minor / plan.base_minor), due=plan.is_due, capped=plan.capped,
        lines=tuple(_line(line) for line in plan.lines), **fixed)


def _line(line: Line) -> TargetLineView:
    instrument = line.instrument
    return TargetLineView(
        symbol=instrument.symbol, instrument_id=instrument.instrument_id, target_percent=_percent(line.target_fraction),
        actual_percent=_percent(line.actual_fraction), drift_percent=_percent(line.drift_fraction), drifted=line.drifted,
        quantity=instrument.quantity(line.held_lots), change=instrument.quantity(line.change_lots),
        price=instrument.price(line.price_ticks) if line.price_ticks else None,
        notional=instrument.money(line.change_minor), note=line.note)


def _run(known: PortfolioState) -> dict[str, object]:
    run = known.rebalance
    if run is None:
        return {}
    waiting = f"waits: {run.waits}" if run.waits else "at work"
    return {"run_id": run.run_id, "run_by": run.by, "run_started_at_ns": run.started_at_ns, "run_at_work": run.at_work,
            "run_text": waiting if run.at_work else run.outcome}


def _percent(fraction: float) -> float:
    return round(100 * fraction, 4)
