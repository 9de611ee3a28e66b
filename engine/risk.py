"""Pre-trade checks and limits; the only maker of `RiskApproved`, which is all that the gateway accepts.

Every check says its name, its limit and the value it was held against, passed or not. An order that can only reduce a
position is never held back by heat, loss limits, order rate or trading state; it is checked for really reducing.
"""

from collections.abc import Sequence

from engine.account_standing import account_checks
from engine.arming import is_armed
from engine.currency import rate_checks
from engine.errors import InvariantBroken
from engine.inputs import AutomationLevel, Connectivity, TradingState
from engine.instruments import Instrument
from engine.lifecycle import stage_checks
from engine.limits import (
    BPS,
    Book,
    book_of,
    check,
    close_checks,
    count_checks,
    list_checks,
    loss_checks,
    market_checks,
    same_side_lots,
    size_checks,
)
from engine.market import MarketView
from engine.orders import Order, OrderIntent, OrderKind, Purpose
from engine.repeats import repeat_check, venue_refusals_check
from engine.self_match import self_match_check
from engine.service import CheckView, Refusal
from engine.state import State
from engine.trading_hours import moment_text
from engine.units import NS_PER_SECOND, Lots, Nanoseconds, Ticks, seconds_to_ns
from engine.valuation import (
    entry_orders,
    first_stop_ticks,
    worst_entry_ticks,
)

_SEAL = object()


class RiskApproved:
    """An intent that passed the checks. Only this module can make one."""

    __slots__ = ("intent",)

    def __init__(self, intent: OrderIntent, seal: object) -> None:
        if seal is not _SEAL:
            raise InvariantBroken("RiskApproved is made by engine.risk alone")
        self.intent = intent


def refusal_of(failed: CheckView) -> Refusal:
    return Refusal(failed.name, failed.limit, failed.value, failed.message)


# ---- entries -----------------------------------------------------------------------------------------------------------


def entry_checks(state: State, market: MarketView, at_ns: Nanoseconds, intent: OrderIntent) -> tuple[CheckView, ...]:
    """Every check of an entry, in the order in which they are told."""
    instrument = state.instruments[intent.instrument_id]
    checks = [*_standing_checks(state, intent), *_arming_checks(state, at_ns, intent),
              *account_checks(state, market, at_ns, intent), *stage_checks(state, intent),
              *list_checks(state, at_ns, intent),
              *close_checks(state, market, at_ns, intent),
              *_size_checks(state, instrument, intent)]
    mark = market.marks.get(intent.instrument_id)
    limits = state.portfolios[intent.portfolio].settings.limits
    age_seconds = (at_ns - mark.at_ns) / NS_PER_SECOND if mark else None
    fresh = age_seconds is not None and age_seconds <= limits.stale_quote_seconds
    checks.append(check("stale quote", fresh, f"{limits.stale_quote_seconds:g} s",
                        "no quote" if age_seconds is None else f"{age_seconds:.1f} s",
                        _why_no_quote(market, instrument, at_ns)))
    if mark is None:
        return tuple(checks)
    taking = mark.take_ticks(intent.side.sign)
    entry = worst_entry_ticks(intent, taking)
    checks += _price_checks(state, instrument, intent, mark.bid_ticks, mark.ask_ticks, entry)
    checks.append(self_match_check(state, intent, taking))
    checks += market_checks(state, instrument, intent, mark, entry)
    checks += loss_checks(state, market, intent.portfolio)
    checks += rate_checks(state, market, at_ns, intent.portfolio)
    checks += _flow_checks(state, at_ns, intent)
    checks += count_checks(state, intent.portfolio)
    checks += [one for one in (repeat_check(state, at_ns, intent), venue_refusals_check(state, at_ns, intent)) if one]
    checks += _money_checks(book_of(state, market, intent, entry), intent.order_lots)
    return tuple(checks)


def _why_no_quote(market: MarketView, instrument: Instrument, at_ns: Nanoseconds) -> str:
    if market.session_open(instrument.session, at_ns):
        return f"{instrument.symbol} has no quote fresh enough to trade on; wait for one"
    opens_ns = market.session_bounds(instrument.session, at_ns).open_ns
    return f"the market of {instrument.symbol} is closed until {moment_text(opens_ns)}; wait for its first quote"


