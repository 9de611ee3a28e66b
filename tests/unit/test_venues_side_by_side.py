"""Several accounts at one venue, an exchange that nobody verified: whose past is found, what is told before it costs money."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from brokers.ccxt_venue.exchanges import unproven_line
from brokers.market.merged import MergedFeed
from engine.config import load_config
from engine.inputs import Bar, Connectivity, MarketItem
from store.home import open_home
from tests.unit.venue_homes import (
    BINANCE_KEY,
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
from tui.compose import open_engine


class Past:
    """A feed that knows the past of some instruments."""

    def __init__(self, *known: str) -> None:
        self._known = known

    async def run(self, sink: Callable[[MarketItem], None]) -> None: ...

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        return [Bar(instrument_id, 0, 1, 1, 1, 1, 1, 1)][:limit] if instrument_id in self._known else []

    async def close(self) -> None: ...


@pytest.fixture(autouse=True)
def ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    with memory_keyring():
        yield


def test_the_past_comes_from_whichever_account_of_the_venue_lists_the_instrument() -> None:
    feed = MergedFeed([Past("A@alpaca"), Past("C@kraken"), Past("B@alpaca")], {"alpaca": (0, 2), "kraken": (1,)})
    found = {name: len(feed.history(name, 5)) for name in ("A@alpaca", "B@alpaca", "C@kraken", "D@alpaca", "A@nowhere")}
    assert found == {"A@alpaca": 1, "B@alpaca": 1, "C@kraken": 1, "D@alpaca": 0, "A@nowhere": 0}


@pytest.mark.slow
def test_two_accounts_at_one_venue_each_have_their_prices_and_their_past(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prices_at_any_time(monkeypatch)
    with served_alpaca() as one, served_alpaca() as other:
        config = (alpaca_account(one, "coins", paper=True, symbols='"BTC/USD"') + portfolio("a", "coins")
                  + alpaca_account(other, "shares", paper=True, symbols='"AAPL"') + portfolio("b", "shares"))
        home = home_with(tmp_path / "h", config, "coins", "shares")
        with open_engine(home, load_config(home.config), serve=False, warm_bars=1) as running:
            until(running.link, lambda found: all(each.connectivity is Connectivity.LIVE for each in found.accounts))

            def tell() -> None:
                one.quote("99.90", "100.10")
                other.quote("199.90", "200.10", "AAPL")

            shown = until(running.link, lambda found: all(quote.bid is not None for quote in found.quotes), tell)
            assert {quote.instrument_id: str(quote.bid) for quote in shown.quotes} == {
                "BTC/USD@alpaca": "99.90", "AAPL@alpaca": "199.90"}


def test_an_exchange_that_nobody_verified_is_told_before_real_money_goes_there(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert unproven_line("binance") == unproven_line("kraken") == unproven_line("coinbase") == ""
    with served_binance() as binance:
        unproven = unverified(binance)
        home = home_with(tmp_path / "h", unproven + portfolio("main", "bin"), "bin", key=BINANCE_KEY)
        assert run(["--home", str(home.path), "config", "check"]) == 0
        assert 'warning: account "bin": binanceus was never verified here (those are: binance, ' in capsys.readouterr().out
        with open_engine(open_home(home.path), load_config(home.config), serve=True, warm_bars=1) as running:
            until(running.link, lambda found: found.accounts[0].connectivity is Connectivity.LIVE)
            assert run(["--home", str(home.path), "arm", "bin", "--confirm-name", "bin", "--despite-gates", "a test"]) == 0
        told = capsys.readouterr()
        assert "note: binanceus was never verified here" in told.err
        assert "ARMED" in told.out


def unverified(binance: ServedBinance) -> str:
    return binance.account().replace("ccxt:binance", "ccxt:binanceus")


def test_practice_at_such_an_exchange_needs_no_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    practice = '[[account]]\nname = "sand"\nvenue = "ccxt:bybit"\nsymbols = ["BTC/USD"]\n'
    home = home_with(tmp_path / "h", practice + portfolio("main", "sand"))
    assert run(["--home", str(home.path), "config", "check"]) == 0
    assert "verified" not in capsys.readouterr().out
