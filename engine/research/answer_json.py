"""From a raw answer to one JSON object: why it ended, which of its text is meant, and nothing guessed.

Each step is one check or one lossless repair, in the order of `OBJECT_STEPS`. There is no repair of broken JSON: what does not
parse is asked again.
"""

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from engine.research.models import Answered
from engine.research.opinions import Verdict
from engine.research.untrusted import clean

MOST_CHARACTERS = 20_000
MOST_DIGITS = 300
WRAPPERS = frozenset({"decision", "opinion", "result", "data", "response", "output", "answer", "analysis", "json"})
TOOL_BLOCKS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_FENCE = re.compile(r"```[a-zA-Z0-9_-]*[ \t]*\r?\n(.*?)\r?\n?[ \t]*```", re.DOTALL)
_THINKING = re.compile(r"\s*<(think|thinking|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)


class Fault(NamedTuple):
    """Why an answer is not taken: `message` is what the model is told where it is asked again."""

    verdict: Verdict
    code: str
    message: str


class Draft:
    """An answer on its way: its text, the value in it, then its fields by name; `repairs` in the order they were made."""

    def __init__(self, answer: Answered) -> None:
        self.answer = answer
        self.text = "\n".join(block.text for block in answer.content if block.kind == "text")
        self.has_value = False
        self.value: Any = None
        self.repairs: dict[str, None] = {}

    def repaired(self, code: str) -> None:
        """Note a repair, once."""
        self.repairs.setdefault(code)

    def take(self, value: Any) -> None:
        """Let this be the value that the answer means."""
        self.has_value, self.value = True, value


type Step[D: Draft] = Callable[[D], Fault | None]


def retry(code: str, message: str) -> Fault:
    """Ask again: what was meant is not clear."""
    return Fault(Verdict.RETRY, code, message)


def reject(code: str, message: str) -> Fault:
    """Do not ask again: what was said cannot be, or must not."""
    return Fault(Verdict.REJECT, code, message)


def shown(value: object) -> str:
    """A value of the answer, for a message: short and harmless."""
    text = value if isinstance(value, str) else repr(value) if isinstance(value, int | float | bool) else type(value).__name__
    return clean(text, 40)


def run_steps[D: Draft](draft: D, steps: Sequence[Step[D]]) -> Fault | None:
    """The first fault, or None when all steps passed."""
    for step in steps:
        if (fault := step(draft)) is not None:
            return fault
    return None


def no_tool_was_used(draft: Draft) -> Fault | None:
    """No tool is offered; an answer that calls one acts on something else than our request."""
    if draft.answer.stop_reason == "tool_use" or any(block.kind in TOOL_BLOCKS for block in draft.answer.content):
        return reject("UNEXPECTED_TOOL_USE", "no tool was offered")
    return None


def not_refused(draft: Draft) -> Fault | None:
    """A refusal is no opinion, and asking again does not make it one."""
    return Fault(Verdict.ABSTAIN, "REFUSAL", "the model refused") if draft.answer.stop_reason == "refusal" else None


def not_paused(draft: Draft) -> Fault | None:
    """A pause is for tools of the provider, of which none are used."""
    return retry("PAUSE_TURN", "the answer was not finished") if draft.answer.stop_reason == "pause_turn" else None


def not_cut_off(draft: Draft) -> Fault | None:
    """An answer that ran out of tokens."""
    return retry("MAX_TOKENS", "the answer was cut off; be shorter") if draft.answer.stop_reason == "max_tokens" else None


def within_context(draft: Draft) -> Fault | None:
    """A request that filled the model's context: it would again."""
    if draft.answer.stop_reason == "model_context_window_exceeded":
        return Fault(Verdict.ABSTAIN, "CONTEXT_WINDOW", "the request fills the model's context")
    return None


def ended_by_itself(draft: Draft) -> Fault | None:
    """Any other reason to stop but the end of the turn was not asked for."""
    if draft.answer.stop_reason != "end_turn":
        return retry(f"STOP_REASON:{shown(draft.answer.stop_reason)}", "the answer did not end by itself")
    return None


def not_oversize(draft: Draft) -> Fault | None:
    """An opinion takes a tenth of this; more is not parsed."""
    if len(draft.text) > MOST_CHARACTERS:
        return retry("OVERSIZE", f"the answer is longer than {MOST_CHARACTERS} characters")
    return None


def without_bom(draft: Draft) -> Fault | None:
    """A byte-order mark before the text."""
    if draft.text.startswith("\ufeff"):
        draft.text = draft.text.lstrip("\ufeff")
        draft.repaired("BOM")
    return None


def not_empty(draft: Draft) -> Fault | None:
    """There has to be a text."""
    return None if draft.text.strip() else retry("EMPTY", "the answer holds no text")


def without_thinking(draft: Draft) -> Fault | None:
    """Thoughts written before the answer, in tags of their own."""
    if found := _THINKING.match(draft.text):
        draft.text = draft.text[found.end():]
        draft.repaired("THINKING_STRIPPED")
    return None


def without_fence(draft: Draft) -> Fault | None:
    """One block of code around the whole, with or without words before and behind."""
    found = _FENCE.findall(draft.text)
    if len(found) == 1 and "{" in found[0] and "{" not in _FENCE.sub("", draft.text):
        draft.text = found[0]
        draft.repaired("CODE_FENCE")
    return None


def parsed_whole(draft: Draft) -> Fault | None:
    """The whole text as JSON; other text is looked at by the next step."""
    try:
        draft.take(_loads(draft.text))
    except _Unacceptable as fault:
        return fault.fault
    except (ValueError, RecursionError):
        pass
    return None


def one_object_in_prose(draft: Draft) -> Fault | None:
    """The one object among words, from its first brace on; arrays of numbers beside it are words too."""
    if draft.has_value:
        return None
    start = draft.text.find("{")
    if start < 0:
        return retry("NO_JSON", "there is no JSON object in the answer")
    try:
        value, end = _DECODER.raw_decode(draft.text, start)
        behind = draft.text.find("{", end)
        if behind >= 0 and _DECODER.raw_decode(draft.text, behind)[0] != value:
            return retry("MULTIPLE_OBJECTS", "the answer holds more than one JSON object")
    except _Unacceptable as fault:
        return fault.fault
    except (ValueError, RecursionError):
        return retry("INVALID_JSON", "the JSON in the answer does not parse")
    draft.repaired("PROSE_AROUND_JSON")
    draft.take(value)
    return None


def once_encoded(draft: Draft) -> Fault | None:
    """JSON inside a JSON string is read once more; a mere word is no decision."""
    if not isinstance(draft.value, str):
        return None
    inner = Draft(draft.answer)
    inner.text = draft.value
    if fault := run_steps(inner, (parsed_whole, one_object_in_prose)):
        return fault
    if isinstance(inner.value, str):
        return retry("NO_JSON", "there is no JSON object in the answer")
    draft.repaired("DOUBLE_ENCODED")
    for code in inner.repairs:
        draft.repaired(code)
    draft.take(inner.value)
    return None


def out_of_list(draft: Draft) -> Fault | None:
    """A list of one is that one; of several, none is chosen."""
    if not isinstance(draft.value, list) or not any(isinstance(part, dict) for part in draft.value):
        return None
    if len(draft.value) > 1:
        return retry("MULTIPLE_OBJECTS", "the answer holds more than one JSON object")
    draft.repaired("UNWRAP_LIST")
    draft.take(draft.value[0])
    return None


def out_of_wrapper(draft: Draft) -> Fault | None:
    """An object whose only key says "decision" or the like is what it holds."""
    if isinstance(draft.value, dict) and len(draft.value) == 1:
        (key, inner), = draft.value.items()
        if key.strip().lower() in WRAPPERS and isinstance(inner, dict):
            draft.repaired("UNWRAP_KEY")
            draft.take(inner)
    return None


def is_object(draft: Draft) -> Fault | None:
    """What is left has to be an object."""
    return None if isinstance(draft.value, dict) else retry("NOT_AN_OBJECT", "the answer is not a JSON object")


OBJECT_STEPS: tuple[Step[Draft], ...] = (
    no_tool_was_used, not_refused, not_paused, not_cut_off, within_context, ended_by_itself, not_oversize, without_bom, not_empty,
    without_thinking, without_fence, parsed_whole, one_object_in_prose, once_encoded, out_of_list, out_of_wrapper, is_object,
)


class _Unacceptable(Exception):
    """JSON that parses, but says two things or none."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.fault = retry(code, message)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Unacceptable("DUPLICATE_KEY", "a key stands twice in one object")
    return found


def _constant(name: str) -> float:
    raise _Unacceptable("NON_FINITE", f"{name} is not a number")


def _float(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _constant("a number too large")


def _int(digits: str) -> int | float:
    return int(digits) if len(digits) <= MOST_DIGITS else _constant("a number too large")


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_float=_float, parse_int=_int, parse_constant=_constant)


def _loads(text: str) -> Any:
    return _DECODER.decode(text)
