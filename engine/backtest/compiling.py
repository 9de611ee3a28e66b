"""Compiles a pass with the rule that it runs, from the very functions that are interpreted elsewhere.

What is compiled is kept on disk, in a folder named by a hash of every source that goes into it and of the compiler's version:
a changed rule never runs a stale binary. Nothing here is imported before a backtest asks for it.
"""

import dis
import hashlib
import inspect
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

FORMAT = "2"
# what runs for every bar or every bar in position goes into the loop itself
INLINED = frozenset((
    "rule", "held_by_rule", "value_minor", "spread_at", "ema_step", "atr_step", "true_range", "venue_quote", "out_at_quote",
    "engine_quote", "venue_bar", "engine_bar", "follow", "trailed_row", "better_price", "trail_level", "tighter_stop",
    "leaves_whole", "sign_of", "hold_is_over", "mark_at_close", "quote_at", "open_all", "close_all", "look_at_losses", "beat",
    "latch", "loss_share", "equity_of", "first_of", "next_moment", "step_on", "worse", "with_slippage",
    "scaled_up", "scaled_down"))
# modules whose functions know of no list, even where others that are compiled with them do
FLAT = frozenset(f"engine.backtest.{name}" for name in ("passes", "steps", "holdings", "entries", "brakes", "actions"))
MAKES_LISTS = frozenset(("BUILD_LIST", "LIST_APPEND", "LIST_EXTEND"))
INNER = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}  # called by compiled code alone


def source_of(function: Callable[..., Any]) -> str:
    """The text of a function's module, which is what a hash has to cover: constants and called functions stand there too."""
    module = sys.modules.get(function.__module__)
    return inspect.getsource(module) if module is not None else inspect.getsource(function)


def functions_reached(function: FunctionType, replaced: Mapping[str, FunctionType], found: dict[int, FunctionType]) -> None:
    """Every plain function that a function calls by a global name, itself included."""
    if id(function) in found:
        return
    found[id(function)] = function
    for name in _names(function):
        called = replaced.get(name, function.__globals__.get(name))
        if isinstance(called, FunctionType):
            functions_reached(called, replaced, found)


def _names(function: FunctionType) -> tuple[str, ...]:
    """The global names that a function's code reads, each once, in the order of the code."""
    return _names_in(function.__code__)


@lru_cache(maxsize=1024)
def _names_in(code: CodeType) -> tuple[str, ...]:
    found = [one.argval for one in dis.get_instructions(code) if one.opname == "LOAD_GLOBAL"]
    return tuple(dict.fromkeys(found))


def makes_lists(function: FunctionType) -> bool:
    """Whether a function's code builds a list."""
    return any(one.opname in MAKES_LISTS for one in dis.get_instructions(function))


def stamp_of(functions: Mapping[int, FunctionType], entry: str) -> str:
    """What names the folder of a compiled pass."""
    import numba

    digest = hashlib.blake2b(f"{FORMAT}|{entry}|{numba.__version__}|{sys.version_info[:3]}".encode(), digest_size=12)
    for name, text in sorted({(one.__module__, source_of(one)) for one in functions.values()}):
        digest.update(f"{name}\0{text}\0".encode())
    return digest.hexdigest()


def compiled(entry: Callable[..., Any], replaced: Mapping[str, Callable[..., Any]], folder: Path | None) -> Any:
    """`entry` compiled, with some of the names that it calls replaced; kept below `folder`, None keeps nothing."""
    return _compiled(entry, tuple(sorted(replaced.items(), key=lambda item: item[0])), folder)


@lru_cache(maxsize=64)
def _compiled(entry: FunctionType, replaced: tuple[tuple[str, FunctionType], ...], folder: Path | None) -> Any:
    import numba
    from numba.core import config

    names = dict(replaced)
    functions: dict[int, FunctionType] = {}
    functions_reached(entry, names, functions)
    lists = any(makes_lists(one) for one in functions.values() if one is not entry)

    def options_of(function: FunctionType) -> dict[str, bool]:
        """What is called with no list in sight counts no references: in a loop that costs more than all the rest."""
        if function is entry:
            return {"cache": folder is not None}
        return {**INNER, "_nrt": lists and function.__module__ not in FLAT}

    before = config.CACHE_DIR
    if folder is not None:
        place = folder / stamp_of(functions, "|".join([entry.__qualname__, *(f"{k}={v.__module__}.{v.__qualname__}"
                                                                           for k, v in names.items())]))
        place.mkdir(parents=True, exist_ok=True)
        config.CACHE_DIR = str(place)
    try:
        return _twin(entry, names, {}, options_of, numba.njit)
    finally:
        config.CACHE_DIR = before


def interpreted(entry: Callable[..., Any], replaced: Mapping[str, Callable[..., Any]]) -> Callable[..., Any]:
    """`entry` as it is, with some of the names that it calls replaced, in the functions that it calls too."""
    assert isinstance(entry, FunctionType)
    namespace = {**entry.__globals__, **replaced}
    for name in _names(entry):
        called = namespace.get(name)
        if name not in replaced and isinstance(called, FunctionType) and not replaced.keys().isdisjoint(_names(called)):
            namespace[name] = interpreted(called, replaced)
    return FunctionType(entry.__code__, namespace, entry.__name__, entry.__defaults__)


def _twin(function: FunctionType, replaced: Mapping[str, FunctionType], made: dict[int, Any],
          options_of: Callable[[FunctionType], dict[str, bool]], jit: Callable[..., Any]) -> Any:
    """The compiled twin of a function: its code over a namespace in which every function is a compiled twin."""
    known = made.get(id(function))
    if known is not None:
        return known
    namespace = dict(function.__globals__)
    for name in _names(function):
        called = replaced.get(name, namespace.get(name))
        if isinstance(called, FunctionType):
            namespace[name] = _twin(called, replaced, made, options_of, jit)
    twin = FunctionType(function.__code__, namespace, function.__name__, function.__defaults__)
    twin.__module__ = function.__module__
    twin.__qualname__ = function.__qualname__
    inlined = function.__name__ in INLINED
    made[id(function)] = jit(error_model="numpy", nogil=True, forceinline=inlined, **options_of(function))(twin)
    return made[id(function)]
