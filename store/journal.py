"""The append-only journal over SQLite: hash-chained rows, one writer thread, everything queued goes into one commit."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Literal, NamedTuple

from engine.errors import InvariantBroken, JournalUnwritable
from engine.ports import JournalRow
from store.chain import ChainHead
from store.commit import JournalWriter, Projector
from store.read import journal_rows

RELAXED_ROWS = 1_000

type _Loop = asyncio.AbstractEventLoop
type _Future = asyncio.Future[None]


class _Waiter(NamedTuple):
    loop: _Loop
    future: _Future


class _Retry(NamedTuple):
    loop: _Loop
    future: _Future


type _Message = Sequence[JournalRow] | _Waiter | _Retry | Literal["close"]


class SqliteJournal:
    """`engine.ports.Journal` over one SQLite file, created with mode 0600 where it is missing.

    `append` and `wait_durable` belong to one thread, the engine's. A writer thread commits: whatever was queued while a
    commit ran goes into the next one, and rows appended together are never parted. `inline` commits in `wait_durable`
    itself, without a second thread; `relaxed` (inline only) confirms at once and commits a thousand rows at a time,
    unsynced, for replays whose rows can be made again.

    After a failed commit the rows stay in memory in order, `on_failure` is called once, in the writer's thread, and
    every `wait_durable` raises `JournalUnwritable` until `retry` succeeds. `projector` runs inside each transaction and
    keeps the views; should it fail, the journal goes on without it and `view_failure` says why.
    """

    def __init__(self, path: Path, on_failure: Callable[[JournalUnwritable], None] | None = None, *,
                 projector: Projector | None = None, inline: bool = False, relaxed: bool = False,
                 engine_id: str = "") -> None:
        """Open or create the journal; raises `HomeUnusable` or `JournalDamaged`. `engine_id` names a new journal."""
        self._writer = JournalWriter(path, projector, durable=not relaxed, engine_id=engine_id)
        self._on_failure = on_failure
        self._inline = inline or relaxed
        self._relaxed = relaxed
        self._appended_seq = self._writer.head.seq
        self._pending: list[JournalRow] = []
        self._failure: JournalUnwritable | None = None
        self._closed = False
        self._queue: SimpleQueue[_Message] = SimpleQueue()
        self._thread: threading.Thread | None = None
        if not self._inline:
            self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
            self._thread.start()

    @property
    def path(self) -> Path:
        return self._writer.path

    @property
    def engine_id(self) -> str:
        """The name this journal got when it was created; a restored copy gets a new one."""
        return self._writer.engine_id

    @property
    def failure(self) -> JournalUnwritable | None:
        """Why the journal cannot be written, None while it can."""
        return self._failure

    @property
    def view_failure(self) -> str:
        """Why the views stand still, empty while they follow the journal."""
        return self._writer.view_failure

    def head(self) -> ChainHead:
        """Number, time and hash of the newest durable row; zeros where there is none."""
        return self._writer.head

    def last(self) -> JournalRow | None:
        """The newest durable row."""
        head = self.head()
        return next(self.rows(head.seq), None) if head.seq else None

    def rows(self, from_seq: int = 1) -> Iterator[JournalRow]:
        """Durable rows from `from_seq` on, each checked against its hash; raises `JournalDamaged` naming the row."""
        return journal_rows(self.path, from_seq)

    def append(self, rows: Sequence[JournalRow]) -> None:
        """Queue `rows` as one transaction; never blocks. Raises `InvariantBroken` where `seq` does not grow."""
        if not rows:
            return
        if self._closed:
            raise InvariantBroken(f"append to the closed journal {self.path}")
        seq = self._appended_seq
        for row in rows:
            if row.seq <= seq:
                raise InvariantBroken(f"journal row {row.seq} follows row {seq}: seq must grow")
            seq = row.seq
        self._appended_seq = seq
        if self._inline:
            self._pending.extend(rows)
        else:
            self._queue.put(rows)

    async def wait_durable(self) -> None:
        """Return once every row appended so far is on disk; raises `JournalUnwritable`."""
        if self._failure is not None:
            raise _again(self._failure)
        if self._writer.head.seq >= self._appended_seq:
            return
        if self._closed:
            raise InvariantBroken(f"wait on the closed journal {self.path}")
        if self._inline:
            if not self._relaxed or len(self._pending) >= RELAXED_ROWS:
                self._commit_inline()
            return
        loop = asyncio.get_running_loop()
        future: _Future = loop.create_future()
        self._queue.put(_Waiter(loop, future))
        await future

    async def retry(self) -> None:
        """Try again after a failure: reopen the file, find what is on disk, write the rest in order.

        Returns once everything appended is durable; raises `JournalUnwritable` where it still fails.
        """
        if self._inline:
            self._commit_inline(retry=True)
            return
        loop = asyncio.get_running_loop()
        future: _Future = loop.create_future()
        self._queue.put(_Retry(loop, future))
        await future

    def close(self) -> None:
        """Write what is queued, end the writer thread and close the file; blocks, and a second call does nothing.

        Raises `JournalUnwritable` where rows could not be written.
        """
        if self._closed:
            return
        self._closed = True
        if self._thread is not None:
            self._queue.put("close")
            self._thread.join()
        else:
            self._try_commit(retry=self._failure is not None)
        failure, left = self._failure, len(self._pending)
        self._writer.close()
        if failure is not None and left:
            raise JournalUnwritable(f"{failure}; closed with {left} rows unwritten") from failure

    # ---- committing, in the writer's thread, or inline ---------------------------------------------------------------

    def _run(self) -> None:
        """The writer thread: take all that is queued, commit it once, answer those who wait."""
        while True:
            waiters, retries, closing = self._take()
            if closing or retries or (self._pending and self._failure is None):
                self._try_commit(retry=bool(self._failure is not None and (retries or closing)))
            _answer([*waiters, *retries], self._failure)
            if closing:
                return

    def _take(self) -> tuple[list[_Waiter], list[_Retry], bool]:
        """Wait for one message, then take every other that is there, in order."""
        waiters: list[_Waiter] = []
        retries: list[_Retry] = []
        message = self._queue.get()
        while True:
            if isinstance(message, _Waiter):
                waiters.append(message)
            elif isinstance(message, _Retry):
                retries.append(message)
            elif message == "close":
                return waiters, retries, True
            else:
                self._pending.extend(message)
            try:
                message = self._queue.get_nowait()
            except Empty:
                return waiters, retries, False

    def _try_commit(self, *, retry: bool) -> None:
        """Commit what is pending; on failure keep it and remember why. Never raises: the writer thread must live."""
        try:
            if retry:
                self._pending = self._writer.reopen(self._pending)
            self._writer.commit(self._pending)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            self._fail(error if isinstance(error, JournalUnwritable) else JournalUnwritable(str(error)))
            return
        self._pending = []
        self._failure = None

    def _fail(self, failure: JournalUnwritable) -> None:
        first = self._failure is None
        self._failure = failure
        if first and self._on_failure is not None:
            with suppress(Exception):  # the listener's own trouble must not keep the news from those who wait
                self._on_failure(failure)

    def _commit_inline(self, *, retry: bool = False) -> None:
        self._try_commit(retry=retry and self._failure is not None)
        if self._failure is not None:
            raise _again(self._failure)


def _again(failure: JournalUnwritable) -> JournalUnwritable:
    """A fresh exception of the same failure: one raised twice would grow a traceback in two threads."""
    return JournalUnwritable(str(failure))


def _answer(waiting: Sequence[_Waiter | _Retry], failure: JournalUnwritable | None) -> None:
    """Settle all waiters of a commit with one call into each event loop."""
    by_loop: dict[_Loop, list[_Future]] = {}
    for waiter in waiting:
        by_loop.setdefault(waiter.loop, []).append(waiter.future)
    for loop, futures in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, futures, failure)
        except RuntimeError:  # that loop has ended, and with it everybody who waited in it
            continue


def _settle(futures: Sequence[_Future], failure: JournalUnwritable | None) -> None:
    for future in futures:
        if future.done():
            continue
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(_again(failure))
