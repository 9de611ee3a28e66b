"""What a candidate needs for its next stage, and which bound ends the one that it is in: pure, from the state and the prices.

Own results are parts of what the strategy may have at work: its capital, in the staged stage the staged part of it.
"""

from collections.abc import Iterator
from typing import NamedTuple

from engine.brakes import is_valued
from engine.budgets import settings_of, sizing_minor
from engine.candidates import (
    NEW,
    NO_RESULTS,
    Candidate,
    EvidenceKind,
    LifecycleSettings,
    Stage,
    changed_since,
    digest_of,
    stage_in_force,
)
from engine.limits import check
from engine.market import MarketView
from engine.orders import OrderIntent
from engine.research.decided import Cell
from engine.research_state import cell_of
from engine.service import CheckView
from engine.state import State
from engine.strategy_state import StrategySettings
from engine.units import NS_PER_SECOND, Minor, Nanoseconds
from engine.valuation import market_value_minor, portfolio_positions

NS_PER_DAY = 86_400 * NS_PER_SECOND
NONE = "none recorded"
MODEL = "llm/"
FEW = 3
PPM_A_BPS = 100
FEED_BAR_NS = 60 * NS_PER_SECOND


class Gate(NamedTuple):
    """One thing that a promotion asks for: what is needed, what was found, and whether that is enough."""

    name: str
    met: bool
    needed: str
    found: str

    @property
    def words(self) -> str:
        return f"{self.name}: {self.found}, needed {self.needed}"


class Standing(NamedTuple):
    """How a strategy's own results in its stage stand now, open positions included; fractions of its capital."""

    days: float
    round_trips: int
    net_minor: Minor
    return_fraction: float
    drawdown_fraction: float
    losing_streak: int


class Fall(NamedTuple):
    """A demotion that is due."""

    stage: Stage
    reason: str


# ---- what the stage came to ----------------------------------------------------------------------------------------------------


def standing(state: State, market: MarketView, settings: StrategySettings, candidate: Candidate) -> Standing:
    """The results of the stage where the strategy trades now, with what its open positions would lose if they were left now;
    none on paper while it is a live stage's turn, nor the other way round."""
    results = candidate.results if candidate.results.portfolio == settings.portfolio else NO_RESULTS
    counts = state.portfolios[settings.portfolio].settings.live is candidate.stage.is_live
    open_minor = sum(market_value_minor(state, market, one) - one.cost_minor + one.realized_minor - one.fees_minor
                     for one in portfolio_positions(state, settings.portfolio) if counts and one.strategy == settings.name)
    fall = results.peak_minor - results.net_minor - min(0, open_minor)
    capital = sizing_minor(state, market, settings.portfolio, settings.name)
    days = max(0.0, (results.to_ns - results.from_ns) / NS_PER_DAY)
    return Standing(days, results.round_trips, results.net_minor, _part(results.net_minor, capital),
                    _part(max(results.worst_fall_minor, fall), capital), results.losing_streak)


def _part(minor: Minor, capital: Minor) -> float:
    """A part of the capital; without capital any loss is all of it."""
    return minor / capital if capital > 0 else float((minor > 0) - (minor < 0))


# ---- gates ---------------------------------------------------------------------------------------------------------------------


def gates(state: State, market: MarketView, settings: StrategySettings) -> tuple[Gate, ...]:
    """What the strategy's next stage asks for; empty where there is no next one."""
    candidate = state.candidates.get(settings.name, NEW)
    target, asked, digest = stage_in_force(candidate, settings).following, state.settings.lifecycle, digest_of(settings)
    if target is None:
        return ()
    if settings.problem:
        return (Gate("strategy", False, "one that can run", settings.problem),)  # noqa: FBT003
    if target is Stage.BACKTEST:
        known = candidate.found(EvidenceKind.BACKTEST, digest)
        return (Gate("backtest", known is not None, "one of this form", known.source if known else NONE),)
    if target is Stage.PAPER:
        return (*_backtest_gates(state, settings, candidate, digest), *_parity_gates(candidate, digest, asked))
    return (*_own_gates(state, market, settings, candidate, target), *_parity_gates(candidate, digest, asked),
            *_calibration_gates(state, candidate, digest, settings))


