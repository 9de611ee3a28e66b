"""What waits to be told, to whom, and when: pure bookkeeping, told the time by its caller.

Every notice goes to the routes of step 0 that want it. The same alert is not repeated within a time; a critical one is
repeated, ever more slowly and to one more step of routes each time, until a person acknowledges it. A route that cannot be
reached is tried for half a day: what it should have told is then told with the time that it is from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from brokers.notifiers.routes import CRITICAL, RANKS, TEST, Route
from engine.effects import Notify
from engine.service import AlertLevel, AlertView
from engine.units import NS_PER_SECOND, Nanoseconds

TRIES = 79  # half a day: eight in the first ten minutes, then every ten
TRIES_IN_VAIN = 5
FIRST_RETRY_SECONDS = 5.0
LONGEST_RETRY_SECONDS = 600.0
KEPT_KEYS = 1_000
FIRST_SPACING_SECONDS = 5.0
LATE_NS = 120 * NS_PER_SECOND


class Moment(NamedTuple):
    """Now: by a clock that never steps, for what is due; and by the wall's, for quiet hours."""

    seconds: float
    at_ns: Nanoseconds


class Terms(NamedTuple):
    """How often and how much is told; the fields are those of the configuration, but for the longest time between two tellings
    of a critical alert that says something else each time."""

    repeat_seconds: float = 600.0
    acknowledge_seconds: float = 300.0
    longest_repeat_seconds: float = 3_600.0
    queue_length: int = 200  # of each route
    longest_spacing_seconds: float = 60.0


class Delivery(NamedTuple):
    """One notice for one route. `asked` counts how often a person has been asked for an acknowledgement, `withheld` the
    repetitions that were not told, `dropped` the notices that had to go for want of room."""

    number: int
    route: str
    notice: Notify
    due_seconds: float
    attempt: int = 0
    asked: int = 0
    withheld: int = 0
    dropped: int = 0

    @property
    def rank(self) -> int:
        return RANKS[self.notice.level]


class Earlier(NamedTuple):
    """An alert that an earlier run of the engine told some seconds ago, to which routes; `raised_ns` is when it was raised."""

    alert_id: str
    level: AlertLevel
    raised_ns: Nanoseconds
    seconds_ago: float
    routes: tuple[str, ...]


@dataclass(slots=True)
class _Told:
    """What was told last of an alert; `earlier` where that was before the engine was started anew."""

    seconds: float
    rank: int
    text: str
    withheld: int = 0
    earlier: Earlier | None = None
    in_other_words: int = 0


@dataclass(slots=True)
class _Open:
    """A critical notice that waits for its acknowledgement; `seen` once the engine has shown its alert."""

    notice: Notify
    due_seconds: float
    wait_seconds: float
    asked: int = 0
    seen: bool = False


@dataclass(slots=True)
class Counts:
    """What became of all notices so far."""

    told: int = 0
    failed: int = 0
    given_up: int = 0
    withheld: int = 0
    dropped: int = 0