def _standing_checks(state: State, intent: OrderIntent) -> list[CheckView]:
    instrument = state.instruments[intent.instrument_id]
    portfolio = state.portfolios[intent.portfolio]
    account = state.account_of(intent.portfolio)
    trading_state = state.effective_state(intent.portfolio)
    drift = account.drifts.get(intent.instrument_id)
    short = intent.side.sign < 0
    return [
        check("instrument", instrument.tradable and (instrument.shortable or not short), "tradable",
              "not tradable" if not instrument.tradable else "long only" if short and not instrument.shortable else "tradable",
              f"{instrument.symbol} cannot be {'sold short' if short else 'bought'} at {instrument.venue}"),
        check("trading state", trading_state is TradingState.ACTIVE, "ACTIVE", trading_state,
              f"{intent.portfolio} is {trading_state}: entries are blocked; resume first"),
        *_leaving_checks(state, instrument, intent),
        check("automation", portfolio.settings.automation is not AutomationLevel.MONITOR_ONLY, "suggest_only or higher",
              portfolio.settings.automation, f"{intent.portfolio} only monitors; change its automation level to trade"),
        check("connection", account.connectivity is Connectivity.LIVE and account.funded, "live", account.connectivity,
              f"{account.account} is {account.connectivity} ({account.connectivity_detail}); entries wait until it is live"),
        check("drift", drift is None, "none", f"ours {drift.our_lots}, venue {drift.venue_lots} lots" if drift else "none",
              f"{instrument.symbol} differs between us and the venue; accept the venue's word first"),
    ]


def _leaving_checks(state: State, instrument: Instrument, intent: OrderIntent) -> list[CheckView]:
    """Nothing is added to what is on its way out as a whole, by the engine or by a stop that is partly filled: the addition would
    be withdrawn at once, or be filled behind the exit and stay. Told only then."""
    position = state.position(intent.portfolio, intent.instrument_id)
    if position is None:
        return []
    why = position.exit_reason if not position.exit_lots else ""
    if not why and any(order.intent.purpose is Purpose.STOP and order.cum_lots
                       for order in state.orders_in(intent.portfolio, intent.instrument_id)):
        why = "its stop is being filled"
    return [check("leaving", not why, "staying", "leaving",
                  f"{instrument.symbol} is on its way out ({why}); enter anew once it is flat")] if why else []


def _arming_checks(state: State, at_ns: Nanoseconds, intent: OrderIntent) -> list[CheckView]:
    """Real money opens nothing that a person has not armed; accounts on paper are not asked."""
    if not state.portfolios[intent.portfolio].settings.live:
        return []
    armed = is_armed(state, intent.portfolio, at_ns)
    return [check("arming", armed, "armed", "armed" if armed else "not armed",
                  f"{intent.account} holds real money and is not armed: it only watches and protects; "
                  f"`quarterdeck arm {intent.account}` arms it")]


def _size_checks(state: State, instrument: Instrument, intent: OrderIntent) -> list[CheckView]:
    """One order must be able to carry the whole position out again, so that is how large it may become."""
    total = intent.order_lots + same_side_lots(state, intent)
    quantity = instrument.quantity(intent.order_lots)
    return [
        check("minimum quantity", intent.order_lots >= instrument.min_lots, instrument.quantity(instrument.min_lots),
              quantity, f"{instrument.symbol} trades from {instrument.quantity(instrument.min_lots)} up"),
        check("maximum quantity", total <= instrument.max_lots, instrument.quantity(instrument.max_lots),
              instrument.quantity(total),
              f"{instrument.symbol} takes at most {instrument.quantity(instrument.max_lots)} an order, and one order must be "
              "able to close it all"),
    ]


def _price_checks(state: State, instrument: Instrument, intent: OrderIntent, bid: Ticks, ask: Ticks,
                  entry: Ticks) -> list[CheckView]:
    limits = state.portfolios[intent.portfolio].settings.limits
    sign = intent.side.sign
    taking = ask if sign > 0 else bid
    reach = (entry - taking) * sign * BPS / taking
    spread = (ask - bid) * BPS / bid
    worst = max(reach, spread) if intent.kind is OrderKind.MARKET else reach
    checks = [check("price collar", worst <= limits.collar_bps, f"{limits.collar_bps} bps", f"{worst:.0f} bps",
                    f"{instrument.symbol} at {instrument.price(entry)} is {worst:.0f} bps past the market "
                    f"({instrument.price(bid)} / {instrument.price(ask)}); the collar is {limits.collar_bps} bps")]
    if intent.kind in (OrderKind.STOP, OrderKind.STOP_LIMIT):
        checks.append(check("trigger side", (intent.trigger_ticks - taking) * sign > 0,
                            f"{'above' if sign > 0 else 'below'} {instrument.price(taking)}",
                            instrument.price(intent.trigger_ticks),
                            f"a {intent.side} stop entry must wait {'above' if sign > 0 else 'below'} the market"))
    checks += _exit_level_checks(state, instrument, intent, bid if sign > 0 else ask, entry)
    return checks


