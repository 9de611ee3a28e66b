"""What a strategy of one's own is written against: a file NAME.py in the home's folder strategies/.

    from typing import NamedTuple

    class Params(NamedTuple):          # numbers with defaults; config.toml may set others
        bars: int = 20
        risk_bps: int = 100

    def warmup(params):                # how many bars it must have seen before it may want anything
        return params.bars

    def on_bar(context):               # after each closed bar; None wants nothing
        if context.held.lots == 0 and context.close() > context.highest(context.params.bars, back=1):
            return context.buy(risk_bps=context.params.risk_bps, stop_ticks=context.lowest(10))
        if context.held.lots and context.close() < context.lowest(10, back=1):
            return context.leave()

Prices are whole ticks, volumes lots, times nanoseconds. Optional: `Memory`, a class of numbers with defaults (`count: int = 0`),
read and set as `context.memory.count`; it is found again from history after a restart, and what does not depend on bars alone (a
counter of its own wants) is named in `KEPT = ("count", ...)` and journaled. A NamedTuple will do as well, set as a whole. `BOUNDS
= {"bars": (2, 500)}` limits parameters.
The same bars must bring the same wants: neither chance nor clock, and nothing remembered but in `context.memory`.
"""

from typing import Any

from engine.kernel.indicators import deviation_at
from engine.kernel.regimes import Regime, regime_at
from engine.kernel.wants import BY_RISK, BY_SHARE, ENTER, LEAVE, NOTHING, BarColumns, Held, RuleWant, flat
from engine.strategies.tracks import Track

MOST_BARS = 10_000_000
WHOLE_BPS = 10_000
MOST_BPS = 100 * WHOLE_BPS
MOST_TICKS = 1 << 62


class Context:
    """The closed bars up to now, what is held, the parameters and the memory; `back` counts bars from the newest (0)."""

    __slots__ = ("_known", "_tracks", "bars", "closes", "held", "highs", "lows", "memory", "params", "place", "seen")

    def __init__(self) -> None:
        self.params: Any = None
        self.memory: Any = None
        self._known: dict[int, tuple[BarColumns, dict[tuple[int, str, int], Track]]] = {}
        self.show(BarColumns((), (), (), (), (), (), ()))
        self.place = 0
        self.seen = 0
        self.held: Held = flat()

    def show(self, bars: BarColumns) -> None:
        """The columns that the next bars stand in."""
        self.bars, self.highs, self.lows, self.closes = bars, bars.highs, bars.lows, bars.closes
        self._tracks: dict[tuple[int, str, int], Track] | None = None

    # ---- bars ----

    def open(self, back: int = 0) -> int:
        return self.bars.opens[self._at(back)]

    def high(self, back: int = 0) -> int:
        return self.highs[self.place - back if 0 <= back < self.seen else self._at(back)]

    def low(self, back: int = 0) -> int:
        return self.lows[self.place - back if 0 <= back < self.seen else self._at(back)]

    def close(self, back: int = 0) -> int:
        return self.closes[self.place - back if 0 <= back < self.seen else self._at(back)]

    def volume(self, back: int = 0) -> int:
        return self.bars.volumes[self._at(back)]

    def close_ns(self, back: int = 0) -> int:
        return self.bars.closes_ns[self._at(back)]

    def highest(self, count: int, back: int = 0) -> int:
        """The highest high of `count` bars, the newest of them `back` bars ago."""
        return max(self.bars.highs[self._at(back + count - 1):self._at(back) + 1])

    def lowest(self, count: int, back: int = 0) -> int:
        return min(self.bars.lows[self._at(back + count - 1):self._at(back) + 1])

    def mean(self, count: int, back: int = 0) -> float:
        """The mean of `count` closes."""
        return sum(self.bars.closes[self._at(back + count - 1):self._at(back) + 1]) / count

    # ---- indicators ----

    def deviation(self, count: int, back: int = 0) -> float:
        """The standard deviation of `count` closes, over all of them: Bollinger's bands lie some of them around `mean`."""
        self._at(back + count - 1)
        return deviation_at(self.closes, self.place - back, count)

    def ema(self, count: int, back: int = 0) -> float:
        """The exponential mean of closes, seeded with the first close that is known."""
        return self._track("ema", count, back, count - 1)

    def rsi(self, count: int = 14, back: int = 0) -> float:
        """Wilder's relative strength index, 0 to 100."""
        return self._track("rsi", count, back, count)

    def atr(self, count: int = 14, back: int = 0) -> float:
        """Wilder's average true range, in ticks."""
        return self._track("atr", count, back, count - 1)

    def _track(self, kind: str, count: int, back: int, needs: int) -> float:
        tracks = self._tracks if self._tracks is not None else self._tracks_of_bars()
        first = self.place - self.seen + 1
        track = tracks.get((first, kind, count))
        if track is None:
            track = tracks[first, kind, count] = Track(kind, count)
        self._at(back)
        self._at(back + needs)
        return track.at(self.bars, first, self.place, back)

    def _tracks_of_bars(self) -> dict[tuple[int, str, int], Track]:
        """What was found over these columns so far; they are held with it, so that nothing else takes their place."""
        known = self._known.get(id(self.bars.closes_ns))
        if known is None:
            if sum(len(bars.closes_ns) for bars, _ in self._known.values()) > MOST_BARS:
                self._known.clear()
            known = self._known[id(self.bars.closes_ns)] = (self.bars, {})
        self._tracks = known[1]
        return known[1]

    def regime(self, trend_bars: int = 60, volatility_bars: int = 20, usual_bars: int = 240, trend_from: float = 0.3,
               calm_below: float = 0.67, wild_from: float = 1.5) -> Regime:
        """Whether the market trends (`trend` +1, -1, 0) and is wild (`volatility` +1) or calm (-1), by the bars so far; its
        `known` is 0 where they are too few. The numbers are those of [regimes] in config.toml."""
        return regime_at(self.bars.closes, self.place, self.seen, trend_bars, volatility_bars, usual_bars, trend_from,
                         calm_below, wild_from)

    def _at(self, back: int) -> int:
        if back < 0:
            raise IndexError(f"back counts bars from the newest, 0 or more, not {back}")
        if back >= self.seen:
            raise IndexError(f"{back} bars back: only {self.seen} are known; let warmup() ask for more")
        return self.place - back

    # ---- wants ----

    def buy(self, **terms: int) -> RuleWant:
        """Enter long: `risk_bps` of equity at risk between entry and stop, or `share_bps` of equity as notional, with
        `stop_ticks`, `target_ticks` (levels), `trail_ticks` (a distance), `max_hold_ns`; 0 is not asked."""
        return _entering(1, **terms)

    def sell_short(self, **terms: int) -> RuleWant:
        """Enter short, with the terms of `buy`."""
        return _entering(-1, **terms)

    def leave(self, part_bps: int = 10_000) -> RuleWant:
        """Leave what is held, or a part of it."""
        return _meant(RuleWant(LEAVE, 0, BY_RISK, part_bps, 0, 0, 0, 0))


