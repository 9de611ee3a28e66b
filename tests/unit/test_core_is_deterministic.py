"""The engine's core reads no clock, no chance, no file and no set order: shown from its source, and shown able to fail."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ("units", "instruments", "inputs", "events", "effects", "orders", "positions", "state", "apply", "risk",
        "protection", "reconcile", "watch", "market", "turn", "want", "valuation")

FORBIDDEN_MODULES = frozenset({
    "time", "random", "secrets", "uuid", "os", "io", "pathlib", "socket", "asyncio", "threading", "subprocess",
    "multiprocessing", "concurrent", "shutil", "tempfile", "signal", "sched", "select", "selectors", "ssl", "http",
    "urllib", "sqlite3", "logging", "getpass", "platform", "sys", "builtins", "importlib", "ctypes", "uuid_utils"})
FORBIDDEN_CALLS = frozenset({"open", "print", "input", "hash", "id", "exec", "eval", "__import__", "breakpoint",
                             "globals", "vars"})
CLOCK_READINGS = frozenset({"now", "utcnow", "today"})
SET_METHODS = frozenset({"union", "intersection", "difference", "symmetric_difference"})
VIEW_METHODS = frozenset({"keys", "items"})
ORDER_TAKERS = frozenset({"list", "tuple", "iter", "enumerate", "zip", "map", "filter", "reversed", "next", "dict"})
RANDOM_EXTREMES = frozenset({"min", "max"})


def core_files() -> list[Path]:
    """The core by name, and whatever of the engine it imports: nothing impure can be reached from it."""
    patterns = (*(f"{name}.py" for name in CORE), "decide*.py", "decide/**/*.py", "kernel/**/*.py")
    waiting = [path for pattern in patterns for path in (ROOT / "engine").glob(pattern)]
    found: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(imported_engine_files(ast.parse(path.read_text(encoding="utf-8"))))
    return sorted(found)


def imported_engine_files(tree: ast.AST) -> Iterator[Path]:
    for node in ast.walk(tree):
        for module in modules_of(node):
            names = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []
            for dotted in (module, *(f"{module}.{name}" for name in names)):
                path = ROOT.joinpath(*dotted.split(".")).with_suffix(".py")
                if dotted.startswith("engine.") and path.exists():
                    yield path


class SetNames(ast.NodeVisitor):
    """The names that a module binds to sets, by assignment, annotation or parameter."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_Assign(self, node: ast.Assign) -> None:
        if is_set(node.value, self.names):
            self.names.update(target.id for target in node.targets if isinstance(target, ast.Name))
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if isinstance(node.target, ast.Name) and (is_set_type(node.annotation)
                                                  or (node.value is not None and is_set(node.value, self.names))):
            self.names.add(node.target.id)
        self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> None:
        if node.annotation is not None and is_set_type(node.annotation):
            self.names.add(node.arg)


def is_set_type(annotation: ast.expr) -> bool:
    head = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    return isinstance(head, ast.Name) and head.id in {"set", "frozenset", "AbstractSet"}


def is_set(node: ast.expr, names: set[str]) -> bool:
    """Whether an expression is a set, as far as the source alone tells."""
    match node:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Call(func=ast.Name(id="set" | "frozenset")):
            return True
        case ast.Call(func=ast.Attribute(attr=method)) if method in SET_METHODS:
            return True
        case ast.BinOp(op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor(), left=left, right=right):
            return any(is_set(side, names) or is_view(side) for side in (left, right))
        case ast.IfExp(body=body, orelse=orelse):
            return is_set(body, names) or is_set(orelse, names)
        case ast.Name(id=name):
            return name in names
    return False


