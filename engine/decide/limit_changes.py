"""A limit changed at run time: validated, journaled with who and from what to what, in force at once and after restarts."""

import difflib

from engine.events import LimitChanged
from engine.inputs import SetLimit
from engine.service import AlertLevel, Refusal
from engine.tolerance import FIELDS, limit_text, with_limit
from engine.turn import Turn

DEFAULT = "default"


def set_limit(turn: Turn, command: SetLimit) -> None:
    """Set one limit of a portfolio, or with `default` let the configuration's count again."""
    what = f"set {command.limit} of {command.portfolio} to {command.value}"
    known = turn.state.portfolios.get(command.portfolio)
    if known is None:
        turn.refuse(command.command_id, what, Refusal("portfolio", ", ".join(turn.state.portfolios), command.portfolio,
                                                      f"there is no portfolio called {command.portfolio!r}"))
        return
    if command.limit not in FIELDS:
        close = difflib.get_close_matches(command.limit, list(FIELDS), n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        turn.refuse(command.command_id, what, Refusal("limit", "a limit's name", command.limit,
                                                      f"there is no limit called {command.limit!r}{hint}"))
        return
    back = command.value.strip().lower() == DEFAULT
    try:
        after = getattr(known.configured_limits if back else with_limit(known.settings.limits, command.limit, command.value),
                        command.limit)
    except ValueError as error:
        turn.refuse(command.command_id, what, Refusal("limit", command.limit, command.value, str(error)))
        return
    before, told = limit_text(getattr(known.settings.limits, command.limit)), limit_text(after)
    turn.emit(LimitChanged(command.portfolio, command.limit, before, told, command.by, not back, command.command_id))
    change = f"{command.limit} {before} → {told}"
    turn.alert(AlertLevel.WARN, "limit-changed", f"{command.portfolio} {command.limit}", f"{change} by {command.by}")
    turn.accept(command.command_id, f"{command.portfolio}: {change}")
