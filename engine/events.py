"""The closed union of what the engine records. An event holds every price and number that it depended on, so that the
state can be rebuilt from the journal alone.

A journal row's kind is the event's class name; its payload is the event as JSON. An event that changes its shape gets a
higher `VERSIONS` entry, and the store's upcasters translate the old shape on read.
"""

from typing import NamedTuple

import msgspec

from engine.access_events import AccessDenied, AccessGranted
from engine.account_events import AccountTold, CloseRefused
from engine.alert_events import AlertRuleFired, AlertRuleNoted, AlertRuleRemoved, AlertRuleSet, AlertRuleSwitched
from engine.errors import JournalDamaged
from engine.event_base import Event as Event  # noqa: PLC0414 - offered here, with the events
from engine.flatten_events import FlattenFinished as FlattenFinished  # noqa: PLC0414
from engine.flatten_events import FlattenProgressed as FlattenProgressed  # noqa: PLC0414
from engine.flatten_events import FlattenStarted as FlattenStarted  # noqa: PLC0414
from engine.flow_events import CashAdjusted as CashAdjusted  # noqa: PLC0414
from engine.flow_events import FlowValued
from engine.golive_events import RehearsalRecorded
from engine.inputs import Connectivity, PlaceOrder, Settings, TradingState, VenueCapabilities
from engine.instruments import Instrument
from engine.lifecycle_events import CandidateDemoted, CandidatePromoted, EvidenceRecorded
from engine.orders import ClosedAs, Fill, OrderIntent
from engine.parent_events import ParentAccepted, ParentEnded, ParentSliced
from engine.positions import ExitPlan
from engine.research_events import (
    CalibrationLearned,
    DecisionGated,
    DecisionSealed,
    ForecastAdjusted,
    ForecastResolved,
    ForecastTouched,
    ResearchAlarmReleased,
    ResearchAlarmSet,
    ResearchBegun,
    ResearchChangeSettled,
    ResearchFinished,
)
from engine.schedule_events import JobDropped, JobFinished, JobMissed, JobPaused, JobPlanned, JobStarted
from engine.service import AlertLevel, BrakeLevel, ClampView, OrderCard, ProposalStatus, RateView, StopHome
from engine.strategy_events import RegimeFound, StrategyActed, StrategySwitched
from engine.target_events import RebalanceEnded, RebalanceStarted
from engine.units import Lots, Minor, Nanoseconds, Ticks

# ---- sessions and instruments ---------------------------------------------------------------------------------------


class SessionStarted(Event, frozen=True, omit_defaults=True):
    """The engine came up: what was in flight when it last stopped is unknown until the venue says otherwise."""

    engine_id: str
    version: str
    settings: Settings
    capabilities: dict[str, VenueCapabilities]
    offline_since_ns: Nanoseconds = 0
    listed: dict[str, tuple[str, ...]] = {}
    keeps_schedule: bool = False


class InstrumentListed(Event, frozen=True, omit_defaults=True):
    instrument: Instrument


class AccountOpened(Event, frozen=True, omit_defaults=True):
    """A venue that could not be reached at the start told what it lists and what it does."""

    account: str
    listed: tuple[str, ...]
    capabilities: VenueCapabilities


class ConnectivityChanged(Event, frozen=True, omit_defaults=True):
    account: str
    connectivity: Connectivity
    detail: str = ""


class DayRolled(Event, frozen=True, omit_defaults=True):
    """A new trading day of the settings' zone, with the equity each portfolio starts it with.

    Once more for the same day, it is the beginning of those portfolios alone whose worth was not known yet.
    """

    day: int
    equity_minor: dict[str, Minor]
    week: int = -1


# ---- orders ----------------------------------------------------------------------------------------------------------


class OrderIntended(Event, frozen=True, omit_defaults=True):
    """An order that passed risk and is handed to the gateway once this row is durable; `clamps` are what limits took off it,
    `rates` the quoted rates between currencies that its checks depended on."""

    intent: OrderIntent
    command_id: str = ""
    clamps: tuple[ClampView, ...] = ()
    rates: tuple[RateView, ...] = ()


