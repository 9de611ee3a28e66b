"""Engines on real venues: several at once, one lock a venue account, LIVE where money is real, armed or not, out of reach."""

import json
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from engine.config import load_config
from engine.errors import ConfigError, HomeLocked
from engine.inputs import ArmAccount, Connectivity, PlaceOrder
from engine.orders import Side
from engine.service import Mode, Snapshot, StopHome
from store.home import Home
from store.keys import Key, KeyringStore
from tests.unit.venue_homes import (
    BINANCE_KEY,
    BITCOIN,
    MemoryKeyring,
    ServedAlpaca,
    ServedBinance,
    alpaca_account,
    home_with,
    memory_keyring,
    portfolio,
    prices_at_any_time,
    served_alpaca,
    served_binance,
    until,
)
from tui.cli import run
from tui.commands.link import command_id
from tui.compose import emergency_engine, open_engine
from tui.running_engine import EngineLink, RunningEngine

PAPER = '[[account]]\nname = "paper"\n[[portfolio]]\nname = "main"\naccount = "paper"\n'


@pytest.fixture(autouse=True)
def ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryKeyring]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    with memory_keyring() as made:
        yield made


@pytest.fixture
def alpaca() -> Iterator[ServedAlpaca]:
    with served_alpaca() as made:
        yield made


def opened(home: Home) -> RunningEngine:
    return open_engine(home, load_config(home.config), serve=False, warm_bars=1)


def live_now(snapshot: Snapshot) -> bool:
    return bool(snapshot.accounts) and all(account.connectivity is Connectivity.LIVE for account in snapshot.accounts)


def quoted(symbol: str, venue: str = "alpaca") -> Callable[[Snapshot], bool]:
    return lambda snapshot: any(quote.instrument_id == f"{symbol}@{venue}" and quote.bid is not None for quote in snapshot.quotes)


def armed(link: EngineLink, account: str) -> None:
    view = next(one for one in link.snapshot_now().accounts if one.account == account)
    receipt = link.send_now(ArmAccount(command_id(), account, view.limits_digest, 1, despite="a test"))
    assert receipt.accepted, receipt


def buy(portfolio_name: str, quantity: str = "0.01", stop: str = "40000") -> PlaceOrder:
    return PlaceOrder(command_id(), BITCOIN, Side.BUY, portfolio_name, Decimal(quantity), stop=Decimal(stop))


def test_a_live_account_and_a_paper_one_trade_the_same_symbol_side_by_side(tmp_path: Path, alpaca: ServedAlpaca) -> None:
    home = home_with(tmp_path / "h", PAPER + alpaca_account(alpaca) + portfolio("coins", "alp"), "alp")
    with opened(home) as running:
        link = running.link
        until(link, live_now)
        first = until(link, lambda found: quoted(BITCOIN)(found) and quoted(BITCOIN, "paper")(found),
                      lambda: alpaca.quote("50000", "50001"))
        assert first.mode is Mode.LIVE
        assert {one.account: one.live for one in first.accounts} == {"paper": False, "alp": True}
        refused = link.send_now(buy("coins"))
        assert refused.refusal is not None
        assert refused.refusal.check == "arming"
        assert alpaca.server.account.orders == {}, "nothing left the house"
        armed(link, "alp")
        assert link.send_now(buy("coins")).accepted
        assert link.send_now(buy("main", stop="1")).accepted
        held = until(link, lambda found: len(found.positions) == 2, lambda: alpaca.quote("50000", "50001"))
        assert {(one.portfolio, one.instrument_id) for one in held.positions} == {
            ("coins", f"{BITCOIN}@alpaca"), ("main", f"{BITCOIN}@paper")}
        guarded = until(link, lambda found: all(one.stop_home is not StopHome.PENDING for one in found.positions))
        assert not any(one.unprotected_now for one in guarded.positions)


def test_an_arming_outlives_the_engine_until_its_time(tmp_path: Path, alpaca: ServedAlpaca) -> None:
    home = home_with(tmp_path / "h", alpaca_account(alpaca) + portfolio("coins", "alp"), "alp")
    with opened(home) as running:
        armed(running.link, "alp")
    with opened(home) as running:
        view = running.link.snapshot_now().accounts[0]
        assert (view.live, view.armed_until_ns > 0) == (True, True)


