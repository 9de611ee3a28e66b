"""The state as a person sees it: pure functions from state and market to the records of `engine.service`."""

from collections.abc import Sequence
from decimal import Decimal

from engine.alert_views import rule_views
from engine.arming import automation_in_force, is_armed, limits_digest
from engine.currency import total_view
from engine.golive import golive_views
from engine.inputs import PlaceOrder, TradingState
from engine.instruments import Instrument
from engine.lifecycle_views import candidate_views
from engine.market import MarketView
from engine.orders import Order
from engine.parent_views import parent_view
from engine.positions import Position, entry_ticks
from engine.research_views import NOBODY, Live, blocked_text, decision_of, research_views
from engine.risk_views import risk_views
from engine.schedule_views import job_views
from engine.service import (
    AccountView,
    AlertView,
    BrakeLevel,
    DriftView,
    FillView,
    FlattenView,
    HealthView,
    Mode,
    OrderView,
    PositionView,
    ProposalStatus,
    ProposalView,
    QuoteView,
    Snapshot,
    StopHome,
)
from engine.state import AccountState, Home, SettledFill, State
from engine.strategy_views import regime_views, strategy_views
from engine.target_views import target_views
from engine.units import NS_PER_SECOND, Minor, Nanoseconds
from engine.valuation import (
    equity_minor,
    fraction,
    gross_minor,
    heat_minor,
    market_value_minor,
    position_risk_minor,
    working_notional_minor,
)
from engine.want import listed_in, price_or_none, trail_text

SHOWN_ORDERS = 200
SHOWN_FILLS = 200


def snapshot(state: State, market: MarketView, at_ns: Nanoseconds, *, version: int, mode: Mode, health: HealthView,
             research: Live = NOBODY) -> Snapshot:
    """Everything the screen shows, at `at_ns`."""
    orders = [*list(state.closed.values())[-SHOWN_ORDERS:], *state.orders.values()]
    orders.sort(key=lambda order: order.intended_at_ns, reverse=True)
    return Snapshot(
        version=version, at_ns=at_ns, mode=mode, engine_id=state.engine_id,
        accounts=tuple(account_view(state, market, at_ns, name) for name in state.portfolios),
        positions=tuple(position_view(state, market, at_ns, position) for position in state.positions.values()),
        orders=(*(parent_view(state, at_ns, parent) for parent in reversed(state.parents.values())),
                *(order_view(state, at_ns, order) for order in orders if order.intent.instrument_id in state.instruments)),
        fills=tuple(fill_view(state, settled) for settled in reversed(state.recent_fills[-SHOWN_FILLS:])),
        proposals=proposal_views(state, market, at_ns), alerts=alert_views(state), alert_rules=rule_views(state, market),
        quotes=tuple(quote_view(state, market, at_ns, instrument) for instrument in state.instruments.values()),
        flatten=flatten_view(state), health=health,
        jobs=job_views(state, at_ns), strategies=strategy_views(state, market), risks=risk_views(state, market, at_ns),
        regimes=regime_views(state), candidates=candidate_views(state, market),
        golive=golive_views(state, at_ns), targets=target_views(state, market, at_ns), total=total_view(state, market, at_ns),
        research=research_views(state, at_ns, research))


def decimals(step: Decimal) -> int:
    """Decimal places of a step."""
    return max(0, -int(step.normalize().as_tuple().exponent))


def money(minor_exponent: int, minor: Minor) -> Decimal:
    return Decimal(minor).scaleb(-minor_exponent)


def state_cause(state: State, portfolio: str) -> str:
    """Why a portfolio is not ACTIVE: its own latch first, then everything's, then its brakes."""
    known, effective = state.portfolios[portfolio], state.effective_state(portfolio)
    if effective is TradingState.ACTIVE:
        return ""
    if known.trading_state is effective:
        return known.cause
    if state.trading_state is effective:
        return state.trading_cause
    levels = (BrakeLevel.REDUCING, BrakeLevel.HALTED)
    return "; ".join(brake.cause for brake in known.brakes.values() if brake.level in levels)


