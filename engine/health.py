"""What is well with a running engine and what is not: a pure look at one of its snapshots, the same for the screen, the command
line, `/health`, `doctor` and the sign of life."""

from collections.abc import Iterator, Sequence

from engine.health_words import HealthLine, Verdict
from engine.inputs import Connectivity, TradingState
from engine.orders import OrderStatus
from engine.service import AccountView, AlertLevel, Mode, Snapshot
from engine.units import NS_PER_SECOND, Nanoseconds

SILENT_SECONDS = 15
SLOW_JOURNAL_MS = 1_000
LONG_QUEUE = 5_000
OLD_QUOTE_SECONDS = 60
LOW_SPACE_MIB = 500
DISK_FREE = "disk free MiB"
TABLES_STOPPED = "tables stopped"  # a count that is there once the tables no longer follow the journal
NO_SIGN = "no sign of life"  # 1 where the last one was not taken, or its address is missing
IN_VAIN = "notices in vain"  # those that wait because their route does not take them
NOT_LISTENING = " does not listen"  # ends the name of a count, after a server's
CLOCK_AHEAD = "clock ahead seconds"  # a count that is there only while the wall clock is behind the engine's own time


def health_lines(snapshot: Snapshot, now_ns: Nanoseconds) -> tuple[HealthLine, ...]:
    """Every finding, in a fixed order; `now_ns` is the looker's own clock, by which an engine that hangs is found out."""
    lines = [*_engine(snapshot, now_ns), *_clock(snapshot), *_journal(snapshot), *_workers(snapshot),
             *_listeners(snapshot), *_queues(snapshot)]
    for account in snapshot.accounts:
        lines.extend(_account(snapshot, account))
    return (*lines, *_protection(snapshot), *_orders(snapshot), *_alerts(snapshot), *_jobs(snapshot), *_notices(snapshot))


def engines_now_ns(snapshot: Snapshot, wall_ns: Nanoseconds) -> Nanoseconds:
    """The time now as a snapshot's engine counts it, for a looker in another process: after a clock was set back the engine's
    own is ahead of the wall's, by which an engine that hangs would seem to speak from the future."""
    return wall_ns + snapshot.health.counts.get(CLOCK_AHEAD, 0) * NS_PER_SECOND


def verdict_of(lines: Sequence[HealthLine]) -> Verdict:
    """The worst of all findings."""
    found = [line.verdict for line in lines]
    return Verdict.FAIL if Verdict.FAIL in found else Verdict.WARN if Verdict.WARN in found else Verdict.OK


def trouble_of(lines: Sequence[HealthLine]) -> str:
    """What fails, in one line; empty where nothing does."""
    return "; ".join(f"{line.subject}: {line.found}" for line in lines if line.verdict is Verdict.FAIL)


def _engine(snapshot: Snapshot, now_ns: Nanoseconds) -> Iterator[HealthLine]:
    health = snapshot.health
    silent_seconds = (now_ns - snapshot.at_ns) / NS_PER_SECOND
    if snapshot.mode is not Mode.REPLAY and silent_seconds > SILENT_SECONDS:
        yield HealthLine(Verdict.FAIL, "engine", f"has said nothing for {silent_seconds:.0f} s",
                         "`quarterdeck panic` works without it; otherwise end that process and start again")
    else:
        told = f"up {health.uptime_seconds:.0f} s, {health.inputs_per_second:.0f} inputs a second"
        yield HealthLine(Verdict.OK, "engine", told)
    if health.defects:
        yield HealthLine(Verdict.FAIL, "defects", f"{health.defects} inputs could not be decided on",
                         "the log has each one; please report it")


def _clock(snapshot: Snapshot) -> Iterator[HealthLine]:
    ahead_seconds = snapshot.health.counts.get(CLOCK_AHEAD, 0)
    if ahead_seconds:
        yield HealthLine(Verdict.WARN, "clock", f"was set back: the engine's time is {ahead_seconds} s ahead of it, and goes on",
                         "check the time service; the two meet again when the clock has caught up")


def _journal(snapshot: Snapshot) -> Iterator[HealthLine]:
    health = snapshot.health
    told = f"row {health.journal_seq}, {health.journal_lag_ms:.1f} ms to the disk"
    if health.unwritable:
        yield HealthLine(Verdict.FAIL, "journal", f"cannot be written: {health.unwritable}", "free space, or repair the disk")
    elif health.journal_lag_ms > SLOW_JOURNAL_MS:
        yield HealthLine(Verdict.WARN, "journal", told, "the disk is slow: every order waits for it")
    else:
        yield HealthLine(Verdict.OK, "journal", told)
    if health.counts.get(TABLES_STOPPED):
        yield HealthLine(Verdict.WARN, "tables", "no longer follow the journal: reports and lists of the past miss what is new",
                         "start the engine anew: it makes them anew; the log says what failed")
    free_mib = health.counts.get(DISK_FREE)
    if free_mib is not None and free_mib < LOW_SPACE_MIB:
        yield HealthLine(Verdict.WARN, "disk", f"{free_mib} MiB free", "free some space before the journal needs it")
    elif free_mib is not None:
        yield HealthLine(Verdict.OK, "disk", f"{free_mib} MiB free")


def _workers(snapshot: Snapshot) -> Iterator[HealthLine]:
    workers = snapshot.health.workers
    overdue = [worker for worker in workers if worker.overdue]
    for worker in overdue:
        yield HealthLine(Verdict.FAIL, f"worker {worker.name}", f"silent for {worker.silent_seconds:.0f} s, "
                         f"longest is {worker.longest_seconds:.0f} s", "the log may say why; start the engine anew")
    if workers and not overdue:
        yield HealthLine(Verdict.OK, "workers", ", ".join(worker.name for worker in workers))