def test_a_practice_account_is_paper_and_needs_no_arming(tmp_path: Path, alpaca: ServedAlpaca) -> None:
    home = home_with(tmp_path / "h", alpaca_account(alpaca, paper=True) + portfolio("coins", "alp"), "alp")
    with opened(home) as running:
        until(running.link, live_now)
        until(running.link, quoted(BITCOIN), lambda: alpaca.quote("50000", "50001"))
        assert running.link.snapshot_now().mode is Mode.PAPER
        assert running.link.send_now(buy("coins")).accepted


def test_paper_money_on_a_real_venues_prices(tmp_path: Path, alpaca: ServedAlpaca) -> None:
    config = '[market]\nsource = "alp"\n' + PAPER + alpaca_account(alpaca, paper=True)
    home = home_with(tmp_path / "h", config, "alp")
    with opened(home) as running:
        link = running.link
        until(link, lambda found: live_now(found) and quoted(BITCOIN)(found),
              lambda: alpaca.quote("50000", "50001"))
        assert [one.account for one in link.snapshot_now().accounts] == ["paper"]
        assert link.send_now(buy("main")).accepted
        held = until(link, lambda found: bool(found.positions), lambda: alpaca.quote("50000", "50001"))
        assert held.positions[0].instrument_id == f"{BITCOIN}@alpaca"
        assert alpaca.server.account.orders == {}, "paper orders stay here"


def test_a_second_engine_on_the_same_venue_account_is_refused(tmp_path: Path, alpaca: ServedAlpaca) -> None:
    one = home_with(tmp_path / "one", alpaca_account(alpaca) + portfolio("coins", "alp"), "alp")
    two = home_with(tmp_path / "two", alpaca_account(alpaca, "other") + portfolio("p", "other"), "other")
    with opened(one):
        with pytest.raises(HomeLocked, match="one engine trades an account") as caught:
            opened(two)
        assert "PKTESTKEYID" not in str(caught.value)
    with opened(two):
        pass


def test_two_accounts_of_one_key_are_refused(tmp_path: Path, alpaca: ServedAlpaca) -> None:
    config = alpaca_account(alpaca) + alpaca_account(alpaca, "b") + portfolio("x", "alp") + portfolio("y", "b")
    home = home_with(tmp_path / "h", config, "alp", "b")
    with pytest.raises(ConfigError, match='"alp" and "b" have the same key'):
        opened(home)
    assert home.holder_pid() is None, "what could not start holds nothing"


def test_without_a_key_the_start_says_how_to_store_one(tmp_path: Path, alpaca: ServedAlpaca) -> None:
    home = home_with(tmp_path / "h", alpaca_account(alpaca) + portfolio("coins", "alp"))
    with pytest.raises(ConfigError, match="quarterdeck keys set alp"):
        opened(home)
    assert home.holder_pid() is None


def test_a_symbol_that_the_venue_does_not_know_stops_the_start(tmp_path: Path, alpaca: ServedAlpaca) -> None:
    config = alpaca_account(alpaca, symbols='"DOGE/USD"') + portfolio("coins", "alp")
    home = home_with(tmp_path / "h", config, "alp")
    with pytest.raises(Exception, match="DOGE/USD"):
        opened(home)
    assert home.holder_pid() is None


def test_a_symbol_that_was_delisted_does_not_stop_the_start(tmp_path: Path, alpaca: ServedAlpaca) -> None:
    home = home_with(tmp_path / "h", alpaca_account(alpaca) + portfolio("coins", "alp"), "alp")
    for listed in (["AAPL", BITCOIN], [BITCOIN], [BITCOIN]):  # nor the start after that one
        served = alpaca.server.account.instruments
        alpaca.server.account.instruments = {symbol: served[symbol] for symbol in listed}
        with opened(home) as running:
            until(running.link, live_now)


