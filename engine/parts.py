"""What a run of the engine is made of."""

import math
import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from engine.inputs import Command, Settings
from engine.instruments import Instrument
from engine.market import NS_PER_DAY
from engine.ports import Broker, Clock, History, Journal, MarketFeed, Notifier, ResearchRecord, Tape
from engine.pulses import Pulses
from engine.research_desk import ResearchParts
from engine.schedule_words import Job, JobKind
from engine.service import Mode
from engine.state import State
from engine.strategies.registry import Strategy
from engine.trading_hours import SessionLookup, only_always_open
from engine.units import Nanoseconds


class EngineParts(NamedTuple):
    """What a run is made of; the composition root puts it together.

    `speed` paces a tape: 1 is as it was recorded, `math.inf` as fast as it goes. `script` holds timed commands for a tape.
    With `ready_when_warm` false the engine is ready before the feed's history has come. `checkpoint` is handed the state
    now and then, once it is durable, to save it as a snapshot.
    An engine of one command does not run strategies (`runs_strategies`). `halted_elsewhere` says why another process halted
    this home, or nothing; it is asked every second. `sessions` tells when each market trades, at every venue alike;
    `bar_session` which of them the longer bars of an instrument keep to. Where it
    `keeps_schedule`, jobs start when they are due; `job_runners` do those that the core cannot, each in a thread of its own,
    and say in a line what they did or raise `QuarterdeckError`. Workers beside the engine show in `pulses` that they work.
    """

    clock: Clock
    journal: Journal
    engine_id: str
    version: str
    mode: Mode
    settings: Settings
    brokers: tuple[Broker, ...]
    state: State = State()
    feed: MarketFeed | None = None
    ready_when_warm: bool = True
    tape: Tape | None = None
    speed: float = math.inf
    script: tuple[tuple[Nanoseconds, Command], ...] = ()
    startup: tuple[Command, ...] = ()
    notifier: Notifier | None = None
    checkpoint: Callable[[State], None] | None = None
    history: History | None = None
    research_record: ResearchRecord | None = None
    research: ResearchParts | None = None
    halted_elsewhere: Callable[[], str] | None = None
    user_strategies: Mapping[str, Strategy] = {}
    runs_strategies: bool = True
    day_number: Callable[[Nanoseconds], int] = lambda at_ns: at_ns // NS_PER_DAY
    sessions: SessionLookup = only_always_open
    bar_session: Callable[[Instrument], str] = operator.attrgetter("session")
    keeps_schedule: bool = False
    pulses: Pulses | None = None
    job_runners: Mapping[JobKind, Callable[[Job], str]] = MappingProxyType({})
