"""What could lose money and once did, in the shell: work that dies, pauses, clocks, a panic that waits for the wrong thing."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.clocks import SystemClock
from engine.inputs import Flatten, MarketItem, Quote, SetTradingState, TradingState
from engine.service import HealthView, Mode, Snapshot
from engine.units import NS_PER_SECOND
from engine.views import snapshot
from store.home import open_home
from tests.unit.engine_desk import COIN_ID, Desk, HandFeed, Shell, bought
from tui.commands import safety


def test_a_defect_costs_one_input_and_not_the_engine() -> None:
    """Something that no decision knows: dropped, told, halted; the stop is watched on."""

    async def run() -> None:
        async with Shell().running() as shell:
            await shell.quote(10_000)
            assert (await shell.engine.send(bought())).accepted
            await shell.until(lambda: shell.state.positions)
            nonsense: Any = "nonsense"
            shell.engine._shell.deliver(nonsense)
            await shell.until(lambda: shell.state.trading_state is TradingState.HALTED)
            assert "defect" in shell.state.trading_cause
            await shell.quote(9_400)
            await shell.quote(9_400)
            await shell.until(lambda: not shell.state.positions)
            assert shell.engine.defects == 1

    asyncio.run(run())


def test_a_command_that_meets_a_defect_is_refused() -> None:
    async def run() -> None:
        async with Shell().running() as shell:
            await shell.quote(10_000)
            command: Any = bought()
            unknown = type("Unknown", (), {"command_id": "u"})()
            receipt = await shell.engine.send(unknown)
            assert not receipt.accepted
            assert receipt.refusal is not None
            assert receipt.refusal.check == "defect"
            assert (await shell.engine.send(command)).accepted

    asyncio.run(run())


# ---- time ------------------------------------------------------------------------------------------------------------


def test_a_clock_that_steps_back_does_not_stop_time() -> None:
    """Deadlines, questions and the paper venue's orders would all wait until the wall clock has caught up."""
    wall, steady = [1_000 * NS_PER_SECOND], [5 * NS_PER_SECOND]
    clock = SystemClock(lambda: wall[0], lambda: steady[0])
    before = clock.now_ns()
    wall[0] -= 3_600 * NS_PER_SECOND
    steady[0] += 7 * NS_PER_SECOND
    assert clock.now_ns() == before + 7 * NS_PER_SECOND
    wall[0] = before + 60 * NS_PER_SECOND
    assert clock.now_ns() == wall[0], "a step forward (a laptop that slept) is taken"


def test_prices_from_before_a_pause_in_the_middle_of_the_work_are_not_acted_on() -> None:
    async def run() -> None:
        async with Shell().running() as shell:
            await shell.quote(10_000)
            assert (await shell.engine.send(bought())).accepted
            await shell.until(lambda: shell.state.positions)
            waited, pauses = shell.journal.wait_durable, [60]

            async def stood_still() -> None:
                shell.clock.advance_to(shell.clock.now_ns() + NS_PER_SECOND * (pauses.pop() if pauses else 0))
                await waited()

            shell.journal.wait_durable = stood_still  # type: ignore[method-assign]
            now_ns = shell.clock.now_ns()
            quiet: list[MarketItem] = [Quote(COIN_ID, 10_000, 10_000, 0, 0, now_ns)] * 300
            shell.engine._shell.market.extend([*quiet, Quote(COIN_ID, 9_000, 9_000, 0, 0, now_ns)])
            await shell.engine.send(bought("other", symbol="OTHER"))
            await shell.until(lambda: not shell.engine._shell.market)
            assert shell.engine.market.marks[COIN_ID].bid_ticks == 10_000

    asyncio.run(run())


# ---- what dies and must not ------------------------------------------------------------------------------------------


