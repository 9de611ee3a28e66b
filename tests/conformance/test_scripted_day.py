"""The scripted day at each venue, and an order whose answer is lost at each point of the exchange."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from engine.inputs import Reconcile
from engine.orders import OrderStatus
from engine.service import StopHome
from store.journal import SqliteJournal
from tests.conformance.day_sites import PaperSite
from tests.conformance.doomed_engine import SERVED_SITES
from tests.conformance.scripted_day import DEADLINE_SECONDS, NOBODY_THERE, Loss, Site, assert_nothing_doubled, trading_day

VENUES = ["paper", *SERVED_SITES]


@pytest.fixture(params=VENUES)
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    site: Site = PaperSite(tmp_path) if request.param == "paper" else SERVED_SITES[request.param]()
    await site.open()
    yield site
    await site.close()


async def test_the_day_ends_in_the_venues_positions_and_nothing_was_ever_unprotected(site: Site) -> None:
    """The report of unprotected seconds is printed: `pytest -s` shows it."""
    sys.stdout.write("\n".join(["", *await trading_day(site), ""]))


@pytest.mark.parametrize("muted", [False, True], ids=["stream speaks", "stream silent"])
async def test_an_order_that_never_arrived_is_not_believed_in_and_goes_at_most_once_more(site: Site, muted: bool) -> None:
    """Where the venue can prove that it never came it is sent again under the same id, elsewhere it is given up."""
    await site.quote("99.90", "100.10")
    if muted:
        site.mute()
    site.lose_next_answer(arrives=False)
    receipt = await site.buy(10, "95")
    entry = receipt.order_ids[0]
    again = site.name == "paper"
    if not again:
        await site.until(lambda: (order := site.state.order(entry)) is not None and order.closed, "giving it up")
        order = site.state.order(entry)
        assert order is not None
        assert (order.status, order.cum_lots, site.sendings()) == (OrderStatus.REJECTED, 0, 1)
    await site.until(lambda: site.taken_ids().count(entry) == int(again), "the venue's word")
    site.unmute()
    await site.running.send(Reconcile("now"))  # what a silent stream kept to itself is asked for
    await site.agree(10 if again else 0)


@pytest.mark.parametrize("muted", [False, True], ids=["stream speaks", "stream silent"])
async def test_an_order_that_was_taken_without_an_answer_is_found_by_its_id(site: Site, muted: bool) -> None:
    await site.quote("99.90", "100.10")
    if muted:
        site.mute()
    site.lose_next_answer(arrives=True)
    receipt = await site.buy(10, "94", limit="99.50")
    entry = receipt.order_ids[0]
    await site.until(lambda: (order := site.state.order(entry)) is not None and order.status is OrderStatus.NEW, "finding it")
    assert site.taken_ids().count(entry) == 1
    site.unmute()
    await site.quote("99.20", "99.30")
    await site.agree(10)
    assert_nothing_doubled(site)


@pytest.mark.parametrize("muted", [False, True], ids=["stream speaks", "stream silent"])
async def test_an_order_that_was_filled_without_an_answer_is_found_by_its_id_and_protected(site: Site, muted: bool) -> None:
    await site.quote("99.90", "100.10")
    if muted:
        site.mute()
    site.lose_next_answer(arrives=True)
    receipt = await site.buy(10, "95")
    await site.until(lambda: site.our_lots == site.lots(10), "finding it")
    await site.until(lambda: site.home in (StopHome.VENUE, StopHome.ENGINE), "protection")
    site.unmute()
    await site.agree(10)
    assert site.taken_ids().count(receipt.order_ids[0]) == 1
    assert_nothing_doubled(site)


async def test_a_stop_whose_answer_is_lost_is_found_by_its_id(site: Site) -> None:
    await site.quote("99.90", "100.10")
    await site.buy(10, "95", trail="5")
    await site.agree(10)
    site.lose_next_answer(arrives=True)
    for bid, ask in (("101.00", "101.10"), ("102.00", "102.10")):
        await site.quote(bid, ask)
    await site.agree(10)
    assert_nothing_doubled(site)


@pytest.mark.parametrize("filled", [True, False], ids=["filled", "never arrived"])
@pytest.mark.parametrize("venue", [pytest.param(name, marks=[pytest.mark.slow] * (name != "alpaca")) for name in SERVED_SITES])
async def test_a_process_killed_while_its_order_is_at_the_venue_leaves_one_order_and_its_heir_protects_it(
        tmp_path: Path, venue: str, filled: bool) -> None:
    site = SERVED_SITES[venue]()
    site.phase = NOBODY_THERE[-1]
    await site.serve()
    await site.market(Decimal("99.90"), Decimal("100.10"), 0)
    site.disturb_next(Loss(filled, hangs=True))
    path = tmp_path / "journal.db"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.conformance.doomed_engine", venue, site.url, path)
    deadline = time.monotonic() + 2 * DEADLINE_SECONDS  # a process that imports ccxt takes its time
    while not site.sendings() or (filled and not site.venue_lots()):
        assert time.monotonic() < deadline, (site.sendings(), site.venue_lots())
        assert process.returncode is None
        await site.show(Decimal("99.90"), Decimal("100.10"))
        await asyncio.sleep(0.01)
    process.kill()
    await process.wait()
    site.journal = SqliteJournal(path, inline=True)
    await site.start()
    await site.quote("99.90", "100.10")
    if not filled:
        await site.until(lambda: not site.state.orders, "giving up what never arrived")
    await site.agree(10 if filled else 0)
    wanted = ["entry", "stop"][:1 + site.stops_rest] if filled else []
    assert site.sendings() == (1 if site.exits_go_along else max(1, len(wanted)))
    assert len(site.taken_ids()) == len(set(site.taken_ids())) == len(wanted)
    await site.close()