def account_view(state: State, market: MarketView, at_ns: Nanoseconds, portfolio: str) -> AccountView:
    known = state.portfolios[portfolio]
    account = state.account_of(portfolio)
    settings, exponent = known.settings, known.settings.minor_exponent
    equity = equity_minor(state, market, portfolio)
    positions = [position for position in state.positions.values() if position.portfolio == portfolio]
    unrealized = sum(market_value_minor(state, market, position) - position.cost_minor for position in positions)
    day = equity - known.waiting_flow_minor - known.day_equity_minor if known.day_equity_minor is not None else 0
    result = known.day_result_minor(equity)
    gross = gross_minor(state, market, portfolio)
    working = working_notional_minor(state, market, portfolio)
    effective = state.effective_state(portfolio)
    drifts = tuple(f"{instrument_id}: ours {drift.our_lots}, venue {drift.venue_lots}"
                   for instrument_id, drift in account.drifts.items())
    return AccountView(
        portfolio=portfolio, account=account.account, currency=settings.currency, money_decimals=exponent,
        cash=money(exponent, account.cash_minor), equity=money(exponent, equity), day_pnl=money(exponent, result),
        day_pnl_percent=100 * fraction(day, known.day_equity_minor or 0) if day >= 0
        else -100 * fraction(-day, known.day_equity_minor or 0),
        realized_pnl=money(exponent, known.realized_minor - known.fees_minor), unrealized_pnl=money(exponent, unrealized),
        fees=money(exponent, known.fees_minor), heat_percent=100 * fraction(heat_minor(state, market, portfolio), equity),
        heat_limit_percent=100 * settings.limits.max_heat_fraction, gross_exposure_percent=100 * fraction(gross, equity),
        buying_power=money(exponent, max(0, int(equity * settings.limits.max_leverage) - gross - working)),
        trading_state=effective, trading_state_cause=state_cause(state, portfolio),
        automation=automation_in_force(state, portfolio, at_ns), connectivity=account.connectivity, drift=drifts,
        limits=settings.limits, live=settings.live, limits_digest=limits_digest(settings.limits),
        armed_until_ns=account.armed_until_ns if settings.live and is_armed(state, portfolio, at_ns) else 0,
        armed_by=account.armed_by, drift_meter=drift_views(state, account, positions),
        quote_age_seconds=quote_age_seconds(state, market, at_ns, account),
        venues=tuple(dict.fromkeys(state.instruments[one].venue for one in account.listed if one in state.instruments)))


def quote_age_seconds(state: State, market: MarketView, at_ns: Nanoseconds, account: AccountState) -> float | None:
    """The age of the newest quote among what an account can trade in a market that is open; None where there is none."""
    listed = account.listed or tuple(state.instruments)
    newest_ns = max((mark.at_ns for instrument_id in listed if (mark := market.marks.get(instrument_id)) is not None
                     and market.session_open(state.instruments[instrument_id].session, at_ns)), default=None)
    return None if newest_ns is None else max(0.0, (at_ns - newest_ns) / NS_PER_SECOND)


def drift_views(state: State, account: AccountState, positions: Sequence[Position]) -> tuple[DriftView, ...]:
    """Ours, the stream's and the venue's count of everything that is held or differs; without a known difference the venue
    agreed when it was last asked."""
    ours = {position.instrument_id: position.lots for position in positions}
    views: list[DriftView] = []
    for instrument_id in dict.fromkeys((*ours, *account.drifts)):
        instrument, drift = state.instruments.get(instrument_id), account.drifts.get(instrument_id)
        if instrument is None:
            continue
        lots = ours.get(instrument_id, 0)
        views.append(DriftView(
            instrument_id, instrument.symbol, instrument.quantity(lots),
            instrument.quantity(lots - account.unstreamed.get(instrument_id, 0)),
            instrument.quantity(drift.venue_lots if drift else lots), drift is not None and drift.settled))
    return tuple(views)


def _percent_of(pnl: Minor | None, cost_minor: Minor) -> float | None:
    if pnl is None:
        return None
    return 100 * pnl / cost_minor if cost_minor else 0.0


