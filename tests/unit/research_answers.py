"""The vectors of `research_answers.json` as raw answers and the context that they are read in."""

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from engine.research.adapter import AnswerContext, Listed
from engine.research.models import Answered, ContentBlock

VECTORS = Path(__file__).with_suffix(".json")


class Case(NamedTuple):
    name: str
    answer: Answered
    context: AnswerContext
    verdict: str
    code: str
    repairs: tuple[str, ...]
    opinion: dict[str, Any]


@cache
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(VECTORS.read_text(encoding="utf-8"))
    return found


def context_of(asked: str = "ACME") -> AnswerContext:
    told = document()["context"]
    return AnswerContext(asked, {symbol: Listed(**listed) for symbol, listed in told["symbols"].items()}, told["positions"],
                         told["facts"])


def cases() -> list[Case]:
    return [case_of(told) for told in document()["cases"]]


def case_of(told: dict[str, Any]) -> Case:
    verdict, code, repairs = told["expect"]
    return Case(told["name"], answer_of(told), context_of(told.get("asked", "ACME")), verdict, code, tuple(repairs),
                told.get("opinion", {}))


def answer_of(told: dict[str, Any]) -> Answered:
    text = text_of(told)
    kinds = told.get("blocks", ["text"])
    blocks = tuple(ContentBlock(kind, text if kind == "text" else '{"symbol": "OTHER"}') for kind in kinds)
    return Answered(told.get("stop", "end_turn"), blocks)


def text_of(told: dict[str, Any]) -> str:
    if "text" in told:
        return drawn_out(told["text"])
    fields = {key: value for key, value in (document()["base"] | told.get("edit", {})).items() if key not in told.get("drop", [])}
    body = json.dumps({key: drawn_out(value) if isinstance(value, str) else value for key, value in fields.items()})
    shape = told.get("shape", "{}")
    if shape == "@encoded":
        return json.dumps(body)
    return body.join(shape.replace("<<", "\x00").replace(">>", "\x01").split("{}")).replace("\x00", "{").replace("\x01", "}")


def drawn_out(text: str) -> str:
    """`@x401` is 401 x; `@[5000` and `@{2500` are brackets inside brackets."""
    if not text.startswith("@"):
        return text
    kind, length = text[1], int(text[2:])
    return {"x": "x" * length, "[": "[" * length + "]" * length, "{": '{"a":' * length + "1" + "}" * length}[kind]
