"""The hash chain of the journal: every row's hash covers all its fields and the hash of the row before it."""

import hashlib
import struct
from typing import NamedTuple

from engine.ports import JournalRow

GENESIS = bytes(32)
_FIXED = struct.Struct(">qqqII")


class ChainHead(NamedTuple):
    """The newest row of a journal: its number, its time and the hash that stands for everything up to it."""

    seq: int
    at_ns: int
    hash: bytes


EMPTY_HEAD = ChainHead(0, 0, GENESIS)


class ChainedRow(NamedTuple):
    """A journal row as it lies on disk, with its place in the chain."""

    seq: int
    at_ns: int
    kind: str
    version: int
    payload: bytes
    prev_hash: bytes
    hash: bytes

    @property
    def row(self) -> JournalRow:
        """The row without its hashes."""
        return JournalRow(self.seq, self.at_ns, self.kind, self.version, self.payload)


def row_hash(prev_hash: bytes, seq: int, at_ns: int, kind: bytes, version: int, payload: bytes) -> bytes:
    """The sha256 of one row: the previous hash, then the integers and the lengths, then the bytes they measure."""
    fixed = _FIXED.pack(seq, at_ns, version, len(kind), len(payload))
    return hashlib.sha256(b"".join((prev_hash, fixed, kind, payload))).digest()


def link(prev_hash: bytes, row: JournalRow) -> ChainedRow:
    """`row` with its place in the chain after `prev_hash`."""
    digest = row_hash(prev_hash, row.seq, row.at_ns, row.kind.encode(), row.version, row.payload)
    return ChainedRow(*row, prev_hash, digest)
