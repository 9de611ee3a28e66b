"""Fills folded into positions, exactly: money in minor units, so cash plus positions is equity to the last unit."""

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from engine.kernel.exits import ExitState, trailed
from engine.units import Lots, Minor, Nanoseconds, Ticks

if TYPE_CHECKING:  # orders.py builds on ExitPlan, so only the type checker may look the other way
    from engine.instruments import Instrument
    from engine.orders import Fill, OrderIntent

EXTERNAL = "EXTERNAL"


class ExitPlan(NamedTuple):
    """How a position is protected, in ticks; 0 stands for "not asked".

    `trail_ticks` (a price offset, also what an ATR trail was resolved to) and `trail_bps` are alternatives.
    Breakeven moves the stop to `breakeven_to_ticks` once the price has reached `breakeven_at_ticks`.
    """

    stop_ticks: Ticks = 0
    target_ticks: Ticks = 0
    trail_ticks: Ticks = 0
    trail_bps: int = 0
    breakeven_at_ticks: Ticks = 0
    breakeven_to_ticks: Ticks = 0
    max_hold_ns: Nanoseconds = 0

    @property
    def protects(self) -> bool:
        """Whether the plan bounds a loss."""
        return bool(self.stop_ticks or self.trail_ticks or self.trail_bps)


class Position(msgspec.Struct, frozen=True, omit_defaults=True):
    """The signed net of fills in one instrument of one portfolio.

    `cost_minor` is the signed money paid for the open lots (negative for a short), fees apart; `entry_value` is their
    entry in ticks times lots, which unlike money is not rounded to minor units. `stop_ticks` is the
    level in force (it never retreats), `best_ticks` the best price since entry, `initial_risk_minor` is 1R, fixed at
    entry. `bare_since_ns` is when the position last lost its stop (0 while protected), `bare_total_ns` the sum so far.
    `realized_minor` is before fees, `fees_minor` all fees so far, `closed_lots` what partial exits have closed.
    `exit_reason` is why the engine wants out (empty: it does not), `exit_lots` how much (0: all),
    with the attempts made and when the next is due;
    `touched_at_ns` is when the price first reached a level that an order at the venue should have acted on.
    For statistics only: what was decided by whom, all lots ever entered, the average prices of all entries and exits, the lowest
    and highest price seen, as far as events have told it, and the market's regime when it was opened.
    """

    portfolio: str
    account: str
    instrument_id: str
    strategy: str
    lots: Lots
    cost_minor: Minor
    opened_at_ns: Nanoseconds
    opened_by: str
    entry_value: int = 0
    realized_minor: Minor = 0
    fees_minor: Minor = 0
    plan: ExitPlan = ExitPlan()
    stop_ticks: Ticks = 0
    best_ticks: Ticks = 0
    initial_risk_minor: Minor = 0
    bare_since_ns: Nanoseconds = 0
    bare_total_ns: Nanoseconds = 0
    closed_lots: Lots = 0
    exit_reason: str = ""
    exit_lots: Lots = 0
    exit_attempts: int = 0
    exit_retry_at_ns: Nanoseconds = 0
    touched_at_ns: Nanoseconds = 0
    decision: str = ""
    entered_lots: Lots = 0
    entered_ticks: float = 0.0
    exited_ticks: float = 0.0
    low_ticks: Ticks = 0
    high_ticks: Ticks = 0
    regime: str = ""

    @property
    def key(self) -> str:
        return position_key(self.portfolio, self.instrument_id)

    @property
    def sign(self) -> int:
        return (self.lots > 0) - (self.lots < 0)


