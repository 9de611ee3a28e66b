"""One-minute bars from prints: the same for every venue, whether it streams bars or not."""

from engine.inputs import Bar, MarketTrade
from engine.units import NS_PER_SECOND, Nanoseconds

MINUTE_NS = 60 * NS_PER_SECOND


class BarBuilder:
    """Bars of whole minutes. The minute in which a stream began is not whole, and a print that comes after its minute was
    told is left out."""

    def __init__(self) -> None:
        self._open: dict[str, Bar] = {}
        self._whole_from_ns: Nanoseconds = 0
        self._told_until_ns: dict[str, Nanoseconds] = {}

    def begin(self, at_ns: Nanoseconds) -> None:
        """A stream begins, or begins again: what is half built is dropped."""
        self._open = {}
        self._whole_from_ns = -(-at_ns // MINUTE_NS) * MINUTE_NS

    def take(self, trade: MarketTrade) -> list[Bar]:
        """Count a print; the bar that it ends, if any."""
        open_ns = trade.at_ns // MINUTE_NS * MINUTE_NS
        if open_ns < max(self._whole_from_ns, self._told_until_ns.get(trade.instrument_id, 0)):
            return []
        bar = self._open.get(trade.instrument_id)
        ended = [self._end(bar)] if bar is not None and bar.open_ns < open_ns else []
        price = trade.price_ticks
        if bar is None or ended:
            bar = Bar(trade.instrument_id, open_ns, open_ns + MINUTE_NS, price, price, price, price, 0)
        self._open[trade.instrument_id] = bar._replace(
            high_ticks=max(bar.high_ticks, price), low_ticks=min(bar.low_ticks, price), close_ticks=price,
            volume_lots=bar.volume_lots + trade.lots)
        return ended

    def close_until(self, now_ns: Nanoseconds) -> list[Bar]:
        """The bars whose minute is over by now."""
        return [self._end(bar) for bar in list(self._open.values()) if bar.close_ns <= now_ns]

    def _end(self, bar: Bar) -> Bar:
        del self._open[bar.instrument_id]
        self._told_until_ns[bar.instrument_id] = bar.close_ns
        return bar
