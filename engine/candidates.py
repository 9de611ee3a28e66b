"""A strategy as a candidate: its stage on the way to full size with real money, and what is recorded of it.

A stage belongs to exactly the rule, the parameters and the symbols that it was given for: with other parameters, or on a symbol
that nobody approved, a strategy is in research again.
"""

from enum import StrEnum
from hashlib import sha256

import msgspec

from engine.positions import RoundTrip
from engine.strategy_state import StrategySettings
from engine.units import Minor, Nanoseconds

KEPT_CHANGES = 20


class Stage(StrEnum):
    """How far a strategy has come; from `staged_live` on it may enter with real money."""

    RESEARCH = "research"
    BACKTEST = "backtest"
    PAPER = "paper"
    STAGED_LIVE = "staged_live"
    FULL_LIVE = "full_live"

    @property
    def place(self) -> int:
        return STAGES.index(self)

    @property
    def is_live(self) -> bool:
        return self in (Stage.STAGED_LIVE, Stage.FULL_LIVE)

    @property
    def following(self) -> "Stage | None":
        """The only stage that a promotion leads to; None at the end of the way."""
        return STAGES[self.place + 1] if self.place + 1 < len(STAGES) else None


STAGES = tuple(Stage)


class EvidenceKind(StrEnum):
    BACKTEST = "backtest"
    PARITY = "parity"
    CALIBRATION = "calibration"


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was found of a rule with exactly the parameters of `digest`.

    A backtest tells days, round trips, drawdown and return (parts of its cash), on which `symbols`, at what fee of a fill (the
    lowest, in parts per million), and how long the bars were that the rule saw; a parity whether backtest and engine made the
    same fills (`same`); a calibration how many of a model's forecasts are settled and their mean Brier score (0 is best).
    `source` says in words what it was found on.
    """

    kind: EvidenceKind
    digest: str
    source: str = ""
    days: float = 0.0
    round_trips: int = 0
    drawdown_fraction: float = 0.0
    return_fraction: float = 0.0
    same: bool = False
    forecasts: int = 0
    brier: float = 0.0
    at_ns: Nanoseconds = 0
    by: str = ""
    symbols: tuple[str, ...] = ()
    fee_ppm: int = 0
    bar_ns: Nanoseconds = 0


class RecordEvidence(msgspec.Struct, frozen=True, tag=True):
    """Keep what was found of a strategy; refused where it was found of other parameters than it has."""

    command_id: str
    strategy: str
    evidence: Evidence
    by: str = "user"


class PromoteCandidate(msgspec.Struct, frozen=True, tag=True):
    """A person lets a strategy go one stage further: to `stage`, in exactly the form of `digest`, which they were shown."""

    command_id: str
    strategy: str
    stage: Stage
    digest: str
    by: str = "user"
    reason: str = ""


class DemoteCandidate(msgspec.Struct, frozen=True, tag=True):
    """Take a strategy back to an earlier stage, the one before where none is named; what it holds keeps its protection."""

    command_id: str
    strategy: str
    stage: Stage | None = None
    by: str = "user"
    reason: str = ""


class LifecycleSettings(msgspec.Struct, frozen=True):
    """What a promotion asks for and what ends a stage; see the `[lifecycle]` section of the configuration."""

    backtest_min_days: float = 180.0
    backtest_min_round_trips: int = 100
    backtest_max_drawdown_fraction: float = 0.25
    paper_min_days: float = 30.0
    paper_min_round_trips: int = 30
    paper_max_drawdown_fraction: float = 0.10
    staged_min_days: float = 60.0
    staged_min_round_trips: int = 30
    staged_max_drawdown_fraction: float = 0.10
    min_return_fraction: float = 0.0
    require_parity: bool = True
    calibration_min_forecasts: int = 100
    calibration_max_brier: float = 0.24
    staged_capital_fraction: float = 0.25
    demote_drawdown_fraction: float = 0.15
    demote_losing_streak: int = 10


class StageResults(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a strategy's own round trips in a portfolio came to since its stage began, fees included.

    `from_ns` is when the first of them was opened; `worst_fall_minor` the deepest fall of the sum below its highest; `simulated`
    where any of them was made on invented prices.
    """

    portfolio: str = ""
    from_ns: Nanoseconds = 0
    to_ns: Nanoseconds = 0
    round_trips: int = 0
    net_minor: Minor = 0
    peak_minor: Minor = 0
    worst_fall_minor: Minor = 0
    losing_streak: int = 0
    simulated: bool = False


