"""The engine's whole state and `apply`, its only way to change. Pure and total: no venue fact raises.

Dictionaries are copied on write and keep insertion order, so equal journals give equal states. What a quote may change
without being journaled (the newest prices, bars, ATR) is not here but in `engine.market`.
"""

from typing import Any

import msgspec

from engine.access import AccessState
from engine.alert_rules import AlertRuleState
from engine.candidates import Candidate
from engine.events import Proposal
from engine.golive_words import PaperRecord, RehearsalState
from engine.inputs import Connectivity, Limits, PortfolioSettings, Settings, TradingState, VenueCapabilities
from engine.instruments import Instrument
from engine.orders import Fill, Order, Purpose, twin_ids
from engine.parents import Parent
from engine.positions import Position, RoundTrip, position_key
from engine.regimes import DayRegime
from engine.research_state import ResearchState
from engine.schedule import JobState
from engine.service import AlertLevel, BrakeLevel, FlattenLine, StopHome
from engine.strategy_state import StrategyState
from engine.targets import RebalanceRun
from engine.units import Lots, Minor, Nanoseconds
from engine.watch import Watch

KEPT_CLOSED_ORDERS = 500
KEPT_FILLS = 200
KEPT_ROUND_TRIPS = 200
KEPT_ALERTS = 200
KEPT_COMMANDS = 5_000
KEPT_PROPOSALS = 50
KEPT_FILL_DAYS = 40
NS_PER_DAY = 86_400_000_000_000


class Brake(msgspec.Struct, frozen=True):
    """One brake of a portfolio, latched: its level, the equity it is measured from, why and since when, and who let it go.

    `until_ns` is when a pause ends by itself (0: it does not).
    """

    level: BrakeLevel
    cause: str
    baseline_minor: Minor
    equity_minor: Minor
    at_ns: Nanoseconds
    until_ns: Nanoseconds = 0
    released_by: str = ""
    released_at_ns: Nanoseconds = 0
    release_cause: str = ""


class LimitChange(msgspec.Struct, frozen=True):
    """A limit that was set at run time; it outlasts restarts until it is set back to `default`."""

    value: str
    by: str
    at_ns: Nanoseconds


class PortfolioState(msgspec.Struct, frozen=True):
    """One portfolio: its settings, its latch, and the sums that its money identity is made of.

    `cash == adjusted_minor + realized_minor - fees_minor - sum(cost_minor of its positions)`, to the last minor unit.
    Losses are measured from the equities of the day's and the week's beginning and from the high-water mark; all three go along
    with deposits and withdrawals, which are no result: `day_surplus_minor` is by how much more than those sums the day's did,
    `waiting_flow_minor` what of them waits for a price. `settings.limits` are the limits in force, `configured_limits` those
    of the configuration, `limit_changes` what was changed since. The counts of the day are of entries sent.
    `rebalance` is the newest run toward its targets.
    """

    settings: PortfolioSettings
    trading_state: TradingState = TradingState.ACTIVE
    cause: str = ""
    latched_by: str = ""
    latched_at_ns: Nanoseconds = 0
    realized_minor: Minor = 0
    fees_minor: Minor = 0
    adjusted_minor: Minor = 0
    day_equity_minor: Minor | None = None
    week_equity_minor: Minor | None = None
    high_water_minor: Minor | None = None
    day_surplus_minor: Minor = 0
    waiting_flow_minor: Minor = 0
    losing_streak: int = 0
    day_entry_count: int = 0
    day_entry_notional_minor: Minor = 0
    brakes: dict[str, Brake] = {}
    configured_limits: Limits = Limits()
    limit_changes: dict[str, LimitChange] = {}
    rebalance: RebalanceRun | None = None
    marked_equity_minor: Minor | None = None
    marked_gross_minor: Minor | None = None

    def day_result_minor(self, equity: Minor) -> Minor:
        """What the day brought in money, deposits and withdrawals left out; 0 before it has begun."""
        if self.day_equity_minor is None:
            return 0
        return equity - self.waiting_flow_minor - self.day_equity_minor + self.day_surplus_minor

    @property
    def braked(self) -> bool:
        """Whether any brake of the whole portfolio is on, if only for smaller orders."""
        return any(brake.level not in (BrakeLevel.NONE, BrakeLevel.STOPPED) for brake in self.brakes.values())


class Drift(msgspec.Struct, frozen=True):
    """A difference between our lots and the venue's; entries on the instrument are blocked while it stands."""

    our_lots: Lots
    venue_lots: Lots
    seen_at_ns: Nanoseconds
    settled: bool


