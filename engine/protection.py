"""Keeping positions protected: a controller that compares what should stand with what stands, and closes the gap.

It is level-triggered: called after anything that touched a position, an order of it or its plan, and again on every beat
while something is missing. So a lost answer, a refused stop, a partial fill, a crash between two steps or a stop that a
person cancelled at the venue all end the same way: with the protection that the plan asks for, or with the engine
watching and an alert that says so.
"""

import msgspec

from engine.events import ExitWanted, ProtectionChanged
from engine.inputs import Connectivity, VenueCapabilities
from engine.orders import STOP_SUFFIX, Order, OrderIntent, OrderKind, OrderStatus, Purpose, Side, TimeInForce
from engine.positions import EXTERNAL, Position
from engine.risk import approve_exit
from engine.service import AlertLevel, Refusal, StopHome
from engine.state import AccountState
from engine.turn import Turn
from engine.units import NS_PER_SECOND, Lots, Nanoseconds, Ticks

COLLAR_PARTS = 50
MOST_PIECES = 4
REFUSALS_BEFORE_LIMIT = 2
REFUSALS_BEFORE_STOP_ALONE = 2
LONGEST_BACKOFF_SECONDS = 60
STALE_WATCH_NS = 60 * NS_PER_SECOND

IN_FLIGHT = frozenset({OrderStatus.PENDING_NEW, OrderStatus.UNKNOWN})
UNSURE = IN_FLIGHT | {OrderStatus.DISPUTED}
REDUCING_ONCE = frozenset({Purpose.EXIT, Purpose.FLATTEN})
NEVER_STOOD = frozenset({OrderStatus.REJECTED, OrderStatus.DENIED})


def guard_touched(turn: Turn) -> None:
    """Look after every position that the decision touched, until nothing more follows."""
    while turn.touched:
        key = next(iter(turn.touched))
        del turn.touched[key]
        portfolio, instrument_id = key.split("|", 1)
        guard(turn, portfolio, instrument_id)


def guard(turn: Turn, portfolio: str, instrument_id: str) -> None:
    """Bring one position's protective orders to what its plan asks for, and keep the ledger."""
    account = turn.state.account_of(portfolio)
    position = turn.state.position(portfolio, instrument_id)
    if turn.state.flattening(portfolio):
        keep_ledger(turn, portfolio, instrument_id)
        return
    orders = [order for order in turn.state.orders_in(portfolio, instrument_id) if not order.external]
    protective = [order for order in orders if order.intent.purpose in (Purpose.STOP, Purpose.TARGET)]
    if position is None:
        _cancel_orphans(turn, protective)
        return
    can = account.capabilities
    # A stream that is down says nothing of the venue's ears: an order that can only reduce is worth the try, and refusals
    # back off.
    if position.exit_reason and (can.reduce_only or account.connectivity is Connectivity.LIVE):
        _leave(turn, position, orders, can)
    partly = position.exit_lots > 0 and can.reduce_only
    if may_act(account) and (not position.exit_reason or partly) \
            and (position.strategy != EXTERNAL or position.plan.protects):
        _rest_at_venue(turn, position, protective, can)
    keep_ledger(turn, portfolio, instrument_id)


def may_act(account: AccountState) -> bool:
    """Whether protective orders may be sent: the venue has confirmed what is held, or it is being asked and takes orders that
    can only reduce, which do no harm where it turns out to hold less."""
    asking = account.connectivity is Connectivity.RECONCILING and account.capabilities.reduce_only
    return asking or account.connectivity is Connectivity.LIVE


def _cancel_orphans(turn: Turn, protective: list[Order]) -> None:
    """A flat position needs no exits, except those that wait for an entry which is still working."""
    for order in protective:
        if order.intent.parent_id not in turn.state.orders:
            turn.cancel(order, "nothing left to protect")


# ---- resting at the venue ------------------------------------------------------------------------------------------------


