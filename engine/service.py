"""What every surface talks to: immutable snapshots out, commands in. The in-process engine and the socket client both
implement `Service`, so attaching to a running engine is not a second app.

Numbers are `Decimal`, already rounded to the instrument's or the currency's decimals; ages are seconds at `Snapshot.at_ns`.
"""

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

import msgspec

from engine.access_words import AccessGate as AccessGate  # noqa: PLC0414
from engine.access_words import AccessView as AccessView  # noqa: PLC0414
from engine.alert_words import AlertLevel as AlertLevel  # noqa: PLC0414
from engine.alert_words import AlertReading as AlertReading  # noqa: PLC0414
from engine.alert_words import AlertRuleStatus as AlertRuleStatus  # noqa: PLC0414
from engine.alert_words import AlertRuleView as AlertRuleView  # noqa: PLC0414
from engine.alert_words import AlertView as AlertView  # noqa: PLC0414
from engine.golive_words import GoLiveGate as GoLiveGate  # noqa: PLC0414
from engine.golive_words import GoLiveView as GoLiveView  # noqa: PLC0414
from engine.health_words import HealthLine as HealthLine  # noqa: PLC0414
from engine.health_words import HealthView as HealthView  # noqa: PLC0414
from engine.health_words import Verdict as Verdict  # noqa: PLC0414
from engine.health_words import WorkerView as WorkerView  # noqa: PLC0414
from engine.inputs import AutomationLevel, Bar, Command, Connectivity, Limits, PlaceOrder, TradingState

# What is told of candidates, results, risks, the schedule, strategies and targets has words of its own, offered here as well.
from engine.lifecycle_words import CandidateView as CandidateView  # noqa: PLC0414
from engine.lifecycle_words import EvidenceView as EvidenceView  # noqa: PLC0414
from engine.lifecycle_words import GateView as GateView  # noqa: PLC0414
from engine.lifecycle_words import StageChangeView as StageChangeView  # noqa: PLC0414
from engine.orders import OrderKind, OrderStatus, Purpose, Side, TimeInForce
from engine.performance_words import CurveView as CurveView  # noqa: PLC0414
from engine.performance_words import DrawdownView as DrawdownView  # noqa: PLC0414
from engine.performance_words import FigureView as FigureView  # noqa: PLC0414
from engine.performance_words import GroupingView as GroupingView  # noqa: PLC0414
from engine.performance_words import GroupView as GroupView  # noqa: PLC0414
from engine.performance_words import PerformanceQuery as PerformanceQuery  # noqa: PLC0414
from engine.performance_words import PerformanceView as PerformanceView  # noqa: PLC0414
from engine.performance_words import PeriodView as PeriodView  # noqa: PLC0414
from engine.performance_words import TripView as TripView  # noqa: PLC0414
from engine.research_words import AnswerView as AnswerView  # noqa: PLC0414
from engine.research_words import AttributionView as AttributionView  # noqa: PLC0414
from engine.research_words import BinView as BinView  # noqa: PLC0414
from engine.research_words import CalibrationView as CalibrationView  # noqa: PLC0414
from engine.research_words import CellView as CellView  # noqa: PLC0414
from engine.research_words import ChangeProposed as ChangeProposed  # noqa: PLC0414
from engine.research_words import ConditionView as ConditionView  # noqa: PLC0414
from engine.research_words import DecisionDetail as DecisionDetail  # noqa: PLC0414
from engine.research_words import DecisionStatus as DecisionStatus  # noqa: PLC0414
from engine.research_words import DecisionView as DecisionView  # noqa: PLC0414
from engine.research_words import EventsView as EventsView  # noqa: PLC0414
from engine.research_words import EventView as EventView  # noqa: PLC0414
from engine.research_words import HumanView as HumanView  # noqa: PLC0414
from engine.research_words import ImpactView as ImpactView  # noqa: PLC0414
from engine.research_words import RateOfCode as RateOfCode  # noqa: PLC0414
from engine.research_words import ResearchPage as ResearchPage  # noqa: PLC0414
from engine.research_words import ResearchQuery as ResearchQuery  # noqa: PLC0414
from engine.research_words import ResearchQueryKind as ResearchQueryKind  # noqa: PLC0414
from engine.research_words import ResearchView as ResearchView  # noqa: PLC0414
from engine.research_words import RoleProgress as RoleProgress  # noqa: PLC0414
from engine.research_words import RunView as RunView  # noqa: PLC0414
from engine.research_words import ThreadEntry as ThreadEntry  # noqa: PLC0414
from engine.research_words import ThreadView as ThreadView  # noqa: PLC0414
from engine.risk_words import BrakeLevel as BrakeLevel  # noqa: PLC0414
from engine.risk_words import BrakeView as BrakeView  # noqa: PLC0414
from engine.risk_words import BudgetView as BudgetView  # noqa: PLC0414
from engine.risk_words import CorrelationView as CorrelationView  # noqa: PLC0414
from engine.risk_words import HeatView as HeatView  # noqa: PLC0414
from engine.risk_words import LimitView as LimitView  # noqa: PLC0414
from engine.risk_words import RiskView as RiskView  # noqa: PLC0414
from engine.risk_words import ShareView as ShareView  # noqa: PLC0414
from engine.risk_words import TailView as TailView  # noqa: PLC0414
from engine.schedule_words import JobView as JobView  # noqa: PLC0414
from engine.strategy_words import RegimeView as RegimeView  # noqa: PLC0414
from engine.strategy_words import StrategyLine as StrategyLine  # noqa: PLC0414
from engine.strategy_words import StrategyView as StrategyView  # noqa: PLC0414
from engine.target_words import TargetLineView as TargetLineView  # noqa: PLC0414
from engine.target_words import TargetsView as TargetsView  # noqa: PLC0414


