"""Which acts ask for a code: those that open or loosen something. What makes things smaller or safer never does."""

from engine.inputs import (
    AcknowledgeAlert,
    ApplyResearchChange,
    Approve,
    ArmAccount,
    CancelOrder,
    ClosePosition,
    Command,
    Decline,
    DemoteCandidate,
    DisarmAccount,
    EnableStrategy,
    Flatten,
    Halve,
    PlaceOrder,
    PromoteCandidate,
    ReadAlertRule,
    Rebalance,
    Reconcile,
    RejectResearchChange,
    ReleaseResearchAlarm,
    SetLimit,
    SetProtection,
    SettleOrder,
    SetTradingState,
    StopResearch,
    TradingState,
)
from engine.service import Snapshot

ALWAYS = (Approve, ApplyResearchChange, ArmAccount, PromoteCandidate, ReleaseResearchAlarm, SetLimit, SettleOrder)
NEVER = (AcknowledgeAlert, CancelOrder, ClosePosition, Decline, DemoteCandidate, DisarmAccount, Flatten, Halve, ReadAlertRule,
         Reconcile, RejectResearchChange, StopResearch)
IN_A_PORTFOLIO = (PlaceOrder, Rebalance, SetProtection)


def asks_for_code(command: Command, snapshot: Snapshot) -> bool:
    """Whether a command is one for which a code is asked: approvals, resuming and limits on any money, everything else that does
    not only reduce where real money is at stake."""
    if isinstance(command, ALWAYS):
        return True
    if isinstance(command, NEVER):
        return False
    if isinstance(command, SetTradingState):
        return command.state is TradingState.ACTIVE
    if isinstance(command, EnableStrategy) and not command.enabled:
        return False
    if isinstance(command, IN_A_PORTFOLIO):
        return any(account.live for account in snapshot.accounts if account.portfolio == command.portfolio)
    return real_money(snapshot)


def real_money(snapshot: Snapshot) -> bool:
    """Whether any portfolio holds real money."""
    return any(account.live for account in snapshot.accounts)
