"""What a research run comes to for one instrument: the forecast that is sealed, and what the engine may do about it."""

from decimal import Decimal
from enum import StrEnum

import msgspec

from engine.research.opinions import Stance
from engine.units import Nanoseconds

CONTAMINATED = " (contaminated)"
MASKED = " (masked)"


class ResearchCause(StrEnum):
    """Why a run was begun."""

    PERSON = "person"
    SCHEDULE = "schedule"
    ALERT = "alert"
    EVENT = "event"
    DRILL = "drill"


class RoleAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call of the pipeline. `role` is market, strategy, risk, news, cross:ROLE or judge:1 to judge:3; `call_hash` names the
    request and the raw answer in the archive. `code` is why there is no probability. Cost in millionths of a US dollar."""

    role: str
    analyst: str
    call_hash: str
    p_up: float | None = None
    stance: Stance | None = None
    code: str = ""
    repairs: tuple[str, ...] = ()
    tokens_in: int = 0
    tokens_out: int = 0
    cost_micro_usd: int = 0
    latency_ms: int = 0


class Worth(msgspec.Struct, frozen=True, omit_defaults=True):
    """Probabilities, expected value and size of one decision, all made by code.

    `p_agg` is the mean in log-odds, `p_cal` after the calibration map `cal_version` of a cell with `cal_n` resolved forecasts,
    `p_low` its lower 80 % bound. Expected values and costs in bps of the notional, risk in bps of equity; `clamps` say which
    limit took how much, as "name: before -> after".

    These speak of the close being above the mark. The expected value stands on the other probability, that of the target
    before the stop: `p_win_agg` as it was stated, `p_win` calibrated, `p_win_low` its lower 80 % bound; None where the stance
    opens nothing. `probation` marks a cell with too few resolved forecasts: gated by what was stated, at probation size.
    """

    p_raw: tuple[float, ...]
    p_agg: float
    p_cal: float
    p_low: float
    dispersion_logit: float
    base_rate: float
    cal_version: str
    cal_n: int
    cost_bps: float
    ev_bps: float
    ev_low_bps: float
    breakeven_p: float
    kelly_risk_fraction: float
    risk_bps: float
    consensus: bool
    clamps: tuple[str, ...] = ()
    p_win_agg: float | None = None
    p_win: float | None = None
    p_win_low: float | None = None
    probation: bool = False


class Decided(msgspec.Struct, frozen=True, omit_defaults=True):
    """The end of a run for one instrument. Sealed by its journal row before its window opens: `ref_mark` is the price that the
    forecast is measured against, at `as_of_ns`.

    `analyst` is `llm/MODEL`, several joined by "+", or `rule/1`; it ends in CONTAMINATED where the models may remember what came
    after `as_of`, in MASKED where ticker and dates were hidden from them: such forecasts are scored apart. With `code` the
    analyst abstained or was rejected, and where nothing at all was said `worth` is None: then there is no forecast; `rejected`
    tells an answer that could not be meant from an analyst that abstained. `actionable` is what passed the thresholds; why not,
    else, stands in `reason`. `flags` are marks on untrusted texts inside the snapshot; one of them keeps a standing rule out.
    """

    decision_id: str
    run_id: str
    portfolio: str
    thread_id: str
    instrument_id: str
    symbol: str
    snapshot_id: str
    as_of_ns: Nanoseconds
    ref_mark: Decimal
    ref_source: str
    analyst: str
    prompt_version: str
    stance: Stance
    horizon_days: int
    target_bps: int
    stop_bps: int
    worth: Worth | None
    actionable: bool
    thesis: str = ""
    against: str = ""
    code: str = ""
    reason: str = ""
    answers: tuple[RoleAnswer, ...] = ()
    dissent: str = ""
    evidence: tuple[str, ...] = ()
    event_tags: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    single_source: bool = False
    regime: str = ""
    aggressiveness: int = 0
    cost_micro_usd: int = 0
    latency_ms: int = 0
    rejected: bool = False
    asset_class: str = ""
    atr_bps: float = 0.0


def horizon_bucket(horizon_days: int) -> str:
    """The bucket of a horizon in trading days: "1", "2-5", "6-10" or "11-20"."""
    return "1" if horizon_days <= 1 else "2-5" if horizon_days <= 5 else "6-10" if horizon_days <= 10 else "11-20"


class Cell(msgspec.Struct, frozen=True):
    """Forecasts that are scored together."""

    analyst: str
    prompt_version: str
    horizon: str
    asset_class: str


class Forecast(msgspec.Struct, frozen=True, omit_defaults=True):
    """A sealed forecast and its outcome: `up` and `won` are 1 or 0, None while open or where there was no such forecast; VOID
    with its reason where our prices cannot tell.

    `p_raw` and `p_win` are as aggregated, before calibration. Forecasts of several analysts with the same `snapshot_id` and
    `horizon_days` answer the same question. `side` is +1 for long, -1 for short, 0 for none; `said` are the voices behind
    `p_raw`, by name. `repeated` marks one whose close the same analyst had told for the portfolio before: it is no evidence of
    its own and left out of cells; it is found when the record is read, never sealed."""

    decision_id: str
    portfolio: str
    cell: Cell
    at_ns: Nanoseconds
    p_raw: float
    p_cal: float
    p_win: float | None = None
    up: int | None = None
    won: int | None = None
    resolved_at_ns: Nanoseconds = 0
    void: str = ""
    return_bps: float | None = None
    snapshot_id: str = ""
    horizon_days: int = 0
    side: int = 0
    cost_bps: float = 0.0
    breakeven_p: float | None = None
    said: tuple[tuple[str, float], ...] = ()
    repeated: bool = False
