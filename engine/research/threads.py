"""A portfolio's thread: what was decided, done and learned, told by code, newest first; its last seven days go before models."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from operator import attrgetter

from engine.events import Proposal
from engine.instruments import Instrument
from engine.plain_text import plain
from engine.positions import RoundTrip
from engine.research.canonical import decimal_text, utc_text
from engine.research.decided import Decided
from engine.research.resolution import Outcome
from engine.research_state import SealedDecision
from engine.research_words import ThreadEntry, ThreadView
from engine.state import SettledFill, State
from engine.trading_hours import NS_PER_DAY
from engine.units import NS_PER_SECOND, Nanoseconds

DIGEST_DAYS = 7
MOST_TOKENS = 1_500
CHARACTERS_A_TOKEN = 3  # fewer than any tokenizer makes of English, so that the bound holds whoever counts
MOST_REASON = 120
KIND = "research"


def thread_id_of(portfolio: str) -> str:
    """The one thread of a portfolio."""
    return f"t-{portfolio}"


def entries_of(state: State, portfolio: str, decisions: Iterable[SealedDecision]) -> tuple[ThreadEntry, ...]:
    """Everything that the state tells of one portfolio, newest first. This is the only place where a thread is put together:
    each part is asked for by the portfolio's name here."""
    entries = [_fill(fill, state.instruments) for fill in state.recent_fills if fill.portfolio == portfolio]
    entries += [_round_trip(trip, state.instruments) for trip in state.round_trips if trip.portfolio == portfolio]
    entries += [_proposal(one) for one in state.proposals.values() if one.card.portfolio == portfolio]
    for sealed in decisions:
        if sealed.decided.portfolio == portfolio:
            entries.append(_decision(sealed))
            if sealed.outcome is not None:
                entries.append(_result(sealed.decided, sealed.outcome))
    return tuple(sorted(entries, key=attrgetter("at_ns", "kind", "symbol", "text"), reverse=True))


def digest_of(entries: Sequence[ThreadEntry], as_of_ns: Nanoseconds) -> str:
    """The last seven days as lines, newest first, as many whole lines as fit 1,500 tokens; the rest is counted, not summed up.
    What lies after `as_of_ns` is left out."""
    recent = [one for one in entries if as_of_ns - DIGEST_DAYS * NS_PER_DAY < one.at_ns <= as_of_ns]
    room = MOST_TOKENS * CHARACTERS_A_TOKEN - 40
    lines: list[str] = []
    for entry in recent:
        line = f"{utc_text(entry.at_ns // NS_PER_SECOND * NS_PER_SECOND)} {entry.kind} {entry.symbol} {entry.text}"
        room -= len(line.encode()) + 1
        if room < 0:
            lines.append(f"and {len(recent) - len(lines)} earlier entries")
            break
        lines.append(line)
    return "\n".join(lines)


def thread_view(entries: Sequence[ThreadEntry], portfolio: str, as_of_ns: Nanoseconds, limit: int = 200) -> ThreadView:
    """The thread as it is shown."""
    return ThreadView(thread_id_of(portfolio), portfolio, KIND, digest_of(entries, as_of_ns), tuple(entries[:limit]))


def _fill(settled: SettledFill, instruments: Mapping[str, Instrument]) -> ThreadEntry:
    fill = settled.fill
    instrument = instruments[fill.instrument_id]
    return ThreadEntry(fill.at_ns, "fill", instrument.symbol,
                       f"{fill.side.value} {decimal_text(instrument.quantity(fill.last_lots))} at "
                       f"{decimal_text(instrument.price(fill.last_ticks))} ({settled.purpose.value})")


def _round_trip(trip: RoundTrip, instruments: Mapping[str, Instrument]) -> ThreadEntry:
    instrument = instruments[trip.instrument_id]
    result = instrument.money(trip.realized_minor - trip.fees_minor)
    return ThreadEntry(trip.closed_at_ns, "round_trip", instrument.symbol,
                       f"closed with {_signed(result)} {instrument.quote_currency}")


def _proposal(proposal: Proposal) -> ThreadEntry:
    card = proposal.card
    reason = f": {plain(proposal.status_reason)[:MOST_REASON]}" if proposal.status_reason else ""
    return ThreadEntry(proposal.raised_at_ns, "proposal", card.symbol,
                       f"{card.side.value} {decimal_text(card.quantity)} {proposal.status.value}{reason}")


def _decision(sealed: SealedDecision) -> ThreadEntry:
    decided, worth = sealed.decided, sealed.decided.worth
    numbers = "" if worth is None else f" p_up {worth.p_cal:.3f} expected {worth.ev_bps:+.0f} bps"
    why = sealed.reason or decided.code or decided.reason
    return ThreadEntry(decided.as_of_ns, "decision", decided.symbol,
                       f"{decided.stance.value} {decided.horizon_days} d by {decided.analyst}{numbers}, {sealed.status.value}"
                       f"{f': {plain(why)[:MOST_REASON]}' if why else ''}")


def _result(decided: Decided, outcome: Outcome) -> ThreadEntry:
    if outcome.void:
        return ThreadEntry(outcome.resolved_at_ns, "outcome", decided.symbol, f"void: {plain(outcome.void)[:MOST_REASON]}")
    result = "" if outcome.return_bps is None else f", {outcome.return_bps:+.0f} bps"
    said = "" if decided.worth is None else f", p_up was {decided.worth.p_cal:.3f}"
    return ThreadEntry(outcome.resolved_at_ns, "outcome", decided.symbol,
                       f"{'up' if outcome.up else 'not up'} after {decided.horizon_days} d{result}{said}")


def _signed(value: Decimal) -> str:
    return f"{'+' if value > 0 else ''}{decimal_text(value)}"