class AccountState(msgspec.Struct, frozen=True):
    """One account at one venue, as its reports say; `listed` are the instruments that it trades, empty for all.
    `down_since_ns` is when the connection was lost (0: it is there), `withdraw_before_ns` when it came back after it had been
    gone for too long: entries from before then are withdrawn. `unstreamed` are the signed lots of what is held that no stream
    told us of: reports did, or the venue's word. `venue_time_ns` is
    what the venue's own clock said at the last clean pass. `owner` and `barred` are as `AccountTold` has them;
    `close_refused_at_ns` is when the venue last did not let go of what was opened that day (0: never).
    """

    account: str
    portfolio: str
    capabilities: VenueCapabilities
    cash_minor: Minor = 0
    funded: bool = False
    connectivity: Connectivity = Connectivity.DOWN
    connectivity_detail: str = ""
    opened_at_ns: Nanoseconds = 0
    last_fill_ns: Nanoseconds = 0
    reconciled_at_ns: Nanoseconds = 0
    venue_time_ns: Nanoseconds = 0
    drifts: dict[str, Drift] = {}
    armed_until_ns: Nanoseconds = 0
    armed_by: str = ""
    armed_digest: str = ""
    down_since_ns: Nanoseconds = 0
    withdraw_before_ns: Nanoseconds = 0
    listed: tuple[str, ...] = ()
    unstreamed: dict[str, Lots] = {}
    owner: str = ""
    barred: str = ""
    close_refused_at_ns: Nanoseconds = 0
    close_refused_why: str = ""


class Alert(msgspec.Struct, frozen=True):
    alert_id: str
    at_ns: Nanoseconds
    level: AlertLevel
    code: str
    subject: str
    text: str
    acknowledged: bool = False
    count: int = 1


class FlattenState(msgspec.Struct, frozen=True):
    """The second stage of panic, from its start to the venue's own word that nothing is left."""

    portfolio: str
    accounts: tuple[str, ...]
    started_at_ns: Nanoseconds
    deadline_ns: Nanoseconds
    by: str
    command_id: str
    lines: dict[str, tuple[FlattenLine, ...]] = {}
    open_orders: dict[str, int] = {}
    flat_accounts: dict[str, bool] = {}
    finished: bool = False
    flat: bool = False
    detail: str = ""


class SettledFill(msgspec.Struct, frozen=True):
    """A fill with what a table of fills shows beside it."""

    fill: Fill
    portfolio: str
    purpose: Purpose


class Home(msgspec.Struct, frozen=True):
    """An entry of the protection ledger."""

    home: StopHome
    since_ns: Nanoseconds
    detail: str


