"""What the README and the project file say is true: commands, keys, checks, links, versions, the replay example."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from engine.apply_risk import DAY_LOSS, DRAWDOWN, WEEK_LOSS
from engine.config import check_config
from tui.cli import run
from tui.command_line import COMMANDS
from tui.commands import tending
from tui.keymap import KEYMAP, shown_key

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PAGES = ("README.md", "CHANGELOG.md", "tests/bench/README.md", *sorted(
    str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("**/*.md")))
IMPORT_NAMES = {"pandas-ta": "pandas_ta", "alpaca-py": "alpaca", "exchange-calendars": "exchange_calendars",
                "prometheus-client": "prometheus_client"}
HELD_BACK = {"websockets"}  # named only to bound its version: it is another dependency that imports it
PACKAGES = ("tui", "engine", "brokers", "store", "themes")


def section(title: str) -> str:
    return README.split(f"\n## {title}\n", maxsplit=1)[1].split("\n## ", maxsplit=1)[0]


def rows(title: str) -> list[tuple[str, str]]:
    """First and second cell of a section's table, its heading left out."""
    cells = re.findall(r"^\| (.+?) \| (.+?) \|$", section(title), re.MULTILINE)
    return [(first, second) for first, second in cells[1:]]


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def command_lines(page: str) -> list[str]:
    """Every line of a page that calls the program, in a block of commands or between backticks."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:sh)?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    plain = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    called = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()
              if line.startswith("quarterdeck ")]
    return [line for line in (*called, *re.findall(r"`(quarterdeck [a-z][^`]*)`", plain)) if len(line.split()) > 1]


def command_path(line: str) -> list[str]:
    words = line.split()[1:]
    return words[:2] if words[0] in tending.GROUPS else words[:1]


def all_command_paths() -> set[str]:
    grouped = {f"{name} {one.name or getattr(one.callback, '__name__', '')}"
               for name, group in tending.GROUPS.items() for one in group.registered_commands}
    return {*COMMANDS, *grouped}


def test_the_readme_begins_with_the_two_commands() -> None:
    assert fenced("sh")[0] == "pip install uv && uv run quarterdeck\npip install uv && uv run pytest\n"


def test_the_commands_of_the_readme_exist() -> None:
    listed = {" ".join(command_path(line)) for cell, _ in rows("Commands")
              for line in re.findall(r"`(quarterdeck [a-z][^`]*)`", cell)}
    assert listed
    assert listed <= all_command_paths()


def test_no_command_is_missing_from_the_guide() -> None:
    table = (ROOT / "docs/guide.md").read_text(encoding="utf-8").split("\n## Commands\n")[1].split("\n## ")[0]
    told = {" ".join(word for word in called.split() if word.islower() and "-" not in word[:1])
            for called in re.findall(r"`([a-z][^`]*)`", table)}
    assert {path for path in all_command_paths() if not any(f"{one} ".startswith(f"{path} ") for one in told)} == set()


def sections_of_pages() -> list[tuple[str, str]]:
    """Every piece of configuration that a page shows, with where it stands."""
    found = []
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        found += [(f"{page}:{text[:block.start()].count(chr(10)) + 1}", block[1])
                  for block in re.finditer(r"^```(?:toml)?\n(\[.*?)^```$", text, re.MULTILINE | re.DOTALL)]
    return found


ACCOUNTS_MEANT = """
[[account]]
name = "alp"
venue = "alpaca"
symbols = ["AAPL"]
[[account]]
name = "alpaca"
venue = "alpaca"
symbols = ["AAPL"]
[[account]]
"""


@pytest.mark.parametrize(("where", "text"), sections_of_pages())
def test_every_piece_of_configuration_in_the_pages_is_valid(where: str, text: str) -> None:
    """As it stands, or beside the accounts that the words around it speak of."""
    if check_config(text, where).errors:
        assert check_config(text + ACCOUNTS_MEANT, where).errors == ()


@pytest.mark.parametrize("line", sorted({line for page in PAGES for line in command_lines(page)}))
def test_every_command_line_of_the_pages_is_understood(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = command_path(line)
    assert run([*path, "--help"]) == 0
    told = capsys.readouterr().out
    for option in re.findall(r"--[a-z-]+", line):
        assert option in told, f"{line}: {path} has no {option}"


def test_the_keys_of_the_readme_are_those_of_the_program() -> None:
    for cell, does in rows("Keys"):
        key = cell.strip("`")
        entries = [entry for entry in KEYMAP if key in map(shown_key, entry.keys.split(","))]
        assert any(entry.label.lower() in does.lower() for entry in entries), (key, does, entries)


def test_no_key_that_a_person_must_know_is_missing_from_the_readme() -> None:
    listed = {cell.strip("`") for cell, _ in rows("Keys")}
    for entry in KEYMAP:
        if entry.scope in ("app", "main") and (entry.rank or entry.required):
            assert entry.shown in listed, entry


@pytest.mark.slow
def test_the_checks_of_the_readme_are_made_by_the_engine() -> None:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "engine").glob("**/*.py")]
    calls = [node for tree in trees for node in ast.walk(tree)
             if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("check", "_hot", "_shared")]
    made = {given.value for node in calls for given in node.args[:2] if isinstance(given, ast.Constant)}
    made |= {DAY_LOSS, WEEK_LOSS, DRAWDOWN}
    listed = {name for cell, _ in rows("What is checked before an order goes") for name in cell.split(", ")}
    assert listed
    assert listed <= made


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    missing = [target for target in targets
               if target and "://" not in target and not ((ROOT / page).parent / target).exists()]
    assert not missing


def test_the_version_is_that_of_the_changelog(capsys: pytest.CaptureFixture[str]) -> None:
    newest = re.search(r"^## \[([^\]]+)\]", CHANGELOG, re.MULTILINE)
    assert newest is not None
    assert newest.group(1) == PROJECT["project"]["version"]
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"quarterdeck {PROJECT['project']['version']}\n"


@pytest.mark.slow
def test_the_replay_of_the_readme(tmp_path: Path) -> None:
    """The example as it stands: the order is filled, leaves at its target, and ends in the same hash each time."""
    (tmp_path / "ACME_1m.csv").write_text(fenced("csv")[0], encoding="utf-8")
    (tmp_path / "orders.jsonl").write_text(fenced("json")[0], encoding="utf-8")
    looked, played, _on_screen = (
        line.split()[1:] for line in section("A replay of your own file").splitlines()
        if line.startswith("quarterdeck replay "))
    assert "ACME" in quarterdeck(tmp_path, *looked)
    first, again = (json.loads(quarterdeck(tmp_path, *played, "--json", *more)) for more in ([], ["--fresh"]))
    assert (first["fills"], first["round_trips"], first["winners"], first["positions"]) == (2, 1, 1, [])
    assert first["journal_hash"] == again["journal_hash"]


def quarterdeck(folder: Path, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "tui.cli", *arguments], cwd=folder, capture_output=True, text=True,
                          check=False, env={"PYTHONPATH": str(ROOT), "QUARTERDECK_HOME": str(folder / "home")})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_dependency_has_an_upper_bound() -> None:
    groups = PROJECT["dependency-groups"]
    named = [*PROJECT["project"]["dependencies"],
             *(one for group in groups.values() for one in group if isinstance(one, str))]
    assert [one for one in named if "<" not in one and "==" not in one] == []


@pytest.mark.slow
def test_every_dependency_is_used() -> None:
    imported: set[str] = set()
    for package in PACKAGES:
        for path in (ROOT / package).glob("**/*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    imported.update(alias.name.partition(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom):
                    imported.add((node.module or "").partition(".")[0])
    names = {re.split(r"[<>=\[ ]", one, maxsplit=1)[0] for one in PROJECT["project"]["dependencies"]}
    assert {IMPORT_NAMES.get(name, name) for name in names - HELD_BACK} <= imported


def test_the_pinned_python_is_one_that_is_allowed() -> None:
    pinned = (ROOT / ".python-version").read_text(encoding="utf-8").strip()
    assert pinned == "3.12"
    assert PROJECT["project"]["requires-python"] == ">=3.12,<3.14"


def test_the_wheel_holds_the_five_packages() -> None:
    assert set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == set(PACKAGES)
