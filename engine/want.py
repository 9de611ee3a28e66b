"""From what a person or a strategy says to an exact intent: symbols resolved, decimals turned into ticks and lots, size
found from the risk, and the card that shows all of it. Nothing is decided here; refusals name what cannot be meant."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from engine.heat import bucket_heat, bucket_of, correlated_heat, heat_lines
from engine.inputs import Connectivity, PlaceOrder, TrailSpec
from engine.instruments import Instrument
from engine.kernel.wants import LONGEST_HOLD_NS
from engine.limits import BPS
from engine.market import MarketView
from engine.orders import OrderIntent, OrderKind, Purpose
from engine.positions import ExitPlan, Position
from engine.repeats import MANUAL
from engine.risk import entry_checks
from engine.service import CheckView, OrderCard, Refusal
from engine.sizing import Sized, atr_distance_ticks, sized, ways
from engine.state import State
from engine.units import NS_PER_SECOND, Lots, Nanoseconds, Ticks, seconds_to_ns, steps_exact, steps_up, stop_steps, target_steps
from engine.valuation import (
    entry_stop_ticks,
    equity_minor,
    fraction,
    gross_minor,
    heat_minor,
    intended_risk_minor,
    working_notional_minor,
    worst_entry_ticks,
)

PERCENT_BPS = 100
MOST_DIGITS = 18
KEPT_EXITS = "exits"
LONGEST_HOLD_SECONDS = LONGEST_HOLD_NS // NS_PER_SECOND


class Assessment(NamedTuple):
    """A want made exact: the intent that would go out, its checks, and the card that a person sees."""

    intent: OrderIntent
    checks: tuple[CheckView, ...]
    card: OrderCard


def resolve(state: State, symbol: str, portfolio: str) -> Instrument | Refusal:
    """The instrument that a symbol means in a portfolio; `SYMBOL@venue` names one exactly."""
    if portfolio not in state.portfolios:
        return Refusal("portfolio", ", ".join(state.portfolios), portfolio, f"there is no portfolio called {portfolio!r}")
    wanted = symbol.strip().upper()
    listing = listed_in(state, portfolio)
    for instrument in listing:
        if instrument.is_called(wanted):
            return instrument
    account = state.account_of(portfolio)
    if not account.listed and account.connectivity is not Connectivity.LIVE:
        return Refusal("connection", "live", account.connectivity,
                       f"{account.account} is {account.connectivity} ({account.connectivity_detail}); what it lists is not known")
    near = [instrument.symbol for instrument in listing if instrument.symbol.upper().startswith(wanted[:2])]
    hint = f"; did you mean {', '.join(near[:3])}?" if near else ""
    return Refusal("instrument", f"{len(listing)} listed", symbol, f"{symbol!r} is not listed at this venue{hint}")


def listed_in(state: State, portfolio: str) -> list[Instrument]:
    """The instruments that a portfolio's account trades, and what it holds; two venues may well list the same symbol."""
    listed = state.account_of(portfolio).listed
    if not listed:
        return [*state.instruments.values()]
    held = (position.instrument_id for position in state.positions.values() if position.portfolio == portfolio)
    return [state.instruments[one] for one in dict.fromkeys((*listed, *held)) if one in state.instruments]


def unusable_number(command: msgspec.Struct) -> Refusal | None:
    """A number in a command so large or small that exact arithmetic on it would not end: told before any is tried."""
    for name in command.__struct_fields__:
        value = getattr(command, name)
        if isinstance(value, msgspec.Struct):
            inner = unusable_number(value)
            if inner is not None:
                return inner
        elif isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) > MOST_DIGITS:
            return Refusal("number", f"at most {MOST_DIGITS} digits", f"{value:.6g}",
                           f"{name} is not a number that could be meant")
    return None


def exact_ticks(instrument: Instrument, name: str, price: Decimal) -> Ticks | Refusal:
    """A price that is a whole number of ticks, or a refusal that names the increment."""
    ticks = steps_exact(price, instrument.tick_size) if price.is_finite() else None
    if ticks is None or not 0 < ticks <= instrument.max_ticks:
        return Refusal("price increment", str(instrument.tick_size), f"{price:f}",
                       f"{name} {price:f} is not a positive whole number of {instrument.symbol}'s tick {instrument.tick_size}")
    return ticks


