"""Health and metrics of an engine over HTTP. Metrics name portfolios, accounts and queues, never what is held or worth."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from engine.health import CLOCK_AHEAD, DISK_FREE, NO_SIGN, health_lines, verdict_of
from engine.health_words import HealthLine, Verdict
from engine.service import AlertLevel, Snapshot
from engine.units import NS_PER_SECOND, Nanoseconds
from tui.http_server import is_own_host

if TYPE_CHECKING:
    from aiohttp import web
    from aiohttp.typedefs import Handler
    from prometheus_client.core import Metric

JSON_TYPE = "application/json"
VERDICT_NUMBERS = {Verdict.OK: 0, Verdict.WARN: 1, Verdict.FAIL: 2}
RANKED_LEVELS = tuple(AlertLevel)


def health_app(latest: Callable[[], Snapshot], host: str, now_ns: Callable[[], Nanoseconds] = time.time_ns) -> "web.Application":
    """The application that answers `/health` and `/metrics` out of the newest snapshot, and nothing else."""
    from aiohttp import web

    @web.middleware
    async def only_own_host(request: "web.Request", handler: "Handler") -> "web.StreamResponse":
        if not is_own_host(request.host, host):
            return web.Response(status=403, text="ask by this machine's own address\n")
        return await handler(request)

    async def health(_: "web.Request") -> "web.Response":
        lines = health_lines(latest(), now_ns())
        return web.Response(status=503 if verdict_of(lines) is Verdict.FAIL else 200, body=health_json(lines),
                            content_type=JSON_TYPE)

    async def metrics(_: "web.Request") -> "web.Response":
        return web.Response(body=metrics_text(latest(), now_ns()), headers={"Content-Type": "text/plain; version=0.0.4"})

    app = web.Application(middlewares=[only_own_host], client_max_size=1_024)
    app.router.add_get("/health", health)
    app.router.add_get("/metrics", metrics)
    return app


def health_json(lines: Sequence[HealthLine]) -> bytes:
    """The verdict and every line of it."""
    return msgspec.json.encode({"verdict": verdict_of(lines), "lines": lines}) + b"\n"


def metrics_text(snapshot: Snapshot, now_ns: Nanoseconds) -> bytes:
    """The metrics of one snapshot in Prometheus' text format, through a registry of its own."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.registry import Collector

    class Once(Collector):
        def collect(self) -> "Iterator[Metric]":
            yield from _engine(snapshot, now_ns)
            yield from _accounts(snapshot)
            yield from _positions(snapshot)
            yield from _orders(snapshot)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Once())
    return generate_latest(registry)


def _gauge(name: str, help_text: str, labels: Sequence[str], values: Sequence[tuple[Sequence[str], float | None]]) -> "Metric":
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(f"quarterdeck_{name}", help_text, labels=labels)
    for label_values, value in values:
        if value is not None:
            family.add_metric(label_values, value)
    return family


def _counter(name: str, help_text: str, labels: Sequence[str], values: Sequence[tuple[Sequence[str], float]]) -> "Metric":
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(f"quarterdeck_{name}", help_text, labels=labels)
    for label_values, value in values:
        family.add_metric(label_values, value)
    return family


