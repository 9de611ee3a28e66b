"""Sizes by risk, range, volatility and edge against hand-worked and closed forms; the record of what each limit took."""

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from engine.events import OrderIntended, ProposalRaised
from engine.inputs import Approve, Bar, EdgeSpec, Limits, SizeSpec, TrailSpec
from engine.kernel.sizing import kelly_bps, wilson_low
from engine.service import ClampView, Refusal
from engine.sizing import annual_volatility
from engine.units import NS_PER_SECOND
from engine.want import Assessment, assess
from tests.unit.engine_desk import COIN, COIN_ID, START_NS, Desk, bought, coin, settings_of

MINUTE_NS = 60 * NS_PER_SECOND
ROOMY: dict[str, Any] = {
    "max_heat_fraction": 1.0, "max_order_notional_fraction": 50.0, "max_position_fraction": 50.0, "max_leverage": 50.0,
    "max_risk_per_order_fraction": 0.0, "duplicate_seconds": 0.0, "max_daily_notional_fraction": 0.0}


def desk(bars: list[Bar] | None = None, **limits: Any) -> Desk:
    made = Desk(settings=settings_of("main", limits=Limits(**{**ROOMY, **limits})), live=False)
    made.market.warm(bars or [])
    made.start()
    made.quote(10_000)
    return made


def assessed(made: Desk, **want: Any) -> Assessment | Refusal:
    return assess(made.state, made.market, made.at_ns, bought(quantity=None, **want))


def lots_of(made: Desk, **want: Any) -> int:
    found = assessed(made, **want)
    assert isinstance(found, Assessment), found
    return found.intent.order_lots


def steady_bars(range_ticks: int = 200, count: int = 40) -> list[Bar]:
    """Bars of one minute whose true range is always the same."""
    return [Bar(COIN_ID, START_NS - (count - place) * MINUTE_NS, START_NS - (count - place - 1) * MINUTE_NS, 10_000,
                10_000 + range_ticks // 2, 10_000 - range_ticks // 2, 10_000, 5) for place in range(count)]


def swinging_bars(swing: float = 0.001, count: int = 101) -> list[Bar]:
    """Bars that close up and down by turns, so that every return is plus or minus `swing`, nearly."""
    closes = [round(1_000_000 * (1 + (swing if place % 2 else 0))) for place in range(count)]
    return [Bar(COIN_ID, START_NS - (count - place) * MINUTE_NS, START_NS - (count - place - 1) * MINUTE_NS, close, close, close,
                close, 5) for place, close in enumerate(closes)]


# ---- by range --------------------------------------------------------------------------------------------------------------


def test_a_size_by_range_risks_its_percent_over_that_range() -> None:
    """1 % of 100,000.00 over twice an average range of 2.00 is 250 lots."""
    made = desk(steady_bars())
    found = assessed(made, stop=None, risk_percent=Decimal(1), size=SizeSpec(atr=Decimal(2)))
    assert isinstance(found, Assessment)
    assert found.intent.order_lots == 250
    assert found.card.stop == Decimal(96), "the range is also the stop where none is given"
    assert found.card.worst_loss == Decimal(1_000)


def test_of_a_stop_and_a_range_the_further_one_sizes() -> None:
    made = desk(steady_bars())
    size = SizeSpec(atr=Decimal(2))
    assert lots_of(made, stop="98", risk_percent=Decimal(1), size=size) == 250
    assert lots_of(made, stop="92", risk_percent=Decimal(1), size=size) == 125
    assert lots_of(made, stop=None, trail=TrailSpec(price=Decimal(8)), risk_percent=Decimal(1), size=size) == 125


# ---- by volatility ---------------------------------------------------------------------------------------------------------


def test_volatility_is_the_deviation_of_returns_scaled_to_a_year() -> None:
    made = desk(swinging_bars())
    wanted = 0.001 * math.sqrt(365 * 24 * 60)
    found = annual_volatility(made.market, COIN)
    assert found == pytest.approx(wanted, rel=2e-3)
    # a target of half that volatility is half the equity: 500 lots of 100.00
    lots = lots_of(made, size=SizeSpec(volatility_percent=Decimal(repr(round(50 * wanted, 4)))))
    assert lots == pytest.approx(500, abs=3)


@pytest.mark.parametrize(("hours", "a_year"), [(1, 252 * 6.5), (6.5, 252), (24, 252), (7 * 24, 365 / 7)])
def test_a_year_of_an_exchange_has_252_days_however_long_a_day_is_told_to_be(hours: float, a_year: float) -> None:
    share = coin("SHARE", session="XNYS")
    length_ns = round(hours * 3_600) * NS_PER_SECOND
    bars = [Bar(share.instrument_id, START_NS + place * length_ns, START_NS + (place + 1) * length_ns, 10_000, 10_100, 10_000,
                10_000 + place % 2 * 100, 1) for place in range(121)]
    made = Desk(live=False)
    made.market.warm(bars)
    returns = np.diff([bar.close_ticks for bar in bars]) / np.array([bar.close_ticks for bar in bars[:-1]])
    assert annual_volatility(made.market, share) == pytest.approx(float(returns.std()) * math.sqrt(a_year), rel=1e-9)


def test_without_enough_bars_there_is_no_volatility() -> None:
    for bars in ([], swinging_bars(count=20), steady_bars()):
        found = assessed(desk(bars), size=SizeSpec(volatility_percent=Decimal(10)))
        assert isinstance(found, Refusal)
        assert found.check == "volatility"


# ---- by edge ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("win_rate", "payoff", "part", "bps"), [
    (0.6, 1.0, 1.0, 2_000), (0.5, 2.0, 1.0, 2_500), (0.4, 3.0, 0.5, 1_000), (0.5, 1.0, 1.0, 0), (0.3, 1.0, 1.0, 0),
    (0.9, 0.0, 1.0, 0)])