class OrderResent(Event, frozen=True, omit_defaults=True):
    """The venue proved that it never had the order; the same order goes out once more under the same id."""

    client_order_id: str


class OrderDenied(Event, frozen=True, omit_defaults=True):
    """Withdrawn before it left us; the only local way to close an order."""

    client_order_id: str
    reason: str


class OrderUnanswered(Event, frozen=True, omit_defaults=True):
    client_order_id: str
    cause: str


class OrderAcked(Event, frozen=True, omit_defaults=True):
    client_order_id: str
    venue_order_id: str


class OrderFilled(Event, frozen=True, omit_defaults=True):
    """A fill, folded into its order and its position in one step; with the lowest and highest price that the position had seen
    until then (0: none)."""

    fill: Fill
    portfolio: str
    low_ticks: Ticks = 0
    high_ticks: Ticks = 0


class CancelRequested(Event, frozen=True, omit_defaults=True):
    client_order_id: str
    request_id: str
    reason: str
    command_id: str = ""


class CancelSettled(Event, frozen=True, omit_defaults=True):
    """The venue refused our cancel, or the request never left us."""

    client_order_id: str
    request_id: str
    reason: str


class OrderClosed(Event, frozen=True, omit_defaults=True):
    """The venue's closing word."""

    client_order_id: str
    closed_as: ClosedAs
    reason: str = ""


class OrderSettled(Event, frozen=True, omit_defaults=True):
    """A person's word on a disputed order; whether it was filled or is gone, and why they say so."""

    client_order_id: str
    filled: bool
    reason: str
    by: str
    command_id: str = ""


class OrderMissed(Event, frozen=True, omit_defaults=True):
    """A complete query did not find an order that may be live."""

    client_order_id: str


class ExternalOrderSeen(Event, frozen=True, omit_defaults=True):
    """The venue holds an order that is not ours: shown, counted, never touched without a person's word."""

    intent: OrderIntent
    venue_order_id: str


# ---- positions and protection -----------------------------------------------------------------------------------------


class PlanSet(Event, frozen=True, omit_defaults=True):
    """A person, or the first fill of a bracket, gave a position its exit plan."""

    key: str
    plan: ExitPlan
    stop_ticks: Ticks
    best_ticks: Ticks
    by: str
    command_id: str = ""


class StopMoved(Event, frozen=True, omit_defaults=True):
    """A trailing or breakeven rule moved the stop; `seen_ticks` is the price that did it."""

    key: str
    stop_ticks: Ticks
    best_ticks: Ticks
    seen_ticks: Ticks


class LevelTouched(Event, frozen=True, omit_defaults=True):
    """The price reached a level for which an order rests at the venue; the venue gets a moment to act (0 clears)."""

    key: str
    at_ns: Nanoseconds
    seen_ticks: Ticks = 0


class ExitWanted(Event, frozen=True, omit_defaults=True):
    """The engine wants out of a position (or `lots` of it; 0 is all), at market, until that is done."""

    key: str
    reason: str
    lots: Lots = 0
    seen_ticks: Ticks = 0
    command_id: str = ""


class ExitRetried(Event, frozen=True, omit_defaults=True):
    """An exit was refused or fell short; the next attempt waits until `retry_at_ns`."""

    key: str
    attempts: int
    retry_at_ns: Nanoseconds


class ProtectionChanged(Event, frozen=True, omit_defaults=True):
    """The protection ledger: where a position's stop lives from now on; `bare` while nothing guards it."""

    key: str
    home: StopHome
    bare: bool
    detail: str = ""


class PositionSplit(Event, frozen=True, omit_defaults=True):
    """A share was split or merged: `numerator` new lots for `denominator` old ones, without money."""

    account: str
    portfolio: str
    instrument_id: str
    lots_before: Lots
    lots_after: Lots
    numerator: int
    denominator: int


