"""Every call of a run goes through here: budget, breaker, deadline and concurrency before it, the archive after it.

What a call comes to, an answer or the code why there is none, is kept under the hash of its request before anything rests on it.
So a replay needs nothing but the record: a refusal for lack of budget is found there like an answer.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from engine.research.breaker import FAILURES, Breaker
from engine.research.call_hash import call_hash
from engine.research.models import Answered, Ask, CallStore, Model, Recording, Unavailable, Usage
from engine.research.settings import Deadlines
from engine.research.spending import Cycle, Purse, dearest
from engine.units import NS_PER_SECOND

GRACE_SECONDS = 1.0  # a model ends by its own deadline; one that does not is left alone
_log = logging.getLogger("quarterdeck.research")

NO_ANSWER = FAILURES | {"NO_KEY", "BUDGET", "BREAKER", "NOT_RECORDED"}

type Told = Callable[[int], None]


class Heard(NamedTuple):
    """What a call came to, and the name of its request."""

    call_hash: str
    answer: Answered | Unavailable


class Calls(Protocol):
    """The calls of one cycle."""

    async def ask(self, line: str, ask: Ask, told: Told) -> Heard:
        """Put a request to a line of models; `told` hears of the characters received so far."""
        ...


class Caller(Protocol):
    """Where a run's calls go: to models, or to a recording."""

    def cycle(self, run_id: str) -> Calls: ...


class LiveCaller:
    """Calls real models. One for the whole engine, so that budget, breaker and concurrency hold for all runs together."""

    def __init__(self, models: Mapping[str, Model], store: CallStore, purse: Purse, breaker: Breaker, deadlines: Deadlines,
                 now_ns: Callable[[], int]) -> None:
        self.models = models
        self.purse = purse
        self.breaker = breaker
        self.deadlines = deadlines
        self.now_ns = now_ns
        self._store = store
        self._loop: asyncio.AbstractEventLoop | None = None
        self._places = asyncio.Semaphore(deadlines.concurrent_calls)

    def cycle(self, run_id: str) -> Calls:
        """The calls of a new cycle, whose time begins with the first of them."""
        return _LiveCalls(self, run_id, self.purse.cycle(run_id))

    async def open(self) -> None:
        """Load what the models need; quick once it is there."""
        for model in self.models.values():
            await model.open()

    async def close(self) -> None:
        """Close what the models hold open; in the loop that asked."""
        for model in self.models.values():
            await model.close()

    def keep(self, heard: Heard, ask: Ask, run_id: str) -> Heard:
        """Write a call to the archive; raises `StoreError` where that fails: then nothing may rest on it."""
        self._store.keep_call(heard.call_hash, ask, heard.answer, self.now_ns(), run_id)
        return heard

    def places(self) -> asyncio.Semaphore:
        """The places for calls under way, of the loop that runs now."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._places = loop, asyncio.Semaphore(self.deadlines.concurrent_calls)
        return self._places


class _LiveCalls:
    def __init__(self, caller: LiveCaller, run_id: str, cycle: Cycle) -> None:
        self._caller = caller
        self._run_id = run_id
        self._cycle = cycle
        self._ends_ns = 0

    async def ask(self, line: str, ask: Ask, told: Told) -> Heard:
        await self._caller.open()
        if not self._ends_ns:
            self._ends_ns = self._caller.now_ns() + round(self._caller.deadlines.cycle_seconds * NS_PER_SECOND)
        async with self._caller.places():
            answer = await self._answer(line, ask, told)
        return self._caller.keep(Heard(call_hash(ask), answer), ask, self._run_id)

    async def _answer(self, line: str, ask: Ask, told: Told) -> Answered | Unavailable:
        caller, now_ns = self._caller, self._caller.now_ns()
        left_seconds = min(ask.deadline_seconds, (self._ends_ns - now_ns) / NS_PER_SECOND)
        if line not in caller.models:
            return Unavailable("NO_KEY", f'no key for the models of "{line}"')
        if caller.breaker.is_open(now_ns):
            return Unavailable("BREAKER", "the models are left alone after several failures")
        if left_seconds <= 0:
            return Unavailable("TIMEOUT", f"the cycle took longer than {caller.deadlines.cycle_seconds:g} s")
        aside = self._cycle.set_aside(ask)
        if isinstance(aside, str):
            return Unavailable("BUDGET", aside)
        try:
            answer = _counted(ask, await _bounded(caller.models[line], ask, left_seconds, told))
            if isinstance(answer, Answered) or not answer.charged:
                self._cycle.settle(aside, ask.model, answer.usage if isinstance(answer, Answered) else Usage())
        finally:
            self._cycle.ended(aside)
        caller.breaker.heard(answer.code if isinstance(answer, Unavailable) else "", caller.now_ns())
        return answer


def _counted(ask: Ask, answer: Answered | Unavailable) -> Answered | Unavailable:
    """An answer whose provider does not tell what went in, or what came out, counts as the dearest that this can have been: none
    is free for want of a number."""
    if isinstance(answer, Unavailable):
        return answer
    told, most = answer.usage, dearest(ask)
    went_in = told.tokens_in or told.cache_read_tokens or told.cache_write_tokens
    usage = replace(told, tokens_in=told.tokens_in if went_in else most.tokens_in, tokens_out=told.tokens_out or most.tokens_out)
    return answer if usage == told else replace(answer, usage=usage)


async def _bounded(model: Model, ask: Ask, left_seconds: float, told: Told) -> Answered | Unavailable:
    """The answer of a model by the deadline, whatever the model's adapter does."""
    bounded = Ask(ask.role, ask.model, ask.system, ask.user, ask.schema, ask.max_tokens, left_seconds, ask.effort)
    try:
        async with asyncio.timeout(left_seconds + GRACE_SECONDS):
            answer = await model.ask(bounded, told)
            return replace(answer, charged=True) if isinstance(answer, Unavailable) and answer.code == "TIMEOUT" else answer
    except TimeoutError:
        return Unavailable("TIMEOUT", f"no answer within {left_seconds:.1f} s", charged=True)
    except Exception as error:  # noqa: BLE001 - whatever a library raises is an answer that did not come
        _log.error("a model's adapter failed", exc_info=error)
        return Unavailable("MALFORMED", f"{type(error).__name__} while the answer was read: the log has the details",
                           charged=True)


class RecordedCaller:
    """Answers from a recording alone. A request that is not there is an error, NOT_RECORDED, and never a call."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._seen: Counter[str] = Counter()

    def cycle(self, run_id: str) -> Calls:  # noqa: ARG002 - the caller's shape
        return self

    async def ask(self, line: str, ask: Ask, told: Told) -> Heard:  # noqa: ARG002 - the same
        name = call_hash(ask)
        found = self._recording.recorded(name, self._seen[name])
        self._seen[name] += 1
        return Heard(name, found or Unavailable("NOT_RECORDED", f"the recording holds no answer to {ask.role} ({name[:12]})"))
