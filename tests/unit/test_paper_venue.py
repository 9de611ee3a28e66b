"""The paper venue's rules, one by one."""

from typing import Any

import pytest

from brokers.paper.memory import TransientMemory
from brokers.paper.records import PaperOptions
from brokers.paper.venue import PaperVenue
from engine.errors import InstrumentError
from engine.inputs import Accepted, Bar, FillReported, MarketTrade, OrderReport, Quote, Refused
from engine.instruments import Instrument
from engine.orders import ClosedAs, Fill, OrderKind, Side, TimeInForce
from tests.conformance.desk import ACCOUNT, COIN, SECOND_NS, SHARE, START_NS, bracket, intent

MINUTE_NS = 60 * SECOND_NS
FRIDAY_NOON_NS = 1_717_171_200 * SECOND_NS  # 2024-05-31 16:00 UTC, noon in New York
FRIDAY_CLOSE_NS = FRIDAY_NOON_NS + 4 * 3_600 * SECOND_NS
MONDAY_OPEN_NS = FRIDAY_CLOSE_NS + (2 * 24 + 17) * 3_600 * SECOND_NS + 1_800 * SECOND_NS


class Bench:
    """A venue with a clock and short words for what tests do."""

    def __init__(self, instrument: Instrument = COIN, start_ns: int = START_NS, **options: Any) -> None:
        self.instrument = instrument
        chosen = PaperOptions(**options)
        self.venue = PaperVenue(ACCOUNT, chosen, TransientMemory(chosen), [instrument])
        self.now_ns = start_ns
        self.messages: list[FillReported | OrderReport] = []
        self.venue.advance(start_ns)

    def quote(self, bid: int, ask: int, lots: int = 0, *, after_ns: int = SECOND_NS) -> None:
        self.now_ns += after_ns
        self.venue.see(Quote(self.instrument.instrument_id, bid, ask, lots, lots, self.now_ns), self.now_ns)
        self.messages += self.venue.drain()

    def market_trade(self, price: int, lots: int) -> None:
        self.now_ns += SECOND_NS
        self.venue.see(MarketTrade(self.instrument.instrument_id, price, lots, 1, self.now_ns), self.now_ns)
        self.messages += self.venue.drain()

    def bar(self, opened: int, high: int, low: int, close: int, volume: int = 0) -> None:
        open_ns, self.now_ns = self.now_ns, self.now_ns + MINUTE_NS
        self.venue.see(Bar(self.instrument.instrument_id, open_ns, self.now_ns, opened, high, low, close, volume),
                       self.now_ns)
        self.messages += self.venue.drain()

    def wait(self, ns: int) -> None:
        self.now_ns += ns
        self.venue.advance(self.now_ns)
        self.messages += self.venue.drain()

    def submit(self, *intents: Any) -> list[Any]:
        answers = self.venue.submit(intents)
        self.messages += self.venue.drain()
        return answers

    def order(self, client_order_id: str, side: Side = Side.BUY, lots: int = 10, kind: OrderKind = OrderKind.MARKET,
              **more: Any) -> Any:
        return self.submit(intent(client_order_id, side, lots, kind, instrument_id=self.instrument.instrument_id,
                                  **more))[0]

    def fills(self, client_order_id: str | None = None) -> list[Fill]:
        return [each.fill for each in self.messages if isinstance(each, FillReported)
                and client_order_id in (None, each.fill.client_order_id)]

    def prices(self, client_order_id: str | None = None) -> list[tuple[int, int]]:
        return [(fill.last_lots, fill.last_ticks) for fill in self.fills(client_order_id)]

    def closed(self, client_order_id: str) -> ClosedAs | None:
        words = [each.closed_as for each in self.messages if isinstance(each, OrderReport)
                 and each.client_order_id == client_order_id]
        assert len(words) <= 1
        return words[0] if words else None


# ---- prices ----


def test_market_order_waits_for_the_first_quote() -> None:
    bench = Bench()
    bench.order("m")
    assert bench.fills() == []
    bench.quote(9_990, 10_010)
    assert bench.prices() == [(10, 10_010)]


