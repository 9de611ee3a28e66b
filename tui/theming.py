"""Themes: colours only, as TOML files. Packaged ones must be right; a person's own may be wrong and are reported."""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from rich.style import Style
from textual.color import Color, ColorParseError
from textual.theme import Theme

from engine.errors import ConfigError

DEFAULT_THEME = "harbour"
BASE_COLOURS = ("primary", "secondary", "accent", "foreground", "background", "surface", "panel", "warning", "error",
                "success")
DARK_DEFAULTS: Mapping[str, str] = {
    "gain": "#5aa9f0", "loss": "#ef9046", "muted": "#95a3b1", "strong": "#ffffff", "head": "#9fb0c0", "warn": "#e3c04d",
    "crit": "#ff7b6b", "good": "#7fc8b4", "stale": "#d0a86a", "pending": "#c5a5f5", "line": "#35424f",
    "focus": "#e8d27a", "cursor": "#25364a", "cursor-rest": "#1b2530", "strip": "#17202a", "entry-line": "#b9c6d2",
    "stop-line": "#ef9046", "target-line": "#5aa9f0", "paper": "#2f5f86", "live": "#b3261e", "replay": "#6a4a8c",
    "panic": "#b3261e", "on-flag": "#ffffff", "field": "#1e2832",
}
LIGHT_DEFAULTS: Mapping[str, str] = {
    "gain": "#0a5aa8", "loss": "#a14200", "muted": "#55616d", "strong": "#000000", "head": "#3f4c59", "warn": "#755400",
    "crit": "#a80d1d", "good": "#0f665a", "stale": "#6f5316", "pending": "#5f35a0", "line": "#b9c2ca",
    "focus": "#0a5aa8", "cursor": "#cfe2f5", "cursor-rest": "#e6edf3", "strip": "#e8ecef", "entry-line": "#46535f",
    "stop-line": "#a14200", "target-line": "#0a5aa8", "paper": "#2f5f86", "live": "#a80d1d", "replay": "#5f35a0",
    "panic": "#a80d1d", "on-flag": "#ffffff", "field": "#e3e8ec",
}


class UserThemes(NamedTuple):
    """What a themes folder held: the good ones, and one line for each bad one."""

    themes: tuple[Theme, ...]
    problems: tuple[str, ...]


class Tones:
    """Styles by meaning, made once for a theme; a tone that is not known is plain text."""

    def __init__(self, variables: Mapping[str, str], *, dark: bool) -> None:
        colours = {**(DARK_DEFAULTS if dark else LIGHT_DEFAULTS), **variables}
        self.colours = colours
        self._styles = {name: Style(color=colours[name]) for name in DARK_DEFAULTS}
        for name in ("strong", "crit", "head"):
            self._styles[name] += Style(bold=True)
        for name in ("paper", "live", "replay", "panic"):
            self._styles[name] = Style(color=colours["on-flag"], bgcolor=colours[name], bold=True)
        self._styles["stale"] += Style(italic=True)
        self._styles["dim"] = Style(color=colours["muted"], dim=True)
        self._styles["focus"] += Style(bold=True)
        self.cursor = Style(bgcolor=colours["cursor"], bold=True)
        self.cursor_rest = Style(bgcolor=colours["cursor-rest"])
        self._plain = Style()

    def __getitem__(self, tone: str) -> Style:
        return self._styles.get(tone, self._plain)


def default_variables(*, dark: bool) -> dict[str, str]:
    """The meanings a theme may leave out."""
    return dict(DARK_DEFAULTS if dark else LIGHT_DEFAULTS)


def packaged_themes() -> tuple[Theme, ...]:
    """The themes that come with the product."""
    folder = files("themes")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml"))
    return tuple(parse_theme((folder / name).read_text("utf-8"), name) for name in names)


def user_themes(folder: Path | None) -> UserThemes:
    """Every theme of a person's folder; a bad file costs that theme and nothing else."""
    themes: list[Theme] = []
    problems: list[str] = []
    for path in sorted(folder.glob("*.toml")) if folder is not None and folder.is_dir() else ():
        try:
            themes.append(parse_theme(path.read_text("utf-8"), str(path)))
        except (ConfigError, OSError, UnicodeDecodeError) as problem:
            problems.append(f"theme left out: {problem}" if str(path) in str(problem) else f"theme {path}: {problem}")
    return UserThemes(tuple(themes), tuple(problems))


def parse_theme(text: str, source: str) -> Theme:
    """One theme file. Raises `ConfigError` naming the file and the key, since a bad colour would end the app later."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(f"{source}: not TOML ({problem}); correct that line") from None
    name, dark, colours = table.get("name"), table.get("dark", True), table.get("colours", {})
    if not isinstance(name, str) or not name.replace("-", "").isalnum():
        raise ConfigError(f"{source}: name must be letters, digits and dashes, such as name = \"harbour\"")
    if not isinstance(dark, bool) or not isinstance(colours, dict):
        raise ConfigError(f"{source}: dark must be true or false, and [colours] a table of colours")
    unknown = set(table) - {"name", "dark", "about", "colours"}
    if unknown:
        raise ConfigError(f"{source}: unknown key {min(unknown)!r}; known are name, dark, about, [colours]")
    checked = {key: _colour(key, value, source) for key, value in colours.items()}
    base = {key: value for key, value in checked.items() if key in BASE_COLOURS}
    meanings = {key: value for key, value in checked.items() if key not in BASE_COLOURS}
    colours_of: dict[str, Any] = {"primary": meanings.get("focus", default_variables(dark=dark)["focus"]), **base}
    return Theme(name=name, dark=dark, variables={**default_variables(dark=dark), **meanings}, **colours_of)


def _colour(key: str, value: object, source: str) -> str:
    if key not in BASE_COLOURS and key not in DARK_DEFAULTS:
        known = ", ".join((*BASE_COLOURS, *DARK_DEFAULTS))
        raise ConfigError(f"{source}: colours.{key} is not a colour of a theme; known are {known}")
    if not isinstance(value, str):
        raise ConfigError(f"{source}: colours.{key} must be a text such as \"#5aa9f0\"")
    try:
        return Color.parse(value).hex6
    except ColorParseError:
        raise ConfigError(f"{source}: colours.{key} = {value!r} is not a colour; write it as \"#5aa9f0\"") from None
