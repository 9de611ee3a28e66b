"""What every limit promises, worked out anew from the book at the moment an entry leaves, with that entry in it."""

from collections.abc import Iterator
from math import ceil

from engine.heat import bucket_heat, bucket_of, correlated_heat, heat_lines, sector_of
from engine.limits import book_tail, exposure_of
from engine.market import MarketView
from engine.orders import OrderIntent, OrderKind, Purpose
from engine.repeats import is_stopped
from engine.state import State
from engine.units import NS_PER_SECOND
from engine.valuation import entry_orders, equity_minor, fraction, heat_minor, intended_risk_minor, reference_ticks

TOLERANCE = 1e-9


def beyond_limits(state: State, market: MarketView, intent: OrderIntent) -> Iterator[str]:
    """Each limit that the book is beyond, in words; none is the aim."""
    equity = equity_minor(state, market, intent.portfolio)
    limits = state.portfolios[intent.portfolio].settings.limits
    held = {**_shares(state, market, intent), **_risks(state, market, intent)}
    for name, (minor, limit) in held.items():
        if limit and fraction(ceil(minor), equity) > limit + TOLERANCE:
            yield f"{name} {fraction(ceil(minor), equity):.4f} at {intent.client_order_id}, limit {limit}"
    yield from _counts(state, intent)
    if any(state.instruments[intent.instrument_id].is_called(name) for name in limits.blacklist):
        yield f"{intent.client_order_id} is on the blacklist"
    sector = sector_of(state.settings, state.instruments[intent.instrument_id])
    if limits.preferred_sectors and sector not in limits.preferred_sectors:
        yield f"{intent.client_order_id} is of no preferred sector"
    yield from _own_orders_met(state, market, intent)


def _shares(state: State, market: MarketView, intent: OrderIntent) -> dict[str, tuple[float, float]]:
    limits, instrument = state.portfolios[intent.portfolio].settings.limits, state.instruments[intent.instrument_id]
    work = exposure_of(state, market, intent.portfolio, instrument)
    one_way = work.long_minor if intent.side.sign > 0 else work.short_minor
    held: dict[str, tuple[float, float]] = {
        "gross": (work.gross_minor, limits.max_gross_fraction), "net": (max(0, one_way), limits.max_net_fraction),
        "leverage": (work.gross_minor, limits.max_leverage), "asset class": (work.class_minor, limits.max_asset_class_fraction),
        "bucket": (work.bucket_minor, limits.max_bucket_fraction)}
    if sector_of(state.settings, instrument):
        held["sector"] = (work.sector_minor, limits.max_sector_fraction)
    return held


def _risks(state: State, market: MarketView, intent: OrderIntent) -> dict[str, tuple[float, float]]:
    """Heat in all its forms, and a bad day; two minor units are left to rounding."""
    limits, instrument = state.portfolios[intent.portfolio].settings.limits, state.instruments[intent.instrument_id]
    lines = heat_lines(state, market, intent.portfolio)
    tail = book_tail(state, market, intent.portfolio).tail()
    order = next(one for one in entry_orders(state, intent.portfolio) if one.client_order_id == intent.client_order_id)
    risk = intended_risk_minor(state, intent, reference_ticks(market, order), intent.order_lots)
    return {
        "heat": (heat_minor(state, market, intent.portfolio), limits.max_heat_fraction),
        "bucket heat": (bucket_heat(lines)[bucket_of(state.settings, instrument)], limits.max_bucket_heat_fraction),
        "correlated heat": (correlated_heat(market, lines).minor() - 2, limits.max_correlated_heat_fraction),
        "risk of the order": (risk, limits.max_risk_per_order_fraction),
        "value at risk": (tail.normal_var_minor - 3, limits.max_value_at_risk_fraction),
        "expected shortfall": (max(tail.normal_shortfall_minor, tail.historical_shortfall_minor) - 3,
                               limits.max_expected_shortfall_fraction)}


def _counts(state: State, intent: OrderIntent) -> Iterator[str]:
    portfolio = state.portfolios[intent.portfolio]
    limits = portfolio.settings.limits
    if limits.max_orders_per_day and portfolio.day_entry_count > limits.max_orders_per_day:
        yield f"too many entries a day at {intent.client_order_id}"
    cap = (portfolio.day_equity_minor or 0) * limits.max_daily_notional_fraction
    if limits.max_daily_notional_fraction and portfolio.day_equity_minor and portfolio.day_entry_notional_minor > cap + 1:
        yield f"the day's entries come to {portfolio.day_entry_notional_minor} at {intent.client_order_id}, limit {cap:.0f}"
    minute = [order for order in (*state.orders.values(), *state.closed.values())
              if order.intent.purpose is Purpose.ENTRY and not order.external and order.intent.portfolio == intent.portfolio
              and order.intended_at_ns > state.at_ns - 60 * NS_PER_SECOND]
    if len(minute) > limits.orders_per_minute:
        yield f"{len(minute)} entries within a minute at {intent.client_order_id}"
    if is_stopped(portfolio, intent.strategy):
        yield f"{intent.client_order_id} is of {intent.strategy}, which is stopped"


def _own_orders_met(state: State, market: MarketView, intent: OrderIntent) -> Iterator[str]:
    """Orders of ours that would be the other side of a marketable entry."""
    mark = market.marks[intent.instrument_id]
    reach = {OrderKind.MARKET: mark.take_ticks(intent.side.sign), OrderKind.LIMIT: intent.limit_ticks}.get(intent.kind, 0)
    for order in state.orders.values():
        other = order.intent
        if reach and other.instrument_id == intent.instrument_id and other.side is not intent.side \
                and other.kind is OrderKind.LIMIT and (reach - other.limit_ticks) * intent.side.sign >= 0:
            yield f"{intent.client_order_id} meets our own {order.client_order_id}"
