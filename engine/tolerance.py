"""The limits of a portfolio, the presets they come from, and how one of them is changed.

Every limit carries its bounds and the sentence that `quarterdeck init`, `quarterdeck risk` and the documentation show, so
that they are written down once. Fractions are parts of the portfolio's equity unless the sentence says otherwise, `bps` are
hundredths of a percent; where a sentence says "0: off", the limit can be turned off.
"""

import math
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

_DAY = "(?:mon|tue|wed|thu|fri|sat|sun)"
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d"
HOURS_PATTERN = rf"^(?:(?:{_DAY}(?:-{_DAY})? )?{_TIME}-{_TIME})?$"


LONGEST_QUOTE_SECONDS = 31 * 86_400  # a replay of monthly bars has one price a month


class Limits(msgspec.Struct, frozen=True):
    """The limits that every entry of a portfolio is held against; exits are never held back by any of them."""

    # one order
    max_order_notional_fraction: Annotated[float, Meta(gt=0, le=100, description="The largest single order.")] = 0.25
    max_order_notional: Annotated[Decimal | None, Meta(
        description="The largest single order in money, above 0; without it only the share counts.", examples=[10_000])] = None
    max_risk_per_order_fraction: Annotated[float, Meta(
        ge=0, le=1, description="The most that a single order may lose at its stop (0: off).")] = 0.04
    kelly_fraction: Annotated[float, Meta(
        gt=0, le=1, description="The part of the full Kelly fraction that sizing by edge takes.")] = 0.25
    min_reward_to_risk: Annotated[float, Meta(
        ge=0, le=100, description="The way to the target must be this many times the way to the stop (0: off).")] = 0.0
    require_stop: Annotated[bool, Meta(description="Every entry must come with a stop or a trailing stop.")] = True
    # what is held
    max_position_fraction: Annotated[float, Meta(
        gt=0, le=100, description="The largest position in one instrument, working orders included.")] = 0.30
    max_leverage: Annotated[float, Meta(
        gt=0, le=100, description="The largest gross exposure, in times the equity: what buying power follows from.")] = 1.0
    max_gross_fraction: Annotated[float, Meta(
        ge=0, le=100, description="The largest sum of all positions and working entries, longs and shorts added (0: off).")] = 0.0
    max_net_fraction: Annotated[float, Meta(
        ge=0, le=100, description="The largest difference between longs and shorts, either way (0: off).")] = 0.0
    max_sector_fraction: Annotated[float, Meta(
        ge=0, le=100, description="The largest share of one sector of [sectors] (0: off).")] = 0.5
    max_asset_class_fraction: Annotated[float, Meta(
        ge=0, le=100, description="The largest share of one asset class, such as crypto (0: off).")] = 0.0
    max_bucket_fraction: Annotated[float, Meta(
        ge=0, le=100, description="The largest share of one correlation bucket of [buckets] (0: off).")] = 0.5
    # heat
    max_heat_fraction: Annotated[float, Meta(
        gt=0, le=1, description="The most that may be lost if every stop is hit at once, working entries included.")] = 0.06
    max_bucket_heat_fraction: Annotated[float, Meta(
        ge=0, le=1, description="The same within one correlation bucket (0: off).")] = 0.0
    max_correlated_heat_fraction: Annotated[float, Meta(
        ge=0, le=1, description="Heat with the measured correlation of returns taken into account (0: off).")] = 0.0
    # a bad day
    tail_confidence: Annotated[float, Meta(
        ge=0.9, le=0.999,
        description="The part of days that value at risk covers; expected shortfall is the mean beyond it.")] = 0.975
    max_value_at_risk_fraction: Annotated[float, Meta(
        ge=0, le=10, description="The book's value at risk of one day, by the deviation of its returns (0: off).")] = 0.0
    max_expected_shortfall_fraction: Annotated[float, Meta(
        ge=0, le=10, description="The book's expected shortfall of one day, historical or normal, the larger (0: off).")] = 0.0
    # flow
    max_daily_notional_fraction: Annotated[float, Meta(
        ge=0, le=1000, description="The sum of all entries sent in a day, in times the day's first equity (0: off).")] = 5.0
    max_orders_per_day: Annotated[int, Meta(ge=0, le=1_000_000, description="Entries a day (0: off).")] = 1_000
    orders_per_minute: Annotated[int, Meta(
        ge=1, le=10_000, description="Entries a minute; exits are never held back.")] = 60
    duplicate_seconds: Annotated[float, Meta(
        ge=0, le=3600, description="The same order again within this time is refused.")] = 10.0
    max_repeated_executions: Annotated[int, Meta(
        ge=0, le=200,
        description="Times a strategy may enter one way unapproved before a person must let it go on (0: off).")] = 20
    repeat_seconds: Annotated[float, Meta(
        gt=0, le=86_400, description="The time within which those executions count.")] = 3_600.0
    # the market
    collar_bps: Annotated[int, Meta(
        ge=1, le=10_000, description="A price may be this many hundredths of a percent away from the market.")] = 500
    max_spread_bps: Annotated[int, Meta(
        ge=0, le=10_000, description="A wider spread allows no new entry; hundredths of a percent of the bid (0: off).")] = 200
    max_daily_volume_fraction: Annotated[float, Meta(
        ge=0, le=1, description="The largest order as a part of the instrument's average daily volume (0: off).")] = 0.0
    stale_quote_seconds: Annotated[float, Meta(
        gt=0, le=LONGEST_QUOTE_SECONDS, description="Older quotes allow no new entry.")] = 10.0
    trading_hours: Annotated[str, Meta(
        pattern=HOURS_PATTERN, description="When entries are allowed, such as \"mon-fri 09:30-16:00\", in engine.new_day_zone; "
        "empty: always.")] = ""
    flat_before_close_minutes: Annotated[int, Meta(
        ge=0, le=1_440, description="Every position is closed this long before its market closes, half days included, and "
        "nothing is entered after that; what was held over a close leaves at the open (0: off).")] = 0
    blacklist: Annotated[tuple[str, ...], Meta(description="Symbols that are never entered.")] = ()
    preferred_sectors: Annotated[tuple[str, ...], Meta(
        description="Where any are named, only symbols of these sectors are entered.")] = ()
    # losses and their brakes
    max_day_loss_fraction: Annotated[float, Meta(
        ge=0, le=1, description="The loss of a day at which entries stop until the next day (0: off).")] = 0.03
    max_week_loss_fraction: Annotated[float, Meta(
        ge=0, le=1, description="The loss of a week at which entries stop until the next week (0: off).")] = 0.06
    max_drawdown_fraction: Annotated[float, Meta(
        ge=0, le=1, description="The fall from the highest equity at which entries stop until a person resumes (0: off).")] = 0.15
    max_losing_streak: Annotated[int, Meta(
        ge=0, le=1000, description="Losing round trips in a row after which entries pause (0: off).")] = 6
    cooldown_seconds: Annotated[float, Meta(
        ge=0, le=2_592_000, description="How long entries pause after a losing streak.")] = 3_600.0
    brake_small_fraction: Annotated[float, Meta(
        ge=0, le=1, description="The part of a loss limit from which on orders must be smaller (0: off).")] = 0.5
    brake_small_size: Annotated[float, Meta(
        gt=0, le=1, description="How small: the part of the usual order size, risk and heat that is left then.")] = 0.5
    brake_halt_multiple: Annotated[float, Meta(
        ge=1, le=100, description="At this many times a loss limit trading halts until a person resumes.")] = 1.5
    brake_flatten: Annotated[bool, Meta(description="Halting by a loss also closes every position of the portfolio.")] = False


