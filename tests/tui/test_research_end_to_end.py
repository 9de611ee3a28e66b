"""From a scan to a score in one journal: scan, proposal, approval by keyboard, order, fill, resolution, learning. Once by the
rules, once by a model, and that once more from its recording with nobody to ask. Days are generated; time moves by hand."""

import itertools
import sqlite3
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.inputs import Bar, Limits, PortfolioSettings, RunJob, RunResearch, Settings
from engine.instruments import DAY_NS
from engine.orders import Purpose
from engine.research.breaker import Breaker
from engine.research.calling import Caller, LiveCaller, RecordedCaller
from engine.research.decided import Decided
from engine.research.memory import Recall
from engine.research.models import Answered, Ask, Model, Unavailable
from engine.research.settings import Budgets, ModelLine, PortfolioResearch, ResearchSettings
from engine.research.spending import Purse
from engine.research_desk import ResearchParts
from engine.research_world import ResearchWorld
from engine.schedule_words import Job, JobKind
from engine.service import DecisionStatus, ResearchQuery, ResearchQueryKind
from engine.state import State, encode_state
from engine.units import NS_PER_SECOND
from store.journal import SqliteJournal
from store.research_archive import ResearchArchive
from store.research_memory import ResearchMemory
from store.research_record import StoredResearch
from store.research_recording import recording_of
from store.research_rows import TABLES
from store.views import StateViews, rebuild_views
from tests.tui.driving import Driver, HandClock, looked_at
from tests.unit.engine_desk import ACCOUNT, COIN, COIN_ID, START_NS, Shell
from tests.unit.research_desk import SpeakingModel, answer, opinion_text
from tui.app import QuarterdeckApp

HORIZON_DAYS = 2
JOBS = (Job("learning", JobKind.LEARNING, "40 0 * * *"),)
LINE = ModelLine("one", "chat", "http://nowhere", "model-a")