def _backtest_gates(state: State, settings: StrategySettings, candidate: Candidate, digest: str) -> Iterator[Gate]:
    """A backtest of what it trades, at no lower a fee than is paid there, with results that are good enough."""
    known, asked = candidate.found(EvidenceKind.BACKTEST, digest), state.settings.lifecycle
    if known is None:
        yield Gate("backtest", False, "one of this form", NONE)  # noqa: FBT003
        return
    tested = {_bare(symbol) for symbol in known.symbols}
    untested = [symbol for symbol in settings.symbols if _bare(symbol) not in tested]
    yield Gate("backtest symbols", not untested, "all that it trades",
               f"none of {', '.join(untested[:FEW])}{' and others' if untested[FEW:] else ''}" if untested else "all")
    bar_ns = settings.bar_ns or FEED_BAR_NS
    yield Gate("backtest bars", known.bar_ns == bar_ns, f"of {bar_ns // NS_PER_SECOND} s, as it sees",
               f"of {known.bar_ns // NS_PER_SECOND} s" if known.bar_ns else "not told")
    fee_ppm = _fee_ppm(state, settings)
    yield Gate("backtest fee", known.fee_ppm >= fee_ppm, f"at least {fee_ppm / PPM_A_BPS:g} bps",
               f"{known.fee_ppm / PPM_A_BPS:g} bps")
    yield from _results_gates("backtest", (known.days, asked.backtest_min_days),
                              (known.round_trips, asked.backtest_min_round_trips),
                              (known.drawdown_fraction, asked.backtest_max_drawdown_fraction),
                              (known.return_fraction, asked.min_return_fraction))


def _bare(symbol: str) -> str:
    """A symbol without its venue: a file of bars has none."""
    return symbol.strip().upper().partition("@")[0]


def _fee_ppm(state: State, settings: StrategySettings) -> int:
    """The highest fee that the strategy pays for taking what it trades, as far as its account lists that; 0 where nothing is
    known."""
    listed = state.account_of(settings.portfolio).listed or state.instruments
    wanted = {symbol.strip().upper() for symbol in settings.symbols}
    known = (state.instruments[one] for one in listed if one in state.instruments)
    return max((one.taker_fee_ppm for one in known if one.symbol.upper() in wanted or one.instrument_id.upper() in wanted),
               default=0)


def _own_gates(state: State, market: MarketView, settings: StrategySettings, candidate: Candidate,
               target: Stage) -> Iterator[Gate]:
    """The strategy's own results in the stage before: on paper, or staged with real money."""
    asked, now = state.settings.lifecycle, standing(state, market, settings, candidate)
    least_days, least_trips, most_fall, where = (
        (asked.paper_min_days, asked.paper_min_round_trips, asked.paper_max_drawdown_fraction, "paper")
        if target is Stage.STAGED_LIVE else
        (asked.staged_min_days, asked.staged_min_round_trips, asked.staged_max_drawdown_fraction, "staged"))
    if target is Stage.STAGED_LIVE:
        real = not candidate.results.simulated
        yield Gate("paper prices", real, "a real market's", "a real market's" if real else "invented")
    yield from _results_gates(where, (now.days, least_days), (now.round_trips, least_trips),
                              (now.drawdown_fraction, most_fall), (now.return_fraction, asked.min_return_fraction))


def _results_gates(where: str, days: tuple[float, float], trips: tuple[int, int], fall: tuple[float, float],
                   gain: tuple[float, float]) -> Iterator[Gate]:
    """Found and asked, of each."""
    yield Gate(f"{where} days", days[0] >= days[1], f"at least {days[1]:g}", f"{days[0]:.1f}")
    yield Gate(f"{where} round trips", trips[0] >= trips[1], f"at least {trips[1]}", str(trips[0]))
    yield Gate(f"{where} drawdown", fall[0] <= fall[1], f"at most {fall[1]:.1%}", f"{fall[0]:.1%}")
    yield Gate(f"{where} return", gain[0] >= gain[1], f"at least {gain[1]:.1%}", f"{gain[0]:.1%}")


def _parity_gates(candidate: Candidate, digest: str, asked: LifecycleSettings) -> Iterator[Gate]:
    if asked.require_parity:
        known = candidate.found(EvidenceKind.PARITY, digest)
        found = NONE if known is None else "the same fills" if known.same else f"not the same: {known.source}"
        yield Gate("parity", known is not None and known.same, "the same as the engine", found)


def _calibration_gates(state: State, candidate: Candidate, digest: str, settings: StrategySettings) -> Iterator[Gate]:
    """Where a model has a say, its forecasts must have been settled and not be worse than is asked: those recorded as evidence,
    else those that research made for the portfolio."""
    if not settings.uses_model:
        return
    asked, known = state.settings.lifecycle, candidate.found(EvidenceKind.CALIBRATION, digest)
    found = (known.forecasts, known.brier) if known is not None else model_calibration(state, settings.portfolio)
    if found is None:
        yield Gate("calibration", False, "one of this form, or research by a model", NONE)  # noqa: FBT003
        return
    forecasts, brier = found
    yield Gate("settled forecasts", forecasts >= asked.calibration_min_forecasts,
               f"at least {asked.calibration_min_forecasts}", str(forecasts))
    yield Gate("Brier score", brier <= asked.calibration_max_brier, f"at most {asked.calibration_max_brier:g}", f"{brier:.3f}")


