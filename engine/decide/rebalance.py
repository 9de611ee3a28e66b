"""A portfolio is brought back to its targets, as one recorded run: reductions at once, entries once these are done.

What is bought is found anew when its time has come, from what is held and wanted then, and never more than was decided at the
start; each order has an id of the run and its instrument. So a run that a crash has cut goes on, and nothing is done twice.
"""

from decimal import Decimal

from engine.construction import NO_PRICE, STALE, Line, Plan, Split, plan_for, plan_of, targets_of
from engine.decide import commands, proposals
from engine.decide.sending import describe, send_entry
from engine.effects import Answer
from engine.events import CommandDone
from engine.inputs import AutomationLevel, ClosePosition, Connectivity, PlaceOrder, Rebalance, SizeSpec, TradingState, TrailSpec
from engine.orders import Side
from engine.schedule_words import Job, JobOutcome
from engine.service import AlertLevel, ClampView, Refusal
from engine.target_events import RebalanceEnded, RebalanceStarted
from engine.targets import REBALANCE, RebalanceLine, RebalanceRun, TargetSettings
from engine.turn import Turn
from engine.units import NS_PER_SECOND
from engine.want import assess

PATIENCE_NS = 900 * NS_PER_SECOND
PERCENT = 100


def start(turn: Turn, command: Rebalance) -> None:
    """Begin a run, unless everything is within its bands or something stands in the way."""
    begun = _begin(turn, command)
    if isinstance(begun, Refusal):
        turn.refuse(command.command_id, f"rebalance {command.portfolio}", begun)
        return
    if command.command_id not in turn.state.commands:
        turn.emit(CommandDone(command.command_id, begun))
    turn.accept(command.command_id, f"{command.portfolio}: {begun}")


def as_job(turn: Turn, job: Job) -> tuple[JobOutcome, str]:
    """The schedule's run. Where a price or the venue is missing, as just after a start, it waits for that a while."""
    begun = _begin(turn, Rebalance(f"rebalance-{turn.next_id()}", job.portfolio, scheduled=True, by="schedule"))
    if not isinstance(begun, Refusal):
        return JobOutcome.DONE, begun
    return JobOutcome.DONE if begun.check == "automation" else JobOutcome.FAILED, begun.message


def _begin(turn: Turn, command: Rebalance) -> Refusal | str:
    """Begin a run: what came of it, in words, or why nothing may."""
    targets = targets_of(turn.state, command.portfolio)
    obstacle = targets if isinstance(targets, Refusal) else _obstacle(turn, command.portfolio)
    if obstacle is not None:
        return obstacle
    plan = _planned(turn, command.portfolio, waits=command.scheduled)
    automation = turn.state.portfolios[command.portfolio].settings.automation
    asks = command.scheduled and automation is not AutomationLevel.AUTO_EXECUTE
    if isinstance(plan, Refusal):
        if not command.scheduled:
            return plan
        turn.emit(RebalanceStarted(command.portfolio, command.by, asks, (), command.command_id, plan.message))
        return f"waits: {plan.message}"
    if not plan.is_due:
        return f"nothing to do{_held_back(plan)}"
    return _carry_out(turn, plan, command.command_id, command.by, asks=asks)


def _carry_out(turn: Turn, plan: Plan, run_id: str, by: str, *, asks: bool) -> str:
    """Record what was decided, reduce what is too much, and buy at once where nothing has to be waited for."""
    lines = tuple(RebalanceLine(line.instrument.instrument_id, line.target_fraction, line.actual_fraction, line.change_lots)
                  for line in plan.lines if line.change_lots)
    turn.emit(RebalanceStarted(plan.portfolio, by, asks, lines, run_id))
    sold = [line.instrument.symbol for line in plan.lines if line.change_lots < 0 and _reduce(turn, plan.portfolio, run_id, line)]
    if asks and sold:
        turn.alert(AlertLevel.INFO, REBALANCE, plan.portfolio, f"reduces {', '.join(sold)} to the targets")
    _go_on(turn, plan.portfolio)
    run = turn.state.portfolios[plan.portfolio].rebalance
    assert run is not None
    return run.outcome or f"reducing {', '.join(sold)}; what is short is bought after that"