def test_a_venue_out_of_reach_does_not_keep_the_others_from_starting(tmp_path: Path, alpaca: ServedAlpaca) -> None:
    alpaca.server.refuse_streams = True
    config = PAPER + alpaca_account(alpaca) + portfolio("coins", "alp")
    home = home_with(tmp_path / "h", config, "alp")
    for _ in range(2):
        alpaca.server.fail_next("GET", "/v2/account", 503)
    alpaca.server.refuse_streams = False
    with opened(home) as running:
        link = running.link
        down = until(link, lambda found: any(one.code == "disconnected" for one in found.alerts))
        assert {one.account: one.connectivity for one in down.accounts}["alp"] is Connectivity.DOWN
        until(link, lambda found: any(one.account == "paper" and one.connectivity is Connectivity.LIVE for one in found.accounts))
        up = until(link, live_now)
        assert any(quote.instrument_id == f"{BITCOIN}@alpaca" for quote in up.quotes)
        until(link, quoted(BITCOIN), lambda: alpaca.quote("50000", "50001"))


def test_money_that_was_counted_otherwise_is_not_read_wrongly(tmp_path: Path) -> None:
    home = home_with(tmp_path / "h", PAPER)
    with opened(home):
        pass
    home.config.write_text(PAPER.replace('name = "paper"\n[[', 'name = "paper"\ncurrency = "USDT"\n[['))
    with pytest.raises(ConfigError, match="was kept in USD of 2 decimals"):
        opened(home)


