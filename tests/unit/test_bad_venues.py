"""What a person gets to see where a venue, a key or a symbol is not as it should be: one clear line, and an exit status that
tells refused (1), wrong configuration (2) and unreachable (3) apart. Through the command line, on a home of its own, at Alpaca
and at an exchange behind ccxt."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from engine.clocks import SystemClock
from store.keys import Key
from tests.conformance.alpaca_server.server import KEY
from tests.unit.tls_server import served_expired
from tests.unit.venue_homes import (
    BINANCE_KEY,
    ServedAlpaca,
    ServedBinance,
    alpaca_account,
    home_with,
    memory_keyring,
    portfolio,
    quoting,
    served_alpaca,
    served_binance,
)
from tui.cli import run

pytestmark = pytest.mark.slow

SATURDAY_NS = 1_795_262_400 * 10 ** 9  # 2026-11-21 12:00 UTC
WRONG_ID, WRONG_SECRET = "PKWRONGWRONGWRONG", "wrong/secret+of=nobody"
ENDPOINT = re.compile(r"(https?|wss?)://127\.0\.0\.1:\d+")

type Call = Callable[..., tuple[int, str]]


@pytest.fixture(autouse=True)
def ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    with memory_keyring():
        yield


class Venue(NamedTuple):
    """One venue, as these tests need it: its account in a configuration, its own coin, its levers."""

    served: ServedAlpaca | ServedBinance
    symbol: str
    account: str
    key: Key

    def tell_price(self) -> None:
        if isinstance(self.served, ServedAlpaca):
            self.served.quote("99.90", "100.10")
        else:
            self.served.quote()

    def forbid_trading(self) -> None:
        if isinstance(self.served, ServedAlpaca):
            self.served.server.account.may_trade = False
        else:
            self.served.venue.may_trade = False

    def halt_symbol(self) -> None:
        if isinstance(self.served, ServedAlpaca):
            self.served.server.account.blocked.add(self.symbol)
        else:
            self.served.venue.market_status = "BREAK"


@pytest.fixture(params=["alpaca", "binance"])
def venue(request: pytest.FixtureRequest) -> Iterator[Venue]:
    if request.param == "alpaca":
        with served_alpaca() as alpaca:
            alpaca.server.account.real_time = True
            alpaca.quote("99.90", "100.10")
            yield Venue(alpaca, "BTC/USD", alpaca_account(alpaca, "acct", paper=True, symbols='"BTC/USD"'), Key(*KEY))
    else:
        with served_binance() as binance:
            yield Venue(binance, "BTC/USD", binance.account("acct", sandbox=True), BINANCE_KEY)


@pytest.fixture
def call(tmp_path: Path, venue: Venue, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a command on a home with this account and key; its status and its only line on standard error."""

    def called(*arguments: str, account: str = venue.account, key: Key = venue.key) -> tuple[int, str]:
        home = home_with(tmp_path / "h", account + portfolio("main", "acct"), "acct", key=key)
        capsys.readouterr()
        status = run(["--home", str(home.path), *arguments])
        told = capsys.readouterr()
        assert told.out == ""
        lines = [line for line in told.err.splitlines() if not line.startswith("note: ")]
        assert len(lines) == 1, told.err
        assert "Traceback" not in told.err
        assert not any(secret in told.err for secret in (WRONG_ID, WRONG_SECRET, venue.key.key_id, venue.key.secret))
        return status, lines[0]

    return called


def buy(symbol: str = "BTC/USD") -> tuple[str, ...]:
    return "buy", symbol, "1", "--stop", "90"


@pytest.mark.parametrize("command", [("keys", "test", "acct"), buy()], ids=["keys test", "buy"])
def test_a_wrong_key_is_refused(call: Call, command: tuple[str, ...]) -> None:
    status, line = call(*command, key=Key(WRONG_ID, WRONG_SECRET))
    assert status == 1
    assert "account acct: " in line
    assert "refuses the key" in line


