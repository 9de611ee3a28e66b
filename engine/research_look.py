"""One look at state and market for a run: everything of our own that research has to know, frozen, so that a worker in another
thread can take its time."""

from typing import NamedTuple

from engine.instruments import Instrument
from engine.market import MarketView
from engine.positions import entry_ticks
from engine.research.snapshot import Fact, Mark, Row, RowKind
from engine.research.worth import Room, round_trip_cost_bps
from engine.research_state import ResearchRun
from engine.state import State
from engine.units import NS_PER_SECOND, Nanoseconds
from engine.valuation import equity_minor, fraction, gross_minor, heat_minor
from engine.want import listed_in, resolve

BPS = 10_000
PPM_PER_BP = 100
SOURCE = "quarterdeck"


class Look(NamedTuple):
    """What is known of one instrument for one portfolio at a moment. `rows` are of our own: position, portfolio, limits, what is
    left of them, the price and its spread; `held` in units, negative when short."""

    state: State
    at_ns: Nanoseconds
    instrument: Instrument
    mark: Mark
    rows: tuple[Row, ...]
    held: float
    room: Room
    cost_bps: float


def symbols_of(state: State, portfolio: str) -> tuple[str, ...]:
    """What a run without named symbols may look at: the configured ones, else what is held and what strategies trade, else what
    the portfolio trades at all."""
    settings = state.portfolios[portfolio].settings
    named = [*settings.research.symbols]
    if not named:
        named = [state.instruments[one.instrument_id].symbol for one in state.positions.values() if one.portfolio == portfolio]
        named += [symbol for one in state.settings.strategies if one.portfolio == portfolio for symbol in one.symbols]
    if not named:
        named = [one.symbol for one in listed_in(state, portfolio)]
    return tuple(dict.fromkeys(named))


def watched(state: State, portfolio: str) -> tuple[Instrument, ...]:
    """The instruments of `symbols_of` that can be traded."""
    found = (resolve(state, symbol, portfolio) for symbol in symbols_of(state, portfolio))
    return tuple(one for one in found if isinstance(one, Instrument) and one.tradable)


def candidates(state: State, market: MarketView, at_ns: Nanoseconds, portfolio: str) -> tuple[Instrument, ...]:
    """What a scan may choose from: what is watched, has a price, and trades now."""
    return tuple(one for one in watched(state, portfolio)
                 if one.instrument_id in market.marks and market.session_open(one.session, at_ns))


def asked_instruments(state: State, run: ResearchRun) -> tuple[Instrument, ...]:
    """The instruments that a run names; none where a scan is to choose."""
    found = (resolve(state, symbol, run.portfolio) for symbol in run.symbols)
    return tuple(one for one in found if isinstance(one, Instrument))


def look_at(state: State, market: MarketView, at_ns: Nanoseconds, portfolio: str, instrument: Instrument) -> Look | None:
    """What is known now; None where the instrument has no price."""
    mark = market.marks.get(instrument.instrument_id)
    if mark is None:
        return None
    middle = (instrument.price(mark.bid_ticks) + instrument.price(mark.ask_ticks)) / 2
    seen_ns = min(mark.at_ns, at_ns)
    position = state.position(portfolio, instrument.instrument_id)
    held = float(instrument.quantity(position.lots)) if position else 0.0
    spread_bps = BPS * (mark.ask_ticks - mark.bid_ticks) / max(1.0, (mark.ask_ticks + mark.bid_ticks) / 2)
    return Look(state, at_ns, instrument, Mark(middle, instrument.quote_currency, f"quotes of {instrument.venue}", seen_ns),
                _rows(state, market, at_ns, portfolio, instrument, spread_bps), held,
                room_of(state, market, portfolio), _cost_bps(state, instrument, spread_bps))


def room_of(state: State, market: MarketView, portfolio: str) -> Room:
    """What a new position may risk, as far as is known before the order path itself says so."""
    settings, known = state.settings.research, state.research.of(portfolio)
    limits = state.portfolios[portfolio].settings.limits
    heat = fraction(heat_minor(state, market, portfolio), equity_minor(state, market, portfolio))
    risked = known.risked_bps if known.day == state.day else 0.0
    return Room(settings.per_trade_risk_bps, max(0.0, BPS * (limits.max_heat_fraction - heat)),
                max(0.0, settings.day_risk_bps - risked), settings.probation_risk_bps)


def _cost_bps(state: State, instrument: Instrument, spread_bps: float) -> float:
    """The configured cost of a round trip, or what the spread and the fees alone come to, where that is more."""
    return max(state.settings.research.cost_bps, round_trip_cost_bps(spread_bps, instrument.taker_fee_ppm / PPM_PER_BP, 0.0))


def _rows(state: State, market: MarketView, at_ns: Nanoseconds, portfolio: str, instrument: Instrument,
          spread_bps: float) -> tuple[Row, ...]:
    known = state.portfolios[portfolio]
    limits = known.settings.limits
    equity = equity_minor(state, market, portfolio)
    heat = fraction(heat_minor(state, market, portfolio), equity)
    gross = fraction(gross_minor(state, market, portfolio), equity)
    rows = [
        _row(RowKind.LIQUIDITY, at_ns, {"spread_bps": round(spread_bps, 4)}),
        _row(RowKind.PORTFOLIO, at_ns, {"heat_percent": round(100 * heat, 4), "gross_percent": round(100 * gross, 4),
                                        "positions": float(sum(one.portfolio == portfolio for one in state.positions.values()))}),
        _row(RowKind.LIMIT, at_ns, {"max_heat_percent": round(100 * limits.max_heat_fraction, 4),
                                    "trading_state": state.effective_state(portfolio).value}),
    ]
    position = state.position(portfolio, instrument.instrument_id)
    if position is not None:
        facts: dict[str, Fact] = {
            "side": "long" if position.lots > 0 else "short", "quantity": float(instrument.quantity(abs(position.lots))),
            "entry": float(instrument.price(entry_ticks(position, instrument))),
            "stop": float(instrument.price(position.stop_ticks)),
            "age_hours": round((at_ns - position.opened_at_ns) / NS_PER_SECOND / 3_600, 2), "strategy": position.strategy}
        rows.append(_row(RowKind.POSITION, at_ns, facts))
    return tuple(rows)


def _row(kind: RowKind, at_ns: Nanoseconds, facts: dict[str, Fact]) -> Row:
    return Row(kind=kind, event_time_ns=at_ns, known_at_ns=at_ns, source=SOURCE, facts=facts)
