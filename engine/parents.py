"""Orders over time: a parent order is worked off in slices, each an ordinary order with its own checks.

The plan of a parent, when how much of it should have gone out, is fixed when it is accepted and journaled with it. What a slice
could not do (the market was thin, a check said no, the engine was down) is made up for by later ones, at most twice the largest
planned slice at a time; what is left when its time is over is not sent.
"""

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256

import msgspec

from engine.orders import Order, OrderIntent
from engine.positions import Position
from engine.units import NS_PER_SECOND, Lots, Nanoseconds

SLICE_SECONDS = 30
FEWEST_SLICES = 2
MOST_SLICES = 60
SHORTEST_SECONDS = 60
LONGEST_SECONDS = 7 * 86_400
CATCH_UP = 2
JITTER_PARTS = 5
BPS = 10_000
DAY_NS = 86_400 * NS_PER_SECOND


class Style(StrEnum):
    """How a parent order is spread: evenly over the time, or as the volume of past days was."""

    TWAP = "twap"
    VWAP = "vwap"


class OverTime(msgspec.Struct, frozen=True, omit_defaults=True):
    """Work an order off over `seconds`; at most `participation_percent` of the volume that the market does meanwhile."""

    seconds: int
    style: Style = Style.TWAP
    participation_percent: Decimal | None = None

    @property
    def words(self) -> str:
        """How it is spread, as a card says it."""
        share = self.participation_percent
        return f"{self.seconds} s, {self.style}{f', at most {share:f} % of the volume' if share is not None else ''}"


class Parent(msgspec.Struct, frozen=True, omit_defaults=True):
    """A parent order and how far it is.

    `intent` holds its terms and all its lots. By `due_ns[k]` slices of `due_lots[k]` lots in all are meant to have gone out;
    `next_slice` is the first that has not. `from_lots` is, for one that reduces a position, how much was held when it began
    (0: it enters), `from_closed_lots` what had left that position before. `opened_ns` is when the position was opened that it
    reduces, or that its fills went into (0: none yet). `waiting` is why the last slice did not go out in full; `ended_as` is
    empty while it works.
    """

    parent_id: str
    intent: OrderIntent
    style: Style
    started_at_ns: Nanoseconds
    ends_at_ns: Nanoseconds
    due_ns: tuple[Nanoseconds, ...]
    due_lots: tuple[Lots, ...]
    participation_bps: int = 0
    from_lots: Lots = 0
    next_slice: int = 0
    filled_lots: Lots = 0
    waiting: str = ""
    ended_as: str = ""
    ended_at_ns: Nanoseconds = 0
    from_closed_lots: Lots = 0
    opened_ns: Nanoseconds = 0

    @property
    def works(self) -> bool:
        return not self.ended_as

    @property
    def most_at_once(self) -> Lots:
        """The most that one slice may take, so that a delay is not made up for in one blow."""
        before = (0, *self.due_lots)
        return CATCH_UP * max(after - first for first, after in zip(before, self.due_lots, strict=False))

    def due_slice(self, at_ns: Nanoseconds) -> int | None:
        """The newest slice that is due and has not gone out; None where there is none."""
        place = sum(1 for due_ns in self.due_ns if due_ns <= at_ns) - 1
        return place if place >= self.next_slice else None

    def unsent_lots(self, open_lots: Lots) -> Lots:
        """What is neither filled nor working."""
        return max(0, self.intent.order_lots - self.filled_lots - open_lots)

    def is_for(self, position: Position) -> bool:
        """Whether a position is the one that it reduces or has filled, and not one that was opened later."""
        return self.opened_ns in (0, position.opened_at_ns)

    def done_lots(self, position: Position | None) -> Lots:
        """How much of it is done, given the position now. One that reduces counts whatever left the position meanwhile, also by
        a stop or by hand, but nothing that was added to it."""
        if not self.from_lots or not self.works:
            return self.filled_lots
        return self.from_lots if position is None else max(0, position.closed_lots - self.from_closed_lots)

    def as_order(self, unsent_lots: Lots) -> Order:
        """What is still to be sent, as a working order: it counts in full toward heat and exposure."""
        intent = msgspec.structs.replace(self.intent, client_order_id=self.parent_id, order_lots=unsent_lots)
        return Order(intent=intent, intended_at_ns=self.started_at_ns)


def slice_count(seconds: int, lots: Lots, least_lots: Lots) -> int:
    """About two slices a minute, fewer where each must be at least `least_lots`; at least one."""
    wished = min(MOST_SLICES, max(FEWEST_SLICES, seconds // SLICE_SECONDS))
    return max(1, min(wished, lots // max(1, least_lots)))


def due_times(parent_id: str, start_ns: Nanoseconds, seconds: int, count: int) -> tuple[Nanoseconds, ...]:
    """When each slice is due: the first at once, the others evenly, each moved a little by a hash of the parent's id, so that
    nobody can wait for the full minute; the same after every restart."""
    step_ns = seconds * NS_PER_SECOND // count
    reach_ns = step_ns // JITTER_PARTS
    return tuple(start_ns + place * step_ns + (_hashed(parent_id, place) % reach_ns if place and reach_ns else 0)
                 for place in range(count))


def _hashed(parent_id: str, place: int) -> int:
    return int.from_bytes(sha256(f"{parent_id}:{place}".encode()).digest()[:8], "big")


def cumulative_lots(lots: Lots, weights: Sequence[float]) -> tuple[Lots, ...]:
    """The lots that are to have gone out after each slice: in proportion to the weights, rounded down, all of them at the end."""
    total = sum(weights)
    shares = weights if total > 0 else [1.0] * len(weights)
    total = total if total > 0 else float(len(weights))
    found: list[Lots] = []
    run = 0.0
    for weight in shares:
        run += weight
        found.append(min(lots, int(lots * run / total)))
    found[-1] = lots
    return tuple(found)


def volume_weights(volumes: Sequence[tuple[Nanoseconds, Nanoseconds, Lots]], due_ns: Sequence[Nanoseconds],
                   ends_at_ns: Nanoseconds) -> list[float]:
    """What part of the volume past bars saw in each slice's stretch of the day; even where nothing is known of a stretch.

    `volumes` holds when each bar opened and closed, and its volume. Bars longer than a day say nothing of the time of day.
    """
    stretches = list(zip(due_ns, (*due_ns[1:], ends_at_ns), strict=True))
    found = [0.0] * len(stretches)
    for open_ns, close_ns, lots in volumes:
        length_ns = close_ns - open_ns
        if not 0 < length_ns < DAY_NS:
            continue
        for place, (start_ns, end_ns) in enumerate(stretches):
            found[place] += lots * _overlap_ns(open_ns, close_ns, start_ns, end_ns) / length_ns
    known = [value for value in found if value > 0]
    mean = sum(known) / len(known) if known else 1.0
    return [value if value > 0 else mean for value in found]


def _overlap_ns(open_ns: Nanoseconds, close_ns: Nanoseconds, start_ns: Nanoseconds, end_ns: Nanoseconds) -> Nanoseconds:
    """How much of a past bar lies at the same time of day as a stretch to come."""
    days = (start_ns - open_ns) // DAY_NS
    return sum(max(0, min(close_ns + shift, end_ns) - max(open_ns + shift, start_ns))
               for shift in (days * DAY_NS, (days + 1) * DAY_NS))
