"""A portfolio's targets as the surfaces are told of them: part of the vocabulary of `engine.service`, which offers these
names."""

from decimal import Decimal

import msgspec


class TargetLineView(msgspec.Struct, frozen=True):
    """One instrument: target, actual part and drift in percent of the money at the targets' disposal, and the order that a
    rebalancing would send now (`change` is signed, 0 where none); `note` says what holds it back."""

    symbol: str
    instrument_id: str
    target_percent: float
    actual_percent: float
    drift_percent: float
    drifted: bool
    quantity: Decimal
    change: Decimal
    price: Decimal | None
    notional: Decimal
    note: str


class TargetsView(msgspec.Struct, frozen=True):
    """What a portfolio aims at, where it stands, and its newest run; `refusal` says why nothing can be worked out now.

    `base` is the money at the targets' disposal, `returns` from how many returns the weights were found. `due` where a run would
    do something; `capped` where it would turn over more than it may. `run_at_work` while its newest run is not over.
    """

    portfolio: str
    currency: str
    money_decimals: int
    method: str
    returns: int
    base: Decimal
    cash_percent: float
    cash_target_percent: float
    drift_band_percent: float
    relative_band_percent: float
    stop_percent: float
    turnover_percent: float
    due: bool
    capped: bool
    lines: tuple[TargetLineView, ...]
    refusal: str = ""
    run_id: str = ""
    run_by: str = ""
    run_started_at_ns: int = 0
    run_at_work: bool = False
    run_text: str = ""
