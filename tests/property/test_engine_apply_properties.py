"""`apply` is total, and the journal is the state: any events on any state, every kind there and back, folded to the same end."""

from decimal import Decimal
from enum import StrEnum
from types import UnionType
from typing import Any, TypeAliasType, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.apply import apply
from engine.errors import JournalDamaged
from engine.events import (
    KINDS,
    VERSIONS,
    CancelRequested,
    CancelSettled,
    CashAdjusted,
    ConnectivityChanged,
    DriftCleared,
    DriftSeen,
    Event,
    ExitRetried,
    ExitWanted,
    ExternalOrderSeen,
    FlattenFinished,
    FlattenProgressed,
    LevelTouched,
    OrderAcked,
    OrderClosed,
    OrderDenied,
    OrderFilled,
    OrderIntended,
    OrderMissed,
    OrderResent,
    OrderUnanswered,
    PlanSet,
    PositionAdjusted,
    ProtectionChanged,
    Reconciled,
    Recorded,
    StopMoved,
    decode,
    encode,
)
from engine.inputs import (
    Accepted,
    Approve,
    ClosePosition,
    Command,
    ConnectionChanged,
    Connectivity,
    Decline,
    Duplicate,
    FillReported,
    Flatten,
    Input,
    Limits,
    NotSent,
    OrderMissing,
    Refused,
    ReportFailed,
    SetProtection,
    SetTradingState,
    SubmitAnswer,
    SubmitAnswered,
    TimeAdvanced,
    TradingState,
    TrailSpec,
    Unanswered,
    VenueCapabilities,
    VenueReported,
)
from engine.instruments import Instrument
from engine.orders import ClosedAs, Fill, FillSource, OrderIntent, OrderKind, Purpose, Side
from engine.positions import ExitPlan
from engine.service import FlattenLine, StopHome
from engine.state import State, decode_state, encode_state
from tests.unit.engine_desk import ACCOUNT, COIN, COIN_ID, NATIVE, NO_BRACKETS, NO_STOPS, PLAIN, Desk, bought, fold, rows_of

IDS = st.sampled_from(["o1", "o2", "o3", "strange", ""])
KEYS = st.sampled_from([f"main|{COIN_ID}", "main|OTHER@paper", "main|NONE@paper", "nobody|COIN@paper"])
INSTRUMENTS = st.sampled_from([COIN_ID, "OTHER@paper"])
TICKS = st.integers(0, 20_000)
LOTS = st.integers(0, 50)
TIMES = st.integers(0, 10 ** 18)
TEXTS = st.text(max_size=5)
PLANS = st.builds(ExitPlan, TICKS, TICKS, st.integers(0, 500), st.integers(0, 9_999), TICKS, TICKS, st.integers(0, 10 ** 12))
INTENTS = st.builds(
    OrderIntent, client_order_id=IDS, portfolio=st.just("main"), account=st.just(ACCOUNT), instrument_id=INSTRUMENTS,
    side=st.sampled_from(Side), order_lots=st.integers(1, 50), kind=st.sampled_from(OrderKind), purpose=st.sampled_from(Purpose),
    limit_ticks=TICKS, trigger_ticks=TICKS, parent_id=IDS, oco_group=IDS, plan=st.none() | PLANS)
FILLS = st.builds(
    Fill, account=st.just(ACCOUNT), instrument_id=INSTRUMENTS, trade_id=st.sampled_from(["t1", "t2", "t3", "t4", "t5"]),
    client_order_id=IDS, side=st.sampled_from(Side), last_lots=LOTS, last_ticks=TICKS, fee_minor=st.integers(-5, 50), at_ns=TIMES,
    source=st.sampled_from(FillSource))
LINES = st.builds(FlattenLine, st.just(ACCOUNT), INSTRUMENTS, LOTS, LOTS, st.none() | st.floats(0, 100), TEXTS)