def test_slippage_makes_a_market_order_worse_and_never_breaks_a_limit() -> None:
    bench = Bench(slippage_bps=25)
    bench.quote(9_990, 10_010)
    bench.order("m")
    bench.order("l", kind=OrderKind.LIMIT, limit_ticks=10_020)
    bench.order("x", Side.SELL)
    assert bench.prices("m") == [(10, 10_036)]  # 10010 x 0.0025 = 25.025, up to 26
    assert bench.prices("l") == [(10, 10_020)]
    assert bench.prices("x") == [(10, 9_965)]


def test_fees_distinguish_maker_and_taker() -> None:
    bench = Bench()
    bench.quote(9_990, 10_010)
    bench.order("taker")
    bench.order("maker", kind=OrderKind.LIMIT, limit_ticks=9_900)
    bench.quote(9_880, 9_900)
    assert [(fill.maker, fill.fee_minor) for fill in bench.fills()] == [(False, 2), (True, 1)]  # of 10.01 and 9.90 USD


def test_displayed_size_is_taken_once_and_shared() -> None:
    bench = Bench(fill_share_bps=5_000)
    bench.quote(9_990, 10_010, lots=18)
    bench.order("a", lots=6)
    bench.order("b", lots=6)
    assert bench.prices("a") == [(6, 10_010)]
    assert bench.prices("b") == [(3, 10_010)]
    bench.quote(9_990, 10_012, lots=18)
    assert bench.prices("b") == [(3, 10_010), (3, 10_012)]


@pytest.mark.parametrize(("touch_fills", "lots"), [(False, 0), (True, 3)])
def test_print_at_the_limit_is_a_touch(touch_fills: bool, lots: int) -> None:
    bench = Bench(touch_fills=touch_fills)
    bench.quote(9_990, 10_010)
    bench.order("l", kind=OrderKind.LIMIT, limit_ticks=9_950)
    bench.market_trade(9_950, 3)
    assert sum(fill.last_lots for fill in bench.fills()) == lots


def test_print_through_the_limit_fills_as_far_as_it_reaches() -> None:
    bench = Bench()
    bench.quote(9_990, 10_010)
    bench.order("l", kind=OrderKind.LIMIT, limit_ticks=9_950)
    bench.market_trade(9_940, 4)
    assert bench.prices() == [(4, 9_950)]


@pytest.mark.parametrize("quote", [(10_010, 9_990), (-1, 10), (0, 0)])
def test_impossible_quotes_are_no_prices(quote: tuple[int, int]) -> None:
    bench = Bench()
    bench.quote(9_990, 10_010)
    bench.quote(*quote)
    bench.order("m")
    assert bench.prices() == [(10, 10_010)]


def test_nobody_bids_so_nothing_is_sold_and_no_stop_fires() -> None:
    bench = Bench()
    bench.quote(9_990, 10_010)
    bench.order("m")
    bench.order("s", Side.SELL, kind=OrderKind.STOP, trigger_ticks=9_500, reduce_only=True)
    bench.quote(0, 10_010)
    assert bench.fills("s") == []


# ---- bars ----


def test_after_a_bar_a_market_order_waits_for_the_next_price() -> None:
    bench = Bench()
    bench.quote(9_990, 10_010)
    bench.wait(0)
    bench.bar(10_000, 10_100, 9_900, 10_050)
    bench.order("m")
    assert bench.fills() == []
    bench.quote(10_200, 10_220, after_ns=0)
    assert bench.prices() == [(10, 10_220)]


def test_market_order_gets_the_open_of_a_bar_without_quotes() -> None:
    bench = Bench()
    bench.order("m")
    bench.bar(10_000, 10_100, 9_900, 10_050)
    assert bench.prices() == [(10, 10_000)]


@pytest.mark.parametrize(("bar", "price"), [
    ((10_000, 10_100, 9_400, 9_900), 9_500),
    ((9_300, 9_600, 9_200, 9_500), 9_300),
])
def test_stop_in_a_bar_pays_the_trigger_or_the_gap(bar: tuple[int, int, int, int], price: int) -> None:
    bench = Bench()
    bench.quote(9_990, 10_010)
    bench.order("m")
    bench.order("s", Side.SELL, kind=OrderKind.STOP, trigger_ticks=9_500, reduce_only=True)
    bench.bar(*bar)
    assert bench.prices("s") == [(10, price)]


