"""`decide(state, stamped)`: what an input means. Pure: the events that now hold and the effects that must follow.

The quiet path comes first: a price inside every position's quiet band costs a dictionary lookup and three comparisons.
"""

from collections.abc import Callable
from typing import Any

from engine.decide import (
    access,
    alerts,
    arming,
    beat,
    commands,
    entries,
    flatten,
    forecasts,
    golive,
    lifecycle,
    limit_changes,
    prices,
    proposals,
    rebalance,
    research,
    schedule,
    sessions,
    strategies,
    trading_state,
    venue,
)
from engine.effects import Answer
from engine.inputs import (
    AcceptDrift,
    AcknowledgeAlert,
    ApplyResearchChange,
    Approve,
    ArmAccount,
    Bar,
    CancelAllAnswered,
    CancelAnswered,
    CancelOrder,
    ClosePosition,
    ConnectionChanged,
    DaysRecalled,
    Decline,
    DemoteCandidate,
    DisarmAccount,
    EnableAlertRule,
    EnableStrategy,
    EngineStarted,
    EngineStopping,
    FeedChanged,
    FillReported,
    FirstPricesSeen,
    Flatten,
    Halve,
    InstrumentsListed,
    JobEnded,
    LearningEnded,
    MarketTrade,
    MomentSeen,
    OrderMissing,
    OrderReport,
    PauseJob,
    PlaceOrder,
    PromoteCandidate,
    Quote,
    ReadAlertRule,
    Rebalance,
    Reconcile,
    RecordEvidence,
    RecordRehearsal,
    RejectResearchChange,
    ReleaseResearchAlarm,
    RemoveAlertRule,
    ReportFailed,
    ResearchDecided,
    ResearchEnded,
    RunJob,
    RunResearch,
    SetAlertRule,
    SetLimit,
    SetProtection,
    SettleOrder,
    SetTradingState,
    StopResearch,
    StrategyActed,
    SubmitAnswered,
    TapeEnded,
    TimeAdvanced,
    TryCode,
    VenueReported,
)
from engine.protection import guard_touched
from engine.service import Receipt, Refusal
from engine.state import State
from engine.turn import Decision, Stamped, Turn
from engine.want import unusable_number


def _bar_closed(turn: Turn, bar: Bar) -> None:
    """Exits first, then what else somebody wanted to know."""
    prices.bar_closed(turn, bar)
    alerts.bar_closed(turn, bar)
    forecasts.bar_closed(turn, bar)


_HANDLERS: dict[type, Callable[[Turn, Any], None]] = {
    EngineStarted: sessions.started, EngineStopping: sessions.stopping, TapeEnded: sessions.tape_ended,
    ConnectionChanged: sessions.connection_changed, JobEnded: schedule.ended,
    InstrumentsListed: sessions.instruments_listed, FeedChanged: sessions.feed_changed,
    SubmitAnswered: venue.submit_answered, CancelAnswered: venue.cancel_answered,
    CancelAllAnswered: flatten.cancel_all_answered, OrderReport: venue.order_report, OrderMissing: venue.order_missing,
    FillReported: venue.fill_reported, VenueReported: venue.venue_reported, ReportFailed: venue.report_failed,
    TimeAdvanced: beat.time_advanced, MomentSeen: beat.moment_seen, FirstPricesSeen: beat.first_prices_seen,
    Bar: _bar_closed, StrategyActed: strategies.acted,
    ResearchDecided: research.decided, ResearchEnded: research.ended, LearningEnded: research.learned,
    DaysRecalled: forecasts.recalled,
}

_COMMANDS: dict[type, Callable[[Turn, Any], None]] = {
    PlaceOrder: entries.place_order, CancelOrder: commands.cancel_order, ClosePosition: commands.close_position,
    SetProtection: commands.set_protection, Approve: proposals.approve, Decline: proposals.decline,
    SetTradingState: trading_state.set_trading_state,
    SetLimit: limit_changes.set_limit, Flatten: flatten.start, AcknowledgeAlert: commands.acknowledge_alert,
    SettleOrder: commands.settle_order, AcceptDrift: commands.accept_drift, Reconcile: commands.reconcile_now,
    ArmAccount: arming.arm, DisarmAccount: arming.disarm,
    SetAlertRule: alerts.set_rule, RemoveAlertRule: alerts.remove_rule, EnableAlertRule: alerts.enable_rule,
    RunJob: schedule.run_now, PauseJob: schedule.pause,
    ReadAlertRule: alerts.read_rule, Rebalance: rebalance.start, EnableStrategy: strategies.enable,
    RecordRehearsal: golive.record,
    RecordEvidence: lifecycle.record, PromoteCandidate: lifecycle.promote, DemoteCandidate: lifecycle.demote,
    TryCode: access.try_code, Halve: proposals.halve,
    RunResearch: research.run, StopResearch: research.stop, ApplyResearchChange: research.apply_change,
    RejectResearchChange: research.reject_change, ReleaseResearchAlarm: research.release_alarm,
}


def decide(state: State, stamped: Stamped) -> Decision:
    """The decision on one input; the market view already holds the input where it is a price."""
    taken = stamped.input
    kind = type(taken)
    if kind is Quote:
        watches = state.watches.get(taken.instrument_id)  # type: ignore[union-attr]
        asks = watches is not None and prices.quote_asks(watches, taken, stamped.at_ns)  # type: ignore[arg-type]
        rule_ids = alerts.quote_asks(state, stamped.market, taken)  # type: ignore[arg-type]
        if not asks and not rule_ids:
            return Decision(state, (), ())
        turn = Turn(state, stamped.market, stamped.at_ns)
        if asks:
            prices.quote_seen(turn, taken)  # type: ignore[arg-type]
        alerts.look(turn, rule_ids)
        guard_touched(turn)
        return turn.decision()
    if kind is MarketTrade or (kind is Bar and taken.instrument_id not in state.watches  # type: ignore[union-attr]
                               and taken.instrument_id not in state.alert_index  # type: ignore[union-attr]
                               and taken.instrument_id not in state.research.index):  # type: ignore[union-attr]
        return Decision(state, (), ())
    turn = Turn(state, stamped.market, stamped.at_ns)
    if kind in _COMMANDS:
        _command(turn, taken, _COMMANDS[kind])
    else:
        _HANDLERS[kind](turn, taken)
    guard_touched(turn)
    return turn.decision()


def _command(turn: Turn, command: Any, handler: Callable[[Turn, Any], None]) -> None:
    """A command takes effect once, however often it arrives: its id is in the journal."""
    done_at = turn.state.commands.get(command.command_id)
    if done_at is not None and done_at < 0:
        turn.effects.append(Answer(Receipt(command.command_id, accepted=False, seq=turn.state.seq, refusal=Refusal(
            "repeated", "a new command", command.command_id, f"already refused, journal row {-done_at}"))))
        return
    if done_at is not None:
        turn.accept(command.command_id, f"already done, journal row {done_at}")
        return
    refusal = unusable_number(command)
    if refusal is not None:
        turn.refuse(command.command_id, type(command).__name__, refusal)
        return
    handler(turn, command)
