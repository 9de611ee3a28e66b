"""The strategies in the configuration file: a rule with its parameters, on which symbols of which portfolio."""

from collections.abc import Iterator, Sequence

from pydantic import Field, field_validator

from engine.alert_language import parse_span
from engine.config_accounts import NAME_PATTERN
from engine.config_limits import Money, Section
from engine.errors import ConfigError
from engine.inputs import Limits
from engine.regimes import RegimeSettings
from engine.strategies.registry import BUILT_IN, Strategy, built_in, is_number, params_of
from engine.strategy_state import Number, StrategySettings
from engine.units import NS_PER_SECOND, Nanoseconds

_REGIMES = RegimeSettings()
STRATEGY_EXAMPLE = [
    "A strategy: what a rule wants after each closed bar goes the way of every order. For rules: `quarterdeck strategies rules`",
    "[[strategies]]", 'name = "trend"', 'rule = "ema_cross"', 'symbols = ["BTC/USD"]',
    'bar = "1h"', "params = {fast_bars = 20, slow_bars = 50}",
]
DAY_SECONDS = 86_400
RULE_PATTERN = r"^[a-z][a-z0-9_]{0,47}$"


def bar_length_ns(text: str) -> Nanoseconds:
    """The length of a bar such as `15m`, `1h` or `1d`, as `--bar` takes it; 0 for the feed's own (an empty text). Raises
    `ConfigError` for what is none, and for a length that does not divide a day."""
    plain = text.lower().replace(" ", "")
    if not plain:
        return 0
    seconds = int(plain) if plain.isdigit() else parse_span(plain)
    if not seconds or DAY_SECONDS % seconds:
        raise ConfigError("must be a length that divides a day, such as 5m, 1h, 4h or 1d")
    return seconds * NS_PER_SECOND


class StrategyConfig(Section):
    """A strategy: what a rule wants after each closed bar goes the way of every order, through the same checks."""

    name: str = Field(pattern=NAME_PATTERN, description="How orders, positions and the journal name the strategy.")
    rule: str = Field(
        pattern=RULE_PATTERN,
        description="A built-in rule (`quarterdeck strategies rules` lists them), or NAME of strategies/NAME.py in the home.")
    portfolio: str = Field(default="main", description="The portfolio that it trades in, by name.")
    symbols: tuple[str, ...] = Field(strict=False, min_length=1, max_length=1_000, description="What it trades.")
    params: dict[str, int | float | bool] = Field(default={}, description="The rule's parameters; the others have defaults.")
    bar: str = Field(
        default="", examples=["1h"],
        description="The length of the bars that its rule sees, such as 15m, 1h or 1d, joined from the feed's (empty: those).")
    enabled: bool = Field(default=True, description="Whether it runs; `quarterdeck strategies enable` can say otherwise.")
    capital_fraction: float = Field(
        default=0.0, ge=0, le=10,
        description="What it may have at work, and what its sizes are parts of: a part of the equity, so it compounds (0: all).")
    capital_fixed: Money | None = Field(
        default=None, gt=0, examples=["10000"], description="The same as a fixed sum, which does not compound.")
    heat_budget_fraction: float = Field(
        default=0.0, ge=0, le=1,
        description="The part of the equity that it may risk at once, within the portfolio's heat (0: off).")
    uses_model: bool = Field(
        default=False, description="Whether a language model has a say in what it wants: real money asks for its calibration.")

    @field_validator("params", mode="before")
    @classmethod
    def _are_numbers(cls, given: object) -> object:
        for name, value in given.items() if isinstance(given, dict) else ():
            if not is_number(value):
                raise ValueError(f"{name} = {value!r}: must be a number")
        return given

    @field_validator("bar")
    @classmethod
    def _is_a_length(cls, text: str) -> str:
        try:
            bar_length_ns(text)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return text

    @property
    def bar_ns(self) -> Nanoseconds:
        return bar_length_ns(self.bar)

    def settings(self, strategy: Strategy | None = None, problem: str = "") -> StrategySettings:
        """What the engine needs of it. A rule that is no part of the program is given where strategies are to run; without it,
        and where the parameters of a built-in one are wrong, they stay as they were written. `problem` is what keeps it from
        running. Raises `ConfigError` for parameters that a given rule does not take."""
        known = strategy or (built_in(self.rule) if self.rule in BUILT_IN else None)
        problem = problem or self.rule_problem()
        given: dict[str, Number] = dict(self.params)
        warmup_bars, source_hash = 0, ""
        try:
            if known is not None:
                params = params_of(known, self.params)
                given, warmup_bars, source_hash = params._asdict(), known.warmup(params), known.source_hash
        except ConfigError:
            if not problem:
                raise
        return StrategySettings(self.name, self.rule, self.portfolio, self.symbols, given, self.enabled, warmup_bars,
                                self.capital_fraction, self.capital_fixed, self.heat_budget_fraction, self.uses_model,
                                source_hash, self.bar_ns, problem)

    def rule_problem(self) -> str:
        """What a built-in rule cannot do with this: its parameters, or so many symbols. Empty where nothing is wrong, and for
        rules of the home's own, which are looked at when they are loaded."""
        if self.rule not in BUILT_IN:
            return ""
        known = built_in(self.rule)
        try:
            params_of(known, self.params)
        except ConfigError as error:
            return f"params: {error}"
        least, most = known.instruments
        if least <= len(self.symbols) <= most:
            return ""
        wanted = f"{least}" if least == most else f"{least} to {most}"
        return f"symbols: {self.rule} trades {wanted} symbols, here are {len(self.symbols)}"


