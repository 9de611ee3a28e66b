"""The risk screen, opened by its key on the real views of a desk's book, and its lines."""

from decimal import Decimal

from msgspec.structs import replace
from textual.events import Key

from engine.risk_views import risk_view
from engine.service import BudgetView, ClampView, CorrelationView, RiskView
from tests.tui.driving import driving
from tests.tui.risk_book import crowded_book
from tests.tui.views import card, snapshot
from tests.unit.engine_desk import Desk, bought
from tui.screens.card_lines import money_lines
from tui.screens.correlation_lines import correlation_lines, short_names
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
    for words in ("SMALLER by day loss: day loss 0.80%, limit 1.00%", "COIN long", "stop 90.00", "A bad day",
                  "with correlation", "50% of the usual", "Limits, the most used first"):
        assert words in told, told
    assert all(len(line) <= 72 for line in told.splitlines())


def test_a_crowded_book_fits_its_width_and_tells_every_part() -> None:
    view = crowded_book()
    for width in (72, 146):
        told = text_of(view, width)
        assert all(len(line) <= width for line in told.splitlines()), told
        for words in ("bucket coins", "bucket technology", "NVDA short", "value at risk", "expected shortfall",
                      "97.5 %, 149 returns", "in full: too few bars", "Correlation of returns",
                      "too few bars in common: EUR/USD", "day loss"):
            assert words in told, (width, words, told)
    assert len(text_of(view, 146).splitlines()) < len(text_of(view, 72).splitlines())


def test_the_matrix_is_read_without_colour_and_breaks_into_tables_where_it_is_wide() -> None:
    names = tuple(f"COIN{place}/USD" for place in range(12))
    matrix = tuple(tuple(1.0 if row == column else (-0.75, 0.5, 0.1, 0.3)[(row + column) % 4] for column in range(12))
                   for row in range(12))
    view = replace(crowded_book(2), correlations=CorrelationView(names, matrix))
    lines = ["".join(text for text, _ in line) for line in correlation_lines(view, 72)]
    assert all(len(line) <= 72 for line in lines)
    text = "\n".join(lines)
    for cell in ("−0.75■", "+0.50▪", "+0.10·", "+0.30 "):
        assert cell in text
    assert [line.split() for line in lines if line.startswith(" ")] == [
        [f"COIN{place}" for place in range(8)], [f"COIN{place}" for place in range(8, 12)]]
    cells = sum(line.count("0.") for line in lines[2:-1])
    assert cells == 12 * 11 // 2, "each pair once"


def test_the_budgets_of_strategies_are_told_once_there_are_any() -> None:
    view = lost_book()
    assert [budget.strategy for budget in view.budgets] == ["manual"] and "Strategies" not in text_of(view)
    mine = BudgetView("momentum", Decimal(4_500), Decimal(5_000), compounds=False, used_percent=90.0, heat_percent=0.5,
                      heat_limit_percent=2.0)
    told = text_of(replace(view, budgets=(*view.budgets, mine)))
    for words in ("Strategies", "90% of 5,000.00 fixed", "0.50% of 2.00%", "no capital of its own"):
        assert words in told, told


def test_names_are_shortened_only_where_they_stay_apart() -> None:
    assert short_names(["BTC/USD", "ETH/USD", "ETH/EUR", "AAPL"]) == ["BTC", "ETH/USD", "ETH/EUR", "AAPL"]


def test_a_bar_is_filled_as_far_as_the_limit_is_used() -> None:
    assert bar(None) == bar(0.0)
    assert bar(0.5).count("█") == BAR // 2
    assert bar(7.0) == "█" * BAR
    assert bar(0.03) == "▋" + "·" * (BAR - 1)
    assert len({len(bar(part / 160)) for part in range(200)}) == 1
    assert [tone_of(part) for part in (None, 0.1, 0.8, 1.0)] == ["muted", "good", "warn", "crit"]


def test_a_card_tells_what_each_limit_took() -> None:
    lines = ["".join(text for text, _ in line) for line in money_lines(
        card(clamps=(ClampView("heat", Decimal(80), Decimal(50), "6.00%"),)))]
    at = next(place for place, line in enumerate(lines) if "80 → 50" in line)
    assert lines[at + 1].strip() == "by heat, 6.00%"


async def test_r_opens_the_risk_screen_and_it_stays_up_to_date() -> None:
    view = lost_book()
    async with driving(snapshot(risks=(view,))) as app:
        await app.press("r")
        await app.sees("Risk of main: moderate", "SMALLER by day loss", "Heat")
        await app.publish(snapshot(version=2, risks=(replace(view, brakes=(), heat_percent=5.5),)))
        await app.sees("5.50%")
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


async def test_n_jumps_to_the_correlation_and_back_to_the_top() -> None:
    async with driving(snapshot(risks=(crowded_book(),)), size=(80, 24)) as app:
        await app.press("r")
        await app.sees("Risk of main", "Heat")
        for _ in range(8):
            if "Correlation of returns" in app.text:
                break
            await app.press("n")
            await app.pilot.pause()
        await app.sees("Correlation of returns", "BTC")
        for _ in range(3):
            if "what all stops would lose" in app.text:
                break
            await app.press("n")
            await app.pilot.pause()
        await app.sees("what all stops would lose")


async def test_a_wide_screen_shows_heat_and_limits_side_by_side() -> None:
    async with driving(snapshot(risks=(crowded_book(),)), size=(160, 45)) as app:
        await app.press("r")
        await app.sees("Heat", "Limits, the most used first", "A bad day", "Correlation of returns")


async def test_of_several_quick_keys_each_jumps_a_part() -> None:
    first, row = snapshot(risks=(crowded_book(),)), 0.0
    async with driving(first, size=(80, 24)) as app:
        await app.press("r")
        await app.sees("Risk of main")
        body = app.app.screen.query_one("#body")
        for _ in range(3):
            row = body.scroll_y
            await app.press("n")
            await app.until(lambda row=row: body.scroll_y > row)  # type: ignore[misc]
        row = body.scroll_y
    async with driving(first, size=(80, 24)) as app:
        for key in ("r", "n", "n", "n"):  # before anything is laid out
            app.app.post_message(Key(key, key))
        await app.until(lambda: app.app.screen.query("#risk"))
        await app.until(lambda: app.app.screen.query_one("#body").scroll_y == row)