def test_limit_in_a_bar_needs_the_market_to_trade_through() -> None:
    bench = Bench()
    bench.quote(9_990, 10_010)
    bench.order("l", kind=OrderKind.LIMIT, limit_ticks=9_900)
    bench.bar(10_000, 10_100, 9_900, 10_000)
    assert bench.fills() == []
    bench.bar(10_000, 10_100, 9_899, 10_000)
    assert bench.prices() == [(10, 9_900)]


def test_stop_comes_before_target_where_a_bar_holds_both() -> None:
    bench = Bench()
    bench.quote(9_990, 10_010)
    bench.submit(*bracket())
    bench.bar(10_000, 12_000, 8_000, 11_500)
    assert bench.prices("e-s") == [(10, 9_000)]
    assert bench.closed("e-t") is ClosedAs.CANCELED


def test_entry_and_its_stop_in_one_bar_count_as_stopped() -> None:
    bench = Bench()
    bench.quote(9_990, 10_010)
    bench.submit(*bracket(kind=OrderKind.LIMIT, limit_ticks=9_900))
    bench.bar(10_000, 11_500, 8_900, 11_400)
    assert bench.prices("e") == [(10, 9_900)]
    assert bench.prices("e-s") == [(10, 9_000)]
    assert bench.fills("e-t") == []


def test_bar_volume_limits_what_fills() -> None:
    bench = Bench(fill_share_bps=1_000)
    bench.quote(9_990, 10_010)
    bench.order("l", kind=OrderKind.LIMIT, limit_ticks=9_900)
    bench.bar(10_000, 10_100, 9_800, 9_950, volume=40)
    assert bench.prices() == [(4, 9_900)]


def test_bar_whose_inside_was_seen_says_nothing_new() -> None:
    bench = Bench()
    bench.quote(9_990, 10_010)
    bench.order("m")
    bench.order("s", Side.SELL, kind=OrderKind.STOP, trigger_ticks=9_500, reduce_only=True)
    opened_ns = bench.now_ns
    bench.quote(9_980, 10_000)
    bar = Bar(COIN.instrument_id, opened_ns, opened_ns + MINUTE_NS, 10_000, 10_000, 9_000, 9_990, 5)
    bench.venue.see(bar, opened_ns + MINUTE_NS)
    assert bench.venue.drain() == []
    assert bench.venue.mark(COIN.instrument_id) == Quote(COIN.instrument_id, 9_980, 10_000, 0, 0, bench.now_ns)


def test_trailing_stop_in_bars_checks_the_old_level_first() -> None:
    bench = Bench()
    bench.quote(10_000, 10_010)
    bench.order("m")
    bench.order("t", Side.SELL, kind=OrderKind.TRAILING_STOP, trail_ticks=200, reduce_only=True)
    bench.bar(10_000, 10_900, 9_850, 10_800)  # the low came first or last: the old stop at 9800 was not reached
    assert bench.fills("t") == []
    bench.bar(10_800, 10_850, 10_600, 10_800)
    assert bench.prices("t") == [(10, 10_700)]


# ---- time ----


def test_latency_delays_orders_and_cancels() -> None:
    bench = Bench(latency_ms=100)
    bench.quote(9_990, 10_010)
    bench.order("m")
    bench.quote(10_190, 10_210, after_ns=50_000_000)
    assert bench.fills() == []
    bench.wait(SECOND_NS)
    assert bench.prices() == [(10, 10_210)]
    assert bench.fills()[0].at_ns == START_NS + SECOND_NS + 100_000_000
    bench.order("l", kind=OrderKind.LIMIT, limit_ticks=10_000)
    bench.wait(SECOND_NS)
    assert isinstance(bench.venue.cancel("l", ""), Accepted)
    bench.quote(9_980, 10_000, after_ns=50_000_000)  # the fill wins the race
    assert bench.prices("l") == [(10, 10_000)]
    bench.wait(SECOND_NS)
    assert bench.closed("l") is None


