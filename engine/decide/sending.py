"""Sending an assessed entry: approved with its native protective children, or refused with the check that failed."""

from engine.inputs import PlaceOrder
from engine.orders import STOP_SUFFIX, TARGET_SUFFIX, OrderIntent, OrderKind, Purpose, TimeInForce
from engine.risk import approve_entry
from engine.service import Refusal
from engine.sizing import told_size
from engine.turn import Turn
from engine.want import KEPT_EXITS, Assessment, replace_intent

WAITED_FOR = frozenset({OrderKind.MARKET, OrderKind.LIMIT})


def describe(want: PlaceOrder) -> str:
    size = f"{want.quantity}" if want.quantity is not None else told_size(want)
    return f"{want.side} {size} {want.symbol} {want.kind}"


def send_entry(turn: Turn, want: PlaceOrder, found: Assessment, command_id: str) -> Refusal | None:
    """Submit an assessed entry; at a venue with native brackets together with its stop and target."""
    entry = replace_intent(found.intent, client_order_id=turn.next_id())
    children = bracket_children(turn, entry)
    approved = approve_entry(found.checks, entry, children)
    if isinstance(approved, Refusal):
        turn.refuse(command_id, describe(want), approved)
        return approved
    turn.submit(approved, command_id, found.card.clamps)
    kept = "".join(f"; {check.message}" for check in found.checks if check.name == KEPT_EXITS)
    turn.accept(command_id, f"{entry.side} {found.card.quantity} {found.card.symbol} sent{kept}",
                order_ids=tuple(one.intent.client_order_id for one in approved))
    return None


def bracket_children(turn: Turn, entry: OrderIntent) -> tuple[OrderIntent, ...]:
    """The stop and target that go out with an entry: only from flat, since they cover that entry's fills alone. A venue whose
    children wait gives them the entry's own time in force, so only with entries that do not end before the position does."""
    can = turn.state.account_of(entry.portfolio).capabilities
    plan = entry.plan
    busy = turn.state.position(entry.portfolio, entry.instrument_id) or turn.state.orders_in(entry.portfolio, entry.instrument_id)
    if not can.bracket or not can.stop or plan is None or not plan.stop_ticks or busy:
        return ()
    if can.children_wait and (entry.kind not in WAITED_FOR or entry.time_in_force is not TimeInForce.GTC):
        return ()
    common = {"purpose": Purpose.STOP, "side": entry.side.opposite, "limit_ticks": 0, "trigger_ticks": plan.stop_ticks,
              "kind": OrderKind.STOP, "reduce_only": True, "parent_id": entry.client_order_id,
              "oco_group": entry.client_order_id, "plan": None, "slice_of": "",
              "time_in_force": TimeInForce.GTC, "reason": "stop of the bracket"}
    base = entry.client_order_id
    children = [replace_intent(entry, **{**common, "client_order_id": base + STOP_SUFFIX})]
    if plan.target_ticks and can.oco:
        children.append(replace_intent(entry, **{
            **common, "client_order_id": base + TARGET_SUFFIX, "purpose": Purpose.TARGET, "kind": OrderKind.LIMIT,
            "trigger_ticks": 0, "limit_ticks": plan.target_ticks, "reason": "target of the bracket"}))
    return tuple(children)
