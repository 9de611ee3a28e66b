"""What time alone brings: deadlines, second looks, retries. The loop beats about once a second; every step is idempotent."""

from engine.decide import (
    alerts,
    arming,
    brakes,
    flatten,
    forecasts,
    lifecycle,
    marks,
    parents,
    rates,
    rebalance,
    regimes,
    schedule,
)
from engine.decide.prices import only_a_wide_quote
from engine.decide.withdrawals import withdraw_after_silence
from engine.events import LevelTouched, ProposalSettled
from engine.inputs import Connectivity, FirstPricesSeen, MomentSeen, TimeAdvanced, TradingState
from engine.kernel.exits import HOLD_OVER, exit_on_price
from engine.orders import Order, OrderStatus, Purpose
from engine.positions import Position, position_key
from engine.protection import IN_FLIGHT, want_exit
from engine.service import AlertLevel, ProposalStatus, StopHome
from engine.session_exits import look_at_time_exits, rules_in_force
from engine.turn import Turn
from engine.units import Lots, seconds_to_ns

ASKED_AGAIN = IN_FLIGHT | {OrderStatus.PENDING_CANCEL, OrderStatus.DISPUTED}


def time_advanced(turn: Turn, beat: TimeAdvanced) -> None:
    """Look at every deadline once."""
    day = turn.state.day
    brakes.roll_day(turn)
    brakes.look_at_losses(turn)
    lifecycle.beat(turn)
    _expire_proposals(turn)
    arming.end_what_is_over(turn)
    _withdraw_what_slipped_through(turn)
    withdraw_after_silence(turn)
    _ask_about_orders(turn)
    _ask_for_reports(turn)
    _look_at_positions(turn, on_tape=beat.on_tape)
    alerts.beat(turn)
    parents.beat(turn)
    schedule.beat(turn)
    rebalance.beat(turn)
    regimes.beat(turn)
    forecasts.beat(turn)
    rates.beat(turn)
    flatten.beat(turn, turn.at_ns)
    if beat.on_tape:
        marks.follow_positions(turn)
    else:
        marks.mark_equity(turn, at_once=turn.state.day != day)


def moment_seen(turn: Turn, _: MomentSeen) -> None:
    """The prices of a tape's moment are known."""
    marks.mark_equity(turn)


def first_prices_seen(turn: Turn, _: FirstPricesSeen) -> None:
    """What limits on losses need before a command is looked at: the day's baselines, and the brakes that are due."""
    brakes.roll_day(turn)
    brakes.look_at_losses(turn)


def _expire_proposals(turn: Turn) -> None:
    for proposal in list(turn.state.proposals.values()):
        if proposal.status is ProposalStatus.PENDING and turn.at_ns >= proposal.expires_at_ns:
            turn.emit(ProposalSettled(proposal.proposal_id, ProposalStatus.EXPIRED, "nobody answered in time", "engine"))


def _withdraw_what_slipped_through(turn: Turn) -> None:
    """Where entries are blocked none may go on working: one whose cancel was refused, or overtook it, is asked again."""
    for order in list(turn.state.orders.values()):
        if order.intent.purpose is Purpose.ENTRY and not order.external \
                and turn.state.effective_state(order.intent.portfolio) is not TradingState.ACTIVE:
            turn.cancel(order, "entries are blocked")


def _ask_about_orders(turn: Turn) -> None:
    """What has been in between for too long is looked up; the gateway spaces repeated questions."""
    patience_ns = seconds_to_ns(turn.state.settings.query_after_seconds)
    for order in list(turn.state.orders.values()):
        if order.cancel_answers and not order.external:
            turn.touch(order.intent.portfolio, order.intent.instrument_id)
        if order.status in ASKED_AGAIN and turn.at_ns - _since_ns(order) >= patience_ns:
            turn.ask_order(order)
            if order.status is OrderStatus.PENDING_CANCEL and turn.at_ns - _since_ns(order) >= 6 * patience_ns:
                turn.alert(AlertLevel.ERROR, "cancel-stuck", order.client_order_id,
                           "the venue has not confirmed a cancel; the order still counts")


def _since_ns(order: Order) -> int:
    if order.status is OrderStatus.PENDING_CANCEL:
        return order.cancel_requested_at_ns
    return max(order.sent_at_ns, order.closed_at_ns)


def _ask_for_reports(turn: Turn) -> None:
    settings = turn.state.settings
    for account in turn.state.accounts.values():
        overdue = turn.at_ns - account.reconciled_at_ns >= seconds_to_ns(settings.reconcile_seconds)
        drifting = any(not drift.settled and turn.at_ns - drift.seen_at_ns >= seconds_to_ns(settings.settle_seconds)
                       for drift in account.drifts.values())
        reconciling = account.connectivity is Connectivity.RECONCILING
        if reconciling or drifting or (overdue and account.connectivity is Connectivity.LIVE):
            turn.ask_report(account.account)


def _look_at_positions(turn: Turn, *, on_tape: bool) -> None:
    """Time exits, touched levels, and positions of which something is not yet as it should be."""
    grace_ns = seconds_to_ns(turn.state.settings.venue_stop_grace_seconds)
    standing = _lots_at_level(turn)
    for position in list(turn.state.positions.values()):
        look_at_time_exits(turn, position, on_tape=on_tape)
        if position.touched_at_ns and turn.at_ns - position.touched_at_ns >= grace_ns:
            _grace_over(turn, position.key)
        home = turn.state.homes.get(position.key)
        if position.exit_reason or home is None or home.home is not StopHome.VENUE \
                or standing.get(position.key, 0) != abs(position.lots):
            turn.touch(position.portfolio, position.instrument_id)


def _lots_at_level(turn: Turn) -> dict[str, Lots]:
    """For how many lots of each position a stop stands at the level in force; older ones may have had to wait for a price."""
    found: dict[str, Lots] = {}
    for order in turn.state.orders.values():
        if order.intent.purpose is Purpose.STOP:
            key = position_key(order.intent.portfolio, order.intent.instrument_id)
            position = turn.state.positions.get(key)
            if position is not None and order.intent.trigger_ticks == position.stop_ticks \
                    and _has_its_target(turn, order, position):
                found[key] = found.get(key, 0) + turn.state.covered_lots(order)
    return found


def _has_its_target(turn: Turn, stop: Order, position: Position) -> bool:
    """Whether a stop stands beside the plan's target, where the two rest as a pair; elsewhere each is looked after by itself."""
    can = turn.state.accounts[position.account].capabilities
    if can.reduce_only or not can.oco:
        return True
    wanted = position.plan.target_ticks
    standing = [twin.intent.limit_ticks for twin in turn.state.twins(stop) if twin.client_order_id in turn.state.orders]
    return standing == ([wanted] if wanted else [])


def _grace_over(turn: Turn, key: str) -> None:
    """The venue had its moment with a touched level: where the price is still there, the engine leaves itself."""
    position = turn.state.positions[key]
    mark = turn.market.marks.get(position.instrument_id)
    if mark is None:
        return
    rules = rules_in_force(turn, position)
    code = exit_on_price(rules, mark.bid_ticks, mark.ask_ticks, turn.at_ns)
    if code in (0, HOLD_OVER) or only_a_wide_quote(turn, position, code):
        turn.emit(LevelTouched(key, 0))
        return
    turn.alert(AlertLevel.WARN, "venue-silent", position.instrument_id,
               "the price passed a level, the venue's order did not act; the engine leaves at market")
    want_exit(turn, position, "level passed, the venue did not act", seen_ticks=mark.value_ticks(position.sign))
