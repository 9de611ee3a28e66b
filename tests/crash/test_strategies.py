"""Strategies across a real `kill -9`: a replay that is killed again and again wants and trades what an undisturbed one does."""

import json
import random
import sqlite3
from pathlib import Path

import pytest

from tests.crash.__main__ import Replay, doubled_orders, end_state, kills, write_tape

pytestmark = pytest.mark.slow

BARS = 2_500
KILLS = 4
CONFIG = """
[[portfolio]]
name = "main"
account = "paper"
automation = "auto_execute"
risk_tolerance = "aggressive"

[[strategies]]
name = "one"
rule = "{rule}"
symbols = ["ETH/USD"]
params = {{{params}}}
bar = "{bar}"
"""


def replay_in(home: Path, tape: Path, rule: str, params: str, bar: str) -> Replay:
    for folder in (home, home.with_name(f"{home.name}-warm")):
        folder.mkdir()
        (folder / "config.toml").write_text(CONFIG.format(rule=rule, params=params, bar=bar), encoding="utf-8")
    return Replay(home, tape, None)


def wants(replay: Replay) -> list[tuple[int, str, str]]:
    """What was wanted after which bar, with what was remembered."""
    with sqlite3.connect(f"file:{replay.journal()}?mode=ro", uri=True) as connection:
        events = [json.loads(payload) for (payload,) in connection.execute(
            "SELECT payload FROM journal WHERE kind = 'StrategyActed' ORDER BY seq")]
    return [(event["close_ns"], event.get("want", ""), json.dumps(event.get("memory"))) for event in events]


@pytest.mark.parametrize(("rule", "bar", "params"), [
    ("ensemble", "", "fast_bars = 5, slow_bars = 20, lookback_bars = 20, channel_bars = 20, enter_score = 0.3, shorts = 1"),
    ("grid", "", "levels = 4, step_bps = 40, part_bps = 200, pause_bars = 5"),
    ("dca", "", "interval_seconds = 3600, buy_bps = 20, mean_bars = 20, dip_weight = 50.0, stop_bps = 500"),
    ("ema_cross", "15m", "fast_bars = 3, slow_bars = 8, warmup_bars = 10, leave_on_cross = 1, shorts = 1")])
def test_a_killed_replay_goes_on_exactly(tmp_path: Path, rule: str, bar: str, params: str) -> None:
    tape = tmp_path / "ETH-USD_5m.csv"
    write_tape(tape, BARS, 7)
    calm = replay_in(tmp_path / "calm", tape, rule, params, bar)
    report, seconds = calm.finish_timed()
    wanted = wants(calm)
    assert len(wanted) > 20
    disturbed = replay_in(tmp_path / "disturbed", tape, rule, params, bar)
    killed = len(list(kills(disturbed, 0.7 * seconds, random.Random(3), KILLS)))
    again = disturbed.finish()
    assert killed, "it was never killed"
    assert wants(disturbed) == wanted
    assert end_state(disturbed, again) == end_state(calm, report)
    assert not doubled_orders(disturbed.journal())
