"""The regime of each instrument, found once a day from its closed bars and journaled: trend or range, calm or wild."""

import msgspec

TREND_WORDS = {1: "trend up", -1: "trend down", 0: "range"}
VOLATILITY_WORDS = {1: "wild", -1: "calm", 0: "normal"}


class RegimeSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """How regimes are told, in bars of the feed or tape, and what part of its usual size an entry has in each; the smaller of a
    regime's two factors counts."""

    trend_bars: int = 60
    volatility_bars: int = 20
    usual_bars: int = 240
    trend_from: float = 0.3
    calm_below: float = 0.67
    wild_from: float = 1.5
    size_in_trend: float = 1.0
    size_in_range: float = 1.0
    size_in_calm: float = 1.0
    size_in_wild: float = 1.0

    @property
    def needed_bars(self) -> int:
        return max(self.trend_bars, self.volatility_bars, self.usual_bars) + 1


USUAL_REGIMES = RegimeSettings()


class DayRegime(msgspec.Struct, frozen=True):
    """An instrument's regime of one day of the settings' zone, told when the day began or as soon as there were enough bars."""

    day: int
    trend: int
    volatility: int
    efficiency: float
    ratio: float

    @property
    def words(self) -> str:
        """Such as "trend up, wild"."""
        return f"{TREND_WORDS[self.trend]}, {VOLATILITY_WORDS[self.volatility]}"

    def size_factor(self, settings: RegimeSettings) -> float:
        """What part of its usual size an entry has."""
        by_trend = settings.size_in_trend if self.trend else settings.size_in_range
        by_volatility = {1: settings.size_in_wild, -1: settings.size_in_calm, 0: 1.0}[self.volatility]
        return min(by_trend, by_volatility)
