"""The one tree of exceptions: what must not be. Expected answers (`Refused`, `Unanswered`) are return values instead."""


class QuarterdeckError(Exception):
    """A failure told to a person in one line: what, where, what to do.

    `exit_status` is what a command ends with: 1 failed, 2 wrong usage or configuration, 3 nothing reachable.
    """

    exit_status = 1


class ConfigError(QuarterdeckError):
    """The configuration is missing, malformed or contradicts itself."""

    exit_status = 2


class UsageError(QuarterdeckError):
    """A command was asked for something that cannot be meant."""

    exit_status = 2


class InstrumentError(QuarterdeckError):
    """An instrument's increments are impossible, or its products do not fit 62 bits."""


class TapeError(QuarterdeckError):
    """A recorded tape cannot be read; the message names file, line and column."""


class TapeMissing(TapeError):
    """A file that was named is none: wrong usage, not a bad tape."""

    exit_status = 2


class StoreError(QuarterdeckError):
    """What lasts could not be read or written."""


class HomeUnusable(StoreError):
    """The home folder is missing, read-only, full or of a newer version."""


class HomeLocked(StoreError):
    """Another engine holds this home."""


class KeysUnavailable(StoreError):
    """The place where venue keys lie is missing, locked, or does not open; never says what lies there."""


class JournalDamaged(StoreError):
    """A journal row does not match its hash, its neighbour or its sequence; the message names the row."""


class JournalUnwritable(StoreError):
    """The journal refused a write: nothing that depends on it may happen."""


class EngineUnreachable(QuarterdeckError):
    """No engine answers on the control socket."""

    exit_status = 3


class VenueUnreachable(QuarterdeckError):
    """The venue cannot be reached, so what it holds is not known."""

    exit_status = 3


class KeyRefused(VenueUnreachable):
    """The venue is there, and does not accept the key or what the key may do; without another one nothing can be known."""

    exit_status = 1


class InvariantBroken(QuarterdeckError):
    """Our own code did what it must never do."""
