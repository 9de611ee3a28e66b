"""Text that anybody may have written, before it comes near a model: cleaned, cut, marked and fenced.

Nothing here is relied on alone. The detector (`engine.research.marks`) is advice: what a model may name, and what its answer may
do, is bounded by the adapter and by the core whether a text was marked or not.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from engine.plain_text import plain

ITEM_CHARACTERS = 300
ITEMS_PER_CALL = 12
ITEMS_PER_SOURCE = 6
DELIMITER_HEX = 32  # 128 bits

_LINKS = re.compile(r"(?i)(?:[a-z][a-z0-9+.-]{1,20}:/{1,3}|\bwww\.)[^\s<>\"')\]]+"
                    r"|\b(?:javascript|data|file|vbscript):[^\s\"')\]]+")
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)  # letters and marks without ink
_STACKED = re.compile(r"([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{2})"
                      r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")
_ESCAPED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "[": "&#91;", "]": "&#93;", "{": "&#123;", "}": "&#125;", "`": "&#96;"}
_ESCAPING = str.maketrans(_ESCAPED)


class Untrusted(msgspec.Struct, frozen=True):
    """One text from outside: its evidence id, where it came from, and the words as they came."""

    evidence_id: str
    source: str
    text: str


def clean(text: str, limit: int = ITEM_CHARACTERS) -> str:
    """One harmless line of at most `limit` characters: NFKC, without escapes, controls, bidirectional or invisible characters,
    without stacked accents and addresses. Cleaning a clean text changes nothing."""
    line = text[: limit * 20]  # what is thrown away anyway is not worth the work
    for _ in range(8):  # a rule may uncover work for another one; each round only ever shortens or settles
        before = line
        line = harmless(without_links(unicodedata.normalize("NFKC", harmless(line))))
        line = line if len(line) <= limit else f"{line[: limit - 3].rstrip()}..."
        if line == before:
            break
    return line


def harmless(text: str) -> str:
    """One line of a text of any length without escapes, controls, bidirectional or invisible characters, and stacked accents."""
    return " ".join(_STACKED.sub(r"\1", _UNSEEN.sub("", plain(text))).split())


def without_links(text: str) -> str:
    """The text with "(link)" for every address: none is followed, and none may be clicked."""
    return _LINKS.sub("(link)", text)


@lru_cache(maxsize=2_048)  # names and headlines come again with every symbol
def flags_of(text: str) -> tuple[str, ...]:
    """The names of the marks that a text, as it came, earns; () for ordinary news. Advice: see the module."""
    from engine.research.marks import MARKS

    return tuple(name for name, has_mark in MARKS if has_mark(text))


def stub(evidence_id: str, flags: Sequence[str]) -> str:
    """What stands in the place of a marked text."""
    return f"[item {evidence_id} withheld: {', '.join(flags)}]"


def delimiter_of(salt: str, call: str) -> str:
    """The fence of one call: 128 bits in hex from the run's recorded salt, so that a replay asks the very same."""
    return hashlib.sha256(f"{salt}|{call}".encode()).hexdigest()[:DELIMITER_HEX]


def fence(items: Sequence[Untrusted], delimiter: str) -> str:
    """The items between two lines that nothing inside can write: each on one line, cleaned, with brackets, braces and backquotes
    escaped. At most twelve items; a text that names the delimiter loses it."""
    lines = [f"{item.evidence_id} | {_inside(item.source, 40, delimiter)} | {_inside(item.text, ITEM_CHARACTERS, delimiter)}"
             for item in items[:ITEMS_PER_CALL]]
    return "\n".join((f"<untrusted {delimiter}>", *lines, f"</untrusted {delimiter}>"))


def _inside(text: str, limit: int, delimiter: str) -> str:
    line = clean(text, limit)
    while delimiter.lower() in line.lower():
        line = re.sub(re.escape(delimiter), "", line, flags=re.IGNORECASE)
    return line.translate(_ESCAPING)
