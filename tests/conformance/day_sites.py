"""Two venues of the scripted day: the paper venue on disk and a local Alpaca. Those of ccxt are in `ccxt_sites`."""

import asyncio
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

from brokers.alpaca.broker import AlpacaBroker
from brokers.alpaca.endpoints import AlpacaEndpoints
from brokers.alpaca.feed import AlpacaFeed
from brokers.paper.broker import PaperBroker
from engine.clocks import SystemClock, VirtualClock
from engine.inputs import (
    Accepted,
    Bar,
    ConnectionChanged,
    MarketItem,
    OrderMissing,
    OrderReport,
    Quote,
    SubmitAnswer,
    Unanswered,
    VenueReport,
)
from engine.instruments import Instrument
from engine.orders import STOP_SUFFIX, TARGET_SUFFIX, OrderIntent, OrderKind, Purpose, Side
from engine.ports import Broker, Clock, MarketFeed, VenueMessage
from engine.units import NS_PER_SECOND, Lots, Nanoseconds
from tests.conformance.alpaca_server.account import share
from tests.conformance.alpaca_server.groups import ENDED
from tests.conformance.alpaca_server.server import KEY, AlpacaServer, quote_message
from tests.conformance.desk import ACCOUNT, COIN, START_NS
from tests.conformance.scripted_day import BY_HAND, RETRY_SOON, Loss, ServedSite, Site

# ---- paper ---------------------------------------------------------------------------------------------------------------


class ShownFeed:
    """A feed that tells what the test shows it."""

    def __init__(self) -> None:
        self.sink: Callable[[MarketItem], None] | None = None
        self._over = asyncio.Event()

    async def run(self, sink: Callable[[MarketItem], None]) -> None:
        self.sink = sink
        await self._over.wait()

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        return ()

    async def close(self) -> None:
        self._over.set()


class DistantPaper(PaperBroker):
    """The paper venue behind a line that can lose an answer, go quiet, or be cut. `taken` and `sent` outlive processes."""

    def __init__(self, path: Path, taken: list[str], sent: list[str]) -> None:
        super().__init__(ACCOUNT, path, None, [COIN])
        self.taken, self.sent = taken, sent
        self.loses: list[bool] = []
        self.muted = False
        self.dark = False

    async def connect(self, sink: Callable[[VenueMessage], None]) -> tuple[Instrument, ...]:
        def heard(message: VenueMessage) -> None:
            if not self.muted and not self.dark:
                sink(message)

        self.tell = sink
        return await super().connect(heard)

    async def submit(self, intents: Sequence[OrderIntent]) -> Sequence[SubmitAnswer]:
        self.sent += [intent.client_order_id for intent in intents]
        if self.dark or self.loses[:1] == [False]:
            self.loses = self.loses[1:]
            return [Unanswered("the line broke")] * len(intents)
        answers = await super().submit(intents)
        self.taken += [intent.client_order_id for intent, answer in zip(intents, answers, strict=True)
                       if isinstance(answer, Accepted)]
        if self.loses:
            self.loses = self.loses[1:]
            return [Unanswered("the line broke")] * len(intents)
        return answers

    async def order(self, client_order_id: str) -> OrderReport | OrderMissing | Unanswered:
        return Unanswered("no line") if self.dark else await super().order(client_order_id)

    async def report(self, since_ns: Nanoseconds, client_order_ids: Sequence[str]) -> VenueReport | Unanswered:
        return Unanswered("no line") if self.dark else await super().report(since_ns, client_order_ids)


class PaperSite(Site):
    """The paper venue, its memory on disk, a clock that the test moves."""

    name, symbol, instrument_id = "paper", "BTC/USD", COIN.instrument_id
    piece, lots_a_piece, minor_exponent = Decimal("0.1"), 10, 2

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = folder / "paper.db"
        self.clock = VirtualClock(START_NS)
        self.taken: list[str] = []
        self.sent: list[str] = []
        self.paper: DistantPaper
        self.feed: ShownFeed

    async def open(self) -> None:
        await self.start()

    async def close(self) -> None:
        await self.stop()

    def parts(self) -> tuple[Broker, MarketFeed, Clock]:
        self.paper, self.feed = DistantPaper(self.path, self.taken, self.sent), ShownFeed()
        return self.paper, self.feed, self.clock

    def beat(self) -> None:
        self._later(0.1)
        super().beat()

    def _later(self, seconds: float) -> None:
        self.clock.advance_to(self.clock.now_ns() + round(seconds * NS_PER_SECOND))

    async def market(self, bid: Decimal, ask: Decimal, pieces: int) -> None:
        """The venue sees a price when the engine does, unless the line is cut."""
        self._later(0.1)
        self.now = Quote(COIN.instrument_id, int(bid / COIN.tick_size), int(ask / COIN.tick_size), self.lots(pieces),
                         self.lots(pieces), self.clock.now_ns())
        if self.paper.dark:
            self.paper.see(self.now, self.clock.now_ns())

    async def show(self, bid: Decimal, ask: Decimal) -> None:
        if self.feed.sink is not None:
            self.feed.sink(self.now)

    def venue_lots(self) -> Lots:
        return self.paper.snapshot_totals().positions.get(COIN.instrument_id, 0)

    def _open(self) -> list[OrderReport]:
        return list(self.paper.venue.report(0, ()).open_orders)

    def open_stops(self) -> Lots:
        return sum(order.order_lots - order.cum_lots for order in self._open()
                   if order.kind is OrderKind.STOP and order.side is Side.SELL)

    def taken_ids(self) -> list[str]:
        return self.taken

    def open_ids(self) -> list[str]:
        return [order.client_order_id for order in self._open()]

    def sendings(self) -> int:
        return len(self.sent)

    def lose_next_answer(self, *, arrives: bool) -> None:
        self.paper.loses.append(arrives)

    def mute(self) -> None:
        self.paper.muted = True

    def unmute(self) -> None:
        self.paper.muted = False

    async def go_dark(self) -> None:
        self.paper.dark = True
        self.paper.tell(ConnectionChanged(ACCOUNT, up=False, detail="the line broke"))

    async def come_back(self) -> None:
        self.paper.dark = False
        self.paper.tell(ConnectionChanged(ACCOUNT, up=True))

    def place_by_hand(self) -> None:
        self.paper.venue.submit([OrderIntent(
            client_order_id=BY_HAND, portfolio="main", account=ACCOUNT, instrument_id=COIN.instrument_id, side=Side.BUY,
            order_lots=20, kind=OrderKind.LIMIT, purpose=Purpose.ENTRY, limit_ticks=5_000)])


