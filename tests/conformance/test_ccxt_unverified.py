"""An exchange that nobody verified: binance.us, a class of its own in ccxt, by nothing but what ccxt says of it.

Its protocol is binance's, so the same local venue serves; ids, lists, pages and streams go the general way.
"""

from collections.abc import AsyncIterator

import pytest

from brokers.ccxt_venue.profiles import UNVERIFIED, profile_of
from engine.inputs import OrderReport
from engine.orders import ClosedAs, OrderKind
from tests.conformance.broker_suite import BrokerSuite
from tests.conformance.ccxt_server.binance import BinanceVenue
from tests.conformance.ccxt_server.desks import CcxtDesk, opened
from tests.conformance.desk import intent

EXCHANGE_ID = "binanceus"


class TestCcxtOnAnUnverifiedExchange(BrokerSuite):
    claims = frozenset({"stop"})

    @pytest.fixture
    async def desk(self) -> AsyncIterator[CcxtDesk]:
        assert profile_of(EXCHANGE_ID) is UNVERIFIED
        async with opened(EXCHANGE_ID) as desk:
            yield desk

    async def test_an_order_is_found_among_many(self, desk: CcxtDesk) -> None:
        assert isinstance(desk.venue, BinanceVenue)
        desk.venue.orders_a_page = 3
        await desk.broker.submit([intent(f"l{number}", kind=OrderKind.LIMIT, limit_ticks=9_000) for number in range(9)])
        await desk.broker.cancel("l8", "")
        await desk.settle()
        desk.broker._account.watch.known._by_client.clear()
        found = await desk.broker.order("l8")
        assert isinstance(found, OrderReport)
        assert found.closed_as is ClosedAs.CANCELED
