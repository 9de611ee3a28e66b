"""Text from outside, made harmless before it is drawn or put before a model."""

import re
import unicodedata

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x9b[0-?]*[ -/]*[@-~]"  # control sequences: colours, cursor moves
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # strings: title, link, clipboard
    r"|\x1b[ -/]*[0-~]"
)
_DROPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def plain(text: str) -> str:
    """Text from outside as one harmless line: no escape sequence, control, bidirectional or invisible character."""
    if text.isascii() and text.isprintable():
        return text
    spaced = re.sub(r"[\t\r\n\v\f\u2028\u2029\u00a0]+", " ", _ESCAPES.sub("", text))
    return "".join(character for character in spaced if unicodedata.category(character) not in _DROPPED)
