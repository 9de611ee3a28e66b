"""What could lose money and once did: each test is a finding of a review, reproduced on the bare core."""

from decimal import Decimal

import msgspec
import pytest

from engine.effects import AskOrder, SendCancel, SendCancelAll
from engine.inputs import (
    Accepted,
    Approve,
    Bar,
    CancelAnswered,
    CancelOrder,
    CancelRefused,
    ClosePosition,
    ConnectionChanged,
    Duplicate,
    EngineStarted,
    Flatten,
    NotSent,
    PlaceOrder,
    SetProtection,
    SetTradingState,
    SubmitAnswered,
    TradingState,
    TrailSpec,
    Unanswered,
    VenueReported,
)
from engine.orders import OrderKind, OrderStatus, Purpose, Side
from engine.service import StopHome
from engine.units import NS_PER_SECOND
from engine.valuation import heat_minor
from tests.unit.engine_desk import (
    ACCOUNT,
    COIN_ID,
    NO_BRACKETS,
    NO_STOPS,
    PLAIN,
    Desk,
    account_of,
    bought,
    settings_of,
)

# ---- cancels that get lost or refused --------------------------------------------------------------------------------


def test_a_lost_cancel_does_not_keep_an_exit_in() -> None:
    """Without reduce-only orders an exit waits for the stop's cancel; the venue never heard of it."""
    desk = Desk(can=PLAIN)
    desk.enter()
    stop, = desk.open(Purpose.STOP)
    desk.do(ClosePosition("x", "COIN"))
    request = next(one for one in desk.effects if isinstance(one, SendCancel))
    desk.take(CancelAnswered(stop.client_order_id, request.request_id, Unanswered("timeout")))
    desk.forget()
    for _ in range(20):
        desk.beat()
        desk.take(desk.order_report(desk.order(stop.client_order_id)))
    assert stop.client_order_id in desk.cancels, "the venue shows the order still open: the cancel is asked again"


def test_a_refused_cancel_is_not_repeated_at_the_speed_of_the_line() -> None:
    desk = Desk(can=PLAIN)
    desk.enter()
    stop, = desk.open(Purpose.STOP)
    desk.do(SetProtection("p", "COIN", stop=Decimal(96)))
    desk.forget()
    for _ in range(50):
        order = desk.order(stop.client_order_id)
        waiting = [one for one in order.cancel_requests if one not in order.cancel_answers]
        if not waiting:
            break
        desk.take(CancelAnswered(stop.client_order_id, waiting[-1], CancelRefused("market closed")))
    assert len(desk.cancels) <= 2
    desk.later(69)
    desk.quote(10_000)
    desk.beat(1)
    assert desk.cancels, "it is tried again later"


def test_an_entry_that_outlived_its_cancel_is_cancelled_while_halted() -> None:
    """A halt while an entry is in flight: the cancel overtakes the order and is refused as unknown."""
    desk = Desk()
    receipt = desk.do(bought(quantity=5, kind=OrderKind.LIMIT, limit=Decimal(99)))
    entry = receipt.order_ids[0]
    desk.do(SetTradingState("h", TradingState.HALTED))
    request = desk.order(entry).cancel_requests[-1]
    desk.take(CancelAnswered(entry, request, CancelRefused("unknown order", unknown_order=True)))
    desk.accept(*receipt.order_ids)
    desk.forget()
    for _ in range(15):
        desk.beat()
    assert entry in desk.cancels


# ---- panic -----------------------------------------------------------------------------------------------------------


def flattened(desk: Desk) -> bool:
    flatten = desk.state.flatten
    return flatten is not None and flatten.finished and flatten.flat


def test_flat_is_not_said_while_an_order_works_that_the_report_is_too_old_for() -> None:
    desk = Desk(can=NO_BRACKETS)
    receipt = desk.do(bought())
    entry = receipt.order_ids[0]
    desk.do(Flatten("f"))
    older = desk.report(open_orders=(), positions={})
    desk.take(SubmitAnswered(entry, Accepted("v-1")))
    desk.take(VenueReported(older))
    assert desk.order(entry).status in (OrderStatus.NEW, OrderStatus.PENDING_CANCEL)
    assert not flattened(desk)


