"""Strategies on the command line: which there are, what each holds and last wanted, and switching one."""

from pathlib import Path

from engine.alert_text import span_text
from engine.errors import ConfigError, UsageError
from engine.inputs import EnableStrategy
from engine.service import RegimeView, Snapshot, StrategyLine, StrategyView
from engine.strategies.registry import BUILT_IN, Strategy, built_in, params_of
from engine.strategies.user import FOLDER, load_user_strategy, user_strategy_path
from tui.commands.link import command_id, engine_link, existing_home
from tui.commands.queries import snapshot_for
from tui.commands.trading import told_receipt
from tui.formats import MISSING, moment, number, percent
from tui.printing import numbers, print_facts, print_json, print_table, words

NS_PER_DAY = 86_400_000_000_000


def list_strategies(path: Path, *, as_json: bool) -> None:
    """Every configured strategy and what it holds."""
    snapshot = snapshot_for(path)
    found = snapshot.strategies if snapshot else ()
    if as_json:
        print_json(found)
        return
    columns = (*words("strategy", "rule", "bar", "portfolio", "runs", "symbol"), *numbers("held", "entry"),
               *words("last want (UTC)", "and what kept it"))
    rows = [row for view in found for row in _rows(view)]
    print_table(columns, rows, empty="no strategies; [[strategies]] in config.toml names them, `quarterdeck strategies rules` "
                                     "lists what there is")


def _rows(view: StrategyView) -> list[list[str]]:
    runs = "off" if view.problem else "yes" if view.enabled else "no"
    head = [view.name, view.rule, span_text(view.bar_seconds) if view.bar_seconds else "feed", view.portfolio, runs]
    if not view.lines:
        return [[*head, ", ".join(view.symbols), "", "", view.note or MISSING, view.problem]]
    return [[*head, line.symbol, number(line.quantity), number(line.entry), _when(line), view.problem or line.refusal or MISSING]
            for line in view.lines]


def _when(line: StrategyLine) -> str:
    return moment(line.want_at_ns) if line.want_at_ns else MISSING


def show(path: Path, name: str, *, as_json: bool) -> None:
    """One strategy with everything known of it; or, by a rule's name, what that rule does and takes."""
    snapshot = snapshot_for(path)
    view = next((one for one in (snapshot.strategies if snapshot else ()) if one.name == name), None)
    if view is None:
        own = user_strategy_path(path, name)
        if name not in BUILT_IN and not own.is_file():
            raise UsageError(f"{name}: no such strategy; there is: {_names(snapshot)}")
        _show_rule(load_user_strategy(own) if own.is_file() else built_in(name), as_json=as_json)
        return
    if as_json:
        print_json(view)
        return
    runs = f"off: {view.problem}" if view.problem else "yes" if view.enabled else "no"
    facts = [("strategy", view.name), ("rule", view.rule), ("portfolio", view.portfolio),
             ("runs", f"{runs}{f', {view.note}' if view.note else ''}"),
             ("bars", f"of {span_text(view.bar_seconds)}, joined from the feed's" if view.bar_seconds else "the feed's own"),
             ("warm-up", f"{view.warmup_bars} bars")]
    facts += [(key, f"{value:g}") for key, value in view.params.items()]
    for line in view.lines:
        waiting = f", {line.waiting} on its way" if line.waiting else ""
        held = f"{number(line.quantity)} at {number(line.entry)}" if line.quantity else "flat"
        facts.append((line.symbol, f"{held}{waiting}; {line.bars} bars seen"))
        if line.want:
            facts.append(("  last want", f"{moment(line.want_at_ns)} UTC: {line.want}"))
        if line.refusal:
            facts.append(("  refused", line.refusal))
    print_facts(facts)


def _names(snapshot: Snapshot | None) -> str:
    named = [one.name for one in snapshot.strategies] if snapshot else []
    return ", ".join([*named, *BUILT_IN])


