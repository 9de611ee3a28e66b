"""The life of a run: the start, the connection to each venue, the end of a tape."""

from collections.abc import Sequence

from engine.decide import arming, forecasts, marks, research, schedule, strategies
from engine.decide.withdrawals import withdraw_entries
from engine.events import AccountOpened, ConnectivityChanged, InstrumentListed, SessionStarted
from engine.inputs import (
    ConnectionChanged,
    Connectivity,
    EngineStarted,
    EngineStopping,
    FeedChanged,
    InstrumentsListed,
    TapeEnded,
)
from engine.instruments import Instrument
from engine.notices import unacknowledged
from engine.orders import Purpose
from engine.service import AlertLevel
from engine.turn import Turn


def started(turn: Turn, start: EngineStarted) -> None:
    """Record the run's settings; what was in flight is unknown until each venue has reported."""
    before_ns = turn.state.at_ns
    restored = turn.state.engine_id not in ("", start.engine_id)  # a restore names the journal anew
    turn.emit(SessionStarted(start.engine_id, start.version, start.settings, start.capabilities, before_ns,
                            start.listed, start.keeps_schedule))
    _list_instruments(turn, start.instruments)
    arming.end_what_is_over(turn, restored=restored)
    schedule.started(turn)
    strategies.started(turn)
    research.cut_short(turn)
    forecasts.started(turn)
    turn.effects.extend(unacknowledged(turn.state))


def instruments_listed(turn: Turn, listing: InstrumentsListed) -> None:
    """A venue that was out of reach at the start is open: from now on its instruments can be traded and valued."""
    if listing.account not in turn.state.accounts:
        return
    _list_instruments(turn, listing.instruments)
    listed = tuple(one.instrument_id for one in listing.instruments)
    turn.emit(AccountOpened(listing.account, listed, listing.capabilities))


def _list_instruments(turn: Turn, instruments: Sequence[Instrument]) -> None:
    for instrument in instruments:
        if turn.state.instruments.get(instrument.instrument_id) != instrument:
            turn.emit(InstrumentListed(instrument))


def connection_changed(turn: Turn, change: ConnectionChanged) -> None:
    """A stream that came up starts a reconciliation; one that went down blocks entries and is told."""
    account = turn.state.accounts.get(change.account)
    if account is None:
        return
    if not change.up:
        if account.connectivity is not Connectivity.DOWN:
            turn.emit(ConnectivityChanged(change.account, Connectivity.DOWN, change.detail))
            turn.alert(AlertLevel.ERROR, "disconnected", change.account, change.detail or "the venue's stream is down")
            touch_account(turn, change.account)
        return
    turn.emit(ConnectivityChanged(change.account, Connectivity.RECONCILING, change.detail))
    turn.ask_report(change.account)


def feed_changed(turn: Turn, change: FeedChanged) -> None:
    """Prices stopped, or came back: a person should know before the quotes are stale."""
    if change.up:
        turn.alert(AlertLevel.INFO, "feed", "market data", "prices are back")
    else:
        turn.alert(AlertLevel.ERROR, "feed", "market data", f"no prices: {change.detail}; stops at the venue stand, others wait")


def stopping(turn: Turn, _: EngineStopping) -> None:
    """Nobody will watch: an entry stays only where its stop goes to work at the venue with its first fill."""
    guarded = {order.intent.parent_id for order in turn.state.orders.values() if order.intent.purpose is Purpose.STOP
               and not turn.state.accounts[order.intent.account].capabilities.children_wait}
    for order in list(turn.state.orders.values()):
        if order.intent.purpose is Purpose.ENTRY and not order.external and order.client_order_id not in guarded:
            turn.cancel(order, "the engine stops, and nothing at the venue would protect the fill")
    research.cut_short(turn, "the engine was stopped")
    marks.mark_equity(turn, at_once=True)


def tape_ended(turn: Turn, _: TapeEnded) -> None:
    """Nothing more will come: entries that still wait are withdrawn; positions keep their protection and last price."""
    withdraw_entries(turn, "", "the tape has ended")
    marks.mark_equity(turn, at_once=True)


def touch_account(turn: Turn, account: str) -> None:
    """Have every position and every instrument with orders of an account looked at."""
    for position in turn.state.positions.values():
        if position.account == account:
            turn.touch(position.portfolio, position.instrument_id)
    for order in turn.state.orders.values():
        if order.intent.account == account:
            turn.touch(order.intent.portfolio, order.intent.instrument_id)
