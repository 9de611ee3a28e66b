"""The bundle for helpers tells what is needed and none of what was planted; logs lose their secrets before they are written."""

import asyncio
import io
import json
import logging
import sqlite3
import zipfile
from pathlib import Path

import pytest

from engine.events import AlertRaised, encode
from engine.ports import JournalRow
from engine.service import AlertLevel
from store.halt_flag import raise_halt
from store.home import Home
from store.journal import SqliteJournal
from store.keys import Key
from store.redaction import HIDDEN, know, redacted, scrubbed
from tests.unit.lived_homes import FIRST_NS, lived_home
from tui.cli import run
from tui.logs import LOG_FILE, quiet_log, start_logs

PLANT = "q7Zt9pLm42XcVb81NwKe"
PLANTED = {
    "config": f"{PLANT}A", "log": f"{PLANT}B", "defect": f"{PLANT}C", "flag": f"{PLANT}D", "journal": f"{PLANT}E",
    "strategy": f"{PLANT}F", "research": f"{PLANT}G", "environment": f"{PLANT}H", "file name": f"{PLANT}I", "url": f"{PLANT}J",
    "screen": f"{PLANT}K", "setting": f"{PLANT}L", "theme": f"{PLANT}M", "route": f"{PLANT}N",
}
MONEY = ("98765.43", "123.4567", "31415", "27182")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("QUARTERDECK_HOME", str(tmp_path / "h"))
    found = lived_home(tmp_path / "h")
    found.config.write_text('[backup]\nkeep_daily = 3\n\n[[account]]\nname = "paper"\ninitial_cash = 27182\n')
    return found


