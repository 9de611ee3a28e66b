"""The archive of research: what is kept, found again, handed on as one file, and replayed from either."""

import asyncio
import gzip
import stat
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.errors import HomeUnusable, StoreError, UsageError
from engine.research.breaker import Breaker
from engine.research.calling import LiveCaller
from engine.research.decided import Decided
from engine.research.models import Answered, Unavailable
from engine.research.pipeline import run_pipeline
from engine.research.replay import replayed
from engine.research.settings import Budgets, Deadlines
from engine.research.spending import Purse
from engine.research.task import PipelineTask
from store.research_archive import ARCHIVE_FILE, ResearchArchive
from store.research_recording import export_runs, import_file, read_file, recording_in, recording_of
from tests.unit.research_desk import (
    MODELS_ON,
    PRICES,
    SpeakingModel,
    answer,
    asked,
    news_row,
    opinion_text,
    snapshot,
    usual_answer,
)
from tui.cli import run as command


@pytest.fixture
def archive(tmp_path: Path) -> ResearchArchive:
    return ResearchArchive(tmp_path / ARCHIVE_FILE)


def run(archive: ResearchArchive, model: SpeakingModel, run_id: str = "R7") -> tuple[Decided, ...]:
    caller = LiveCaller({"one": model}, archive, Purse(Budgets(), PRICES), Breaker(), Deadlines(), lambda: 5)
    what = replace(asked(run_id=run_id, shown=snapshot(rows=[news_row("Profits rise")])), settings=MODELS_ON)
    return asyncio.run(run_pipeline(PipelineTask(what, caller, archive)))


def test_the_file_is_the_owner_s_alone(archive: ResearchArchive) -> None:
    assert stat.S_IMODE(archive.path.stat().st_mode) == 0o600


def test_every_call_of_a_decision_is_found_with_prompt_and_raw_text(archive: ResearchArchive) -> None:
    modelled, _ = run(archive, SpeakingModel())
    assert len(archive.calls("R7")) == len(modelled.answers) == 9
    for one in modelled.answers:
        (kept,) = archive.calls("R7", one.call_hash)
        assert f'"role":"{one.role}"' in kept.request
        assert kept.raw
        assert "one JSON object" in kept.prompt
    assert archive.snapshot(modelled.snapshot_id) == snapshot(rows=[news_row("Profits rise")]).body
    assert archive.runs() == ("R7",)


def test_the_same_request_in_another_run_is_another_call_of_one_text(archive: ResearchArchive) -> None:
    run(archive, SpeakingModel(), "R7")
    run(archive, SpeakingModel(lambda ask: answer(opinion_text(p_up=0.6)) if ask.role == "market" else usual_answer(ask)), "R8")
    assert len({one.call_hash for one in archive.calls("R7")}) == 9
    first, second = (next(one for one in archive.calls(name) if '"role":"market"' in one.request) for name in ("R7", "R8"))
    assert first.call_hash == second.call_hash
    assert (first.raw, second.raw) == (opinion_text(), opinion_text(p_up=0.6))


def test_what_did_not_come_is_kept_with_its_code(archive: ResearchArchive) -> None:
    run(archive, SpeakingModel(lambda ask: Unavailable("OVERLOADED", "529")))
    assert {(one.answer.code, one.raw) for one in archive.calls("R7") if isinstance(one.answer, Unavailable)} \
        == {("OVERLOADED", "OVERLOADED: 529"), ("BREAKER", "BREAKER: the models are left alone after several failures")}


def test_a_run_is_replayed_from_the_archive_and_from_a_file(archive: ResearchArchive, tmp_path: Path) -> None:
    decided = run(archive, SpeakingModel())
    target = tmp_path / "run.jsonl.gz"
    assert export_runs(archive, ["R7"], target) == 1 + 9 + 1
    for recording in (recording_of(archive, "R7"), recording_in(target)):
        (one,) = recording.asked
        found = asyncio.run(replayed(one.body, one.digest, recording))
        assert found.is_same
        assert found.misses == 0
        assert found.decided == decided


def test_a_file_is_taken_into_another_archive(archive: ResearchArchive, tmp_path: Path) -> None:
    run(archive, SpeakingModel())
    export_runs(archive, ["R7"], tmp_path / "run.gz")
    other = ResearchArchive(tmp_path / "other.db")
    for _ in range(2):
        import_file(other, tmp_path / "run.gz")
    assert other.calls("R7") == archive.calls("R7")
    assert other.asked("R7") == archive.asked("R7")
    assert other.snapshots_of("R7") == archive.snapshots_of("R7") != ()


