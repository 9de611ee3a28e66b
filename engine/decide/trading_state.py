"""A person moves the latch: halts, reduces, resumes. Resuming lets the brakes go too."""

from engine.decide import brakes
from engine.decide.withdrawals import withdraw_entries
from engine.events import TradingStateChanged
from engine.inputs import SetTradingState, TradingState
from engine.service import AlertLevel, Refusal
from engine.turn import Turn


def set_trading_state(turn: Turn, command: SetTradingState) -> None:
    """Move the latch; anything but ACTIVE withdraws working entries and leaves protection where it is."""
    what = f"{command.state} {command.portfolio or 'everything'}"
    if command.portfolio and command.portfolio not in turn.state.portfolios:
        turn.refuse(command.command_id, what, Refusal("portfolio", ", ".join(turn.state.portfolios), command.portfolio,
                                                      f"there is no portfolio called {command.portfolio!r}"))
        return
    flatten = turn.state.flatten
    if command.state is TradingState.ACTIVE and flatten is not None and not flatten.finished:
        turn.refuse(command.command_id, what, Refusal("flatten", "finished", "at work",
                                                      "a flatten is at work; resume once it has finished"))
        return
    cause = command.cause or f"{command.state.lower()} by {command.by}"
    turn.emit(TradingStateChanged(command.portfolio, command.state, cause, command.by, command.command_id))
    if command.state is TradingState.ACTIVE and not command.portfolio:
        for name, portfolio in turn.state.portfolios.items():
            if portfolio.trading_state is not TradingState.ACTIVE:
                turn.emit(TradingStateChanged(name, TradingState.ACTIVE, cause, command.by))
    if command.state is TradingState.ACTIVE:
        brakes.release(turn, command.portfolio, command.by, cause)
    withdrawn = withdraw_entries(turn, command.portfolio, cause) if command.state is not TradingState.ACTIVE else 0
    if command.state is TradingState.HALTED:
        turn.alert(AlertLevel.CRIT, "halted", command.portfolio or "everything", cause)
    entries = f"; {withdrawn} working entries cancelled" if withdrawn else ""
    turn.accept(command.command_id, f"{_outcome(turn, command)}{entries}")


def _outcome(turn: Turn, command: SetTradingState) -> str:
    """What holds now: a portfolio's own latch says little while everything is latched harder."""
    if command.portfolio and turn.state.effective_state(command.portfolio) is not command.state:
        return f"{command.portfolio}'s own latch is {command.state}; everything is {turn.state.trading_state} all the same"
    return f"{command.portfolio or 'everything'} is {command.state}"
