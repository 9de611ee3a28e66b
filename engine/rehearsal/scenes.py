"""Named incidents as data: what the market does, what a person asks, what breaks, and within what bounds it must end.

A scene is a pure function of its incident and a seed, which chooses the side, the moments and the sizes. Seconds count from the
beginning of the scene; prices are percent of the start price, in favour of the position (above 0) or against it.
"""

from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from random import Random
from typing import NamedTuple

from engine.golive_words import Incident
from engine.inputs import Command, Flatten, PlaceOrder, SetTradingState, TradingState
from engine.instruments import AssetClass, Instrument
from engine.orders import OrderKind, Side
from engine.units import NS_PER_SECOND, Lots, Nanoseconds

START_NS: Nanoseconds = 1_717_423_200 * NS_PER_SECOND  # a Monday, 14:00 UTC; nothing here depends on which
START_PRICE = 100
CASH_MINOR = 10_000_000
ACCOUNT = "rehearsal"
PORTFOLIO = "rehearsal"
STOP_PERCENT = 3
SIZE = 100
NEVER = 1e9


class Breakage(StrEnum):
    """What can break, and for whom."""

    LINE = "line"  # nothing reaches the venue, nothing comes from it
    ANSWER = "answer"  # what is sent arrives, no answer and no message comes back
    MARKET = "market"  # the venue has halted the instrument: no price, no order
    DISK = "disk"  # the journal cannot be written
    FEED = "feed"  # the venue trades on, the engine sees no price
    PROCESS = "process"  # killed by the system, and started again when it is over


UNREACHABLE = frozenset({Breakage.LINE, Breakage.ANSWER, Breakage.MARKET, Breakage.PROCESS})  # while it lasts nobody can act


class Fault(NamedTuple):
    """One breakage; it begins at a second, or with that submission to the venue (`at_submit`, counted from 1) where that is
    given. A process killed there has sent it or has not (`sent`)."""

    breakage: Breakage
    seconds: float
    at_second: float = NEVER
    at_submit: int = 0
    sent: bool = False


class Bounds(NamedTuple):
    """What is asked of a rehearsal; `beyond_cause_seconds` is how much longer than its cause something may be unprotected."""

    beyond_cause_seconds: float = 5.0
    safe_seconds: float = 15.0
    flat_seconds: float = 15.0
    submits: int = 40


class Scene(NamedTuple):
    """One incident, ready to be played.

    `flat_from_second` is when something happens that must end every position (`NEVER`: they stay, protected). `blocked` are
    commands that must open nothing, `tells` alerts that must be raised. `shown_lots` is how much every quote shows (0: plenty).
    """

    incident: Incident
    seed: int
    about: str
    side: Side
    seconds: float
    path: tuple[tuple[float, float], ...]
    script: tuple[tuple[float, Command], ...]
    faults: tuple[Fault, ...] = ()
    flat_from_second: float = NEVER
    blocked: tuple[str, ...] = ()
    tells: tuple[str, ...] = ()
    stops_at_venue: bool = True
    ahead_seconds: float = 0.0
    shown_lots: int = 0
    quotes_per_second: int = 1
    foreign_order: bool = False
    bounds: Bounds = Bounds()

    @property
    def asked_lots(self) -> Lots:
        """The most that its entries together may come to hold."""
        listed = {one.symbol: one for one in instruments()}
        return sum(round(command.quantity / listed[command.symbol].lot_size) for _, command in self.script
                   if isinstance(command, PlaceOrder) and command.quantity is not None and command.command_id not in self.blocked)

    @property
    def cause_seconds(self) -> float:
        """For how long the scene itself keeps anybody from protecting anything."""
        return sum(fault.seconds for fault in self.faults if fault.breakage in UNREACHABLE)


def instruments() -> tuple[Instrument, ...]:
    """What the rehearsed venue lists; the last one is always open and calm, so that time goes on in a halt."""
    return tuple(Instrument(f"{name}@paper", name, "paper", AssetClass.CRYPTO, name, "USD", Decimal("0.01"), Decimal("0.1"), 2,
                            10_000_000, 1_000_000, taker_fee_ppm=500, maker_fee_ppm=200)
                 for name in ("DRILL", "DRILL2", "DRILL3", "DRILL4", "CALM"))


def scene_of(incident: Incident, seed: int) -> Scene:
    """The scene of an incident; the same seed, the same scene."""
    return _MAKERS[incident](Random(f"{incident}|{seed}"), seed)  # noqa: S311 - which moment, not a secret


# ---- what a person asks --------------------------------------------------------------------------------------------------------


def _entry(name: str, side: Side, quantity: int = SIZE, symbol: str = "DRILL", *, limit: Decimal | None = None) -> PlaceOrder:
    away = Decimal(START_PRICE * STOP_PERCENT * side.sign) / 100
    return PlaceOrder(name, symbol, side, PORTFOLIO, quantity=Decimal(quantity), stop=START_PRICE - away, by="rehearsal",
                      kind=OrderKind.MARKET if limit is None else OrderKind.LIMIT, limit=limit)


def _side(random: Random) -> Side:
    return random.choice((Side.BUY, Side.SELL))


# ---- the incidents -------------------------------------------------------------------------------------------------------------


def _outage(random: Random, seed: int) -> Scene:
    side, length = _side(random), random.randint(30, 60)
    return Scene(Incident.OUTAGE, seed, "the line breaks between an entry and its stop", side, 60.0 + length,
                 ((0, 0), (20, 0.5), (60, -1)), ((10, _entry("entry", side)), (25, _entry("second", side, symbol="DRILL2"))),
                 (Fault(Breakage.LINE, length, at_submit=2),), blocked=("second",), tells=("disconnected", "unprotected"))