class RegimesConfig(Section):
    """Regimes: once a day each market is found to trend or to range, to be calm or wild; entries may be smaller in some."""

    trend_bars: int = Field(default=_REGIMES.trend_bars, ge=2, le=1_900, description="Bars over which a trend is told.")
    volatility_bars: int = Field(
        default=_REGIMES.volatility_bars, ge=2, le=1_900,
        description="The newest bars: their volatility is held against the usual.")
    usual_bars: int = Field(default=_REGIMES.usual_bars, ge=10, le=1_900, description="Bars that tell the usual volatility.")
    trend_from: float = Field(
        default=_REGIMES.trend_from, gt=0, le=1,
        description="A trend made good this part of the way it went (efficiency ratio); less is a range.")
    calm_below: float = Field(
        default=_REGIMES.calm_below, ge=0, le=1, description="Calm is a volatility below this part of the usual one.")
    wild_from: float = Field(default=_REGIMES.wild_from, ge=1, le=100, description="Wild is one of this many times the usual.")
    size_in_trend: float = Field(default=1.0, ge=0, le=1, description="What part of its usual size an entry has in a trend.")
    size_in_range: float = Field(default=1.0, ge=0, le=1, description="The same in a range.")
    size_in_calm: float = Field(default=1.0, ge=0, le=1, description="The same where it is calm; the smaller part counts.")
    size_in_wild: float = Field(default=1.0, ge=0, le=1, description="The same where it is wild.")

    def settings(self) -> RegimeSettings:
        """What the engine needs of it."""
        return RegimeSettings(**self.model_dump())


def strategy_errors(strategies: Sequence[StrategyConfig], portfolios: Sequence[str]) -> Iterator[str]:
    """What is wrong with the strategies, whatever their rules, one line each."""
    taken: dict[tuple[str, str], str] = {}
    names: dict[str, None] = {}
    for index, one in enumerate(strategies):
        where = f"strategies[{index}]"
        if one.name in names:
            yield f'{where}.name = "{one.name}": the name is already taken; names must differ'
        names[one.name] = None
        if one.portfolio not in portfolios:
            yield f'{where}.portfolio = "{one.portfolio}": no such portfolio; there is: {", ".join(portfolios)}'
        if one.capital_fixed is not None and one.capital_fraction:
            yield f"{where}.capital_fixed: and capital_fraction are both given; capital compounds or is fixed"
        for symbol in one.symbols:
            other = taken.setdefault((one.portfolio, symbol.upper()), one.name)
            if other != one.name:
                yield (f'{where}.symbols: "{symbol}" is traded by "{other}" in "{one.portfolio}" already; one strategy for '
                       "each symbol of a portfolio")


def rule_errors(strategies: Sequence[StrategyConfig]) -> Iterator[str]:
    """What only turns a strategy off and lets everything else run, one line each: what its built-in rule cannot be asked."""
    for index, one in enumerate(strategies):
        problem = one.rule_problem()
        if problem:
            yield f"strategies[{index}].{problem}"


def strategy_contradictions(strategies: Sequence[StrategyConfig], limits: Limits) -> Iterator[str]:
    """Budgets of one portfolio's strategies that its limits leave without a meaning, one line each."""
    for one in strategies:
        if one.heat_budget_fraction > limits.max_heat_fraction:
            yield (f'strategy "{one.name}": heat_budget_fraction ({one.heat_budget_fraction}) is above limits.max_heat_fraction '
                   f"({limits.max_heat_fraction}): it never binds")
    together = sum(one.capital_fraction for one in strategies)
    if together > limits.max_leverage:
        yield (f"the strategies' capital_fraction come to {together:g}, and limits.max_leverage is {limits.max_leverage:g}: they "
               "cannot all be at work at once")
    heat = sum(one.heat_budget_fraction for one in strategies)
    if len(strategies) > 1 and heat > limits.max_heat_fraction + 1e-9:
        yield (f"the strategies' heat_budget_fraction come to {heat:g}, and limits.max_heat_fraction is "
               f"{limits.max_heat_fraction:g}: they cannot all use theirs at once")
