"""Research of a home, put together: the archive and the memory in its research.db, the models that have a key, the world, and the
record that screens and the learning ask."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from engine.config import Config
from engine.errors import KeysUnavailable, StoreError
from engine.inputs import RunResearch
from engine.ports import DailyBars
from engine.research.breaker import Breaker
from engine.research.calling import Caller, LiveCaller, RecordedCaller
from engine.research.models import Model
from engine.research.rule_analyst import BADGE
from engine.research.settings import ModelLine, ResearchSettings
from engine.research.spending import Purse
from engine.research_desk import ResearchParts
from engine.research_world import ResearchWorld
from engine.state import State
from store.home import Home
from store.research_archive import ARCHIVE_FILE, ResearchArchive
from store.research_memory import ResearchMemory
from store.research_record import StoredResearch
from store.research_recording import RunRecording, read_file, recording_of
from tui.compose_news import Around, HomeNews, graph_of, news_of
from tui.key_access import key_store

_log = logging.getLogger("quarterdeck.research")


class HomeResearch(NamedTuple):
    """What research of a home is done and asked with; `parts` is None where it is switched off or its file cannot be opened."""

    record: StoredResearch
    parts: ResearchParts | None = None
    news: HomeNews | None = None
    close: Callable[[], None] = lambda: None


def research_of(home: Home, config: Config, state: Callable[[], State], bars: DailyBars | None,
                now_ns: Callable[[], int] = time.time_ns, *, by_chance: bool = True,
                send: Callable[[RunResearch], object] = lambda _: None) -> HomeResearch:
    """Research of a home. A file that cannot be opened costs research, told in the log, not the engine."""
    settings = config.settings().research
    if not settings.enabled:
        return HomeResearch(StoredResearch(home.journal, state))
    try:
        archive = ResearchArchive(home.path / ARCHIVE_FILE)
        memory = ResearchMemory(home.path / ARCHIVE_FILE)
    except StoreError as error:
        _log.error("research is left out: %s", error)
        return HomeResearch(StoredResearch(home.journal, state))
    world = ResearchWorld(memory, bars, graph_of(home, config))
    news = news_of(home, config, world, Around(state, now_ns if by_chance else lambda: state().at_ns, send))
    record = StoredResearch(home.journal, state, archive, news.view)
    models = models_of(home, config, settings)
    purse = Purse(settings.budgets, settings.prices, archive)
    caller = LiveCaller(models, archive, purse, Breaker(settings.breaker), settings.deadlines, now_ns)
    parts = ResearchParts(
        world, caller, archive, record, bars,
        lambda name: recorded_caller(archive, name), settings.badge if models else BADGE,
        ", ".join(dict.fromkeys(model.host for model in models.values())), by_chance,
        (lambda: "") if by_chance else (lambda: datetime.now(UTC).date().isoformat()))

    def close() -> None:
        news.desk.close()
        memory.close()
        archive.close()

    return HomeResearch(record, parts, news, close)


def models_of(home: Home, config: Config, settings: ResearchSettings) -> dict[str, Model]:
    """The lines of models that can be asked; one without a key is left out, and the log says so."""
    found: dict[str, Model] = {}
    if not settings.lines:
        return found
    try:
        store = key_store(home.path, config)
        for line in settings.lines:
            key = None if line.keyless else store.read(line.name)
            if key is None and not line.keyless:
                _log.warning('research: no key for "%s"; `quarterdeck keys set %s` stores one', line.name, line.name)
                continue
            found[line.name] = model_of(line, key.secret if key is not None else "")
    except KeysUnavailable as error:
        _log.error("research: no model is asked: %s", error)
    return found


def model_of(line: ModelLine, secret: str) -> Model:
    """The adapter of one line."""
    if line.kind == "anthropic":
        from brokers.models.anthropic_messages import AnthropicMessages

        return AnthropicMessages(line.name, line.endpoint, secret)
    from brokers.models.chat_completions import ChatCompletions

    return ChatCompletions(line.name, line.endpoint, secret)


def recorded_caller(archive: ResearchArchive, name: str) -> Caller:
    """A recorded run of the archive, or the one in a file; raises `UsageError`, `StoreError`."""
    path = Path(name)
    if path.suffix and path.is_file():
        heading, rows = read_file(path)
        return RecordedCaller(RunRecording(heading.runs[0] if heading.runs else "", rows))
    return RecordedCaller(recording_of(archive, name))
