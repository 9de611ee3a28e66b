"""A rule that reads what had not happened yet is found: among the built-in ones none, in files of a person's own any."""

from pathlib import Path
from typing import Any

import pytest

from engine.errors import ConfigError
from engine.kernel.wants import BY_RISK, ENTER, BarColumns, Held, RuleWant, no_want
from engine.strategies.hindsight import looks_ahead_at
from engine.strategies.registry import BASKET, BUILT_IN, built_in, params_of
from engine.strategies.user import load_user_strategy
from tests.parity.tapes import bars
from tests.parity.test_strategies_compiled import QUICK
from tests.unit.test_cli_search import tape
from tui.command_line import run

FILE = '''"""Buys what will rise."""
from typing import NamedTuple

class Params(NamedTuple):
    risk_bps: int = 100

def warmup(params):
    return 2

def on_bar(context):
    closes, place = context.bars.closes, context.place
    later = closes[min(place + 1, len(closes) - 1)] if context.close() > LEAST else context.close()
    if context.held.lots:
        return context.leave() if later <= context.close() else None
    if later > context.close():
        return context.buy(risk_bps=context.params.risk_bps, stop_ticks=context.close() * 9 // 10)
'''


@pytest.mark.parametrize("name", BUILT_IN)
def test_no_built_in_rule_looks_ahead(name: str) -> None:
    strategy = built_in(name)
    count = min(3, strategy.instruments[1]) if strategy.kind == BASKET else 1
    columns = [bars(40 + number, 500, gap=0.1) for number in range(count)]
    assert looks_ahead_at(strategy, params_of(strategy, QUICK[name]), columns) == 0


def peeking(params: Any, memory: Any, columns: BarColumns, place: int, seen: int, held: Held) -> tuple[Any, RuleWant]:
    """Wants something at one bar alone, and only where there are later ones."""
    there = len(columns.closes)
    return memory, RuleWant(ENTER, 1, BY_RISK, 50, 1, 0, 0, 0) if there > 300 and place == 299 else no_want()


def test_the_first_bar_that_gives_it_away_is_told() -> None:
    columns = bars(3, 500)
    strategy = built_in("ema_cross")._replace(rule=peeking)
    assert looks_ahead_at(strategy, strategy.params(), [columns]) == columns.closes_ns[299]


def test_a_basket_that_reads_beyond_its_bars_is_found() -> None:
    strategy = built_in("rebalance")

    def weights(params: Any, memory: Any, columns: Any, places: Any, seen: int, held: Any, out: Any) -> Any:
        out[0] = 5_000 if columns[1].closes[places[1] + 1] > columns[1].closes[places[1]] else 0
        return strategy.rule(params, memory, columns, places, seen, held, [0] * len(out))

    columns = [bars(number, 100) for number in range(2)]
    assert looks_ahead_at(strategy._replace(rule=weights), strategy.params(), columns) == columns[0].closes_ns[0]


def test_a_rule_that_fails_either_way_does_not_count_as_looking_ahead() -> None:
    def fails(*_: Any) -> Any:
        raise IndexError

    strategy = built_in("ema_cross")._replace(rule=fails)
    assert looks_ahead_at(strategy, strategy.params(), [bars(3, 50)]) == 0


def test_a_file_that_looks_ahead_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "peeks.py"
    path.write_text(FILE.replace("LEAST", "0"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"peeks.py:10: on_bar looks ahead"):
        load_user_strategy(path)
    path.write_text(FILE.replace("place + 1", "place"), encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8").replace("LEAST", "0"), encoding="utf-8")
    load_user_strategy(path)


def test_parity_finds_on_a_persons_bars_what_the_trial_did_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                                    capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("QUARTERDECK_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "strategies"
    folder.mkdir(parents=True)
    (folder / "peeks.py").write_text(FILE.replace("LEAST", "12_000"), encoding="utf-8")
    file = tape(tmp_path, "COIN-USD", 7, 400)
    assert max(bars(7, 400, minutes=60).closes) > 12_000, "further than the bars on which a file is tried out"
    assert run(["parity", file, "-s", "peeks"]) == 1
    assert "peeks looks ahead: at 20" in capsys.readouterr().out
    assert run(["parity", file, "-s", "ema_cross"]) == 0
