"""Copies of a home: made and sealed, listed, proved, put back whole or as of a point; and old journal rows put in a file."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import QuarterdeckError, UsageError
from tui.commands.agreeing import require_agreement, time_of
from tui.commands.link import existing_home
from tui.formats import moment, plural
from tui.printing import Column, print_error, print_json, print_table

if TYPE_CHECKING:
    from store.restore import RestoreReport
    from store.rewind import Plan, Point, Rewound
    from store.sealing import Seal, Unseal

MEGABYTE = 1 << 20
SHOWN_EVERY_SECONDS = 0.2


class Shown:
    """Progress on one line of the terminal's error output; says nothing where there is no terminal."""

    def __init__(self) -> None:
        self._on = sys.stderr.isatty()
        self._at = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if self._on and now - self._at >= SHOWN_EVERY_SECONDS:
            self._at = now
            print(f"\r\x1b[K{what}: {100 * done // max(total, 1)} %", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._on:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def backup(path: Path, target: Path | None, *, encrypt: bool, recipient: str, as_json: bool) -> int:
    """Copy what lasts, read the copy back and prove it; sealed where that was asked for."""
    from store.backup import backup as back_up

    home = existing_home(path)
    shown = Shown()
    try:
        report = back_up(home, target or home.backups, time.time_ns(), seal=_seal(encrypt=encrypt, recipient=recipient),
                         progress=shown)
    finally:
        shown.end()
    if as_json:
        print_json({"folder": str(report.path), "files": report.files, "rows": report.journal.rows,
                    "archived_rows": report.journal.archived, "last_hash": report.journal.last_hash, "sealed": report.sealed})
    else:
        print(f"{report.path}: {', '.join(report.files)}; {report.journal.rows} journal rows read back and proved"
              + ("; sealed" if report.sealed else ""))
    return 0


def _seal(*, encrypt: bool, recipient: str) -> "Seal | None":
    from store.sealing import Seal
    from tui.key_access import passphrase

    if recipient:
        return Seal(recipient=recipient)
    return Seal(passphrase=passphrase("the backup", True)) if encrypt else None


def unseal_key(source: Path, identity: Path | None) -> "Unseal":
    """What opens a sealed file, asked for where that is a passphrase; raises `UsageError` where an identity is to be named."""
    from store.sealing import Unseal, wants_passphrase
    from tui.key_access import passphrase

    if identity is not None:
        try:
            return Unseal(identity=identity.read_text(encoding="utf-8", errors="replace"))
        except OSError as error:
            raise UsageError(f"{identity}: cannot be read: {error.strerror}") from error
    if not wants_passphrase(source):
        raise UsageError(f"{source}: is sealed to a recipient; name the file of its identity with --identity")
    return Unseal(passphrase=passphrase(str(source), False))


def list_backups(path: Path, *, as_json: bool) -> int:
    """The backups in the home's own folders, newest first."""
    from store.backup_list import listed

    found = listed(existing_home(path))
    if as_json:
        print_json([{"path": str(one.path), "made_at_ns": one.made_at_ns, "scheduled": one.scheduled, "sealed": one.sealed,
                     "rows": one.rows, "last_seq": one.last_seq, "bytes": one.bytes, "files": one.files} for one in found])
        return 0
    columns = (Column("backup"), Column("made (UTC)"), Column("by"), Column("rows", right=True), Column("MB", right=True))
    print_table(columns, [[one.path.name, moment(one.made_at_ns), "schedule" if one.scheduled else "hand",
                           str(one.rows or "?"), f"{one.bytes / MEGABYTE:.1f}"] for one in found], empty="no backups yet")
    return 0


def verify_backup(path: Path, name: str, identity: Path | None, *, as_json: bool) -> int:
    """Read a backup back; 1 where anything in it is not what was written."""
    from store.backup_list import checked, find
    from store.sealing import is_sealed, wants_passphrase

    home = existing_home(path)
    source = find(home, name)
    asks = is_sealed(source) and (identity is not None or (wants_passphrase(source) and _may_ask()))
    shown = Shown()
    try:
        report = checked(home, source, unseal_key(source, identity) if asks else None, shown)
    finally:
        shown.end()
    if as_json:
        print_json({"path": str(report.path), "sound": not report.problems, "opened": report.opened, "rows": report.rows,
                    "problems": report.problems})
        return 1 if report.problems else 0
    for problem in report.problems:
        print_error(f"{source}: {problem}")
    if report.problems:
        return 1
    if report.opened or not is_sealed(source):
        print(f"{source}: sound: {report.rows} journal rows proved")
    else:
        print(f"{source}: the sealed file is what was written; without its key its content was not looked at")
    return 0


def _may_ask() -> bool:
    """Whether a passphrase can be had: from the terminal or from where the caller put it."""
    import os

    from tui.key_access import CREDENTIAL, FD_VARIABLE, PLAIN_VARIABLE

    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    given = any(os.environ.get(name) for name in (FD_VARIABLE, PLAIN_VARIABLE))
    return sys.stdin.isatty() or given or bool(folder and (Path(folder) / CREDENTIAL).exists())


def restore(path: Path, source: Path, *, until: str | None, replace: bool, identity: Path | None, yes: bool,
            as_json: bool) -> int:
    """Put a backup into the home, whole or as of a row or a time; what was there is moved aside. Raises `UsageError` where there
    is no such backup."""
    from store.backup_list import find
    from store.home import Home
    from store.restore import opened_backup
    from store.restore import restore as put_back
    from store.sealing import Unseal, is_sealed

    home = Home(path)
    pid = home.holder_pid()
    if pid is not None:
        raise QuarterdeckError(f"{path}: an engine (process {pid}) runs on it; end it first")
    source = find(home, str(source))
    key = unseal_key(source, identity) if is_sealed(source) else Unseal()
    with opened_backup(source, home.backups, key) as opened:
        if until is None:
            return _told(put_back(opened.path, path, replace=replace), as_json=as_json)
        from store.rewind import planned, restore_to

        plan = planned(opened, _point(until))
        if not as_json:
            _show_plan(plan)
        require_agreement(f"restore {path} to row {plan.seq}?", "restore", yes=yes)
        rewound = restore_to(opened, path, plan, time.time_ns(), replace=replace)
    return _told_point(rewound, as_json=as_json)


def _point(until: str) -> "Point":
    from store.rewind import Point

    text = until.strip()
    return Point(seq=int(text)) if text.isdigit() else Point(at_ns=time_of(text, "--until"))


def _told(report: "RestoreReport", *, as_json: bool) -> int:
    if as_json:
        print_json({"home": str(report.home), "files": report.files, "engine_id": report.engine_id,
                    "moved_aside": str(report.moved_aside) if report.moved_aside else None})
        return 0
    print(f"{report.home}: {', '.join(report.files)} restored; the next start asks the venue what happened since")
    if report.moved_aside:
        print(f"what was there before lies in {report.moved_aside}")
    return 0


def _show_plan(plan: "Plan") -> None:
    print(f"row {plan.seq} of {moment(plan.at_ns)} UTC; {plural(plan.rows_after, 'row')} after it go to a file beside backups")
    rows = [[one.client_order_id, one.account, one.symbol, one.side, one.quantity, one.purpose, "yes" if one.known else "no"]
            for one in plan.orders]
    columns = (Column("order"), Column("account"), Column("symbol"), Column("side"), Column("quantity", right=True),
               Column("purpose"), Column("still known"))
    print_table(columns, rows, empty="no order was open at a venue when the backup was made")
    if any(not one.known for one in plan.orders):
        print("orders that are not known any more show as foreign ones: they count, and are left alone until you cancel them")
    print("the engine will start HALTED: compare with the venue, then `quarterdeck resume`")


def _told_point(rewound: "Rewound", *, as_json: bool) -> int:
    if as_json:
        print_json({"home": str(rewound.restored.home), "seq": rewound.seq, "at_ns": rewound.at_ns, "halted": True,
                    "rows_cut": rewound.cut.rows if rewound.cut else 0,
                    "cut_file": str(rewound.cut_file) if rewound.cut_file else None,
                    "orders": [one._asdict() for one in rewound.orders], "engine_id": rewound.restored.engine_id,
                    "moved_aside": str(rewound.restored.moved_aside) if rewound.restored.moved_aside else None})
        return 0
    print(f"{rewound.restored.home}: restored to row {rewound.seq}; it starts HALTED")
    if rewound.cut_file:
        print(f"the rows after it lie in {rewound.cut_file}")
    if rewound.restored.moved_aside:
        print(f"what was there before lies in {rewound.restored.moved_aside}")
    return 0


def archive_journal(path: Path, before: str, copy: Path | None, *, encrypt: bool, recipient: str, yes: bool,
                    as_json: bool) -> int:
    """Move old rows to a compressed, provable file in the home; a sealed or plain copy of it elsewhere where that is asked."""
    from store.archive import archive
    from store.home import open_home

    before_ns = time_of(before, "--before")
    home = open_home(path)
    if (encrypt or recipient) and copy is None:
        raise UsageError("journal archive: --encrypt and --recipient are about a copy; name its folder with --copy")
    seal = _seal(encrypt=encrypt, recipient=recipient)
    require_agreement(f"move the rows from before {moment(before_ns)} UTC out of {home.journal}?", "journal archive", yes=yes)
    done = archive(home, before_ns)
    copied = _copy(done.path, copy, seal) if copy is not None else None
    record = done.record
    if as_json:
        print_json({"path": str(done.path), "rows": record.rows, "first_seq": record.first_seq, "last_seq": record.last_seq,
                    "last_hash": record.last_hash.hex(), "rows_left": done.left, "copy": str(copied) if copied else None})
        return 0
    print(f"{done.path}: rows {record.first_seq} to {record.last_seq}, read back and proved; {done.left} stay in the journal")
    if copied:
        print(f"{copied}: a copy")
    return 0


def _copy(source: Path, folder: Path, seal: "Seal | None") -> Path:
    import shutil

    from store.sealing import seal_file

    target = folder / (f"{source.name}.age" if seal else source.name)
    if target.exists():
        raise UsageError(f"{target}: exists already; the archive itself is done and lies in {source}")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if seal is None:
            shutil.copy2(source, target)
    except OSError as error:
        raise QuarterdeckError(f"{target}: cannot be written: {error.strerror}; the archive itself is done: {source}") from error
    if seal is not None:
        seal_file(source, target, seal)
    return target
