"""Strategies of a person's own, from a file: loaded, looked over and run once on made-up bars, or refused in one line that names
the file and the line. Such a file is a program of its owner: it runs with all their rights."""

import hashlib
import sys
import traceback
from array import array
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple, NoReturn

from engine.errors import ConfigError
from engine.kernel.wants import ENTER, BarColumns, Held, RuleWant, flat, no_want
from engine.strategies.hindsight import looks_ahead_at
from engine.strategies.patience import Patience, TookTooLong
from engine.strategies.registry import BUILT_IN, RULE, Bound, NextEntry, Strategy, is_number
from engine.strategies.remembered import Remembered, remembered
from engine.strategies.writing import Context, want_problem

FOLDER = "strategies"
TRIAL_BARS = 200
LONGEST_WARMUP = 1_900
BAR_NS = 60_000_000_000
LOAD_SECONDS = 10.0
RULE_SECONDS = 5.0
LARGEST_NUMBER = 1 << 63
NOTHING_WANTED = no_want()


class NoMemory(NamedTuple):
    """The memory of a strategy that keeps none."""


def user_strategy_path(home: Path, rule: str) -> Path:
    """Where a rule of the home's own lies."""
    return home / FOLDER / f"{rule}.py"


def load_user_strategy(path: Path) -> Strategy:
    """The strategy in a file; raises `ConfigError` with file and line where it is none."""
    if path.stem in BUILT_IN:
        raise ConfigError(f"{path}: {path.stem} is a built-in rule; give the file another name")
    try:
        source = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    patience, voice = Patience(LOAD_SECONDS), Voice()
    try:
        strategy = _patient(path, patience, _looked_over)(path, source, voice)
    finally:
        patience.close()
    voice.heard = True
    return strategy


def with_patience(path: Path, strategy: Strategy) -> Strategy:
    """The strategy as an engine runs it: a bar over which it takes too long ends it, not the engine."""
    return strategy._replace(rule=_patient(path, Patience(RULE_SECONDS), strategy.rule), next_entry=None)


def _patient[**Given, Found](path: Path, patience: Patience, function: Callable[Given, Found]) -> Callable[Given, Found]:
    guarded = patience.guarded(function)

    def patient(*values: Given.args, **terms: Given.kwargs) -> Found:
        try:
            return guarded(*values, **terms)
        except TookTooLong as error:
            refuse(path, error, told=f"took longer than {patience.seconds:g} s and was ended")

    return patient


class Voice:
    """What a file prints: on standard error, since standard output belongs to answers; nothing while it is tried out."""

    def __init__(self) -> None:
        self.heard = False

    def __call__(self, *values: object, **terms: Any) -> None:
        if self.heard:
            print(*values, **{"file": sys.stderr, **terms})  # noqa: T201 - the file's own words


def _looked_over(path: Path, source: bytes, voice: Voice) -> Strategy:
    names = _run(path, _compiled(path, source), voice)
    strategy = _strategy(path, names, hashlib.sha256(source).hexdigest())
    _try_out(path, strategy, _line_of(names["on_bar"]))
    return strategy