def test_a_well_known_edge_bets_the_kelly_fraction(win_rate: float, payoff: float, part: float, bps: int) -> None:
    """f* = p - (1 - p) / b: 0.6 - 0.4 = 0.20; 0.5 - 0.25 = 0.25; half of 0.4 - 0.2 = 0.10."""
    assert kelly_bps(win_rate, payoff, 10**12, part) == pytest.approx(bps, abs=1)


@pytest.mark.parametrize("win_rate", [0.35, 0.5, 0.55, 0.7])
@pytest.mark.parametrize("payoff", [0.8, 1.0, 1.5, 3.0])
def test_the_kelly_fraction_grows_the_logarithm_of_wealth_fastest(win_rate: float, payoff: float) -> None:
    """Kelly (1956): f* is where p ln(1 + b f) + (1 - p) ln(1 - f) is greatest; 0 where that is at no bet."""
    bets = np.linspace(0.0, 0.9999, 200_001)
    growth = win_rate * np.log1p(payoff * bets) + (1 - win_rate) * np.log1p(-bets)
    assert kelly_bps(win_rate, payoff, 10**12, 1.0) == pytest.approx(10_000 * float(bets[np.argmax(growth)]), abs=1.5)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.61, 0.9])
@pytest.mark.parametrize("count", [1, 7, 80, 1_000])
def test_wilsons_end_solves_the_score_equation(share: float, count: int) -> None:
    """Wilson (1927): the ends of the interval are the roots p of n (s - p)^2 = z^2 p (1 - p); here z is 1."""
    roots = np.roots([count + 1, -(2 * count * share + 1), count * share**2])
    assert wilson_low(share, count) == pytest.approx(float(roots.real.min()), abs=1e-12)


def test_the_lower_end_is_wilsons() -> None:
    # n = 4, p = 1/2, z = 1: (0.5 + 1/8 - sqrt(1/16 + 1/64)) / (1 + 1/4)
    assert wilson_low(0.5, 4) == pytest.approx((0.625 - math.sqrt(0.078125)) / 1.25)
    assert wilson_low(0.5, 0) == 0.0
    lows = [wilson_low(0.6, count) for count in (1, 5, 20, 100, 10_000)]
    assert lows == sorted(lows)
    assert lows[-1] < 0.6


def test_a_short_record_bets_less_and_none_where_chance_would_do() -> None:
    made = desk(kelly_fraction=0.25)
    edge = {count: SizeSpec(edge=EdgeSpec(Decimal("0.6"), Decimal("1.5"), count)) for count in (20, 200, 5_000)}
    assert isinstance(assessed(made, size=SizeSpec(edge=EdgeSpec(Decimal("0.5"), Decimal(1), 1_000))), Refusal)
    sizes = [lots_of(made, size=edge[count]) for count in (20, 200, 5_000)]
    assert sizes == sorted(sizes)
    assert sizes[-1] == 10_000_000 * kelly_bps(0.6, 1.5, 5_000, 0.25) // 10_000 // 500


@pytest.mark.parametrize("edge", [EdgeSpec(Decimal("1.2"), Decimal(1), 9), EdgeSpec(Decimal("0.6"), Decimal(-1), 9),
                                  EdgeSpec(Decimal("0.6"), Decimal(1), 0)])
