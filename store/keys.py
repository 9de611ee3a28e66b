"""Venue keys: what one is, and where the platform's keyring keeps it. A key is never shown, logged, printed or pickled."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, Protocol

from engine.errors import KeysUnavailable
from store.redaction import know

ACCOUNTS_ENTRY = "#accounts"  # what a keyring cannot do by itself: name what it holds
REMEDY = ('on a server without a keyring choose the encrypted file: [keys] store = "file" in config.toml')
HIDDEN = "Key(hidden)"


class Key:
    """The fields that a venue asks for: `key_id` and `secret`, and a `passphrase` where the venue has one.

    Not a record on purpose: nothing that walks over fields (a repr, a codec, a traceback with locals) meets the values.
    """

    __slots__ = ("_parts",)

    def __init__(self, key_id: str, secret: str, passphrase: str = "") -> None:
        self._parts: Callable[[], tuple[str, str, str]] = lambda: (key_id, secret, passphrase)
        know(key_id, secret, passphrase)

    @property
    def key_id(self) -> str:
        return self._parts()[0]

    @property
    def secret(self) -> str:
        return self._parts()[1]

    @property
    def passphrase(self) -> str:
        return self._parts()[2]

    def __repr__(self) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash(self._parts())

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not pickled")

    def to_text(self) -> str:
        """The key as it is kept: JSON, for a keyring's or an encrypted file's eyes only."""
        return json.dumps({"key_id": self.key_id, "secret": self.secret, "passphrase": self.passphrase})


def key_from_text(text: str, where: str) -> Key:
    """The key that `to_text` wrote; raises `KeysUnavailable` without a word of what was found."""
    with contextlib.suppress(ValueError):
        found = json.loads(text)
        if isinstance(found, dict):
            parts = [found.get(name, "") for name in ("key_id", "secret", "passphrase")]
            if all(isinstance(part, str) for part in parts) and parts[0] and parts[1]:
                return Key(*parts)
    raise KeysUnavailable(f"{where}: what is kept there is not a key; set it again with `quarterdeck keys set`")


class KeyStore(Protocol):
    """Where keys lie, by account. Everything raises `KeysUnavailable` where the place cannot be reached or opened."""

    def describe(self) -> str:
        """The place in words."""
        ...

    def accounts(self) -> tuple[str, ...]:
        """The accounts whose key lies here, sorted."""
        ...

    def read(self, account: str) -> Key | None: ...

    def write(self, account: str, key: Key) -> None: ...

    def delete(self, account: str) -> bool:
        """Forget a key; False where there was none."""
        ...


class KeyringStore:
    """Keys in the platform's keyring, under a service of this home's own."""

    def __init__(self, home: Path) -> None:
        self._service = f"quarterdeck {home}"

    def describe(self) -> str:
        import keyring

        return f"the keyring ({_reached(lambda: keyring.get_keyring().name)})"

    def accounts(self) -> tuple[str, ...]:
        text = self._get(ACCOUNTS_ENTRY)
        with contextlib.suppress(ValueError):
            found = json.loads(text or "[]")
            if isinstance(found, list):
                return tuple(sorted(str(name) for name in found))
        return ()

    def read(self, account: str) -> Key | None:
        text = self._get(account)
        return None if text is None else key_from_text(text, f"keyring entry of {account}")

    def write(self, account: str, key: Key) -> None:
        self._set(account, key.to_text())
        self._set(ACCOUNTS_ENTRY, json.dumps(sorted({*self.accounts(), account})))

    def delete(self, account: str) -> bool:
        import keyring

        _require_safe_keyring()
        if self._get(account) is None:
            return False
        _reached(lambda: keyring.delete_password(self._service, account))
        self._set(ACCOUNTS_ENTRY, json.dumps([name for name in self.accounts() if name != account]))
        return True

    def _get(self, name: str) -> str | None:
        import keyring

        _require_safe_keyring()
        return _reached(lambda: keyring.get_password(self._service, name))

    def _set(self, name: str, text: str) -> None:
        import keyring

        _require_safe_keyring()
        _reached(lambda: keyring.set_password(self._service, name, text))


def _reached[T](call: Callable[[], T]) -> T:
    """What a keyring answers. Its back ends are plug-ins: whatever one raises ends here, without its arguments."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - a plug-in's exception may hold the secret in its text
        kind = type(error).__name__
    raise KeysUnavailable(f"the keyring cannot be used ({kind}): unlock it, or {REMEDY}")


def _require_safe_keyring() -> None:
    """Refuse what is no keyring: none at all, one that forgets, one that writes plain text."""
    import keyring

    found = _reached(keyring.get_keyring)
    module = type(found).__module__
    parts = list(getattr(found, "backends", (found,))) if module == "keyring.backends.chainer" else [found]
    if module == "keyring.backends.fail" or not parts:
        raise KeysUnavailable(f"there is no keyring here; {REMEDY}")
    for part in parts:
        if type(part).__module__ == "keyring.backends.null":
            raise KeysUnavailable(f"the keyring is switched off; {REMEDY}")
        if type(part).__module__.startswith("keyrings.alt"):
            raise KeysUnavailable(f"the keyring {type(part).__name__} does not keep secrets safe; {REMEDY}")
