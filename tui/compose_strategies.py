"""The strategies of a home's own, loaded where the configuration names them, and held to having been tried."""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from engine.alert_text import span_text
from engine.config import Config
from engine.config_strategies import StrategyConfig
from engine.errors import ConfigError
from engine.strategies.registry import BUILT_IN, Strategy
from engine.strategies.user import FOLDER, load_user_strategy, user_strategy_path, with_patience
from engine.units import NS_PER_SECOND
from store.tried_strategies import trials

FEED_SECONDS = 60  # the bars of every venue's feed, the simulated market's too

_log = logging.getLogger("quarterdeck.compose")


def user_strategies(home: Path, config: Config) -> dict[str, Strategy]:
    """The rules that are no part of the program, by name, as an engine runs them. Raises `ConfigError` for one that is missing or
    wrong."""
    found: dict[str, Strategy] = {}
    for one in config.strategies:
        if one.rule not in BUILT_IN:
            found[one.rule] = _loaded(home, one, found.get(one.rule))
    return {rule: with_patience(user_strategy_path(home, rule), strategy) for rule, strategy in found.items()}


def _loaded(home: Path, one: StrategyConfig, known: Strategy | None) -> Strategy:
    path = user_strategy_path(home, one.rule)
    if not path.is_file():
        raise ConfigError(f'config.toml: strategy "{one.name}": rule = "{one.rule}": no built-in rule, and there is no {path}; '
                          f"built in are: {', '.join(BUILT_IN)}")
    strategy = known or load_user_strategy(path)
    try:
        one.settings(strategy)
    except ConfigError as error:
        raise ConfigError(f'config.toml: strategy "{one.name}": {error}') from None
    return strategy


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


def tried_strategies(home: Path, config: Config) -> dict[str, Strategy]:
    """The same where they are to trade; raises `ConfigError` also for one that was not tried in the form that it has now."""
    found = user_strategies(home, config)
    for line in (*misfits(config.strategies), *untried(home, found)):
        raise ConfigError(line)
    return found


def loadable_strategies(home: Path, config: Config) -> dict[str, Strategy]:
    """Those that can be loaded, tried or not, for an engine that runs none but must know the form that each candidate has. A file
    that is wrong is no reason to refuse a command: whoever closes a position does not wait for it to be mended."""
    found: dict[str, Strategy] = {}
    for one in config.strategies:
        if one.rule not in BUILT_IN:
            try:
                found[one.rule] = _loaded(home, one, found.get(one.rule))
            except ConfigError as error:
                _log.warning("strategy %s is not known here: %s", one.name, error)
    return found


def untried(home: Path, strategies: dict[str, Strategy]) -> Iterator[str]:
    """A line for each rule that may not run yet."""
    known = trials(home / FOLDER)
    for name, strategy in strategies.items():
        if strategy.source_hash not in known:
            path = user_strategy_path(home, name)
            yield f"{path}: not tried in this form yet; run `quarterdeck backtest FILE --strategy {name}` before it may trade"
