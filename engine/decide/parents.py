"""Orders over time at work: accepted as a whole, sent slice by slice on the engine's beat, ended by time, by a fill of the last
lot, by a person, or because their position was left."""

from decimal import Decimal

import msgspec

from engine.decide.sending import bracket_children, describe, send_entry
from engine.inputs import CancelOrder, PlaceOrder, TradingState
from engine.orders import Order, OrderIntent, OrderKind, Purpose
from engine.parent_events import ParentAccepted, ParentEnded, ParentSliced
from engine.parents import (
    BPS,
    LONGEST_SECONDS,
    SHORTEST_SECONDS,
    OverTime,
    Parent,
    Style,
    cumulative_lots,
    due_times,
    slice_count,
    volume_weights,
)
from engine.positions import Position
from engine.protection import want_exit
from engine.risk import approve_entry, entry_checks, refusal_of
from engine.service import AlertLevel, Refusal
from engine.state import State
from engine.turn import Turn
from engine.units import NS_PER_SECOND, Lots, div_up
from engine.want import Assessment, replace_intent

PROFILE_BARS = 2_000
LEFT = "its position was left meanwhile"


def send(turn: Turn, want: PlaceOrder, found: Assessment, command_id: str) -> Refusal | None:
    """An assessed entry goes out: in one, or over time where that was asked."""
    return accept_entry(turn, want, found, command_id) if want.over else send_entry(turn, want, found, command_id)


def accept_entry(turn: Turn, want: PlaceOrder, found: Assessment, command_id: str) -> Refusal | None:
    """Begin to enter over time: the whole of it must pass every check now, and is counted in full from now on."""
    assert want.over is not None
    failed = next((one for one in found.checks if not one.passed), None)
    refusal = refusal_of(failed) if failed else over_time_error(turn, found.intent, want.over)
    if refusal is not None:
        turn.refuse(command_id, describe(want), refusal)
        return refusal
    parent = _begin(turn, found.intent, want.over, command_id)
    turn.accept(command_id, f"{want.side} {found.card.quantity} {found.card.symbol} in {len(parent.due_ns)} slices until the end",
                order_ids=(parent.parent_id,))
    return None


def accept_exit(turn: Turn, want: PlaceOrder, position: Position, lots: Lots) -> None:
    """Begin to leave a position, or a part of it, over time."""
    assert want.over is not None
    mark = turn.market.marks.get(position.instrument_id)
    intent = OrderIntent(
        client_order_id="", portfolio=position.portfolio, account=position.account, instrument_id=position.instrument_id,
        side=want.side, order_lots=lots, kind=OrderKind.MARKET, purpose=Purpose.EXIT, reduce_only=True, strategy=want.origin,
        decision_ticks=mark.take_ticks(want.side.sign) if mark else 0, reason=want.rationale)
    refusal = over_time_error(turn, intent, want.over)
    if refusal is not None:
        turn.refuse(want.command_id, describe(want), refusal)
        return
    parent = _begin(turn, intent, want.over, want.command_id, position)
    turn.accept(want.command_id, f"{want.symbol} is left in {len(parent.due_ns)} slices", order_ids=(parent.parent_id,))


def over_time_error(turn: Turn, intent: OrderIntent, over: OverTime) -> Refusal | None:
    """Why an order cannot be worked off like that."""
    if not SHORTEST_SECONDS <= over.seconds <= LONGEST_SECONDS:
        return Refusal("over", f"{SHORTEST_SECONDS} s to {LONGEST_SECONDS // 86_400} days", f"{over.seconds} s",
                       "an order over time takes at least a minute and at most a week")
    if intent.kind not in (OrderKind.MARKET, OrderKind.LIMIT):
        return Refusal("kind", "market or limit", intent.kind, "an order over time is a market or a limit order")
    share = over.participation_percent
    if share is not None and not (share.is_finite() and 0 < share <= 100):
        return Refusal("participation", "0 to 100 %", str(share), "a participation is a part of the market's volume in percent")
    if (over.style is Style.VWAP or share is not None) and not turn.market.bars(intent.instrument_id, 1):
        return Refusal("volume", "closed bars", "none", "no volume of this instrument is known yet; spread it evenly (twap)")
    same = turn.state.parent_in(intent.portfolio, intent.instrument_id)
    return None if same is None else Refusal(
        "over", "one at a time", same.parent_id, f"{same.parent_id} is still at work in this instrument; cancel it first")


