"""Strategies of one's own: loaded from a file, refused in one line with file and line, and not let near a market untried."""

import json
from pathlib import Path

import pytest

from engine.backtest.run import Setup, backtest
from engine.config import check_config, load_config
from engine.errors import ConfigError, StoreError
from engine.kernel.wants import BY_RISK, BY_SHARE, ENTER, BarColumns, RuleWant, flat
from engine.strategies.registry import params_of
from engine.strategies.user import load_user_strategy
from engine.strategies.writing import Context
from engine.strategy_state import StrategyState
from store.tried_strategies import Trial, record_trial, trials
from tests.parity.tapes import series
from tui.commands.config_text import default_text
from tui.compose_strategies import runnable_strategies, strategy_problems, user_strategies

GOOD = '''"""Buys what breaks out."""
from typing import NamedTuple

class Params(NamedTuple):
    bars: int = 3
    risk_bps: int = 100

class Memory(NamedTuple):
    high: int = 0
    asked: int = 0

KEPT = ("asked",)
BOUNDS = {"bars": (1, 50)}

def warmup(params):
    return params.bars

def on_bar(context):
    high = context.highest(context.params.bars, back=1)
    context.memory = context.memory._replace(high=high)
    if context.held.lots:
        return context.leave()
    if context.close() > high:
        context.memory = context.memory._replace(asked=context.memory.asked + 1)
        return context.buy(risk_bps=context.params.risk_bps, stop_ticks=context.lowest(2))
'''


def written(folder: Path, source: str, name: str = "mine") -> Path:
    path = folder / "strategies" / f"{name}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(source, encoding="utf-8")
    return path


def test_a_file_becomes_a_rule(tmp_path: Path) -> None:
    strategy = load_user_strategy(written(tmp_path, GOOD))
    assert (strategy.name, strategy.about, strategy.kept) == ("mine", "Buys what breaks out.", ("asked",))
    params = params_of(strategy, {"bars": 2})
    bars = BarColumns([0, 1, 2], [1, 2, 3], [10, 11, 12], [12, 13, 20], [9, 10, 11], [11, 12, 19], [1, 1, 1])
    memory = strategy.memory()
    for place in range(2):
        memory, want = strategy.rule(params, memory, bars, place, place + 1, flat())
        assert want.act == 0, "the warm-up is not over"
    memory, want = strategy.rule(params, memory, bars, 2, 3, flat())
    assert want == RuleWant(ENTER, 1, BY_RISK, 100, 10, 0, 0, 0)
    assert (memory.high, memory.asked) == (13, 1)


COUNTING = '''"""Buys at its seventh bar, leaves after three."""
from typing import NamedTuple

class Params(NamedTuple):
    risk_bps: int = 100

class Memory:
    bars: int = 0
    low: float = 1e9
    asked = 0

KEPT = ("asked",)

def warmup(params):
    return 0

def on_bar(context):
    memory = context.memory
    memory.bars += 1
    memory.low = min(memory.low, context.low())
    if memory.bars == 7:
        memory.asked += 1
        return context.buy(share_bps=100, stop_ticks=memory.low // 2)
    if context.held.since_bars == 3:
        return context.leave()
'''


def test_a_memory_of_plain_numbers_is_set_in_place_and_answers_as_every_other(tmp_path: Path) -> None:
    strategy = load_user_strategy(written(tmp_path, COUNTING))
    memory = strategy.memory()
    bars = BarColumns([0], [1], [10], [12], [9], [11], [1])
    after, _ = strategy.rule(params_of(strategy, {}), memory, bars, 0, 1, flat())
    assert after is memory
    assert memory._asdict() == {"bars": 1, "low": 9, "asked": 0}
    assert (tuple(memory), repr(memory)) == ((1, 9, 0), "Memory(bars=1, low=9, asked=0)")
    assert memory._replace(asked=4) != memory
    assert strategy.memory() == strategy.memory(2, asked=0)._replace(bars=0), "what one run sets, no other begins with"
    assert strategy.explain(params_of(strategy, {}), memory, RuleWant(ENTER, 1, BY_RISK, 1, 0, 0, 0, 0), str) == \
        "its own rule (bars 1, low 9, asked 0)"
    for wrong in ({"numbers": 3}, {"bars": 1, "named": 2}):
        with pytest.raises(TypeError, match=r"Memory\.(numbers|named): no such field"):
            strategy.memory(**wrong)
    with pytest.raises(TypeError, match="Memory has 3 fields, not 4"):
        strategy.memory(1, 2, 3, 4)
    with pytest.raises(TypeError, match=r"Memory\.bars: given twice"):
        strategy.memory(1, bars=1)


