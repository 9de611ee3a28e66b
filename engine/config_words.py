"""What is wrong with a configuration file, in the words of whoever wrote it: the key, its value, what is allowed instead."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

_MINUTE = 'must be a time of day such as "22:00"'
_DAY = 'must be a day such as "2026-10-24"'
_CURRENCY = 'must be a currency in capitals, such as "USD"'
_ADDRESS = ("must be an address that begins with https:// or wss://, without a user or password; http:// and ws:// only on this "
            "machine, since keys go there")
FORMS = {
    "name": 'must be small letters, digits, - and _, at most 32 of them, such as "main"',
    "rule": 'must be the name of a rule: small letters, digits and _, such as "ema_cross"',
    "trading_hours": 'must be days and hours such as "mon-fri 09:30-16:00", or hours alone',
    "calendar": 'must be "24/7" or an exchange\'s code, such as "XNYS"',
    "recipient": "must be an age public key (age1...)",
    "quiet_from": _MINUTE, "quiet_until": _MINUTE, "prices_as_of": _DAY, "trained_until": _DAY, "currency": _CURRENCY,
    "base": _CURRENCY, "rest_url": _ADDRESS, "stream_url": _ADDRESS, "data_url": _ADDRESS, "data_stream_url": _ADDRESS,
}
PERCENT = 100


def error_line(source: str, tree: Mapping[str, Any], problem: ErrorDetails, model: type[BaseModel]) -> str:
    """One pydantic error as one line: file, key path, value, what is allowed."""
    location: tuple[str | int, ...] = problem["loc"]
    path = _path_text(location)
    where = f"{source}: {path}" if path else source
    value = _value_at(tree, location)
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown key{_suggestion(location, model)}"
    if problem["type"] == "model_type":
        return f"{where}: must be a section, written [{path}]"
    if problem["type"] == "tuple_type":
        if _holds_sections(location, model):
            return f"{where}: must be written as one or more [[{path}]] sections"
        example = f'"{value}"' if isinstance(value, str) else '"..."'
        return f"{where}: must be a list, such as {location[-1]} = [{example}]"
    shown = "" if isinstance(value, Mapping | list) else f" = {value!r}"
    return f"{where}{shown}: {_allowed(problem, str(location[-1]) if location else '', value)}"


def _allowed(problem: ErrorDetails, key: str, value: object) -> str:
    if problem["type"] == "string_pattern_mismatch" and key in FORMS:
        return FORMS[key]
    if problem["type"] == "is_instance_of":
        return "must be a number, without quotes and without separators"
    message = problem["msg"].removeprefix("Value error, ").replace("Input should", "must").replace("String should", "must")
    return message + (_as_fraction(value) if key.endswith("_fraction") else "")


def _as_fraction(value: object) -> str:
    """What a share looks like that was written in percent; empty where it was not."""
    try:
        percent = float(str(value).removesuffix("%"))
    except ValueError:
        return ""
    return f"; {percent:g} % is {percent / PERCENT:g} here" if 1 < percent <= PERCENT or str(value).endswith("%") else ""


def _path_text(location: Sequence[str | int]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _value_at(tree: object, location: Sequence[str | int]) -> object:
    value: Any = tree
    for part in location:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return {}
    return value


def _model_of(location: Sequence[str | int], model: type[BaseModel]) -> type[BaseModel]:
    """The model of the section that a key lies in."""
    for part in location[:-1]:
        if isinstance(part, str):
            model = _section(model, part) or model
    return model


def _suggestion(location: Sequence[str | int], model: type[BaseModel]) -> str:
    known = list(_model_of(location, model).model_fields)
    close = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else f"; known here: {', '.join(known)}"


def _holds_sections(location: Sequence[str | int], model: type[BaseModel]) -> bool:
    """Whether a key is one of sections, not of plain values."""
    return _section(_model_of(location, model), str(location[-1])) is not None


def _section(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The model of a nested section, or of the items of an array of sections; None for a plain value."""
    annotation = model.model_fields[name].annotation
    candidates = (annotation, *get_args(annotation))
    return next((one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)), None)
