"""Encryption in the age format, by passphrase or to a recipient: what is sealed here opens with any tool that speaks it.

`age -d FILE` opens what a passphrase sealed, `age -d -i IDENTITY FILE` what was sealed to a recipient. Nothing of the
format is of our own making.
"""

import os
from pathlib import Path
from typing import NamedTuple

from engine.errors import KeysUnavailable, StoreError, UsageError

AGE_MAGIC = b"age-encryption.org/v1\n"
_SCRYPT = b"-> scrypt "
SHORTEST_PASSPHRASE = 8


class Seal(NamedTuple):
    """With what to encrypt: a recipient (`age1…`) or a passphrase; exactly one of them is given."""

    recipient: str = ""
    passphrase: str = ""


class Unseal(NamedTuple):
    """With what to decrypt: the text of an identity file, or a passphrase."""

    identity: str = ""
    passphrase: str = ""


def seal_bytes(plain: bytes, passphrase: str) -> bytes:
    """Encrypt with a passphrase (scrypt, ChaCha20-Poly1305)."""
    from pyrage import passphrase as age

    sealed: bytes = age.encrypt(plain, passphrase)
    return sealed


def unseal_bytes(sealed: bytes, passphrase: str) -> bytes | None:
    """The plain text, None where the passphrase does not open it."""
    from pyrage import DecryptError
    from pyrage import passphrase as age

    try:
        plain: bytes = age.decrypt(sealed, passphrase)
    except DecryptError:
        return None
    return plain


def is_recipient(text: str) -> bool:
    """Whether a text is a public key that files can be sealed to."""
    from pyrage import RecipientError, x25519

    try:
        x25519.Recipient.from_str(text)
    except RecipientError:
        return False
    return True


def seal_file(source: Path, target: Path, seal: Seal) -> None:
    """Encrypt `source` into the new file `target`, mode 0600, durable before this returns.

    To a recipient it is streamed; with a passphrase both texts are held in memory. Raises `UsageError` for a recipient that
    is none or a passphrase too short, `StoreError` where it cannot be written.
    """
    if seal.recipient and not is_recipient(seal.recipient):
        raise UsageError(f'recipient "{seal.recipient}": is no age public key; one begins with age1')
    if not seal.recipient and len(seal.passphrase) < SHORTEST_PASSPHRASE:
        raise UsageError(f"the passphrase must have at least {SHORTEST_PASSPHRASE} characters")
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            if seal.recipient:
                from pyrage import encrypt_io, x25519

                with source.open("rb") as plain:
                    encrypt_io(plain, file, [x25519.Recipient.from_str(seal.recipient)])
            else:
                file.write(seal_bytes(source.read_bytes(), seal.passphrase))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StoreError(f"{target}: cannot be written: {error.strerror or error}; check the folder") from error


def is_sealed(path: Path) -> bool:
    """Whether a file is of the age format."""
    try:
        with path.open("rb") as file:
            return file.read(len(AGE_MAGIC)) == AGE_MAGIC
    except OSError:
        return False


def wants_passphrase(path: Path) -> bool:
    """Whether a sealed file opens with a passphrase; the others open with an identity."""
    with path.open("rb") as file:
        file.seek(len(AGE_MAGIC))
        return file.read(len(_SCRYPT)) == _SCRYPT


def unseal_file(source: Path, target: Path, key: Unseal) -> None:
    """Decrypt `source` into the new file `target`, mode 0600; raises `KeysUnavailable` where the key does not open it, and
    then leaves nothing behind."""
    by_passphrase = wants_passphrase(source)
    if by_passphrase and not key.passphrase:
        raise KeysUnavailable(f"{source}: is sealed with a passphrase; nobody gave one")
    if not by_passphrase and not key.identity:
        raise KeysUnavailable(f"{source}: is sealed to a recipient; name the file of its identity with --identity")
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            opened = _pour(source, file.fileno(), key, by_passphrase=by_passphrase)
    except OSError as error:
        target.unlink(missing_ok=True)
        raise StoreError(f"{target}: cannot be written: {error.strerror or error}; check the folder") from error
    if not opened:
        target.unlink(missing_ok=True)
        told = "that passphrase does not open it" if by_passphrase else "no identity of that file opens it"
        raise KeysUnavailable(f"{source}: {told}, or the file is damaged")


def _pour(source: Path, descriptor: int, key: Unseal, *, by_passphrase: bool) -> bool:
    """Write the plain text to an open file; whether the key opened it."""
    with os.fdopen(os.dup(descriptor), "wb") as file:
        if by_passphrase:
            plain = unseal_bytes(source.read_bytes(), key.passphrase)
            if plain is not None:
                file.write(plain)
            return plain is not None
        from pyrage import DecryptError, decrypt_io

        try:
            with source.open("rb") as sealed:
                decrypt_io(sealed, file, _identities(source, key.identity))
        except DecryptError:
            return False
        return True


def _identities(source: Path, text: str) -> list[object]:
    """The private keys of an identity file, as `age-keygen` writes one: a key a line, remarks after `#`."""
    from pyrage import IdentityError, x25519

    lines = [line.strip() for line in text.splitlines()]
    try:
        found: list[object] = [x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except IdentityError:
        found = []
    if not found:
        raise KeysUnavailable(f"{source}: the identity file holds no age private key; it should have a line AGE-SECRET-KEY-1…")
    return found
