"""A screen's hold on an engine elsewhere: over the control socket, and again after that engine was started anew."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from engine.inputs import Bar, Command, PlaceOrder
from engine.service import (
    AccessView,
    OrderCard,
    PerformanceQuery,
    PerformanceView,
    Receipt,
    Refusal,
    ResearchPage,
    ResearchQuery,
    Snapshot,
)
from tui.control_client import ControlClient


class Attached:
    """A `Service` and an `AccessGate` on whatever engine `reach` connects to; raises `EngineUnreachable` while there is none.

    Once a connection is lost, the next wish for snapshots makes a new one, which is locked like the first. Nothing that was sent
    is ever sent again: what became of it is in the snapshot.
    """

    def __init__(self, reach: Callable[[], ControlClient]) -> None:
        self._reach = reach
        self._client = reach()

    def close(self) -> None:
        self._client.close()

    def latest(self) -> Snapshot:
        return self._client.latest()

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        if self._client.lost:
            self._client.close()
            self._client = await asyncio.to_thread(self._reach)
        async for snapshot in self._client.snapshots():
            yield snapshot

    async def send(self, command: Command) -> Receipt:
        return await self._client.send(command)

    async def what_if(self, order: PlaceOrder) -> OrderCard | Refusal:
        return await self._client.what_if(order)

    async def bars(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        return await self._client.bars(instrument_id, limit)

    async def performance(self, query: PerformanceQuery) -> PerformanceView:
        return await self._client.performance(query)

    async def research(self, query: ResearchQuery) -> ResearchPage:
        return await self._client.research(query)

    def access(self) -> AccessView:
        return self._client.access()

    async def unlock(self, code: str) -> Receipt:
        return await self._client.unlock(code)

    async def lock(self) -> None:
        await self._client.lock()
