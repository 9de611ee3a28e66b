"""What is recorded of research. Big texts (snapshots, prompts, raw answers) lie in the archive under the hashes named here; every
number that a decision rests on stands in its row."""

from engine.event_base import Event
from engine.research.decided import Decided
from engine.research.recalibration import CellMap
from engine.research.resolution import Outcome, Window
from engine.research_state import ResearchRun
from engine.research_words import CalibrationView, ConditionView, DecisionStatus


class ResearchBegun(Event, frozen=True, omit_defaults=True):
    """A run is handed to the desk once this row is durable."""

    run: ResearchRun
    command_id: str = ""


class ResearchFinished(Event, frozen=True, omit_defaults=True):
    """The end of a run, also of one that the end of the process cut short (`failure`)."""

    run_id: str
    portfolio: str
    failure: str = ""
    text: str = ""
    cost_micro_usd: int = 0


class DecisionSealed(Event, frozen=True, omit_defaults=True):
    """A decision, sealed before its window opens: `seal` is the hash of `previous` and of everything else here. Without a
    `window` there is no forecast to score; `refused` says why there is none though one was stated."""

    decided: Decided
    previous: str
    seal: str
    window: Window | None = None
    refused: str = ""


class DecisionGated(Event, frozen=True, omit_defaults=True):
    """What the core makes of a decision: scored only, or on to a proposal or an order; with the level and the conditions of a
    standing rule as they were."""

    decision_id: str
    status: DecisionStatus
    reason: str
    acts_as: str
    conditions: tuple[ConditionView, ...] = ()


class ForecastTouched(Event, frozen=True, omit_defaults=True):
    """A bar reached the target (1) or the stop (0) of an open forecast; the first one counts."""

    decision_id: str
    won: int


class ForecastAdjusted(Event, frozen=True, omit_defaults=True):
    """One share of before is `ratio` shares now: what an open forecast is measured by moves along."""

    decision_id: str
    ratio: float


class ForecastResolved(Event, frozen=True, omit_defaults=True):
    """How a forecast turned out by our own prices, or that they cannot tell."""

    decision_id: str
    outcome: Outcome


class CalibrationLearned(Event, frozen=True, omit_defaults=True):
    """What the forecasts resolved up to row `through_seq` are worth, and the maps in use from now on."""

    run_id: str
    through_seq: int
    learned: CalibrationView
    maps: tuple[CellMap, ...] = ()


class ResearchChangeSettled(Event, frozen=True, omit_defaults=True):
    """A person applied a proposed change of a parameter, or left it as it was."""

    change_id: str
    parameter: str
    value: str
    applied: bool
    by: str
    reason: str = ""
    command_id: str = ""


class ResearchAlarmSet(Event, frozen=True, omit_defaults=True):
    """The forecasts of a portfolio have become worse than they were: it acts one level lower until a person lets it go."""

    portfolio: str
    text: str


class ResearchAlarmReleased(Event, frozen=True, omit_defaults=True):
    portfolio: str
    by: str
    reason: str = ""
    command_id: str = ""
