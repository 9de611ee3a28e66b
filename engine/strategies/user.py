"""Strategies of a person's own, from a file: loaded, looked over and run once on made-up bars, or refused in one line that names
the file and the line. Such a file is a program of its owner: it runs with all their rights."""

import hashlib
import traceback
from array import array
from collections.abc import Callable, Mapping
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple, NoReturn

from engine.errors import ConfigError
from engine.kernel.wants import BarColumns, Held, RuleWant, flat, no_want
from engine.strategies.registry import BUILT_IN, RULE, Bound, Strategy
from engine.strategies.writing import Context

FOLDER = "strategies"
TRIAL_BARS = 200
LONGEST_WARMUP = 1_900
BAR_NS = 60_000_000_000


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
    names = _run(path, _compiled(path, source))
    strategy = _strategy(path, names, hashlib.sha256(source).hexdigest())
    _try_out(strategy)
    return strategy


def _compiled(path: Path, source: bytes) -> CodeType:
    try:
        return compile(source, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        raise ConfigError(f"{path}:{error.lineno or 1}: {error.msg}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


def _run(path: Path, code: CodeType) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": f"quarterdeck_strategy_{path.stem}", "__file__": str(path)}
    try:
        exec(code, names)  # noqa: S102 - the owner's own file, named in the owner's own configuration
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it raises is told in one line
        refuse(path, error)
    return names


def refuse(path: Path, error: BaseException) -> NoReturn:
    """Say what a strategy's file raised, and at which of its lines; raises `ConfigError`."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    where = f"{path}:{lines[-1]}" if lines else f"{path}"
    raise ConfigError(f"{where}: {type(error).__name__}: {' '.join(str(error).split())}") from None


def _strategy(path: Path, names: Mapping[str, Any], digest: str) -> Strategy:
    for name in ("Params", "warmup", "on_bar"):
        if name not in names:
            raise ConfigError(f"{path}:1: {name} is missing; a strategy has Params, warmup(params) and on_bar(context)")
    for name in ("warmup", "on_bar"):
        if not callable(names[name]):
            raise ConfigError(f"{path}:1: {name} must be a function, not {type(names[name]).__name__}")
    params: Any = names["Params"]
    memory: Any = names.get("Memory", NoMemory)
    _require_numbers(path, "Params", params)
    _require_numbers(path, "Memory", memory)
    kept = names.get("KEPT", ())
    fields: tuple[str, ...] = memory._fields
    unknown = [one for one in kept if one not in fields]
    if unknown:
        raise ConfigError(f"{path}:1: KEPT names {unknown[0]!r}, which is no field of Memory")
    about = " ".join(str(names.get("__doc__") or f"A strategy of {path.name}").split())
    warmup = _warmup_of(path, names["warmup"])
    rule, bounds = _rule_of(path, names["on_bar"], warmup), _bounds(path, names, params)
    return Strategy(path.stem, RULE, rule, params, memory, tuple(kept), bounds, warmup, lambda _: "", _explain, about,
                    source_hash=digest)


def _require_numbers(path: Path, name: str, kind: Any) -> None:
    named_tuple = isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_field_defaults")
    if not named_tuple:
        raise ConfigError(f"{path}:1: {name} must be a NamedTuple")
    for field in kind._fields:
        default = kind._field_defaults.get(field)
        if not isinstance(default, int | float):
            raise ConfigError(f"{path}:1: {name}.{field} needs a number as its default")


def _bounds(path: Path, names: Mapping[str, Any], params: Any) -> dict[str, Bound]:
    found: dict[str, Bound] = {}
    for name, bound in dict(names.get("BOUNDS", {})).items():
        if name not in params._fields or not isinstance(bound, tuple) or len(bound) != 2:
            raise ConfigError(f"{path}:1: BOUNDS[{name!r}] must be (least, largest) of a parameter")
        found[name] = Bound(*bound)
    return found


def _warmup_of(path: Path, warmup: Callable[[Any], Any]) -> Callable[[Any], int]:
    def checked(params: Any) -> int:
        try:
            bars = warmup(params)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it raises is told in one line
            refuse(path, error)
        if not isinstance(bars, int) or not 0 <= bars <= LONGEST_WARMUP:
            raise ConfigError(f"{path}:{_line_of(warmup)}: warmup must give 0 to {LONGEST_WARMUP} bars, not {bars!r}")
        return bars

    return checked


def _line_of(function: Any) -> int:
    code = getattr(function, "__code__", None)
    return int(code.co_firstlineno) if code is not None else 1


def _rule_of(path: Path, on_bar: Callable[[Context], Any],
             warmup: Callable[[Any], int]) -> Callable[..., tuple[Any, RuleWant]]:
    """The file's function as a rule, asked once its warm-up is over; one context serves all bars."""
    context, nothing = Context(), no_want()
    quiet_bars = -1

    def rule(params: Any, memory: Any, bars: BarColumns, place: int, seen: int,
             held: Held) -> tuple[Any, RuleWant]:
        nonlocal quiet_bars
        if context.params is not params:
            context.params, quiet_bars = params, warmup(params)
        if seen <= quiet_bars:
            return memory, nothing
        context.memory = memory
        if context.bars is not bars:
            context.show(bars)
        context.place, context.seen, context.held = place, seen, held
        try:
            want = on_bar(context)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it raises is told in one line
            refuse(path, error)
        if type(context.memory) is not type(memory):
            raise ConfigError(f"{path}:{_line_of(on_bar)}: context.memory must stay a {type(memory).__name__}, "
                              f"not {type(context.memory).__name__}")
        if want is None:
            return context.memory, nothing
        if type(want) is not RuleWant:
            raise ConfigError(f"{path}:{_line_of(on_bar)}: on_bar must give context.buy(...), context.sell_short(...), "
                              f"context.leave() or None, not {type(want).__name__}")
        return context.memory, want

    return rule


def _explain(_params: Any, memory: Any, _want: RuleWant, _price: Callable[[float], str]) -> str:
    known = ", ".join(f"{name} {value:g}" for name, value in memory._asdict().items())
    return f"its own rule{f' ({known})' if known else ''}"


def _try_out(strategy: Strategy) -> None:
    """Run it on made-up bars, flat and long, so that most mistakes show before it is near a market."""
    params, memory = strategy.params(), strategy.memory()
    warmup = strategy.warmup(params)
    bars = _made_up(warmup + TRIAL_BARS)
    for place in range(warmup, warmup + TRIAL_BARS):
        strategy.rule(params, memory, bars, place, place + 1, Held(5, bars.closes[place], bars.lows[place] // 2, 0, 3))
        memory, _ = strategy.rule(params, memory, bars, place, place + 1, flat())


def _made_up(count: int) -> BarColumns:
    """Bars that rise and fall, the same every time."""
    closes = [10_000 + 40 * abs(place % 74 - 37) - 25 * (place % 53) for place in range(count)]
    opens = [closes[0], *closes[:-1]]
    rows = ([place * BAR_NS for place in range(count)], [(place + 1) * BAR_NS for place in range(count)], opens,
            [max(pair) + 7 for pair in zip(opens, closes, strict=True)],
            [min(pair) - 7 for pair in zip(opens, closes, strict=True)], closes, [1_000 + place % 11 for place in range(count)])
    return BarColumns(*(array("q", row) for row in rows))