def _exit_level_checks(state: State, instrument: Instrument, intent: OrderIntent, leaving: Ticks,
                       entry: Ticks) -> list[CheckView]:
    """The stop must lie on the losing side of the entry and of the price at which one could leave now."""
    sign, plan = intent.side.sign, intent.plan
    below, above = ("below", "above") if sign > 0 else ("above", "below")
    resting = intent.kind is not OrderKind.MARKET
    near = entry if resting else min(leaving, entry) if sign > 0 else max(leaving, entry)
    stop = first_stop_ticks(plan, sign, entry)
    held = state.position(intent.portfolio, intent.instrument_id)
    guarded = bool(stop) or bool(held and held.stop_ticks)
    required = state.portfolios[intent.portfolio].settings.limits.require_stop
    checks = [check("stop required", guarded or not required, "a stop" if required else "none",
                    "a stop" if guarded else "no stop",
                    "an entry needs a stop: give --stop or --trail (or set require_stop = false)")]
    if stop:
        checks.append(check("stop side", (near - stop) * sign > 0, f"{below} {instrument.price(near)}",
                            instrument.price(stop), f"a stop of a {'long' if sign > 0 else 'short'} belongs {below} the market"))
    checks.append(_one_stop_check(state, instrument, intent, stop))
    if plan and plan.target_ticks:
        checks.append(check("target side", (plan.target_ticks - entry) * sign > 0, f"{above} {instrument.price(entry)}",
                            instrument.price(plan.target_ticks),
                            f"a target of a {'long' if sign > 0 else 'short'} belongs {above} the entry"))
    if plan and plan.breakeven_at_ticks:
        checks.append(check("breakeven side", (plan.breakeven_at_ticks - entry) * sign > 0,
                            f"{above} {instrument.price(entry)}", instrument.price(plan.breakeven_at_ticks),
                            f"breakeven of a {'long' if sign > 0 else 'short'} is reached {above} the entry"))
    return checks


def _one_stop_check(state: State, instrument: Instrument, intent: OrderIntent, stop: Ticks) -> CheckView:
    """Entries that work side by side end in one position, under the stop of whichever fills first: what the others risk is
    known only where all of them would start with the same stop. What is taken at once joins the stop that is in force."""
    sign = intent.side.sign
    others = [first_stop_ticks(order.intent.plan, sign, worst_entry_ticks(order.intent, order.intent.decision_ticks))
              for order in entry_orders(state, intent.portfolio)
              if order.intent.instrument_id == intent.instrument_id and order.intent.side is intent.side and not order.external
              and order.client_order_id != intent.slice_of]
    held = state.position(intent.portfolio, intent.instrument_id)
    joins = intent.kind is OrderKind.MARKET and held is not None and held.sign == sign and bool(held.stop_ticks)
    differing = next((other for other in others if other != stop), stop)
    return check("one stop", joins or differing == stop, instrument.price(differing) if differing else "no stop",
                 instrument.price(stop) if stop else "no stop",
                 f"another {intent.side} of {instrument.symbol} works with {'the stop ' if differing else 'no stop'}"
                 f"{instrument.price(differing) if differing else ''}: both will share one; name the same, or cancel that order")


def _flow_checks(state: State, at_ns: Nanoseconds, intent: OrderIntent) -> list[CheckView]:
    limits = state.portfolios[intent.portfolio].settings.limits
    recent = [order for order in (*state.orders.values(), *state.closed.values())
              if order.intent.portfolio == intent.portfolio and order.intent.purpose is Purpose.ENTRY and not order.external]
    since_ns = at_ns - seconds_to_ns(limits.duplicate_seconds)
    same = [order for order in recent if order.intended_at_ns > since_ns and _same_terms(order, intent)
            and not (intent.slice_of and order.intent.slice_of == intent.slice_of)]  # slices are alike by their plan
    minute = sum(1 for order in recent if order.intended_at_ns > at_ns - 60 * NS_PER_SECOND)
    age = (at_ns - same[-1].intended_at_ns) / NS_PER_SECOND if same else None
    return [
        check("duplicate", not same, f"{limits.duplicate_seconds:g} s", "none" if age is None else f"{age:.1f} s ago",
              f"the same order was sent {age or 0:.1f} s ago as {same[-1].client_order_id if same else ''}; "
              f"repeat it after {limits.duplicate_seconds:g} s if it is meant"),
        check("order rate", minute < limits.orders_per_minute, f"{limits.orders_per_minute} a minute", minute,
              f"{intent.portfolio} has sent {minute} orders within a minute; wait"),
    ]


def _same_terms(order: Order, intent: OrderIntent) -> bool:
    known = order.intent
    return (known.instrument_id, known.side, known.order_lots, known.kind, known.limit_ticks, known.trigger_ticks) == (
        intent.instrument_id, intent.side, intent.order_lots, intent.kind, intent.limit_ticks, intent.trigger_ticks)


