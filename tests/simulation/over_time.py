"""Orders over time in the simulation: some are asked for, and none may do more than it was asked, whatever crashes in between."""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from random import Random

from engine.events import OrderFilled, OrderIntended, TradingStateChanged, decode
from engine.inputs import Command, PlaceOrder, TradingState, TrailSpec
from engine.orders import Side
from engine.parent_events import ParentAccepted, ParentSliced
from engine.parents import OverTime, Style
from engine.ports import JournalRow
from engine.units import Nanoseconds


def over_time(random: Random, seed: int, symbols: Sequence[str], from_ns: Nanoseconds,
              span_ns: Nanoseconds) -> list[tuple[Nanoseconds, Command]]:
    """Some orders to be worked off over time, and some that leave in slices what may be held by then."""
    found: list[tuple[Nanoseconds, Command]] = []
    for place in range(random.choice((0, 1, 2, 3))):
        at_ns = from_ns + random.randrange(span_ns) + 1
        symbol, side = random.choice(symbols), random.choice((Side.BUY, Side.BUY, Side.SELL))
        share = random.choice((None, None, None, Decimal(25)))
        over = OverTime(random.choice((60, 120, 300)), random.choice(tuple(Style)), share)
        enter = PlaceOrder(f"o{seed}-{place}", symbol, side, risk_percent=Decimal(random.choice(("0.1", "0.3"))), over=over,
                           trail=TrailSpec(percent=Decimal(random.choice(("2", "5")))))
        found.append((at_ns, enter))
        if random.random() < 0.4:
            lots = Decimal(random.choice(("0.01", "5")))
            leave = PlaceOrder(f"o{seed}-{place}-out", symbol, side.opposite, quantity=lots, over=over)
            found.append((at_ns + random.randrange(span_ns), leave))
    return found


def overdone(rows: list[JournalRow]) -> list[str]:
    """What an order over time did beyond its terms: more filled than asked, more left than asked, a slice sent twice, one more
    that enters once trading was blocked."""
    asked: dict[str, int] = {}
    leaving: Counter[str] = Counter()
    parent_of: dict[str, str] = {}
    filled: Counter[str] = Counter()
    slices: Counter[tuple[str, int]] = Counter()
    blocked: set[str] = set()
    found: list[str] = []
    for row in rows:
        event = decode(row.kind, row.payload)
        match event:
            case ParentAccepted(parent=parent):
                asked[parent.parent_id] = parent.intent.order_lots
                if parent.from_lots:
                    leaving[parent.parent_id] = 0
            case ParentSliced(parent_id=parent_id, place=place, lots=lots):
                slices[parent_id, place] += 1
                if parent_id in leaving:
                    leaving[parent_id] += lots
                elif lots and parent_id in blocked:
                    found.append(f"slice {place} of {parent_id} went out after trading had been blocked")
            case TradingStateChanged(state=state) if state is not TradingState.ACTIVE:
                blocked = set(asked)
            case OrderIntended(intent=intent) if intent.slice_of:
                parent_of[intent.client_order_id] = intent.slice_of
            case OrderFilled(fill=fill) if fill.client_order_id in parent_of:
                filled[parent_of[fill.client_order_id]] += fill.last_lots
    return [*found, *(f"{key} filled {lots} lots of {asked[key]}" for key, lots in filled.items() if lots > asked[key]),
            *(f"{key} left {lots} lots of {asked[key]}" for key, lots in leaving.items() if lots > asked[key]),
            *(f"slice {place} of {key} came {count} times" for (key, place), count in slices.items() if count > 1)]
