"""`config migrate`: an older configuration file in today's words, its comments kept, the old file kept beside."""

import sys
from collections.abc import Sequence
from difflib import unified_diff
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Comment, Table, Whitespace

from engine.config import check_config
from engine.config_versions import CHANGES, CURRENT_VERSION, Change, due_changes, version_of, words
from engine.errors import ConfigError, HomeUnusable
from tui.printing import print_error, print_json

VERSION_LINE = "The version of this file's words; `quarterdeck config migrate` brings an older file up to date."


def migrate(home: Path, *, write: bool, as_json: bool) -> int:
    """Show what would change, or write it; 2 where the file would still not be valid."""
    file = home / "config.toml"
    before = _read(file)
    after, told = migrated_text(before, str(file))
    errors = check_config(after, str(file)).errors
    wrote = write and after != before and not errors
    kept = _replace(file, before, after) if wrote else None
    if as_json:
        print_json({"path": str(file), "changes": told, "changed": after != before, "written": wrote, "errors": errors,
                    "kept": str(kept) if kept else None, "version": CURRENT_VERSION})
        return ConfigError.exit_status if errors else 0
    for line in unified_diff(before.splitlines(), after.splitlines(), str(file), "migrated", lineterm=""):
        print(line)
    for line in errors:
        print_error(line)
    if errors:
        return ConfigError.exit_status
    if after == before:
        print(f"{file}: is of version {CURRENT_VERSION} already")
    elif kept is not None:
        print(f"{file}: written; the former file is {kept}")
    else:
        print("nothing was written; say --write to write it", file=sys.stderr)
    return 0


def migrated_text(text: str, source: str, changes: tuple[Change, ...] = CHANGES) -> tuple[str, tuple[str, ...]]:
    """A configuration text in today's words, and a line about each change; raises `ConfigError` for one that is no TOML or of a
    newer program."""
    try:
        document = tomlkit.parse(text)
    except TOMLKitError as error:
        raise ConfigError(f"{source}: not valid TOML: {error}") from error
    if version_of(document) > CURRENT_VERSION:
        raise ConfigError(f"{source}: version {version_of(document)} is newer than this program's {CURRENT_VERSION}; "
                          "install the newer quarterdeck")
    due = due_changes(document, changes)
    for change in due:
        _change(document, change)
    if version_of(document) == CURRENT_VERSION:
        return tomlkit.dumps(document), tuple(words(change) for change in due)
    document.pop("version", None)
    head = f"# {VERSION_LINE}\nversion = {CURRENT_VERSION}\n\n"
    return head + tomlkit.dumps(document).lstrip("\n"), tuple(words(change) for change in due)


def _change(document: tomlkit.TOMLDocument, change: Change) -> None:
    section_name, _, old = change.old.rpartition(".")
    new = change.new.rpartition(".")[2]
    found = document.get(section_name)
    if isinstance(found, AoT):
        renewed = tomlkit.aot()
        for table in found:
            renewed.append(_renamed(table, old, new))
        document[section_name] = renewed
    elif isinstance(found, Table):
        document[section_name] = _renamed(found, old, new)


def _renamed(table: Table, old: str, new: str) -> Table:
    """The section with one key renamed, or left out, everything else and every remark where it was."""
    renewed = tomlkit.table()
    taken = new in table
    for key, item in table.value.body:
        if isinstance(item, Comment | Whitespace):
            renewed.add(item)
        elif key is None:
            continue
        elif key.key != old:
            renewed.add(key, item)
        elif new and not taken:
            renewed.add(new, item)
    return renewed


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{file}: there is no configuration file; the defaults apply, `quarterdeck init` writes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from error


def _replace(file: Path, before: str, after: str) -> Path:
    """Put the new text in the file's place; where the old one lies from now on."""
    kept = _free_name(file, [f"{file.name}.{number}" for number in range(1, 1_000)])
    part = file.with_name(f".{file.name}.part")
    try:
        kept.write_text(before, encoding="utf-8")
        kept.chmod(0o600)
        part.write_text(after, encoding="utf-8")
        part.chmod(0o600)
        part.replace(file)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise HomeUnusable(f"{file}: cannot be written: {error.strerror}; check the folder") from error
    return kept


def _free_name(file: Path, names: Sequence[str]) -> Path:
    return next(path for name in names if not (path := file.with_name(name)).exists())
