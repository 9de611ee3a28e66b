"""What a clean end leaves at the venue, and that no number is given twice after an unclean one."""

from decimal import Decimal
from typing import Any

from engine.inputs import PlaceOrder, Quote, TrailSpec
from engine.orders import OrderKind, Side
from engine.shell import LONGEST_BACKLOG
from engine.shell import Shell as EngineShell
from store.memory import MemoryJournal
from tests.unit.engine_desk import COIN, COIN_ID, OTHER, Shell, bought, fold


def waiting(command_id: str, **exits: Any) -> PlaceOrder:
    """A limit far below the market."""
    return PlaceOrder(command_id, COIN.symbol, Side.BUY, quantity=Decimal(1), kind=OrderKind.LIMIT,
                      limit=COIN.price(9_900), **exits)


async def test_an_entry_that_nothing_would_protect_is_withdrawn_at_the_end() -> None:
    desk = Shell()
    async with desk.running():
        await desk.quote(10_000)
        await desk.engine.send(waiting("trailed", trail=TrailSpec(percent=Decimal(2))))
        assert len(desk.broker.venue.report(0, ()).open_orders) == 1
    assert desk.broker.venue.report(0, ()).open_orders == ()


async def test_an_entry_with_its_stop_at_the_venue_stays() -> None:
    desk = Shell()
    async with desk.running():
        await desk.quote(10_000)
        await desk.engine.send(waiting("stopped", stop=COIN.price(9_500)))
    assert {found.client_order_id[-2:] for found in desk.broker.venue.report(0, ()).open_orders} >= {"-s"}


async def test_ids_of_two_sessions_differ_even_where_rows_were_lost() -> None:
    """The first session's order never reached the disk; the second one's rows bear the same numbers, its ids do not."""
    first = Shell(journal=MemoryJournal())
    async with first.running():
        await first.quote(10_000)
        await first.engine.send(bought())
    kept = list(first.journal.durable)[:1]  # type: ignore[attr-defined]
    second = Shell(journal=MemoryJournal(rows=kept), state=fold(kept))
    async with second.running():
        await second.quote(10_000)
        await second.engine.send(bought())
    ids = [{intent.client_order_id for intent in desk.submitted} for desk in (first, second)]
    assert ids[0] and ids[1]
    assert not ids[0] & ids[1]


async def test_a_backlog_shrinks_to_the_newest_quotes() -> None:
    desk = Shell()
    async with desk.running():
        await desk.quote(10_000)
        shell: EngineShell = desk.engine._shell
        assert desk.feed.sink is not None
        for place in range(LONGEST_BACKLOG + 1):
            desk.feed.sink(quote_of(COIN_ID, 10_000 + place % 5, desk))
            desk.feed.sink(quote_of(OTHER.instrument_id, 500 + place % 5, desk))
        assert len(shell.market) <= LONGEST_BACKLOG
        await desk.until(lambda: not shell.market)
        assert desk.engine.market.marks[COIN_ID].bid_ticks == 10_000 + LONGEST_BACKLOG % 5


def quote_of(instrument_id: str, bid: int, desk: Shell) -> Quote:
    return Quote(instrument_id, bid, bid, 0, 0, desk.clock.now_ns())
