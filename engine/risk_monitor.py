"""The risk monitor: a look at one portfolio that says what it found also when nothing is wrong: its silence means something.

Brakes and stops are watched all the time; this is the record that somebody looked, and a second look at what must never be.
"""

from engine.inputs import Connectivity
from engine.schedule_words import Job, JobOutcome
from engine.service import AlertLevel
from engine.state import PortfolioState
from engine.turn import Turn
from engine.units import seconds_to_ns
from engine.valuation import equity_minor, fraction, heat_minor


def look(turn: Turn, job: Job) -> tuple[JobOutcome, str]:
    """Look at a portfolio: heat, the fall from its highest equity, its protection, its prices, its venue."""
    known = turn.state.portfolios.get(job.portfolio)
    if known is None:
        return JobOutcome.FAILED, f"there is no portfolio called {job.portfolio!r}"
    equity = equity_minor(turn.state, turn.market, job.portfolio)
    heat = fraction(heat_minor(turn.state, turn.market, job.portfolio), equity)
    high = max(known.high_water_minor or equity, equity)
    held = sum(position.portfolio == job.portfolio for position in turn.state.positions.values())
    found = [*_heat_problem(known, heat), *_position_problems(turn, known), *_venue_problem(turn, job.portfolio)]
    figures = (f"heat {heat:.2%} of {known.settings.limits.max_heat_fraction:.2%}, drawdown {fraction(high - equity, high):.2%}, "
               f"{held} positions, {turn.state.effective_state(job.portfolio)}")
    if found:
        turn.alert(AlertLevel.ERROR, "risk-monitor", job.portfolio, "; ".join(found))
    return JobOutcome.DONE, "; ".join((figures, *found))


def _heat_problem(known: PortfolioState, heat: float) -> list[str]:
    limit = known.settings.limits.max_heat_fraction
    return [f"heat {heat:.2%} is above its limit of {limit:.2%}"] if heat > limit else []


def _position_problems(turn: Turn, known: PortfolioState) -> list[str]:
    """Positions that nothing guards, and those whose price is old while their market trades."""
    patience_ns = seconds_to_ns(known.settings.limits.stale_quote_seconds)
    found = []
    for position in turn.state.positions.values():
        if position.portfolio != known.settings.portfolio:
            continue
        instrument, mark = turn.state.instruments[position.instrument_id], turn.market.marks.get(position.instrument_id)
        if position.bare_since_ns:
            found.append(f"nothing guards {instrument.symbol}")
        if turn.market.session_open(instrument.session, turn.at_ns) and (
                mark is None or turn.at_ns - mark.at_ns > patience_ns):
            found.append(f"{instrument.symbol} has no fresh price")
    return found


def _venue_problem(turn: Turn, portfolio: str) -> list[str]:
    account = turn.state.account_of(portfolio)
    live = account.connectivity is Connectivity.LIVE
    drifting = [key for key, drift in account.drifts.items() if drift.settled]
    found = [] if live else [f"{account.account} is {account.connectivity.value}"]
    return [*found, *(f"{key} differs from the venue" for key in drifting)]
