"""What nobody has confirmed is not done: the exit status of orders, cancels and closings that a venue leaves open."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.config import load_config
from engine.inputs import Connectivity
from engine.orders import OrderStatus
from tests.unit.venue_homes import (
    BINANCE_KEY,
    ServedBinance,
    home_with,
    memory_keyring,
    portfolio,
    quoting,
    served_binance,
    until,
)
from tui.cli import run
from tui.commands import trading
from tui.compose import open_engine
from tui.running_engine import EngineLink

ORDER = "/api/v3/order"
BUY = ("buy", "BTC/USD", "1", "--stop", "90")
PATIENCE_SECONDS = 60.0  # what is done ends the wait at once


@pytest.fixture
def binance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedBinance]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setattr(trading, "SETTLE_SECONDS", PATIENCE_SECONDS)
    with memory_keyring(), served_binance() as made, quoting(made.quote):
        yield made


@pytest.fixture
def home(tmp_path: Path, binance: ServedBinance) -> Path:
    config = binance.account("acct", sandbox=True) + portfolio("main", "acct")
    return home_with(tmp_path / "h", config, "acct", key=BINANCE_KEY).path


@pytest.fixture
def link(home: Path) -> Iterator[EngineLink]:
    """An engine that serves the home, so that commands reach it through its socket."""
    from store.home import open_home

    opened = open_home(home)
    with open_engine(opened, load_config(opened.config), serve=True, warm_bars=1) as running:
        until(running.link, lambda found: found.accounts[0].connectivity is Connectivity.LIVE
              and any(quote.bid is not None for quote in found.quotes))
        yield running.link


def told(capsys: pytest.CaptureFixture[str], home: Path, *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    status = run(["--home", str(home), *arguments])
    out, err = capsys.readouterr()
    return status, out, err


def only_line(err: str) -> str:
    """The one line of an error."""
    assert len(err.splitlines()) == 1, err
    return err.rstrip("\n")


def working(link: EngineLink) -> str:
    """The id of the only order at work."""
    (order,) = [order for order in link.snapshot_now().orders if order.working]
    return order.client_order_id


def test_an_order_without_an_answer(home: Path, binance: ServedBinance, capsys: pytest.CaptureFixture[str],
                                    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trading, "SETTLE_SECONDS", 3.0)  # time to be told that there is no answer, and not to find the order
    binance.backing.fail("POST", ORDER)
    status, out, err = told(capsys, home, *BUY)
    assert status == 1
    assert "UNKNOWN" in out
    line = only_line(err)
    assert "UNKNOWN: the venue did not answer, so it may be live and counts in full; do not send it again" in line


def test_a_cancel_without_an_answer(home: Path, binance: ServedBinance, link: EngineLink,
                                    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(capsys, home, *BUY, "--limit", "95")[0] == 0
    order_id = working(link)
    for _ in range(5):
        binance.backing.fail("DELETE", ORDER, status=500)
    monkeypatch.setattr(trading, "SETTLE_SECONDS", 1.0)
    status, _, err = told(capsys, home, "cancel", order_id)
    assert status == 1
    line = only_line(err)
    assert line.endswith("PENDING_CANCEL: the venue has not confirmed the cancel, so it may still fill; "
                         "`quarterdeck orders --all` tells what becomes of it")


def test_a_cancel_that_comes_too_late(home: Path, binance: ServedBinance, link: EngineLink,
                                      capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(capsys, home, *BUY, "--limit", "95")[0] == 0
    order_id = working(link)
    binance.backing.fail("DELETE", ORDER, status=400, body='{"code":-2011,"msg":"Unknown order sent."}')
    status, _, err = told(capsys, home, "cancel", order_id)
    assert (status, err) == (1, f"quarterdeck: {order_id}: NEW: the venue refused the cancel\n")


def test_a_cancel_that_is_confirmed_is_done(home: Path, link: EngineLink, capsys: pytest.CaptureFixture[str],
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(capsys, home, *BUY, "--limit", "95")[0] == 0
    status, out, err = told(capsys, home, "cancel", working(link))
    assert (status, err) == (0, "")
    assert "CANCELED" in out


def test_a_closing_that_the_venue_leaves_open(home: Path, binance: ServedBinance, link: EngineLink,
                                              capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(capsys, home, *BUY)[0] == 0
    until(link, lambda found: bool(found.positions) and not found.positions[0].unprotected_now)
    monkeypatch.setattr(trading, "SETTLE_SECONDS", 1.0)
    for _ in range(20):
        binance.backing.fail("POST", ORDER, status=400, body='{"code":-1013,"msg":"Market is closed."}')
    status, _, err = told(capsys, home, "close", "BTC/USD", "--portfolio", "main")
    assert status == 1
    assert "BTC/USD: 1.00 of 1.00 is still held" in err
    binance.backing.faults.clear()
    until(link, lambda found: not found.positions)
    assert not any(order.status is OrderStatus.UNKNOWN for order in link.snapshot_now().orders)
