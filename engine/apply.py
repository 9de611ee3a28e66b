"""`apply(state, recorded)`: one event folded into the state. Pure and total; one small function for each kind of event."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import msgspec

from engine import (
    apply_access,
    apply_accounts,
    apply_alerts,
    apply_golive,
    apply_lifecycle,
    apply_orders,
    apply_parents,
    apply_research,
    apply_risk,
    apply_schedule,
    apply_strategies,
    apply_targets,
)
from engine import orders as order_facts
from engine.access_events import AccessDenied
from engine.apply_orders import order_changes
from engine.events import (
    AccountOpened,
    AlertAcknowledged,
    AlertRaised,
    Armed,
    CashAdjusted,
    CommandDone,
    ConnectivityChanged,
    Disarmed,
    DriftCleared,
    DriftSeen,
    Event,
    ExitRetried,
    ExitWanted,
    FlattenFinished,
    FlattenProgressed,
    FlattenStarted,
    InstrumentListed,
    LevelTouched,
    OrderFilled,
    PlanSet,
    PositionAdjusted,
    PositionSplit,
    ProposalRaised,
    ProposalSettled,
    ProtectionChanged,
    Reconciled,
    Recorded,
    SessionStarted,
    StopMoved,
    TradingStateChanged,
    WantRefused,
)
from engine.inputs import Connectivity
from engine.orders import Fill, FillSource, Order, Purpose, Side
from engine.positions import Position, cash_delta_minor, fold_fill, position_key, seen
from engine.service import AlertLevel, ProposalStatus, StopHome
from engine.splits import after_split
from engine.state import (
    KEPT_ALERTS,
    KEPT_COMMANDS,
    KEPT_FILL_DAYS,
    KEPT_FILLS,
    KEPT_PROPOSALS,
    KEPT_ROUND_TRIPS,
    AccountState,
    Alert,
    Changes,
    Drift,
    FlattenState,
    Home,
    PortfolioState,
    SettledFill,
    State,
    day_chunk,
    newest,
)
from engine.units import seconds_to_ns
from engine.watch import Watch, watch_of

replace = msgspec.structs.replace


def apply(state: State, recorded: Recorded) -> State:
    """The state after one event."""
    changes = _HANDLERS[type(recorded.event)](state, recorded.event, recorded)
    changes |= apply_research.followed(state, recorded)
    command_id = getattr(recorded.event, "command_id", "")
    if command_id:
        row = -recorded.seq if type(recorded.event) in (WantRefused, AccessDenied) else recorded.seq
        changes["commands"] = newest({**state.commands, command_id: row}, KEPT_COMMANDS)
    return replace(state, seq=recorded.seq, at_ns=recorded.at_ns, **changes)


# ---- sessions ----------------------------------------------------------------------------------------------------------


def _session_started(state: State, event: SessionStarted, recorded: Recorded) -> Changes:
    settings = event.settings
    portfolios = dict(state.portfolios)
    accounts = {key: replace(known, connectivity=Connectivity.DOWN, connectivity_detail="no longer in the configuration")
                for key, known in state.accounts.items()}
    for chosen in settings.portfolios:
        known = portfolios.get(chosen.portfolio)
        portfolios[chosen.portfolio] = apply_risk.configured(known or PortfolioState(settings=chosen), chosen)
        capabilities = event.capabilities[chosen.account]
        account = accounts.get(chosen.account) or AccountState(
            chosen.account, chosen.portfolio, capabilities, opened_at_ns=recorded.at_ns)
        accounts[chosen.account] = replace(account, capabilities=capabilities, listed=event.listed.get(chosen.account, ()),
                                           connectivity=Connectivity.DOWN, connectivity_detail="not yet reconciled")
    in_flight = {key: order_facts.with_unanswered(order) if not order.acked else order
                 for key, order in state.orders.items()}
    bared = {key: _bared(position, event.offline_since_ns or recorded.at_ns) if _engine_held(state, key) else position
             for key, position in state.positions.items()}
    watches: dict[str, tuple[Watch, ...]] = {}
    for position in bared.values():
        watches[position.instrument_id] = (*watches.get(position.instrument_id, ()),
                                           watch_of(position, settings.trail_step_fraction))
    homes = {key: Home(StopHome.NONE, recorded.at_ns, "the engine was not running") if _engine_held(state, key) else home
             for key, home in state.homes.items()}
    return {"engine_id": event.engine_id, "session_seq": recorded.seq, "version": event.version,
            "settings": settings, "portfolios": portfolios, "keeps_schedule": event.keeps_schedule,
            "accounts": accounts, "orders": in_flight, "positions": bared, "watches": watches, "homes": homes,
            "session_at_ns": recorded.at_ns}


def _engine_held(state: State, key: str) -> bool:
    """Whether a position's stop lived in the engine alone, so that nothing held it while the engine was down."""
    home = state.homes.get(key)
    return home is None or home.home is not StopHome.VENUE