def exact_lots(instrument: Instrument, quantity: Decimal) -> Lots | Refusal:
    """A quantity that is a whole number of lots, or a refusal that names the increment."""
    lots = steps_exact(quantity, instrument.lot_size) if quantity.is_finite() else None
    if lots is None or lots <= 0:
        return Refusal("quantity increment", str(instrument.lot_size), f"{quantity:f}",
                       f"quantity {quantity:f} is not a positive whole number of {instrument.symbol}'s lot {instrument.lot_size}")
    return lots


def trail_of(instrument: Instrument, market: MarketView, trail: TrailSpec | None) -> tuple[Ticks, int] | Refusal:
    """A trail as (ticks, bps); an ATR trail is resolved to ticks here, once, so that it is known before the order goes."""
    if trail is None:
        return 0, 0
    given = [value for value in (trail.price, trail.percent, trail.atr) if value is not None]
    if len(given) != 1 or not given[0].is_finite() or given[0] <= 0:
        return Refusal("trail", "one of price, percent, atr, above 0", str(trail),
                       "a trail is one price, percent or ATR multiple")
    if trail.price is not None:
        ticks = steps_up(trail.price, instrument.tick_size)
        if ticks > instrument.max_ticks:
            return Refusal("trail", f"up to {instrument.price(instrument.max_ticks)}", str(trail.price),
                           f"a trail of {trail.price} is no distance in {instrument.symbol}")
        return ticks, 0
    if trail.percent is not None:
        bps = int(trail.percent * PERCENT_BPS)
        if not 0 < bps < BPS:
            return Refusal("trail", "0.01 % to 99.99 %", f"{trail.percent} %", "a trail's percent lies between 0 and 100")
        return 0, bps
    atr = market.atr_ticks(instrument.instrument_id)
    if atr is None or trail.atr is None:
        return Refusal("trail", "14 bars", f"{len(market.bars(instrument.instrument_id, 14))} bars",
                       f"{instrument.symbol} has no ATR yet; give the trail as a price or a percent")
    return min(instrument.max_ticks, max(1, int(Decimal(str(atr)) * trail.atr))), 0


def _level_for_a_trail(instrument: Instrument, market: MarketView, want: PlaceOrder, trail_ticks: Ticks) -> Refusal | None:
    """Refuses a person's trail in price that is as long as most of the price: it is a level, typed where a distance belongs, and
    would leave a stop that guards nothing."""
    mark = market.marks.get(instrument.instrument_id)
    if want.origin != MANUAL or want.trail is None or want.trail.price is None or mark is None:
        return None
    price_ticks = mark.take_ticks(want.side.sign)
    if trail_ticks * 2 <= price_ticks:
        return None
    return Refusal("trail", f"up to half of {instrument.price(price_ticks)}", f"{want.trail.price:f}",
                   f"a trail is a distance, and {want.trail.price:f} is more than half of the price; give a level as the stop, "
                   "or a trail that is meant to be so far as a percent")


def plan_of(instrument: Instrument, market: MarketView, want: PlaceOrder) -> ExitPlan | Refusal:
    """The exit plan of a want; stops are rounded away from risk, targets toward the entry."""
    trail = trail_of(instrument, market, want.trail)
    if isinstance(trail, Refusal):
        return trail
    level = _level_for_a_trail(instrument, market, want, trail[0])
    if level is not None:
        return level
    sign, tick = want.side.sign, instrument.tick_size
    for name, price in (("stop", want.stop), ("target", want.target), ("breakeven", want.breakeven_at)):
        if price is not None and (not price.is_finite() or price <= 0 or price / tick > instrument.max_ticks):
            return Refusal("price", f"0 to {instrument.price(instrument.max_ticks)}", str(price),
                           f"{name} {price} is not a price")
    if want.max_hold_seconds is not None and not 0 < want.max_hold_seconds <= LONGEST_HOLD_SECONDS:
        return Refusal("max hold", f"above 0 s, to {LONGEST_HOLD_SECONDS} s", f"{want.max_hold_seconds} s",
                       "a maximum holding time is longer than nothing and shorter than ten years")
    return ExitPlan(
        stop_ticks=stop_steps(want.stop, tick, sign) if want.stop is not None else 0,
        target_ticks=target_steps(want.target, tick, sign) if want.target is not None else 0,
        trail_ticks=trail[0], trail_bps=trail[1],
        breakeven_at_ticks=target_steps(want.breakeven_at, tick, -sign) if want.breakeven_at is not None else 0,
        max_hold_ns=seconds_to_ns(want.max_hold_seconds or 0))


