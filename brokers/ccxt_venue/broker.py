"""One spot account at a crypto venue behind the engine's `Broker` port, through ccxt.

Every order carries our id and is sent exactly once; what ccxt raises becomes one of the four answers. Balances are
positions in whole lots, the quote currency is cash. What a venue cannot do is refused, so that the engine does it.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from brokers.ccxt_venue.account_watch import AccountWatch
from brokers.ccxt_venue.answers import HeldBack, Outcome, answer_of, cause_of, is_a, never_connected, outcome_of, reason_of
from brokers.ccxt_venue.balances import balances_of, cash_minor_of, positions_of
from brokers.ccxt_venue.fills import FillBook
from brokers.ccxt_venue.known_orders import KnownOrder
from brokers.ccxt_venue.listing import Listing
from brokers.ccxt_venue.numbers import NS_PER_MS, exact
from brokers.ccxt_venue.order_terms import OrderRequest, refusal_of, request_of
from brokers.ccxt_venue.profiles import Sweep, capabilities_of, profile_of, stop_param
from brokers.ccxt_venue.session import VENUES_OWN, Endpoints, KeySource, Session
from brokers.remembered import Remembered
from engine.errors import KeyRefused, VenueUnreachable
from engine.inputs import (
    Accepted,
    CancelAnswer,
    CancelRefused,
    Duplicate,
    NotSent,
    OrderMissing,
    OrderReport,
    Refused,
    SubmitAnswer,
    Unanswered,
    VenueReport,
)
from engine.instruments import Instrument
from engine.orders import FillSource, OrderIntent, Purpose
from engine.ports import VenueMessage
from engine.units import Nanoseconds

log = logging.getLogger("quarterdeck.ccxt")

MINOR_EXPONENT = 8
STREAM_SECONDS = 10.0
REPORT_TRIES = 3
REPORT_PAUSE_SECONDS = 0.2
IDS_A_REQUEST = 100


class _Opened(NamedTuple):
    listing: Listing
    book: FillBook
    watch: AccountWatch


class Tuning(NamedTuple):
    """What is rarely set otherwise.

    `venue` names the venue in instrument ids (the exchange's id unless given). `minor_exponent` is how many decimals money
    has: 8 keeps a crypto venue's cash exact. `poll_seconds` is how often orders at work are looked at while no stream is
    up. `rate_limit_ms` replaces ccxt's pace, for a tier or a proxy with another one.
    """

    venue: str = ""
    minor_exponent: int = MINOR_EXPONENT
    poll_seconds: float = 1.0
    rate_limit_ms: int | None = None


USUAL = Tuning()


class CcxtBroker:
    """One account; `symbols` are ccxt's names of spot markets, all quoted in the account's currency.

    The key is asked of `key_source` when connecting, and kept nowhere but in ccxt's object.
    """

    def __init__(self, account: str, exchange_id: str, key_source: KeySource, *, symbols: Sequence[str],
                 endpoints: Endpoints = VENUES_OWN, sandbox: bool = False, tuning: Tuning = USUAL) -> None:
        self.account = account
        self.remembered = Remembered()
        self.exchange_id = exchange_id
        self.capabilities = capabilities_of(profile_of(exchange_id), {})
        self._venue = tuning.venue or exchange_id
        self._symbols, self._minor_exponent, self._poll_seconds = tuple(symbols), tuning.minor_exponent, tuning.poll_seconds
        self._session = Session(exchange_id, key_source, endpoints=endpoints, sandbox=sandbox,
                                rate_limit_ms=tuning.rate_limit_ms)
        self._profile = self._session.profile
        self._reporting = asyncio.Lock()
        self._opened: _Opened | None = None

    def __repr__(self) -> str:
        return f"CcxtBroker({self.account}, {self.exchange_id})"

    # ---- life ----

    async def connect(self, sink: Callable[[VenueMessage], None]) -> tuple[Instrument, ...]:
        """Open the account; raises `VenueUnreachable`, `KeyRefused`, `ConfigError` for an unknown exchange or sandbox, and
        `InstrumentError` for symbols that cannot be traded here."""
        await self.close()
        await self._session.open()
        try:
            return await self._start(sink)
        except BaseException as error:
            cause = self._session.clean(cause_of(error))
            await self.close()
            if is_a(error, "AuthenticationError"):
                raise KeyRefused(f"account {self.account}: {self.exchange_id} refuses the key ({cause}); look at its permissions "
                                 f"there, or store another with `quarterdeck keys set {self.account}`") from None
            if type(error).__module__.startswith("ccxt"):
                raise VenueUnreachable(f"account {self.account}: {self.exchange_id} did not open it ({cause})") from None
            raise

    async def _start(self, sink: Callable[[VenueMessage], None]) -> tuple[Instrument, ...]:
        exchange = self._session.exchange
        symbols = self._still_listed(exchange.markets)
        listing = Listing(self._venue, exchange.markets, exchange.precisionMode, symbols, self._minor_exponent,
                          await self._prices(symbols))
        self.capabilities = capabilities_of(self._profile, exchange.features,
                                            stop_types=stops_everywhere(exchange.markets, listing))
        book = FillBook(self.account, listing)
        watch = AccountWatch(self.account, self._session, listing, book, sink, self._poll_seconds)
        self._opened = _Opened(listing, book, watch)
        began_ns = await self._venue_ns()
        book.align(balances_of(await self._session.call(exchange.fetch_balance)), ())
        await watch.start(began_ns, STREAM_SECONDS)
        return listing.all()

    def _still_listed(self, markets: Mapping[str, Any]) -> list[str]:
        """The symbols to trade; one that was traded before and is listed no more is told and left out."""
        known = self.remembered
        asked = known.asked(self._symbols)
        known.gone = tuple(symbol for symbol in asked if symbol not in markets and known.may_be_gone(symbol))
        if known.gone:
            log.error("account %s: %s lists no more: %s", self.account, self.exchange_id, ", ".join(known.gone))
        return [symbol for symbol in asked if symbol not in known.gone]

    async def _prices(self, symbols: Sequence[str]) -> dict[str, Decimal]:
        """What the symbols cost now; not knowing costs nothing but room."""
        exchange = self._session.exchange
        try:
            tickers = await self._session.call(exchange.fetch_tickers, [
                symbol for symbol in symbols if symbol in exchange.markets])
        except Exception as error:  # noqa: BLE001 - prices are a convenience here
            self._session.clean(cause_of(error))
            return {}
        found = {symbol: exact(ticker.get("last") or ticker.get("ask")) for symbol, ticker in tickers.items()}
        return {symbol: price for symbol, price in found.items() if price}

    async def close(self) -> None:
        """End streams and forget the key; safe to call twice."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.watch.stop()
        await self._session.close()

    @property
    def _account(self) -> _Opened:
        if self._opened is None:
            raise VenueUnreachable(f"{self.account} is not connected")
        return self._opened

    # ---- orders ----

    async def submit(self, intents: Sequence[OrderIntent]) -> Sequence[SubmitAnswer]:
        """Send orders one after the other; one answer each, in order."""
        if self._opened is None:
            return [NotSent(f"{self.account} is not connected") for _ in intents]
        return [await self._submit(intent) for intent in intents]

    async def _submit(self, intent: OrderIntent) -> SubmitAnswer:
        listing = self._account.listing
        symbol = listing.symbol_of(intent.instrument_id)
        instrument = listing.by_symbol(symbol)
        refusal = refusal_of(intent, instrument, self.capabilities, self.account)
        wire_id = self._profile.wire_ids.outward(intent.client_order_id)
        if refusal is not None or instrument is None or symbol is None:
            return refusal or Refused(f"{intent.instrument_id} is not listed here", "unknown_instrument")
        if wire_id is None:
            return Refused(f"{self.exchange_id} takes no id like {intent.client_order_id}", "client_order_id")
        known = self._account.watch.known.submitted(intent, symbol)
        if known.sent:
            answered = await self._sent_before(known)
            if answered is not None:
                return answered
        request = request_of(intent, instrument, wire_id, self._profile, stop_param(self._session.exchange.features))
        return await self._send(known, intent, request)

    async def _sent_before(self, known: KnownOrder) -> SubmitAnswer | None:
        """Whether the venue has an order that we sent once already. Many venues would take its id again once it is closed,
        which would trade twice, so they are asked."""
        try:
            order = await self._account.watch.queries.order_by_client(known.client_order_id)
        except Exception as error:  # noqa: BLE001 - without an answer nothing is sent
            return Unanswered(self._session.clean(cause_of(error)))
        if order is None:
            return None
        self._account.watch.heard(order, known.client_order_id)
        return Duplicate()

    async def _send(self, known: KnownOrder, intent: OrderIntent, request: OrderRequest) -> SubmitAnswer:
        watch = self._account.watch
        watch.in_flight += 1
        known.sent = True
        try:
            order = await self._session.call(self._session.exchange.create_order, *request, urgent=True)
        except Exception as error:  # noqa: BLE001 - every exception is an answer
            if is_a(error, "OrderImmediatelyFillable") and _only_reduces(intent) and request.type == "market":
                return await self._send(known, intent, _at_once(request))
            return self._failed_send(known, error)
        finally:
            watch.in_flight -= 1
        venue_order_id = str(order.get("id") or "")
        watch.nudge()
        if not venue_order_id:
            return Unanswered("the venue answered without an order id")
        watch.known.bind(known, venue_order_id)
        return Accepted(venue_order_id)

    def _failed_send(self, known: KnownOrder, error: Exception) -> SubmitAnswer:
        answer = answer_of(error)
        if is_a(error, "InvalidNonce"):
            self._account.watch.measure_soon()
        if isinstance(answer, NotSent):
            known.sent = False
        elif isinstance(answer, Refused):
            known.sent = known.closed = True
            answer = Refused(self._session.clean(answer.reason), answer.code)
        else:
            self._account.watch.nudge()
        return answer

    # ---- cancels ----

    async def cancel(self, client_order_id: str, venue_order_id: str) -> CancelAnswer:
        """Ask to cancel one order, ours or foreign."""
        if self._opened is None:
            return NotSent(f"{self.account} is not connected")
        try:
            known = await self._located(client_order_id, venue_order_id)
            if known is None:
                return CancelRefused("no such order", unknown_order=True)
            try:
                await self._session.call(self._session.exchange.cancel_order, *self._cancel_request(known), urgent=True)
            except Exception as error:
                if is_a(error, "OperationFailed") or isinstance(error, HeldBack) or outcome_of(error) is Outcome.NOT_SENT:
                    raise
                return await self._cancel_refused(known, error)
        except Exception as error:  # noqa: BLE001 - every exception is an answer
            if isinstance(error, HeldBack) or never_connected(error) or outcome_of(error) is Outcome.NOT_SENT:
                return NotSent(self._session.clean(cause_of(error)))
            return Unanswered(self._session.clean(cause_of(error)))
        self._account.watch.nudge()
        return Accepted(known.venue_order_id)

    def _cancel_request(self, known: KnownOrder) -> tuple[Any, ...]:
        if known.venue_order_id:
            return known.venue_order_id, known.symbol
        wire_id = self._profile.wire_ids.outward(known.client_order_id)
        return "", known.symbol, {"clientOrderId": wire_id}

    async def _located(self, client_order_id: str, venue_order_id: str) -> KnownOrder | None:
        """The order with its symbol, looked up where this process has not met it; raises what ccxt raises."""
        watch = self._account.watch
        known = watch.known.by_client(client_order_id) or watch.known.by_venue(venue_order_id)
        if known is not None and (known.venue_order_id or self._profile.cancels_by_client_id):
            return known
        if client_order_id:
            order = await watch.queries.order_by_client(client_order_id)
        else:
            found = await watch.queries.open_orders()
            order = next((each for each in found if str(each.get("id")) == venue_order_id), None)
        if order is None:
            return None
        return watch.known.seen(client_order_id, str(order.get("id") or ""), str(order.get("symbol")))

    async def _cancel_refused(self, known: KnownOrder, error: Exception) -> CancelAnswer:
        """A venue says "unknown" of what is filled, too: the order itself is asked."""
        watch = self._account.watch
        order = (await watch.queries.order_by_venue(known.venue_order_id, known.symbol) if known.venue_order_id
                 else await watch.queries.order_by_client(known.client_order_id))
        if order is None:
            return CancelRefused("no such order", unknown_order=True)
        report = watch.heard(order, known.client_order_id)
        if report is not None and (report.closed_as is not None or report.cum_lots >= report.order_lots):
            word = report.closed_as.value if report.closed_as else "filled"
            return CancelRefused(f"too late: the order is {word}")
        return CancelRefused(self._session.clean(reason_of(error)))

    async def cancel_all(self) -> int | Unanswered:
        """Cancel every open order of the account, foreign ones and those of other symbols too."""
        if self._opened is None:
            return Unanswered(f"{self.account} is not connected")
        try:
            orders = await self._account.watch.queries.open_orders()
            if orders:
                await self._sweep(orders)
        except Exception as error:  # noqa: BLE001 - half a sweep is no answer
            return Unanswered(self._session.clean(cause_of(error)))
        self._account.watch.nudge()
        return len(orders)

    async def _sweep(self, orders: list[Any]) -> None:
        exchange, call = self._session.exchange, self._session.call
        ids = [str(order["id"]) for order in orders]
        match self._profile.sweep:
            case Sweep.ACCOUNT:
                await call(exchange.cancel_all_orders, urgent=True)
            case Sweep.SYMBOLS:
                for symbol in sorted({str(order["symbol"]) for order in orders}):
                    await self._gone_is_well(exchange.cancel_all_orders, symbol)
            case Sweep.IDS:
                for first in range(0, len(ids), IDS_A_REQUEST):
                    await self._gone_is_well(exchange.cancel_orders, ids[first:first + IDS_A_REQUEST])
            case Sweep.EACH:
                for order in orders:
                    await self._gone_is_well(exchange.cancel_order, str(order["id"]), order["symbol"])

    async def _gone_is_well(self, method: Callable[..., Any], *arguments: Any) -> None:
        try:
            await self._session.call(method, *arguments, urgent=True)
        except Exception as error:
            if not is_a(error, "OrderNotFound"):
                raise

    # ---- queries ----

    async def order(self, client_order_id: str) -> OrderReport | OrderMissing | Unanswered:
        """Look one order up by our id; "not found" is a hint here, never proof."""
        if self._opened is None:
            return Unanswered(f"{self.account} is not connected")
        try:
            return await self._look_up(client_order_id)
        except Exception as error:  # noqa: BLE001 - every exception is an answer
            return Unanswered(self._session.clean(cause_of(error)))

    async def _look_up(self, client_order_id: str, *, not_open: bool = False) -> OrderReport | OrderMissing:
        watch = self._account.watch
        order = await watch.queries.order_by_client(client_order_id, not_open=not_open)
        report = watch.heard(order, client_order_id) if order is not None else None
        return report or OrderMissing(self.account, client_order_id)

    async def report(self, since_ns: Nanoseconds, client_order_ids: Sequence[str]) -> VenueReport | Unanswered:
        """The whole account: read again where the balances do not follow from the fills, because something moved while
        it was read or the venue's lists lag behind each other."""
        if self._opened is None:
            return Unanswered(f"{self.account} is not connected")
        async with self._reporting:
            try:
                report, explained = await self._report(since_ns, client_order_ids)
                for attempt in range(1, REPORT_TRIES):
                    if explained:
                        break
                    await asyncio.sleep(REPORT_PAUSE_SECONDS * attempt)
                    report, explained = await self._report(since_ns, client_order_ids)
                return report
            except Exception as error:  # noqa: BLE001 - a failed report is never a flat account
                return Unanswered(self._session.clean(cause_of(error)))

    async def _report(self, since_ns: Nanoseconds, client_order_ids: Sequence[str]) -> tuple[VenueReport, bool]:
        listing, book, watch = self._account
        venue_ns = await self._venue_ns()
        executions = await watch.queries.executions(since_ns)
        raw_orders = await watch.queries.open_orders()
        open_orders = [report for order in raw_orders if (report := watch.heard(order)) is not None]
        found = {report.client_order_id: report for report in open_orders if report.client_order_id}
        found |= await self._found_together([each for each in client_order_ids if each not in found])
        looked_up = [found.get(each) or await self._look_up(each, not_open=True) for each in client_order_ids]
        balances = balances_of(await self._session.call(self._session.exchange.fetch_balance))
        explained = book.align(balances, executions)
        venue_ns = max([venue_ns, *(each.at_ns for each in executions)])  # some clocks tell whole seconds only
        fills = [await watch.fill_of(execution, FillSource.RECONCILED) for execution in executions]
        return VenueReport(
            account=self.account, venue_time_ns=venue_ns, fills=tuple(fills), open_orders=tuple(open_orders),
            looked_up=tuple(looked_up), positions=positions_of(listing, balances),
            cash_minor=cash_minor_of(listing, balances, self._minor_exponent), instruments=listing.all(),
            clock_ahead_ns=self._session.skew_ms * NS_PER_MS), explained

    async def _found_together(self, client_order_ids: Sequence[str]) -> dict[str, OrderReport]:
        """Those of the orders whose id at the venue is known, with as few requests as the venue allows."""
        watch = self._account.watch
        known = [found for each in client_order_ids if (found := watch.known.by_client(each)) and found.venue_order_id]
        orders = await watch.queries.orders_by_venue([each.venue_order_id for each in known]) if len(known) > 1 else {}
        reports = {each.client_order_id: watch.heard(orders[each.venue_order_id], each.client_order_id)
                   for each in known if each.venue_order_id in orders}
        return {client_order_id: report for client_order_id, report in reports.items() if report is not None}

    async def _venue_ns(self) -> Nanoseconds:
        """The venue's time; our own clock, where the venue does not tell its."""
        if self._session.exchange.has.get("fetchTime"):
            return await self._session.measure_clock() * NS_PER_MS
        return int(self._session.exchange.milliseconds()) * NS_PER_MS


def stops_everywhere(markets: Any, listing: Listing) -> bool:
    """Whether every market of the account takes stop orders, where the venue says so market by market."""
    told = [(markets[symbol].get("info") or {}).get("orderTypes") for symbol in listing.instruments]
    return all("STOP_LOSS" in types for types in told if isinstance(types, list))


def _only_reduces(intent: OrderIntent) -> bool:
    return intent.reduce_only or intent.purpose is not Purpose.ENTRY


def _at_once(request: OrderRequest) -> OrderRequest:
    """A stop whose level was already passed is a market order; the venue refused it as a stop, so its id is free."""
    params = {name: value for name, value in request.params.items() if name not in ("stopLossPrice", "triggerPrice")}
    return request._replace(params=params)
