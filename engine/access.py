"""Who may act from outside: how often a wrong code was tried, when the next try counts, and which times have been used up.

The codes themselves, and what they are compared with, never come here: the shell compares, the core counts.
"""

import msgspec

from engine.units import NS_PER_SECOND, Nanoseconds

LONGEST_WAIT_SECONDS = 900
A_WAIT = "a wait after a wrong code"  # what a refusal says is allowed, while nothing is compared


class AccessState(msgspec.Struct, frozen=True, omit_defaults=True):
    """`failures` wrong codes in a row, the next try counts from `retry_at_ns` on; `used_step` is the newest time step of an
    authenticator app that opened something: it and all before it open nothing any more."""

    failures: int = 0
    retry_at_ns: Nanoseconds = 0
    used_step: int = 0


class TryCode(msgspec.Struct, frozen=True, tag=True):
    """Somebody gave a code: `way` is what it was compared with, `matched` whether it is right, `step` the time step of an
    authenticator app's code (0 for a PIN), `what` what it is to open."""

    command_id: str
    way: str
    matched: bool
    step: int
    what: str
    by: str = "user"


def wait_ns(failures: int) -> Nanoseconds:
    """How long after so many wrong codes in a row the next try counts: 1, 2, 4 ... seconds, at most a quarter of an hour."""
    return min(LONGEST_WAIT_SECONDS, 2 ** min(failures - 1, 20)) * NS_PER_SECOND if failures > 0 else 0
