"""What the configuration says that the core needs, frozen; journaled at every start."""

from enum import StrEnum

import msgspec

from engine.strategy_state import StrategySettings
from engine.targets import TargetSettings
from engine.schedule_words import Job
from engine.tolerance import Limits, RiskTolerance


class AutomationLevel(StrEnum):
    MONITOR_ONLY = "monitor_only"
    SUGGEST_ONLY = "suggest_only"
    AUTO_EXECUTE = "auto_execute"


class PortfolioSettings(msgspec.Struct, frozen=True):
    """What the configuration says of one portfolio; `live` where its account holds real money."""

    portfolio: str
    account: str
    currency: str
    minor_exponent: int
    automation: AutomationLevel = AutomationLevel.SUGGEST_ONLY
    limits: Limits = Limits()
    live: bool = False
    tolerance: RiskTolerance = RiskTolerance.MODERATE
    targets: TargetSettings | None = None


class Settings(msgspec.Struct, frozen=True):
    """What the configuration says that the core needs; journaled at every start, so that a replay knows it too."""

    portfolios: tuple[PortfolioSettings, ...]
    settle_seconds: float = 30.0
    query_after_seconds: float = 5.0
    reconcile_seconds: float = 300.0
    venue_stop_grace_seconds: float = 3.0
    proposal_seconds: float = 120.0
    proposal_band_bps: int = 50
    flatten_deadline_seconds: float = 120.0
    cancel_on_disconnect_seconds: float = 60.0
    trail_step_fraction: float = 0.05
    gap_allowance_bps: int = 0
    new_day_zone: str = "UTC"
    sectors: dict[str, str] = {}
    buckets: dict[str, str] = {}
    jobs: tuple[Job, ...] = ()
    strategies: tuple[StrategySettings, ...] = ()
