"""Models over real HTTP on loopback, through the real SDK: every outcome ends by the deadline with its code."""

import json
from typing import Any

import msgspec
import pytest

from brokers.models.anthropic_messages import AnthropicMessages
from brokers.models.chat_completions import ChatCompletions
from brokers.models.outcomes import MOST_TOKENS
from engine.research.models import Answered, Ask, Unavailable, Usage
from engine.research.schema import opinion_schema
from tests.conformance.model_server import Reply, Rule, serving
from tests.unit.research_desk import opinion_text

KEY = "sk-very-secret"
KINDS: dict[str, type[AnthropicMessages] | type[ChatCompletions]] = {"anthropic": AnthropicMessages, "chat": ChatCompletions}
LONG = opinion_text(thesis="x" * 400)


def question(seconds: float = 5.0) -> Ask:
    return Ask("market", "model-a", ("Stable rules.", "Role."), "What now?", opinion_schema(), 800, seconds, "low")


async def outcome(kind: str, rule: Rule, *, streamed: bool = True, seconds: float = 5.0) -> Answered | Unavailable:
    async with serving(rule) as server:
        model = KINDS[kind]("one", server.address, KEY)
        heard: list[int] = []
        found = await model.ask(question(seconds), heard.append if streamed else None)
        await model.close()
    if streamed and isinstance(found, Answered) and found.content[-1].text == LONG:
        assert heard
        assert heard == sorted(heard)
    if isinstance(found, Unavailable):
        assert KEY not in found.message
        assert "\n" not in found.message
    return found


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_message_is_read_by_its_blocks_with_its_usage(streamed: bool) -> None:
    found = await outcome("anthropic", lambda _: Reply(LONG), streamed=streamed)
    assert isinstance(found, Answered)
    assert [(block.kind, block.text) for block in found.content] == [("thinking", "hm"), ("text", LONG)]
    assert (found.stop_reason, found.model, found.usage) == ("end_turn", "model-a", Usage(900, 120, 300, 0))


async def test_a_completion_is_told_in_the_same_words() -> None:
    found = await outcome("chat", lambda _: Reply(LONG, "stop"))
    assert isinstance(found, Answered)
    assert [(block.kind, block.text) for block in found.content] == [("text", LONG)]
    assert (found.stop_reason, found.usage) == ("end_turn", Usage(900, 120, 300))


async def test_what_is_sent_has_a_schema_and_no_sampling_knob() -> None:
    async with serving(lambda _: Reply(LONG)) as server:
        model = AnthropicMessages("one", server.address, KEY)
        await model.ask(question(), None)
        await model.close()
        (body,), (headers,) = server.requests, server.headers
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": opinion_schema()}, "effort": "low"}
    assert [part.get("cache_control") for part in body["system"]] == [{"type": "ephemeral"}] * 2
    assert body["messages"] == [{"role": "user", "content": "What now?"}]
    assert not {"temperature", "top_p", "top_k", "tools", "tool_choice"} & set(body)
    assert headers["authorization"] == f"Bearer {KEY}"


async def test_the_chat_form_carries_schema_and_key() -> None:
    async with serving(lambda _: Reply(LONG, "stop")) as server:
        await ChatCompletions("two", server.address, KEY).ask(question())
        (body,), (headers,) = server.requests, server.headers
    assert body["response_format"]["json_schema"]["schema"] == opinion_schema()
    assert [one["role"] for one in body["messages"]] == ["system", "user"]
    assert headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(("kind", "reply", "stop_reason"), [
    ("anthropic", Reply("I cannot.", "refusal"), "refusal"), ("anthropic", Reply('{"schema_ver', "max_tokens"), "max_tokens"),
    ("anthropic", Reply(stop_reason="tool_use", kind="tool_use"), "tool_use"),
    ("anthropic", Reply("", "pause_turn"), "pause_turn"),
    ("chat", Reply("I cannot.", "content_filter"), "refusal"), ("chat", Reply('{"schema_ver', "length"), "max_tokens"),
])
@pytest.mark.parametrize("streamed", [True, False])
async def test_refused_and_cut_answers_are_answers(kind: str, reply: Reply, stop_reason: str, streamed: bool) -> None:
    found = await outcome(kind, lambda _: reply, streamed=streamed)
    assert isinstance(found, Answered)
    assert found.stop_reason == stop_reason


@pytest.mark.parametrize("kind", ["anthropic", "chat"])
@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(("reply", "code", "tries"), [
    (Reply(status=429, error="rate_limit_error"), "RATE_LIMITED", 2),
    (Reply(status=429, error="rate_limit_error", headers={"retry-after": "4294967"}), "RATE_LIMITED", 1),
    (Reply(status=529, error="overloaded_error"), "OVERLOADED", 2),
    (Reply(status=500, error="api_error"), "SERVER_ERROR", 2),
    (Reply(status=503, error="api_error"), "OVERLOADED", 2),
    (Reply(status=401, error="authentication_error"), "BAD_KEY", 1),
    (Reply(status=403, error="permission_error"), "BAD_KEY", 1),
    (Reply(status=400, error="invalid_request_error"), "BAD_REQUEST", 1),
    (Reply(status=404, error="not_found_error"), "BAD_REQUEST", 1),
    (Reply(status=302, raw="", headers={"location": "http://127.0.0.1:1/"}), "BAD_REQUEST", 1),
])
async def test_refusals_by_status(kind: str, reply: Reply, code: str, tries: int, streamed: bool) -> None:
    asked: list[object] = []

    def rule(body: dict[str, Any]) -> Reply:
        asked.append(body)
        return reply

    found = await outcome(kind, rule, streamed=streamed)
    assert isinstance(found, Unavailable)
    assert (found.code, len(asked), found.charged) == (code, tries, False)


