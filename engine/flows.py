"""Deposits, withdrawals and goods that come or go without a fill: no result, and what losses are measured from goes along.

As in a time-weighted return, which values a portfolio at every flow from outside and links the returns between them (Bacon,
"Practical Portfolio Performance Measurement and Attribution", 2nd edition 2008, equation 2.18): a loss is the fraction 1 - E / B
of the baseline B, and a flow F at the worth E leaves that fraction as it is, so B becomes B * (E + F) / E, rounded up.
Moved by F alone, a deposit would make a loss a smaller part of what is there then, and a withdrawal a larger one.

When exactly a flow came is not known, only that it was between two looks. Of the worth at both the one that makes the loss
larger counts: the smaller for what came, the larger for what went. So no flow lets a brake come later than it should.
"""

from engine.brakes import is_valued
from engine.flow_events import CashNature
from engine.market import MarketView
from engine.state import State
from engine.units import Minor
from engine.valuation import equity_minor

COST_BPS = 50
BPS = 10_000


def nature_of(state: State, market: MarketView, portfolio: str, delta_minor: Minor) -> CashNature:
    """What a difference of cash without a fill is taken for.

    No venue tells what it was in time. What came is a deposit, since taken for a gain it would hide a loss. What went is a cost
    where it is small (up to `COST_BPS` of the equity): fees in another currency, interest and funding are losses like any other.
    Larger sums are withdrawals.
    """
    if -equity_minor(state, market, portfolio) * COST_BPS <= delta_minor * BPS < 0:
        return CashNature.COST
    waits = state.portfolios[portfolio].waiting_flow_minor or not is_valued(state, market, portfolio)
    return CashNature.WAITING if waits else CashNature.FLOW


def worth_before(state: State, market: MarketView, portfolio: str, delta_minor: Minor, *, counted_minor: Minor = 0) -> Minor:
    """What the portfolio was worth before a flow: now, less what of it is counted already, or when it was last recorded; the
    one that makes a loss larger."""
    now = equity_minor(state, market, portfolio) - counted_minor
    marked = state.portfolios[portfolio].marked_equity_minor
    if marked is None or marked <= 0 or now <= 0:
        return now
    return min(now, marked) if delta_minor > 0 else max(now, marked)
