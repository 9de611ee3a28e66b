"""Imports point one way: the contracts of pyproject.toml, and the promise that start-up loads nothing heavy."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_imports_point_one_way() -> None:
    """In a process of its own: the linter switches off every logger that it finds."""
    script = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_engine_loads_no_outside_world() -> None:
    """What no contract sees: that a library does not bring another one along."""
    script = (
        "import pkgutil, importlib, sys, engine\n"
        "for one in pkgutil.walk_packages(engine.__path__, 'engine.'):\n"
        "    importlib.import_module(one.name)\n"
        "print(' '.join(sorted({name.partition('.')[0] for name in sys.modules})))\n")
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "engine" in loaded
    assert not loaded & {"textual", "rich", "typer", "sqlite3", "aiohttp", "requests", "ccxt", "alpaca", "anthropic",
                         "pandas", "numba", "numpy", "pyarrow", "brokers", "store", "tui"}
