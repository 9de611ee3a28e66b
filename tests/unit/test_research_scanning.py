"""The scan with what the engine knows: days of the feed, events of the record, prices now, budgets."""

from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.research.breaker import Breaker
from engine.research.calling import LiveCaller, RecordedCaller
from engine.research.event_words import Direction, EventKind
from engine.research.events import EventNote
from engine.research.settings import Budgets, Deadlines, ModelLine, ResearchSettings
from engine.research.snapshot import Mark
from engine.research.spending import Purse
from engine.research.worth import Room
from engine.research_look import Look
from engine.research_scanning import most_of, scan
from engine.research_state import PortfolioResearchState, ResearchState
from engine.research_world import ResearchWorld
from engine.settings import PortfolioSettings, Settings
from engine.state import PortfolioState, State
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
