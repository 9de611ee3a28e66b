"""Exits that follow the market's hours: flat before the close, and nothing that time alone asks for while nobody trades.

The hours are looked up in the loop's picture of the market; what was decided by them is in the event that they led to.
"""

from engine.instruments import ALWAYS_OPEN
from engine.kernel.exits import ExitState, hold_is_over
from engine.positions import EXTERNAL, Position, exit_state
from engine.protection import want_exit
from engine.service import AlertLevel
from engine.trading_hours import NS_PER_MINUTE, SessionBounds, moment_text
from engine.turn import Turn


def rules_in_force(turn: Turn, position: Position) -> ExitState:
    """The exit rules of a position now: in a closed market the longest hold waits for the open, the levels stay."""
    rules = exit_state(position, turn.state.instruments[position.instrument_id])
    if rules.max_hold_ns and not _session(turn, position).holds(turn.at_ns):
        return rules._replace(max_hold_ns=0)
    return rules


def look_at_time_exits(turn: Turn, position: Position, *, on_tape: bool = False) -> None:
    """Leave what was held for its maximum time, or what must not be held over the close.

    On a tape of bars the maximum time waits for the instrument's own next price, which judges it too: at another one's time the
    newest price is the open of a bar that is long under way, and an exit would be filled at it.
    """
    over = hold_is_over(position.opened_at_ns, position.plan.max_hold_ns, turn.at_ns)
    session = _session(turn, position)
    if not session.holds(turn.at_ns):
        if over and not position.exit_reason:
            _tell_that_it_waits(turn, position, session)
        return
    if over and not (on_tape and turn.market.bars(position.instrument_id, 1)):
        want_exit(turn, position, "held for its maximum time")
        return
    reason = _flat_reason(turn, position, session)
    if reason:
        want_exit(turn, position, reason)


def _flat_reason(turn: Turn, position: Position, session: SessionBounds) -> str:
    """Why a position must not be held on: its session is about to close, or it was held over a close, because no engine ran."""
    minutes = turn.state.portfolios[position.portfolio].settings.limits.flat_before_close_minutes
    foreign = position.strategy == EXTERNAL and not position.plan.protects
    if not minutes or foreign or turn.state.instruments[position.instrument_id].session == ALWAYS_OPEN:
        return ""
    if position.opened_at_ns < session.open_ns:
        return f"was held over a close, before the session that opened {moment_text(session.open_ns)}"
    if turn.at_ns >= session.close_ns - minutes * NS_PER_MINUTE:
        return f"flat {minutes} min before the close at {moment_text(session.close_ns)}"
    return ""


def _tell_that_it_waits(turn: Turn, position: Position, session: SessionBounds) -> None:
    """Once for each closed time: the exit is due and nobody trades."""
    text = f"held for its maximum time; the market is closed, the exit waits for the open at {moment_text(session.open_ns)}"
    known = turn.state.alerts.get(f"exit-waits:{position.key}")
    if known is None or known.text != text:
        turn.alert(AlertLevel.INFO, "exit-waits", position.key, text)


def _session(turn: Turn, position: Position) -> SessionBounds:
    return turn.market.session_bounds(turn.state.instruments[position.instrument_id].session, turn.at_ns)