def plant(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a secret, or money, wherever one could come to lie."""
    monkeypatch.setenv("QUARTERDECK_PASSPHRASE", PLANTED["environment"])
    home.config.write_text(
        f'[keys]\napi_key = "{PLANTED["config"]}"\n[market]\nnote = "{PLANTED["setting"]}"\n'
        f'url = "https://me:{PLANTED["url"]}@venue.example/x"\nmax_notional = 31415\n'
        f'[[notify_route]]\nname = "phone"\naddress = "tgram://{PLANTED["route"]}/5"\n')
    log = {"event": "order", "level": "info", "timestamp": "2026-01-02T03:04:05Z", "quantity": "123.4567",
           "detail": f"Authorization: Bearer {PLANTED['log']}", "equity": 98765.43}
    (home.logs / "engine.log").write_text(json.dumps(log) + f"\nplain words {PLANTED['log']} 98765.43\n")
    (home.logs / "screen.log").write_text(json.dumps({"event": f"odd {PLANTED['screen']}"}) + "\n")
    (home.logs / "defect-x.log").write_text(f'File "a.py", line 77, in b\n    key = "{PLANTED["defect"]}" 123.4567\n')
    raise_halt(home, f"because of {PLANTED['flag']}", "test", FIRST_NS)
    journal = SqliteJournal(home.journal, inline=True)
    kind, version, payload = encode(AlertRaised("x", AlertLevel.WARN, "c", PLANTED["journal"], "123.4567"))
    journal.append([JournalRow(34, FIRST_NS, kind, version, payload), JournalRow(35, FIRST_NS, PLANTED["journal"], 1, b"{}")])
    asyncio.run(journal.wait_durable())
    journal.close()
    for folder, name in (("strategies", "strategy"), ("themes", "theme")):
        (home.path / folder).mkdir(exist_ok=True)
        (home.path / folder / f"{PLANTED['file name']}.py").write_text(f'secret = "{PLANTED[name]}"\n')
    with sqlite3.connect(home.path / "research.db") as research:
        research.execute("CREATE TABLE notes(text)")
        research.execute("INSERT INTO notes VALUES(?)", (PLANTED["research"],))


def made(tmp_path: Path, *options: str) -> dict[str, str]:
    file = tmp_path / f"b{len(options)}.zip"
    assert run(["support-bundle", "--output", str(file), *options]) == 0
    assert file.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(io.BytesIO(file.read_bytes())) as bundle:
        return {name: bundle.read(name).decode() for name in bundle.namelist()}


@pytest.mark.parametrize("options", [(), ("--amounts",)])
def test_nothing_that_was_planted_is_in_the_bundle(
        home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        options: tuple[str, ...]) -> None:
    plant(home, monkeypatch)
    found = made(tmp_path, *options)
    for name, content in found.items():
        for place, secret in PLANTED.items():
            assert secret not in content, f"the secret of {place} is in {name}"
        if not options:
            assert not [number for number in MONEY if number in content], name
        assert str(tmp_path) not in content, f"{name} tells where the home lies"
    assert ("123.4567" in found["logs/engine.log"]) is bool(options)
    assert "line 77" in found["logs/defects.log"]


def test_the_bundle_tells_what_is_needed_and_says_so_first(
        home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = made(tmp_path)
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "the bundle holds:" and out[-1].endswith("look into it before you send it")
    listed = {line.split()[0] for line in out[1:-2]}
    assert listed == set(found)
    journal = json.loads(found["journal.json"])
    assert (journal["sound"], journal["rows"]) == (True, 33)
    assert {"kind": "OrderFilled", "rows": 6, "first_seq": 5, "last_seq": 30} in journal["kinds"]
    assert "CREATE TABLE journal(" in found["schema.sql"]
    assert {"ok", "warn", "fail"} >= {one["verdict"] for one in json.loads(found["doctor.json"])}
    assert json.loads(found["config.json"])["backup"]["keep_daily"] == 3
    assert json.loads(found["versions.json"])["quarterdeck"]
    assert "no engine runs" in found["health.json"]
    assert run(["support-bundle", "-o", str(tmp_path / "b0.zip")]) == 2


def test_a_damaged_home_still_gives_a_bundle(home: Home, tmp_path: Path) -> None:
    home.config.write_text("not = [toml")
    home.journal.write_bytes(b"SQLite format 3\x00" + b"\xff" * 4_000)
    found = made(tmp_path)
    assert "not valid TOML" in found["config.json"]
    assert "could not be had" in found["journal.json"] or '"sound": false' in found["journal.json"]


def test_logs_lose_what_is_known_and_what_looks_like_a_secret(tmp_path: Path) -> None:
    Key("key-id-of-mine", "a plain looking secret", "")
    root = logging.getLogger()
    before, level, raises = root.handlers[:], root.level, logging.raiseExceptions
    try:
        logger = start_logs(tmp_path, "info", 1, 1, to_stderr=False)
        logger.info("login", note="with a plain looking secret it went", headers={"Authorization": f"Bearer {PLANT}"})
        logging.getLogger("library").warning("retry of f('%s', api_key='%s')", "x", PLANT)
        try:
            raise ValueError(f"wss://me:{PLANT}@host refused")
        except ValueError:
            logging.getLogger("library").exception("failed")
        with quiet_log(tmp_path):
            logging.getLogger("quarterdeck").error("token=%s", PLANT)
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers[:] = before
        root.setLevel(level)
        logging.raiseExceptions = raises
    text = (tmp_path / LOG_FILE).read_text() + (tmp_path / "commands.log").read_text()
    assert PLANT not in text and "a plain looking secret" not in text
    assert text.count(HIDDEN) >= 5 and "refused" in text
    assert all(json.loads(line) for line in (tmp_path / LOG_FILE).read_text().splitlines()), "still one JSON object a line"


@pytest.mark.parametrize(("text", "left"), [
    ("order filled 0.05 BTC at 67,602.11, id a989be64-1-20-s", None),
    ("mapping: five, spinning: x, keyboard: y", None),
    ('{"pin": 1234, "x": 1}', f'{{"pin": {HIDDEN}, "x": 1}}'),
    ('{"text": "{\\"token\\": \\"xyz\\"}"}', f'{{"text": "{{\\"token\\": \\"{HIDDEN}\\"}}"}}'),
    ("https://u:p@host/x", f"https://{HIDDEN}@host/x"),
    ("AGE-SECRET-KEY-1ABC2DEF", HIDDEN),
    ("a sk-ant-REDACTED b", f"a {HIDDEN} b"),
])
def test_what_is_taken_out_and_what_stays(text: str, left: str | None) -> None:
    assert redacted(text) == (text if left is None else left)


def test_very_short_secrets_are_left_to_their_names_and_numbers_stay_where_they_are_asked_for() -> None:
    know("abc")
    assert redacted("abc") == "abc"
    assert scrubbed("bought 0.05 at 67,602.11 on line 5", numbers=True) == "bought 0.05 at 67,602.11 on line 5"
    assert scrubbed("bought 0.05 at 67,602.11 on line 5") == "bought # at # on line 5"