def test_flat_is_not_said_of_a_position_that_the_report_is_too_old_for() -> None:
    desk = Desk(can=NO_BRACKETS)
    receipt = desk.do(bought())
    entry = receipt.order_ids[0]
    desk.do(Flatten("f"))
    older = desk.report(open_orders=(), positions={})
    desk.later(0.5)
    desk.take(SubmitAnswered(entry, Accepted("v-1")))
    desk.fill(entry, 10)
    desk.take(VenueReported(older))
    assert desk.held.lots == 10
    assert not flattened(desk)


def test_a_panic_over_everything_outranks_one_over_a_portfolio() -> None:
    desk = Desk(settings=settings_of("main", "side"))
    desk.do(Flatten("one", "main"))
    desk.forget()
    assert desk.do(Flatten("all")).accepted
    assert {effect.account for effect in desk.effects if isinstance(effect, SendCancelAll)} >= {account_of("side")}
    assert desk.state.flatten is not None
    assert set(desk.state.flatten.accounts) == {ACCOUNT, account_of("side")}
    assert desk.state.effective_state("side") is TradingState.HALTED


def test_a_panic_over_another_portfolio_is_not_swallowed() -> None:
    desk = Desk(settings=settings_of("main", "side"))
    desk.do(Flatten("one", "main"))
    assert desk.do(Flatten("two", "side")).accepted
    assert desk.state.effective_state("side") is TradingState.HALTED
    assert desk.state.flatten is not None
    assert set(desk.state.flatten.accounts) == {ACCOUNT, account_of("side")}
    assert desk.state.flattening("main")
    assert desk.state.flattening("side")


# ---- reports that are older than what the stream said -----------------------------------------------------------------


def test_a_report_older_than_a_fill_does_not_take_the_position_away() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.reported(positions={COIN_ID: 3})  # a difference was seen once, long ago
    desk.later(60)
    older = desk.report(positions={})
    desk.later(0.2)
    desk.fill("somebody-else", 3, side=Side.BUY)
    desk.take(VenueReported(older))
    assert desk.position is not None
    assert desk.position.lots == 3


# ---- size and heat ---------------------------------------------------------------------------------------------------


def test_adding_to_a_position_is_held_against_the_stop_that_will_govern_it() -> None:
    """The position keeps its wide stop, so the new lots are at risk down to there, whatever stop their order names."""
    desk = Desk(max_heat_fraction=0.02, max_order_notional_fraction=1.0, max_position_fraction=1.0, duplicate_seconds=0.0)
    desk.enter("one", 1, "50")
    receipt = desk.do(bought("two", 800, "99"))
    if receipt.accepted:
        desk.accept(*receipt.order_ids)
        desk.fill(receipt.order_ids[0], 800)
    equity = 10_000_000
    assert heat_minor(desk.state, desk.market, "main") <= 0.02 * equity


def test_a_card_shows_the_stop_that_will_govern() -> None:
    from engine.want import Assessment, assess

    desk = Desk()
    desk.enter("one", 10, "90")
    found = assess(desk.state, desk.market, desk.at_ns, bought("two", 20, "99"))
    assert isinstance(found, Assessment)
    assert found.card.stop == Decimal(90)
    before = heat_minor(desk.state, desk.market, "main")
    receipt = desk.do(bought("two", 20, "99"))
    desk.accept(*receipt.order_ids)
    desk.fill(receipt.order_ids[0], 20)
    assert heat_minor(desk.state, desk.market, "main") - before == int(found.card.worst_loss * 100)  # type: ignore[operator]


# ---- exits that should not be, or should ------------------------------------------------------------------------------


