"""What the engine records of strategies, and of the regimes that they and sizes ask for."""

from engine.event_base import Event
from engine.units import Nanoseconds


class StrategyActed(Event, frozen=True, omit_defaults=True):
    """A strategy's rule wanted something after the bar that closed at `close_ns`, or changed what a restart must still know;
    what came of it follows in the same transaction. The instrument id is "" for a basket."""

    strategy: str
    instrument_id: str
    close_ns: Nanoseconds
    memory: dict[str, int | float]
    want: str = ""


class RegimeFound(Event, frozen=True, omit_defaults=True):
    """The regime of an instrument on a day, told from bars that had closed by then."""

    instrument_id: str
    day: int
    trend: int
    volatility: int
    efficiency: float
    ratio: float


class StrategySwitched(Event, frozen=True, omit_defaults=True):
    """A strategy was enabled or stopped at run time."""

    strategy: str
    enabled: bool
    reason: str
    by: str
    command_id: str = ""
