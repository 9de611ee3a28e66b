"""The configuration file as text: every setting with the comment its field carries, so the two cannot drift apart."""

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any

import tomlkit
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from tomlkit.items import AoT, Item, Table

from engine.config import Config

HEADER = (
    "The configuration of Quarterdeck. Every setting is listed with its default; delete what you do not change.",
    "Check it with `quarterdeck config check`. Secrets do not belong here and are refused.",
)
COMMENT_WIDTH = 118


def default_text() -> str:
    """The commented configuration file with every default."""
    return config_text(Config())


def config_text(config: Config) -> str:
    """A configuration as a commented file that parses back to the same configuration."""
    document = tomlkit.document()
    for line in HEADER:
        document.add(tomlkit.comment(line))
    for name in Config.model_fields:
        value = getattr(config, name)
        document.add(tomlkit.nl())
        if isinstance(value, int):
            document.add(tomlkit.comment(Config.model_fields[name].description or ""))
            document.add(name, tomlkit.item(value))
        elif isinstance(value, tuple) and not value:
            for line in Config.model_fields[name].examples or ():
                document.add(tomlkit.comment(str(line)))
        elif isinstance(value, tuple):
            document.add(name, _array(value))
        elif isinstance(value, dict):
            document.add(name, _named_values(Config.model_fields[name], value))
        else:
            document.add(name, _table(value))
    return tomlkit.dumps(document)


def _array(sections: tuple[BaseModel, ...]) -> AoT:
    array = tomlkit.aot()
    for section in sections:
        array.append(_table(section))
    return array


def _named_values(field: FieldInfo, values: Mapping[str, str]) -> Table:
    """A section whose keys are a person's own, such as symbols."""
    table = tomlkit.table()
    for line in (*_wrapped(field.description or ""), *(str(example) for example in field.examples or () if not values)):
        table.add(tomlkit.comment(line))
    for key, value in values.items():
        table.add(key, value)
    return table


def _table(section: BaseModel) -> Table:
    table = tomlkit.table()
    for line in _wrapped((type(section).__doc__ or "").split("\n\n", maxsplit=1)[0]):
        table.add(tomlkit.comment(line))
    table.add(tomlkit.nl())
    nested: dict[str, BaseModel] = {}
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            nested[name] = value
            continue
        for line in _wrapped(_comment(field)):
            table.add(tomlkit.comment(line))
        if value is None:
            table.add(tomlkit.comment(f"{name} = {(field.examples or [''])[0]}"))
        else:
            table.add(name, _item(value))
    for name, value in nested.items():
        table.add(tomlkit.nl())
        table.add(name, _table(value))
    return table


def _comment(field: FieldInfo) -> str:
    bounds = _bounds(field)
    return f"{field.description or ''}{f' ({bounds})' if bounds else ''}"


def _bounds(field: FieldInfo) -> str:
    words: Mapping[str, str] = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    found: list[str] = []
    for limit in field.metadata:
        for attribute, word in words.items():
            value = getattr(limit, attribute, None)
            if value is not None:
                found.append(f"{word} {value}")
    return ", ".join(found)


def _item(value: Any) -> Item:
    if isinstance(value, dict):
        table = tomlkit.inline_table()
        table.update(value)
        return table
    if isinstance(value, Decimal):
        whole = value == value.to_integral_value()
        return tomlkit.item(int(value) if whole else float(value))
    plain: str | int | float | bool = value.value if isinstance(value, Enum) else value
    return tomlkit.item(plain)


def _wrapped(text: str) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + len(word) < COMMENT_WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