def model_calibration(state: State, portfolio: str) -> tuple[int, float] | None:
    """Of the cells in which a model's decisions for the portfolio are scored the one with most forecasts: how many, and its mean
    Brier score. None where nothing was settled."""
    own = {cell_of(sealed.decided) for sealed in state.research.decisions.values() if sealed.decided.portfolio == portfolio}
    found = [(view.n, view.brier) for view in state.research.learned.cells
             if view.brier is not None and view.analyst.startswith(MODEL)
             and Cell(view.analyst, view.prompt_version, view.horizon, view.asset_class) in own]
    return max(found, key=lambda one: one[0], default=None)


# ---- bounds --------------------------------------------------------------------------------------------------------------------


def fall_due(state: State, market: MarketView, settings: StrategySettings) -> Fall | None:
    """The demotion that a candidate's form, its parity or its own results call for now.

    Real money is left at once, not by degrees: from either live stage a broken bound leads back to paper.
    """
    candidate = state.candidates.get(settings.name)
    if candidate is None or candidate.stage is Stage.RESEARCH:
        return None
    changed = changed_since(candidate, settings)
    if changed:
        return Fall(Stage.RESEARCH, changed)
    parity = candidate.found(EvidenceKind.PARITY, candidate.digest)
    if candidate.stage is not Stage.BACKTEST and state.settings.lifecycle.require_parity and parity and not parity.same:
        return Fall(Stage.BACKTEST, f"backtest and engine differ: {parity.source}")
    if candidate.stage is Stage.BACKTEST or settings.portfolio not in state.portfolios:
        return None
    reason = _broken(state, standing(state, market, settings, candidate),
                     is_told=state.account_of(settings.portfolio).funded and is_valued(state, market, settings.portfolio))
    return Fall(Stage.PAPER if candidate.stage.is_live else Stage.BACKTEST, reason) if reason else None


def _broken(state: State, now: Standing, *, is_told: bool) -> str:
    """Which bound is broken, in words. A part of a capital that cannot be valued now (not `is_told`) would be a guess, and no
    reason to act; round trips need no price."""
    asked = state.settings.lifecycle
    if is_told and asked.demote_drawdown_fraction and now.drawdown_fraction >= asked.demote_drawdown_fraction:
        return f"its own drawdown is {now.drawdown_fraction:.1%}, the bound is {asked.demote_drawdown_fraction:.1%}"
    if asked.demote_losing_streak and now.losing_streak >= asked.demote_losing_streak:
        return f"{now.losing_streak} losing round trips in a row, the bound is {asked.demote_losing_streak}"
    return ""


# ---- entries -------------------------------------------------------------------------------------------------------------------


def stage_checks(state: State, intent: OrderIntent) -> list[CheckView]:
    """A strategy that cannot run enters nothing, and with real money each only from the staged stage on, also one that is no
    longer configured there; nobody else is asked."""
    settings = settings_of(state, intent.portfolio, intent.strategy)
    if settings is not None and settings.problem:
        return [check("strategy", False, "one that can run", "off", f"{settings.name} is off: {settings.problem}")]  # noqa: FBT003
    candidate = state.candidates.get(intent.strategy)
    if (settings is None and candidate is None) or not state.portfolios[intent.portfolio].settings.live:
        return []
    if settings is None:
        return [check("candidate stage", False, "a strategy of the configuration", "none",  # noqa: FBT003
                      f"{intent.strategy} is no strategy of {intent.portfolio} any more: it enters nothing there")]
    stage = stage_in_force(candidate, settings)
    changed = f" ({changed_since(candidate, settings)})" if candidate is not None and changed_since(candidate, settings) else ""
    return [check("candidate stage", stage.is_live, "staged_live or full_live", stage,
                  f"{settings.name} is in {stage}{changed}: it enters with real money from staged_live on; "
                  f"`quarterdeck candidates show {settings.name}` says what is missing")]


def outlived(state: State, intent: OrderIntent, asked_ns: Nanoseconds) -> bool:
    """Whether an entry was asked for with more rights than its strategy has now: it cannot run any more; or, with real money, it
    is in no live stage, not configured there any more, or staged since then."""
    if any(not one.passed for one in stage_checks(state, intent)):
        return True
    candidate = state.candidates.get(intent.strategy)
    return candidate is not None and state.portfolios[intent.portfolio].settings.live \
        and candidate.stage is Stage.STAGED_LIVE and asked_ns < candidate.since_ns
