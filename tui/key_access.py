"""Which key store a home has chosen, and where the passphrase of the encrypted one comes from.

A passphrase is never an argument. In order: a systemd credential, a file descriptor that the caller opened, an
environment variable (told off: other processes of the user may read it), a hidden question on the terminal.
"""

import os
import sys
from pathlib import Path

from engine.config import Config
from engine.errors import ConfigError, KeysUnavailable
from store.encrypted_keys import EncryptedKeys
from store.keys import Key, KeyringStore, KeyStore
from tui.printing import print_note

CREDENTIAL = "quarterdeck-passphrase"
FD_VARIABLE = "QUARTERDECK_PASSPHRASE_FD"
PLAIN_VARIABLE = "QUARTERDECK_PASSPHRASE"
KEYS_FILE = "keys.age"
WAYS = (f"give it as the systemd credential {CREDENTIAL}, through the descriptor that {FD_VARIABLE} names, or on a terminal")
MAX_PASSPHRASE_BYTES = 4_096

_read_from_fd: dict[str, str] = {}  # a pipe can be read only once, and a panic may open the file a second time


def key_store(home: Path, config: Config) -> KeyStore:
    """Where the keys of a home lie, as its configuration says."""
    if config.keys.store == "keyring":
        return KeyringStore(home)
    named = Path(config.keys.file).expanduser() if config.keys.file else Path(KEYS_FILE)
    return EncryptedKeys(home / named, passphrase)


def required_key(store: KeyStore, account: str) -> Key:
    """The key of an account; raises `ConfigError` with the command that stores one."""
    key = store.read(account)
    if key is None:
        raise ConfigError(f'account "{account}": {store.describe()} holds no key for it; '
                          f"store one with `quarterdeck keys set {account}`")
    return key


def passphrase(what: str, is_new: bool) -> str:  # noqa: FBT001 - the shape that the encrypted store asks for
    """The passphrase of the encrypted file; raises `KeysUnavailable` where nobody gives one."""
    found = _from_credential() or _from_descriptor() or _from_environment()
    if found:
        return found
    if not sys.stdin.isatty():
        raise KeysUnavailable(f"{what}: nobody gives its passphrase; {WAYS}")
    return _asked(what, is_new=is_new)


def hidden(question: str) -> str:
    """Ask on the terminal without showing what is typed."""
    import getpass

    return getpass.getpass(question, stream=sys.stderr)


def _from_credential() -> str:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return ""
    try:
        return _first_line((Path(folder) / CREDENTIAL).read_bytes())
    except OSError:
        return ""


def _from_descriptor() -> str:
    given = os.environ.get(FD_VARIABLE, "")
    if not given:
        return ""
    if given not in _read_from_fd:
        try:
            with os.fdopen(int(given), "rb", closefd=True) as file:
                _read_from_fd[given] = _first_line(file.read(MAX_PASSPHRASE_BYTES))
        except (ValueError, OSError):
            raise KeysUnavailable(f"{FD_VARIABLE} names no open descriptor to read from") from None
    return _read_from_fd[given]


def _from_environment() -> str:
    found = os.environ.get(PLAIN_VARIABLE, "")
    if found:
        print_note(f"the passphrase comes from {PLAIN_VARIABLE}, which other processes of this user can read; better {WAYS}")
    return found


def _asked(what: str, *, is_new: bool) -> str:
    found = hidden(f"{'new ' if is_new else ''}passphrase of {what}: ")
    if is_new and hidden("the same again: ") != found:
        raise KeysUnavailable("the two passphrases differ; nothing was written")
    return found


def _first_line(raw: bytes) -> str:
    return raw.decode(errors="replace").split("\n", maxsplit=1)[0].rstrip("\r")


# ---- other secrets that lie beside the keys; no account's name has a colon -------------------------------------------------


def notify_entry(name: str) -> str:
    """Under which name the address of a route to tell a person lies."""
    return f"notify:{name}"


def webhook_entry(name: str) -> str:
    """Under which name the secret of a source of signals lies."""
    return f"webhook:{name}"


def is_account(entry: str) -> bool:
    """Whether what lies in a key store under a name is the key of an account."""
    return ":" not in entry
