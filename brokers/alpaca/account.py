"""Reading one account whole: what it holds, what is open, what executed. A report is complete, or it is none."""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from brokers.alpaca.answers import Fault, Outcome, readable
from brokers.alpaca.coins import CoinBook, is_coin
from brokers.alpaca.listing import Listing, instrument_of
from brokers.alpaca.order_classes import Families, lead_of, leg_in
from brokers.alpaca.ordering import Execution, Sender, execution_of_activity, fill_of, order_report, plain
from brokers.alpaca.rest import RestCalls
from brokers.alpaca.wire import (
    WireAccount,
    WireActivity,
    WireAsset,
    WireClock,
    WireOrder,
    WirePosition,
    nanoseconds_of,
)
from engine.inputs import OrderMissing, OrderReport, Unanswered, VenuePosition, VenueReport
from engine.instruments import Instrument, instrument_id_of
from engine.orders import Fill, FillSource
from engine.units import NS_PER_SECOND, Nanoseconds, steps_down, steps_up

log = logging.getLogger("quarterdeck.alpaca")

ACTIVITIES_A_PAGE = 100
ORDERS_A_PAGE = 500
MOST_PAGES = 200
MOST_SINGLE_ASSETS = 30
MOST_KNOWN_ORDERS = 20_000
HISTORY_MARGIN_SECONDS = 2
SKEW_WARNING_NS = 2 * NS_PER_SECOND


class Incomplete(Exception):
    """A part of the answer is missing, so there is no answer; never leaves this adapter."""


def complete[T](answer: T | Fault) -> T:
    """The answer, or `Incomplete` where there is none."""
    if isinstance(answer, Fault):
        raise Incomplete(answer.cause)
    return answer


