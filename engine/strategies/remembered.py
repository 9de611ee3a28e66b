"""The memory of a strategy of one's own: a plain class of numbers in its file, whose fields it sets as it likes.

Beside a NamedTuple it costs a rule nothing to change: a fifth of what a bar costs.
"""

from collections.abc import Iterator
from typing import Any, ClassVar


class Remembered:
    """Numbers by name, and what the engine asks of every strategy's memory, as a NamedTuple would answer it."""

    __slots__ = ()
    _fields: ClassVar[tuple[str, ...]] = ()
    _field_defaults: ClassVar[dict[str, int | float]] = {}

    def __init__(self, *numbers: float, **named: float) -> None:
        if len(numbers) > len(self._fields):
            raise TypeError(f"Memory has {len(self._fields)} fields, not {len(numbers)}")
        given = dict(zip(self._fields, numbers, strict=False))
        for name in named:
            if name not in self._fields or name in given:
                raise TypeError(f"Memory.{name}: {'given twice' if name in given else 'no such field'}")
        for name, number in {**self._field_defaults, **given, **named}.items():
            setattr(self, name, number)

    def _asdict(self) -> dict[str, int | float]:
        return {name: getattr(self, name) for name in self._fields}

    def _replace(self, **numbers: float) -> "Remembered":
        """Another one, with some numbers changed."""
        return type(self)(**{**self._asdict(), **numbers})

    def __iter__(self) -> Iterator[int | float]:
        return (getattr(self, name) for name in self._fields)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._asdict() == other._asdict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Memory({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"


def remembered(kind: type[Any]) -> type[Remembered]:
    """A class of the same numbers with quick fields; a name that only has a type stays without a default."""
    listed = {name: value for name, value in vars(kind).items() if not name.startswith("__")}
    fields = tuple(dict.fromkeys((*vars(kind).get("__annotations__", {}), *listed)))
    return type("Memory", (Remembered,), {"__slots__": fields, "_fields": fields, "_field_defaults": listed})
