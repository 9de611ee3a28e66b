"""Orders by hand and by strategies: assessed, then sent, turned into a pending trade, or refused with the reason."""

from engine.decide import commands, parents, proposals
from engine.decide.sending import describe
from engine.inputs import AutomationLevel, ClosePosition, PlaceOrder
from engine.instruments import Instrument
from engine.market import MarketView
from engine.orders import OrderKind
from engine.positions import Position
from engine.service import OrderCard, Refusal
from engine.state import State
from engine.turn import Turn
from engine.units import Lots, Nanoseconds
from engine.want import assess, closing_card, exact_lots, resolve


def place_order(turn: Turn, want: PlaceOrder) -> None:
    """An order against an opposite position reduces it; anything else is an entry."""
    instrument = resolve(turn.state, want.symbol, want.portfolio)
    if isinstance(instrument, Refusal):
        turn.refuse(want.command_id, describe(want), instrument)
        return
    held = turn.state.position(want.portfolio, instrument.instrument_id)
    if held is not None and held.sign == -want.side.sign:
        _reduce(turn, want, instrument, held)
        return
    found = assess(turn.state, turn.market, turn.at_ns, want)
    if isinstance(found, Refusal):
        turn.refuse(want.command_id, describe(want), found)
        return
    refusal = parents.over_time_error(turn, found.intent, want.over) if want.over is not None else None
    if refusal is not None:
        turn.refuse(want.command_id, describe(want), refusal)
        return
    if needs_approval(turn.state, want):
        proposals.propose(turn, want, found)
        return
    parents.send(turn, want, found, want.command_id)


def needs_approval(state: State, want: PlaceOrder) -> bool:
    """A person's own order is its own approval; a strategy's needs one unless the portfolio executes by itself."""
    automation = state.portfolios[want.portfolio].settings.automation
    return want.propose or (want.origin != "manual" and automation is not AutomationLevel.AUTO_EXECUTE)


def reduction(state: State, want: PlaceOrder, instrument: Instrument, held: Position) -> Lots | Refusal:
    """How much of what is held the other way an order closes; it can never turn the position."""
    if needs_approval(state, want):
        return Refusal("approval", "a person's own order", want.origin,
                       f"{want.origin} may not close {want.symbol} by itself in {want.portfolio}: close it by hand; "
                       "its stop stays")
    levels = (want.stop, want.target, want.trail, want.breakeven_at, want.max_hold_seconds)
    if want.kind is not OrderKind.MARKET or want.quantity is None or any(levels):
        return Refusal("reduces", "a plain market order", f"{want.kind}",
                       f"{want.symbol} is held the other way: close it at market, or set its levels with protect")
    lots = exact_lots(instrument, want.quantity)
    if isinstance(lots, Refusal):
        return lots
    if lots > abs(held.lots):
        most = instrument.quantity(abs(held.lots))
        return Refusal("reduces", str(most), str(want.quantity),
                       f"only {most} {want.symbol} is held; close it first, then open the other side")
    return lots


def _reduce(turn: Turn, want: PlaceOrder, instrument: Instrument, held: Position) -> None:
    """A sell of what is held (or a buy back) closes that much of it."""
    lots = reduction(turn.state, want, instrument, held)
    if isinstance(lots, Refusal):
        turn.refuse(want.command_id, describe(want), lots)
        return
    if want.over is not None:
        parents.accept_exit(turn, want, held, lots)
        return
    commands.close_position(turn, ClosePosition(want.command_id, want.symbol, want.portfolio, want.quantity, want.by))


def previewed(state: State, market: MarketView, at_ns: Nanoseconds, want: PlaceOrder) -> OrderCard | Refusal:
    """What `place_order` would make of an order: the card of an entry, or of what it would close."""
    instrument = resolve(state, want.symbol, want.portfolio)
    if isinstance(instrument, Refusal):
        return instrument
    held = state.position(want.portfolio, instrument.instrument_id)
    if held is None or held.sign != -want.side.sign:
        found = assess(state, market, at_ns, want)
        return found if isinstance(found, Refusal) else found.card
    lots = reduction(state, want, instrument, held)
    return lots if isinstance(lots, Refusal) else closing_card(state, market, held, want, lots)
