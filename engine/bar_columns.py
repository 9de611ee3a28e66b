"""The closed bars of one instrument as strategies see them: those of the feed, and longer ones that these are joined into."""

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from functools import partial

from engine.inputs import Bar
from engine.instruments import ALWAYS_OPEN
from engine.kernel.joining import NEVER_CLOSES_NS, NEVER_OPENS_NS, Part, fits, joined, nothing_gathered
from engine.kernel.wants import BarColumns
from engine.market import KEPT_BARS
from engine.trading_hours import SessionBounds, SessionLookup
from engine.units import NS_PER_SECOND, Nanoseconds

LONGEST_COLUMNS = 4 * KEPT_BARS
TRIMMED_COLUMNS = 2 * KEPT_BARS
AT_ALL_TIMES = SessionBounds(NEVER_OPENS_NS, NEVER_CLOSES_NS)


class Columns:
    """Closed bars, oldest first; trimmed once rules have begun to run on them."""

    def __init__(self) -> None:
        self.bars = BarColumns(*(array("q") for _ in BarColumns._fields))

    def add(self, bar: Bar) -> bool:
        """Take a bar in; False for one that is no newer than what is known."""
        closes_ns = self.bars.closes_ns
        if closes_ns and bar.close_ns <= closes_ns[-1]:
            return False
        self._append(bar[1:])
        return True

    def _append(self, row: Sequence[int]) -> None:
        for column, value in zip(self.bars, row, strict=True):
            column.append(value)  # type: ignore[attr-defined]

    def trim(self) -> None:
        if len(self.bars.closes_ns) > LONGEST_COLUMNS:
            for column in self.bars:
                del column[:-TRIMMED_COLUMNS]  # type: ignore[attr-defined]

    def __len__(self) -> int:
        return len(self.bars.closes_ns)


class LongerColumns(Columns):
    """Longer bars, joined from parts by `engine.kernel.joining`. `told_ns` is when each was told; `problem` says why there will
    be none."""

    def __init__(self, bar_ns: Nanoseconds, session: str, sessions: SessionLookup) -> None:
        super().__init__()
        self.told_ns = array("q")
        self.problem = ""
        self._bar_ns = bar_ns
        self._session = session
        self._sessions = sessions
        self._bounds = AT_ALL_TIMES if session == ALWAYS_OPEN else SessionBounds(NEVER_OPENS_NS, NEVER_OPENS_NS)
        self._gathered = nothing_gathered()

    def join(self, bar: Bar) -> bool:
        """Take one more part; whether it tells a longer bar, which then is the newest."""
        return self.join_part(Part(*bar[1:]))

    def join_part(self, part: Part) -> bool:
        if not fits(part, self._bar_ns):
            seconds, own = (part.close_ns - part.open_ns) // NS_PER_SECOND, self._bar_ns // NS_PER_SECOND
            self.problem = f"a bar of {seconds:,} s does not fit into bars of {own:,} s; set bar to a length that its bars divide"
            return False
        if part.open_ns >= self._bounds.close_ns:
            self._bounds = self._sessions(self._session, part.open_ns)
        self._gathered, told, is_told = joined(self._gathered, part, self._bar_ns, *self._bounds)
        if is_told:
            self._append(told[:len(BarColumns._fields)])
            self.told_ns.append(part.close_ns)
        return is_told

    def lose_track(self) -> None:
        """What comes next may not go on from here: the next bucket counts only where its beginning is seen."""
        self._gathered = nothing_gathered()

    def trim(self) -> None:
        super().trim()
        del self.told_ns[:-len(self)]


class InstrumentBars:
    """The bars of one instrument: those of the feed, and those of each longer length that a strategy asks for. `told` are the
    lengths that have a new bar since the newest bar of the feed; the feed's own length is 0."""

    def __init__(self, lengths: Sequence[Nanoseconds], session: str, sessions: SessionLookup) -> None:
        self.feed = Columns()
        self._blank = partial(LongerColumns, session=session, sessions=sessions)
        self.longer = {bar_ns: self._blank(bar_ns) for bar_ns in lengths}
        self.told: tuple[Nanoseconds, ...] = ()

    def add(self, bar: Bar) -> bool:
        """Take a bar of the feed in; False for one that is no newer than what is known."""
        if not self.feed.add(bar):
            return False
        self.told = (0, *(bar_ns for bar_ns, columns in self.longer.items() if columns.join(bar)))
        return True

    def begin_with(self, bar_ns: Nanoseconds, parts: Sequence[Bar]) -> None:
        """Join the longer bars of a length anew: from parts of an older past, oldest first, then from the feed's bars after them.
        Where the feed's do not go on from there, the bucket in between is not whole and is left out."""
        columns = self.longer[bar_ns] = self._blank(bar_ns)
        for part in parts:
            columns.join(part)
        known = self.feed.bars
        after_ns = parts[-1].close_ns if parts else NEVER_OPENS_NS
        if parts and (not len(self.feed) or known.opens_ns[0] > after_ns):
            columns.lose_track()
        for row in zip(*known, strict=True):
            if row[0] >= after_ns:
                columns.join_part(Part(*row))

    def of(self, bar_ns: Nanoseconds) -> Columns:
        return self.longer[bar_ns] if bar_ns else self.feed

    def trim(self) -> None:
        self.feed.trim()
        for columns in self.longer.values():
            columns.trim()


type Times = Sequence[Nanoseconds]


def common_moments(feeds_ns: Sequence[Times], longer: Sequence[tuple[Times, Times]]) -> list[tuple[Nanoseconds, Nanoseconds]]:
    """When a basket is asked on longer bars: `(moment, end of the bars)`, rising.

    `feeds_ns` are the times at which each instrument's own bars close; `longer` the ends of its longer bars and when each was
    told. It is asked at the first moment at which a bar of every instrument closes and the newest longer bars of all of them
    end together, once for each such end. What was told before the first of the feed's bars was asked when it was told.
    """
    first_ns = max((closes_ns[0] for closes_ns in feeds_ns if len(closes_ns)), default=0)
    whole = sorted(set(feeds_ns[0]).intersection(*feeds_ns[1:]))
    places = [{end_ns: place for place, end_ns in enumerate(ends_ns)} for ends_ns, _ in longer]
    found = []
    for end_ns in longer[0][0]:
        at = [known[end_ns] for known in places if end_ns in known]
        if len(at) < len(longer):
            continue
        since_ns = max(told_ns[place] for place, (_, told_ns) in zip(at, longer, strict=True))
        until_ns = min(told_ns[place + 1] if place + 1 < len(told_ns) else NEVER_CLOSES_NS
                       for place, (_, told_ns) in zip(at, longer, strict=True))
        first = bisect_left(whole, since_ns)
        if since_ns < first_ns:
            found.append((since_ns, end_ns))
        elif first < len(whole) and whole[first] < until_ns:
            found.append((whole[first], end_ns))
    return found
