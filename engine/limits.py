"""The limits of a portfolio as checks of an entry. Each names itself, its limit and the value it was held against.

The checks on size look at a `Book`, the portfolio as it is before the order, and at a number of lots. The same functions
decide whether an order passes and how much sizing has to take off, so that the two cannot disagree.
"""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache, partial
from typing import NamedTuple
from zoneinfo import ZoneInfo

from engine.brakes import is_valued, losses, size_factor
from engine.budgets import BudgetUse, sizing_minor, uses_for
from engine.currency import Total, needs_total, total_exposure, total_heat, total_of
from engine.heat import CorrelatedHeat, bucket_heat, bucket_of, correlated_heat, heat_lines, sector_of
from engine.inputs import Limits
from engine.instruments import ALWAYS_OPEN, Instrument
from engine.market import Mark, MarketView
from engine.orders import OrderIntent
from engine.service import CheckView
from engine.state import State
from engine.tail_risk import Tail, TailBook, in_minor, tail_book
from engine.trading_hours import NS_PER_MINUTE, moment_text
from engine.units import NS_PER_SECOND, Lots, Minor, Nanoseconds, Ticks
from engine.valuation import (
    entry_orders,
    entry_stop_ticks,
    equity_minor,
    fraction,
    intended_risk_minor,
    market_value_minor,
    portfolio_positions,
    reference_ticks,
)

BPS = 10_000
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

type SizeCheck = Callable[[Book, Lots], CheckView]


def check(name: str, passed: bool, limit: object, value: object, message: str = "") -> CheckView:  # noqa: FBT001
    """A verdict; the message is for a check that failed."""
    return CheckView(name, passed, str(limit), str(value), "" if passed else message)


# ---- the book before the order -----------------------------------------------------------------------------------------------


class Exposure(NamedTuple):
    """Money at work, working entries included.

    `long_minor` and `short_minor` are what longs are more than shorts, and the other way, if of the working entries only those
    of that side fill: one that would hedge may never do so.
    """

    gross_minor: Minor
    long_minor: Minor
    short_minor: Minor
    working_minor: Minor
    sector_minor: Minor
    class_minor: Minor
    bucket_minor: Minor


class Book(NamedTuple):
    """A portfolio as the checks on size see it, before one entry at one price.

    `same_side_lots` are what is held and wanted in the instrument on the entry's side; `size_factor` is the part of the usual
    size that the brakes leave; `sizing_minor` is the money that sizes are parts of, `budgets` are those that the entry uses.
    """

    state: State
    intent: OrderIntent
    instrument: Instrument
    limits: Limits
    currency: str
    entry_ticks: Ticks
    size_factor: float
    equity_minor: Minor
    exposure: Exposure
    same_side_lots: Lots
    heat_minor: Minor
    bucket: str
    bucket_heat_minor: Minor
    correlated: CorrelatedHeat | None
    day_equity_minor: Minor
    day_notional_minor: Minor
    daily_volume_lots: float | None
    tail: TailBook | None
    budgets: tuple[BudgetUse, ...]
    sizing_minor: Minor
    total: Total | None = None

    def money(self, minor: Minor) -> str:
        return f"{self.instrument.money(minor)} {self.currency}"

    def notional(self, lots: Lots) -> Minor:
        return self.instrument.notional_minor(self.entry_ticks, lots)

    def risk(self, lots: Lots) -> Minor:
        return intended_risk_minor(self.state, self.intent, self.entry_ticks, lots)

    def share(self, minor: Minor) -> float:
        return fraction(minor, self.equity_minor)

    @property
    def buying_power_minor(self) -> Minor:
        """Leverage times equity, less what is held and what working entries may still take."""
        return int(self.equity_minor * self.limits.max_leverage) - self.exposure.gross_minor


