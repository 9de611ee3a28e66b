"""Alert rules for the simulated world: levels, crossings, money and ages, with every kind of action, some of them repeating."""

from random import Random

from engine.alert_events import AlertRuleFired, AlertRuleSet
from engine.alert_language import parse_actions, parse_condition
from engine.alert_rules import AlertRule
from engine.events import decode
from engine.inputs import Command, EnableAlertRule, RemoveAlertRule, SetAlertRule
from engine.instruments import Instrument
from engine.ports import JournalRow

NAMES = 4


def alert_command(random: Random, command_id: str, instrument: Instrument, start_ticks: int) -> Command:
    """A rule near the prices of the tape; now and then one is switched off or taken away."""
    rule_id, roll = f"rule-{random.randrange(NAMES)}", random.random()
    if roll < 0.06:
        return RemoveAlertRule(command_id, rule_id)
    if roll < 0.16:
        return EnableAlertRule(command_id, rule_id, enabled=random.random() < 0.6)
    symbol = instrument.symbol
    level = instrument.price(round(start_ticks * (1 + random.gauss(0, 0.01))))
    stop = instrument.price(round(start_ticks * 0.9))
    lots = max(1, round(300_00 * instrument.value_den / (start_ticks * instrument.value_num)))
    condition = random.choice((
        f"{symbol} price > {level}", f"{symbol} price crosses {level}", f"{symbol} price < {level} and spread < 30bps",
        f"{symbol} pnl < -0.5% or {symbol} pnl > 1%", f"{symbol} price > {level} and heat < 3%", "drawdown > 0.2%",
        "connection is down", f"{symbol} quote age > 20s", f"{symbol} age > 2m", f"{symbol} move over 2m > 0.5%",
        f"{symbol} price crosses above ema(3)"))
    do = random.choice(("notify", f"close {symbol}", f"buy {instrument.quantity(lots)} {symbol} stop {stop}",
                        f"buy risk 0.2% {symbol} stop {stop}; notify", f"tighten {symbol} to 1%", f"tighten {symbol} to entry"))
    return SetAlertRule(command_id, AlertRule(
        rule_id, parse_condition(condition), actions=parse_actions(do), repeat=random.random() < 0.4,
        cooldown_seconds=random.choice((0, 10)), lasts_seconds=random.choice((0, 0, 200))))


def fired_too_often(rows: list[JournalRow]) -> list[str]:
    """Rules that fire once and fired again without having been set or enabled anew."""
    spent: dict[str, bool] = {}
    once: dict[str, bool] = {}
    found: list[str] = []
    for row in rows:
        event = decode(row.kind, row.payload)
        if isinstance(event, AlertRuleSet):
            once[event.rule.rule_id] = not event.rule.repeat
            spent[event.rule.rule_id] = False
        elif row.kind == "AlertRuleSwitched":
            spent.pop(getattr(event, "rule_id", ""), None)
        elif isinstance(event, AlertRuleFired):
            if once[event.rule_id] and spent.get(event.rule_id):
                found.append(f"{event.rule_id} fired again at row {row.seq}")
            spent[event.rule_id] = True
    return found