def _rest_at_venue(turn: Turn, position: Position, protective: list[Order], can: VenueCapabilities) -> None:
    stops = [order for order in protective if order.intent.purpose is Purpose.STOP]
    targets = [order for order in protective if order.intent.purpose is Purpose.TARGET]
    stop_ticks = position.stop_ticks if can.stop else 0
    if can.reduce_only:
        _new_first(turn, position, stops, stop_ticks, Purpose.STOP)
        beside_stop = can.oco or not stop_ticks
        _new_first(turn, position, targets, position.plan.target_ticks if beside_stop else 0, Purpose.TARGET)
    elif not _waits_for_entry(turn, position, protective, can):
        target_ticks = _paired_ticks(turn, position, targets) if can.oco and stop_ticks else 0
        _within_what_is_held(turn, position, protective, stop_ticks, target_ticks)


def _waits_for_entry(turn: Turn, position: Position, protective: list[Order], can: VenueCapabilities) -> bool:
    """A bracket that is filled in part where its exits work only from the full fill on. Whatever stood beside it would take its
    shares, so the engine watches alone meanwhile; where it cannot, the rest of the entry goes, and a stop can come."""
    entries = [turn.state.orders[order.intent.parent_id] for order in protective
               if can.children_wait and order.intent.parent_id in turn.state.orders]
    if not engine_watches(turn, position):
        for entry in entries[:1]:
            turn.cancel(entry, "the stop of what it has filled would wait for the rest, and nobody watches")
    return bool(entries)


def _paired_ticks(turn: Turn, position: Position, targets: list[Order]) -> Ticks:
    """The level of the target that rests beside the stop as one pair; 0 where the venue has refused that pair repeatedly: then
    the stop stands alone, and the engine watches the target."""
    ticks = position.plan.target_ticks
    standing = any(level_of(order) == ticks for order in targets)
    refused = [] if standing else _refusals(turn, position, Purpose.TARGET, ticks, position.opened_at_ns - 1)
    return ticks if len(refused) < REFUSALS_BEFORE_STOP_ALONE else 0


def _new_first(turn: Turn, position: Position, standing: list[Order], ticks: Ticks, purpose: Purpose) -> None:
    """One order at `ticks` for the whole position, at a venue that lets two stand for a moment: the old one goes once the new
    one stands. One for more than is held guards as well until one of the right size stands, and stays while an exit fills, or
    where the venue takes none so small."""
    held = abs(position.lots)
    right = [order for order in standing if ticks and level_of(order) == ticks and may_stand(order)
             and turn.state.covered_lots(order) >= held]
    fitting = [order for order in right if turn.state.covered_lots(order) == held]
    keeper = next((order for order in fitting or right if order.status not in IN_FLIGHT), None)
    too_large = (keeper is not None and not fitting and not (position.touched_at_ns or _being_reduced(turn, position))
                 and _stands_alone(turn, position, held, ticks, 0))
    if not ticks or (keeper is not None and not too_large):
        for order in standing:
            if order is not keeper:
                turn.cancel(order, "replaced" if keeper else "no longer asked")
    elif not right or too_large:
        _place(turn, position, held, ticks, purpose, position.opened_by)


def _being_reduced(turn: Turn, position: Position) -> bool:
    """Whether an order works on taking a part off a position: what is left is known once it is done."""
    return any(order.intent.purpose in REDUCING_ONCE or (order.intent.side.sign != position.sign and order.cum_lots)
               for order in turn.state.orders_in(position.portfolio, position.instrument_id))


def _within_what_is_held(turn: Turn, position: Position, protective: list[Order], ticks: Ticks, target_ticks: Ticks) -> None:
    """Stops at `ticks` for the whole position, each with a target at `target_ticks` as its pair where that is asked, at a venue
    whose exits may not add up to more than is held. What is missing is added beside what stands; what stands wrong must go before
    its replacement can come, and goes only while the engine watches the level meanwhile: a stop at an old level, or for too few
    lots, is better than none."""
    standing = [order for order in protective if not turn.state.is_second_of_pair(order)]
    right = [order for order in standing if ticks and _is_as_asked(turn, order, ticks, target_ticks)]
    wrong = [order for order in standing if order not in right]
    missing = abs(position.lots) - sum(turn.state.covered_lots(order) for order in standing)
    watches = engine_watches(turn, position)
    if watches and any(is_leaving(order) for order in standing):
        return  # what replaces them comes once, for all of them
    if ticks and missing > 0 and (not standing or _stands_alone(turn, position, missing, ticks, len(right))):
        _place(turn, position, missing, ticks, Purpose.STOP, "" if right else position.opened_by, target_ticks)
        missing = 0
    for order in wrong:
        if watches or not ticks or order.intent.purpose is Purpose.TARGET:  # a target without a stop protects nothing
            _cancel_with_twin(turn, order, "making room for its replacement" if ticks else "no longer asked")
    if ticks and not watches:
        return
    surplus = sum(turn.state.covered_lots(order) for order in right) - abs(position.lots)
    for order in reversed(right):
        if surplus > 0 or missing > 0:
            surplus -= turn.state.covered_lots(order)
            _cancel_with_twin(turn, order, "making room for its replacement")


