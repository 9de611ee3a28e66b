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
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL), HIDDEN),
    (re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]+"), HIDDEN),
    (re.compile(r"\b(?:sk|pk|rk|xox[abp]|ghp|gho|github_pat|AKIA)[-_]?[A-Za-z0-9_-]{12,}"), HIDDEN),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@\"']+@"), rf"\1{HIDDEN}@"),
    (re.compile(r"(?i)(/api/webhooks/\d+/|/bot)[A-Za-z0-9:_-]{8,}"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)\b(?:tgram|discord|slack|mailtos?|ntfys?|pover|gotifys?)://[^\s\"'\\]+"), HIDDEN),
    (re.compile(rf"(?i)\b([a-z0-9_-]*{_NAMES}[a-z0-9_-]*(?:\\?[\"'])?\s*[:=]\s*)(\\?[\"'])(?:(?!\2).)+\2"), rf"\1\2{HIDDEN}\2"),
    (re.compile(rf"(?i)\b([a-z0-9_-]*{_NAMES}[a-z0-9_-]*(?:\\?[\"'])?\s*[:=]\s*)(?![\"'\\{{\[])[^\s,;&}})\]]+"), rf"\1{HIDDEN}"),
)
_OPAQUE = re.compile(r"(?<![\w/+-])(?=[\w/+=-]*\d)(?=[\w/+=-]*[A-Za-z])[\w+/=-]{20,}")
_NUMBER = re.compile(r"(?<!line )(?<![\w#])[-+]?\d[\d,_]*(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w])")


def know(*secrets: str) -> None:
    """Remember values that must never be written; very short ones are left to their names."""
    _known.update(secret for secret in secrets if len(secret) >= SHORTEST_KNOWN)


def redacted(text: str) -> str:
    """The text without what is known, or looks, like a secret."""
    for secret in _known:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    for shape, instead in _SHAPES:
        text = shape.sub(instead, text)
    return text


def scrubbed(text: str, *, numbers: bool = False) -> str:
    """The text as it may leave the machine: without secrets and long opaque words, without numbers unless they are asked for."""
    text = _OPAQUE.sub("[opaque]", redacted(text))
    return text if numbers else _NUMBER.sub("#", text)
