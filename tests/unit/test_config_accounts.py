"""Accounts at real venues in the configuration: what is refused, in which words, and what is explained."""

from pathlib import Path

import pytest

from engine.config import Config, check_config, parse_config
from engine.config_accounts import AccountConfig, EndpointsConfig, money_decimals
from tests.unit.test_config import errors_of
from tui.cli import run
from tui.commands.config_text import config_text

ALPACA = '[[account]]\nname = "alp"\nvenue = "alpaca"\nsymbols = ["AAPL", "BTC/USD"]\n'
KRAKEN = '[[account]]\nname = "krak"\nvenue = "ccxt:kraken"\nsandbox = false\nsymbols = ["BTC/USD"]\n'
ON_ALPACA = '[[portfolio]]\naccount = "alp"\n'
CAPPED = "[portfolio.limits]\nmax_order_notional = 1000\n"


def account(text: str) -> AccountConfig:
    return parse_config(text + ON_ALPACA + CAPPED, "config.toml").account_named("alp")


@pytest.mark.parametrize(("text", "words"), [
    ('[[account]]\nvenue = "binance"', 'must be "paper", "alpaca" or "ccxt:"'),
    ('[[account]]\nvenue = "ccxt:"', 'must be "paper", "alpaca" or "ccxt:"'),
    ('[[account]]\nvenue = "alpaca"\ntimeout_seconds = 0', "timeout_seconds = 0: must be greater than or equal to 1"),
    ('[[account]]\nname = "simulated"', "names the built-in market"),
    ('[[account]]\nname = "alp"\nvenue = "alpaca"\n' + ON_ALPACA, "symbols: say what is traded at alpaca"),
    (ALPACA.replace('"AAPL"', '"aapl"') + ON_ALPACA, 'symbols[0] = "aapl": is not written like "AAPL" or "BTC/USD"'),
    (ALPACA.replace('"AAPL"', '"BTC/USD"') + ON_ALPACA, 'symbols[1] = "BTC/USD": named twice'),
    (ALPACA.replace("BTC/USD", "BTC/USDT") + ON_ALPACA, 'symbols[1] = "BTC/USDT": is paid in USDT, the account is in USD'),
    (KRAKEN.replace("BTC/USD", "BTCUSD"), 'is not written like "BTC/USD"'),
    (ALPACA + "sandbox = false\n" + ON_ALPACA, 'sandbox = false belongs to "ccxt:..."; for real money write paper = false'),
    (KRAKEN + "paper = false\n", 'paper = false belongs to "alpaca"; for real money write sandbox = false'),
    ("[[account]]\npaper = false", "the built-in paper venue never holds real money"),
    ('[[account]]\nsymbols = ["AAPL"]', "the paper venue lists what its market has"),
    ('[[account]]\n[account.endpoints]\nrest_url = "https://x"', "the paper venue is built in"),
    (KRAKEN + '[account.endpoints]\ndata_url = "https://x"', "an exchange has one rest_url"),
    (ALPACA + '[account.endpoints]\nrest_url = "ftp://x"\n' + ON_ALPACA, "must be an address that begins with"),
    (ALPACA + '[account.endpoints]\nrest_url = "http://127.0.0.1.evil.example/"\n' + ON_ALPACA, "ws:// only on this machine"),
    (ALPACA + '[account.endpoints]\nstream_url = "ws://10.0.0.5/"\n' + ON_ALPACA, "http:// and ws:// only on this machine"),
    (ALPACA + '[account.endpoints]\nrest_url = "https://user:word@x"\n' + ON_ALPACA, "without a user or password"),
    (ALPACA + '[account.endpoints]\nrest = "http://x"\n' + ON_ALPACA, 'unknown key; did you mean "rest_url"?'),
    ('[market]\nsource = "alp"', 'market.source = "alp": must be "simulated" or the account of a real venue'),
    ('[market]\nsource = "paper"', "must be \"simulated\" or the account of a real venue"),
    ('[market]\nsource = "krak"\n[[account]]\ncurrency = "EUR"\n' + KRAKEN, "its prices are in USD, paper account"),
    (ALPACA + "paper = false\n" + ON_ALPACA, "holds real money: say the largest order in money"),
    (ALPACA + 'api_key = "x"\n' + ON_ALPACA, "secrets never live in the configuration"),
    (ALPACA + '[account.endpoints]\nrest_url = "https://API.alpaca.markets./"\n' + ON_ALPACA,
     "endpoints.rest_url: api.alpaca.markets trades real money, and paper = true says practice"),
    (ALPACA + '[account.endpoints]\nstream_url = "wss://api.alpaca.markets:443/stream"\n' + ON_ALPACA,
     "endpoints.stream_url: api.alpaca.markets trades real money"),
    (KRAKEN + KRAKEN.replace('"krak"', '"sand"').replace("sandbox = false\n", ""),
     'account "sand" is in the sandbox of kraken, "krak" is not: prices there differ'),
    ('[keys]\nstore = "plain"', "keys.store = 'plain'"),
])
def test_what_is_wrong_is_said_in_one_line(text: str, words: str) -> None:
    found = errors_of(text)
    assert any(words in line for line in found), found
    assert all(line.startswith("config.toml: ") and "\n" not in line for line in found)


