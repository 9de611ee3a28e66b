"""The paper venue under random programs of orders, cancels, quotes, bars and time."""

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.paper.ledger import cash_delta_minor
from brokers.paper.memory import Memory, SqliteMemory, TransientMemory
from brokers.paper.records import PaperOptions
from brokers.paper.venue import PaperVenue
from engine.inputs import Bar, MarketTrade, Quote
from engine.orders import OrderIntent, OrderKind, Purpose, Side, TimeInForce
from tests.conformance.desk import ACCOUNT, COIN, SECOND_NS, START_NS, bracket, intent

PRICES = st.integers(9_800, 10_200)
EXIT_KINDS = (OrderKind.STOP, OrderKind.LIMIT, OrderKind.TRAILING_STOP, OrderKind.STOP_LIMIT, OrderKind.MARKET)


class Step(NamedTuple):
    """One step of a program: what happens, after `wait_ns`, with which numbers."""

    what: str
    wait_ns: int
    numbers: tuple[int, ...]


def steps() -> st.SearchStrategy[list[Step]]:
    waits = st.sampled_from((0, 1, 40_000_000, SECOND_NS, SECOND_NS, 60 * SECOND_NS, 60 * SECOND_NS,
                             9 * 3_600 * SECOND_NS))
    numbers = st.tuples(PRICES, PRICES, PRICES, PRICES, st.integers(0, 30))
    what = st.sampled_from(("quote", "quote", "quote", "print", "bar", "beat", "entry", "entry", "bracket", "exit",
                            "exit", "cancel"))
    return st.lists(st.builds(Step, what, waits, numbers), min_size=3, max_size=40).map(
        lambda program: [Step("quote", 0, (10_000, 10_020, 0, 0, 25)), *program])


OPTIONS = st.builds(PaperOptions, slippage_bps=st.sampled_from((0, 7)), latency_ms=st.sampled_from((0, 0, 50)),
                    latency_jitter_ms=st.sampled_from((0, 30)), fill_share_bps=st.sampled_from((10_000, 2_500)),
                    touch_fills=st.booleans(), leverage=st.sampled_from((1.0, 3.0)))


class Program:
    """Runs steps against a venue; with `only_market` it shows the venue the items and the time again, nothing else."""

    def __init__(self, program: list[Step]) -> None:
        self.program = program

    def run(self, venue: PaperVenue, first: int, last: int, *, only_market: bool = False) -> None:
        at_ns = START_NS + sum(step.wait_ns for step in self.program[:first])
        for number in range(first, last):
            step = self.program[number]
            at_ns += step.wait_ns
            if step.what in ("quote", "print", "bar", "beat"):
                self._move(venue, step, at_ns)
            elif not only_market:
                self._order(venue, step, number)
            venue.drain()

    @staticmethod
    def _move(venue: PaperVenue, step: Step, at_ns: int) -> None:
        one, two, three, four, size = step.numbers
        name = COIN.instrument_id
        if step.what == "quote":
            venue.see(Quote(name, one, one + two % 40, size, size, at_ns), at_ns)
        elif step.what == "print":
            venue.see(MarketTrade(name, one, size + 1, 0, at_ns), at_ns)
        elif step.what == "bar":
            high, low = max(one, two, three, four), min(one, two, three, four)
            venue.see(Bar(name, at_ns - 60 * SECOND_NS, at_ns, one, high, low, two, size * 3), at_ns)
        else:
            venue.advance(at_ns)

    def _order(self, venue: PaperVenue, step: Step, number: int) -> None:
        if step.what == "cancel":
            venue.cancel(f"o{step.numbers[0] % max(1, number)}", "")
        else:
            venue.submit(self._intents(step, number))

    @staticmethod
    def _intents(step: Step, number: int) -> list[OrderIntent]:
        one, two, three, four, size = step.numbers
        name, lots = f"o{number}", max(2, size)
        likely = Side.SELL if step.what == "exit" else Side.BUY
        side = likely if one % 4 else likely.opposite
        if step.what == "bracket":
            entry: dict[str, Any] = {} if two % 2 else {"kind": OrderKind.LIMIT, "limit_ticks": two}
            return bracket(name, order_lots=lots, stop_ticks=min(three, four), target_ticks=max(three, four) + 1,
                           **entry)
        force = (TimeInForce.GTC, TimeInForce.GTC, *TimeInForce)[four % 6]
        if step.what == "entry":
            kind = (OrderKind.MARKET, *OrderKind)[two % 5]
            return [intent(name, side, lots, kind, limit_ticks=two, trigger_ticks=three, time_in_force=force)]
        kind = EXIT_KINDS[two % 5]
        return [intent(name, side, lots, kind, limit_ticks=two, trigger_ticks=0 if kind is OrderKind.TRAILING_STOP else
                       three, trail_ticks=1 + four % 60, time_in_force=force, reduce_only=True,
                       oco_group=f"g{two % 2}", purpose=Purpose.EXIT)]


