"""Models by chat completions, the form that many providers and servers of one's own offer, with a JSON schema for the answer."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from brokers.models.outcomes import Tried, begun, by_deadline, code_of, count_of, host_of, told, wait_of, whole
from engine.research.models import Answered, Ask, ContentBlock, Unavailable, Usage

if TYPE_CHECKING:
    import aiohttp

MOST_BYTES = 4 << 20
STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal", "tool_calls": "tool_use",
                "function_call": "tool_use"}
NEWER_NAMES = ("api.openai.com",)  # where the longest answer is called max_completion_tokens


class ChatCompletions:
    """A line of models at one address; the path /chat/completions is added."""

    def __init__(self, name: str, endpoint: str, key: str) -> None:
        self.name = name
        self.host = host_of(endpoint)
        self._address = f"{endpoint}/chat/completions"
        self._key = key

    async def open(self) -> None:
        """Nothing has to be loaded that is not quick."""

    async def ask(self, ask: Ask, heard: Callable[[int], None] | None = None) -> Answered | Unavailable:
        """Put one request; `heard` is told once, when the answer is there. Ends by the ask's deadline and never raises."""
        outcome = await by_deadline(lambda left_seconds: self._once(ask, left_seconds), ask.deadline_seconds)
        if heard is not None and isinstance(outcome, Answered):
            heard(sum(len(block.text) for block in outcome.content))
        return outcome

    async def close(self) -> None:
        """Nothing stays open between requests."""

    async def _once(self, ask: Ask, left_seconds: float) -> Tried:
        import aiohttp

        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        answers = False
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=max(0.1, left_seconds))) as session,
                session.post(self._address, json=self._body(ask), headers=headers, allow_redirects=False) as response,
            ):
                answers = response.status == 200
                body = await _read(response)
                if response.status != 200:
                    return Tried(self._refusal(response.status, body), wait_of(response.headers.get("retry-after")))
        except TimeoutError:
            return Tried(Unavailable("TIMEOUT", f"{self.host}: no answer in time"))
        except aiohttp.ClientPayloadError as error:
            return begun(Tried(Unavailable("MALFORMED", told(f"{self.host}: the answer broke off: {error}", self._key))))
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
            tried = Tried(Unavailable("UNREACHABLE", told(f"{self.host}: {error}", self._key)))
            return begun(tried) if answers else tried
        found = _parsed(body)
        answer = _answered(found) if found else None
        return Tried(answer) if answer else begun(Tried(Unavailable("MALFORMED", f"{self.host}: not a chat completion")))

    def _body(self, ask: Ask) -> dict[str, Any]:
        longest = "max_completion_tokens" if self.host in NEWER_NAMES else "max_tokens"
        body: dict[str, Any] = {
            "model": ask.model, longest: ask.max_tokens,
            "messages": [{"role": "system", "content": "\n\n".join(ask.system)}, {"role": "user", "content": ask.user}],
            "response_format": {"type": "json_schema",
                                "json_schema": {"name": "answer", "strict": True, "schema": ask.schema}},
        }
        return body | ({"reasoning_effort": ask.effort} if ask.effort else {})

    def _refusal(self, status: int, body: bytes) -> Unavailable:
        error = (_parsed(body) or {}).get("error")
        words = error.get("message", "") if isinstance(error, Mapping) else ""
        return Unavailable(code_of(status), told(f"{self.host}: {status} {words}", self._key))


async def _read(response: "aiohttp.ClientResponse") -> bytes:
    """The body as far as an answer can be long; what is longer is no JSON then."""
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_chunked(1 << 16):
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            break
    return b"".join(parts)


def _parsed(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _answered(found: Mapping[str, Any]) -> Answered | None:
    """The raw answer in the Messages API's words; None for what is no completion."""
    choices = found.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, Mapping) else None
    if not isinstance(choice, Mapping) or not isinstance(message, Mapping):
        return None
    content, refusal = message.get("content"), message.get("refusal")
    reason = STOP_REASONS.get(str(choice.get("finish_reason")), str(choice.get("finish_reason")))
    text = content if isinstance(content, str) else refusal if isinstance(refusal, str) else ""
    stop_reason = "refusal" if isinstance(refusal, str) and refusal else reason
    return Answered(whole(stop_reason), (ContentBlock("text", whole(text)),), _usage(found.get("usage")),
                    whole(str(found.get("model", ""))), whole(str(found.get("id", ""))))


def _usage(usage: object) -> Usage:
    if not isinstance(usage, Mapping):
        return Usage()
    details = usage.get("prompt_tokens_details")
    cached = count_of(details.get("cached_tokens")) if isinstance(details, Mapping) else 0
    return Usage(max(0, count_of(usage.get("prompt_tokens")) - cached), count_of(usage.get("completion_tokens")), cached)
