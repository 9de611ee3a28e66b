"""Structured logs: JSON lines to rotating files in the home and, where no screen is shown, to standard error."""

import logging
import logging.handlers
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from store.redaction import redacted

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger, Processor

LOG_FILE = "engine.log"
SCREEN_LOG_FILE = "screen.log"
COMMAND_LOG_FILE = "commands.log"
MEGABYTE = 1 << 20


class Discreet(logging.Formatter):
    """Takes secrets out of what another formatter makes, whoever put them in, a library's own records and tracebacks included."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return redacted(self._inner.format(record))


@contextmanager
def quiet_log(folder: Path) -> Iterator[None]:
    """Keep what the program logs out of a command's own lines: it goes to a file of the home, where there is one."""
    logger, handler = logging.getLogger("quarterdeck"), logging.handlers.RotatingFileHandler(
        folder / COMMAND_LOG_FILE, maxBytes=MEGABYTE, backupCount=1, encoding="utf-8", delay=True)
    handler.setFormatter(Discreet(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")))
    before, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = before
        handler.close()


def start_logs(folder: Path, level: str, file_megabytes: int, files_kept: int, *, file_name: str = LOG_FILE,
               to_stderr: bool = True) -> "FilteringBoundLogger":
    """Set logging up for this process and give the program's logger.

    Records of other libraries come out in the same shape. A file that cannot be written must not stop an engine, so the
    handlers swallow their own failures. With a screen, `to_stderr` is off: a line there would go right through it.
    """
    import structlog

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()])
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)] if to_stderr else []
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handlers.append(logging.handlers.RotatingFileHandler(
        folder / file_name, maxBytes=file_megabytes * MEGABYTE, backupCount=files_kept, encoding="utf-8"))
    for handler in handlers:
        handler.setFormatter(Discreet(formatter))
    logging.raiseExceptions = False
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(level.upper())
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(), wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True)
    logger: FilteringBoundLogger = structlog.get_logger("quarterdeck")
    return logger
