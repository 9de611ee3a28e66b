"""Venue keys: where they lie, that nothing shows them, and that what is no safe place is refused in one line."""

import json
import os
import pickle
import stat
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keyring
import keyring.backends.fail
import keyring.backends.null
import msgspec
import pytest
from keyring.errors import KeyringLocked

from engine.errors import KeysUnavailable
from store.encrypted_keys import EncryptedKeys
from store.keys import Key, KeyringStore, KeyStore
from tests.unit.venue_homes import MemoryKeyring, memory_keyring
from tui import key_access
from tui.cli import run

KEY_ID, SECRET, WORD = "PKEYID0123456789", "s3cr3t/With+Signs=", "p4ss phrase"
KEY = Key(KEY_ID, SECRET, WORD)
CONFIG = """
[keys]
store = "{store}"
[[account]]
name = "alp"
venue = "alpaca"
symbols = ["AAPL"]
[[account]]
name = "krak"
venue = "ccxt:kraken"
symbols = ["BTC/USD"]
[[account]]
name = "paper"
[[portfolio]]
account = "paper"
"""


@pytest.fixture
def ring() -> Iterator[MemoryKeyring]:
    with memory_keyring() as made:
        yield made


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "h"
    path.mkdir(mode=0o700)
    monkeypatch.setenv("QUARTERDECK_HOME", str(path))
    configure(path, "keyring")
    return path


def configure(home: Path, store: str) -> None:
    (home / "config.toml").write_text(CONFIG.format(store=store))


def hides_the_key(text: str) -> bool:
    return not any(part in text for part in (KEY_ID, SECRET, WORD))


def test_nothing_shows_a_key() -> None:
    assert (KEY.key_id, KEY.secret, KEY.passphrase) == (KEY_ID, SECRET, WORD)
    for shown in (repr(KEY), str(KEY), f"{KEY}", repr({"key": KEY}), repr(vars(type(KEY))), repr(dir(KEY))):
        assert hides_the_key(shown)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(KEY)
    with pytest.raises(TypeError):
        msgspec.json.encode(KEY)
    with pytest.raises(TypeError):
        json.dumps(KEY)


def test_the_keyring_keeps_reads_lists_and_forgets(ring: MemoryKeyring, tmp_path: Path) -> None:
    keeps_reads_lists_and_forgets(KeyringStore(tmp_path))
    assert list(ring.kept.values()) == ["[]"]


def keeps_reads_lists_and_forgets(store: KeyStore) -> None:
    assert store.read("alp") is None
    assert store.accounts() == ()
    store.write("krak", KEY)
    store.write("alp", Key("a", "b"))
    store.write("alp", Key("a2", "b2"))
    assert store.read("krak") == KEY
    assert store.read("alp") == Key("a2", "b2", "")
    assert store.accounts() == ("alp", "krak")
    assert store.delete("alp")
    assert not store.delete("alp")
    assert store.read("alp") is None
    assert store.delete("krak")


def test_two_homes_have_keys_of_their_own(ring: MemoryKeyring, tmp_path: Path) -> None:
    KeyringStore(tmp_path / "one").write("alp", KEY)
    assert KeyringStore(tmp_path / "two").read("alp") is None


def test_no_keyring_says_what_to_choose_instead(tmp_path: Path) -> None:
    before = keyring.get_keyring()
    nothing: tuple[Any, ...] = (keyring.backends.fail.Keyring, keyring.backends.null.Keyring)
    for kind, words in zip(nothing, ("there is no keyring here", "the keyring is switched off"), strict=True):
        keyring.set_keyring(kind())
        try:
            with pytest.raises(KeysUnavailable, match=words) as caught:
                KeyringStore(tmp_path).write("alp", KEY)
        finally:
            keyring.set_keyring(before)
        assert '[keys] store = "file"' in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_keyring_that_writes_plain_text_is_refused(ring: MemoryKeyring, tmp_path: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryKeyring, "__module__", "keyrings.alt.file")
    with pytest.raises(KeysUnavailable, match="does not keep secrets safe"):
        KeyringStore(tmp_path).write("alp", KEY)
    assert not ring.kept