def list_rules(path: Path, *, as_json: bool) -> None:
    """The built-in rules and those of the home's own, each with what it does in a sentence, or what is wrong with its file."""
    found, wrong = [built_in(name) for name in BUILT_IN], {}
    for file in sorted((path / FOLDER).glob("*.py")):
        try:
            found.append(load_user_strategy(file))
        except ConfigError as error:
            wrong[file.stem] = str(error)
    if as_json:
        print_json([*(_rule_facts(one) for one in found), *({"rule": name, "error": why} for name, why in wrong.items())])
        return
    rows = [[one.name, _trades(one), _sentence(one)] for one in found]
    rows += [[name, MISSING, why] for name, why in wrong.items()]
    print_table(words("rule", "trades", "what it does"), rows, empty="")


def _sentence(strategy: Strategy) -> str:
    said = strategy.about.split(". ", maxsplit=1)[0].rstrip(".")
    return said if strategy.source_hash else said.partition(": ")[2]


def _trades(strategy: Strategy) -> str:
    least, most = strategy.instruments
    if strategy.kind == "rule":
        return "each symbol"
    return f"{least} together" if least == most else f"{least} to {most} together"


def _rule_facts(strategy: Strategy) -> dict[str, object]:
    defaults = params_of(strategy, {})._asdict()
    return {"rule": strategy.name, "kind": strategy.kind, "about": strategy.about, "instruments": strategy.instruments,
            "params": {name: {"default": value, "least": strategy.bounds[name].least, "largest": strategy.bounds[name].largest}
                       if name in strategy.bounds else {"default": value} for name, value in defaults.items()}}


def _show_rule(strategy: Strategy, *, as_json: bool) -> None:
    if as_json:
        print_json(_rule_facts(strategy))
        return
    print_facts([("rule", strategy.name), ("trades", _trades(strategy)), ("about", strategy.about),
                 ("warm-up", f"{strategy.warmup(strategy.params())} bars with these parameters")])
    rows = [[name, f"{value:g}", f"{strategy.bounds[name].least:g}" if name in strategy.bounds else MISSING,
             f"{strategy.bounds[name].largest:g}" if name in strategy.bounds else MISSING]
            for name, value in strategy.params()._asdict().items()]
    print_table((*words("parameter"), *numbers("default", "least", "largest")), rows, empty="no parameters")


def switch(path: Path, name: str, *, enabled: bool, as_json: bool) -> int:
    """Let a strategy run, or stop it; the exit status."""
    with engine_link(path) as link:
        receipt = link.send_now(EnableStrategy(command_id(), name, enabled))
    return told_receipt(receipt, as_json=as_json)


def regimes(path: Path, days: int | None, *, as_json: bool) -> None:
    """The newest regime of each instrument, or those of the newest days as they were told then."""
    found = _regimes_now(path) if days is None else _regimes_of(path, days)
    if as_json:
        print_json(found)
        return
    columns = (*words("symbol", "day", "trend", "volatility"), *numbers("efficiency", "of usual volatility", "entry size"))
    rows = [[one.symbol, moment(one.day * NS_PER_DAY)[:10], one.trend, one.volatility, f"{one.efficiency:+.2f}",
             f"{one.volatility_ratio:.2f}", percent(one.size_percent, 0)] for one in found]
    print_table(columns, rows, empty="no regimes yet: they take a day's beginning and, by default, 241 bars")


def _regimes_now(path: Path) -> tuple[RegimeView, ...]:
    snapshot = snapshot_for(path)
    return snapshot.regimes if snapshot else ()


def _regimes_of(path: Path, days: int) -> tuple[RegimeView, ...]:
    """Regimes of past days, the newest first; sizes are those that the configuration gives to them now."""
    from engine.config import load_config
    from engine.regimes import TREND_WORDS, VOLATILITY_WORDS, DayRegime
    from store.history import regimes_told

    home = existing_home(path)
    if not home.journal.is_file():
        return ()
    settings = load_config(home.config).regimes.settings()
    return tuple(
        RegimeView(one.instrument_id.partition("@")[0], one.instrument_id, one.day, TREND_WORDS[one.trend],
                   VOLATILITY_WORDS[one.volatility], one.efficiency, one.ratio,
                   100 * DayRegime(one.day, one.trend, one.volatility, one.efficiency, one.ratio).size_factor(settings))
        for one in regimes_told(home.journal, days))