def _money_checks(book: Book, lots: Lots) -> list[CheckView]:
    instrument = book.instrument
    notional, least = book.notional(lots), instrument.min_notional_minor
    return [check("minimum notional", notional >= least, book.money(least), book.money(notional),
                  f"{instrument.symbol} takes orders from {book.money(least)} up"),
            *(one(book, lots) for one in size_checks(book))]


def approve_entry(checks: Sequence[CheckView], entry: OrderIntent,
                  children: Sequence[OrderIntent] = ()) -> tuple[RiskApproved, ...] | Refusal:
    """The entry and its native protective children, approved together; or the first check that failed."""
    for one in checks:
        if not one.passed:
            return refusal_of(one)
    for child in children:
        if child.parent_id != entry.client_order_id or child.side is entry.side or child.order_lots > entry.order_lots:
            raise InvariantBroken(f"{child.client_order_id} does not protect {entry.client_order_id}")
    return (RiskApproved(entry, _SEAL), *(RiskApproved(child, _SEAL) for child in children))


# ---- exits -------------------------------------------------------------------------------------------------------------


def approve_exit(state: State, intent: OrderIntent) -> RiskApproved | Refusal:
    """An order that only reduces: never blocked by limits, nor by orders that are not ours and that nobody here cancels;
    refused where it could open or turn a position."""
    position = state.position(intent.portfolio, intent.instrument_id)
    held = position.lots if position else 0
    if held * intent.side.sign >= 0 or intent.order_lots > abs(held) or intent.purpose is Purpose.ENTRY:
        return Refusal("reduces", f"{abs(held)} lots", f"{intent.side} {intent.order_lots} lots",
                       "an exit may only reduce what is held")
    capabilities = state.account_of(intent.portfolio).capabilities
    if not capabilities.reduce_only:
        live = sum(state.covered_lots(order) for order in state.orders_in(intent.portfolio, intent.instrument_id)
                   if order.intent.side is intent.side and not order.external and not _one_cancels(order, intent)
                   and not state.is_second_of_pair(order))
        if live + intent.order_lots > abs(held):
            return Refusal("reduces", f"{abs(held)} lots", f"{live} lots are already on their way out",
                           "this venue has no reduce-only orders: the others must be cancelled first")
    return RiskApproved(intent, _SEAL)


def _one_cancels(order: Order, intent: OrderIntent) -> bool:
    return bool(intent.oco_group) and order.intent.oco_group == intent.oco_group


def approve_flatten(intent: OrderIntent, venue_lots: int) -> RiskApproved | Refusal:
    """A closing order of the panic, held against the venue's own word on what it holds, which may differ from ours."""
    if venue_lots * intent.side.sign >= 0 or intent.order_lots > abs(venue_lots) or intent.purpose is not Purpose.FLATTEN:
        return Refusal("reduces", f"{abs(venue_lots)} lots", f"{intent.side} {intent.order_lots} lots",
                       "a flatten order may only reduce what the venue holds")
    return RiskApproved(intent, _SEAL)


def approve_resend(state: State, order: Order, at_ns: Nanoseconds) -> RiskApproved | Refusal:
    """The same order once more, proven never to have arrived; an entry only while entries are allowed, and while nobody wants it
    cancelled."""
    if order.intent.purpose is not Purpose.ENTRY:
        return RiskApproved(order.intent, _SEAL)
    trading_state = state.effective_state(order.intent.portfolio)
    if trading_state is not TradingState.ACTIVE:
        return Refusal("trading state", "ACTIVE", trading_state, "entries are blocked")
    if not is_armed(state, order.intent.portfolio, at_ns):
        return Refusal("arming", "armed", "not armed", f"{order.intent.account} is not armed")
    for one in stage_checks(state, order.intent):
        if not one.passed:
            return refusal_of(one)
    if order.cancel_requests:
        return Refusal("cancel", "not cancelled", "cancelled", "it is being cancelled")
    return RiskApproved(order.intent, _SEAL)


def approve_repeat(state: State, orders: Sequence[Order]) -> list[RiskApproved]:
    """Orders of one request that only reduce, once more, while nobody knows whether they arrived; none where one of them may have
    left a trace or was to be cancelled, where the position has become smaller than what they would take off it, nor a stop or
    target behind a panic that cancels everything."""
    for order in orders:
        intent = order.intent
        position = state.position(intent.portfolio, intent.instrument_id)
        held = position.lots if position else 0
        if order.acked or order.cum_lots or order.cancel_requests or intent.parent_id or intent.purpose is Purpose.ENTRY:
            return []
        if state.flattening(intent.portfolio) and intent.purpose in (Purpose.STOP, Purpose.TARGET):
            return []
        if held * intent.side.sign >= 0 or intent.order_lots > abs(held):
            return []
    return [RiskApproved(order.intent, _SEAL) for order in orders]