class PositionAdjusted(Event, frozen=True, omit_defaults=True):
    """The venue's word on a position that our fills do not explain: at `price_ticks` it is booked, at `worth_ticks` what came or
    went was worth then (0: the same)."""

    account: str
    portfolio: str
    instrument_id: str
    lots_before: Lots
    lots_after: Lots
    price_ticks: Ticks
    reason: str
    worth_ticks: Ticks = 0
    equity_minor: Minor | None = None


# ---- reconciliation -----------------------------------------------------------------------------------------------------


class DriftSeen(Event, frozen=True, omit_defaults=True):
    """Ours and the venue's lots differ; `settled` once it was confirmed and our position was adjusted."""

    account: str
    instrument_id: str
    our_lots: Lots
    venue_lots: Lots
    settled: bool = False


class DriftCleared(Event, frozen=True, omit_defaults=True):
    account: str
    instrument_id: str
    by: str
    command_id: str = ""


class Reconciled(Event, frozen=True, omit_defaults=True):
    """One clean pass: the venue's answer and our state agree, or the difference is named."""

    account: str
    new_fills: int
    open_orders: int
    positions: int
    venue_time_ns: Nanoseconds


# ---- decisions of people and strategies --------------------------------------------------------------------------------


class WantRefused(Event, frozen=True, omit_defaults=True):
    """A command was refused; the check, its limit and the value are part of the record."""

    command_id: str
    what: str
    check: str
    limit: str
    value: str
    message: str


class CommandDone(Event, frozen=True, omit_defaults=True):
    """A command that changed nothing else has been answered."""

    command_id: str
    text: str


class Proposal(msgspec.Struct, frozen=True):
    """A pending trade: the want, the card that is shown, and the digests that bind an approval to them; `decision_id` is the
    decision of research that it came from, if it did."""

    proposal_id: str
    want: PlaceOrder
    card: OrderCard
    digest: str
    context: str
    raised_at_ns: Nanoseconds
    expires_at_ns: Nanoseconds
    band_low_ticks: Ticks
    band_high_ticks: Ticks
    status: ProposalStatus = ProposalStatus.PENDING
    status_reason: str = ""
    decision_id: str = ""


class ProposalRaised(Event, frozen=True, omit_defaults=True):
    proposal: Proposal
    command_id: str


class ProposalSettled(Event, frozen=True, omit_defaults=True):
    proposal_id: str
    status: ProposalStatus
    reason: str
    by: str
    command_id: str = ""


class TradingStateChanged(Event, frozen=True, omit_defaults=True):
    """A latch moved; `portfolio` empty means everything."""

    portfolio: str
    state: TradingState
    cause: str
    by: str
    command_id: str = ""


class Armed(Event, frozen=True, omit_defaults=True):
    """An account with real money may open positions until `until_ns`, under exactly the limits of the digest; `despite` is why,
    although the gates `unmet` were not met."""

    account: str
    until_ns: Nanoseconds
    by: str
    limits_digest: str
    command_id: str = ""
    despite: str = ""
    unmet: tuple[str, ...] = ()


class Disarmed(Event, frozen=True, omit_defaults=True):
    account: str
    reason: str
    by: str
    command_id: str = ""


class LimitChanged(Event, frozen=True, omit_defaults=True):
    """A limit was set at run time, or back to the configuration's (`changed` false)."""

    portfolio: str
    limit: str
    before: str
    after: str
    by: str
    changed: bool = True
    command_id: str = ""


class EquityMarked(Event, frozen=True, omit_defaults=True):
    """What portfolios are worth and the size of what they hold, now and then; `reaches` are the lowest and highest price that
    open positions have seen, by their keys."""

    equity_minor: dict[str, Minor]
    gross_minor: dict[str, Minor]
    reaches: dict[str, tuple[Ticks, Ticks]] = {}


class HighWaterRaised(Event, frozen=True, omit_defaults=True):
    """A new highest equity; recorded by steps, not with every tick."""

    portfolio: str
    equity_minor: Minor


