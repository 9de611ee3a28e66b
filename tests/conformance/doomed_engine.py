"""`python -m tests.conformance.doomed_engine VENUE URL JOURNAL`: an engine at a local venue that buys at the first price it
sees, with its journal on disk; made to be killed while the venue keeps the answer to itself."""

import asyncio
import sys
from pathlib import Path

from engine.parts import EngineParts
from engine.runner import Engine
from engine.service import Mode
from store.journal import SqliteJournal
from tests.conformance.ccxt_sites import CCXT_SITES
from tests.conformance.day_sites import AlpacaSite
from tests.conformance.scripted_day import ServedSite, is_live, settings_of, want

_SITES: tuple[type[ServedSite], ...] = (AlpacaSite, *CCXT_SITES)
SERVED_SITES = {site.name: site for site in _SITES}


async def live_and_buy(site: type[ServedSite], url: str, journal: Path) -> None:
    broker, feed, clock = site.parts_at(url, site.answer_seconds)
    engine = Engine(EngineParts(
        clock=clock, journal=SqliteJournal(journal), engine_id="a1b2c3d4e", version="test", mode=Mode.PAPER,
        settings=settings_of(site.minor_exponent), brokers=(broker,), feed=feed))
    running = asyncio.create_task(engine.run())
    while site.instrument_id not in engine.market.marks or not is_live(engine.state):
        await asyncio.sleep(0.002)
        if running.done():
            running.result()
    receipt = await engine.send(want("doomed", site.symbol, site.piece * 10, "95"))
    assert receipt.accepted, receipt
    await running


if __name__ == "__main__":
    asyncio.run(live_and_buy(SERVED_SITES[sys.argv[1]], sys.argv[2], Path(sys.argv[3])))
