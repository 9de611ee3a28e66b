"""Generated bars for parity: gappy, with days and nights, round numbers that levels touch exactly, and thin volumes."""

import random
from decimal import Decimal

import numpy as np

from engine.backtest.run import Series
from engine.instruments import AssetClass, Instrument
from engine.kernel.wants import BarColumns
from engine.units import NS_PER_SECOND

START_NS = 1_700_000_400 * NS_PER_SECOND


def instrument(name: str, fee_ppm: int = 500) -> Instrument:
    return Instrument(f"{name}@paper", name, "paper", AssetClass.CRYPTO, name, "USD", Decimal("0.01"), Decimal("0.001"), 2,
                      10_000_000, 1_000_000_000, taker_fee_ppm=fee_ppm, maker_fee_ppm=fee_ppm // 2)


def bars(seed: int, count: int, *, minutes: int = 5, gap: float = 0.0, coarse: int = 1, volume: int = 0,
         night: int = 0) -> BarColumns:
    """Bars of a walk; `gap` is the chance of a jump between bars, `coarse` rounds prices so that levels are touched, `night` bars
    are missing after every 40."""
    rng = random.Random(seed)
    length_ns = minutes * 60 * NS_PER_SECOND
    rows = []
    price, drift, at_ns = 10_000, 0.0, START_NS
    for place in range(count):
        if rng.random() < gap:
            price = max(500, round(price * (1 + rng.gauss(0, 0.02))))
        if rng.random() < 0.03:
            drift = rng.gauss(0, 0.002)
        opened = max(coarse, price // coarse * coarse)
        price = max(500, round(price * (1 + drift + rng.gauss(0, 0.006))))
        close = max(coarse, price // coarse * coarse)
        high = max(opened, close) + rng.randint(0, 60) // coarse * coarse
        low = max(1, min(opened, close) - rng.randint(0, 60) // coarse * coarse)
        price = close
        rows.append((at_ns, at_ns + length_ns, opened, high, low, close, rng.randint(1, 2 * volume) if volume else 0))
        at_ns += length_ns
        if night and place % 40 == 39:
            at_ns += night * length_ns
    table = np.array(rows, np.int64)
    return BarColumns(*(np.ascontiguousarray(table[:, field]) for field in range(7)))  # type: ignore[arg-type]


def series(name: str, seed: int, count: int, **kind: float) -> Series:
    return Series(instrument(name), bars(seed, count, **kind))  # type: ignore[arg-type]
