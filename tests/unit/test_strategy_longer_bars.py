"""Live strategies on longer bars: joined from the feed's own, warm from an older past, the same after every restart."""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.backtest.longer_bars import Joining, join
from engine.bar_columns import InstrumentBars, LongerColumns, common_moments
from engine.desk import Desk as StrategyDesk
from engine.events import OrderIntended
from engine.inputs import AutomationLevel, Bar, Limits
from engine.instruments import ALWAYS_OPEN
from engine.kernel.wants import BarColumns, no_want
from engine.live_drive import _parts_of
from engine.strategies.registry import RULE, Bound, Strategy
from engine.strategy_events import StrategyActed, StrategySwitched
from engine.strategy_state import StrategySettings
from engine.strategy_views import strategy_views
from engine.trading_hours import SessionBounds
from engine.units import NS_PER_SECOND
from tests.unit.engine_desk import COIN_ID, START_NS, Desk, HandFeed, Shell, settings_of
from tests.unit.test_strategies_live import BUY, Memory, Params

MINUTE_NS = 60 * NS_PER_SECOND
QUARTER_NS = 15 * MINUTE_NS
FIRST_NS = 10_000 * 24 * 60 * MINUTE_NS


def minute(at: int, close: int = 0, instrument_id: str = COIN_ID, minutes: int = 1) -> Bar:
    close = close or 10_000 + at % 97
    opened = FIRST_NS + at * MINUTE_NS
    return Bar(instrument_id, opened, opened + minutes * MINUTE_NS, close - 3, close + 7, close - 9, close, 5 + at % 11)


def recorder(asked: list[tuple[int, ...]], wants_after: int = 0) -> Strategy:
    """A rule that notes which bar it was asked about, how many it has seen and what it holds; it may want to buy once."""
    def rule(_p: Params, m: Memory, bars: BarColumns, place: int, seen: int, held: Any) -> tuple[Memory, Any]:
        asked.append((bars.opens_ns[place], bars.closes_ns[place], bars.opens[place], bars.highs[place], bars.lows[place],
                      bars.closes[place], bars.volumes[place], seen))
        want = BUY if wants_after and seen == wants_after else no_want()
        return Memory(m.bars + 1, m.asked + (want is BUY)), want

    return Strategy("scripted", RULE, rule, Params, Memory, ("asked",), {"size": Bound(1, 9)}, lambda _: 0, lambda _: "",
                    lambda *_: "as told", "A rule for tests.")


class Floor:
    """A core with strategies of several bar lengths on one instrument, each in a portfolio of its own."""

    def __init__(self, asked: list[tuple[int, ...]], *lengths: int, wants_after: int = 0) -> None:
        names = [f"p{number}" for number in range(len(lengths))]
        self.settings = tuple(StrategySettings(f"s{bar_ns // MINUTE_NS}", "scripted", name, ("COIN",), {"size": 1}, bar_ns=bar_ns)
                              for name, bar_ns in zip(names, lengths, strict=True))
        self.core = Desk(settings=settings_of(*names, automation=AutomationLevel.AUTO_EXECUTE,
                                              limits=Limits(max_heat_fraction=0.5), strategies=self.settings))
        self.desk = StrategyDesk(self.settings, {"scripted": recorder(asked, wants_after)})

    def bar(self, bar: Bar) -> None:
        self.core.at_ns = max(self.core.at_ns, bar.close_ns)
        self.core.take(bar)
        for wanted in self.desk.bar_closed(bar, self.core.state, self.core.market):
            self.core.take(wanted)


def joined_of(bars: Sequence[Bar], bar_ns: int) -> list[tuple[int, ...]]:
    """What the backtest makes of the same bars."""
    columns = BarColumns(*np.array([bar[1:] for bar in bars], np.int64).T)
    rows = zip(*(np.asarray(column).tolist() for column in join(columns, (), Joining(bar_ns)).bars), strict=True)
    return [(*row, seen) for seen, row in enumerate(rows, 1)]


def some_minutes(seed: int, count: int, missing: float = 0.2) -> list[Bar]:
    rng = random.Random(seed)
    return [minute(at, 10_000 + rng.randint(-50, 50)) for at in range(count) if rng.random() > missing]


def test_a_rule_sees_the_longer_bars_that_the_backtest_joins() -> None:
    asked: list[tuple[int, ...]] = []
    bars = some_minutes(1, 300)
    floor = Floor(asked, QUARTER_NS)
    for bar in bars:
        floor.bar(bar)
    assert asked == joined_of(bars, QUARTER_NS)
    assert len(asked) > 15


