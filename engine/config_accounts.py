"""The accounts in the configuration file: which venue, real money or not, which symbols, under which addresses."""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from engine.config_limits import Money, Section
from engine.units import Minor

NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,31}$"
MONEY_DECIMALS = {"JPY": 0, "KRW": 0, "BTC": 8, "ETH": 8, "SOL": 8, "BNB": 8, "USDT": 6, "USDC": 6}
DEFAULT_MONEY_DECIMALS = 2
EXCHANGE_DECIMALS = 8
PAPER, ALPACA, CCXT = "paper", "alpaca", "ccxt"
ALPACA_REAL_HOST = "api.alpaca.markets"
SIMULATED = "simulated"
SIMULATED_CURRENCY = "USD"

_VENUE = re.compile(r"paper|alpaca|ccxt:[a-z0-9]{2,30}")
_PAIR = re.compile(r"[A-Z0-9]{1,20}/[A-Z0-9]{2,10}")
_STOCK = re.compile(r"[A-Z][A-Z0-9.]{0,9}")
_HOST = re.compile(r"[a-z]+://([^/?#:]+)")
# Keys travel to these addresses: without TLS only on this machine.
_ADDRESS = r"^((https|wss)://[^\s@]+|(http|ws)://(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?(/[^\s@]*)?)?$"


def money_decimals(currency: str) -> int:
    """Decimals that money of a currency is counted in: 2 for cents, 8 for coins, 0 for yen."""
    return MONEY_DECIMALS.get(currency.upper(), DEFAULT_MONEY_DECIMALS)


class EndpointsConfig(Section):
    """Where the venue is reached instead of its own addresses: a proxy, or a local server. Empty means its own."""

    rest_url: str = Field(default="", pattern=_ADDRESS, description="Orders and account, https://...")
    stream_url: str = Field(default="", pattern=_ADDRESS, description="The stream of orders and fills, wss://...")
    data_url: str = Field(default="", pattern=_ADDRESS, description="Market data, https://...; alpaca only.")
    data_stream_url: str = Field(default="", pattern=_ADDRESS, description="The stream of market data, wss://...; alpaca only.")


class AccountConfig(Section):
    """One account at one venue. Its key is no part of this file: `quarterdeck keys set NAME` stores it."""

    name: str = Field(
        default="paper", pattern=NAME_PATTERN, description="How orders, fills, keys and the journal name the account.")
    venue: str = Field(
        default=PAPER,
        description='The venue: "paper", the built-in one; "alpaca"; or an exchange by its ccxt name, such as "ccxt:kraken".')
    paper: bool = Field(
        default=True, description="alpaca: its paper account. Real money needs false, and `quarterdeck arm NAME` then.")
    sandbox: bool = Field(
        default=True, description="ccxt: the exchange's sandbox. Real money needs false, and `quarterdeck arm NAME` then.")
    symbols: tuple[str, ...] = Field(
        default=(), strict=False, max_length=1_000,
        description='What is traded there, such as ["AAPL", "BTC/USD"]; the paper venue lists what its market has.')
    fractions: bool = Field(
        default=False, description="alpaca: trade fractions of shares, where the venue takes them, as day orders.")
    timeout_seconds: float = Field(default=10.0, ge=1, le=120, description="How long one request to the venue may take.")
    currency: str = Field(
        default="USD", pattern=r"^[A-Z0-9]{2,10}$", description="The one currency the account's money is in.")
    initial_cash: Money = Field(default=Decimal(100_000), gt=0, le=10**12, description="Cash of a new paper account.")
    leverage: float = Field(
        default=2.0, ge=1, le=100, description="Buying power of the paper account, in times its equity.")
    slippage_bps: int = Field(
        default=1, ge=0, le=1000,
        description="How much worse than the quote a market order fills on paper, in hundredths of a percent.")
    latency_ms: int = Field(
        default=0, ge=0, le=60_000, description="Time between an order and its arrival at the paper venue.")
    endpoints: EndpointsConfig = Field(default=EndpointsConfig(), description="Where the venue is reached.")

    @property
    def kind(self) -> Literal["paper", "alpaca", "ccxt"]:
        """Which adapter the venue needs."""
        return "paper" if self.venue == PAPER else "alpaca" if self.venue == ALPACA else "ccxt"

    @property
    def exchange(self) -> str:
        """The ccxt name of the exchange, empty for other venues."""
        return self.venue.partition(":")[2]

    @property
    def live(self) -> bool:
        """Whether real money is at stake."""
        return {"paper": False, "alpaca": not self.paper, "ccxt": not self.sandbox}[self.kind]

    @property
    def minor_exponent(self) -> int:
        """Decimals that the account's money is counted in: as its currency has, and eight at exchanges, which keep them."""
        return EXCHANGE_DECIMALS if self.kind == CCXT else money_decimals(self.currency)

    @property
    def initial_cash_minor(self) -> Minor:
        return int(self.initial_cash.scaleb(self.minor_exponent))

    @field_validator("venue")
    @classmethod
    def _known_venue(cls, venue: str) -> str:
        if not _VENUE.fullmatch(venue):
            raise ValueError('must be "paper", "alpaca" or "ccxt:" and an exchange, such as "ccxt:kraken"')
        return venue

    @model_validator(mode="after")
    def _cash_in_whole_units(self) -> Self:
        scaled = self.initial_cash.scaleb(self.minor_exponent)
        if scaled != scaled.to_integral_value():
            raise ValueError(f"initial_cash must have at most {self.minor_exponent} decimals for {self.currency}")
        return self


