"""What every broker adapter must do, whatever stands behind it. Subclass it with a `desk` fixture and `claims`.

A native feature is tested where the class claims it, and its absence where it does not; the other tests are not collected
there (`conftest.py`), and one test holds the claims against what the adapter says of itself.
"""

from collections.abc import Callable
from typing import Any

import pytest

from engine.inputs import Accepted, CancelRefused, Duplicate, OrderMissing, OrderReport, Refused
from engine.orders import ClosedAs, OrderKind, Purpose, Side, TimeInForce
from tests.conformance.desk import Desk, bracket, intent

CLAIMABLE = ("stop", "bracket", "oco", "reduce_only", "trailing")


def needs(*features: str) -> Callable[[Any], Any]:
    """The test is of a venue that claims all of these."""
    return lambda test: _marked(test, lambda claims: claims.issuperset(features))


def lacks(*features: str) -> Callable[[Any], Any]:
    """The test is of a venue that does not claim all of these."""
    return lambda test: _marked(test, lambda claims: not claims.issuperset(features))


def _marked(test: Any, applies: Callable[[frozenset[str]], bool]) -> Any:
    test.applies = applies
    return test


class BrokerSuite:
    """The suite; `desk` is connected, its account flat and rich enough, its market at 9990 to 10010."""

    claims: frozenset[str]

    @pytest.fixture
    def claimed(self) -> frozenset[str]:
        """What the venue under test claims."""
        return self.claims

    def test_the_adapter_claims_what_is_tested(self, desk: Desk, claimed: frozenset[str]) -> None:
        assert {name for name in CLAIMABLE if getattr(desk.broker.capabilities, name)} == claimed

    @pytest.fixture
    async def held(self, desk: Desk) -> Desk:
        """The desk with ten lots long."""
        assert isinstance((await desk.broker.submit([intent("held")]))[0], Accepted)
        await desk.settle()
        assert await desk.lots_held() == 10
        return desk

    # ---- orders and answers ----

    async def test_market_order_fills_once_at_the_far_side(self, desk: Desk) -> None:
        answers = await desk.broker.submit([intent("m")])
        await desk.settle()
        assert [type(answer) for answer in answers] == [Accepted]
        assert [(fill.last_lots, fill.last_ticks, fill.side) for fill in desk.fills()] == [(10, 10_010, Side.BUY)]
        assert await desk.lots_held() == 10

    async def test_answers_come_in_the_order_of_the_orders(self, desk: Desk) -> None:
        wrong = intent("wrong", instrument_id="NOPE@paper")
        answers = await desk.broker.submit([intent("a"), wrong, intent("b", kind=OrderKind.LIMIT, limit_ticks=9_000)])
        assert [type(answer) for answer in answers] == [Accepted, Refused, Accepted]

    async def test_the_same_id_again_is_a_duplicate_and_trades_once(self, desk: Desk) -> None:
        await desk.broker.submit([intent("m")])
        await desk.settle()
        answers = await desk.broker.submit([intent("m")])
        await desk.settle()
        assert answers == [Duplicate()]
        assert await desk.lots_held() == 10

    async def test_marketable_limit_pays_no_more_than_its_limit(self, desk: Desk) -> None:
        await desk.broker.submit([intent("l", kind=OrderKind.LIMIT, limit_ticks=10_100)])
        await desk.settle()
        assert [fill.last_ticks <= 10_100 for fill in desk.fills("l")] == [True]

    async def test_resting_limit_waits_and_fills_when_the_market_comes(self, desk: Desk) -> None:
        await desk.broker.submit([intent("l", kind=OrderKind.LIMIT, limit_ticks=9_900)])
        await desk.quote(9_950, 9_970)
        assert not desk.fills()
        await desk.quote(9_880, 9_900)
        assert [fill.last_lots for fill in desk.fills("l")] == [10]

    async def test_partial_fills_add_up_and_have_ids_of_their_own(self, desk: Desk) -> None:
        await desk.broker.submit([intent("l", order_lots=10, kind=OrderKind.LIMIT, limit_ticks=9_900)])
        await desk.quote(9_880, 9_900, lots=4)
        assert sum(fill.last_lots for fill in desk.fills("l")) == 4
        await desk.quote(9_880, 9_900, lots=40)
        fills = desk.fills("l")
        assert sum(fill.last_lots for fill in fills) == 10
        assert len({fill.key for fill in fills}) == len(fills)
        found = await desk.broker.order("l")
        assert isinstance(found, OrderReport)
        assert found.cum_lots == 10

    async def test_immediate_or_cancel_leaves_nothing_working(self, desk: Desk) -> None:
        await desk.quote(9_990, 10_010, lots=4)
        await desk.broker.submit([intent("i", kind=OrderKind.LIMIT, limit_ticks=10_010,
                                         time_in_force=TimeInForce.IOC)])
        await desk.settle()
        assert [fill.last_lots for fill in desk.fills("i")] == [4]
        assert [report.closed_as for report in desk.closings("i")] == [ClosedAs.CANCELED]
        assert (await desk.report()).open_orders == ()

    async def test_fill_or_kill_takes_all_or_nothing(self, desk: Desk) -> None:
        await desk.quote(9_990, 10_010, lots=4)
        await desk.broker.submit([intent("f", kind=OrderKind.LIMIT, limit_ticks=10_010,
                                         time_in_force=TimeInForce.FOK)])
        await desk.settle()
        assert desk.fills("f") == []
        assert [report.closed_as for report in desk.closings("f")] == [ClosedAs.CANCELED]

    async def test_too_large_an_order_is_refused_not_raised(self, desk: Desk) -> None:
        answers = await desk.broker.submit([intent("big", order_lots=10 ** 7)])
        assert isinstance(answers[0], Refused)
        assert answers[0].reason
        assert await desk.lots_held() == 0

    # ---- cancels ----

    async def test_cancel_closes_with_the_venues_word(self, desk: Desk) -> None:
        await desk.broker.submit([intent("l", kind=OrderKind.LIMIT, limit_ticks=9_000)])
        assert isinstance(await desk.broker.cancel("l", ""), Accepted)
        await desk.settle()
        assert [report.closed_as for report in desk.closings("l")] == [ClosedAs.CANCELED]
        await desk.quote(8_000, 8_010)
        assert desk.fills() == []

    async def test_cancel_by_the_venues_id_alone(self, desk: Desk) -> None:
        answer = (await desk.broker.submit([intent("l", kind=OrderKind.LIMIT, limit_ticks=9_000)]))[0]
        assert isinstance(answer, Accepted)
        assert isinstance(await desk.broker.cancel("", answer.venue_order_id), Accepted)
        await desk.settle()
        assert (await desk.report()).open_orders == ()

    async def test_cancel_of_an_unknown_order_says_so(self, desk: Desk) -> None:
        answer = await desk.broker.cancel("nobody", "")
        assert isinstance(answer, CancelRefused)
        assert answer.unknown_order

    async def test_cancel_of_a_filled_order_is_refused_but_known(self, held: Desk) -> None:
        answer = await held.broker.cancel("held", "")
        assert isinstance(answer, CancelRefused)
        assert not answer.unknown_order

    async def test_cancel_all_counts_and_clears(self, desk: Desk) -> None:
        await desk.broker.submit([intent(f"l{n}", kind=OrderKind.LIMIT, limit_ticks=9_000 + n) for n in range(3)])
        assert await desk.broker.cancel_all() == 3
        await desk.settle()
        assert (await desk.report()).open_orders == ()
        assert await desk.broker.cancel_all() == 0

    # ---- queries ----

    async def test_looking_up_what_never_came(self, desk: Desk) -> None:
        found = await desk.broker.order("nobody")
        assert isinstance(found, OrderMissing)
        assert found.client_order_id == "nobody"

    async def test_a_report_is_complete(self, held: Desk) -> None:
        await held.broker.submit([intent("l", kind=OrderKind.LIMIT, limit_ticks=9_000)])
        report = await held.report("held", "l", "nobody")
        assert [fill.client_order_id for fill in report.fills] == ["held"]
        assert [(each.client_order_id, each.order_lots, each.limit_ticks) for each in report.open_orders] == [
            ("l", 10, 9_000)]
        assert [type(each) for each in report.looked_up] == [OrderReport, OrderReport, OrderMissing]
        assert [(each.instrument_id, each.lots) for each in report.positions] == [(held.instrument.instrument_id, 10)]
        assert held.instrument in report.instruments

    async def test_reported_fills_are_those_of_the_stream(self, held: Desk) -> None:
        report = await held.report()
        assert [fill.key for fill in report.fills] == [fill.key for fill in held.fills()]
        later = await held.broker.report(report.venue_time_ns + 1, ())
        assert getattr(later, "fills", None) == ()

    async def test_cash_moves_by_exactly_the_fill(self, desk: Desk) -> None:
        before = (await desk.report()).cash_minor
        await desk.broker.submit([intent("m")])
        await desk.settle()
        fill = desk.fills("m")[0]
        paid = desk.instrument.signed_notional_minor(fill.last_ticks, -fill.last_lots) - fill.fee_minor
        assert (await desk.report()).cash_minor == before + paid

    # ---- stops ----

    @lacks("stop")
    async def test_a_stop_that_could_not_rest_is_refused(self, held: Desk) -> None:
        stop = intent("s", Side.SELL, kind=OrderKind.STOP, trigger_ticks=9_500, reduce_only=True, purpose=Purpose.STOP)
        assert isinstance((await held.broker.submit([stop]))[0], Refused)

    @needs("stop")
    async def test_stop_rests_and_fires_once(self, held: Desk) -> None:
        stop = intent("s", Side.SELL, kind=OrderKind.STOP, trigger_ticks=9_500, reduce_only=True, purpose=Purpose.STOP)
        assert isinstance((await held.broker.submit([stop]))[0], Accepted)
        await held.quote(9_510, 9_530)
        assert await held.lots_held() == 10
        await held.quote(9_480, 9_500)
        await held.quote(9_400, 9_420)
        assert [fill.last_ticks for fill in held.fills("s")] == [9_480]
        assert await held.lots_held() == 0

    @needs("stop")
    async def test_stop_already_passed_fires_at_once(self, held: Desk) -> None:
        await held.broker.submit([intent("s", Side.SELL, kind=OrderKind.STOP, trigger_ticks=12_000, reduce_only=True)])
        await held.settle()
        assert await held.lots_held() == 0

    @needs("stop")
    async def test_stop_limit_does_not_sell_below_its_limit(self, held: Desk) -> None:
        await held.broker.submit([intent("s", Side.SELL, kind=OrderKind.STOP_LIMIT, trigger_ticks=9_500,
                                         limit_ticks=9_490, reduce_only=True)])
        await held.quote(9_300, 9_320)
        assert await held.lots_held() == 10
        await held.quote(9_495, 9_515)
        assert await held.lots_held() == 0

    @lacks("trailing", "stop")
    async def test_a_trailing_stop_that_could_not_trail_is_refused(self, held: Desk) -> None:
        trailing = intent("s", Side.SELL, kind=OrderKind.TRAILING_STOP, trail_ticks=100, reduce_only=True)
        assert isinstance((await held.broker.submit([trailing]))[0], Refused)

    @needs("trailing", "stop")
    async def test_trailing_stop_follows_and_never_retreats(self, held: Desk) -> None:
        await held.broker.submit([intent("s", Side.SELL, kind=OrderKind.TRAILING_STOP, trail_ticks=100, reduce_only=True)])
        for bid in (10_000, 10_400, 10_320, 10_310):
            await held.quote(bid, bid + 20)
            assert await held.lots_held() == 10
        await held.quote(10_300, 10_320)
        assert [fill.last_ticks for fill in held.fills("s")] == [10_300]

    # ---- what belongs together ----

    @needs("bracket", "stop")
    async def test_bracket_exits_wait_for_the_entry(self, desk: Desk) -> None:
        orders = bracket(kind=OrderKind.LIMIT, limit_ticks=9_900)
        assert [type(answer) for answer in await desk.broker.submit(orders)] == [Accepted] * 3
        await desk.quote(11_100, 11_120)
        assert desk.fills() == []
        await desk.quote(9_880, 9_900, lots=4)
        await desk.quote(8_900, 8_920)
        assert sum(fill.last_lots for fill in desk.fills("e-s")) <= sum(fill.last_lots for fill in desk.fills("e"))

    @needs("bracket", "stop")
    async def test_bracket_dies_with_an_unfilled_entry(self, desk: Desk) -> None:
        await desk.broker.submit(bracket(kind=OrderKind.LIMIT, limit_ticks=9_900))
        await desk.broker.cancel("e", "")
        await desk.settle()
        assert (await desk.report()).open_orders == ()

    @needs("bracket", "stop")
    async def test_bracket_of_a_refused_entry_is_refused(self, desk: Desk) -> None:
        answers = await desk.broker.submit(bracket(order_lots=10 ** 7))
        assert [type(answer) for answer in answers] == [Refused] * 3

    @pytest.mark.parametrize(("bid", "survivor"), [(8_900, "e-t"), (11_100, "e-s")])
    @needs("bracket", "oco", "stop")
    async def test_one_exit_cancels_the_other(self, desk: Desk, bid: int, survivor: str) -> None:
        await desk.broker.submit(bracket())
        await desk.quote(bid, bid + 20)
        assert await desk.lots_held() == 0
        assert [report.closed_as for report in desk.closings(survivor)] == [ClosedAs.CANCELED]
        await desk.quote(20_000 - bid, 20_020 - bid)
        assert await desk.lots_held() == 0

    @needs("bracket", "oco", "stop")
    async def test_a_partial_exit_shrinks_the_other(self, desk: Desk) -> None:
        await desk.broker.submit(bracket())
        await desk.quote(11_000, 11_020, lots=4)
        assert await desk.lots_held() == 6
        await desk.quote(8_900, 8_920)
        assert await desk.lots_held() == 0
        assert sum(fill.last_lots for fill in desk.fills("e-s")) == 6

    @needs("reduce_only")
    async def test_reduce_only_never_opens(self, held: Desk) -> None:
        await held.broker.submit([intent("x", Side.SELL, order_lots=25, reduce_only=True)])
        await held.settle()
        assert await held.lots_held() == 0
        answers = await held.broker.submit([intent("y", Side.SELL, order_lots=5, reduce_only=True)])
        assert isinstance(answers[0], Refused)
        assert (await held.report()).open_orders == ()