@pytest.mark.parametrize("kind", ["anthropic", "chat"])
@pytest.mark.parametrize("raw", ["", "not json", "[]", "3", '{"choices": [], "content": 3}', '{"content": [], "stop_reason": 7}',
                                 '{"choices": [{"message": 1}]}', "[" * 5_000])
@pytest.mark.parametrize("streamed", [True, False])
async def test_what_is_no_answer_is_malformed(kind: str, raw: str, streamed: bool) -> None:
    found = await outcome(kind, lambda _: Reply(raw=raw), streamed=streamed)
    assert isinstance(found, Unavailable)
    assert (found.code, found.charged) == ("MALFORMED", True)


@pytest.mark.parametrize("kind", ["anthropic", "chat"])
async def test_a_count_of_tokens_that_no_context_holds_is_not_taken_at_its_word(kind: str) -> None:
    count = 10**30
    usage = dict.fromkeys(("input_tokens", "output_tokens", "prompt_tokens", "completion_tokens"), count)
    body = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": LONG}],
            "stop_reason": "end_turn", "usage": usage,
            "choices": [{"message": {"content": LONG}, "finish_reason": "stop"}]}
    found = await outcome(kind, lambda _: Reply(raw=json.dumps(body)), streamed=False)
    assert isinstance(found, Answered)
    assert (found.usage.tokens_in, found.usage.tokens_out) == (MOST_TOKENS, MOST_TOKENS)


async def test_an_error_in_the_middle_of_a_stream_has_its_code() -> None:
    found = await outcome("anthropic", lambda _: Reply("x" * 500, error="overloaded_error"))
    assert isinstance(found, Unavailable)
    assert (found.code, found.charged) == ("OVERLOADED", True)


@pytest.mark.parametrize(("kind", "reply"), [
    ("anthropic", Reply(LONG, seconds=30.0)), ("anthropic", Reply(LONG, pause=30.0)),
    ("chat", Reply(LONG, "stop", seconds=30.0))])
async def test_slow_and_hanging_answers_end_by_the_deadline(kind: str, reply: Reply) -> None:
    found = await outcome(kind, lambda _: reply, seconds=0.3)
    assert isinstance(found, Unavailable)
    assert found.code == "TIMEOUT"


async def test_a_refusal_that_is_tried_again_and_then_hangs_keeps_its_code() -> None:
    replies = iter([Reply(status=529, error="overloaded_error"), Reply(LONG, seconds=30.0)])
    found = await outcome("anthropic", lambda _: next(replies), seconds=1.5)
    assert isinstance(found, Unavailable)
    assert found.code in {"OVERLOADED", "TIMEOUT"}
    assert found.charged, "the second one may be answered when nobody listens any more"


async def test_a_second_try_may_succeed() -> None:
    replies = iter([Reply(status=529, error="overloaded_error"), Reply(LONG)])
    assert isinstance(await outcome("anthropic", lambda _: next(replies)), Answered)


@pytest.mark.parametrize("kind", ["anthropic", "chat"])
async def test_nobody_there(kind: str) -> None:
    model = KINDS[kind]("one", "http://127.0.0.1:9", KEY)
    found = await model.ask(question(2.0), lambda _: None)
    await model.close()
    assert isinstance(found, Unavailable)
    assert found.code == "UNREACHABLE"


@pytest.mark.parametrize("kind", ["anthropic", "chat"])
async def test_no_proxy_of_the_environment_is_handed_a_key(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert isinstance(await outcome(kind, lambda _: Reply(LONG, "stop" if kind == "chat" else "end_turn")), Answered)


async def test_nothing_in_the_environment_decides_where_a_key_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-other")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "sk-other")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "Authorization: Bearer sk-other")
    async with serving(lambda _: Reply(LONG)) as server:
        model = AnthropicMessages("one", server.address, KEY)
        assert isinstance(await model.ask(question(), None), Answered)
        await model.close()
        assert server.headers[0]["authorization"] == f"Bearer {KEY}"
        assert "sk-other" not in str(server.headers)


@pytest.mark.parametrize("kind", ["anthropic", "chat"])
@pytest.mark.parametrize("streamed", [True, False])
async def test_half_a_surrogate_pair_can_be_written_down(kind: str, streamed: bool) -> None:
    found = await outcome(kind, lambda _: Reply("a\ud800b", "stop" if kind == "chat" else "end_turn"), streamed=streamed)
    assert isinstance(found, Answered)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Answered) == found
    assert found.content[-1].text == "a?b"
