"""Alert rules: set, looked at, fired. A firing, its alert and the intents of its actions are one journal transaction, so that
a rule has fired with all that follows from it, or not at all.

What came true while the engine was down: a level fires at the first quote of the new run, a crossing compares the first quote
with the side that was journaled last, money and ages are read once every position has a quote. A rule with an order waits
until the venue has been asked.
"""

from collections.abc import Iterable

import msgspec

from engine.alert_bands import asking
from engine.alert_events import AlertRuleFired, AlertRuleNoted, AlertRuleRemoved, AlertRuleSet, AlertRuleSwitched
from engine.alert_rules import MOST_RULES, AlertRule, AlertRuleState, NotifyAction, problem_of
from engine.alert_text import actions_text, condition_text
from engine.alert_values import Facts
from engine.alerts import bands_of, is_over, judge, reading_text, readings, waits_for_venue
from engine.decide.alert_actions import perform
from engine.effects import Answer, Notify
from engine.events import AlertRaised, CommandDone
from engine.inputs import Bar, EnableAlertRule, Quote, ReadAlertRule, RemoveAlertRule, SetAlertRule
from engine.market import MarketView
from engine.service import AlertLevel, Receipt, Refusal
from engine.state import State
from engine.turn import Turn
from engine.units import NS_PER_SECOND
from engine.want import resolve

# ---- looking -------------------------------------------------------------------------------------------------------------


def quote_asks(state: State, market: MarketView, quote: Quote) -> tuple[str, ...]:
    """The rules of the quote's instrument that it has anything to say to."""
    index = state.alert_index.get(quote.instrument_id)
    if index is None:
        return ()
    bands = market.alert_memo.bands.get(quote.instrument_id)
    if bands is None:
        return index
    return asking(index, state.alert_rules, state.positions, bands, quote.bid_ticks, quote.ask_ticks)


def bar_closed(turn: Turn, bar: Bar) -> None:
    """A bar moves means, windows and, on a tape of bars, the price."""
    look(turn, turn.state.alert_index.get(bar.instrument_id, ()))


def beat(turn: Turn) -> None:
    """Rules that time can make true or old, and those that only waited for the end of their cool-down."""
    rules = turn.state.alert_rules
    for rule_id in turn.state.alert_timed:
        _over(turn, rules[rule_id])
    held_back = [rule_id for rule_id in turn.market.alert_memo.held_back
                 if rule_id not in rules or not _is_cooling(turn, rules[rule_id])]
    timed = [rule_id for rule_id in turn.state.alert_timed if rules[rule_id].rule.timed]
    look(turn, dict.fromkeys((*timed, *held_back)))


def look(turn: Turn, rule_ids: Iterable[str]) -> None:
    """Look at rules with the newest facts, fire those whose time has come, and find anew what each is quiet within."""
    money: dict[tuple[str, str], float | None] = {}
    seen: tuple[object, ...] = ()
    for rule_id in rule_ids:
        known = turn.state.alert_rules.get(rule_id)
        if known is None or not known.enabled or _over(turn, known):
            continue
        if waits_for_venue(turn.state, known):
            turn.market.alert_memo.drop(known.watched_instruments, rule_id)
            continue
        money, seen = _still(turn.state, money, seen)
        _look_at(turn, known, Facts(turn.state, turn.market, turn.at_ns, money))
        after = turn.state.alert_rules.get(rule_id)
        if after is None or not after.enabled:
            turn.market.alert_memo.drop(known.watched_instruments, rule_id)
            continue
        for instrument_id, band in bands_of(Facts(turn.state, turn.market, turn.at_ns, {}), after).items():
            turn.market.alert_memo.put(instrument_id, rule_id, band)


def _still(state: State, money: dict[tuple[str, str], float | None],
           seen: tuple[object, ...]) -> tuple[dict[tuple[str, str], float | None], tuple[object, ...]]:
    """What was found about money, for as long as nothing that it depends on has changed."""
    now = (state.positions, state.orders, state.accounts, state.portfolios)
    if len(seen) == len(now) and all(one is other for one, other in zip(now, seen, strict=True)):
        return money, seen
    return {}, now


def _over(turn: Turn, known: AlertRuleState) -> bool:
    """End a rule whose time is over."""
    if not known.expires_at_ns or turn.at_ns < known.expires_at_ns:
        return False
    rule_id = known.rule.rule_id
    turn.emit(AlertRuleSwitched(rule_id, enabled=False, reason="expired", by="engine"))
    turn.alert(AlertLevel.INFO, "alert-expired", rule_id, f"the rule has expired: {condition_text(known.rule.condition)}")
    turn.market.alert_memo.drop(known.watched_instruments, rule_id)
    return True


def _is_cooling(turn: Turn, known: AlertRuleState) -> bool:
    cooldown_ns = known.rule.cooldown_seconds * NS_PER_SECOND
    return known.rule.repeat and bool(known.fired_count) and turn.at_ns < known.fired_at_ns + cooldown_ns


def _look_at(turn: Turn, known: AlertRuleState, facts: Facts) -> None:
    verdict = judge(facts, known)
    rule_id, held_back = known.rule.rule_id, turn.market.alert_memo.held_back
    held_back.pop(rule_id, None)
    if known.armed and verdict.holds and not _is_cooling(turn, known):
        reading = reading_text(facts, known)
        turn.emit(AlertRuleFired(rule_id, reading, verdict.sides, is_over(facts, known)))
        _tell(turn, known.rule, reading)
        for action in known.rule.actions:
            perform(turn, known.rule, action)
        return
    if known.armed and verdict.holds:
        held_back[rule_id] = None
    armed = known.armed or verdict.holds is False
    if armed != known.armed or verdict.sides != known.sides:
        turn.emit(AlertRuleNoted(rule_id, verdict.sides, armed))


