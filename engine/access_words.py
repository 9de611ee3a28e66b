"""What one who looks in may do: told by whatever stands between a screen and the engine, and asked to open."""

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from engine.service import Receipt


class AccessView(msgspec.Struct, frozen=True, omit_defaults=True):
    """What this screen or connection may do.

    `read_only`: nothing at all. `guarded`: what opens or loosens something asks for a code, of one of `ways` (none are set
    up where it is empty); `unlocked_seconds` is for how much longer it does not. `idle_seconds` without a key lock the screen
    (0: never).
    """

    read_only: bool = False
    guarded: bool = False
    ways: tuple[str, ...] = ()
    unlocked_seconds: float = 0.0
    idle_seconds: int = 0

    @property
    def locks(self) -> bool:
        """Whether there is anything to lock, and a way to unlock it again."""
        return self.guarded and bool(self.ways)


class AccessGate(Protocol):
    """What stands between a screen and the engine."""

    def access(self) -> AccessView:
        """What may be done now; never waits for the engine."""
        ...

    async def unlock(self, code: str) -> "Receipt":
        """Open with a PIN or an authenticator app's code; raises `EngineUnreachable`."""
        ...

    async def lock(self) -> None:
        """Close again at once."""
        ...
