"""Who is tied to whom: edges with weights along which an event is felt by others, at most two of them long."""

import csv
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec

from engine.errors import ConfigError
from engine.units import NS_PER_SECOND, Nanoseconds

MOST_HOPS = 2
COLUMNS = ("from", "to", "relation", "weight", "source", "valid_from", "valid_to")


class Relation(StrEnum):
    """What the second name is to the first: its customer, its supplier …"""

    CUSTOMER = "customer"
    SUPPLIER = "supplier"
    COMPETITOR = "competitor"
    PARTNER = "partner"
    SAME_SECTOR = "same_sector"
    RATE_SENSITIVE = "rate_sensitive"
    INPUT_COST = "input_cost"


class Edge(msgspec.Struct, frozen=True):
    """An event at `origin` is felt at `reached`, to the part `weight` (0 to 1), from `valid_from_ns` on and before
    `valid_to_ns` (0: open)."""

    origin: str
    reached: str
    relation: Relation
    weight: float
    source: str
    valid_from_ns: Nanoseconds = 0
    valid_to_ns: Nanoseconds = 0

    def holds(self, at_ns: Nanoseconds) -> bool:
        return self.valid_from_ns <= at_ns and (not self.valid_to_ns or at_ns < self.valid_to_ns)


class Path(NamedTuple):
    """A way from the origin of an event to a name: the names on it, the relations between them, the product of weights."""

    names: tuple[str, ...]
    relations: tuple[Relation, ...]
    weight: float

    @property
    def hops(self) -> int:
        return len(self.relations)

    @property
    def decay(self) -> float:
        """What part of an event arrives: the product of the weights, halved at each edge after the first."""
        return self.weight * 0.5 ** max(0, self.hops - 1)

    @property
    def text(self) -> str:
        """Such as "ALB - customer > TSLA"."""
        return self.names[0] + "".join(f" - {relation.value} > {name}"
                                       for relation, name in zip(self.relations, self.names[1:], strict=True))


class EventGraph:
    """The edges by their origin; made once, never changed."""

    def __init__(self, edges: Iterable[Edge]) -> None:
        self.edges = tuple(edges)
        self._from: dict[str, list[Edge]] = {}
        for edge in self.edges:
            self._from.setdefault(edge.origin, []).append(edge)

    def reached_from(self, origin: str, at_ns: Nanoseconds, most_hops: int = MOST_HOPS) -> tuple[Path, ...]:
        """The strongest path to each name within `most_hops`, the origin itself first (0 hops), then by strength and name.

        A path never visits a name twice, so cycles end. Of several paths to a name only the strongest counts: ties that tell of
        the same bond are not added up.
        """
        best: dict[str, Path] = {origin: Path((origin,), (), 1.0)}
        frontier = [best[origin]]
        for _ in range(most_hops):
            frontier = [longer for path in frontier for longer in self._longer(path, at_ns)]
            for path in frontier:
                known = best.get(path.names[-1])
                if known is None or path.decay > known.decay:
                    best[path.names[-1]] = path
        first, *others = best.values()
        return (first, *sorted(others, key=lambda path: (-path.decay, path.names)))

    def _longer(self, path: Path, at_ns: Nanoseconds) -> Iterable[Path]:
        for edge in self._from.get(path.names[-1], ()):
            if edge.reached not in path.names and edge.holds(at_ns):
                yield Path((*path.names, edge.reached), (*path.relations, edge.relation), path.weight * edge.weight)


def edges_of_csv(text: str, where: str) -> tuple[Edge, ...]:
    """The edges of a CSV text with the columns from, to, relation, weight, source, valid_from, valid_to (dates, may be empty).

    Raises `ConfigError` that names line and fault.
    """
    rows = csv.DictReader(text.lstrip("\ufeff").splitlines())
    missing = [name for name in COLUMNS[:5] if name not in (rows.fieldnames or ())]
    if missing:
        raise ConfigError(f"{where}: the first line must name the columns {', '.join(COLUMNS)}; missing: {', '.join(missing)}")
    return tuple(_edge_of({name: (value or "").strip() for name, value in row.items() if isinstance(name, str)},
                          f"{where}: line {number}") for number, row in enumerate(rows, start=2))


def unknown_names(edges: Sequence[Edge], known: Iterable[str]) -> tuple[str, ...]:
    """The names of edges that are on no list of what can be traded (ALBM for ALB): nothing is felt there."""
    listed = frozenset(known)
    return tuple(sorted({name for edge in edges for name in (edge.origin, edge.reached)} - listed))


def _edge_of(row: dict[str, str], where: str) -> Edge:
    origin, reached = row["from"].upper(), row["to"].upper()
    if not origin or not reached or origin == reached:
        raise ConfigError(f"{where}: an edge needs two different names")
    if row["relation"] not in list(Relation):
        raise ConfigError(f'{where}: relation "{row["relation"]}" is none of {", ".join(Relation)}')
    try:
        weight = float(row["weight"])
    except ValueError:
        weight = -1.0
    if not 0.0 <= weight <= 1.0:
        raise ConfigError(f'{where}: weight "{row["weight"]}" is no number from 0 to 1')
    if not row["source"]:
        raise ConfigError(f"{where}: an edge needs a source")
    return Edge(origin, reached, Relation(row["relation"]), weight, row["source"], _date_ns(row.get("valid_from", ""), where),
                _date_ns(row.get("valid_to", ""), where))


def _date_ns(text: str, where: str) -> Nanoseconds:
    if not text:
        return 0
    try:
        return int(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()) * NS_PER_SECOND
    except ValueError:
        raise ConfigError(f'{where}: "{text}" is no date such as 2026-01-31') from None