def test_several_lengths_on_one_instrument() -> None:
    asked: list[tuple[int, ...]] = []
    bars = some_minutes(2, 200)
    floor = Floor(asked, 0, QUARTER_NS, 2 * QUARTER_NS)
    for bar in bars:
        floor.bar(bar)
    expected = [*joined_of(bars, MINUTE_NS), *joined_of(bars, QUARTER_NS), *joined_of(bars, 2 * QUARTER_NS)]
    assert sorted(asked) == sorted(expected)
    views = strategy_views(floor.core.state, floor.core.market)
    assert [(view.bar_seconds, view.lines[0].bars) for view in views] == [
        (0, len(bars)), (900, len(joined_of(bars, QUARTER_NS))), (1_800, len(joined_of(bars, 2 * QUARTER_NS)))]


def test_its_want_is_of_the_longer_bar_and_goes_out_once() -> None:
    asked: list[tuple[int, ...]] = []
    floor = Floor(asked, QUARTER_NS, wants_after=2)
    for at in range(50):
        floor.bar(minute(at))
    acted, = floor.core.of(StrategyActed)
    assert acted.close_ns == FIRST_NS + 2 * QUARTER_NS
    intended = floor.core.of(OrderIntended)[0]
    assert intended.command_id == f"s15:{COIN_ID}:{acted.close_ns}"
    assert intended.intent.strategy == "s15"


def test_bars_that_do_not_fit_end_the_strategy_and_say_why() -> None:
    asked: list[tuple[int, ...]] = []
    floor = Floor(asked, QUARTER_NS)
    for at in range(0, 120, 30):
        floor.bar(minute(at, minutes=30))
    switched, = floor.core.of(StrategySwitched)
    assert switched.reason == ("its rule failed: a bar of 1,800 s does not fit into bars of 900 s; "
                               "set bar to a length that its bars divide")
    assert not asked


# ---- restarts --------------------------------------------------------------------------------------------------------------


def after_restart(bars: Sequence[Bar], at: int, bar_ns: int) -> list[tuple[int, ...]]:
    """Which bars a rule acts on that begins again after `at` bars, which the tape told it as history."""
    asked: list[tuple[int, ...]] = []
    floor = Floor(asked, bar_ns)
    for bar in bars[:at]:
        floor.core.market.see(bar, bar.close_ns)
        floor.desk.history(bar, floor.core.state, floor.core.market)
    counted = len(asked)
    for bar in bars[at:]:
        before = len(asked)
        floor.bar(bar)
        if len(asked) > before and not counted:
            counted = len(asked) - 1  # the rule was run over what it knew before
    return asked


@pytest.mark.slow
@given(seed=st.integers(0, 1_000), missing=st.sampled_from([0.0, 0.1, 0.6, 0.93]), at=st.integers(0, 180))
def test_a_restart_at_any_bar_sees_the_very_same_longer_bars(seed: int, missing: float, at: int) -> None:
    bars = some_minutes(seed, 180, missing)
    calm = after_restart(bars, 0, QUARTER_NS)
    again = after_restart(bars, at, QUARTER_NS)
    assert again == calm or (not again and all(told <= at for told in told_at(bars)))


def told_at(bars: Sequence[Bar]) -> list[int]:
    """After how many bars each longer one was told."""
    columns = LongerColumns(QUARTER_NS, ALWAYS_OPEN, lambda *_: SessionBounds(0, 0))
    return [number for number, bar in enumerate(bars, 1) if columns.join(bar)]


# ---- warm-up ---------------------------------------------------------------------------------------------------------------


def halves(first: int, count: int) -> list[Bar]:
    """Half hours that hold the minutes of `minute`."""
    found = []
    for number in range(first, first + count):
        parts = [minute(at) for at in range(30 * number, 30 * number + 30)]
        found.append(Bar(COIN_ID, parts[0].open_ns, parts[-1].close_ns, parts[0].open_ticks, max(one.high_ticks for one in parts),
                         min(one.low_ticks for one in parts), parts[-1].close_ticks, sum(one.volume_lots for one in parts)))
    return found


def test_it_is_warm_from_half_hours_and_goes_on_with_minutes() -> None:
    """Half hours up to 20:00, minutes from 19:47 on, now it is 20:11: the half of the hour that stands between is not lost."""
    asked: list[tuple[int, ...]] = []
    floor = Floor(asked, 4 * QUARTER_NS)
    minutes = [minute(at) for at in range(1_187, 1_211)]
    floor.core.market.warm(minutes)
    floor.desk.warm(COIN_ID, floor.core.state, floor.core.market)
    assert floor.desk.lengths_on(COIN_ID, floor.core.state) == (4 * QUARTER_NS,)
    asked.clear()
    floor.desk.warm_longer(4 * QUARTER_NS, halves(0, 40), floor.core.state, floor.core.market)
    assert [one[7] for one in asked] == list(range(1, 21)), "it has seen twenty hours already"
    assert floor.core.market.longer_bars[COIN_ID, 4 * QUARTER_NS] == 20
    for at in range(1_211, 1_261):
        floor.bar(minute(at))
    assert asked == joined_of([minute(at) for at in range(1_261)], 4 * QUARTER_NS)


