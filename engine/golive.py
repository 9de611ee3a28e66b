"""What the engine itself can tell of the gates before real money: pure, from what was recorded.

What lies outside of it (the backup, the keys, the notices, the journal's own proof) is looked at by the command.
"""

from collections.abc import Iterator

from engine.candidates import NEW, EvidenceKind, digest_of, stage_in_force
from engine.golive_words import GoLiveGate, GoLiveView, Incident
from engine.settings import AutomationLevel
from engine.state import State
from engine.strategy_state import StrategySettings
from engine.units import NS_PER_SECOND, Nanoseconds

NS_PER_DAY = 86_400 * NS_PER_SECOND
NO_STRATEGY = "no strategy trades here, orders are a person's own"


def golive_views(state: State, at_ns: Nanoseconds) -> tuple[GoLiveView, ...]:
    """Every portfolio of the configuration, in its order."""
    return tuple(GoLiveView(one.portfolio, one.live, gates(state, at_ns, one.portfolio)) for one in state.settings.portfolios)


def gates(state: State, at_ns: Nanoseconds, portfolio: str) -> tuple[GoLiveGate, ...]:
    """What real money asks for in a portfolio, as far as it was recorded."""
    strategies = [one for one in state.settings.strategies if one.portfolio == portfolio]
    return (_rehearsal(state, at_ns), *_paper(state), _stages(state, strategies), _parity(state, strategies),
            _calibration(state, strategies, portfolio))


def _rehearsal(state: State, at_ns: Nanoseconds) -> GoLiveGate:
    """Every incident passed, with this version, not too long ago."""
    asked = state.settings.golive
    open_ones = list(_not_rehearsed(state, at_ns))
    count = len(Incident) - len(open_ones)
    found = f"{count} of {len(Incident)} incidents" + (f"; {', '.join(open_ones)}" if open_ones else "")
    return GoLiveGate("rehearsal", not open_ones, f"every incident passed with version {state.version} within "
                      f"{asked.rehearsal_days:g} days", found, "`quarterdeck rehearse --all`")


def _not_rehearsed(state: State, at_ns: Nanoseconds) -> Iterator[str]:
    longest_ns = state.settings.golive.rehearsal_days * NS_PER_DAY
    for incident in Incident:
        known = state.rehearsals.get(incident)
        if known is None:
            yield f"{incident} never"
        elif not known.passed:
            yield f"{incident} FAILED"
        elif known.version != state.version:
            yield f"{incident} with {known.version}"
        elif at_ns - known.at_ns > longest_ns:
            yield f"{incident} {(at_ns - known.at_ns) / NS_PER_DAY:.0f} days ago"


def _paper(state: State) -> Iterator[GoLiveGate]:
    asked, known = state.settings.golive, state.paper_record
    remedy = "trade on paper at a real market's prices; a day counts where a round trip ended on it"
    yield GoLiveGate("paper days", known.day_count >= asked.paper_min_days, f"at least {asked.paper_min_days}",
                     str(known.day_count), remedy)
    yield GoLiveGate("paper round trips", known.round_trips >= asked.paper_min_round_trips,
                     f"at least {asked.paper_min_round_trips}", str(known.round_trips), remedy)


def _stages(state: State, strategies: list[StrategySettings]) -> GoLiveGate:
    """A strategy that is no candidate for real money yet would enter nothing there."""
    behind = [f"{one.name} in {stage}" for one in strategies
              if not (stage := stage_in_force(state.candidates.get(one.name), one)).is_live]
    found = "; ".join(behind) or (f"{len(strategies)} of {len(strategies)}" if strategies else NO_STRATEGY)
    return GoLiveGate("strategies", not behind, "each in staged_live or full_live", found,
                      "`quarterdeck candidates list` says what each still needs")


def _parity(state: State, strategies: list[StrategySettings]) -> GoLiveGate:
    found = [(one.name, state.candidates.get(one.name, NEW).found(EvidenceKind.PARITY, digest_of(one))) for one in strategies]
    lacking = [f"{name} {'none recorded' if known is None else 'differs'}" for name, known in found
               if known is None or not known.same]
    told = "; ".join(lacking) or (f"{len(found)} of {len(found)}" if found else NO_STRATEGY)
    return GoLiveGate("parity", not lacking, "backtest and engine made the same fills, of each strategy's form", told,
                      "`quarterdeck parity` with --record")


def _calibration(state: State, strategies: list[StrategySettings], portfolio: str) -> GoLiveGate:
    """Where a model or research has a say its forecasts must have been settled, and good enough."""
    asked = state.settings.lifecycle
    models = [one for one in strategies if one.uses_model]
    found = [(one.name, state.candidates.get(one.name, NEW).found(EvidenceKind.CALIBRATION, digest_of(one))) for one in models]
    lacking = [f"{name} {f'{known.forecasts} forecasts, Brier {known.brier:.3f}' if known else 'none recorded'}"
               for name, known in found
               if known is None or known.forecasts < asked.calibration_min_forecasts or known.brier > asked.calibration_max_brier]
    proven, research = _research(state, portfolio)
    if not proven:
        lacking.append(research)
    told = "; ".join(lacking) or f"{f'{len(found)} of {len(found)} models' if found else 'no model has a say here'}; {research}"
    needed = (f"{asked.calibration_min_forecasts} settled forecasts of each model, Brier score at most "
              f"{asked.calibration_max_brier:g}; research that acts alone with proven skill")
    return GoLiveGate("calibration", not lacking, needed, told,
                      "`quarterdeck candidates show` and `quarterdeck calibration` say what is recorded")


def _research(state: State, portfolio: str) -> tuple[bool, str]:
    """Whether research may be let act here, and in words why; one that only proposes leaves it to a person."""
    asked, known = state.settings.research, state.research.of(portfolio)
    settings = next(one for one in state.settings.portfolios if one.portfolio == portfolio)
    if not asked.enabled or known.run is None:
        return True, "research is not at work here" if asked.enabled else "research is switched off"
    if settings.automation is not AutomationLevel.AUTO_EXECUTE:
        return True, "research only proposes"
    if known.alarm:
        return False, f"research: {known.alarm}"
    proven = [one.up.n for one in state.research.maps if one.skill_low_percent is not None and one.skill_low_percent > 0]
    count, least = max(proven, default=0), asked.auto.min_resolved
    return count >= least, f"research: {count} of {least} resolved forecasts with proven skill"
