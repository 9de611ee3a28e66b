"""Standard output as it may be: closed, full, or of a terminal that does not know every letter."""

import codecs
import os
import sys
from contextlib import suppress
from pathlib import Path

SPELT = {"–": "-", "—": "-", "−": "-", "→": "->", "…": "...", "·": "*", "≥": ">=", "≤": "<=", "×": "x", "✓": "ok", "✗": "x",
         "€": "EUR", "“": '"', "”": '"'}
HANDLER = "quarterdeck"


def make_usable() -> None:
    """Let output go on where a stream is closed, and spell what its encoding lacks instead of failing over it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - it lasts as long as the process
        elif "utf" not in stream.encoding.lower():
            codecs.register_error(HANDLER, _spelt)
            stream.reconfigure(errors=HANDLER)


def _spelt(error: UnicodeError) -> tuple[str | bytes, int]:
    assert isinstance(error, UnicodeEncodeError)
    missing = error.object[error.start:error.end]
    return "".join(SPELT.get(letter, "?") for letter in missing), error.end


def close() -> None:
    """Nobody takes our output any more: keep the interpreter from complaining about it at its end."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
