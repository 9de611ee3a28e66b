"""What a signal from outside says, checked to the letter, and the command that it becomes. It is a want like any other."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from engine.config_webhook import WebhookSourceConfig
from engine.errors import UsageError
from engine.inputs import ClosePosition, PlaceOrder
from engine.orders import OrderKind, Side

type Number = Annotated[Decimal, Field(gt=0, le=10**12, max_digits=24, allow_inf_nan=False)]


class Signal(BaseModel):
    """A signal: numbers as JSON strings, so that they stay exact. `id` names it: the same id is done once, however often and
    under whichever nonce it is sent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    act: Literal["buy", "sell", "close"]
    symbol: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9./:_-]{0,39}$")
    quantity: Number | None = None
    risk_percent: Annotated[Decimal, Field(gt=0, le=100, max_digits=10)] | None = None
    limit: Number | None = None
    stop: Number | None = None
    target: Number | None = None
    why: str = Field(default="", max_length=200)

    @model_validator(mode="after")
    def _whole(self) -> "Signal":
        if self.act == "close":
            if any(one is not None for one in (self.risk_percent, self.limit, self.stop, self.target)):
                raise ValueError("close takes a quantity at most")
        elif (self.quantity is None) == (self.risk_percent is None):
            raise ValueError("exactly one of quantity and risk_percent is needed")
        return self


def signal_of(body: bytes) -> Signal:
    """The signal that a body holds; raises `UsageError` with the first thing that is wrong, without repeating the body."""
    try:
        return Signal.model_validate_json(body)
    except (ValidationError, ValueError, RecursionError) as error:
        raise UsageError(_words(error)) from None


def _words(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return "the body is not a signal"
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part)[:40] for part in first["loc"][:2]) if first["type"] != "extra_forbidden" else "a key"
    return f"{where or 'the body'}: {first['msg'].removeprefix('Value error, ').split(' at line', maxsplit=1)[0]}"[:200]


def command_of(source: WebhookSourceConfig, signal: Signal) -> PlaceOrder | ClosePosition:
    """The command of a signal; raises `UsageError` for a symbol that its source may not name."""
    if source.symbols and signal.symbol not in source.symbols:
        raise UsageError(f"{source.name} may not name {signal.symbol}")
    command_id, origin = f"webhook:{source.name}:{signal.id}", f"webhook:{source.name}"
    if signal.act == "close":
        return ClosePosition(command_id, signal.symbol, source.portfolio, signal.quantity, by=origin)
    return PlaceOrder(
        command_id, signal.symbol, Side.BUY if signal.act == "buy" else Side.SELL, source.portfolio, quantity=signal.quantity,
        risk_percent=signal.risk_percent, kind=OrderKind.MARKET if signal.limit is None else OrderKind.LIMIT, limit=signal.limit,
        stop=signal.stop, target=signal.target, origin=origin, rationale=signal.why, by=origin)
