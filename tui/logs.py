"""Structured logs: JSON lines to rotating files in the home and, where no screen is shown, to standard error."""

import json
import logging
import logging.handlers
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from store.redaction import redacted
from tui.log_thread import Aside, Descriptor

LOG_FILE = "engine.log"
SCREEN_LOG_FILE = "screen.log"
COMMAND_LOG_FILE = "commands.log"
MEGABYTE = 1 << 20
FACTS = "facts"


class Discreet(logging.Formatter):
    """Takes secrets out of what another formatter makes, whoever put them in, a library's own records and tracebacks included."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return redacted(self._inner.format(record))


@contextmanager
def quiet_log(folder: Path) -> Iterator[None]:
    """Keep what the program logs out of a command's own lines: it goes to a file of the home, where there is one and it can be
    written."""
    logger, handler = logging.getLogger("quarterdeck"), logging.handlers.RotatingFileHandler(
        folder / COMMAND_LOG_FILE, maxBytes=MEGABYTE, backupCount=1, encoding="utf-8", delay=True)
    handler.setFormatter(Discreet(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")))
    before, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    logging.raiseExceptions, raising = False, logging.raiseExceptions
    try:
        yield
    finally:
        logging.raiseExceptions = raising
        logger.removeHandler(handler)
        logger.propagate = before
        handler.close()


class JsonLines(logging.Formatter):
    """A record as one JSON object: its facts, then `event`, `level`, `logger` and `timestamp`."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        line = {**getattr(record, FACTS, {}), "event": record.getMessage(), "level": record.levelname.lower(),
                "logger": record.name, "timestamp": f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=repr)


def _standard_error() -> TextIO | Descriptor:
    """Standard error below Python's own buffer, where it is a file of the system's."""
    try:
        return Descriptor(sys.stderr.fileno())
    except (AttributeError, OSError, ValueError):
        return sys.stderr


class EventLog:
    """Writes events with their facts, such as `info("order", symbol="BTC/USD")`."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def info(self, event: str, /, **facts: object) -> None:
        self.write(logging.INFO, event, **facts)

    def write(self, level: int, event: str, /, **facts: object) -> None:
        """The same at any level of `logging`."""
        self._logger.log(level, event, extra={FACTS: facts})


def start_logs(folder: Path, level: str, file_megabytes: int, files_kept: int, *, file_name: str = LOG_FILE,
               to_stderr: bool = True) -> EventLog:
    """Set logging up for this process and give the program's log.

    Records of other libraries come out in the same shape. A file that cannot be opened or written must not stop an engine (a
    single run as another user leaves one behind), so the handlers swallow their own failures. With a screen, `to_stderr` is off:
    a line there would go right through it.
    """
    writers: list[logging.Handler] = [logging.StreamHandler(_standard_error())] if to_stderr else []
    trouble = ""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        writers.append(logging.handlers.RotatingFileHandler(
            folder / file_name, maxBytes=file_megabytes * MEGABYTE, backupCount=files_kept, encoding="utf-8"))
    except OSError as error:
        trouble = f"{folder / file_name}: cannot be opened: {error.strerror}; nothing is written there; check its owner and mode"
    logging.raiseExceptions = False
    root = logging.getLogger()
    root.handlers[:] = [logging.NullHandler(), *(Aside(writer, Discreet(JsonLines())) for writer in writers)]
    root.setLevel(level.upper())
    if trouble:
        logging.getLogger("quarterdeck").error(trouble)
    return EventLog(logging.getLogger("quarterdeck"))
