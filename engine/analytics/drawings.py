"""Charts as inline SVG: plain strings, no script, no style from elsewhere; numbers in words for who cannot see them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from engine.units import NS_PER_SECOND

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 960, 260, 78, 12, 12, 26
STEPS = (1, 2, 2.5, 5, 10)
SHOWN_STEPS = 5


def area_chart(title: str, at_ns: Sequence[int], values: Sequence[float], *, unit: str = "", falls: bool = False,
               height: int = HEIGHT) -> str:
    """A line over time with the ground under it shaded; with `falls` the values hang down from 0."""
    if len(values) < 2 or at_ns[-1] <= at_ns[0]:
        return f'<p class="none">{escape(title)}: not enough points for a chart.</p>'
    shown = [-value for value in values] if falls else list(values)
    marks = ticks(min(*shown, 0.0) if falls else min(shown), 0.0 if falls else max(shown))
    low, high = min(marks[0], *shown), max(marks[-1], *shown)
    span = high - low or 1.0

    def x(at: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (at - at_ns[0]) / (at_ns[-1] - at_ns[0])

    def y(value: float) -> float:
        return TOP + (height - TOP - BOTTOM) * (high - value) / span

    points = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in zip(at_ns, shown, strict=True))
    ground = y(0.0 if falls else low)
    words = f"from {shown[0]:,.2f} to {shown[-1]:,.2f}{unit}, lowest {min(shown):,.2f}, highest {max(shown):,.2f}"
    parts = [_opening(title, words, height)]
    for mark in marks:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(mark):.1f}" y2="{y(mark):.1f}"/>'
                     + _axis(LEFT - 6, y(mark) + 4, told(mark) + unit, "end"))
    for at in _moments(at_ns[0], at_ns[-1]):
        parts.append(_axis(x(at), height - 8, _date(at, at_ns)))
    kind = "fall" if falls else "rise"
    parts.append(f'<polygon class="{kind}-ground" points="{LEFT},{ground:.1f} {points} {WIDTH - RIGHT},{ground:.1f}"/>'
                 f'<polyline class="{kind}-line" points="{points}"/></svg>')
    return "".join(parts)


def histogram(title: str, values: Sequence[float], *, unit: str = "", height: int = HEIGHT) -> str:
    """How often values fall into stretches of equal width; those below zero are shaded otherwise."""
    if len(values) < 2 or max(values) <= min(values):
        return f'<p class="none">{escape(title)}: not enough different values for a chart.</p>'
    marks = ticks(min(values), max(values), 16)
    step = marks[1] - marks[0]
    first = marks[0] - step if marks[0] > min(values) else marks[0]
    count = int((max(values) - first) / step) + 1
    bars = [0] * count
    for value in values:
        bars[min(count - 1, int((value - first) / step))] += 1
    width, most = (WIDTH - LEFT - RIGHT) / count, max(bars)
    parts = [_opening(title, f"{len(values)} values from {min(values):,.2f} to {max(values):,.2f}{unit}", height)]
    for place, bar in enumerate(bars):
        left, start = LEFT + place * width, first + place * step
        tall = (height - TOP - BOTTOM) * bar / most
        kind = "fall" if start + step <= step / 1_000 else "rise"
        top = height - BOTTOM - tall
        parts.append(f'<rect class="{kind}-bar" x="{left + 1:.1f}" y="{top:.1f}" width="{max(1.0, width - 2):.1f}" '
                     f'height="{tall:.1f}"><title>{told(start)} to {told(start + step)}{escape(unit)}: {bar}</title></rect>')
        if bar:
            parts.append(_axis(left + width / 2, top - 3, str(bar)))
        if place % max(1, count // 8) == 0:
            parts.append(_axis(left, height - 8, told(start) + unit))
    return "".join([*parts, "</svg>"])


def _axis(x: float, y: float, words: str, anchor: str = "middle") -> str:
    return f'<text class="axis" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _opening(title: str, words: str, height: int) -> str:
    return (f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}: {escape(words)}">'
            f"<title>{escape(title)}: {escape(words)}</title>")


def ticks(low: float, high: float, wanted: int = SHOWN_STEPS) -> list[float]:
    """Round numbers from at or below `low` to at or above `high`, about `wanted` of them."""
    span = high - low or abs(high) or 1.0
    raw, size = span / wanted, 1.0
    while size > raw:
        size /= 10
    while size * 10 <= raw:
        size *= 10
    step = next(size * one for one in STEPS if size * one >= raw)
    first = int(low // step)
    found = [round(place * step, 10) for place in range(first, first + wanted * 3) if place * step < high + step]
    return found[:next((place for place, one in enumerate(found) if one >= high), len(found) - 1) + 1]


def told(value: float) -> str:
    """An axis number without needless decimals."""
    return f"{value:,.10f}".rstrip("0").rstrip(".").replace("-", "−") or "0"


def _moments(first: int, last: int) -> list[int]:
    return [first + (last - first) * part // 8 for part in range(1, 8)]


def _date(at_ns: int, all_ns: Sequence[int]) -> str:
    pattern = "%Y-%m-%d" if all_ns[-1] - all_ns[0] > 10 * 86_400 * NS_PER_SECOND else "%d %b %H:%M"
    return datetime.fromtimestamp(at_ns // NS_PER_SECOND, UTC).strftime(pattern)
