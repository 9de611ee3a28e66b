"""One signal of each kind under attached clients; `python -m tests.crash --attached 30` sends more."""

from pathlib import Path

import pytest

from tests.crash.attached import KILL, STOP, TERM, run_attached, signals_of


@pytest.mark.slow
def test_nothing_is_lost_when_an_engine_with_clients_is_killed_stopped_or_ended(tmp_path: Path) -> None:
    run = run_attached(tmp_path, 3, 5)
    assert run.problems == []
    assert run.done == {KILL: 1, STOP: 1, TERM: 1}
    assert len(run.acknowledged) > 5
    assert run.snapshots_seen > 10
    assert run.lost([run.acknowledged[0], "never-given"]) == ["acknowledged and not in the journal: ['never-given']"]


def test_each_kind_comes_first_and_the_same_seed_gives_the_same_signals() -> None:
    assert set(signals_of(3, 1)) == {KILL, STOP, TERM}
    assert signals_of(20, 4) == signals_of(20, 4)
    assert len(signals_of(20, 4)) == 20