@contextmanager
def on_disk(options: PaperOptions) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "paper.db"


def opened(memory: Memory, options: PaperOptions) -> PaperVenue:
    return PaperVenue(ACCOUNT, options, memory, [COIN])


def everything(venue: PaperVenue, program: list[Step]) -> tuple[object, ...]:
    names = [f"o{number}{part}" for number in range(len(program)) for part in ("", "-s", "-t")]
    return venue.report(0, names), venue.totals(), venue.mark(COIN.instrument_id)


@settings(max_examples=80)
@given(steps(), OPTIONS, st.lists(st.integers(0, 40), min_size=1, max_size=2))
def test_a_crash_anywhere_changes_nothing(program: list[Step], options: PaperOptions, crashes: list[int]) -> None:
    steady = opened(TransientMemory(options), options)
    runner = Program(program)
    runner.run(steady, 0, len(program))
    with on_disk(options) as path:
        memory = SqliteMemory(path, ACCOUNT, options)
        venue, done = opened(memory, options), 0
        for crash in sorted(crashes):
            upto = min(crash, len(program))
            runner.run(venue, done, upto)
            done = max(done, upto)
            memory.close()  # no goodbye: nothing but what was committed survives
            memory = SqliteMemory(path, ACCOUNT, options)
            venue = opened(memory, options)
            runner.run(venue, 0, done, only_market=True)
        runner.run(venue, done, len(program))
        assert everything(venue, program) == everything(steady, program)
        memory.close()


@settings(max_examples=60)
@given(steps(), OPTIONS, st.lists(st.integers(1, 9), min_size=1, max_size=9))
def test_how_often_the_time_is_told_changes_nothing(program: list[Step], options: PaperOptions,
                                                    cuts: list[int]) -> None:
    quiet, chatty = (opened(TransientMemory(options), options) for _ in range(2))
    Program(program).run(quiet, 0, len(program))
    at_ns = START_NS
    for number, step in enumerate(program):
        if step.what in ("quote", "print", "bar", "beat"):
            inside_ns = step.wait_ns * cuts[number % len(cuts)] // 10
            if inside_ns and step.what != "bar":
                chatty.advance(at_ns + inside_ns)
        at_ns += step.wait_ns
        Program(program).run(chatty, number, number + 1)
    assert everything(quiet, program) == everything(chatty, program)


@settings(max_examples=120)
@given(steps(), OPTIONS)
def test_the_books_always_balance(program: list[Step], options: PaperOptions) -> None:
    venue = opened(TransientMemory(options), options)
    runner = Program(program)
    for number in range(len(program)):
        runner.run(venue, number, number + 1)
        report = venue.report(0, ())
        paid_minor = sum(cash_delta_minor(fill, COIN) for fill in report.fills)
        assert report.cash_minor == options.initial_cash_minor + paid_minor
        lots = sum(fill.side.sign * fill.last_lots for fill in report.fills)
        assert [each.lots for each in report.positions] == ([lots] if lots else [])
        totals = venue.totals()
        mark = venue.mark(COIN.instrument_id)
        if mark is not None and lots:
            at_ticks = mark.bid_ticks if lots > 0 else mark.ask_ticks
            assert totals.equity_minor == report.cash_minor + COIN.signed_notional_minor(at_ticks, lots)


@settings(max_examples=120)
@given(steps(), OPTIONS)
def test_no_order_does_more_than_it_may(program: list[Step], options: PaperOptions) -> None:
    venue = opened(TransientMemory(options), options)
    Program(program).run(venue, 0, len(program))
    intents = {each.client_order_id: each for number, step in enumerate(program)
               if step.what in ("entry", "bracket", "exit") for each in Program._intents(step, number)}
    fills = venue.report(0, ()).fills
    filled: dict[str, int] = defaultdict(int)
    held = 0
    for fill in fills:
        order = intents[fill.client_order_id]
        filled[fill.client_order_id] += fill.last_lots
        assert filled[fill.client_order_id] <= order.order_lots
        if order.parent_id:
            assert filled[fill.client_order_id] <= filled[order.parent_id]
        if order.reduce_only:
            assert held * fill.side.sign < 0
            assert fill.last_lots <= abs(held)
        if order.kind in (OrderKind.LIMIT, OrderKind.STOP_LIMIT):
            assert fill.side.sign * (order.limit_ticks - fill.last_ticks) >= 0
        held += fill.side.sign * fill.last_lots
    assert len({fill.key for fill in fills}) == len(fills)
    assert_brackets_exit_once(intents.values(), filled)


def assert_brackets_exit_once(intents: Iterable[OrderIntent], filled: dict[str, int]) -> None:
    """Stop and target of one entry together never close more than it opened."""
    exits: dict[str, int] = defaultdict(int)
    for each in intents:
        if each.parent_id:
            exits[each.parent_id] += filled[each.client_order_id]
    assert all(closed <= filled[entry] for entry, closed in exits.items())