class RoundTrip(msgspec.Struct, frozen=True):
    """A position from flat to flat, or the part of it that a reversal ended.

    `lots` is all that was closed on the way, `realized_minor` is before `fees_minor`. `entry_ticks` and `exit_ticks` are average
    prices, `low_ticks` and `high_ticks` the extremes seen meanwhile; all are 0 where they were recorded before these were kept.
    """

    portfolio: str
    instrument_id: str
    strategy: str
    side: int
    lots: Lots
    opened_at_ns: Nanoseconds
    closed_at_ns: Nanoseconds
    realized_minor: Minor
    fees_minor: Minor
    initial_risk_minor: Minor
    exit_reason: str
    decision: str = ""
    entry_ticks: float = 0.0
    exit_ticks: float = 0.0
    low_ticks: Ticks = 0
    high_ticks: Ticks = 0
    regime: str = ""


def decision_of(intent: "OrderIntent | None") -> str:
    """Who decided on an order: a person, a strategy, a rule of theirs, or a person who approved what another proposed."""
    if intent is None or intent.strategy == EXTERNAL:
        return "external"
    if intent.approved_by:
        return "approved proposal"
    if intent.strategy in ("manual", "panic"):
        return intent.strategy
    return "alert" if intent.strategy.startswith("alert:") else "strategy"


def seen(position: Position, low_ticks: Ticks, high_ticks: Ticks) -> Position:
    """The position after prices between these two; 0 tells nothing."""
    low = min(position.low_ticks or low_ticks, low_ticks) if low_ticks else position.low_ticks
    high = max(position.high_ticks, high_ticks)
    if (low, high) == (position.low_ticks, position.high_ticks):
        return position
    return msgspec.structs.replace(position, low_ticks=low, high_ticks=high)


def _average(known: float, lots: Lots, ticks: Ticks, more: Lots) -> float:
    """An average price with some more lots in it."""
    return (known * lots + ticks * more) / (lots + more)


def position_key(portfolio: str, instrument_id: str) -> str:
    """The key of a position in the state."""
    return f"{portfolio}|{instrument_id}"


def closed_cost_minor(cost_minor: Minor, lots: Lots, closed_lots: Lots) -> Minor:
    """The share of the cost that leaves with `closed_lots`; the rest stays exact because it is found by subtraction."""
    return cost_minor if closed_lots == abs(lots) else cost_minor * closed_lots // abs(lots)


def cash_delta_minor(fill: "Fill", instrument: "Instrument") -> Minor:
    """What a fill does to cash, fee included: what is paid is rounded up, what is received rounded down.

    A fee that was kept in kind comes out of the position instead: its value is taken and given back at once.
    """
    kept_minor = instrument.signed_notional_minor(fill.last_ticks, fill.base_fee_lots)
    return instrument.signed_notional_minor(fill.last_ticks, -fill.side.sign * fill.last_lots) - fill.fee_minor + kept_minor


