"""What is told of research: part of the vocabulary of `engine.service`, which offers these names."""

from decimal import Decimal
from enum import StrEnum

import msgspec


class RoleProgress(msgspec.Struct, frozen=True):
    """A role of a run that is under way: `state` is waiting, asking, answered, abstained or failed; `characters` heard so far."""

    role: str
    state: str
    characters: int = 0
    p_up: float | None = None
    code: str = ""


class RunView(msgspec.Struct, frozen=True):
    """A research run under way, or the last one; `ended_at_ns` is 0 while it runs."""

    run_id: str
    cause: str
    symbol: str
    symbols: tuple[str, ...]
    done: int
    begun_at_ns: int
    ended_at_ns: int
    roles: tuple[RoleProgress, ...]
    cost_usd: Decimal
    text: str


class ConditionView(msgspec.Struct, frozen=True):
    """One condition of auto_execute: what is asked, what is, and whether it holds."""

    name: str
    asked: str
    value: str
    holds: bool


class ResearchView(msgspec.Struct, frozen=True):
    """Research of one portfolio. `badge` is "RULES, NO MODEL" where no model answers, else the models; `automation` is what the
    configuration says, `acts_as` what it comes to now, with `fallback` as the reason where they differ. Money of today in US
    dollars; `breaker` tells until when the models are left alone, "" when they are not."""

    portfolio: str
    badge: str
    host: str
    automation: str
    acts_as: str
    fallback: str
    aggressiveness: int
    spent_usd: Decimal
    day_budget_usd: Decimal
    breaker: str
    open_forecasts: int
    run: RunView | None
    conditions: tuple[ConditionView, ...] = ()


class DecisionStatus(StrEnum):
    ABSTAINED = "abstained"
    REJECTED = "rejected"
    SCORED_ONLY = "scored_only"
    PROPOSED = "proposed"
    APPROVED = "approved"
    DECLINED = "declined"
    EXPIRED = "expired"
    REFUSED = "refused"
    FILLED = "filled"
    RESOLVED = "resolved"


class DecisionView(msgspec.Struct, frozen=True):
    """One decision as a line or a card.

    `p_cal` is the probability of a close above the mark, `p_stated` the same before calibration (what counts while the cell is on
    `probation`); `p_win` that of the target before the stop, which `breakeven_p` is held against, on probation as it was stated.
    `skill_percent` is that of its cell against the base rate with its 95 % interval; None where there is no data. `proposal_id`
    is "" where nothing was put before anybody. `repeated`: in no cell, since an earlier forecast told that close.
    """

    decision_id: str
    run_id: str
    portfolio: str
    thread_id: str
    symbol: str
    instrument_id: str
    at_ns: int
    analyst: str
    stance: str
    status: DecisionStatus
    horizon_days: int
    p_cal: float | None
    cell_n: int
    skill_percent: float | None
    skill_low_percent: float | None
    skill_high_percent: float | None
    breakeven_p: float | None
    ev_low_bps: float | None
    ev_bps: float | None
    target_bps: int
    stop_bps: int
    ref_mark: Decimal
    risk_bps: float
    thesis: str
    against: str
    dissent: str
    flags: tuple[str, ...]
    clamps: tuple[str, ...]
    reason: str
    proposal_id: str
    up: int | None
    won: int | None
    void: str
    return_bps: float | None
    cost_usd: Decimal
    latency_ms: int
    snapshot_id: str
    p_stated: float | None = None
    p_win: float | None = None
    probation: bool = False
    repeated: bool = False


class AnswerView(msgspec.Struct, frozen=True):
    """One call behind a decision, with the raw text that came back."""

    role: str
    analyst: str
    p_up: float | None
    stance: str
    code: str
    repairs: tuple[str, ...]
    tokens_in: int
    tokens_out: int
    cost_usd: Decimal
    latency_ms: int
    prompt: str
    raw: str


class DecisionDetail(msgspec.Struct, frozen=True):
    """A decision with everything it rests on; `snapshot` is the canonical JSON that the model saw. `removed_at_ns` is when its
    texts were removed for their age, 0 where they were not."""

    decision: DecisionView
    answers: tuple[AnswerView, ...]
    snapshot: str
    removed_at_ns: int = 0


class BinView(msgspec.Struct, frozen=True):
    """A bin of a reliability plot: forecasts from `low` to `high`, how often it came true, Wilson's 95 % interval; `hollow`
    under ten forecasts."""

    low: float
    high: float
    n: int
    mean_p: float
    rate: float
    rate_low: float
    rate_high: float
    hollow: bool