def _obstacle(turn: Turn, portfolio: str) -> Refusal | None:
    """Why nothing can begin now."""
    known = turn.state.portfolios[portfolio]
    trading_state = turn.state.effective_state(portfolio)
    if known.rebalance is not None and known.rebalance.at_work:
        return Refusal("rebalance", "none at work", known.rebalance.run_id, f"{portfolio} is being rebalanced already")
    if known.settings.automation is AutomationLevel.MONITOR_ONLY:
        return Refusal("automation", "suggest_only or higher", known.settings.automation,
                       f"{portfolio} only monitors; change its automation level to trade")
    if trading_state is TradingState.HALTED or turn.state.flattening(portfolio):
        return Refusal("trading state", "ACTIVE or REDUCING", trading_state, f"{portfolio} is {trading_state}; resume first")
    return None


def _planned(turn: Turn, portfolio: str, *, waits: bool) -> Plan | Refusal:
    """What would be done now; nothing before the venue is there, and where somebody waits not before every price is either."""
    plan = _offline(turn, portfolio) or plan_of(turn.state, turn.market, turn.at_ns, portfolio)
    if isinstance(plan, Refusal) or not waits:
        return plan
    unpriced = ", ".join(line.instrument.symbol for line in plan.lines if line.note in (NO_PRICE, STALE))
    return Refusal("quote", "a fresh price of each", unpriced, f"{unpriced} has no fresh price") if unpriced else plan


def _offline(turn: Turn, portfolio: str) -> Refusal | None:
    account = turn.state.account_of(portfolio)
    if account.connectivity is not Connectivity.LIVE or not account.funded:
        return Refusal("connection", "live", account.connectivity,
                       f"{account.account} is {account.connectivity} ({account.connectivity_detail}); wait until it is live")
    return None


def _held_back(plan: Plan) -> str:
    notes = [f"{line.instrument.symbol} {line.note}" for line in plan.lines if line.note]
    return f" ({'; '.join(notes)})" if notes else ", everything is within its bands"


def _reduce(turn: Turn, portfolio: str, run_id: str, line: Line) -> bool:
    """Close the part of a position that is too much; whether that was taken up."""
    before = len(turn.effects)
    instrument = line.instrument
    commands.close_position(turn, ClosePosition(
        _order_id(run_id, instrument.instrument_id), instrument.instrument_id, portfolio,
        instrument.quantity(-line.change_lots), REBALANCE))
    answers = [effect.receipt for effect in turn.effects[before:] if isinstance(effect, Answer)]
    turn.effects[before:] = [effect for effect in turn.effects[before:] if not isinstance(effect, Answer)]
    return all(receipt.accepted for receipt in answers)


def _order_id(run_id: str, instrument_id: str) -> str:
    return f"{run_id}:{instrument_id}"


# ---- the second half -------------------------------------------------------------------------------------------------------


def beat(turn: Turn) -> None:
    """Go on with every run that is at work."""
    for name, portfolio in turn.state.portfolios.items():
        if portfolio.rebalance is not None and portfolio.rebalance.at_work:
            _go_on(turn, name)


def _go_on(turn: Turn, portfolio: str) -> None:
    """Buy once everything that had to be reduced is, or end where that cannot be."""
    run, settings = turn.state.portfolios[portfolio].rebalance, turn.state.portfolios[portfolio].settings
    assert run is not None
    if settings.targets is None:
        _end(turn, portfolio, "the targets are gone from the configuration")
        return
    if turn.state.effective_state(portfolio) is TradingState.HALTED or turn.state.flattening(portfolio):
        _end(turn, portfolio, "trading was halted: nothing more was bought")
        return
    if run.waits:
        _try_again(turn, portfolio, run)
        return
    cause = _waits(turn, portfolio, run)
    if not cause:
        _buy(turn, portfolio, run, settings.targets)
    elif turn.at_ns - run.started_at_ns >= PATIENCE_NS:
        _end(turn, portfolio, f"given up after {PATIENCE_NS // NS_PER_SECOND // 60} min: {cause}")


def _try_again(turn: Turn, portfolio: str, run: RebalanceRun) -> None:
    """Begin what could not begin for want of prices or the venue."""
    late = turn.at_ns - run.started_at_ns >= PATIENCE_NS
    plan = _planned(turn, portfolio, waits=not late)
    if not isinstance(plan, Refusal):
        if plan.is_due:
            _carry_out(turn, plan, run.run_id, run.by, asks=run.asks)
        else:
            _end(turn, portfolio, f"nothing to do{_held_back(plan)}")
    elif late:
        _end(turn, portfolio, "nothing was done", plan.message)


