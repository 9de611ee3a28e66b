"""Market items against the book: who executes, how much and at what price."""

from brokers.paper.checks import STOP_KINDS, unaffordable
from brokers.paper.ledger import Ledger, fresh_mark
from brokers.paper.matching import (
    available_lots,
    limit_reached,
    stop_in_bar,
    stop_reached,
    trail_level,
)
from brokers.paper.records import NS_PER_MS, Mark, VenueOrder
from brokers.sessions import is_open, session_bounds
from engine.inputs import Bar, MarketItem, MarketTrade, Quote
from engine.instruments import ALWAYS_OPEN
from engine.kernel.fills import limit_in_bar, stop_limit_in_bar, with_slippage
from engine.orders import ClosedAs, OrderKind, TimeInForce
from engine.units import Lots, Nanoseconds, Ticks

IMMEDIATE = frozenset({TimeInForce.IOC, TimeInForce.FOK})
LIMIT_KINDS = frozenset({OrderKind.LIMIT, OrderKind.STOP_LIMIT})
SAME_MOMENT_NS = NS_PER_MS  # a runner may spread items of one moment over some nanoseconds


class Auction:
    """Matches one ledger's orders. Within one price stops go first, then market orders, then limits, oldest first."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._options = ledger.options

    # ---- one item ----

    def touches(self, item: MarketItem) -> bool:
        """Whether an item may change an order; if not, only prices move."""
        orders = self._ledger.by_instrument.get(item.instrument_id)
        if not orders:
            return False
        if isinstance(item, Quote):
            return _plausible(item) and any(order.active and _wants(order, item.bid_ticks, item.ask_ticks)
                                            for order in orders)
        if isinstance(item, Bar):
            return any(order.active and _reached_in_bar(order, item) for order in orders)
        return any(order.active and order.intent.kind in LIMIT_KINDS for order in orders)

    def take(self, item: MarketItem, at_ns: Nanoseconds) -> None:
        """Update the mark and match."""
        if isinstance(item, Quote):
            if self._take_quote(item):
                self._match_quote(item.instrument_id, at_ns)
        elif isinstance(item, MarketTrade):
            self._match_print(item, at_ns)
            self._take_print(item)
        else:
            self._match_bar(item, at_ns)
            self._take_bar(item)

    def take_quietly(self, item: MarketItem) -> None:
        """Update the mark where no order is touched."""
        if isinstance(item, Quote):
            self._take_quote(item)
        elif isinstance(item, MarketTrade):
            self._take_print(item)
        else:
            self._take_bar(item)

    def activate(self, order: VenueOrder, at_ns: Nanoseconds) -> None:
        """An order reaches the market: it executes against the last quote or rests."""
        order.active = True
        self._ledger.note_order(order)
        instrument_id = order.intent.instrument_id
        if order.intent.time_in_force in IMMEDIATE and not self._session_open(instrument_id, at_ns):
            self._ledger.close(order, ClosedAs.CANCELED, "the market is closed", at_ns)
            return
        self._match_quote(instrument_id, at_ns)
        order.rested = order.intent.kind is OrderKind.LIMIT

    # ---- marks ----

    def _take_quote(self, quote: Quote) -> bool:
        if not _plausible(quote):
            return False
        mark = fresh_mark(self._ledger.state, quote.instrument_id)
        mark.bid_ticks, mark.ask_ticks = quote.bid_ticks, quote.ask_ticks
        mark.bid_lots, mark.ask_lots = quote.bid_lots, quote.ask_lots
        mark.at_ns = mark.seen_at_ns = mark.moved_at_ns = quote.at_ns
        mark.bid_used = mark.ask_used = 0
        mark.tradable = True
        self._ledger.note_mark(quote.instrument_id)
        for order in self._ledger.by_instrument.get(quote.instrument_id, ()):
            if order.intent.kind is OrderKind.TRAILING_STOP:
                self._trail(order, quote.bid_ticks, quote.ask_ticks)
        return True

    def _take_print(self, market_trade: MarketTrade) -> None:
        mark = fresh_mark(self._ledger.state, market_trade.instrument_id)
        mark.seen_at_ns = mark.moved_at_ns = market_trade.at_ns
        self._ledger.note_mark(market_trade.instrument_id)

    def _take_bar(self, bar: Bar) -> None:
        mark = fresh_mark(self._ledger.state, bar.instrument_id)
        self._ledger.note_mark(bar.instrument_id)
        if self._seen_inside(mark, bar):
            return
        for order in self._ledger.by_instrument.get(bar.instrument_id, ()):
            if order.intent.kind is OrderKind.TRAILING_STOP:
                if order.best_ticks:
                    self._trail(order, bar.high_ticks, bar.low_ticks)
                else:  # born inside this bar: only its close is known to come after
                    self._trail(order, bar.close_ticks, bar.close_ticks)
        spread = mark.ask_ticks - mark.bid_ticks if mark.bid_ticks and mark.ask_ticks else 0
        mark.bid_ticks = max(1, bar.close_ticks - spread // 2)
        mark.ask_ticks = mark.bid_ticks + spread
        mark.bid_lots = mark.ask_lots = mark.bid_used = mark.ask_used = 0
        mark.at_ns = mark.seen_at_ns = bar.close_ns
        mark.tradable = False  # the next price is not known yet: market orders wait for it

    def _trail(self, order: VenueOrder, bid_ticks: Ticks, ask_ticks: Ticks) -> None:
        """Follow the best price; silent, because reading the data again brings it back."""
        intent = order.intent
        sign = intent.side.sign
        price = ask_ticks if sign > 0 else bid_ticks
        if not price or not order.active or order.triggered or not self._ledger.workable_lots(order):
            return
        if not order.best_ticks or sign * (order.best_ticks - price) > 0:
            order.best_ticks = price
            level = trail_level(sign, price, intent.trail_ticks, intent.trail_bps)
            if not order.trigger_ticks or sign * (order.trigger_ticks - level) > 0:
                order.trigger_ticks = level
            self._ledger.note_order(order, commit=False)

    def _session_open(self, instrument_id: str, at_ns: Nanoseconds) -> bool:
        return is_open(self._ledger.instruments[instrument_id].session, at_ns)

    def _tradable_mark(self, instrument_id: str, at_ns: Nanoseconds) -> Mark | None:
        """The quote that orders may execute against: of this session, and not superseded by the end of a bar."""
        mark = self._ledger.state.marks.get(instrument_id)
        if mark is None or not mark.tradable:
            return None
        session = self._ledger.instruments[instrument_id].session
        if session != ALWAYS_OPEN:
            open_ns = session_bounds(session, at_ns).open_ns
            if at_ns < open_ns or mark.at_ns < open_ns:
                return None
        return mark

    # ---- against a quote ----

    def _match_quote(self, instrument_id: str, at_ns: Nanoseconds) -> None:
        mark = self._tradable_mark(instrument_id, at_ns)
        executed = mark is not None
        while executed and mark is not None:  # a fill may release children that execute against the same quote
            executed = False
            for order in self._ranked(instrument_id):
                if order.open and order.active and self._ledger.workable_lots(order):
                    executed = self._try_quote(order, mark, at_ns) or executed

    def _try_quote(self, order: VenueOrder, mark: Mark, at_ns: Nanoseconds) -> bool:
        intent = order.intent
        if intent.kind is OrderKind.TRAILING_STOP:
            self._trail(order, mark.bid_ticks, mark.ask_ticks)
        if not _wants(order, mark.bid_ticks, mark.ask_ticks):
            return False
        if intent.kind in STOP_KINDS and not order.triggered:
            order.triggered = True
            self._ledger.note_order(order)
        executed = self._execute_on_quote(order, mark, at_ns)
        if order.open and intent.time_in_force in IMMEDIATE:
            self._ledger.close(order, ClosedAs.CANCELED, f"{intent.time_in_force}: the rest cannot fill now", at_ns)
        elif intent.kind is OrderKind.STOP_LIMIT:
            order.rested = True
        return executed

    def _execute_on_quote(self, order: VenueOrder, mark: Mark, at_ns: Nanoseconds) -> bool:
        intent = order.intent
        sign = intent.side.sign
        touch = mark.ask_ticks if sign > 0 else mark.bid_ticks
        is_limit = intent.kind in LIMIT_KINDS
        if not touch or (is_limit and not limit_reached(sign, intent.limit_ticks, mark.bid_ticks, mark.ask_ticks)):
            return False
        size, used = (mark.ask_lots, mark.ask_used) if sign > 0 else (mark.bid_lots, mark.bid_used)
        wanted = self._ledger.workable_lots(order)
        lots = min(wanted, available_lots(size, self._options.fill_share_bps, used))
        if lots <= 0 or (intent.time_in_force is TimeInForce.FOK and lots < wanted):
            return False
        if not self._afford(order, touch, at_ns):
            return True
        maker = is_limit and order.rested
        ticks = touch if maker else self._worse(order, touch)
        if sign > 0:
            mark.ask_used += lots
        else:
            mark.bid_used += lots
        self._ledger.note_mark(intent.instrument_id)
        self._ledger.fill(order, ticks, lots, at_ns, maker=maker)
        return True

    def _worse(self, order: VenueOrder, ticks: Ticks) -> Ticks:
        """The price after slippage, never beyond an order's own limit."""
        intent = order.intent
        sign = intent.side.sign
        worse = min(with_slippage(ticks, sign, self._options.slippage_bps),
                    self._ledger.instruments[intent.instrument_id].max_ticks)
        if intent.kind in LIMIT_KINDS:
            return min(worse, intent.limit_ticks) if sign > 0 else max(worse, intent.limit_ticks)
        return worse

    def _afford(self, order: VenueOrder, ticks: Ticks, at_ns: Nanoseconds) -> bool:
        """Judge buying power now where the order came before any price; False where it was closed for it."""
        if order.priced:
            return True
        order.priced = True
        refusal = unaffordable(self._ledger, order, self._worse(order, ticks))
        if refusal is None:
            return True
        self._ledger.close(order, ClosedAs.CANCELED, refusal.reason, at_ns)
        return False

    def _ranked(self, instrument_id: str) -> list[VenueOrder]:
        return sorted(self._ledger.by_instrument.get(instrument_id, ()), key=_rank)

    # ---- against a print ----

    def _match_print(self, market_trade: MarketTrade, at_ns: Nanoseconds) -> None:
        """A resting limit that the market traded through fills at its own price, as far as the print reaches."""
        if not self._session_open(market_trade.instrument_id, at_ns):
            return
        left = available_lots(market_trade.lots, self._options.fill_share_bps, 0)
        for order in self._ranked(market_trade.instrument_id):
            intent = order.intent
            if not (order.open and order.active and order.rested) or intent.kind not in LIMIT_KINDS:
                continue
            if intent.kind is OrderKind.STOP_LIMIT and not order.triggered:
                continue
            through = intent.side.sign * (intent.limit_ticks - market_trade.price_ticks)
            lots = min(left, self._ledger.workable_lots(order))
            if lots > 0 and (through > 0 or (through == 0 and self._options.touch_fills)):
                left -= lots
                self._ledger.fill(order, intent.limit_ticks, lots, at_ns, maker=True)

    # ---- inside a bar ----

    @staticmethod
    def _seen_inside(mark: Mark, bar: Bar) -> bool:
        """Quotes or prints from inside the bar were matched already, so the bar says nothing new."""
        return mark.moved_at_ns > bar.open_ns + SAME_MOMENT_NS

    def _match_bar(self, bar: Bar, at_ns: Nanoseconds) -> None:
        mark = fresh_mark(self._ledger.state, bar.instrument_id)
        if self._seen_inside(mark, bar) or not self._session_open(bar.instrument_id, bar.open_ns):
            return
        latest_ns = (bar.open_ns + SAME_MOMENT_NS
                     + (self._options.latency_ms + self._options.latency_jitter_ms) * NS_PER_MS)
        opened_by_quote = mark.moved_at_ns >= bar.open_ns
        there = [order for order in self._ranked(bar.instrument_id)
                 if order.active and order.active_at_ns <= latest_ns and self._ledger.workable_lots(order)]
        left = available_lots(bar.volume_lots, self._options.fill_share_bps, 0)
        for order in there:
            left -= self._try_bar(order, bar, left, at_ns, opened_by_quote=opened_by_quote)
        known = {order.seq for order in there}
        for order in self._ranked(bar.instrument_id):  # stops of an entry that filled inside this bar
            if order.seq not in known and order.active and order.native_child and order.intent.kind in STOP_KINDS:
                left -= self._try_newborn_stop(order, bar, left, at_ns)

    def _try_bar(self, order: VenueOrder, bar: Bar, left: Lots, at_ns: Nanoseconds, *, opened_by_quote: bool) -> Lots:
        """Execute what the bar allows of an order; how many lots that was."""
        lots = min(self._ledger.workable_lots(order), left)
        if not order.open or lots <= 0:
            return 0
        ticks = self._price_in_bar(order, bar, opened_by_quote=opened_by_quote)
        if not ticks or not self._afford(order, ticks, at_ns):
            return 0
        maker = order.intent.kind in LIMIT_KINDS
        self._ledger.fill(order, ticks if maker else self._worse(order, ticks), lots, at_ns, maker=maker)
        return lots

    def _price_in_bar(self, order: VenueOrder, bar: Bar, *, opened_by_quote: bool) -> Ticks:
        intent = order.intent
        sign = intent.side.sign
        if intent.kind is OrderKind.MARKET or (intent.kind in STOP_KINDS and intent.kind is not OrderKind.STOP_LIMIT
                                               and order.triggered):
            return 0 if opened_by_quote else bar.open_ticks
        if intent.kind is OrderKind.LIMIT or (intent.kind is OrderKind.STOP_LIMIT and order.triggered):
            return self._limit_price_in_bar(intent.limit_ticks, sign, bar, opened_by_quote=opened_by_quote)
        if not order.trigger_ticks:
            return 0
        if intent.kind is OrderKind.STOP_LIMIT:
            if not stop_in_bar(sign, order.trigger_ticks, bar, entered_inside=False):
                return 0
            order.triggered = order.rested = True
            self._ledger.note_order(order)
            return stop_limit_in_bar(sign, intent.limit_ticks, order.trigger_ticks, bar.open_ticks, bar.high_ticks,
                                     bar.low_ticks, bar.close_ticks, self._options.touch_fills)
        ticks = stop_in_bar(sign, order.trigger_ticks, bar, entered_inside=False)
        if ticks:
            order.triggered = True
            self._ledger.note_order(order)
        return ticks

    def _limit_price_in_bar(self, limit_ticks: Ticks, sign: int, bar: Bar, *, opened_by_quote: bool) -> Ticks:
        ticks = limit_in_bar(sign, limit_ticks, bar.open_ticks, bar.high_ticks, bar.low_ticks,
                             self._options.touch_fills)
        if opened_by_quote and ticks and ticks != limit_ticks:
            return limit_ticks  # the opening price was offered to it as a quote, spread included
        return ticks

    def _try_newborn_stop(self, order: VenueOrder, bar: Bar, left: Lots, at_ns: Nanoseconds) -> Lots:
        """The entry filled in this bar: its stop counts as hit where the bar reaches it, before or after."""
        intent = order.intent
        lots = min(self._ledger.workable_lots(order), left)
        if not order.open or lots <= 0 or intent.kind is OrderKind.STOP_LIMIT:
            return 0
        trigger_ticks = order.trigger_ticks
        if not trigger_ticks or not stop_in_bar(intent.side.sign, trigger_ticks, bar, entered_inside=True):
            return 0
        order.triggered = True
        self._ledger.fill(order, self._worse(order, trigger_ticks), lots, at_ns, maker=False)
        return lots