def _is_as_asked(turn: Turn, order: Order, ticks: Ticks, target_ticks: Ticks) -> bool:
    """A stop at its level that protects or will, with a target of that level beside it, or with none where none is asked."""
    if order.intent.purpose is not Purpose.STOP or level_of(order) != ticks or not may_stand(order):
        return False
    if order.intent.parent_id and not turn.state.covered_lots(order):
        return False  # its entry ended before it was filled in full
    twins = [twin for twin in turn.state.twins(order) if twin.client_order_id in turn.state.orders]
    if not target_ticks:
        return not twins
    return len(twins) == 1 and level_of(twins[0]) == target_ticks and may_stand(twins[0])


def _cancel_with_twin(turn: Turn, order: Order, reason: str) -> None:
    """Both orders of a pair, the stop first: a venue that ends them together may refuse the second."""
    for one in (order, *turn.state.twins(order)):
        if one.client_order_id in turn.state.orders:
            turn.cancel(one, reason)


def _stands_alone(turn: Turn, position: Position, lots: Lots, ticks: Ticks, pieces: int) -> bool:
    """Whether the venue would take an order for so few lots, beside as many others at the level."""
    instrument = turn.state.instruments[position.instrument_id]
    return (pieces < MOST_PIECES and lots >= instrument.min_lots
            and instrument.notional_minor(ticks, lots) >= instrument.min_notional_minor)


def level_of(order: Order) -> Ticks:
    return order.intent.trigger_ticks if order.intent.purpose is Purpose.STOP else order.intent.limit_ticks


def is_leaving(order: Order) -> bool:
    """A cancel of it is on its way."""
    return len(order.cancel_requests) > len(order.cancel_answers)


def may_stand(order: Order) -> bool:
    """It protects, or will once the venue has answered: not on its way out, nor disputed."""
    return not is_leaving(order) and order.status is not OrderStatus.DISPUTED


def standing_lots(turn: Turn, position: Position, purpose: Purpose, level_ticks: Ticks = 0) -> Lots:
    """How many lots of a position the venue has confirmed orders of that purpose for, at that level (0: at any); not those
    that are being cancelled."""
    return sum(turn.state.covered_lots(order) for order in turn.state.orders_in(position.portfolio, position.instrument_id)
               if order.intent.purpose is purpose and order.status not in UNSURE and not is_leaving(order)
               and level_ticks in (0, level_of(order)))


def exit_intent(  # noqa: PLR0913 - an intent has that many terms
        turn: Turn, position: Position, lots: Lots, kind: OrderKind, purpose: Purpose, *, limit_ticks: Ticks = 0,
        trigger_ticks: Ticks = 0, time_in_force: TimeInForce = TimeInForce.GTC, oco_group: str = "",
        reason: str = "") -> OrderIntent:
    """An order that takes `lots` off a position."""
    mark = turn.market.marks.get(position.instrument_id)
    return OrderIntent(
        client_order_id=turn.next_id(), portfolio=position.portfolio, account=position.account,
        instrument_id=position.instrument_id, side=Side.SELL if position.lots > 0 else Side.BUY, order_lots=lots, kind=kind,
        purpose=purpose, limit_ticks=limit_ticks, trigger_ticks=trigger_ticks, time_in_force=time_in_force, reduce_only=True,
        oco_group=oco_group,
        strategy=position.strategy, decision_ticks=mark.take_ticks(-position.sign) if mark else 0, reason=reason)


