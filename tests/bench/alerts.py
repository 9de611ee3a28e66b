"""`python -m tests.bench.alerts`: 1,000 alert rules over 200 instruments at 5,000 quotes a second.

Two looks. The core alone: what one quote costs with and without rules (p50, p99), and the share of one core that 5,000 a second
are. The whole live engine on a durable journal, fed at 5,000 a second in real time: its share of one core, the longest that any
quote waited to be taken in, and what was left when the last one had come; beside it the same engine without a rule.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from random import Random

from brokers.paper.broker import PaperBroker
from brokers.paper.records import PaperOptions
from engine.alert_language import parse_condition
from engine.alert_rules import AlertRule
from engine.clocks import SystemClock
from engine.inputs import Bar, MarketItem, Quote, SetAlertRule, TimeAdvanced
from engine.loop import Loop
from engine.market import MarketView
from engine.parts import EngineParts
from engine.runner import Engine
from engine.service import Mode
from engine.state import State
from engine.units import NS_PER_SECOND
from store.journal import SqliteJournal
from store.memory import MemoryJournal
from tests.bench.engine import instruments, settings

INSTRUMENTS = 200
RULES = 1_000
RATE = 5_000
WARM_BARS = 60
START_TICKS = 10_000
TICK_SECONDS = 0.002
SETTLE_SECONDS = 1.0


def rules(count: int) -> list[AlertRule]:
    """Levels, crossings, spreads, moves and means near the prices of the walk, all repeating, so that some keep firing."""
    random = Random(7)
    made = []
    for place in range(count):
        symbol = f"S{place % INSTRUMENTS:03}"
        level = Decimal(START_TICKS + random.choice((-1, 1)) * random.randint(15, 80)) / 100
        condition = (f"{symbol} price > {level}", f"{symbol} price crosses {level}",
                     f"{symbol} price < {level} and spread < 30bps", f"{symbol} move over 5m > 1% or move over 5m < -1%",
                     f"{symbol} price crosses above ema(20) and heat < 5%")[place // INSTRUMENTS % 5]
        made.append(AlertRule(f"r{place}", parse_condition(condition), repeat=True, cooldown_seconds=5))
    return made


def walk(count: int) -> list[Quote]:
    """Quotes of all instruments in turn, each a walk of a tick a step that stays within 1.5 percent."""
    random = Random(1)
    names = [one.instrument_id for one in instruments(INSTRUMENTS)]
    prices = dict.fromkeys(names, START_TICKS)
    quotes = []
    for place in range(count):
        name = names[place % INSTRUMENTS]
        prices[name] = min(10_150, max(9_850, prices[name] + random.choice((-2, -1, 0, 1, 2))))
        quotes.append(Quote(name, prices[name], prices[name] + random.choice((1, 1, 1, 4)), 100, 100, 0))
    return quotes


def history(instrument_id: str) -> list[Bar]:
    minute = 60 * NS_PER_SECOND
    now_ns = time.time_ns() // minute * minute
    return [Bar(instrument_id, now_ns - (WARM_BARS - place) * minute, now_ns - (WARM_BARS - place - 1) * minute, START_TICKS,
                START_TICKS + 20, START_TICKS - 20, START_TICKS, 1_000) for place in range(WARM_BARS)]


# ---- the core alone ----------------------------------------------------------------------------------------------------------


def core(count: int, seconds: int) -> tuple[float, float, float, int]:
    """p50 and p99 of one quote and the mean with the beats, in microseconds, and how often a rule fired."""
    loop = _started_loop(count)
    at_ns = loop.last_at_ns
    samples: list[int] = []
    spent = 0
    for place, quote in enumerate(walk(RATE * seconds)):
        at_ns += NS_PER_SECOND // RATE
        began = time.perf_counter_ns()
        loop.take(at_ns, quote)
        took = time.perf_counter_ns() - began
        samples.append(took)
        if place % RATE == RATE - 1:
            began = time.perf_counter_ns()
            loop.take(at_ns, TimeAdvanced())
            spent += time.perf_counter_ns() - began
    fired = sum(known.fired_count for known in loop.state.alert_rules.values())
    mean = (sum(samples) + spent) / len(samples) / 1_000
    samples.sort()
    return samples[len(samples) // 2] / 1_000, samples[len(samples) * 99 // 100] / 1_000, mean, fired


def _started_loop(count: int) -> Loop:
    """The loop of an engine that has come up, with its rules set and every instrument's bars seen."""
    listed = instruments(INSTRUMENTS)
    engine = Engine(EngineParts(SystemClock(), MemoryJournal(), "bench", "bench", Mode.PAPER, settings(),
                                (PaperBroker("bench", None, PaperOptions(), listed),), feed=Feed([])))
    asyncio.run(_until_over(engine))
    loop = Loop(engine.state, MarketView(), MemoryJournal(), _raised)
    for one in listed:
        loop.market.warm(history(one.instrument_id))
    for place, rule in enumerate(rules(count)):
        loop.take(loop.last_at_ns, SetAlertRule(f"c{place}", rule))
    for quote in walk(INSTRUMENTS):
        loop.take(loop.last_at_ns, quote)
    return loop