def assess(state: State, market: MarketView, at_ns: Nanoseconds, want: PlaceOrder) -> Assessment | Refusal:
    """Make an entry exact and hold it against every check."""
    instrument = resolve(state, want.symbol, want.portfolio)
    if isinstance(instrument, Refusal):
        return instrument
    kind_error = _kind_error(want)
    if kind_error:
        return kind_error
    prices = _prices(instrument, want)
    if isinstance(prices, Refusal):
        return prices
    plan = plan_of(instrument, market, want)
    if isinstance(plan, Refusal):
        return plan
    limit_ticks, trigger_ticks = prices
    mark = market.marks.get(instrument.instrument_id)
    draft = OrderIntent(
        client_order_id="", portfolio=want.portfolio, account=state.portfolios[want.portfolio].settings.account,
        instrument_id=instrument.instrument_id, side=want.side, order_lots=1, kind=want.kind, purpose=Purpose.ENTRY,
        limit_ticks=limit_ticks, trigger_ticks=trigger_ticks, time_in_force=want.time_in_force, strategy=want.origin,
        decision_ticks=mark.take_ticks(want.side.sign) if mark else 0, reason=want.rationale)
    entry = worst_entry_ticks(draft, draft.decision_ticks)
    ranged = _ranged_stop(market, instrument, want, plan, entry)
    if isinstance(ranged, Refusal):
        return ranged
    plan = ranged
    if plan.breakeven_at_ticks:
        plan = plan._replace(breakeven_to_ticks=entry)
    draft = replace_intent(draft, plan=plan if plan != ExitPlan() else None)
    size = _size(state, market, instrument, want, draft, entry)
    if isinstance(size, Refusal):
        return size
    intent = replace_intent(draft, order_lots=size.lots)
    checks = (*entry_checks(state, market, at_ns, intent), *_kept_exits(state, instrument, intent))
    card = order_card(state, market, instrument, intent, entry, checks)
    return Assessment(intent, checks, msgspec.structs.replace(
        card, clamps=size.clamps, over=want.over.words if want.over is not None else ""))


def _kept_exits(state: State, instrument: Instrument, intent: OrderIntent) -> tuple[CheckView, ...]:
    """Says that an entry's own exits will not apply: a position that has a stop keeps its plan when it grows."""
    held = state.position(intent.portfolio, intent.instrument_id)
    if intent.plan is None or held is None or held.sign != intent.side.sign or not held.stop_ticks \
            or intent.plan._replace(breakeven_to_ticks=0) == held.plan._replace(breakeven_to_ticks=0):
        return ()
    return (CheckView(KEPT_EXITS, passed=True, limit="", value="",
                      message=f"the position keeps its own, stop {instrument.price(held.stop_ticks)}; protect changes them"),)


def replace_intent(intent: OrderIntent, **fields: object) -> OrderIntent:
    """The intent with some fields changed."""
    return msgspec.structs.replace(intent, **fields)


_NEEDS: dict[OrderKind, tuple[bool, bool]] = {
    OrderKind.MARKET: (False, False), OrderKind.LIMIT: (True, False), OrderKind.STOP: (False, True),
    OrderKind.STOP_LIMIT: (True, True)}


def _kind_error(want: PlaceOrder) -> Refusal | None:
    needs = _NEEDS.get(want.kind)
    if needs is None:
        return Refusal("kind", "market, limit, stop, stop_limit", want.kind, f"an entry cannot be a {want.kind} order")
    if needs != (want.limit is not None, want.trigger is not None):
        named = " and ".join(name for name, needed in zip(("a limit", "a trigger"), needs, strict=True) if needed) or "no price"
        return Refusal("kind", named, want.kind, f"a {want.kind} order takes {named}")
    count = ways(want)
    if count != 1 or (want.size is not None and want.size.atr is not None and want.risk_percent is None):
        return Refusal("quantity", "one way to say how much", "neither" if not count else "both" if count > 1 else "atr alone",
                       "say how much, in one way: a quantity, a risk in percent of equity, a volatility, an edge, or the largest")
    return None