def _compiled(path: Path, source: bytes) -> CodeType:
    try:
        return compile(source, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        raise ConfigError(f"{path}:{error.lineno or 1}: {error.msg}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


def _run(path: Path, code: CodeType, voice: Voice) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": f"quarterdeck_strategy_{path.stem}", "__file__": str(path), "print": voice}
    try:
        exec(code, names)  # noqa: S102 - the owner's own file, named in the owner's own configuration
    except (KeyboardInterrupt, TookTooLong):
        raise
    except BaseException as error:  # noqa: BLE001 - whatever it raises is told in one line
        refuse(path, error)
    return names


def refuse(path: Path, error: BaseException, line: int = 1, told: str = "") -> NoReturn:
    """Say what a strategy's file raised, and at which of its lines (`line` where it was at none); raises `ConfigError`."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    named = f"{type(error).__name__}: {' '.join(str(error).split())}" if str(error) else type(error).__name__
    raise ConfigError(f"{path}:{lines[-1] if lines else line}: {told or named}") from None


def _strategy(path: Path, names: dict[str, Any], digest: str) -> Strategy:
    for name in ("Params", "warmup", "on_bar"):
        if name not in names:
            raise ConfigError(f"{path}:1: {name} is missing; a strategy has Params, warmup(params) and on_bar(context)")
    for name in ("warmup", "on_bar"):
        if not callable(names[name]):
            raise ConfigError(f"{path}:1: {name} must be a function, not {type(names[name]).__name__}")
    _require_one_argument(path, "warmup", names["warmup"], "the parameters")
    _require_one_argument(path, "on_bar", names["on_bar"], "the context")
    params: Any = names["Params"]
    memory = names["Memory"] = _memory_of(names.get("Memory", NoMemory))
    _require_numbers(path, "Params", params)
    _require_numbers(path, "Memory", memory)
    kept = names.get("KEPT", ())
    if not isinstance(kept, tuple | list) or not all(isinstance(one, str) for one in kept):
        raise ConfigError(f'{path}:1: KEPT must be a tuple of names, like ("count",)')
    fields: tuple[str, ...] = memory._fields
    unknown = [one for one in kept if one not in fields]
    if unknown:
        raise ConfigError(f"{path}:1: KEPT names {unknown[0]!r}, which is no field of Memory")
    about = " ".join(str(names.get("__doc__") or f"A strategy of {path.name}").split())
    warmup = _warmup_of(path, names["warmup"])
    own, bounds = _OwnRule(path, names["on_bar"], warmup, kept), _bounds(path, names, params)
    return Strategy(path.stem, RULE, own.as_rule(), params, memory, tuple(kept), bounds, warmup, lambda _: "", _explain, about,
                    source_hash=digest, next_entry=own.as_next_entry())


def _require_one_argument(path: Path, name: str, function: Any, argument: str) -> None:
    import inspect

    where = f"{path}:{_line_of(function)}: {name}"
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise ConfigError(f"{where} must be a plain function, neither async nor a generator")
    try:
        inspect.signature(function).bind(None)
    except TypeError as error:
        raise ConfigError(f"{where} must take one argument, {argument} ({error})") from None
    except ValueError:
        pass  # something built in that does not tell


def _memory_of(kind: Any) -> Any:
    """A plain class of numbers as what the engine can keep; a NamedTuple as it is."""
    return remembered(kind) if isinstance(kind, type) and kind.__bases__ == (object,) else kind


def _require_numbers(path: Path, name: str, kind: Any) -> None:
    if not isinstance(kind, type) or not issubclass(kind, tuple | Remembered) or not hasattr(kind, "_field_defaults"):
        must = "a plain class of numbers or a NamedTuple" if name == "Memory" else "a NamedTuple"
        raise ConfigError(f"{path}:1: {name} must be {must}")
    numbers: Any = kind
    for field in numbers._fields:
        default = numbers._field_defaults.get(field)
        if not is_number(default):
            raise ConfigError(f"{path}:1: {name}.{field} needs a number as its default")


def _bounds(path: Path, names: Mapping[str, Any], params: Any) -> dict[str, Bound]:
    found: dict[str, Bound] = {}
    given = names.get("BOUNDS", {})
    if not isinstance(given, dict):
        raise ConfigError(f'{path}:1: BOUNDS must be a dict, like {{"bars": (1, 50)}}')
    for name, bound in given.items():
        pair = isinstance(bound, tuple) and len(bound) == 2 and all(isinstance(end, int | float) for end in bound)
        if name not in params._fields or not pair or not bound[0] <= bound[1]:
            raise ConfigError(f"{path}:1: BOUNDS[{name!r}] must be (least, largest) of a parameter")
        default = params._field_defaults[name]
        if not bound[0] <= default <= bound[1]:
            raise ConfigError(f"{path}:1: BOUNDS[{name!r}] leaves out the default {default}")
        found[name] = Bound(*bound)
    return found


def _warmup_of(path: Path, warmup: Callable[[Any], Any]) -> Callable[[Any], int]:
    def checked(params: Any) -> int:
        try:
            bars = warmup(params)
        except (KeyboardInterrupt, TookTooLong):
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it raises is told in one line
            refuse(path, error, _line_of(warmup))
        if not isinstance(bars, int) or not 0 <= bars <= LONGEST_WARMUP:
            raise ConfigError(f"{path}:{_line_of(warmup)}: warmup must give 0 to {LONGEST_WARMUP} bars, not {bars!r}")
        return bars

    return checked


def _line_of(function: Any) -> int:
    code = getattr(function, "__code__", None)
    return int(code.co_firstlineno) if code is not None else 1


class _OwnRule:
    """The file's function in the forms in which it is asked, once its warm-up is over; one context serves all bars."""

    def __init__(self, path: Path, on_bar: Callable[[Context], Any], warmup: Callable[[Any], int], kept: Sequence[str]) -> None:
        self.context = Context()
        self.path, self.line, self.on_bar, self.warmup, self.kept = path, _line_of(on_bar), on_bar, warmup, kept
        self.quiet_bars = -1

    def turn_to(self, params: Any, bars: BarColumns) -> None:
        """Show these from now on."""
        if self.context.params is not params:
            self.context.params, self.quiet_bars = params, self.warmup(params)
        if self.context.bars is not bars:
            self.context.show(bars)

    def told(self, memory: Any, want: Any) -> RuleWant:
        """What was wanted, once that and the memory (`memory` before) are sound; raises `ConfigError`."""
        if want is None and type(self.context.memory) is type(memory) and not _kept_problem(self.context.memory, self.kept):
            return NOTHING_WANTED
        _require_sound(self.path, self.line, self.context.memory, memory, self.kept)
        if type(want) is not RuleWant:
            raise ConfigError(f"{self.path}:{self.line}: on_bar must give context.buy(...), context.sell_short(...), "
                              f"context.leave() or None, not {type(want).__name__}")
        problem = want_problem(want)
        if problem:
            raise ConfigError(f"{self.path}:{self.line}: on_bar gave a want that cannot be meant: {problem}")
        return want

    def as_rule(self) -> Callable[..., tuple[Any, RuleWant]]:
        """For one bar."""
        context, on_bar, kept = self.context, self.on_bar, self.kept

        def rule(params: Any, memory: Any, bars: BarColumns, place: int, seen: int,
                 held: Held) -> tuple[Any, RuleWant]:
            if context.params is not params or context.bars is not bars:
                self.turn_to(params, bars)
            if seen <= self.quiet_bars:
                return memory, NOTHING_WANTED
            context.memory, context.place, context.seen, context.held = memory, place, seen, held
            try:
                want = on_bar(context)
            except (KeyboardInterrupt, TookTooLong):
                raise
            except BaseException as error:  # noqa: BLE001 - whatever it raises is told in one line
                refuse(self.path, error, self.line)
            after = context.memory
            if want is None and not kept and (after is memory or type(after) is type(memory)):
                return after, NOTHING_WANTED
            return after, self.told(memory, want)

        return rule

    def as_next_entry(self) -> NextEntry:
        """For bar after bar of an idle instrument."""
        context, on_bar, kept, free = self.context, self.on_bar, self.kept, flat()

        def next_entry(params: Any, memory: Any, bars: BarColumns, first: int, start: int,
                       end: int) -> tuple[int, Any, RuleWant]:
            self.turn_to(params, bars)
            context.memory = memory
            for place in range(max(first, start + self.quiet_bars), end):
                context.place, context.seen, context.held = place, place - start + 1, free
                try:
                    want = on_bar(context)
                except (KeyboardInterrupt, TookTooLong):
                    raise
                except BaseException as error:  # noqa: BLE001 - whatever it raises is told in one line
                    refuse(self.path, error, self.line)
                before, memory = memory, context.memory
                if want is None and not kept and (memory is before or type(memory) is type(before)):
                    continue
                want = self.told(before, want)
                if want.act == ENTER:
                    return place, memory, want
            return end, memory, NOTHING_WANTED

        return next_entry


def _require_sound(path: Path, line: int, memory: Any, before: Any, kept: Sequence[str]) -> None:
    """Look at a memory that was set, before it is journaled with a want; raises `ConfigError`."""
    problem = _memory_problem(memory, before, kept)
    if problem:
        raise ConfigError(f"{path}:{line}: context.memory{problem}")


def _memory_problem(memory: Any, before: Any, kept: Sequence[str]) -> str:
    """What is wrong with a memory that was set; empty where it can be kept and journaled."""
    if type(memory) is not type(before):
        return f" must stay a {type(before).__name__}, not {type(memory).__name__}"
    for value in memory:
        if not (isinstance(value, float) or (isinstance(value, int) and -LARGEST_NUMBER <= value < LARGEST_NUMBER)):
            name = memory._fields[[one is value for one in memory].index(True)]
            return f".{name} = {value!r}: must be a number that fits 64 bits"
    return _kept_problem(memory, kept)


def _kept_problem(memory: Any, kept: Sequence[str]) -> str:
    """What is wrong with what is journaled of a memory whenever it changes, also without a want."""
    for name in kept:
        value = getattr(memory, name)
        if not isinstance(value, int | float) or not -LARGEST_NUMBER <= value < LARGEST_NUMBER:  # which nan is not either
            return f".{name} = {value!r}: what is KEPT must be finite"
    return ""


def _explain(_params: Any, memory: Any, _want: RuleWant, _price: Callable[[float], str]) -> str:
    known = ", ".join(f"{name} {value:g}" for name, value in memory._asdict().items())
    return f"its own rule{f' ({known})' if known else ''}"


def _try_out(path: Path, strategy: Strategy, line: int) -> None:
    """Run it on made-up bars, flat and long, so that most mistakes show before it is near a market; twice, since the same bars
    must bring the same wants."""
    bars = _made_up(strategy.warmup(strategy.params()) + TRIAL_BARS)
    before = [column[:] for column in bars]
    first = _wants_of(path, line, strategy, bars)
    if before != list(bars):
        raise ConfigError(f"{path}:{line}: on_bar changes the bars that it is shown; work on a copy")
    if _wants_of(path, line, strategy, bars) != first:
        raise ConfigError(f"{path}:{line}: on_bar wants other things of the same bars the second time; it may use neither chance "
                          "nor clock, and what it remembers belongs into context.memory")
    if looks_ahead_at(strategy, strategy.params(), [bars]):
        raise ConfigError(f"{path}:{line}: on_bar looks ahead: it does not want the same where later bars are not there yet, as "
                          "they never are live; read bars with context.close(back) and its like")


def _wants_of(path: Path, line: int, strategy: Strategy, bars: BarColumns) -> list[str]:
    params, memory = strategy.params(), strategy.memory()
    told = []
    for place in range(len(bars.closes) - TRIAL_BARS, len(bars.closes)):
        holding = strategy.rule(params, memory._replace(), bars, place, place + 1,
                                Held(5, bars.closes[place], bars.lows[place] // 2, 0, 3))
        after, want = strategy.rule(params, memory._replace(), bars, place, place + 1, flat())
        _require_sound(path, line, after, memory, strategy.kept)
        memory = after
        told.append(repr((holding, memory, want)))  # as text, in which no number differs from itself
    return told


def _made_up(count: int) -> BarColumns:
    """Bars that rise and fall, the same every time."""
    closes = [10_000 + 40 * abs(place % 74 - 37) - 25 * (place % 53) for place in range(count)]
    opens = [closes[0], *closes[:-1]]
    rows = ([place * BAR_NS for place in range(count)], [(place + 1) * BAR_NS for place in range(count)], opens,
            [max(pair) + 7 for pair in zip(opens, closes, strict=True)],
            [min(pair) - 7 for pair in zip(opens, closes, strict=True)], closes, [1_000 + place % 11 for place in range(count)])
    return BarColumns(*(array("q", row) for row in rows))
