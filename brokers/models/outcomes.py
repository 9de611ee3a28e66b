"""What is the same for every provider: codes for what went wrong, one more try where that may help, an end by the deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from msgspec.structs import replace

from engine.plain_text import plain
from engine.research.models import Answered, Unavailable

RETRIED = frozenset({"RATE_LIMITED", "OVERLOADED", "SERVER_ERROR", "UNREACHABLE"})
RETRY_SECONDS = 0.5
LONGEST_MESSAGE = 200
MOST_TOKENS = 10_000_000
_CODES = {400: "BAD_REQUEST", 401: "BAD_KEY", 402: "BAD_KEY", 403: "BAD_KEY", 408: "TIMEOUT", 429: "RATE_LIMITED",
          503: "OVERLOADED", 504: "TIMEOUT", 529: "OVERLOADED"}
_TYPES = {"authentication_error": "BAD_KEY", "permission_error": "BAD_KEY", "billing_error": "BAD_KEY",
          "rate_limit_error": "RATE_LIMITED", "overloaded_error": "OVERLOADED", "api_error": "SERVER_ERROR",
          "timeout_error": "TIMEOUT", "invalid_request_error": "BAD_REQUEST", "not_found_error": "BAD_REQUEST"}


class Tried(NamedTuple):
    """One try: its outcome, and how long the provider asks to wait before another one (0: it does not say)."""

    outcome: Answered | Unavailable
    wait_seconds: float = 0.0


def code_of(status: int, kind: str = "") -> str:
    """The code of a refusal, by the provider's word for it where there is one, else by its HTTP status."""
    if kind in _TYPES and (status < 400 or status not in _CODES):
        return _TYPES[kind]
    return _CODES.get(status) or ("SERVER_ERROR" if status >= 500 else "BAD_REQUEST")


def told(text: str, key: str) -> str:
    """A provider's words as one short line in which the key does not stand."""
    return plain(text.replace(key, "(key)") if key else text)[:LONGEST_MESSAGE]


def whole(text: str) -> str:
    """A text that can be written down: half of a surrogate pair, which JSON can spell, becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


def count_of(value: object) -> int:
    """A provider's count of tokens; what no context holds, and no number that lasts, counts for as much as is believed."""
    return min(value, MOST_TOKENS) if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def begun(tried: Tried) -> Tried:
    """A try whose answer had begun: where it came to nothing it may be charged all the same."""
    return tried._replace(outcome=replace(tried.outcome, charged=True)) if isinstance(tried.outcome, Unavailable) else tried


def host_of(endpoint: str) -> str:
    """The host that is shown beside a model's name."""
    return urlsplit(endpoint).netloc


def wait_of(header: str | None) -> float:
    """The seconds of a Retry-After header; 0 where it is missing or a date."""
    try:
        return max(0.0, float(header or 0))
    except ValueError:
        return 0.0


async def by_deadline(once: Callable[[float], Awaitable[Tried]], deadline_seconds: float) -> Answered | Unavailable:
    """The outcome of at most two tries, whatever the provider does, by the deadline; `once` is told the seconds that are left.

    A second try is made only where waiting for it leaves half of the time: what a provider asks to wait is not waited for else;
    and never after an answer that had begun, which may be charged already.
    """
    begun = time.monotonic()
    last = Unavailable("TIMEOUT", f"no answer within {deadline_seconds:.1f} s")

    def left_seconds() -> float:
        return deadline_seconds - (time.monotonic() - begun)

    try:
        async with asyncio.timeout(deadline_seconds):
            tried = await once(left_seconds())
            if isinstance(tried.outcome, Unavailable) and tried.outcome.code in RETRIED and not tried.outcome.charged:
                last = tried.outcome
                wait = max(RETRY_SECONDS, tried.wait_seconds)
                if wait < left_seconds() / 2:
                    await asyncio.sleep(wait)
                    last = replace(last, charged=True)  # the second one may be answered when nobody listens any more
                    tried = await once(left_seconds())
            last_outcome: Answered | Unavailable = tried.outcome
    except TimeoutError:
        last_outcome = last
    return replace(last_outcome, latency_ms=round(1000 * (time.monotonic() - begun)))
