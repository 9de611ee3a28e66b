"""Which strategies of a person's own were tried in the backtest, by the content of their files."""

from pathlib import Path

import msgspec

from engine.errors import StoreError

FILE = "tried.json"


class Trial(msgspec.Struct, frozen=True):
    """One backtest of a strategy's file in exactly this form."""

    rule: str
    at_ns: int
    bars: int
    round_trips: int


def trials(folder: Path) -> dict[str, Trial]:
    """The trials by the SHA-256 of the file tried; raises `StoreError` where the record is no such thing."""
    path = folder / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Trial])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        raise StoreError(f"{path}: cannot be read ({error}); delete it and try the strategies again") from error


def record_trial(folder: Path, digest: str, trial: Trial) -> None:
    """Write down that a file of this content was tried; raises `StoreError`."""
    path = folder / FILE
    new = path.with_suffix(".new")
    try:
        new.write_bytes(msgspec.json.format(msgspec.json.encode({**trials(folder), digest: trial}), indent=1) + b"\n")
        new.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from error
