"""Stream events of orders that belong to a group nobody has told us yet: kept back until it is known whose legs they are.

A leg comes on the stream under an id of the venue's making, often before the answer that names it, and after a lost answer
without one. Taken as it comes it would be somebody else's order, and its fill somebody else's fill.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from brokers.alpaca.account import AccountReader, Incomplete
from brokers.alpaca.wire import WireTradeUpdate

log = logging.getLogger("quarterdeck.alpaca")


PATIENCE_SECONDS = 2.0  # for the answers that name the legs; what is asked too early is only asked twice


class Strangers:
    """Holds such events back, in their order; `take` gets them then, `ask_again` is told where that could not be found out."""

    def __init__(self, take: Callable[[WireTradeUpdate], None], ask_again: Callable[[str], None]) -> None:
        self._take = take
        self._ask_again = ask_again
        self._held: list[WireTradeUpdate] = []
        self._due = 0
        self._none_due = asyncio.Event()
        self._none_due.set()
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        return len(self._held)

    @contextmanager
    def answer_due(self, wanted: bool) -> Iterator[None]:  # noqa: FBT001 - a switch of its own
        """While answers to groups' requests are under way nothing needs to be asked: they name the legs. None of the requests
        waits for another: a stop must not stand behind one that hangs."""
        self._due += wanted
        if self._due:
            self._none_due.clear()
        try:
            yield
        finally:
            self._due -= wanted
            if not self._due:
                self._none_due.set()

    def hold(self, update: WireTradeUpdate, reader: AccountReader | None) -> bool:
        """Keep an event back where its order is a stranger; False where it can be taken at once."""
        if reader is None or not reader.families.is_strange(update.order):
            return False
        self._held.append(update)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._place(reader), name="alpaca legs")
        return True

    async def _place(self, reader: AccountReader) -> None:
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._none_due.wait()
            await reader.place([update.order for update in self._held])
        except (Incomplete, ValueError, ArithmeticError) as error:
            log.warning("alpaca: whose orders the stream tells of is not known (%s); asking for all", type(error).__name__)
            self._held.clear()
            self._ask_again("orders on the stream that nobody knows yet")
            return
        while self._held and not reader.families.is_strange(self._held[0].order):
            self._hand_on(self._held.pop(0))
        if self._held:  # they came while the others were asked about
            self._task = asyncio.create_task(self._place(reader), name="alpaca legs")

    def _hand_on(self, update: WireTradeUpdate) -> None:
        try:
            self._take(update)
        except (ValueError, ArithmeticError) as error:  # one event that cannot be read must not stop the others
            log.warning("alpaca account: a message could not be read (%s)", type(error).__name__)

    async def stop(self) -> None:
        """Forget what is kept back; the next report tells of it."""
        task, self._task = self._task, None
        self._held.clear()
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