class RiskTolerance(StrEnum):
    """A documented set of limits to start from; each limit can still be set by itself."""

    CONSERVATIVE = "conservative"
    MODERATE = "moderate"
    AGGRESSIVE = "aggressive"


PRESETS: dict[RiskTolerance, Limits] = {
    RiskTolerance.CONSERVATIVE: Limits(
        max_order_notional_fraction=0.10, max_risk_per_order_fraction=0.01, kelly_fraction=0.125, min_reward_to_risk=1.5,
        max_position_fraction=0.15, max_gross_fraction=0.8, max_net_fraction=0.8, max_sector_fraction=0.3,
        max_bucket_fraction=0.3, max_heat_fraction=0.03, max_bucket_heat_fraction=0.015, max_correlated_heat_fraction=0.02,
        max_value_at_risk_fraction=0.05, max_expected_shortfall_fraction=0.08,
        max_daily_notional_fraction=1.0, max_orders_per_day=50, orders_per_minute=10, max_repeated_executions=5,
        collar_bps=200, max_spread_bps=50,
        max_daily_volume_fraction=0.01, max_day_loss_fraction=0.015, max_week_loss_fraction=0.03, max_drawdown_fraction=0.08,
        max_losing_streak=3, cooldown_seconds=14_400.0),
    RiskTolerance.MODERATE: Limits(),
    RiskTolerance.AGGRESSIVE: Limits(
        max_order_notional_fraction=0.5, max_risk_per_order_fraction=0.06, kelly_fraction=0.5, max_position_fraction=0.6,
        max_leverage=2.0, max_sector_fraction=1.0, max_bucket_fraction=1.0, max_heat_fraction=0.12,
        max_daily_notional_fraction=20.0, max_orders_per_day=5_000, orders_per_minute=120, max_repeated_executions=60,
        max_spread_bps=500,
        max_day_loss_fraction=0.06, max_week_loss_fraction=0.12, max_drawdown_fraction=0.3, max_losing_streak=0),
}