class DyingFeed(HandFeed):
    """A feed that breaks the first time it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.runs = 0

    async def run(self, sink: Callable[[MarketItem], None]) -> None:
        self.runs += 1
        if self.runs == 1:
            raise ConnectionError("the line broke")
        await super().run(sink)


def test_a_feed_that_dies_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.live_drive.BEAT_SECONDS", 0.01)

    async def run() -> None:
        shell = Shell()
        feed = DyingFeed()
        shell.feed = feed
        shell.engine.parts = shell.engine.parts._replace(feed=feed)
        shell.engine._shell.parts = shell.engine.parts
        async with shell.running():
            await shell.quote(10_000)
            assert feed.runs == 2

    asyncio.run(run())


def test_beats_go_on_where_the_venue_cannot_be_advanced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.live_drive.BEAT_SECONDS", 0.01)

    async def run() -> None:
        whole = Shell()
        whole.beats_alone = True
        async with whole.running() as shell:
            await shell.quote(10_000)

            def broken(now_ns: int) -> None:
                raise ValueError("a defect in the venue")

            shell.broker.advance = broken  # type: ignore[method-assign]
            await asyncio.sleep(0)
            taken = shell.engine._shell.loop.inputs_taken
            await shell.until(lambda: shell.engine._shell.loop.inputs_taken > taken + 3)

    asyncio.run(run())


def test_a_picture_that_cannot_be_made_does_not_end_the_engine() -> None:
    async def run() -> None:
        async with Shell().running() as shell:
            await shell.quote(10_000)

            def broken(version: int) -> Snapshot:
                raise ZeroDivisionError

            shell.engine._shell._snapshot = broken  # type: ignore[method-assign]
            assert (await shell.engine.send(bought())).accepted
            await shell.quote(10_001)

    asyncio.run(run())


def test_a_halt_raised_again_elsewhere_is_obeyed_again() -> None:
    raised = [""]

    async def run() -> None:
        async with Shell(halted_elsewhere=lambda: raised[0]).running() as shell:
            for _ in range(2):
                raised[0] = "panic"
                shell.engine._shell.obey_halt()
                shell.engine._shell.nudge()
                await shell.until(lambda: shell.state.trading_state is TradingState.HALTED)
                raised[0] = ""
                shell.engine._shell.obey_halt()
                assert (await shell.engine.send(SetTradingState(f"r{len(shell.state.commands)}", TradingState.ACTIVE))).accepted

    asyncio.run(run())


# ---- the panic command -----------------------------------------------------------------------------------------------


class DeskLink:
    """A desk as commands talk to it; each look lets the venue report once."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.looks = 0

    def snapshot_now(self) -> Snapshot:
        self.looks += 1
        assert self.looks < 50, "the panic waits for a flatten that will never come"
        if self.looks > 3:
            self.desk.reported(open_orders=(), positions={})
        desk = self.desk
        return snapshot(desk.state, desk.market, desk.at_ns, version=self.looks, mode=Mode.PAPER,
                        health=HealthView(desk.state.seq, 0, 0, 0, 0, "", ""))

    def send_now(self, command: Any, seconds: float | None = None) -> Any:
        return self.desk.do(command)


def test_a_second_panic_follows_the_flatten_that_is_at_work(capsys: pytest.CaptureFixture[str]) -> None:
    desk = Desk()
    desk.do(Flatten("first"))
    desk.later(5)
    link: Any = DeskLink(desk)
    assert safety._flatten(link, "", as_json=False) == 0
    assert "FLAT" in capsys.readouterr().out


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_home_that_takes_no_flag_does_not_keep_the_panic_from_the_venue(tmp_path: Path) -> None:
    home = open_home(tmp_path / "home")
    home.path.chmod(0o500)
    try:
        safety._try_to_raise_flag(home)
    finally:
        home.path.chmod(0o700)


def test_a_flag_that_cannot_be_raised_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = open_home(tmp_path / "home")
    home.path.rename(tmp_path / "elsewhere")
    safety._try_to_raise_flag(home)
    assert "going on to the venue" in capsys.readouterr().err
