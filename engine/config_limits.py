"""The limits in the configuration file: every limit of `engine.tolerance` may be set, the others come from the portfolio's
risk tolerance. Names, bounds and sentences are those of `Limits` itself."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import inspect
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from engine.tolerance import FIELDS, PRESETS, Limits, RiskTolerance, described


class Section(BaseModel):
    """What all sections share: no unknown key, no silent conversion, no change after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def as_decimal(value: object) -> object:
    """TOML numbers as exact decimals: a float is read by its shortest spelling, as it was written."""
    if isinstance(value, bool):
        return value
    return Decimal(str(value)) if isinstance(value, int | float) else value


Money = Annotated[Decimal, BeforeValidator(as_decimal)]
_PLAIN: dict[type, Any] = {inspect.FloatType: float, inspect.IntType: int, inspect.BoolType: bool, inspect.StrType: str,
                           inspect.VarTupleType: tuple[str, ...]}
_EXAMPLES = {"max_order_notional": "10000", "trading_hours": '"mon-fri 09:30-16:00"', "blacklist": '["DOGE/USD"]',
             "preferred_sectors": '["technology"]'}


def _field(name: str) -> tuple[Any, Any]:
    """A limit as pydantic sees it: optional, with the bounds and the sentence that `Limits` gives it."""
    info = inspect.type_info(FIELDS[name].type)
    kind = info.type if isinstance(info, inspect.Metadata) else info
    default = FIELDS[name].default
    example = _EXAMPLES.get(name) or str(default).lower()
    bounds = {bound: value for bound in ("gt", "ge", "lt", "le", "pattern") if (value := getattr(kind, bound, None)) is not None}
    if isinstance(kind, inspect.UnionType):
        return Money | None, Field(default=None, gt=0, examples=[example], description=described(name))
    bounds |= {"strict": False} if isinstance(kind, inspect.VarTupleType) else {}
    return _PLAIN[type(kind)] | None, Field(default=None, examples=[example], description=described(name), **bounds)


class _OverTolerance(Section):
    """Limits of the portfolio. Each that is not set comes from the risk tolerance; the values shown are those of moderate.
    Fractions are parts of the portfolio's equity."""

    def over(self, tolerance: RiskTolerance) -> Limits:
        """The limits of a tolerance with those that are set here laid over them."""
        given = {name: value for name in FIELDS if (value := getattr(self, name)) is not None}
        return msgspec.structs.replace(PRESETS[tolerance], **given)


if TYPE_CHECKING:
    LimitsConfig = _OverTolerance
else:
    LimitsConfig = create_model("LimitsConfig", __base__=_OverTolerance, __module__=__name__, __doc__=_OverTolerance.__doc__,
                                **{name: _field(name) for name in FIELDS})


def limit_contradictions(limits: Limits, account_leverage: float, *, acts_alone: bool) -> Iterator[str]:
    """Limits that are each allowed but do not go together, in words, one line each."""
    yield from _size_contradictions(limits, account_leverage)
    yield from _loss_contradictions(limits)
    if not limits.require_stop and limits.max_heat_fraction < limits.max_order_notional_fraction:
        yield ("limits.require_stop is off, but an order without a stop risks its whole value, and "
               f"limits.max_heat_fraction ({limits.max_heat_fraction}) is below the largest order "
               f"({limits.max_order_notional_fraction})")
    if not limits.require_stop and acts_alone:
        yield "strategies act alone (auto_execute) and may enter without a stop (limits.require_stop = false)"


def _size_contradictions(limits: Limits, account_leverage: float) -> Iterator[str]:
    if limits.max_position_fraction < limits.max_order_notional_fraction:
        yield (f"limits.max_position_fraction ({limits.max_position_fraction}) is below limits.max_order_notional_fraction "
               f"({limits.max_order_notional_fraction}): the largest order never passes")
    if limits.max_position_fraction > limits.max_leverage:
        yield (f"limits.max_position_fraction ({limits.max_position_fraction}) is above limits.max_leverage "
               f"({limits.max_leverage}): the largest position never passes")
    if limits.max_leverage > account_leverage:
        yield (f"limits.max_leverage ({limits.max_leverage}) is above the account's leverage ({account_leverage}): "
               "the venue refuses before the limit does")
    if 0 < limits.max_daily_notional_fraction < limits.max_order_notional_fraction:
        yield (f"limits.max_daily_notional_fraction ({limits.max_daily_notional_fraction}) is below "
               f"limits.max_order_notional_fraction ({limits.max_order_notional_fraction}): the largest order never passes")
    for name in ("max_gross_fraction", "max_net_fraction"):
        if getattr(limits, name) > limits.max_leverage:
            yield f"limits.{name} ({getattr(limits, name)}) is above limits.max_leverage ({limits.max_leverage}): it never binds"
    for name in ("max_gross_fraction", "max_sector_fraction", "max_asset_class_fraction", "max_bucket_fraction"):
        if 0 < getattr(limits, name) < limits.max_position_fraction:
            yield (f"limits.{name} ({getattr(limits, name)}) is below limits.max_position_fraction "
                   f"({limits.max_position_fraction}): the largest position never passes")


def _loss_contradictions(limits: Limits) -> Iterator[str]:
    heat = limits.max_heat_fraction
    for name in ("max_risk_per_order_fraction", "max_bucket_heat_fraction", "max_correlated_heat_fraction"):
        if getattr(limits, name) > heat:
            yield f"limits.{name} ({getattr(limits, name)}) is above limits.max_heat_fraction ({heat}): it never binds"
    if 0 < limits.max_expected_shortfall_fraction <= limits.max_value_at_risk_fraction:
        yield (f"limits.max_value_at_risk_fraction ({limits.max_value_at_risk_fraction}) is not below "
               f"limits.max_expected_shortfall_fraction ({limits.max_expected_shortfall_fraction}): it never binds")
    losses = [(name, getattr(limits, name)) for name in ("max_day_loss_fraction", "max_week_loss_fraction",
                                                         "max_drawdown_fraction") if getattr(limits, name)]
    for (near, nearer), (far, further) in pairwise(losses):
        if nearer > further:
            yield f"limits.{near} ({nearer}) is above limits.{far} ({further}): the second brakes first"
    if limits.max_losing_streak and not limits.cooldown_seconds:
        yield (f"limits.max_losing_streak ({limits.max_losing_streak}) without limits.cooldown_seconds: "
               "the pause ends as it begins")
    if limits.min_reward_to_risk and not limits.require_stop:
        yield "limits.min_reward_to_risk needs a stop, but limits.require_stop is off"


def barred(wanted: Mapping[str, str], limits: Limits, sectors: Mapping[str, str]) -> Iterator[str]:
    """Symbols that somebody is to trade (who, by symbol) and a portfolio's own lists never let in, one line each."""
    for symbol, who in wanted.items():
        sector = sectors.get(symbol, "")
        if symbol in limits.blacklist:
            yield f'{who}: "{symbol}" is on limits.blacklist and never entered'
        elif limits.preferred_sectors and sector not in limits.preferred_sectors:
            yield (f'{who}: "{symbol}" is of {sector or "no sector"}, and limits.preferred_sectors allows other sectors alone: '
                   "it is never entered")