def _tell(turn: Turn, rule: AlertRule, reading: str) -> None:
    """Every firing is an alert of its own, told once however often the same words came before."""
    subject = next(iter(rule.symbols), rule.portfolio)
    note = f"{rule.note}: " if rule.note else ""
    text = f"{note}{condition_text(rule.condition)} ({reading})"
    turn.emit(AlertRaised(f"rule:{rule.rule_id}", AlertLevel.WARN, "alert", subject, text))
    if NotifyAction() in rule.actions:
        turn.effects.append(Notify(AlertLevel.WARN, f"alert {subject}", text, f"rule:{rule.rule_id}", rule.portfolio, turn.at_ns))


# ---- commands ------------------------------------------------------------------------------------------------------------


def set_rule(turn: Turn, command: SetAlertRule) -> None:
    """Watch a rule, from the very first look on; one without an id gets one made of its journal row."""
    found = _understood(turn, command.rule)
    if isinstance(found, Refusal):
        turn.refuse(command.command_id, "alert rule", found)
        return
    rule, instruments = found
    turn.market.alert_memo.forget_views()
    turn.emit(AlertRuleSet(rule, instruments, command.by, command.command_id))
    look(turn, (rule.rule_id,))
    turn.accept(command.command_id, f"{rule.rule_id}: {condition_text(rule.condition)} -> {actions_text(rule.actions)}")


def _understood(turn: Turn, rule: AlertRule) -> tuple[AlertRule, dict[str, str]] | Refusal:
    """The rule with an id, and what its symbols mean."""
    problem = problem_of(rule)
    if problem:
        return Refusal("alert rule", "a rule that can be meant", rule.rule_id or "new", problem)
    if rule.portfolio not in turn.state.portfolios:
        return Refusal("portfolio", ", ".join(turn.state.portfolios), rule.portfolio,
                       f"there is no portfolio called {rule.portfolio!r}")
    if rule.rule_id not in turn.state.alert_rules and len(turn.state.alert_rules) >= MOST_RULES:
        return Refusal("alert rules", str(MOST_RULES), str(len(turn.state.alert_rules)),
                       f"there are {MOST_RULES} rules already; remove some")
    instruments: dict[str, str] = {}
    for symbol in rule.symbols:
        instrument = resolve(turn.state, symbol, rule.portfolio)
        if isinstance(instrument, Refusal):
            return instrument
        instruments[symbol] = instrument.instrument_id
    if not rule.rule_id:
        rule = msgspec.structs.replace(rule, rule_id=f"a{turn.state.seq + 1}")
    return rule, instruments


def remove_rule(turn: Turn, command: RemoveAlertRule) -> None:
    known = turn.state.alert_rules.get(command.rule_id)
    if known is None:
        turn.refuse(command.command_id, f"remove alert {command.rule_id}", _unknown(turn, command.rule_id))
        return
    turn.market.alert_memo.drop(known.watched_instruments, command.rule_id)
    turn.market.alert_memo.forget_views()
    turn.emit(AlertRuleRemoved(command.rule_id, command.by, command.command_id))
    turn.accept(command.command_id, f"{command.rule_id} is removed")


def enable_rule(turn: Turn, command: EnableAlertRule) -> None:
    """Let a rule watch anew, or stop it; a rule that is already so stays as it is."""
    known = turn.state.alert_rules.get(command.rule_id)
    if known is None:
        turn.refuse(command.command_id, f"alert {command.rule_id}", _unknown(turn, command.rule_id))
        return
    word = "watched" if command.enabled else "not watched"
    if known.enabled == command.enabled:
        turn.emit(CommandDone(command.command_id, f"{command.rule_id} is already {word}"))
        turn.accept(command.command_id, f"{command.rule_id} is already {word}")
        return
    reason = "" if command.enabled else f"disabled by {command.by}"
    turn.emit(AlertRuleSwitched(command.rule_id, command.enabled, reason, command.by, command.command_id))
    look(turn, (command.rule_id,))
    turn.accept(command.command_id, f"{command.rule_id} is {word}")


def _unknown(turn: Turn, rule_id: str) -> Refusal:
    known = ", ".join(list(turn.state.alert_rules)[:5])
    return Refusal("alert rule", known or "none is set", rule_id, f"there is no alert rule {rule_id!r}")


def read_rule(turn: Turn, command: ReadAlertRule) -> None:
    """What every comparison of a rule reads now; nothing is recorded."""
    found = _understood(turn, command.rule)
    if isinstance(found, Refusal):
        turn.effects.append(Answer(Receipt(command.command_id, accepted=False, seq=turn.state.seq, refusal=found)))
        return
    rule, instruments = found
    kept = turn.state.alert_rules.get(rule.rule_id)
    same = kept is not None and kept.rule.condition == rule.condition
    known = kept if kept is not None and same else AlertRuleState(rule, instruments, command.by, turn.at_ns)
    facts = Facts(turn.state, turn.market, turn.at_ns, {})
    words = {True: "it holds now", False: "it does not hold now", None: "it cannot be told yet"}[judge(facts, known).holds]
    turn.effects.append(Answer(Receipt(command.command_id, accepted=True, seq=turn.state.seq,
                                       text=f"{condition_text(rule.condition)}: {words}", readings=readings(facts, known))))