def same_side_lots(state: State, intent: OrderIntent) -> Lots:
    """What is held and wanted already on the side of an entry."""
    held = state.position(intent.portfolio, intent.instrument_id)
    lots = abs(held.lots) if held and held.sign == intent.side.sign else 0
    return lots + sum(order.leaves_lots for order in entry_orders(state, intent.portfolio)
                      if order.intent.instrument_id == intent.instrument_id and order.intent.side is intent.side)


def book_of(state: State, market: MarketView, intent: OrderIntent, entry: Ticks) -> Book:
    """The portfolio before this entry."""
    portfolio = state.portfolios[intent.portfolio]
    limits = portfolio.settings.limits
    instrument = state.instruments[intent.instrument_id]
    lines = heat_lines(state, market, intent.portfolio)
    bucket = bucket_of(state.settings, instrument)
    same_side = same_side_lots(state, intent)
    equity = equity_minor(state, market, intent.portfolio)
    return Book(
        state=state, intent=intent, instrument=instrument, limits=limits, currency=portfolio.settings.currency,
        entry_ticks=entry, size_factor=size_factor(portfolio), equity_minor=equity,
        exposure=exposure_of(state, market, intent.portfolio, instrument), same_side_lots=same_side,
        heat_minor=sum(line.risk_minor for line in lines), bucket=bucket,
        bucket_heat_minor=bucket_heat(lines).get(bucket, 0),
        correlated=correlated_heat(market, lines, instrument.instrument_id, intent.side.sign)
        if limits.max_correlated_heat_fraction else None,
        day_equity_minor=equity if portfolio.day_equity_minor is None else portfolio.day_equity_minor,
        day_notional_minor=portfolio.day_entry_notional_minor,
        daily_volume_lots=market.daily_volume_lots(instrument.instrument_id, instrument.trading_day_ns)
        if limits.max_daily_volume_fraction else None,
        tail=book_tail(state, market, intent.portfolio, instrument)
        if limits.max_value_at_risk_fraction or limits.max_expected_shortfall_fraction else None,
        budgets=tuple(uses_for(state, market, intent.portfolio, intent.strategy, intent.instrument_id)),
        sizing_minor=sizing_minor(state, market, intent.portfolio, intent.strategy),
        total=total_of(state, market) if needs_total(state) else None)


def book_tail(state: State, market: MarketView, portfolio: str, more_in: Instrument | None = None) -> TailBook:
    """What the portfolio may lose on a bad day, at the confidence of its limits."""
    work = [(state.instruments[instrument_id], minor, is_working)
            for instrument_id, minor, is_working in at_work(state, market, portfolio)]
    return tail_book(market, work, state.portfolios[portfolio].settings.limits.tail_confidence, more_in)


def exposure_of(state: State, market: MarketView, portfolio: str, like: Instrument | None = None) -> Exposure:
    """What is at work in a portfolio, and how much of it in the sector, asset class and bucket of one instrument."""
    settings = state.settings
    wanted = (sector_of(settings, like), like.asset_class, bucket_of(settings, like)) if like else None
    gross = held = working = 0
    one_way = {1: 0, -1: 0}
    groups = [0, 0, 0]
    for instrument_id, minor, is_working in at_work(state, market, portfolio):
        gross += abs(minor)
        if is_working:
            working += abs(minor)
            one_way[1 if minor > 0 else -1] += abs(minor)
        else:
            held += minor
        if wanted is not None:
            one = state.instruments[instrument_id]
            own = (sector_of(settings, one), one.asset_class, bucket_of(settings, one))
            groups = [total + (abs(minor) if mine == theirs else 0)
                      for total, mine, theirs in zip(groups, own, wanted, strict=True)]
    return Exposure(gross, held + one_way[1], one_way[-1] - held, working, *groups)


def at_work(state: State, market: MarketView, portfolio: str) -> list[tuple[str, Minor, bool]]:
    """Signed money of every position and, at its worst price, of every working entry."""
    found = [(position.instrument_id, market_value_minor(state, market, position), False)
             for position in portfolio_positions(state, portfolio)]
    for order in entry_orders(state, portfolio):
        notional = state.instruments[order.intent.instrument_id].notional_minor(reference_ticks(market, order), order.leaves_lots)
        found.append((order.intent.instrument_id, notional * order.intent.side.sign, True))
    return found


