"""Reconciliation: the difference between our state and a venue's complete report, as events. Idempotent: the same report
twice adds nothing. Used unchanged at the start, after each reconnect and on a timer (docs/orders.md)."""

from decimal import Decimal

from engine.account_events import AccountTold
from engine.brakes import is_valued
from engine.events import (
    CashAdjusted,
    ConnectivityChanged,
    DriftCleared,
    DriftSeen,
    OrderClosed,
    OrderFilled,
    PositionAdjusted,
    PositionSplit,
    Reconciled,
)
from engine.facts import fold_fill, order_missing, order_report
from engine.flow_events import CashNature
from engine.flows import nature_of, worth_before
from engine.inputs import Connectivity, OrderMissing, VenuePosition, VenueReport
from engine.orders import ClosedAs, Fill, FillSource, Purpose
from engine.parent_events import ParentEnded
from engine.service import AlertLevel
from engine.splits import split_ratio
from engine.turn import Turn
from engine.units import NS_PER_SECOND, Lots, Ticks, seconds_to_ns

SKEW_WARN_SECONDS = 2
SKEW_ERROR_SECONDS = 10
CLOCK = "clock"
BEFORE_SPLIT = "its price is from before the split"


def reconcile(turn: Turn, report: VenueReport) -> None:
    """Bring our facts to the venue's word; what cannot be explained is named, adjusted and blocks entries there."""
    first = not turn.state.accounts[report.account].funded
    _clock(turn, report)
    _standing(turn, report)
    new_fills = sum(fold_fill(turn, fill) for fill in sorted(report.fills, key=lambda fill: (fill.at_ns, fill.trade_id))
                    if first or not _was_adopted(turn, fill))
    lagging = _orders(turn, report)
    drifting = _positions(turn, report, adopt=first)
    account = turn.state.accounts[report.account]
    overtaken = account.last_fill_ns > report.venue_time_ns
    _cash(turn, report, first=first, quiet=not (new_fills or drifting or lagging or overtaken))
    account = turn.state.accounts[report.account]
    due = turn.at_ns - account.reconciled_at_ns >= seconds_to_ns(turn.state.settings.reconcile_seconds)
    live = account.connectivity is Connectivity.LIVE
    if not (drifting or lagging) and (due or new_fills or not live):
        turn.emit(Reconciled(report.account, new_fills, len(report.open_orders), len(report.positions), report.venue_time_ns))
    if not live:
        turn.emit(ConnectivityChanged(report.account, Connectivity.LIVE, ""))


def is_another_account(turn: Turn, report: VenueReport) -> bool:
    """Whether the report is of another account than the one that holds what we hold, as with another one's key: taken for the
    venue's word it would undo every position, and leave what really is held to nobody."""
    account = turn.state.accounts[report.account]
    if not account.owner or not report.owner or report.owner == account.owner:
        return False
    if not any(one.account == report.account for one in turn.state.positions.values()) \
            and not any(one.intent.account == report.account for one in turn.state.orders.values()):
        return False
    why = "its key opens another account at the venue"
    if account.connectivity is Connectivity.LIVE:
        turn.emit(ConnectivityChanged(report.account, Connectivity.RECONCILING, why))
    turn.alert(AlertLevel.CRIT, "another-account", report.account,
               f"{why} than the one that holds our positions: nothing is taken from it, nothing is sent there; store the right "
               f"key with `quarterdeck keys set {report.account}` and start again, or give that account a name of its own")
    return True


def _standing(turn: Turn, report: VenueReport) -> None:
    """Whose the account is and whether it may open anything, told when that changes."""
    account = turn.state.accounts[report.account]
    owner = report.owner or account.owner
    if (owner, report.barred) == (account.owner, account.barred):
        return
    turn.emit(AccountTold(report.account, owner, report.barred))
    if report.barred:
        turn.alert(AlertLevel.CRIT, "barred", report.account, f"{report.barred}: entries wait, and exits may be refused as well")
    elif account.barred:
        turn.alert(AlertLevel.INFO, "barred", report.account, "the account may trade again")


def _was_adopted(turn: Turn, fill: Fill) -> bool:
    """A stranger's fill from before the account was first read: what was adopted then holds it, and it would count twice."""
    return turn.state.order(fill.client_order_id) is None and fill.at_ns <= turn.state.accounts[fill.account].opened_at_ns


def _clock(turn: Turn, report: VenueReport) -> None:
    """Tell once that our clock and the venue's differ, again where it becomes serious, and once more when they agree: deadlines,
    sessions and signed requests depend on it."""
    seconds = abs(report.clock_ahead_ns) / NS_PER_SECOND
    serious, large = seconds > SKEW_ERROR_SECONDS, seconds > SKEW_WARN_SECONDS
    level = AlertLevel.ERROR if serious else AlertLevel.WARN if large else AlertLevel.INFO
    known = turn.state.alerts.get(f"{CLOCK}:{report.account}")
    if level is (known.level if known else AlertLevel.INFO):
        return
    side = "ahead of" if report.clock_ahead_ns > 0 else "behind"
    turn.alert(level, CLOCK, report.account, "our clock and the venue's agree again" if level is AlertLevel.INFO else
               f"our clock is {seconds:.1f} s {side} the venue's; set this computer's clock")


