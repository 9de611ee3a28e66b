"""A journal that lost confirmed rows is never gone on with as if nothing were missing."""

import shutil
import struct
import time
from decimal import Decimal
from pathlib import Path

import pytest

from engine.config import parse_config
from engine.errors import JournalDamaged
from engine.inputs import PlaceOrder, TradingState
from engine.orders import Side
from store.archive import archive
from store.home import Home, open_home
from store.lost_rows import note_lost_rows
from store.read import engine_id, stored_head
from tui.commands.doctoring import examine
from tui.commands.link import command_id
from tui.compose import open_engine
from tui.running_engine import EngineLink

CONFIG = parse_config("[market]\nalways_open = true\n", "config.toml")
DEADLINE_SECONDS = 30.0
AT_NS = 1_760_000_000_000_000_000


@pytest.fixture
def killed(tmp_path: Path) -> Home:
    """A home as a killed engine leaves it: the newest rows lie in the write-ahead log."""
    home = open_home(tmp_path / "h")
    with open_engine(home, CONFIG) as running:
        for symbol, stop in (("BTC/USD", "1000"), ("ETH/USD", "100")):
            buy(running.link, symbol, stop)
        left = tmp_path / "killed"
        shutil.copytree(home.path, left, ignore=lambda _, names: [name for name in names if name.endswith((".sock", "-shm"))])
    for name in ("engine.lock", "engine.lock.pid"):
        (left / name).unlink(missing_ok=True)
    return Home(left)


def buy(link: EngineLink, symbol: str, stop: str) -> None:
    """As soon as there is a price."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not link.send_now(PlaceOrder(command_id(), symbol, Side.BUY, quantity=Decimal("0.05"), stop=Decimal(stop))).accepted:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def spoil_log(home: Home, part: float) -> None:
    """Flip one byte in a frame of the log, with others after it."""
    log = home.journal.with_name("journal.db-wal")
    content = bytearray(log.read_bytes())
    frame = 24 + struct.unpack_from(">I", content, 8)[0]
    content[32 + frame * int((len(content) - 32) // frame * part) + frame // 2] ^= 0xFF
    log.write_bytes(content)


def test_a_sound_journal_is_left_alone(killed: Home) -> None:
    name = engine_id(killed.journal)
    assert not [one for one in examine(killed.path) if one.subject == "journal" and one.verdict != "ok"]
    assert note_lost_rows(killed, AT_NS) == "" and not killed.halt_flag.exists()
    assert engine_id(killed.journal) == name and not list(killed.backups.iterdir())


def test_a_damaged_log_starts_the_engine_halted_under_a_new_name_and_is_kept(killed: Home) -> None:
    name, rows = engine_id(killed.journal), stored_head(killed.journal).seq
    spoil_log(killed, 0.6)
    log = killed.journal.with_name("journal.db-wal").read_bytes()
    assert [one.found for one in examine(killed.path) if one.subject == "journal" and one.verdict == "fail"], "doctor sees it too"
    with open_engine(killed, CONFIG) as running:
        snapshot = running.engine.latest()
        assert snapshot.accounts[0].trading_state is TradingState.HALTED
        told = next(alert.text for alert in snapshot.alerts if alert.code == "halted")
        assert "are lost" in told and "write-ahead log is damaged" in told
        assert running.engine.parts.engine_id != name
    (aside,) = killed.backups.glob("damaged-*")
    assert (aside / "journal.db-wal").read_bytes() == log
    assert stored_head(killed.journal).seq > 0 and rows > 0
    with open_engine(killed, CONFIG) as running:
        assert running.engine.latest().accounts[0].trading_state is TradingState.HALTED, "until a person resumes"
    assert len(list(killed.backups.glob("damaged-*"))) == 1, "it is told once"


def test_nothing_is_archived_over_a_damaged_log(killed: Home) -> None:
    """Its first write would take the damage away, and nobody were told of it."""
    spoil_log(killed, 0.6)
    with pytest.raises(JournalDamaged, match="write-ahead log is damaged"):
        archive(killed, time.time_ns())
    assert note_lost_rows(killed, AT_NS)


def test_a_journal_that_ends_before_its_own_snapshot_lost_rows(killed: Home, tmp_path: Path) -> None:
    """Such as one that was put back by hand."""
    older = tmp_path / "older.db"
    shutil.copy2(killed.journal, older)
    with open_engine(killed, CONFIG):
        pass
    assert list(killed.snapshots.glob("*.snapshot"))
    shutil.copy2(older, killed.journal)
    cause = note_lost_rows(killed, AT_NS)
    assert "a snapshot knows of row" in cause and killed.halt_flag.exists()
    assert note_lost_rows(killed, AT_NS) == "", "the snapshot lies aside now"


def test_a_journal_that_was_removed_is_not_begun_anew_in_silence(killed: Home) -> None:
    with open_engine(killed, CONFIG):
        pass
    for path in killed.path.glob("journal.db*"):
        path.unlink()
    with open_engine(killed, CONFIG) as running:
        assert running.engine.latest().accounts[0].trading_state is TradingState.HALTED
