"""A service whose snapshots a test writes: it keeps what was sent and answers as told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from engine.inputs import Bar, Command, PlaceOrder
from engine.service import OrderCard, PerformanceQuery, PerformanceView, Receipt, Refusal, ResearchPage, ResearchQuery, Snapshot
from tests.tui.performance_views import performance_view
from tests.tui.views import bars, card, snapshot

type Answer = Callable[[Command], Receipt | Exception]


class ScriptedService:
    """Holds the newest snapshot; `publish` replaces it, `stop` ends the stream, `fail` breaks it."""

    def __init__(self, first: Snapshot | None = None) -> None:
        self.newest = first or snapshot()
        self.sent: list[Command] = []
        self.asked: list[PlaceOrder] = []
        self.answer: Answer = lambda command: Receipt(command.command_id, accepted=True, seq=1)
        self.hold: asyncio.Event | None = None
        self.preview: OrderCard | Refusal = card()
        self.queries: list[PerformanceQuery] = []
        self.research_queries: list[ResearchQuery] = []
        self.research_page: ResearchPage | Exception = ResearchPage()
        self.report: PerformanceView | Exception = performance_view()
        self.ended = False
        self.failure: Exception | None = None
        self._changed = asyncio.Event()

    def publish(self, newer: Snapshot) -> None:
        self.newest = newer
        self._changed.set()

    def stop(self) -> None:
        self.ended = True
        self._changed.set()

    def fail(self, failure: Exception) -> None:
        self.failure = failure
        self._changed.set()

    def latest(self) -> Snapshot:
        return self.newest

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        version = -1
        while True:
            if self.failure is not None:
                raise self.failure
            if self.ended:
                return
            if self.newest.version != version:
                version = self.newest.version
                yield self.newest
                continue
            self._changed.clear()
            await self._changed.wait()

    async def send(self, command: Command) -> Receipt:
        self.sent.append(command)
        if self.hold is not None:
            await self.hold.wait()
        answer = self.answer(command)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def what_if(self, order: PlaceOrder) -> OrderCard | Refusal:
        self.asked.append(order)
        return self.preview

    async def performance(self, query: PerformanceQuery) -> PerformanceView:
        self.queries.append(query)
        if isinstance(self.report, Exception):
            raise self.report
        return self.report

    async def research(self, query: ResearchQuery) -> ResearchPage:
        self.research_queries.append(query)
        if isinstance(self.research_page, Exception):
            raise self.research_page
        return self.research_page

    async def bars(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        last = next((quote.last for quote in self.newest.quotes if quote.instrument_id == instrument_id), None)
        return bars(instrument_id, limit, int(last * 100)) if last is not None else []