# ---- checks on size ------------------------------------------------------------------------------------------------------------


def order_notional(book: Book, lots: Lots) -> CheckView:
    notional, cap = book.notional(lots), order_cap_minor(book)
    return check("order notional", notional <= cap, book.money(cap), book.money(notional),
                 f"the order is worth {book.money(notional)}; an order may be worth {book.money(cap)}{_braked(book)}")


def order_cap_minor(book: Book) -> Minor:
    """The largest order in money."""
    caps = [int(book.equity_minor * book.limits.max_order_notional_fraction)]
    if book.limits.max_order_notional is not None:
        caps.append(int(book.limits.max_order_notional.scaleb(book.instrument.minor_exponent)))
    return max(0, int(min(caps) * book.size_factor))


def risk_per_order(book: Book, lots: Lots) -> CheckView:
    limit = book.limits.max_risk_per_order_fraction * book.size_factor
    share = book.share(book.risk(lots))
    return check("risk per order", share <= limit, f"{limit:.2%}", f"{share:.2%}",
                 f"the order risks {share:.2%} of equity; an order may risk {limit:.2%}{_braked(book)}")


def position_share(book: Book, lots: Lots) -> CheckView:
    share = book.share(book.notional(book.same_side_lots + lots))
    limit = book.limits.max_position_fraction
    return check("position share", share <= limit, f"{limit:.1%}", f"{share:.1%}",
                 f"{book.instrument.symbol} would be {share:.1%} of equity; the limit is {limit:.1%}")


def buying_power(book: Book, lots: Lots) -> CheckView:
    needed = book.notional(lots) + book.instrument.fee_minor(book.entry_ticks, lots, maker=False)
    left = max(0, book.buying_power_minor)
    return check("buying power", needed <= book.buying_power_minor, book.money(left), book.money(needed),
                 f"the order needs {book.money(needed)}; {book.money(left)} is left")


def gross_exposure(book: Book, lots: Lots) -> CheckView:
    return _shared(book, "gross exposure", book.exposure.gross_minor + book.notional(lots), book.limits.max_gross_fraction)


def net_exposure(book: Book, lots: Lots) -> CheckView:
    """In the direction of the entry alone: what makes the difference smaller is not held back by it."""
    before = book.exposure.long_minor if book.intent.side.sign > 0 else book.exposure.short_minor
    return _shared(book, "net exposure", max(0, before + book.notional(lots)), book.limits.max_net_fraction)


def sector_share(book: Book, lots: Lots) -> CheckView:
    return _shared(book, "sector share", book.exposure.sector_minor + book.notional(lots), book.limits.max_sector_fraction,
                   sector_of(book.state.settings, book.instrument))


def asset_class_share(book: Book, lots: Lots) -> CheckView:
    return _shared(book, "asset class share", book.exposure.class_minor + book.notional(lots),
                   book.limits.max_asset_class_fraction, book.instrument.asset_class)


def bucket_share(book: Book, lots: Lots) -> CheckView:
    return _shared(book, "bucket share", book.exposure.bucket_minor + book.notional(lots), book.limits.max_bucket_fraction,
                   book.bucket)


def _shared(book: Book, name: str, minor: Minor, limit: float, of_what: str = "") -> CheckView:
    share = book.share(minor)
    subject = of_what or name
    return check(name, share <= limit, f"{limit:.1%}", f"{share:.1%}",
                 f"{subject} would be {share:.1%} of equity; the limit is {limit:.1%}")


def heat(book: Book, lots: Lots) -> CheckView:
    return _hot(book, "heat", book.heat_minor + book.risk(lots), book.limits.max_heat_fraction)


