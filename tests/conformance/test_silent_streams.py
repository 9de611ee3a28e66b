"""A stream that breaks without a word, as behind a cable that was pulled, is noticed by its silence at every venue, and told."""

import pytest

from brokers.alpaca import sdk, streams
from brokers.ccxt_venue import session
from engine.inputs import ConnectionChanged
from tests.conformance.alpaca_desk import AlpacaDesk
from tests.conformance.alpaca_server.account import share
from tests.conformance.ccxt_server.desks import EXCHANGES, opened, until
from tests.conformance.desk import Desk


def told(desk: Desk) -> list[bool]:
    return [message.up for message in desk.messages if isinstance(message, ConnectionChanged)]


@pytest.mark.parametrize("exchange_id", EXCHANGES)
async def test_an_exchange_that_answers_no_ping(exchange_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "PING_MS", 50)
    async with opened(exchange_id) as desk:
        stream = desk.broker._account.watch.stream
        assert stream.up
        assert told(desk) == []
        desk.venue.deaf = True
        await desk.venue.drop_streams()
        await until(lambda: told(desk).count(False) >= 2, "the silence of the stream that was dialled again")
        desk.venue.deaf = False
        await until(lambda: stream.up and told(desk)[-1], "a stream that answers")


@pytest.mark.parametrize("exchange_id", EXCHANGES)
async def test_no_exchange_is_left_unasked_for_long(exchange_id: str) -> None:
    async with opened(exchange_id) as desk:
        for client in desk.broker._session.exchange.clients.values():
            assert 0 < client.keepAlive * client.maxPingPongMisses <= 20_000


async def test_alpaca_that_answers_no_ping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk, "PING_SECONDS", 0.1)
    monkeypatch.setattr(streams, "LONGEST_WAIT_SECONDS", 0.02)
    desk = AlpacaDesk(share("AAPL"))
    desk.server.deaf = True
    await desk.open()
    await until(lambda: False in told(desk), "the silence")
    desk.server.deaf = False
    await until(lambda: desk.broker._stream is not None and desk.broker._stream.up.is_set() and told(desk)[-1], "a new stream")
    await desk.close()
