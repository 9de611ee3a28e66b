"""Research in the configuration file: whether it runs, the models that are asked, what they cost, and what they may cost."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from engine.config_accounts import NAME_PATTERN
from engine.config_limits import Section
from engine.research.settings import (
    AutoConditions,
    BreakerSettings,
    Budgets,
    Deadlines,
    ModelLine,
    ModelPrice,
    PortfolioResearch,
    ResearchSettings,
)
from engine.units import NS_PER_SECOND

MICRO = 1_000_000
ANTHROPIC_ENDPOINT = "https://api.anthropic.com"
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_ADDRESS = re.compile(r"(?P<scheme>https?)://(?P<host>\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?(/[^\s?#]*)?")
_USUAL = ResearchSettings()
_PORTFOLIO = PortfolioResearch()
MODEL_EXAMPLE = [
    "A line of models that research asks; without one the rules answer. Its key: `quarterdeck keys set anthropic`",
    "[[research_model]]", 'name = "anthropic"', 'kind = "anthropic"', 'model = "claude-sonnet-5-5"',
    'news_model = "claude-haiku-5-5"', 'trained_until = "2026-06-30"',
]
PRICES_AS_OF = "2026-10-24"
# input, output, read from the cache, written to it; where no list price of the cache is known, the dearer guess
DEFAULT_PRICES: dict[str, tuple[float, ...]] = {
    "claude-fable-5-1": (10.0, 50.0, 10.0, 12.5),
    "claude-haiku-5-5": (0.5, 2.5, 0.5, 0.625),
    "claude-opus-5-5": (4.0, 20.0, 4.0, 5.0),
    "claude-sonnet-5-5": (2.0, 10.0, 0.1, 2.5),
}


def _as_prices(value: object) -> object:
    """TOML's arrays and whole numbers are as good as tuples of broken ones; what is not named keeps its known price."""
    if not isinstance(value, Mapping):
        return value
    given = {key: tuple(float(one) if isinstance(one, int) and not isinstance(one, bool) else one for one in row)
             if isinstance(row, list | tuple) else row for key, row in value.items()}
    return {**DEFAULT_PRICES, **given}


Prices = Annotated[dict[str, Annotated[tuple[Annotated[float, Field(ge=0, le=100_000)], ...], Field(min_length=2, max_length=4)]],
                   BeforeValidator(_as_prices)]


class ResearchConfig(Section):
    """Research: forecasts by models, or by rules where no [[research_model]] is configured, scored by what really happened.
    What is proposed goes the way of every order; a portfolio's `automation` says whether it waits for a person."""

    enabled: bool = Field(default=True, description="Whether research runs at all, by command, schedule, alert or event.")
    cycle_usd: float = Field(
        default=_USUAL.budgets.cycle_micro_usd / MICRO, ge=0, le=1_000,
        description="The most that the models may cost for one symbol of one run, in US dollars.")
    day_usd: float = Field(
        default=_USUAL.budgets.day_micro_usd / MICRO, ge=0, le=100_000, description="The most that they may cost in one day.")
    cycle_tokens: int = Field(
        default=_USUAL.budgets.cycle_tokens, ge=0, le=100_000_000, description="The same in tokens, for one symbol of one run.")
    day_tokens: int = Field(default=_USUAL.budgets.day_tokens, ge=0, le=10_000_000_000, description="The same for one day.")
    call_seconds: float = Field(
        default=_USUAL.deadlines.call_seconds, gt=0, le=600, description="An answer that takes longer counts as none.")
    cycle_seconds: float = Field(
        default=_USUAL.deadlines.cycle_seconds, gt=0, le=3_600,
        description="The longest time for one symbol of one run; beyond it the models abstain.")
    concurrent_calls: int = Field(
        default=_USUAL.deadlines.concurrent_calls, ge=1, le=64, description="How many calls are under way at once.")
    breaker_failures: int = Field(
        default=_USUAL.breaker.failures, ge=1, le=100,
        description="After so many failed calls within breaker_window_seconds the rules answer for breaker_rest_seconds.")
    breaker_window_seconds: float = Field(
        default=_USUAL.breaker.window_seconds, gt=0, le=86_400, description="The window in which failed calls are counted.")
    breaker_rest_seconds: float = Field(
        default=_USUAL.breaker.rest_seconds, gt=0, le=86_400, description="How long the models are then left alone.")
    judge_samples: int = Field(
        default=_USUAL.judge_samples, ge=1, le=9, description="How many judges each line of models is asked for.")
    answer_tokens: int = Field(
        default=_USUAL.answer_tokens, ge=200, le=32_000, description="The longest answer of one call, thinking included.")
    symbols_per_scan: int = Field(
        default=_USUAL.symbols_per_scan, ge=1, le=200,
        description="A run without named symbols looks at so many: those that moved, that have news, that are held longest.")
    again_hours: float = Field(
        default=_USUAL.again_hours, ge=0, le=168,
        description="A run of the schedule leaves a symbol alone that the portfolio decided on less than so many hours ago, "
                    "unless its regime changed or an event named it since. 0: never.")
    cost_bps: float = Field(
        default=_USUAL.cost_bps, ge=0, le=1_000,
        description="What buying and selling again costs in hundredths of a percent: spread, fees and slippage.")
    per_trade_risk_bps: float = Field(
        default=_USUAL.per_trade_risk_bps, ge=0, le=1_000,
        description="The most that one decision may risk, in hundredths of a percent of the equity.")
    day_risk_bps: float = Field(
        default=_USUAL.day_risk_bps, ge=0, le=10_000, description="The same for all decisions of a day together.")
    probation_risk_bps: float = Field(
        default=_USUAL.probation_risk_bps, ge=0, le=1_000,
        description="The most while an analyst has fewer than 200 scored forecasts.")
    auto_min_resolved: int = Field(
        default=_USUAL.auto.min_resolved, ge=0, le=1_000_000,
        description="auto_execute needs so many scored forecasts of the analyst; until then a person is asked.")
    auto_max_data_age_seconds: float = Field(
        default=_USUAL.auto.max_data_age_seconds, gt=0, le=86_400,
        description="auto_execute needs prices no older than this when the decision is there.")
    masked: bool = Field(
        default=False, description="Hide ticker and dates from the models, to see in a replay what they only remember; such "
                                   "forecasts are scored apart.")
    keep_days: int = Field(
        default=400, ge=0, le=100_000,
        description="After so many days the backup job removes prompts, raw answers and snapshots of research, once the forecast "
                    "is told; numbers stay. 0: never.")
    prices_as_of: str = Field(
        default=PRICES_AS_OF, pattern=r"^\d{4}-\d{2}-\d{2}$",
        description="When [research_prices] was last compared with the lists of the providers.")


