"""An order's status is a function of its facts: the order in which they arrive does not matter."""

from collections.abc import Callable, Iterable
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.orders import (
    ClosedAs,
    Fill,
    FillSource,
    Order,
    OrderIntent,
    OrderKind,
    OrderStatus,
    Purpose,
    Side,
    added_by,
    with_ack,
    with_cancel_answer,
    with_cancel_request,
    with_closed,
    with_denied,
    with_fill,
    with_sent,
    with_unanswered,
)

ORDER_LOTS = 100

type Fact = tuple[str, int]

ACK: Fact = ("ack", 0)
TIMEOUT: Fact = ("timeout", 0)
CANCEL: Fact = ("cancel", 1)
CANCEL_REFUSED: Fact = ("cancel refused", 1)
CANCELED: Fact = ("closed", 3)
EXPIRED: Fact = ("closed", 2)
REJECTED: Fact = ("closed", 1)
CLOSING = {1: ClosedAs.REJECTED, 2: ClosedAs.EXPIRED, 3: ClosedAs.CANCELED}


def new_order(order_lots: int = ORDER_LOTS) -> Order:
    intent = OrderIntent(client_order_id="o-1", portfolio="main", account="paper", instrument_id="AAPL@paper",
                         side=Side.BUY, order_lots=order_lots, kind=OrderKind.LIMIT, purpose=Purpose.ENTRY,
                         limit_ticks=1000)
    return Order(intent=intent, intended_at_ns=1)


def fill_of(trade: int, lots: int, ticks: int = 1000, fee_minor: int = 1,
            source: FillSource = FillSource.STREAM) -> Fill:
    return Fill(account="paper", instrument_id="AAPL@paper", trade_id=f"t{trade}", client_order_id="o-1", side=Side.BUY,
                last_lots=lots, last_ticks=ticks, fee_minor=fee_minor, at_ns=10 + trade, source=source)


def fill(trade: int, lots: int) -> Fact:
    return (f"fill {lots}", trade)


def arrive(facts: Iterable[Fact], order: Order | None = None) -> Order:
    """Fold facts as the engine does: each fill once by its key, everything else as often as it arrives."""
    order = with_sent(new_order(), 5) if order is None else order
    seen: set[str] = set()
    steps: dict[str, Callable[[Order, int], Order]] = {
        "ack": lambda o, _: with_ack(o, "v-1"),
        "timeout": lambda o, _: with_unanswered(o),
        "cancel": lambda o, n: with_cancel_request(o, f"c{n}", 20),
        "cancel refused": lambda o, n: with_cancel_answer(o, f"c{n}"),
        "closed": lambda o, n: with_closed(o, CLOSING[n], "the venue said so", 30),
    }
    for name, number in facts:
        if name.startswith("fill"):
            one = fill_of(number, int(name.split()[1]))
            if one.key not in seen:
                seen.add(one.key)
                order = with_fill(order, one)
        else:
            order = steps[name](order, number)
    return order


SCENARIOS: list[tuple[str, list[Fact], OrderStatus, int]] = [
    ("fill before ack", [ACK, fill(1, 100)], OrderStatus.FILLED, 100),
    ("late partial fill after cancel", [ACK, CANCEL, CANCELED, fill(1, 40)], OrderStatus.CANCELED, 40),
    ("late last fill after cancel", [ACK, CANCEL, CANCELED, fill(1, 100)], OrderStatus.FILLED, 100),
    ("fill racing a refused cancel", [ACK, CANCEL, CANCEL_REFUSED, fill(1, 40)], OrderStatus.PARTIALLY_FILLED, 40),
    ("cancel without an answer", [ACK, CANCEL, fill(1, 40)], OrderStatus.PENDING_CANCEL, 40),
    ("timeout then ack", [TIMEOUT, ACK], OrderStatus.NEW, 0),
    ("timeout then fill", [TIMEOUT, fill(1, 100)], OrderStatus.FILLED, 100),
    ("timeout alone", [TIMEOUT, TIMEOUT], OrderStatus.UNKNOWN, 0),
    ("timeout, cancel asked and refused", [TIMEOUT, CANCEL, CANCEL_REFUSED], OrderStatus.UNKNOWN, 0),
    ("duplicate fill", [ACK, fill(1, 40), fill(1, 40)], OrderStatus.PARTIALLY_FILLED, 40),
    ("expired with a late fill", [ACK, EXPIRED, fill(1, 10)], OrderStatus.EXPIRED, 10),
    ("rejected", [TIMEOUT, REJECTED, REJECTED], OrderStatus.REJECTED, 0),
    ("rejected with a fill", [REJECTED, fill(1, 10)], OrderStatus.DISPUTED, 10),
    ("rejected and acknowledged", [REJECTED, ACK], OrderStatus.DISPUTED, 0),
    ("disputed until canceled", [REJECTED, ACK, CANCELED], OrderStatus.CANCELED, 0),
    ("disputed until expired", [REJECTED, ACK, EXPIRED], OrderStatus.EXPIRED, 0),
    ("canceled and expired", [CANCELED, EXPIRED, ACK], OrderStatus.CANCELED, 0),
    ("every closing word", [CANCELED, EXPIRED, REJECTED, ACK], OrderStatus.CANCELED, 0),
    ("overfill", [ACK, fill(1, 60), fill(2, 60)], OrderStatus.FILLED, 120),
    ("overfill of what was canceled", [CANCEL, CANCELED, fill(1, 60), fill(2, 60)], OrderStatus.FILLED, 120),
]


