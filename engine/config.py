"""The configuration: frozen, validated settings with units in their names; unknown keys and secrets are refused.

The file is TOML. Every field carries the sentence that `quarterdeck init` writes above it, so the comments in the file
and the code cannot drift apart. `Config.settings()` gives the engine what it needs of it.
"""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from engine.config_access import AccessConfig
from engine.config_accounts import (
    NAME_PATTERN,
    PAPER,
    SIMULATED,
    SIMULATED_CURRENCY,
    AccountConfig,
    account_errors,
    doubled_names,
    money_decimals,
)
from engine.config_backup import BackupConfig
from engine.config_currency import CurrencyConfig, currency_contradictions, total_contradictions
from engine.config_events import NEWS_EXAMPLE, EventsConfig, NewsConfig, news_errors
from engine.config_golive import GoLiveConfig
from engine.config_health import HealthConfig
from engine.config_lifecycle import LifecycleConfig, lifecycle_contradictions
from engine.config_limits import LimitsConfig, Section, barred, limit_contradictions
from engine.config_notify import ROUTE_EXAMPLE, NotifyConfig, NotifyRouteConfig, route_contradictions, route_errors
from engine.config_research import (
    DEFAULT_PRICES,
    MODEL_EXAMPLE,
    PortfolioResearchConfig,
    Prices,
    ResearchConfig,
    ResearchModelConfig,
    research_contradictions,
    research_errors,
    research_settings,
)
from engine.config_schedule import DEFAULT_JOBS, JobConfig, job_errors, jobs_of, schedule_contradictions
from engine.config_strategies import (
    STRATEGY_EXAMPLE,
    RegimesConfig,
    StrategyConfig,
    rule_errors,
    strategy_contradictions,
    strategy_errors,
)
from engine.config_targets import TargetsConfig, target_contradictions, target_errors
from engine.config_versions import CURRENT_VERSION, FIRST_VERSION, translate, version_of
from engine.config_webhook import SOURCE_EXAMPLE, WebhookConfig, WebhookSourceConfig, source_errors
from engine.config_words import error_line
from engine.errors import ConfigError
from engine.inputs import AutomationLevel, Limits, PortfolioSettings, RiskTolerance, Settings
from engine.schedule_words import Job, JobKind
from engine.settings import CurrencySettings
from engine.strategies.registry import Strategy

CONFIG_FILE = "config.toml"
BYTE_ORDER_MARK = "\ufeff"  # some editors begin a file with it
SECRET_WORDS = ("api_key", "apikey", "api-key", "secret", "token", "password", "passphrase", "private_key")
COUNTS = ("cycle_tokens", "day_tokens", "answer_tokens")  # of a model's text, which is no secret

_SETTINGS = Settings(portfolios=())


def _as_tolerance(value: object) -> object:
    try:
        return RiskTolerance(str(value))
    except ValueError:
        raise ValueError("must be one of " + ", ".join(RiskTolerance)) from None


def _as_level(value: object) -> object:
    try:
        return AutomationLevel(str(value))
    except ValueError:
        raise ValueError("must be one of " + ", ".join(AutomationLevel)) from None


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError('must be a time zone such as "UTC" or "America/New_York"') from error
    return name


Zone = Annotated[str, AfterValidator(_known_zone)]
Level = Annotated[AutomationLevel, BeforeValidator(_as_level)]
Tolerance = Annotated[RiskTolerance, BeforeValidator(_as_tolerance)]


class AppConfig(Section):
    """The screen."""

    theme: str = Field(
        default="harbour", min_length=1, description="Colours of the screen; `quarterdeck themes list` names them.")
    zone: Zone = Field(default="UTC", description="The time zone in which the screen writes its times.")