def bucket_heat_check(book: Book, lots: Lots) -> CheckView:
    return _hot(book, "bucket heat", book.bucket_heat_minor + book.risk(lots), book.limits.max_bucket_heat_fraction)


def correlated_heat_check(book: Book, lots: Lots) -> CheckView:
    assert book.correlated is not None
    return _hot(book, "correlated heat", book.correlated.minor(book.risk(lots)), book.limits.max_correlated_heat_fraction)


def _hot(book: Book, name: str, minor: Minor, limit: float) -> CheckView:
    share, allowed = book.share(minor), limit * book.size_factor
    where = f" of {book.bucket}" if name == "bucket heat" else ""
    return check(name, share <= allowed, f"{allowed:.2%}", f"{share:.2%}",
                 f"{name}{where} would be {share:.2%} of equity; the limit is {allowed:.2%}{_braked(book)}")


def value_at_risk(book: Book, lots: Lots) -> CheckView:
    """The normal figure: it can only grow with size once it grows, which the historical one need not."""
    return _tailed(book, "value at risk", _tail(book, lots).normal_var_minor, book.limits.max_value_at_risk_fraction)


def expected_shortfall(book: Book, lots: Lots) -> CheckView:
    """The larger of both figures; the historical one is never below the historical value at risk, so it bounds that too."""
    tail = _tail(book, lots)
    return _tailed(book, "expected shortfall", max(tail.historical_shortfall_minor, tail.normal_shortfall_minor),
                   book.limits.max_expected_shortfall_fraction)


def _tail(book: Book, lots: Lots) -> Tail:
    assert book.tail is not None
    return book.tail.tail(book.intent.side.sign * book.notional(lots))


def _tailed(book: Book, name: str, loss: float, limit: float) -> CheckView:
    share = book.share(in_minor(loss))
    unknown = "" if book.tail is None or book.tail.along is not None else \
        f" ({book.instrument.symbol} has too few bars and counts in full)"
    return check(name, share <= limit, f"{limit:.2%}", f"{share:.2%}",
                 f"the one-day {name} at {book.limits.tail_confidence:.1%} would be {share:.2%} of equity{unknown}; "
                 f"the limit is {limit:.2%}")


def daily_notional(book: Book, lots: Lots) -> CheckView:
    cap = int(max(0, book.day_equity_minor) * book.limits.max_daily_notional_fraction)
    after = book.day_notional_minor + book.notional(lots)
    return check("daily notional", after <= cap, book.money(cap), book.money(after),
                 f"the day's entries would come to {book.money(after)}; the limit is {book.money(cap)}")


def daily_volume(book: Book, lots: Lots) -> CheckView:
    limit, volume = book.limits.max_daily_volume_fraction, book.daily_volume_lots
    if not volume:
        return check("daily volume share", False, f"{limit:.2%}", "not known",  # noqa: FBT003
                     f"the average daily volume of {book.instrument.symbol} is not known yet")
    share = lots / volume
    return check("daily volume share", share <= limit, f"{limit:.2%}", f"{share:.2%}",
                 f"the order is {share:.2%} of the average daily volume; the limit is {limit:.2%}")


def strategy_capital(book: Book, lots: Lots, *, use: BudgetUse) -> CheckView:
    """What a strategy has at work against its capital."""
    after, capital = use.work_minor + book.notional(lots), use.capital_minor or 0
    return check("strategy capital", after <= capital, book.money(capital), book.money(after),
                 f"{use.strategy} would have {book.money(after)} at work; its capital is {book.money(capital)}")


def strategy_heat(book: Book, lots: Lots, *, use: BudgetUse) -> CheckView:
    """What a strategy risks against its part of the portfolio's heat."""
    share, allowed = book.share(use.heat_minor + book.risk(lots)), (use.heat_fraction or 0.0) * book.size_factor
    return check("strategy heat", share <= allowed, f"{allowed:.2%}", f"{share:.2%}",
                 f"the heat of {use.strategy} would be {share:.2%} of equity; its budget is {allowed:.2%}{_braked(book)}")


