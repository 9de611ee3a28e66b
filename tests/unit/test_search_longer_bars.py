"""Searches with a rule on longer bars: windows begin warm, and what was tried on one length counts for no other."""

from pathlib import Path

import numpy as np

from engine.backtest.longer_bars import Joining, join
from engine.backtest.run import backtest
from engine.search.identity import digest_of
from engine.search.measuring import Material, cut, outcome_of, strategy_in, warming_bars
from engine.search.outcomes import WHOLE, Span
from tests.parity.tapes import series
from tests.unit.search_desk import material

TEN_NS = 600 * 10**9
FORTY_NS = 4 * TEN_NS


def on_tens(folder: Path) -> Material:
    """Bars of ten minutes."""
    return material(folder)._replace(series=(series("COIN", 7, 600, minutes=10),))


def test_a_window_begins_with_as_many_longer_bars_as_the_rule_sees_first(tmp_path: Path) -> None:
    recorded = on_tens(tmp_path)
    longer = recorded._replace(setup=recorded.setup._replace(bar_ns=FORTY_NS))
    closes_ns = np.asarray(longer.series[0].bars.closes_ns)
    strategy = strategy_in(longer)
    for first in (100, 203, 311):
        span = Span(int(closes_ns[first]), int(closes_ns[first + 150]))
        for bars in (3, 20):
            before = warming_bars(longer, strategy, {"bars": bars})
            window, = cut(longer.series, span, before)
            told = join(window.bars, (), Joining(FORTY_NS)).bars
            assert sum(end_ns <= span.from_ns for end_ns in told.closes_ns) >= bars
    assert warming_bars(recorded, strategy, {"bars": 20}) == 20


def test_an_outcome_is_the_backtests_and_of_its_own_length(tmp_path: Path) -> None:
    recorded = on_tens(tmp_path)
    longer = recorded._replace(setup=recorded.setup._replace(bar_ns=FORTY_NS))
    tested = backtest(longer.series, strategy_in(longer), {"bars": 3}, longer.setup)
    found = outcome_of(longer, WHOLE, {"bars": 3}, None, with_returns=False)
    assert (found.round_trips, found.final_equity_minor) == (len(tested.trips), tested.final_equity_minor)
    assert len(tested.trips) > 5
    assert len({digest_of(longer), digest_of(recorded),
                digest_of(longer._replace(setup=longer.setup._replace(bar_ns=2 * TEN_NS)))}) == 3