def _bared(position: Position, since_ns: int) -> Position:
    return position if position.bare_since_ns else replace(position, bare_since_ns=since_ns)


def _instrument_listed(state: State, event: InstrumentListed, _: Recorded) -> Changes:
    return {"instruments": {**state.instruments, event.instrument.instrument_id: event.instrument}}


def _account_opened(state: State, event: AccountOpened, _: Recorded) -> Changes:
    return _account_changes(state, event.account, listed=event.listed, capabilities=event.capabilities)


def _connectivity_changed(state: State, event: ConnectivityChanged, recorded: Recorded) -> Changes:
    known = state.accounts.get(event.account)
    if known is None:
        return {}
    down_ns, before_ns = known.down_since_ns, known.withdraw_before_ns
    if event.connectivity is Connectivity.DOWN:
        down_ns = down_ns or recorded.at_ns
    elif event.connectivity is Connectivity.LIVE and down_ns:
        grace_ns = seconds_to_ns(state.settings.cancel_on_disconnect_seconds)
        before_ns = recorded.at_ns if grace_ns and recorded.at_ns - down_ns >= grace_ns else before_ns
        down_ns = 0
    return _account_changes(state, event.account, connectivity=event.connectivity, connectivity_detail=event.detail,
                            down_since_ns=down_ns, withdraw_before_ns=before_ns)


def _account_changes(state: State, account: str, **fields: Any) -> Changes:
    known = state.accounts.get(account)
    return {"accounts": {**state.accounts, account: replace(known, **fields)}} if known else {}


# ---- fills and positions -----------------------------------------------------------------------------------------------


def _order_filled(state: State, event: OrderFilled, _: Recorded) -> Changes:
    fill = event.fill
    if state.fill_seen(fill):
        return {}
    order = state.order(fill.client_order_id)
    counted = order_facts.added_by(order, fill) if order else fill
    changes: Changes = {"fills_seen": _seen(state, fill)}
    if order is not None:
        changes |= order_changes(state, fill.client_order_id, lambda known: order_facts.with_fill(known, fill))
    if counted is None:
        return changes
    purpose = order.intent.purpose if order else Purpose.ENTRY
    changes["recent_fills"] = (*state.recent_fills[-KEPT_FILLS + 1:], SettledFill(counted, event.portfolio, purpose))
    changes |= _position_changes(state, counted, event.portfolio, order, cash_delta_minor(
        counted, state.instruments[counted.instrument_id]), (event.low_ticks, event.high_ticks))
    held = changes["positions"].get(position_key(event.portfolio, counted.instrument_id))
    changes["parents"] = apply_parents.filled(state.parents, order, counted.last_lots, held)
    account = state.accounts[fill.account]
    changes["accounts"] = {**state.accounts, fill.account: replace(
        account, cash_minor=account.cash_minor + cash_delta_minor(counted, state.instruments[fill.instrument_id]),
        last_fill_ns=max(account.last_fill_ns, fill.at_ns),
        unstreamed=_unstreamed(account, counted, changes["positions"], event.portfolio))}
    return changes


