"""Venue keys in one encrypted file, for a server without a keyring, chosen in so many words.

The file is of the age format (passphrase, scrypt, ChaCha20-Poly1305) and opens with any tool that speaks it:
`age -d keys.age`. Nothing of it is of our own making, and nothing is ever written in plain text.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

from engine.errors import KeysUnavailable
from store.keys import Key, key_from_text
from store.sealing import SHORTEST_PASSPHRASE, seal_bytes, unseal_bytes

LOCK_SECONDS = 10.0
type Passphrase = Callable[[str, bool], str]


class EncryptedKeys:
    """Keys in an age file. `passphrase(what, is_new)` is asked once, when the file is first opened or made."""

    def __init__(self, path: Path, passphrase: Passphrase) -> None:
        self._path = path
        self._ask = passphrase
        self._passphrase = ""
        self._opened: dict[str, str] | None = None
        self._sealed = b""

    def describe(self) -> str:
        return f"the encrypted file {self._path}"

    def accounts(self) -> tuple[str, ...]:
        return tuple(sorted(self._content()))

    def read(self, account: str) -> Key | None:
        text = self._content().get(account)
        return None if text is None else key_from_text(text, f"{self._path}: {account}")

    def write(self, account: str, key: Key) -> None:
        self._change(lambda content: content | {account: key.to_text()})

    def delete(self, account: str) -> bool:
        if account not in self._content():
            return False
        self._change(lambda content: {name: text for name, text in content.items() if name != account})
        return True

    def _change(self, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
        """Read, change and write under a lock, so that two commands at once lose nothing."""
        from filelock import FileLock, Timeout

        try:
            with FileLock(self._path.with_name(f"{self._path.name}.lock"), timeout=LOCK_SECONDS, mode=0o600):
                self._write(change(self._read()))
        except Timeout:
            raise KeysUnavailable(f"{self._path}: another command holds it; try again") from None
        except OSError as error:
            raise KeysUnavailable(f"{self._path}: cannot be written: {error.strerror}; check its folder") from None

    def _content(self) -> dict[str, str]:
        if self._opened is None:
            self._opened = self._read()
        return self._opened

    def _read(self) -> dict[str, str]:
        try:
            sealed = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise KeysUnavailable(f"{self._path}: cannot be read: {error.strerror}; check its owner and mode") from None
        if self._opened is not None and sealed == self._sealed:
            return self._opened
        plain = unseal_bytes(sealed, self._known_passphrase(is_new=False))
        if plain is None:
            self._passphrase = ""
            raise KeysUnavailable(f"{self._path}: that passphrase does not open it, or the file is damaged")
        try:
            found = json.loads(plain)["accounts"]
            self._opened, self._sealed = {str(name): str(text) for name, text in found.items()}, sealed
            return self._opened
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        raise KeysUnavailable(f"{self._path}: it opens, but holds no keys of this program; set them again")

    def _write(self, content: dict[str, str]) -> None:
        plain = json.dumps({"version": 1, "accounts": content}).encode()
        sealed = seal_bytes(plain, self._known_passphrase(is_new=not self._path.exists()))
        _replace(self._path, sealed)
        self._opened, self._sealed = content, sealed

    def _known_passphrase(self, *, is_new: bool) -> str:
        if not self._passphrase:
            given = self._ask(str(self._path), is_new)
            if is_new and len(given) < SHORTEST_PASSPHRASE:
                raise KeysUnavailable(f"the passphrase of {self._path} must have at least {SHORTEST_PASSPHRASE} characters")
            self._passphrase = given
        return self._passphrase


def _replace(path: Path, content: bytes) -> None:
    """Put new content in a file's place at once, readable by its owner alone, and on disk before it counts."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