def doubled_names(section: str, names: Sequence[str]) -> Iterator[str]:
    """Names of a kind of section that are given twice, one line each."""
    for index, name in enumerate(names):
        if name in names[:index]:
            yield f'{section}[{index}].name = "{name}": the name is already taken; names must differ'


def account_errors(accounts: Sequence[AccountConfig], source: str) -> Iterator[str]:
    """What is wrong between an account's settings, and with the market's source, one line each."""
    for index, account in enumerate(accounts):
        where = f'account[{index}] "{account.name}"'
        if account.name == SIMULATED:
            yield f'{where}: "{SIMULATED}" names the built-in market; choose another name'
        yield from (f"{where}: {line}" for line in (*_switch_errors(account), *_symbol_errors(account)))
    shares = [account for account in accounts if account.kind == ALPACA]
    if len({account.fractions for account in shares}) > 1:
        yield f"fractions: {', '.join(account.name for account in shares)} trade the same shares; count them alike in all of them"
    yield from _mixed_prices(accounts)
    yield from _source_errors(accounts, source)


def _mixed_prices(accounts: Sequence[AccountConfig]) -> Iterator[str]:
    """An exchange's sandbox has prices of its own, and an instrument has but one price: a stop must never see the other."""
    for exchange in dict.fromkeys(account.exchange for account in accounts if account.kind == CCXT):
        practice, real = ([account.name for account in accounts if account.exchange == exchange and account.sandbox is sandbox]
                          for sandbox in (True, False))
        if practice and real:
            yield (f'account "{practice[0]}" is in the sandbox of {exchange}, "{real[0]}" is not: prices there differ, and an '
                   "instrument has but one; give one of them a home of its own")


def _switch_errors(account: AccountConfig) -> Iterator[str]:
    if account.kind != ALPACA and not account.paper:
        yield f'paper = false belongs to "alpaca"; {_instead(account)}'
    if account.kind != CCXT and not account.sandbox:
        yield f'sandbox = false belongs to "ccxt:..."; {_instead(account)}'
    if account.kind != ALPACA and account.fractions:
        yield 'fractions = true belongs to "alpaca"; coins are traded in the parts that their exchange has'
    if account.kind == PAPER and account.endpoints != EndpointsConfig():
        yield "endpoints: the paper venue is built in; there is nothing to reach elsewhere"
    if account.kind == CCXT and (account.endpoints.data_url or account.endpoints.data_stream_url):
        yield "endpoints: an exchange has one rest_url and one stream_url; leave data_url and data_stream_url empty"
    if account.kind == ALPACA and account.paper:
        yield from (f"endpoints.{name}: {host_of(url)} trades real money, and paper = true says practice; for real money write "
                    "paper = false and leave the address empty"
                    for name, url in (("rest_url", account.endpoints.rest_url), ("stream_url", account.endpoints.stream_url))
                    if host_of(url) == ALPACA_REAL_HOST)


def host_of(address: str) -> str:
    """The host of an address in lower case, as a resolver takes it; empty without one."""
    found = _HOST.match(address)
    return found.group(1).lower().rstrip(".") if found else ""


def _instead(account: AccountConfig) -> str:
    told = {"paper": "the built-in paper venue never holds real money",
            "alpaca": "for real money write paper = false", "ccxt": "for real money write sandbox = false"}
    return told[account.kind]


def _symbol_errors(account: AccountConfig) -> Iterator[str]:
    if account.kind == PAPER:
        if account.symbols:
            yield "symbols: the paper venue lists what its market has; name symbols in the account of a real venue"
        return
    if not account.symbols:
        yield f'symbols: say what is traded at {account.venue}, such as symbols = ["BTC/{account.currency}"]'
    for place, symbol in enumerate(account.symbols):
        stock = account.kind == ALPACA and _STOCK.fullmatch(symbol) is not None
        if symbol in account.symbols[:place]:
            yield f'symbols[{place}] = "{symbol}": named twice'
        elif not stock and not _PAIR.fullmatch(symbol):
            yield f'symbols[{place}] = "{symbol}": is not written like {_like(account)}'
        elif (quote := "USD" if stock else symbol.partition("/")[2]) != account.currency:
            yield (f'symbols[{place}] = "{symbol}": is paid in {quote}, the account is in {account.currency}; '
                   "give each currency an account and a portfolio of its own")


def _like(account: AccountConfig) -> str:
    return '"AAPL" or "BTC/USD"' if account.kind == ALPACA else f'"BTC/{account.currency}"'


def _source_errors(accounts: Sequence[AccountConfig], source: str) -> Iterator[str]:
    if source == SIMULATED:
        return
    found = next((account for account in accounts if account.name == source), None)
    if found is None or found.kind == PAPER:
        real = [account.name for account in accounts if account.kind != PAPER]
        known = ", ".join(f'"{name}"' for name in (SIMULATED, *real))
        yield f'market.source = "{source}": must be "{SIMULATED}" or the account of a real venue; there is: {known}'
        return
    for account in accounts:
        if account.kind == PAPER and account.currency != found.currency:
            yield (f'market.source = "{source}": its prices are in {found.currency}, paper account "{account.name}" is in '
                   f"{account.currency}; use one currency")
