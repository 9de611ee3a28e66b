"""Pending trades: raised with a card, an expiry and a price band; approved once, exactly as shown, or not at all."""

from hashlib import sha256

import msgspec

from engine.decide.parents import send
from engine.events import Proposal, ProposalRaised, ProposalSettled
from engine.inputs import Approve, Decline, Halve, PlaceOrder, TrailSpec
from engine.instruments import Instrument
from engine.limits import BPS, check
from engine.research_approval import blocked
from engine.research_state import ORIGIN
from engine.service import AlertLevel, OrderCard, ProposalStatus, Refusal
from engine.state import State
from engine.turn import Turn
from engine.units import Ticks, seconds_to_ns, steps_down
from engine.want import Assessment, assess, resolve

EXPIRED = Refusal("expiry", "before its expiry", "expired", "nobody answered in time; ask for a new one")

_encoder = msgspec.json.Encoder(order="deterministic")


def digest_of(*parts: object) -> str:
    """A digest of exactly these values, as canonical JSON."""
    return sha256(_encoder.encode(parts)).hexdigest()[:32]


def context_of(state: State, instrument: Instrument, portfolio: str) -> str:
    """A digest of what a person took for granted when reading the card: the position, the orders in the instrument, the
    limits, the automation level and the trading state. Prices are bound by the band instead."""
    position = state.position(portfolio, instrument.instrument_id)
    settings = state.portfolios[portfolio].settings
    orders = [(order.client_order_id, order.leaves_lots) for order in state.orders_in(portfolio, instrument.instrument_id)]
    return digest_of(instrument, position.lots if position else 0, orders, settings.limits, settings.automation,
                     state.effective_state(portfolio))


