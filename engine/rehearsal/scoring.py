"""What a played scene came to, held against its bounds."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from engine.events import AlertRaised, Event, OrderFilled, OrderIntended
from engine.golive_words import Measure, Rehearsed
from engine.orders import Purpose
from engine.rehearsal.scenes import ACCOUNT, NEVER, START_NS, Scene
from engine.rehearsal.stopwatch import Stopwatch
from engine.state import State
from engine.units import NS_PER_SECOND, Lots, Minor, Nanoseconds


class Aftermath(NamedTuple):
    """How a scene ended: the engine's state, what the venue itself holds, what the journal says, and whether that is sound
    (`journal_problem` is empty)."""

    state: State
    venue_lots: dict[str, Lots]
    venue_cash_minor: Minor
    events: tuple[Event, ...]
    journal_problem: str
    defects: int


def score(scene: Scene, watch: Stopwatch, end: Aftermath) -> Rehearsed:
    """Every measure of a scene, with its bound."""
    found = _Found(scene, watch, end)
    return Rehearsed(scene.incident, scene.seed, tuple(found.measures()), found.safe_seconds, found.flat_seconds,
                     round(watch.bare_ns / NS_PER_SECOND, 3), found.drift_lots, len(found.doubled))


class _Found:
    """The numbers behind the measures of one scene."""

    def __init__(self, scene: Scene, watch: Stopwatch, end: Aftermath) -> None:
        self._scene, self._watch, self._end = scene, watch, end
        able_ns = max(watch.able_ns, START_NS)
        bare_at_end = watch.seen is None or watch.seen.bare_lots > 0
        held_at_end = watch.seen is None or watch.seen.held_lots > 0
        self.safe_seconds = None if bare_at_end else _seconds(watch.last_bare_ns - able_ns)
        flat_from_ns = START_NS + round(scene.flat_from_second * NS_PER_SECOND) if self._must_be_flat else 0
        self.flat_seconds = None if held_at_end or not self._must_be_flat else _seconds(watch.last_held_ns - flat_from_ns)
        ours = {one.instrument_id: one.lots for one in end.state.positions.values()}
        self.drift_lots = sum(abs(ours.get(key, 0) - end.venue_lots.get(key, 0)) for key in {**ours, **end.venue_lots})
        self.doubled = [*watch.conflicts, *_doubled(end.events)]

    @property
    def _must_be_flat(self) -> bool:
        return self._scene.flat_from_second < NEVER

    def measures(self) -> Iterator[Measure]:
        bounds, watch, end = self._scene.bounds, self._watch, self._end
        most, scene_lots = self._scene.cause_seconds + bounds.beyond_cause_seconds, self._scene.asked_lots
        bare = watch.bare_ns / NS_PER_SECOND
        yield Measure("unprotected", f"{bare:.1f} s", f"at most {most:g} s", bare <= most)
        yield _timed("safe again", self.safe_seconds, bounds.safe_seconds)
        yield Measure("held at most", f"{watch.most_held_lots} lots", f"1 to {scene_lots} lots",
                      0 < watch.most_held_lots <= scene_lots)
        if self._must_be_flat:
            yield _timed("flat", self.flat_seconds, bounds.flat_seconds)
        else:
            held = watch.seen.held_lots if watch.seen else 0
            yield Measure("still held", f"{held} lots", "more than 0", held > 0)
        yield Measure("drift at the end", f"{self.drift_lots} lots", "0", self.drift_lots == 0)
        gap = end.state.accounts[ACCOUNT].cash_minor - end.venue_cash_minor if ACCOUNT in end.state.accounts else -1
        yield Measure("money beside the venue's", f"{gap} minor units", "0", gap == 0)
        yield Measure("orders twice", "; ".join(self.doubled) or "0", "0", not self.doubled)
        yield Measure("orders sent", str(watch.submits), f"at most {bounds.submits}", watch.submits <= bounds.submits)
        yield from self._words()
        yield Measure("journal", end.journal_problem or "sound", "sound", not end.journal_problem)
        yield Measure("failed decisions", str(end.defects), "0", end.defects == 0)

    def _words(self) -> Iterator[Measure]:
        """What must not have been opened, and what must have been told."""
        scene, events = self._scene, self._end.events
        if scene.blocked:
            opened = sorted(_filled_commands(events) & set(scene.blocked))
            found = ", ".join(opened) or (f"{self._watch.entries_in_need} sent" if self._watch.entries_in_need else "nothing")
            yield Measure("opened while blind", found, "nothing", found == "nothing")
        if scene.tells:
            raised = {event.code for event in events if isinstance(event, AlertRaised)}
            missing = [code for code in scene.tells if code not in raised]
            yield Measure("told", f"not {', '.join(missing)}" if missing else "yes", ", ".join(scene.tells), not missing)


def _timed(name: str, seconds: float | None, most: float) -> Measure:
    return Measure(name, "never" if seconds is None else f"{seconds:.1f} s", f"within {most:g} s",
                   seconds is not None and seconds <= most)


def _seconds(span_ns: Nanoseconds) -> float:
    return round(max(0, span_ns) / NS_PER_SECOND, 3)


def _doubled(events: Iterable[Event]) -> list[str]:
    """Entries of one command that exist more than once, and fills that were counted twice."""
    events = tuple(events)
    entries = Counter(event.command_id for event in events
                      if isinstance(event, OrderIntended) and event.intent.purpose is Purpose.ENTRY)
    fills = Counter(event.fill.key for event in events if isinstance(event, OrderFilled))
    return [f"{count} entries of {name}" for name, count in entries.items() if count > 1] + [
        f"fill {key} {count} times" for key, count in fills.items() if count > 1]


def _filled_commands(events: Iterable[Event]) -> set[str]:
    """The commands of which an entry was filled."""
    events = tuple(events)
    filled = {event.fill.client_order_id for event in events if isinstance(event, OrderFilled)}
    return {event.command_id for event in events if isinstance(event, OrderIntended)
            and event.intent.purpose is Purpose.ENTRY and event.intent.client_order_id in filled}