class Mode(StrEnum):
    """What kind of money is at stake; shown first on every screen."""

    PAPER = "PAPER"
    REPLAY = "REPLAY"
    LIVE = "LIVE"


class StopHome(StrEnum):
    """Where a position's stop lives."""

    VENUE = "VENUE"
    ENGINE = "ENGINE"
    PENDING = "PENDING"
    NONE = "NONE"


class DriftView(msgspec.Struct, frozen=True):
    """The drift meter of one instrument: what we count, what of it the stream alone would make us count, what the venue last
    said. `settled` while the venue's word was taken and waits for a person's."""

    instrument_id: str
    symbol: str
    ours: Decimal
    stream: Decimal
    venue: Decimal
    settled: bool


class AccountView(msgspec.Struct, frozen=True):
    """One portfolio and its account: money, limits in use, state.

    `live` where real money is at stake; `armed_until_ns` is 0 where it is not armed; `limits_digest` is what an arming is
    bound to. `quote_age_seconds` is the age of the newest quote of what it can trade in a market that is open; `venues` are those
    whose instruments it trades, none where it trades all that there are.
    """

    portfolio: str
    account: str
    currency: str
    money_decimals: int
    cash: Decimal
    equity: Decimal
    day_pnl: Decimal
    day_pnl_percent: float
    realized_pnl: Decimal
    unrealized_pnl: Decimal
    fees: Decimal
    heat_percent: float
    heat_limit_percent: float
    gross_exposure_percent: float
    buying_power: Decimal
    trading_state: TradingState
    trading_state_cause: str
    automation: AutomationLevel
    connectivity: Connectivity
    drift: tuple[str, ...]
    limits: Limits
    live: bool = False
    armed_until_ns: int = 0
    armed_by: str = ""
    limits_digest: str = ""
    drift_meter: tuple[DriftView, ...] = ()
    quote_age_seconds: float | None = None
    venues: tuple[str, ...] = ()


