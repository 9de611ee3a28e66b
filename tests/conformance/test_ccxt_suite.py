"""The ccxt adapter against the suite, on venues that speak binance, kraken and coinbase."""

from collections.abc import AsyncIterator

import pytest

from tests.conformance.broker_suite import BrokerSuite
from tests.conformance.ccxt_server.desks import CcxtDesk, opened


class TestOnBinance(BrokerSuite):
    claims = frozenset({"stop"})

    @pytest.fixture
    async def desk(self) -> AsyncIterator[CcxtDesk]:
        async with opened("binance") as desk:
            yield desk


class TestOnKraken(BrokerSuite):
    claims = frozenset({"stop"})

    @pytest.fixture
    async def desk(self) -> AsyncIterator[CcxtDesk]:
        async with opened("kraken") as desk:
            yield desk


class TestOnCoinbase(BrokerSuite):
    claims = frozenset()

    @pytest.fixture
    async def desk(self) -> AsyncIterator[CcxtDesk]:
        async with opened("coinbase") as desk:
            yield desk
