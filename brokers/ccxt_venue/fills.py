"""A venue's executions as fills, with fees paid in the quote currency, in kind, or in a third coin.

A fee taken from what was bought makes the position smaller than what was executed, by a fraction of a lot as a rule. Our
lots are the whole lots of the venue's balance, so an execution keeps as many lots as the whole lots of the balance fall
short of it: floor(before) + executed - floor(after). Summed up, that is the venue's balance to the lot, after every fill
and after every restart, because the balance before a fill follows from the balance now and what came since.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, NamedTuple

from brokers.ccxt_venue.listing import Listing
from brokers.ccxt_venue.numbers import exact, ns_of
from engine.instruments import Instrument
from engine.orders import Fill, FillSource, Side
from engine.units import Lots, Minor, Nanoseconds, steps_down, steps_nearest

KEPT_TRADES = 20_000


class Execution(NamedTuple):
    """One execution as the venue tells it; `fees` are (currency, quantity) and empty where it does not say yet."""

    symbol: str
    trade_id: str
    venue_order_id: str
    side: Side
    quantity: Decimal
    price: Decimal
    fees: tuple[tuple[str, Decimal], ...]
    at_ns: Nanoseconds
    maker: bool
    wire_id: str

    @property
    def key(self) -> tuple[str, str]:
        return self.symbol, self.trade_id


def execution_of(trade: Any, client_id_field: str = "") -> Execution | None:
    """ccxt's trade, or None where it is no execution (some streams mix other messages in)."""
    quantity, price = exact(trade.get("amount")), exact(trade.get("price"))
    if not quantity or not price or not trade.get("id") or not trade.get("symbol"):
        return None
    info = trade.get("info") or {}
    return Execution(
        symbol=trade["symbol"], trade_id=str(trade["id"]), venue_order_id=str(trade.get("order") or ""),
        side=Side.SELL if trade.get("side") == "sell" else Side.BUY, quantity=quantity, price=price, fees=_fees(trade),
        at_ns=ns_of(trade.get("timestamp")), maker=trade.get("takerOrMaker") == "maker",
        wire_id=str(info.get(client_id_field) or "") if client_id_field else "")


def _fees(trade: Any) -> tuple[tuple[str, Decimal], ...]:
    listed = trade.get("fees") or ([trade["fee"]] if trade.get("fee") else [])
    found = [(str(fee.get("currency") or ""), exact(fee.get("cost"))) for fee in listed]
    return tuple((currency, cost) for currency, cost in found if currency and cost is not None)


def in_order(executions: Iterable[Execution]) -> list[Execution]:
    """By time, then by id, each once."""
    once = {each.key: each for each in executions}
    return sorted(once.values(), key=lambda each: (each.at_ns, len(each.trade_id), each.trade_id))