def position_view(state: State, market: MarketView, at_ns: Nanoseconds, position: Position) -> PositionView:
    instrument = state.instruments[position.instrument_id]
    mark = market.marks.get(position.instrument_id)
    value = market_value_minor(state, market, position)
    price = mark.value_ticks(position.sign) if mark else 0
    pnl = value - position.cost_minor if price else None
    plan, home = position.plan, state.homes.get(position.key, Home(StopHome.NONE, 0, "not yet looked at"))
    risk = position_risk_minor(state, market, position)
    bare_ns = position.bare_total_ns + (at_ns - position.bare_since_ns if position.bare_since_ns else 0)
    hold_left = (position.opened_at_ns + plan.max_hold_ns - at_ns) / NS_PER_SECOND if plan.max_hold_ns else None
    limit_seconds = state.portfolios[position.portfolio].settings.limits.stale_quote_seconds
    age = (at_ns - mark.at_ns) / NS_PER_SECOND if mark else None
    return PositionView(
        portfolio=position.portfolio, symbol=instrument.symbol, instrument_id=position.instrument_id,
        side="LONG" if position.lots > 0 else "SHORT", quantity=instrument.quantity(abs(position.lots)),
        entry=instrument.price(entry_ticks(position, instrument)), mark=price_or_none(instrument, price),
        mark_age_seconds=age, mark_stale=age is None or age > limit_seconds, market_value=instrument.money(value),
        pnl=instrument.money(pnl) if pnl is not None else None, pnl_percent=_percent_of(pnl, abs(position.cost_minor)),
        r_multiple=pnl / position.initial_risk_minor if pnl is not None and position.initial_risk_minor else None,
        stop=price_or_none(instrument, position.stop_ticks), stop_distance_percent=_distance(price, position.stop_ticks),
        target=price_or_none(instrument, plan.target_ticks), target_distance_percent=_distance(price, plan.target_ticks),
        trail=trail_text(instrument, plan), breakeven_at=price_or_none(instrument, plan.breakeven_at_ticks),
        max_hold_left_seconds=hold_left, stop_home=home.home,
        stop_home_detail=f"leaving: {position.exit_reason}" if position.exit_reason else home.detail,
        unprotected_seconds=max(0, bare_ns) / NS_PER_SECOND, unprotected_now=bool(position.bare_since_ns),
        open_risk=instrument.money(risk),
        open_risk_percent=100 * fraction(risk, equity_minor(state, market, position.portfolio)),
        opened_at_ns=position.opened_at_ns, age_seconds=(at_ns - position.opened_at_ns) / NS_PER_SECOND,
        strategy=position.strategy, currency=instrument.quote_currency, price_decimals=decimals(instrument.tick_size),
        quantity_decimals=decimals(instrument.lot_size))


def _distance(price: int, level: int) -> float | None:
    return 100 * (level - price) / price if price and level else None


def order_view(state: State, at_ns: Nanoseconds, order: Order) -> OrderView:
    intent = order.intent
    instrument = state.instruments[intent.instrument_id]
    average = order.average_ticks
    places = Decimal(1).scaleb(-decimals(instrument.tick_size) - 2)
    return OrderView(
        client_order_id=order.client_order_id, venue_order_id=order.venue_order_id, portfolio=intent.portfolio,
        symbol=instrument.symbol, instrument_id=intent.instrument_id, side=intent.side, purpose=intent.purpose,
        kind=intent.kind, quantity=instrument.quantity(intent.order_lots), filled=instrument.quantity(order.cum_lots),
        limit=price_or_none(instrument, intent.limit_ticks), trigger=price_or_none(instrument, intent.trigger_ticks),
        average=None if average is None else (Decimal(repr(average)) * instrument.tick_size).quantize(places).normalize() + 0,
        status=order.status, working=not order.closed, time_in_force=intent.time_in_force,
        placed_at_ns=order.intended_at_ns, age_seconds=(at_ns - order.intended_at_ns) / NS_PER_SECOND,
        reason=order.denied_reason or order.closed_reason or intent.reason, strategy=intent.strategy, external=order.external)


