"""Runs toward a portfolio's targets folded into the state."""

from collections.abc import Callable
from typing import Any

import msgspec

from engine.events import Event, Recorded
from engine.state import Changes, State
from engine.target_events import RebalanceEnded, RebalanceStarted
from engine.targets import RebalanceRun

replace = msgspec.structs.replace


def _started(state: State, event: RebalanceStarted, recorded: Recorded) -> Changes:
    return _put(state, event.portfolio, RebalanceRun(event.command_id, event.by, event.asks, event.lines, recorded.at_ns,
                                                     waits=event.waits))


def _ended(state: State, event: RebalanceEnded, recorded: Recorded) -> Changes:
    known = state.portfolios.get(event.portfolio)
    run = known.rebalance if known else None
    return _put(state, event.portfolio, replace(run, ended_at_ns=recorded.at_ns, outcome=event.outcome)) if run else {}


def _put(state: State, portfolio: str, run: RebalanceRun) -> Changes:
    known = state.portfolios.get(portfolio)
    return {"portfolios": {**state.portfolios, portfolio: replace(known, rebalance=run)}} if known else {}


HANDLERS: dict[type[Event], Callable[[State, Any, Recorded], Changes]] = {RebalanceStarted: _started, RebalanceEnded: _ended}
