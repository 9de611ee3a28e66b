"""What a venue keeps refusing is tried ever more slowly; what it refuses for another reason, or elsewhere, is not held back."""

from decimal import Decimal
from typing import Any

import pytest

from engine.effects import AskReport
from engine.inputs import CancelAnswered, CancelOrder, CancelRefused, ClosePosition, Refused, SubmitAnswered
from engine.orders import OrderKind, Purpose
from engine.service import Refusal
from tests.unit.engine_desk import ACCOUNT, COIN, NO_BRACKETS, OTHER, Desk, bought

SAME = "insufficient balance: {} needed"
ROOMY: dict[str, Any] = {
    "max_heat_fraction": 0.9, "max_order_notional_fraction": 0.9, "max_position_fraction": 0.9, "duplicate_seconds": 0.0,
    "stale_quote_seconds": 100_000.0}


def tried(desk: Desk, reason: str = SAME, **want: Any) -> Refusal | None:
    """An entry that the venue refuses, or why it did not go."""
    receipt = desk.do(bought(f"c{desk.state.seq}", **want))
    if receipt.accepted:
        desk.take(SubmitAnswered(receipt.order_ids[0], Refused(reason.format(desk.state.seq))))
    desk.later(1)
    return receipt.refusal


def refused_often(times: int = 3) -> Desk:
    desk = Desk(**ROOMY)
    assert [tried(desk) for _ in range(times)] == [None] * times
    return desk


def test_after_three_refusals_the_next_try_waits_a_minute_then_two() -> None:
    desk = refused_often()
    refusal = tried(desk)
    assert refusal is not None
    assert (refusal.check, refusal.limit, refusal.value) == ("venue refusals", "3 in a row", "3")
    assert "the venue refused the last 3 entries in COIN (insufficient balance: " in refusal.message
    assert refusal.message.endswith("may try in 59 s")
    desk.later(58)
    assert tried(desk) is None, "one probe"
    refusal = tried(desk)
    assert refusal is not None and refusal.message.endswith("may try in 119 s")
    desk.later(118)
    assert tried(desk) is None


def test_it_never_waits_longer_than_an_hour() -> None:
    desk = refused_often()
    for _ in range(12):
        desk.later(3_600)
        assert tried(desk) is None


@pytest.mark.parametrize("between", ["filled", "another reason"])
def test_whatever_breaks_the_row_lets_the_next_one_go(between: str) -> None:
    desk = refused_often(2)
    if between == "filled":
        desk.enter(f"c{desk.state.seq}", 10, "95")
        desk.later(1)
    else:
        assert tried(desk, "the market is closed") is None
    assert [tried(desk), tried(desk)] == [None, None]


def test_another_instrument_is_not_held_back() -> None:
    desk = refused_often()
    desk.quote(10_000, instrument_id=OTHER.instrument_id)
    assert tried(desk, symbol="OTHER") is None
    assert tried(desk, symbol=COIN.symbol) is not None


def test_what_our_own_checks_refused_counts_for_nothing() -> None:
    desk = Desk(**ROOMY)
    for _ in range(5):
        assert tried(desk, stop="101") is not None
    assert tried(desk) is None


@pytest.mark.parametrize("purpose", [Purpose.ENTRY, Purpose.STOP, Purpose.EXIT])
def test_a_refusal_has_the_venue_asked_once_what_it_holds(purpose: Purpose) -> None:
    """A venue that refuses may know of a fill that we have not heard of, and of money that is bound elsewhere."""
    desk = Desk(can=NO_BRACKETS)
    refused = desk.do(bought()).order_ids[0]
    if purpose is not Purpose.ENTRY:
        desk.accept()
        desk.fill(refused, 10)
        if purpose is Purpose.EXIT:
            desk.accept()
            desk.do(ClosePosition("x", "COIN"))
        refused = desk.open(purpose)[0].client_order_id
    desk.forget()
    desk.take(SubmitAnswered(refused, Refused("insufficient balance")))
    assert [effect.account for effect in desk.effects if isinstance(effect, AskReport)] == [ACCOUNT]


def test_a_person_who_cancels_again_right_after_a_refusal_is_heard() -> None:
    desk = Desk()
    entry = desk.do(bought(kind=OrderKind.LIMIT, limit=Decimal(98))).order_ids[0]
    desk.accept()
    for command_id in ("first", "second", "third"):
        desk.forget()
        assert desk.do(CancelOrder(command_id, entry)).accepted
        assert desk.cancels == [entry]
        request_id = desk.order(entry).cancel_requests[-1]
        desk.take(CancelAnswered(entry, request_id, CancelRefused("busy")))