def _gap(random: Random, seed: int) -> Scene:
    side, at, depth = _side(random), random.randint(30, 60), random.randint(5, 12)
    return Scene(Incident.GAP, seed, "the price jumps beyond a stop that only the engine watches", side, at + 60.0,
                 ((0, 0), (at - 1, 0.5), (at, -depth)), ((10, _entry("entry", side)),), flat_from_second=at, stops_at_venue=False)


def _halt(random: Random, seed: int) -> Scene:
    side, length = _side(random), random.randint(45, 90)
    return Scene(Incident.HALT, seed, "the instrument is halted, and opens again beyond the stop", side, 40.0 + length + 60,
                 ((0, 0), (39, -1), (40 + length, -5)), ((10, _entry("entry", side)), (50, _entry("second", side, 50))),
                 (Fault(Breakage.MARKET, length, 40),), flat_from_second=40 + length, blocked=("second",), stops_at_venue=False)


def _clock_skew(random: Random, seed: int) -> Scene:
    side, ahead = _side(random), random.choice((-200.0, -45.0, 45.0, 200.0))
    about = f"the venue's clock is {abs(ahead):g} s {'ahead' if ahead > 0 else 'behind'}"
    return Scene(Incident.CLOCK_SKEW, seed, about, side, 130, ((0, 0), (60, 1), (70, -4)), ((10, _entry("entry", side)),),
                 flat_from_second=68, tells=("clock",), ahead_seconds=ahead)


def _partial(random: Random, seed: int) -> Scene:
    side, lots = _side(random), random.randint(200, 700)
    limit = Decimal(START_PRICE) + side.sign * Decimal("0.05")
    halted = SetTradingState("halt", TradingState.HALTED, "", "rehearsal", "rehearsal")
    return Scene(Incident.PARTIAL, seed, "a part of an entry fills, the rest is cancelled", side, 90,
                 ((0, 0), (10, 0), (11, 1.5)), ((10, _entry("entry", side, limit=limit)), (30, halted)),
                 shown_lots=lots)


def _lost_answer(random: Random, seed: int) -> Scene:
    side, length = _side(random), random.randint(4, 12)
    return Scene(Incident.LOST_ANSWER, seed, "an entry is filled, and its answer is lost", side, 120, ((0, 0), (60, 0.5)),
                 ((10, _entry("entry", side)),), (Fault(Breakage.ANSWER, length, at_submit=1),), tells=("unanswered",))


def _full_disk(random: Random, seed: int) -> Scene:
    side, hit = _side(random), random.randint(60, 80)
    return Scene(Incident.FULL_DISK, seed, "the disk is full while a stop that the engine watches is reached", side, 160,
                 ((0, 0), (hit - 1, -1), (hit, -4)), ((10, _entry("entry", side)), (50, _entry("second", side, symbol="DRILL2"))),
                 (Fault(Breakage.DISK, 60, 40),), flat_from_second=hit, blocked=("second",), tells=("halted",),
                 stops_at_venue=False)


def _crash(random: Random, seed: int) -> Scene:
    side, length = _side(random), random.randint(5, 30)
    submit, sent = random.choice(((1, True), (2, False), (2, True)))
    about = f"killed {'after' if sent else 'before'} the {'entry' if submit == 1 else 'stop'} left, and started again"
    return Scene(Incident.CRASH, seed, about, side, 130, ((0, 0), (60, 0.5)), ((10, _entry("entry", side)),),
                 (Fault(Breakage.PROCESS, length, at_submit=submit, sent=sent),),
                 bounds=Bounds(beyond_cause_seconds=10))


def _stale_feed(random: Random, seed: int) -> Scene:
    side, hit = _side(random), random.randint(60, 75)
    return Scene(Incident.STALE_FEED, seed, "the engine sees no price while the market goes through the stop", side, 150,
                 ((0, 0), (hit - 1, -1), (hit, -5)), ((10, _entry("entry", side)), (58, _entry("second", side, symbol="DRILL2"))),
                 (Fault(Breakage.FEED, 60, 40),), flat_from_second=hit, blocked=("second",))


def _panic(random: Random, seed: int) -> Scene:
    side, at = _side(random), random.randint(40, 60)
    held = [(10 + place, _entry(f"entry-{place}", side, symbol=symbol))
            for place, symbol in enumerate(("DRILL", "DRILL2", "DRILL3", "DRILL4"))]
    far = Decimal(START_PRICE - 2 * side.sign)
    resting = [(20 + place, _entry(f"resting-{place}", side, 20, symbol, limit=far + Decimal(place) / 10))
               for place, symbol in enumerate(("DRILL", "DRILL2", "DRILL3", "DRILL4"))]
    return Scene(Incident.PANIC, seed, "flatten with four positions, working entries, a foreign order and a fast market", side,
                 at + 60.0, ((0, 0), (at, -1), (at + 2, -2)), (*held, *resting, (at, Flatten("flatten", by="rehearsal"))),
                 flat_from_second=at, quotes_per_second=20, foreign_order=True)


_MAKERS: dict[Incident, Callable[[Random, int], Scene]] = {
    Incident.OUTAGE: _outage, Incident.GAP: _gap, Incident.HALT: _halt, Incident.CLOCK_SKEW: _clock_skew,
    Incident.PARTIAL: _partial, Incident.LOST_ANSWER: _lost_answer, Incident.FULL_DISK: _full_disk, Incident.CRASH: _crash,
    Incident.STALE_FEED: _stale_feed, Incident.PANIC: _panic}
