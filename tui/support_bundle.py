"""A bundle for whoever helps: what this installation and home are like, without secrets, and without money unless asked for."""

import io
import json
import os
import platform
import sqlite3
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from engine.errors import QuarterdeckError, StoreError
from store.archive_files import archives_of
from store.backup import databases
from store.database import open_reader
from store.home import Home
from store.redaction import HIDDEN, scrubbed
from tui.commands.doctoring import examine
from tui.commands.health import running_health
from tui.version import VERSION

LOG_LINES = 500
LOG_FILES = ("engine.log", "screen.log", "commands.log")
KEPT_LOG_FIELDS = ("timestamp", "level", "logger", "event")
MONEY_WORDS = ("cash", "notional", "amount", "quantity", "capital", "minor", "equity", "balance", "deposit")
STRING_KEYS_KEPT = ("kind", "name", "account", "level", "source", "zone", "calendar", "hours", "missed", "at", "automation",
                    "risk_tolerance", "rule", "theme", "store", "currency", "base", "exchange", "method", "symbols", "portfolio")

type Content = Callable[[Home, bool], str]


def contents() -> dict[str, str]:
    """The files of a bundle and what each holds, for a person to read first."""
    return {name: about for name, (about, _) in _PARTS.items()}


def bundle(home: Home, *, amounts: bool) -> bytes:
    """The bundle as a zip file; a part that cannot be had says why instead."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, (_, content) in _PARTS.items():
            try:
                text = content(home, amounts)
            except (QuarterdeckError, OSError, sqlite3.Error, ValueError) as error:
                text = _private(f"could not be had: {error}", home, amounts=amounts)
            file.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), text)
    return packed.getvalue()


def _private(text: str, home: Home, *, amounts: bool) -> str:
    """Free text as it may leave the machine: the home and the user's folder by names that say nothing."""
    text = text.replace(str(home.path), "HOME").replace(str(Path.home()), "~")
    return scrubbed(text, numbers=amounts)


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n"


def _versions(_: Home, _amounts: bool) -> str:  # noqa: FBT001 - the shape of a part
    installed = sorted({f"{one.metadata['Name']} {one.version}" for one in distributions()})
    return _json({"quarterdeck": VERSION, "python": sys.version, "platform": platform.platform(),
                  "sqlite": sqlite3.sqlite_version, "libraries": installed})


def _doctor(home: Home, amounts: bool) -> str:  # noqa: FBT001
    return _json([{name: _private(value, home, amounts=True if name == "verdict" else amounts)
                   for name, value in one._asdict().items()} for one in examine(home.path)])


def _health(home: Home, amounts: bool) -> str:  # noqa: FBT001
    return _json([{"verdict": line.verdict, "subject": line.subject, "found": _private(line.found, home, amounts=amounts)}
                  for line in running_health(home.path)])


def _config(home: Home, amounts: bool) -> str:  # noqa: FBT001
    """Keys with their values where those are of a known, harmless kind: a setting may be named in a way that nobody foresaw."""
    if not home.config.is_file():
        return "no file: the defaults apply\n"
    try:
        tree = tomllib.loads(home.config.read_text(encoding="utf-8-sig", errors="replace"))
    except tomllib.TOMLDecodeError as error:
        return f"not valid TOML: {_private(str(error), home, amounts=False)}\n"
    return _json(_harmless(tree, amounts=amounts))


def _harmless(value: Any, key: str = "", *, amounts: bool) -> Any:
    if isinstance(value, Mapping):
        return {scrubbed(str(name), numbers=True): _harmless(one, str(name), amounts=amounts) for name, one in value.items()}
    if isinstance(value, list):
        return [_harmless(one, key, amounts=amounts) for one in value]
    if isinstance(value, str):
        return scrubbed(value, numbers=True) if key in STRING_KEYS_KEPT else HIDDEN if value else ""
    if isinstance(value, bool):
        return value
    return value if amounts or not any(word in key for word in MONEY_WORDS) else "#"


def _log(name: str) -> Content:
    def tail(home: Home, amounts: bool) -> str:  # noqa: FBT001
        path = home.logs / name
        if not path.is_file():
            return "no such file\n"
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
        return "".join(f"{_log_line(line, home, amounts=amounts)}\n" for line in lines)

    return tail


