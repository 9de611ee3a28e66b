"""Homes with a past of some days, for what looks after homes: real events, tables, paper memory, configuration, no engine run."""

import asyncio
import sqlite3
from decimal import Decimal
from pathlib import Path

from engine.events import (
    AlertRaised,
    CashAdjusted,
    Event,
    InstrumentListed,
    OrderAcked,
    OrderFilled,
    OrderIntended,
    SessionStarted,
    encode,
)
from engine.inputs import PortfolioSettings, Settings, VenueCapabilities
from engine.instruments import AssetClass, Instrument
from engine.orders import Fill, OrderIntent, OrderKind, Purpose, Side
from engine.ports import JournalRow
from engine.positions import ExitPlan
from engine.service import AlertLevel
from engine.state import State
from store.home import Home, open_home
from store.journal import SqliteJournal
from store.views import StateViews

FIRST_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
DAY_NS = 86_400_000_000_000
BTC = Instrument(
    instrument_id="BTC/USD@paper", symbol="BTC/USD", venue="paper", asset_class=AssetClass.CRYPTO, base_currency="BTC",
    quote_currency="USD", tick_size=Decimal("0.01"), lot_size=Decimal("0.0001"), minor_exponent=2, max_ticks=10**9,
    max_lots=10**8)


def past_events(days: int) -> list[tuple[int, Event]]:
    """Times and events: a session, money, and each day an entry that is filled, its stop, and a remark with odd signs."""
    told: list[tuple[int, Event]] = [
        (FIRST_NS, SessionStarted("e1", "0.1", Settings(portfolios=(PortfolioSettings("main", "paper", "USD", 2),)),
                                  {"paper": VenueCapabilities()})),
        (FIRST_NS, InstrumentListed(BTC)), (FIRST_NS, CashAdjusted("paper", 10_000_000, "deposit"))]
    for day in range(days):
        at_ns = FIRST_NS + day * DAY_NS + DAY_NS // 2
        entry, stop = (OrderIntent(
            client_order_id=f"o{day}-{purpose.value}", portfolio="main", account="paper", instrument_id=BTC.instrument_id,
            side=side, order_lots=10, kind=kind, purpose=purpose, trigger_ticks=ticks, plan=ExitPlan(stop_ticks=4_900_000))
            for purpose, side, kind, ticks in ((Purpose.ENTRY, Side.BUY, OrderKind.MARKET, 0),
                                               (Purpose.STOP, Side.SELL, OrderKind.STOP, 4_900_000)))
        filled = Fill("paper", BTC.instrument_id, f"t{day}", entry.client_order_id, Side.BUY, 10, 5_000_000 + day, 12, at_ns)
        told += [(at_ns, OrderIntended(entry)), (at_ns, OrderFilled(filled, "main")), (at_ns, OrderIntended(stop)),
                 (at_ns, OrderAcked(stop.client_order_id, f"v{day}")),
                 (at_ns, AlertRaised(f"r{day}", AlertLevel.WARN, "remark", f"day {day}", f'a "quoted", comma\nline é {day}'))]
    return told


def lived_home(path: Path, days: int = 6) -> Home:
    """A home whose journal has five rows for each of so many days from 2026-01-01 on, after three of a start."""
    home = open_home(path)
    home.config.write_text("# settings\n")
    with sqlite3.connect(home.paper) as paper:
        paper.execute("CREATE TABLE cash(minor)")
    journal = SqliteJournal(home.journal, projector=StateViews(State()), inline=True)
    for seq, (at_ns, event) in enumerate(past_events(days), start=1):
        kind, version, payload = encode(event)
        journal.append([JournalRow(seq, at_ns, kind, version, payload)])
        asyncio.run(journal.wait_durable())
    assert not journal.view_failure
    journal.close()
    return home
