"""One Alpaca account behind the engine's `Broker` port."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from brokers.alpaca.account import AccountReader, Incomplete, complete
from brokers.alpaca.answers import Fault, Outcome, cancel_answer, readable, submit_answer
from brokers.alpaca.coins import CoinFills, is_coin
from brokers.alpaca.endpoints import VENUE, AlpacaEndpoints, KeySource, endpoints_of
from brokers.alpaca.listing import CURRENCY, Listing, capabilities_of
from brokers.alpaca.order_classes import class_request, together
from brokers.alpaca.ordering import Sender, execution_of_update, fill_of, order_report, order_request
from brokers.alpaca.pace import RequestPace
from brokers.alpaca.rest import RestCalls
from brokers.alpaca.strangers import Strangers
from brokers.alpaca.streams import AccountSession, StreamKeeper
from brokers.alpaca.wire import (
    WireAccount,
    WireCancel,
    WireFrame,
    WireOrder,
    WireTradeUpdate,
    nanoseconds_of,
)
from brokers.remembered import Remembered
from engine.errors import ConfigError, KeyRefused, QuarterdeckError, VenueUnreachable
from engine.inputs import (
    Accepted,
    CancelAnswer,
    CancelRefused,
    ConnectionChanged,
    FillReported,
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

log = logging.getLogger("quarterdeck.alpaca")

STREAM_SECONDS = 20.0
CORRECTIONS = frozenset({"trade_bust", "trade_correct", "restated"})


class AlpacaBroker:
    """One account at Alpaca, its paper or its live venue.

    `symbols` are what is listed besides whatever the account holds: "AAPL", "BTC/USD". With `fractions` shares are counted in
    millionths instead of whole shares; that must not be changed while a journal holds positions of the account.
    """

    def __init__(self, account: str, key_source: KeySource, *, paper: bool, symbols: Sequence[str],
                 endpoints: AlpacaEndpoints | None = None, fractions: bool = False, venue: str = VENUE,
                 pace: RequestPace | None = None) -> None:
        self.account = account
        self.remembered = Remembered()
        self.paper = paper
        self.capabilities = capabilities_of(coins=any("/" in symbol for symbol in symbols), fractions=fractions)
        self._key_source = key_source
        self._endpoints = endpoints or endpoints_of(paper=paper)
        self._symbols = tuple(symbols)
        self._sender = Sender(account, venue, Listing())
        self._fractions = fractions
        self._pace = pace or RequestPace()
        self._rest: RestCalls | None = None
        self._reader: AccountReader | None = None
        self._stream: StreamKeeper | None = None
        self._coin_fills: CoinFills | None = None
        self._sink: Callable[[VenueMessage], None] | None = None
        self._strangers = Strangers(self._take_update, self._ask_again)

    # ---- life ----

    async def connect(self, sink: Callable[[VenueMessage], None]) -> tuple[Instrument, ...]:
        """Open the account. Raises `VenueUnreachable` where the venue or its stream does not work, `KeyRefused`, and
        `ConfigError` for a symbol that the venue does not know or that is not quoted in dollars."""
        await self.close()
        client = await asyncio.to_thread(self._new_client)
        self._rest = RestCalls(client, self._pace)
        self._reader = AccountReader(self._rest, self._sender, fractions=self._fractions)
        try:
            await self._check_account(self._rest)
            asked = self.remembered.asked(self._symbols)
            self.capabilities = capabilities_of(coins=any("/" in symbol for symbol in asked), fractions=self._fractions)
            unknown = await self._reader.start(asked)
        except Incomplete as error:
            await self.close()
            raise self._unreachable(str(error)) from error
        except QuarterdeckError:
            await self.close()
            raise
        missing = [symbol for symbol in asked if symbol in unknown or self._sender.listing.named(symbol) is None]
        self.remembered.gone = tuple(symbol for symbol in missing if self.remembered.may_be_gone(symbol))
        if self.remembered.gone:
            log.error("account %s: Alpaca lists no more: %s", self.account, ", ".join(self.remembered.gone))
        wrong = [symbol for symbol in missing if symbol not in self.remembered.gone]
        if wrong:
            await self.close()
            raise ConfigError(f"account {self.account}: Alpaca does not trade {', '.join(wrong)}; correct the symbols")
        await self._open_stream(sink)
        return self._sender.listing.instruments()

    async def close(self) -> None:
        """Let go of stream and connections; orders at the venue stay. Safe to call twice."""
        self._sink = None
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.stop()
        await self._strangers.stop()
        coin_fills, self._coin_fills = self._coin_fills, None
        if coin_fills is not None:
            await coin_fills.stop()
        rest, self._rest, self._reader = self._rest, None, None
        if rest is not None:
            rest.close()

    def instruments(self) -> tuple[Instrument, ...]:
        """What is listed; empty before `connect`."""
        return self._sender.listing.instruments()

    @property
    def clock_skew_ns(self) -> Nanoseconds:
        """By how much the venue's clock is ahead of ours, as last measured; 0 where it was not."""
        return self._reader.clock_skew_ns if self._reader is not None else 0

    @property
    def stream_messages(self) -> int:
        """How many messages of the account's stream were handled to the end since `connect`."""
        waiting = self._strangers.waiting + (self._coin_fills.waiting if self._coin_fills is not None else 0)
        return self._stream.handled - waiting if self._stream is not None else 0

    def _new_client(self) -> Any:
        from brokers.alpaca.sdk import trading_client

        return trading_client(self._key_source(), self._endpoints, paper=self.paper)

    async def _new_session(self) -> AccountSession:
        def make() -> AccountSession:
            from brokers.alpaca.sdk import trading_stream

            return AccountSession(trading_stream(self._key_source(), self._endpoints, paper=self.paper))

        return await asyncio.to_thread(make)

    async def _check_account(self, rest: RestCalls) -> None:
        found = await rest.get(WireAccount, "/account")
        if isinstance(found, Fault) and found.outcome is Outcome.REFUSED:
            kind = "paper" if self.paper else "live"
            raise KeyRefused(f"account {self.account}: Alpaca refuses the key ({found.cause}); store one of its {kind} venue "
                             f"with `quarterdeck keys set {self.account}`")
        account = complete(found)
        if account.currency != CURRENCY:
            raise ConfigError(f"account {self.account} is kept in {readable(account.currency)}; only {CURRENCY} is supported")

    async def _open_stream(self, sink: Callable[[VenueMessage], None]) -> None:
        assert self._reader is not None
        self._sink = sink
        self._coin_fills = CoinFills(self.account, self._reader.coins, self._reader.quantity, self._send)
        announced = False

        def changed(up: bool, detail: str) -> None:  # noqa: FBT001 - the keeper's callback
            nonlocal announced
            if announced:
                self._send(ConnectionChanged(self.account, up=up, detail=detail))
            announced = announced or up

        self._stream = StreamKeeper("account", self._new_session, self._take_frame, changed)
        self._stream.start()
        try:
            async with asyncio.timeout(STREAM_SECONDS):
                await self._stream.up.wait()
        except TimeoutError:
            failure = self._stream.failure
            await self.close()
            raise self._unreachable(f"its stream did not open ({failure or 'no answer'})") from None

    def _unreachable(self, cause: str) -> VenueUnreachable:
        return VenueUnreachable(f"account {self.account} at {self._endpoints.trading_url} cannot be reached: {cause}; check "
                                "the network and the address")

    # ---- orders ----

    async def submit(self, intents: Sequence[OrderIntent]) -> Sequence[SubmitAnswer]:
        answers: dict[str, SubmitAnswer] = {}
        for group in together(intents):
            answers.update(await self._submit_group(group))
        return [answers[intent.client_order_id] for intent in intents]

    async def _submit_group(self, group: Sequence[OrderIntent]) -> dict[str, SubmitAnswer]:
        """One request: an order by itself, or with what goes out with it."""
        lead, *legs = group
        placed = await self._place(lead, group)
        if not isinstance(placed, WireOrder):
            return dict.fromkeys((intent.client_order_id for intent in group), placed)
        answers: dict[str, SubmitAnswer] = {lead.client_order_id: Accepted(placed.id)}
        for leg in legs:
            order_id = self._reader.order_id(leg.client_order_id) if self._reader is not None else ""
            answers[leg.client_order_id] = Accepted(order_id) if order_id else Unanswered("the venue did not tell its legs")
        return answers

    async def _place(self, lead: OrderIntent, group: Sequence[OrderIntent]) -> WireOrder | SubmitAnswer:
        rest, reader = self._rest, self._reader
        if rest is None or reader is None:
            return NotSent("not connected to Alpaca")
        instrument = self._sender.listing.instrument(lead.instrument_id)
        if lead.account != self.account:
            return Refused(f"this is account {self.account}, not {lead.account}", "account")
        if instrument is None:
            return Refused(f"{lead.instrument_id} is not listed here", "unknown_instrument")
        body = class_request(group, instrument) if len(group) > 1 else order_request(lead, instrument)
        if isinstance(body, Refused):
            return body
        with self._strangers.answer_due(len(group) > 1):
            placed = await rest.post(WireOrder, "/orders", body, urgent=lead.purpose is not Purpose.ENTRY)
            if isinstance(placed, Fault):
                return submit_answer(placed)
            if placed.client_order_id != lead.client_order_id:
                return Unanswered("the venue answered with another order")
            reader.learn(placed)
        return placed

    async def cancel(self, client_order_id: str, venue_order_id: str) -> CancelAnswer:
        rest, reader = self._rest, self._reader
        if rest is None or reader is None:
            return NotSent("not connected to Alpaca")
        order_id = venue_order_id or reader.order_id(client_order_id)
        if not order_id:
            found = await self._read(reader.order(client_order_id, urgent=True))
            if isinstance(found, OrderMissing):
                return CancelRefused("no such order", unknown_order=True)
            if isinstance(found, Unanswered):
                return NotSent(f"its id at the venue is not known ({found.cause})")
            order_id = found.venue_order_id
        answer = await rest.delete(f"/orders/{quote(order_id, safe='')}")
        return cancel_answer(answer) if isinstance(answer, Fault) else Accepted(order_id)

    async def cancel_all(self) -> int | Unanswered:
        if self._rest is None:
            return Unanswered("not connected to Alpaca")
        answer = await self._rest.delete("/orders")
        if isinstance(answer, Fault):
            return Unanswered(answer.cause)
        try:
            return len(msgspec.json.decode(answer or b"[]", type=list[WireCancel]))
        except msgspec.MsgspecError:
            return Unanswered("the venue's answer could not be read")

    # ---- questions ----

    async def order(self, client_order_id: str) -> OrderReport | OrderMissing | Unanswered:
        if self._reader is None:
            return Unanswered("not connected to Alpaca")
        return await self._read(self._reader.order(client_order_id))

    async def report(self, since_ns: Nanoseconds, client_order_ids: Sequence[str]) -> VenueReport | Unanswered:
        if self._reader is None:
            return Unanswered("not connected to Alpaca")
        return await self._read(self._reader.report(since_ns, client_order_ids))

    async def _read[T](self, question: Awaitable[T]) -> T | Unanswered:
        """An answer in full, or none: what cannot be understood is no answer either."""
        try:
            return await question
        except Incomplete as error:
            return Unanswered(str(error))
        except (QuarterdeckError, ValueError, ArithmeticError) as error:
            log.warning("alpaca: an answer could not be read (%s)", type(error).__name__)
            return Unanswered(f"the venue's answer could not be read ({type(error).__name__})")

    # ---- the stream ----

    def _take_frame(self, frame: bytes | str) -> None:
        envelope = msgspec.json.decode(frame, type=WireFrame)
        if envelope.stream != "trade_updates":
            return
        update = msgspec.json.decode(envelope.data, type=WireTradeUpdate)
        if not self._strangers.hold(update, self._reader):
            self._take_update(update)

    def _take_update(self, update: WireTradeUpdate) -> None:
        if self._reader is not None:
            self._reader.learn(update.order)
            update = msgspec.structs.replace(update, order=self._reader.families.ours(update.order))
        order = update.order
        report = order_report(order, self._sender, nanoseconds_of(update.timestamp) if update.timestamp else 0)
        execution = execution_of_update(update)
        instrument = self._sender.listing.named(order.asset_id, order.symbol)
        if execution is None:
            self._send(report)
        elif instrument is None:
            log.warning("alpaca: an execution in %s, which is not listed", readable(order.symbol or order.id))
            self._send(report)
        elif is_coin(instrument) and self._coin_fills is not None:
            self._coin_fills.hold(execution, instrument, report)
        else:
            fill = fill_of(execution, self.account, instrument, FillSource.STREAM)
            if fill is not None:
                self._send(FillReported(fill))
            self._send(report)
        if update.event in CORRECTIONS:
            self._ask_again("the venue corrected an execution")

    def _ask_again(self, why: str) -> None:
        self._send(ConnectionChanged(self.account, up=True, detail=why))

    def _send(self, message: VenueMessage) -> None:
        if self._sink is not None:
            self._sink(message)
