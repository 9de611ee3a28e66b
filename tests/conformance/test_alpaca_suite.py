"""The Alpaca adapter against the suite, through the real alpaca-py: whole shares, fractions of shares, coins."""

from collections.abc import AsyncIterator

import pytest

from engine.inputs import Refused
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


class TestShares(BrokerSuite):
    claims = frozenset({"stop", "trailing"})

    @pytest.fixture
    async def desk(self) -> AsyncIterator[AlpacaDesk]:
        async for desk in opened(AlpacaDesk(share("AAPL"))):
            yield desk


class TestCoins(BrokerSuite):
    """What differs: no fill-or-kill, no trailing stop, and a stop is a stop-limit that does not chase a market far beyond."""

    claims = frozenset({"stop"})

    @pytest.fixture
    async def desk(self) -> AsyncIterator[AlpacaDesk]:
        async for desk in opened(AlpacaDesk(coin("BTC/USD"))):
            yield desk

    async def test_fill_or_kill_takes_all_or_nothing(self, desk: Desk) -> None:
        answers = await desk.broker.submit([intent("f", kind=OrderKind.LIMIT, limit_ticks=10_010, time_in_force=TimeInForce.FOK)])
        assert isinstance(answers[0], Refused)
        assert answers[0].code == "unsupported"

    async def test_stop_already_passed_fires_at_once(self, held: Desk) -> None:
        await held.broker.submit([intent("s", Side.SELL, kind=OrderKind.STOP, trigger_ticks=10_100, reduce_only=True)])
        await held.settle()
        assert await held.lots_held() == 0