def _begin(turn: Turn, intent: OrderIntent, over: OverTime, command_id: str, leaves: Position | None = None) -> Parent:
    """Fix the plan and send the first slice; `leaves` is the position that it reduces."""
    parent_id = turn.next_id()
    instrument = turn.state.instruments[intent.instrument_id]
    price = intent.limit_ticks or intent.decision_ticks
    paying = div_up(instrument.min_notional_minor * instrument.value_den, max(1, price * instrument.value_num))
    count = slice_count(over.seconds, intent.order_lots, max(instrument.min_lots, paying, 1))
    ends_at_ns = turn.at_ns + over.seconds * NS_PER_SECOND
    due_ns = due_times(parent_id, turn.at_ns, over.seconds, count)
    weights = [1.0] * count
    if over.style is Style.VWAP:
        bars = turn.market.bars(intent.instrument_id, PROFILE_BARS)
        weights = volume_weights([(bar.open_ns, bar.close_ns, bar.volume_lots) for bar in bars], due_ns, ends_at_ns)
    parent = Parent(
        parent_id, replace_intent(intent, client_order_id=parent_id), over.style, turn.at_ns, ends_at_ns, due_ns,
        cumulative_lots(intent.order_lots, weights), int((over.participation_percent or Decimal(0)) * (BPS // 100)))
    if leaves is not None:
        parent = msgspec.structs.replace(parent, from_lots=abs(leaves.lots), from_closed_lots=leaves.closed_lots,
                                         opened_ns=leaves.opened_at_ns)
    turn.emit(ParentAccepted(parent, command_id))
    _work(turn, parent)
    return parent


# ---- on the beat ---------------------------------------------------------------------------------------------------------


def beat(turn: Turn) -> None:
    """Look at every parent that works: is it over, is a slice due."""
    for parent in list(turn.state.parents.values()):
        if parent.works:
            _work(turn, parent)


def _work(turn: Turn, parent: Parent) -> None:
    outcome = _over(turn, parent)
    if outcome:
        end(turn, parent, outcome)
        return
    place = parent.due_slice(turn.at_ns)
    if place is None:
        return
    if parent.from_lots:
        _slice_exit(turn, parent, place)
    else:
        _slice_entry(turn, parent, place)


def _over(turn: Turn, parent: Parent) -> str:
    """Why it is over, "" while it goes on."""
    position = turn.state.position(parent.intent.portfolio, parent.intent.instrument_id)
    outcome = _exit_over(parent, position) if parent.from_lots else _entry_over(turn.state, parent, position)
    return outcome or ("its time is over" if turn.at_ns >= parent.ends_at_ns else "")


def _exit_over(parent: Parent, position: Position | None) -> str:
    """A position that was opened anew is not the one that was to be left."""
    whole = parent.from_lots == parent.intent.order_lots
    if position is None:
        return "done" if whole else LEFT
    if not parent.is_for(position) or (position.exit_reason and not position.exit_lots):
        return LEFT
    return "done" if parent.done_lots(position) >= parent.intent.order_lots else ""


def _entry_over(state: State, parent: Parent, position: Position | None) -> str:
    """Nothing is added to another position than the one that it began, and nothing is begun again after a halt."""
    if parent.filled_lots >= parent.intent.order_lots:
        return "done"
    if position is None or not parent.is_for(position):
        if parent.filled_lots:
            return LEFT
    elif position.sign != parent.intent.side.sign:
        return "a position of the other side is held"
    elif position.exit_reason and not position.exit_lots:
        return LEFT
    trading_state = state.effective_state(parent.intent.portfolio)
    return "" if trading_state is TradingState.ACTIVE else f"{parent.intent.portfolio} is {trading_state}"


def open_slices(state: State, parent: Parent) -> list[Order]:
    """Its slices that may still execute."""
    return [order for order in state.orders.values() if order.intent.slice_of == parent.parent_id]


def _slice_entry(turn: Turn, parent: Parent, place: int) -> None:
    working_lots = sum(order.leaves_lots for order in open_slices(turn.state, parent))
    lots, waiting = _lots_due(turn, parent, place, parent.filled_lots + working_lots)
    if not lots:
        turn.emit(ParentSliced(parent.parent_id, place, 0, waiting))
        return
    mark = turn.market.marks.get(parent.intent.instrument_id)
    intent = replace_intent(parent.intent, order_lots=lots, slice_of=parent.parent_id,
                            decision_ticks=mark.take_ticks(parent.intent.side.sign) if mark else 0)
    checks = entry_checks(_less_reserved(turn.state, parent, lots), turn.market, turn.at_ns, intent)
    failed = next((one for one in checks if not one.passed), None)
    turn.emit(ParentSliced(parent.parent_id, place, 0 if failed else lots, failed.message if failed else waiting))
    intent = replace_intent(intent, client_order_id=turn.next_id())
    approved = approve_entry(checks, intent, bracket_children(turn, intent))
    if not isinstance(approved, Refusal):
        turn.submit(approved)


def _less_reserved(state: State, parent: Parent, lots: Lots) -> State:
    """The state in which a slice's lots are not reserved for it any more, so that its checks do not count them twice."""
    smaller = msgspec.structs.replace(parent, intent=replace_intent(parent.intent, order_lots=parent.intent.order_lots - lots))
    return msgspec.structs.replace(state, parents={**state.parents, parent.parent_id: smaller})


def _lots_due(turn: Turn, parent: Parent, place: int, committed_lots: Lots) -> tuple[Lots, str]:
    """How much goes out now, and why it is less than what was due."""
    wished = min(parent.due_lots[place] - committed_lots, parent.most_at_once)
    if wished <= 0:
        return 0, ""
    lots, waiting = wished, ""
    if parent.participation_bps:
        volume = turn.market.volume_since_lots(parent.intent.instrument_id, parent.started_at_ns) or 0
        allowed = max(0, volume * parent.participation_bps // BPS - committed_lots)
        if allowed < lots:
            lots, waiting = allowed, f"{parent.participation_bps / 100:g} % of the volume so far is used up"
    if _is_too_small(turn, parent, lots):
        return 0, waiting or "less than the venue's smallest order is due"
    rest = parent.intent.order_lots - committed_lots - lots
    return lots + rest if rest > 0 and not waiting and _is_too_small(turn, parent, rest) else lots, waiting


def _is_too_small(turn: Turn, parent: Parent, lots: Lots) -> bool:
    """Whether the venue would take no order for so few: what would be left over goes with the slice before it."""
    instrument = turn.state.instruments[parent.intent.instrument_id]
    mark = turn.market.marks.get(parent.intent.instrument_id)
    price = parent.intent.limit_ticks or (mark.take_ticks(parent.intent.side.sign) if mark else 0)
    return lots < instrument.min_lots or bool(price and instrument.notional_minor(price, lots) < instrument.min_notional_minor)


def _slice_exit(turn: Turn, parent: Parent, place: int) -> None:
    position = turn.state.position(parent.intent.portfolio, parent.intent.instrument_id)
    assert position is not None
    if position.exit_reason:
        turn.emit(ParentSliced(parent.parent_id, place, 0, "the slice before is still on its way"))
        return
    instrument = turn.state.instruments[parent.intent.instrument_id]
    lots, waiting = _lots_due(turn, parent, place, parent.done_lots(position))
    if lots and not turn.market.session_open(instrument.session, turn.at_ns):
        lots, waiting = 0, "the market is closed"
    turn.emit(ParentSliced(parent.parent_id, place, lots, waiting))
    if lots:
        whole = lots >= abs(position.lots)
        want_exit(turn, position, parent.intent.reason or f"left over time ({parent.style})", lots=0 if whole else lots)


# ---- the end -------------------------------------------------------------------------------------------------------------


def end(turn: Turn, parent: Parent, outcome: str, command_id: str = "") -> None:
    """Send nothing more of it, withdraw what is working, and say so where it is not done."""
    position = turn.state.position(parent.intent.portfolio, parent.intent.instrument_id)
    done_lots = min(parent.done_lots(position), parent.intent.order_lots)
    turn.emit(ParentEnded(parent.parent_id, outcome, command_id, done_lots if parent.from_lots else 0))
    for order in open_slices(turn.state, parent):
        turn.cancel(order, f"its parent order ended: {outcome}")
    if outcome != "done":
        instrument = turn.state.instruments[parent.intent.instrument_id]
        done, asked = (instrument.quantity(lots) for lots in (done_lots, parent.intent.order_lots))
        turn.alert(AlertLevel.WARN, "over-time", parent.parent_id,
                   f"{parent.intent.side} {done} of {asked} {instrument.symbol}: {outcome}")


def cancel(turn: Turn, parent: Parent, command: CancelOrder) -> None:
    """A person ends it; what was bought stays, protected."""
    end(turn, parent, f"cancelled by {command.by}", command.command_id)
    turn.accept(command.command_id, f"{parent.parent_id} is ended; what it has done stays", order_ids=(parent.parent_id,))


def withdraw(turn: Turn, portfolio: str, reason: str) -> int:
    """End the parents that enter, of a portfolio or of all where it is empty; how many."""
    entering = [parent for parent in turn.state.parents.values()
                if parent.works and not parent.from_lots and portfolio in ("", parent.intent.portfolio)]
    for parent in entering:
        end(turn, parent, reason)
    return len(entering)
