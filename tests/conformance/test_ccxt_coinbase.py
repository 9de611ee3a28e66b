"""The ccxt adapter on a venue that speaks coinbase."""

from collections.abc import AsyncIterator

import pytest

from tests.conformance.broker_suite import BrokerSuite
from tests.conformance.ccxt_server.backing import Backing
from tests.conformance.ccxt_server.coinbase import CoinbaseVenue, key_source, trade_id
from tests.conformance.ccxt_server.desks import CcxtDesk


class CoinbaseDesk(CcxtDesk):
    key_source = staticmethod(key_source)

    def trade_id(self, number: int) -> str:
        return trade_id(number)


async def opened(backing: Backing) -> AsyncIterator[CoinbaseDesk]:
    venue = CoinbaseVenue(backing)
    await venue.start()
    backing.quote(9_990, 10_010)
    desk = CoinbaseDesk("coinbase", venue)
    await desk.open()
    yield desk
    await desk.close()
    await venue.stop()


class TestCcxtOnCoinbase(BrokerSuite):
    @pytest.fixture
    async def desk(self) -> AsyncIterator[CoinbaseDesk]:
        async for desk in opened(Backing()):
            yield desk
