"""`python -m tests.crash.braked_engine HOME START_NS ZONE`: an engine with its journal and its paper venue on disk, whose
clock and prices are moved by lines on standard input; after each line it tells its state. Made to be killed.

A line is JSON: `{"quote": ticks}` moves the clock on, shows a price and beats; `{"buy": lots}` places an order.
"""

import asyncio
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from brokers.paper.broker import PaperBroker
from engine.inputs import Limits, PlaceOrder, Settings
from engine.orders import Side
from engine.service import Receipt
from store.home import open_home
from store.journal import SqliteJournal
from tests.unit.engine_desk import ACCOUNT, COIN, COIN_ID, OTHER, Shell, settings_of
from tui.compose import day_number_in
from tui.folding import restored_state

LIMITS = Limits(
    max_order_notional_fraction=2.0, max_position_fraction=2.0, max_leverage=2.0, max_heat_fraction=1.0,
    max_risk_per_order_fraction=0.0, max_bucket_fraction=0.0, stale_quote_seconds=1e6, duplicate_seconds=0.0, max_spread_bps=0,
    max_day_loss_fraction=0.02, max_week_loss_fraction=0.03, max_drawdown_fraction=0.04, brake_halt_multiple=10.0)


def settings(zone: str) -> Settings:
    return settings_of("main", limits=LIMITS, new_day_zone=zone, reconcile_seconds=86_400.0)


def told(shell: Shell, receipt: Receipt | None) -> dict[str, Any]:
    """What the parent compares."""
    portfolio = shell.state.portfolios["main"]
    position = shell.state.position("main", COIN_ID)
    return {
        "seq": shell.state.seq, "day": shell.state.day, "week": shell.state.week,
        "trading_state": shell.state.effective_state("main"), "lots": position.lots if position else 0,
        "high_water_minor": portfolio.high_water_minor, "week_equity_minor": portfolio.week_equity_minor,
        "brakes": {name: {"level": one.level, "cause": one.cause, "baseline_minor": one.baseline_minor, "at_ns": one.at_ns,
                          "released_by": one.released_by} for name, one in portfolio.brakes.items()},
        "refused": receipt.refusal.check if receipt and receipt.refusal else ""}


async def obey(shell: Shell, line: dict[str, Any]) -> Receipt | None:
    if "quote" in line:
        await shell.quote(line["quote"])
        await shell.beat()
    if "buy" in line:
        want = PlaceOrder(f"buy-{shell.state.seq}", "COIN", Side.BUY, quantity=Decimal(line["buy"]), stop=Decimal(50))
        return await shell.engine.send(want)
    return None


async def live(home_path: Path, start_ns: int, zone: str) -> None:
    home = open_home(home_path)
    broker = PaperBroker(ACCOUNT, home.paper, None, (COIN, OTHER))
    journal = SqliteJournal(home.journal)
    shell = Shell(journal=journal, settings=settings(zone), state=restored_state(home), broker=broker,
                  day_number=day_number_in(zone))
    shell.clock.advance_to(start_ns)
    lines = asyncio.Queue[str]()
    reading = asyncio.get_running_loop()

    def read() -> None:
        for line in sys.stdin:
            reading.call_soon_threadsafe(lines.put_nowait, line)

    async with shell.running():
        print(json.dumps(told(shell, None)), flush=True)
        _ = reading.run_in_executor(None, read)
        while True:
            receipt = await obey(shell, json.loads(await lines.get()))
            await journal.wait_durable()  # what is answered is on disk
            print(json.dumps(told(shell, receipt)), flush=True)


if __name__ == "__main__":
    asyncio.run(live(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