def _place(turn: Turn, position: Position, lots: Lots, ticks: Ticks, purpose: Purpose,
           oco_group: str, target_ticks: Ticks = 0) -> None:
    mark = turn.market.marks.get(position.instrument_id)
    if mark is not None and mark.at_ns < position.opened_at_ns:
        mark = None  # the fill is newer than any quote: where the market is now the venue knows
    if purpose is Purpose.STOP and mark and (mark.value_ticks(position.sign) - ticks) * position.sign <= 0:
        want_exit(turn, position, "the stop's level was already passed", seen_ticks=mark.value_ticks(position.sign))
        return
    refused = _refusals(turn, position, purpose, ticks, turn.at_ns - 10 * LONGEST_BACKOFF_SECONDS * NS_PER_SECOND)
    if refused:
        last = refused[-1]
        wait_ns = min(2 ** len(refused), LONGEST_BACKOFF_SECONDS) * NS_PER_SECOND
        if turn.at_ns - last.intended_at_ns < wait_ns:
            return
    kind = OrderKind.STOP if purpose is Purpose.STOP else OrderKind.LIMIT
    intent = exit_intent(turn, position, lots, kind, purpose, oco_group=oco_group,
                         limit_ticks=ticks if purpose is Purpose.TARGET else 0,
                         trigger_ticks=ticks if purpose is Purpose.STOP else 0, reason=f"{purpose} of the plan")
    intents = _as_pair(intent, target_ticks) if target_ticks else [intent]
    approved = [approve_exit(turn.state, one) for one in intents]
    sent = [one for one in approved if not isinstance(one, Refusal)]
    if len(sent) == len(intents):
        turn.submit(sent)


def _as_pair(stop: OrderIntent, target_ticks: Ticks) -> list[OrderIntent]:
    """A target and the stop beside it, for one request: the venue cancels the one once the other has filled."""
    group = stop.client_order_id
    target = msgspec.structs.replace(
        stop, kind=OrderKind.LIMIT, purpose=Purpose.TARGET, limit_ticks=target_ticks, trigger_ticks=0, oco_group=group,
        reason=f"{Purpose.TARGET} of the plan")
    return [target, msgspec.structs.replace(stop, client_order_id=group + STOP_SUFFIX, oco_group=group)]


def _refusals(turn: Turn, position: Position, purpose: Purpose, ticks: Ticks, since_ns: Nanoseconds) -> list[Order]:
    """The venue's refusals of this very level, so that a structural refusal is retried slowly; a part of a bracket that never
    reached the venue was refused by nobody."""
    return [order for order in turn.state.closed.values()
            if order.intended_at_ns > since_ns and order.intent.purpose is purpose
            and order.intent.instrument_id == position.instrument_id and order.intent.portfolio == position.portfolio
            and level_of(order) == ticks and order.status in NEVER_STOOD
            and not (order.status is OrderStatus.DENIED and order.intent.parent_id)]


# ---- leaving -------------------------------------------------------------------------------------------------------------


def _leave(turn: Turn, position: Position, orders: list[Order], can: VenueCapabilities) -> None:
    """Out at market, whatever it takes; after refusals through the book with a limit that may not rest there, then at market
    again. Where exits may not add up to more than is held, an entry of the other direction is in the way too."""
    for order in orders:
        adds = order.intent.side.sign == position.sign
        if order.intent.purpose is Purpose.ENTRY and (not position.exit_lots if adds else not can.reduce_only):
            turn.cancel(order, f"leaving: {position.exit_reason}")
    leaving = sum(order.leaves_lots for order in orders if order.intent.purpose in REDUCING_ONCE)
    missing = (min(position.exit_lots, abs(position.lots)) if position.exit_lots else abs(position.lots)) - leaving
    if missing <= 0 or turn.at_ns < position.exit_retry_at_ns:
        return
    others = [order for order in orders if order.intent.purpose in (Purpose.STOP, Purpose.TARGET)]
    if others and not can.reduce_only:
        for order in others:
            turn.cancel(order, f"leaving: {position.exit_reason}")
        return
    mark = turn.market.marks.get(position.instrument_id)
    through = mark is not None and position.exit_attempts >= REFUSALS_BEFORE_LIMIT and position.exit_attempts % 2 == 0
    limit_ticks = 0
    if through and mark is not None:
        reach = mark.last_ticks // COLLAR_PARTS
        limit_ticks = max(1, mark.bid_ticks - reach) if position.lots > 0 else mark.ask_ticks + reach
    intent = exit_intent(turn, position, missing, OrderKind.LIMIT if limit_ticks else OrderKind.MARKET, Purpose.EXIT,
                         limit_ticks=limit_ticks, reason=position.exit_reason,
                         time_in_force=TimeInForce.IOC if limit_ticks else TimeInForce.GTC)
    approved = approve_exit(turn.state, intent)
    if isinstance(approved, Refusal):
        turn.alert(AlertLevel.CRIT, "exit-blocked", position.instrument_id, f"cannot leave: {approved.message}")
        return
    turn.submit([approved])