def facts_of(order: Order) -> tuple[object, ...]:
    """Everything of an order that must not depend on arrival."""
    return (order.status, order.cum_lots, order.cum_value, order.fees_minor, order.leaves_lots, order.acked,
            order.closed_as, order.last_fill_ns, sorted(order.cancel_requests), sorted(order.cancel_answers))


@pytest.mark.parametrize(("facts", "status", "cum_lots"), [row[1:] for row in SCENARIOS],
                         ids=[row[0] for row in SCENARIOS])
def test_status_does_not_depend_on_arrival_order(facts: list[Fact], status: OrderStatus, cum_lots: int) -> None:
    for arrival in permutations(facts):
        order = arrive(arrival)
        assert (order.status, order.cum_lots) == (status, cum_lots), arrival


def test_every_small_set_of_facts_has_one_outcome() -> None:
    alphabet = [ACK, TIMEOUT, CANCEL, CANCEL_REFUSED, CANCELED, EXPIRED, REJECTED, fill(1, 40), fill(2, 60)]
    for mask in range(1 << len(alphabet)):
        chosen = [fact for bit, fact in enumerate(alphabet) if mask >> bit & 1]
        if len(chosen) > 5:
            continue
        expected = facts_of(arrive(chosen))
        assert all(facts_of(arrive(arrival)) == expected for arrival in permutations(chosen)), chosen


many_facts = st.lists(
    st.one_of(st.sampled_from([ACK, TIMEOUT, CANCELED, EXPIRED, REJECTED]),
              st.tuples(st.just("cancel"), st.integers(1, 3)),
              st.tuples(st.just("cancel refused"), st.integers(1, 3)),
              st.integers(1, 6).map(lambda trade: fill(trade, 7 * trade))),
    max_size=14)


@settings(max_examples=200, deadline=None)
@given(facts=many_facts, data=st.data())
def test_larger_sets_have_one_outcome_too(facts: list[Fact], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(facts))
    assert facts_of(arrive(shuffled)) == facts_of(arrive(facts))


@settings(max_examples=200, deadline=None)
@given(facts=many_facts)
def test_a_fact_heard_twice_changes_nothing(facts: list[Fact]) -> None:
    assert facts_of(arrive(facts + facts)) == facts_of(arrive(facts))


@settings(max_examples=200, deadline=None)
@given(facts=many_facts, more=many_facts)
def test_facts_only_grow(facts: list[Fact], more: list[Fact]) -> None:
    before, after = arrive(facts), arrive(facts + more)
    assert after.cum_lots >= before.cum_lots
    assert after.acked >= before.acked
    assert after.send_unanswered >= before.send_unanswered
    assert set(after.cancel_requests) >= set(before.cancel_requests)
    assert (after.closed_as is not None) >= (before.closed_as is not None)
    assert before.leaves_lots >= 0


def test_late_fills_after_close_count() -> None:
    order = arrive([ACK, CANCELED])
    assert order.closed
    assert order.leaves_lots == 0
    late = with_fill(order, fill_of(1, 40, ticks=1010, fee_minor=3))
    assert (late.status, late.cum_lots, late.cum_value, late.fees_minor) == (OrderStatus.CANCELED, 40, 40_400, 3)
    assert with_fill(late, fill_of(2, 60)).status is OrderStatus.FILLED


