"""The way of a strategy to real money in the configuration file: what each promotion asks for, and what ends a stage."""

from collections.abc import Iterator

from pydantic import Field

from engine.candidates import LifecycleSettings
from engine.config_limits import Section

_USUAL = LifecycleSettings()


class LifecycleConfig(Section):
    """Candidates: research, backtest, paper, staged_live, full_live. A strategy enters with real money from staged_live on; each
    promotion asks for evidence and a person (`quarterdeck candidates`). Days and round trips are counted in the stage before."""

    backtest_min_days: float = Field(
        default=_USUAL.backtest_min_days, ge=0, le=36_500, description="Paper asks for a backtest of so many days.")
    backtest_min_round_trips: int = Field(
        default=_USUAL.backtest_min_round_trips, ge=0, le=1_000_000, description="Its round trips.")
    backtest_max_drawdown_fraction: float = Field(
        default=_USUAL.backtest_max_drawdown_fraction, gt=0, le=1, description="Its deepest drawdown, a part of the equity.")
    paper_min_days: float = Field(
        default=_USUAL.paper_min_days, ge=0, le=36_500,
        description="staged_live asks for so many days on paper, from the first entry to the last exit.")
    paper_min_round_trips: int = Field(
        default=_USUAL.paper_min_round_trips, ge=0, le=1_000_000, description="Its own round trips on paper.")
    paper_max_drawdown_fraction: float = Field(
        default=_USUAL.paper_max_drawdown_fraction, gt=0, le=1,
        description="The deepest fall of its own results on paper, a part of its capital.")
    staged_min_days: float = Field(
        default=_USUAL.staged_min_days, ge=0, le=36_500, description="full_live asks for so many days staged, with real money.")
    staged_min_round_trips: int = Field(
        default=_USUAL.staged_min_round_trips, ge=0, le=1_000_000, description="Its own round trips with real money.")
    staged_max_drawdown_fraction: float = Field(
        default=_USUAL.staged_max_drawdown_fraction, gt=0, le=1,
        description="The deepest fall of its own results with real money, a part of its staged capital.")
    min_return_fraction: float = Field(
        default=_USUAL.min_return_fraction, ge=-1, le=10, description="The least return of backtest, paper and staged each.")
    require_parity: bool = Field(
        default=_USUAL.require_parity,
        description="Whether backtest and engine must have made the same fills; a parity that fails later demotes.")
    calibration_min_forecasts: int = Field(
        default=_USUAL.calibration_min_forecasts, ge=0, le=1_000_000,
        description="Where a model has a say (uses_model): settled forecasts that real money asks for.")
    calibration_max_brier: float = Field(
        default=_USUAL.calibration_max_brier, ge=0, le=1,
        description="Their mean Brier score; 0.25 is what always saying 50% scores.")
    staged_capital_fraction: float = Field(
        default=_USUAL.staged_capital_fraction, gt=0, le=1,
        description="The part of its capital (of the equity where it has none of its own) that a strategy has in staged_live.")
    demote_drawdown_fraction: float = Field(
        default=_USUAL.demote_drawdown_fraction, ge=0, le=1,
        description="A fall of its own results, open losses included, by this part of its capital demotes it (0: off).")
    demote_losing_streak: int = Field(
        default=_USUAL.demote_losing_streak, ge=0, le=1_000, description="So many losing round trips in a row do too (0: off).")

    def settings(self) -> LifecycleSettings:
        """What the engine needs of it."""
        return LifecycleSettings(**self.model_dump())


def lifecycle_contradictions(lifecycle: LifecycleConfig) -> Iterator[str]:
    """Bounds that leave others without a meaning, one line each."""
    bound = lifecycle.demote_drawdown_fraction
    for name in ("paper_max_drawdown_fraction", "staged_max_drawdown_fraction"):
        asked = getattr(lifecycle, name)
        if bound and asked > bound:
            yield (f"lifecycle.{name} ({asked:g}) is above lifecycle.demote_drawdown_fraction ({bound:g}): what falls so far is "
                   "demoted before it can be promoted")