def propose(turn: Turn, want: PlaceOrder, found: Assessment, decision_id: str = "") -> None:
    """Put a want before a person; one that fails its checks is refused at once instead of being shown. What research wants is
    known by its decision, whose id its command has."""
    failed = next((one for one in found.checks if not one.passed), None)
    if failed is not None:
        turn.refuse(want.command_id, f"propose {want.side} {want.symbol}",
                    Refusal(failed.name, failed.limit, failed.value, failed.message))
        return
    settings = turn.state.settings
    instrument = turn.state.instruments[found.intent.instrument_id]
    proposal_id = f"p{turn.next_id()}"
    reference = found.intent.decision_ticks
    reach = max(1, reference * settings.proposal_band_bps // BPS)
    expires_at_ns = turn.at_ns + seconds_to_ns(settings.proposal_seconds)
    # What was found is what is approved: a size or a trail found anew later could be another one than the card shows.
    plan = found.intent.plan
    trail = TrailSpec(price=instrument.price(plan.trail_ticks)) if plan and plan.trail_ticks else want.trail
    ranged = want.size is not None and want.size.atr is not None and want.stop is None and want.trail is None
    sized = msgspec.structs.replace(want, quantity=found.card.quantity, risk_percent=None, size=None, trail=trail,
                                    stop=found.card.stop if ranged else want.stop)
    proposal = Proposal(
        proposal_id=proposal_id, want=sized, card=found.card,
        digest=card_digest(proposal_id, sized, found.card, expires_at_ns, reference - reach, reference + reach),
        context=context_of(turn.state, instrument, want.portfolio), raised_at_ns=turn.at_ns, expires_at_ns=expires_at_ns,
        band_low_ticks=reference - reach, band_high_ticks=reference + reach,
        decision_id=decision_id or (want.command_id if want.origin == ORIGIN else ""))
    turn.emit(ProposalRaised(proposal, want.command_id))
    turn.alert(AlertLevel.INFO, "pending", proposal_id, f"{want.side} {found.card.quantity} {want.symbol} waits for an answer")
    turn.accept(want.command_id, "waits for an answer", proposal_id=proposal_id)


def card_digest(proposal_id: str, want: PlaceOrder, card: OrderCard, expires_at_ns: int, low: Ticks, high: Ticks) -> str:
    """What an approval is bound to: the want, the card, the expiry and the band, to the last character."""
    return digest_of(proposal_id, want, card, expires_at_ns, low, high)


def approve(turn: Turn, command: Approve) -> None:
    """Single use: an approval either sends exactly what was shown or ends the pending trade with the reason."""
    what = f"approve {command.proposal_id}"
    proposal = _as_shown(turn, command, what)
    if proposal is None:
        return
    refusal = blocked(turn.state, turn.market, turn.at_ns, proposal, command.flags_read)
    if refusal is not None:
        turn.refuse(command.command_id, what, refusal)
        return
    refusal = _changed_since(turn, proposal)
    found = assess(turn.state, turn.market, turn.at_ns, proposal.want) if refusal is None else refusal
    if not isinstance(found, Refusal):
        failed = next((one for one in found.checks if not one.passed), None)
        refusal = Refusal(failed.name, failed.limit, failed.value, failed.message) if failed else None
    else:
        refusal = found
    if refusal is not None or isinstance(found, Refusal):
        assert refusal is not None
        status = ProposalStatus.EXPIRED if refusal.check == "expiry" else ProposalStatus.REFUSED
        turn.emit(ProposalSettled(proposal.proposal_id, status, refusal.message, command.by))
        turn.refuse(command.command_id, what, refusal)
        return
    turn.emit(ProposalSettled(proposal.proposal_id, ProposalStatus.APPROVED, f"approved by {command.by}", command.by))
    cut = msgspec.structs.replace(found.card, clamps=proposal.card.clamps)
    intent = msgspec.structs.replace(found.intent, approved_by=command.by)
    send(turn, proposal.want, found._replace(card=cut, intent=intent), command.command_id)


def _as_shown(turn: Turn, command: Approve | Halve, what: str) -> Proposal | None:
    """The pending trade whose card was read; None where that is refused."""
    proposal = turn.state.proposals.get(command.proposal_id)
    if proposal is None or proposal.status is not ProposalStatus.PENDING:
        status = proposal.status if proposal else "unknown"
        turn.refuse(command.command_id, what, Refusal(
            "pending", "PENDING", status, f"{command.proposal_id} is {status}; it cannot be approved"))
        return None
    if command.digest != proposal.digest:
        turn.refuse(command.command_id, what, Refusal(
            "digest", proposal.digest, command.digest, "that is not the card that is pending; read it again"))
        return None
    return proposal


def halve(turn: Turn, command: Halve) -> None:
    """Half of a pending trade in its place, with a card and a digest of its own: the old one cannot be approved any more."""
    what = f"halve {command.proposal_id}"
    proposal = _as_shown(turn, command, what)
    if proposal is None:
        return
    if turn.at_ns >= proposal.expires_at_ns:
        turn.refuse(command.command_id, what, EXPIRED)
        return
    instrument = resolve(turn.state, proposal.want.symbol, proposal.want.portfolio)
    lots = steps_down(proposal.card.quantity / 2, instrument.lot_size) if isinstance(instrument, Instrument) else 0
    if isinstance(instrument, Refusal) or lots < instrument.min_lots:
        refusal = instrument if isinstance(instrument, Refusal) else Refusal(
            "size", f"{instrument.quantity(instrument.min_lots)}", f"{instrument.quantity(lots)}",
            f"half of {proposal.card.quantity} {proposal.want.symbol} is less than the smallest order")
        turn.refuse(command.command_id, what, refusal)
        return
    half = msgspec.structs.replace(proposal.want, command_id=command.command_id, quantity=instrument.quantity(lots))
    found = assess(turn.state, turn.market, turn.at_ns, half)
    failed = found if isinstance(found, Refusal) else next(
        (Refusal(one.name, one.limit, one.value, one.message) for one in found.checks if not one.passed), None)
    if failed is not None or isinstance(found, Refusal):
        assert failed is not None
        turn.refuse(command.command_id, what, failed)
        return
    turn.emit(ProposalSettled(proposal.proposal_id, ProposalStatus.DECLINED, f"halved by {command.by}", command.by))
    propose(turn, half, found, proposal.decision_id)


def _changed_since(turn: Turn, proposal: Proposal) -> Refusal | None:
    """Expired, out of its price band, or resting on a context that is no longer so."""
    instrument = resolve(turn.state, proposal.want.symbol, proposal.want.portfolio)
    if isinstance(instrument, Refusal):
        return instrument
    if turn.at_ns >= proposal.expires_at_ns:
        return EXPIRED
    mark = turn.market.marks.get(instrument.instrument_id)
    price = mark.take_ticks(proposal.want.side.sign) if mark else 0
    low, high = proposal.band_low_ticks, proposal.band_high_ticks
    band = check("price band", low <= price <= high, f"{instrument.price(low)} to {instrument.price(high)}",
                 instrument.price(price), f"the market moved to {instrument.price(price)}; ask for a new one")
    if not band.passed:
        return Refusal(band.name, band.limit, band.value, band.message)
    if context_of(turn.state, instrument, proposal.want.portfolio) != proposal.context:
        return Refusal("context", "as shown", "changed",
                       "the position, its orders, the limits or the trading state changed since; ask for a new one")
    return None


def decline(turn: Turn, command: Decline) -> None:
    proposal = turn.state.proposals.get(command.proposal_id)
    if proposal is None or proposal.status is not ProposalStatus.PENDING:
        status = proposal.status if proposal else "unknown"
        turn.refuse(command.command_id, f"decline {command.proposal_id}", Refusal(
            "pending", "PENDING", status, f"{command.proposal_id} is {status}; there is nothing to decline"))
        return
    reason = command.reason or f"declined by {command.by}"
    turn.emit(ProposalSettled(proposal.proposal_id, ProposalStatus.DECLINED, reason, command.by, command.command_id))
    turn.accept(command.command_id, "declined")