def test_fractions_of_shares_are_traded_where_asked_for_and_never_counted_otherwise(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prices_at_any_time(monkeypatch)
    with served_alpaca(share_lot="0.01") as alpaca:
        account = alpaca_account(alpaca, paper=True, symbols='"AAPL"')
        config = account.replace("paper = true", "paper = true\nfractions = true") + portfolio("shares", "alp")
        home = home_with(tmp_path / "h", config, "alp")
        with opened(home) as running:
            link = running.link
            until(link, lambda found: live_now(found) and quoted("AAPL")(found), lambda: alpaca.quote("99.9", "100.1", "AAPL"))
            half = PlaceOrder(command_id(), "AAPL", Side.BUY, "shares", Decimal("0.5"), stop=Decimal(90))
            assert link.send_now(half).accepted
            held = until(link, lambda found: any(one.stop_home is StopHome.VENUE for one in found.positions))
            assert [one.quantity for one in held.positions] == [Decimal("0.5")]
            (stop,) = alpaca.server.account.open_orders()
            assert (stop["type"], stop["qty"], stop["time_in_force"]) == ("stop", "0.5", "day")
        home.config.write_text(account + portfolio("shares", "alp"))
        with pytest.raises(ConfigError, match="AAPL is held in lots of 0.000001 .* now listed with 1 "):
            opened(home)
        home.config.write_text(config)
        with opened(home) as running:
            until(running.link, lambda found: live_now(found) and len(found.positions) == 1)


@pytest.mark.slow
def test_a_panic_past_a_hanging_engine_reaches_the_real_venue(tmp_path: Path, alpaca: ServedAlpaca,
                                                               capsys: pytest.CaptureFixture[str],
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    home = home_with(tmp_path / "h", alpaca_account(alpaca) + portfolio("coins", "alp"), "alp")
    monkeypatch.setenv("QUARTERDECK_HOME", str(home.path))
    with opened(home) as running:
        until(running.link, live_now)
        until(running.link, quoted(BITCOIN), lambda: alpaca.quote("50000", "50001"))
        armed(running.link, "alp")
        assert running.link.send_now(buy("coins")).accepted
        until(running.link, lambda found: bool(found.positions))
        with emergency_engine(home) as link:
            assert until(link, live_now).mode is Mode.LIVE


@pytest.mark.slow
def test_a_panic_without_a_key_closes_what_it_can_and_never_calls_the_rest_flat(
        tmp_path: Path, alpaca: ServedAlpaca, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    home = home_with(tmp_path / "h", PAPER)
    monkeypatch.setenv("QUARTERDECK_HOME", str(home.path))
    assert answered(capsys, "buy", BITCOIN, "0.01", "--stop", "1")[0] == 0
    short = "[engine]\nflatten_deadline_seconds = 6\n"
    home.config.write_text(short + PAPER + alpaca_account(alpaca) + portfolio("coins", "alp"))
    status, out, err = answered(capsys, "panic", "--yes", "--json")
    assert status == 1
    assert "THIS ACCOUNT CANNOT BE CLOSED FROM HERE" in err
    assert "NOT FLAT" in err
    report = json.loads(out)
    assert (report["finished"], report["flat"]) == (True, False)
    assert [(line["account"], line["instrument_id"], line["lots_left"]) for line in report["lines"]] == [
        ("paper", f"{BITCOIN}@paper", 0)]


def test_a_broken_configuration_that_names_a_real_venue_never_looks_flat(tmp_path: Path) -> None:
    home = home_with(tmp_path / "h", '[[account]]\nvenue = "alpaca"\nsymbol = ["AAPL"]\n')
    with pytest.raises(ConfigError, match="names a real venue"), emergency_engine(home):
        pass


# ---- an exchange through ccxt ----------------------------------------------------------------------------------------------


@pytest.fixture
def binance() -> Iterator[ServedBinance]:
    with served_binance() as made:
        yield made


def coin_order(portfolio_name: str) -> PlaceOrder:
    return PlaceOrder(command_id(), BITCOIN, Side.BUY, portfolio_name, Decimal("1.5"), stop=Decimal(90))


@pytest.mark.slow
def test_an_exchange_and_alpaca_and_paper_in_one_engine(tmp_path: Path, alpaca: ServedAlpaca, binance: ServedBinance) -> None:
    practice = alpaca_account(alpaca, paper=True) + portfolio("shares", "alp")
    config = PAPER + practice + binance.account() + portfolio("coins", "bin")
    home = home_with(tmp_path / "h", config, "alp")
    KeyringStore(home.path).write("bin", BINANCE_KEY)
    with opened(home) as running:
        link = running.link
        until(link, live_now)

        def nudge() -> None:
            alpaca.quote("50000", "50001")
            binance.quote()

        until(link, lambda found: all(quoted(BITCOIN, venue)(found) for venue in ("alpaca", "binance", "paper")), nudge)
        assert link.snapshot_now().mode is Mode.LIVE
        refused = link.send_now(coin_order("coins"))
        assert refused.refusal is not None
        assert refused.refusal.check == "arming"
        assert not binance.backing.orders
        armed(link, "bin")
        assert link.send_now(coin_order("coins")).accepted
        held = until(link, lambda found: bool(found.positions), nudge)
        assert [(one.portfolio, one.instrument_id) for one in held.positions] == [("coins", f"{BITCOIN}@binance")]


def test_paper_on_an_exchanges_prices_needs_no_key(tmp_path: Path, binance: ServedBinance) -> None:
    home = home_with(tmp_path / "h", '[market]\nsource = "bin"\n' + PAPER + binance.account())
    with opened(home) as running:
        link = running.link
        until(link, lambda found: live_now(found) and quoted(BITCOIN, "binance")(found), binance.quote)
        shown = link.snapshot_now()
        assert (shown.mode, shown.accounts[0].equity) == (Mode.PAPER, Decimal(100_000))
        assert link.send_now(coin_order("main")).accepted
        until(link, lambda found: bool(found.positions), binance.quote)
        assert not binance.backing.orders


def test_keys_test_of_an_exchange_that_does_not_say_is_honest(tmp_path: Path, binance: ServedBinance,
                                                              capsys: pytest.CaptureFixture[str],
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    home = home_with(tmp_path / "h", binance.account(sandbox=True) + portfolio("coins", "bin"), "bin", key=BINANCE_KEY)
    monkeypatch.setenv("QUARTERDECK_HOME", str(home.path))
    status, out, err = answered(capsys, "keys", "test", "bin")
    assert status == 0, err
    assert "not told by the venue" in out
    KeyringStore(home.path).write("bin", Key("WRONGKEYID", "wrongsecret"))
    status, out, err = answered(capsys, "keys", "test", "bin")
    assert (status, out) != (0, "")
    assert err.count("\n") == 1
    assert "WRONGKEYID" not in err
    assert "wrongsecret" not in err


# ---- commands ------------------------------------------------------------------------------------------------------------------


def answered(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    status = run(list(arguments))
    told = capsys.readouterr()
    return status, told.out, told.err


def test_keys_test_tells_what_the_key_may_do(tmp_path: Path, alpaca: ServedAlpaca, capsys: pytest.CaptureFixture[str],
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    home = home_with(tmp_path / "h", alpaca_account(alpaca) + portfolio("coins", "alp"), "alp")
    monkeypatch.setenv("QUARTERDECK_HOME", str(home.path))
    status, out, err = answered(capsys, "keys", "test", "alp")
    assert status == 0, err
    assert "REAL MONEY" in out
    assert "does not say whether this key may withdraw" in err
    status, out, _ = answered(capsys, "keys", "test", "alp", "--json")
    assert (json.loads(out)["may_trade"], json.loads(out)["may_withdraw"]) == (True, None)
    assert "secret" not in out


def test_keys_test_of_a_wrong_key_is_one_line_without_it(tmp_path: Path, alpaca: ServedAlpaca,
                                                         capsys: pytest.CaptureFixture[str],
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Key("PKWRONGWRONG", "quite-another-secret")
    home = home_with(tmp_path / "h", alpaca_account(alpaca) + portfolio("coins", "alp"), "alp", key=wrong)
    monkeypatch.setenv("QUARTERDECK_HOME", str(home.path))
    status, out, err = answered(capsys, "keys", "test", "alp")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "refuses the key" in err
    assert "PKWRONG" not in err
    assert "quite-another" not in err


def test_arm_and_disarm_by_command(tmp_path: Path, alpaca: ServedAlpaca, capsys: pytest.CaptureFixture[str],
                                   monkeypatch: pytest.MonkeyPatch) -> None:
    home = home_with(tmp_path / "h", PAPER + alpaca_account(alpaca) + portfolio("coins", "alp"), "alp")
    monkeypatch.setenv("QUARTERDECK_HOME", str(home.path))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    for arguments, words in ((("arm", "alp"), "there is no terminal to ask on"),
                             (("arm", "alp", "--confirm-name", "alpp"), "is not the name of the account"),
                             (("arm", "alp", "--confirm-name", "alp", "--hours", "0"), "at most 168 hours")):
        status, _, err = answered(capsys, *arguments)
        assert (status, err.count("\n")) == (2, 1)
        assert words in err
    with open_engine(home, load_config(home.config), warm_bars=1) as running:
        until(running.link, live_now)
        assert "paper holds no real money" in answered(capsys, "arm", "paper", "--confirm-name", "paper")[2]
        assert "no portfolio trades an account" in answered(capsys, "arm", "x", "--confirm-name", "x")[2]
        status, out, err = answered(capsys, "arm", "alp", "--confirm-name", "alp", "--hours", "2")
        assert (status, out, err.count("\n")) == (1, "", 1), "gates are not met, and nobody says why it should be all the same"
        assert "gates are not met: rehearsal, paper days" in err
        status, out, err = answered(capsys, "arm", "alp", "--confirm-name", "alp", "--hours", "2", "--despite-gates", "a trial")
        assert (status, err.count("\n")) == (0, 1)
        assert "ARMED for 2 h" in out
        assert out.rstrip().endswith(": a trial")
        until(running.link, lambda found: any(one.armed_until_ns for one in found.accounts))
        assert "real money ARMED until" in answered(capsys, "status")[1]
        typed = iter(["\n", "a trial\n", "alpp\n", "a trial\n", "alp\n"])
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(sys.stdin, "readline", lambda: next(typed), raising=False)
        status, _, err = answered(capsys, "arm", "alp")
        assert status == 1
        assert "no reason was given; nothing was armed" in err
        status, _, err = answered(capsys, "arm", "alp")
        assert status == 1
        assert "is not the account's name; nothing was armed" in err
        status, _, err = answered(capsys, "arm", "alp")
        assert status == 0
        assert "REAL MONEY" in err
        assert "max_order_notional = 50000" in err, "the limits in force are shown"
        assert answered(capsys, "disarm", "alp")[0] == 0
        until(running.link, lambda found: not any(one.armed_until_ns for one in found.accounts))
        assert "real money NOT ARMED" in answered(capsys, "status")[1]
