"""Entries that work side by side in one instrument: whichever fills first, no fill makes heat grow."""

from decimal import Decimal
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from engine.inputs import TrailSpec
from engine.orders import OrderKind, Side
from engine.units import Ticks
from engine.valuation import heat_minor
from tests.unit.engine_desk import NO_BRACKETS, Desk, bought

NOW_TICKS = 10_000
MIRROR = 2 * NOW_TICKS


def price(ticks: Ticks) -> str:
    return str(Decimal(ticks).scaleb(-2))


@given(st.lists(st.tuples(st.integers(9_700, 9_990), st.sampled_from((9_000, 9_300, 9_600)), st.integers(1, 50)),
                min_size=2, max_size=4, unique=True), st.booleans(), st.booleans(), st.randoms(use_true_random=False))
def test_no_fill_of_entries_side_by_side_raises_heat(
        wanted: list[tuple[int, int, int]], short: bool, trailing: bool, dice: Random) -> None:
    desk = Desk(can=NO_BRACKETS, max_heat_fraction=1.0, max_order_notional_fraction=9.0, max_position_fraction=9.0)
    working: list[tuple[str, int, int]] = []
    for place, (limit, stop, lots) in enumerate(wanted):
        if short:
            limit, stop = MIRROR - limit, MIRROR - stop
        receipt = desk.do(bought(
            f"c{place}", lots, price(stop), side=Side.SELL if short else Side.BUY, kind=OrderKind.LIMIT,
            limit=Decimal(price(limit)), trail=TrailSpec(price=Decimal(3)) if trailing else None))
        if receipt.accepted:
            working.append((receipt.order_ids[0], limit, lots))
        else:
            assert receipt.refusal is not None and receipt.refusal.check == "one stop"
        desk.beat(10)
        desk.quote(NOW_TICKS)
    assert working
    desk.accept()
    dice.shuffle(working)
    for order_id, limit, lots in working:
        desk.quote(limit)
        before_minor = heat_minor(desk.state, desk.market, "main")
        desk.fill(order_id, lots, limit)
        assert heat_minor(desk.state, desk.market, "main") <= before_minor + 2
        desk.accept()