class ResearchModelConfig(Section):
    """A line of models behind one provider. Each line gives its own judges; a second one lets other models vote."""

    name: str = Field(pattern=NAME_PATTERN, description="How `quarterdeck keys set NAME` and the record name the line.")
    kind: Literal["anthropic", "chat"] = Field(
        default="anthropic", description="anthropic: the Messages API; chat: chat completions as many providers offer them.")
    endpoint: str = Field(
        default=ANTHROPIC_ENDPOINT, description="Where it answers; with kind chat the address before /chat/completions.")
    model: str = Field(
        default="claude-sonnet-5-5", min_length=1, max_length=120, description="The model of the roles and of the judges.")
    news_model: str = Field(default="", max_length=120, description="The model that reads news; empty: the same.")
    judge_model: str = Field(default="", max_length=120, description="The model of the judges; empty: the same as of the roles.")
    effort: Literal["", "low", "medium", "high", "xhigh", "max"] = Field(
        default="", description="How hard the models think, where the provider knows such a setting.")
    keyless: bool = Field(default=False, description="The endpoint asks for no key, such as a server of your own.")
    trained_until: str = Field(
        default=PRICES_AS_OF, pattern=r"^\d{4}-\d{2}-\d{2}$",
        description="When the training of these models ended, as their provider tells. In a replay of earlier days they may "
                    "remember what came next: such forecasts are called contaminated and scored apart.")

    @field_validator("trained_until")
    @classmethod
    def _real_day(cls, day: str) -> str:
        date.fromisoformat(day)
        return day

    @field_validator("endpoint")
    @classmethod
    def _safe_address(cls, address: str) -> str:
        found = _ADDRESS.fullmatch(address)
        if "@" in address.partition("://")[2].partition("/")[0]:
            raise ValueError("must not hold a name or a password; `quarterdeck keys set` keeps the key")
        if found is None or (found["scheme"] == "http" and found["host"] not in LOOPBACK):
            raise ValueError('must be an address such as "https://api.example.com/v1"; http only on this machine')
        return address.rstrip("/")

    def line(self) -> ModelLine:
        """What the engine needs of it."""
        ended = datetime.combine(date.fromisoformat(self.trained_until), time(), UTC) + timedelta(days=1)
        return ModelLine(self.name, self.kind, self.endpoint, self.model, self.news_model, self.judge_model, self.effort,
                         self.keyless, int(ended.timestamp()) * NS_PER_SECOND)


