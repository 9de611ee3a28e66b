"""One text for one value: JSON whose bytes, and so whose hash, depend on nothing but what it says."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

from engine.units import NS_PER_SECOND

Json = str | int | bool | list["Json"] | dict[str, "Json"] | None


def canonical(value: object) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces; decimals and floats are strings, without exponent or trailing zeros.

    Takes mappings, sequences, structs, enums and plain values. A number that is not finite, a set, or a value of another kind
    raises `ValueError`: it would not have one text.
    """
    text = json.dumps(_plainest(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace")  # half a surrogate pair has no UTF-8


def digest(body: bytes) -> str:
    """The name of a text: its sha256 in hex."""
    return hashlib.sha256(body).hexdigest()


def decimal_text(number: float | Decimal) -> str:
    """A number as people write it: `227.5`, `0`, never `2.275E+2`."""
    exact = number if isinstance(number, Decimal) else Decimal(repr(number))
    if not exact.is_finite():
        raise ValueError(f"{number} has no decimal text")
    text = format(exact, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def utc_text(at_ns: int) -> str:
    """A moment in UTC by ISO 8601; nine decimals where there is a part of a second."""
    seconds, rest_ns = divmod(at_ns, NS_PER_SECOND)
    moment = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{rest_ns:09d}Z" if rest_ns else f"{moment}Z"


def _plainest(value: Any) -> Json:
    match value:
        case None | bool():
            return value
        case Enum():
            return _plainest(value.value)
        case str():
            return str(value)
        case int():
            return int(value)
        case float() | Decimal():
            return decimal_text(value)
        case msgspec.Struct():
            return {name: _plainest(getattr(value, name)) for name in value.__struct_fields__}
        case Mapping():
            if not all(isinstance(key, str) for key in value):
                raise ValueError("a key that is not a text has no canonical form")
            return {str(key): _plainest(part) for key, part in value.items()}
        case Sequence() if not isinstance(value, bytes | bytearray):
            return [_plainest(part) for part in value]
    raise ValueError(f"a {type(value).__name__} has no canonical form")
