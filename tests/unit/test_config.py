"""The configuration: what is refused and in which words, and that the written file is the defaults."""

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from engine.config import Config, PortfolioConfig, check_config, load_config, parse_config
from engine.config_accounts import AccountConfig
from engine.config_words import FORMS
from engine.errors import ConfigError
from engine.inputs import AutomationLevel, Limits, Settings
from tui.commands.config_text import config_text, default_text


def errors_of(text: str) -> tuple[str, ...]:
    return check_config(text, "config.toml").errors


def test_written_file_parses_back_to_the_defaults() -> None:
    assert parse_config(default_text(), "config.toml") == Config()


def test_every_setting_is_written_with_a_comment() -> None:
    lines = default_text().splitlines()
    for number, line in enumerate(lines):
        if " = " in line and not line.startswith("#"):
            rows_before = 0
            while re.fullmatch(r'[\w"/.-]+ = \[[\d., ]+\]', lines[number - rows_before]):
                rows_before += 1  # rows of one table, such as prices, have one comment above them
            assert lines[number - max(1, rows_before)].startswith("# "), line


def test_a_changed_configuration_survives_being_written() -> None:
    account = AccountConfig(name="coins", currency="BTC", initial_cash=Decimal("1.25"))
    portfolio = PortfolioConfig(name="p2", account="coins", automation=AutomationLevel.AUTO_EXECUTE)
    config = Config(account=(AccountConfig(), account), portfolio=(PortfolioConfig(), portfolio))
    assert parse_config(config_text(config), "config.toml") == config


def test_missing_file_is_the_defaults(tmp_path: Path) -> None:
    assert load_config(tmp_path / "config.toml") == Config()


def test_unreadable_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        load_config(path)
    assert "\n" not in str(caught.value)


def test_defaults_are_those_of_the_engine() -> None:
    made = Config().settings()
    assert made.portfolios[0].limits == Limits()
    assert made == Settings(portfolios=made.portfolios, jobs=made.jobs)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[engine]\nsettle_secs = 3", 'engine.settle_secs: unknown key; did you mean "settle_seconds"?'),
        ("[acount]\n", 'acount: unknown key; did you mean "account"?'),
        ("[app]\nzzz = 1", "app.zzz: unknown key; known here: theme"),
        ("[engine]\nsettle_seconds = -3", "engine.settle_seconds = -3: must be greater than or equal to 1"),
        ("[engine]\nsettle_seconds = nan", "engine.settle_seconds = nan: must be a finite number"),
        ('[engine]\nnew_day_zone = "Mars"', 'must be a time zone such as "UTC"'),
        ('[app]\nzone = "Mars"', 'must be a time zone such as "UTC"'),
        ("[market]\nseed = true", "market.seed = True: must be a valid integer"),
        ('[market]\nseed = "7"', "market.seed = '7': must be a valid integer"),
        ('[[portfolio]]\nautomation = "yes"', "must be one of monitor_only, suggest_only, auto_execute"),
        ('[[portfolio]]\naccount = "papre"', 'portfolio[0].account = "papre": no such account; did you mean "paper"?'),
        ('[[portfolio]]\nname = "A B"', "portfolio[0].name = 'A B': must be small letters, digits, - and _"),
        ('[[portfolio]]\n[portfolio.limits]\nblacklist = "AAPL"', 'blacklist: must be a list, such as blacklist = ["AAPL"]'),
        ('[[portfolio]]\n[portfolio.limits]\ntrading_hours = "9-5"', 'must be days and hours such as "mon-fri 09:30-16:00"'),
        ("[[portfolio]]\n[portfolio.limits]\nmax_heat_fraction = 6", "must be less than or equal to 1; 6 % is 0.06 here"),
        ('[[portfolio]]\n[portfolio.limits]\nmax_heat_fraction = "6%"', "must be a valid number; 6 % is 0.06 here"),
        ('[[account]]\ninitial_cash = "100,000"', "must be a number, without quotes and without separators"),
        ("[[account]]\ninitial_cash = 1.234", "initial_cash must have at most 2 decimals for USD"),
        ("account = 3", "account: must be written as one or more [[account]] sections"),
        ("app = 3", "app: must be a section, written [app]"),
        ("account = []", "at least one [[account]] section is needed"),
        ('[[account]]\n[[account]]\nname = "paper"', "the name is already taken"),
        ('[[portfolio]]\n[[portfolio]]\nname = "b"', 'already the account of portfolio "main"'),
        ("x =", "not valid TOML"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, words: str) -> None:
    found = errors_of(text)
    assert any(words in line for line in found), found
    assert all(line.startswith("config.toml: ") and "\n" not in line for line in found)


