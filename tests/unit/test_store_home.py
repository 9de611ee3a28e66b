"""The home folder: created private, refused in plain words, held by one engine."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from engine.errors import HomeLocked, HomeUnusable
from store.home import MAX_SOCKET_PATH_BYTES, Home, HomeLock, default_home_path, lock_account, open_home


def test_a_new_home_is_private_and_complete(tmp_path: Path) -> None:
    home = open_home(tmp_path / "a" / "home")
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700
    assert home.logs.is_dir() and home.backups.is_dir() and home.themes.is_dir() and home.snapshots.is_dir()
    assert home.config.parent == home.journal.parent == home.paper.parent == home.halt_flag.parent == home.path
    assert open_home(home.path) == home


def test_a_file_in_the_place_of_the_home_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(HomeUnusable, match="is not a folder"):
        open_home(tmp_path / "home")
    with pytest.raises(HomeUnusable, match="cannot be created"):
        open_home(tmp_path / "home" / "inner")


def test_a_full_disk_is_refused_for_writing_only(tmp_path: Path) -> None:
    open_home(tmp_path)
    with pytest.raises(HomeUnusable, match="the disk is full"):
        open_home(tmp_path, min_free_bytes=1 << 60)
    assert open_home(tmp_path, for_writing=False, min_free_bytes=1 << 60).path == tmp_path


def test_a_missing_home_is_not_made_for_a_query(tmp_path: Path) -> None:
    with pytest.raises(HomeUnusable, match="no such home"):
        open_home(tmp_path / "home", for_writing=False)
    assert not (tmp_path / "home").exists()


_OPEN_AS_NOBODY = """
import os, sys
from pathlib import Path
from engine.errors import HomeUnusable
from store.home import open_home
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    open_home(Path(sys.argv[1]))
except HomeUnusable as error:
    print(error)
"""


def test_a_read_only_home_is_refused() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to the user that the test becomes
        Path(name).chmod(0o711)
        home = open_home(Path(name) / "home")
        home.path.chmod(0o555)
        answer = subprocess.run([sys.executable, "-c", _OPEN_AS_NOBODY, str(home.path)], capture_output=True, text=True,
                                check=True)
        home.path.chmod(0o700)
    assert "cannot be written: Permission denied" in answer.stdout
    assert len(answer.stdout.splitlines()) == 1


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    home = open_home(tmp_path)
    header = bytearray(100)
    header[60:64] = (99).to_bytes(4, "big")
    home.journal.write_bytes(header)
    with pytest.raises(HomeUnusable, match="schema version 99 is newer"):
        open_home(tmp_path)


_HOLD = """
import sys
import tempfile
from pathlib import Path
from store.home import open_home
lock = open_home(Path(sys.argv[1])).lock()
print("held", flush=True)
sys.stdin.read()
"""


def test_one_engine_a_home_and_a_killed_one_frees_it(tmp_path: Path) -> None:
    home = open_home(tmp_path)
    assert home.holder_pid() is None
    process = subprocess.Popen([sys.executable, "-c", _HOLD, str(tmp_path)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(HomeLocked, match=rf"process {process.pid}\)"):
        home.lock()
    assert home.holder_pid() == process.pid
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()
    with home.lock() as lock:
        assert home.holder_pid() == os.getpid()
        lock.release()
        assert home.holder_pid() is None
    home.lock().release()


def test_one_engine_an_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    held = lock_account("alpaca:PA1")
    with pytest.raises(HomeLocked, match="account alpaca:PA1"):
        lock_account("alpaca:PA1")
    release(lock_account("alpaca:PA2"))
    release(held)
    release(lock_account("alpaca:PA1"))


def release(locks: tuple[HomeLock, ...]) -> None:
    for lock in locks:
        lock.release()


def test_a_login_and_a_service_of_one_user_do_not_both_trade_an_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a login has a runtime folder of its own."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    at_login = lock_account("alpaca:PA1")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    with pytest.raises(HomeLocked, match="account alpaca:PA1"):
        lock_account("alpaca:PA1")
    release(at_login)
    of_service = lock_account("alpaca:PA1")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    with pytest.raises(HomeLocked, match=f"process {os.getpid()}"):
        lock_account("alpaca:PA1")
    release(of_service)


def test_a_lock_that_is_held_for_weeks_does_not_look_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    held = lock_account("alpaca:PA1")
    files = sorted(tmp_path.rglob("account-*.lock"))
    assert len(files) == 2
    for file in files:
        os.utime(file, (0, 0))
    for lock in held:
        lock.keep()
    assert all(file.stat().st_mtime > 0 for file in files)
    release(held)
    for file in files:
        file.unlink()
    with pytest.raises(FileNotFoundError):
        held[0].keep()


def test_a_lock_in_whose_place_another_one_lies_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    first = lock_account("alpaca:PA1")
    for file in tmp_path.rglob("account-*.lock"):
        file.unlink()
    second = lock_account("alpaca:PA1")
    for lock in second:
        lock.keep()
    for lock in first:
        with pytest.raises(FileNotFoundError, match="another"):
            lock.keep()
    release(second)
    release(first)


def test_a_long_home_gets_a_short_private_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    assert Home(Path("/h")).socket == Path("/h/engine.sock")
    long = Home(tmp_path / ("x" * 120))
    assert len(os.fsencode(long.socket)) <= MAX_SOCKET_PATH_BYTES
    assert long.socket == Home(long.path).socket != Home(tmp_path / ("y" * 120)).socket
    assert stat.S_IMODE(long.socket.parent.stat().st_mode) == 0o700


def test_a_runtime_folder_open_to_others_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "quarterdeck").mkdir(mode=0o755)
    (tmp_path / "quarterdeck").chmod(0o755)
    with pytest.raises(HomeUnusable, match="not private"):
        lock_account("a")


def test_where_the_home_lies() -> None:
    assert default_home_path({"QUARTERDECK_HOME": "/srv/desk"}) == Path("/srv/desk")
    assert default_home_path({}).name == "quarterdeck"