NO_RESULTS = StageResults()


class StageChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step of a candidate, up or down: who took it and why."""

    stage: Stage
    at_ns: Nanoseconds
    by: str
    reason: str = ""


class Candidate(msgspec.Struct, frozen=True, omit_defaults=True):
    """A strategy's stage, the form and the symbols it was given for, its newest evidence of each kind, its results
    in the stage."""

    stage: Stage = Stage.RESEARCH
    digest: str = ""
    symbols: tuple[str, ...] = ()
    since_ns: Nanoseconds = 0
    evidence: dict[str, Evidence] = {}
    results: StageResults = NO_RESULTS
    history: tuple[StageChange, ...] = ()

    def found(self, kind: EvidenceKind, digest: str) -> Evidence | None:
        """The newest evidence of a kind, of exactly this form."""
        one = self.evidence.get(kind)
        return one if one is not None and one.digest == digest else None


NEW = Candidate()
_encoder = msgspec.json.Encoder(order="deterministic")


def form_digest(rule: str, source_hash: str, params: dict[str, int | float], bar_ns: Nanoseconds = 0) -> str:
    """A digest of exactly this rule with exactly these parameters on bars of that length (0: the feed's own); `source_hash` is
    that of a person's own file."""
    form = (rule, source_hash, params, bar_ns) if bar_ns else (rule, source_hash, params)
    return sha256(_encoder.encode(form)).hexdigest()[:16]


def digest_of(settings: StrategySettings) -> str:
    """The digest of a strategy in the form that it has in the configuration."""
    return form_digest(settings.rule, settings.source_hash, settings.params, settings.bar_ns)


def stage_in_force(candidate: Candidate | None, settings: StrategySettings) -> Stage:
    """The stage that holds for a strategy as it is configured now."""
    return Stage.RESEARCH if candidate is None or changed_since(candidate, settings) else candidate.stage


def changed_since(candidate: Candidate, settings: StrategySettings) -> str:
    """What is no longer as it was approved; empty where nothing is, and where the form cannot be told: what cannot run is judged
    once it can."""
    if candidate.stage is Stage.RESEARCH or settings.problem:
        return ""
    if candidate.digest != digest_of(settings):
        return "its rule or its parameters changed"
    more = [symbol for symbol in settings.symbols if symbol not in candidate.symbols]
    return f"it trades more than was approved: {', '.join(more)}" if more else ""


def with_trip(results: StageResults, trip: RoundTrip, since_ns: Nanoseconds) -> StageResults:
    """The results with one more round trip.

    One that was opened before the stage began is no evidence for it, but its loss is a loss. In another portfolio results
    begin anew.
    """
    net_minor = trip.realized_minor - trip.fees_minor
    known = results if results.portfolio == trip.portfolio else StageResults(trip.portfolio)
    if trip.opened_at_ns < since_ns and net_minor >= 0:
        return results
    own = trip.opened_at_ns >= since_ns
    total = known.net_minor + net_minor
    peak = max(known.peak_minor, total)
    return StageResults(
        trip.portfolio, (known.from_ns or trip.opened_at_ns) if own else known.from_ns,
        trip.closed_at_ns if own else known.to_ns, known.round_trips + own, total, peak,
        max(known.worst_fall_minor, peak - total),
        known.losing_streak + 1 if net_minor < 0 else 0 if net_minor > 0 else known.losing_streak)
