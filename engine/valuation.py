"""What a portfolio is worth and what it risks, from the state and the newest prices. All money in minor units."""

from engine.kernel.exits import tighter_stop, trail_level
from engine.kernel.heat import open_risk_minor, order_risk_minor
from engine.market import MarketView
from engine.orders import Order, OrderIntent, OrderKind, Purpose
from engine.parents import Parent
from engine.positions import ExitPlan, Position, entry_ticks
from engine.state import State
from engine.units import Lots, Minor, Ticks


def mark_ticks(state: State, market: MarketView, position: Position) -> Ticks:
    """The price at which the position could leave; before any quote has come the last bar's close, without that its entry."""
    mark = market.marks.get(position.instrument_id)
    if mark is not None:
        return mark.value_ticks(position.sign)
    close_ticks = market.last_close_ticks(position.instrument_id)
    if close_ticks is not None:
        return close_ticks
    return entry_ticks(position, state.instruments[position.instrument_id])


def is_priced(market: MarketView, instrument_id: str) -> bool:
    """Whether the market has shown any price of an instrument, now or in its history."""
    return instrument_id in market.marks or market.last_close_ticks(instrument_id) is not None


def market_value_minor(state: State, market: MarketView, position: Position) -> Minor:
    instrument = state.instruments[position.instrument_id]
    return instrument.signed_notional_minor(mark_ticks(state, market, position), position.lots)


def portfolio_positions(state: State, portfolio: str) -> list[Position]:
    return [position for position in state.positions.values() if position.portfolio == portfolio]


def equity_minor(state: State, market: MarketView, portfolio: str) -> Minor:
    """Cash plus the market value of every position; exactly `cash + sum of values`."""
    account = state.account_of(portfolio)
    return account.cash_minor + sum(market_value_minor(state, market, position)
                                    for position in portfolio_positions(state, portfolio))


def gross_minor(state: State, market: MarketView, portfolio: str) -> Minor:
    return sum(abs(market_value_minor(state, market, position)) for position in portfolio_positions(state, portfolio))


def entry_orders(state: State, portfolio: str) -> list[Order]:
    """Entries that may still execute, UNKNOWN ones too, external ones by their own word; and what orders over time have not
    sent yet, as one order each."""
    entries = [order for order in state.orders.values()
               if order.intent.portfolio == portfolio and order.intent.purpose is Purpose.ENTRY]
    return entries + [unsent_order(state, parent) for parent in state.parents.values()
                      if parent.works and not parent.from_lots and parent.intent.portfolio == portfolio]


def unsent_order(state: State, parent: Parent) -> Order:
    """What an order over time has neither filled nor at work, as one working order."""
    working_lots = sum(order.leaves_lots for order in state.orders.values() if order.intent.slice_of == parent.parent_id)
    return parent.as_order(parent.unsent_lots(working_lots))


def worst_entry_ticks(intent: OrderIntent, taking: Ticks) -> Ticks:
    """The worst price at which an entry may execute as far as is known now; `taking` is where the market could be taken.

    A buy's limit is its worst; a sell may execute better than its limit, which is more notional; a stop that the market
    has passed executes at the market.
    """
    if intent.kind is OrderKind.MARKET:
        return taking
    if intent.kind is OrderKind.STOP:
        return max(intent.trigger_ticks, taking) if intent.side.sign > 0 else min(intent.trigger_ticks, taking or 1 << 62)
    return intent.limit_ticks if intent.side.sign > 0 else max(intent.limit_ticks, taking)


def reference_ticks(market: MarketView, order: Order) -> Ticks:
    """The worst price of a working entry, by the newest quote."""
    mark = market.marks.get(order.intent.instrument_id)
    return worst_entry_ticks(order.intent, mark.take_ticks(order.intent.side.sign) if mark else order.intent.decision_ticks)


def working_notional_minor(state: State, market: MarketView, portfolio: str) -> Minor:
    """What the open entries would cost if all of them executed in full."""
    return sum(state.instruments[order.intent.instrument_id].notional_minor(reference_ticks(market, order), order.leaves_lots)
               for order in entry_orders(state, portfolio))


def position_risk_minor(state: State, market: MarketView, position: Position) -> Minor:
    """What the position loses down to its stop, with the gap allowance and the fee; all of it where there is no stop."""
    instrument = state.instruments[position.instrument_id]
    return open_risk_minor(position.lots, mark_ticks(state, market, position), position.stop_ticks,
                           instrument.value_num, instrument.value_den, state.settings.gap_allowance_bps,
                           instrument.taker_fee_ppm)


def first_stop_ticks(plan: ExitPlan | None, sign: int, entry: Ticks) -> Ticks:
    """The stop that a position entered at that price would start with; 0 where the plan has none."""
    if plan is None:
        return 0
    return tighter_stop(sign, plan.stop_ticks, trail_level(sign, entry, plan.trail_ticks, plan.trail_bps))


def entry_stop_ticks(state: State, intent: OrderIntent, entry: Ticks) -> Ticks:
    """The stop that will govern an entry's lots; 0 where none will.

    A position that has a stop keeps it when it grows, whatever stop the entry names. A resting entry may fill after that
    position is gone: of the position's stop and its own the one further away counts.
    """
    sign = intent.side.sign
    own = first_stop_ticks(intent.plan, sign, entry)
    held = state.position(intent.portfolio, intent.instrument_id)
    if held is None or held.sign != sign or not held.stop_ticks:
        return own
    if intent.kind is OrderKind.MARKET or not own:
        return held.stop_ticks
    return min(own, held.stop_ticks) if sign > 0 else max(own, held.stop_ticks)


def entry_risk_minor(state: State, market: MarketView, order: Order) -> Minor:
    """What a working entry would risk once filled; an UNKNOWN order counts in full."""
    return intended_risk_minor(state, order.intent, reference_ticks(market, order), order.leaves_lots)


def intended_risk_minor(state: State, intent: OrderIntent, entry: Ticks, lots: Lots) -> Minor:
    """What `lots` of an entry at that price would risk down to the stop that will govern them."""
    instrument = state.instruments[intent.instrument_id]
    sign = intent.side.sign
    return order_risk_minor(sign, lots, entry, entry_stop_ticks(state, intent, entry), instrument.value_num,
                            instrument.value_den, state.settings.gap_allowance_bps, instrument.taker_fee_ppm)


def heat_minor(state: State, market: MarketView, portfolio: str) -> Minor:
    """Open risk of positions and of working entries."""
    positions = sum(position_risk_minor(state, market, position) for position in portfolio_positions(state, portfolio))
    return positions + sum(entry_risk_minor(state, market, order) for order in entry_orders(state, portfolio))


def fraction(part: Minor, whole: Minor) -> float:
    """A part of equity; infinite where there is no equity to speak of."""
    if whole > 0:
        return part / whole
    return float("inf") if part > 0 else 0.0