def test_each_instrument_of_a_backtest_has_a_memory_of_its_own(tmp_path: Path) -> None:
    strategy = load_user_strategy(written(tmp_path, COUNTING))
    both = [series("ONE", 1, 30), series("TWO", 2, 30)]
    trips = backtest(both, strategy, {}, Setup(10 ** 12)).trips
    assert [(trip[0], trip[13], trip[14] % 30) for trip in trips.tolist()] == [(0, 7, 10), (1, 37, 10)]


@pytest.mark.parametrize(("before", "after", "told"), [
    ("memory.bars += 1", "memory.bar += 1", ":19: AttributeError: 'Memory' object has no attribute 'bar'"),
    ("    asked = 0", "    asked = 'none'", ":1: Memory.asked needs a number as its default"),
    ("    bars: int = 0", "    bars: int", ":1: Memory.bars needs a number as its default"),
    ("    asked = 0", "    asked = 0\n    def more(self): pass", ":1: Memory.more needs a number as its default"),
    ("class Memory:", "class Memory(dict):", ":1: Memory must be a plain class of numbers or a NamedTuple"),
    ("memory.bars += 1", "memory.bars = 10 ** 30", ":17: context.memory.bars = 1000000")])
def test_a_memory_of_plain_numbers_that_is_wrong_is_told_with_its_line(tmp_path: Path, before: str, after: str,
                                                                       told: str) -> None:
    path = written(tmp_path, COUNTING.replace(before, after))
    with pytest.raises(ConfigError) as caught:
        load_user_strategy(path)
    assert f"{path}{told}" in str(caught.value)


@pytest.mark.parametrize(("before", "after", "told"), [
    ("def on_bar(context):", "def on_bar(context)", ":18: expected ':'"),
    ("from typing import NamedTuple", "from typing import NamedTupel", ":2: ImportError: cannot import name 'NamedTupel'"),
    ("def warmup(params):", "def warmups(params):", ":1: warmup is missing; a strategy has Params, warmup"),
    ("class Params(NamedTuple):", "class Params:", ":1: Params must be a NamedTuple"),
    ("bars: int = 3", "bars: int = None", ":1: Params.bars needs a number as its default"),
    ("risk_bps: int = 100", "risk_bps: str = 'much'", ":1: Params.risk_bps needs a number"),
    ('KEPT = ("asked",)', 'KEPT = ("ask",)', ":1: KEPT names 'ask', which is no field of Memory"),
    ('BOUNDS = {"bars": (1, 50)}', 'BOUNDS = {"bar": (1, 50)}', ":1: BOUNDS['bar'] must be (least, largest) of a parameter"),
    ("    return params.bars", "    return 'three'", ":15: warmup must give 0 to 1900 bars, not 'three'"),
    ("    return params.bars", "    return params.bar", ":16: AttributeError: 'Params' object has no attribute 'bar'"),
    ("        return context.leave()", "        return 5", ":18: on_bar must give context.buy(...), context.sell_short"),
    ("context.highest(context.params.bars, back=1)", "context.highest(context.params.bars, back=9)",
     ":19: IndexError: 11 bars back: only 4 are known; let warmup() ask for more"),
    ("risk_bps=context.params.risk_bps", "quantity=3", "quantity"),
    ("stop_ticks=context.lowest(2)", "stop_ticks=context.mean(7) + 0.5", "round them"),
    ("        return context.leave()", "        context.memory = 3", ":18: context.memory must stay a Memory, not int")])
