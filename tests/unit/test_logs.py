"""Lines of the log: one JSON object each, of our own events and of what libraries say."""

import json
import logging
import os
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TextIO

import pytest

from tui.log_thread import Aside
from tui.logs import COMMAND_LOG_FILE, FACTS, LOG_FILE, EventLog, JsonLines, quiet_log, start_logs

DEADLINE_SECONDS = 30.0


def line_of(record: logging.LogRecord) -> dict[str, object]:
    text = JsonLines().format(record)
    assert "\n" not in text
    read: dict[str, object] = json.loads(text)
    return read


def record(message: str, *arguments: object, **extra: object) -> logging.LogRecord:
    made = logging.getLogger("a.library").makeRecord(
        "a.library", logging.WARNING, "file.py", 1, message, arguments, None, extra=extra)
    made.created = 1_767_225_600.25
    return made


def test_an_event_carries_its_facts() -> None:
    told = line_of(record("order", **{FACTS: {"symbol": "BTC/USD", "filled": Decimal("1.50"), "logger": "not this"}}))
    assert told == {"symbol": "BTC/USD", "filled": "Decimal('1.50')", "event": "order", "level": "warning", "logger": "a.library",
                    "timestamp": "2026-01-01T00:00:00.250000Z"}


def test_a_record_of_a_library_has_the_same_shape() -> None:
    told = line_of(record("retry %s of %d\n", "one", 2))
    assert told["event"] == "retry one of 2\n"
    assert set(told) == {"event", "level", "logger", "timestamp"}


def test_an_exception_stays_on_the_line() -> None:
    made = record("failed")
    try:
        raise ValueError("no such venue")
    except ValueError:
        made.exc_info = sys.exc_info()
    text = line_of(made)["exception"]
    assert isinstance(text, str)
    assert text.startswith("Traceback") and text.endswith("ValueError: no such venue")


def test_events_keep_the_level_of_their_logger(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("test_logs.quiet")
    logger.setLevel(logging.WARNING)
    log = EventLog(logger)
    log.info("unheard", event="its own fact")
    log.write(logging.ERROR, "alert", level="its own fact")
    assert [line_of(one)["event"] for one in caplog.records] == ["alert"]


def flush() -> None:
    """What was said is written."""
    for handler in logging.getLogger().handlers:
        handler.flush()


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers, level, raising = list(root.handlers), root.level, logging.raiseExceptions
    yield root
    root.handlers[:], logging.raiseExceptions = handlers, raising
    root.setLevel(level)


@pytest.mark.parametrize("broken", ["engine.log", ""])
def test_a_log_file_that_cannot_be_opened_stops_no_engine(
        broken: str, tmp_path: Path, root_logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    """Once run as another user, the program leaves a file that this one may not write."""
    folder = tmp_path / "logs"
    if broken:
        (folder / broken).mkdir(parents=True)
    else:
        folder.write_text("no folder")
    log = start_logs(folder, "info", 1, 1)
    log.info("started")
    flush()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert "cannot be opened" in lines[0]["event"] and lines[0]["level"] == "error"
    assert lines[1]["event"] == "started"
    assert [type(handler) for handler in root_logger.handlers] == [logging.NullHandler, Aside]


class EntersItsLock(logging.StreamHandler[TextIO]):
    """Handles a record as Python 3.13 does."""

    def handle(self, record: logging.LogRecord) -> bool:
        assert self.lock is not None
        with self.lock:
            self.emit(record)
        return True


def test_lines_are_written_by_whatever_python_and_a_child_process_can_log(capsys: pytest.CaptureFixture[str]) -> None:
    aside = Aside(writer := EntersItsLock(sys.stderr), JsonLines())
    aside.handle(record("heard"))
    aside.flush()
    assert json.loads(capsys.readouterr().err)["event"] == "heard"
    writer._at_fork_reinit()  # type: ignore[attr-defined] # what fails here leaves the child with a held lock


def test_a_reader_that_reads_nothing_holds_nobody_up_and_what_was_lost_is_told(
        tmp_path: Path, root_logger: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that was stopped with Ctrl-S, or a pipe into a pager."""
    monkeypatch.setattr("tui.log_thread.LONGEST_QUEUE", 500)
    monkeypatch.setattr("tui.log_thread.LAST_LINES_SECONDS", 0.2)
    reading, writing = os.pipe()
    monkeypatch.setattr(sys, "stderr", os.fdopen(writing, "w"))
    log = start_logs(tmp_path, "info", 1, 1)

    def talk() -> None:
        for number in range(2_000):
            log.info("talking", number=number, text="x" * 100)

    talking = threading.Thread(target=talk, daemon=True)
    talking.start()
    talking.join(DEADLINE_SECONDS)
    assert not talking.is_alive(), "whoever logs waits for the reader"
    flush()
    read = b""
    while b"lines of the log were lost" not in read:
        if b'"number": 499' in read:
            log.info("more")
        read += os.read(reading, 1 << 16)
    os.close(reading)
    file = root_logger.handlers[-1]
    file.flush()
    assert len((tmp_path / LOG_FILE).read_text().splitlines()) > 100, "the file goes on beside it"


def test_a_command_says_nothing_of_a_log_that_it_cannot_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / COMMAND_LOG_FILE).mkdir()
    with quiet_log(tmp_path):
        logging.getLogger("quarterdeck.compose").error("for the log alone")
    assert capsys.readouterr().err == ""