FIELDS: dict[str, msgspec.structs.FieldInfo] = {field.name: field for field in msgspec.structs.fields(Limits)}
OFF = "off"


def described(name: str) -> str:
    """The sentence of a limit."""
    info = msgspec.inspect.type_info(FIELDS[name].type)
    return str((info.extra_json_schema or {}).get("description", "")) if isinstance(info, msgspec.inspect.Metadata) else ""


def limit_text(value: object) -> str:
    """A limit's value as it is written in a command and told in a record."""
    if value is None:
        return OFF
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(value) or "none"
    if isinstance(value, float):
        digits = f"{Decimal(repr(value)):f}"
        return digits.rstrip("0").rstrip(".") if "." in digits else digits
    return str(value) or "always"


def set_limit(limits: Limits, name: str, text: str) -> Limits:
    """As `with_limit`, for a value of a record: what this version does not know or allow leaves the limits as they are."""
    try:
        return with_limit(limits, name, text) if name in FIELDS else limits
    except ValueError:
        return limits


def with_limit(limits: Limits, name: str, text: str) -> Limits:
    """The limits with one of them set from its text; raises `ValueError` with one line where the text cannot be meant."""
    field = FIELDS[name]
    value: object = text.strip()
    if isinstance(field.default, tuple):
        named = tuple(part.strip() for part in text.split(",") if part.strip())
        value = () if text.strip().lower() in ("none", OFF) else named
    elif isinstance(field.default, str):
        value = "" if text.strip().lower() in ("always", "none", OFF) else text.strip().lower()
    elif text.strip().lower() == OFF:
        value = None if field.default is None else "0"
    try:
        converted = msgspec.convert(value, field.type, strict=False)
    except msgspec.ValidationError as error:
        if name == "trading_hours":
            raise ValueError(f'{name} = {text}: expected hours such as "09:30-16:00" or "mon-fri 09:30-16:00"') from None
        raise ValueError(f"{name} = {text}: {str(error)[0].lower()}{str(error)[1:]}") from None
    if (isinstance(converted, float) and not math.isfinite(converted)) or (
            isinstance(converted, Decimal) and not (converted.is_finite() and converted > 0)):
        raise ValueError(f"{name} = {text}: expected a finite number above 0")
    return msgspec.structs.replace(limits, **{name: converted})
