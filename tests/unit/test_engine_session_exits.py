"""Exits that follow the market's hours, through the whole engine on the paper venue: over both changes of the clocks, on a half
day, over a weekend, and where no engine ran at the close."""

from datetime import UTC, datetime

import pytest

from brokers.paper.broker import PaperBroker
from brokers.sessions import session_bounds
from engine.inputs import Limits, SetLimit
from engine.orders import Purpose, Side
from engine.parents import OverTime
from engine.service import StopHome
from engine.state import State
from engine.units import NS_PER_SECOND
from tests.unit.engine_desk import ACCOUNT, BLANK, Shell, bought, coin, settings_of

SHARE = coin("SHARE", session="XNYS")
KEY = f"main|{SHARE.instrument_id}"
MINUTE = 60
FLAT_MINUTES = 10
DAYS = {"a day": "2026-06-10T20:00", "before spring's change": "2026-03-06T21:00", "after spring's change": "2026-03-09T20:00",
        "before autumn's change": "2026-10-30T20:00", "after autumn's change": "2026-11-02T21:00",
        "the half day after Thanksgiving": "2026-11-27T18:00", "Christmas Eve": "2026-12-24T18:00"}
NEXT_OPEN = {"a day": "2026-06-11T13:30", "before spring's change": "2026-03-09T13:30",
             "after spring's change": "2026-03-10T13:30", "before autumn's change": "2026-11-02T14:30",
             "after autumn's change": "2026-11-03T14:30", "the half day after Thanksgiving": "2026-11-30T14:30",
             "Christmas Eve": "2026-12-28T14:30"}


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_SECOND


def shell_at(at_ns: int, *, flat_minutes: int = 0, state: State = BLANK, broker: PaperBroker | None = None) -> Shell:
    """An engine on one share of New York, at a moment."""
    limits = Limits(max_heat_fraction=0.5, flat_before_close_minutes=flat_minutes)
    shell = Shell(broker=broker or PaperBroker(ACCOUNT, None, None, (SHARE,)), settings=settings_of("main", limits=limits),
                  state=state, sessions=session_bounds)
    shell.clock.advance_to(at_ns)
    return shell


async def quote(shell: Shell, seconds: float = 0.1) -> None:
    await shell.quote(10_000, instrument_id=SHARE.instrument_id, seconds=seconds)


async def until(shell: Shell, at_ns: int) -> None:
    """Time passes to a moment; a price comes, and the clock beats."""
    await quote(shell, (at_ns - shell.clock.now_ns()) / NS_PER_SECOND)
    await shell.beat(0)
    await quote(shell, 0)


async def bought_share(shell: Shell, **more: object) -> None:
    await quote(shell)
    receipt = await shell.engine.send(bought(symbol="SHARE", **more))  # type: ignore[arg-type]
    assert receipt.accepted, receipt.refusal
    await quote(shell)
    await shell.until(lambda: [home.home for home in shell.state.homes.values()] == [StopHome.VENUE])


def exits(shell: Shell) -> list[str]:
    return [intent.reason for intent in shell.submitted if intent.purpose is Purpose.EXIT]


@pytest.mark.parametrize("day", DAYS)
async def test_a_portfolio_is_flat_before_the_close(day: str) -> None:
    close_ns = ns(DAYS[day])
    shell = shell_at(close_ns - 40 * MINUTE * NS_PER_SECOND, flat_minutes=FLAT_MINUTES)
    async with shell.running():
        await bought_share(shell)
        await until(shell, close_ns - (FLAT_MINUTES * MINUTE + 1) * NS_PER_SECOND)
        assert shell.state.positions and not exits(shell)
        await until(shell, close_ns - FLAT_MINUTES * MINUTE * NS_PER_SECOND)
        await shell.until(lambda: not shell.state.positions)
        assert exits(shell) == [f"flat 10 min before the close at {DAYS[day].replace('T', ' ')} UTC"]
        refused = await shell.engine.send(bought("late", symbol="SHARE"))
        assert refused.refusal is not None
        assert refused.refusal.check == "time to the close"


