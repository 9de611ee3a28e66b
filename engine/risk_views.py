"""What a portfolio risks, as a person sees it: heat line by line, shares, limits with how much of them is used, brakes."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from engine.apply_risk import BASELINES
from engine.brakes import is_valued, size_factor
from engine.budgets import settings_of
from engine.budgets import uses as budget_uses
from engine.correlation import Correlation, correlation_of
from engine.heat import HeatLine, bucket_heat, bucket_of, correlated_heat, heat_lines, sector_of
from engine.inputs import Limits
from engine.limits import at_work, book_tail
from engine.market import MarketView
from engine.orders import Purpose
from engine.service import BrakeView, BudgetView, CorrelationView, HeatView, LimitView, RiskView, ShareView, TailView
from engine.state import PortfolioState, State
from engine.tail_risk import HORIZON_DAYS, Tail, TailBook, in_minor
from engine.tolerance import FIELDS, PRESETS, described, limit_text
from engine.units import NS_PER_SECOND, Minor, Nanoseconds
from engine.valuation import equity_minor, fraction

HUGE = 1e9
MOST_CORRELATED = 30
MINUTE_NS = 60 * NS_PER_SECOND


class Risks(NamedTuple):
    """What the views of one portfolio are made from."""

    state: State
    market: MarketView
    at_ns: Nanoseconds
    portfolio: PortfolioState
    equity_minor: Minor
    lines: list[HeatLine]
    correlated_minor: Minor
    work: list[tuple[str, Minor, bool]]
    tail_book: TailBook
    tail: Tail

    def share(self, minor: Minor) -> float:
        return min(HUGE, fraction(minor, self.equity_minor))

    def percent(self, minor: Minor) -> float:
        return round(100 * self.share(minor), 4)

    @property
    def heat_minor(self) -> Minor:
        return sum(line.risk_minor for line in self.lines)

    @property
    def gross_minor(self) -> Minor:
        return sum(abs(minor) for _, minor, _ in self.work)

    @property
    def net_minor(self) -> Minor:
        return sum(minor for _, minor, _ in self.work)

    @property
    def worst_net_minor(self) -> Minor:
        """The larger difference, either way, if of the working entries only those of one side fill."""
        held = sum(minor for _, minor, is_working in self.work if not is_working)
        longs, shorts = (sum(max(0, sign * minor) for _, minor, is_working in self.work if is_working) for sign in (1, -1))
        return max(held + longs, shorts - held)

    def grouped(self, kind: str) -> dict[str, Minor]:
        """Money at work by sector, asset class, bucket or instrument."""
        totals: dict[str, Minor] = {}
        for instrument_id, minor, _ in self.work:
            instrument = self.state.instruments[instrument_id]
            name = {"sector": sector_of(self.state.settings, instrument), "asset class": str(instrument.asset_class),
                    "bucket": bucket_of(self.state.settings, instrument)}.get(kind, instrument_id)
            if name:
                totals[name] = totals.get(name, 0) + abs(minor)
        return totals


def risk_views(state: State, market: MarketView, at_ns: Nanoseconds) -> tuple[RiskView, ...]:
    """Every portfolio's risk, worked out at most once a second while nothing is recorded: it costs more than all else shown."""
    return market.remembered("risks", (state.engine_id, state.seq, at_ns // NS_PER_SECOND),
                             lambda: tuple(risk_view(state, market, at_ns, name) for name in state.portfolios))


def risk_view(state: State, market: MarketView, at_ns: Nanoseconds, name: str) -> RiskView:
    """One portfolio's risk at this moment."""
    portfolio = state.portfolios[name]
    lines = heat_lines(state, market, name)
    correlation = correlation_of(market, [line.instrument_id for line in lines]) if len(lines) > 1 else None
    bad_days = book_tail(state, market, name)
    risks = Risks(state, market, at_ns, portfolio, equity_minor(state, market, name), lines,
                  correlated_heat(market, lines).minor(), at_work(state, market, name), bad_days, bad_days.tail())
    return _view(risks, name, correlation)


def _view(risks: Risks, name: str, correlation: Correlation | None) -> RiskView:
    portfolio, settings = risks.portfolio, risks.portfolio.settings
    factor = size_factor(portfolio)
    return RiskView(
        portfolio=name, tolerance=settings.tolerance, currency=settings.currency, money_decimals=settings.minor_exponent,
        equity=_money(portfolio, risks.equity_minor),
        high_water=None if portfolio.high_water_minor is None else _money(portfolio, portfolio.high_water_minor),
        heat_percent=risks.percent(risks.heat_minor), heat_limit_percent=100 * settings.limits.max_heat_fraction * factor,
        correlated_heat_percent=risks.percent(risks.correlated_minor),
        correlation_returns=correlation.returns if correlation else 0,
        correlation_shrinkage=round(correlation.shrinkage, 4) if correlation else 0.0,
        gross_percent=risks.percent(risks.gross_minor), net_percent=_signed_percent(risks),
        size_percent=100 * factor, losing_streak=portfolio.losing_streak,
        lines=tuple(_line_view(risks, line) for line in risks.lines), shares=_share_views(risks),
        limits=tuple(_limit_view(risks, field) for field in FIELDS),
        brakes=tuple(BrakeView(brake, known.level, known.cause, _money(portfolio, known.baseline_minor),
                               _money(portfolio, known.equity_minor), known.at_ns, known.until_ns, known.released_by,
                               known.released_at_ns, known.release_cause) for brake, known in portfolio.brakes.items()),
        tail=_tail_view(risks), correlations=_correlation_view(risks, correlation) if correlation else None,
        budgets=_budget_views(risks, name))


def _budget_views(risks: Risks, name: str) -> tuple[BudgetView, ...]:
    """Every strategy with what it uses."""
    found = []
    for use in budget_uses(risks.state, risks.market, name):
        settings = settings_of(risks.state, name, use.strategy)
        of_what = risks.equity_minor if use.capital_minor is None else use.capital_minor
        found.append(BudgetView(
            use.strategy, _money(risks.portfolio, use.work_minor),
            None if use.capital_minor is None else _money(risks.portfolio, use.capital_minor),
            compounds=settings is None or settings.capital_fixed is None,
            used_percent=round(100 * min(HUGE, fraction(use.work_minor, of_what)), 4), heat_percent=risks.percent(use.heat_minor),
            heat_limit_percent=None if use.heat_fraction is None else 100 * use.heat_fraction * size_factor(risks.portfolio)))
    return tuple(found)


def _tail_view(risks: Risks) -> TailView:
    tail, book = risks.tail, risks.tail_book
    return TailView(
        confidence_percent=100 * book.confidence, horizon_days=HORIZON_DAYS, returns=len(book.working),
        historical_var_percent=risks.percent(in_minor(tail.historical_var_minor)),
        normal_var_percent=risks.percent(in_minor(tail.normal_var_minor)),
        historical_shortfall_percent=risks.percent(in_minor(tail.historical_shortfall_minor)),
        normal_shortfall_percent=risks.percent(in_minor(tail.normal_shortfall_minor)),
        in_full_percent=risks.percent(max(book.held_full_minor, book.working_full_minor)))


def _correlation_view(risks: Risks, found: Correlation) -> CorrelationView:
    """The matrix of what is most at risk, the most first, rounded for the eye."""
    riskiest = sorted(risks.lines, key=lambda line: -line.risk_minor)
    at_risk = list(dict.fromkeys(line.instrument_id for line in riskiest))[:MOST_CORRELATED]
    known = [instrument_id for instrument_id in at_risk if instrument_id in found.places]
    symbols = {instrument_id: risks.state.instruments[instrument_id].symbol for instrument_id in at_risk}
    matrix = tuple(tuple(round(found.matrix[found.places[row]][found.places[column]], 4) for column in known) for row in known)
    return CorrelationView(tuple(symbols[one] for one in known), matrix,
                           tuple(symbols[one] for one in at_risk if one not in found.places))


def _money(portfolio: PortfolioState, minor: Minor) -> Decimal:
    return Decimal(minor).scaleb(-portfolio.settings.minor_exponent)


def _signed_percent(risks: Risks) -> float:
    sign = -1 if risks.net_minor < 0 else 1
    return sign * risks.percent(abs(risks.net_minor))


def _line_view(risks: Risks, line: HeatLine) -> HeatView:
    instrument = risks.state.instruments[line.instrument_id]
    return HeatView(
        symbol=instrument.symbol, instrument_id=line.instrument_id, client_order_id=line.client_order_id, status=line.status,
        side="LONG" if line.sign > 0 else "SHORT", quantity=instrument.quantity(line.lots),
        price=instrument.price(line.price_ticks), stop=instrument.price(line.stop_ticks) if line.stop_ticks else None,
        risk=instrument.money(line.risk_minor), risk_percent=risks.percent(line.risk_minor),
        distance=instrument.money(line.distance_minor), gap=instrument.money(line.gap_minor),
        fee=instrument.money(line.fee_minor), bucket=line.bucket)


def _share_views(risks: Risks) -> tuple[ShareView, ...]:
    heats = bucket_heat(risks.lines)
    return tuple(ShareView(kind, name, risks.percent(minor), risks.percent(heats.get(name, 0)) if kind == "bucket" else 0.0)
                 for kind in ("bucket", "sector", "asset class") for name, minor in risks.grouped(kind).items())


# ---- limits and their use ------------------------------------------------------------------------------------------------------


def _limit_view(risks: Risks, name: str) -> LimitView:
    limits = risks.portfolio.settings.limits
    used = _USES[name](risks) if name in _USES else None
    limit = getattr(limits, name)
    part = None
    if used is not None and limit:
        part = round(min(HUGE, float(used) / float(limit)), 4)
    shown = "" if used is None else f"{100 * used:.2f} %" if isinstance(used, float) else str(used)
    if used is not None and name == "max_leverage":
        shown = f"{used:.2f}"
    return LimitView(name, limit_text(limit), shown, part, _source(risks.portfolio, name), described(name))


def _source(portfolio: PortfolioState, name: str) -> str:
    """Where a limit's value comes from: a person and when, the configuration, or the risk tolerance."""
    change = portfolio.limit_changes.get(name)
    if change is not None:
        return f"{change.by}, {datetime.fromtimestamp(change.at_ns // NS_PER_SECOND, UTC):%Y-%m-%d %H:%M} UTC"
    tolerance = portfolio.settings.tolerance
    preset: Limits = PRESETS[tolerance]
    return tolerance if getattr(portfolio.configured_limits, name) == getattr(preset, name) else "configuration"


def _largest(kind: str) -> Callable[[Risks], float | int | None]:
    return lambda risks: risks.share(max(risks.grouped(kind).values(), default=0))


def _lost(brake: str) -> Callable[[Risks], float | int | None]:
    def lost(risks: Risks) -> float | None:
        baseline: Minor | None = getattr(risks.portfolio, BASELINES[brake])
        if baseline is None or baseline <= 0 or not is_valued(risks.state, risks.market, _name(risks)):
            return None
        return max(0, baseline - risks.equity_minor + risks.portfolio.waiting_flow_minor) / baseline
    return lost


def _name(risks: Risks) -> str:
    return risks.portfolio.settings.portfolio


def _last_minute(risks: Risks) -> int:
    orders = (*risks.state.orders.values(), *risks.state.closed.values())
    return sum(1 for order in orders if order.intent.portfolio == _name(risks) and order.intent.purpose is Purpose.ENTRY
               and not order.external and order.intended_at_ns > risks.at_ns - MINUTE_NS)


def _turned_over(risks: Risks) -> float:
    day = risks.portfolio.day_equity_minor
    return min(HUGE, fraction(risks.portfolio.day_entry_notional_minor, risks.equity_minor if day is None else day))


_USES: dict[str, Callable[[Risks], float | int | None]] = {
    "max_heat_fraction": lambda risks: risks.share(risks.heat_minor),
    "max_bucket_heat_fraction": lambda risks: risks.share(max(bucket_heat(risks.lines).values(), default=0)),
    "max_correlated_heat_fraction": lambda risks: risks.share(risks.correlated_minor),
    "max_value_at_risk_fraction": lambda risks: risks.share(in_minor(risks.tail.normal_var_minor)),
    "max_expected_shortfall_fraction": lambda risks: risks.share(in_minor(
        max(risks.tail.historical_shortfall_minor, risks.tail.normal_shortfall_minor))),
    "max_position_fraction": _largest("instrument"), "max_sector_fraction": _largest("sector"),
    "max_asset_class_fraction": _largest("asset class"), "max_bucket_fraction": _largest("bucket"),
    "max_leverage": lambda risks: risks.share(risks.gross_minor),
    "max_gross_fraction": lambda risks: risks.share(risks.gross_minor),
    "max_net_fraction": lambda risks: risks.share(risks.worst_net_minor),
    "max_daily_notional_fraction": _turned_over, "max_orders_per_day": lambda risks: risks.portfolio.day_entry_count,
    "orders_per_minute": _last_minute, "max_day_loss_fraction": _lost("day loss"), "max_week_loss_fraction": _lost("week loss"),
    "max_drawdown_fraction": _lost("drawdown"), "max_losing_streak": lambda risks: risks.portfolio.losing_streak,
}
