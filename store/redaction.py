"""Keeping secrets out of what is written for people: logs, and the bundle for whoever helps.

Two nets. `redacted` takes out what is known to be secret (every key that this process has read) and what has the shape of one:
a value beside a telling name, a bearer token, a password in an address, private keys, the tokens of messengers. `scrubbed`
takes out more, for text that leaves the machine: every long opaque word, and, unless they are asked for, every number.
"""

import re

HIDDEN = "[redacted]"
SHORTEST_KNOWN = 8

_known: set[str] = set()

_NAMES = (r"(?:api[-_ ]?key|apikey|key[-_]?id|access[-_]?key|secret|token|passw(?:or)?d|passphrase|private[-_]?key|signature|"
          r"authorization|cookie|credential|(?<![a-z])(?:pin|t?otp)(?![a-z]))")
# Words, not compiled patterns: compiling them takes two milliseconds, and belongs to the first line that is written.
_SHAPES: tuple[tuple[str, str], ...] = (
    (r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", HIDDEN),
    (r"AGE-SECRET-KEY-1[0-9A-Z]+", HIDDEN),
    (r"\b(?:sk|pk|rk|xox[abp]|ghp|gho|github_pat|AKIA)[-_]?[A-Za-z0-9_-]{12,}", HIDDEN),
    (r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}", rf"\1 {HIDDEN}"),
    (r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@\"']+@", rf"\1{HIDDEN}@"),
    (r"(?i)(/api/webhooks/\d+/|/bot)[A-Za-z0-9:_-]{8,}", rf"\1{HIDDEN}"),
    (r"(?i)\b(?:tgram|discord|slack|mailtos?|ntfys?|pover|gotifys?)://[^\s\"'\\]+", HIDDEN),
    (rf"(?i)\b([a-z0-9_-]*{_NAMES}[a-z0-9_-]*(?:\\?[\"'])?\s*[:=]\s*)(\\?[\"'])(?:(?!\2).)+\2", rf"\1\2{HIDDEN}\2"),
    (rf"(?i)\b([a-z0-9_-]*{_NAMES}[a-z0-9_-]*(?:\\?[\"'])?\s*[:=]\s*)(?![\"'\\{{\[])[^\s,;&}})\]]+", rf"\1{HIDDEN}"),
)
_OPAQUE = r"(?<![\w/+-])(?=[\w/+=-]*\d)(?=[\w/+=-]*[A-Za-z])[\w+/=-]{20,}"
_NUMBER = r"(?<!line )(?<![\w#])[-+]?\d[\d,_]*(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w])"


def know(*secrets: str) -> None:
    """Remember values that must never be written; very short ones are left to their names."""
    _known.update(secret for secret in secrets if len(secret) >= SHORTEST_KNOWN)


def redacted(text: str) -> str:
    """The text without what is known, or looks, like a secret."""
    for secret in _known:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    for shape, instead in _SHAPES:
        text = re.sub(shape, instead, text)
    return text


def scrubbed(text: str, *, numbers: bool = False) -> str:
    """The text as it may leave the machine: without secrets and long opaque words, without numbers unless they are asked for."""
    text = re.sub(_OPAQUE, "[opaque]", redacted(text))
    return text if numbers else re.sub(_NUMBER, "#", text)