def test_a_file_from_an_editor_that_marks_its_bytes_is_read() -> None:
    assert parse_config("\ufeff[engine]\r\nsettle_seconds = 31\r\n", "config.toml").engine.settle_seconds == 31


def test_no_form_of_a_text_is_told_as_a_pattern() -> None:
    def fields(model: type[BaseModel]) -> Iterator[tuple[str, Any]]:
        for name, field in model.model_fields.items():
            yield name, field
            for one in (field.annotation, *get_args(field.annotation)):
                if isinstance(one, type) and issubclass(one, BaseModel):
                    yield from fields(one)

    shaped = {name for name, field in fields(Config) if any(getattr(one, "pattern", None) for one in field.metadata)}
    assert shaped
    assert shaped <= set(FORMS)


def test_the_first_error_tells_how_many_follow() -> None:
    with pytest.raises(ConfigError, match=r"and 1 more"):
        parse_config("[engine]\na = 1\nb = 2", "config.toml")


@pytest.mark.parametrize("key", ["api_key", "secret", "ALPACA_TOKEN", "password", "private_key"])
def test_secrets_are_refused_by_name_and_never_repeated(key: str) -> None:
    (line,) = errors_of(f'[[account]]\n{key} = "hunter2"')
    assert key in line
    assert "hunter2" not in line
    assert "secrets never live in the configuration" in line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[portfolio.limits]\nmax_position_fraction = 0.1", "the largest order never passes"),
        ("[portfolio.limits]\nmax_leverage = 3", "the venue refuses before the limit does"),
        ("[portfolio.limits]\nmax_position_fraction = 1.5", "the largest position never passes"),
        ("[portfolio.limits]\nrequire_stop = false", "an order without a stop risks its whole value"),
    ],
)
def test_contradictions_of_limits_are_explained(text: str, words: str) -> None:
    checked = check_config("[[portfolio]]\n" + text, "config.toml")
    assert checked.config is not None
    assert any(words in line for line in checked.warnings), checked.warnings


def test_contradictions_of_deadlines_and_accounts_are_explained() -> None:
    text = '[engine]\nquery_after_seconds = 60\nflatten_deadline_seconds = 5\n[[account]]\n[[account]]\nname = "idle"'
    warnings = " ".join(check_config(text, "config.toml").warnings)
    assert "query_after_seconds" in warnings
    assert "flatten_deadline_seconds" in warnings
    assert 'account "idle": no portfolio uses it' in warnings


def test_defaults_contradict_nothing() -> None:
    assert check_config(default_text(), "config.toml").warnings == ()


KEYS = st.text(st.characters(categories=["Ll"]), min_size=1, max_size=5)
VALUES = st.recursive(st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                      lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=5)


@settings(max_examples=60, deadline=None)
@given(VALUES, st.sampled_from(["app", "market", "engine", "log", "account", "portfolio"]))
def test_no_shape_of_section_escapes_as_a_traceback(value: object, section: str) -> None:
    checked = check_config(tomlkit.dumps({section: value}), "config.toml")
    assert (checked.config is None) == bool(checked.errors)
