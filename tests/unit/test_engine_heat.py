"""Heat with its provenance, and the correlation of returns against hand-worked values and the formula of its paper."""

import math
from decimal import Decimal
from random import Random
from typing import Any

import numpy as np
import pytest

from engine.correlation import RETURN_BARS, correlation_of, shrunk_correlation, standardised
from engine.heat import bucket_heat, bucket_of, correlated_heat, heat_lines, sector_of
from engine.inputs import Bar, Limits
from engine.market import MarketView
from engine.orders import OrderKind, Side
from engine.units import NS_PER_SECOND
from engine.valuation import heat_minor
from tests.unit.engine_desk import COIN, COIN_ID, OTHER, Desk, bought, settings_of

OTHER_ID = OTHER.instrument_id
MINUTE_NS = 60 * NS_PER_SECOND
ROOMY: dict[str, Any] = {"max_heat_fraction": 0.9, "max_order_notional_fraction": 2.0, "max_position_fraction": 2.0,
                         "max_leverage": 2.0, "max_risk_per_order_fraction": 0.0, "duplicate_seconds": 0.0}


# ---- the correlation itself ------------------------------------------------------------------------------------------------


type Matrix = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def ledoit_wolf(rows: Matrix) -> tuple[Matrix, float]:
    """The estimator as the paper writes it, with no shortcut: one outer product an observation."""
    size, count = rows.shape
    sample = rows @ rows.T / count
    identity = np.eye(size)
    mean = np.trace(sample) / size
    distance = np.sum((sample - mean * identity) ** 2) / size
    noise = sum(np.sum((np.outer(rows[:, place], rows[:, place]) - sample) ** 2) / size for place in range(count)) / count**2
    weight = min(noise, distance) / distance if distance else 0.0
    return weight * mean * identity + (1 - weight) * sample, weight


@pytest.mark.parametrize(("size", "count"), [(2, 30), (5, 40), (12, 25), (3, 200), (33, 60), (80, 40)])
def test_shrinkage_is_that_of_the_paper(size: int, count: int) -> None:
    random = np.random.default_rng(size * count)
    common = random.standard_normal(count)
    rows = [standardised(list(random.standard_normal(count) + common)) for _ in range(size)]
    assert all(row is not None for row in rows)
    matrix, shrinkage = shrunk_correlation([row for row in rows if row is not None])
    wanted, weight = ledoit_wolf(np.array(rows))
    assert shrinkage == pytest.approx(weight, abs=1e-12)
    assert np.allclose(matrix, wanted, atol=1e-12)
    assert np.all(np.linalg.eigvalsh(np.array(matrix)) > -1e-12)


def test_a_case_worked_by_hand() -> None:
    # rows (1, -1, 1, -1) and (1, -1, -1, 1) do not go together at all; a row and itself do entirely
    one, other = [1.0, -1.0, 1.0, -1.0], [1.0, -1.0, -1.0, 1.0]
    assert shrunk_correlation([one, other]) == (((1.0, 0.0), (0.0, 1.0)), 0.0)
    # |x_t|^2 = 2 each time: noise = 4*4/16 - 4/4 = 0, so nothing is shrunk
    assert shrunk_correlation([one, one]) == (((1.0, 1.0), (1.0, 1.0)), 0.0)
    # rows (2, -2, 0, 0)/sqrt(2) and (2, 0, -2, 0)/sqrt(2): rho = 1/2; |x_t|^2 = 4, 2, 2, 0
    # squares = 2.5, distance = 0.5, noise = 24/16 - 2.5/4 = 0.875, so the shrinkage is cut at 1
    root = math.sqrt(2)
    matrix, shrinkage = shrunk_correlation([[2 / root, -2 / root, 0, 0], [2 / root, 0, -2 / root, 0]])
    assert (shrinkage, matrix) == (1.0, ((1.0, 0.0), (0.0, 1.0)))


def test_what_never_moves_has_no_correlation() -> None:
    assert standardised([0.0] * 30) is None


def with_bars(market: MarketView, closes: dict[str, list[int]]) -> None:
    for instrument_id, values in closes.items():
        market.warm([Bar(instrument_id, place * MINUTE_NS, (place + 1) * MINUTE_NS, value, value, value, value, 10)
                     for place, value in enumerate(values)])


def walk(seed: int, count: int = RETURN_BARS + 1) -> list[int]:
    random, value, values = Random(seed), 10_000, []
    for _ in range(count):
        value += random.randint(-60, 60)
        values.append(value)
    return values


def test_only_bars_that_all_have_are_compared_and_too_few_say_nothing() -> None:
    market = MarketView()
    with_bars(market, {"A": walk(1), "B": walk(1)[:40], "C": walk(2)[:10]})
    found = correlation_of(market, ["B", "A", "C"])
    assert list(found.places) == ["A", "B"]
    assert found.matrix[0][1] == pytest.approx(1.0 - found.shrinkage)
    assert correlation_of(market, ["B", "A", "C"]) is found, "kept until another bar closes"
    for instrument_id in ("A", "B"):
        assert correlation_of(market, ["B", "A", "C"]) is found, "one alone has no bar in common with the others"
        market.see(Bar(instrument_id, RETURN_BARS * MINUTE_NS, (RETURN_BARS + 2) * MINUTE_NS, 9, 9, 9, 9, 1), 1)
    assert correlation_of(market, ["B", "A", "C"]) is not found


