"""An order whose answer is lost is found by our id and never doubled: each venue's adapter under the real engine, at each
point of the exchange. The account's stream is silent meanwhile, so that nothing but the id can find it."""

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final

import pytest

from engine.inputs import ClosePosition, Reconcile
from engine.orders import OrderStatus, Purpose
from tests.conformance.doomed_engine import SERVED_SITES
from tests.conformance.scripted_day import Loss, ServedSite, assert_nothing_doubled

POINTS: Final = {
    "the line breaks before the venue has it": Loss(arrives=False),
    "a gateway answers 502 before the venue has it": Loss(arrives=False, status=502),
    "the venue is asked too often, 429 with Retry-After": Loss(arrives=False, status=429),
    "it never arrives and nobody says so": Loss(arrives=False, hangs=True),
    "the line breaks after the venue took it": Loss(arrives=True),
    "500 after the venue took it": Loss(arrives=True, status=500),
    "half of the answer": Loss(arrives=True, truncated=True),
    "the answer comes after the deadline": Loss(arrives=True, hangs=True),
    "the venue took it and refuses the same id": Loss(arrives=True, again=True),
}
SHORT_SECONDS = 1.0


async def a_resting_entry(site: ServedSite, loss: Loss) -> None:
    """A limit order: it stands at the venue, or it was never there."""
    site.disturb_next(loss)
    sent = (await site.buy(10, "94", limit="99.50")).order_ids
    entry = sent[0]
    if not loss.arrives:
        await never_there(site, entry)
        return
    await site.until(lambda: (order := site.state.order(entry)) is not None and order.status is OrderStatus.NEW, "finding it")
    assert (site.sendings(), site.taken_ids()) == (1, [*sent])
    site.unmute()
    await site.quote("99.20", "99.30")
    await site.agree(10)


async def an_entry_that_fills(site: ServedSite, loss: Loss) -> None:
    """A market order: by the time it is looked for it is filled, and its position needs its stop."""
    site.disturb_next(loss)
    entry = (await site.buy(10, "95")).order_ids[0]
    if not loss.arrives:
        await never_there(site, entry)
        return
    await site.until(lambda: site.our_lots == site.lots(10), "finding its fill")
    site.unmute()
    await site.agree(10)
    assert site.taken_ids().count(entry) == 1


async def a_stop_that_moves(site: ServedSite, loss: Loss) -> None:
    """The stop of a trail: found, or placed anew, and the position guarded throughout (`Site` looks all the time)."""
    await moves(site, loss, target=None)


async def a_pair_that_moves(site: ServedSite, loss: Loss) -> None:
    """The same with a target beside the stop: the two are one request, under one id."""
    await moves(site, loss, target="120")
    await site.until(lambda: len(site.open_exits()) == 2, "the pair")


async def an_exit(site: ServedSite, loss: Loss) -> None:
    """Out at market: there may be no long wait for an order that nobody has, and none may take the place of one that is there.
    Where a venue refuses an id for ever the same order goes again; elsewhere another comes once the first is proven missing."""
    site.unmute()
    await site.buy(10, "95")
    await site.agree(10)
    site.disturb_next(loss)
    assert (await site.running.send(ClosePosition("out", site.instrument_id))).accepted
    await site.until(lambda: site.position is None, "leaving")
    await site.agree(0)
    exits = [order for order in site.state.closed.values() if order.intent.purpose is Purpose.EXIT]
    assert sum(order.cum_lots for order in exits) == site.lots(10)
    if site.broker.capabilities.idempotent_ids and not loss.hangs and loss.status != 429:
        assert len(exits) == 1


async def moves(site: ServedSite, loss: Loss, target: str | None) -> None:
    site.unmute()
    await site.buy(10, "95", trail="5", target=target)
    await site.agree(10)
    site.mute()
    site.disturb_next(loss)
    sent = site.sendings()
    await site.quote("102.00", "102.10")
    await site.until(lambda: site.sendings() > sent, "the stop on its way")
    site.unmute()
    await site.until(lambda: site.position is not None and site.position.stop_ticks == site.ticks("97"), "the trail")
    await site.agree(10)


async def never_there(site: ServedSite, entry: str) -> None:
    """Given up once the venue has shown no trace of it often enough; sent once."""
    await site.until(lambda: (order := site.state.order(entry)) is not None and order.closed, "giving it up")
    order = site.state.order(entry)
    assert order is not None
    assert (order.status, order.cum_lots) == (OrderStatus.REJECTED, 0)
    assert (site.sendings(), site.taken_ids()) == (1, [])
    site.unmute()
    await site.running.send(Reconcile("now"))
    await site.agree(0)


type Scene = Callable[[ServedSite, Loss], Coroutine[Any, Any, None]]


def scenes(venue: str, point: str) -> list[Scene]:
    """What is tried there. An id whose order is filled is free again at some venues, so none is sent a second time to them."""
    tried: list[Scene] = [a_resting_entry]
    if not POINTS[point].again:
        tried += [an_entry_that_fills, an_exit]
    if SERVED_SITES[venue].stops_rest:
        tried.append(a_stop_that_moves)
    if SERVED_SITES[venue].exits_go_along:
        tried.append(a_pair_that_moves)
    return tried


TABLE: Final = [pytest.param(venue, point, scene, id=f"{venue}, {scene.__name__.replace('_', ' ')}: {point}")
                for venue in SERVED_SITES for point in POINTS for scene in scenes(venue, point)]


@pytest.fixture
async def site(venue: str, point: str) -> AsyncIterator[ServedSite]:
    site = SERVED_SITES[venue]()
    if POINTS[point].hangs:
        site.answer_seconds = SHORT_SECONDS
    await site.open()
    await site.quote("99.90", "100.10")
    site.mute()
    yield site
    await site.close()


@pytest.mark.parametrize(("venue", "point", "scene"), TABLE)
async def test_it_is_found_or_given_up_and_never_doubled(site: ServedSite, point: str, scene: Scene) -> None:
    site.phase = point
    await scene(site, POINTS[point])
    exits_alone = scene in (an_exit, a_stop_that_moves, a_pair_that_moves)
    assert_nothing_doubled(site, entries_lost=0 if POINTS[point].arrives or exits_alone else 1)
