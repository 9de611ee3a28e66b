"""What was seen at the venue itself while a scene was played: the measure of a rehearsal, apart from what the engine tells."""

import msgspec

from engine.units import Lots, Nanoseconds


class Sight(msgspec.Struct, frozen=True):
    """The venue at one moment: lots held, those of them that no stop there covers and no engine could leave, open orders."""

    at_ns: Nanoseconds
    held_lots: Lots
    bare_lots: Lots
    open_orders: int


class Stopwatch(msgspec.Struct):
    """Adds up what is seen; each sight holds until the next. `able_ns` is when the last breakage was over."""

    bare_ns: Nanoseconds = 0
    last_bare_ns: Nanoseconds = 0
    last_held_ns: Nanoseconds = 0
    able_ns: Nanoseconds = 0
    most_held_lots: Lots = 0
    submits: int = 0
    entries_in_need: int = 0
    conflicts: tuple[str, ...] = ()
    seen: Sight | None = None

    def note(self, sight: Sight) -> None:
        """Take a sight; what the one before showed was so until now."""
        before, self.seen = self.seen, sight
        self.most_held_lots = max(self.most_held_lots, sight.held_lots)
        if before is None:
            return
        if before.bare_lots:
            self.bare_ns += sight.at_ns - before.at_ns
            self.last_bare_ns = sight.at_ns
        if before.held_lots:
            self.last_held_ns = sight.at_ns