def test_a_key_that_may_not_trade_is_told_by_its_test(venue: Venue, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    venue.forbid_trading()
    account = venue.account.replace("sandbox = true", "sandbox = false")  # the sandbox says nothing of keys
    home = home_with(tmp_path / "h", account + portfolio("main", "acct"), "acct", key=venue.key)
    assert run(["--home", str(home.path), "keys", "test", "acct"]) == 1
    told = capsys.readouterr()
    assert re.search(r"trade +no", told.out)
    assert "this key may not trade; allow it at the venue" in told.err


def test_a_key_that_may_withdraw_is_warned_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served_binance() as binance:
        home = home_with(tmp_path / "h", binance.account("acct") + portfolio("main", "acct"), "acct", key=BINANCE_KEY)
        assert run(["--home", str(home.path), "keys", "test", "acct"]) == 0
        assert "WITHDRAW" not in capsys.readouterr().err
        binance.venue.may_withdraw = True
        assert run(["--home", str(home.path), "keys", "test", "acct"]) == 0
        told = capsys.readouterr()
    assert re.search(r"withdraw +yes", told.out)
    assert "this key may WITHDRAW money" in told.err


def test_a_key_that_may_not_trade_gets_no_order_through(venue: Venue, tmp_path: Path,
                                                        capsys: pytest.CaptureFixture[str]) -> None:
    venue.forbid_trading()
    home = home_with(tmp_path / "h", venue.account + portfolio("main", "acct"), "acct", key=venue.key)
    with quoting(venue.tell_price):
        assert run(["--home", str(home.path), *buy()]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    says_so_beforehand = isinstance(venue.served, ServedAlpaca)
    assert ("refused by account" if says_so_beforehand else "REJECTED") in line
    assert ("has blocked the account from trading" if says_so_beforehand else "permissions") in line


def test_a_symbol_of_the_configuration_that_the_venue_does_not_know(call: Call, venue: Venue) -> None:
    status, line = call(*buy("NOPE/USD"), account=venue.account.replace("BTC/USD", "NOPE/USD"))
    assert status == 2
    assert "NOPE/USD" in line
    assert "does not" in line


def test_a_symbol_of_a_command_that_is_not_listed(call: Call, venue: Venue) -> None:
    with quoting(venue.tell_price):
        status, line = call(*buy("BTC/EUR"))
    assert status == 1
    assert "'BTC/EUR' is not listed at this venue; did you mean BTC/USD?" in line


def test_a_halted_symbol(call: Call, venue: Venue) -> None:
    venue.halt_symbol()
    with quoting(venue.tell_price):
        status, line = call(*buy())
    assert status == 1
    assert "BTC/USD cannot be bought" in line
    assert "not tradable" in line


@pytest.mark.parametrize("command", [("keys", "test", "acct"), buy()], ids=["keys test", "buy"])
def test_a_host_that_cannot_be_reached(call: Call, venue: Venue, command: tuple[str, ...]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nowhere = ENDPOINT.sub(lambda found: f"{found[1]}://127.0.0.1:{free.getsockname()[1]}", venue.account)
    status, line = call(*command, account=nowhere)
    assert status == 3
    assert "no connection" in line


@pytest.mark.parametrize("command", [("keys", "test", "acct"), buy()], ids=["keys test", "buy"])
def test_a_certificate_that_is_over(call: Call, venue: Venue, command: tuple[str, ...], tmp_path: Path,
                                    monkeypatch: pytest.MonkeyPatch) -> None:
    with served_expired(tmp_path) as (server, trusted):
        monkeypatch.setattr("certifi.where", lambda: str(trusted))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trusted))
        secured = ENDPOINT.sub(lambda found: f"{found[1].removesuffix('s')}s://127.0.0.1:{server.port}", venue.account)
        status, line = call(*command, account=secured)
        assert server.requests == 0, "nothing was sent there"
    assert status == 3
    assert "the venue's certificate is not valid: certificate has expired" in line


def test_a_closed_market_at_an_exchange_is_its_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served_binance() as binance:
        config = binance.account("acct", sandbox=True) + portfolio("main", "acct")
        home = home_with(tmp_path / "h", config, "acct", key=BINANCE_KEY)
        binance.backing.fail("POST", "/api/v3/order", status=400, body='{"code":-1013,"msg":"Market is closed."}')
        with quoting(binance.quote):
            assert run(["--home", str(home.path), *buy()]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("REJECTED: binance Market is closed.")


def test_a_closed_market_of_shares_says_when_it_opens(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    began_ns = time.monotonic_ns()
    monkeypatch.setattr(SystemClock, "now_ns", lambda _: SATURDAY_NS + time.monotonic_ns() - began_ns)
    with served_alpaca() as alpaca:
        alpaca.server.account.real_time = True
        config = alpaca_account(alpaca, "acct", paper=True, symbols='"AAPL"') + portfolio("main", "acct")
        home = home_with(tmp_path / "h", config, "acct")
        assert run(["--home", str(home.path), *buy("AAPL")]) == 1
        assert alpaca.server.account.orders == {}
    (line,) = capsys.readouterr().err.splitlines()
    assert "the market of AAPL is closed until 2026-11-23 14:30 UTC" in line