def _prices(instrument: Instrument, want: PlaceOrder) -> tuple[Ticks, Ticks] | Refusal:
    found: list[Ticks] = []
    for name, price in (("limit", want.limit), ("trigger", want.trigger)):
        ticks = exact_ticks(instrument, name, price) if price is not None else 0
        if isinstance(ticks, Refusal):
            return ticks
        found.append(ticks)
    return found[0], found[1]


def _size(state: State, market: MarketView, instrument: Instrument, want: PlaceOrder, draft: OrderIntent,
          entry: Ticks) -> Sized | Refusal:
    """A quantity is taken as it is said, whatever the limits make of it; any other size is cut to what they allow."""
    if want.quantity is None:
        return sized(state, market, want, draft, entry)
    lots = exact_lots(instrument, want.quantity)
    return lots if isinstance(lots, Refusal) else Sized(lots, ())


def _ranged_stop(market: MarketView, instrument: Instrument, want: PlaceOrder, plan: ExitPlan,
                 entry: Ticks) -> ExitPlan | Refusal:
    """The plan with a stop some ranges of the market away, where the size is by range and no stop was given."""
    if want.size is None or want.size.atr is None or plan.protects or not entry:
        return plan
    distance = atr_distance_ticks(market, instrument, want.size.atr)
    if isinstance(distance, Refusal):
        return distance
    return plan._replace(stop_ticks=max(1, entry - want.side.sign * distance))


# ---- the card ------------------------------------------------------------------------------------------------------------


def order_card(state: State, market: MarketView, instrument: Instrument, intent: OrderIntent, entry: Ticks,
               checks: tuple[CheckView, ...]) -> OrderCard:
    """What a person sees before an order goes."""
    portfolio = intent.portfolio
    equity = equity_minor(state, market, portfolio)
    notional = instrument.notional_minor(entry, intent.order_lots) if entry else 0
    stop = entry_stop_ticks(state, intent, entry) if entry else 0
    risk = intended_risk_minor(state, intent, entry, intent.order_lots) if entry else 0
    heat = heat_minor(state, market, portfolio)
    gross = gross_minor(state, market, portfolio) + working_notional_minor(state, market, portfolio)
    plan = _governing_plan(state, intent)
    target = plan.target_ticks if plan else 0
    return OrderCard(
        portfolio=portfolio, symbol=instrument.symbol, side=intent.side, quantity=instrument.quantity(intent.order_lots),
        kind=intent.kind, limit=price_or_none(instrument, intent.limit_ticks),
        trigger=price_or_none(instrument, intent.trigger_ticks), stop=price_or_none(instrument, stop),
        target=price_or_none(instrument, target), trail=trail_text(instrument, plan),
        reference=price_or_none(instrument, intent.decision_ticks), notional=instrument.money(notional),
        fee_estimate=instrument.money(instrument.fee_minor(entry, intent.order_lots, maker=False)),
        worst_loss=instrument.money(risk) if entry else None,
        reward_to_risk=abs(target - entry) / abs(entry - stop) if target and stop and entry != stop else None,
        equity_share_percent=_percent(notional, equity), heat_before_percent=_percent(heat, equity),
        heat_after_percent=_percent(heat + risk, equity), exposure_before_percent=_percent(gross, equity),
        exposure_after_percent=_percent(gross + notional, equity),
        currency=state.portfolios[portfolio].settings.currency, checks=checks, **_impact(state, market, intent, risk))


def _governing_plan(state: State, intent: OrderIntent) -> ExitPlan | None:
    """The plan under which an entry's lots will be held; a resting one may fill after the position is gone, and has its own."""
    held = state.position(intent.portfolio, intent.instrument_id)
    grows = held is not None and held.sign == intent.side.sign and held.stop_ticks and intent.kind is OrderKind.MARKET
    return held.plan if held is not None and grows else intent.plan


