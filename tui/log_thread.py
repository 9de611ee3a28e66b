"""Lines of the log are written by a thread of their own: a disk that does not answer, a terminal that was stopped (Ctrl-S) or a
pipe that nobody reads hold up neither the engine, whose stops would wait, nor its end."""

import logging
import os
import threading
from queue import SimpleQueue

LONGEST_QUEUE = 10_000
LAST_LINES_SECONDS = 2.0
LOST = "%d lines of the log were lost: they came faster than they could be written"

type _Message = logging.LogRecord | threading.Event


class Aside(logging.Handler):
    """Makes the lines of another handler, in the caller's thread, and has them written in its own; beyond `LONGEST_QUEUE` they
    are counted and lost."""

    def __init__(self, writer: logging.Handler, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        writer.setFormatter(logging.Formatter("%(message)s"))
        writer.lock = _NoLock()  # type: ignore[assignment]
        self._writer = writer
        self._lines: SimpleQueue[_Message] = SimpleQueue()
        self._lost = 0
        threading.Thread(target=self._write, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        if self._lines.qsize() >= LONGEST_QUEUE:
            self._lost += 1
            return
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - what cannot be said must not stop whoever says it
            self.handleError(record)
            return
        self._lines.put(_plain(record, line))

    def flush(self) -> None:
        """Wait until what was said so far is written, but not for ever."""
        written = threading.Event()
        self._lines.put(written)
        written.wait(LAST_LINES_SECONDS)

    def close(self) -> None:
        """The same; what is said later is still written. A writer that hangs is left alone."""
        self.flush()
        super().close()

    def _write(self) -> None:
        while True:
            message = self._lines.get()
            if isinstance(message, threading.Event):
                message.set()
                continue
            if self._lost:
                lost, self._lost = self._lost, 0
                self._writer.handle(_plain(message, self.format(logging.makeLogRecord(
                    {"name": "quarterdeck", "msg": LOST, "args": (lost,), "levelno": logging.ERROR, "levelname": "ERROR"}))))
            self._writer.handle(message)


class _NoLock:
    """In the place of a writer's lock, as `logging` uses one: a single thread writes, and the end of the program must not wait
    for a lock that a hanging write holds. None will not do: from Python 3.13 on whoever writes enters the lock unasked."""

    def acquire(self) -> None:
        """There is nobody to wait for."""

    def release(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> None:
        """The same, as a block."""

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def _at_fork_reinit(self) -> None:
        """What `logging` asks of each lock in a child process, before it frees its own."""


class Descriptor:
    """A stream that writes straight to a file descriptor: no lock of the interpreter is held by a write that hangs, so that the
    program can end beside it."""

    def __init__(self, number: int) -> None:
        self._number = number

    def write(self, text: str) -> int:
        left = text.encode(errors="backslashreplace")
        while left:
            left = left[os.write(self._number, left):]
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""


def _plain(record: logging.LogRecord, line: str) -> logging.LogRecord:
    return logging.makeLogRecord({"name": record.name, "levelno": record.levelno, "levelname": record.levelname, "msg": line})