# ---- Alpaca --------------------------------------------------------------------------------------------------------------


class AlpacaSite(ServedSite):
    """Shares at a local Alpaca, through alpaca-py."""

    name, symbol, instrument_id = "alpaca", "AAPL", "AAPL@alpaca"
    piece, lots_a_piece, minor_exponent = Decimal(1), 1, 2
    orders_path = "/v2/orders"
    exits_go_along = True

    def __init__(self) -> None:
        super().__init__()
        self.server = AlpacaServer([share("AAPL")], time.time_ns())
        self.server.account.real_time = True
        self.port = 0

    async def open(self) -> None:
        await self.serve()
        await self.start()

    async def close(self) -> None:
        await self.stop()
        await self.server.close()

    @classmethod
    def parts_at(cls, url: str, answer_seconds: float) -> tuple[Broker, MarketFeed, Clock]:
        stream = url.replace("http", "ws", 1)
        endpoints = AlpacaEndpoints(url, url, f"{stream}/stream", stream, answer_seconds)
        broker = AlpacaBroker(ACCOUNT, lambda: KEY, paper=True, symbols=[cls.symbol], endpoints=endpoints)
        feed = AlpacaFeed(lambda: KEY, paper=True, instruments=broker.instruments, endpoints=endpoints)
        return broker, feed, SystemClock()

    @property
    def url(self) -> str:
        return self.server.url

    def parts(self) -> tuple[Broker, MarketFeed, Clock]:
        return self.parts_at(self.url, self.answer_seconds)

    def disturb_next(self, loss: Loss) -> None:
        status = 0 if loss.hangs else loss.status or -1
        self.server.fail_next("POST", self.orders_path, status, after=loss.arrives, truncated=loss.truncated, again=loss.again,
                              headers=RETRY_SOON)

    async def serve(self) -> None:
        await self.server.open()
        self.port = int(self.server.url.rpartition(":")[2])

    async def market(self, bid: Decimal, ask: Decimal, pieces: int) -> None:
        self.server.account.quote("AAPL", bid, ask, Decimal(pieces), seconds=0)

    async def show(self, bid: Decimal, ask: Decimal) -> None:
        await self.server.send_market(quote_message("AAPL", str(bid), str(ask), time.time_ns()))

    def venue_lots(self) -> Lots:
        return int(self.server.account.held(self.server.account.instruments["AAPL"]))

    def open_stops(self) -> Lots:
        """Held ones too, once nothing is left that they wait for."""
        return sum(int(order["qty"]) - int(order["filled_qty"]) for order in self.server.account.orders.values()
                   if order["type"] == "stop" and order["side"] == "sell" and order["status"] not in ENDED
                   and ((group := self.server.account.groups.get(order["id"])) is None or group.awake))

    def taken_ids(self) -> list[str]:
        """A leg under the name that ours gives it: the venue's own says nothing to us."""
        groups = self.server.account.groups
        taken = []
        for order in self.server.account.orders.values():
            lead = groups[order["id"]].lead if order["id"] in groups else order
            suffix = "" if lead is order else TARGET_SUFFIX if order["type"] == "limit" else STOP_SUFFIX
            taken.append(lead["client_order_id"] + suffix)
        return [each for each in taken if each != BY_HAND]

    def open_ids(self) -> list[str]:
        return [order["client_order_id"] for order in self.server.account.open_orders()]

    def sendings(self) -> int:
        return self.server.count("POST", self.orders_path)

    def mute(self) -> None:
        self.server.mute_events = True

    def unmute(self) -> None:
        self.server.mute_events = False

    async def go_dark(self) -> None:
        await self.server.close()

    async def come_back(self) -> None:
        await self.server.open(self.port)

    def place_by_hand(self) -> None:
        self.server.account.place({"symbol": "AAPL", "qty": "1", "side": "buy", "type": "limit", "limit_price": "50",
                                   "time_in_force": "gtc", "client_order_id": BY_HAND})
