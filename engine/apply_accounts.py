"""The venue's word on an account folded into the state."""

from collections.abc import Callable
from typing import Any

import msgspec

from engine.account_events import AccountTold, CloseRefused
from engine.event_base import Event
from engine.events import Recorded
from engine.state import Changes, State


def _told(state: State, event: AccountTold, _: Recorded) -> Changes:
    return _changed(state, event.account, owner=event.owner, barred=event.barred)


def _close_refused(state: State, event: CloseRefused, recorded: Recorded) -> Changes:
    return _changed(state, event.account, close_refused_at_ns=recorded.at_ns, close_refused_why=event.cause)


def _changed(state: State, account: str, **fields: Any) -> Changes:
    known = state.accounts.get(account)
    return {"accounts": {**state.accounts, account: msgspec.structs.replace(known, **fields)}} if known else {}


HANDLERS: dict[type[Event], Callable[[State, Any, Recorded], Changes]] = {AccountTold: _told, CloseRefused: _close_refused}