class PortfolioResearchConfig(Section):
    """Research of the portfolio."""

    symbols: tuple[str, ...] = Field(
        default=(), strict=False, max_length=1_000,
        description="What it looks at; empty: what is held and what the portfolio's strategies trade.")
    horizon_days: int = Field(
        default=_PORTFOLIO.horizon_days, ge=1, le=20, description="How many trading days ahead a forecast looks.")
    aggressiveness: int = Field(
        default=_PORTFOLIO.aggressiveness, ge=0, le=3,
        description="How sure a forecast has to be before it is proposed: 0: 60 %, 1: 55 %, 2: 52 %, 3: 50 %.")

    def settings(self) -> PortfolioResearch:
        """What the engine needs of it."""
        return PortfolioResearch(tuple(symbol.upper() for symbol in self.symbols), self.horizon_days, self.aggressiveness)


def research_settings(config: ResearchConfig, models: Sequence[ResearchModelConfig],
                      prices: Mapping[str, tuple[float, ...]]) -> ResearchSettings:
    """What the engine needs of the three sections."""
    lines = tuple(one.line() for one in models)
    asked = {model for line in lines for model in line.models}
    return ResearchSettings(
        enabled=config.enabled, lines=lines, prices_as_of=config.prices_as_of if lines else "",
        prices={model: _price(row) for model, row in sorted(prices.items()) if model in asked},
        budgets=Budgets(round(config.cycle_usd * MICRO), round(config.day_usd * MICRO), config.cycle_tokens, config.day_tokens),
        deadlines=Deadlines(config.call_seconds, config.cycle_seconds, config.concurrent_calls),
        breaker=BreakerSettings(config.breaker_failures, config.breaker_window_seconds, config.breaker_rest_seconds),
        judge_samples=config.judge_samples, symbols_per_scan=config.symbols_per_scan, again_hours=config.again_hours,
        answer_tokens=config.answer_tokens, cost_bps=config.cost_bps, per_trade_risk_bps=config.per_trade_risk_bps,
        day_risk_bps=config.day_risk_bps, probation_risk_bps=config.probation_risk_bps,
        auto=AutoConditions(config.auto_min_resolved, config.auto_max_data_age_seconds), masked=config.masked)


def _price(row: tuple[float, ...]) -> ModelPrice:
    """A row of the table; tokens of the cache cost what others do where their price is not given."""
    return ModelPrice(row[0], row[1], row[2] if len(row) > 2 else row[0], row[3] if len(row) > 3 else row[0])


def research_errors(models: Sequence[ResearchModelConfig], prices: Mapping[str, tuple[float, ...]],
                    accounts: Sequence[str]) -> Iterator[str]:
    """What is wrong with the lines of models, one line each."""
    taken = dict.fromkeys(accounts, "an account's")
    for index, one in enumerate(models):
        where = f"research_model[{index}]"
        if one.name in taken:
            yield f'{where}.name = "{one.name}": is {taken[one.name]} name already; names must differ'
        taken[one.name] = "another line's"
        if one.kind == "chat" and one.endpoint == ANTHROPIC_ENDPOINT:
            yield f'{where}.endpoint: kind "chat" needs the address of a provider, such as "https://api.example.com/v1"'
        for model in one.line().models:
            if model not in prices:
                yield (f'{where}: no price of "{model}"; write it into [research_prices], '
                       f'"{model}" = [input, output], so that budgets hold')


def research_contradictions(research: ResearchConfig, models: Sequence[ResearchModelConfig],
                            prices: Mapping[str, tuple[float, ...]]) -> Iterator[str]:
    """Settings of research that do not go together, one line each."""
    if research.call_seconds > research.cycle_seconds:
        yield (f"research.call_seconds ({research.call_seconds:g}) is above cycle_seconds ({research.cycle_seconds:g}): "
               "it never binds")
    if research.cycle_usd > research.day_usd:
        yield f"research.cycle_usd ({research.cycle_usd:g}) is above day_usd ({research.day_usd:g}): it never binds"
    if models and not research.enabled:
        yield "research.enabled is false, so the models of [[research_model]] are never asked"
    usual = _usual_cycle_usd(research, models, prices)
    if usual > research.cycle_usd > 0:
        yield (f"research.cycle_usd ({research.cycle_usd:g}): one symbol usually costs about {usual:.2f} with these models; they "
               "would abstain for lack of budget")


def _usual_cycle_usd(research: ResearchConfig, models: Sequence[ResearchModelConfig],
                     prices: Mapping[str, tuple[float, ...]]) -> float:
    """What one symbol costs about: roles and cross-examination of the first line, the judges of each."""
    def cost(model: str, tokens_in: int, tokens_out: int) -> float:
        row = prices.get(model, (0.0, 0.0))
        return (tokens_in * row[0] + tokens_out * row[1]) / MICRO

    if not models:
        return 0.0
    first = models[0].line()
    judges = sum(cost(one.line().model_of("judge"), 7_000, 1_000) for one in models) * research.judge_samples
    roles = 3 * cost(first.model, 5_000, 1_200) + 2 * cost(first.model, 6_000, 800)
    return cost(first.model_of("news"), 4_000, 500) + roles + judges
