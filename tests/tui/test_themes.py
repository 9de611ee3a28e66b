"""Shipped themes can be read by everyone; a person's bad theme is reported and costs nothing."""

from pathlib import Path

import pytest
from textual.color import Color
from textual.theme import Theme

from engine.errors import ConfigError
from tests.tui.driving import driving
from tui.theming import DEFAULT_THEME, packaged_themes, parse_theme, user_themes

TEXT_TONES = ("gain", "loss", "muted", "strong", "head", "warn", "crit", "good", "stale", "pending", "focus")
# Vienot, Brettel and Mollon 1999: linear RGB as a deuteranope and as a protanope sees it.
BLINDNESS = {"deuteranopia": ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0)),
             "protanopia": ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0))}


def linear(colour: Color) -> tuple[float, float, float]:
    def one(channel: int) -> float:
        share = channel / 255
        return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)
    return one(colour.r), one(colour.g), one(colour.b)


def luminance(colour: Color) -> float:
    red, green, blue = linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    light, dark = sorted((luminance(Color.parse(first)), luminance(Color.parse(second))), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def lab(rgb: tuple[float, float, float]) -> tuple[float, float, float]:
    red, green, blue = (max(0.0, min(1.0, each)) for each in rgb)
    xyz = ((0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047, 0.2126 * red + 0.7152 * green + 0.0722 * blue,
           (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883)
    x, y, z = (each ** (1 / 3) if each > 0.008856 else 7.787 * each + 16 / 116 for each in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def difference(first: str, second: str, blindness: str) -> float:
    seen = []
    for text in (first, second):
        rgb = linear(Color.parse(text))
        seen.append(lab(tuple(sum(weight * each for weight, each in zip(row, rgb, strict=True))  # type: ignore[arg-type]
                              for row in BLINDNESS[blindness])))
    return float(sum((a - b) ** 2 for a, b in zip(*seen, strict=True)) ** 0.5)


@pytest.mark.parametrize("theme", packaged_themes(), ids=lambda theme: theme.name)
def test_every_tone_can_be_read_on_every_ground(theme: Theme) -> None:
    variables = theme.variables
    grounds = [theme.background, theme.surface, theme.panel, variables["cursor"], variables["cursor-rest"],
               variables["strip"], variables["field"]]
    for tone in TEXT_TONES:
        for ground in grounds:
            assert contrast(variables[tone], ground or "") >= 4.5, (tone, ground)
    for flag in ("paper", "live", "replay", "panic"):
        assert contrast(variables["on-flag"], variables[flag]) >= 4.5, flag


@pytest.mark.parametrize("theme", packaged_themes(), ids=lambda theme: theme.name)
@pytest.mark.parametrize("blindness", list(BLINDNESS))
def test_gain_and_loss_differ_for_colour_blind_eyes(theme: Theme, blindness: str) -> None:
    assert difference(theme.variables["gain"], theme.variables["loss"], blindness) >= 40


def test_there_is_a_dark_a_light_and_a_high_contrast_theme() -> None:
    themes = {theme.name: theme for theme in packaged_themes()}
    assert DEFAULT_THEME in themes
    assert {theme.dark for theme in themes.values()} == {True, False}
    assert "contrast" in themes


@pytest.mark.parametrize(("text", "words"), [
    ("name = ", "not TOML"), ("name = 'a b'", "name must be"), ("dark = true", "name must be"),
    ("name = 'x'\ncolors = {}", "unknown key 'colors'"),
    ("name = 'x'\n[colours]\ngain = 'blurple'", "colours.gain = 'blurple'"),
    ("name = 'x'\n[colours]\nsparkle = '#fff'", "colours.sparkle"),
    ("name = 'x'\n[colours]\ngain = 3", "must be a text"),
    ("name = 'x'\ndark = 'yes'", "dark must be"),
])
def test_a_bad_theme_is_refused_by_file_and_key(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        parse_theme(text, "mine.toml")
    assert "mine.toml" in str(refused.value)


async def test_own_themes_are_used_and_bad_ones_reported(tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text("name = 'plum'\n[colours]\nprimary = '#8844aa'\nfocus = '#dd99ff'\n")
    (tmp_path / "bad.toml").write_text("name = 'bad'\n[colours]\ngain = 'blurple'\n")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    assert len(user_themes(tmp_path).problems) == 2
    async with driving(home_themes=tmp_path, theme_name="plum") as driver:
        assert driver.app.theme == "plum"
        await driver.sees("theme")
        assert "plum" in driver.app.own_themes


async def test_an_unknown_theme_falls_back_and_says_so() -> None:
    async with driving(theme_name="nowhere", size=(160, 45)) as driver:
        assert driver.app.theme == DEFAULT_THEME
        await driver.sees("theme 'nowhere' is not there")


async def test_the_theme_changes_while_running() -> None:
    async with driving() as driver:
        for theme in packaged_themes():
            driver.app.theme = theme.name
            await driver.pilot.pause()
            await driver.sees("1 Positions 4")
            assert driver.app.tones.colours["gain"] == theme.variables["gain"]
