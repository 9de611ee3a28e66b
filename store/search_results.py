"""Results of searches, kept as they come: one file for each combination of bars, rule and terms, a line for each set tried."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Self

import msgspec
from filelock import FileLock, Timeout

from engine.errors import StoreError
from engine.search.outcomes import Outcome

FOLDER = "searches"


class Heading(msgspec.Struct, frozen=True):
    """The first line: what was searched, for a person to read; the file's name bears the hash of it. `bars` and `terms` are the
    hashes by which searches of the same bars find each other."""

    strategy: str
    files: tuple[str, ...]
    bars: str = ""
    terms: str = ""
    format: int = 1


class SearchResults:
    """The results of one search, also of its earlier runs. A line that a killed search left half is dropped.

    Raises `StoreError` where another search writes to the same file, or the disk refuses.
    """

    def __init__(self, home: Path, digest: str, heading: Heading) -> None:
        self.path = home / FOLDER / f"{heading.strategy}-{digest}.jsonl"
        self._heading = heading
        self._lock = FileLock(f"{self.path}.lock")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            self._file: BinaryIO = self.path.open("a+b")
            self._known = self._opened(heading)
        except Timeout as error:
            raise StoreError(f"{self.path}: another search writes to it; wait for it, or end it") from error
        except OSError as error:
            self._lock.release()
            raise StoreError(f"{self.path}: results of the search cannot be kept: {error.strerror or error}") from error

    def _opened(self, heading: Heading) -> list[Outcome]:
        """What the file holds; one that is none of ours is let go of at once."""
        try:
            return list(self._read(heading))
        except (StoreError, OSError):
            self.__exit__()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._file.close()
        self._lock.release()

    def known(self) -> Iterable[Outcome]:
        """What earlier runs have found."""
        return self._known

    def elsewhere(self) -> Iterator[tuple[str, Outcome]]:
        """What searches of the same bars by other rules, terms or releases found, each with the hash of its terms; "" for our own
        terms. A line that is none of ours, or half written, is passed over."""
        for path in sorted(self.path.parent.glob("*.jsonl")) if self._heading.bars else ():
            if path != self.path:
                yield from self._found_in(path)

    def _found_in(self, path: Path) -> Iterator[tuple[str, Outcome]]:
        with suppress(OSError, msgspec.MsgspecError), path.open("rb") as file:
            heading = msgspec.json.decode(file.readline(), type=Heading)
            if heading.bars != self._heading.bars:
                return
            terms = "" if heading.terms == self._heading.terms else heading.terms
            for line in file:
                with suppress(msgspec.MsgspecError):
                    yield terms, msgspec.json.decode(line, type=Outcome)

    def keep(self, outcomes: Sequence[Outcome]) -> None:
        """Write outcomes to the file at once."""
        try:
            self._file.write(b"".join(msgspec.json.encode(one) + b"\n" for one in outcomes))
            self._file.flush()
        except OSError as error:
            raise StoreError(f"{self.path}: results of the search cannot be kept: {error.strerror or error}") from error

    def _read(self, heading: Heading) -> Iterable[Outcome]:
        """The outcomes in the file, up to the last whole line; a new file gets its heading."""
        self._file.seek(0)
        whole = 0
        for number, line in enumerate(self._file):
            if not line.endswith(b"\n"):
                break
            try:
                if number:
                    yield msgspec.json.decode(line, type=Outcome)
                else:
                    msgspec.json.decode(line, type=Heading)
            except msgspec.MsgspecError as error:
                raise StoreError(f"{self.path}:{number + 1}: not a result of a search ({error}); move the file away") from error
            whole += len(line)
        self._file.truncate(whole)
        self._file.seek(0, 2)
        if not whole:
            self._file.write(msgspec.json.encode(heading) + b"\n")
            self._file.flush()
