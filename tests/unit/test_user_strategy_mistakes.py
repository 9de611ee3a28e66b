"""Files of one's own that are wrong in many ways: each told in one line with file and line, none a harm to who loads it."""

import contextlib
import re
import threading
import time
from pathlib import Path

import pytest

from engine.errors import ConfigError
from engine.kernel.wants import BarColumns, Held, RuleWant, flat
from engine.strategies.patience import Patience, TookTooLong
from engine.strategies.registry import Strategy
from engine.strategies.user import load_user_strategy

HEAD = '''"""Mine."""
from typing import NamedTuple
class Params(NamedTuple):
    bars: int = 20
class Memory(NamedTuple):
    count: int = 0
KEPT = ("count",)
def warmup(params):
    return params.bars
'''
DEFINED = 10  # the line of on_bar


def on_bar(*lines: str) -> str:
    return HEAD + "def on_bar(context):\n" + "".join(f"    {line}\n" for line in lines)


def loaded(folder: Path, source: str) -> Strategy:
    path = folder / "mine.py"
    path.write_text(source, encoding="utf-8")
    return load_user_strategy(path)


def refused(folder: Path, source: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, source)
    told = str(caught.value)
    assert re.match(rf"{re.escape(str(folder))}/mine\.py:\d+: ", told), told
    assert "\n" not in told
    return told


OWN_WANT = "on_bar gave a want that cannot be meant: "
SAME = "on_bar wants other things of the same bars"


@pytest.mark.parametrize(("source", "told"), [
    (HEAD + "def on_bar():\n    pass\n", ":10: on_bar must take one argument, the context"),
    (HEAD + "def on_bar(one, two):\n    pass\n", ":10: on_bar must take one argument, the context"),
    (HEAD.replace("def warmup(params)", "def warmup()") + "def on_bar(context):\n    pass\n",
     ":8: warmup must take one argument, the parameters"),
    (HEAD + "async def on_bar(context):\n    pass\n", ":10: on_bar must be a plain function, neither async nor a generator"),
    (HEAD + "def on_bar(context):\n    yield context.leave()\n", ":10: on_bar must be a plain function, neither async nor"),
    (HEAD.replace('("count",)', '"count"') + "def on_bar(context):\n    pass\n", ":1: KEPT must be a tuple of names, like ("),
    (HEAD.replace('("count",)', "5") + "def on_bar(context):\n    pass\n", ":1: KEPT must be a tuple of names, like ("),
    (HEAD + "BOUNDS = 5\ndef on_bar(context):\n    pass\n", ":1: BOUNDS must be a dict, like {"),
    (HEAD + "BOUNDS = {'bars': ('a', 'b')}\ndef on_bar(context):\n    pass\n", ":1: BOUNDS['bars'] must be (least, largest)"),
    (HEAD + "BOUNDS = {'bars': (50, 10)}\ndef on_bar(context):\n    pass\n", ":1: BOUNDS['bars'] must be (least, largest)"),
    (HEAD + "BOUNDS = {'bars': (30, 50)}\ndef on_bar(context):\n    pass\n", ":1: BOUNDS['bars'] leaves out the default 20"),
    (HEAD.replace("bars: int = 20", "bars: float = float('nan')") + "def on_bar(context):\n    pass\n",
     ":1: Params.bars needs a number as its default"),
    (on_bar("return context.buy(share_bps=0.5)"), ":11: ValueError: sizes are whole hundredths of a percent, 1 to 1000000"),
    (on_bar("return context.buy(share_bps=10**12)"), ":11: ValueError: sizes are whole hundredths of a percent"),
    (on_bar("return context.buy(share_bps='much')"), ":11: "),
    (on_bar("return context.buy(share_bps=100, stop_ticks=10**30)"), ":11: ValueError: levels and distances are whole ticks"),
    (on_bar("return context.buy(share_bps=100, stop_ticks=float('inf'))"), ":11: ValueError: levels and distances are whole"),
    (on_bar("return context.buy(share_bps=100, max_hold_ns=10**30)"), ":11: ValueError: levels and distances are whole"),
    (on_bar("return context.leave(-5) if context.held.lots else None"), ":11: ValueError: a part to leave is 1 to 10000"),
    (on_bar("return context.leave(10**40) if context.held.lots else None"), ":11: ValueError: a part to leave is 1 to 10000"),
    (on_bar("from engine.kernel.wants import RuleWant", "return RuleWant(1, 5, 9, 100, 0, 0, 0, 0)"), f":10: {OWN_WANT}"),
    (on_bar("from engine.kernel.wants import RuleWant", "return RuleWant(1, 1, 0, 100, 'x', None, 0, 0)"), f":10: {OWN_WANT}"),
    (on_bar("from engine.kernel.wants import RuleWant", "return RuleWant(7, 1, 0, 100, 0, 0, 0, 0)"), f":10: {OWN_WANT}"),
    (on_bar("context.memory = Memory('a')"), ":10: context.memory.count = 'a': must be a number that fits 64 bits"),
    (on_bar("context.memory = Memory(10 ** 40)"), ":10: context.memory.count = 1000000"),
    (on_bar("context.memory = Memory(float('nan'))"), ":10: context.memory.count = nan: what is KEPT must be finite"),
    (on_bar("context.bars.closes[context.place] = 1"), ":10: on_bar changes the bars that it is shown"),
    ("import random\n" + on_bar("return context.buy(share_bps=100) if random.random() < 0.2 else None"), f":11: {SAME}"),
    ("import time\n" + on_bar("return context.buy(share_bps=100) if time.time_ns() // 64 % 3 else None"), f":11: {SAME}"),
    ("SEEN = []\n" + on_bar("SEEN.append(1)", "return context.buy(share_bps=100) if len(SEEN) == 7 else None"), f":11: {SAME}"),
    (HEAD + "raise GeneratorExit\n", ":10: GeneratorExit"),
    (on_bar("return [0] * 10 ** 13"), ":11: MemoryError"),
    (on_bar("return on_bar(context)"), ":11: RecursionError"),
])
def test_a_mistake_is_told_with_file_and_line(tmp_path: Path, source: str, told: str) -> None:
    assert told in refused(tmp_path, source)


