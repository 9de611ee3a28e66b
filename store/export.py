"""The journal as text: one line a row, as JSON or CSV, read row by row and checked while it is read."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from store.chain import ChainedRow
from store.read import chained_rows, stored_head

CSV_HEADER = "seq,at_ns,kind,version,payload,prev_hash,hash"


def tail(path: Path, count: int) -> Iterator[ChainedRow]:
    """The newest `count` rows, oldest first; raises `JournalDamaged` at a row that is not what was written."""
    return chained_rows(path, max(1, stored_head(path).seq - count + 1)) if count > 0 else iter(())


def as_jsonl(rows: Iterable[ChainedRow]) -> Iterator[str]:
    """One JSON object a row; the payload as JSON where it is, so that the hash can be checked only from CSV."""
    for row in rows:
        yield json.dumps({"seq": row.seq, "at_ns": row.at_ns, "kind": row.kind, "version": row.version,
                          "payload": _payload(row.payload), "prev_hash": row.prev_hash.hex(), "hash": row.hash.hex()},
                         ensure_ascii=False, separators=(",", ":"))


def as_csv(rows: Iterable[ChainedRow]) -> Iterator[str]:
    """A header and one CSV record a row, the payload byte for byte, so that `store.chain.row_hash` can be repeated."""
    yield CSV_HEADER
    for row in rows:
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(
            (row.seq, row.at_ns, row.kind, row.version, row.payload.decode(errors="surrogateescape"),
             row.prev_hash.hex(), row.hash.hex()))
        yield line.getvalue()


def _payload(payload: bytes) -> object:
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode(errors="replace")