def _unstreamed(account: AccountState, fill: Fill, positions: dict[str, Position], portfolio: str) -> dict[str, int]:
    """What no stream told of, with one more fill; a position that is flat again begins anew."""
    streamed = fill.source is FillSource.STREAM
    if streamed and not account.unstreamed:
        return account.unstreamed
    missed = account.unstreamed.get(fill.instrument_id, 0) + (0 if streamed else fill.side.sign * fill.last_lots)
    others = {key: lots for key, lots in account.unstreamed.items() if key != fill.instrument_id}
    held = position_key(portfolio, fill.instrument_id) in positions
    return {**others, fill.instrument_id: missed} if missed and held else others


def _seen(state: State, fill: Fill) -> dict[str, dict[str, int]]:
    chunk = day_chunk(fill)
    chunks = {**state.fills_seen, chunk: {**state.fills_seen.get(chunk, {}), fill.key: fill.last_lots}}
    if len(chunks) > KEPT_FILL_DAYS:
        oldest = min(chunks, key=int)
        chunks = {day: keys for day, keys in chunks.items() if day != oldest}
    return chunks


def _position_changes(state: State, fill: Fill, portfolio: str, order: Order | None, cash_delta: int,
                      reach: tuple[int, int] = (0, 0)) -> Changes:
    key = position_key(portfolio, fill.instrument_id)
    before = seen(state.positions[key], *reach) if key in state.positions else None
    instrument = state.instruments[fill.instrument_id]
    after, trips = fold_fill(before, fill, instrument, order.intent if order else None, portfolio)
    regime = state.regimes.get(fill.instrument_id)
    if regime and after and (before is None or trips):
        after = replace(after, regime=regime.words)
    if after and after.exit_lots and order and order.intent.purpose is Purpose.EXIT:
        left = max(0, after.exit_lots - fill.last_lots)
        after = replace(after, exit_lots=left, exit_reason=after.exit_reason if left else "")
    changes = _with_position(state, key, fill.instrument_id, after)
    known = state.portfolios[portfolio]
    cost_change = (after.cost_minor if after else 0) - (before.cost_minor if before else 0)
    realized = cash_delta + fill.fee_minor + cost_change
    changes["portfolios"] = {**state.portfolios, portfolio: replace(
        known, realized_minor=known.realized_minor + realized, fees_minor=known.fees_minor + fill.fee_minor,
        losing_streak=apply_risk.losing_streak(known.losing_streak, trips))}
    if trips:
        changes["round_trips"] = (*state.round_trips, *trips)[-KEPT_ROUND_TRIPS:]
        changes["round_trip_count"] = state.round_trip_count + len(trips)
        changes |= apply_lifecycle.counted(state, trips) | apply_golive.counted(state, trips)
    return changes


def _with_position(state: State, key: str, instrument_id: str, position: Position | None) -> Changes:
    """The position put, or taken out, with the instrument's watches kept in step."""
    others = tuple(watch for watch in state.watches.get(instrument_id, ()) if watch.key != key)
    if position is None:
        watches = {**state.watches, instrument_id: others}
        if not others:
            del watches[instrument_id]
        return {"positions": {kept: value for kept, value in state.positions.items() if kept != key},
                "watches": watches, "homes": {kept: home for kept, home in state.homes.items() if kept != key}}
    watch = watch_of(position, state.settings.trail_step_fraction)
    return {"positions": {**state.positions, key: position},
            "watches": {**state.watches, instrument_id: (*others, watch)}}


def _edited(state: State, key: str, **fields: Any) -> Changes:
    position = state.positions.get(key)
    return _with_position(state, key, position.instrument_id, replace(position, **fields)) if position else {}