def _orders(turn: Turn, report: VenueReport) -> bool:
    """Fold what the venue says of each order; True while it counts more executed than its fills explain."""
    lagging = False
    for found in report.open_orders:
        order_report(turn, found, in_full_report=True)
    for answer in report.looked_up:
        if isinstance(answer, OrderMissing):
            order_missing(turn, answer)
        else:
            order_report(turn, answer, in_full_report=True)
            lagging |= _infer_missing_fill(turn, answer.client_order_id, answer.cum_lots, answer.average_ticks,
                                           answer.fees_minor, answer.at_ns)
    still_open = {found.client_order_id or f"external-{found.venue_order_id}": None for found in report.open_orders}
    for order in list(turn.state.orders.values()):
        if order.external and order.intent.account == report.account and order.client_order_id not in still_open:
            turn.emit(OrderClosed(order.client_order_id, ClosedAs.CANCELED, "no longer open at the venue"))
    return lagging


def _infer_missing_fill(turn: Turn, client_order_id: str, cum_lots: Lots, average_ticks: float, fees_minor: int,
                        at_ns: int) -> bool:
    """The venue counts more than its fills explain: asked again once; if it still offers none after the settle time, one
    inferred fill stands in, which the real ones consume when they come. True while it is waited for."""
    order = turn.state.order(client_order_id)
    if order is None or cum_lots <= order.cum_lots:
        return False
    subject = f"{client_order_id}#{cum_lots}"
    known = turn.state.alerts.get(f"fills-lag:{subject}")
    if known is None or turn.at_ns - known.at_ns < seconds_to_ns(turn.state.settings.settle_seconds):
        if known is None:
            turn.alert(AlertLevel.WARN, "fills-lag", subject, "the venue counts more executed than its fills explain")
        return True
    lots = cum_lots - order.cum_lots
    value = round(average_ticks * cum_lots) - order.cum_value
    trade_id = f"inferred-{client_order_id}-{cum_lots}"
    fill = Fill(order.intent.account, order.intent.instrument_id, trade_id, client_order_id, order.intent.side, lots,
                max(1, value // lots), max(0, fees_minor - order.fees_minor), at_ns, source=FillSource.INFERRED)
    turn.emit(OrderFilled(fill, order.intent.portfolio))
    turn.touch(order.intent.portfolio, order.intent.instrument_id)
    return False


def _positions(turn: Turn, report: VenueReport, *, adopt: bool) -> bool:
    """Compare net lots, exactly; True while any difference is not settled. A report that a fill of the stream has overtaken
    cannot say who is right: nothing is adopted from it."""
    account = turn.state.accounts[report.account]
    theirs = {position.instrument_id: position for position in report.positions}
    ours = {position.instrument_id: position.lots for position in turn.state.positions.values()
            if position.account == report.account}
    listed = {one.instrument_id for one in report.instruments}
    unsettled = False
    overtaken = account.last_fill_ns > report.venue_time_ns
    for instrument_id in sorted({*theirs, *ours, *account.drifts}):
        if instrument_id not in turn.state.instruments:
            turn.alert(AlertLevel.CRIT, "unknown-instrument", instrument_id, "the venue holds something that is not listed")
            continue
        if not report.all_held and listed and instrument_id not in listed and instrument_id not in theirs:
            _tell_unlisted(turn, instrument_id)
            continue
        our_lots = ours.get(instrument_id, 0)
        venue_lots = theirs[instrument_id].lots if instrument_id in theirs else 0
        drift = account.drifts.get(instrument_id)
        if not overtaken and instrument_id in theirs and _was_split(turn, report.account, theirs[instrument_id]):
            our_lots = venue_lots
        if our_lots == venue_lots:
            if drift is not None and not drift.settled:
                turn.emit(DriftCleared(report.account, instrument_id, "the venue agrees again"))
            continue
        waited = drift is not None and turn.at_ns - drift.seen_at_ns >= seconds_to_ns(turn.state.settings.settle_seconds)
        if overtaken or (not adopt and not waited):
            if drift is None:
                turn.emit(DriftSeen(report.account, instrument_id, our_lots, venue_lots))
            unsettled = True
            continue
        average = theirs[instrument_id].average_ticks if instrument_id in theirs else 0.0
        _adjust(turn, report.account, instrument_id, our_lots, venue_lots, _price(turn, instrument_id, average))
    return unsettled


def _tell_unlisted(turn: Turn, instrument_id: str) -> None:
    """A report says nothing of what its venue does not list: what we hold of it is neither confirmed nor gone."""
    if f"unlisted:{instrument_id}" not in turn.state.alerts:
        turn.alert(AlertLevel.CRIT, "unlisted", instrument_id,
                   f"{turn.state.instruments[instrument_id].symbol} is held, and its venue lists it no more: nothing here can "
                   "watch or close it, it stays in the books as it was; look at the venue's own page")


def _was_split(turn: Turn, account: str, told: VenuePosition) -> bool:
    """Fold a split of what one portfolio holds: its levels move along, orders at the old price are withdrawn, since a stop of
    before would sell at once, those over time end, and that price counts for nothing until a new one comes. True where it was
    one."""
    portfolio = turn.state.accounts[account].portfolio
    position = turn.state.position(portfolio, told.instrument_id)
    if position is None or position.account != account:
        return False
    instrument = turn.state.instruments[told.instrument_id]
    ratio = split_ratio(instrument, position.lots, position.entry_value, told.lots, told.average_ticks)
    if ratio is None:
        return False
    turn.emit(PositionSplit(account, portfolio, told.instrument_id, position.lots, told.lots, ratio.numerator, ratio.denominator))
    turn.market.void_price(told.instrument_id)
    turn.market.forget(position.key, told.instrument_id)
    for order in turn.state.orders_in(portfolio, told.instrument_id):
        if order.intent.purpose in (Purpose.ENTRY, Purpose.STOP, Purpose.TARGET) and not order.external:
            turn.cancel(order, BEFORE_SPLIT)
    parent = turn.state.parent_in(portfolio, told.instrument_id)
    if parent is not None:
        done_lots = min(parent.done_lots(position), parent.intent.order_lots) if parent.from_lots else 0
        turn.emit(ParentEnded(parent.parent_id, BEFORE_SPLIT, done_lots=done_lots))
    turn.alert(AlertLevel.ERROR, "split", told.instrument_id,
               f"{instrument.symbol} was split {ratio.numerator}:{ratio.denominator}: {position.lots} lots are now {told.lots}; "
               "stop, target and trail moved along, entries are withdrawn; look at them before the market opens")
    turn.touch(portfolio, told.instrument_id)
    return True


def _price(turn: Turn, instrument_id: str, average_ticks: float) -> Ticks:
    mark = turn.market.marks.get(instrument_id)
    return max(1, round(average_ticks) or (mark.last_ticks if mark else 0))


def _adjust(turn: Turn, account: str, instrument_id: str, our_lots: Lots, venue_lots: Lots, ticks: Ticks) -> None:
    """Take the venue's word, say so loudly, and block entries there until a person accepts it."""
    portfolio = turn.state.accounts[account].portfolio
    mark = turn.market.marks.get(instrument_id)
    worth_ticks = mark.value_ticks(our_lots or venue_lots) if mark else turn.market.last_close_ticks(instrument_id) or 0
    delta_minor = turn.state.instruments[instrument_id].signed_notional_minor(worth_ticks or ticks, venue_lots - our_lots)
    valued = is_valued(turn.state, turn.market, portfolio)
    worth = worth_before(turn.state, turn.market, portfolio, delta_minor) if valued else None
    turn.emit(PositionAdjusted(account, portfolio, instrument_id, our_lots, venue_lots, ticks, "the venue's word", worth_ticks,
                               worth))
    turn.emit(DriftSeen(account, instrument_id, our_lots, venue_lots, settled=True))
    turn.alert(AlertLevel.CRIT, "drift", instrument_id,
               f"we knew {our_lots} lots, the venue holds {venue_lots}: adopted; entries wait until it is accepted")
    turn.touch(portfolio, instrument_id)


def _cash(turn: Turn, report: VenueReport, *, first: bool, quiet: bool) -> None:
    """The venue's cash replaces ours where no fill fell into the window, nor came after it: a round trip that the report does not
    know yet would be taken for money paid in, and taken out again with the next one."""
    account = turn.state.accounts[report.account]
    delta = report.cash_minor - account.cash_minor
    if first:
        turn.emit(CashAdjusted(report.account, delta, "opening balance"))
    elif delta and quiet:
        nature = nature_of(turn.state, turn.market, account.portfolio, delta)
        worth = worth_before(turn.state, turn.market, account.portfolio, delta) if nature is CashNature.FLOW else 0
        turn.emit(CashAdjusted(report.account, delta, "the venue's word", nature, worth))
        taken = "a cost, which is a loss" if nature is CashNature.COST else "a deposit" if delta > 0 else "a withdrawal"
        money = turn.state.portfolios[account.portfolio].settings
        told = f"{Decimal(delta).scaleb(-money.minor_exponent):+,f} {money.currency}"
        turn.alert(AlertLevel.WARN, "cash", report.account,
                   f"the venue's cash differs from ours by {told}; its word was taken, as {taken}")
