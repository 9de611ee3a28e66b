"""The closed union of everything that can happen to the engine: market data, venue answers, a person's commands, time."""

from decimal import Decimal
from enum import StrEnum

import msgspec

from engine.access import TryCode as TryCode  # noqa: PLC0414
from engine.alert_commands import EnableAlertRule as EnableAlertRule  # noqa: PLC0414 - commands like the others
from engine.alert_commands import ReadAlertRule as ReadAlertRule  # noqa: PLC0414
from engine.alert_commands import RemoveAlertRule as RemoveAlertRule  # noqa: PLC0414
from engine.alert_commands import SetAlertRule as SetAlertRule  # noqa: PLC0414
from engine.candidates import DemoteCandidate as DemoteCandidate  # noqa: PLC0414
from engine.candidates import PromoteCandidate as PromoteCandidate  # noqa: PLC0414
from engine.candidates import RecordEvidence as RecordEvidence  # noqa: PLC0414
from engine.candidates import Stage as Stage  # noqa: PLC0414 - with the commands that name one
from engine.golive_words import RecordRehearsal as RecordRehearsal  # noqa: PLC0414
from engine.instruments import Instrument
from engine.market_items import Bar as Bar  # noqa: PLC0414
from engine.market_items import MarketItem as MarketItem  # noqa: PLC0414
from engine.market_items import MarketTrade as MarketTrade  # noqa: PLC0414
from engine.market_items import Quote as Quote  # noqa: PLC0414
from engine.orders import ClosedAs, Fill, OrderKind, Side, TimeInForce
from engine.parents import OverTime
from engine.research_commands import ApplyResearchChange as ApplyResearchChange  # noqa: PLC0414
from engine.research_commands import DaysRecalled as DaysRecalled  # noqa: PLC0414
from engine.research_commands import Halve as Halve  # noqa: PLC0414
from engine.research_commands import LearningEnded as LearningEnded  # noqa: PLC0414
from engine.research_commands import RejectResearchChange as RejectResearchChange  # noqa: PLC0414
from engine.research_commands import ReleaseResearchAlarm as ReleaseResearchAlarm  # noqa: PLC0414
from engine.research_commands import ResearchDecided as ResearchDecided  # noqa: PLC0414
from engine.research_commands import ResearchEnded as ResearchEnded  # noqa: PLC0414
from engine.research_commands import RunResearch as RunResearch  # noqa: PLC0414
from engine.research_commands import StopResearch as StopResearch  # noqa: PLC0414
from engine.schedule_words import JobEnded as JobEnded  # noqa: PLC0414 - inputs like the others
from engine.schedule_words import PauseJob as PauseJob  # noqa: PLC0414
from engine.schedule_words import RunJob as RunJob  # noqa: PLC0414
from engine.settings import AutomationLevel as AutomationLevel  # noqa: PLC0414 - offered here, with what is told at the start
from engine.settings import PortfolioSettings as PortfolioSettings  # noqa: PLC0414
from engine.settings import Settings as Settings  # noqa: PLC0414
from engine.strategy_state import EnableStrategy as EnableStrategy  # noqa: PLC0414
from engine.targets import Rebalance as Rebalance  # noqa: PLC0414 - a command like the others
from engine.tolerance import Limits as Limits  # noqa: PLC0414
from engine.tolerance import RiskTolerance as RiskTolerance  # noqa: PLC0414
from engine.units import Lots, Minor, Nanoseconds, Ticks

# ---- the venue's answers (ORDER classification: four outcomes and the good news of a duplicate) -----------------------


class Accepted(msgspec.Struct, frozen=True, tag=True):
    """A definite yes."""

    venue_order_id: str


NOT_TODAY = "not_today"


class Refused(msgspec.Struct, frozen=True, tag=True):
    """A definite no from the venue, an expected answer; code `NOT_TODAY`: what was opened today may not be closed today."""

    reason: str
    code: str = ""


class Duplicate(msgspec.Struct, frozen=True, tag=True):
    """The venue already has our id: good news, found by a query."""


class Unanswered(msgspec.Struct, frozen=True, tag=True):
    """It may or may not be live: the order is UNKNOWN and counts in full."""

    cause: str


class NotSent(msgspec.Struct, frozen=True, tag=True):
    """Proven never to have left us."""

    cause: str


type SubmitAnswer = Accepted | Refused | Duplicate | Unanswered | NotSent


