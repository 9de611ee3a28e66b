"""A run again, from its recording alone: it has to come to the same, field by field, and asks nobody."""

from typing import NamedTuple

import msgspec

from engine.errors import UsageError
from engine.research.calling import RecordedCaller
from engine.research.decided import Decided
from engine.research.deciding import digest_of
from engine.research.models import Answered, Ask, Recording, Unavailable
from engine.research.pipeline import run_pipeline
from engine.research.task import Asked, PipelineTask


class Replayed(NamedTuple):
    """What one instrument of a run came to again. `recorded` is the digest that was kept, "" where the run never ended."""

    symbol: str
    decided: tuple[Decided, ...]
    digest: str
    recorded: str

    @property
    def is_same(self) -> bool:
        return self.digest == self.recorded

    @property
    def misses(self) -> int:
        """Calls that the recording does not hold."""
        return sum(answer.code == "NOT_RECORDED" for one in self.decided for answer in one.answers)


class _Nowhere:
    """A store that keeps nothing: what is replayed is kept already."""

    def keep_call(self, call_hash: str, ask: Ask, answer: Answered | Unavailable, at_ns: int, run_id: str) -> None: ...

    def keep_snapshot(self, snapshot_id: str, portfolio: str, symbol: str, as_of_ns: int, body: bytes) -> None: ...

    def keep_asked(self, run_id: str, instrument_id: str, body: bytes) -> None: ...

    def keep_decided(self, run_id: str, instrument_id: str, digest: str) -> None: ...


async def replayed(body: bytes | str, recorded_digest: str, recording: Recording) -> Replayed:
    """Replay what was asked for one instrument. Raises `UsageError` where it was written by a program that this one does not
    understand."""
    try:
        asked = msgspec.json.decode(body, type=Asked)
    except msgspec.MsgspecError as error:
        raise UsageError(f"the recording was made by another version of the program ({error})") from error
    decided = await run_pipeline(PipelineTask(asked, RecordedCaller(recording), _Nowhere()))
    return Replayed(asked.symbol, decided, digest_of(decided), recorded_digest)