class LogConfig(Section):
    """Log files of the unattended engine, under logs/ in the home."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least important line that is kept: debug, info, warning or error.")
    file_megabytes: int = Field(
        default=10, ge=1, le=1000, description="Size at which a log file is set aside and a new one begun.")
    files_kept: int = Field(default=5, ge=1, le=100, description="How many set-aside log files are kept.")


class MarketConfig(Section):
    """Where prices come from."""

    source: str = Field(
        default=SIMULATED,
        description="What paper accounts trade on: simulated, the built-in market, or the name of an account at a real venue, "
        "whose prices and symbols they then have. Recorded tapes are played by `quarterdeck replay`.")
    seed: int = Field(
        default=7, ge=0, le=2**31 - 1, description="The simulated market's seed: the same seed, the same prices.")
    quotes_per_second: float = Field(
        default=20.0, gt=0, le=5000,
        description="How many quotes a second the simulated market sends, all instruments together.")
    always_open: bool = Field(
        default=False,
        description="Stocks of the simulated market trade day and night instead of 09:30-16:00 New York.")


class KeysConfig(Section):
    """Where the keys of real venues lie; `quarterdeck keys set ACCOUNT` stores one."""

    store: Literal["keyring", "file"] = Field(
        default="keyring", description="keyring: the platform's own; file: an encrypted file, for a server without one.")
    file: str = Field(
        default="", description="The encrypted file; else keys.age in the home. Its passphrase is asked, or comes from systemd.")


class EngineConfig(Section):
    """Deadlines and bounds of the engine; seconds unless the name says otherwise."""

    settle_seconds: float = Field(
        default=_SETTINGS.settle_seconds, ge=1, le=3600,
        description="How long a venue may need before an order it does not know counts as never received.")
    query_after_seconds: float = Field(
        default=_SETTINGS.query_after_seconds, ge=0.1, le=600,
        description="An order without an answer is looked up at the venue after this time.")
    reconcile_seconds: float = Field(
        default=_SETTINGS.reconcile_seconds, ge=5, le=86_400,
        description="The venue is asked for the full truth this often.")
    venue_stop_grace_seconds: float = Field(
        default=_SETTINGS.venue_stop_grace_seconds, ge=0, le=60,
        description="How long a stop at the venue may take to act before the engine exits by itself.")
    proposal_seconds: float = Field(
        default=_SETTINGS.proposal_seconds, ge=5, le=86_400, description="A pending trade expires after this time.")
    proposal_band_bps: int = Field(
        default=_SETTINGS.proposal_band_bps, ge=1, le=5000,
        description="A pending trade is void once the price is this many hundredths of a percent away from the card's.")
    flatten_deadline_seconds: float = Field(
        default=_SETTINGS.flatten_deadline_seconds, ge=5, le=3600,
        description="Flattening reports what is left after this time; it is not given up while the engine runs.")
    cancel_on_disconnect_seconds: float = Field(
        default=_SETTINGS.cancel_on_disconnect_seconds, ge=0, le=86_400,
        description="Entries of an account that was out of reach for this time are withdrawn; stops stay (0: off).")
    trail_step_fraction: float = Field(
        default=_SETTINGS.trail_step_fraction, ge=0, le=1,
        description="A trailing stop at the venue is moved once the level rose by this part of the trailing distance.")
    gap_allowance_bps: int = Field(
        default=_SETTINGS.gap_allowance_bps, ge=0, le=5000,
        description="Heat assumes that a stop fills this many hundredths of a percent beyond its level.")
    new_day_zone: Zone = Field(
        default=_SETTINGS.new_day_zone, description="The time zone whose midnight begins a new day of profit and loss.")


class PortfolioConfig(Section):
    """One portfolio: its account, how far it may act alone, its limits."""

    name: str = Field(
        default="main", pattern=NAME_PATTERN, description="How commands and the journal name the portfolio.")
    account: str = Field(default="paper", description="The account its orders go to, by name.")
    automation: Level = Field(
        default=AutomationLevel.SUGGEST_ONLY,
        description="monitor_only: nothing is sent; suggest_only: strategies ask a person; auto_execute: they act.")
    risk_tolerance: Tolerance = Field(
        default=RiskTolerance.MODERATE,
        description="The limits to start from: conservative, moderate or aggressive; docs/controls.md lists them.")
    limits: LimitsConfig = Field(default=LimitsConfig(), description="Limits of the portfolio.")
    targets: TargetsConfig = Field(default=TargetsConfig(), description="What the portfolio aims at.")
    research: PortfolioResearchConfig = Field(default=PortfolioResearchConfig(), description="Research of the portfolio.")

    def resolved_limits(self) -> Limits:
        """The limits in force: those of the risk tolerance with the portfolio's own laid over them."""
        return self.limits.over(self.risk_tolerance)


