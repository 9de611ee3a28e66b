"""The strategies of a home's own, loaded where the configuration names them, and held to having been tried."""

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from engine.alert_text import span_text
from engine.config import CONFIG_FILE, Config
from engine.config_strategies import StrategyConfig, rule_errors
from engine.errors import ConfigError, StoreError
from engine.strategies.registry import BUILT_IN, Strategy
from engine.strategies.user import FOLDER, load_user_strategy, user_strategy_path, with_patience
from engine.units import NS_PER_SECOND
from store.tried_strategies import trials

FEED_SECONDS = 60  # the bars of every venue's feed, the simulated market's too

_log = logging.getLogger("quarterdeck.compose")


class Runnable(NamedTuple):
    """The rules that are no part of the program, by the rule's name, and what keeps strategies from running, by theirs."""

    rules: dict[str, Strategy]
    problems: dict[str, str]


def user_strategies(home: Path, config: Config) -> dict[str, Strategy]:
    """The rules that are no part of the program, by name, where a person asks for a run with all of them. Raises `ConfigError`
    for one that is missing or wrong, and for a built-in one that is asked what it cannot do."""
    found: dict[str, Strategy] = {}
    for line in rule_errors(config.strategies):
        raise ConfigError(f"{CONFIG_FILE}: {line}")
    for one in config.strategies:
        if one.rule not in BUILT_IN:
            found[one.rule] = _loaded(home, one, found.get(one.rule))
    return _as_run(home, found)


def runnable_strategies(home: Path, config: Config) -> Runnable:
    """What of a home's strategies an engine may run. One that cannot run keeps nobody from starting: what is held needs its stops
    and a person their commands, so that strategy alone is off, and why is said in a line that tells the remedy."""
    rules: dict[str, Strategy] = {}
    problems: dict[str, str] = {}
    wrong: dict[str, str] = {}
    tried = _tried(home)
    for one in config.strategies:
        unasked = one.rule_problem()
        problem = f'{CONFIG_FILE}: strategy "{one.name}": {unasked}' if unasked else next(misfits([one]), "")
        if one.rule not in BUILT_IN:
            if one.rule not in rules and one.rule not in wrong:  # once for all strategies: a file may take its time to fail
                _load_into(rules, wrong, home, one)
            problem = wrong.get(one.rule) or problem or _unfit(one, rules[one.rule]) or tried(one.rule, rules[one.rule])
        if problem:
            problems[one.name] = f"{problem}; once that is mended, start the engine again"
            _log.warning("strategy %s is off: %s", one.name, problem)
    return Runnable(_as_run(home, rules), problems)


def _as_run(home: Path, rules: dict[str, Strategy]) -> dict[str, Strategy]:
    """With an end to a bar over which one takes too long."""
    return {rule: with_patience(user_strategy_path(home, rule), strategy) for rule, strategy in rules.items()}


def _load_into(rules: dict[str, Strategy], wrong: dict[str, str], home: Path, one: StrategyConfig) -> None:
    """Load the rule of a strategy, or say what is wrong with its file."""
    try:
        rules[one.rule] = _found(home, one)
    except ConfigError as error:
        wrong[one.rule] = str(error)
    except Exception as error:  # noqa: BLE001 - a person's file may raise anything, and ends with its strategies
        wrong[one.rule] = f"{user_strategy_path(home, one.rule)}: {type(error).__name__}: {' '.join(str(error).split())}"


def _loaded(home: Path, one: StrategyConfig, known: Strategy | None) -> Strategy:
    strategy = known or _found(home, one)
    unfit = _unfit(one, strategy)
    if unfit:
        raise ConfigError(unfit)
    return strategy


def _found(home: Path, one: StrategyConfig) -> Strategy:
    path = user_strategy_path(home, one.rule)
    if not path.is_file():
        raise ConfigError(f'config.toml: strategy "{one.name}": rule = "{one.rule}": no built-in rule, and there is no {path}; '
                          f"built in are: {', '.join(BUILT_IN)}")
    return load_user_strategy(path)


def _unfit(one: StrategyConfig, strategy: Strategy) -> str:
    """What of a strategy's parameters its rule does not take; empty where nothing is."""
    try:
        one.settings(strategy)
    except ConfigError as error:
        return f'config.toml: strategy "{one.name}": {error}'
    return ""


def strategy_problems(home: Path, config: Config) -> tuple[list[str], list[str]]:
    """What is wrong with the home's own strategies, and which of them were not tried yet; one line each."""
    errors: list[str] = []
    found: dict[str, Strategy] = {}
    for one in config.strategies:
        if one.rule in BUILT_IN:
            hidden = user_strategy_path(home, one.rule)
            if hidden.exists():
                errors.append(f"{hidden}: {one.rule} is a built-in rule, which runs instead; give the file another name")
            continue
        try:
            found[one.rule] = _loaded(home, one, found.get(one.rule))
        except ConfigError as error:
            errors.append(str(error))
    return [*errors, *misfits(config.strategies)], list(untried(home, found))


def misfits(strategies: Iterable[StrategyConfig], feed_seconds: int = FEED_SECONDS, feed: str = "the venues") -> Iterator[str]:
    """A line for each strategy whose bars cannot be joined from those of a feed."""
    length = span_text(feed_seconds)
    for one in strategies:
        if one.bar_ns % (feed_seconds * NS_PER_SECOND):
            yield (f'config.toml: strategy "{one.name}": bar = "{one.bar}": it is no multiple of {length}, the bars of {feed}; '
                   "set bar to one, or leave it out")


def untried(home: Path, strategies: dict[str, Strategy]) -> Iterator[str]:
    """A line for each rule that may not run yet."""
    tried = _tried(home)
    yield from filter(None, (tried(name, strategy) for name, strategy in strategies.items()))


def _tried(home: Path) -> Callable[[str, Strategy], str]:
    """Says of a rule why it may not trade yet; nothing of one that was tried in the form that it has now."""
    try:
        known, unreadable = trials(home / FOLDER), ""
    except StoreError as error:
        known, unreadable = {}, str(error)

    def problem(rule: str, strategy: Strategy) -> str:
        if strategy.source_hash in known:
            return ""
        path = user_strategy_path(home, rule)
        return unreadable or (f"{path}: not tried in this form yet; run `quarterdeck backtest FILE --strategy {rule}` before it "
                              "may trade")

    return problem