def _braked(book: Book) -> str:
    return f" (braked to {book.size_factor:.0%})" if book.size_factor < 1 else ""


def size_checks(book: Book) -> list[SizeCheck]:
    """The checks on size that are on, in the order in which they are told."""
    limits = book.limits
    has_sector = bool(sector_of(book.state.settings, book.instrument))
    rows: list[tuple[object, SizeCheck]] = [
        (True, order_notional), (limits.max_risk_per_order_fraction, risk_per_order), (True, position_share),
        (True, buying_power), (limits.max_gross_fraction, gross_exposure), (limits.max_net_fraction, net_exposure),
        (limits.max_sector_fraction and has_sector, sector_share), (limits.max_asset_class_fraction, asset_class_share),
        (limits.max_bucket_fraction and book.bucket != book.instrument.symbol, bucket_share), (True, heat),
        (limits.max_bucket_heat_fraction, bucket_heat_check), (book.correlated is not None, correlated_heat_check),
        (limits.max_value_at_risk_fraction, value_at_risk), (limits.max_expected_shortfall_fraction, expected_shortfall),
        (limits.max_daily_notional_fraction, daily_notional), (limits.max_daily_volume_fraction, daily_volume)]
    together = book.state.settings.currency
    rows += [(together.max_total_heat_fraction, total_heat), (together.max_total_gross_fraction, total_exposure)]
    return [one for is_on, one in rows if is_on] + [
        partial(one, use=use) for use in book.budgets for is_on, one in (
            (use.capital_minor is not None, strategy_capital), (use.heat_fraction, strategy_heat)) if is_on]


# ---- checks that do not depend on size -----------------------------------------------------------------------------------------


def list_checks(state: State, at_ns: Nanoseconds, intent: OrderIntent) -> list[CheckView]:
    """What may be entered at all, and when."""
    limits = state.portfolios[intent.portfolio].settings.limits
    instrument = state.instruments[intent.instrument_id]
    checks: list[CheckView] = []
    if limits.blacklist:
        barred = any(instrument.is_called(name) for name in limits.blacklist)
        checks.append(check("blacklist", not barred, "not listed", "listed" if barred else "not listed",
                            f"{instrument.symbol} is on the blacklist of {intent.portfolio}"))
    if limits.preferred_sectors:
        sector = sector_of(state.settings, instrument)
        checks.append(check("preferred sectors", sector in limits.preferred_sectors, ", ".join(limits.preferred_sectors),
                            sector or "no sector", f"{instrument.symbol} is not of a sector that {intent.portfolio} prefers"))
    if limits.trading_hours:
        zone = state.settings.new_day_zone
        local = local_time(zone, at_ns)
        checks.append(check("trading hours", within_hours(limits.trading_hours, local), f"{limits.trading_hours} {zone}",
                            f"{WEEKDAYS[local.weekday()]} {local:%H:%M}", "entries wait for the portfolio's trading hours"))
    return checks


def close_checks(state: State, market: MarketView, at_ns: Nanoseconds, intent: OrderIntent) -> list[CheckView]:
    """No entry that would have to leave again at once: the last minutes before the close belong to exits."""
    minutes = state.portfolios[intent.portfolio].settings.limits.flat_before_close_minutes
    instrument = state.instruments[intent.instrument_id]
    if not minutes or instrument.session == ALWAYS_OPEN:
        return []
    session = market.session_bounds(instrument.session, at_ns)
    early = at_ns < session.close_ns - minutes * NS_PER_MINUTE
    return [check("time to the close", session.holds(at_ns) and early, f"more than {minutes} min",
                  f"closes {moment_text(session.close_ns)}" if session.holds(at_ns) else "closed",
                  f"{intent.portfolio} is flat {minutes} min before the close of {instrument.symbol}; entries wait for the next "
                  "session")]