def closing_card(state: State, market: MarketView, held: Position, want: PlaceOrder, lots: Lots) -> OrderCard:
    """The card of an order that closes `lots` of a position: it risks nothing, and what it closes leaves heat and exposure."""
    portfolio, instrument = held.portfolio, state.instruments[held.instrument_id]
    equity = equity_minor(state, market, portfolio)
    mark = market.marks.get(held.instrument_id)
    price = mark.take_ticks(want.side.sign) if mark else held.best_ticks
    notional = instrument.notional_minor(price, lots)
    gross = gross_minor(state, market, portfolio) + working_notional_minor(state, market, portfolio)
    before = heat_lines(state, market, portfolio)
    rest = abs(held.lots) - lots
    after = [line if line.client_order_id or line.instrument_id != held.instrument_id
             else line._replace(lots=rest, risk_minor=-(-line.risk_minor * rest // abs(held.lots))) for line in before]
    bucket = bucket_of(state.settings, instrument)
    return OrderCard(
        portfolio=portfolio, symbol=instrument.symbol, side=want.side, quantity=instrument.quantity(lots), kind=want.kind,
        limit=None, trigger=None, stop=None, target=None, trail="",
        reference=instrument.price(price), notional=instrument.money(notional),
        fee_estimate=instrument.money(instrument.fee_minor(price, lots, maker=False)), worst_loss=instrument.money(0),
        reward_to_risk=None, equity_share_percent=_percent(notional, equity),
        heat_before_percent=_percent(sum(line.risk_minor for line in before), equity),
        heat_after_percent=_percent(sum(line.risk_minor for line in after), equity),
        exposure_before_percent=_percent(gross, equity), exposure_after_percent=_percent(max(0, gross - notional), equity),
        currency=state.portfolios[portfolio].settings.currency,
        checks=(CheckView("reduces", passed=True, limit=str(instrument.quantity(abs(held.lots))),
                          value=str(instrument.quantity(lots)), message=f"{instrument.quantity(rest)} stays"),),
        over=want.over.words if want.over is not None else "", bucket=bucket,
        bucket_heat_before_percent=_percent(bucket_heat(before).get(bucket, 0), equity),
        bucket_heat_after_percent=_percent(bucket_heat(after).get(bucket, 0), equity),
        correlated_heat_before_percent=_percent(correlated_heat(market, before).minor(), equity),
        correlated_heat_after_percent=_percent(correlated_heat(market, after).minor(), equity))


def _impact(state: State, market: MarketView, intent: OrderIntent, risk: int) -> dict[str, Any]:
    """Heat in the order's bucket and under the correlation of returns, before and after."""
    lines = heat_lines(state, market, intent.portfolio)
    bucket = bucket_of(state.settings, state.instruments[intent.instrument_id])
    in_bucket = bucket_heat(lines).get(bucket, 0)
    correlated = correlated_heat(market, lines, intent.instrument_id, intent.side.sign)
    equity = equity_minor(state, market, intent.portfolio)
    return {"bucket": bucket, "bucket_heat_before_percent": _percent(in_bucket, equity),
            "bucket_heat_after_percent": _percent(in_bucket + risk, equity),
            "correlated_heat_before_percent": _percent(correlated.minor(), equity),
            "correlated_heat_after_percent": _percent(correlated.minor(risk), equity)}


def _percent(part: int, whole: int) -> float:
    return round(100 * fraction(part, whole), 4)


def price_or_none(instrument: Instrument, ticks: Ticks) -> Decimal | None:
    return instrument.price(ticks) if ticks else None


def trail_text(instrument: Instrument, plan: ExitPlan | None) -> str:
    """A trail in words: its distance as a price or as a percent."""
    if plan is None:
        return ""
    if plan.trail_ticks:
        return f"{instrument.price(plan.trail_ticks)}"
    return f"{plan.trail_bps / PERCENT_BPS:g} %" if plan.trail_bps else ""


def changed_plan(position: Position, parts: ExitPlan, clear: tuple[str, ...],
                 given: Callable[[str], bool]) -> ExitPlan:
    """The position's plan with the given parts replaced and the cleared ones removed."""
    plan = position.plan
    fields = {"stop": ("stop_ticks",), "target": ("target_ticks",), "trail": ("trail_ticks", "trail_bps"),
              "breakeven": ("breakeven_at_ticks", "breakeven_to_ticks"), "max_hold": ("max_hold_ns",)}
    for part, names in fields.items():
        if part in clear:
            plan = plan._replace(**dict.fromkeys(names, 0))
        elif given(part):
            plan = plan._replace(**{name: getattr(parts, name) for name in names})
    return plan