def _plan_set(state: State, event: PlanSet, _: Recorded) -> Changes:
    return _edited(state, event.key, plan=event.plan, stop_ticks=event.stop_ticks, best_ticks=event.best_ticks,
                   touched_at_ns=0)


def _stop_moved(state: State, event: StopMoved, _: Recorded) -> Changes:
    return _edited(state, event.key, stop_ticks=event.stop_ticks, best_ticks=event.best_ticks)


def _level_touched(state: State, event: LevelTouched, _: Recorded) -> Changes:
    return _edited(state, event.key, touched_at_ns=event.at_ns)


def _exit_wanted(state: State, event: ExitWanted, _: Recorded) -> Changes:
    return _edited(state, event.key, exit_reason=event.reason, exit_lots=event.lots, exit_attempts=0,
                   exit_retry_at_ns=0, touched_at_ns=0)


def _exit_retried(state: State, event: ExitRetried, _: Recorded) -> Changes:
    return _edited(state, event.key, exit_attempts=event.attempts, exit_retry_at_ns=event.retry_at_ns)


def _protection_changed(state: State, event: ProtectionChanged, recorded: Recorded) -> Changes:
    position = state.positions.get(event.key)
    if position is None:
        return {}
    fields: dict[str, Any] = {}
    if event.bare and not position.bare_since_ns:
        fields = {"bare_since_ns": recorded.at_ns}
    elif not event.bare and position.bare_since_ns:
        fields = {"bare_since_ns": 0,
                  "bare_total_ns": position.bare_total_ns + max(0, recorded.at_ns - position.bare_since_ns)}
    changes = _edited(state, event.key, **fields) if fields else {}
    changes["homes"] = {**state.homes, event.key: Home(event.home, recorded.at_ns, event.detail)}
    return changes


def _position_adjusted(state: State, event: PositionAdjusted, recorded: Recorded) -> Changes:
    """The venue's word replaces our lots; the money that it would have cost is booked as an adjustment, not as a result."""
    delta = event.lots_after - event.lots_before
    fill = Fill(event.account, event.instrument_id, f"adjusted-{recorded.seq}", "",
                Side.BUY if delta > 0 else Side.SELL, abs(delta), event.price_ticks, 0, recorded.at_ns)
    cash_delta = cash_delta_minor(fill, state.instruments[event.instrument_id])
    changes = _position_changes(state, fill, event.portfolio, None, cash_delta)
    portfolio: PortfolioState = changes["portfolios"][event.portfolio]
    adjusted = replace(portfolio, adjusted_minor=portfolio.adjusted_minor - cash_delta)
    instrument = state.instruments[event.instrument_id]
    ticks = event.worth_ticks or event.price_ticks
    worth = instrument.signed_notional_minor(ticks, event.lots_after) - instrument.signed_notional_minor(ticks, event.lots_before)
    known = portfolio.marked_equity_minor
    if known is not None:  # what the next of the same report is a part of
        adjusted = replace(adjusted, marked_equity_minor=worth + (known if event.equity_minor is None else event.equity_minor))
    changes["portfolios"][event.portfolio] = apply_risk.moved(adjusted, worth, event.equity_minor)
    account = state.accounts[event.account]
    unasked = replace(fill, source=FillSource.RECONCILED)
    changes["accounts"] = {**state.accounts, event.account: replace(
        account, unstreamed=_unstreamed(account, unasked, changes["positions"], event.portfolio))}
    return changes


def _position_split(state: State, event: PositionSplit, _: Recorded) -> Changes:
    """Other lots of the same worth, at levels that moved along; what the stream told is told in old lots."""
    key = position_key(event.portfolio, event.instrument_id)
    position = state.positions.get(key)
    if position is None:
        return {}
    split = after_split(position, event.lots_after, Fraction(event.numerator, event.denominator))
    account = state.accounts[event.account]
    missed = account.unstreamed.get(event.instrument_id, 0) + event.lots_after - event.lots_before
    return {**_with_position(state, key, event.instrument_id, split), "accounts": {**state.accounts, event.account: replace(
        account, unstreamed={**account.unstreamed, event.instrument_id: missed})}}


