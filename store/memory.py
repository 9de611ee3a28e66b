"""A journal in memory, for tests and simulation: the same chain and the same promises, with a crash on demand."""

from collections.abc import Iterator, Sequence

from engine.errors import InvariantBroken, JournalUnwritable
from engine.ports import JournalRow
from store.chain import EMPTY_HEAD, ChainHead, link


class JournalCrashed(BaseException):
    """The simulated end of the process at a journal row; a BaseException, so that no handler of errors survives it."""


class MemoryJournal:
    """`engine.ports.Journal` without a disk: rows are durable once `wait_durable` has returned.

    `crash_after` ends the process, by `JournalCrashed`, in the `wait_durable` whose transaction holds that row; the
    transaction is kept, or lost with `lose_last`. Any later use raises it again. `durable` is the list of durable rows,
    with which the next run begins: `MemoryJournal(rows=crashed.durable)`. Setting `failure` makes the journal
    unwritable until `retry`.
    """

    def __init__(self, *, rows: Sequence[JournalRow] = (), crash_after: int | None = None, lose_last: bool = False,
                 engine_id: str = "memory") -> None:
        self.durable: list[JournalRow] = []
        self.failure: JournalUnwritable | None = None
        self.engine_id = engine_id
        self._crash_after = crash_after
        self._lose_last = lose_last
        self._crashed = False
        self._queued: list[Sequence[JournalRow]] = []
        self._appended_seq = 0
        self._head = EMPTY_HEAD
        for row in rows:
            self._write((row,))
        self._appended_seq = self._head.seq

    def append(self, rows: Sequence[JournalRow]) -> None:
        """Queue `rows` as one transaction; raises `InvariantBroken` where `seq` does not grow."""
        self._require_alive()
        for row in rows:
            if row.seq <= self._appended_seq:
                raise InvariantBroken(f"journal row {row.seq} follows row {self._appended_seq}: seq must grow")
            self._appended_seq = row.seq
        if rows:
            self._queued.append(rows)

    async def wait_durable(self) -> None:
        """Make every queued row durable; raises `JournalUnwritable`, or `JournalCrashed` at the chosen row."""
        self._require_alive()
        if self.failure is not None:
            raise JournalUnwritable(str(self.failure))
        for rows in self._queued:
            fatal = self._crash_after is not None and rows[-1].seq >= self._crash_after
            if not (fatal and self._lose_last):
                self._write(rows)
            if fatal:
                self._crashed = True
                self._queued = []
                self._require_alive()
        self._queued = []

    async def retry(self) -> None:
        """End a failure that was set, and make the queued rows durable."""
        self.failure = None
        await self.wait_durable()

    def rows(self, from_seq: int = 1) -> Iterator[JournalRow]:
        """Durable rows from `from_seq` on."""
        return (row for row in tuple(self.durable) if row.seq >= from_seq)

    def head(self) -> ChainHead:
        """Number, time and hash of the newest durable row."""
        return self._head

    def last(self) -> JournalRow | None:
        """The newest durable row."""
        return self.durable[-1] if self.durable else None

    def close(self) -> None:
        """Nothing to close; there so that both journals end alike."""

    def _write(self, rows: Sequence[JournalRow]) -> None:
        for row in rows:
            chained = link(self._head.hash, row)
            self._head = ChainHead(chained.seq, chained.at_ns, chained.hash)
            self.durable.append(row)

    def _require_alive(self) -> None:
        if self._crashed:
            raise JournalCrashed(f"crashed after journal row {self._crash_after}")