def test_what_is_wrong_is_told_with_file_and_line(tmp_path: Path, before: str, after: str, told: str) -> None:
    assert before in GOOD
    path = written(tmp_path, GOOD.replace(before, after))
    with pytest.raises(ConfigError) as raised:
        load_user_strategy(path)
    assert str(path) in str(raised.value)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_built_in_name_is_not_taken(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="grid is a built-in rule; give the file another name"):
        load_user_strategy(written(tmp_path, GOOD, "grid"))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.py: cannot be read"):
        load_user_strategy(tmp_path / "none.py")


def test_the_context_reads_bars_and_says_wants() -> None:
    context = Context()
    context.show(BarColumns([0, 60], [60, 120], [10, 11], [15, 16], [8, 9], [11, 12], [5, 6]))
    context.place, context.seen = 1, 2
    assert (context.open(), context.high(1), context.low(), context.close(1), context.volume()) == (11, 15, 9, 11, 6)
    assert (context.close_ns(), context.highest(2), context.lowest(2), context.mean(2)) == (120, 16, 8, 11.5)
    assert context.sell_short(share_bps=50, trail_ticks=3) == RuleWant(ENTER, -1, BY_SHARE, 50, 0, 0, 3, 0)
    assert context.leave(2_500).size_bps == 2_500
    with pytest.raises(IndexError, match="2 bars back: only 2 are known"):
        context.close(2)
    with pytest.raises(ValueError, match="one way"):
        context.buy(risk_bps=1, share_bps=1)


CONFIG = """
[[strategies]]
name = "own"
rule = "mine"
symbols = ["BTC/USD"]
params = {bars = 5}
"""


def configured(folder: Path, text: str = CONFIG) -> Path:
    (folder / "config.toml").write_text(text, encoding="utf-8")
    return folder


def test_it_may_trade_once_it_was_tried_in_the_form_it_has(tmp_path: Path) -> None:
    home, path = configured(tmp_path), written(tmp_path, GOOD)
    config = load_config(home / "config.toml")
    assert off(home) == (f"{path}: not tried in this form yet; run `quarterdeck backtest FILE --strategy mine` before it may "
                         "trade; once that is mended, start the engine again")
    digest = load_user_strategy(path).source_hash
    record_trial(path.parent, digest, Trial("mine", 1, 1_000, 12))
    found = runnable_strategies(home, config)
    assert not found.problems and found.rules["mine"].source_hash == digest
    assert trials(path.parent)[digest].bars == 1_000
    path.write_text(GOOD + "\n# changed\n", encoding="utf-8")
    assert strategy_problems(home, config)[1]
    assert "not tried" in off(home)
    assert config.settings(user_strategies(home, config)).strategies[0].params == {"bars": 5, "risk_bps": 100}


def off(home: Path) -> str:
    """Why the only strategy of a home is off, as the engine is told."""
    config = load_config(home / "config.toml")
    (settings,) = config.settings(*runnable_strategies(home, config)).strategies
    assert StrategyState(switched=True).runs(settings) is not bool(settings.problem)
    return settings.problem


@pytest.mark.parametrize(("source", "told"), [
    (GOOD.replace("def warmup(params):", "def warmup(params"), "mine.py:15: "),
    (GOOD.replace("def on_bar", "def on_bars"), "mine.py:1: on_bar is missing"),
    (GOOD.replace("return params.bars", "return 1 // 0"), "mine.py:16: ZeroDivisionError"),
    ("raise SystemExit('no')\n", "mine.py:1: SystemExit: no"), ("\x00", "mine.py"), ("-" * 200_000 + "1", "mine.py"),
    (None, "no built-in rule, and there is no")])
