"""Reading SQLite's write-ahead log for what SQLite itself passes over in silence: damage before confirmed rows.

SQLite reads the log up to the first frame whose checksum fails and drops the rest, which is right for a torn last
transaction and wrong for a flipped byte in an old one. The format is that of https://sqlite.org/fileformat2.html#walformat.
"""

import struct
import sys
from array import array
from pathlib import Path
from typing import NamedTuple

_HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">6I")
_MAGIC = 0x377F0682
_WORD = (1 << 32) - 1


class UnreadFrames(NamedTuple):
    """What lies in the log beyond the point up to which SQLite reads it."""

    damaged: tuple[str, ...]
    notes: tuple[str, ...]


_NOTHING = UnreadFrames((), ())


def unread_frames(path: Path) -> UnreadFrames:
    """Look at the log beside the database `path`.

    A broken frame with later frames of the same log behind it is damage: confirmed rows may be lost. A broken end is a
    torn transaction, which was never confirmed: a note.
    """
    try:
        log = path.with_name(path.name + "-wal").read_bytes()
    except FileNotFoundError:
        return _NOTHING
    if len(log) < _HEADER.size:
        return _NOTHING
    magic, _, page_size, _, salt_1, salt_2, check_1, check_2 = _HEADER.unpack_from(log)
    if magic & ~1 != _MAGIC or _checksum(log[:24], 0, 0, magic) != (check_1, check_2):
        return UnreadFrames(("the header of the write-ahead log is damaged: the newest rows may be lost",), ())
    return _scan(log, page_size, (salt_1, salt_2), (check_1, check_2), magic)


def _scan(log: bytes, page_size: int, salts: tuple[int, int], sums: tuple[int, int], magic: int) -> UnreadFrames:
    """Follow the checksums to the first frame that breaks them, then look whether the log went on behind it."""
    size = _FRAME.size + page_size
    frames = [log[at:at + size] for at in range(_HEADER.size, len(log), size)]
    open_frames = 0
    for index, frame in enumerate(frames):
        if len(frame) == size:
            sums = _checksum(frame[24:], *_checksum(frame[:8], *sums, magic), magic)
        if len(frame) < size or not _same_log(frame, salts) or sums != _FRAME.unpack_from(frame)[4:]:
            # The broken transaction may end in a commit of its own; a second one proves that it was not the last.
            commits = sum(_same_log(later, salts) and _commits(later) for later in frames[index:])
            if commits > 1:
                what = f"the write-ahead log is damaged at frame {index + 1}: SQLite drops the rows written after it"
                return UnreadFrames((what,), ())
            open_frames += len(frame) < size or _same_log(frame, salts)
            break
        open_frames = 0 if _commits(frame) else open_frames + 1
    if open_frames:
        return UnreadFrames((), ("the write-ahead log ends in a torn transaction, which was never confirmed",))
    return _NOTHING


def _same_log(frame: bytes, salts: tuple[int, int]) -> bool:
    """Whether a frame belongs to this run of the log; older runs leave their frames behind with other salts."""
    return len(frame) >= _FRAME.size and _FRAME.unpack_from(frame)[2:4] == salts


def _commits(frame: bytes) -> bool:
    return bool(_FRAME.unpack_from(frame)[1])


def _checksum(data: bytes, first: int, second: int, magic: int) -> tuple[int, int]:
    """SQLite's running checksum over pairs of 32-bit words, in the byte order that the magic number names."""
    words = array("I", data)
    if (sys.byteorder == "little") == bool(magic & 1):
        words.byteswap()
    for index in range(0, len(words), 2):
        first = (first + words[index] + second) & _WORD
        second = (second + words[index + 1] + first) & _WORD
    return first, second
