"""Signed signals from outside, in the configuration file. The secret of each source is no part of it."""

import ipaddress
from collections.abc import Iterator, Sequence

from pydantic import Field, field_validator

from engine.config_accounts import NAME_PATTERN
from engine.config_health import HealthConfig
from engine.config_limits import Section

SOURCE_EXAMPLE = [
    "A source of signed signals. Its secret: `quarterdeck webhook secret charts`",
    "[[webhook_source]]", 'name = "charts"', 'symbols = ["BTC/USD"]', 'allow_from = ["127.0.0.1"]',
]


class WebhookConfig(Section):
    """Signed signals from outside, taken by the unattended engine over HTTP; each [[webhook_source]] section is one sender."""

    host: str = Field(default="127.0.0.1", description="The address on which it listens; from elsewhere let a proxy that speaks "
                      "HTTPS come to it.")
    port: int = Field(default=0, ge=0, le=65_535, description="The port (0: nothing listens).")
    window_seconds: int = Field(
        default=60, ge=5, le=600, description="A signal whose time differs by more than this from ours is refused.")
    largest_bytes: int = Field(default=8_192, ge=256, le=65_536, description="A larger signal is refused unread.")

    @field_validator("host")
    @classmethod
    def _an_address(cls, host: str) -> str:
        return HealthConfig(host=host).host


class WebhookSourceConfig(Section):
    """One sender of signals: what it may name, from where, how often."""

    name: str = Field(pattern=NAME_PATTERN, description="Its name: /hook/NAME, and webhook:NAME as the origin of its orders.")
    portfolio: str = Field(default="main", description="The portfolio that its orders are for.")
    symbols: tuple[str, ...] = Field(
        default=(), strict=False, max_length=1_000, description="The symbols that it may name; empty: all of the portfolio.")
    per_minute: int = Field(default=10, ge=1, le=600, description="How many signals a minute are taken.")
    allow_from: tuple[str, ...] = Field(
        default=("127.0.0.1", "::1"), strict=False, min_length=1, max_length=100,
        description='The addresses or networks that it may come from, such as ["127.0.0.1", "10.0.0.0/8"].')

    @field_validator("allow_from")
    @classmethod
    def _networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for one in networks:
            try:
                ipaddress.ip_network(one)
            except ValueError as error:
                raise ValueError(f'"{one}" is neither an address nor a network such as "10.0.0.0/8"') from error
        return networks


def source_errors(sources: Sequence[WebhookSourceConfig], portfolios: Sequence[str]) -> Iterator[str]:
    """What is wrong with the sources, one line each."""
    names: dict[str, None] = {}
    for index, source in enumerate(sources):
        where = f"webhook_source[{index}]"
        if source.name in names:
            yield f'{where}.name = "{source.name}": the name is already taken; names must differ'
        names[source.name] = None
        if source.portfolio not in portfolios:
            yield f'{where}.portfolio = "{source.portfolio}": no such portfolio; there is: {", ".join(portfolios)}'
