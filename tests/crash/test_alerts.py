"""Alert rules across a real `kill -9`: a replay that is killed again and again fires each rule as often as one that lives."""

import json
import random
import sqlite3
from collections import Counter
from pathlib import Path

import msgspec

from engine.alert_language import parse_actions, parse_condition
from engine.alert_rules import AlertRule
from tests.crash.__main__ import BAR_SECONDS, START, Replay, kills, write_tape

BARS = 1_500
KILLS = 5


def write_rules(path: Path, tape: Path) -> None:
    """Levels and crossings all along the tape, some repeating, some that buy and some that close."""
    choose = random.Random(11)
    closes = [float(row.split(",")[4]) for row in tape.read_text(encoding="utf-8").splitlines()[1:]]
    with path.open("w", encoding="utf-8") as file:
        for number in range(40):
            place = 10 + number * 30
            close = closes[place]
            level = f"{close * (1 + choose.uniform(-0.01, 0.01)):.2f}"
            condition, do = choose.choice((
                (f"ETH/USD price > {level}", "notify"), (f"ETH/USD price crosses {level}", "notify"),
                (f"ETH/USD price < {level}", "close ETH/USD"), (f"ETH/USD move over 30m > 0.5% and price > {level}", "notify"),
                (f"ETH/USD price crosses above {level}", f"buy 0.5 ETH/USD stop {close * 0.9:.2f}; notify")))
            rule = AlertRule(f"r{number}", parse_condition(condition), actions=parse_actions(do), repeat=choose.random() < 0.4,
                             cooldown_seconds=3_600)
            command = {"type": "SetAlertRule", "rule": msgspec.to_builtins(rule, builtin_types=()), "command_id": f"set-{number}"}
            at_ns = (START + (place + 1) * BAR_SECONDS) * 1_000_000_000 + number
            file.write(msgspec.json.encode({"at": at_ns, "command": command}).decode() + "\n")


def story(replay: Replay) -> tuple[Counter[str], Counter[str]]:
    """How often each rule fired, and how many orders each rule's firings made or were refused."""
    with sqlite3.connect(f"file:{replay.journal()}?mode=ro", uri=True) as connection:
        rows = [(kind, json.loads(payload)) for kind, payload in connection.execute(
            "SELECT kind, payload FROM journal WHERE kind IN ('AlertRuleFired', 'OrderIntended', 'ProposalRaised') ORDER BY seq")]
    fired = Counter(event["rule_id"] for kind, event in rows if kind == "AlertRuleFired")
    entries = Counter(event["intent"]["strategy"] for kind, event in rows
                      if kind == "OrderIntended" and event["intent"]["purpose"] == "entry")
    entries.update(event["proposal"]["want"]["origin"] for kind, event in rows if kind == "ProposalRaised")
    return fired, entries


def test_each_rule_fires_exactly_once_across_kills(tmp_path: Path) -> None:
    tape, script = tmp_path / "ETH-USD_5m.csv", tmp_path / "rules.jsonl"
    write_tape(tape, BARS, 5)
    write_rules(script, tape)
    calm = Replay(tmp_path / "calm", tape, script)
    _, seconds = calm.finish_timed()
    wanted = story(calm)
    assert sum(wanted[0].values()) > 20
    assert wanted[1]
    disturbed = Replay(tmp_path / "disturbed", tape, script)
    killed = len(list(kills(disturbed, 0.6 * seconds, random.Random(2), KILLS)))
    disturbed.finish()
    assert killed, "it was never killed"
    assert story(disturbed) == wanted
