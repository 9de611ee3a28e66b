"""Daily bars of three invented coins, for tests of the world of research."""

import math
from collections.abc import Sequence
from decimal import Decimal

from engine.inputs import Bar
from engine.instruments import DAY_NS, AssetClass, Instrument

AT = 20_000 * DAY_NS + 5 * 3_600 * 10 ** 9


def coin(base: str) -> Instrument:
    return Instrument(instrument_id=f"{base}/USD@paper", symbol=f"{base}/USD", venue="paper", asset_class=AssetClass.CRYPTO,
                      base_currency=base, quote_currency="USD", tick_size=Decimal("0.01"), lot_size=Decimal("0.001"),
                      minor_exponent=2, max_ticks=10 ** 9, max_lots=10 ** 9)


COINS = {one.instrument_id: one for one in map(coin, ("BTC", "ETH", "SOL"))}


def days(instrument: Instrument, count: int, *, drift: float = 0.001, swing: float = 0.02,
         end_ns: int = AT // DAY_NS * DAY_NS) -> list[Bar]:
    """Daily bars that go up in waves, the last one closed at `end_ns`."""
    bars, price = [], 10_000.0
    for number in range(count):
        opened, price = price, price * math.exp(drift + swing * math.sin(number * 1.7))
        close_ns = end_ns - (count - 1 - number) * DAY_NS
        bars.append(Bar(instrument.instrument_id, close_ns - DAY_NS, close_ns, round(opened), round(max(opened, price) * 1.004),
                        round(min(opened, price) * 0.996), round(price), 5_000_000 + number))
    return bars


class Days:
    """A source of daily bars that counts how often it is asked, and may break."""

    def __init__(self, count: int = 300) -> None:
        self.bars = {name: days(one, count, drift=0.001 * place) for place, (name, one) in enumerate(COINS.items())}
        self.asked: list[str] = []
        self.broken: Exception | None = None

    def daily_bars(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        self.asked.append(instrument_id)
        if self.broken is not None:
            raise self.broken
        return self.bars[instrument_id][-limit:]
