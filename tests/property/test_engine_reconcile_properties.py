"""Reconciliation in every order of arrival: stream and report, doubled and late, end in the same books; twice adds nothing."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events import AlertRaised, CashAdjusted
from engine.inputs import FillReported, Input, OrderReport, VenueReported
from engine.orders import ClosedAs, Fill, OrderKind, OrderStatus, Purpose, Side
from engine.positions import EXTERNAL
from tests.unit.engine_desk import ACCOUNT, CASH_MINOR, COIN_ID, NATIVE, NO_BRACKETS, PLAIN, Desk, bought

CAN = st.sampled_from([NATIVE, NO_BRACKETS, PLAIN])


def books(desk: Desk, entry: str) -> tuple[object, ...]:
    """What must not depend on the order of arrival."""
    order, position = desk.order(entry), desk.position
    portfolio, account = desk.state.portfolios["main"], desk.state.accounts[ACCOUNT]
    return (order.status, order.cum_lots, order.cum_value, order.fees_minor, order.venue_order_id, order.closed_as,
            position and (position.lots, position.cost_minor, position.fees_minor, position.stop_ticks),
            account.cash_minor, portfolio.realized_minor, portfolio.fees_minor, portfolio.adjusted_minor,
            account.drifts, desk.state.fills_seen)


@settings(max_examples=150)
@given(data=st.data(), can=CAN, parts=st.lists(st.tuples(st.integers(1, 9), st.integers(9_900, 10_100), st.integers(0, 5)),
                                               min_size=1, max_size=4), rest=st.integers(0, 3))
def test_stream_and_report_end_in_the_same_books_in_any_order(
        data: st.DataObject, can: object, parts: list[tuple[int, int, int]], rest: int) -> None:
    """An entry fills in parts and its rest is cancelled; the report at the end knows all of it."""
    first = Desk(can=can)  # type: ignore[arg-type]
    lots = sum(part[0] for part in parts)
    entry = first.do(bought("c", lots + rest, kind=OrderKind.LIMIT, limit=Decimal(101))).order_ids[0]
    first.later(1)
    fills = [first.fill_of(entry, part, ticks, fee_minor=fee, venue_order_id="v")
             for part, ticks, fee in parts]
    cash = CASH_MINOR - sum(part * ticks + fee for part, ticks, fee in parts)
    final = first.order_report(first.order(entry), ClosedAs.CANCELED if rest else None, cum_lots=lots, venue_order_id="v",
                               average_ticks=sum(part * ticks for part, ticks, _ in parts) / lots)
    report = first.report(fills=tuple(fills), looked_up=(final,), open_orders=(), positions={COIN_ID: lots}, cash_minor=cash)
    messages: list[Input] = [*(FillReported(fill) for fill in fills), final, VenueReported(report)]
    again = data.draw(st.lists(st.sampled_from(messages), max_size=3))
    order = data.draw(st.permutations([*messages, *again]))
    second = Desk(can=can, state=first.state, live=False)  # type: ignore[arg-type]
    second.quote(10_000)
    second.at_ns = first.at_ns
    for message in messages:
        first.take(message)
    for message in order:
        second.take(message)
    assert books(second, entry) == books(first, entry)
    assert books(first, entry)[7] == cash
    assert first.order(entry).status is (OrderStatus.CANCELED if rest else OrderStatus.FILLED)
    second.forget()
    for message in order:
        second.take(message)
    assert second.events == [], "all of it once more is no news"


trade = st.builds(
    lambda number, known, side, lots, ticks: Fill(ACCOUNT, COIN_ID, f"t{number}", "known" if known else "", side, lots, ticks, 1,
                                                  number + 1),
    st.integers(0, 5), st.booleans(), st.sampled_from(Side), st.integers(1, 20), st.integers(1, 20_000))
foreign = st.builds(
    lambda number, lots, cum, closed: OrderReport(ACCOUNT, COIN_ID, "", f"v{number}", lots, min(cum, lots), closed, 1,
                                                  kind=OrderKind.LIMIT, limit_ticks=9_000),
    st.integers(0, 4), st.integers(1, 9), st.integers(0, 9), st.sampled_from([None, None, *ClosedAs]))


@settings(max_examples=150)
@given(can=CAN, held=st.integers(0, 20), fills=st.lists(trade, max_size=4), others=st.lists(foreign, max_size=3),
       venue_lots=st.one_of(st.none(), st.integers(-30, 30)), cash=st.one_of(st.none(), st.integers(0, 2 * CASH_MINOR)),
       settled=st.booleans(), gone=st.booleans())
def test_the_same_report_twice_adds_no_event(can: object, held: int, fills: list[Fill], others: list[OrderReport],
                                             venue_lots: int | None, cash: int | None, settled: bool, gone: bool) -> None:
    desk = Desk(can=can)  # type: ignore[arg-type]
    if held:
        desk.enter(lots=held)
    looked_up = tuple(desk.order_report(order, ClosedAs.CANCELED if gone else None) for order in desk.state.orders.values())
    report = desk.report(fills=tuple(fills), looked_up=looked_up, cash_minor=cash, open_orders=tuple(others),
                         positions=None if venue_lots is None else {COIN_ID: venue_lots} if venue_lots else {})
    desk.take(VenueReported(report))
    if settled:
        desk.later(31)
        desk.take(VenueReported(report))
    desk.forget()
    desk.take(VenueReported(report))
    cash_only = [event for event in desk.events if not (isinstance(event, AlertRaised) and event.code == "cash")]
    assert all(type(event) is CashAdjusted for event in cash_only), "cash alone waits for a pass without fills"
    desk.forget()
    desk.take(VenueReported(report))
    assert desk.events == []
    ours = desk.position.lots if desk.position else 0
    theirs = sum(position.lots for position in report.positions)
    assert ours == theirs or (COIN_ID in desk.state.accounts[ACCOUNT].drifts and not settled)
    portfolio, account = desk.state.portfolios["main"], desk.state.accounts[ACCOUNT]
    cost = sum(position.cost_minor for position in desk.state.positions.values())
    assert account.cash_minor == portfolio.adjusted_minor + portfolio.realized_minor - portfolio.fees_minor - cost
    for order in desk.state.orders.values():
        assert order.external or order.intent.purpose is not Purpose.ENTRY
        assert not order.external or order.intent.strategy == EXTERNAL
