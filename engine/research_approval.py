"""At which level research acts now, and what keeps a pending trade of it from being approved: old data, a market that moved,
unread marks."""

from typing import NamedTuple

from engine.arming import automation_in_force
from engine.events import Proposal
from engine.inputs import AutomationLevel
from engine.instruments import Instrument
from engine.market import MarketView
from engine.research.decided import Decided
from engine.service import Refusal
from engine.state import State
from engine.units import NS_PER_SECOND, Nanoseconds

BPS = 10_000
LONGEST_DRIFT_ATR = 0.25
QUOTE_SECONDS = 30.0
BARS_OLD = 2
ROUNDING_BPS = 0.011  # of the two percentages on a card
LOWER = {AutomationLevel.AUTO_EXECUTE: AutomationLevel.SUGGEST_ONLY, AutomationLevel.SUGGEST_ONLY: AutomationLevel.MONITOR_ONLY,
         AutomationLevel.MONITOR_ONLY: AutomationLevel.MONITOR_ONLY}


class Acting(NamedTuple):
    """The level at which research acts now, and why that is not the configuration's."""

    level: AutomationLevel
    fallback: str


def acting(state: State, portfolio: str, at_ns: Nanoseconds) -> Acting:
    """The level in force: real money that is not armed is only watched, a degradation alarm counts one level lower."""
    configured = state.portfolios[portfolio].settings.automation
    level = automation_in_force(state, portfolio, at_ns)
    if level is not configured:
        return Acting(level, "the account with real money is not armed")
    alarm = state.research.of(portfolio).alarm
    return Acting(LOWER[level], f"degradation alarm: {alarm}") if alarm else Acting(level, "")


def data_age_seconds(market: MarketView, decided: Decided, instrument: Instrument, at_ns: Nanoseconds) -> float | None:
    """The age of the snapshot or of the newest price, whichever is older; None where there is no price."""
    mark = market.marks.get(instrument.instrument_id)
    return None if mark is None else max(0.0, (at_ns - min(mark.at_ns, decided.as_of_ns)) / NS_PER_SECOND)


def drift_text(market: MarketView, decided: Decided, instrument: Instrument) -> str:
    """By how much the market has left the snapshot's mark, where that is more than a quarter of an average true range."""
    mark = market.marks.get(instrument.instrument_id)
    if mark is None:
        return f"{instrument.symbol} has no price"
    ref_ticks = float(decided.ref_mark / instrument.tick_size)
    atr_ticks = decided.atr_bps / BPS * ref_ticks if decided.atr_bps > 0 else market.atr_ticks(instrument.instrument_id)
    moved = abs((mark.bid_ticks + mark.ask_ticks) / 2 - ref_ticks)
    if atr_ticks is None or moved <= LONGEST_DRIFT_ATR * atr_ticks:
        return ""
    return f"the market moved by {moved / atr_ticks:.2f} ATR since the snapshot, at most {LONGEST_DRIFT_ATR:g} is allowed"


def blocked(state: State, market: MarketView, at_ns: Nanoseconds, proposal: Proposal,
            flags_read: tuple[str, ...] | None = None) -> Refusal | None:
    """Why a pending trade of research cannot be approved now; it stays pending. Without `flags_read` marks are left aside."""
    if not proposal.decision_id:
        return None
    sealed = state.research.decisions.get(proposal.decision_id)
    if sealed is None:
        return Refusal("decision", "known", "let go of", "many decisions came after the one behind this; ask for a new one")
    decided = sealed.decided
    instrument = state.instruments.get(decided.instrument_id)
    if instrument is None:
        return Refusal("instrument", "listed", "unknown", f"{decided.symbol} is not listed any more")
    stale = _stale(market, at_ns, instrument)
    if stale is not None:
        return stale
    drift = drift_text(market, decided, instrument)
    if drift:
        return Refusal("drift", f"{LONGEST_DRIFT_ATR:g} ATR", "moved", f"{drift}; ask for a new decision")
    spent = _day_spent(state, proposal, decided)
    if spent is not None:
        return spent
    unread = [flag for flag in decided.flags if flag not in flags_read] if flags_read is not None else []
    if unread:
        return Refusal("unread flag", "every mark read", unread[0], f"a text behind this is marked ({unread[0]}); open it first")
    return None


def _day_spent(state: State, proposal: Proposal, decided: Decided) -> Refusal | None:
    """Several may wait at once, each of which found room: what was approved meanwhile has taken it."""
    known, most = state.research.of(decided.portfolio), state.settings.research.day_risk_bps
    risked = known.risked_bps if known.day == state.day else 0.0
    card = proposal.card
    risk = 100 * (card.heat_after_percent - card.heat_before_percent)
    if decided.worth is not None and decided.stop_bps > 0:  # what is lost at the stop; costs are lost beside it
        risk = min(decided.worth.risk_bps, risk * (1 + max(0.0, decided.worth.cost_bps) / decided.stop_bps))
    if risked + risk <= most + ROUNDING_BPS:
        return None
    return Refusal("day's risk", f"{most:g} bps", f"{risked + risk:.1f} bps",
                   f"research has risked {risked:.1f} of {most:g} bps today, this asks for {risk:.1f} more; halve or decline it")


def _stale(market: MarketView, at_ns: Nanoseconds, instrument: Instrument) -> Refusal | None:
    """A quote is old after 30 s, a bar after twice its length."""
    mark = market.marks.get(instrument.instrument_id)
    bars = market.bars(instrument.instrument_id, 1)
    length = (bars[-1].close_ns - bars[-1].open_ns) / NS_PER_SECOND if bars else 0.0
    allowed = max(QUOTE_SECONDS, BARS_OLD * length)
    age = None if mark is None else (at_ns - mark.at_ns) / NS_PER_SECOND
    if age is not None and age <= allowed:
        return None
    shown = "none" if age is None else f"{age:.0f} s"
    told = f"the price of {instrument.symbol} is too old ({shown}); wait for a new one"
    return Refusal("data age", f"{allowed:.0f} s", shown, told)
