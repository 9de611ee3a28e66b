"""Models by the Messages API, through Anthropic's SDK.

`create` and the raw stream, never `parse`: a refusal or a cut answer is data here, to be kept and read like any other. Key and
address are passed explicitly, so that nothing in the environment decides where a key goes; redirects are not followed.
"""

import asyncio
import importlib
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from brokers.models.outcomes import Tried, begun, by_deadline, code_of, count_of, host_of, told, wait_of, whole
from engine.research.models import Answered, Ask, ContentBlock, Unavailable, Usage

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic
    from anthropic.types import Message

HEARD_EVERY = 200  # characters between two words of progress
CACHED_PARTS = 2   # the last parts of the system prompt that are marked; the provider takes four marks
NO_KEY = "none"

type Heard = Callable[[int], None]


class AnthropicMessages:
    """A line of models at one address. Its connections belong to the loop in which it is first asked."""

    def __init__(self, name: str, endpoint: str, key: str) -> None:
        self.name = name
        self.host = host_of(endpoint)
        self._endpoint = endpoint
        self._key = key
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: AsyncAnthropic | None = None

    async def open(self) -> None:
        """Import the SDK, which takes two seconds, once."""
        await asyncio.to_thread(importlib.import_module, "anthropic")

    async def ask(self, ask: Ask, heard: Heard | None = None) -> Answered | Unavailable:
        """Put one request, streamed where progress is listened to. Ends by the ask's deadline and never raises."""
        await self.open()
        return await by_deadline(lambda left_seconds: self._once(ask, left_seconds, heard), ask.deadline_seconds)

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.close()

    async def _once(self, ask: Ask, left_seconds: float, heard: Heard | None) -> Tried:
        streams: list[str] = []
        tried = await self._tried(ask, left_seconds, heard, streams.append)
        is_spoiled = isinstance(tried.outcome, Unavailable) and tried.outcome.code == "MALFORMED"
        return begun(tried) if streams or is_spoiled else tried

    async def _tried(self, ask: Ask, left_seconds: float, heard: Heard | None, began: Callable[[str], None]) -> Tried:
        import anthropic
        import httpx2

        try:
            message = await self._message(ask, left_seconds, heard, began)
        except (anthropic.APITimeoutError, httpx2.TimeoutException):
            return Tried(Unavailable("TIMEOUT", f"{self.host}: no answer in time"))
        except anthropic.APIConnectionError as error:
            return Tried(Unavailable("UNREACHABLE", told(f"{self.host}: {error.__cause__ or error}", self._key)))
        except anthropic.APIStatusError as error:
            message_told = told(f"{self.host}: {error.status_code} {error.type or ''}: {error.api_message or ''}", self._key)
            return Tried(Unavailable(code_of(error.status_code, error.type or ""), message_told),
                         wait_of(error.response.headers.get("retry-after")))
        except (anthropic.AnthropicError, ValueError, TypeError, AttributeError, LookupError, AssertionError,
                RecursionError) as error:
            return Tried(Unavailable("MALFORMED", told(f"{self.host}: {type(error).__name__}: {error}", self._key)))
        except (httpx2.HTTPError, OSError) as error:
            return Tried(Unavailable("UNREACHABLE", told(f"{self.host}: {error}", self._key)))
        return Tried(_answered(message) or Unavailable("MALFORMED", f"{self.host}: the answer is not a message"))

    async def _message(self, ask: Ask, left_seconds: float, heard: Heard | None, began: Callable[[str], None]) -> "Message":
        """The message; `began` hears of the model once its stream is there."""
        client = self._connected()
        request = _request_of(ask) | {"timeout": max(0.1, left_seconds)}
        if heard is None:
            made: Message = await client.messages.create(**request)
            return made
        async with client.messages.stream(**request) as stream:
            began(ask.model)
            characters = told_at = 0
            async for text in stream.text_stream:
                characters += len(text)
                if characters - told_at >= HEARD_EVERY:
                    told_at = characters
                    heard(characters)
            return await stream.get_final_message()

    def _connected(self) -> "AsyncAnthropic":
        """The client of the loop that runs now."""
        import anthropic
        import httpx2

        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._loop = loop
            logging.getLogger("httpx2").setLevel(logging.WARNING)  # a line for every request says nothing that the archive lacks
            self._client = anthropic.AsyncAnthropic(
                api_key=self._key or NO_KEY, base_url=self._endpoint, max_retries=0,
                default_headers={"Authorization": f"Bearer {self._key or NO_KEY}"},  # before any from the environment
                # the SDK's own client takes proxies from the environment, whatever it is told
                http_client=httpx2.AsyncClient(follow_redirects=False, trust_env=False, base_url=self._endpoint))
        return self._client


def _request_of(ask: Ask) -> dict[str, Any]:
    """The request in the SDK's words. Only what is stable is marked for the provider's cache."""
    first_marked = len(ask.system) - CACHED_PARTS
    system = [{"type": "text", "text": part} | ({"cache_control": {"type": "ephemeral"}} if place >= first_marked else {})
              for place, part in enumerate(ask.system)]
    output: dict[str, Any] = {"format": {"type": "json_schema", "schema": ask.schema}}
    if ask.effort:
        output["effort"] = ask.effort
    return {"model": ask.model, "max_tokens": ask.max_tokens, "system": system, "output_config": output,
            "messages": [{"role": "user", "content": ask.user}]}


def _answered(message: "Message") -> Answered | None:
    """The raw answer; None for what is no message. The SDK makes objects of whatever came, so every field is looked at."""
    content, stop_reason, usage = (getattr(message, name, None) for name in ("content", "stop_reason", "usage"))
    if not isinstance(content, list) or not isinstance(stop_reason, str):
        return None
    return Answered(_text(stop_reason), tuple(_blocks(content)), _usage(usage), _text(getattr(message, "model", "")),
                    _text(getattr(message, "id", "")))


def _blocks(content: Iterable[object]) -> Iterable[ContentBlock]:
    for block in content:
        kind = _text(getattr(block, "type", ""))
        yield ContentBlock(kind, _text(getattr(block, "text" if kind == "text" else "thinking", "")))


def _usage(usage: object) -> Usage:
    names = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    counts = [getattr(usage, name, 0) for name in names]
    return Usage(*map(count_of, counts))


def _text(value: object) -> str:
    return whole(value) if isinstance(value, str) else ""
