"""Answers as models might spoil them: good ones cut, doubled, retyped and filled with what JSON, numbers and text allow."""

import json
import random
from collections.abc import Iterator
from typing import Any

from engine.research.models import Answered, ContentBlock
from tests.unit.research_answers import document, text_of

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 1e308, -1e308, 10**40, 0.5, 57, "", " ", "57%", "5 days", "1,5", "nan", "Infinity", "\x00",
    "\ud800", "\u202e", "\uff19", "\u00bd", [], [[]], {}, {"a": {}}, ["E1", None, {}], [{"evidence_id": "E1"}], "long", "sell",
    "EXIT", "x" * 500, "E1", "E99", [{"evidence_id": {}, "field": [], "value": {}}], -0.0, 5e-324,
    [{"evidence_id": "E1", "field": "close", "value": "200"}],
)
ODD_KEYS = ("action", "Take Profit", "stop_loss", "target_pct", "qty", "automation_level", "\x00", "p_up ")
ODD_TEXT = (
    "{", "}", "[", "]", '"', "'", ",", ":", "\\", "\\u", "```", "<think>", "</think>", "NaN", "1e999", "\ufeff", "\x00",
    "\x1b[2J", "\ud83d", "null", "{}", '{"stance":"long"}', "9" * 5000, "[" * 3000, '{"a":' * 1500, "//", "\u2026", "\u2028",
)
STOPS = ("end_turn",) * 90 + ("max_tokens", "refusal", "pause_turn", "stop_sequence", "tool_use", "", "\x1b[0m")


def answers(seed: int, number: int) -> Iterator[Answered]:
    """So many spoiled answers, the same for a seed."""
    chance = random.Random(seed)
    whole = [text_of(told) for told in document()["cases"] if "oversize" not in told["name"]]
    for _ in range(number):
        yield spoiled(chance, whole)


def spoiled(chance: random.Random, whole: list[str]) -> Answered:
    way = chance.randrange(4)
    text = odd_fields(chance) if way < 2 else odd_text(chance, chance.choice(whole))
    if way == 3:
        text = odd_text(chance, text)
    kinds = chance.choices(("text", "thinking", "tool_use", ""), (60, 2, 1, 1), k=chance.choice((1,) * 16 + (0, 2)))
    return Answered(chance.choice(STOPS), tuple(ContentBlock(kind, text) for kind in kinds))


def odd_fields(chance: random.Random) -> str:
    fields = dict(document()["base"])
    for _ in range(chance.randrange(1, 4)):
        key = chance.choice((*fields, *ODD_KEYS))
        if chance.random() < 0.1:
            fields.pop(key, None)
        else:
            fields[key] = chance.choice(ODD_VALUES)
    told: Any = fields
    for _ in range(chance.choice((0, 0, 0, 1, 2))):
        told = chance.choice(([told], {"decision": told}, json.dumps(told), [told, told]))
    return json.dumps(told)


def odd_text(chance: random.Random, text: str) -> str:
    for _ in range(chance.randrange(1, 4)):
        at, to = sorted((chance.randrange(len(text) + 1), chance.randrange(len(text) + 1)))
        match chance.randrange(5):
            case 0:
                text = text[:at] + text[to:]
            case 1:
                text = text[:at] + chance.choice(ODD_TEXT) + text[at:]
            case 2:
                text = text[:at] + text[at:to] * 2 + text[to:]
            case 3:
                text = text[:at] + chr(chance.randrange(0x110000)) + text[at + 1:]
            case _:
                text = text[to:] + text[:at]
    return text
