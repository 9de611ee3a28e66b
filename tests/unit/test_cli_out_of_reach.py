"""A command whose account cannot be reached says so and records no wish, also where the portfolio is left for it to know: a wish
to close would be carried out at whatever price, whenever the next engine starts."""

from pathlib import Path

import pytest

from tests.unit.test_compose_venues import buy, live_now, opened, quoted
from tests.unit.venue_homes import BITCOIN, alpaca_account, home_with, memory_keyring, portfolio, served_alpaca, until
from tui.cli import run


@pytest.mark.slow
def test_an_account_out_of_reach_is_told_and_nothing_is_wished(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    with memory_keyring(), served_alpaca() as alpaca:
        home = home_with(tmp_path / "h", alpaca_account(alpaca, paper=True) + portfolio("coins", "alp"), "alp")
        monkeypatch.setenv("QUARTERDECK_HOME", str(home.path))
        with opened(home) as running:
            until(running.link, live_now)
            until(running.link, quoted(BITCOIN), lambda: alpaca.quote("50000", "50001"))
            assert running.link.send_now(buy("coins")).accepted
            until(running.link, lambda found: bool(found.positions), lambda: alpaca.quote("50000", "50001"))
        for _ in range(100):
            alpaca.server.fail_next("GET", "/v2/account", 503)
        for command in (["close", BITCOIN], ["protect", BITCOIN, "--stop", "41000"], ["buy", BITCOIN, "0.01", "--stop", "40000"]):
            for named in ([], ["--portfolio", "coins"]):
                assert run([*command, *named]) == 3, (command, named)
                assert "account alp at " in capsys.readouterr().err
