"""What the configuration says of research, frozen. Money in millionths of a US dollar, so that sums are exact."""

import msgspec

from engine.units import Nanoseconds


class ModelPrice(msgspec.Struct, frozen=True):
    """What a provider asks, in US dollars for a million tokens; prices of long prompts are not told apart."""

    input_usd: float
    output_usd: float
    cache_read_usd: float = 0.0
    cache_write_usd: float = 0.0


class ModelLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """A provider with a model for each kind of call. `kind` is anthropic or chat; every line samples its own judges.
    `trained_until_ns` is when the training of its newest model ended."""

    name: str
    kind: str = "anthropic"
    endpoint: str = "https://api.anthropic.com"
    model: str = "claude-sonnet-5-5"
    news_model: str = ""
    judge_model: str = ""
    effort: str = ""
    keyless: bool = False
    trained_until_ns: Nanoseconds = 0

    def model_of(self, role: str) -> str:
        """The model that is asked in a role; a role's name may end in a colon and a number."""
        match role.partition(":")[0]:
            case "news":
                return self.news_model or self.model
            case "judge":
                return self.judge_model or self.model
        return self.model

    @property
    def models(self) -> tuple[str, ...]:
        """Every model of the line, each once."""
        return tuple(dict.fromkeys((self.model, self.model_of("news"), self.model_of("judge"))))


class Budgets(msgspec.Struct, frozen=True):
    """What one cycle (a run for one instrument) and one day may cost; a day is the engine's own."""

    cycle_micro_usd: int = 300_000
    day_micro_usd: int = 10_000_000
    cycle_tokens: int = 200_000
    day_tokens: int = 6_000_000


class Deadlines(msgspec.Struct, frozen=True):
    """How long a call and a whole cycle may take, and how many calls are under way at once."""

    call_seconds: float = 20.0
    cycle_seconds: float = 60.0
    concurrent_calls: int = 4


class BreakerSettings(msgspec.Struct, frozen=True):
    """So many failed calls within a window, and the models are left alone for a while: the rules answer then."""

    failures: int = 3
    window_seconds: float = 300.0
    rest_seconds: float = 600.0


class PortfolioResearch(msgspec.Struct, frozen=True, omit_defaults=True):
    """Research of one portfolio: what it looks at (nothing named: what it holds and what its strategies trade), how far ahead
    and how boldly, 0 to 3."""

    symbols: tuple[str, ...] = ()
    horizon_days: int = 5
    aggressiveness: int = 1


class AutoConditions(msgspec.Struct, frozen=True):
    """What has to hold before a decision of research is carried out without a person."""

    min_resolved: int = 200
    max_data_age_seconds: float = 900.0


class ResearchSettings(msgspec.Struct, frozen=True):
    """The section [research] with its model lines and prices; without a line the rules answer."""

    enabled: bool = True
    lines: tuple[ModelLine, ...] = ()
    prices: dict[str, ModelPrice] = {}
    prices_as_of: str = ""
    budgets: Budgets = Budgets()
    deadlines: Deadlines = Deadlines()
    breaker: BreakerSettings = BreakerSettings()
    judge_samples: int = 3
    symbols_per_scan: int = 4
    again_hours: float = 6.0
    answer_tokens: int = 2_000
    cost_bps: float = 10.0
    per_trade_risk_bps: float = 50.0
    day_risk_bps: float = 200.0
    probation_risk_bps: float = 10.0
    auto: AutoConditions = AutoConditions()
    masked: bool = False

    @property
    def badge(self) -> str:
        """Who answers, as it is shown."""
        return ", ".join(f"{line.name}: {line.model}" for line in self.lines) if self.lines else "RULES, NO MODEL"