def test_an_address_with_a_password_is_not_repeated_as_valid() -> None:
    assert check_config(ALPACA + '[account.endpoints]\nrest_url = "https://u:w@x"\n' + ON_ALPACA, "c").config is None


def test_practice_is_the_default_and_real_money_needs_a_word() -> None:
    assert not account(ALPACA).live
    assert account(ALPACA + "paper = false\n").live
    config = parse_config(KRAKEN + ALPACA + ON_ALPACA + CAPPED, "config.toml")
    assert config.account_named("krak").live
    assert not AccountConfig(venue="ccxt:kraken").live
    assert not AccountConfig().live


def test_the_engine_hears_which_portfolio_has_real_money() -> None:
    config = parse_config(ALPACA + "paper = false\n[[account]]\nname = \"paper\"\n" + ON_ALPACA + CAPPED
                          + '[[portfolio]]\nname = "b"\naccount = "paper"\n', "config.toml")
    assert [one.live for one in config.settings().portfolios] == [True, False]


def test_money_is_counted_as_the_venue_keeps_it() -> None:
    assert (money_decimals("USD"), money_decimals("BTC"), money_decimals("JPY")) == (2, 8, 0)
    config = parse_config('[market]\nsource = "krak"\n[[account]]\n' + KRAKEN + '[[portfolio]]\naccount = "paper"\n', "c")
    assert config.account_named("krak").minor_exponent == 8
    assert config.settings().portfolios[0].minor_exponent == 8, "paper on an exchange's prices counts as the exchange"
    assert Config().settings().portfolios[0].minor_exponent == 2


@pytest.mark.parametrize(("text", "words"), [
    (ALPACA + "paper = false\n[account.endpoints]\nrest_url = \"http://127.0.0.1:1\"\n" + ON_ALPACA + CAPPED,
     "its orders go to http://127.0.0.1:1 instead of the venue's own address"),
    (ALPACA + "paper = false\n" + ON_ALPACA + 'automation = "auto_execute"\n' + CAPPED,
     "strategies act alone (auto_execute) on real money"),
])
def test_what_is_dangerous_with_real_money_is_explained(text: str, words: str) -> None:
    checked = check_config(text, "config.toml")
    assert checked.config is not None, checked.errors
    assert any(words in line for line in checked.warnings), checked.warnings


def test_an_account_that_only_gives_prices_is_used() -> None:
    text = '[market]\nsource = "krak"\n[[account]]\n' + KRAKEN + '[[portfolio]]\naccount = "paper"\n'
    assert check_config(text, "config.toml").warnings == ()


def test_a_changed_account_survives_being_written() -> None:
    changed = AccountConfig(name="alp", venue="alpaca", paper=True, symbols=("AAPL", "BTC/USD"), timeout_seconds=3.5,
                            endpoints=EndpointsConfig(rest_url="http://127.0.0.1:1", data_stream_url="ws://127.0.0.1:2"))
    config = Config(account=(AccountConfig(), changed))
    assert parse_config(config_text(config), "config.toml") == config


def test_config_check_asks_the_library_which_exchanges_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                                 capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("QUARTERDECK_HOME", str(tmp_path))
    practice = KRAKEN.replace('"krak"', '"sand"').replace("sandbox = false\n", "")
    wrong = KRAKEN.replace('"krak"', '"typo"').replace("kraken", "krakn")
    (tmp_path / "config.toml").write_text("[[account]]\n" + practice + wrong + '[[portfolio]]\naccount = "paper"\n')
    assert run(["config", "check"]) == 2
    told = capsys.readouterr().err
    assert 'account "sand": kraken has no sandbox' in told
    assert "'krakn'; did you mean kraken?" in told
    assert told.count("\n") == 2
