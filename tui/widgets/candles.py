"""Drawing prices with characters: candles on half rows, a braille line where there is little room, level lines."""

from collections.abc import Sequence
from typing import NamedTuple

_BODY, _WICK, _NONE = "b", "w", " "
_RISING = {"bb": "┃", "ww": "│", "b ": "╹", " b": "╻", "w ": "╵", " w": "╷", "wb": "╽", "bw": "╿"}
_FALLING = {"bb": "█", "ww": "│", "b ": "▀", " b": "▄", "w ": "╵", " w": "╷", "wb": "▄", "bw": "▀"}
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


class Candle(NamedTuple):
    """Prices of one bar, in any one unit."""

    open: float
    high: float
    low: float
    close: float


class Scale(NamedTuple):
    """Which prices the rows stand for; `low` is below `high`."""

    low: float
    high: float
    rows: int

    def half_row(self, price: float) -> int:
        """The half row of a price, 0 at the top."""
        share = (self.high - price) / (self.high - self.low)
        return min(2 * self.rows - 1, max(0, round(share * (2 * self.rows - 1))))

    def row(self, price: float) -> int:
        return self.half_row(price) // 2

    def holds(self, price: float) -> bool:
        return self.low <= price <= self.high

    def price(self, row: int) -> float:
        """The price in the middle of a row."""
        return self.high - (2 * row + 0.5) / max(1, 2 * self.rows - 1) * (self.high - self.low)


def scale_of(candles: Sequence[Candle], levels: Sequence[float], rows: int) -> Scale:
    """A scale for the candles, widened for levels that are near enough not to flatten them."""
    low, high = min(candle.low for candle in candles), max(candle.high for candle in candles)
    span = max(high - low, abs(high) * 1e-4, 1e-9)
    for level in sorted(levels, key=lambda each: abs(each - (low + high) / 2)):
        if max(high, level) - min(low, level) <= 2.5 * span:
            low, high = min(low, level), max(high, level)
    margin = max((high - low) * 0.03, span * 0.02)
    return Scale(low - margin, high + margin, max(1, rows))


def candle_cells(candle: Candle, scale: Scale) -> tuple[str, ...]:
    """One column of characters: a thin heavy body rises, a full block falls, so that no colour is needed."""
    top, bottom = scale.half_row(candle.high), scale.half_row(candle.low)
    body = sorted((scale.half_row(candle.open), scale.half_row(candle.close)))
    table = _RISING if candle.close >= candle.open else _FALLING

    def part(half: int) -> str:
        if body[0] <= half <= body[1]:
            return _BODY
        return _WICK if top <= half <= bottom else _NONE

    return tuple(table.get(part(2 * row) + part(2 * row + 1), " ") for row in range(scale.rows))


def braille_rows(prices: Sequence[float], scale: Scale, width: int) -> list[str]:
    """A line through the prices, two points a cell and four a row."""
    dots = [[0] * width for _ in range(scale.rows)]
    points, before = min(len(prices), 2 * width), None
    for x, price in enumerate(prices[-points:] if points else ()):
        share = (scale.high - price) / (scale.high - scale.low)
        y = min(4 * scale.rows - 1, max(0, round(share * (4 * scale.rows - 1))))
        for between in range(min(y, y if before is None else before), max(y, y if before is None else before) + 1):
            dots[between // 4][x // 2] |= _DOTS[between % 4][x % 2]
        before = y
    return ["".join(chr(0x2800 + cell) if cell else " " for cell in row) for row in dots]
