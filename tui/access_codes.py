"""What codes are compared with: a PIN hashed with scrypt, an authenticator app's time steps, the signed codes of notices.

Kept with the keys, under names of their own. A code itself is kept nowhere, logged nowhere, and never an argument's default.
"""

import base64
import hashlib
import hmac
import secrets
from typing import NamedTuple

from engine.units import NS_PER_SECOND

PIN, TOTP, APPROVALS = "access:pin", "access:totp", "access:approvals"
ISSUER = "Quarterdeck"
SHORTEST_PIN = 6
LONGEST_CODE = 128
STEP_SECONDS = 30
STEPS_ASIDE = 1  # a phone's clock may be half a minute off
SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**15, 8, 1
SCRYPT_BYTES = 64 << 20
SALT_BYTES = 16
APPROVAL_BYTES = 10
GROUP = 4


class AccessSecrets(NamedTuple):
    """What codes are compared with: a hashed PIN, an authenticator's secret, the key that signs codes of notices; empty where
    nothing is set up. Never shown."""

    pin: str = ""
    totp: str = ""
    approvals: str = ""

    @property
    def ways(self) -> tuple[str, ...]:
        return tuple(name for name, kept in (("pin", self.pin), ("totp", self.totp)) if kept)

    def __repr__(self) -> str:
        return "AccessSecrets(hidden)"


class Compared(NamedTuple):
    """The outcome of a comparison: by which way, whether it is right, and the time step that it stands for (0: none)."""

    way: str
    matched: bool
    step: int = 0


def hashed_pin(pin: str) -> str:
    """A PIN as it is kept: scrypt (RFC 7914) with a salt of its own, and its parameters beside it."""
    salt = secrets.token_bytes(SALT_BYTES)
    found = _scrypt(pin, salt, SCRYPT_N, SCRYPT_R, SCRYPT_P)
    return f"scrypt${SCRYPT_N}${SCRYPT_R}${SCRYPT_P}${_text(salt)}${_text(found)}"


def pin_matches(kept: str, pin: str) -> bool:
    """Whether a PIN is the one that was hashed; False for what is no hash of ours."""
    try:
        kind, n, r, p, salt, expected = kept.split("$")
        found = _scrypt(pin, base64.b64decode(salt), int(n), int(r), int(p))
        return kind == "scrypt" and hmac.compare_digest(found, base64.b64decode(expected))
    except ValueError:
        return False


def new_totp(name: str) -> tuple[str, str]:
    """A new secret for an authenticator app, and the address by which an app takes it in."""
    import pyotp

    secret = pyotp.random_base32()
    return secret, pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER)


def totp_step(secret: str, code: str, at_seconds: int) -> int:
    """The time step that an authenticator's code stands for, now or one step aside (RFC 6238); 0 where it is wrong."""
    import pyotp

    code = code.replace(" ", "")
    found = 0
    now = at_seconds // STEP_SECONDS
    for step in range(max(1, now - STEPS_ASIDE), now + STEPS_ASIDE + 1):
        expected = pyotp.TOTP(secret).at(step * STEP_SECONDS)
        if hmac.compare_digest(expected.encode(), code.encode(errors="replace")):
            found = step
    return found


def compared(kept: AccessSecrets, code: str, at_seconds: int) -> Compared:
    """A code against everything that is set up; takes about a tenth of a second for a PIN, whatever comes of it."""
    if not code or len(code) > LONGEST_CODE:
        return Compared("", matched=False)
    step = totp_step(kept.totp, code, at_seconds) if kept.totp else 0
    if step:
        return Compared("totp", matched=True, step=step)
    if kept.pin and pin_matches(kept.pin, code):
        return Compared("pin", matched=True)
    return Compared(kept.ways[0] if kept.ways else "", matched=False)


def approval_code(key: str, proposal_id: str, digest: str, expires_at_ns: int) -> str:
    """The code that a notice carries: signed for exactly this card, until it expires; sixteen letters and digits in fours."""
    signed = f"{proposal_id}\n{digest}\n{expires_at_ns // NS_PER_SECOND}".encode()
    letters = base64.b32encode(hmac.new(key.encode(), signed, hashlib.sha256).digest()[:APPROVAL_BYTES]).decode()
    return "-".join(letters[place:place + GROUP] for place in range(0, len(letters), GROUP))


def same_approval_code(expected: str, given: str) -> bool:
    """Whether somebody gave that code, however they grouped it."""
    plain = "".join(letter for letter in given.upper() if letter.isalnum())
    return hmac.compare_digest(expected.replace("-", "").encode(), plain.encode(errors="replace"))


def _scrypt(pin: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(pin.encode(), salt=salt, n=n, r=r, p=p, maxmem=SCRYPT_BYTES, dklen=32)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