class BrakeSet(Event, frozen=True, omit_defaults=True):
    """A brake latched or stepped down; `until_ns` is when a pause ends by itself (0: it does not)."""

    portfolio: str
    brake: str
    level: BrakeLevel
    cause: str
    baseline_minor: Minor
    equity_minor: Minor
    until_ns: Nanoseconds = 0


class BrakeReleased(Event, frozen=True, omit_defaults=True):
    """A brake was let go; its loss counts anew from `baseline_minor`, or, where `unvalued`, from the first known worth."""

    portfolio: str
    brake: str
    by: str
    cause: str
    baseline_minor: Minor | None = None
    unvalued: bool = False


# ---- alerts and panic -----------------------------------------------------------------------------------------------


class AlertRaised(Event, frozen=True, omit_defaults=True):
    alert_id: str
    level: AlertLevel
    code: str
    subject: str
    text: str


class AlertAcknowledged(Event, frozen=True, omit_defaults=True):
    alert_id: str
    by: str
    command_id: str = ""


type AnyEvent = (
    SessionStarted | InstrumentListed | ConnectivityChanged | DayRolled | OrderIntended | OrderResent | OrderDenied
    | OrderUnanswered | OrderAcked | OrderFilled | CancelRequested | CancelSettled | OrderClosed | OrderMissed | OrderSettled
    | ExternalOrderSeen | PlanSet | StopMoved | LevelTouched | ExitWanted | ExitRetried | ProtectionChanged
    | PositionAdjusted | PositionSplit | CashAdjusted | DriftSeen | DriftCleared | Reconciled | WantRefused | CommandDone
    | ProposalRaised | ProposalSettled | TradingStateChanged | AlertRaised | AlertAcknowledged | FlattenStarted
    | FlattenProgressed | FlattenFinished | Armed | Disarmed | AccountOpened
    | LimitChanged | FlowValued | HighWaterRaised | BrakeSet | BrakeReleased | EquityMarked
    | ParentAccepted | ParentSliced | ParentEnded
    | StrategyActed | StrategySwitched | RegimeFound | RebalanceStarted | RebalanceEnded
    | EvidenceRecorded | CandidatePromoted | CandidateDemoted | RehearsalRecorded
    | AlertRuleSet | AlertRuleRemoved | AlertRuleSwitched | AlertRuleNoted | AlertRuleFired
    | AccessGranted | AccessDenied | AccountTold | CloseRefused
    | ResearchBegun | ResearchFinished | DecisionSealed | DecisionGated | ForecastTouched | ForecastAdjusted
    | ForecastResolved | CalibrationLearned | ResearchChangeSettled | ResearchAlarmSet | ResearchAlarmReleased
    | JobPlanned | JobDropped | JobStarted | JobFinished | JobMissed | JobPaused
)

KINDS: dict[str, type[Event]] = {cls.__name__: cls for cls in Event.__subclasses__()}
VERSIONS: dict[str, int] = dict.fromkeys(KINDS, 1)

_encoder = msgspec.json.Encoder()
_decoders: dict[str, "msgspec.json.Decoder[Event]"] = {kind: msgspec.json.Decoder(cls) for kind, cls in KINDS.items()}


class Recorded(NamedTuple):
    """An event with its journal row's number and time."""

    seq: int
    at_ns: Nanoseconds
    event: Event


def encode(event: Event) -> tuple[str, int, bytes]:
    """Kind, version and payload of an event's journal row."""
    kind = type(event).__name__
    return kind, VERSIONS[kind], _encoder.encode(event)


def decode(kind: str, payload: bytes) -> Event:
    """The event of a journal row of the current version; raises `JournalDamaged` where the payload is not one."""
    decoder = _decoders.get(kind)
    if decoder is None:
        raise JournalDamaged(f"journal holds a row of unknown kind {kind!r}; it was written by a newer version")
    try:
        return decoder.decode(payload)
    except msgspec.ValidationError as error:
        raise JournalDamaged(f"a journal row of kind {kind} does not have that kind's shape: {error}") from error