def _cash_adjusted(state: State, event: CashAdjusted, _: Recorded) -> Changes:
    account = state.accounts[event.account]
    return {"accounts": {**state.accounts, event.account: replace(
                account, cash_minor=account.cash_minor + event.delta_minor, funded=True)},
            "portfolios": {**state.portfolios, account.portfolio: apply_risk.paid(state.portfolios[account.portfolio], event)}}


# ---- reconciliation ----------------------------------------------------------------------------------------------------


def _drift_seen(state: State, event: DriftSeen, recorded: Recorded) -> Changes:
    account = state.accounts[event.account]
    known = account.drifts.get(event.instrument_id)
    drift = Drift(event.our_lots, event.venue_lots, known.seen_at_ns if known else recorded.at_ns, event.settled)
    return _account_changes(state, event.account, drifts={**account.drifts, event.instrument_id: drift})


def _drift_cleared(state: State, event: DriftCleared, _: Recorded) -> Changes:
    account = state.accounts[event.account]
    return _account_changes(state, event.account, drifts={
        key: drift for key, drift in account.drifts.items() if key != event.instrument_id})


def _reconciled(state: State, event: Reconciled, recorded: Recorded) -> Changes:
    known = state.accounts.get(event.account)
    opened_at_ns = known.opened_at_ns if known and known.reconciled_at_ns else event.venue_time_ns
    return _account_changes(state, event.account, reconciled_at_ns=recorded.at_ns, venue_time_ns=event.venue_time_ns,
                            opened_at_ns=opened_at_ns)


# ---- decisions, alerts, panic ------------------------------------------------------------------------------------------


def _nothing(_state: State, _event: CommandDone, _recorded: Recorded) -> Changes:
    return {}


def _proposal_raised(state: State, event: ProposalRaised, _: Recorded) -> Changes:
    proposals = {**state.proposals, event.proposal.proposal_id: event.proposal}
    settled = [key for key, kept in proposals.items() if kept.status is not ProposalStatus.PENDING]
    dropped = frozenset(settled[:-KEPT_PROPOSALS])
    return {"proposals": {key: kept for key, kept in proposals.items() if key not in dropped}}


def _proposal_settled(state: State, event: ProposalSettled, _: Recorded) -> Changes:
    proposal = state.proposals.get(event.proposal_id)
    if proposal is None:
        return {}
    return {"proposals": {**state.proposals, event.proposal_id: replace(
        proposal, status=event.status, status_reason=event.reason)}}


def _trading_state_changed(state: State, event: TradingStateChanged, recorded: Recorded) -> Changes:
    if not event.portfolio:
        return {"trading_state": event.state, "trading_cause": event.cause}
    portfolio = replace(state.portfolios[event.portfolio], trading_state=event.state, cause=event.cause,
                        latched_by=event.by, latched_at_ns=recorded.at_ns)
    return {"portfolios": {**state.portfolios, event.portfolio: portfolio}}


def _armed(state: State, event: Armed, _: Recorded) -> Changes:
    return _account_changes(state, event.account, armed_until_ns=event.until_ns, armed_by=event.by,
                            armed_digest=event.limits_digest)


def _disarmed(state: State, event: Disarmed, _: Recorded) -> Changes:
    return _account_changes(state, event.account, armed_until_ns=0, armed_by="", armed_digest="")


def _alert_raised(state: State, event: AlertRaised, recorded: Recorded) -> Changes:
    known = state.alerts.get(event.alert_id)
    alert = Alert(event.alert_id, recorded.at_ns, event.level, event.code, event.subject, event.text,
                  count=known.count + 1 if known else 1)
    others = {key: kept for key, kept in state.alerts.items() if key != event.alert_id}
    return {"alerts": _kept_alerts({**others, event.alert_id: alert})}


