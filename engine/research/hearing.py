"""One question to one role: put, read, asked once more where the answer was unclear, and told to whoever watches."""

from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from engine.research.calling import Calls, Heard
from engine.research.decided import RoleAnswer
from engine.research.models import Answered, Ask, Unavailable
from engine.research.opinions import Opinion, Reading, Verdict
from engine.research.prompts import RETRY
from engine.research.settings import ModelPrice
from engine.research.spending import UNPRICED, cost_micro_usd
from engine.research.task import Told
from engine.research_words import RoleProgress


class Part[T](NamedTuple):
    """What a role came to: a value, or the code why there is none, with an entry for each call behind it. `unheard` where no
    answer came, other than one that could not be used."""

    value: T | None
    answers: tuple[RoleAnswer, ...]
    code: str = ""
    message: str = ""
    rejected: bool = False
    unheard: bool = False


class Hearing(NamedTuple):
    """Where the questions of one cycle go, and who hears of them."""

    calls: Calls
    prices: dict[str, ModelPrice]
    told: Told

    async def put[T](self, line: str, ask: Ask, read: Callable[[Answered], tuple[T | None, Reading]]) -> Part[T]:
        """Ask, and ask again once where the answer can be read two ways; then the role abstains."""
        self.told(RoleProgress(ask.role, "asking"))
        first = await self._asked(line, ask, read)
        if first.code and first.retry:
            again = replace(ask, user=f"{ask.user}\n\n{RETRY.format(message=first.message)}")
            second = await self._asked(line, again, read)
            part = Part(second.value, (first.entry, second.entry), second.code, second.message, second.rejected, second.unheard)
        else:
            part = Part(first.value, (first.entry,), first.code, first.message, first.rejected, first.unheard)
        state = "answered" if not part.code else "abstained" if part.rejected or first.retry else "failed"
        self.told(RoleProgress(ask.role, state, 0, part.answers[-1].p_up, part.code))
        return part

    async def _asked[T](self, line: str, ask: Ask, read: Callable[[Answered], tuple[T | None, Reading]]) -> "_Once[T]":
        heard = await self.calls.ask(line, ask, lambda characters: self.told(RoleProgress(ask.role, "asking", characters)))
        entry = self._entry(ask, heard)
        if isinstance(heard.answer, Unavailable):
            return _Once(None, replace(entry, code=heard.answer.code), heard.answer.code, heard.answer.message,
                         unheard=True)
        value, reading = read(heard.answer)
        entry = replace(entry, repairs=reading.repairs, code=reading.code)
        if value is None:
            return _Once(None, entry, reading.code or reading.verdict, reading.message, retry=reading.verdict is Verdict.RETRY,
                         rejected=reading.verdict is Verdict.REJECT)
        if isinstance(value, Opinion):
            entry = replace(entry, stance=value.stance)
        return _Once(value, replace(entry, p_up=getattr(value, "p_up", None)))

    def _entry(self, ask: Ask, heard: Heard) -> RoleAnswer:
        answer = heard.answer
        entry = RoleAnswer(ask.role, f"llm/{ask.model}", heard.call_hash, latency_ms=answer.latency_ms)
        if isinstance(answer, Unavailable):
            return entry
        usage = answer.usage
        return replace(entry, tokens_in=usage.tokens_in + usage.cache_read_tokens + usage.cache_write_tokens,
                       tokens_out=usage.tokens_out,
                       cost_micro_usd=cost_micro_usd(self.prices.get(ask.model, UNPRICED), usage))


class _Once[T](NamedTuple):
    value: T | None
    entry: RoleAnswer
    code: str = ""
    message: str = ""
    retry: bool = False
    rejected: bool = False
    unheard: bool = False
