"""The scan with what the engine knows: days of the feed, events of the record, prices now, budgets."""

from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.research.breaker import Breaker
from engine.research.calling import LiveCaller, RecordedCaller
from engine.research.context import regime_of
from engine.research.decided import Cell, Decided, Forecast, ResearchCause, Worth
from engine.research.event_words import Direction, EventKind
from engine.research.events import EventNote
from engine.research.opinions import Stance
from engine.research.resolution import Window
from engine.research.settings import Budgets, Deadlines, ModelLine, ResearchSettings
from engine.research.snapshot import Mark
from engine.research.spending import Purse
from engine.research.worth import Room
from engine.research_look import Look
from engine.research_scanning import due, most_of, scan
from engine.research_state import OpenForecast, PortfolioResearchState, ResearchRun, ResearchState, SealedDecision
from engine.research_world import ResearchWorld
from engine.settings import PortfolioSettings, Settings
from engine.state import PortfolioState, State
from engine.units import NS_PER_SECOND
from store.research_memory import ResearchMemory
from tests.unit.research_days import AT, COINS, Days
from tests.unit.research_desk import SpeakingModel, StoreInMemory

SETTINGS = PortfolioSettings("main", "paper", "USD", 2)
STATE = State(instruments=COINS, portfolios={"main": PortfolioState(SETTINGS)})


@pytest.fixture
def world(tmp_path: Path) -> ResearchWorld:
    memory = ResearchMemory(tmp_path / "research.db")
    memory.keep_notes([EventNote("n1", EventKind.SECURITY, ("ETH/USD",), Direction.DOWN, "Bridge hacked", "wire", AT - 50,
                                 AT - 40)])
    return ResearchWorld(memory, Days())


def looks(world: ResearchWorld, **times: float) -> list[Look]:
    """A look at each coin at its last close, times a factor."""
    found = []
    for instrument in COINS.values():
        close = world.past(instrument, AT).bars[-1].close_ticks * instrument.tick_size
        price = close * Decimal(str(times.get(instrument.base_currency, 1.0)))
        found.append(Look(STATE, AT, instrument, Mark(price, "USD", "quotes", AT), (), 0.0, Room(), 10.0))
    return found


def test_what_moved_and_what_has_news_comes_first(world: ResearchWorld) -> None:
    found = scan(looks(world, SOL=1.5), "main", world)
    assert [instrument.symbol for instrument, _ in found][:2] == ["SOL/USD", "ETH/USD"]
    reasons = {instrument.symbol: ranked.reasons for instrument, ranked in found}
    assert reasons["SOL/USD"][0].startswith("moved +50.0 %")
    assert "1 event" in reasons["ETH/USD"]
    assert reasons["BTC/USD"] == ("not looked into yet",)


def test_without_a_price_there_is_nothing_to_scan(world: ResearchWorld) -> None:
    assert scan([], "main", world) == ()


# ---- what was decided on a moment ago --------------------------------------------------------------------------------------

HOUR_NS = 3_600 * NS_PER_SECOND
BTC = "BTC/USD@paper"
CELL = Cell("rule/1", "p1", "2-5", "crypto")
WORTH = Worth((0.6,), 0.6, 0.6, 0.5, 0.0, 0.5, "v0", 0, 10.0, 5.0, 1.0, 0.5, 0.0, 10.0, True)


def decided(world: ResearchWorld, hours_ago: float, name: str = "BTC", worth: Worth | None = WORTH, cost: int = 0,
            horizon_days: int = 5, regime: str | None = None) -> Decided:
    instrument = COINS[f"{name}/USD@paper"]
    seen = regime_of(world.past(instrument, AT)).words if regime is None else regime
    return Decided("r1-1", "r1", "main", "t1", instrument.instrument_id, instrument.symbol, "s1", AT - round(hours_ago * HOUR_NS),
                   Decimal(100), "quotes", "rule/1", "p1", Stance.FLAT, horizon_days, 0, 0, worth, actionable=False,
                   cost_micro_usd=cost, regime=seen)


def knowing(*decisions: Decided, again_hours: float = 6) -> State:
    sealed = {f"r{number}-1": SealedDecision(one, one.as_of_ns) for number, one in enumerate(decisions, start=1)}
    settings = Settings((SETTINGS,), research=ResearchSettings(again_hours=again_hours))
    return replace(STATE, settings=settings, research=ResearchState(decisions=sealed))


def left(world: ResearchWorld, state: State, cause: ResearchCause = ResearchCause.SCHEDULE, horizon_days: int = 0) -> list[str]:
    """The coins that a run may look into, in alphabetical order."""
    seen = [look._replace(state=state) for look in looks(world)]
    run = ResearchRun("r9", "main", cause, horizon_days=horizon_days)
    return sorted(look.instrument.base_currency for look in due(seen, run, world))


