"""Old events translated on read, never rewritten: one function for each step from a version to the next."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from engine.errors import JournalDamaged
from engine.ports import JournalRow

type Payload = dict[str, Any]
type Upcaster = Callable[[Payload], Payload]


class Upcasters:
    """Translations by event kind and the version they start from, applied one after the other until `current`.

    `current` maps each kind to the version that this program writes (`engine.events.VERSIONS`).
    """

    def __init__(self, current: Mapping[str, int]) -> None:
        self._current = current
        self._steps: dict[tuple[str, int], Upcaster] = {}

    def register(self, kind: str, from_version: int) -> Callable[[Upcaster], Upcaster]:
        """Decorate the function that turns a payload of `from_version` into one of the next version."""

        def add(step: Upcaster) -> Upcaster:
            if (kind, from_version) in self._steps:
                raise ValueError(f"{kind} version {from_version} has a translation already")
            self._steps[kind, from_version] = step
            return step

        return add

    def missing(self) -> tuple[str, ...]:
        """Steps that no function covers, as lines for a person; empty in a program that reads every journal."""
        return tuple(f"{kind} {version} to {version + 1}" for kind, current in self._current.items()
                     for version in range(1, current) if (kind, version) not in self._steps)

    def row(self, row: JournalRow) -> JournalRow:
        """The row in its current version, unchanged where it is that already.

        Raises `JournalDamaged` where this program cannot read it: a newer version, or a step that is missing.
        """
        current = self._current.get(row.kind)
        if current is None or row.version == current:
            return row
        if row.version > current:
            raise JournalDamaged(f"row {row.seq}: {row.kind} version {row.version} is newer than this program's "
                                 f"{current}; install the newer quarterdeck")
        payload: Payload = json.loads(row.payload)
        for version in range(row.version, current):
            step = self._steps.get((row.kind, version))
            if step is None:
                raise JournalDamaged(f"row {row.seq}: no translation of {row.kind} from version {version}; "
                                     "install the quarterdeck that wrote it")
            payload = step(payload)
        encoded = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
        return row._replace(version=current, payload=encoded)

    def rows(self, rows: Iterable[JournalRow]) -> Iterator[JournalRow]:
        """Each row in its current version."""
        return map(self.row, rows)
