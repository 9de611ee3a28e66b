"""Research in the configuration: lines of models, prices and budgets; what is refused and in which words."""

import pytest

from engine.config import check_config, parse_config
from engine.errors import ConfigError
from engine.research.settings import ModelLine, ModelPrice, ResearchSettings

TRAINED_UNTIL_NS = 1_792_886_400 * 1_000_000_000  # the end of 2026-10-24
LINE = '[[research_model]]\nname = "one"\nmodel = "claude-sonnet-5-5"\n'


def told(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "config.toml")
    return str(caught.value)


def test_without_a_line_the_rules_answer() -> None:
    found = parse_config("", "config.toml").settings().research
    assert found == ResearchSettings()
    assert found.badge == "RULES, NO MODEL"


def test_a_line_brings_its_models_and_their_prices() -> None:
    text = LINE + 'news_model = "claude-haiku-5-5"\n[research]\ncycle_usd = 0.25\nday_usd = 2\n'
    found = parse_config(text, "config.toml").settings().research
    assert found.lines == (ModelLine("one", news_model="claude-haiku-5-5", trained_until_ns=TRAINED_UNTIL_NS),)
    assert found.prices == {"claude-haiku-5-5": ModelPrice(0.5, 2.5, 0.5, 0.625),
                            "claude-sonnet-5-5": ModelPrice(2.0, 10.0, 0.1, 2.5)}
    assert (found.budgets.cycle_micro_usd, found.budgets.day_micro_usd) == (250_000, 2_000_000)
    assert found.prices_as_of == "2026-10-24"
    assert found.badge == "one: claude-sonnet-5-5"


def test_how_long_the_schedule_leaves_a_symbol_alone_may_be_said() -> None:
    assert [parse_config(text, "config.toml").settings().research.again_hours
            for text in ("", "[research]\nagain_hours = 0\n", "[research]\nagain_hours = 168\n")] == [6, 0, 168]


def test_a_portfolio_says_what_it_looks_at_and_how_boldly() -> None:
    text = '[[portfolio]]\n[portfolio.research]\nsymbols = ["aapl"]\nhorizon_days = 3\naggressiveness = 2\n'
    found = parse_config(text, "config.toml").settings().portfolios[0].research
    assert (found.symbols, found.horizon_days, found.aggressiveness) == (("AAPL",), 3, 2)


@pytest.mark.parametrize(("text", "words"), [
    (LINE.replace("claude-sonnet-5-5", "other-1"), 'no price of "other-1"'),
    (LINE + LINE, 'research_model[1].name = "one"'),
    (LINE.replace('"one"', '"paper"'), "an account's name already"),
    (LINE + 'endpoint = "http://example.com"\n', "http only on this machine"),
    (LINE + 'endpoint = "https://me:word@example.com"\n', "must not hold a name or a password"),
    (LINE + 'endpoint = "nonsense"\n', "must be an address"),
    (LINE + 'kind = "chat"\n', 'kind "chat" needs the address of a provider'),
    (LINE + 'kind = "oracle"\n', "kind = 'oracle'"),
    (LINE + 'trained_until = "2026-02-30"\n', "day is out of range for month"),
    (LINE + 'trained_until = "June"\n', "trained_until"),
    (LINE + 'api_key = "x"\n', "secrets never live in the configuration"),
    ("[research_prices]\nm = [1.0]\n", "at least 2"),
    ("[research_prices]\nm = [1.0, -1.0]\n", "greater than or equal to 0"),
    ("[[portfolio]]\n[portfolio.research]\naggressiveness = 4\n", "less than or equal to 3"),
    ("[[portfolio]]\n[portfolio.research]\nhorizon_days = 21\n", "less than or equal to 20"),
    ("[research]\nday_usd = -1\n", "greater than or equal to 0"),
    ("[research]\nagain_hours = -1\n", "greater than or equal to 0"),
    ("[research]\nagain_hours = 169\n", "less than or equal to 168"),
])
def test_what_is_refused(text: str, words: str) -> None:
    assert words in told(text)


def test_the_endpoint_may_be_a_server_of_this_machine() -> None:
    (line,) = parse_config(LINE + 'endpoint = "http://127.0.0.1:8080/"\n', "config.toml").settings().research.lines
    assert line.endpoint == "http://127.0.0.1:8080"


@pytest.mark.parametrize(("text", "words"), [
    ("[research]\ncall_seconds = 90\n", "it never binds"),
    ("[research]\ncycle_usd = 20\n", "it never binds"),
    (LINE + "[research]\nenabled = false\n", "are never asked"),
    ('[[job]]\nname = "b"\nkind = "backup"\nat = "10 0 * * *"\n', "no forecast is ever scored"),
    ('[[job]]\nname = "b"\nkind = "backup"\nat = "10 0 * * *"\n', 'none is of the kind "risk_monitor"'),
    ('[[job]]\nname = "l"\nkind = "learning"\nat = "10 0 * * *"\n', "no backup is made by itself"),
    (LINE.replace("sonnet", "opus"), "one symbol usually costs about 0.38"),
])
def test_what_contradicts_itself(text: str, words: str) -> None:
    assert any(words in line for line in check_config(text, "config.toml").warnings)


def test_a_price_of_ones_own_stands_beside_those_that_are_known() -> None:
    prices = parse_config(LINE + "[research_prices]\nmine = [1, 4]\nclaude-opus-5-5 = [5, 25]\n", "config.toml").research_prices
    assert (prices["mine"], prices["claude-opus-5-5"]) == ((1.0, 4.0), (5.0, 25.0))
    assert prices["claude-sonnet-5-5"][:2] == (2.0, 10.0)


def test_the_default_budget_is_enough_for_the_default_model() -> None:
    assert check_config(LINE, "config.toml").warnings == ()