def _log_line(line: str, home: Home, *, amounts: bool) -> str:
    """A line of a log: when and how grave as it is, everything else as it may leave."""
    try:
        record = dict(json.loads(line))
    except (ValueError, TypeError):
        return _private(line, home, amounts=amounts)
    kept = {name: scrubbed(str(record[name]), numbers=True) for name in KEPT_LOG_FIELDS[:3] if name in record}
    rest = {str(name): value for name, value in record.items() if name not in kept}
    return json.dumps(kept) + " " + _private(json.dumps(rest, ensure_ascii=False), home, amounts=amounts)


def _defects(home: Home, amounts: bool) -> str:  # noqa: FBT001
    found = sorted(home.logs.glob("defect-*.log"), key=lambda path: path.stat().st_mtime)[-5:] if home.logs.is_dir() else []
    return "".join(_private(path.read_text(encoding="utf-8", errors="replace"), home, amounts=amounts) + "\n" for path in found) \
        or "none\n"


def _journal(home: Home, _: bool) -> str:  # noqa: FBT001
    """Kinds, counts and whether every row is what was written; no payload."""
    from store.verify import verify

    report = verify(home.journal)
    connection = open_reader(home.journal)
    try:
        kinds = connection.execute("SELECT kind, count(*), min(seq), max(seq) FROM journal "
                                   "GROUP BY kind ORDER BY kind").fetchall()
    finally:
        connection.close()
    known = _known_kinds()
    return _json({
        "sound": report.sound, "rows": report.rows, "archived": report.archived, "first_seq": report.first_seq,
        "last_seq": report.last_seq, "last_hash": report.last_hash,
        "damaged": [{"seq": one.seq, "what": scrubbed(one.what, numbers=True)} for one in report.damaged[:100]],
        "archives": [[one.first_seq, one.last_seq, one.rows] for one in archives_of(home.journal)],
        "kinds": [{"kind": kind if kind in known else "unknown", "rows": rows, "first_seq": first, "last_seq": last}
                  for kind, rows, first, last in kinds]})


def _known_kinds() -> set[str]:
    from engine.events import KINDS

    return set(KINDS)


def _schema(home: Home, _: bool) -> str:  # noqa: FBT001
    told: list[str] = []
    for database in databases(home):
        if not database.is_file():
            continue
        try:
            connection = open_reader(database)
        except StoreError:
            told.append(f"-- {database.name}: cannot be read\n")
            continue
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            found = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
        finally:
            connection.close()
        told.append(f"-- {database.name}, version {version}\n" + ";\n".join(row[0] for row in found) + "\n")
    return scrubbed("".join(told), numbers=True)


def _files(home: Home, _: bool) -> str:  # noqa: FBT001
    """What lies in the home: sizes and modes; the names of a person's own files are theirs."""
    return "".join(f"{mode:o} {size:>12} {name}\n" for name, size, mode in _listed(home))


def _listed(home: Home) -> Iterator[tuple[str, int, int]]:
    for folder, _, names in os.walk(home.path):
        for name in sorted(names):
            path = Path(folder) / name
            inside = path.relative_to(home.path)
            own = inside.parts[0] in ("strategies", "themes")
            shown = f"{inside.parts[0]}/[own file]{path.suffix[:5]}" if own else scrubbed(str(inside), numbers=True)
            found = path.lstat()
            yield shown, found.st_size, found.st_mode & 0o777


_PARTS: dict[str, tuple[str, Content]] = {
    "versions.json": ("versions of the program, Python, SQLite, the libraries, the platform", _versions),
    "doctor.json": ("what `doctor` finds", _doctor),
    "health.json": ("what `health` finds, where an engine runs", _health),
    "config.json": ("the configuration's settings; texts of unknown kind and amounts hidden", _config),
    "journal.json": ("how many rows of which kind, and whether they prove; no content", _journal),
    "schema.sql": ("the tables of the databases; no content", _schema),
    "files.txt": ("sizes and modes of the home's files", _files),
    **{f"logs/{name}": (f"the last {LOG_LINES} lines, secrets and numbers taken out", _log(name)) for name in LOG_FILES},
    "logs/defects.log": ("the newest five details of defects, secrets and numbers taken out", _defects),
}