def test_whatever_a_keyring_raises_never_carries_the_secret(ring: MemoryKeyring, tmp_path: Path) -> None:
    for broken in (KeyringLocked(f"locked {SECRET}"), RuntimeError(SECRET), ValueError(KEY_ID)):
        ring.broken = broken
        with pytest.raises(KeysUnavailable, match="the keyring cannot be used") as caught:
            KeyringStore(tmp_path).write("alp", KEY)
        assert hides_the_key("".join(traceback.format_exception(caught.value)))


def test_a_strange_entry_is_told_without_its_content(ring: MemoryKeyring, tmp_path: Path) -> None:
    store = KeyringStore(tmp_path)
    for text in (SECRET, "[]", '{"key_id": 3}', '{"key_id": "", "secret": "x"}'):
        ring.kept[f"quarterdeck {tmp_path}", "alp"] = text
        with pytest.raises(KeysUnavailable, match="is not a key") as caught:
            store.read("alp")
        assert hides_the_key("".join(traceback.format_exception(caught.value)))


# ---- the encrypted file: opening one takes a second on purpose, so one is made for all tests ----------------------------------


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file that holds one key, as `keys set` made it."""
    path = tmp_path_factory.mktemp("sealed") / "keys.age"
    asked: list[bool] = []

    def passphrase(_what: str, is_new: bool) -> str:
        asked.append(is_new)
        return "open sesame"

    store = EncryptedKeys(path, passphrase)
    assert (store.read("alp"), store.accounts(), asked) == (None, (), [])
    store.write("alp", KEY)
    assert (store.read("alp"), store.accounts()) == (KEY, ("alp",))
    assert asked == [True], "asked once, as for a new file"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for file in path.parent.iterdir():
        assert not any(part.encode() in file.read_bytes() for part in (KEY_ID, SECRET, WORD))
    return path.read_bytes()


@pytest.mark.slow
def test_the_file_opens_again_and_forgets(tmp_path: Path, sealed: bytes) -> None:
    assert sealed.startswith(b"age-encryption.org/v1\n-> scrypt ")
    path = tmp_path / "keys.age"
    path.write_bytes(sealed)
    store = EncryptedKeys(path, lambda *_: "open sesame")
    assert store.read("alp") == KEY
    assert store.delete("alp")
    assert (store.read("alp"), store.accounts(), store.delete("alp")) == (None, (), False)


@pytest.mark.slow
def test_a_wrong_passphrase_or_a_damaged_file_is_one_line(tmp_path: Path, sealed: bytes) -> None:
    path, wrong = tmp_path / "keys.age", str(123_456_789)
    path.write_bytes(sealed)
    with pytest.raises(KeysUnavailable, match="does not open it") as caught:
        EncryptedKeys(path, lambda *_: wrong).write("alp", Key("x", "y"))
    assert wrong not in "".join(traceback.format_exception(caught.value))
    assert path.read_bytes() == sealed, "a wrong passphrase writes nothing"
    for damaged in (sealed[:-5] + b"xxxxx", b"", b"age"):
        path.write_bytes(damaged)
        with pytest.raises(KeysUnavailable, match="does not open it"):
            EncryptedKeys(path, lambda *_: "open sesame").read("alp")


def test_a_short_passphrase_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(KeysUnavailable, match="at least 8 characters"):
        EncryptedKeys(tmp_path / "keys.age", lambda *_: "short").write("alp", KEY)
    assert not (tmp_path / "keys.age").exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KeysUnavailable, match="cannot be written"):
        EncryptedKeys(tmp_path / "file" / "keys.age", lambda *_: "open sesame").write("alp", KEY)


# ---- where the passphrase comes from ------------------------------------------------------------------------------------------


@pytest.fixture
def nobody_sits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CREDENTIALS_DIRECTORY", key_access.FD_VARIABLE, key_access.PLAIN_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(key_access, "_read_from_fd", {})
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)


@pytest.mark.usefixtures("nobody_sits")
class TestPassphrase:
    def test_a_systemd_credential_comes_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / key_access.CREDENTIAL).write_text("from systemd\n")
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
        monkeypatch.setenv(key_access.PLAIN_VARIABLE, "plain")
        assert key_access.passphrase("f", is_new=False) == "from systemd"

    def test_a_descriptor_is_read_once_and_remembered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        reading, writing = os.pipe()
        os.write(writing, b"through a pipe\nrest")
        os.close(writing)
        monkeypatch.setenv(key_access.FD_VARIABLE, str(reading))
        assert [key_access.passphrase("f", is_new=False) for _ in range(2)] == ["through a pipe"] * 2

    @pytest.mark.parametrize("given", ["9876", "x"])
    def test_a_descriptor_that_is_none_is_one_line(self, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(key_access.FD_VARIABLE, given)
        with pytest.raises(KeysUnavailable, match="names no open descriptor"):
            key_access.passphrase("f", is_new=False)

    def test_a_plain_variable_is_told_off(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setenv(key_access.PLAIN_VARIABLE, "plain word")
        assert key_access.passphrase("f", is_new=False) == "plain word"
        told = capsys.readouterr().err
        assert "other processes of this user can read" in told
        assert "plain word" not in told

    def test_nobody_gives_it(self) -> None:
        with pytest.raises(KeysUnavailable, match="nobody gives its passphrase"):
            key_access.passphrase("f", is_new=False)

    def test_a_person_types_a_new_one_twice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
        typed = iter(["one two three", "one two three", "one two three", "else"])
        monkeypatch.setattr(key_access, "hidden", lambda _question: next(typed))
        assert key_access.passphrase("f", is_new=True) == "one two three"
        with pytest.raises(KeysUnavailable, match="differ"):
            key_access.passphrase("f", is_new=True)


# ---- the commands --------------------------------------------------------------------------------------------------------------


def call(capsys: pytest.CaptureFixture[str], *arguments: str, given: str | None = None,
         monkeypatch: pytest.MonkeyPatch | None = None) -> tuple[int, str, str]:
    if given is not None and monkeypatch is not None:
        import io

        monkeypatch.setattr(sys, "stdin", io.StringIO(given))
    capsys.readouterr()
    status = run(["keys", *arguments])
    told = capsys.readouterr()
    return status, told.out, told.err


def test_set_list_delete(home: Path, ring: MemoryKeyring, capsys: pytest.CaptureFixture[str],
                         monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, err = call(capsys, "set", "alp", "--stdin", given=f"{KEY_ID}\n{SECRET}\n", monkeypatch=monkeypatch)
    assert status == 0
    assert "alp: the key is stored in the keyring" in out
    assert hides_the_key(out + err)
    status, out, _ = call(capsys, "list", "--json")
    rows = {row["account"]: row["stored"] for row in json.loads(out)["accounts"]}
    assert (status, rows) == (0, {"alp": True, "krak": False})
    assert hides_the_key(out)
    assert call(capsys, "delete", "alp")[0] == 2, "nobody sits here to be asked"
    assert call(capsys, "delete", "alp", "--yes")[0] == 0
    status, _, err = call(capsys, "delete", "alp", "--yes")
    assert (status, err) == (1, "quarterdeck: the keyring (MemoryKeyring) holds no key of alp\n") or status == 1
    assert KeyringStore(home).read("alp") is None


def test_json_on_standard_input_carries_a_key_of_several_lines(home: Path, ring: MemoryKeyring,
                                                               capsys: pytest.CaptureFixture[str],
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    pem = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----\n"
    given = json.dumps({"key_id": KEY_ID, "secret": pem})
    assert call(capsys, "set", "krak", "--stdin", given=given, monkeypatch=monkeypatch)[0] == 0
    assert KeyringStore(home).read("krak") == Key(KEY_ID, pem)


@pytest.mark.parametrize("given", ["", "one line", "a\nb\nc\nd", "{broken", '{"key_id": "a"}', '{"key_id": "a", "secret": 3}',
                                   '{"key_id": "a", "secret": "b", "more": "c"}', '{"key_id": "", "secret": "b"}', "[]"])
def test_what_is_no_key_is_refused_without_repeating_it(given: str, home: Path, ring: MemoryKeyring,
                                                        capsys: pytest.CaptureFixture[str],
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, err = call(capsys, "set", "alp", "--stdin", given=given, monkeypatch=monkeypatch)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert not ring.kept


def test_a_hidden_prompt_asks_for_each_field(home: Path, ring: MemoryKeyring, capsys: pytest.CaptureFixture[str],
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    typed = iter([KEY_ID, SECRET, WORD])

    def hidden(question: str) -> str:
        asked.append(question)
        return next(typed)

    monkeypatch.setattr(key_access, "hidden", hidden)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    assert call(capsys, "set", "krak")[0] == 0
    assert [question.split()[0] for question in asked] == ["key", "secret:", "passphrase"]
    assert KeyringStore(home).read("krak") == KEY


@pytest.mark.parametrize(("arguments", "status", "words"), [
    (("set", "alp"), 2, "--stdin"), (("set", "paper", "--stdin"), 2, "needs no key"),
    (("set", "nobody", "--stdin"), 2, 'no account is named "nobody"'), (("test", "alp"), 2, "keys set alp"),
    (("test", "paper"), 2, "needs no key"), (("set", "alp", "PKEY"), 2, "unexpected extra argument")])
def test_refusals_are_one_line(arguments: tuple[str, ...], status: int, words: str, home: Path, ring: MemoryKeyring,
                               capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found, _, err = call(capsys, *arguments, given="", monkeypatch=monkeypatch)
    assert (found, err.count("\n")) == (status, 1)
    assert words in err


@pytest.mark.slow
def test_the_file_is_chosen_in_the_configuration(home: Path, capsys: pytest.CaptureFixture[str],
                                                 monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    configure(home, "file")
    (tmp_path / key_access.CREDENTIAL).write_text("from systemd")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    status, out, _ = call(capsys, "set", "alp", "--stdin", given=f"{KEY_ID}\n{SECRET}", monkeypatch=monkeypatch)
    assert status == 0
    assert "keys.age" in out
    assert EncryptedKeys(home / "keys.age", lambda *_: "from systemd").read("alp") == Key(KEY_ID, SECRET)


def test_doctor_says_which_key_is_missing(home: Path, ring: MemoryKeyring) -> None:
    from tui.commands.doctoring import examine

    def looked() -> list[tuple[str, str]]:
        return [(finding.verdict, finding.found) for finding in examine(home) if finding.subject == "keys"]

    assert looked() == [("warn", "none for alp, krak")]
    for account in ("alp", "krak"):
        KeyringStore(home).write(account, KEY)
    assert [verdict for verdict, _ in looked()] == ["ok"]
    configure(home, "file")
    assert looked() == [("warn", f"{home / 'keys.age'} does not exist")]
    (home / "keys.age").touch(0o644)
    (home / "keys.age").chmod(0o644)
    assert looked()[0][1].endswith("is open to others")
    (home / "config.toml").write_text("")
    assert looked() == []


def test_a_server_without_a_keyring_hears_of_the_file(home: Path) -> None:
    environment = {**os.environ, "QUARTERDECK_HOME": str(home), "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    done = subprocess.run([sys.executable, "-m", "tui.cli", "keys", "set", "alp", "--stdin"], env=environment, text=True,
                          input=f"{KEY_ID}\n{SECRET}\n", capture_output=True, check=False)
    assert done.returncode == 1
    assert '[keys] store = "file"' in done.stderr
    assert "Traceback" not in done.stderr
    assert hides_the_key(done.stdout + done.stderr)
