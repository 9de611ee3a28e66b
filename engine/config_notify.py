"""Notices to a person away from the screen, in the configuration file. Where a route leads is a secret and no part of it."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, field_validator

from engine.config_accounts import NAME_PATTERN
from engine.config_limits import Section
from engine.service import AlertLevel

HEARTBEAT = "heartbeat"
ROUTE_EXAMPLE = [
    "One way to tell a person. Its address (mail, Telegram, Discord, a webhook ...): `quarterdeck notify set phone`",
    "[[notify_route]]", 'name = "phone"', 'level = "ERROR"', 'quiet_from = "22:00"', 'quiet_until = "07:00"', 'zone = "UTC"',
]
_MINUTE = r"^(([01][0-9]|2[0-3]):[0-5][0-9])?$"


def _as_level(value: object) -> object:
    try:
        return AlertLevel(str(value))
    except ValueError:
        raise ValueError("must be one of " + ", ".join(AlertLevel)) from None


class NotifyConfig(Section):
    """Telling a person away from the screen. Each [[notify_route]] section is one way; `quarterdeck notify set NAME` keeps
    its address, which is a secret and does not belong here."""

    repeat_seconds: int = Field(
        default=600, ge=0, le=86_400, description="The same alert is told again only after this time.")
    acknowledge_seconds: int = Field(
        default=300, ge=10, le=86_400,
        description="A critical alert that nobody has acknowledged by then is told again, to the routes of the next step too; "
        "and so on, after twice the time each.")
    longest_repeat_seconds: int = Field(
        default=3_600, ge=10, le=86_400, description="The longest time between two tellings of a critical alert.")
    queue_length: int = Field(
        default=200, ge=10, le=10_000,
        description="How many notices may wait to be told; beyond it the oldest of the least important is dropped.")
    heartbeat_minutes: float = Field(
        default=0.0, ge=0, le=1_440,
        description="While all is well the address that `quarterdeck notify set heartbeat` keeps is asked this often, so that "
        "somebody elsewhere notices the silence (0: off).")
    heartbeat_method: Literal["GET", "POST"] = Field(default="GET", description="How it is asked: GET or POST.")


class NotifyRouteConfig(Section):
    """One way to tell a person: what it is told of, and when it is quiet."""

    name: str = Field(pattern=NAME_PATTERN, description="How commands and the log name the route.")
    level: Annotated[AlertLevel, BeforeValidator(_as_level)] = Field(
        default=AlertLevel.ERROR, description="The least important alert that it is told of: INFO, WARN, ERROR or CRIT.")
    portfolios: tuple[str, ...] = Field(
        default=(), strict=False, description="Only alerts of these portfolios, and those that are about all; empty: every one.")
    decisions: bool = Field(default=True, description="It is told of every decision that waits for a person, too.")
    step: int = Field(
        default=0, ge=0, le=9,
        description="0: told at once. 1 and more: told only of critical alerts that nobody has acknowledged at that step.")
    quiet_from: str = Field(
        default="", pattern=_MINUTE, description='Quiet from this time of day on, such as "22:00"; critical alerts pass.')
    quiet_until: str = Field(default="", pattern=_MINUTE, description='Until this time of day, such as "07:00".')
    zone: str = Field(default="UTC", description="The time zone whose clock the quiet hours mean.")

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, OSError, ValueError) as error:
            raise ValueError('must be a time zone such as "UTC" or "America/New_York"') from error
        return name


def route_errors(routes: Sequence[NotifyRouteConfig], portfolios: Sequence[str]) -> Iterator[str]:
    """What is wrong with the routes, one line each."""
    names: dict[str, None] = {}
    for index, route in enumerate(routes):
        where = f"notify_route[{index}]"
        if route.name in names or route.name == HEARTBEAT:
            yield f'{where}.name = "{route.name}": the name is already taken; names must differ'
        names[route.name] = None
        for portfolio in route.portfolios:
            if portfolio not in portfolios:
                yield f'{where}.portfolios: no portfolio is named "{portfolio}"; there is: {", ".join(portfolios)}'
        if bool(route.quiet_from) != bool(route.quiet_until):
            yield f"{where}: quiet hours need both quiet_from and quiet_until"


def route_contradictions(routes: Sequence[NotifyRouteConfig]) -> Iterator[str]:
    """Settings of the routes that are each allowed but do not go together."""
    if routes and all(route.step for route in routes):
        yield "notify_route: none has step = 0, so nothing but critical alerts is told"
