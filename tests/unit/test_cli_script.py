"""Scripts of timed commands: times in every form, errors with file and line."""

from decimal import Decimal
from pathlib import Path

import pytest

from engine.errors import UsageError
from engine.inputs import Flatten, PlaceOrder
from engine.orders import Side
from engine.units import NS_PER_SECOND
from tui.commands.script import read_script

START_NS = 1_700_000_000 * NS_PER_SECOND


def test_times_in_every_form(tmp_path: Path) -> None:
    script = tmp_path / "s.jsonl"
    script.write_text(
        '# a comment\n\n'
        '{"at": "2030-01-01T00:00:00Z", "command": {"type": "Flatten"}}\n'
        '{"at": "+90m", "command": {"type": "PlaceOrder", "symbol": "X", "side": "BUY", "quantity": 0.1}}\n'
        f'{{"at": {START_NS}, "command": {{"type": "Flatten", "command_id": "mine"}}}}\n'
        '{"at": "2023-11-14T22:13:20.5", "command": {"type": "Flatten"}}\n')
    assert read_script(script, START_NS) == (
        (START_NS, Flatten("mine")),
        (START_NS + NS_PER_SECOND // 2, Flatten("script-6")),
        (START_NS + 5_400 * NS_PER_SECOND, PlaceOrder("script-4", "X", Side.BUY, quantity=Decimal("0.1"))),
        (1_893_456_000 * NS_PER_SECOND, Flatten("script-3")),
    )


@pytest.mark.parametrize(("line", "words"), [
    ("not json", "s.jsonl:1: "),
    ('{"at": "tomorrow", "command": {"type": "Flatten"}}', 'at = "tomorrow"'),
    ('{"at": 1, "command": {"type": "Dance"}}', "Dance"),
    ('{"at": 1, "command": {"type": "PlaceOrder", "side": "BUY"}}', "symbol"),
    ('{"at": 1, "wait": 3, "command": {"type": "Flatten"}}', "wait"),
    ('{"at": "+soon", "command": {"type": "Flatten"}}', "must be a span"),
])
def test_errors_name_file_and_line(line: str, words: str, tmp_path: Path) -> None:
    script = tmp_path / "s.jsonl"
    script.write_text(line + "\n")
    with pytest.raises(UsageError, match=r"s\.jsonl:1") as caught:
        read_script(script, START_NS)
    assert words in str(caught.value)


def test_a_missing_script_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_script(tmp_path / "none.jsonl", START_NS)
