"""Keys of lines of models: stored, listed, tried and forgotten like those of venues, and shown nowhere."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.model_server import Reply, served_beside
from tests.unit.venue_homes import MemoryKeyring, memory_keyring
from tui.cli import run

KEY = "sk-ant-0123456789"
LINE = '[[research_model]]\nname = "claude"\nendpoint = "{address}"\n'


@pytest.fixture
def ring() -> Iterator[MemoryKeyring]:
    with memory_keyring() as made:
        yield made


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QUARTERDECK_HOME", str(tmp_path))
    (tmp_path / "config.toml").write_text(LINE.format(address="https://api.anthropic.com"))
    return tmp_path


def stored(monkeypatch: pytest.MonkeyPatch, text: str = KEY) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    return run(["keys", "set", "claude", "--stdin"])


def test_set_list_and_delete(home: Path, ring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch,
                             capsys: pytest.CaptureFixture[str]) -> None:
    assert stored(monkeypatch) == 0
    assert run(["keys", "list", "--json"]) == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out[shown.out.index("{"):])
    assert found["models"] == [{"model": "claude", "endpoint": "https://api.anthropic.com", "keyless": False, "stored": True}]
    assert found["accounts"] == []
    assert KEY not in shown.out + shown.err
    assert run(["keys", "delete", "claude", "--yes"]) == 0
    run(["keys", "list", "--json"])
    assert json.loads(capsys.readouterr().out.partition("\n")[2])["models"][0]["stored"] is False


@pytest.mark.parametrize("text", ["", "two words", "one\ntwo"])
def test_what_is_no_key_is_refused(text: str, home: Path, ring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    assert stored(monkeypatch, text) == 2
    assert "nothing was stored" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(("reply", "status", "words"), [
    (Reply('{"ready": true}'), 0, "answers"), (Reply(status=401, error="authentication_error"), 1, "BAD_KEY")])
def test_a_trial_asks_the_model_once(reply: Reply, status: int, words: str, home: Path, ring: MemoryKeyring,
                                     monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with served_beside(lambda _: reply) as server:
        (home / "config.toml").write_text(LINE.format(address=server.address))
        stored(monkeypatch)
        assert run(["keys", "test", "claude"]) == status
    shown = capsys.readouterr()
    assert words in shown.out + shown.err
    assert KEY not in shown.out + shown.err
    assert len(server.requests) == 1


def test_a_keyless_line_needs_none(home: Path, ring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    with served_beside(lambda _: Reply('{"ready": true}')) as server:
        (home / "config.toml").write_text(LINE.format(address=server.address) + "keyless = true\n")
        assert run(["keys", "test", "claude"]) == 0
        assert stored(monkeypatch) == 2
    assert "needs no key" in capsys.readouterr().err