def test_a_file_that_is_wrong_turns_off_its_strategy_alone(tmp_path: Path, source: str | None, told: str) -> None:
    home = configured(tmp_path, CONFIG + '[[strategies]]\nname = "saver"\nrule = "dca"\nsymbols = ["B"]\n')
    if source is not None:
        written(tmp_path, source)
    config = load_config(home / "config.toml")
    own, saver = config.settings(*runnable_strategies(home, config)).strategies
    assert told in own.problem and own.problem.endswith("; once that is mended, start the engine again")
    assert "\n" not in own.problem
    assert (own.params, own.source_hash) == ({"bars": 5}, "")
    assert not saver.problem


def test_parameters_that_its_rule_does_not_take_turn_off_one_strategy_and_not_the_other_of_that_file(tmp_path: Path) -> None:
    other = CONFIG[CONFIG.index("[[strategies]]"):].replace("own", "other").replace("BTC", "ETH").replace("bars", "barz")
    home, path = configured(tmp_path, CONFIG + other), written(tmp_path, GOOD)
    record_trial(path.parent, load_user_strategy(path).source_hash, Trial("mine", 1, 1_000, 12))
    config = load_config(home / "config.toml")
    own, wrong = config.settings(*runnable_strategies(home, config)).strategies
    assert not own.problem
    assert 'strategy "other": barz: mine has no such parameter' in wrong.problem
    assert wrong.params == {"barz": 5}


@pytest.mark.parametrize(("lines", "told"), [
    ('rule = "ema_cross"\nsymbols = ["A"]\nparams = {fast_bars = 99}', "params: fast_bars = 99: must be below slow_bars = 50"),
    ('rule = "pairs"\nsymbols = ["A"]', "pairs trades 2 symbols, here are 1"),
    ('rule = "dca"\nsymbols = ["A"]\nbar = "90s"', "it is no multiple of 1m")])
def test_what_a_built_in_rule_cannot_do_turns_off_that_strategy_alone(tmp_path: Path, lines: str, told: str) -> None:
    home = configured(tmp_path, f'[[strategies]]\nname = "a"\n{lines}\n')
    assert told in off(home)
    errors, _ = strategy_problems(home, load_config(home / "config.toml"))
    checked = check_config((home / "config.toml").read_text(encoding="utf-8"), "config.toml")
    assert any(told in line for line in (*errors, *checked.errors)), "whoever asks is told that it is wrong"


def test_a_run_that_a_person_asks_for_is_refused_without_one_of_its_strategies(tmp_path: Path) -> None:
    home = configured(tmp_path, '[[strategies]]\nname = "a"\nrule = "pairs"\nsymbols = ["A"]\n')
    with pytest.raises(ConfigError, match="pairs trades 2 symbols, here are 1"):
        user_strategies(home, load_config(home / "config.toml"))


def test_a_record_of_trials_that_cannot_be_read_turns_off_what_it_is_about(tmp_path: Path) -> None:
    home, path = configured(tmp_path), written(tmp_path, GOOD)
    (path.parent / "tried.json").write_text("[1]", encoding="utf-8")
    assert "delete it and try the strategies again" in off(home)


@pytest.mark.parametrize(("text", "told"), [
    (CONFIG.replace("mine", "theirs"), "no built-in rule, and there is no"),
    (CONFIG.replace("bars", "barz"), 'strategy "own": barz: mine has no such parameter'),
    (CONFIG.replace("5", "500"), 'strategy "own": bars = 500: must lie in 1 to 50')])
def test_a_configuration_that_does_not_fit_is_told(tmp_path: Path, text: str, told: str) -> None:
    home = configured(tmp_path, text)
    written(tmp_path, GOOD)
    errors, _ = strategy_problems(home, load_config(home / "config.toml"))
    assert told in errors[0]


