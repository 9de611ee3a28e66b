"""Orders over time over random histories: whatever others do in the instrument, one that enters buys no more than was asked, one
that leaves takes no more than was asked and nothing of a later position, and none acts once it has ended."""

from collections import Counter
from decimal import Decimal
from random import Random

import pytest

from engine.apply import apply
from engine.events import ExitWanted, OrderFilled, OrderIntended, TradingStateChanged
from engine.inputs import CancelOrder, ClosePosition, Limits, SetTradingState, TradingState
from engine.orders import OrderKind, Purpose, Side
from engine.parent_events import ParentAccepted, ParentEnded, ParentSliced
from engine.parents import OverTime, Parent, Style
from engine.state import State
from tests.unit.engine_desk import COIN_ID, NO_BRACKETS, PLAIN, Desk, bought, fold, rows_of, settings_of

OVERS = (OverTime(60), OverTime(300), OverTime(900, Style.TWAP, None))


def act(desk: Desk, random: Random, place: int) -> None:
    """A person, the venue or the market does something."""
    held, roll = desk.position, random.random()
    side = random.choice((Side.BUY, Side.SELL))
    if held is not None and random.random() < 0.7:
        side = Side.BUY if held.lots > 0 else Side.SELL
    stop = "95" if side is Side.BUY else "105"
    name = f"c{place}"
    if roll < 0.15:
        resting = random.choice(({}, {"kind": OrderKind.LIMIT, "limit": Decimal(99 if side is Side.BUY else 101)}))
        desk.do(bought(name, random.randint(2, 90), stop, side=side, over=random.choice(OVERS), **resting))
    elif roll < 0.30 and held is not None:
        leaving = Side.SELL if held.lots > 0 else Side.BUY
        desk.do(bought(name, random.randint(1, abs(held.lots)), None, side=leaving, over=random.choice(OVERS)))
    elif roll < 0.40:
        desk.do(bought(name, random.randint(1, 40), stop, side=side))
    elif roll < 0.47:
        desk.do(ClosePosition(name, "COIN", quantity=random.choice((None, *[Decimal(1)] * 5))))
    elif roll < 0.52 and desk.state.parents:
        desk.do(CancelOrder(name, random.choice(list(desk.state.parents))))
    elif roll < 0.55:
        desk.do(SetTradingState(name, random.choice((TradingState.HALTED, *[TradingState.ACTIVE] * 4))))
    elif roll < 0.60 and held is not None and desk.open(Purpose.STOP):
        stopped_out(desk, name, random)
        return
    elif roll < 0.85:
        serve(desk, random)
    else:
        desk.later(random.choice((0.3, 5, 20, 60)))
    desk.quote(10_000)
    if random.random() < 0.7:
        desk.beat(random.choice((0, 1, 15)))


def stopped_out(desk: Desk, name: str, random: Random) -> None:
    """A stop takes what it covers; sometimes somebody opens anew before the next beat."""
    stop = desk.open(Purpose.STOP)[0]
    desk.accept()
    desk.fill(stop.client_order_id, min(stop.leaves_lots, abs(desk.held.lots)), stop.intent.trigger_ticks)
    desk.later(0.1)
    side = random.choice((Side.BUY, Side.SELL))
    if desk.position is None and random.random() < 0.7:
        receipt = desk.do(bought(name, 50, "95" if side is Side.BUY else "105", side=side))
        if receipt.accepted:
            desk.accept()
            desk.fill(receipt.order_ids[0], 50)


def serve(desk: Desk, random: Random) -> None:
    """The venue takes what is sent, fills some of it, and grants cancels."""
    if random.random() < 0.8:
        desk.accept()
    for order in desk.open(Purpose.ENTRY) + desk.open(Purpose.EXIT):
        known = desk.state.order(order.client_order_id)
        held = desk.position
        if known is None or known.closed or not known.acked or random.random() < 0.15:
            continue
        most = known.leaves_lots
        if known.intent.purpose is Purpose.EXIT:
            most = min(most, abs(held.lots)) if held is not None and held.sign != known.intent.side.sign else 0
        if most:
            desk.fill(known.client_order_id, random.choice((most, most, random.randint(1, most))))
    if random.random() < 0.7:
        desk.confirm_cancels()


def judge(desk: Desk) -> None:
    """Every row from the first one on, folded one by one."""
    state = State()
    asked: dict[str, Parent] = {}
    left: Counter[str] = Counter()
    filled: Counter[str] = Counter()
    parent_of: dict[str, str] = {}
    opened: dict[str, int] = {}
    for row in desk.rows:
        event = row.event
        match event:
            case ParentAccepted(parent=parent):
                asked[parent.parent_id] = parent
                held = state.position("main", COIN_ID)
                opened[parent.parent_id] = held.opened_at_ns if held is not None and parent.from_lots else 0
            case ParentSliced(parent_id=parent_id, lots=lots) if lots:
                assert state.parents[parent_id].works, "an ended one sends nothing"
                held = state.position("main", COIN_ID)
                if asked[parent_id].from_lots:
                    left[parent_id] += lots
                    assert held is not None and held.opened_at_ns == opened[parent_id], "a later position is not its own"
                    assert held.sign == -asked[parent_id].intent.side.sign
                else:
                    assert state.effective_state("main") is TradingState.ACTIVE
                    assert held is None or held.sign == asked[parent_id].intent.side.sign
            case OrderIntended(intent=intent) if intent.slice_of:
                parent_of[intent.client_order_id] = intent.slice_of
            case OrderFilled(fill=fill) if fill.client_order_id in parent_of:
                filled[parent_of[fill.client_order_id]] += fill.last_lots
            case TradingStateChanged() | ParentEnded() | ExitWanted() | _:
                pass
        state = apply(state, row)
    for parent_id, parent in asked.items():
        assert left[parent_id] <= parent.intent.order_lots
        assert filled[parent_id] <= parent.intent.order_lots
        assert state.parents[parent_id].filled_lots <= parent.intent.order_lots
    assert fold(rows_of(desk)) == desk.state


@pytest.mark.parametrize("seed", range(24))
def test_it_does_what_was_asked_and_no_more(seed: int) -> None:
    random = Random(seed)
    can = random.choice((None, NO_BRACKETS, PLAIN))
    limits = Limits(max_heat_fraction=0.9, duplicate_seconds=0.0, orders_per_minute=1_000, stale_quote_seconds=1e6)
    settings = settings_of("main", limits=limits)
    desk = Desk(settings=settings, can=can) if can else Desk(settings=settings)
    for place in range(160):
        act(desk, random, place)
    assert desk.of(ParentAccepted)
    judge(desk)