# Rows and columns of the transition table of docs/orders.md: (facts so far, one more fact, status).
TRANSITIONS: list[tuple[list[Fact], Fact, OrderStatus]] = [
    ([], TIMEOUT, OrderStatus.UNKNOWN),
    ([], ACK, OrderStatus.NEW),
    ([], CANCELED, OrderStatus.CANCELED),
    ([], CANCEL, OrderStatus.PENDING_CANCEL),
    ([TIMEOUT], CANCEL, OrderStatus.PENDING_CANCEL),
    ([TIMEOUT], REJECTED, OrderStatus.REJECTED),
    ([ACK], REJECTED, OrderStatus.DISPUTED),
    ([ACK], TIMEOUT, OrderStatus.NEW),
    ([ACK, fill(1, 40)], REJECTED, OrderStatus.DISPUTED),
    ([ACK, fill(1, 40)], ACK, OrderStatus.PARTIALLY_FILLED),
    ([ACK, CANCEL], fill(1, 40), OrderStatus.PENDING_CANCEL),
    ([ACK, CANCEL], CANCEL_REFUSED, OrderStatus.NEW),
    ([ACK, CANCEL], REJECTED, OrderStatus.DISPUTED),
    ([CANCEL], CANCEL_REFUSED, OrderStatus.PENDING_NEW),
    ([CANCEL], REJECTED, OrderStatus.REJECTED),
    ([ACK, CANCELED], EXPIRED, OrderStatus.CANCELED),
    ([ACK, CANCELED], REJECTED, OrderStatus.CANCELED),
    ([ACK, EXPIRED], CANCELED, OrderStatus.CANCELED),
    ([ACK, EXPIRED], REJECTED, OrderStatus.EXPIRED),
    ([REJECTED], EXPIRED, OrderStatus.EXPIRED),
    ([REJECTED], CANCELED, OrderStatus.CANCELED),
    ([REJECTED], fill(1, 100), OrderStatus.FILLED),
    ([ACK, fill(1, 100)], CANCELED, OrderStatus.FILLED),
    ([ACK, fill(1, 100)], fill(2, 1), OrderStatus.FILLED),
]


@pytest.mark.parametrize(("before", "fact", "status"), TRANSITIONS)
def test_transitions(before: list[Fact], fact: Fact, status: OrderStatus) -> None:
    assert arrive([*before, fact]).status is status


@pytest.mark.parametrize(("fact", "status"), [(ACK, OrderStatus.NEW), (fill(1, 40), OrderStatus.PARTIALLY_FILLED),
                                              (fill(1, 100), OrderStatus.FILLED), (REJECTED, OrderStatus.REJECTED)])
def test_a_venue_fact_about_an_order_never_sent_is_taken(fact: Fact, status: OrderStatus) -> None:
    assert arrive([fact], new_order()).status is status


def test_an_order_never_sent_can_be_denied_and_the_first_reason_stays() -> None:
    order = with_denied(with_denied(new_order(), "heat limit"), "later")
    assert (order.status, order.denied_reason) == (OrderStatus.DENIED, "heat limit")


def test_what_the_venue_has_cannot_be_denied_locally() -> None:
    for fact in (ACK, fill(1, 40), CANCELED):
        order = arrive([fact])
        assert with_denied(order, "too late") == order


def test_a_clock_that_starts_at_zero_still_counts_as_sent() -> None:
    assert with_sent(new_order(), 0).status is OrderStatus.PENDING_NEW


def test_an_ack_after_a_fill_binds_the_venues_id() -> None:
    order = with_ack(with_fill(with_sent(new_order(), 5), fill_of(1, 40)), "v-9")
    assert (order.venue_order_id, order.status) == ("v-9", OrderStatus.PARTIALLY_FILLED)
    assert with_ack(order, "v-10").venue_order_id == "v-9"


def test_real_fills_consume_inferred_lots_before_they_add() -> None:
    order = with_fill(with_sent(new_order(), 5), fill_of(1, 50, ticks=1000, fee_minor=5, source=FillSource.INFERRED))
    assert (order.cum_lots, order.inferred_lots) == (50, 50)
    real = fill_of(2, 30, ticks=1001, fee_minor=3)
    assert added_by(order, real) is None
    order = with_fill(order, real)
    assert (order.cum_lots, order.inferred_lots, order.fees_minor) == (50, 20, 5)
    second = fill_of(3, 30, ticks=1002, fee_minor=3)
    news = added_by(order, second)
    assert news is not None
    assert (news.last_lots, news.fee_minor, news.key) == (10, 1, second.key)
    order = with_fill(order, second)
    assert (order.cum_lots, order.cum_value, order.inferred_lots, order.fees_minor) == (60, 60_020, 0, 6)


@settings(max_examples=200, deadline=None)
@given(inferred_lots=st.integers(0, 60), real=st.lists(st.integers(1, 30), max_size=6))
def test_inferred_quantity_is_never_counted_twice(inferred_lots: int, real: list[int]) -> None:
    order = with_fill(with_sent(new_order(1000), 5), fill_of(0, inferred_lots, source=FillSource.INFERRED))
    folded_lots = inferred_lots
    for number, lots in enumerate(real, start=1):
        news = added_by(order, fill_of(number, lots))
        folded_lots += news.last_lots if news else 0
        order = with_fill(order, fill_of(number, lots))
    assert order.cum_lots == max(inferred_lots, sum(real)) == folded_lots
    assert order.inferred_lots == max(0, inferred_lots - sum(real))
