"""Orders by hand and by strategies: assessed, then sent, turned into a pending trade, or refused with the reason."""

from engine.decide import commands, proposals
from engine.inputs import AutomationLevel, ClosePosition, PlaceOrder
from engine.orders import OrderIntent, OrderKind, Purpose, TimeInForce
from engine.risk import approve_entry
from engine.service import Refusal
from engine.turn import Turn
from engine.want import Assessment, assess, exact_lots, replace_intent, resolve


def place_order(turn: Turn, want: PlaceOrder) -> None:
    """An order against an opposite position reduces it; anything else is an entry."""
    instrument = resolve(turn.state, want.symbol, want.portfolio)
    if isinstance(instrument, Refusal):
        turn.refuse(want.command_id, describe(want), instrument)
        return
    held = turn.state.position(want.portfolio, instrument.instrument_id)
    if held is not None and held.sign == -want.side.sign:
        _reduce(turn, want)
        return
    found = assess(turn.state, turn.market, turn.at_ns, want)
    if isinstance(found, Refusal):
        turn.refuse(want.command_id, describe(want), found)
        return
    if needs_approval(turn, want):
        proposals.propose(turn, want, found)
        return
    send_entry(turn, want, found, want.command_id)


def needs_approval(turn: Turn, want: PlaceOrder) -> bool:
    """A person's own order is its own approval; a strategy's needs one unless the portfolio executes by itself."""
    automation = turn.state.portfolios[want.portfolio].settings.automation
    return want.propose or (want.origin != "manual" and automation is not AutomationLevel.AUTO_EXECUTE)


def describe(want: PlaceOrder) -> str:
    size = f"{want.quantity}" if want.quantity is not None else f"{want.risk_percent}% risk"
    return f"{want.side} {size} {want.symbol} {want.kind}"


def _reduce(turn: Turn, want: PlaceOrder) -> None:
    """A sell of what is held (or a buy back) closes that much of it; it can never turn the position."""
    instrument = resolve(turn.state, want.symbol, want.portfolio)
    held = None if isinstance(instrument, Refusal) else turn.state.position(want.portfolio, instrument.instrument_id)
    if isinstance(instrument, Refusal) or held is None:
        return
    if want.kind is not OrderKind.MARKET or want.quantity is None or want.stop or want.target or want.trail:
        turn.refuse(want.command_id, describe(want), Refusal(
            "reduces", "a plain market order", f"{want.kind}",
            f"{want.symbol} is held the other way: close it at market, or set its levels with protect"))
        return
    lots = exact_lots(instrument, want.quantity)
    if isinstance(lots, Refusal):
        turn.refuse(want.command_id, describe(want), lots)
        return
    if lots > abs(held.lots):
        turn.refuse(want.command_id, describe(want), Refusal(
            "reduces", str(instrument.quantity(abs(held.lots))), str(want.quantity),
            f"only {instrument.quantity(abs(held.lots))} {want.symbol} is held; close it first, then open the other side"))
        return
    commands.close_position(turn, ClosePosition(want.command_id, want.symbol, want.portfolio, want.quantity, want.by))


def send_entry(turn: Turn, want: PlaceOrder, found: Assessment, command_id: str) -> Refusal | None:
    """Submit an assessed entry; at a venue with native brackets together with its stop and target."""
    entry = replace_intent(found.intent, client_order_id=turn.next_id())
    children = bracket_children(turn, entry)
    approved = approve_entry(found.checks, entry, children)
    if isinstance(approved, Refusal):
        turn.refuse(command_id, describe(want), approved)
        return approved
    turn.submit(approved, command_id)
    turn.accept(command_id, f"{entry.side} {found.card.quantity} {found.card.symbol} sent",
                order_ids=tuple(one.intent.client_order_id for one in approved))
    return None


def bracket_children(turn: Turn, entry: OrderIntent) -> tuple[OrderIntent, ...]:
    """The stop and target that go out with an entry: only from flat, since they cover that entry's fills alone."""
    can = turn.state.account_of(entry.portfolio).capabilities
    plan = entry.plan
    busy = turn.state.position(entry.portfolio, entry.instrument_id) or turn.state.orders_in(entry.portfolio, entry.instrument_id)
    if not can.bracket or not can.stop or plan is None or not plan.stop_ticks or busy:
        return ()
    common = {"purpose": Purpose.STOP, "side": entry.side.opposite, "limit_ticks": 0, "trigger_ticks": plan.stop_ticks,
              "kind": OrderKind.STOP, "reduce_only": True, "parent_id": entry.client_order_id,
              "oco_group": entry.client_order_id, "plan": None, "time_in_force": TimeInForce.GTC, "reason": "stop of the bracket"}
    base = entry.client_order_id
    children = [replace_intent(entry, **{**common, "client_order_id": f"{base}-s"})]
    if plan.target_ticks and can.oco:
        children.append(replace_intent(entry, **{
            **common, "client_order_id": f"{base}-t", "purpose": Purpose.TARGET, "kind": OrderKind.LIMIT,
            "trigger_ticks": 0, "limit_ticks": plan.target_ticks, "reason": "target of the bracket"}))
    return tuple(children)