def _raised(taken: object, error: Exception) -> None:
    raise error


async def _until_over(engine: Engine) -> None:
    task = asyncio.create_task(engine.run())
    await asyncio.to_thread(engine.ready.wait)
    engine.stop()
    await task


# ---- the whole live engine -------------------------------------------------------------------------------------------------


class Feed:
    """Quotes handed over in real time, `RATE` a second, whatever became of those before."""

    def __init__(self, quotes: list[Quote]) -> None:
        self.quotes = quotes
        self.go = asyncio.Event()
        self.over = asyncio.Event()
        self.waiting: Callable[[], int] = int
        self.most_waiting = 0
        self.late_seconds = 0.0

    async def run(self, sink: Callable[[MarketItem], None]) -> None:
        await self.go.wait()
        began, given = time.monotonic(), 0
        while given < len(self.quotes):
            await asyncio.sleep(TICK_SECONDS)
            due = min(len(self.quotes), int((time.monotonic() - began) * RATE))
            self.most_waiting = max(self.most_waiting, self.waiting())
            self.late_seconds = max(self.late_seconds, (due - given) / RATE)
            now_ns = time.time_ns()
            for quote in self.quotes[given:due]:
                sink(quote._replace(at_ns=now_ns))
            given = due
        self.over.set()
        await asyncio.Event().wait()

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        return history(instrument_id)

    async def close(self) -> None:
        self.over.set()


async def live(count: int, seconds: int, folder: Path) -> tuple[float, Feed, int, State]:
    """The share of one core that the engine and its feed took, the feed, and what waited at the end."""
    feed = Feed(walk(RATE * seconds))
    journal = SqliteJournal(folder / f"journal-{count}.db", engine_id="bench")
    broker = PaperBroker("bench", None, PaperOptions(), instruments(INSTRUMENTS))
    startup = tuple(SetAlertRule(f"c{place}", rule) for place, rule in enumerate(rules(count)))
    engine = Engine(EngineParts(SystemClock(), journal, "bench", "bench", Mode.PAPER, settings(), (broker,), feed=feed,
                                startup=startup))
    feed.waiting = lambda: len(engine._shell.market)
    task = asyncio.create_task(engine.run())
    await asyncio.to_thread(engine.ready.wait)
    await asyncio.sleep(SETTLE_SECONDS)  # the rules are set, the first snapshot is made
    cpu, wall = time.thread_time(), time.monotonic()
    feed.go.set()
    await feed.over.wait()
    share = (time.thread_time() - cpu) / (time.monotonic() - wall)
    left = len(engine._shell.market)
    engine.stop()
    await task
    journal.close()
    return share, feed, left, engine.state


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    print(f"{RULES} rules over {INSTRUMENTS} instruments, {RATE} quotes a second, {options.seconds} s")
    for count in (0, RULES):
        p50, p99, mean, fired = core(count, options.seconds)
        print(f"core, {count:5} rules: p50 {p50:6.2f} us  p99 {p99:7.2f} us  mean with beats {mean:6.2f} us  "
              f"{100 * mean * RATE / 1e6:5.1f} % of one core  {fired} firings")
    with tempfile.TemporaryDirectory(prefix="quarterdeck-bench-") as name:
        for count in (0, RULES):
            share, feed, left, state = asyncio.run(live(count, options.seconds, Path(name)))
            fired = sum(known.fired_count for known in state.alert_rules.values())
            print(f"live, {count:5} rules: {100 * share:5.1f} % of one core with its feed  longest wait "
                  f"{1_000 * feed.late_seconds:6.1f} ms  most waiting {feed.most_waiting}  left {left}  {fired} firings")


if __name__ == "__main__":
    main()