def test_an_edge_that_cannot_be_is_refused(edge: EdgeSpec) -> None:
    found = assessed(desk(), size=SizeSpec(edge=edge))
    assert isinstance(found, Refusal)
    assert found.check == "edge"


# ---- what the limits take --------------------------------------------------------------------------------------------------


def test_every_cut_is_recorded_in_the_card_and_in_the_journal() -> None:
    made = desk(max_order_notional_fraction=0.25, max_position_fraction=0.2)
    receipt = made.do(bought(quantity=None, risk_percent=Decimal(2)))
    assert receipt.accepted, receipt.refusal
    cuts = (ClampView("order notional", Decimal(400), Decimal(250), "25000.00 USD"),
            ClampView("position share", Decimal(250), Decimal(200), "20.0%"))
    assert made.of(OrderIntended)[0].clamps == cuts
    assert made.sent[0].order_lots == 200
    assert all(not event.clamps for event in made.of(OrderIntended)[1:])


def test_the_largest_size_is_what_the_tightest_limit_leaves() -> None:
    made = desk(max_order_notional_fraction=0.25, max_heat_fraction=0.01)
    found = assessed(made, size=SizeSpec(largest=True))
    assert isinstance(found, Assessment)
    assert found.intent.order_lots == 200
    assert [one.limit for one in found.card.clamps] == ["maximum quantity", "order notional", "heat"]
    assert found.card.clamps[0].before is None
    assert found.card.passed


def test_a_brake_makes_a_sized_order_smaller_and_says_so() -> None:
    made = desk(max_day_loss_fraction=0.1, max_week_loss_fraction=0.0, max_drawdown_fraction=0.0)
    made.beat()
    made.enter("a", 100, "50")
    made.quote(4_900)
    made.quote(4_900)
    made.beat()
    found = assessed(made, stop="45", risk_percent=Decimal(1))
    assert isinstance(found, Assessment)
    assert found.card.clamps[0].limit == "brake"
    assert found.card.clamps[0].allowed == "50% of the usual size"


def test_a_limit_that_leaves_nothing_refuses_by_its_name() -> None:
    found = assessed(desk(max_order_notional_fraction=0.0001), risk_percent=Decimal(1))
    assert isinstance(found, Refusal)
    assert (found.check, found.value) == ("order notional", "0 lots")
    assert "order notional" in found.message


def test_a_quantity_is_never_cut_behind_a_persons_back() -> None:
    receipt = desk(max_order_notional_fraction=0.25).do(bought(quantity=300))
    assert receipt.refusal is not None
    assert receipt.refusal.check == "order notional"


@pytest.mark.parametrize("want", [
    {"size": SizeSpec(largest=True), "risk_percent": Decimal(1)}, {"size": SizeSpec()}, {"size": SizeSpec(atr=Decimal(2))},
    {"size": SizeSpec(largest=True, volatility_percent=Decimal(3))}, {"size": SizeSpec(largest=True, atr=Decimal(2))}])
def test_a_size_is_said_in_one_way(want: dict[str, Any]) -> None:
    found = assessed(desk(steady_bars()), **want)
    assert isinstance(found, Refusal)
    assert found.check == "quantity"


def test_a_pending_trade_keeps_the_size_and_the_stop_of_its_card() -> None:
    made = desk(steady_bars())
    size = SizeSpec(atr=Decimal(2))
    assert made.do(bought(quantity=None, stop=None, risk_percent=Decimal(1), size=size, propose=True)).accepted
    (raised,) = made.of(ProposalRaised)
    assert (raised.proposal.want.quantity, raised.proposal.want.stop, raised.proposal.want.size) == (
        Decimal(250), Decimal(96), None)
    receipt = made.do(Approve("yes", raised.proposal.proposal_id, raised.proposal.digest))
    assert receipt.accepted, receipt.refusal
    assert made.sent[0].order_lots == 250


def test_an_approved_trade_is_recorded_with_the_cuts_that_its_card_showed() -> None:
    made = desk(max_position_fraction=0.1)
    assert made.do(bought(quantity=None, risk_percent=Decimal(2), propose=True)).accepted
    (raised,) = made.of(ProposalRaised)
    assert raised.proposal.card.clamps
    assert made.do(Approve("yes", raised.proposal.proposal_id, raised.proposal.digest)).accepted
    assert made.of(OrderIntended)[0].clamps == raised.proposal.card.clamps
