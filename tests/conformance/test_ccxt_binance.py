"""The ccxt adapter on a venue that speaks binance."""

from collections.abc import AsyncIterator

import pytest

from tests.conformance.broker_suite import BrokerSuite
from tests.conformance.ccxt_server.backing import Backing
from tests.conformance.ccxt_server.binance import BinanceVenue
from tests.conformance.ccxt_server.desks import CcxtDesk


async def opened(backing: Backing) -> AsyncIterator[CcxtDesk]:
    venue = BinanceVenue(backing)
    await venue.start()
    backing.quote(9_990, 10_010)
    desk = CcxtDesk("binance", venue)
    await desk.open()
    yield desk
    await desk.close()
    await venue.stop()


class TestCcxtOnBinance(BrokerSuite):
    @pytest.fixture
    async def desk(self) -> AsyncIterator[CcxtDesk]:
        async for desk in opened(Backing()):
            yield desk