class GeneratedDays:
    """A year of days before the start, with more ups than downs, so that the rule leans to buying."""

    def __init__(self) -> None:
        first = START_NS // DAY_NS
        price, self.bars = 5_000.0, []
        for day in range(first - 320, first):
            opened, price = price, price * (1.012 if day % 4 else 0.99)
            self.bars.append(Bar(COIN_ID, day * DAY_NS, (day + 1) * DAY_NS, round(opened), round(max(opened, price) * 1.001),
                                 round(min(opened, price) * 0.999), round(price), 100_000))

    def daily_bars(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        return self.bars[-limit:] if instrument_id == COIN_ID else ()

    @property
    def last(self) -> int:
        return self.bars[-1].close_ticks


def spoken(ask: Ask) -> Answered | Unavailable:
    """A model that says what it is asked to say: long, with a thesis of its own."""
    match ask.role.partition(":")[0]:
        case "cross":
            return answer('{"p_up": 0.66, "reason": "The mark.", "evidence": ["E1"]}')
        case "news":
            return answer('{"notes": []}')
    return answer(opinion_text(p_up=0.68, p_win=0.7, symbol="COIN", horizon_days=HORIZON_DAYS, target_bps=400, stop_bps=300,
                               evidence=["E1"], claims=[]))


class Story:
    """One home with everything in it: journal, archive, memory, and an engine whose time moves by hand."""

    def __init__(self, folder: Path, days: GeneratedDays, caller_of: Callable[[ResearchArchive], Caller],
                 lines: tuple[ModelLine, ...] = ()) -> None:
        folder.mkdir()
        self.days = days
        self.journal_path = folder / "journal.db"
        self.archive = ResearchArchive(folder / "research.db")
        self.memory = ResearchMemory(folder / "research.db")
        self.journal = SqliteJournal(self.journal_path, lambda error: None, projector=StateViews(State()), engine_id="e")
        self.record = StoredResearch(self.journal_path, lambda: self.shell.state, self.archive)
        research = ResearchSettings(lines=lines, budgets=Budgets(cycle_micro_usd=10**9, day_micro_usd=10**9))
        portfolio = PortfolioSettings("main", ACCOUNT, "USD", 2, limits=Limits(max_heat_fraction=0.5, stale_quote_seconds=1e6),
                                      research=PortfolioResearch(("COIN",), HORIZON_DAYS, 3))
        self.shell = Shell(
            journal=self.journal, settings=Settings((portfolio,), jobs=JOBS, proposal_seconds=600.0, research=research),
            research_record=self.record, research=ResearchParts(
                ResearchWorld(self.memory, days), caller_of(self.archive), self.archive, self.record, days, by_chance=False))

    def close(self) -> None:
        self.journal.close()
        self.memory.close()
        self.archive.close()

    def decisions(self) -> list[Decided]:
        """What was sealed, oldest first, as it stands in the journal's views."""
        with_all = (self.record.page(ResearchQuery(ResearchQueryKind.DECISIONS)).decisions)
        return [self.shell.state.research.decisions[view.decision_id].decided for view in reversed(with_all)]

    async def told(self) -> None:
        """From the scan to the score."""
        shell = self.shell
        clock = HandClock()
        async with shell.running():
            await shell.quote(self.days.last, self.days.last + 1)
            app = QuarterdeckApp(shell.engine, now_seconds=clock)
            async with app.run_test(size=(120, 35)) as pilot:
                driver = Driver(app, None, pilot, clock)  # type: ignore[arg-type]
                assert (await shell.engine.send(RunResearch("scan"))).accepted
                await self._until(driver, lambda: shell.state.proposals and not self._under_way())
                await self._approve(driver)
            await shell.quote(self.days.last, self.days.last + 1)
            await shell.until(lambda: shell.state.positions)
            await self._days_pass()
            await shell.engine.send(RunJob("learn", "learning"))
            await shell.until(lambda: shell.state.research.learned.cells)

    async def _approve(self, driver: Driver) -> None:
        """Read the card and press the key."""
        await self._until(driver, lambda: driver.app.snapshot is not None and driver.app.snapshot.proposals)
        await driver.press("2", "enter")
        await driver.sees("COIN", "BUY")
        await driver.until(lambda: looked_at(driver))
        await driver.press("a")
        await self._until(driver, lambda: any(order.intent.purpose is Purpose.ENTRY for order in self._orders()))

    def _orders(self) -> list[Any]:
        state = self.shell.state
        return [*state.orders.values(), *state.closed.values()]

    def _under_way(self) -> bool:
        run = self.shell.state.research.of("main").run
        return run is None or run.under_way

    async def _until(self, driver: Driver, condition: Callable[[], object]) -> None:
        def held() -> object:
            self.shell.engine._shell.publish(force=True)
            return condition()

        await driver.until(held)

    async def _days_pass(self) -> None:
        """The rest of the first day and the two of the window, each a little higher, as closed bars."""
        shell, price = self.shell, self.days.last
        sink = shell.feed.sink
        assert sink is not None
        for day in range(HORIZON_DAYS + 1):
            open_ns = (START_NS // DAY_NS + day) * DAY_NS
            price = round(price * 1.004)
            await shell.beat((open_ns + DAY_NS - shell.clock.now_ns()) / NS_PER_SECOND)
            taken = shell.engine._shell.loop.inputs_taken
            sink(Bar(COIN_ID, open_ns, open_ns + DAY_NS, price - 5, price + 5, price - 10, price, 1_000))
            await shell.until(lambda taken=taken: shell.engine._shell.loop.inputs_taken > taken)  # type: ignore[misc]
        await shell.until(lambda: not shell.state.research.open)


def by_rules(archive: ResearchArchive) -> Caller:
    return live({}, archive)


def live(models: dict[str, Model], archive: ResearchArchive) -> Caller:
    settings, ticks = ResearchSettings(), itertools.count(1)
    return LiveCaller(models, archive, Purse(Budgets(cycle_micro_usd=10**9, day_micro_usd=10**9), {}), Breaker(settings.breaker),
                      settings.deadlines, lambda: next(ticks))


def tables_of(journal: Path) -> list[list[tuple[object, ...]]]:
    with sqlite3.connect(f"file:{journal}?mode=ro", uri=True) as connection:
        return [connection.execute(f"SELECT * FROM {table.name} ORDER BY 1").fetchall() for table in TABLES]


async def checked(story: Story, actor: str) -> list[Decided]:
    """Let the story happen; the one journal tells all of it, and folding it again gives the same state."""
    try:
        await story.told()
        decided = story.decisions()
        acting = next(one for one in decided if one.analyst == actor and one.actionable)
        kept = story.shell.state.research.decisions[acting.decision_id]
        assert kept.status is DecisionStatus.RESOLVED and kept.filled and kept.order_id
        assert kept.outcome is not None and kept.outcome.up == 1
        page = story.record.page(ResearchQuery(ResearchQueryKind.CALIBRATION))
        assert page.calibration is not None
        scores = {cell.analyst: (cell.n, cell.brier) for cell in page.calibration.cells}
        assert acting.worth is not None
        assert scores[actor][0] == 1
        assert scores[actor][1] == pytest.approx((1 - acting.worth.p_agg) ** 2)
        detail = story.record.page(ResearchQuery(ResearchQueryKind.DECISION, key=acting.decision_id)).decision
        assert detail is not None and detail.decision.status is DecisionStatus.RESOLVED and '"symbol":"COIN"' in detail.snapshot
        recalled = story.memory.found(Recall("main", COIN.symbol, (), "", story.shell.clock.now_ns()))
        assert acting.decision_id in {item.memory_id.removeprefix("m") for item in recalled.items}, "no run came after its end"
        position = story.shell.state.position("main", COIN_ID)
        assert position is None or position.strategy == "research"
    finally:
        story.close()
    tables = tables_of(story.journal_path)
    assert encode_state(rebuild_views(story.journal_path)) == encode_state(story.shell.state)
    assert tables_of(story.journal_path) == tables, "the tables made anew say the same"
    return decided


async def test_the_rules_go_from_a_scan_to_a_score(tmp_path: Path) -> None:
    decided = await checked(Story(tmp_path / "rules", GeneratedDays(), by_rules), "rule/1")
    assert [one.analyst for one in decided] == ["rule/1"]
    assert decided[0].ref_mark > Decimal(0) and decided[0].symbol == COIN.symbol


async def test_a_model_does_and_its_recording_comes_to_the_very_same(tmp_path: Path) -> None:
    days, model = GeneratedDays(), SpeakingModel(spoken)
    first = Story(tmp_path / "spoken", days, lambda archive: live({"one": model}, archive), (LINE,))
    decided = await checked(first, "llm/model-a")
    assert [one.analyst for one in decided] == ["llm/model-a", "rule/1"] and model.asked
    calls = len(model.asked)
    recorded = ResearchArchive(tmp_path / "spoken" / "research.db", read_only=True)
    try:
        recording = recording_of(recorded, decided[0].run_id)
        again = await checked(Story(tmp_path / "again", days, lambda _: RecordedCaller(recording), (LINE,)), "llm/model-a")
    finally:
        recorded.close()
    assert again == decided
    assert len(model.asked) == calls, "a replay asks nobody"