def _engine(snapshot: Snapshot, now_ns: Nanoseconds) -> "Iterator[Metric]":
    health = snapshot.health
    lines = health_lines(snapshot, now_ns)
    yield _gauge("health", "0 well, 1 something to look at, 2 something fails", [], [([], VERDICT_NUMBERS[verdict_of(lines)])])
    yield _gauge("snapshot_age_seconds", "How long ago the engine last said something", [],
                 [([], (now_ns - snapshot.at_ns) / NS_PER_SECOND)])
    yield _gauge("uptime_seconds", "Since the engine's start", [], [([], health.uptime_seconds)])
    yield _gauge("journal_rows", "The newest row of the journal", [], [([], health.journal_seq)])
    yield _gauge("journal_lag_seconds", "How long the newest commit took", [], [([], health.journal_lag_ms / 1_000)])
    yield _gauge("journal_unwritable", "1 while the journal cannot be written", [], [([], bool(health.unwritable))])
    yield _gauge("inputs_per_second", "What the engine takes in", [], [([], health.inputs_per_second)])
    yield _gauge("queue_waiting", "How many wait", ["queue"], [((name,), waiting) for name, waiting in health.queues.items()])
    yield _gauge("worker_silent_seconds", "How long ago each worker was last seen working", ["worker"],
                 [((worker.name,), worker.silent_seconds) for worker in health.workers])
    yield _gauge("worker_overdue", "1 where a worker is silent for longer than it may be", ["worker"],
                 [((worker.name,), worker.overdue) for worker in health.workers])
    yield _counter("defects", "Inputs that could not be decided on", [], [([], health.defects)])
    yield _counter("events", "What was recorded since the start, by kind", ["kind"],
                   [((kind,), count) for kind, count in health.events.items()])
    yield _gauge("disk_free_bytes", "The room on the home's disk", [],
                 [([], health.counts[DISK_FREE] << 20 if DISK_FREE in health.counts else None)])
    yield _gauge("clock_ahead_seconds", "How far the engine's time is ahead of a clock that was set back", [],
                 [([], health.counts.get(CLOCK_AHEAD, 0))])
    yield _counter("done", "What workers beside the engine did since the start", ["what"],
                   [((what,), count) for what, count in health.counts.items() if what not in (DISK_FREE, CLOCK_AHEAD, NO_SIGN)])


def _accounts(snapshot: Snapshot) -> "Iterator[Metric]":
    names = ["portfolio", "account"]
    labels = {one.portfolio: (one.portfolio, one.account) for one in snapshot.accounts}
    yield _gauge("venue_live", "1 while the venue is connected and reconciled", names,
                 [(labels[one.portfolio], one.connectivity.value == "live") for one in snapshot.accounts])
    yield _gauge("quote_age_seconds", "The age of the newest quote in an open market", names,
                 [(labels[one.portfolio], one.quote_age_seconds) for one in snapshot.accounts])
    yield _gauge("drift_instruments", "Instruments in which our count and the venue's differ", names,
                 [(labels[one.portfolio], len(one.drift)) for one in snapshot.accounts])
    yield _gauge("trading_state", "1 for the state that a portfolio is in", [*names, "state"],
                 [((*labels[one.portfolio], one.trading_state.value), 1) for one in snapshot.accounts])
    yield _gauge("heat_used_fraction", "Heat, as a part of its limit", names,
                 [(labels[one.portfolio], one.heat_percent / one.heat_limit_percent if one.heat_limit_percent else None)
                  for one in snapshot.accounts])


def _positions(snapshot: Snapshot) -> "Iterator[Metric]":
    portfolios = [one.portfolio for one in snapshot.accounts]
    held = Counter(one.portfolio for one in snapshot.positions)
    bare = Counter(one.portfolio for one in snapshot.positions if one.unprotected_now)
    seconds = {name: sum(one.unprotected_seconds for one in snapshot.positions if one.portfolio == name) for name in portfolios}
    yield _gauge("positions", "Open positions", ["portfolio"], [((name,), held[name]) for name in portfolios])
    yield _gauge("positions_unprotected", "Open positions that nothing guards", ["portfolio"],
                 [((name,), bare[name]) for name in portfolios])
    yield _gauge("unprotected_seconds", "How long the open positions were bare, all together", ["portfolio"],
                 [((name,), seconds[name]) for name in portfolios])


def _orders(snapshot: Snapshot) -> "Iterator[Metric]":
    orders = Counter((one.portfolio, one.status.value) for one in snapshot.orders)
    alerts = Counter(one.level for one in snapshot.alerts if not one.acknowledged)
    yield _gauge("orders", "Orders that work, and the newest that are over, by status", ["portfolio", "status"],
                 [(key, count) for key, count in sorted(orders.items())])
    yield _gauge("alerts_unacknowledged", "Alerts that nobody has acknowledged", ["level"],
                 [((level.value,), alerts[level]) for level in RANKED_LEVELS])
    yield _gauge("decisions_pending", "Pending trades that wait for a person", [],
                 [([], sum(one.status.value == "PENDING" for one in snapshot.proposals))])