@pytest.mark.parametrize("day", DAYS)
async def test_a_time_exit_that_falls_into_a_closed_market_waits_for_the_open(day: str) -> None:
    close_ns, open_ns = ns(DAYS[day]), ns(NEXT_OPEN[day])
    shell = shell_at(close_ns - 30 * MINUTE * NS_PER_SECOND)
    async with shell.running():
        await bought_share(shell, max_hold_seconds=60 * MINUTE)
        for at_ns in (close_ns - NS_PER_SECOND, close_ns + 31 * MINUTE * NS_PER_SECOND, close_ns + 120 * MINUTE * NS_PER_SECOND,
                      open_ns - NS_PER_SECOND):
            await until(shell, at_ns)
            position = shell.state.positions[KEY]
            assert not position.exit_reason and position.stop_ticks, "closed: the stop stays, the hold waits"
        waiting = shell.state.alerts[f"exit-waits:{KEY}"]
        assert waiting.text.endswith(f"waits for the open at {NEXT_OPEN[day].replace('T', ' ')} UTC")
        assert waiting.count == 1, "told once, not with every beat"
        assert not exits(shell)
        await until(shell, open_ns)
        await shell.until(lambda: not shell.state.positions)
        assert exits(shell) == ["held for its maximum time"]


async def test_what_was_held_over_a_close_because_no_engine_ran_leaves_at_the_open() -> None:
    close_ns, open_ns = ns("2026-03-06T21:00"), ns("2026-03-09T13:30")
    first = shell_at(close_ns - 60 * MINUTE * NS_PER_SECOND, flat_minutes=FLAT_MINUTES)
    async with first.running():
        await bought_share(first)
    again = shell_at(close_ns + 600 * MINUTE * NS_PER_SECOND, flat_minutes=FLAT_MINUTES, state=first.state, broker=first.broker)
    async with again.running():
        await quote(again)
        await again.beat()
        assert again.state.positions and not exits(again), "nobody trades at night"
        await until(again, open_ns + NS_PER_SECOND)
        await again.until(lambda: not again.state.positions)
        assert exits(again) == ["was held over a close, before the session that opened 2026-03-09 13:30 UTC"]


async def test_the_minutes_can_be_changed_while_the_engine_runs() -> None:
    close_ns = ns("2026-06-10T20:00")
    shell = shell_at(close_ns - 40 * MINUTE * NS_PER_SECOND)
    async with shell.running():
        await bought_share(shell)
        assert (await shell.engine.send(SetLimit("l", "main", "flat_before_close_minutes", "60"))).accepted
        await until(shell, shell.clock.now_ns() + NS_PER_SECOND)
        await shell.until(lambda: not shell.state.positions)
        assert exits(shell) == ["flat 60 min before the close at 2026-06-10 20:00 UTC"]


async def test_what_never_closes_is_never_flat_before_a_close() -> None:
    always = coin()
    shell = Shell(settings=settings_of("main", limits=Limits(max_heat_fraction=0.5, flat_before_close_minutes=1_440)),
                  sessions=session_bounds)
    async with shell.running():
        await shell.quote(10_000)
        assert (await shell.engine.send(bought())).accepted
        await shell.quote(10_000)
        await shell.until(lambda: shell.state.positions)
        await shell.beat(30)
        assert shell.state.position("main", always.instrument_id) is not None and not exits(shell)


async def test_a_position_that_is_left_over_time_is_not_left_while_nobody_trades() -> None:
    """Slices that are due in the night would all wait at the venue for the open."""
    close_ns = ns("2026-06-10T20:00")
    shell = shell_at(close_ns - 60 * MINUTE * NS_PER_SECOND)
    async with shell.running():
        await bought_share(shell, quantity=120)
        leave = bought("out", 60, None, symbol="SHARE", side=Side.SELL, over=OverTime(20 * 3_600))
        assert (await shell.engine.send(leave)).accepted
        await until(shell, close_ns - 60 * NS_PER_SECOND)
        before = len(exits(shell))
        assert before
        for hours in (1, 5, 9, 13, 17):
            await until(shell, close_ns + hours * 3_600 * NS_PER_SECOND)
        assert len(exits(shell)) == before
        (parent,) = shell.state.parents.values()
        assert parent.waiting == "the market is closed"
        await until(shell, ns("2026-06-11T13:30") + 30 * MINUTE * NS_PER_SECOND)
        assert len(exits(shell)) == before + 1
