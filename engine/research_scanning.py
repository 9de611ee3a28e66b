"""The market scan with what the engine knows: prices now, closed days, events, positions, and when each was last looked into."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from engine.instruments import Instrument
from engine.research.breaker import FAILURES
from engine.research.calling import Caller, LiveCaller
from engine.research.context import Past, regime_of
from engine.research.decided import ResearchCause
from engine.research.deciding import BENCHMARK_SUFFIX
from engine.research.rule_analyst import Daily
from engine.research.scan import Candidate, Ranked, affordable, ranked
from engine.research_look import Look
from engine.research_state import ResearchRun
from engine.research_world import ResearchWorld, WorldAsk
from engine.state import State
from engine.units import seconds_to_ns

SECONDS_PER_HOUR = 3_600
UNHEARD = FAILURES | {"BREAKER"}
UNHEARD_HOURS = 1.0  # a provider that was away is asked again sooner than one that has answered


class LastLook(NamedTuple):
    """The newest decision on an instrument; `is_unheard` where no model could be heard on it."""

    as_of_ns: int
    regime: str
    is_unheard: bool = False


def scan(looks: Sequence[Look], portfolio: str, world: ResearchWorld) -> tuple[tuple[Instrument, Ranked], ...]:
    """The instruments with their scores and reasons, those first that deserve a run most. Blocks: feeds and files are asked."""
    if not looks:
        return ()
    state, at_ns = looks[0].state, max(look.at_ns for look in looks)
    named = tuple(look.instrument.instrument_id for look in looks)
    pasts = world.pasts(WorldAsk(state, portfolio, named[0], at_ns, named))
    last = last_looks(state, portfolio)
    candidates = [_candidate(look, portfolio, pasts.get(look.instrument.symbol), world, last) for look in looks]
    instruments = {look.instrument.symbol: look.instrument for look in looks}
    horizon_days = state.portfolios[portfolio].settings.research.horizon_days
    return tuple((instruments[one.symbol], one) for one in ranked(candidates, at_ns, horizon_days))


def due(looks: Sequence[Look], run: ResearchRun, world: ResearchWorld) -> tuple[Look, ...]:
    """What a run may look into: one of the schedule leaves alone what its portfolio decided on for the same horizon less than
    `again_hours` ago, unless the regime changed or an event named it since. Blocks as a scan does."""
    if not looks or run.cause is not ResearchCause.SCHEDULE:
        return tuple(looks)
    state, at_ns = looks[0].state, max(look.at_ns for look in looks)
    hours = state.settings.research.again_hours
    since_ns, unheard_ns = (at_ns - seconds_to_ns(most * SECONDS_PER_HOUR) for most in (hours, min(hours, UNHEARD_HOURS)))
    asked = run.horizon_days or state.portfolios[run.portfolio].settings.research.horizon_days
    resting = {name: last for name, last in _settled(state, run.portfolio, asked).items()
               if last.as_of_ns > (unheard_ns if last.is_unheard else since_ns)}
    if not resting:
        return tuple(looks)
    named = tuple(look.instrument.instrument_id for look in looks if look.instrument.instrument_id in resting)
    pasts = world.pasts(WorldAsk(state, run.portfolio, named[0], at_ns, named)) if named else {}
    return tuple(look for look in looks if look.instrument.instrument_id not in resting or _has_news(
        look, resting[look.instrument.instrument_id], pasts.get(look.instrument.symbol), world))


def _settled(state: State, portfolio: str, horizon_days: int) -> dict[str, LastLook]:
    """The newest decision of each instrument that told or cost something. Open forecasts speak for decisions that newer ones have
    pushed out of the state; their regime is not known."""
    found: dict[str, LastLook] = {}
    for open_one in state.research.open.values():
        forecast, instrument_id = open_one.window.forecast, open_one.window.instrument_id
        if forecast.portfolio == portfolio and forecast.horizon_days == horizon_days \
                and (instrument_id not in found or found[instrument_id].as_of_ns < forecast.at_ns):
            found[instrument_id] = LastLook(forecast.at_ns, "", _stood_in(state, forecast.decision_id))
    for sealed in state.research.decisions.values():
        one = sealed.decided
        known = found.get(one.instrument_id)
        if one.portfolio == portfolio and one.horizon_days == horizon_days and (one.worth is not None or one.cost_micro_usd > 0) \
                and (known is None or known.as_of_ns <= one.as_of_ns):
            found[one.instrument_id] = LastLook(one.as_of_ns, one.regime, _stood_in(state, one.decision_id))
    return found


def _stood_in(state: State, decision_id: str) -> bool:
    """Whether a decision of the rules stood beside models that could not be heard, and cost nothing."""
    beside = state.research.decisions.get(decision_id.removesuffix(BENCHMARK_SUFFIX))
    return beside is not None and beside.decided.code in UNHEARD and not beside.decided.cost_micro_usd


def _has_news(look: Look, last: LastLook, past: Past | None, world: ResearchWorld) -> bool:
    """Whether the regime is another one than at the last decision, or something happened or became known since that names it."""
    regime = regime_of(past).words if past is not None and past.bars else ""
    if regime and last.regime and regime != last.regime:
        return True
    symbol = look.instrument.symbol
    return any(symbol in note.symbols and (note.known_at_ns > last.as_of_ns or last.as_of_ns < note.event_time_ns <= look.at_ns)
               for note in world.notes_about(symbol, look.at_ns))


def most_of(state: State, caller: Caller) -> int:
    """How many instruments a scan may choose: as many as the day's money pays for where models are asked, at least one, so that
    an exhausted budget is told by an abstention."""
    settings = state.settings.research
    if not isinstance(caller, LiveCaller) or not caller.models:
        return settings.symbols_per_scan
    paid = caller.purse.paid_micro_usd if caller.purse.day == str(state.day) else 0
    left = settings.budgets.day_micro_usd - max(paid, state.research.spent_micro_usd(state.day))
    return max(1, affordable(settings.budgets.cycle_micro_usd, left, settings.symbols_per_scan))


def last_looks(state: State, portfolio: str) -> dict[str, LastLook]:
    """The newest decision of a portfolio on each instrument, as far as the state keeps them."""
    found: dict[str, LastLook] = {}
    for sealed in state.research.decisions.values():
        decided = sealed.decided
        known = found.get(decided.instrument_id)
        if decided.portfolio == portfolio and (known is None or known.as_of_ns <= decided.as_of_ns):
            found[decided.instrument_id] = LastLook(decided.as_of_ns, decided.regime)
    return found


def _candidate(look: Look, portfolio: str, past: Past | None, world: ResearchWorld, last: Mapping[str, LastLook]) -> Candidate:
    instrument = look.instrument
    bars = past.bars if past is not None else ()
    tick = float(instrument.tick_size)
    position = look.state.position(portfolio, instrument.instrument_id)
    looked = last.get(instrument.instrument_id)
    return Candidate(
        instrument.symbol, Daily([bar.close_ticks * tick for bar in bars]), float(look.mark.price),
        volumes=[float(bar.volume_lots) for bar in bars], regime=regime_of(past).words if past is not None and bars else "",
        last_regime=looked.regime if looked is not None else "",
        events=sum(instrument.symbol in note.symbols for note in world.notes_about(instrument.symbol, look.at_ns)),
        held_since_ns=position.opened_at_ns if position is not None and position.lots else 0,
        looked_ns=looked.as_of_ns if looked is not None else 0)
