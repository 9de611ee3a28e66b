"""What the venue keeps of bought coins as its fee. Its executions do not tell; the balance afterwards does.

A buy of 1 coin leaves 0.9975 coins in the account. Were that not booked with the fill, we would believe to hold more than there
is, and the venue would refuse the stop and every exit as too large. So a bought coin's fill waits the moment that it takes
to read the balance: what is missing there is the fee. Where the balance cannot explain it (something else happened in
between), the rate that was seen last stands in, and the next report finds a difference if there is one.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

from brokers.alpaca.listing import COIN_TAKER_FEE_PPM
from brokers.alpaca.ordering import Execution, fill_of
from engine.inputs import FillReported, OrderReport
from engine.instruments import AssetClass, Instrument
from engine.orders import Fill, FillSource
from engine.ports import VenueMessage
from engine.units import Lots, steps_down, steps_up

log = logging.getLogger("quarterdeck.alpaca")

NOTHING = Decimal(0)
HIGHEST_RATE = Decimal("0.01")
KEPT_FILLS = 20_000
TRIES = 4
PAUSE_SECONDS = 0.1


def is_coin(instrument: Instrument) -> bool:
    return instrument.asset_class is AssetClass.CRYPTO


class CoinBook:
    """Balances of coins as the venue tells them, and of each execution how many lots the venue kept: the same whenever asked."""

    def __init__(self) -> None:
        self.rate = Decimal(COIN_TAKER_FEE_PPM) / 1_000_000
        self._quantities: dict[str, Decimal] = {}
        self._kept_lots: dict[str, Lots] = {}
        self._from_ns = 0

    def start(self, quantities: Mapping[str, Decimal], at_ns: int) -> None:
        """What is held by instrument id; executions before `at_ns` are contained in it."""
        self._quantities = dict(quantities)
        self._from_ns = at_ns

    def settle(self, instrument: Instrument, executions: Iterable[Execution], quantity: Decimal) -> bool:
        """Take the venue's balance as the end of these executions; False where they do not lead there."""
        new = self._new(executions)
        if not new:
            return True
        before = self._quantities.get(instrument.instrument_id, NOTHING)
        bought = sum((each.quantity for each in new if each.buy), NOTHING)
        fee = before + sum((each.quantity if each.buy else -each.quantity for each in new), NOTHING) - quantity
        if not 0 <= fee <= bought * HIGHEST_RATE:
            return False
        if bought:
            self.rate = fee / bought
        self._keep(instrument, new, fee)
        self._quantities[instrument.instrument_id] = quantity
        return True

    def align(self, instrument: Instrument, quantity: Decimal) -> None:
        """Go on from the venue's balance, whatever led to it (a deposit, a fee that was estimated)."""
        self._quantities[instrument.instrument_id] = quantity

    def estimate(self, instrument: Instrument, executions: Iterable[Execution]) -> None:
        """Go by the last rate."""
        new = self._new(executions)
        self._keep(instrument, new, sum((each.quantity * self.rate for each in new if each.buy), NOTHING))

    def fill(self, execution: Execution, account: str, instrument: Instrument, source: FillSource) -> Fill | None:
        """The fill of an execution, with what was kept of it; one from before the start goes by the rate."""
        kept_lots = self._kept_lots.get(execution.trade_id)
        if kept_lots is None:
            kept_lots = steps_up(execution.quantity * self.rate, instrument.lot_size) if execution.buy else 0
        return fill_of(execution, account, instrument, source, kept_lots=kept_lots,
                       sale_rate=NOTHING if execution.buy else self.rate)

    def _new(self, executions: Iterable[Execution]) -> list[Execution]:
        once = {each.trade_id: each for each in executions
                if each.trade_id not in self._kept_lots and each.at_ns >= self._from_ns}
        return sorted(once.values(), key=lambda each: (each.at_ns, each.order_id, each.cum_qty))

    def _keep(self, instrument: Instrument, new: list[Execution], fee: Decimal) -> None:
        """Share the fee out by quantity, the last buy bearing what is left, and count in whole lots of the balance."""
        buys = [each for each in new if each.buy]
        bought = sum((each.quantity for each in buys), NOTHING)
        balance, left = self._quantities.get(instrument.instrument_id, NOTHING), fee
        lot = instrument.lot_size
        for each in new:
            share = NOTHING
            if each.buy:
                share = left if each is buys[-1] else fee * each.quantity / bought
                left -= share
            after = balance + (each.quantity - share if each.buy else -each.quantity)
            executed_lots = steps_down(each.cum_qty, lot) - steps_down(each.cum_qty - each.quantity, lot)
            kept_lots = executed_lots - (steps_down(after, lot) - steps_down(balance, lot)) if each.buy else 0
            self._kept_lots[each.trade_id] = max(0, kept_lots)
            balance = after
        self._quantities[instrument.instrument_id] = balance
        while len(self._kept_lots) > KEPT_FILLS:
            del self._kept_lots[next(iter(self._kept_lots))]


class _Held(NamedTuple):
    execution: Execution
    instrument: Instrument
    report: OrderReport


class CoinFills:
    """Executions in coins on their way from the stream to the engine, each waiting for the balance."""

    def __init__(self, account: str, book: CoinBook, quantity_of: Callable[[Instrument], Awaitable[Decimal | None]],
                 send: Callable[[VenueMessage], None]) -> None:
        self._account = account
        self._book = book
        self._quantity_of = quantity_of
        self._send = send
        self._held: list[_Held] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many executions wait."""
        return len(self._held)

    def hold(self, execution: Execution, instrument: Instrument, report: OrderReport) -> None:
        """Hand on the fill and the order's report once the balance is known."""
        self._held.append(_Held(execution, instrument, report))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._settle(), name="alpaca coins")

    async def stop(self) -> None:
        """Let go of what waits; the next report tells it."""
        task, self._task = self._task, None
        self._held.clear()
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _settle(self) -> None:
        while self._held:
            instrument = self._held[0].instrument
            quantity: Decimal | None = None
            waiting: list[Execution] = []
            for attempt in range(1, TRIES + 1):
                quantity = await self._quantity_of(instrument)
                waiting = [each.execution for each in self._held if each.instrument is instrument]
                if quantity is not None and self._book.settle(instrument, waiting, quantity):
                    break
                await asyncio.sleep(PAUSE_SECONDS * attempt)
            else:
                log.warning("alpaca: the balance of %s does not explain its executions; the fee is estimated", instrument.symbol)
                self._book.estimate(instrument, waiting)
                if quantity is not None:
                    self._book.align(instrument, quantity)
            self._hand_on({execution.trade_id for execution in waiting})

    def _hand_on(self, trade_ids: set[str]) -> None:
        ready = [each for each in self._held if each.execution.trade_id in trade_ids]
        self._held = [each for each in self._held if each.execution.trade_id not in trade_ids]
        for each in ready:
            fill = self._book.fill(each.execution, self._account, each.instrument, FillSource.STREAM)
            if fill is not None:
                self._send(FillReported(fill))
            self._send(each.report)
