"""Cancel on disconnect: entries that nobody could watch for too long are withdrawn, stops stay."""

from decimal import Decimal

from engine.inputs import CancelAnswered, ConnectionChanged, NotSent, Settings
from engine.orders import OrderKind, Purpose
from tests.unit.engine_desk import ACCOUNT, Desk, alerts, bought, fold, rows_of, settings_of

GRACE = 30.0


def desk_with_an_entry(grace_seconds: float = GRACE) -> tuple[Desk, str]:
    """A position behind its stop at the venue, and a resting entry."""
    desk = Desk(settings=made(grace_seconds))
    desk.enter("held", 10, "95")
    receipt = desk.do(bought("rest", 10, "90", kind=OrderKind.LIMIT, limit=Decimal(99)))
    desk.accept(*receipt.order_ids)
    desk.forget()
    return desk, receipt.order_ids[0]


def made(grace_seconds: float) -> Settings:
    return settings_of("main", cancel_on_disconnect_seconds=grace_seconds)


def lose(desk: Desk) -> None:
    desk.take(ConnectionChanged(ACCOUNT, up=False, detail="the line broke"))


def regain(desk: Desk) -> None:
    desk.take(ConnectionChanged(ACCOUNT, up=True))
    desk.reported()


def refuse_cancels(desk: Desk) -> None:
    """The line is down for cancels as well."""
    for order in list(desk.state.orders.values()):
        if len(order.cancel_requests) > len(order.cancel_answers):
            desk.take(CancelAnswered(order.client_order_id, order.cancel_requests[-1], NotSent("no connection")))


def test_a_short_outage_leaves_entries_and_a_long_one_withdraws_them() -> None:
    desk, entry = desk_with_an_entry()
    lose(desk)
    desk.beat(GRACE - 2)
    regain(desk)
    desk.beat(1)
    assert desk.cancels == []
    lose(desk)
    desk.beat(GRACE - 1)
    assert desk.cancels == []
    desk.beat(1)
    assert desk.cancels == [entry]
    assert "this entry is withdrawn, stops stay" in alerts(desk, "silent")[0]
    assert not any(order.cancel_requests for order in desk.open(Purpose.STOP))


def test_what_could_not_be_cancelled_then_is_once_the_connection_is_back() -> None:
    desk, entry = desk_with_an_entry()
    lose(desk)
    desk.beat(GRACE)
    refuse_cancels(desk)
    desk.forget()
    regain(desk)
    for _ in range(5):
        desk.beat(1)
    assert entry in desk.cancels
    desk.confirm_cancels()
    assert not desk.open(Purpose.ENTRY)
    assert [order.intent.trigger_ticks for order in desk.open(Purpose.STOP)] == [9_500]


def test_an_entry_sent_after_the_outage_stays() -> None:
    desk, _ = desk_with_an_entry()
    lose(desk)
    desk.beat(GRACE)
    desk.confirm_cancels()
    regain(desk)
    desk.quote(10_000)
    later = desk.do(bought("later", 5, "90", kind=OrderKind.LIMIT, limit=Decimal(98)))
    assert later.accepted, later.refusal
    desk.accept(*later.order_ids)
    desk.forget()
    for _ in range(5):
        desk.beat(1)
    assert desk.cancels == []


def test_a_crash_in_the_outage_does_not_forget_it() -> None:
    desk, entry = desk_with_an_entry()
    lose(desk)
    desk.beat(5)
    assert desk.state.accounts[ACCOUNT].down_since_ns
    again = Desk(settings=desk.settings, state=desk.state, live=False)
    again.later(GRACE)
    again.start()
    again.beat(1)
    assert again.cancels == [entry]



def test_it_can_be_off() -> None:
    desk, _ = desk_with_an_entry(0.0)
    lose(desk)
    desk.beat(100_000)
    regain(desk)
    desk.beat(1)
    assert desk.cancels == []


def test_an_outage_is_part_of_the_record() -> None:
    desk = Desk(settings=made(GRACE))
    lose(desk)
    desk.beat(GRACE + 5)
    regain(desk)
    assert fold(rows_of(desk)).accounts == desk.state.accounts
    assert desk.state.accounts[ACCOUNT].withdraw_before_ns == desk.at_ns
