"""The risk screen, opened by its key on the real views of a desk's book, and its lines."""

from decimal import Decimal

from msgspec.structs import replace

from engine.risk_views import risk_view
from engine.service import ClampView, RiskView
from tests.tui.driving import driving
from tests.tui.views import card, snapshot
from tests.unit.engine_desk import Desk, bought
from tui.screens.card_lines import money_lines
from tui.screens.risk_lines import BAR, bar, risk_lines, tone_of


def lost_book() -> RiskView:
    """Two hundred coins behind a stop, a day loss that brakes, an entry that rests."""
    desk = Desk(max_day_loss_fraction=0.01, max_week_loss_fraction=0.0, max_drawdown_fraction=0.0, stale_quote_seconds=100.0,
                max_heat_fraction=0.06)
    desk.beat()
    desk.enter("a", 200, "90")
    desk.do(bought("b", 10, "90"))
    desk.quote(9_600)
    desk.beat()
    return risk_view(desk.state, desk.market, desk.at_ns, "main")


def text_of(view: RiskView, width: int = 72) -> str:
    return "\n".join("".join(text for text, _ in line) for line in risk_lines(view, width))


def test_the_lines_tell_heat_limits_and_brakes() -> None:
    told = text_of(lost_book())
    for words in ("SMALLER by day loss: day loss 0.80%, limit 1.00%", "COIN long", "stop 90.00", "bucket COIN",
                  "with correlation", "50% of the usual", "Limits, the most used first"):
        assert words in told, told
    assert all(len(line) <= 110 for line in told.splitlines())


def test_a_bar_is_filled_as_far_as_the_limit_is_used() -> None:
    assert bar(None) == bar(0.0)
    assert bar(0.5).count("█") == BAR // 2
    assert bar(7.0).count("█") == BAR
    assert [tone_of(part) for part in (None, 0.1, 0.8, 1.0)] == ["muted", "good", "warn", "crit"]


def test_a_card_tells_what_each_limit_took() -> None:
    lines = money_lines(card(clamps=(ClampView("heat", Decimal(80), Decimal(50), "6.00%"),)))
    assert any("80 → 50: heat, 6.00%" in "".join(text for text, _ in line) for line in lines)


async def test_r_opens_the_risk_screen_and_it_stays_up_to_date() -> None:
    view = lost_book()
    async with driving(snapshot(risks=(view,))) as app:
        await app.press("r")
        await app.sees("Risk of main: moderate", "SMALLER by day loss", "Heat")
        await app.publish(snapshot(version=2, risks=(replace(view, brakes=(), heat_percent=5.5),)))
        await app.sees("5.50% of")
        assert "SMALLER" not in app.text
        await app.press("escape")
        await app.until(lambda: "Risk of main" not in app.text)


async def test_p_shows_the_next_portfolio_and_panic_is_still_there() -> None:
    view = lost_book()
    async with driving(snapshot(risks=(view, replace(view, portfolio="side"))), size=(80, 24)) as app:
        await app.press("r", "p")
        await app.sees("Risk of side")
        await app.press("f9")
        await app.until(lambda: any(type(one).__name__ == "SetTradingState" for one in app.service.sent))


async def test_without_a_risk_the_screen_says_so() -> None:
    async with driving(snapshot()) as app:
        await app.press("r")
        await app.sees("no portfolio is known yet")
