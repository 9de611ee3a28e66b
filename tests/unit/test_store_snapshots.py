"""Snapshots are a shortcut that is taken only where it leads to the same state."""

from pathlib import Path

import pytest

from engine.errors import StoreError
from store.snapshots import KEPT, load_latest, save


def chain_hash(seq: int) -> bytes | None:
    return seq.to_bytes(32, "big") if seq <= 100 else None


def keep(folder: Path, seq: int, blob: bytes = b"state") -> Path:
    return save(folder, seq, seq.to_bytes(32, "big"), 1, blob)


def test_the_newest_is_loaded_and_three_are_kept(tmp_path: Path) -> None:
    assert load_latest(tmp_path, 1, chain_hash) == (None, ())
    for seq in (9, 10, 50, 99, 100):
        keep(tmp_path, seq, f"state {seq}".encode())
    loaded = load_latest(tmp_path, 1, chain_hash)
    assert loaded.snapshot is not None
    assert (loaded.snapshot.seq, loaded.snapshot.blob, loaded.warnings) == (100, b"state 100", ())
    assert len(list(tmp_path.iterdir())) == KEPT
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize("at", [0, 9, 15, 30, 60, -1])
def test_a_flipped_byte_falls_back_to_the_one_before_with_a_warning(tmp_path: Path, at: int) -> None:
    keep(tmp_path, 10)
    newest = keep(tmp_path, 20)
    content = bytearray(newest.read_bytes())
    content[at] ^= 1
    newest.write_bytes(content)
    loaded = load_latest(tmp_path, 1, chain_hash)
    assert loaded.snapshot is not None and loaded.snapshot.seq == 10
    assert len(loaded.warnings) == 1


@pytest.mark.parametrize("size", [0, 5, 60, 88])
def test_a_torn_snapshot_is_passed_over(tmp_path: Path, size: int) -> None:
    newest = keep(tmp_path, 20)
    newest.write_bytes(newest.read_bytes()[:size])
    assert load_latest(tmp_path, 1, chain_hash).snapshot is None


def test_another_journal_and_another_format_are_passed_over(tmp_path: Path) -> None:
    keep(tmp_path, 10)
    save(tmp_path, 20, bytes(32), 1, b"another journal's")
    keep(tmp_path, 101)
    loaded = load_latest(tmp_path, 1, chain_hash)
    assert loaded.snapshot is not None and loaded.snapshot.seq == 10
    assert ["not of this journal" in warning for warning in loaded.warnings] == [True, True]
    newer = load_latest(tmp_path, 2, chain_hash)
    assert newer.snapshot is None and "format 1" in newer.warnings[0]


def test_a_snapshot_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        keep(tmp_path / "file", 1)