def want_exit(turn: Turn, position: Position, reason: str, *, lots: Lots = 0, seen_ticks: Ticks = 0,
              command_id: str = "") -> None:
    """Decide to leave a position (or `lots` of it); it stays decided until that is done. A whole exit outranks a part."""
    if not position.exit_reason or (position.exit_lots and not lots):
        turn.emit(ExitWanted(position.key, reason, lots, seen_ticks, command_id))
    turn.touch(position.portfolio, position.instrument_id)


# ---- the ledger ----------------------------------------------------------------------------------------------------------


def keep_ledger(turn: Turn, portfolio: str, instrument_id: str) -> None:
    """Record where the position's stop lives whenever that changes, and whether anything guards it at all."""
    position = turn.state.position(portfolio, instrument_id)
    if position is None:
        return
    home, detail = _home_of(turn, position)
    known = turn.state.homes.get(position.key)
    bare = home is StopHome.NONE or (home is StopHome.PENDING and not engine_watches(turn, position))
    if known and (known.home, known.detail) == (home, detail) and bare == bool(position.bare_since_ns):
        return
    turn.emit(ProtectionChanged(position.key, home, bare, detail))
    if bare:
        turn.alert(AlertLevel.CRIT, "unprotected", instrument_id, f"nothing guards this position: {detail}")


def _home_of(turn: Turn, position: Position) -> tuple[StopHome, str]:
    stops = [order for order in turn.state.orders_in(position.portfolio, position.instrument_id)
             if order.intent.purpose is Purpose.STOP and may_stand(order)]
    firm = [order for order in stops if order.status not in IN_FLIGHT]
    lots = abs(position.lots)
    if sum(turn.state.covered_lots(order) for order in firm) >= lots:
        whole = next((order for order in firm if turn.state.covered_lots(order) >= lots), None)
        return StopHome.VENUE, ", ".join(order.venue_order_id for order in ([whole] if whole else firm))
    if sum(turn.state.covered_lots(order) for order in stops) >= lots:
        return StopHome.PENDING, "the stop is on its way to the venue"
    if not (position.plan.protects or position.stop_ticks):
        return StopHome.NONE, "no stop was asked for"
    if not engine_watches(turn, position):
        return StopHome.NONE, "no connection to the venue or no fresh price"
    if any(order.intent.parent_id in turn.state.orders for order in stops):
        return StopHome.ENGINE, "the engine watches the price: the venue's stop works once the entry is filled in full"
    return StopHome.ENGINE, "the engine watches the price"


def engine_watches(turn: Turn, position: Position) -> bool:
    """The engine can act on a stop: it has one, the venue answers, and prices of an open market are fresh."""
    if not (position.plan.protects or position.stop_ticks):
        return False
    if not may_act(turn.state.accounts[position.account]):
        return False
    mark = turn.market.marks.get(position.instrument_id)
    if not turn.market.session_open(turn.state.instruments[position.instrument_id].session, turn.at_ns):
        return mark is not None
    return mark is not None and turn.at_ns - mark.at_ns <= _stale_after_ns(turn, position)


def _stale_after_ns(turn: Turn, position: Position) -> Nanoseconds:
    limit = turn.state.portfolios[position.portfolio].settings.limits.stale_quote_seconds
    return max(STALE_WATCH_NS, int(limit * NS_PER_SECOND))
