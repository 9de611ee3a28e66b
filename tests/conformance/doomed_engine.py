"""`python -m tests.conformance.doomed_engine URL JOURNAL`: an engine at a local Alpaca that buys at the first price it sees,
with its journal on disk; made to be killed while the venue keeps the answer to itself."""

import asyncio
import sys
from pathlib import Path

from brokers.alpaca.broker import AlpacaBroker
from brokers.alpaca.endpoints import AlpacaEndpoints
from brokers.alpaca.feed import AlpacaFeed
from engine.clocks import SystemClock
from engine.parts import EngineParts
from engine.runner import Engine
from engine.service import Mode
from store.journal import SqliteJournal
from tests.conformance.alpaca_server.server import KEY
from tests.conformance.day_sites import AlpacaSite
from tests.conformance.desk import ACCOUNT
from tests.conformance.scripted_day import is_live, settings_of, want


async def live_and_buy(url: str, journal: Path) -> None:
    stream = url.replace("http", "ws", 1)
    endpoints = AlpacaEndpoints(url, url, f"{stream}/stream", stream)
    broker = AlpacaBroker(ACCOUNT, lambda: KEY, paper=True, symbols=[AlpacaSite.symbol], endpoints=endpoints)
    feed = AlpacaFeed(lambda: KEY, paper=True, instruments=broker.instruments, endpoints=endpoints)
    engine = Engine(EngineParts(
        clock=SystemClock(), journal=SqliteJournal(journal), engine_id="a1b2c3d4e", version="test", mode=Mode.PAPER,
        settings=settings_of(AlpacaSite.minor_exponent), brokers=(broker,), feed=feed))
    running = asyncio.create_task(engine.run())
    while AlpacaSite.instrument_id not in engine.market.marks or not is_live(engine.state):
        await asyncio.sleep(0.002)
        if running.done():
            running.result()
    receipt = await engine.send(want("doomed", AlpacaSite.symbol, AlpacaSite.piece * 10, "95"))
    assert receipt.accepted, receipt
    await running


if __name__ == "__main__":
    asyncio.run(live_and_buy(sys.argv[1], Path(sys.argv[2])))
