"""The Alpaca adapter against the suite, through the real alpaca-py: whole shares, fractions of shares, coins."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from engine.inputs import Accepted, Refused
from engine.orders import OrderKind, Side, TimeInForce
from tests.conformance.alpaca_desk import AlpacaDesk
from tests.conformance.alpaca_server.account import coin, share
from tests.conformance.broker_suite import BrokerSuite
from tests.conformance.desk import Desk, intent


async def opened(desk: AlpacaDesk) -> AsyncIterator[AlpacaDesk]:
    await desk.open()
    await desk.quote(9_990, 10_010)
    yield desk
    await desk.close()


async def refuses(desk: Desk, in_force: TimeInForce) -> None:
    answers = await desk.broker.submit([intent("f", kind=OrderKind.LIMIT, limit_ticks=10_010, time_in_force=in_force)])
    assert isinstance(answers[0], Refused)
    assert answers[0].code == "unsupported"


class TestShares(BrokerSuite):
    claims = frozenset({"stop", "bracket", "oco", "trailing"})

    @pytest.fixture
    async def desk(self) -> AsyncIterator[AlpacaDesk]:
        async for desk in opened(AlpacaDesk(share("AAPL"))):
            yield desk


class TestFractions(BrokerSuite):
    """Fractions of shares, here in hundredths, so that the suite's ten lots are worth more than the venue's least. What differs:
    such orders are day orders, so nothing that ends at once, and nothing that trails."""

    claims = frozenset({"stop"})

    @pytest.fixture
    async def desk(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AlpacaDesk]:
        monkeypatch.setattr("brokers.alpaca.listing.SHARE_FRACTION", Decimal("0.01"))
        async for desk in opened(AlpacaDesk(share("AAPL", lot_size="0.01"), fractions=True)):
            assert desk.instrument.lot_size == Decimal("0.01")
            yield desk

    async def test_immediate_or_cancel_leaves_nothing_working(self, desk: Desk) -> None:
        await refuses(desk, TimeInForce.IOC)

    async def test_fill_or_kill_takes_all_or_nothing(self, desk: Desk) -> None:
        await refuses(desk, TimeInForce.FOK)

    async def test_whole_shares_keep_their_time_in_force(self, desk: AlpacaDesk) -> None:
        whole, part = (intent(f"l{lots}", order_lots=lots, kind=OrderKind.LIMIT, limit_ticks=9_000) for lots in (200, 150))
        assert [type(answer) for answer in await desk.broker.submit([whole, part])] == [Accepted, Accepted]
        sent = {order["client_order_id"]: (order["qty"], order["time_in_force"]) for order in desk.server.account.open_orders()}
        assert sent == {"l200": ("2", "gtc"), "l150": ("1.5", "day")}

    async def test_what_is_worth_too_little_is_refused_here_with_the_numbers(self, desk: AlpacaDesk) -> None:
        few = intent("few", order_lots=1, kind=OrderKind.LIMIT, limit_ticks=9_900)
        (answer,) = await desk.broker.submit([few])
        assert isinstance(answer, Refused)
        assert "0.99" in answer.reason
        assert desk.server.count("POST", "/v2/orders") == 0


class TestCoins(BrokerSuite):
    """What differs: no fill-or-kill, no trailing stop, and a stop is a stop-limit that does not chase a market far beyond."""

    claims = frozenset({"stop"})

    @pytest.fixture
    async def desk(self) -> AsyncIterator[AlpacaDesk]:
        async for desk in opened(AlpacaDesk(coin("BTC/USD"))):
            yield desk

    async def test_fill_or_kill_takes_all_or_nothing(self, desk: Desk) -> None:
        await refuses(desk, TimeInForce.FOK)

    async def test_stop_already_passed_fires_at_once(self, held: Desk) -> None:
        await held.broker.submit([intent("s", Side.SELL, kind=OrderKind.STOP, trigger_ticks=10_100, reduce_only=True)])
        await held.settle()
        assert await held.lots_held() == 0
