"""What a home's journal says without an engine: a stop that only an engine held guards nothing once none runs."""

import asyncio
from pathlib import Path

import pytest

from engine.inputs import VenueCapabilities
from engine.service import StopHome
from engine.state import State
from store.home import Home, open_home
from store.journal import SqliteJournal
from store.views import StateViews
from tests.unit.engine_desk import NATIVE, NO_STOPS, Desk, rows_of
from tui.cli import run
from tui.folding import folded_snapshot


def home_with_a_position(folder: Path, can: VenueCapabilities) -> Home:
    desk = Desk(can=can)
    desk.beat()
    desk.enter("a", 10, "95", at_ticks=10_010)
    home = open_home(folder)
    journal = SqliteJournal(home.journal, projector=StateViews(State()), inline=True)
    journal.append(rows_of(desk))
    asyncio.run(journal.wait_durable())
    journal.close()
    return home


@pytest.mark.parametrize(("can", "lives", "bare"), [(NO_STOPS, StopHome.ENGINE, True), (NATIVE, StopHome.VENUE, False)])
def test_a_stop_that_only_the_engine_held_is_none_without_it(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], can: VenueCapabilities, lives: StopHome, bare: bool) -> None:
    home = home_with_a_position(tmp_path / "h", can)
    shown = folded_snapshot(home)
    assert shown is not None
    (position,) = shown.positions
    assert (position.stop_home, position.unprotected_now) == (lives, bare)
    assert run(["status", "--home", str(home.path)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"1, {int(bare)} unprotected" in told
    assert "what is held counted at its cost" in told