def local_time(zone: str, at_ns: Nanoseconds) -> datetime:
    """The moment as a clock in that zone shows it."""
    return datetime.fromtimestamp(at_ns // NS_PER_SECOND, _zone(zone))


@lru_cache(maxsize=8)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def within_hours(hours: str, local: datetime) -> bool:
    """Whether a moment lies in hours such as `mon-fri 09:30-16:00`; the end is not part of them, and they may cross midnight.

    What lies after midnight belongs to the day on which the hours began.
    """
    days, _, span = hours.rpartition(" ")
    first, last = (span[:5], span[6:])
    clock = f"{local:%H:%M}"
    weekday = local.weekday()
    if first <= last:
        inside = first <= clock < last
    else:
        inside = clock >= first or clock < last
        weekday = (weekday - 1) % 7 if clock < last else weekday
    return inside and _on_day(days, weekday)


def _on_day(days: str, weekday: int) -> bool:
    if not days:
        return True
    first, _, last = days.partition("-")
    start, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
    return start <= weekday <= end if start <= end else weekday >= start or weekday <= end


def loss_checks(state: State, market: MarketView, portfolio: str) -> list[CheckView]:
    """Losses against their limits at this very moment, also before the beat that latches the brake."""
    if not is_valued(state, market, portfolio):
        return []
    equity = equity_minor(state, market, portfolio)
    return [check(loss.brake, loss.loss_fraction < loss.limit_fraction, f"{loss.limit_fraction:.2%}", f"{loss.loss_fraction:.2%}",
                  f"the {loss.brake} of {portfolio} is {loss.loss_fraction:.2%}; entries stop at {loss.limit_fraction:.2%}")
            for loss in losses(state.portfolios[portfolio], equity)]


def market_checks(state: State, instrument: Instrument, intent: OrderIntent, mark: Mark, entry: Ticks) -> list[CheckView]:
    """The spread, and what the order may win against what it may lose."""
    limits = state.portfolios[intent.portfolio].settings.limits
    checks: list[CheckView] = []
    if limits.max_spread_bps:
        spread = (mark.ask_ticks - mark.bid_ticks) * BPS / mark.bid_ticks
        checks.append(check("spread", spread <= limits.max_spread_bps, f"{limits.max_spread_bps} bps", f"{spread:.0f} bps",
                            f"the spread of {instrument.symbol} is {spread:.0f} bps; entries wait until it is at most "
                            f"{limits.max_spread_bps} bps"))
    if limits.min_reward_to_risk:
        checks.append(_reward_check(state, intent, entry, limits.min_reward_to_risk))
    return checks


def _reward_check(state: State, intent: OrderIntent, entry: Ticks, least: float) -> CheckView:
    plan = intent.plan
    stop = entry_stop_ticks(state, intent, entry)
    if plan and not plan.target_ticks and (plan.trail_ticks or plan.trail_bps):
        return check("reward to risk", True, f"{least:g}", "open: a trailing stop")  # noqa: FBT003
    if plan is None or not plan.target_ticks or not stop or entry == stop:
        return check("reward to risk", False, f"{least:g}", "no target" if stop else "no stop",  # noqa: FBT003
                     f"an entry needs a target at least {least:g} times as far away as its stop, or a trailing stop")
    ratio = (plan.target_ticks - entry) * intent.side.sign / abs(entry - stop)
    return check("reward to risk", ratio >= least, f"{least:g}", f"{ratio:.2f}",
                 f"the target is {ratio:.2f} times as far away as the stop; at least {least:g} times is asked")


def count_checks(state: State, portfolio: str) -> list[CheckView]:
    """How many entries the day has seen."""
    known = state.portfolios[portfolio]
    most = known.settings.limits.max_orders_per_day
    if not most:
        return []
    return [check("orders a day", known.day_entry_count < most, most, known.day_entry_count,
                  f"{portfolio} has sent {known.day_entry_count} entries today; the limit is {most}")]