def entry_ticks(position: Position, instrument: "Instrument") -> Ticks:
    """The average entry of the open lots, rounded away from risk: a long's up, a short's down; 0 when flat."""
    if position.lots == 0:
        return 0
    value, lots = position.entry_value, abs(position.lots)
    if not value:  # a position recorded before the value was kept: its money, rounded as that is
        value, lots = abs(position.cost_minor) * instrument.value_den, lots * instrument.value_num
    return -(-value // lots) if position.lots > 0 else value // lots


def exit_state(position: Position, instrument: "Instrument") -> ExitState:
    """The position as the exit rules see it."""
    plan = position.plan
    return ExitState(position.sign, entry_ticks(position, instrument), position.opened_at_ns, position.stop_ticks,
                     position.best_ticks, plan.target_ticks, plan.trail_ticks, plan.trail_bps,
                     plan.breakeven_at_ticks, plan.breakeven_to_ticks, plan.max_hold_ns)


def fold_fill(position: Position | None, fill: "Fill", instrument: "Instrument", intent: "OrderIntent | None",
              portfolio: str) -> tuple[Position | None, tuple[RoundTrip, ...]]:
    """The position after a fill, None once flat, and the round trips that the fill ended.

    Money is exact: cash = initial cash + all realized - all fees - the cost of what is open, after every fill. A fill
    beyond zero closes the position and opens the rest on the other side. The caller folds each fill only once.
    """
    if fill.last_lots <= 0:
        return position, ()
    if fill.base_fee_lots:
        return _fold_with_fee_in_kind(position, fill, instrument, intent, portfolio)
    sign = fill.side.sign
    paid_minor = -instrument.signed_notional_minor(fill.last_ticks, -sign * fill.last_lots)
    if position is None or position.lots == 0:
        return _opened(fill, sign * fill.last_lots, paid_minor, fill.fee_minor, instrument, intent, portfolio), ()
    if position.sign == sign:
        return _grown(position, fill, paid_minor, instrument, intent), ()
    closed_lots = min(fill.last_lots, abs(position.lots))
    rest_lots = fill.last_lots - closed_lots
    if rest_lots == 0:
        reduced = _reduced(position, fill, closed_lots, paid_minor, fill.fee_minor)
        return (reduced, ()) if reduced.lots else (None, (_round_trip(reduced, position.sign, fill, intent),))
    closing_paid_minor = -instrument.signed_notional_minor(fill.last_ticks, -sign * closed_lots)
    closing_fee_minor = fill.fee_minor * closed_lots // fill.last_lots
    ended = _reduced(position, fill, closed_lots, closing_paid_minor, closing_fee_minor)
    reopened = _opened(fill, sign * rest_lots, paid_minor - closing_paid_minor, fill.fee_minor - closing_fee_minor,
                       instrument, intent, portfolio)
    return reopened, (_round_trip(ended, position.sign, fill, intent),)


def _fold_with_fee_in_kind(position: Position | None, fill: "Fill", instrument: "Instrument", intent: "OrderIntent | None",
                           portfolio: str) -> tuple[Position | None, tuple[RoundTrip, ...]]:
    """All lots are folded in, then those that the venue kept leave at the same price, which pays the fee."""
    gross = msgspec.structs.replace(fill, base_fee_lots=0)
    kept = msgspec.structs.replace(gross, side=fill.side.opposite if fill.side.sign > 0 else fill.side,
                                   last_lots=fill.base_fee_lots, fee_minor=0)
    between, ended = fold_fill(position, gross, instrument, intent, portfolio)
    after, ended_by_fee = fold_fill(between, kept, instrument, intent, portfolio)
    return after, (*ended, *ended_by_fee)


def _opened(fill: "Fill", lots: Lots, cost_minor: Minor, fee_minor: Minor, instrument: "Instrument",
            intent: "OrderIntent | None", portfolio: str) -> Position:
    plan = intent.plan if intent is not None and intent.plan is not None else ExitPlan()
    bare = Position(
        portfolio=portfolio, account=fill.account, instrument_id=fill.instrument_id,
        strategy=EXTERNAL if intent is None else intent.strategy, lots=lots, cost_minor=cost_minor,
        opened_at_ns=fill.at_ns, opened_by=fill.client_order_id, fees_minor=fee_minor, best_ticks=fill.last_ticks,
        entry_value=abs(lots) * fill.last_ticks, decision=decision_of(intent), entered_lots=abs(lots),
        entered_ticks=float(fill.last_ticks), low_ticks=fill.last_ticks, high_ticks=fill.last_ticks)
    return _with_plan(bare, plan, fill, instrument)


def _with_plan(position: Position, plan: ExitPlan, fill: "Fill", instrument: "Instrument") -> Position:
    """The position under its first plan; 1R is what the whole of it loses if that plan's stop fills at the stop."""
    planned = msgspec.structs.replace(position, plan=plan, stop_ticks=plan.stop_ticks)
    stop_ticks, best_ticks = trailed(exit_state(planned, instrument), fill.last_ticks)
    bare_since_ns, bare_total_ns = position.bare_since_ns, position.bare_total_ns
    if not stop_ticks:
        bare_since_ns = bare_since_ns or fill.at_ns
    elif bare_since_ns:
        bare_since_ns, bare_total_ns = 0, bare_total_ns + max(0, fill.at_ns - bare_since_ns)
    return msgspec.structs.replace(
        planned, stop_ticks=stop_ticks, best_ticks=best_ticks, bare_since_ns=bare_since_ns, bare_total_ns=bare_total_ns,
        initial_risk_minor=_risk_minor(position.cost_minor, position.lots, stop_ticks, instrument))


def _risk_minor(cost_minor: Minor, lots: Lots, stop_ticks: Ticks, instrument: "Instrument") -> Minor:
    """What lots bought for `cost_minor` lose at the stop, fees apart; 0 without a stop, since there is no R then."""
    return max(0, cost_minor - instrument.signed_notional_minor(stop_ticks, lots)) if stop_ticks else 0


def _grown(position: Position, fill: "Fill", paid_minor: Minor, instrument: "Instrument",
           intent: "OrderIntent | None") -> Position:
    """More of the same side: the plan and its stop stay, since a stop never retreats; only a bare position takes a plan."""
    added_lots = fill.side.sign * fill.last_lots
    known_lots = position.entered_lots  # 0: recorded before entries were kept, and then for good
    grown = msgspec.structs.replace(
        seen(position, fill.last_ticks, fill.last_ticks), entered_lots=known_lots + fill.last_lots if known_lots else 0,
        entered_ticks=_average(position.entered_ticks, known_lots, fill.last_ticks, fill.last_lots) if known_lots else 0.0,
        lots=position.lots + added_lots, cost_minor=position.cost_minor + paid_minor,
        fees_minor=position.fees_minor + fill.fee_minor,
        entry_value=position.entry_value + fill.last_lots * fill.last_ticks,
        initial_risk_minor=position.initial_risk_minor
        + _risk_minor(paid_minor, added_lots, position.stop_ticks, instrument))
    if position.stop_ticks or intent is None or intent.plan is None or not intent.plan.protects:
        return grown
    return _with_plan(grown, intent.plan, fill, instrument)


def _reduced(position: Position, fill: "Fill", closed_lots: Lots, paid_minor: Minor, fee_minor: Minor) -> Position:
    cost_minor = closed_cost_minor(position.cost_minor, position.lots, closed_lots)
    entry_value = closed_cost_minor(position.entry_value, position.lots, closed_lots)
    return msgspec.structs.replace(
        seen(position, fill.last_ticks, fill.last_ticks),
        exited_ticks=_average(position.exited_ticks, position.closed_lots, fill.last_ticks, closed_lots),
        lots=position.lots - position.sign * closed_lots, cost_minor=position.cost_minor - cost_minor,
        entry_value=position.entry_value - entry_value,
        realized_minor=position.realized_minor - paid_minor - cost_minor, fees_minor=position.fees_minor + fee_minor,
        closed_lots=position.closed_lots + closed_lots)


def _round_trip(ended: Position, side: int, fill: "Fill", intent: "OrderIntent | None") -> RoundTrip:
    reason = EXTERNAL if intent is None else intent.reason or intent.purpose.value
    return RoundTrip(
        portfolio=ended.portfolio, instrument_id=ended.instrument_id, strategy=ended.strategy, side=side,
        lots=ended.closed_lots, opened_at_ns=ended.opened_at_ns, closed_at_ns=fill.at_ns,
        realized_minor=ended.realized_minor, fees_minor=ended.fees_minor,
        initial_risk_minor=ended.initial_risk_minor, exit_reason=reason, decision=ended.decision,
        entry_ticks=ended.entered_ticks, exit_ticks=ended.exited_ticks if ended.entered_ticks else 0.0,
        low_ticks=ended.low_ticks if ended.entered_ticks else 0, high_ticks=ended.high_ticks if ended.entered_ticks else 0,
        regime=ended.regime)
