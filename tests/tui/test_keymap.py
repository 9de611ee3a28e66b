"""One table of keys: no clash, nothing essential lost, help and palette complete."""

import pytest

from engine.errors import ConfigError
from tests.tui.driving import driving
from tui.keymap import KEYMAP, SCOPE_TITLES, keymap_with, shown_key

UNSAFE = {"ctrl+h", "ctrl+i", "ctrl+j", "ctrl+m", "ctrl+left_square_bracket", "ctrl+a", "ctrl+b", "ctrl+s",
          "ctrl+z", "f11", "f12"}


def test_no_key_that_a_terminal_may_swallow_and_no_clash() -> None:
    keys = {key for entry in KEYMAP for key in entry.keys.split(",")}
    assert not keys & UNSAFE
    assert not any(key.startswith("alt+") for key in keys)
    assert keymap_with({}) == KEYMAP
    assert len({entry.entry_id for entry in KEYMAP}) == len(KEYMAP)


@pytest.mark.parametrize(("overrides", "words"), [
    ({"halt": "f8"}, "keys.halt: no such act"), ({"panic": ""}, "cannot be without a key"),
    ({"buy": "q"}, "already means"), ({"panic": "ctrl+x"}, "already means"),
])
def test_a_wrong_keymap_is_refused(overrides: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        keymap_with(overrides)


async def test_own_keys_work_and_are_shown() -> None:
    async with driving(keys={"panic": "f8", "buy": "B"}) as driver:
        await driver.sees("F8 ■ HALT")
        await driver.press("f9")
        assert driver.service.sent == []
        await driver.press("f8")
        await driver.until(lambda: len(driver.service.sent) == 1)
        await driver.press("b")
        assert len(driver.app.screen_stack) == 1
        await driver.press("B")
        await driver.sees("New order")


async def test_help_lists_every_act_with_its_keys() -> None:
    async with driving(size=(120, 160)) as driver:
        await driver.press("question_mark")
        await driver.sees("Help: keys and marks", *SCOPE_TITLES.values())
        for entry in KEYMAP:
            line = " ".join(shown_key(key) for key in entry.keys.split(","))
            assert line in driver.text, entry
            assert entry.about.split()[0] in driver.text


async def test_the_key_line_changes_with_the_pane() -> None:
    async with driving(size=(80, 24)) as driver:
        await driver.sees("t protect", "x close")
        await driver.press("2")
        await driver.sees("a approve", "d decline")
        assert "t protect" not in driver.text
        await driver.pilot.click("#keys", offset=(2, 0))
        await driver.sees("Decision: BUY")