class PositionView(msgspec.Struct, frozen=True):
    """One open position. P&L is unrealised, None while no mark is known; `r_multiple` is P&L over the initial risk; distances are
    percent of mark."""

    portfolio: str
    symbol: str
    instrument_id: str
    side: str
    quantity: Decimal
    entry: Decimal
    mark: Decimal | None
    mark_age_seconds: float | None
    mark_stale: bool
    market_value: Decimal
    pnl: Decimal | None
    pnl_percent: float | None
    r_multiple: float | None
    stop: Decimal | None
    stop_distance_percent: float | None
    target: Decimal | None
    target_distance_percent: float | None
    trail: str
    breakeven_at: Decimal | None
    max_hold_left_seconds: float | None
    stop_home: StopHome
    stop_home_detail: str
    unprotected_seconds: float
    unprotected_now: bool
    open_risk: Decimal
    open_risk_percent: float
    opened_at_ns: int
    age_seconds: float
    strategy: str
    currency: str
    price_decimals: int
    quantity_decimals: int


class OrderView(msgspec.Struct, frozen=True):
    """One order; `style` is how an order over time is spread (twap, vwap), empty for one that is sent in one."""

    client_order_id: str
    venue_order_id: str
    portfolio: str
    symbol: str
    instrument_id: str
    side: Side
    purpose: Purpose
    kind: OrderKind
    quantity: Decimal
    filled: Decimal
    limit: Decimal | None
    trigger: Decimal | None
    average: Decimal | None
    status: OrderStatus
    working: bool
    time_in_force: TimeInForce
    placed_at_ns: int
    age_seconds: float
    reason: str
    strategy: str
    external: bool
    style: str = ""


class FillView(msgspec.Struct, frozen=True):
    trade_id: str
    client_order_id: str
    portfolio: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    currency: str
    purpose: Purpose
    at_ns: int
    source: str


class CheckView(msgspec.Struct, frozen=True):
    """One check of the order path: its name, the limit, the value it was held against, and the verdict in words."""

    name: str
    passed: bool
    limit: str
    value: str
    message: str


class ClampView(msgspec.Struct, frozen=True):
    """One cut of a size: which limit took it from what (None: no bound) to what, and what that limit allows."""

    limit: str
    before: Decimal | None
    after: Decimal
    allowed: str


class OrderCard(msgspec.Struct, frozen=True):
    """Everything a person must see before an order goes: terms, worst case, heat and exposure before and after. `over` is how it
    is worked off over time, empty where it goes out at once."""

    portfolio: str
    symbol: str
    side: Side
    quantity: Decimal
    kind: OrderKind
    limit: Decimal | None
    trigger: Decimal | None
    stop: Decimal | None
    target: Decimal | None
    trail: str
    reference: Decimal | None
    notional: Decimal
    fee_estimate: Decimal
    worst_loss: Decimal | None
    reward_to_risk: float | None
    equity_share_percent: float
    heat_before_percent: float
    heat_after_percent: float
    exposure_before_percent: float
    exposure_after_percent: float
    currency: str
    checks: tuple[CheckView, ...]
    clamps: tuple[ClampView, ...] = ()
    bucket: str = ""
    bucket_heat_before_percent: float = 0.0
    bucket_heat_after_percent: float = 0.0
    correlated_heat_before_percent: float = 0.0
    correlated_heat_after_percent: float = 0.0
    over: str = ""

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)


class ProposalStatus(StrEnum):
    PENDING = "PENDING"
    APPROVED = "APPROVED"
    DECLINED = "DECLINED"
    EXPIRED = "EXPIRED"
    REFUSED = "REFUSED"


class ProposalView(msgspec.Struct, frozen=True):
    """A pending trade and its card. `digest` binds an approval to exactly what is shown here; `decision` is the research that
    it came from, if it did, and `blocked` why it cannot be approved as things are now."""

    proposal_id: str
    digest: str
    card: OrderCard
    origin: str
    rationale: str
    raised_at_ns: int
    expires_at_ns: int
    seconds_left: float
    band_low: Decimal
    band_high: Decimal
    status: ProposalStatus
    status_reason: str
    decision: DecisionView | None = None
    blocked: str = ""


class QuoteView(msgspec.Struct, frozen=True):
    instrument_id: str
    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None
    change_percent: float | None
    age_seconds: float | None
    stale: bool
    session_open: bool
    price_decimals: int
    quantity_decimals: int
    quantity_step: Decimal
    currency: str
    tick_size: Decimal = Decimal(0)
    regime: str = ""


