"""How long from an incident to the notice, and what a look at `/metrics` costs.

`uv run python -m tests.bench.notices`. The incident is a halt of a running engine that is durable before it is told; the service
is a local HTTP server that apprise posts to. Aimed at: told within a few times the bare post; a look at the metrics of 200
instruments and 50 positions no dearer than encoding the snapshot that it reads, which the control socket does ten times a second.
"""

import statistics
import tempfile
import time
from pathlib import Path

import msgspec

from brokers.notifiers.desk import NotifyDesk
from brokers.notifiers.outbox import Outbox, Terms
from brokers.notifiers.routes import Route
from brokers.notifiers.sending import send
from engine.config import parse_config
from engine.health import health_lines
from engine.inputs import SetTradingState, TradingState
from engine.runner import Engine
from engine.service import AlertLevel
from engine.state import State
from store.home import open_home
from store.journal import SqliteJournal
from tests.tui.views import position, quote, snapshot
from tests.unit.listening import Listener, listening
from tui.compose import engine_parts, paper_options
from tui.compose_venues import real_venues
from tui.metrics import metrics_text
from tui.running_engine import EngineLink

INCIDENTS = 30
LOOKS = 100


def incidents() -> None:
    with tempfile.TemporaryDirectory() as folder, listening() as service:
        home = open_home(Path(folder))
        config = parse_config("[market]\nalways_open = true\n", "bench")
        address = f"json://127.0.0.1:{service.port}"
        outbox = Outbox([Route("phone")], Terms(longest_spacing_seconds=0.0))
        desk = NotifyDesk(outbox, {"phone": address}, "PAPER", lambda _: None)
        journal = SqliteJournal(home.journal, lambda _: None)
        parts = engine_parts(home, config, real_venues(home, config, paper_options), journal, State(), 0)._replace(notifier=desk)
        engine = Engine(parts)
        engine.start()
        desk.start(lambda: engine.latest().alerts)
        send(address, AlertLevel.INFO, "warm", "warm")
        link = EngineLink(engine)
        posted = [timed(lambda: send(address, AlertLevel.CRIT, "title", "text")) for _ in range(INCIDENTS)]
        told = [incident(link, service, number) for number in range(INCIDENTS)]
        engine.stop()
        engine.join(10.0)
        desk.close(1.0)
        journal.close()
    median, bare = statistics.median(told), statistics.median(posted)
    print(f"incident to notice: {1_000 * median:.1f} ms (worst {1_000 * max(told):.1f}), of which the bare post is "
          f"{1_000 * bare:.1f} ms: {median / bare:.1f} times it")


def incident(link: EngineLink, service: Listener, number: int) -> float:
    """Halt, wait until the service was told of it, resume; how long the telling took."""
    service.heard.clear()
    began = time.perf_counter()
    link.send_now(SetTradingState(f"h{number}", TradingState.HALTED, "", f"incident {number}", "bench"))
    while not service.heard:
        time.sleep(0.0002)
    took = time.perf_counter() - began
    link.send_now(SetTradingState(f"r{number}", TradingState.ACTIVE, "", "", "bench"))
    return took


def timed(work: object) -> float:
    began = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - began


def looks() -> None:
    found = snapshot(quotes=tuple(quote(f"S{number}") for number in range(200)),
                     positions=tuple(position(f"S{number}") for number in range(50)))
    metrics_text(found, found.at_ns)
    each = statistics.median(timed(lambda: metrics_text(found, found.at_ns)) for _ in range(LOOKS))
    lines = statistics.median(timed(lambda: health_lines(found, found.at_ns)) for _ in range(LOOKS))
    encoded = statistics.median(timed(lambda: msgspec.json.encode(found)) for _ in range(LOOKS))
    print(f"/metrics: {1_000 * each:.2f} ms, the look at health {1_000 * lines:.3f} ms; encoding the same snapshot once "
          f"{1_000 * encoded:.2f} ms: {each / encoded:.1f} times it")


if __name__ == "__main__":
    incidents()
    looks()
