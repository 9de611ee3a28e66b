"""The market of a scene: quotes of every instrument, item by item, as the venue sees them and as the engine does."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from engine.inputs import Bar, MarketItem, MarketTrade, Quote
from engine.instruments import Instrument
from engine.rehearsal.scenes import START_NS, START_PRICE, Breakage, Scene, instruments
from engine.units import NS_PER_SECOND, Nanoseconds

TICKS_PER_UNIT = 100
SPREAD_TICKS = 2
PLENTY_LOTS = 100_000
CALM = "CALM@paper"


class SceneTape:
    """A scene as `engine.ports.Tape`; what only the venue may see lies in `hidden`, by its place.

    For the engine such an item is a print without a price, which it takes for none.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.hidden: dict[int, MarketItem] = {}

    def instruments(self) -> tuple[Instrument, ...]:
        return instruments()

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:  # noqa: ARG002 - the port's shape
        return ()

    def items(self) -> Iterator[MarketItem]:
        """From the beginning to the end of the scene, in time order."""
        for place, shown in enumerate(_shown(self._scene)):
            if not shown.silent:
                yield shown.quote
                continue
            self.hidden[place] = shown.quote
            yield MarketTrade(shown.quote.instrument_id, 0, place, 0, shown.quote.at_ns)


def venue_items(scene: Scene) -> Iterator[Quote]:
    """The same market as the venue sees it."""
    return (shown.quote for shown in _shown(scene))


class _Shown(NamedTuple):
    quote: Quote
    silent: bool


def _shown(scene: Scene) -> Iterator[_Shown]:
    listed = [one.instrument_id for one in instruments()]
    steps = round(scene.seconds * scene.quotes_per_second)
    halts = [fault for fault in scene.faults if fault.breakage is Breakage.MARKET]
    silences = [fault for fault in scene.faults if fault.breakage is Breakage.FEED]
    for step in range(steps):
        second = step / scene.quotes_per_second
        halted = any(fault.at_second <= second < fault.at_second + fault.seconds for fault in halts)
        silent = any(fault.at_second <= second < fault.at_second + fault.seconds for fault in silences)
        for place, instrument_id in enumerate(listed):
            if halted and instrument_id != CALM:
                continue
            at_ns = START_NS + round(second * NS_PER_SECOND) + place
            yield _Shown(_quote(scene, instrument_id, step, second, at_ns), silent)


def _quote(scene: Scene, instrument_id: str, step: int, second: float, at_ns: Nanoseconds) -> Quote:
    percent = 0.0 if instrument_id == CALM else favour_percent(scene, second)
    mid = round(START_PRICE * TICKS_PER_UNIT * (1 + scene.side.sign * percent / 100)) + step % 2
    lots = scene.shown_lots or PLENTY_LOTS
    return Quote(instrument_id, mid - SPREAD_TICKS // 2, mid + SPREAD_TICKS // 2, lots, lots, at_ns)


def favour_percent(scene: Scene, second: float) -> float:
    """How far the price has gone in favour of the position: the steps of the path, joined by straight lines."""
    before = scene.path[0]
    for point in scene.path[1:]:
        if second < point[0]:
            share = (second - before[0]) / (point[0] - before[0])
            return before[1] + share * (point[1] - before[1])
        before = point
    return before[1]


