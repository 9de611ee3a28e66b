"""Targets in the configuration: what is refused, what contradicts itself, and what the engine is given."""

import pytest

from engine.config import Config, check_config, parse_config
from engine.schedule_words import JobKind
from engine.targets import TargetMethod, TargetSettings
from tui.commands.config_text import config_text

LEAD = '[[portfolio]]\n[portfolio.targets]\n'
GOOD = LEAD + 'method = "risk_parity"\nsymbols = ["BTC/USD", "ETH/USD"]\ncash_percent = 10\nstop_percent = 5\nmost_percent = 30\n'
GOOD += 'most = {"BTC/USD" = 30}\n'


def test_percents_become_fractions() -> None:
    targets = parse_config(GOOD, "config.toml").settings().portfolios[0].targets
    assert targets == TargetSettings(
        TargetMethod.RISK_PARITY, ("BTC/USD", "ETH/USD"), cash_fraction=0.1, most_fraction=0.3, most={"BTC/USD": 0.3},
        stop_fraction=0.05)


def test_a_portfolio_without_a_method_has_no_targets_and_no_job() -> None:
    settings = Config().settings()
    assert settings.portfolios[0].targets is None
    assert JobKind.REBALANCE not in [job.kind for job in settings.jobs]


def test_a_portfolio_with_targets_is_rebalanced_by_the_schedule() -> None:
    jobs = [job for job in parse_config(GOOD, "config.toml").settings().jobs if job.kind is JobKind.REBALANCE]
    assert [(job.job_id, job.portfolio) for job in jobs] == [("rebalance:main", "main")]


def test_a_rebalancing_of_a_portfolio_without_targets_is_refused() -> None:
    text = '[[job]]\nname = "r"\nkind = "rebalance"\nportfolio = "main"\nat = "0 15 * * 1"\n'
    assert any("has no [portfolio.targets]" in line for line in check_config(text, "config.toml").errors)
    assert not check_config(text + GOOD, "config.toml").errors


def test_written_targets_parse_back() -> None:
    config = parse_config(GOOD, "config.toml")
    assert parse_config(config_text(config), "config.toml") == config


def test_weights_alone_name_the_symbols() -> None:
    text = LEAD + 'method = "user"\nweights = {"BTC/USD" = 40, "ETH/USD" = 20.5}\n'
    targets = parse_config(text, "config.toml").settings().portfolios[0].targets
    assert targets is not None
    assert targets.symbols == ("BTC/USD", "ETH/USD") and targets.invested_fraction == pytest.approx(0.605)


@pytest.mark.parametrize(("body", "words"), [
    ('symbols = ["A"]', "say how the symbols are weighed"),
    ('method = "magic"\nsymbols = ["A"]', "must be one of equal, inverse_volatility, risk_parity, user"),
    ('method = "equal"', "name at least one symbol"),
    ('method = "equal"\nsymbols = ["A", "A"]', "named twice"),
    ('method = "equal"\nsymbols = ["A"]\nweights = {A = 5}', "weights: are those of the method user"),
    ('method = "equal"\nsymbols = ["A"]\nmost = {B = 5}', 'most: "B" is not among the symbols'),
    ('method = "equal"\nsymbols = ["A"]\nleast_percent = 30\nmost_percent = 20', "at least 30 % and at most less"),
    ('method = "equal"\nsymbols = ["A", "B"]\nleast_percent = 50', "come to 100 %, and cash_percent leaves 98 %"),
    ('method = "user"\nweights = {A = 99}', "weights: come to 99 %, and cash_percent leaves 98 %"),
    ('method = "user"\nsymbols = ["A"]', "give at least one symbol a weight"),
    ('method = "equal"\nsymbols = ["A"]\ndrift_band_percent = 0\nrelative_band_percent = 0', "nothing is ever rebalanced"),
    ('method = "equal"\nsymbols = ["A"]\nstop_percent = 0', "entries need a stop as long as limits.require_stop is on"),
])
def test_what_cannot_be_meant_is_refused(body: str, words: str) -> None:
    errors = check_config(LEAD + body + "\n", "config.toml").errors
    assert any(words in line for line in errors), errors


def test_a_strategy_and_the_targets_may_not_share_a_symbol() -> None:
    text = GOOD + '[[strategies]]\nname = "s"\nrule = "ema_cross"\nsymbols = ["ETH/USD"]\n'
    assert any('"ETH/USD" is traded by the strategy "s"' in line for line in check_config(text, "config.toml").errors)


def test_targets_that_the_limits_never_reach_are_told() -> None:
    warnings = check_config(LEAD + 'method = "equal"\nsymbols = ["BTC/USD", "ETH/USD"]\n', "config.toml").warnings
    assert any("is a heat of 19.6%" in line for line in warnings)
    assert any("max_position_fraction is 30%" in line for line in warnings)
    assert not [line for line in check_config(GOOD, "config.toml").warnings if "position_fraction" in line and "targets" in line]


@pytest.mark.parametrize(("limits", "words"), [
    ("min_reward_to_risk = 1.5", "none is ever bought"),
    ("flat_before_close_minutes = 5", "what has sessions before every close"),
    ('blacklist = ["ETH/USD"]', 'targets: "ETH/USD" is on limits.blacklist'),
    ('preferred_sectors = ["coins"]', 'targets: "ETH/USD" is of no sector')])
def test_limits_under_which_targets_are_never_bought_or_never_kept_are_told(limits: str, words: str) -> None:
    text = GOOD + "stop_trails = false\n[portfolio.limits]\n" + limits + '\n[sectors]\n"BTC/USD" = "coins"\n'
    assert any(words in line for line in check_config(text, "config.toml").warnings)
    trails = check_config(GOOD + "[portfolio.limits]\n" + limits, "config.toml").warnings
    assert not any("ever bought" in line for line in trails)
