"""What is shown of a position: nothing is made up where the market is not known."""

from decimal import Decimal

from engine.views import position_view
from tests.unit.engine_desk import COIN_ID, Desk
from tui.panes.positions import PositionsPane


def test_without_a_mark_no_result_is_told() -> None:
    desk = Desk()
    desk.enter()
    seen = position_view(desk.state, desk.market, desk.at_ns, desk.held)
    assert (seen.mark, seen.pnl, seen.pnl_percent, seen.r_multiple) != (None, None, None, None)
    desk.market.marks.clear()
    blind = position_view(desk.state, desk.market, desk.at_ns, desk.held)
    assert (blind.mark, blind.pnl, blind.pnl_percent, blind.r_multiple) == (None, None, None, None)
    assert blind.mark_stale
    assert blind.market_value == Decimal("1000"), "what it cost, until a price is known"
    assert blind.instrument_id == COIN_ID
    texts = [cell.text for cell in PositionsPane().cells(blind)]
    assert texts.count("· –") == 1
    assert not any("−0.0" in text for text in texts)