def _entering(sign: int, *, risk_bps: int = 0, share_bps: int = 0, stop_ticks: int = 0, target_ticks: int = 0,
              trail_ticks: int = 0, max_hold_ns: int = 0) -> RuleWant:
    if (risk_bps > 0) == (share_bps > 0):
        raise ValueError("say how much in one way: risk_bps or share_bps")
    levels = [int(value) if abs(value) < MOST_TICKS and value == int(value) else -1
              for value in (stop_ticks, target_ticks, trail_ticks, max_hold_ns)]
    kind, size = (BY_RISK, risk_bps) if risk_bps else (BY_SHARE, share_bps)
    return _meant(RuleWant(ENTER, sign, kind, int(size) if size == int(size) else size, *levels))


def _meant(want: RuleWant) -> RuleWant:
    problem = want_problem(want)
    if problem:
        raise ValueError(problem)
    return want


def want_problem(want: RuleWant) -> str:
    """What is wrong with the numbers of a want, in words; empty where it can be meant."""
    levels = (want.stop_ticks, want.target_ticks, want.trail_ticks, want.max_hold_ns)
    if want.act == NOTHING:
        return ""
    if want.act == LEAVE:
        whole = type(want.size_bps) is int and 1 <= want.size_bps <= WHOLE_BPS
        return "" if whole else f"a part to leave is 1 to {WHOLE_BPS} hundredths of a percent, not {want.size_bps!r}"
    if want.act != ENTER or want.sign not in (1, -1) or want.size_kind not in (BY_RISK, BY_SHARE):
        return f"{want!r}; use context.buy(...), context.sell_short(...) or context.leave()"
    if type(want.size_bps) is not int or not 1 <= want.size_bps <= MOST_BPS:
        return f"sizes are whole hundredths of a percent, 1 to {MOST_BPS}, not {want.size_bps!r}"
    if any(type(value) is not int or not 0 <= value < MOST_TICKS for value in levels):
        return "levels and distances are whole ticks of 0 or more: round them"
    return ""
