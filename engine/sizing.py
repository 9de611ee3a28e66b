"""How many lots: by the risk to the stop, by the range of the market, by a target of volatility, by an edge, or as many as the
limits allow. Whatever was asked, the smallest of all limits decides, and every cut is recorded: which limit took how much."""

from decimal import Decimal
from math import ceil, fsum, sqrt
from typing import NamedTuple

from engine.correlation import RETURN_BARS, returns_of
from engine.inputs import EdgeSpec, PlaceOrder
from engine.instruments import ALWAYS_OPEN, Instrument
from engine.kernel.rounding import scaled_down
from engine.kernel.sizing import kelly_bps, lots_for_notional, lots_for_risk
from engine.limits import BPS, Book, SizeCheck, book_of, size_checks
from engine.market import MarketView
from engine.orders import OrderIntent
from engine.service import ClampView, Refusal
from engine.state import State
from engine.units import NS_PER_SECOND, Lots, Ticks, steps_down
from engine.valuation import entry_stop_ticks

PERCENT_BPS = 100
LEAST_BARS = 20
UNBOUNDED = 1 << 62
YEAR_NS = 365 * 86_400 * NS_PER_SECOND
SESSIONS_A_YEAR = 252
LARGEST_BPS = 10_000_000


class Sized(NamedTuple):
    """A size and every cut that led to it."""

    lots: Lots
    clamps: tuple[ClampView, ...]


def ways(want: PlaceOrder) -> int:
    """How many ways of sizing an order names; exactly one is meant."""
    size = want.size
    named: tuple[object, ...] = (want.quantity, want.risk_percent)
    if size is not None:
        named += (size.volatility_percent, size.edge, size.largest or None, size.share_percent, size.up_to)
    return sum(1 for one in named if one is not None)


def atr_distance_ticks(market: MarketView, instrument: Instrument, multiple: Decimal) -> Ticks | Refusal:
    """That many average true ranges, rounded up."""
    atr = market.atr_ticks(instrument.instrument_id)
    if atr is None or not multiple.is_finite() or multiple <= 0:
        return Refusal("atr", "14 bars and a multiple above 0", str(multiple),
                       f"{instrument.symbol} has no ATR yet, or the multiple is none; size it another way")
    return min(instrument.max_ticks, max(1, ceil(Decimal(repr(atr)) * multiple)))


def sized(state: State, market: MarketView, want: PlaceOrder, draft: OrderIntent, entry: Ticks) -> Sized | Refusal:
    """The lots of a want that names no quantity, cut to what every limit allows."""
    instrument = state.instruments[draft.instrument_id]
    if not entry and want.risk_percent is None:
        return Refusal("quote", "a quote", "none", f"{instrument.symbol} has no price to size by; wait for a quote")
    book = book_of(state, market, draft, entry)
    asked = _asked(book, market, want)
    if isinstance(asked, Refusal):
        return asked
    if asked < 1:
        return Refusal("size", "at least one lot", "0 lots",
                       f"{told_size(want)} does not pay for a single lot of {instrument.symbol}")
    found = clamped(book, asked)
    if found.lots < 1:
        last = found.clamps[-1]
        return Refusal(last.limit, last.allowed, "0 lots",
                       f"{last.limit} ({last.allowed}) leaves no room for {instrument.symbol}")
    return found


def _asked(book: Book, market: MarketView, want: PlaceOrder) -> Lots | Refusal:
    """What was asked for, before any limit."""
    if want.risk_percent is not None:
        return _by_risk(book, market, want, _bps(want.risk_percent))
    size = want.size
    if size is not None and size.up_to is not None:
        instrument = book.instrument
        return min(instrument.max_lots, steps_down(size.up_to, instrument.lot_size)) if size.up_to.is_finite() else 0
    if size is not None and size.edge is not None:
        part = _edge_bps(size.edge, book.limits.kelly_fraction)
        return part if isinstance(part, Refusal) else _by_risk(book, market, want, part)
    if size is not None and size.share_percent is not None:
        return _by_share(book, _bps(size.share_percent))
    if size is not None and size.volatility_percent is not None:
        return _by_volatility(book, market, _bps(size.volatility_percent))
    return UNBOUNDED


def _bps(percent: Decimal) -> int:
    return min(LARGEST_BPS, int(percent * PERCENT_BPS)) if percent.is_finite() and percent > 0 else 0


def _by_risk(book: Book, market: MarketView, want: PlaceOrder, risk_bps: int) -> Lots | Refusal:
    """Fixed fraction of equity between entry and stop, or over some ranges of the market where those reach further."""
    instrument, sign, entry = book.instrument, book.intent.side.sign, book.entry_ticks
    stop = entry_stop_ticks(book.state, book.intent, entry)
    if not stop or not entry or risk_bps <= 0:
        return Refusal("risk", "a stop, a quote and a positive percent",
                       f"{risk_bps / PERCENT_BPS:g} %" if want.risk_percent is None else str(want.risk_percent),
                       "sizing by risk needs a stop, a quote and a positive percent of equity")
    if want.size is not None and want.size.atr is not None:
        distance = atr_distance_ticks(market, instrument, want.size.atr)
        if isinstance(distance, Refusal):
            return distance
        stop = min(stop, max(1, entry - distance)) if sign > 0 else max(stop, entry + distance)
    return lots_for_risk(book.sizing_minor, risk_bps, entry, stop, instrument.value_num, instrument.value_den, UNBOUNDED)


