"""The audit trail by command: written with its proof, and proved by whoever gets it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.analytics.tables import Table
from engine.errors import HomeUnusable, StoreError, UsageError
from tui.commands.agreeing import time_of
from tui.commands.link import existing_home
from tui.printing import print_error, print_json

DAY_NS = 86_400_000_000_000
END_NS = 1 << 62
FORMATS = ("csv", "jsonl", "parquet")


def export(path: Path, target: Path, begins: str | None, ends: str | None, form: str, *, as_json: bool) -> int:
    """Write the trail of a time and its proof."""
    from store.audit import audit_trail, proof_of
    from store.backup import sha256_of
    from store.table_files import write_text

    write = _writer(form or target.suffix.removeprefix("."), target)
    if target.exists():
        raise UsageError(f"{target}: exists already; name another file")
    journal = existing_home(path).journal
    if not journal.is_file():
        raise HomeUnusable(f"{journal}: no journal yet; an engine writes one when it first runs")
    from_ns = time_of(begins, "--from") if begins else 0
    trail = audit_trail(journal, from_ns, _end(ends))
    write(target, trail.table)
    proof = proof_path(target)
    write_text(proof, json.dumps(proof_of(trail, sha256_of(target))) + "\n")
    for private in (target, proof):
        private.chmod(0o600)
    if as_json:
        print_json({"path": str(target), "proof": str(proof), "rows": len(trail.table.rows), "journal_rows": len(trail.chain),
                    "last_hash": trail.chain[-1][1] if trail.chain else ""})
        return 0
    print(f"{target}: {len(trail.table.rows)} rows of {len(trail.chain)} in that time; the proof is {proof}")
    return 0


def verify(file: Path, against: Path | None, *, as_json: bool) -> int:
    """Prove a trail by its hashes; 1 where anything does not hold."""
    from store.audit import differences, problems
    from store.backup import sha256_of
    from store.table_files import read_records

    proof = _proof(file)
    found = [] if sha256_of(file) == proof["file_sha256"] else [f"{file.name} is not the file that the proof was made of"]
    try:
        records = read_records(file)
        found += problems(records, proof)
        if against is not None:
            found += differences(against, proof, {int(record["seq"]) for record in records})
    except (KeyError, ValueError, TypeError) as error:
        raise StoreError(f"{file}: is no audit trail, or its proof is not one: {error!r}") from error
    if as_json:
        print_json({"path": str(file), "sound": not found, "rows": len(records), "against": str(against) if against else None,
                    "problems": found})
        return 1 if found else 0
    for problem in found:
        print_error(f"{file}: {problem}")
    if found:
        return 1
    whole = f"; it is that of {against}, and nothing is left out" if against else ""
    print(f"{file}: sound: {len(records)} rows match their hashes and the proof{whole}")
    return 0


def proof_path(file: Path) -> Path:
    """Where the proof of a trail lies."""
    return file.parent / f"{file.name}.proof.json"  # a folder's root has no name to change


def _writer(form: str, target: Path) -> Callable[[Path, Table], None]:
    from store import table_files

    if form not in FORMATS or target.suffix != f".{form}":
        raise UsageError(f"{target}: name it .csv, .jsonl or .parquet, as its format is")
    writers: dict[str, Callable[[Path, Table], None]] = {
        "csv": table_files.write_csv, "jsonl": table_files.write_jsonl, "parquet": table_files.write_parquet}
    return writers[form]


def _end(ends: str | None) -> int:
    if not ends:
        return END_NS
    return time_of(ends, "--to") + (DAY_NS if len(ends.strip()) == len("2026-03-01") else 0)


def _proof(file: Path) -> dict[str, Any]:
    path = proof_path(file)
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {**found, "file_sha256": str(found["file_sha256"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: the proof cannot be read: {error}; it lies beside the trail and goes along with it") from error