def test_a_bar_is_not_held_against_a_stop_that_quotes_moved_inside_it() -> None:
    desk = Desk(can=NO_STOPS)
    desk.enter(stop=None, trail=TrailSpec(price=Decimal(5)))
    desk.later(1)
    open_ns = desk.at_ns
    for bid in (10_050, 10_600, 11_200, 11_500):
        desk.later(10)
        desk.quote(bid)
    desk.later(20)
    assert desk.held.stop_ticks == 11_000
    desk.take(Bar(COIN_ID, open_ns, desk.at_ns, 10_000, 11_500, 10_000, 11_500, 100))
    assert desk.held.exit_reason == ""


def test_a_bar_that_closes_beyond_the_stop_is_acted_on_all_the_same() -> None:
    desk = Desk(can=NO_STOPS)
    desk.enter()
    desk.later(1)
    open_ns = desk.at_ns
    desk.later(10)
    desk.quote(10_001)
    desk.later(50)
    desk.take(Bar(COIN_ID, open_ns, desk.at_ns, 10_000, 10_001, 9_300, 9_400, 100))
    assert desk.held.exit_reason


def test_an_exit_through_the_book_does_not_rest() -> None:
    """An exit with a limit that the market has left behind must end, so that the next attempt can follow."""
    desk = Desk(can=NO_BRACKETS)
    desk.enter()
    desk.do(ClosePosition("x", "COIN"))
    for _ in range(60):
        for order in desk.open(Purpose.EXIT):
            if order.intent.kind is OrderKind.LIMIT:
                assert order.intent.time_in_force == "ioc"
                return
            desk.refuse(order.client_order_id)
        desk.beat(2)
    pytest.fail("no exit through the book was tried")


def test_an_exit_is_tried_while_only_the_stream_is_down() -> None:
    desk = Desk(can=NO_STOPS)
    desk.enter()
    desk.take(ConnectionChanged(ACCOUNT, up=False))
    desk.forget()
    desk.quote(9_400)
    exit_, = desk.sent
    assert (exit_.purpose, exit_.order_lots, exit_.reduce_only) == (Purpose.EXIT, 10, True)
    desk.take(SubmitAnswered(exit_.client_order_id, NotSent("no connection")))
    for _ in range(10):
        desk.beat()
        for order in desk.open(Purpose.EXIT):
            desk.take(SubmitAnswered(order.client_order_id, NotSent("no connection")))
    assert 2 <= len(desk.sent) <= 5, "tried again, ever more slowly"


def test_a_breakeven_behind_the_entry_is_refused() -> None:
    """It would count as reached at once and put the stop at the entry: a close that nobody asked for."""
    desk = Desk()
    receipt = desk.do(bought(breakeven_at=Decimal(99)))
    assert not receipt.accepted
    desk.enter("two")
    desk.quote(9_800)
    assert not desk.do(SetProtection("p", "COIN", breakeven_at=Decimal(97))).accepted
    assert desk.do(SetProtection("q", "COIN", breakeven_at=Decimal(102))).accepted
    assert desk.held.exit_reason == ""


def test_a_lone_absurd_ask_does_not_stop_a_short_out() -> None:
    desk = Desk(can=NO_STOPS)
    desk.enter(side=Side.SELL, stop="105")
    desk.later(1)
    desk.quote(10_000, 99_000)
    assert desk.held.exit_reason == ""
    desk.later(1)
    desk.quote(10_600, 10_600)
    assert desk.held.exit_reason


# ---- approvals -------------------------------------------------------------------------------------------------------


def test_an_approval_sends_the_trail_that_was_shown() -> None:
    desk = Desk(max_heat_fraction=1.0)
    desk.market.warm([Bar(COIN_ID, i, i + 1, 10_000, 10_050, 9_950, 10_000, 1) for i in range(14)])
    receipt = desk.do(bought(stop=None, trail=TrailSpec(atr=Decimal(2)), origin="dca"))
    proposal = desk.state.proposals[receipt.proposal_id]
    for _ in range(30):
        desk.later(1)
        desk.take(Bar(COIN_ID, desk.at_ns - NS_PER_SECOND, desk.at_ns, 10_000, 10_500, 9_500, 10_000, 1))
    desk.quote(10_000)
    desk.forget()
    assert desk.do(Approve("a", receipt.proposal_id, proposal.digest)).accepted
    plan = desk.sent[0].plan
    assert plan is not None
    assert plan.trail_ticks == 200