def test_a_file_that_hides_behind_a_built_in_rule_is_told(tmp_path: Path) -> None:
    home = configured(tmp_path, CONFIG.replace('"mine"', '"dca"').replace("{bars = 5}", "{}"))
    path = written(tmp_path, GOOD, "dca")
    assert strategy_problems(home, load_config(home / "config.toml"))[0] == [
        f"{path}: dca is a built-in rule, which runs instead; give the file another name"]


def test_a_rule_without_end_is_stopped_and_not_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.strategies.user.RULE_SECONDS", 0.2)
    home = configured(tmp_path, CONFIG.replace("{bars = 5}", "{}"))
    forever = "    while context.seen == 900:\n        pass\n    if context.held.lots:"
    written(tmp_path, GOOD.replace("    if context.held.lots:", forever))
    rule = user_strategies(home, load_config(home / "config.toml"))["mine"]
    bars = BarColumns(*([value] * 900 for value in (1, 2, 10, 11, 9, 10, 5)))
    with pytest.raises(ConfigError, match=r"mine\.py:2[12]: took longer than 0\.2 s and was ended"):
        rule.rule(rule.params(), rule.memory(), bars, 899, 900, flat())
    assert rule.rule(rule.params(), rule.memory(), bars, 898, 899, flat())[1].act == 0


def test_a_broken_record_is_told(tmp_path: Path) -> None:
    (tmp_path / "tried.json").write_text(json.dumps([1]), encoding="utf-8")
    with pytest.raises(StoreError, match="delete it and try the strategies again"):
        trials(tmp_path)


@pytest.mark.parametrize(("lines", "told"), [
    ('rule = "ema_cross"\nsymbols = ["A"]\nparams = {fast_bars = 99}', "params: fast_bars = 99: must be below slow_bars = 50"),
    ('rule = "pairs"\nsymbols = ["A"]', "pairs trades 2 symbols, here are 1"),
    ('rule = "dca"\nsymbols = ["A"]\nportfolio = "other"', 'portfolio = "other": no such portfolio; there is: main'),
    ('rule = "dca"\nsymbols = ["A"]\n[[strategies]]\nname = "b"\nrule = "dca"\nsymbols = ["a"]',
     '"a" is traded by "a" in "main" already'),
    ('rule = "dca"\nsymbols = []', "symbols"),
    *((f'rule = "dca"\nsymbols = ["A"]\nparams = {{buy_bps = {value}}}', f"params: buy_bps = {shown}: must be a number")
      for value, shown in (('"x"', "'x'"), ("[1]", "[1]"), ("nan", "nan"), ("inf", "inf")))])
def test_the_configuration_of_built_in_rules_is_looked_at(lines: str, told: str) -> None:
    errors = check_config(f'[[strategies]]\nname = "a"\n{lines}\n', "config.toml").errors
    assert any(told in error for error in errors), errors
    assert len(errors) == 1


def test_the_written_configuration_takes_its_own_example_of_a_strategy() -> None:
    text = default_text()
    begin = text.index("# [[strategies]]")
    end = text.index("\n\n", begin)
    config = check_config(text[:begin] + text[begin:end].replace("# ", "") + text[end:], "config.toml").config
    assert config is not None
    assert (config.strategies[0].rule, config.strategies[0].params) == ("ema_cross", {"fast_bars": 20, "slow_bars": 50})


def test_a_file_that_never_ends_keeps_a_start_waiting_once_and_not_for_each_of_its_strategies(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.strategies.user.LOAD_SECONDS", 0.2)
    more = [CONFIG.replace("own", f"own{place}").replace("BTC", f"C{place}") for place in range(3)]
    home = configured(tmp_path, "".join(more))
    path = written(tmp_path, f"open({str(tmp_path / 'loads')!r}, 'a').write('x')\nwhile True:\n    pass\n")
    settings = load_config(home / "config.toml").settings(*runnable_strategies(home, load_config(home / "config.toml")))
    assert {one.problem for one in settings.strategies} == {
        f"{path}:2: took longer than 0.2 s and was ended; once that is mended, start the engine again"}
    assert (tmp_path / "loads").read_text(encoding="utf-8") == "x"