def fill_view(state: State, settled: SettledFill) -> FillView:
    fill = settled.fill
    instrument = state.instruments[fill.instrument_id]
    return FillView(
        trade_id=fill.trade_id, client_order_id=fill.client_order_id, portfolio=settled.portfolio,
        symbol=instrument.symbol, side=fill.side, quantity=instrument.quantity(fill.last_lots),
        price=instrument.price(fill.last_ticks), fee=instrument.money(fill.fee_minor), currency=instrument.quote_currency,
        purpose=settled.purpose, at_ns=fill.at_ns, source=fill.source)


def proposal_views(state: State, market: MarketView, at_ns: Nanoseconds) -> tuple[ProposalView, ...]:
    """Pending ones first, the newest first; then the settled ones."""
    views = []
    for proposal in state.proposals.values():
        instrument = _instrument_of(state, proposal.want)
        views.append(ProposalView(
            proposal_id=proposal.proposal_id, digest=proposal.digest, card=proposal.card, origin=proposal.want.origin,
            rationale=proposal.want.rationale, raised_at_ns=proposal.raised_at_ns, expires_at_ns=proposal.expires_at_ns,
            seconds_left=max(0.0, (proposal.expires_at_ns - at_ns) / NS_PER_SECOND),
            band_low=instrument.price(proposal.band_low_ticks), band_high=instrument.price(proposal.band_high_ticks),
            status=proposal.status, status_reason=proposal.status_reason, decision=decision_of(state, proposal),
            blocked=blocked_text(state, market, at_ns, proposal)))
    views.sort(key=lambda view: (view.status is not ProposalStatus.PENDING, -view.raised_at_ns))
    return tuple(views)


def _instrument_of(state: State, want: PlaceOrder) -> Instrument:
    """The instrument of a pending trade; also one that its account no longer lists."""
    known = [*listed_in(state, want.portfolio), *state.instruments.values()]
    return next(one for one in known if one.is_called(want.symbol.strip()))


def alert_views(state: State) -> tuple[AlertView, ...]:
    return tuple(AlertView(alert.alert_id, alert.at_ns, alert.level, alert.code, alert.subject, alert.text,
                           alert.acknowledged, alert.count) for alert in reversed(state.alerts.values()))


def quote_view(state: State, market: MarketView, at_ns: Nanoseconds, instrument: Instrument) -> QuoteView:
    mark = market.marks.get(instrument.instrument_id)
    opened = market.day_open_ticks(instrument.instrument_id)
    age = (at_ns - mark.at_ns) / NS_PER_SECOND if mark else None
    limits = [portfolio.settings.limits.stale_quote_seconds for portfolio in state.portfolios.values()]
    stale = age is None or age > min(limits, default=10.0)
    regime = state.regimes.get(instrument.instrument_id)
    return QuoteView(
        instrument_id=instrument.instrument_id, symbol=instrument.symbol,
        bid=instrument.price(mark.bid_ticks) if mark else None, ask=instrument.price(mark.ask_ticks) if mark else None,
        last=instrument.price(mark.last_ticks) if mark else None,
        change_percent=100 * (mark.last_ticks - opened) / opened if mark and opened else None, age_seconds=age, stale=stale,
        session_open=market.session_open(instrument.session, at_ns), price_decimals=decimals(instrument.tick_size),
        quantity_decimals=decimals(instrument.lot_size), tick_size=instrument.tick_size,
        quantity_step=instrument.lot_size, currency=instrument.quote_currency, regime=regime.words if regime else "")


def flatten_view(state: State) -> FlattenView | None:
    flatten = state.flatten
    if flatten is None:
        return None
    return FlattenView(
        started_at_ns=flatten.started_at_ns, finished=flatten.finished, flat=flatten.flat,
        open_orders_left=sum(flatten.open_orders.values()),
        lines=tuple(line for lines in flatten.lines.values() for line in lines), detail=flatten.detail)
