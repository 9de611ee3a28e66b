"""A local server that speaks the Messages API and chat completions over real HTTP, and does whatever a test tells it to."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

from aiohttp import web

USAGE = {"input_tokens": 900, "output_tokens": 120, "cache_read_input_tokens": 300, "cache_creation_input_tokens": 0}


class Reply(NamedTuple):
    """What the server does with one request: an answer, or a status with an error's type; `seconds` it takes before, `pause` it
    makes within a stream. With `raw` the body is that, whatever was asked."""

    text: str = ""
    stop_reason: str = "end_turn"
    status: int = 200
    error: str = ""
    seconds: float = 0.0
    pause: float = 0.0
    raw: str | None = None
    headers: Mapping[str, str] = MappingProxyType({})
    kind: str = "text"


type Rule = Callable[[dict[str, Any]], Reply]


class ModelServer:
    """What was asked lies in `requests`, with the headers in `headers`."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.address = ""

    async def _take(self, request: web.Request) -> tuple[dict[str, Any], Reply]:
        body = await request.json()
        self.requests.append(body)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        reply = self.rule(body)
        if reply.seconds:
            await asyncio.sleep(reply.seconds)
        return body, reply

    async def messages(self, request: web.Request) -> web.StreamResponse:
        body, reply = await self._take(request)
        if reply.raw is not None:
            return web.Response(text=reply.raw, status=reply.status, headers=reply.headers, content_type="application/json")
        if reply.status != 200:
            told = {"type": "error", "error": {"type": reply.error, "message": f"told: {reply.error}"}}
            return web.json_response(told, status=reply.status, headers=reply.headers)
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "stop_sequence": None,
                   "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, _block(reply)],
                   "stop_reason": reply.stop_reason, "usage": USAGE}
        if not body.get("stream"):
            return web.json_response(message)
        return await _streamed(request, message, reply)

    async def completions(self, request: web.Request) -> web.StreamResponse:
        body, reply = await self._take(request)
        if reply.raw is not None:
            return web.Response(text=reply.raw, status=reply.status, headers=reply.headers, content_type="application/json")
        if reply.status != 200:
            return web.json_response({"error": {"message": f"told: {reply.error}"}}, status=reply.status, headers=reply.headers)
        message = {"role": "assistant", "content": None if reply.stop_reason == "content_filter" else reply.text,
                   "refusal": reply.text if reply.stop_reason == "content_filter" else None}
        return web.json_response({
            "id": "chat_1", "object": "chat.completion", "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": reply.stop_reason}],
            "usage": {"prompt_tokens": 1_200, "completion_tokens": 120, "prompt_tokens_details": {"cached_tokens": 300}}})


def _block(reply: Reply) -> dict[str, Any]:
    if reply.kind == "tool_use":
        return {"type": "tool_use", "id": "t", "name": "order", "input": {}}
    return {"type": "text", "text": reply.text}


async def _streamed(request: web.Request, message: dict[str, Any], reply: Reply) -> web.StreamResponse:
    """The message as server-sent events, its text in pieces."""
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)

    async def send(kind: str, **fields: Any) -> None:
        await response.write(f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode())

    await send("message_start", message=message | {"content": [], "stop_reason": None})
    for index, block in enumerate(message["content"]):
        told, kind, field = (("text", "text_delta", "text") if block["type"] == "text"
                             else ("thinking", "thinking_delta", "thinking") if block["type"] == "thinking" else ("", "", ""))
        await send("content_block_start", index=index, content_block=block | ({told: ""} if told else {}))
        text = block.get(told, "") if told else ""
        for start in range(0, len(text), 150):
            await send("content_block_delta", index=index, delta={"type": kind, field: text[start:start + 150]})
            if reply.pause:
                await asyncio.sleep(reply.pause)
        await send("content_block_stop", index=index)
    if reply.error:
        await send("error", error={"type": reply.error, "message": "in the middle"})
        return response
    await send("message_delta", delta={"stop_reason": message["stop_reason"], "stop_sequence": None},
               usage={"output_tokens": USAGE["output_tokens"]})
    await send("message_stop")
    return response


@asynccontextmanager
async def serving(rule: Rule) -> AsyncIterator[ModelServer]:
    """The server on a free port of the loopback interface, while the block runs."""
    server = ModelServer(rule)
    app = web.Application()
    app.router.add_post("/v1/messages", server.messages)
    app.router.add_post("/chat/completions", server.completions)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


@contextmanager
def served_beside(rule: Rule) -> Iterator[ModelServer]:
    """The same in a thread of its own, for what runs an event loop itself."""
    loop = asyncio.new_event_loop()
    ready, ended = threading.Event(), asyncio.Event()
    made: list[ModelServer] = []

    async def serve() -> None:
        async with serving(rule) as server:
            made.append(server)
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="model server")
    thread.start()
    try:
        assert ready.wait(10)
        yield made[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        loop.close()