def test_a_strategy_does_not_close_a_position_by_itself_where_a_person_is_asked() -> None:
    desk = Desk()
    desk.enter()
    receipt = desk.do(PlaceOrder("s", "COIN", Side.SELL, quantity=Decimal(10), origin="dca"))
    assert not receipt.accepted
    assert desk.held.exit_reason == ""
    assert desk.do(PlaceOrder("m", "COIN", Side.SELL, quantity=Decimal(10))).accepted


# ---- an id that the venue knows from before --------------------------------------------------------------------------


def test_another_order_under_our_id_is_not_taken_for_our_stop() -> None:
    """An exit that left while the journal could not be written; after a crash its number is given to a stop."""
    desk = Desk(can=NO_BRACKETS)
    desk.enter(accept=False)
    stop, = desk.open(Purpose.STOP)
    desk.take(SubmitAnswered(stop.client_order_id, Duplicate()))
    desk.take(msgspec.structs.replace(desk.order_report(stop), order_lots=4, cum_lots=4))
    assert desk.state.homes[desk.held.key].home is not StopHome.VENUE
    desk.forget()
    for _ in range(5):
        desk.beat()
    again = desk.sent[0]
    assert (again.purpose, again.order_lots) == (Purpose.STOP, 10)
    assert again.client_order_id != stop.client_order_id


# ---- a changed configuration -----------------------------------------------------------------------------------------


def test_a_position_of_an_account_that_left_the_configuration_is_not_called_guarded() -> None:
    desk = Desk(can=NO_STOPS)
    desk.enter()
    desk.settings = settings_of("side")
    desk.take(EngineStarted("e", "test", desk.settings, desk.instruments, {account_of("side"): NO_STOPS}))
    for _ in range(3):
        desk.beat()
    assert desk.state.homes["main|" + COIN_ID].home is StopHome.NONE
    assert not [one for one in desk.effects[-20:] if isinstance(one, AskOrder) and one.account == ACCOUNT]


# ---- numbers nobody means --------------------------------------------------------------------------------------------

ODD = [Decimal(word) for word in ("NaN", "Infinity", "-Infinity", "sNaN", "1e400", "1e999999", "1e-999999")]


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_no_number_in_a_command_stops_the_engine(odd: Decimal) -> None:
    desk = Desk()
    desk.enter("held")
    orders: tuple[dict[str, object], ...] = (
        {"quantity": odd}, {"quantity": None, "risk_percent": odd}, {"stop": odd}, {"target": odd}, {"breakeven_at": odd},
        {"trail": TrailSpec(price=odd)}, {"trail": TrailSpec(percent=odd)}, {"trail": TrailSpec(atr=odd)},
        {"kind": OrderKind.LIMIT, "limit": odd}, {"kind": OrderKind.STOP, "trigger": odd})
    for place, fields in enumerate(orders):
        given: dict[str, object] = {"quantity": Decimal(5), "stop": Decimal(95), **fields}
        desk.do(PlaceOrder(f"o{place}", "COIN", Side.BUY, **given))  # type: ignore[arg-type]
        desk.do(PlaceOrder(f"s{place}", "COIN", Side.SELL, **given))  # type: ignore[arg-type]
    for place, parts in enumerate(({"stop": odd}, {"target": odd}, {"breakeven_at": odd}, {"trail": TrailSpec(percent=odd)},
                                   {"trail": TrailSpec(price=odd)}, {"trail": TrailSpec(atr=odd)})):
        desk.do(SetProtection(f"p{place}", "COIN", **parts))  # type: ignore[arg-type]
    desk.do(ClosePosition("c", "COIN", quantity=odd))
    desk.do(CancelOrder("k", "nothing"))


def test_a_holding_time_that_no_clock_reaches_is_refused() -> None:
    desk = Desk()
    assert not desk.do(bought(max_hold_seconds=10 ** 30)).accepted
    desk.enter("held")
    assert not desk.do(SetProtection("p", "COIN", max_hold_seconds=10 ** 30)).accepted