class Config(Section):
    """The whole configuration; without a file it is a paper account on the simulated market."""

    version: int = Field(default=CURRENT_VERSION, ge=FIRST_VERSION, description="The version of this file's words; "
                         "`quarterdeck config migrate` brings an older file up to date.")
    app: AppConfig = Field(default=AppConfig())
    market: MarketConfig = Field(default=MarketConfig())
    engine: EngineConfig = Field(default=EngineConfig())
    keys: KeysConfig = Field(default=KeysConfig())
    log: LogConfig = Field(default=LogConfig())
    account: tuple[AccountConfig, ...] = Field(default=(AccountConfig(),), strict=False)
    portfolio: tuple[PortfolioConfig, ...] = Field(default=(PortfolioConfig(),), strict=False)
    regimes: RegimesConfig = Field(default=RegimesConfig())
    strategies: tuple[StrategyConfig, ...] = Field(default=(), strict=False, examples=STRATEGY_EXAMPLE)
    lifecycle: LifecycleConfig = Field(default=LifecycleConfig())
    golive: GoLiveConfig = Field(default=GoLiveConfig())
    research: ResearchConfig = Field(default=ResearchConfig())
    research_model: tuple[ResearchModelConfig, ...] = Field(default=(), strict=False, examples=MODEL_EXAMPLE)
    research_prices: Prices = Field(
        default=DEFAULT_PRICES,
        description="What a million tokens costs in US dollars: input, output, read from the provider's cache, written to it. "
        "The budgets of [research] count by these.")
    backup: BackupConfig = Field(default=BackupConfig())
    job: tuple[JobConfig, ...] = Field(default=DEFAULT_JOBS, strict=False)
    access: AccessConfig = Field(default=AccessConfig())
    health: HealthConfig = Field(default=HealthConfig())
    notify: NotifyConfig = Field(default=NotifyConfig())
    webhook: WebhookConfig = Field(default=WebhookConfig())
    webhook_source: tuple[WebhookSourceConfig, ...] = Field(default=(), strict=False, examples=SOURCE_EXAMPLE)
    notify_route: tuple[NotifyRouteConfig, ...] = Field(default=(), strict=False, examples=ROUTE_EXAMPLE)
    currency: CurrencyConfig = Field(default=CurrencyConfig())
    events: EventsConfig = Field(default=EventsConfig())
    news: tuple[NewsConfig, ...] = Field(default=(), strict=False, examples=NEWS_EXAMPLE)
    sectors: dict[str, str] = Field(
        default={}, examples=['AAPL = "technology"'],
        description="The sector of each symbol, for the limits on sectors and for preferred_sectors.")
    buckets: dict[str, str] = Field(
        default={}, examples=['"BTC/USD" = "coins"'],
        description="The correlation bucket of each symbol: what tends to fall together. Without one a symbol is in the "
        "bucket of its sector, or alone.")

    def account_named(self, name: str) -> AccountConfig:
        """The account of that name; raises `ConfigError`."""
        for account in self.account:
            if account.name == name:
                return account
        raise ConfigError(f'{CONFIG_FILE}: no account is named "{name}"')

    def minor_exponent_of(self, account: AccountConfig) -> int:
        """Decimals of an account's money; a paper account on a real venue's market counts as that venue does."""
        on_market = account.kind == PAPER and self.market.source != SIMULATED
        return (self.account_named(self.market.source) if on_market else account).minor_exponent

    def settings(self, user_strategies: Mapping[str, Strategy] | None = None,
                 problems: Mapping[str, str] | None = None) -> Settings:
        """What the engine needs of the configuration. `user_strategies` are the home's own rules, `problems` what keeps
        strategies from running, both by name. Raises `ConfigError` for parameters that a given rule does not take."""
        own, off = user_strategies or {}, problems or {}
        return Settings(
            portfolios=tuple(self._portfolio_settings(portfolio) for portfolio in self.portfolio),
            sectors=self.sectors, buckets=self.buckets, **self.engine.model_dump(),
            strategies=tuple(one.settings(own.get(one.rule), off.get(one.name, "")) for one in self.strategies),
            regimes=self.regimes.settings(),
            lifecycle=self.lifecycle.settings(), golive=self.golive.settings(), jobs=self.jobs(),
            currency=self._currency_settings(),
            research=research_settings(self.research, self.research_model, self.research_prices))

    def _currency_settings(self) -> CurrencySettings:
        return CurrencySettings(minor_exponent=money_decimals(self.currency.base), **self.currency.model_dump())

    def jobs(self) -> tuple[Job, ...]:
        """The schedule, a job for each portfolio where it is about one."""
        names = [portfolio.name for portfolio in self.portfolio]
        aimed = [portfolio.name for portfolio in self.portfolio if portfolio.targets.method is not None]
        return jobs_of(self.job, names, aimed, with_models=self.research.enabled and bool(self.research_model))

    def _portfolio_settings(self, portfolio: PortfolioConfig) -> PortfolioSettings:
        account = self.account_named(portfolio.account)
        return PortfolioSettings(
            portfolio=portfolio.name, account=account.name, currency=account.currency,
            minor_exponent=self.minor_exponent_of(account), automation=portfolio.automation,
            limits=portfolio.resolved_limits(), tolerance=portfolio.risk_tolerance, live=account.live,
            targets=portfolio.targets.settings(), research=portfolio.research.settings(),
            simulated=account.kind == PAPER and self.market.source == SIMULATED)