class CellView(msgspec.Struct, frozen=True):
    """The scores of one cell; None is "no data", never 0. Brier's score, its parts (in whole percent, since aggregated values are
    all distinct), the log score and the bins are of what was stated; the skills, and `brier_calibrated`, of the calibrated
    probabilities that were sealed. `repeated` counts forecasts of a close that had been forecast before: they are in no other
    figure. `skill` is against the base rate known at each forecast, with its 95 % interval,
    `skill_rules` against rule/1 on the same questions."""

    analyst: str
    prompt_version: str
    horizon: str
    asset_class: str
    n: int
    effective_n: float | None
    open: int
    void: int
    brier: float | None
    log_score: float | None
    reliability: float | None
    resolution: float | None
    uncertainty: float | None
    base_rate: float | None
    mean_p: float | None
    skill_percent: float | None
    skill_low_percent: float | None
    skill_high_percent: float | None
    skill_rules_percent: float | None
    multiples_of_five_percent: float | None
    map_version: str
    map_text: str
    alarm: str
    bins: tuple[BinView, ...]
    brier_calibrated: float | None = None
    repeated: int = 0


class RateOfCode(msgspec.Struct, frozen=True):
    """How often an answer had a code (a repair, a reason to ask again, to abstain or to reject) in the last calls."""

    code: str
    count: int
    of: int
    alarm: bool


class ChangeProposed(msgspec.Struct, frozen=True):
    """A change of a parameter of research that the nightly learning found better, to be applied by a person."""

    change_id: str
    parameter: str
    before: str
    after: str
    evidence: str
    at_ns: int
    status: str


class AttributionView(msgspec.Struct, frozen=True):
    """Where the results of one kind of decision came from, in the currency of the portfolio; the parts add up to `net`."""

    portfolio: str
    stance: str
    analyst: str
    event_type: str
    regime: str
    approval: str
    positions: int
    net: Decimal
    beta: Decimal
    selection: Decimal
    timing: Decimal
    sizing: Decimal
    exit: Decimal
    cost: Decimal


class HumanView(msgspec.Struct, frozen=True):
    """What people added by saying no, in bps of equity on paper: losses avoided less gains missed; and what only expired."""

    declined: int
    avoided_bps: float
    missed_bps: float
    value_bps: float
    expired: int
    expired_bps: float


class CalibrationView(msgspec.Struct, frozen=True):
    """What the learning found; `human` is None where nothing was declined and nothing expired."""

    cells: tuple[CellView, ...]
    codes: tuple[RateOfCode, ...]
    changes: tuple[ChangeProposed, ...]
    computed_at_ns: int
    attribution: tuple[AttributionView, ...] = ()
    human: HumanView | None = None


class ThreadEntry(msgspec.Struct, frozen=True):
    at_ns: int
    kind: str
    symbol: str
    text: str


class ThreadView(msgspec.Struct, frozen=True):
    """A portfolio's thread with its digest of the last seven days, as models are shown it."""

    thread_id: str
    portfolio: str
    kind: str
    digest: str
    entries: tuple[ThreadEntry, ...]


class EventView(msgspec.Struct, frozen=True):
    """A typed note of something that happened, with its source; `quote` is text from outside. `flag` is why it was withheld from
    models, "" where it was not. `analyst` is the model that typed it, "" where rules did."""

    note_id: str
    known_at_ns: int
    event_time_ns: int
    kind: str
    symbols: tuple[str, ...]
    direction: str
    surprise: float | None
    quote: str
    source: str
    flag: str
    analyst: str = ""


class ImpactView(msgspec.Struct, frozen=True):
    """What an event means for a name, directly (`hops` 0) or along the graph; `impact_bps` None is "no history". `realised_bps`
    is the abnormal return to the next close, None until that is there."""

    note_id: str
    symbol: str
    path: str
    hops: int
    impact_bps: float | None
    history_n: int
    held: bool
    conviction: float | None
    realised_bps: float | None = None


class EventsView(msgspec.Struct, frozen=True):
    """The events of a day: the notes, whom they concern, and clusters to watch; `sources` tell each feed's last word."""

    day: str
    notes: tuple[EventView, ...]
    impacts: tuple[ImpactView, ...]
    clusters: tuple[str, ...]
    sources: tuple[str, ...]


class ResearchQueryKind(StrEnum):
    DECISIONS = "decisions"
    DECISION = "decision"
    CALIBRATION = "calibration"
    THREADS = "threads"
    EVENTS = "events"


class ResearchQuery(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is asked of the record of research; `key` is the decision's id, or the day of events."""

    kind: ResearchQueryKind
    portfolio: str = ""
    key: str = ""
    limit: int = 50


class ResearchPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer: the part that was asked for is set."""

    decisions: tuple[DecisionView, ...] = ()
    decision: DecisionDetail | None = None
    calibration: CalibrationView | None = None
    threads: tuple[ThreadView, ...] = ()
    events: EventsView | None = None
