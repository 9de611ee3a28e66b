"""Real money on the strip, in status, and in the question that arms it."""

from decimal import Decimal

import pytest

from engine.inputs import Limits
from engine.service import AccountView, Mode
from engine.units import NS_PER_SECOND
from tests.tui.views import NOW_NS, account, snapshot
from tui.commands.arming import limit_lines, live_account
from tui.commands.queries import armed_words
from tui.panes.strip import armed_chip, money_chips, state_chips


def live(**changes: object) -> AccountView:
    return account("coins", account="alp", live=True, **changes)


def words(chips: object) -> str:
    return " ".join(text for chip in chips for text, _ in chip.parts)  # type: ignore[attr-defined]


def test_the_strip_counts_down_what_is_armed_and_never_gives_way() -> None:
    armed = live(armed_until_ns=NOW_NS + 3_661 * NS_PER_SECOND, armed_by="ada")
    (text, tone), = armed_chip(armed, NOW_NS).parts
    assert (text, tone, armed_chip(armed, NOW_NS).rank) == ("■ ARMED 1:01:01", "crit", 0)
    (text, tone), = armed_chip(live(), NOW_NS).parts
    assert (text, tone) == ("▢ NOT ARMED", "warn")
    assert armed_chip(account(), NOW_NS).width == 0, "paper says nothing of it"


def test_a_live_screen_says_so_first() -> None:
    from datetime import UTC

    shown = snapshot(mode=Mode.LIVE, accounts=(live(),))
    assert words(money_chips(shown, shown.accounts[0], UTC)).startswith(" ■ LIVE ■ ")
    assert "NOT ARMED" in words(state_chips(shown, shown.accounts[0]))


def test_status_says_until_when_and_by_whom() -> None:
    assert armed_words(live(armed_until_ns=NOW_NS, armed_by="ada")) == "ARMED until 2026-03-08 14:32:07 UTC by ada"
    assert armed_words(live()) == "NOT ARMED"
    assert armed_words(account()) == ""


def test_the_limits_that_bind_are_shown_before_anything_is_armed() -> None:
    lines = dict(limit_lines(Limits(max_order_notional=Decimal(1_000), require_stop=False)))
    assert lines["max_order_notional"] == "1000"
    assert lines["require_stop"] == "False"
    assert "blacklist" not in lines, "a limit that is not set binds nothing"


def test_only_an_account_with_real_money_is_armed() -> None:
    assert live_account([account(), live()], "alp").portfolio == "coins"
    for name, told in (("nobody", "no portfolio trades"), ("paper-1", "holds no real money")):
        with pytest.raises(Exception, match=told):
            live_account([account(), live()], name)