class Outbox:
    """Not safe for threads; its owner holds a lock."""

    def __init__(self, routes: Sequence[Route], terms: Terms) -> None:
        self.routes = {route.name: route for route in routes}
        self.counts = Counts()
        self._terms = terms
        self._waiting: list[Delivery] = []
        self._told: dict[str, _Told] = {}
        self._open: dict[str, _Open] = {}
        self._number = 0
        self._dropped_untold = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def in_vain(self) -> int:
        """How many notices wait that their route has not taken for minutes."""
        return sum(one.attempt >= TRIES_IN_VAIN for one in self._waiting)

    @property
    def unacknowledged(self) -> int:
        """How many critical notices wait for a person's acknowledgement."""
        return len(self._open)

    def recall(self, told: Sequence[Earlier], now: Moment) -> None:
        """What was told before the engine was started anew: one that is started every ten seconds repeats nothing by that."""
        for one in told:
            self._told[one.alert_id] = _Told(now.seconds - one.seconds_ago, RANKS[one.level], "", earlier=one)

    def put(self, notice: Notify, now: Moment) -> bool:
        """Take a notice in; False where it is a repetition that is not told, or nobody wants it."""
        wanting = [route for route in self.routes.values() if route.wants(notice)]
        if not wanting:
            return False
        key = notice.alert_id or notice.title
        known = self._told.get(key)
        if known is not None and self._is_repetition(notice, known, now):
            if known.earlier is not None and RANKS[notice.level] == CRITICAL:
                return self._go_on(key, notice, known, wanting, now)
            known.withheld += 1
            self.counts.withheld += 1
            if key in self._open:
                self._open[key].notice = notice
            return False
        critical = RANKS[notice.level] == CRITICAL and not notice.alert_id.startswith(TEST)
        due_seconds, in_other_words = self._due_of(known, now) if critical else (now.seconds, 0)
        self._remember(key, notice, due_seconds, in_other_words)
        if key in self._open and critical:
            self._open[key].notice = notice  # who does not answer is asked again all the same, whatever it says by now
        elif critical:
            wait_seconds = self._terms.acknowledge_seconds
            self._open[key] = _Open(notice, now.seconds + wait_seconds, wait_seconds)
        first = min(route.step for route in wanting) if critical else 0
        for route in wanting:
            if route.step == first or notice.alert_id.startswith(TEST):
                self._enqueue(route.name, notice, due_seconds, withheld=known.withheld if known else 0)
        return True

    def _due_of(self, known: _Told | None, now: Moment) -> tuple[float, int]:
        """When a critical alert in new words is told, at once and then ever more seldom; and how often that was lately."""
        if known is None or known.rank < CRITICAL or known.earlier is not None:
            return now.seconds, 0
        if known.seconds > now.seconds:
            return known.seconds, known.in_other_words
        if now.seconds - known.seconds >= self._terms.repeat_seconds:
            return now.seconds, 0
        spacing_seconds = min(FIRST_SPACING_SECONDS * 2 ** min(known.in_other_words, 10), self._terms.longest_spacing_seconds)
        return max(now.seconds, known.seconds + spacing_seconds), known.in_other_words + 1

    def _is_repetition(self, notice: Notify, known: _Told, now: Moment) -> bool:
        """The same alert within the time, no more important than before; a critical one has to say the same, too."""
        rank = RANKS[notice.level]
        if now.seconds - known.seconds >= self._terms.repeat_seconds or rank > known.rank:
            return False
        if rank < CRITICAL:
            return True
        return notice.text == known.text if known.earlier is None else notice.at_ns == known.earlier.raised_ns

    def _go_on(self, key: str, notice: Notify, known: _Told, wanting: Sequence[Route], now: Moment) -> bool:
        """Wait on for the acknowledgement of what an earlier run told; only routes not reached then are told at once."""
        reached = known.earlier.routes if known.earlier is not None else ()
        known.text, known.earlier = notice.text, None
        wait_seconds = self._terms.acknowledge_seconds
        self._open[key] = _Open(notice, known.seconds + wait_seconds, wait_seconds)
        first = min(route.step for route in wanting)
        untold = [route for route in wanting if route.step == first and route.name not in reached]
        for route in untold:
            self._enqueue(route.name, notice, now.seconds)
        return bool(untold)

    def _remember(self, key: str, notice: Notify, seconds: float, in_other_words: int) -> None:
        self._told.pop(key, None)
        self._told[key] = _Told(seconds, RANKS[notice.level], notice.text, in_other_words=in_other_words)
        while len(self._told) > KEPT_KEYS:
            del self._told[next(iter(self._told))]

    def _enqueue(self, route: str, notice: Notify, due_seconds: float, *, asked: int = 0, withheld: int = 0) -> None:
        """Have a route told; where the same alert waits for it still, the newest words take the place of the older."""
        for place, one in enumerate(self._waiting):
            if one.route == route and notice.alert_id and one.notice.alert_id == notice.alert_id:
                waits_on = one.attempt and RANKS[notice.level] <= one.rank
                due_seconds = one.due_seconds if waits_on else min(one.due_seconds, due_seconds)
                self._waiting[place] = one._replace(notice=notice, due_seconds=due_seconds, asked=max(one.asked, asked),
                                                    withheld=one.withheld + withheld + 1)
                return
        self._number += 1
        self._waiting.append(Delivery(self._number, route, notice, due_seconds, asked=asked, withheld=withheld))
        of_route = [one for one in self._waiting if one.route == route]
        if len(of_route) > self._terms.queue_length:
            self._waiting.remove(min(of_route, key=lambda one: (one.rank, one.number)))
            self.counts.dropped += 1
            self._dropped_untold += 1

    def take(self, route: str, now: Moment) -> Delivery | None:
        """The most important notice that a route can be told of now, the oldest of those; it is no longer waiting then."""
        quiet = self.routes[route].is_quiet(now.at_ns)
        found = [one for one in self._waiting
                 if one.route == route and one.due_seconds <= now.seconds and (not quiet or one.rank == CRITICAL)]
        if not found:
            return None
        taken = min(found, key=lambda one: (-one.rank, one.number))
        self._waiting.remove(taken)
        dropped, self._dropped_untold = self._dropped_untold, 0
        return taken._replace(dropped=taken.dropped + dropped)

    def settle(self, delivery: Delivery, failure: str, now: Moment) -> None:
        """Say how a delivery went; one that failed is tried again, ever more slowly, but not for ever. Where one went well, what
        waits for that route need not wait any longer."""
        if not failure:
            self.counts.told += 1
            self._waiting = [one._replace(due_seconds=now.seconds) if one.route == delivery.route and one.attempt else one
                             for one in self._waiting]
            return
        self.counts.failed += 1
        key = delivery.notice.alert_id or delivery.notice.title
        if delivery.rank == CRITICAL and not delivery.notice.alert_id.startswith(TEST) and key not in self._open:
            return  # acknowledged meanwhile
        attempt = delivery.attempt + 1
        if attempt >= TRIES or delivery.notice.alert_id.startswith(TEST):
            self.counts.given_up += 1
            self._dropped_untold += delivery.dropped
            return
        wait_seconds = min(FIRST_RETRY_SECONDS * 2 ** delivery.attempt, LONGEST_RETRY_SECONDS)
        self._waiting.append(delivery._replace(attempt=attempt, due_seconds=now.seconds + wait_seconds))

    def see(self, alerts: Sequence[AlertView]) -> None:
        """Stop asking for what a person has acknowledged, or what the engine no longer shows."""
        shown = {alert.alert_id: alert for alert in alerts}
        for key, waiting in list(self._open.items()):
            alert = shown.get(waiting.notice.alert_id)
            if alert is not None and not (alert.acknowledged and alert.at_ns >= waiting.notice.at_ns):
                waiting.seen = True
            elif alert is not None or waiting.seen:
                del self._open[key]
                self._told.pop(key, None)
                self._waiting = [one for one in self._waiting if (one.notice.alert_id or one.notice.title) != key]

    def escalate(self, now: Moment) -> None:
        """Ask again for each acknowledgement that is overdue, one step further than before."""
        for waiting in self._open.values():
            if waiting.due_seconds > now.seconds:
                continue
            waiting.asked += 1
            waiting.wait_seconds = min(2 * waiting.wait_seconds, self._terms.longest_repeat_seconds)
            waiting.due_seconds = now.seconds + waiting.wait_seconds
            wanting = [route for route in self.routes.values() if route.wants(waiting.notice)]
            steps = sorted({route.step for route in wanting})
            furthest = steps[min(waiting.asked, len(steps) - 1)] if steps else 0
            queued = {one.route for one in self._waiting if one.notice.alert_id == waiting.notice.alert_id}
            for route in wanting:
                if route.step <= furthest and route.name not in queued:
                    self._enqueue(route.name, waiting.notice, now.seconds, asked=waiting.asked)


def words_of(delivery: Delivery, mode: str, now_ns: Nanoseconds) -> tuple[str, str]:
    """Title and text as they are sent: one line each of plain text; which money, how important, whose portfolio, and from when
    it is where it is told late."""
    notice = delivery.notice
    where = f" [{notice.portfolio}]" if notice.portfolio else ""
    title = f"{mode} {notice.level.value}{where} {notice.title}"
    said = [notice.text]
    if notice.at_ns and now_ns - notice.at_ns > LATE_NS:
        said.append(f"raised {datetime.fromtimestamp(notice.at_ns // NS_PER_SECOND, UTC):%Y-%m-%d %H:%M} UTC")
    if delivery.asked:
        said.append(f"not acknowledged, told {delivery.asked + 1} times: `quarterdeck alerts`, or n in the workstation")
    if delivery.withheld:
        said.append(f"{delivery.withheld} more of these were not told")
    if delivery.dropped:
        said.append(f"{delivery.dropped} less important notices were dropped")
    return _plain(title), _plain(" · ".join(said))


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