def test_a_scheduled_run_leaves_alone_what_was_decided_on_a_moment_ago(world: ResearchWorld) -> None:
    assert left(world, knowing(decided(world, 0.1))) == ["ETH", "SOL"]
    assert left(world, knowing(decided(world, 5.9))) == ["ETH", "SOL"]
    assert left(world, knowing(decided(world, 6))) == ["BTC", "ETH", "SOL"]
    assert left(world, knowing(decided(world, 0.1), again_hours=0)) == ["BTC", "ETH", "SOL"]


@pytest.mark.parametrize("cause", [one for one in ResearchCause if one is not ResearchCause.SCHEDULE])
def test_who_asks_in_person_or_for_a_reason_is_not_held_back(world: ResearchWorld, cause: ResearchCause) -> None:
    assert left(world, knowing(decided(world, 0.1)), cause) == ["BTC", "ETH", "SOL"]


def test_an_event_since_then_or_another_regime_is_reason_enough(world: ResearchWorld) -> None:
    """The note about ETH became known 40 ns ago."""
    assert left(world, knowing(decided(world, 1, "ETH"))) == ["BTC", "ETH", "SOL"]
    assert left(world, knowing(decided(world, 0, "ETH"))) == ["BTC", "SOL"]
    assert left(world, knowing(decided(world, 1, regime="another"))) == ["BTC", "ETH", "SOL"]
    assert left(world, knowing(decided(world, 1, regime=""))) == ["ETH", "SOL"]


def test_another_horizon_or_an_analyst_who_could_not_be_asked_holds_nothing_back(world: ResearchWorld) -> None:
    assert left(world, knowing(decided(world, 1, horizon_days=1))) == ["BTC", "ETH", "SOL"]
    assert left(world, knowing(decided(world, 1, horizon_days=1)), horizon_days=1) == ["ETH", "SOL"]
    assert left(world, knowing(decided(world, 1, worth=None))) == ["BTC", "ETH", "SOL"]
    assert left(world, knowing(decided(world, 1, worth=None, cost=900))) == ["ETH", "SOL"]


@pytest.mark.parametrize(("code", "cost", "hours_ago", "rests"), [
    ("OVERLOADED", 0, 0.9, True), ("OVERLOADED", 0, 1.0, False), ("BREAKER", 0, 1.0, False), ("TIMEOUT", 900, 5.9, True),
    ("NO_KEY", 0, 5.9, True), ("", 900, 5.9, True)])
@pytest.mark.parametrize("as_forecast", [True, False])
def test_the_rules_beside_models_that_were_away_hold_them_back_for_an_hour(
        world: ResearchWorld, code: str, cost: int, hours_ago: float, rests: bool, as_forecast: bool) -> None:
    rule = replace(decided(world, hours_ago), decision_id="r1-1r")
    model = replace(decided(world, hours_ago, worth=None if code else WORTH, cost=cost), decision_id="r1-1", code=code)
    state = knowing()
    decisions = {one.decision_id: SealedDecision(one, one.as_of_ns) for one in (model, rule)}
    if as_forecast:
        del decisions["r1-1r"]
    forecast = Forecast("r1-1r", "main", CELL, rule.as_of_ns, 0.6, 0.6, horizon_days=5)
    known = ResearchState(decisions=decisions, open={"r1-1r": OpenForecast(Window(forecast, BTC, 100.0, AT, AT + HOUR_NS))},
                          index={BTC: ("r1-1r",)})
    assert ("BTC" not in left(world, replace(state, research=known))) is rests


def test_an_open_forecast_tells_of_a_decision_that_newer_ones_pushed_out(world: ResearchWorld) -> None:
    forecast = Forecast("r1-1", "main", CELL, AT - HOUR_NS, 0.6, 0.6, horizon_days=5)
    window = Window(forecast, BTC, 100.0, AT, AT + HOUR_NS)
    known = ResearchState(open={"r1-1": OpenForecast(window)}, index={BTC: ("r1-1",)})
    assert left(world, replace(knowing(), research=known)) == ["ETH", "SOL"]
    other = replace(window, forecast=replace(forecast, portfolio="other"))
    assert left(world, replace(knowing(), research=replace(known, open={"r1-1": OpenForecast(other)}))) == ["BTC", "ETH", "SOL"]


def test_the_day_s_money_bounds_what_models_are_asked_about() -> None:
    settings = ResearchSettings(lines=(ModelLine("one"),), budgets=Budgets(300_000, 1_000_000), symbols_per_scan=5)

    def state(spent: int) -> State:
        known = ResearchState(portfolios={"main": PortfolioResearchState(day=STATE.day, spent_micro_usd=spent)})
        return replace(STATE, settings=Settings((SETTINGS,), research=settings), research=known)

    live = LiveCaller({"one": SpeakingModel()}, StoreInMemory(), Purse(settings.budgets, {}), Breaker(), Deadlines(), lambda: 1)
    rules = LiveCaller({}, StoreInMemory(), Purse(settings.budgets, {}), Breaker(), Deadlines(), lambda: 1)
    assert [most_of(state(spent), live) for spent in (0, 500_000, 1_000_000)] == [3, 1, 1]
    assert most_of(state(1_000_000), rules) == 5
    assert most_of(state(1_000_000), RecordedCaller(StoreInMemory())) == 5
