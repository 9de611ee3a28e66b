"""Old texts of research are removed, whole runs at a time; what is young, open or shared stays, and the file becomes smaller."""

import asyncio
import json
import shutil
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

from engine.config import Config
from engine.errors import StoreError
from engine.research.breaker import Breaker
from engine.research.calling import LiveCaller
from engine.research.decided import Decided
from engine.research.pipeline import run_pipeline
from engine.research.settings import Budgets, Deadlines
from engine.research.snapshot import build
from engine.research.spending import Purse
from engine.research.task import PipelineTask
from engine.schedule_words import Job, JobKind
from store.home import open_home
from store.research_archive import ARCHIVE_FILE, ResearchArchive
from store.research_pruning import NS_PER_DAY, Needed, Pruned, prune_research
from store.research_record import StoredResearch
from store.research_recording import export_runs, import_file, recording_of
from tests.unit.research_desk import AS_OF_NS, MODELS_ON, PRICES, SpeakingModel, asked, snapshot
from tui.cli import run as command
from tui.compose import job_runners
from tui.folding import restored_state

DAY = 86_400 * 1_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ARCHIVE_FILE


def run(archive: ResearchArchive, run_id: str, at_ns: int = AS_OF_NS) -> tuple[Decided, ...]:
    """A run of models about a moment, kept."""
    first = snapshot()
    shown = build("main", "AAPL", at_ns, first.mark._replace(at_ns=at_ns, price=Decimal(100)), first.rows[1:])
    caller = LiveCaller({"one": SpeakingModel()}, archive, Purse(Budgets(10**9, 10**9), PRICES), Breaker(), Deadlines(),
                        lambda: at_ns)
    return asyncio.run(run_pipeline(PipelineTask(asked(shown=shown, settings=MODELS_ON, run_id=run_id), caller, archive)))


def prune(path: Path, keep_days: int = 10, needed: Needed | None = None, now_ns: int = AS_OF_NS + 20 * DAY) -> Pruned:
    found = prune_research(path, keep_days, lambda: needed or Needed(), now_ns, lambda _: None)
    assert found is not None
    return found


@pytest.mark.slow
def test_whole_runs_go_once_they_are_old_and_the_file_becomes_smaller(path: Path) -> None:
    archive = ResearchArchive(path)
    for number in range(40):
        run(archive, f"old{number}", AS_OF_NS + number)
    run(archive, "new", AS_OF_NS + 15 * DAY)
    archive._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    kept = archive.calls("new"), archive.asked("new"), archive.snapshots_of("new")
    found = prune(path)
    assert (found.runs, found.snapshots) == (40, 40)
    assert (archive.calls("new"), archive.asked("new"), archive.snapshots_of("new")) == kept
    assert archive.runs() == ("new",)
    (left,) = archive._rows("SELECT (SELECT count(*) FROM requests), (SELECT count(*) FROM calls), "
                            "(SELECT count(*) FROM snapshots)", ())
    assert left == (len({one.call_hash for one in kept[0]}), len(kept[0]), 1)
    archive._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.stat().st_size < found.bytes_before / 3
    assert archive.problem() == ""
    assert prune(path)[:2] == (0, 0), "once"


def test_what_an_open_forecast_rests_on_stays_however_old(path: Path) -> None:
    archive = ResearchArchive(path)
    decided = run(archive, "open")[0]
    run(archive, "told", AS_OF_NS + 1)
    needed = Needed(frozenset({"open"}), frozenset({decided.snapshot_id}))
    assert prune(path, needed=needed)[:2] == (1, 1)
    assert archive.runs() == ("open",)
    assert archive.snapshot(decided.snapshot_id) is not None
    assert recording_of(archive, "open").run_id == "open"
    assert prune(path)[:2] == (1, 1), "once it is told"


def test_a_request_and_a_snapshot_that_two_runs_share_stay_with_the_younger(path: Path) -> None:
    archive = ResearchArchive(path)
    decided = run(archive, "a")[0]
    run(archive, "b")
    calls = archive.calls("b")
    archive._database.execute("UPDATE asked_at SET at_ns = ? WHERE run_id = 'b'", (AS_OF_NS + 10 * DAY + 1,))
    assert prune(path)[:2] == (1, 0)
    assert archive.calls("b") == calls
    assert archive.snapshot(decided.snapshot_id) is not None