def _listeners(snapshot: Snapshot) -> Iterator[HealthLine]:
    """Servers that could not listen: whoever asks there hears nothing, or another engine's word for ours."""
    for name, count in sorted(snapshot.health.counts.items()):
        if count and name.endswith(NOT_LISTENING):
            yield HealthLine(Verdict.WARN, name.removesuffix(NOT_LISTENING), "does not listen: its address is taken, or not ours",
                             "another port in config.toml, then start the engine anew; the log names the address")


def _queues(snapshot: Snapshot) -> Iterator[HealthLine]:
    health = snapshot.health
    told = ", ".join(f"{name} {waiting}" for name, waiting in sorted(health.queues.items())) or str(health.queue_depth)
    if health.queue_depth > LONG_QUEUE:
        yield HealthLine(Verdict.WARN, "queues", told, "the engine falls behind: fewer symbols, or a faster machine")
    else:
        yield HealthLine(Verdict.OK, "queues", told)


def _account(snapshot: Snapshot, account: AccountView) -> Iterator[HealthLine]:
    subject = f"account {account.account}"
    if account.connectivity is not Connectivity.LIVE:
        yield HealthLine(Verdict.FAIL, subject, f"the venue is {account.connectivity.value}",
                         "entries wait; stops at the venue stand")
    elif account.drift:
        yield HealthLine(Verdict.FAIL, subject, f"drift in {'; '.join(account.drift)}",
                         "look at the venue; entries there are blocked until it is settled")
    else:
        yield _quotes(snapshot, account, subject)
    if account.trading_state is not TradingState.ACTIVE:
        yield HealthLine(Verdict.WARN, f"portfolio {account.portfolio}",
                         f"{account.trading_state.value}: {account.trading_state_cause}",
                         "`quarterdeck resume`, once it is understood")


def _quotes(snapshot: Snapshot, account: AccountView, subject: str) -> HealthLine:
    age = account.quote_age_seconds
    if age is None:
        return HealthLine(Verdict.OK, subject, f"{account.connectivity.value}, no market is open that was quoted")
    told = f"{account.connectivity.value}, the newest quote is {age:.0f} s old"
    if age > OLD_QUOTE_SECONDS and snapshot.mode is not Mode.REPLAY:
        return HealthLine(Verdict.FAIL, subject, told,
                          "no prices come: entries wait, and stops that only the engine watches are blind")
    return HealthLine(Verdict.OK, subject, told)


def _protection(snapshot: Snapshot) -> Iterator[HealthLine]:
    bare = [f"{one.symbol} of {one.portfolio}" for one in snapshot.positions if one.unprotected_now]
    if bare:
        yield HealthLine(Verdict.FAIL, "protection", f"nothing guards {', '.join(bare)}",
                         "`quarterdeck protect SYMBOL --stop P`, or close it")
    else:
        yield HealthLine(Verdict.OK, "protection", f"{len(snapshot.positions)} positions, every one protected")


def _orders(snapshot: Snapshot) -> Iterator[HealthLine]:
    unclear = [one.client_order_id for one in snapshot.orders
               if one.working and one.status in (OrderStatus.UNKNOWN, OrderStatus.DISPUTED)]
    if unclear:
        yield HealthLine(Verdict.WARN, "orders", f"not known what became of {', '.join(unclear)}",
                         "the venue is asked again; `quarterdeck settle ID` says it by hand")
    else:
        yield HealthLine(Verdict.OK, "orders", f"{sum(one.working for one in snapshot.orders)} working")


def _alerts(snapshot: Snapshot) -> Iterator[HealthLine]:
    critical = [one.alert_id for one in snapshot.alerts if one.level is AlertLevel.CRIT and not one.acknowledged]
    if critical:
        yield HealthLine(Verdict.WARN, "alerts", f"{len(critical)} critical, not acknowledged: {', '.join(critical[:3])}",
                         "`quarterdeck alerts`, then `quarterdeck ack ID`")


def _jobs(snapshot: Snapshot) -> Iterator[HealthLine]:
    failed = [job.job_id for job in snapshot.jobs if job.last_outcome == "failed"]
    if failed:
        yield HealthLine(Verdict.WARN, "schedule", f"failed when last run: {', '.join(failed)}",
                         "`quarterdeck schedule list` says why")


def _notices(snapshot: Snapshot) -> Iterator[HealthLine]:
    counts = snapshot.health.counts
    if counts.get(NO_SIGN):
        yield HealthLine(Verdict.WARN, "sign of life", "nobody takes it: silence would alarm nobody who never heard of us",
                         "`quarterdeck notify test heartbeat`; `quarterdeck notify set heartbeat` stores its address")
    if "notices told" not in counts:
        return
    told = ", ".join(f"{name.removeprefix('notices ')} {count}" for name, count in sorted(counts.items())
                     if name.startswith("notices "))
    if snapshot.health.queues.get("routes without an address"):
        yield HealthLine(Verdict.WARN, "notices", f"{told}; a route has no address", "`quarterdeck notify set NAME`")
    elif waiting := snapshot.health.queues.get(IN_VAIN):
        yield HealthLine(Verdict.WARN, "notices", f"{told}; {waiting} wait for a route that does not take them",
                         "`quarterdeck notify test` tries each route")
    elif counts.get("notices given up") or counts.get("notices dropped"):
        yield HealthLine(Verdict.WARN, "notices", told, "`quarterdeck notify test` tries each route")
    else:
        yield HealthLine(Verdict.OK, "notices", told)