def test_day_order_of_a_coin_expires_at_midnight_utc() -> None:
    bench = Bench()
    bench.quote(9_990, 10_010)
    bench.order("d", kind=OrderKind.LIMIT, limit_ticks=9_000, time_in_force=TimeInForce.DAY)
    bench.wait(12 * 3_600 * SECOND_NS - 2 * SECOND_NS)
    assert bench.closed("d") is None
    bench.wait(2 * SECOND_NS)
    assert bench.closed("d") is ClosedAs.EXPIRED


def test_orders_for_shares_wait_over_the_weekend() -> None:
    bench = Bench(SHARE, FRIDAY_NOON_NS)
    bench.quote(19_990, 20_010)
    bench.wait(FRIDAY_CLOSE_NS + 3_600 * SECOND_NS - bench.now_ns)
    assert isinstance(bench.order("m", time_in_force=TimeInForce.DAY), Accepted)
    assert isinstance(bench.order("i", time_in_force=TimeInForce.IOC), Accepted)
    assert bench.closed("i") is ClosedAs.CANCELED
    bench.wait(MONDAY_OPEN_NS - bench.now_ns)
    assert bench.fills() == []  # Friday's price is not Monday's
    bench.quote(20_490, 20_510)
    assert bench.prices("m") == [(10, 20_510)]


def test_day_order_of_a_share_expires_at_the_close() -> None:
    bench = Bench(SHARE, FRIDAY_NOON_NS)
    bench.quote(19_990, 20_010)
    bench.order("d", kind=OrderKind.LIMIT, limit_ticks=19_000, time_in_force=TimeInForce.DAY)
    bench.wait(FRIDAY_CLOSE_NS - bench.now_ns)
    assert bench.closed("d") is ClosedAs.EXPIRED


@pytest.mark.parametrize("latency_ms", [0, 100])
def test_orders_that_come_before_any_time_count_from_the_first(latency_ms: int) -> None:
    venue = PaperVenue(ACCOUNT, PaperOptions(latency_ms=latency_ms), TransientMemory(PaperOptions()), [COIN])
    answers = venue.submit([intent("m", time_in_force=TimeInForce.DAY), intent("i", time_in_force=TimeInForce.IOC)])
    assert [type(answer) for answer in answers] == [Accepted, Accepted]
    for second in range(2):
        at_ns = START_NS + second * SECOND_NS
        venue.see(Quote(COIN.instrument_id, 9_990, 10_010, 0, 0, at_ns), at_ns)
    assert venue.totals().positions == {COIN.instrument_id: 20}


def test_what_was_seen_is_not_seen_twice() -> None:
    bench = Bench()
    bench.quote(9_990, 10_010)
    cursor_ns = bench.venue.cursor_ns
    bench.venue.see(Quote(COIN.instrument_id, 1, 2, 0, 0, cursor_ns - 1), cursor_ns - 1)
    bench.venue.see(Quote(COIN.instrument_id, 1, 2, 0, 0, cursor_ns), cursor_ns)
    mark = bench.venue.mark(COIN.instrument_id)
    assert mark is not None
    assert mark.bid_ticks == 9_990


def test_items_of_one_moment_are_all_seen() -> None:
    bench = Bench()
    bench.quote(9_990, 10_010)
    bench.quote(9_890, 9_910, after_ns=0)
    mark = bench.venue.mark(COIN.instrument_id)
    assert mark is not None
    assert mark.bid_ticks == 9_890


# ---- refusals ----


@pytest.mark.parametrize(("more", "code"), [
    ({"instrument_id": "NOPE@paper"}, "unknown_instrument"),
    ({"order_lots": 0}, "quantity"),
    ({"order_lots": 10 ** 9}, "quantity"),
    ({"order_lots": 1}, "min_lots"),
    ({"order_lots": 4}, "min_notional"),
    ({"order_lots": 10 ** 6}, "buying_power"),
    ({"kind": OrderKind.LIMIT}, "price"),
    ({"kind": OrderKind.STOP, "trigger_ticks": 10 ** 9}, "price"),
    ({"kind": OrderKind.TRAILING_STOP}, "price"),
    ({"side": Side.SELL, "reduce_only": True}, "no_position"),
    ({"parent_id": "nobody"}, "parent"),
])
def test_refusals_have_a_code_and_a_reason(more: dict[str, Any], code: str) -> None:
    bench = Bench()
    bench.quote(9_990, 10_010)
    answer = bench.submit(intent("x", **more))[0]
    assert isinstance(answer, Refused)
    assert answer.code == code
    assert answer.reason
    assert bench.venue.totals().open_orders == 0


