"""The account's stream of Alpaca and its accidents: drops, repeats, disorder, silence; and the fee that nobody tells."""

from collections.abc import AsyncIterator
from decimal import Decimal

import msgspec
import pytest

from brokers.alpaca import broker as broker_module
from brokers.alpaca import streams
from engine.errors import VenueUnreachable
from engine.inputs import ConnectionChanged, FillReported, OrderReport
from engine.orders import ClosedAs, OrderKind, Side
from tests.conformance.alpaca_desk import AlpacaDesk, until
from tests.conformance.alpaca_server.account import coin, share
from tests.conformance.desk import intent


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams come back without waiting."""
    monkeypatch.setattr(streams, "LONGEST_WAIT_SECONDS", 0.02)


@pytest.fixture
async def desk() -> AsyncIterator[AlpacaDesk]:
    desk = AlpacaDesk(share("AAPL"))
    await desk.open()
    await desk.quote(9_990, 10_010)
    yield desk
    await desk.close()


def changes(desk: AlpacaDesk) -> list[bool]:
    return [message.up for message in desk.messages if isinstance(message, ConnectionChanged)]


async def test_a_dropped_stream_is_told_and_opened_again(desk: AlpacaDesk) -> None:
    assert changes(desk) == []
    await desk.server.disconnect()
    await until(lambda: changes(desk) == [False, True])
    await desk.broker.submit([intent("m")])
    await until(lambda: len(desk.fills("m")) == 1)


async def test_what_happened_while_it_was_down_is_in_the_report(desk: AlpacaDesk) -> None:
    desk.server.refuse_streams = True
    await desk.server.disconnect()
    await until(lambda: changes(desk) == [False])
    await desk.broker.submit([intent("m"), intent("l", kind=OrderKind.LIMIT, limit_ticks=9_000)])
    report = await desk.report("m", "l")
    assert desk.fills() == []
    assert [(fill.client_order_id, fill.last_lots) for fill in report.fills] == [("m", 10)]
    assert [each.client_order_id for each in report.open_orders] == ["l"]
    desk.server.refuse_streams = False
    await until(lambda: changes(desk) == [False, True])


async def test_a_message_that_came_twice_is_the_same_fill(desk: AlpacaDesk) -> None:
    desk.server.repeat_events = True
    await desk.broker.submit([intent("m")])
    await desk.settle()
    assert len(desk.fills("m")) == 2
    assert len({fill.key for fill in desk.fills("m")}) == 1
    assert [fill.key for fill in (await desk.report()).fills] == [desk.fills("m")[0].key]


async def test_messages_in_the_wrong_order_tell_the_same(desk: AlpacaDesk) -> None:
    await desk.broker.submit([intent("l", kind=OrderKind.LIMIT, limit_ticks=9_900)])
    await desk.settle()
    desk.server.hold_events = True
    await desk.quote(9_880, 9_900, lots=4)
    await desk.quote(9_880, 9_900, lots=3)
    await desk.broker.cancel("l", "")
    desk.server.release_reversed()
    await desk.settle()
    assert [(fill.last_lots, fill.trade_id.rsplit(":", 1)[1]) for fill in desk.fills("l")] == [(3, "7"), (4, "4")]
    assert sorted(fill.key for fill in (await desk.report()).fills) == sorted(fill.key for fill in desk.fills("l"))
    assert desk.closings("l")[0].closed_as is ClosedAs.CANCELED


async def test_a_lost_message_is_in_the_report(desk: AlpacaDesk) -> None:
    desk.server.mute_events = True
    await desk.broker.submit([intent("m")])
    assert desk.fills() == []
    found = await desk.broker.order("m")
    assert isinstance(found, OrderReport)
    assert found.cum_lots == 10
    assert len((await desk.report()).fills) == 1


@pytest.mark.parametrize("frame", [b"", b"nonsense", b"[]", b'{"stream": "trade_updates", "data": {}}',
                                   b'{"stream": "trade_updates", "data": {"event": "fill", "order": null}}',
                                   b'{"stream": "something new", "data": {}}'])
async def test_a_message_that_cannot_be_read_stops_nothing(desk: AlpacaDesk, frame: bytes) -> None:
    desk.server._outgoing.append(frame)
    await desk.broker.submit([intent("m")])
    await desk.settle()
    assert len(desk.fills("m")) == 1
    assert changes(desk) == []


async def test_an_execution_comes_before_the_orders_new_state(desk: AlpacaDesk) -> None:
    await desk.broker.submit([intent("m")])
    await desk.settle()
    kinds = [type(message) for message in desk.messages]
    assert kinds == [OrderReport, FillReported, OrderReport]


async def test_a_corrected_execution_starts_a_reconciliation(desk: AlpacaDesk) -> None:
    await desk.broker.submit([intent("m")])
    await desk.settle()
    order = next(iter(desk.server.account.orders.values()))
    desk.server._publish({"stream": "trade_updates", "data": {"event": "trade_bust", "order": order,
                                                              "timestamp": desk.server.account.now}})
    await desk.settle()
    assert changes(desk) == [True]


async def test_after_closing_nothing_is_handed_on(desk: AlpacaDesk) -> None:
    await desk.broker.close()
    before = len(desk.messages)
    desk.server.account.place({"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day",
                               "client_order_id": "later"})
    await until(lambda: desk.server.quiet)
    assert len(desk.messages) == before
    await desk.broker.close()


async def test_without_its_stream_the_account_is_not_open(desk: AlpacaDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_module, "STREAM_SECONDS", 0.2)
    desk.server.refuse_streams = True
    with pytest.raises(VenueUnreachable, match="stream"):
        await desk.broker.connect(desk.messages.append)


# ---- coins: the fee is kept in kind, and no message says so ----


@pytest.fixture
async def coins() -> AsyncIterator[AlpacaDesk]:
    desk = AlpacaDesk(coin("BTC/USD", lot_size="0.0001", least=1))
    desk.server.account.coin_fee = Decimal("0.0025")
    await desk.open()
    await desk.quote(9_990, 10_010)
    yield desk
    await desk.close()


def lots_of(desk: AlpacaDesk) -> int:
    """What we hold, as the engine counts it from the fills."""
    once = {fill.key: fill for fill in desk.fills()}
    return sum(fill.side.sign * fill.last_lots - fill.base_fee_lots for fill in once.values())


@pytest.mark.parametrize("order_lots", [1, 39, 40, 1_000, 12_345])
async def test_our_coins_are_the_venues_coins(coins: AlpacaDesk, order_lots: int) -> None:
    for number in range(3):
        await coins.broker.submit([intent(f"b{number}", order_lots=order_lots)])
        await coins.settle()
        assert lots_of(coins) == await coins.lots_held()
    held = await coins.lots_held()
    assert held < 3 * order_lots
    if held:
        await coins.broker.submit([intent("s", Side.SELL, order_lots=held)])
        await coins.settle()
    assert lots_of(coins) == await coins.lots_held() == 0


async def test_orders_for_coins_fill_whole(coins: AlpacaDesk) -> None:
    await coins.broker.submit([intent("l", order_lots=1_000, kind=OrderKind.LIMIT, limit_ticks=9_900)])
    for lots in (333, 333, 334):
        await coins.quote(9_880, 9_900, lots=lots)
    assert sum(fill.last_lots for fill in coins.fills("l")) == 1_000
    assert lots_of(coins) == await coins.lots_held() == 997


async def test_what_is_kept_costs_its_value(coins: AlpacaDesk) -> None:
    await coins.broker.submit([intent("b", order_lots=10_000)])
    await coins.settle()
    fill = coins.fills("b")[0]
    assert fill.base_fee_lots == 25
    assert fill.fee_minor == coins.instrument.signed_notional_minor(fill.last_ticks, 25)


async def test_coins_bought_while_the_stream_was_silent(coins: AlpacaDesk) -> None:
    coins.server.mute_events = True
    await coins.broker.submit([intent("a", order_lots=4_000), intent("b", order_lots=6_001)])
    report = await coins.report()
    kept = {fill.client_order_id: fill.base_fee_lots for fill in report.fills}
    assert sum(fill.last_lots - fill.base_fee_lots for fill in report.fills) == report.positions[0].lots
    assert kept["a"] == 10
    again = await coins.report()
    strip = [msgspec.structs.replace(fill) for fill in again.fills]
    assert strip == list(report.fills)


async def test_coins_bought_while_the_account_is_read(coins: AlpacaDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    coins.server.mute_events = True
    await coins.broker.submit([intent("a", order_lots=4_000)])
    reader = coins.broker._reader
    assert reader is not None
    history = reader._history

    async def and_then_something_happens(since_ns: int) -> object:
        found = await history(since_ns)
        if not coins.server.count("POST", "/v2/orders") > 1:
            await coins.broker.submit([intent("b", order_lots=6_001)])
        return found

    monkeypatch.setattr(reader, "_history", and_then_something_happens)
    report = await coins.report()
    assert sorted(fill.client_order_id for fill in report.fills) == ["a", "b"]
    assert sum(fill.last_lots - fill.base_fee_lots for fill in report.fills) == report.positions[0].lots


async def test_a_balance_that_explains_nothing_is_estimated(coins: AlpacaDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    from brokers.alpaca import coins as coins_module

    monkeypatch.setattr(coins_module, "PAUSE_SECONDS", 0.0)
    coins.server.account.charged["BTC/USD"] = Decimal(-5)  # a deposit
    await coins.broker.submit([intent("b", order_lots=10_000)])
    await coins.settle()
    assert coins.fills("b")[0].base_fee_lots == 25


async def test_a_sale_of_coins_pays_its_fee_in_money(coins: AlpacaDesk) -> None:
    await coins.broker.submit([intent("b", order_lots=10_000)])
    await coins.settle()
    await coins.broker.submit([intent("s", Side.SELL, order_lots=4_000)])
    await coins.settle()
    sold = coins.fills("s")[0]
    assert (sold.base_fee_lots, sold.fee_minor) == (0, 10)