class CancelRefused(msgspec.Struct, frozen=True, tag=True):
    """The venue refused to cancel; `unknown_order` proves nothing and asks for a query."""

    reason: str
    unknown_order: bool = False


type CancelAnswer = Accepted | CancelRefused | Unanswered | NotSent


class OrderReport(msgspec.Struct, frozen=True, tag=True):
    """What the venue says of one order. `terms` is filled for orders we may not know (external)."""

    account: str
    instrument_id: str
    client_order_id: str
    venue_order_id: str
    order_lots: Lots
    cum_lots: Lots
    closed_as: ClosedAs | None
    at_ns: Nanoseconds
    reason: str = ""
    average_ticks: float = 0.0
    fees_minor: Minor = 0
    side: Side = Side.BUY
    kind: OrderKind = OrderKind.MARKET
    limit_ticks: Ticks = 0
    trigger_ticks: Ticks = 0


class OrderMissing(msgspec.Struct, frozen=True, tag=True):
    """A complete, successful query that did not find our order: a hint, not yet a fact.

    `definitive` is set only by venues whose memory proves absence (the paper venue).
    """

    account: str
    client_order_id: str
    definitive: bool = False


class VenuePosition(msgspec.Struct, frozen=True):
    instrument_id: str
    lots: Lots
    average_ticks: float = 0.0


class VenueReport(msgspec.Struct, frozen=True, tag=True):
    """A complete and successful answer of a venue about one account; a failed or partial one is never a report.

    `clock_ahead_ns` is by how much our clock is ahead of the venue's, as just measured (0: nobody did), `owner` the venue's own
    name of the account, `barred` why it may open nothing. With `all_held` nothing is held beside `positions`; without it they say
    nothing of what `instruments` leave out.
    """

    account: str
    venue_time_ns: Nanoseconds
    fills: tuple[Fill, ...]
    open_orders: tuple[OrderReport, ...]
    looked_up: tuple[OrderReport | OrderMissing, ...]
    positions: tuple[VenuePosition, ...]
    cash_minor: Minor
    instruments: tuple[Instrument, ...] = ()
    clock_ahead_ns: Nanoseconds = 0
    owner: str = ""
    barred: str = ""
    all_held: bool = False


# ---- inputs from the venue ------------------------------------------------------------------------------------------


class SubmitAnswered(msgspec.Struct, frozen=True, tag=True):
    client_order_id: str
    answer: SubmitAnswer


class CancelAnswered(msgspec.Struct, frozen=True, tag=True):
    client_order_id: str
    request_id: str
    answer: CancelAnswer


class CancelAllAnswered(msgspec.Struct, frozen=True, tag=True):
    """The venue was asked to cancel everything: how many orders were open, or no answer."""

    account: str
    answer: int | Unanswered


class FillReported(msgspec.Struct, frozen=True, tag=True):
    fill: Fill


class VenueReported(msgspec.Struct, frozen=True, tag=True):
    report: VenueReport


class ReportFailed(msgspec.Struct, frozen=True, tag=True):
    """The venue did not give a complete report: failure is not flat."""

    account: str
    cause: str


class Connectivity(StrEnum):
    DOWN = "down"
    RECONCILING = "reconciling"
    LIVE = "live"


class ConnectionChanged(msgspec.Struct, frozen=True, tag=True):
    """The venue's stream came up or went down; coming up starts a reconciliation."""

    account: str
    up: bool
    detail: str = ""


class FeedChanged(msgspec.Struct, frozen=True, tag=True):
    """Market data died, or the first price came after that."""

    up: bool
    detail: str = ""


# ---- a person's commands -----------------------------------------------------------------------------------------------


class TrailSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """A trailing stop as a person says it: exactly one of the three."""

    price: Decimal | None = None
    percent: Decimal | None = None
    atr: Decimal | None = None


class EdgeSpec(msgspec.Struct, frozen=True):
    """An edge: the share of round trips won (0 to 1), the mean win over the mean loss, and in how many that was seen."""

    win_rate: Decimal
    payoff: Decimal
    round_trips: int


class SizeSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """A size that is not a plain quantity: a notional or a yearly volatility in percent of equity, an edge, or all that the
    limits allow. `atr` goes with `risk_percent`: the risk is measured over that many average true ranges at least, which is
    also the stop where none is given."""

    volatility_percent: Decimal | None = None
    edge: EdgeSpec | None = None
    largest: bool = False
    up_to: Decimal | None = None
    share_percent: Decimal | None = None
    atr: Decimal | None = None