def test_shares_that_cannot_be_borrowed_are_not_sold_short() -> None:
    bench = Bench(SHARE, FRIDAY_NOON_NS)
    bench.quote(19_990, 20_010)
    assert bench.order("s", Side.SELL).code == "not_shortable"
    bench.order("m")
    assert isinstance(bench.order("x", Side.SELL), Accepted)
    assert bench.order("y", Side.SELL).code == "not_shortable"


def test_buying_power_counts_what_rests() -> None:
    bench = Bench(initial_cash_minor=10_000)  # 100 dollars
    bench.quote(9_990, 10_010)
    assert isinstance(bench.order("l", lots=60, kind=OrderKind.LIMIT, limit_ticks=10_000), Accepted)
    assert bench.order("m", lots=60).code == "buying_power"
    bench.venue.cancel("l", "")
    assert isinstance(bench.order("n", lots=60), Accepted)


def test_order_that_came_before_any_price_is_judged_by_the_first() -> None:
    bench = Bench(initial_cash_minor=10_000)
    assert isinstance(bench.order("m", lots=500), Accepted)
    bench.quote(9_990, 10_010)
    assert bench.fills() == []
    assert bench.closed("m") is ClosedAs.CANCELED


def test_leverage_lends() -> None:
    bench = Bench(initial_cash_minor=10_000, leverage=3.0)
    bench.quote(9_990, 10_010)
    assert isinstance(bench.order("m", lots=250), Accepted)
    assert bench.order("n", lots=100).code == "buying_power"


def test_one_account_has_one_currency() -> None:
    with pytest.raises(InstrumentError, match="kept in EUR"):
        Bench(currency="EUR")


# ---- what belongs together ----


def test_group_members_of_different_sizes_shrink_by_what_filled() -> None:
    bench = Bench()
    bench.quote(9_990, 10_010)
    bench.order("m")
    bench.order("t1", Side.SELL, 4, OrderKind.LIMIT, limit_ticks=11_000, reduce_only=True, oco_group="g")
    bench.order("s", Side.SELL, 10, OrderKind.STOP, trigger_ticks=9_000, reduce_only=True, oco_group="g")
    bench.quote(11_000, 11_020)
    bench.quote(8_900, 8_920)
    assert bench.prices("t1") == [(4, 11_000)]
    assert bench.prices("s") == [(6, 8_900)]
    assert bench.closed("s") is ClosedAs.CANCELED  # its other four lots are not needed any more


def test_exits_of_a_partly_filled_entry_end_with_it() -> None:
    bench = Bench()
    bench.quote(9_990, 10_010)
    bench.submit(*bracket(kind=OrderKind.LIMIT, limit_ticks=9_900))
    bench.quote(9_880, 9_900, lots=4)
    bench.venue.cancel("e", "")
    assert bench.venue.totals().open_orders == 2
    bench.quote(8_900, 8_920)
    assert bench.prices("e-s") == [(4, 8_900)]
    assert bench.venue.totals() == (bench.venue.totals().cash_minor, bench.venue.totals().cash_minor, {}, 0)


def test_reduce_only_orders_leave_when_the_position_is_gone() -> None:
    bench = Bench()
    bench.quote(9_990, 10_010)
    bench.order("m")
    bench.order("s", Side.SELL, kind=OrderKind.STOP, trigger_ticks=9_000, reduce_only=True)
    bench.order("x", Side.SELL, reduce_only=True)
    assert bench.closed("s") is ClosedAs.CANCELED
    assert bench.venue.totals().open_orders == 0


def test_average_price_follows_adds_reductions_and_reversals() -> None:
    bench = Bench()
    bench.quote(9_990, 10_000)
    bench.order("a")
    bench.quote(10_990, 11_000)
    bench.order("b", lots=30)
    bench.order("c", Side.SELL, 20)
    assert bench.venue.report(0, ()).positions[0].average_ticks == 10_750.0
    bench.order("d", Side.SELL, 50)
    position = bench.venue.report(0, ()).positions[0]
    assert (position.lots, position.average_ticks) == (-30, 10_990.0)
