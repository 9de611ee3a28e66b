"""A terminal that goes away while the screen is being drawn: Textual's own writer, on a real pseudo-terminal."""

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import IO

import pytest
from textual.drivers._writer_thread import MAX_QUEUED_WRITES, WriterThread

from tui.terminal import SurvivingOutput


@pytest.fixture
def gone() -> Iterator[IO[str]]:
    """A terminal of which the other side is gone."""
    master, slave = os.openpty()
    os.close(master)
    file = os.fdopen(slave, "w")
    yield file
    with suppress(OSError):
        file.close()


def test_the_screen_comes_to_its_end_on_a_terminal_that_is_gone(gone: IO[str]) -> None:
    writer = WriterThread(SurvivingOutput(gone))  # type: ignore[arg-type]

    def draw() -> None:
        for _ in range(3 * MAX_QUEUED_WRITES):
            writer.write("\x1b[H" + "x" * 2_000)
        writer.stop()

    with pytest.raises(OSError, match="Input/output error"):
        os.write(gone.fileno(), b"x")
    writer.start()
    drawing = threading.Thread(target=draw, daemon=True)
    drawing.start()
    drawing.join(10.0)
    assert not drawing.is_alive(), "the bare file ends the writer's thread, and whoever writes next waits for ever"


def test_what_a_terminal_is_asked_beside_is_answered_by_itself(gone: IO[str]) -> None:
    output = SurvivingOutput(gone)
    assert output.fileno() == gone.fileno()
    assert output.name == gone.name
    assert output.write("x") == 1
    output.flush()
