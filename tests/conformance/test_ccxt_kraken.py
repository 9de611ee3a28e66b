"""The ccxt adapter on a venue that speaks kraken."""

from collections.abc import AsyncIterator

import pytest

from tests.conformance.broker_suite import BrokerSuite
from tests.conformance.ccxt_server.backing import Backing
from tests.conformance.ccxt_server.desks import CcxtDesk
from tests.conformance.ccxt_server.kraken import KrakenVenue, trade_id


class KrakenDesk(CcxtDesk):
    def trade_id(self, number: int) -> str:
        return trade_id(number)


async def opened(backing: Backing) -> AsyncIterator[KrakenDesk]:
    venue = KrakenVenue(backing)
    await venue.start()
    backing.quote(9_990, 10_010)
    desk = KrakenDesk("kraken", venue)
    await desk.open()
    yield desk
    await desk.close()
    await venue.stop()


class TestCcxtOnKraken(BrokerSuite):
    @pytest.fixture
    async def desk(self) -> AsyncIterator[KrakenDesk]:
        async for desk in opened(Backing()):
            yield desk
