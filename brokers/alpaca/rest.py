"""Requests to Alpaca from the event loop: paced, each sent once in a small pool of threads, the answer a value."""

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from brokers.alpaca.answers import Fault, Outcome, fault_of
from brokers.alpaca.pace import RequestPace

log = logging.getLogger("quarterdeck.alpaca")

URGENT_THREADS = 4
ORDINARY_THREADS = 4


class RestCalls:
    """One account's requests. What protects a position has threads of its own, so that no slow question can hold it up."""

    def __init__(self, client: Any, pace: RequestPace) -> None:
        self._client = client
        self._pace = pace
        self._urgent = ThreadPoolExecutor(URGENT_THREADS, thread_name_prefix="alpaca-orders")
        self._ordinary = ThreadPoolExecutor(ORDINARY_THREADS, thread_name_prefix="alpaca-questions")

    def close(self) -> None:
        """What has not begun is dropped; what is on its way ends by itself."""
        self._urgent.shutdown(wait=False, cancel_futures=True)
        self._ordinary.shutdown(wait=False, cancel_futures=True)

    async def get[T](self, kind: type[T], path: str, query: Mapping[str, str] | None = None, *,
                     urgent: bool = False) -> T | Fault:
        """Ask, and read the answer as `kind`."""
        return await self._decoded(kind, "GET", path, dict(query or {}), urgent=urgent)

    async def post[T](self, kind: type[T], path: str, body: Mapping[str, object], *, urgent: bool) -> T | Fault:
        return await self._decoded(kind, "POST", path, dict(body), urgent=urgent)

    async def delete(self, path: str) -> bytes | Fault:
        """Cancels: always urgent."""
        return await self._sent("DELETE", path, None, urgent=True)

    async def _decoded[T](self, kind: type[T], method: str, path: str, data: dict[str, Any], *, urgent: bool) -> T | Fault:
        answer = await self._sent(method, path, data, urgent=urgent)
        if isinstance(answer, Fault):
            return answer
        try:
            return msgspec.json.decode(answer, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return fault_of(error)

    async def _sent(self, method: str, path: str, data: dict[str, Any] | None, *, urgent: bool) -> bytes | Fault:
        if not await self._pace.take(urgent=urgent):
            return Fault(Outcome.NOT_SENT, "held back: more requests than the venue allows")
        pool = self._urgent if urgent or method == "POST" else self._ordinary
        answer = await asyncio.get_running_loop().run_in_executor(pool, self._call, method, path, data)
        if isinstance(answer, Fault) and answer.outcome is Outcome.THROTTLED:
            self._pace.pause(answer.retry_after_seconds)
            log.warning("alpaca asks for a pause of %.1f s", answer.retry_after_seconds)
        return answer

    def _call(self, method: str, path: str, data: dict[str, Any] | None) -> bytes | Fault:
        try:
            body: bytes = self._client._request(method, path, data)  # noqa: SLF001 - get, post and delete differ in nothing else
        except Exception as error:  # noqa: BLE001 - each has its place in the table; what is not listed there is unanswered
            return fault_of(error)
        return body