def is_view(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in VIEW_METHODS


def order_taken(node: ast.AST) -> list[ast.expr]:
    """The expressions whose iteration order this node lets out."""
    match node:
        case ast.For(iter=source) | ast.AsyncFor(iter=source):
            return [source]
        case ast.ListComp(generators=loops) | ast.GeneratorExp(generators=loops) | ast.DictComp(generators=loops):
            return [loop.iter for loop in loops]
        case ast.Starred(value=source) | ast.YieldFrom(value=source):
            return [source]
        case ast.Call(func=ast.Name(id=name), args=sources) if name in ORDER_TAKERS:
            return list(sources)
        case ast.Call(func=ast.Name(id=name), args=sources, keywords=keywords) if name in RANDOM_EXTREMES and keywords:
            return list(sources)  # with a key, equals are told apart by who came first
        case ast.Call(func=ast.Attribute(attr="join" | "extend" | "fromkeys"), args=sources):
            return list(sources)
        case ast.Call(func=ast.Attribute(attr="pop", value=source), args=[]):
            return [source]
        case ast.Assign(targets=[ast.Tuple() | ast.List()], value=source):
            return [source]
    return []


def modules_of(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []


def harmless_loops(tree: ast.AST) -> set[ast.AST]:
    """Generators handed whole to something that forgets order: `sum`, `any`, `sorted`, another set."""
    return {argument for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords
            and node.func.id in {"any", "all", "sum", "len", "sorted", "set", "frozenset", "min", "max"}
            for argument in node.args if isinstance(argument, ast.GeneratorExp | ast.ListComp)}


def offences(source: str) -> Iterator[str]:
    """What in a module could make two runs differ, one line each."""
    tree = ast.parse(source)
    bound = SetNames()
    bound.visit(tree)
    harmless = harmless_loops(tree)
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        for module in modules_of(node):
            if module.split(".")[0] in FORBIDDEN_MODULES:
                yield f"line {line}: imports {module}"
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in FORBIDDEN_CALLS:
                yield f"line {line}: calls {name}()"
            case ast.Attribute(attr=reading, value=ast.Name(id="datetime" | "date")
                               | ast.Attribute(attr="datetime" | "date")) if reading in CLOCK_READINGS:
                yield f"line {line}: reads the clock by {reading}"
        if node not in harmless and any(is_set(taken, bound.names) for taken in order_taken(node)):
            yield f"line {line}: lets out the order of a set"


@pytest.mark.parametrize("path", core_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_core_is_deterministic(path: Path) -> None:
    assert list(offences(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("name", ["exits", "fills", "heat", "indicators", "rounding", "sizing"])
def test_the_kernel_stands_alone(name: str) -> None:
    tree = ast.parse((ROOT / "engine" / "kernel" / f"{name}.py").read_text(encoding="utf-8"))
    for module in (module for node in ast.walk(tree) for module in modules_of(node)):
        assert module in {"typing", "math", "collections.abc"} or module.startswith("engine.kernel.")


@pytest.mark.parametrize("snippet", [
    "import time", "import os.path", "from time import time_ns", "from random import choice", "import uuid",
    "from pathlib import Path", "def f():\n    import socket", "import asyncio", "from threading import Lock",
    "from datetime import datetime\nx = datetime.now()", "import datetime\nx = datetime.datetime.utcnow()",
    "from datetime import date\nx = date.today()", "x = open('f')", "print(1)", "input()", "x = hash('a')", "x = id(3)",
    "for x in {1, 2}: pass", "for x in set(y): pass", "for x in frozenset(y): pass", "x = [a for a in {b for b in c}]",
    "x = list({1, 2})", "x = tuple(set(y))", "x = ','.join({'a', 'b'})", "x = next(iter({1, 2}))", "x = [*{1, 2}]",
    "S = frozenset({1, 2})\nfor x in S: pass", "S: set[int] = f()\nx = [a for a in S]", "x = {a: 1 for a in set(y)}",
    "def f(s: frozenset[str]):\n    return tuple(s)", "for x in a.keys() | b.keys(): pass", "x = set(y).pop()",
    "for x in set(a) - set(b): pass", "x = list(set(a).union(b))", "for i, x in enumerate({1, 2}): pass",
    "a, b = {1, 2}", "x = max({1, 2}, key=f)", "x = tuple(a for a in {1, 2})", "def f():\n    yield from {1, 2}",
])
def test_the_check_can_fail(snippet: str) -> None:
    assert list(offences(snippet))


@pytest.mark.parametrize("snippet", [
    "for x in sorted({1, 2}): pass", "x = 3 in {1, 2}", "x = len({1, 2})", "x = any(a > 1 for a in {1, 2})",
    "x = sum(a for a in set(y))", "for x in {1: 2}: pass", "for x in a.keys(): pass", "x = {a for a in y}",
    "x = max({1, 2})", "x = 5 - 3\nfor a in range(x): pass", "from datetime import timedelta", "import hashlib",
    "x = clock.now()", "S = frozenset({1})\nx = 1 in S", "x = sorted(a for a in {1, 2})",
])
def test_the_check_lets_pass_what_is_harmless(snippet: str) -> None:
    assert list(offences(snippet)) == []


def test_the_core_is_there() -> None:
    present = {path.name for path in core_files()}
    assert {"units.py", "instruments.py", "inputs.py", "orders.py", "positions.py", "exits.py", "heat.py"} <= present


# ---- only risk makes an approval -------------------------------------------------------------------------------------

PACKAGES = ("engine", "brokers", "store", "tui")


def approvals_made(source: str) -> list[int]:
    """The lines where a `RiskApproved` is constructed, under whatever spelling or alias."""
    tree = ast.parse(source)
    names = {"RiskApproved"} | {alias.asname for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
                                for alias in node.names if alias.name == "RiskApproved" and alias.asname}
    names |= {target.id for node in ast.walk(tree) if isinstance(node, ast.Assign) and called_name(node.value) in names
              for target in node.targets if isinstance(target, ast.Name)}
    return [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Call) and called_name(node.func) in names]


def called_name(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=value):
            return called_name(value)
    return ""


def test_only_risk_makes_an_approval() -> None:
    makers = {str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.py")
              if approvals_made(path.read_text(encoding="utf-8"))}
    assert makers <= {"engine/risk.py"}


@pytest.mark.parametrize("snippet", [
    "x = RiskApproved(intent)", "x = risk.RiskApproved(intent)", "x = RiskApproved[OrderIntent](intent)",
    "from engine.risk import RiskApproved as Yes\nx = Yes(intent)", "Yes = RiskApproved\nx = Yes(intent)"])
def test_the_check_finds_an_approval(snippet: str) -> None:
    assert approvals_made(snippet)


@pytest.mark.parametrize("snippet", ["def f(x: RiskApproved[OrderIntent]) -> None: ...", "isinstance(x, RiskApproved)"])
def test_naming_an_approval_is_not_making_one(snippet: str) -> None:
    assert approvals_made(snippet) == []