def _waits(turn: Turn, portfolio: str, run: RebalanceRun) -> str:
    """What must be over before anything is bought; empty where nothing is left to wait for."""
    positions = [turn.state.position(portfolio, line.instrument_id) for line in run.lines if line.change_lots < 0]
    leaving = [turn.state.instruments[one.instrument_id].symbol for one in positions if one is not None and one.exit_reason]
    if leaving:
        return f"{', '.join(leaving)} not reduced yet"
    account = turn.state.account_of(portfolio)
    if any(line.change_lots > 0 for line in run.lines) and account.connectivity is not Connectivity.LIVE:
        return f"{account.account} is {account.connectivity}"
    return ""


def _buy(turn: Turn, portfolio: str, run: RebalanceRun, targets: TargetSettings) -> None:
    """Everything that is short, in one decision, which also ends the run."""
    decided = {line.instrument_id: line.change_lots for line in run.lines if line.change_lots > 0}
    weights = {line.instrument_id: line.target_fraction for line in run.lines if line.instrument_id in decided}
    plan = plan_for(turn.state, turn.market, turn.at_ns, portfolio, Split(weights, 0))
    if isinstance(plan, Refusal):
        _end(turn, portfolio, plan.message)
        return
    done: list[str] = []
    cut: list[str] = []
    failed: list[str] = []
    for line in plan.lines:
        lots = min(line.change_lots, decided[line.instrument.instrument_id])
        if lots <= 0:
            failed += [f"{line.instrument.symbol} {line.note}"] if line.note else []
            continue
        outcome = _enter(turn, _want(portfolio, run, targets, line._replace(change_lots=lots)), asks=run.asks)
        if isinstance(outcome, Refusal):
            failed.append(f"{line.instrument.symbol}: {outcome.message}")
            continue
        done.append(line.instrument.symbol)
        cut += [f"{line.instrument.symbol} to {clamp.after} by {clamp.limit} ({clamp.allowed})" for clamp in outcome[-1:]]
    reduced = [turn.state.instruments[line.instrument_id].symbol for line in run.lines if line.change_lots < 0]
    told = [f"reduced {', '.join(reduced)}"] if reduced else []
    told += [f"{'asked for' if run.asks else 'bought'} {', '.join(done)}"] if done else []
    told += [f"cut: {', '.join(cut)}"] if cut else []
    _end(turn, portfolio, "; ".join(told) or "nothing was bought", "; ".join(failed))


def _want(portfolio: str, run: RebalanceRun, targets: TargetSettings, line: Line) -> PlaceOrder:
    """An entry with the stop that the targets give it, cut to what every limit allows."""
    instrument = line.instrument
    away = Decimal(repr(targets.stop_fraction))
    fixed = instrument.price(line.price_ticks) * (1 - away) if away and not targets.stop_trails else None
    trail = TrailSpec(percent=away * PERCENT) if away and targets.stop_trails else None
    return PlaceOrder(
        _order_id(run.run_id, instrument.instrument_id), instrument.symbol, Side.BUY, portfolio, stop=fixed, trail=trail,
        size=SizeSpec(up_to=instrument.quantity(line.change_lots)), origin=REBALANCE, by=run.by,
        rationale=f"{line.actual_fraction:.1%} of the portfolio, its target is {line.target_fraction:.1%}")


def _enter(turn: Turn, want: PlaceOrder, *, asks: bool) -> Refusal | tuple[ClampView, ...]:
    """Send or propose an entry: what limits took off it, or why it failed. Nobody waits for its receipt."""
    before = len(turn.effects)
    found = assess(turn.state, turn.market, turn.at_ns, want)
    if isinstance(found, Refusal):
        turn.refuse(want.command_id, describe(want), found)
    elif asks:
        proposals.propose(turn, want, found)
    else:
        send_entry(turn, want, found, want.command_id)
    answers = [effect.receipt for effect in turn.effects[before:] if isinstance(effect, Answer)]
    turn.effects[before:] = [effect for effect in turn.effects[before:] if not isinstance(effect, Answer)]
    if isinstance(found, Refusal):
        return found
    return next((receipt.refusal for receipt in answers if receipt.refusal is not None), None) or found.card.clamps


def _end(turn: Turn, portfolio: str, outcome: str, failed: str = "") -> None:
    """Record the end of a run, and tell a person what it could not do."""
    turn.emit(RebalanceEnded(portfolio, f"{outcome}; not done: {failed}" if failed else outcome))
    if failed:
        turn.alert(AlertLevel.WARN, REBALANCE, portfolio, f"not done: {failed}")
