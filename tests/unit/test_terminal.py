"""A terminal that goes away while the screen is being drawn: Textual's own writer, on a real pseudo-terminal."""

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import IO

import pytest
from textual.drivers._writer_thread import MAX_QUEUED_WRITES, WriterThread

from tui.terminal import SurvivingOutput, terminal_took


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


async def test_the_next_frame_waits_until_a_slow_terminal_took_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.openpty()
    with os.fdopen(writing, "w") as file:
        output = SurvivingOutput(file)
        monkeypatch.setattr(sys, "__stderr__", output)
        writer = WriterThread(output)  # type: ignore[arg-type]
        writer.start()
        for _ in range(20):
            writer.write("x" * 10_000)  # more than the terminal takes by itself
        took = asyncio.ensure_future(terminal_took(writer.write))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(took), 0.05)
        read = 0
        while read < 200_000:
            read += len(await asyncio.to_thread(os.read, reading, 65_536))
        await asyncio.wait_for(took, 10.0)
        await asyncio.to_thread(writer.stop)
    os.close(reading)


async def test_where_nothing_is_drawn_on_a_terminal_nothing_is_waited_for() -> None:
    written: list[str] = []
    await terminal_took(written.append)
    assert written == []


def test_what_a_terminal_is_asked_beside_is_answered_by_itself(gone: IO[str]) -> None:
    output = SurvivingOutput(gone)
    assert output.fileno() == gone.fileno()
    assert output.name == gone.name
    assert output.write("x") == 1
    output.flush()