@pytest.mark.parametrize(("source", "line"), [
    (HEAD + "while True:\n    pass\n", 10), (on_bar("while True:", "    pass"), 11),
    (on_bar("while True:", "    try:", "        1 / 0", "    except Exception:", "        pass"), 11)])
def test_what_never_ends_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, line: int) -> None:
    monkeypatch.setattr("engine.strategies.user.LOAD_SECONDS", 0.3)
    told = refused(tmp_path, source)
    assert "took longer than 0.3 s and was ended" in told
    assert int(told.partition("mine.py:")[2].partition(":")[0]) >= line


def test_what_it_prints_is_no_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    strategy = loaded(tmp_path, on_bar("print('seen', context.seen)"))
    assert capsys.readouterr() == ("", ""), "nothing while it is tried out"
    bars = BarColumns(*([value] * 30 for value in (1, 2, 10, 11, 9, 10, 5)))
    strategy.rule(strategy.params(), strategy.memory(), bars, 29, 30, flat())
    assert capsys.readouterr() == ("", "seen 30\n")


def test_a_want_is_looked_at_whenever_it_comes(tmp_path: Path) -> None:
    late = on_bar("if context.seen > 5_000:", "    from engine.kernel.wants import RuleWant",
                  "    return RuleWant(1, 1, 0, None, 0, 0, 0, 0)", "if context.seen > 4_000:",
                  "    context.memory = Memory('x')", "    return context.leave()")
    strategy = loaded(tmp_path, late)
    bars = BarColumns(*([value] * 5_001 for value in (1, 2, 10, 11, 9, 10, 5)))
    with pytest.raises(ConfigError, match=r"mine\.py:10: on_bar gave a want that cannot be meant"):
        strategy.rule(strategy.params(), strategy.memory(), bars, 5_000, 5_001, flat())
    with pytest.raises(ConfigError, match=r"mine\.py:10: context\.memory\.count = 'x'"):
        strategy.rule(strategy.params(), strategy.memory(), bars, 4_000, 4_001, flat())


WRONG_KEPT = [("'x'", "= 'x'"), ("10 ** 40", "= 10000"), ("float('nan')", "= nan"), ("None", "= None")]


@pytest.mark.parametrize("memory", ["class Memory(NamedTuple):", "class Memory:"])
@pytest.mark.parametrize(("value", "told"), WRONG_KEPT)
def test_what_is_journaled_is_looked_at_without_a_want_too(tmp_path: Path, memory: str, value: str, told: str) -> None:
    late = on_bar("if context.seen > 5_000:", f"    context.memory = type(context.memory)(count={value})")
    strategy = loaded(tmp_path, late.replace("class Memory(NamedTuple):", memory))
    bars = BarColumns(*([value] * 5_001 for value in (1, 2, 10, 11, 9, 10, 5)))
    with pytest.raises(ConfigError, match=r"mine\.py:10: context\.memory\.count = ") as caught:
        strategy.rule(strategy.params(), strategy.memory(), bars, 5_000, 5_001, flat())
    assert told in str(caught.value)


def test_a_file_that_is_right_stays_right(tmp_path: Path) -> None:
    strategy = loaded(tmp_path, on_bar(
        "context.memory = context.memory._replace(count=context.memory.count + 1)",
        "if context.held.lots:", "    return context.leave(5_000)",
        "return context.buy(share_bps=100, stop_ticks=context.lowest(5), target_ticks=2.0 * context.close())"))
    bars = BarColumns(*([value] * 30 for value in (1, 2, 10, 11, 9, 10, 5)))
    memory, want = strategy.rule(strategy.params(), strategy.memory(), bars, 29, 30, flat())
    assert memory.count == 1
    assert want == RuleWant(1, 1, 1, 100, 9, 20, 0, 0)
    assert strategy.rule(strategy.params(), memory, bars, 29, 30, Held(5, 10, 9, 0, 1))[1].size_bps == 5_000


# ---- patience ------------------------------------------------------------------------------------------------------------------


def test_patience_ends_a_call_and_strikes_nobody_else() -> None:
    patience = Patience(0.02)

    def busy(seconds: float) -> str:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            pass
        return "done"

    guarded = patience.guarded(busy)
    assert guarded(0.0) == "done"
    with pytest.raises(TookTooLong):
        guarded(60.0)
    for _ in range(8):  # calls that end about when they are looked at: some are struck, some are not
        with contextlib.suppress(TookTooLong):
            assert guarded(0.25) == "done"
        assert busy(0.01) == "done", "what comes after the call is not struck"
    patience.close()


def test_patience_ends_calls_of_the_thread_that_makes_them() -> None:
    patience = Patience(0.02)
    ended = threading.Event()

    def loop() -> None:
        try:
            patience.guarded(lambda: [None for _ in iter(int, 1)])()
        except TookTooLong:
            ended.set()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    thread.join(30)
    assert ended.is_set()
    patience.close()
