"""News, calendars and what events mean, in the configuration file."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Literal, Self

from pydantic import Field, model_validator

from engine.config_accounts import NAME_PATTERN
from engine.config_limits import Section

NEWS_EXAMPLE = [
    "A source of news: an RSS or Atom feed, a calendar (ics, csv), or the news of an Alpaca account",
    "[[news]]", 'name = "wire"', 'kind = "rss"', 'url = "https://example.com/feed.xml"', "every_seconds = 300",
    "[[news]]", 'name = "calendar"', 'kind = "csv"', 'file = "calendar.csv"',
]


class NewsConfig(Section):
    """A source of news. What it says is a stranger's: cleaned, marked, typed by rules, and never an order."""

    name: str = Field(pattern=NAME_PATTERN, description="How events, the log and the screen name the source.")
    kind: Literal["rss", "ics", "csv", "alpaca"] = Field(
        default="rss", description="rss: an RSS or Atom feed; ics, csv: a calendar; alpaca: the news of an account there.")
    url: str = Field(default="", max_length=2_000, description="Where a feed or calendar lies, http or https.")
    file: str = Field(default="", max_length=500, description="A calendar in the home folder instead, such as calendar.csv.")
    account: str = Field(default="", description="With kind alpaca: the account whose key is used.")
    every_seconds: float = Field(default=300.0, ge=10, le=86_400, description="How often it is asked.")
    private: bool = Field(default=False, description="It may lie on this machine or its network.")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.kind == "alpaca":
            if self.url or self.file or not self.account:
                raise ValueError("a source of kind alpaca needs account, and neither url nor file")
            return self
        if bool(self.url) == bool(self.file) or self.account:
            raise ValueError(f"a source of kind {self.kind} needs either url or file, and no account")
        if self.url and not self.url.startswith(("https://", "http://")):
            raise ValueError("url must begin with https:// or http://")
        if self.file and (PurePath(self.file).name != self.file or self.kind == "rss"):
            raise ValueError("file must be the name of a calendar (ics, csv) in the home folder, without a path")
        return self


class EventsConfig(Section):
    """What events mean: ties between names, and when an event begins a run of research."""

    graph: str = Field(
        default="", max_length=500,
        description="A CSV in the home folder with ties between names: from,to,relation,weight,source,valid_from,valid_to.")
    builtin_graph: bool = Field(default=True, description="Whether the small built-in graph of well-known names counts too.")
    names: dict[str, str] = Field(
        default={}, examples=['"international business machines" = "IBM"'],
        description="What else symbols are called in news, in lower case; the built-in list knows the best known.")
    begin_research: bool = Field(
        default=True, description="An event about what a portfolio holds or looks at begins research there.")
    least_tie: float = Field(
        default=0.2, ge=0, le=1, description="How strong a tie to a name must be for an event there to begin research.")


def news_errors(sources: Sequence[NewsConfig], account_kinds: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with the sources, one line each; `account_kinds` are the kinds of the accounts by name."""
    names: dict[str, None] = {}
    for index, source in enumerate(sources):
        where = f"news[{index}]"
        if source.name in names:
            yield f'{where}.name = "{source.name}": the name is already taken; names must differ'
        names[source.name] = None
        if source.account and account_kinds.get(source.account) != "alpaca":
            yield f'{where}.account = "{source.account}": no account of kind alpaca is named so'