def _plausible(quote: Quote) -> bool:
    """A crossed, negative or empty quote is no price to trade on; one side may be missing."""
    bid_ticks, ask_ticks = quote.bid_ticks, quote.ask_ticks
    return bid_ticks >= 0 and ask_ticks >= 0 and (0 < bid_ticks <= ask_ticks or (bid_ticks == 0) != (ask_ticks == 0))


def _wants(order: VenueOrder, bid_ticks: Ticks, ask_ticks: Ticks) -> bool:
    """Whether a quote could execute, trigger or end an order, its quantity apart."""
    intent = order.intent
    kind, sign = intent.kind, intent.side.sign
    if kind in STOP_KINDS and not order.triggered:
        return bool(order.trigger_ticks) and stop_reached(sign, order.trigger_ticks, bid_ticks, ask_ticks)
    if intent.time_in_force in IMMEDIATE:
        return True
    if kind in LIMIT_KINDS:
        return limit_reached(sign, intent.limit_ticks, bid_ticks, ask_ticks)
    return True


def _reached_in_bar(order: VenueOrder, bar: Bar) -> bool:
    """Whether the range of a bar reaches an order: its adverse end a stop, its favourable end a limit."""
    if order.intent.kind in STOP_KINDS and not order.triggered:
        return _wants(order, bar.low_ticks, bar.high_ticks)
    return _wants(order, bar.high_ticks, bar.low_ticks)


def _rank(order: VenueOrder) -> tuple[int, Nanoseconds, int]:
    kind = order.intent.kind
    rank = 0 if kind in STOP_KINDS else 1 if kind is OrderKind.MARKET else 2
    return rank, order.active_at_ns, order.seq
