"""Strategies beside the core: what a rule wants goes through every check, once for each bar, at each automation level."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from engine.desk import Desk as StrategyDesk
from engine.errors import ConfigError
from engine.events import AlertRaised, OrderIntended, ProposalRaised, WantRefused
from engine.inputs import Approve, AutomationLevel, Bar, EnableStrategy, Limits, PlaceOrder
from engine.inputs import StrategyActed as Wanted
from engine.kernel.wants import (
    BY_RISK,
    BY_SHARE,
    ENTER,
    KEEP,
    LEAVE,
    NOTHING,
    RuleWant,
    leave_all,
    no_want,
    weight_bps,
    weight_want,
)
from engine.loop import Loop
from engine.orders import Purpose, Side
from engine.regimes import DayRegime, RegimeSettings
from engine.strategies.registry import BUILT_IN, RULE, Bound, Strategy, built_in, params_of
from engine.strategy_events import RegimeFound, StrategyActed, StrategySwitched
from engine.strategy_state import StrategySettings
from engine.strategy_views import regime_views, strategy_views
from engine.strategy_wants import leaving_lots
from engine.units import NS_PER_SECOND
from store.memory import MemoryJournal
from tests.unit.engine_desk import COIN_ID, Desk, settings_of

BAR_NS = 60 * NS_PER_SECOND
BUY = RuleWant(ENTER, 1, BY_RISK, 50, 9_500, 10_600, 0, 3_600 * NS_PER_SECOND)
SHARE = RuleWant(ENTER, 1, BY_SHARE, 1_000, 9_500, 0, 0, 0)


class Params(NamedTuple):
    size: int = 1


class Memory(NamedTuple):
    bars: int = 0
    asked: int = 0


def scripted(wants: Mapping[int, RuleWant], seen: list[Any] | None = None) -> Strategy:
    """A rule that wants what it is told to at the n-th bar."""

    def rule(_p: Params, m: Memory, _bars: Any, _place: int, _seen: int, held: Any) -> tuple[Memory, RuleWant]:
        want = wants.get(m.bars + 1, no_want())
        if seen is not None:
            seen.append(held)
        if want.act == 9:
            raise ZeroDivisionError("nobody's fault")
        return Memory(m.bars + 1, m.asked + (want.act != NOTHING)), want

    return Strategy("scripted", RULE, rule, Params, Memory, ("asked",), {"size": Bound(1, 9)}, lambda _: 0, lambda _: "",
                    lambda *_: "as told", "A rule for tests.")


class Floor:
    """A desk of the core with a loop around it, so that closed bars reach the strategies."""

    def __init__(self, strategy: Strategy, automation: AutomationLevel = AutomationLevel.AUTO_EXECUTE, **more: Any) -> None:
        self.settings = StrategySettings("one", "scripted", "main", ("COIN",), {"size": 1}, **more)
        self.core = Desk(settings=settings_of("main", automation=automation, limits=Limits(max_heat_fraction=0.5),
                                              strategies=(self.settings,)))
        self.journal = MemoryJournal()
        self.desk = StrategyDesk((self.settings,), {"scripted": strategy})
        self.bars = 0

    def bar(self, close: int = 10_000) -> None:
        """A bar closes: the core decides, then the strategies look, as in the loop."""
        self.bars += 1
        self.core.later(60)
        bar = Bar(COIN_ID, self.core.at_ns - BAR_NS, self.core.at_ns, close, close + 5, close - 5, close, 100)
        self.core.take(bar)
        for wanted in self.desk.bar_closed(bar, self.core.state, self.core.market):
            self.core.take(wanted)

    def of(self, kind: type) -> list[Any]:
        return self.core.of(kind)

    @property
    def view(self) -> Any:
        return strategy_views(self.core.state, self.core.market)[0]


def test_a_want_becomes_an_order_of_the_strategy_with_its_exits() -> None:
    floor = Floor(scripted({2: BUY}))
    floor.bar()
    floor.bar()
    acted, = floor.of(StrategyActed)
    assert (acted.strategy, acted.instrument_id, acted.memory, acted.want) == ("one", COIN_ID, {"asked": 1}, "as told")
    entry = floor.core.sent[0]
    assert (entry.strategy, entry.side, entry.purpose, entry.reason) == ("one", Side.BUY, Purpose.ENTRY, "as told")
    assert entry.order_lots == 100  # half a percent of 100,000.00 at risk over 5.00
    assert entry.plan is not None
    assert (entry.plan.stop_ticks, entry.plan.target_ticks, entry.plan.max_hold_ns) == (9_500, 10_600, 3_600 * NS_PER_SECOND)
    assert floor.of(OrderIntended)[0].command_id == f"one:{COIN_ID}:{acted.close_ns}"


def test_a_share_of_equity_is_a_size() -> None:
    floor = Floor(scripted({1: SHARE}))
    floor.bar()
    assert floor.core.sent[0].order_lots == 100  # a tenth of 100,000.00 at 100.00


def test_a_bar_is_acted_on_once() -> None:
    floor = Floor(scripted({1: BUY}))
    floor.bar()
    acted, = floor.of(StrategyActed)
    floor.core.take(Wanted(acted.strategy, acted.instrument_id, acted.close_ns, acted.memory, "again"))
    floor.core.take(Wanted(acted.strategy, acted.instrument_id, acted.close_ns - 1, {}, "earlier"))
    assert len(floor.of(StrategyActed)) == 1


def test_it_sees_what_it_holds_and_waits_for() -> None:
    seen: list[Any] = []
    floor = Floor(scripted({1: BUY, 4: leave_all()}, seen))
    floor.bar()
    floor.bar()
    entry = floor.core.sent[0].client_order_id
    floor.core.accept()
    floor.core.later(1)
    floor.core.fill(entry, 100)
    floor.core.accept()
    floor.bar()
    floor.bar()
    assert [(held.lots, held.waiting, held.since_bars) for held in seen] == [(0, 0, 0), (0, 1, 0), (100, 0, 1), (100, 0, 2)]
    assert seen[2].entry_ticks == 10_000
    assert seen[2].stop_ticks == 9_500
    assert floor.core.held.exit_reason == "closed by one"


def test_under_suggest_only_it_asks_and_leaves_by_itself() -> None:
    floor = Floor(scripted({1: BUY, 3: leave_all()}), AutomationLevel.SUGGEST_ONLY)
    floor.bar()
    raised, = floor.of(ProposalRaised)
    assert (raised.proposal.want.origin, raised.proposal.want.rationale) == ("one", "as told")
    assert not floor.core.sent
    assert floor.view.lines[0].waiting == "buy"
    proposal = raised.proposal
    receipt = floor.core.do(Approve("yes", proposal.proposal_id, proposal.digest))
    assert receipt.accepted, receipt.refusal
    floor.core.accept()
    floor.core.fill(receipt.order_ids[0], 100)
    floor.core.accept()
    floor.bar()
    floor.bar()
    assert floor.core.held.exit_reason == "closed by one"
    assert any(event.code == "strategy" and event.text == "leaves: as told" for event in floor.of(AlertRaised))


def test_under_monitor_only_nothing_is_sent() -> None:
    floor = Floor(scripted({1: BUY}), AutomationLevel.MONITOR_ONLY)
    floor.bar()
    assert not floor.core.sent
    assert "only monitors" in floor.of(WantRefused)[0].message
    assert "only monitors" in floor.view.lines[0].refusal


def test_what_another_holds_is_left_alone() -> None:
    floor = Floor(scripted({1: BUY, 2: leave_all()}))
    floor.core.enter()
    floor.core.forget()
    floor.bar()
    floor.bar()
    assert floor.of(WantRefused)[0].check == "strategy"
    assert not floor.core.sent
    assert not floor.core.held.exit_reason


def test_it_is_stopped_and_runs_again_and_forgets_nothing() -> None:
    floor = Floor(scripted({2: BUY, 4: BUY}))
    floor.bar()
    assert floor.core.do(EnableStrategy("off", "one", enabled=False)).accepted
    floor.bar()
    assert not floor.of(StrategyActed)
    assert not floor.view.enabled
    assert floor.view.note == "stopped by user"
    assert floor.core.do(EnableStrategy("on", "one")).accepted
    floor.bar()
    floor.bar()
    assert floor.of(StrategyActed)[0].memory == {"asked": 1}, "what it would have wanted while it was stopped does not count"


def test_a_rule_that_fails_ends_with_its_strategy() -> None:
    floor = Floor(scripted({2: no_want()._replace(act=9)}))
    for _ in range(4):
        floor.bar()
    switched, = floor.of(StrategySwitched)
    assert (switched.enabled, switched.by) == (False, "engine")
    assert switched.reason == "its rule failed: ZeroDivisionError: nobody's fault"
    assert any(event.text == switched.reason for event in floor.of(AlertRaised))


def test_a_rule_that_failed_is_tried_again_once_it_is_let_run() -> None:
    wants = {2: no_want()._replace(act=9)}
    floor = Floor(scripted(wants))
    floor.bar()
    floor.bar()
    assert not floor.view.enabled
    floor.bar()
    assert floor.core.do(EnableStrategy("on", "one")).accepted
    floor.bar()
    assert [event.enabled for event in floor.of(StrategySwitched)] == [False, True, False], "it fails again over the same bars"
    wants[2] = no_want()
    wants[6] = BUY
    assert floor.core.do(EnableStrategy("on again", "one")).accepted
    floor.bar()
    floor.bar()
    assert [event.close_ns for event in floor.of(StrategyActed)] == [floor.core.at_ns], "it has caught up with all bars since"


def test_a_rule_that_fails_while_it_is_stopped_is_told_once() -> None:
    floor = Floor(scripted({2: no_want()._replace(act=9), 3: no_want()._replace(act=9)}))
    floor.bar()
    assert floor.core.do(EnableStrategy("off", "one", enabled=False)).accepted
    floor.bar()
    floor.bar()
    assert [event.by for event in floor.of(StrategySwitched)] == ["user"]


def test_an_unknown_strategy_is_not_switched() -> None:
    receipt = Floor(scripted({})).core.do(EnableStrategy("x", "two"))
    assert receipt.refusal is not None
    assert receipt.refusal.message == "there is no strategy called 'two'"


def test_older_bars_that_come_late_start_it_over() -> None:
    floor = Floor(scripted({}))
    floor.bar()
    older = [Bar(COIN_ID, at * BAR_NS, (at + 1) * BAR_NS, 10_000, 10_005, 9_995, 10_000, 10) for at in range(5)]
    loop = Loop(floor.core.state, floor.core.market, MemoryJournal(), lambda _, error: None, floor.desk)
    loop.warm(older)
    floor.bar()
    running = floor.desk._running[COIN_ID][0]
    assert running.memory.bars == 7


# ---- sizes and weights ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("held", "bps", "leaves"), [(100, 10_000, 100), (-100, 2_500, 25), (3, 1_000, 1), (0, 5_000, 0)])
def test_a_part_of_a_holding(held: int, bps: int, leaves: int) -> None:
    assert leaving_lots(held, bps) == leaves


@pytest.mark.parametrize(("target", "now", "band", "act", "size"), [
    (KEEP, 500, 0, NOTHING, 0), (500, 450, 100, NOTHING, 0), (500, 300, 100, ENTER, 200), (500, 800, 100, LEAVE, 3_750),
    (0, 30, 100, LEAVE, 10_000), (0, 0, 0, NOTHING, 0), (-500, 300, 0, LEAVE, 10_000), (-500, -200, 0, ENTER, 300)])
def test_a_target_weight_becomes_a_want(target: int, now: int, band: int, act: int, size: int) -> None:
    want = weight_want(target, now, band, 9_000)
    assert (want.act, want.size_bps) == (act, size)
    assert act != ENTER or want.sign == (1 if target > 0 else -1)


def test_a_weight_is_never_rounded_to_nothing() -> None:
    assert weight_bps(1, 1, 1, 1, 10**9) == 1
    assert weight_bps(-10, 10_000, 1, 1, 1_000_000) == -1_000
    assert weight_bps(5, 10_000, 1, 1, 0) == 0


# ---- regimes -------------------------------------------------------------------------------------------------------------


def test_a_regime_is_found_once_a_day_and_sizes_by_it() -> None:
    regimes = RegimeSettings(trend_bars=5, volatility_bars=3, usual_bars=10, size_in_trend=0.5)
    core = Desk(settings=settings_of("main", automation=AutomationLevel.AUTO_EXECUTE, limits=Limits(max_heat_fraction=0.5),
                                     regimes=regimes))
    for step in range(11):
        core.later(60)
        close = 9_000 + 100 * step
        core.take(Bar(COIN_ID, core.at_ns - BAR_NS, core.at_ns, close, close + 5, close - 5, close, 100))
    for _ in range(3):
        core.beat()
    found, = core.of(RegimeFound)
    assert (found.instrument_id, found.trend, found.efficiency) == (COIN_ID, 1, 1.0)
    view, = regime_views(core.state)
    assert (view.symbol, view.trend, view.size_percent) == ("COIN", "trend up", 50.0)
    core.quote(10_000)
    receipt = core.do(_risked())
    assert receipt.accepted, receipt.refusal
    assert core.sent[-2].order_lots == 100  # half of one percent of 100,000.00 over 5.00
    core.later(86_400)
    core.quote(10_000)
    core.beat()
    core.beat()
    assert len(core.of(RegimeFound)) == 2


def _risked() -> Any:
    return PlaceOrder("risked", "COIN", Side.BUY, risk_percent=Decimal(1), stop=Decimal(95))


def test_the_smaller_factor_counts() -> None:
    settings = RegimeSettings(size_in_range=0.8, size_in_wild=0.5)
    assert DayRegime(1, 0, 1, 0.1, 2.0).size_factor(settings) == 0.5
    assert DayRegime(1, 0, 0, 0.1, 1.0).size_factor(settings) == 0.8
    assert DayRegime(1, 1, 0, 0.5, 1.0).words == "trend up, normal"


# ---- parameters ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_rule_says_what_it_is_and_takes_its_own_defaults(name: str) -> None:
    strategy = built_in(name)
    params = params_of(strategy, {"method": 0} if name == "rebalance" else {})
    assert "Source" in strategy.about
    assert 0 < strategy.warmup(params) < 2_000
    assert set(strategy.bounds) <= set(params._fields)
    assert set(strategy.kept) <= set(strategy.memory._fields)


@pytest.mark.parametrize(("name", "given", "told"), [
    ("ema_cross", {"fastbars": 3}, "fastbars: ema_cross has no such parameter; it has: fast_bars, slow_bars"),
    ("ema_cross", {"fast_bars": 0}, "fast_bars = 0: must lie in 1 to 1000"),
    ("ema_cross", {"fast_bars": 2.5}, "fast_bars = 2.5: must be a whole number"),
    ("ema_cross", {"fast_bars": "3"}, "fast_bars = '3': must be a number"),
    ("ema_cross", {"stop_atr": float("nan")}, "stop_atr = nan: must be a number"),
    ("ema_cross", {"fast_bars": 60}, "fast_bars = 60: must be below slow_bars = 50"),
    ("rebalance", {"method": 3}, "give weight_1, weight_2"), ("grid", {"levels": 50, "step_bps": 500}, "reach below zero"),
    ("mean_reversion", {"use_bands": 0}, "one of them has to say"), ("nope", {}, "no built-in strategy called 'nope'")])
def test_parameters_are_looked_at(name: str, given: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told.replace("(", "\\(")):
        params_of(built_in(name), given)


