"""What a run is asked for one instrument, as data that can be kept, and with whom it speaks while it runs."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from engine.research.calling import Caller
from engine.research.decided import ResearchCause
from engine.research.events import NoteReading
from engine.research.models import CallStore
from engine.research.parameters import Parameters
from engine.research.recalibration import CellMap
from engine.research.rule_analyst import Daily
from engine.research.settings import ResearchSettings
from engine.research.snapshot import Snapshot
from engine.research.worth import Room
from engine.research_words import RoleProgress


class Asked(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything that the result depends on, but for the answers of models: with those it comes to the same again.

    `number` is the instrument's place in the run, from 1. `held` is what is held, in units, negative when short. `symbols` are
    the instruments that an answer may name; `atr_bps` is the average true range of a day in bps of the mark, 0 where not known.
    `daily` are closed daily bars, oldest first, as far as they were known at `snapshot.as_of_ns`. `room` is what a new position
    may risk, `cost_bps` what a round trip costs. `salt` is 128 bits of chance in hex, made for the run.
    """

    run_id: str
    number: int
    cause: ResearchCause
    thread_id: str
    instrument_id: str
    asset_class: str
    snapshot: Snapshot
    symbols: tuple[str, ...]
    daily: Daily
    horizon_days: int
    aggressiveness: int
    cost_bps: float
    salt: str
    held: float = 0.0
    shortable: bool = False
    atr_bps: float = 0.0
    room: Room = Room()
    maps: tuple[CellMap, ...] = ()
    regime: str = ""
    settings: ResearchSettings = ResearchSettings()
    parameters: Parameters = Parameters()

    @property
    def round_trip_bps(self) -> float:
        """What a round trip is expected to cost, with what was learned of slippage: never less than nothing."""
        return max(0.0, self.cost_bps + self.parameters.slippage_bps)

    @property
    def symbol(self) -> str:
        return self.snapshot.symbol

    @property
    def side(self) -> int:
        """The sign of what is held."""
        return (self.held > 0) - (self.held < 0)


type Told = Callable[[RoleProgress], None]


def told_to_nobody(progress: RoleProgress) -> None:
    """Nobody watches."""


def noted_by_nobody(readings: Sequence[NoteReading]) -> None:
    """Nobody keeps what the news role reads."""


class PipelineTask(NamedTuple):
    """A run for one instrument: what is asked, where calls go, where everything is kept, who is told of the progress, and of what
    the news role made of items."""

    asked: Asked
    caller: Caller
    store: CallStore
    told: Told = told_to_nobody
    noted: Callable[[Sequence[NoteReading]], None] = noted_by_nobody