class AccountReader:
    """Questions about one account, and what was learnt of its orders' ids."""

    def __init__(self, rest: RestCalls, sender: Sender, *, fractions: bool) -> None:
        self._rest = rest
        self._sender = sender
        self._fractions = fractions
        self.coins = CoinBook()
        self.families = Families()
        self.clock_skew_ns: Nanoseconds = 0
        self._client_ids: dict[str, str] = {}
        self._order_ids: dict[str, str] = {}

    @property
    def listing(self) -> Listing:
        return self._sender.listing

    async def venue_ns(self) -> Nanoseconds:
        """The venue's time, asked at the start and with every report; by how much it is ahead of ours is measured, to within
        half the time that the question took. Raises `Incomplete`."""
        asked_ns = time.time_ns()
        venue_ns = nanoseconds_of(complete(await self._rest.get(WireClock, "/clock")).timestamp)
        before_ns, self.clock_skew_ns = self.clock_skew_ns, venue_ns - (asked_ns + time.time_ns()) // 2
        if abs(self.clock_skew_ns) > SKEW_WARNING_NS >= abs(before_ns):
            log.warning("alpaca's clock and ours differ by %.1f s; set this computer's clock", self.clock_skew_ns / NS_PER_SECOND)
        return venue_ns

    # ---- what can be traded ----

    async def list_assets(self, names: Iterable[str]) -> list[str]:
        """Learn the instruments of these symbols or asset ids; the names that the venue does not know. Raises `Incomplete`."""
        missing = self.listing.missing(names)
        if len(missing) > MOST_SINGLE_ASSETS:
            await self._list_all(coins=any("/" in name for name in missing), shares=any("/" not in name for name in missing))
            missing = self.listing.missing(missing)
        found = await asyncio.gather(*(self._rest.get(WireAsset, f"/assets/{quote(name, safe='')}") for name in missing))
        unknown = []
        for name, asset in zip(missing, found, strict=True):
            if isinstance(asset, Fault) and asset.outcome is Outcome.NOT_FOUND:
                unknown.append(name)
                continue
            self._add(complete(asset))
        return unknown

    async def _list_all(self, *, coins: bool, shares: bool) -> None:
        for wanted, asset_class in ((shares, "us_equity"), (coins, "crypto")):
            if wanted:
                query = {"status": "active", "asset_class": asset_class}
                for asset in complete(await self._rest.get(list[WireAsset], "/assets", query)):
                    if asset_class == "us_equity" or asset.symbol.endswith("/USD"):
                        self._add(asset)

    def _add(self, asset: WireAsset) -> None:
        instrument = instrument_of(asset, venue=self._sender.venue, fractions=self._fractions)
        if instrument is not None:
            self.listing.add(asset, instrument)

    # ---- orders and their ids ----

    def learn(self, order: WireOrder) -> None:
        """Remember which of the venue's ids belongs to which of ours; with its legs, where it was told with them."""
        if order.legs:
            self.families.learn(order)
        for each in (order, *(order.legs or ())):
            self._note(self.families.ours(each))

    def _note(self, order: WireOrder) -> None:
        for ids, key, value in ((self._client_ids, order.id, order.client_order_id),
                                (self._order_ids, order.client_order_id, order.id)):
            if len(ids) >= MOST_KNOWN_ORDERS and key not in ids:
                del ids[next(iter(ids))]
            ids[key] = value

    def order_id(self, client_order_id: str) -> str:
        """The venue's id of an order of ours, empty where it was not heard of yet."""
        return self._order_ids.get(client_order_id, "")

    async def order(self, client_order_id: str, *, urgent: bool = False) -> OrderReport | OrderMissing | Unanswered:
        """Look one order up by our id; a leg by that of the order which it went out with."""
        if lead_of(client_order_id):
            leg = await self._leg(client_order_id, urgent=urgent)
            if leg is not None:
                return leg
        found = await self._rest.get(WireOrder, "/orders:by_client_order_id", {"client_order_id": client_order_id}, urgent=urgent)
        if isinstance(found, Fault):
            if found.outcome is Outcome.NOT_FOUND:
                return OrderMissing(self._sender.account, client_order_id)
            return Unanswered(found.cause)
        if found.client_order_id != client_order_id:
            return Unanswered("the venue answered with another order")
        self.learn(found)
        return order_report(found, self._sender, 0)

    async def family(self, client_order_id: str, *, urgent: bool = False) -> WireOrder | Fault:
        """An order of ours with its legs."""
        order_id = self.order_id(client_order_id)
        if not order_id:
            query = {"client_order_id": client_order_id}
            found = await self._rest.get(WireOrder, "/orders:by_client_order_id", query, urgent=urgent)
            if isinstance(found, Fault):
                return found
            order_id = found.id
        lead = await self._rest.get(WireOrder, f"/orders/{quote(order_id, safe='')}", {"nested": "true"}, urgent=urgent)
        if not isinstance(lead, Fault):
            self.learn(lead)
        return lead

    async def _leg(self, client_order_id: str, *, urgent: bool) -> OrderReport | OrderMissing | Unanswered | None:
        """None where no such order went out with another one."""
        lead = await self.family(lead_of(client_order_id), urgent=urgent)
        if isinstance(lead, Fault):
            return None if lead.outcome is Outcome.NOT_FOUND else Unanswered(lead.cause)
        if not lead.order_class or lead.order_class == "simple":
            return None
        leg = leg_in(lead, client_order_id, self.families)
        return order_report(leg, self._sender, 0) if leg else OrderMissing(self._sender.account, client_order_id)

    async def place(self, orders: Sequence[WireOrder]) -> None:
        """Find out which of ours these orders of a group belong to. Raises `Incomplete`."""
        strange = [order for order in orders if self.families.is_strange(order)]
        for symbol in dict.fromkeys(order.symbol or "" for order in strange):
            query = {"status": "all", "nested": "true", "symbols": symbol, "limit": str(ORDERS_A_PAGE), "direction": "desc"}
            for lead in complete(await self._rest.get(list[WireOrder], "/orders", query, urgent=True)):
                self.families.learn(lead)
                self.learn(lead)
        for order in strange:
            if self.families.is_strange(order):
                self.families.leave(order)

    # ---- the whole account ----

    async def report(self, since_ns: Nanoseconds, client_order_ids: Sequence[str]) -> VenueReport:
        """Time, executions, open orders, the named orders, positions, cash, in this order: what happens meanwhile is then
        found as a fill before it shows in a position. Raises `Incomplete` where one part could not be read."""
        report = await self._read_whole(since_ns, client_order_ids, last_try=False)
        if report is None:
            report = await self._read_whole(since_ns, client_order_ids, last_try=True)
        assert report is not None
        return report

    async def _read_whole(self, since_ns: Nanoseconds, client_order_ids: Sequence[str], *, last_try: bool) -> VenueReport | None:
        """None where coins were traded while it was read, so that their balance is newer than the executions."""
        venue_ns = await self.venue_ns()
        history = await self._history(since_ns)
        legs = await self._legs(client_order_ids)
        open_orders = await self._open_orders()
        reports = {order.client_order_id: order_report(order, self._sender, 0) for order in open_orders}
        named = await asyncio.gather(*(self._named(name, legs | reports) for name in client_order_ids))
        positions, account = await asyncio.gather(self._rest.get(list[WirePosition], "/positions"),
                                                  self._rest.get(WireAccount, "/account"))
        held, owned = complete(positions), complete(account)
        executions = await self._executions(history)
        if not self._settle_coins(executions, held, last_try=last_try):
            return None
        fills = self._fills(executions, since_ns)
        return VenueReport(
            account=self._sender.account, venue_time_ns=venue_ns, fills=fills,
            open_orders=tuple(reports.values()), looked_up=tuple(named), positions=await self._positions(held),
            cash_minor=cash_minor(owned), instruments=self.listing.instruments(), clock_ahead_ns=-self.clock_skew_ns,
            owner=owned.id, barred=barred(owned), all_held=True)

    async def _legs(self, client_order_ids: Sequence[str]) -> dict[str, OrderReport]:
        """The named orders that went out with another one: those that are held are in no list but below it. Whole lists are read
        while several are missing, at last each group by itself."""
        missing = [name for name in client_order_ids if lead_of(name)]
        reports: dict[str, OrderReport] = {}

        def take(lead: WireOrder) -> None:
            self.learn(lead)
            for name in [name for name in missing if lead_of(name) == lead.client_order_id]:
                leg = leg_in(lead, name, self.families)
                if leg is not None:
                    reports[name] = order_report(leg, self._sender, 0)
                    missing.remove(name)

        for status in ("open", "all"):
            if len({lead_of(name) for name in missing}) > 1:
                query = {"status": status, "nested": "true", "limit": str(ORDERS_A_PAGE), "direction": "desc"}
                for lead in complete(await self._rest.get(list[WireOrder], "/orders", query)):
                    take(lead)
        leads = dict.fromkeys(lead_of(name) for name in missing)
        for found in await asyncio.gather(*(self.family(lead) for lead in leads)):
            if not isinstance(found, Fault) or found.outcome is not Outcome.NOT_FOUND:
                take(complete(found))
        return reports

    async def _named(self, client_order_id: str, open_orders: dict[str, OrderReport]) -> OrderReport | OrderMissing:
        found = open_orders.get(client_order_id) or await self.order(client_order_id)
        if isinstance(found, Unanswered):
            raise Incomplete(found.cause)
        return found

    async def _history(self, since_ns: Nanoseconds) -> list[WireActivity]:
        """Every execution since `since_ns`, all pages; a little more, since the venue's filter goes by another time."""
        query = {"direction": "asc", "page_size": str(ACTIVITIES_A_PAGE)}
        if since_ns > HISTORY_MARGIN_SECONDS * NS_PER_SECOND:
            after = datetime.fromtimestamp(since_ns // NS_PER_SECOND - HISTORY_MARGIN_SECONDS, UTC)
            query["after"] = after.strftime("%Y-%m-%dT%H:%M:%SZ")
        found: dict[str, WireActivity] = {}
        for _ in range(MOST_PAGES):
            page = complete(await self._rest.get(list[WireActivity], "/account/activities/FILL", query))
            fresh = [activity for activity in page if activity.id not in found]
            found.update((activity.id, activity) for activity in page)
            if len(page) < ACTIVITIES_A_PAGE or not fresh:
                return list(found.values())
            query["page_token"] = page[-1].id
        raise Incomplete(f"more than {MOST_PAGES * ACTIVITIES_A_PAGE} executions to read")

    async def _open_orders(self) -> list[WireOrder]:
        query: dict[str, str] = {"status": "open", "limit": str(ORDERS_A_PAGE), "direction": "asc", "nested": "false"}
        found: dict[str, WireOrder] = {}
        for _ in range(MOST_PAGES):
            page = complete(await self._rest.get(list[WireOrder], "/orders", query))
            fresh = [order for order in page if order.id not in found]
            found.update((order.id, order) for order in page)
            if len(page) < ORDERS_A_PAGE or not fresh:
                break
            query["after_order_id"] = page[-1].id
        else:
            raise Incomplete(f"more than {MOST_PAGES * ORDERS_A_PAGE} open orders to read")
        await self.place(list(found.values()))
        for order in found.values():
            self.learn(order)
        await self.list_assets(_names((order.asset_id, order.symbol) for order in found.values()))
        return [self.families.ours(order) for order in found.values()]

    async def _executions(self, history: list[WireActivity]) -> dict[str, list[Execution]]:
        """The history by instrument; it does not tell our ids of its orders, so those that are not known are asked for."""
        await self.list_assets(activity.symbol for activity in history)
        strange = dict.fromkeys(activity.order_id for activity in history if activity.order_id not in self._client_ids)
        for order_id, found in zip(strange, await asyncio.gather(*(self._by_id(order_id) for order_id in strange)), strict=True):
            if found is None:
                self._client_ids[order_id] = f"external-{order_id}"
        executions: dict[str, list[Execution]] = {}
        for activity in history:
            instrument = self.listing.named(activity.symbol)
            if instrument is None:
                log.warning("alpaca: an execution in %s, which cannot be traded here, is left out", readable(activity.symbol))
                continue
            execution = execution_of_activity(activity, self._client_ids[activity.order_id])
            executions.setdefault(instrument.instrument_id, []).append(execution)
        return executions

    def _settle_coins(self, executions: dict[str, list[Execution]], held: list[WirePosition], *, last_try: bool) -> bool:
        """Find what was kept of bought coins; on the last try by estimate, where the balance does not tell."""
        for instrument_id, traded in executions.items():
            instrument = self.listing.instrument(instrument_id)
            assert instrument is not None
            if not is_coin(instrument) or self.coins.settle(instrument, traded, self._quantity(instrument, held)):
                continue
            if not last_try:
                return False
            self.coins.estimate(instrument, traded)
            self.coins.align(instrument, self._quantity(instrument, held))
        return True

    def _fills(self, executions: dict[str, list[Execution]], since_ns: Nanoseconds) -> tuple[Fill, ...]:
        """Executions as fills, oldest first."""
        fills = []
        for instrument_id, traded in executions.items():
            instrument = self.listing.instrument(instrument_id)
            assert instrument is not None
            for each in traded:
                fill = self._fill(each, instrument)
                if fill is not None and fill.at_ns >= since_ns:
                    fills.append((each.at_ns, each.order_id, each.cum_qty, fill))
        return tuple(fill for *_, fill in sorted(fills, key=lambda row: row[:3]))

    def _fill(self, execution: Execution, instrument: Instrument) -> Fill | None:
        if is_coin(instrument):
            return self.coins.fill(execution, self._sender.account, instrument, FillSource.RECONCILED)
        return fill_of(execution, self._sender.account, instrument, FillSource.RECONCILED)

    def _quantity(self, instrument: Instrument, held: list[WirePosition]) -> Decimal:
        """How much of an instrument is held, exactly."""
        return sum((-position.qty if position.side == "short" and position.qty > 0 else position.qty for position in held
                    if self.listing.named(position.asset_id, position.symbol) is instrument), Decimal(0))

    async def quantity(self, instrument: Instrument) -> Decimal | None:
        """How much of an instrument is held now; None where the venue does not answer."""
        held = await self._rest.get(list[WirePosition], "/positions", urgent=True)
        return None if isinstance(held, Fault) else self._quantity(instrument, held)

    async def _by_id(self, order_id: str) -> WireOrder | None:
        found: Any = await self._rest.get(WireOrder, f"/orders/{order_id}")
        if isinstance(found, Fault) and found.outcome is Outcome.NOT_FOUND:
            return None
        order: WireOrder = complete(found)
        await self.place([order])
        self.learn(order)
        return self.families.ours(order)

    async def _positions(self, held: list[WirePosition]) -> tuple[VenuePosition, ...]:
        await self.list_assets(position.asset_id for position in held)
        positions = []
        for position in held:
            sign = -1 if position.side == "short" else 1
            instrument = self.listing.named(position.asset_id, position.symbol)
            if instrument is None:  # an option or the like: named, so that nobody believes the account to be flat
                lots = steps_up(abs(position.qty), Decimal(1))
                positions.append(VenuePosition(instrument_id_of(position.symbol, self._sender.venue), sign * lots))
                continue
            lots = steps_down(abs(position.qty), instrument.lot_size)
            if not is_coin(instrument) and instrument.quantity(lots) != abs(position.qty):
                log.warning("alpaca: %s %s are held; less than a lot of it is not counted", plain(position.qty), position.symbol)
            if lots:
                average = float(position.avg_entry_price / instrument.tick_size)
                positions.append(VenuePosition(instrument.instrument_id, sign * lots, average))
        return tuple(positions)

    async def start(self, symbols: Iterable[str]) -> list[str]:
        """List these symbols and whatever is held, and note how many coins there are to begin with; the names that the
        venue does not know. Raises `Incomplete`."""
        venue_ns = await self.venue_ns()
        held = complete(await self._rest.get(list[WirePosition], "/positions"))
        unknown = await self.list_assets([*symbols, *(position.asset_id for position in held)])
        coins = [instrument for instrument in self.listing.instruments() if is_coin(instrument)]
        self.coins.start({each.instrument_id: self._quantity(each, held) for each in coins}, venue_ns)
        return unknown


def cash_minor(account: WireAccount) -> int:
    """The account's cash in cents, rounded down."""
    return steps_down(account.cash, Decimal("0.01"))


def barred(account: WireAccount) -> str:
    """Why the venue lets the account open nothing; empty where it may. The rule for pattern day traders is none of the reasons:
    FINRA ended it on 2026-06-04, and the venue tells its fields no more (docs.alpaca.markets, changelog of 2026-06-03)."""
    if account.account_blocked or account.trading_blocked:
        return f"the venue has blocked the account from trading (status {readable(account.status) or 'unknown'})"
    if account.trade_suspended_by_user:
        return "trading is suspended in the account's own settings at the venue"
    return ""


def _names(pairs: Iterable[tuple[str | None, str | None]]) -> list[str]:
    return [name for pair in pairs if (name := pair[0] or pair[1])]
