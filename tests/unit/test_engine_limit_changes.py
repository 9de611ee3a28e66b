"""Limits changed at run time: journaled, in force at once, kept over restarts, let go with `default`; and the risk view."""

from decimal import Decimal
from typing import Any

import pytest

from engine.events import LimitChanged
from engine.inputs import Limits, SetLimit
from engine.risk_views import risk_view
from engine.service import HealthView, LimitView, Mode
from engine.state import decode_state, encode_state
from engine.tolerance import FIELDS
from engine.valuation import equity_minor, fraction, heat_minor
from engine.views import snapshot
from tests.unit.engine_desk import Desk, bought, settings_of


def limits_of(desk: Desk) -> Limits:
    return desk.state.portfolios["main"].settings.limits


def restarted(desk: Desk, **limits: Any) -> Desk:
    settings = settings_of("main", limits=Limits(**limits)) if limits else desk.settings
    again = Desk(settings=settings, state=decode_state(encode_state(desk.state)), live=False)
    again.start()
    return again


def test_a_change_is_journaled_with_who_and_from_what_to_what() -> None:
    desk = Desk(max_heat_fraction=0.06)
    receipt = desk.do(SetLimit("s", "main", "max_heat_fraction", "0.02", "ann"))
    assert receipt.accepted
    (event,) = desk.of(LimitChanged)
    assert (event.before, event.after, event.by) == ("0.06", "0.02", "ann")
    assert limits_of(desk).max_heat_fraction == 0.02
    refused = desk.do(bought("c", 240, "90")).refusal
    assert refused is not None
    assert refused.check == "heat"


def test_a_change_is_told_and_kept_to_the_last_digit() -> None:
    """Not rounded to some digits, which could allow more than was said, and not written with an exponent."""
    desk = Desk(max_heat_fraction=0.06)
    desk.do(SetLimit("s", "main", "max_heat_fraction", "0.00001234567"))
    assert limits_of(desk).max_heat_fraction == 0.00001234567
    (event,) = desk.of(LimitChanged)
    assert event.after == "0.00001234567"
    assert "max_heat_fraction 0.06 → 0.00001234567 by user" in [alert.text for alert in desk.state.alerts.values()]


def test_a_change_outlasts_a_restart_and_the_configuration_counts_again_with_default() -> None:
    desk = Desk(max_heat_fraction=0.06)
    desk.do(SetLimit("s", "main", "max_heat_fraction", "0.02"))
    again = restarted(desk, max_heat_fraction=0.05, orders_per_minute=7)
    assert (limits_of(again).max_heat_fraction, limits_of(again).orders_per_minute) == (0.02, 7)
    assert again.do(SetLimit("d", "main", "max_heat_fraction", "default")).accepted
    assert limits_of(again).max_heat_fraction == 0.05
    assert again.state.portfolios["main"].limit_changes == {}


@pytest.mark.parametrize(("portfolio", "limit", "value", "words"), [
    ("main", "max_heat", "0.1", "did you mean max_heat_fraction?"), ("main", "max_heat_fraction", "7", "max_heat_fraction = 7"),
    ("side", "max_heat_fraction", "0.1", "no portfolio called 'side'")])
def test_what_cannot_be_meant_is_refused_and_changes_nothing(portfolio: str, limit: str, value: str, words: str) -> None:
    desk = Desk()
    before = limits_of(desk)
    refused = desk.do(SetLimit("s", portfolio, limit, value)).refusal
    assert refused is not None
    assert words in refused.message
    assert limits_of(desk) == before


def test_a_change_takes_effect_once_however_often_it_arrives() -> None:
    desk = Desk()
    desk.do(SetLimit("s", "main", "orders_per_minute", "5"))
    desk.do(SetLimit("t", "main", "orders_per_minute", "6"))
    assert "already done" in desk.do(SetLimit("s", "main", "orders_per_minute", "5")).text
    assert limits_of(desk).orders_per_minute == 6


# ---- the view --------------------------------------------------------------------------------------------------------------


def view_of(desk: Desk) -> dict[str, LimitView]:
    found = risk_view(desk.state, desk.market, desk.at_ns, "main")
    assert [one.name for one in found.limits] == list(FIELDS)
    return {one.name: one for one in found.limits}


def test_the_view_tells_every_limit_its_use_and_its_source() -> None:
    desk = Desk(max_heat_fraction=0.1, max_position_fraction=0.25)
    desk.beat()
    desk.enter("a", 200, "95")
    desk.do(SetLimit("s", "main", "max_leverage", "0.5", "ann"))
    told = view_of(desk)
    assert (told["max_heat_fraction"].value, told["max_heat_fraction"].used, told["max_heat_fraction"].used_fraction) == (
        "0.1", "1.00 %", 0.1)
    assert (told["max_position_fraction"].used_fraction, told["max_position_fraction"].source) == (0.8, "configuration")
    assert told["max_leverage"].source.startswith("ann, 2024-06-01")
    assert told["max_orders_per_day"].used == "1"
    assert told["collar_bps"].source == "moderate"
    assert all(one.about for one in told.values())


def test_the_lines_of_the_view_add_up_to_its_heat() -> None:
    desk = Desk(max_heat_fraction=0.9)
    desk.enter("a", 20, "95")
    desk.do(bought("b", 10, "98", symbol="COIN"))
    found = risk_view(desk.state, desk.market, desk.at_ns, "main")
    assert sum((one.risk for one in found.lines), Decimal(0)) * 100 == heat_minor(desk.state, desk.market, "main")
    heat = fraction(heat_minor(desk.state, desk.market, "main"), equity_minor(desk.state, desk.market, "main"))
    assert found.heat_percent == round(100 * heat, 4)
    assert [one.name for one in found.shares] == ["COIN", "crypto"]


def test_the_snapshot_tells_why_a_brake_stops_entries() -> None:
    desk = Desk(max_day_loss_fraction=0.01, max_week_loss_fraction=0.0, max_drawdown_fraction=0.0, stale_quote_seconds=100.0)
    desk.beat()
    desk.enter("a", 200, "90")
    desk.quote(9_500)
    desk.beat()
    health = HealthView(0, 0.0, 0.0, 0, 0.0, "", "")
    view = snapshot(desk.state, desk.market, desk.at_ns, version=1, mode=Mode.PAPER, health=health)
    assert view.accounts[0].trading_state_cause == "day loss 1.00%, limit 1.00%"
    assert view.risks[0].size_percent == 50.0
    assert view.risks[0].brakes[0].name == "day loss"
