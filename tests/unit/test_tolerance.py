"""Risk tolerances: what each contains, how a limit is laid over it, set by text, and which limits contradict each other."""

from decimal import Decimal

import pytest

from engine.config import check_config, parse_config
from engine.inputs import Limits
from engine.tolerance import FIELDS, PRESETS, RiskTolerance, described, limit_text, with_limit
from tui.commands.config_text import config_text


def limits_of(text: str) -> Limits:
    return parse_config("[[portfolio]]\n" + text, "config.toml").portfolio[0].resolved_limits()


def test_moderate_is_what_the_engine_takes_without_a_word() -> None:
    assert PRESETS[RiskTolerance.MODERATE] == Limits() == limits_of("")


@pytest.mark.parametrize("tolerance", list(RiskTolerance))
def test_a_tolerance_by_name_gives_its_limits(tolerance: RiskTolerance) -> None:
    assert limits_of(f'risk_tolerance = "{tolerance}"') == PRESETS[tolerance]


@pytest.mark.parametrize("tolerance", list(RiskTolerance))
def test_no_tolerance_contradicts_itself(tolerance: RiskTolerance) -> None:
    checked = check_config(f'[[account]]\nleverage = 2.0\n[[portfolio]]\nrisk_tolerance = "{tolerance}"', "config.toml")
    assert checked.errors == checked.warnings == ()


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if name.startswith("max_")
                                  and name not in ("max_order_notional", "max_losing_streak")])
def test_every_step_of_tolerance_allows_at_least_as_much(name: str) -> None:
    rising = [getattr(PRESETS[one], name) or float("inf") for one in RiskTolerance]
    assert rising == sorted(rising), name


def test_a_limit_of_the_file_wins_over_the_tolerance() -> None:
    found = limits_of('risk_tolerance = "conservative"\n[portfolio.limits]\nmax_heat_fraction = 0.02\nblacklist = ["DOGE/USD"]')
    assert (found.max_heat_fraction, found.blacklist) == (0.02, ("DOGE/USD",))
    assert found.max_position_fraction == PRESETS[RiskTolerance.CONSERVATIVE].max_position_fraction


def test_sectors_and_buckets_are_named_in_the_file() -> None:
    config = parse_config('[sectors]\nAAPL = "technology"\n[buckets]\n"BTC/USD" = "coins"', "config.toml")
    assert (config.settings().sectors, config.settings().buckets) == ({"AAPL": "technology"}, {"BTC/USD": "coins"})
    assert parse_config(config_text(config), "config.toml") == config


@pytest.mark.parametrize(("limits", "words"), [
    ("max_gross_fraction = 2.0", "it never binds"),
    ("max_sector_fraction = 0.1", "the largest position never passes"),
    ("max_bucket_heat_fraction = 0.5", "it never binds"),
    ("max_day_loss_fraction = 0.1", "max_day_loss_fraction (0.1) is above limits.max_week_loss_fraction"),
    ("max_value_at_risk_fraction = 0.05\nmax_expected_shortfall_fraction = 0.04", "it never binds"),
    ("max_daily_notional_fraction = 0.1", "the largest order never passes"),
    ("cooldown_seconds = 0", "the pause ends as it begins"),
    ("min_reward_to_risk = 1\nrequire_stop = false", "needs a stop"),
    ('preferred_sectors = ["energy"]', 'names "energy", which no symbol'),
])
def test_contradictions_are_explained(limits: str, words: str) -> None:
    warnings = check_config(f"[[portfolio]]\n[portfolio.limits]\n{limits}", "config.toml").warnings
    assert any(words in line for line in warnings), warnings


@pytest.mark.parametrize(("name", "text", "value"), [
    ("max_heat_fraction", "0.03", 0.03), ("max_net_fraction", "off", 0.0), ("max_order_notional", "2500.50", Decimal("2500.50")),
    ("max_order_notional", "off", None), ("max_orders_per_day", "7", 7), ("require_stop", "false", False),
    ("trading_hours", "Mon-Fri 09:30-16:00", "mon-fri 09:30-16:00"), ("trading_hours", "always", ""),
    ("blacklist", "BTC/USD, DOGE/USD", ("BTC/USD", "DOGE/USD")), ("blacklist", "none", ()),
])
def test_a_limit_is_set_by_its_text(name: str, text: str, value: object) -> None:
    found = getattr(with_limit(Limits(), name, text), name)
    assert found == value
    assert getattr(with_limit(Limits(), name, limit_text(found)), name) == value


@pytest.mark.parametrize(("name", "text"), [
    ("max_heat_fraction", "2"), ("max_heat_fraction", "0"), ("max_heat_fraction", "nan"), ("max_heat_fraction", "much"),
    ("max_order_notional", "-3"), ("max_order_notional", "inf"), ("max_orders_per_day", "1.5"), ("trading_hours", "9-5"),
    ("require_stop", "perhaps"),
])
def test_a_value_that_cannot_be_meant_is_refused_in_one_line(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        with_limit(Limits(), name, text)
    assert "\n" not in str(caught.value)


def test_every_limit_has_its_sentence() -> None:
    assert all(described(name).endswith(".") or "(0: off)" in described(name) for name in FIELDS)
