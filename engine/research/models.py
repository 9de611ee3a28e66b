"""The port behind which models answer; adapters live in `brokers.models`."""

from collections.abc import Callable
from typing import Any, Protocol

import msgspec


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens of one call, as the provider counts them."""

    tokens_in: int = 0
    tokens_out: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0


class Ask(msgspec.Struct, frozen=True):
    """One request. `system` parts are stable and may be cached by the provider, in this order; `user` is what is new. `schema` is
    the JSON schema that the answer has to follow. No sampling knobs: determinism comes from recording."""

    role: str
    model: str
    system: tuple[str, ...]
    user: str
    schema: dict[str, Any]
    max_tokens: int
    deadline_seconds: float
    effort: str = ""


class ContentBlock(msgspec.Struct, frozen=True):
    """A block of a raw answer: `kind` is text, thinking, tool_use …; only text is ever read."""

    kind: str
    text: str = ""


class Answered(msgspec.Struct, frozen=True):
    """The raw answer of a model, whatever it says; `stop_reason` in the Messages API's words."""

    stop_reason: str
    content: tuple[ContentBlock, ...]
    usage: Usage = Usage()
    model: str = ""
    request_id: str = ""
    latency_ms: int = 0


class Unavailable(msgspec.Struct, frozen=True):
    """There is no answer. `code` is TIMEOUT, RATE_LIMITED, OVERLOADED, SERVER_ERROR, UNREACHABLE, BAD_REQUEST, BAD_KEY,
    MALFORMED, NO_KEY, BUDGET, BREAKER or NOT_RECORDED; `message` one line without secrets. `charged` where the provider may ask
    money for it all the same: an answer had begun, or may have."""

    code: str
    message: str
    latency_ms: int = 0
    charged: bool = False


class Model(Protocol):
    """One provider. It ends within the deadline and never raises for what a provider may do."""

    name: str
    host: str

    async def open(self) -> None:
        """Load what the first request needs: time that is not the provider's. A second call does nothing."""
        ...

    async def ask(self, ask: Ask, heard: Callable[[int], None] | None = None) -> Answered | Unavailable:
        """Put one request; `heard` is told the characters received so far, where the answer is streamed."""
        ...

    async def close(self) -> None:
        """Close what stayed open between requests; in the loop that asked."""
        ...


class Recording(Protocol):
    """The calls of one run as they once went: a run in the archive, or an exported file."""

    def recorded(self, call_hash: str, occurrence: int) -> Answered | Unavailable | None:
        """The answer to the n-th (from 0) call with this request in the recording; None is a miss, which is an error."""
        ...


class CallStore(Protocol):
    """Keeps all that a run rests on, content-addressed and written before anything rests on it. Raises `StoreError`."""

    def keep_call(self, call_hash: str, ask: Ask, answer: Answered | Unavailable, at_ns: int, run_id: str) -> None: ...

    def keep_snapshot(self, snapshot_id: str, portfolio: str, symbol: str, as_of_ns: int, body: bytes) -> None: ...

    def keep_asked(self, run_id: str, instrument_id: str, body: bytes) -> None:
        """Keep what a run was asked for one instrument, as JSON: with the calls it is all that a replay needs."""
        ...

    def keep_decided(self, run_id: str, instrument_id: str, digest: str) -> None:
        """Keep the digest of what a run came to for one instrument: a replay has to come to the same."""
        ...