# ---- lines and buckets -----------------------------------------------------------------------------------------------------


def booked(closes: dict[str, list[int]] | None = None, sides: tuple[Side, Side] = (Side.BUY, Side.BUY)) -> Desk:
    """Two positions of a hundred with a risk of 500.00 each."""
    desk = Desk(**ROOMY)
    with_bars(desk.market, closes or {})
    for symbol, instrument_id, side in (("COIN", COIN_ID, sides[0]), ("OTHER", OTHER_ID, sides[1])):
        desk.quote(10_000, instrument_id=instrument_id)
        desk.enter(symbol, 100, "95" if side is Side.BUY else "105", symbol=symbol, side=side)
    return desk


def test_lines_add_up_to_heat_and_each_names_its_parts() -> None:


    settings = settings_of("main", limits=Limits(**ROOMY), gap_allowance_bps=100, buckets={"COIN": "coins", "OTHER": "coins"})
    coin = type(COIN)(**{name: getattr(COIN, name) for name in COIN.__struct_fields__} | {"taker_fee_ppm": 1_000})
    desk = Desk(settings=settings, instruments=(coin, OTHER))
    desk.enter("held", 100, "95")
    desk.do(bought("rest", 50, "85", kind=OrderKind.LIMIT, limit=Decimal(90)))
    lines = heat_lines(desk.state, desk.market, "main")
    assert sum(line.risk_minor for line in lines) == heat_minor(desk.state, desk.market, "main")
    held, resting = lines
    assert (held.status, held.distance_minor, held.gap_minor, held.fee_minor) == ("position", 50_000, 9_500, 941)
    assert (resting.client_order_id, resting.stop_ticks) == (desk.sent[-1].client_order_id, 8_500)
    assert all(line.risk_minor == line.distance_minor + line.gap_minor + line.fee_minor for line in lines)
    assert bucket_heat(lines) == {"coins": heat_minor(desk.state, desk.market, "main")}


def test_without_a_stop_all_of_it_is_at_risk_and_no_gap_is_added() -> None:
    desk = Desk(require_stop=False, **ROOMY)
    desk.enter("bare", 100, None)
    (line,) = heat_lines(desk.state, desk.market, "main")
    assert (line.distance_minor, line.gap_minor, line.fee_minor, line.risk_minor) == (1_000_000, 0, 0, 1_000_000)


def test_a_bucket_is_configured_or_the_sector_or_the_symbol_itself() -> None:
    settings = settings_of("main", sectors={"COIN": "money"}, buckets={"OTHER@paper": "rest"})
    assert (bucket_of(settings, COIN), sector_of(settings, COIN)) == ("money", "money")
    assert (bucket_of(settings, OTHER), sector_of(settings, OTHER)) == ("rest", "")
    assert bucket_of(settings_of("main"), COIN) == "COIN"


# ---- correlated heat -------------------------------------------------------------------------------------------------------


def test_what_moves_together_adds_up_and_what_offsets_does_not() -> None:
    for seed, side, sign in ((1, Side.BUY, 1), (9, Side.BUY, 1), (1, Side.SELL, -1)):
        desk = booked({COIN_ID: walk(1), OTHER_ID: walk(seed)}, (Side.BUY, side))
        lines = heat_lines(desk.state, desk.market, "main")
        found = correlated_heat(desk.market, lines)
        rho = correlation_of(desk.market, [COIN_ID, OTHER_ID]).matrix[0][1]
        assert found.plain_minor == 100_000
        assert found.minor() == pytest.approx(100_000 * math.sqrt(2 + 2 * sign * rho) / 2, abs=1)


def test_nothing_known_counts_in_full() -> None:
    desk = booked()
    assert correlated_heat(desk.market, heat_lines(desk.state, desk.market, "main")).minor() == 100_000


@pytest.mark.parametrize("more", [0, 1, 25_000, 400_000])
def test_one_more_risk_is_counted_as_it_would_be_afterwards(more: int) -> None:
    desk = booked({COIN_ID: walk(1), OTHER_ID: walk(9)})
    lines = heat_lines(desk.state, desk.market, "main")
    thought = correlated_heat(desk.market, lines, COIN_ID, 1).minor(more)
    after = [lines[0]._replace(risk_minor=lines[0].risk_minor + more), lines[1]]
    assert thought == pytest.approx(correlated_heat(desk.market, after).minor(), abs=1)
    against = correlated_heat(desk.market, lines, COIN_ID, -1)
    assert against.minor(more) >= more, "both directions in one instrument are never set off against each other"
