"""What is configured of a strategy, and what is journaled of it: whether it runs, what it last wanted, what it must keep."""

from decimal import Decimal

import msgspec

from engine.units import Nanoseconds

type Number = int | float


class StrategySettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """A strategy as configured: a rule with its parameters on some symbols of one portfolio.

    `params` holds every parameter, defaults included; `warmup_bars` is how many bars the rule sees before it may want. Its
    capital is a part of the portfolio's equity, which compounds, or fixed; `heat_budget_fraction` is a part of the equity too
    (0: no budget). `uses_model` where a language model has a say in what it wants; `source_hash` is that of a person's own rule.
    `bar_ns` is the length of the bars that its rule sees, joined from those of the feed; 0 stands for the feed's own.
    `problem` says why it cannot run as it is (its file is broken, missing or untried, its parameters are wrong), empty where it
    can: with one it is off, its parameters are as they were written, and its form counts as neither the same nor another.
    """

    name: str
    rule: str
    portfolio: str
    symbols: tuple[str, ...]
    params: dict[str, Number] = {}
    enabled: bool = True
    warmup_bars: int = 0
    capital_fraction: float = 0.0
    capital_fixed: Decimal | None = None
    heat_budget_fraction: float = 0.0
    uses_model: bool = False
    source_hash: str = ""
    bar_ns: Nanoseconds = 0
    problem: str = ""


class StrategyPlace(msgspec.Struct, frozen=True, omit_defaults=True):
    """A strategy on one instrument, or on its whole basket (instrument id ""): the newest bar that it acted on, what a start
    cannot find out from history, and its last want with the reason why nothing came of it."""

    acted_ns: Nanoseconds
    memory: dict[str, Number] = {}
    want: str = ""
    want_at_ns: Nanoseconds = 0
    refusal: str = ""


class StrategyState(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a strategy did so far; `switched` is None while the configuration says whether it runs."""

    places: dict[str, StrategyPlace] = {}
    switched: bool | None = None
    switched_by: str = ""
    switch_reason: str = ""
    switched_at_ns: Nanoseconds = 0

    def runs(self, settings: StrategySettings) -> bool:
        wanted = settings.enabled if self.switched is None else self.switched
        return wanted and not settings.problem


def command_id_of(strategy: str, instrument_id: str, close_ns: Nanoseconds) -> str:
    """The id of what a strategy asks for at a bar's close: the same after every restart."""
    return f"{strategy}:{instrument_id}:{close_ns}"


class EnableStrategy(msgspec.Struct, frozen=True, tag=True):
    """Let a strategy run, or with `enabled` false stop it; `reason` where it was not a person's wish."""

    command_id: str
    strategy: str
    enabled: bool = True
    by: str = "user"
    reason: str = ""