VENUE_FACTS: list[st.SearchStrategy[Event]] = [
    st.builds(OrderIntended, INTENTS), st.builds(OrderResent, IDS), st.builds(OrderDenied, IDS, TEXTS),
    st.builds(OrderUnanswered, IDS, TEXTS), st.builds(OrderAcked, IDS, TEXTS), st.builds(OrderFilled, FILLS, st.just("main")),
    st.builds(CancelRequested, IDS, TEXTS, TEXTS), st.builds(CancelSettled, IDS, TEXTS, TEXTS),
    st.builds(OrderClosed, IDS, st.sampled_from(ClosedAs), TEXTS), st.builds(OrderMissed, IDS),
    st.builds(ExternalOrderSeen, INTENTS, TEXTS), st.builds(PlanSet, KEYS, PLANS, TICKS, TICKS, TEXTS),
    st.builds(StopMoved, KEYS, TICKS, TICKS, TICKS), st.builds(LevelTouched, KEYS, TIMES),
    st.builds(ExitWanted, KEYS, TEXTS, LOTS), st.builds(ExitRetried, KEYS, LOTS, TIMES),
    st.builds(ProtectionChanged, KEYS, st.sampled_from(StopHome), st.booleans()),
    st.builds(PositionAdjusted, st.just(ACCOUNT), st.just("main"), INSTRUMENTS, st.integers(-50, 50), st.integers(-50, 50), TICKS,
              TEXTS),
    st.builds(CashAdjusted, st.just(ACCOUNT), st.integers(-10 ** 6, 10 ** 6), TEXTS),
    st.builds(DriftSeen, st.just(ACCOUNT), INSTRUMENTS, LOTS, LOTS, st.booleans()),
    st.builds(DriftCleared, st.just(ACCOUNT), INSTRUMENTS, TEXTS),
    st.builds(ConnectivityChanged, st.sampled_from([ACCOUNT, "elsewhere"]), st.sampled_from(Connectivity)),
    st.builds(Reconciled, st.sampled_from([ACCOUNT, "elsewhere"]), LOTS, LOTS, LOTS, TIMES),
    st.builds(FlattenProgressed, st.just(ACCOUNT), LOTS, st.tuples(LINES), st.booleans()),
    st.builds(FlattenFinished, st.booleans(), TEXTS)]
LISTED = Desk().state


@settings(max_examples=250)
@given(events=st.lists(st.one_of(VENUE_FACTS), max_size=25))
def test_no_sequence_of_facts_is_illegal(events: list[Event]) -> None:
    """Whatever a venue says, in whatever order: the books add up, and a snapshot of them comes back as it was."""
    state = LISTED
    for event in events:
        if isinstance(event, OrderIntended | ExternalOrderSeen) and state.order(event.intent.client_order_id) is not None:
            continue  # an id is made once; that is our own promise, not the venue's
        state = apply(state, Recorded(state.seq + 1, state.at_ns + 1, event))
    portfolio, account = state.portfolios["main"], state.accounts[ACCOUNT]
    cost = sum(position.cost_minor for position in state.positions.values())
    assert account.cash_minor == portfolio.adjusted_minor + portfolio.realized_minor - portfolio.fees_minor - cost
    assert all(not order.closed for order in state.orders.values())
    assert all(order.closed for order in state.closed.values())
    assert not state.orders.keys() & state.closed.keys()
    assert all(position.lots for position in state.positions.values())
    watched = [watch.key for watches in state.watches.values() for watch in watches]
    assert sorted(watched) == sorted(state.positions)
    assert decode_state(encode_state(state)) == state


# ---- codecs -----------------------------------------------------------------------------------------------------------------


def sample(of: Any) -> Any:
    """A value of a field's type, with nothing at its default."""
    if of in PLAIN_VALUES:
        return PLAIN_VALUES[of]
    origin, parts = get_origin(of), get_args(of)
    if origin in (Union, UnionType):
        return sample(next(part for part in parts if part is not type(None)))
    if origin is tuple:
        return (sample(parts[0]),) if parts[-1] is Ellipsis else tuple(map(sample, parts))
    if origin is dict:
        return {sample(parts[0]): sample(parts[1])}
    if isinstance(of, TypeAliasType):
        return sample(of.__value__)
    if issubclass(of, StrEnum):
        return list(of)[-1]
    if issubclass(of, msgspec.Struct):
        return of(**{field.name: sample(field.type) for field in msgspec.structs.fields(of)})
    return of(**{name: sample(one) for name, one in get_type_hints(of).items()})


PLAIN_VALUES: dict[Any, Any] = {
    int: (1 << 62) - 1, str: "a \u2028 \U0001f4a5 \x00", bool: True, float: 0.1, Decimal: Decimal("1.50"), Instrument: COIN,
    Limits: Limits(max_heat_fraction=0.5)}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_comes_back_as_it_was(kind: str) -> None:
    event = sample(KINDS[kind])
    name, version, payload = encode(event)
    assert (name, version) == (kind, VERSIONS[kind])
    assert decode(name, payload) == event
    assert b"\n" not in payload