@pytest.mark.parametrize("known", [(), range(1_205, 1_211)])
def test_an_hour_of_which_minutes_are_not_known_is_left_out(known: Sequence[int]) -> None:
    asked: list[tuple[int, ...]] = []
    floor = Floor(asked, 4 * QUARTER_NS)
    floor.core.market.warm([minute(at) for at in known])
    floor.desk.warm(COIN_ID, floor.core.state, floor.core.market)
    floor.desk.warm_longer(4 * QUARTER_NS, halves(0, 40), floor.core.state, floor.core.market)
    for at in range(1_211, 1_400):
        floor.bar(minute(at))
    assert [(one[0] - FIRST_NS) // (4 * QUARTER_NS) for one in asked] == [*range(20), 21, 22]


class PastFeed(HandFeed):
    """A feed that knows half hours up to the last that is over, and the minutes of the last hour."""

    asked: list[tuple[str, int]]

    def __init__(self, now_ns: int) -> None:
        super().__init__()
        self.now, self.asked = (now_ns - FIRST_NS) // MINUTE_NS, []

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        self.asked.append(("minutes", limit))
        return [minute(at) for at in range(self.now - 60, self.now)] if instrument_id == COIN_ID else ()

    def half_hours(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        self.asked.append(("half hours", limit))
        last = self.now // 30
        return halves(last - 50, 50) if instrument_id == COIN_ID else ()


async def test_a_start_fetches_the_past_that_longer_bars_are_joined_from() -> None:
    feed = PastFeed(START_NS)
    asked: list[tuple[int, ...]] = []
    strategies = tuple(StrategySettings(f"s{number}", "scripted", "main", ("COIN",), {"size": 1}, bar_ns=bar_ns)
                       for number, bar_ns in enumerate((0, QUARTER_NS, 4 * QUARTER_NS)))
    desk = Shell(feed=feed, settings=settings_of("main", strategies=strategies),
                 user_strategies={"scripted": recorder(asked)})
    async with desk.running():
        known = desk.engine._shell.loop.market.longer_bars
        await desk.until(lambda: known.get((COIN_ID, 4 * QUARTER_NS)))
        assert known[COIN_ID, 4 * QUARTER_NS] == 25
        assert known[COIN_ID, QUARTER_NS] == 4
    assert ("minutes", 500) in feed.asked
    assert ("minutes", 500 * 15) in feed.asked
    assert ("half hours", 1_000) in feed.asked
    assert ("minutes", 10_000) not in feed.asked
    feed.half_hours = lambda *_: ()  # type: ignore[method-assign]
    assert len(_parts_of(feed, COIN_ID, 4 * QUARTER_NS)) == 60, "minutes, where the feed knows no half hours"
    assert feed.asked[-1] == ("minutes", 10_000)


# ---- baskets ---------------------------------------------------------------------------------------------------------------


def moments(feeds: Sequence[Sequence[Bar]]) -> Iterator[tuple[int, int]]:
    known = [InstrumentBars((QUARTER_NS,), ALWAYS_OPEN, lambda *_: SessionBounds(0, 0)) for _ in feeds]
    for bars, feed in zip(known, feeds, strict=True):
        for bar in feed:
            bars.add(bar)
    found = common_moments([one.feed.bars.closes_ns for one in known],
                           [(one.longer[QUARTER_NS].bars.closes_ns, one.longer[QUARTER_NS].told_ns) for one in known])
    return (((at_ns - FIRST_NS) // MINUTE_NS, (end_ns - FIRST_NS) // MINUTE_NS) for at_ns, end_ns in found)


def test_a_basket_is_asked_when_the_newest_longer_bars_of_all_end_together() -> None:
    every = [minute(at) for at in range(60)]
    assert list(moments([every, every])) == [(15, 15), (30, 30), (45, 45), (60, 60)]
    late = [bar for bar in every if (bar.open_ns - FIRST_NS) // MINUTE_NS not in (29, 30)]
    assert list(moments([every, late])) == [(15, 15), (32, 30), (45, 45), (60, 60)]
    silent = [bar for bar in every if not 14 <= (bar.open_ns - FIRST_NS) // MINUTE_NS < 40]
    assert list(moments([every, silent])) == [(45, 45), (60, 60)], "its first end came when the other was two bars on"
