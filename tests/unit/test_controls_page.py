"""The page of controls is true: its modules, tests, limits and values are those of the program."""

import re
from pathlib import Path

import pytest

from engine.tolerance import FIELDS, PRESETS, RiskTolerance, described, limit_text

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "controls.md").read_text(encoding="utf-8")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def test_every_limit_is_listed_with_its_sentence_and_its_values() -> None:
    rows = [cells(line) for line in PAGE.splitlines() if line.startswith("| `") and "::" not in line]
    listed = {row[0].strip("`"): row[1:] for row in rows}
    assert [name for name in listed if name in FIELDS] == list(FIELDS)
    for name in FIELDS:
        assert listed[name] == [described(name), *(limit_text(getattr(PRESETS[one], name)) for one in RiskTolerance)], name


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`(tests/[\w/]+\.py::\w+)`", PAGE))))
def test_every_named_test_exists(named: str) -> None:
    path, _, name = named.partition("::")
    assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)


def test_every_control_names_a_module_and_a_test() -> None:
    table = PAGE.split("## Controls by name")[1].split("##")[0]
    rows = [cells(line) for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 15
    for row in rows:
        module, test = re.findall(r"`([\w/.:]+)`", "|".join(row[3:]))
        assert (ROOT / module).is_file(), module
        assert "::" in test
