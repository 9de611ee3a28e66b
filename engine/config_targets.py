"""A portfolio's targets in the configuration file: percents there, fractions in the engine."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field

from engine.config_limits import Money, Section
from engine.inputs import Limits
from engine.targets import TargetMethod, TargetSettings

PERCENT = 100.0


def _as_method(value: object) -> object:
    try:
        return TargetMethod(str(value))
    except ValueError:
        raise ValueError("must be one of " + ", ".join(TargetMethod)) from None


def _as_numbers(value: object) -> object:
    """Whole numbers of a table are as good as broken ones."""
    if not isinstance(value, dict):
        return value
    return {key: float(one) if isinstance(one, int) and not isinstance(one, bool) else one for key, one in value.items()}


Percents = Annotated[dict[str, Annotated[float, Field(ge=0, le=100)]], BeforeValidator(_as_numbers)]


class TargetsConfig(Section):
    """What the portfolio aims at, in percent of its equity less what it holds in other symbols; nothing without a method. A job
    of kind rebalance brings it back when it is due, `quarterdeck rebalance` now."""

    method: Annotated[TargetMethod, BeforeValidator(_as_method)] | None = Field(
        default=None, examples=['"risk_parity"'],
        description="equal; inverse_volatility: the calmer the more; risk_parity: the same risk from each; user: [weights].")
    symbols: tuple[str, ...] = Field(
        default=(), strict=False, description="What is held. With the method user those of weights where none are named.")
    weights: Percents = Field(default={}, description="With the method user: the percent of each symbol.")
    cash_percent: float = Field(default=2.0, ge=0, lt=100, description="What is left uninvested at least.")
    least_percent: float = Field(default=0.0, ge=0, le=100, description="No symbol gets less.")
    most_percent: float = Field(default=100.0, gt=0, le=100, description="No symbol gets more; what is over goes to the others.")
    least: Percents = Field(default={}, description="Other least percents of single symbols.")
    most: Percents = Field(default={}, description="Other largest percents of single symbols.")
    lookback_bars: int = Field(
        default=120, ge=21, le=1_900, description="How many closed bars the weights are found from, as far as there are so many.")
    drift_band_percent: float = Field(
        default=5.0, ge=0, le=100, description="Further from its target than this, and the portfolio is rebalanced (0: off).")
    relative_band_percent: float = Field(
        default=25.0, ge=0, le=1_000, description="The same in percent of the target itself (0: off).")
    min_order: Money = Field(default=Decimal(0), ge=0, description="Orders that are worth less are left out.")
    max_turnover_percent: float = Field(
        default=0.0, ge=0, le=200, description="All orders of a run together are made smaller to be worth this (0: off).")
    stop_percent: float = Field(
        default=20.0, ge=0, lt=100,
        description="Each entry gets a stop this far away, against a catastrophe (0: none, which needs require_stop = false).")
    stop_trails: bool = Field(default=True, description="The stop follows the best price; otherwise it stays where it began.")
    reentry_days: float = Field(
        default=20.0, ge=0, le=3_660, description="What was stopped out is not bought again for so long.")

    @property
    def all_symbols(self) -> tuple[str, ...]:
        return self.symbols or (tuple(self.weights) if self.method is TargetMethod.USER else ())

    def settings(self) -> TargetSettings | None:
        """What the engine needs of it; None where no method is set."""
        if self.method is None:
            return None
        return TargetSettings(
            method=self.method, symbols=self.all_symbols, weights=_fractions(self.weights),
            cash_fraction=self.cash_percent / PERCENT, least_fraction=self.least_percent / PERCENT,
            most_fraction=self.most_percent / PERCENT, least=_fractions(self.least),
            most=_fractions(self.most), lookback_bars=self.lookback_bars,
            drift_band_fraction=self.drift_band_percent / PERCENT, relative_band_fraction=self.relative_band_percent / PERCENT,
            min_order=self.min_order, max_turnover_fraction=self.max_turnover_percent / PERCENT,
            stop_fraction=self.stop_percent / PERCENT, stop_trails=self.stop_trails, reentry_days=self.reentry_days)


def _fractions(percents: dict[str, float]) -> dict[str, float]:
    return {symbol: percent / PERCENT for symbol, percent in percents.items()}


def target_errors(where: str, targets: TargetsConfig, limits: Limits, busy: dict[str, str]) -> Iterator[str]:
    """What is wrong with the targets of one portfolio, one line each; `busy` says which strategy has a symbol there already."""
    if targets.method is None:
        if targets.symbols or targets.weights:
            yield f"{where}.method: say how the symbols are weighed: {', '.join(TargetMethod)}"
        return
    symbols = targets.all_symbols
    if not symbols:
        yield f"{where}.symbols: name at least one symbol"
        return
    yield from _symbol_errors(where, targets, symbols, busy)
    yield from _bound_errors(where, targets, symbols)
    if not targets.drift_band_percent and not targets.relative_band_percent:
        yield f"{where}.drift_band_percent = 0: with relative_band_percent = 0 too nothing is ever rebalanced; set one of them"
    if not targets.stop_percent and limits.require_stop:
        yield f"{where}.stop_percent = 0: entries need a stop as long as limits.require_stop is on"


def _symbol_errors(where: str, targets: TargetsConfig, symbols: tuple[str, ...], busy: dict[str, str]) -> Iterator[str]:
    for place, symbol in enumerate(symbols):
        if symbol in symbols[:place]:
            yield f'{where}.symbols: "{symbol}" is named twice'
        if symbol in busy:
            yield f'{where}.symbols: "{symbol}" is traded by the strategy "{busy[symbol]}" here; leave it to one of them'
    if targets.method is not TargetMethod.USER and targets.weights:
        yield f'{where}.weights: are those of the method user; the method is "{targets.method}"'
    for name in ("weights", "least", "most"):
        for symbol in getattr(targets, name):
            if symbol not in symbols:
                yield f'{where}.{name}: "{symbol}" is not among the symbols'


def _bound_errors(where: str, targets: TargetsConfig, symbols: tuple[str, ...]) -> Iterator[str]:
    room = PERCENT - targets.cash_percent
    least = {symbol: targets.least.get(symbol, targets.least_percent) for symbol in symbols}
    for symbol in symbols:
        if least[symbol] > targets.most.get(symbol, targets.most_percent):
            yield f'{where}: "{symbol}" has to get at least {least[symbol]:g} % and at most less than that'
    if sum(least.values()) > room:
        yield f"{where}: the least percents come to {sum(least.values()):g} %, and cash_percent leaves {room:g} %"
    if targets.method is TargetMethod.USER:
        total = sum(targets.weights.values())
        if total <= 0:
            yield f"{where}.weights: give at least one symbol a weight"
        elif total > room + 1e-9:
            yield f"{where}.weights: come to {total:g} %, and cash_percent leaves {room:g} %"
        elif sum(least.values()) > total + 1e-9:
            yield f"{where}.weights: come to {total:g} %, less than the least percents"


def target_contradictions(targets: TargetsConfig, limits: Limits) -> Iterator[str]:
    """Targets that the limits will never let come true, in words, one line each."""
    settings = targets.settings()
    if settings is None:
        return
    invested = min(settings.invested_fraction, sum(settings.most_of(symbol) for symbol in settings.symbols))
    heat = invested * (settings.stop_fraction or 1.0)
    if heat > limits.max_heat_fraction:
        yield (f"targets: {invested:.0%} at work with stops {settings.stop_fraction:.0%} away is a heat of {heat:.1%}, and "
               f"limits.max_heat_fraction is {limits.max_heat_fraction:.1%}: the targets are never reached")
    even = settings.invested_fraction / len(settings.symbols)  # by the other methods somebody gets as much at least
    asked = settings.weights if settings.method is TargetMethod.USER else dict.fromkeys(settings.symbols, even)
    largest = max(min(weight, settings.most_of(symbol)) for symbol, weight in asked.items())
    if largest > limits.max_position_fraction:
        yield (f"targets: a symbol is to get {largest:.0%}, and limits.max_position_fraction is "
               f"{limits.max_position_fraction:.0%}: that target is never reached")
    if limits.min_reward_to_risk and not settings.stop_trails:
        yield (f"targets: entries have a fixed stop and no target, and limits.min_reward_to_risk ({limits.min_reward_to_risk:g}) "
               "asks for one: none is ever bought; set stop_trails = true")
    if limits.flat_before_close_minutes:
        yield (f"targets: are held for days, and limits.flat_before_close_minutes ({limits.flat_before_close_minutes}) sells "
               "what has sessions before every close")
