"""Between a strategy's rule and the engine: what the rule is shown of its position, and its want as commands."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from decimal import Decimal

from engine.inputs import ClosePosition, PlaceOrder, SizeSpec, TrailSpec
from engine.instruments import Instrument
from engine.kernel.wants import BY_RISK, ENTER, LEAVE, Held, RuleWant, flat
from engine.orders import Purpose, Side
from engine.positions import entry_ticks
from engine.service import ProposalStatus
from engine.state import State
from engine.strategy_state import StrategySettings, command_id_of
from engine.units import NS_PER_SECOND, Lots, Nanoseconds

BPS = 10_000
BPS_A_PERCENT = Decimal(100)


def held_of(state: State, settings: StrategySettings, instrument: Instrument, closes_ns: Sequence[Nanoseconds]) -> Held:
    """What the strategy itself holds of an instrument; another's position is nothing of its own."""
    waiting = waiting_sign(state, settings, instrument)
    position = state.position(settings.portfolio, instrument.instrument_id)
    if position is None or position.strategy != settings.name:
        return flat()._replace(waiting=waiting)
    since = len(closes_ns) - bisect_right(closes_ns, position.opened_at_ns)
    return Held(position.lots, entry_ticks(position, instrument), position.stop_ticks, waiting, since)


def waiting_sign(state: State, settings: StrategySettings, instrument: Instrument) -> int:
    """The side of an entry of the strategy that is at work, or that waits for a person's answer."""
    for order in state.orders.values():
        intent = order.intent
        if intent.instrument_id == instrument.instrument_id and intent.strategy == settings.name \
                and intent.portfolio == settings.portfolio and intent.purpose is Purpose.ENTRY:
            return intent.side.sign
    for proposal in state.proposals.values():
        want = proposal.want
        if proposal.status is ProposalStatus.PENDING and want.origin == settings.name \
                and want.portfolio == settings.portfolio and instrument.is_called(want.symbol):
            return want.side.sign
    return 0


def command_of(settings: StrategySettings, instrument: Instrument, want: RuleWant, held: Held, close_ns: Nanoseconds,
               words: str) -> PlaceOrder | ClosePosition | None:
    """A want as the command that a person would give; None where there is nothing to do."""
    command_id = command_id_of(settings.name, instrument.instrument_id, close_ns)
    if want.act == LEAVE:
        return _leaving(settings, instrument, want, held, command_id)
    return _entering(settings, instrument, want, command_id, words) if want.act == ENTER else None


def _leaving(settings: StrategySettings, instrument: Instrument, want: RuleWant, held: Held,
             command_id: str) -> ClosePosition | None:
    lots = leaving_lots(held.lots, want.size_bps)
    if not lots:
        return None
    part = None if lots == abs(held.lots) else instrument.quantity(lots)
    return ClosePosition(command_id, instrument.instrument_id, settings.portfolio, part, by=settings.name)


def leaving_lots(held_lots: Lots, size_bps: int) -> Lots:
    """How many lots a part of a holding is, at least one; all of it from 10,000 on."""
    if size_bps >= BPS or not held_lots:
        return abs(held_lots)
    return max(1, abs(held_lots) * size_bps // BPS)


def _entering(settings: StrategySettings, instrument: Instrument, want: RuleWant, command_id: str, words: str) -> PlaceOrder:
    percent = Decimal(want.size_bps) / BPS_A_PERCENT
    by_risk = want.size_kind == BY_RISK
    return PlaceOrder(
        command_id, instrument.instrument_id, Side.BUY if want.sign > 0 else Side.SELL, settings.portfolio,
        risk_percent=percent if by_risk else None, size=None if by_risk else SizeSpec(share_percent=percent),
        stop=instrument.price(want.stop_ticks) if want.stop_ticks else None,
        target=instrument.price(want.target_ticks) if want.target_ticks else None,
        trail=TrailSpec(price=instrument.price(want.trail_ticks)) if want.trail_ticks else None,
        max_hold_seconds=-(-want.max_hold_ns // NS_PER_SECOND) if want.max_hold_ns else None,
        origin=settings.name, rationale=words, by=settings.name)


def price_words(instrument: Instrument) -> Callable[[float], str]:
    """Ticks as a person reads them."""
    return lambda ticks: f"{instrument.price(round(ticks)).normalize():f}"