def _kept_alerts(alerts: dict[str, Alert]) -> dict[str, Alert]:
    """The newest, and every critical one that nobody has acknowledged as long as there is room: a flood of lesser ones must not
    end the asking for it."""
    kept = newest(alerts, KEPT_ALERTS)
    if len(kept) == len(alerts):
        return alerts
    waiting = {key for key, one in alerts.items() if one.level is AlertLevel.CRIT and not one.acknowledged}
    others = [key for key in alerts if key not in waiting]
    left_out = {*others[:len(alerts) - len(kept)]}
    return newest({key: one for key, one in alerts.items() if key not in left_out}, KEPT_ALERTS)


def _alert_acknowledged(state: State, event: AlertAcknowledged, _: Recorded) -> Changes:
    alert = state.alerts.get(event.alert_id)
    return {"alerts": {**state.alerts, event.alert_id: replace(alert, acknowledged=True)}} if alert else {}


def _flatten_started(_: State, event: FlattenStarted, recorded: Recorded) -> Changes:
    return {"flatten": FlattenState(event.portfolio, event.accounts, recorded.at_ns, event.deadline_ns, event.by,
                                    event.command_id)}


def _flatten_progressed(state: State, event: FlattenProgressed, _: Recorded) -> Changes:
    flatten = state.flatten
    if flatten is None:
        return {}
    return {"flatten": replace(flatten, lines={**flatten.lines, event.account: event.lines},
                               open_orders={**flatten.open_orders, event.account: event.open_orders},
                               flat_accounts={**flatten.flat_accounts, event.account: event.flat})}


def _flatten_finished(state: State, event: FlattenFinished, _: Recorded) -> Changes:
    flatten = state.flatten
    return {"flatten": replace(flatten, finished=True, flat=event.flat, detail=event.detail)} if flatten else {}


def _of_schedule(fold: apply_schedule.Fold) -> Callable[[State, Any, Recorded], Changes]:
    return lambda state, event, recorded: {"jobs": fold(state.jobs, event, recorded.at_ns)}


def _of_parents(fold: apply_parents.Fold) -> Callable[[State, Any, Recorded], Changes]:
    return lambda state, event, recorded: {"parents": fold(state.parents, event, recorded.at_ns)}


_HANDLERS: dict[type[Event], Callable[[State, Any, Recorded], Changes]] = {
    SessionStarted: _session_started, InstrumentListed: _instrument_listed, ConnectivityChanged: _connectivity_changed,
    OrderFilled: _order_filled, PlanSet: _plan_set, StopMoved: _stop_moved,
    LevelTouched: _level_touched, ExitWanted: _exit_wanted, ExitRetried: _exit_retried,
    ProtectionChanged: _protection_changed, PositionAdjusted: _position_adjusted,
    PositionSplit: _position_split, CashAdjusted: _cash_adjusted,
    DriftSeen: _drift_seen, DriftCleared: _drift_cleared, Reconciled: _reconciled,
    CommandDone: _nothing, ProposalRaised: _proposal_raised, ProposalSettled: _proposal_settled,
    TradingStateChanged: _trading_state_changed, AlertRaised: _alert_raised, AlertAcknowledged: _alert_acknowledged,
    FlattenStarted: _flatten_started, FlattenProgressed: _flatten_progressed, FlattenFinished: _flatten_finished,
    Armed: _armed, Disarmed: _disarmed, AccountOpened: _account_opened,
    **{kind: _of_schedule(fold) for kind, fold in apply_schedule.FOLDS.items()},
    **{kind: _of_parents(fold) for kind, fold in apply_parents.FOLDS.items()},
    **apply_orders.HANDLERS, **apply_alerts.HANDLERS,
    **apply_risk.HANDLERS, **apply_targets.HANDLERS, **apply_strategies.HANDLERS, **apply_lifecycle.HANDLERS,
    **apply_golive.HANDLERS,
    **apply_access.HANDLERS, **apply_accounts.HANDLERS,
    **apply_research.HANDLERS,
}