class CheckedConfig(msgspec.Struct, frozen=True):
    """What became of a configuration text: the config where it can be used, its errors, and its contradictions. Errors beside a
    config turn off no more than the strategies that they name."""

    config: Config | None
    errors: tuple[str, ...]
    warnings: tuple[str, ...]


def load_config(path: Path) -> Config:
    """The configuration in a file, or the defaults where there is none; raises `ConfigError` with the first problem."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Config()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    return parse_config(text, str(path))


def parse_config(text: str, source: str) -> Config:
    """A configuration from TOML text; raises `ConfigError` with the first problem and how many more there are."""
    checked = check_config(text, source)
    if checked.config is None:
        more = len(checked.errors) - 1
        hint = f" (and {more} more: see `quarterdeck config check`)" if more else ""
        raise ConfigError(checked.errors[0] + hint)
    return checked.config


def check_config(text: str, source: str) -> CheckedConfig:
    """Everything that is wrong with a configuration text, one line each, and what in it contradicts itself."""
    try:
        tree = tomllib.loads(text.removeprefix(BYTE_ORDER_MARK))
    except tomllib.TOMLDecodeError as error:
        return CheckedConfig(None, (f"{source}: not valid TOML: {error}",), ())
    secrets = tuple(_secrets(tree))
    if secrets:
        told = "secrets never live in the configuration; remove this key"
        return CheckedConfig(None, tuple(f"{source}: {path}: {told}" for path in secrets), ())
    if version_of(tree) > CURRENT_VERSION:
        told = f"is newer than this program's {CURRENT_VERSION}; install the newer quarterdeck"
        return CheckedConfig(None, (f"{source}: version {version_of(tree)} {told}",), ())
    old_words = tuple(f"{source}: {line}; `quarterdeck config migrate --write` renames it" for line in translate(tree))
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        return CheckedConfig(None, tuple(error_line(source, tree, problem, Config) for problem in error.errors()), ())
    errors = tuple(f"{source}: {line}" for line in _broken_references(config))
    if errors:
        return CheckedConfig(None, errors, ())
    off = tuple(f"{source}: {line}" for line in rule_errors(config.strategies))
    return CheckedConfig(config, off, (*old_words, *(f"{source}: {line}" for line in contradictions(config))))


def _secrets(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if key not in COUNTS and any(word in key.lower() for word in SECRET_WORDS):
            yield path
        yield from _secrets_within(value, path)


def _secrets_within(value: object, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _secrets(value, f"{path}.")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _secrets_within(item, f"{path}[{index}]")


def _broken_references(config: Config) -> Iterator[str]:
    names = [account.name for account in config.account]
    for section, found in (("account", config.account), ("portfolio", config.portfolio)):
        if not found:
            yield f"{section}: at least one [[{section}]] section is needed"
            return
    yield from doubled_names("account", names)
    yield from doubled_names("portfolio", [portfolio.name for portfolio in config.portfolio])
    yield from account_errors(config.account, config.market.source)
    yield from strategy_errors(config.strategies, [portfolio.name for portfolio in config.portfolio])
    yield from job_errors(config.job, [portfolio.name for portfolio in config.portfolio])
    yield from source_errors(config.webhook_source, [portfolio.name for portfolio in config.portfolio])
    yield from route_errors(config.notify_route, [portfolio.name for portfolio in config.portfolio])
    yield from research_errors(config.research_model, config.research_prices, names)
    yield from news_errors(config.news, {account.name: account.kind for account in config.account})
    aimless = [portfolio.name for portfolio in config.portfolio if portfolio.targets.method is None]
    for index, job in enumerate(config.job):
        if job.kind is JobKind.REBALANCE and job.portfolio in aimless:
            yield f'job[{index}].portfolio = "{job.portfolio}": has no [portfolio.targets] to be brought back to'
    taken: dict[str, str] = {}
    for index, portfolio in enumerate(config.portfolio):
        where = f'portfolio[{index}].account = "{portfolio.account}"'
        if portfolio.account not in names:
            close = difflib.get_close_matches(portfolio.account, names, n=1)
            hint = f'did you mean "{close[0]}"?' if close else f"there is: {', '.join(names)}"
            yield f"{where}: no such account; {hint}"
        elif portfolio.account in taken:
            yield f'{where}: already the account of portfolio "{taken[portfolio.account]}"; give each portfolio its own'
        elif config.account_named(portfolio.account).live and portfolio.resolved_limits().max_order_notional is None:
            yield (f"{where}: holds real money: say the largest order in money, "
                   f"portfolio[{index}].limits.max_order_notional = ...")
        taken[portfolio.account] = portfolio.name
        busy = {symbol: one.name for one in config.strategies if one.portfolio == portfolio.name for symbol in one.symbols}
        yield from target_errors(f"portfolio[{index}].targets", portfolio.targets, portfolio.resolved_limits(), busy)


def contradictions(config: Config) -> Iterator[str]:
    """Settings that are each allowed but do not go together, in words, one line each."""
    used = {config.market.source, *(portfolio.account for portfolio in config.portfolio)}
    for account in config.account:
        if account.name not in used:
            yield f'account "{account.name}": no portfolio uses it'
        if account.kind == PAPER and config.market.source == SIMULATED and account.currency != SIMULATED_CURRENCY:
            yield (f'account "{account.name}": is kept in {account.currency}, and the simulated market is quoted in '
                   f"{SIMULATED_CURRENCY} alone: the engine starts on it only in a replay")
        if account.live and account.endpoints.rest_url:
            yield (f'account "{account.name}": holds real money, and its orders go to {account.endpoints.rest_url} instead of '
                   "the venue's own address")
    if config.engine.query_after_seconds >= config.engine.settle_seconds:
        yield ("engine.query_after_seconds is not below engine.settle_seconds: an order would count as never received "
               "before the venue was asked for it")
    if config.engine.flatten_deadline_seconds < config.engine.settle_seconds:
        yield ("engine.flatten_deadline_seconds is below engine.settle_seconds: a flatten would report orders as left "
               "over while they may still settle")
    symbols = [symbol for account in config.account for symbol in account.symbols]
    currencies = {portfolio.name: config.account_named(portfolio.account).currency for portfolio in config.portfolio}
    yield from currency_contradictions(config.currency, currencies, symbols)
    yield from total_contradictions(config.currency, [portfolio.resolved_limits() for portfolio in config.portfolio])
    yield from (*lifecycle_contradictions(config.lifecycle), *route_contradictions(config.notify_route))
    yield from schedule_contradictions(config.job, researches=config.research.enabled)
    yield from research_contradictions(config.research, config.research_model, config.research_prices)
    for portfolio in config.portfolio:
        yield from _portfolio_contradictions(config, portfolio)


def _portfolio_contradictions(config: Config, portfolio: PortfolioConfig) -> Iterator[str]:
    limits = portfolio.resolved_limits()
    leverage = config.account_named(portfolio.account).leverage
    acts_alone = portfolio.automation is AutomationLevel.AUTO_EXECUTE
    if acts_alone and config.account_named(portfolio.account).live:
        yield (f'portfolio "{portfolio.name}": strategies act alone (auto_execute) on real money, as long as '
               f'"{portfolio.account}" is armed')
    for line in limit_contradictions(limits, leverage, acts_alone=acts_alone):
        yield f'portfolio "{portfolio.name}": {line}'
    own = [one for one in config.strategies if one.portfolio == portfolio.name]
    for line in (*strategy_contradictions(own, limits), *target_contradictions(portfolio.targets, limits)):
        yield f'portfolio "{portfolio.name}": {line}'
    wanted = {symbol: f'strategy "{one.name}"' for one in own for symbol in one.symbols}
    if portfolio.targets.method is not None:
        wanted |= dict.fromkeys(portfolio.targets.all_symbols, "targets")
    for line in barred(wanted, limits, config.sectors):
        yield f'portfolio "{portfolio.name}": {line}'
    known = {*config.sectors.values()}
    for sector in limits.preferred_sectors:
        if sector not in known:
            yield (f'portfolio "{portfolio.name}": limits.preferred_sectors names "{sector}", which no symbol of [sectors] has: '
                   "nothing can be entered through it")