def test_a_replay_of_a_removed_run_is_told_until_it_is_imported_again(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                                      capsys: pytest.CaptureFixture[str]) -> None:
    archive = ResearchArchive(path)
    run(archive, "R7")
    export_runs(archive, ["R7"], tmp_path / "run.gz")
    prune(path)
    with pytest.raises(StoreError, match=r"NOT_RECORDED: run R7: its texts were removed on 2024-10-24.*keep_days"):
        recording_of(archive, "R7")
    monkeypatch.setenv("QUARTERDECK_HOME", str(tmp_path))
    assert command(["research", "run", "--replay", "R7"]) == 1
    assert command(["research", "export", "R7", str(tmp_path / "again.gz")]) == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2 and all("NOT_RECORDED: run R7" in line for line in told)
    import_file(archive, tmp_path / "run.gz")
    assert archive.removed_at_ns("R7") == 0
    assert command(["research", "run", "--replay", "R7"]) == 0


def test_an_archive_of_before_is_brought_along(path: Path) -> None:
    archive = ResearchArchive(path)
    run(archive, "old")
    run(archive, "new", AS_OF_NS + 15 * DAY)
    archive.close()
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript("DROP TABLE asked_at; DROP TABLE removed; DROP INDEX calls_by_request; "
                           "PRAGMA auto_vacuum=NONE; VACUUM;")
    assert database.execute("PRAGMA auto_vacuum").fetchone() == (0,)
    database.close()
    reader = ResearchArchive(path, read_only=True)
    assert reader.removed_at_ns("old") == 0
    reader.close()
    assert prune(path)[:2] == (1, 1)
    again = ResearchArchive(path)
    assert again.runs() == ("new",)
    assert again._database.execute("PRAGMA auto_vacuum").fetchone() == (2,)


def test_writers_go_on_between_the_steps(path: Path) -> None:
    archive = ResearchArchive(path)
    for number in range(25):
        run(archive, f"old{number}", AS_OF_NS + number)
    written: list[int] = []

    def pause(_: float) -> None:
        archive.keep_snapshot(f"s{len(written)}", "main", "AAPL", AS_OF_NS + 15 * DAY, b"{}")
        written.append(1)

    prune_research(path, 10, Needed, AS_OF_NS + 20 * DAY, pause)
    assert len(written) >= 4
    assert all(archive.snapshot(f"s{number}") for number in range(len(written)))


def test_nothing_is_removed_where_all_is_kept_or_nothing_is_there(path: Path) -> None:
    assert prune_research(path, 10, Needed, AS_OF_NS) is None
    assert not path.exists()
    run(ResearchArchive(path), "R7")
    assert prune_research(path, 0, Needed, AS_OF_NS + 900 * DAY) is None
    assert NS_PER_DAY == DAY


@pytest.mark.slow
def test_the_backup_job_removes_what_is_told_and_a_decision_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                                    capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("QUARTERDECK_HOME", str(tmp_path))
    assert command(["init"]) == 0
    assert command(["research", "drill", "BTC/USD", "--json"]) == 0
    found = capsys.readouterr().out
    (decision,) = json.loads(found[found.index("{"):])["decisions"]
    shown = ["decisions", decision["decision_id"]]
    home = open_home(tmp_path)
    state = restored_state(home)
    archive = ResearchArchive(home.path / ARCHIVE_FILE)
    for table in ("asked_at SET at_ns", "snapshots SET as_of_ns"):
        archive._database.execute(f"UPDATE {table} = 1")

    def backed_up() -> str:
        shutil.rmtree(home.backups, ignore_errors=True)
        record = StoredResearch(home.journal, lambda: state, archive)
        return job_runners(home, Config(), record)[JobKind.BACKUP](Job("backup", JobKind.BACKUP, "10 0 * * *"))

    assert "removed" not in backed_up(), "its forecast is open"
    assert command(shown) == 0
    assert '"snapshot_version":1' in capsys.readouterr().out
    with sqlite3.connect(home.journal) as views:
        views.execute("UPDATE research_forecasts SET resolved_seq = 1")
    assert "texts of 1 runs and 1 snapshots removed" in backed_up()
    assert command(shown) == 0
    told = capsys.readouterr().out
    assert "removed on" in told and '"snapshot_version"' not in told and "rule/1" in told
    assert command([*shown, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["removed_at_ns"] > 0