class FlattenLine(msgspec.Struct, frozen=True):
    """One instrument of a flatten report; `seconds_to_flat` is None while something is left."""

    account: str
    instrument_id: str
    lots_at_start: int
    lots_left: int
    seconds_to_flat: float | None
    detail: str


class FlattenView(msgspec.Struct, frozen=True):
    """Progress or result of the second stage of panic; `flat` only once the venue itself said so."""

    started_at_ns: int
    finished: bool
    flat: bool
    open_orders_left: int
    lines: tuple[FlattenLine, ...]
    detail: str


class RateView(msgspec.Struct, frozen=True):
    """What one unit of a currency is worth in another; `source` is the instrument whose quote says so, with its age."""

    currency: str
    into: str
    rate: Decimal
    source: str
    age_seconds: float | None


class TotalView(msgspec.Struct, frozen=True):
    """All portfolios together in one currency; `left_out` are those for which no rate is known, `stale` the pairs whose rate is
    unknown or older than allowed. A limit of 0 is none."""

    currency: str
    money_decimals: int
    equity: Decimal
    heat_percent: float
    heat_limit_percent: float
    gross_percent: float
    gross_limit_percent: float
    rates: tuple[RateView, ...]
    left_out: tuple[str, ...]
    stale: tuple[str, ...] = ()


class Snapshot(msgspec.Struct, frozen=True):
    """Everything the screen shows, immutable, with a version that grows."""

    version: int
    at_ns: int
    mode: Mode
    engine_id: str
    accounts: tuple[AccountView, ...]
    positions: tuple[PositionView, ...]
    orders: tuple[OrderView, ...]
    fills: tuple[FillView, ...]
    proposals: tuple[ProposalView, ...]
    alerts: tuple[AlertView, ...]
    quotes: tuple[QuoteView, ...]
    flatten: FlattenView | None
    health: HealthView
    alert_rules: tuple[AlertRuleView, ...] = ()
    risks: tuple[RiskView, ...] = ()
    strategies: tuple[StrategyView, ...] = ()
    candidates: tuple[CandidateView, ...] = ()
    regimes: tuple[RegimeView, ...] = ()
    jobs: tuple[JobView, ...] = ()
    targets: tuple[TargetsView, ...] = ()
    total: TotalView | None = None
    golive: tuple[GoLiveView, ...] = ()
    research: tuple[ResearchView, ...] = ()


class Refusal(msgspec.Struct, frozen=True):
    """Why something was not done: the check, the limit, the value, and one line for a person."""

    check: str
    limit: str
    value: str
    message: str


class Receipt(msgspec.Struct, frozen=True):
    """The answer to a command, given once what it caused is durable."""

    command_id: str
    accepted: bool
    seq: int
    refusal: Refusal | None = None
    order_ids: tuple[str, ...] = ()
    proposal_id: str = ""
    text: str = ""
    readings: tuple[AlertReading, ...] = ()


class Service(Protocol):
    """What panes, the command line and the control socket use. Reads never wait for the engine's work."""

    def latest(self) -> Snapshot:
        """The newest snapshot."""
        ...

    def snapshots(self) -> AsyncIterator[Snapshot]:
        """Snapshots as they are published, at most ten a second, the newest only."""
        ...

    async def send(self, command: Command) -> Receipt: ...

    async def what_if(self, order: PlaceOrder) -> OrderCard | Refusal:
        """The order's checks and its effect on heat and exposure; nothing is sent or recorded."""
        ...

    async def bars(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        """The newest closed bars of an instrument and the one in progress, oldest first, in ticks."""
        ...

    async def performance(self, query: PerformanceQuery) -> PerformanceView:
        """A report on what was recorded; raises `UsageError` where nothing was, or for a portfolio that is not known."""
        ...

    async def research(self, query: ResearchQuery) -> ResearchPage:
        """What the record of research says; raises `UsageError` for a decision or a portfolio that is not known."""
        ...