@settings(max_examples=150)
@given(event=st.one_of(VENUE_FACTS))
def test_any_fact_comes_back_as_it_was(event: Event) -> None:
    name, _, payload = encode(event)
    assert decode(name, payload) == event
    assert encode(decode(name, payload)) == encode(event)


@pytest.mark.parametrize(("kind", "payload"), [
    ("OrderAcked", b"{}"), ("OrderAcked", b'{"client_order_id": 5, "venue_order_id": ""}'), ("Unheard", b"{}")])
def test_a_row_that_is_none_of_its_kind_is_damage(kind: str, payload: bytes) -> None:
    with pytest.raises(JournalDamaged):
        decode(kind, payload)


# ---- the journal is the state -----------------------------------------------------------------------------------------------


ANSWERS: list[SubmitAnswer] = [Accepted("v"), Refused("no"), Unanswered("?"), NotSent("line"), Duplicate()]


def acts(desk: Desk, data: st.DataObject, place: int) -> Input | None:
    """Something that may happen next, as far as it can be said of what is there."""
    orders = [*desk.state.orders, *list(desk.state.closed)[-3:]]
    proposals = list(desk.state.proposals.values())
    command_id = f"c{place}"
    trail = TrailSpec(percent=Decimal(data.draw(st.integers(1, 5))))
    commands: list[Command] = [
        bought(command_id, data.draw(st.integers(1, 30)), data.draw(st.sampled_from([None, "95", "99", "110"])),
               side=data.draw(st.sampled_from(Side)), trail=data.draw(st.sampled_from([None, trail])),
               origin=data.draw(st.sampled_from(["manual", "dca"])),
               symbol=data.draw(st.sampled_from(["COIN", "OTHER", "NONE"]))),
        ClosePosition(command_id, "COIN", quantity=data.draw(st.sampled_from([None, Decimal(3)]))),
        SetProtection(command_id, "COIN", trail=trail), SetTradingState(command_id, data.draw(st.sampled_from(TradingState))),
        Flatten(command_id)]
    if proposals:
        commands.append(Approve(command_id, proposals[-1].proposal_id, proposals[-1].digest))
        commands.append(Decline(command_id, proposals[-1].proposal_id))
    happenings: list[Input | None] = [None, TimeAdvanced(), ReportFailed(ACCOUNT, "x"), VenueReported(desk.report()),
                                      ConnectionChanged(ACCOUNT, up=data.draw(st.booleans())), *commands]
    if orders:
        order = desk.order(data.draw(st.sampled_from(orders)))
        lots = data.draw(st.integers(1, order.intent.order_lots))
        happenings += [
            FillReported(desk.fill_of(order.client_order_id, lots, data.draw(st.integers(9_000, 11_000)))),
            desk.order_report(order, data.draw(st.sampled_from([None, *ClosedAs]))),
            SubmitAnswered(order.client_order_id, data.draw(st.sampled_from(ANSWERS))),
            OrderMissing(ACCOUNT, order.client_order_id, data.draw(st.booleans()))] * 2
    return data.draw(st.sampled_from(happenings))


@settings(max_examples=60)
@given(data=st.data(), can=st.sampled_from([NATIVE, NO_BRACKETS, NO_STOPS, PLAIN]), count=st.integers(1, 25))
def test_the_journal_folds_to_the_state_whatever_happened(data: st.DataObject, can: VenueCapabilities, count: int) -> None:
    desk = Desk(can=can)
    for place in range(count):
        taken = acts(desk, data, place)
        if taken is None:
            desk.later(data.draw(st.sampled_from([1, 12, 61])))
            desk.quote(data.draw(st.integers(9_000, 11_000)))
        else:
            desk.take(taken)
    assert [row.seq for row in desk.rows] == list(range(1, len(desk.rows) + 1))
    folded = fold(rows_of(desk))
    assert folded == desk.state
    assert encode_state(folded) == encode_state(desk.state)
    assert decode_state(encode_state(desk.state)) == desk.state


def test_a_snapshot_and_the_tail_are_the_whole() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter()
    rows = rows_of(desk)
    half = len(rows) // 2
    state: State = decode_state(encode_state(fold(rows[:half])))
    for row in rows[half:]:
        state = apply(state, Recorded(row.seq, row.at_ns, decode(row.kind, row.payload)))
    assert state == desk.state


def test_what_is_no_snapshot_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_state(b"{")
    with pytest.raises(msgspec.DecodeError):
        decode_state(b'{"seq": "one"}')