def _by_share(book: Book, share_bps: int) -> Lots:
    """A part of equity as notional."""
    notional_minor = scaled_down(max(0, book.sizing_minor), share_bps, BPS)
    return lots_for_notional(notional_minor, book.entry_ticks, book.instrument.value_num, book.instrument.value_den, UNBOUNDED)


def _edge_bps(edge: EdgeSpec, part: float) -> int | Refusal:
    """Fractional Kelly of an edge, by what is at least likely of its win rate given the trades that it was seen in."""
    if not (0 < edge.win_rate < 1 and edge.payoff > 0 and edge.round_trips > 0):
        return Refusal("edge", "a win rate in (0, 1), a payoff and a count above 0", str(edge),
                       "an edge is a win rate, a payoff and the number of round trips it was seen in")
    bps = kelly_bps(float(edge.win_rate), float(edge.payoff), edge.round_trips, part)
    if bps < 1:
        return Refusal("edge", "an edge above 0", f"{edge.win_rate} at {edge.payoff} over {edge.round_trips}",
                       "that edge is not told from chance: Kelly would not bet on it")
    return bps


def annual_volatility(market: MarketView, instrument: Instrument) -> float | None:
    """The standard deviation of closed bars' returns, scaled to a year of trading; None until there are enough bars."""
    bars = market.bars(instrument.instrument_id, RETURN_BARS + 1)
    if len(bars) <= LEAST_BARS:
        return None
    returns = returns_of([bar.close_ticks for bar in bars])
    mean = fsum(returns) / len(returns)
    deviation = sqrt(fsum((value - mean) ** 2 for value in returns) / len(returns))
    bar_ns = sum(bar.close_ns - bar.open_ns for bar in bars) / len(bars)
    return deviation * sqrt(_bars_a_year(instrument, bar_ns)) if bar_ns > 0 and deviation > 0 else None


def _bars_a_year(instrument: Instrument, bar_ns: float) -> float:
    """How many bars of that length a year of trading has; a share's day is one bar also where it is told to last 24 hours."""
    if instrument.session == ALWAYS_OPEN:
        return YEAR_NS / bar_ns
    return SESSIONS_A_YEAR * instrument.trading_day_ns / bar_ns if bar_ns < instrument.trading_day_ns \
        else min(float(SESSIONS_A_YEAR), YEAR_NS / bar_ns)


def _by_volatility(book: Book, market: MarketView, target_bps: int) -> Lots | Refusal:
    """So much of it that its yearly fluctuation is the target's part of equity."""
    instrument = book.instrument
    volatility = annual_volatility(market, instrument)
    if volatility is None or target_bps <= 0:
        return Refusal("volatility", f"{LEAST_BARS + 1} bars that moved, a target above 0", f"{target_bps / PERCENT_BPS:g} %",
                       f"the volatility of {instrument.symbol} is not known yet, or no target is given; size it another way")
    notional = max(0, book.sizing_minor) * target_bps // max(1, ceil(volatility * BPS))
    return lots_for_notional(notional, book.entry_ticks, instrument.value_num, instrument.value_den, UNBOUNDED)


def told_size(want: PlaceOrder) -> str:
    """A size that is not a quantity, in words."""
    if want.risk_percent is not None:
        return f"{want.risk_percent:f}% risk"
    if want.size is not None and want.size.volatility_percent is not None:
        return f"a volatility of {want.size.volatility_percent:f} %"
    if want.size is not None and want.size.share_percent is not None:
        return f"a share of {want.size.share_percent:f} %"
    if want.size is not None and want.size.up_to is not None:
        return f"up to {want.size.up_to:f}"
    return "all that the limits allow" if want.size is not None and want.size.largest else "that edge"


# ---- the smallest of all limits ------------------------------------------------------------------------------------------------


def clamped(book: Book, lots: Lots) -> Sized:
    """The size cut by the brakes and by each limit in turn, with a record of every cut."""
    clamps: list[ClampView] = []

    def cut(limit: str, after: Lots, allowed: str) -> Lots:
        if after < lots:
            before = book.instrument.quantity(lots) if lots < UNBOUNDED else None
            clamps.append(ClampView(limit, before, book.instrument.quantity(after), allowed))
        return min(lots, after)

    if book.size_factor < 1 and lots < UNBOUNDED:
        lots = cut("brake", int(lots * Decimal(repr(book.size_factor))), f"{book.size_factor:.0%} of the usual size")
    regime = book.state.regimes.get(book.instrument.instrument_id)
    factor = regime.size_factor(book.state.settings.regimes) if regime is not None else 1.0
    if regime is not None and factor < 1 and lots < UNBOUNDED:
        lots = cut("regime", int(lots * Decimal(repr(factor))), f"{factor:.0%} of the usual size in {regime.words}")
    lots = cut("maximum quantity", max(0, book.instrument.max_lots - book.same_side_lots),
               str(book.instrument.quantity(book.instrument.max_lots)))
    for one in size_checks(book):
        verdict = one(book, lots)
        if lots and not verdict.passed:
            lots = cut(verdict.name, largest_passing(book, one, lots), verdict.limit)
    return Sized(lots, tuple(clamps))


def largest_passing(book: Book, one: SizeCheck, too_many: Lots) -> Lots:
    """The most lots below `too_many` that pass a check, 0 where none do; checks on size only get harder with size."""
    least, most = 0, too_many
    while most - least > 1:
        middle = (least + most) // 2
        if one(book, middle).passed:
            least = middle
        else:
            most = middle
    return least