class FillBook:
    """Turns executions into fills, and remembers how many lots each kept, so that it says the same of it every time."""

    def __init__(self, account: str, listing: Listing) -> None:
        self._account = account
        self._listing = listing
        self._balances: dict[str, Decimal] = {}
        self._kept_lots: dict[tuple[str, str], Lots] = {}

    def align(self, balances: Mapping[str, Decimal], executions: Iterable[Execution]) -> bool:
        """Take the venue's balances as the end of these executions; False where they do not explain the change."""
        new = [each for each in in_order(executions) if each.key not in self._kept_lots]
        expected = dict(self._balances)
        for each in new:
            _move(expected, self._listing, each)
        explained = not self._balances or all(
            expected.get(each.base_currency, Decimal(0)) == balances.get(each.base_currency, Decimal(0))
            for each in self._listing.all())
        start = dict(balances)
        for each in new:
            _move(start, self._listing, each, -1)
        self._balances = start
        for each in new:
            self._take(each)
        self._balances = dict(balances)
        return explained

    def known(self, execution: Execution) -> bool:
        return execution.key in self._kept_lots

    def fill_of(self, execution: Execution, client_order_id: str, value: Callable[[str], Decimal | None],
                source: FillSource) -> Fill:
        """The fill of an execution of a listed symbol; `value` prices a third coin in the quote currency."""
        instrument = self._listing.instruments[execution.symbol]
        if execution.key not in self._kept_lots:
            self._take(execution)
        kept_lots = self._kept_lots[execution.key]
        ticks = steps_nearest(execution.price, instrument.tick_size)
        lots = steps_down(execution.quantity, instrument.lot_size)
        fee_minor = instrument.signed_notional_minor(ticks, kept_lots) + fee_in_money_minor(execution, instrument, value)
        return Fill(account=self._account, instrument_id=instrument.instrument_id, trade_id=execution.trade_id,
                    client_order_id=client_order_id, side=execution.side, last_lots=lots, last_ticks=ticks,
                    fee_minor=fee_minor + _off_tick_minor(execution, instrument, ticks, lots), at_ns=execution.at_ns,
                    venue_order_id=execution.venue_order_id, maker=execution.maker, source=source, base_fee_lots=kept_lots)

    def _take(self, execution: Execution) -> None:
        instrument = self._listing.instruments[execution.symbol]
        before = self._balances.get(instrument.base_currency, Decimal(0))
        _move(self._balances, self._listing, execution)
        after = self._balances.get(instrument.base_currency, Decimal(0))
        kept = 0
        if any(currency == instrument.base_currency and quantity > 0 for currency, quantity in execution.fees):
            executed = execution.side.sign * steps_down(execution.quantity, instrument.lot_size)
            kept = max(0, executed - (steps_down(after, instrument.lot_size) - steps_down(before, instrument.lot_size)))
        self._kept_lots[execution.key] = kept
        if len(self._kept_lots) > 2 * KEPT_TRADES:
            for key in list(self._kept_lots)[:KEPT_TRADES]:
                del self._kept_lots[key]


def _move(balances: dict[str, Decimal], listing: Listing, execution: Execution, direction: int = 1) -> None:
    """What an execution does to the balances it touches."""
    instrument = listing.instruments[execution.symbol]
    sign = execution.side.sign * direction

    def add(currency: str, quantity: Decimal) -> None:
        balances[currency] = balances.get(currency, Decimal(0)) + quantity

    add(instrument.base_currency, sign * execution.quantity)
    add(instrument.quote_currency, -sign * execution.quantity * execution.price)
    for currency, quantity in execution.fees:
        add(currency, -direction * quantity)


def fee_in_money_minor(execution: Execution, instrument: Instrument, value: Callable[[str], Decimal | None]) -> Minor:
    """What was not paid in kind, in money, rounded up: exact in the quote currency, a third coin at its price (0 where
    that is not known), and by the venue's schedule where it has not said yet."""
    if not execution.fees:
        lots = steps_down(execution.quantity, instrument.lot_size)
        return instrument.fee_minor(steps_nearest(execution.price, instrument.tick_size), lots, maker=execution.maker)
    total = Decimal(0)
    for currency, quantity in execution.fees:
        if currency == instrument.quote_currency:
            total += quantity
        elif currency != instrument.base_currency:
            total += quantity * (value(currency) or Decimal(0))
    return int(total.scaleb(instrument.minor_exponent).to_integral_value(ROUND_CEILING))


def _off_tick_minor(execution: Execution, instrument: Instrument, ticks: int, lots: Lots) -> Minor:
    """Money that a price between two ticks costs beyond the rounded one; nothing at an ordinary price."""
    if ticks * instrument.tick_size == execution.price:
        return 0
    money = (execution.price * execution.quantity).scaleb(instrument.minor_exponent)
    if execution.side is Side.BUY:
        return int(money.to_integral_value(ROUND_CEILING)) + instrument.signed_notional_minor(ticks, -lots)
    return instrument.signed_notional_minor(ticks, lots) - int(money.to_integral_value(ROUND_FLOOR))