class PlaceOrder(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """An order by hand or by a strategy; with exits it is a bracket.

    Exactly one of `quantity`, `risk_percent` (of equity, with a stop) and a way of `size`. `origin` is "manual" or a
    strategy's name; only a strategy's order, or one with `propose`, becomes a pending trade under suggest_only. With `over` it is
    worked off in slices.
    """

    command_id: str
    symbol: str
    side: Side
    portfolio: str = "main"
    quantity: Decimal | None = None
    risk_percent: Decimal | None = None
    kind: OrderKind = OrderKind.MARKET
    limit: Decimal | None = None
    trigger: Decimal | None = None
    stop: Decimal | None = None
    target: Decimal | None = None
    trail: TrailSpec | None = None
    breakeven_at: Decimal | None = None
    max_hold_seconds: int | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    origin: str = "manual"
    propose: bool = False
    rationale: str = ""
    by: str = "user"
    size: SizeSpec | None = None
    over: OverTime | None = None


class CancelOrder(msgspec.Struct, frozen=True, tag=True):
    command_id: str
    client_order_id: str
    by: str = "user"


class ClosePosition(msgspec.Struct, frozen=True, tag=True):
    """Close a position, or `quantity` of it, at market; never more than is held."""

    command_id: str
    symbol: str
    portfolio: str = "main"
    quantity: Decimal | None = None
    by: str = "user"


class SetProtection(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """Replace the named parts of a position's exit plan; a part left None stays, `clear` names parts to remove."""

    command_id: str
    symbol: str
    portfolio: str = "main"
    stop: Decimal | None = None
    target: Decimal | None = None
    trail: TrailSpec | None = None
    breakeven_at: Decimal | None = None
    max_hold_seconds: int | None = None
    clear: tuple[str, ...] = ()
    by: str = "user"


class Approve(msgspec.Struct, frozen=True, tag=True):
    """Approve a pending trade exactly as shown: `digest` is that of the card that was read, `flags_read` are the marks on texts
    from outside that were opened with it."""

    command_id: str
    proposal_id: str
    digest: str
    by: str = "user"
    flags_read: tuple[str, ...] = ()


class Decline(msgspec.Struct, frozen=True, tag=True):
    command_id: str
    proposal_id: str
    reason: str = ""
    by: str = "user"


class TradingState(StrEnum):
    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class SetTradingState(msgspec.Struct, frozen=True, tag=True):
    """Halt, reduce or resume a portfolio, or everything where `portfolio` is empty."""

    command_id: str
    state: TradingState
    portfolio: str = ""
    cause: str = ""
    by: str = "user"


class SetLimit(msgspec.Struct, frozen=True, tag=True):
    """Change one limit of a portfolio at run time: `value` as it is written, `default` for the configuration's."""

    command_id: str
    portfolio: str
    limit: str
    value: str
    by: str = "user"


class Flatten(msgspec.Struct, frozen=True, tag=True):
    """The second stage of panic: halt, cancel every order at the venue, close every position, re-read until flat."""

    command_id: str
    portfolio: str = ""
    by: str = "user"


class AcknowledgeAlert(msgspec.Struct, frozen=True, tag=True):
    command_id: str
    alert_id: str
    by: str = "user"


class SettleOrder(msgspec.Struct, frozen=True, tag=True):
    """A person settles an order of which the venue says both that it took it and that it refused it: it was `filled`, or it
    is gone. What is held stays what the venue says."""

    command_id: str
    client_order_id: str
    filled: bool
    reason: str
    by: str = "user"


class AcceptDrift(msgspec.Struct, frozen=True, tag=True):
    """A person accepts the venue's word on an instrument; entries there are allowed again."""

    command_id: str
    account: str
    instrument_id: str
    by: str = "user"


class Reconcile(msgspec.Struct, frozen=True, tag=True):
    """Ask the venue now."""

    command_id: str
    by: str = "user"


class ArmAccount(msgspec.Struct, frozen=True, tag=True):
    """Let an account with real money open positions for a time; `limits_digest` is that of the limits that were read.

    `despite` is why, where gates are not met; `unmet` names those that were seen around the engine."""

    command_id: str
    account: str
    limits_digest: str
    hours: float = 12.0
    by: str = "user"
    despite: str = ""
    unmet: tuple[str, ...] = ()


class DisarmAccount(msgspec.Struct, frozen=True, tag=True):
    """End an arming at once; what is held keeps its protection."""

    command_id: str
    account: str
    by: str = "user"


type Command = (PlaceOrder | CancelOrder | ClosePosition | SetProtection | Approve | Decline | SetTradingState | Flatten
                | SetLimit | AcknowledgeAlert | SettleOrder | AcceptDrift | Reconcile | ArmAccount | DisarmAccount
                | SetAlertRule | RemoveAlertRule | EnableAlertRule | ReadAlertRule | RunJob | PauseJob
                | EnableStrategy | Rebalance | RecordRehearsal | RecordEvidence | PromoteCandidate | DemoteCandidate | TryCode
                | RunResearch | StopResearch | ApplyResearchChange | RejectResearchChange | ReleaseResearchAlarm | Halve)

# ---- time and life -----------------------------------------------------------------------------------------------------


class VenueCapabilities(msgspec.Struct, frozen=True):
    """What a venue does natively; what it does not, the engine does itself.

    With `children_wait` the exits of a bracket go to work only once its entry has filled in full: until then they cover nothing,
    and no other exit may stand beside them. Such a venue takes brackets with market and limit entries that are good till
    cancelled, and whatever ends one order of a bracket or a pair ends the others too. With `idempotent_ids` the venue refuses a
    client order id for ever, so an exit whose answer is lost may be sent again under its own.
    """

    stop: bool = True
    bracket: bool = False
    oco: bool = False
    reduce_only: bool = False
    trailing: bool = False
    idempotent_ids: bool = False
    children_wait: bool = False


class StrategyActed(msgspec.Struct, frozen=True, tag=True):
    """What a strategy's rule wanted after the bar of an instrument (of a basket: "") that closed at `close_ns`.

    `memory` is what a restart could not find out from history, `want` the same in words; without commands only it changed.
    """

    strategy: str
    instrument_id: str
    close_ns: Nanoseconds
    memory: dict[str, int | float]
    want: str = ""
    commands: tuple[PlaceOrder | ClosePosition, ...] = ()


class EngineStarted(msgspec.Struct, frozen=True, tag=True):
    """The first input of every run; `listed` names the instruments that each account trades, where it is known."""

    engine_id: str
    version: str
    settings: Settings
    instruments: tuple[Instrument, ...]
    capabilities: dict[str, VenueCapabilities]
    listed: dict[str, tuple[str, ...]] = {}
    keeps_schedule: bool = False


class InstrumentsListed(msgspec.Struct, frozen=True, tag=True):
    """A venue that could not be reached at the start is open now: what it lists and what it does."""

    account: str
    instruments: tuple[Instrument, ...]
    capabilities: VenueCapabilities


class TimeAdvanced(msgspec.Struct, frozen=True, tag=True):
    """The clock's regular beat: deadlines are looked at. On a tape it comes before the items of its moment, whose prices the
    equity history waits for."""

    on_tape: bool = False


class MomentSeen(msgspec.Struct, frozen=True, tag=True):
    """A tape showed all closes, or all opening quotes, of a moment: what portfolios are worth goes into the equity history."""


class FirstPricesSeen(msgspec.Struct, frozen=True, tag=True):
    """An engine that waited for prices before it takes commands has them: the day begins and losses are judged before the first
    command, since a short engine ends before its first beat."""


class EngineStopping(msgspec.Struct, frozen=True, tag=True):
    """A clean end: entries whose fill nothing would protect while no engine watches are withdrawn first."""


class TapeEnded(msgspec.Struct, frozen=True, tag=True):
    """A replay has no more items; working entries are cancelled, positions stay valued at the last price."""


type VenueInput = (SubmitAnswered | CancelAnswered | CancelAllAnswered | OrderReport | OrderMissing | FillReported
                   | VenueReported | ReportFailed | ConnectionChanged | JobEnded | InstrumentsListed | FeedChanged)
type Input = (MarketItem | VenueInput | Command | EngineStarted | TimeAdvanced | MomentSeen | FirstPricesSeen | EngineStopping
              | TapeEnded | StrategyActed | ResearchDecided | ResearchEnded | LearningEnded | DaysRecalled)
