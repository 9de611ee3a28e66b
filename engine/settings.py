"""What the configuration says that the core needs, frozen; journaled at every start."""

from enum import StrEnum

import msgspec

from engine.candidates import LifecycleSettings
from engine.golive_words import GoLiveSettings
from engine.regimes import RegimeSettings
from engine.research.settings import PortfolioResearch, ResearchSettings
from engine.schedule_words import Job
from engine.strategy_state import StrategySettings
from engine.targets import TargetSettings
from engine.tolerance import Limits, RiskTolerance


class AutomationLevel(StrEnum):
    MONITOR_ONLY = "monitor_only"
    SUGGEST_ONLY = "suggest_only"
    AUTO_EXECUTE = "auto_execute"


class PortfolioSettings(msgspec.Struct, frozen=True):
    """What the configuration says of one portfolio; `live` where its account holds real money, `simulated` where it trades on the
    invented prices of the built-in market."""

    portfolio: str
    account: str
    currency: str
    minor_exponent: int
    automation: AutomationLevel = AutomationLevel.SUGGEST_ONLY
    limits: Limits = Limits()
    live: bool = False
    tolerance: RiskTolerance = RiskTolerance.MODERATE
    targets: TargetSettings | None = None
    research: PortfolioResearch = PortfolioResearch()
    simulated: bool = False


class CurrencySettings(msgspec.Struct, frozen=True):
    """How portfolios of several currencies are added up; see the `[currency]` section of the configuration."""

    base: str = ""
    minor_exponent: int = 2
    pegs: dict[str, str] = msgspec.field(default_factory=lambda: {"USDT": "USD", "USDC": "USD"})
    rates: dict[str, str] = {}
    max_rate_age_seconds: float = 900.0
    max_total_heat_fraction: float = 0.0
    max_total_gross_fraction: float = 0.0

    def pegged(self, currency: str) -> str:
        """The currency that one is worth exactly one of: its peg, or itself."""
        return self.pegs.get(currency, currency)


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
    regimes: RegimeSettings = RegimeSettings()
    lifecycle: LifecycleSettings = LifecycleSettings()
    currency: CurrencySettings = CurrencySettings()
    golive: GoLiveSettings = GoLiveSettings()
    research: ResearchSettings = ResearchSettings()

    @property
    def base_currency(self) -> tuple[str, int]:
        """The currency of the total and the decimals it is counted in: the chosen one, else the first portfolio's."""
        if self.currency.base or not self.portfolios:
            return self.currency.base, self.currency.minor_exponent
        return self.portfolios[0].currency, self.portfolios[0].minor_exponent
