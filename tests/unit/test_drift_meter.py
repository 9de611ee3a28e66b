"""The drift meter: what we count, what of it the stream told, and what the venue last said."""

from decimal import Decimal

from engine.inputs import ClosePosition
from engine.orders import FillSource, Side
from engine.service import DriftView, HealthView, Mode
from engine.state import decode_state, encode_state
from engine.views import snapshot
from tests.unit.engine_desk import ACCOUNT, COIN_ID, Desk, bought


def meter(desk: Desk) -> tuple[DriftView, ...]:
    shown = snapshot(desk.state, desk.market, desk.at_ns, version=1, mode=Mode.PAPER,
                     health=HealthView(0, 0.0, 0.0, 0, 0.0, "", ""))
    return shown.accounts[0].drift_meter


def reading(ours: int, stream: int, venue: int, *, settled: bool = False) -> DriftView:
    return DriftView(COIN_ID, "COIN", Decimal(ours), Decimal(stream), Decimal(venue), settled)


def test_nothing_held_nothing_metered() -> None:
    assert meter(Desk()) == ()


def test_what_the_stream_told_agrees() -> None:
    desk = Desk()
    desk.enter(lots=10)
    assert meter(desk) == (reading(10, 10, 10),)


def test_a_fill_that_only_a_report_told_is_missing_on_the_stream_until_the_position_is_over() -> None:
    desk = Desk()
    entry = desk.do(bought(quantity=10)).order_ids[0]
    desk.accept()
    desk.fill(entry, 6)
    desk.reported(fills=(desk.fill_of(entry, 4, source=FillSource.RECONCILED),), positions={COIN_ID: 10})
    assert meter(desk) == (reading(10, 6, 10),)
    assert decode_state(encode_state(desk.state)) == desk.state
    desk.do(ClosePosition("x", "COIN"))
    desk.confirm_cancels()
    desk.accept()
    leaving = next(order for order in desk.state.orders.values() if order.intent.side is Side.SELL)
    desk.fill(leaving.client_order_id, 10)
    assert meter(desk) == ()
    desk.later(60)
    desk.quote(10_000)
    desk.enter("c2", lots=5)
    assert meter(desk) == (reading(5, 5, 5),)


def test_a_difference_shows_the_venues_count_and_whether_its_word_was_taken() -> None:
    desk = Desk()
    desk.enter(lots=10)
    desk.reported(positions={COIN_ID: 8})
    assert meter(desk) == (reading(10, 10, 8),)
    desk.later(desk.settings.settle_seconds)
    desk.reported(positions={COIN_ID: 8})
    assert meter(desk) == (reading(8, 10, 8, settled=True),), "the stream would still have us count ten"
    assert desk.state.accounts[ACCOUNT].unstreamed == {COIN_ID: -2}
