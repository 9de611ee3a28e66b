"""The equity history: now and then a row with what each portfolio is worth, so that reports need no old prices."""

from engine.brakes import is_valued
from engine.events import EquityMarked
from engine.market import MarketView
from engine.positions import Position
from engine.turn import Turn
from engine.units import NS_PER_SECOND, Minor, Ticks
from engine.valuation import equity_minor, gross_minor

MARK_EVERY_NS = 300 * NS_PER_SECOND


def mark_equity(turn: Turn, *, at_once: bool = False) -> None:
    """Record the worth of every portfolio that changed since the last row: every five minutes, after each round trip, and
    `at_once` with a new day and at the end of a run. What prices the open positions have seen goes along, so that it survives a
    restart."""
    follow_positions(turn)
    ended = turn.state.round_trip_count != turn.state.marked_trips
    if not at_once and not ended and turn.at_ns < turn.state.marked_at_ns + MARK_EVERY_NS:
        return
    equity: dict[str, Minor] = {}
    gross: dict[str, Minor] = {}
    for name, portfolio in turn.state.portfolios.items():
        if not turn.state.account_of(name).funded or not is_valued(turn.state, turn.market, name):
            continue
        worth, held = equity_minor(turn.state, turn.market, name), gross_minor(turn.state, turn.market, name)
        if (worth, held) != (portfolio.marked_equity_minor, portfolio.marked_gross_minor):
            equity[name], gross[name] = worth, held
    if equity:
        turn.emit(EquityMarked(equity, gross, _reaches(turn)))


def _reaches(turn: Turn) -> dict[str, tuple[Ticks, Ticks]]:
    """The extremes of each open position that are news to the state."""
    found: dict[str, tuple[Ticks, Ticks]] = {}
    for position in turn.state.positions.values():
        reach = turn.market.reach(position.key, position.instrument_id)
        if reach is not None and (reach[0] < position.low_ticks or reach[1] > position.high_ticks):
            found[position.key] = reach
    return found


def follow_positions(turn: Turn) -> None:
    """Have the market view keep the extremes of every open position."""
    for position in turn.state.positions.values():
        follow(turn.market, position)


def follow(market: MarketView, position: Position) -> None:
    """Have the market view keep a position's extremes from its opening on; the same position is taken up only once."""
    market.follow(position.key, position.instrument_id, position.sign, position.opened_at_ns,
                  (position.low_ticks, position.high_ticks))
