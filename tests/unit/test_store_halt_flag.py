"""The halt flag outlives engines, and is believed even where it cannot be read."""

import resource
from pathlib import Path

import pytest

from engine.errors import HomeUnusable
from store.halt_flag import Halt, clear_halt, raise_halt, read_halt
from store.home import Home, open_home


def test_raised_read_and_cleared(tmp_path: Path) -> None:
    home = open_home(tmp_path)
    assert read_halt(home) is None
    raise_halt(home, "panic pressed", "user", 5)
    raise_halt(home, "pressed again", "user", 9)
    assert read_halt(home) == Halt("panic pressed", "user", 5)
    assert home.halt_flag.stat().st_mode & 0o777 == 0o600
    assert clear_halt(home)
    assert not clear_halt(home)
    assert read_halt(home) is None
    assert [path.name for path in tmp_path.iterdir() if "halt" in path.name] == []


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b'{"cause": 1}', b"null"])
def test_an_unreadable_flag_counts_as_raised(tmp_path: Path, content: bytes) -> None:
    home = open_home(tmp_path)
    home.halt_flag.write_bytes(content)
    halt = read_halt(home)
    assert halt is not None and "cannot be read" in halt.cause


def test_on_a_full_disk_the_bare_flag_is_raised(tmp_path: Path) -> None:
    home = open_home(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        raise_halt(home, "panic", "user", 5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert read_halt(home) is not None


def test_a_flag_that_cannot_be_raised_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(HomeUnusable, match="cannot be raised"):
        raise_halt(Home(tmp_path / "absent"), "panic", "user", 5)
