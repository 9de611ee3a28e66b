"""Versions of the configuration file: what was renamed or removed since each of them, so that an older file still means the same.

A file says its version at the top; one that says none is of the first. An older file is translated when it is read, with a word
about each change, and for good by `quarterdeck config migrate --write`. Keys that no version knew are refused as ever.
"""

from collections.abc import Iterator, MutableMapping
from typing import Any, NamedTuple

CURRENT_VERSION = 2
FIRST_VERSION = 1


class Change(NamedTuple):
    """A setting that files before `version` had under another name; `new` is empty where nothing took its place.

    Both are a section and a key, `backup.kept`; in an array of sections every one of them is meant.
    """

    version: int
    old: str
    new: str
    why: str


CHANGES = (
    Change(2, "backup.kept", "backup.keep_daily", "backups are kept by day, week and month"),
)


def version_of(tree: MutableMapping[str, Any]) -> int:
    """The version that a file says it has; what is no number counts as the first, and is refused later as any wrong value is."""
    found = tree.get("version", FIRST_VERSION)
    return found if isinstance(found, int) and not isinstance(found, bool) else FIRST_VERSION


def due_changes(tree: MutableMapping[str, Any], changes: tuple[Change, ...] = CHANGES) -> tuple[Change, ...]:
    """The changes that a file of an older version still needs, in order."""
    version = version_of(tree)
    return tuple(change for change in changes if version < change.version and _places(tree, change.old))


def translate(tree: MutableMapping[str, Any], changes: tuple[Change, ...] = CHANGES) -> tuple[str, ...]:
    """Bring the tree of an older file up to date, in place; a word about each change. A new name that is set already wins."""
    told: list[str] = []
    for change in due_changes(tree, changes):
        for section in _places(tree, change.old):
            value = section.pop(_key(change.old))
            if change.new and _key(change.new) not in section:
                section[_key(change.new)] = value
        told.append(words(change))
    if isinstance(tree.get("version"), int) and version_of(tree) < CURRENT_VERSION:
        tree["version"] = CURRENT_VERSION
    return tuple(told)


def words(change: Change) -> str:
    """One change in one line."""
    became = f"is now {change.new}" if change.new else "is no longer there"
    return f"{change.old} {became}: {change.why}"


def _places(tree: MutableMapping[str, Any], path: str) -> list[MutableMapping[str, Any]]:
    """The sections of a file in which a key stands."""
    return [section for section in _sections(tree, path.split(".")[:-1]) if _key(path) in section]


def _sections(tree: MutableMapping[str, Any], names: list[str]) -> Iterator[MutableMapping[str, Any]]:
    if not names:
        yield tree
        return
    below = tree.get(names[0])
    for section in below if isinstance(below, list) else [below]:
        if isinstance(section, MutableMapping):
            yield from _sections(section, names[1:])


def _key(path: str) -> str:
    return path.rpartition(".")[2]