def test_two_exports_of_a_run_are_the_same_bytes(archive: ResearchArchive, tmp_path: Path) -> None:
    run(archive, SpeakingModel())
    for name in ("a", "b"):
        export_runs(archive, ["R7"], tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_call_missing_in_the_recording_is_told(archive: ResearchArchive, tmp_path: Path) -> None:
    run(archive, SpeakingModel())
    export_runs(archive, ["R7"], tmp_path / "whole.gz")
    lines = gzip.decompress((tmp_path / "whole.gz").read_bytes()).splitlines(keepends=True)
    kept = [line for line in lines if b'\\"role\\":\\"judge:2\\"' not in line]
    assert len(kept) == len(lines) - 1
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"".join(kept)))
    recording = recording_in(tmp_path / "cut.gz")
    found = asyncio.run(replayed(recording.asked[0].body, recording.asked[0].digest, recording))
    assert (found.is_same, found.misses, found.decided[0].code) == (False, 1, "NOT_RECORDED")


@pytest.mark.parametrize("content", [b"", b"no gzip", b"packed:", b"packed:{}\n", b"packed:xxxx", b"packed:[1]\n",
                                     b'packed:{"quarterdeck_recording":9,"runs":[]}\n',
                                     b'packed:{"quarterdeck_recording":1,"runs":["R"]}\n{"type":"Other"}\n'])
def test_a_file_that_is_no_recording_is_one_line(content: bytes, tmp_path: Path) -> None:
    packed = content.startswith(b"packed:")
    (tmp_path / "bad.gz").write_bytes(gzip.compress(content.removeprefix(b"packed:")) if packed else content)
    with pytest.raises(StoreError) as caught:
        read_file(tmp_path / "bad.gz")
    assert "\n" not in str(caught.value)


def test_unknown_runs_and_taken_files_are_refused(archive: ResearchArchive, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='no run "R99"'):
        recording_of(archive, "R99")
    run(archive, SpeakingModel())
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageError, match="exists already"):
        export_runs(archive, ["R7"], tmp_path / "taken")
    with pytest.raises(HomeUnusable):
        ResearchArchive(tmp_path / "nowhere" / ARCHIVE_FILE, read_only=True)


def test_no_call_is_made_on_a_disk_that_refuses_its_record(archive: ResearchArchive) -> None:
    archive._database.execute("PRAGMA query_only=ON")
    model = SpeakingModel()
    with pytest.raises(StoreError, match="cannot be written"):
        run(archive, model)
    assert model.asked == []


def test_a_text_that_is_damaged_is_told_in_one_line(archive: ResearchArchive) -> None:
    run(archive, SpeakingModel())
    archive._database.execute("UPDATE requests SET body = x'00'")
    with pytest.raises(StoreError, match="damaged"):
        archive.calls("R7")


def test_a_reader_looks_on_while_it_is_written(archive: ResearchArchive) -> None:
    reader = ResearchArchive(archive.path, read_only=True)
    run(archive, SpeakingModel())
    assert all(isinstance(one.answer, Answered) for one in reader.calls("R7"))
    assert len(reader.calls("R7")) == 9


def test_the_command_replays_exports_and_runs_nothing(archive: ResearchArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                      capsys: pytest.CaptureFixture[str]) -> None:
    run(archive, SpeakingModel())
    monkeypatch.setenv("QUARTERDECK_HOME", str(tmp_path))
    assert command(["research", "run", "--replay", "R7"]) == 0
    assert "identical, no model was asked" in capsys.readouterr().out
    assert command(["research", "export", "R7", str(tmp_path / "run.gz")]) == 0
    archive._database.execute("UPDATE asked SET digest = 'other'")
    assert command(["research", "run", "--replay", "R7", "--json"]) == 1
    assert command(["research", "run", "--replay", str(tmp_path / "run.gz"), "aapl"]) == 0
    assert command(["research", "run", "--replay", "R7", "msft"]) == 2
    assert command(["research", "run", "--replay", "R99"]) == 2
    assert archive.runs() == ("R7",)
    assert not (tmp_path / "journal.db").exists()
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("QUARTERDECK_HOME", str(tmp_path / "other"))
    assert command(["research", "import", str(tmp_path / "run.gz")]) == 0
    assert command(["research", "run", "--replay", "R7"]) == 0


def test_doctor_says_who_answers_and_finds_a_damaged_archive(archive: ResearchArchive, tmp_path: Path) -> None:
    from tui.commands.doctoring import examine

    def looked() -> list[tuple[str, str]]:
        return [(one.verdict, one.found) for one in examine(tmp_path) if one.subject == "research"]

    run(archive, SpeakingModel())
    size = f"research.db {archive.path.stat().st_size / 1e6:.1f} MB, texts are kept"
    assert looked() == [("ok", f"the rules answer, no model is configured; {size} 400 days")]
    (tmp_path / "config.toml").write_text('[[research_model]]\nname = "claude"\nkeyless = true\n[research]\nkeep_days = 0\n')
    asks = "asks claude (claude-sonnet-5-5 at https://api.anthropic.com); prices as of 2026-10-24"
    assert looked() == [("ok", f"{asks}; {size} for ever")]
    archive.close()
    content = bytearray(archive.path.read_bytes())
    content[4_096:] = b"x" * (len(content) - 4_096)
    archive.path.write_bytes(content)
    assert looked()[0][0] == "fail"
