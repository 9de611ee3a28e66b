"""Asking a person before something is done that cannot be taken back lightly, and reading a time that they name."""

import sys
from datetime import UTC, datetime

from engine.errors import QuarterdeckError, UsageError


def require_agreement(question: str, verb: str, *, yes: bool) -> None:
    """Ask on the terminal unless `yes`; raises `UsageError` where there is none, `QuarterdeckError` where the answer is no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{verb}: needs --yes where there is no terminal to ask on")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise QuarterdeckError(f"{verb}: not confirmed; nothing was changed")


def time_of(text: str, option: str) -> int:
    """A date or time as nanoseconds; without a zone it is UTC. Raises `UsageError`."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f'{option} {text}: is no date or time; write "2026-03-01" or "2026-03-01T14:30:00Z"') from None
    known = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(known.timestamp() * 1_000_000) * 1_000
