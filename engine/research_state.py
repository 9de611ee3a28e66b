"""What the engine keeps of research: runs, sealed decisions, open forecasts, and what the nightly learning found. All of it is
bounded; the whole record lies in the journal and in the store's views of it."""

import msgspec

from engine.research.decided import Cell, Decided, ResearchCause, horizon_bucket
from engine.research.recalibration import CellMap
from engine.research.resolution import Outcome, Window
from engine.research_words import CalibrationView, ConditionView, DecisionStatus
from engine.units import Nanoseconds

ORIGIN = "research"
KEPT_DECISIONS = 200
MOST_OPEN = 5_000
NO_SEAL = "0" * 64
FAR_NS = 1 << 62


class ResearchRun(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run; `ended_at_ns` is 0 while it is under way. Without `symbols` a scan chooses; `horizon_days` 0 is the portfolio's."""

    run_id: str
    portfolio: str
    cause: ResearchCause
    symbols: tuple[str, ...] = ()
    horizon_days: int = 0
    replay: str = ""
    note: str = ""
    by: str = ""
    begun_at_ns: Nanoseconds = 0
    ended_at_ns: Nanoseconds = 0
    failure: str = ""
    text: str = ""
    cost_micro_usd: int = 0

    @property
    def under_way(self) -> bool:
        return not self.ended_at_ns


class SealedDecision(msgspec.Struct, frozen=True, omit_defaults=True):
    """A decision and what has become of it. `decided` is kept without the calls behind it; `order_id` is the entry that it led
    to; `acts_as` is the level that it was judged at, with the conditions of a standing rule."""

    decided: Decided
    sealed_at_ns: Nanoseconds
    status: DecisionStatus = DecisionStatus.SCORED_ONLY
    reason: str = ""
    proposal_id: str = ""
    order_id: str = ""
    acts_as: str = ""
    conditions: tuple[ConditionView, ...] = ()
    outcome: Outcome | None = None
    filled: bool = False


class OpenForecast(msgspec.Struct, frozen=True, omit_defaults=True):
    """A sealed forecast whose window is open; `won` once a bar has reached its target (1) or its stop (0)."""

    window: Window
    won: int | None = None


class PortfolioResearchState(msgspec.Struct, frozen=True, omit_defaults=True):
    """Research of one portfolio: its newest run, what it has spent and risked on `day`, and its degradation alarm, which a
    person releases (`released` is the alarm that was let go last)."""

    run: ResearchRun | None = None
    day: int = -1
    spent_micro_usd: int = 0
    risked_bps: float = 0.0
    alarm: str = ""
    alarm_at_ns: Nanoseconds = 0
    released: str = ""
    event_run_ns: Nanoseconds = 0
    acts_as: str = ""
    fallback: str = ""
    conditions: tuple[ConditionView, ...] = ()


class ResearchState(msgspec.Struct, frozen=True, omit_defaults=True):
    """`open` are the forecasts by decision, `index` their decisions by instrument, `next_end_ns` when the first of their windows
    ends; `orders` the decision of each entry, `applied_ns` when a person changed each parameter last. `seal` is the newest link
    of the chain of sealed decisions."""

    portfolios: dict[str, PortfolioResearchState] = {}
    decisions: dict[str, SealedDecision] = {}
    orders: dict[str, str] = {}
    open: dict[str, OpenForecast] = {}
    index: dict[str, tuple[str, ...]] = {}
    next_end_ns: Nanoseconds = FAR_NS
    seal: str = NO_SEAL
    sealed_count: int = 0
    learned: CalibrationView = CalibrationView((), (), (), 0)
    maps: tuple[CellMap, ...] = ()
    parameters: dict[str, str] = {}
    applied_ns: dict[str, Nanoseconds] = {}

    def of(self, portfolio: str) -> PortfolioResearchState:
        return self.portfolios.get(portfolio, NOTHING_YET)

    def spent_micro_usd(self, day: int) -> int:
        """What all portfolios together have spent on a day: the day's budget is one for all."""
        return sum(known.spent_micro_usd for known in self.portfolios.values() if known.day == day)


NOTHING_YET = PortfolioResearchState()


def cell_of(decided: Decided) -> Cell:
    """The cell in which a decision is scored."""
    return Cell(decided.analyst, decided.prompt_version, horizon_bucket(decided.horizon_days), decided.asset_class)