class State(msgspec.Struct, frozen=True):
    """Everything the engine knows that is journaled. `orders` are those that may still change; `closed` the newest others;
    `commands` the row of each command by its id, negative where it was refused."""

    seq: int = 0
    at_ns: Nanoseconds = 0
    engine_id: str = ""
    session_seq: int = 0
    version: str = ""
    settings: Settings = Settings(portfolios=())
    instruments: dict[str, Instrument] = {}
    portfolios: dict[str, PortfolioState] = {}
    accounts: dict[str, AccountState] = {}
    orders: dict[str, Order] = {}
    closed: dict[str, Order] = {}
    misses: dict[str, int] = {}
    positions: dict[str, Position] = {}
    watches: dict[str, tuple[Watch, ...]] = {}
    homes: dict[str, Home] = {}
    fills_seen: dict[str, dict[str, int]] = {}
    recent_fills: tuple[SettledFill, ...] = ()
    round_trips: tuple[RoundTrip, ...] = ()
    round_trip_count: int = 0
    proposals: dict[str, Proposal] = {}
    alerts: dict[str, Alert] = {}
    commands: dict[str, int] = {}
    trading_state: TradingState = TradingState.ACTIVE
    trading_cause: str = ""
    flatten: FlattenState | None = None
    day: int = -1
    week: int = -1
    session_at_ns: Nanoseconds = 0
    marked_at_ns: Nanoseconds = 0
    marked_trips: int = 0
    alert_rules: dict[str, AlertRuleState] = {}
    alert_index: dict[str, tuple[str, ...]] = {}
    alert_timed: tuple[str, ...] = ()
    jobs: dict[str, JobState] = {}
    keeps_schedule: bool = False
    strategies: dict[str, StrategyState] = {}
    candidates: dict[str, Candidate] = {}
    regimes: dict[str, DayRegime] = {}
    parents: dict[str, Parent] = {}
    rehearsals: dict[str, RehearsalState] = {}
    paper_record: PaperRecord = PaperRecord()
    access: AccessState = AccessState()
    research: ResearchState = ResearchState()

    def order(self, client_order_id: str) -> Order | None:
        """An order of ours or an external one, open or lately closed."""
        return self.orders.get(client_order_id) or self.closed.get(client_order_id)

    def position(self, portfolio: str, instrument_id: str) -> Position | None:
        return self.positions.get(position_key(portfolio, instrument_id))

    def account_of(self, portfolio: str) -> AccountState:
        return self.accounts[self.portfolios[portfolio].settings.account]

    def orders_in(self, portfolio: str, instrument_id: str) -> list[Order]:
        """Orders that may still execute in one instrument of one portfolio."""
        return [order for order in self.orders.values()
                if order.intent.instrument_id == instrument_id and order.intent.portfolio == portfolio]

    def parent_in(self, portfolio: str, instrument_id: str) -> Parent | None:
        """The order over time that works in one instrument of one portfolio; there is one at most."""
        return next((parent for parent in self.parents.values() if parent.works
                     and (parent.intent.portfolio, parent.intent.instrument_id) == (portfolio, instrument_id)), None)

    def covered_lots(self, order: Order) -> Lots:
        """How much of a position an exit order covers: a native child only what its parent has filled, and nothing before that
        is all of it where children wait for that; a pair's what the other one has left of it."""
        most = order.intent.order_lots
        parent = self.order(order.intent.parent_id) if order.intent.parent_id else None
        if parent is not None:
            most = parent.cum_lots
            account = self.accounts.get(order.intent.account)
            if most < parent.intent.order_lots and account is not None and account.capabilities.children_wait:
                return 0
        taken = order.cum_lots + sum(twin.cum_lots for twin in self.twins(order))
        return max(0, min(order.leaves_lots, most - taken))

    def twins(self, order: Order) -> list[Order]:
        """The other exit that went out in the same request, open or not; none where there is none."""
        found = (self.order(client_order_id) for client_order_id in twin_ids(order.intent))
        return [twin for twin in found if twin is not None and twin.intent.purpose in (Purpose.STOP, Purpose.TARGET)]

    def is_second_of_pair(self, order: Order) -> bool:
        """A target with its stop still open beside it: the two together take a position once."""
        return order.intent.purpose is Purpose.TARGET and any(twin.client_order_id in self.orders for twin in self.twins(order))

    def effective_state(self, portfolio: str) -> TradingState:
        """The strictest of the portfolio's latch, its brakes, and the global latch."""
        known = self.portfolios[portfolio]
        braked = (_BRAKED[brake.level] for brake in known.brakes.values())
        return max(known.trading_state, self.trading_state, *braked, key=STRICTNESS.__getitem__)

    def flattening(self, portfolio: str) -> bool:
        """The second stage of panic is at work on this portfolio: it alone places orders there."""
        flatten = self.flatten
        return flatten is not None and not flatten.finished and (
            not flatten.portfolio or portfolio in flatten.portfolio.split(","))

    def fill_seen(self, fill: Fill) -> bool:
        return self.seen_lots(fill) is not None

    def seen_lots(self, fill: Fill) -> Lots | None:
        """The lots that a fill of this identity was recorded with, None where it is new."""
        return self.fills_seen.get(_fill_day(fill), {}).get(fill.key)


STRICTNESS = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}
_BRAKED = {BrakeLevel.NONE: TradingState.ACTIVE, BrakeLevel.STOPPED: TradingState.ACTIVE, BrakeLevel.SMALLER: TradingState.ACTIVE,
           BrakeLevel.REDUCING: TradingState.REDUCING, BrakeLevel.HALTED: TradingState.HALTED}


def _fill_day(fill: Fill) -> str:
    return str(fill.at_ns // NS_PER_DAY)


def day_chunk(fill: Fill) -> str:
    """The chunk of `fills_seen` that a fill belongs to: its venue day."""
    return _fill_day(fill)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(State)
SNAPSHOT_FORMAT = 1


def encode_state(state: State) -> bytes:
    """The state as a snapshot's blob."""
    return _encoder.encode(state)


def decode_state(blob: bytes) -> State:
    """The state of a snapshot's blob; raises `msgspec.DecodeError` where it is not one."""
    return _decoder.decode(blob)


def newest[V](entries: dict[str, V], kept: int) -> dict[str, V]:
    """The entries without the oldest ones beyond `kept`; trimmed in strides so that it costs little on average."""
    surplus = len(entries) - kept
    if surplus <= max(8, kept // 10):
        return entries
    return dict(list(entries.items())[surplus:])


type Changes = dict[str, Any]
