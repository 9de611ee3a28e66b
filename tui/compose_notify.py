"""Notices of a home: its routes with their addresses out of the key store, what records them, and the sign of life."""

import hashlib
import logging
import os
import time
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from brokers.notifiers.desk import NotifyDesk, SentNotice, Waiting
from brokers.notifiers.heartbeat import Heartbeat
from brokers.notifiers.outbox import Earlier, Outbox, Terms
from brokers.notifiers.routes import DECISION, Route, minute_of
from engine.config import Config, check_config
from engine.config_notify import HEARTBEAT, NotifyRouteConfig
from engine.effects import Notify
from engine.errors import HomeUnusable, KeysUnavailable
from engine.health import IN_VAIN, NO_SIGN, health_lines, trouble_of
from engine.pulses import Pulses
from engine.runner import Engine
from engine.service import AlertLevel, Mode, ProposalStatus
from engine.units import NS_PER_SECOND, Nanoseconds
from store.home import Home, runtime_folder
from store.sent_notices import read_sent, record_sent
from tui.access import Gatekeeper
from tui.key_access import key_store, notify_entry

LAST_NOTICES_SECONDS = 5.0
FAILURE_SECONDS = 20.0  # a mail takes its time, and nobody else will tell that the engine is gone
FAILED_START_SECONDS = 40.0
UNKNOWN_MODE = "QUARTERDECK"
RECALLED_LINES = 1_000
LEVELS = {level.value: level for level in AlertLevel}
SHOWN_SECONDS = 1.0
SHOWN_POLL_SECONDS = 0.05
SECONDS_PER_MINUTE = 60
LONGEST_SILENCE_SECONDS = 60.0
_log = logging.getLogger("quarterdeck.notify")


class Notices(NamedTuple):
    """What tells a person away from the screen. Nothing, where nothing is configured."""

    desk: NotifyDesk | None = None
    heartbeat: Heartbeat | None = None
    lacks_heartbeat: bool = False

    def start(self, engine: Engine, gate: Gatekeeper) -> None:
        """Begin to tell of a running engine, and to give signs of life while it is well."""
        if self.desk is not None:
            self.desk.start(lambda: engine.latest().alerts, lambda standing: _report(engine.pulses, standing),
                            lambda notice: how_to_approve(gate, notice))
        counts = engine.pulses.counts
        if self.heartbeat is not None:
            self.heartbeat.start(lambda: ailing(engine), lambda taken: counts.update({NO_SIGN: 0 if taken else 1}))
        elif self.lacks_heartbeat:
            counts[NO_SIGN] = 1

    def tell(self, notice: Notify) -> None:
        """Tell what the engine itself does not know of."""
        if self.desk is not None:
            self.desk.notify(notice)

    def tell_failure(self, failure: str) -> None:
        """Tell that the engine itself has failed, which it can no longer do."""
        if self.desk is not None:
            self.desk.notify(Notify(AlertLevel.CRIT, "the engine has stopped", failure, "engine-failed"))

    def close(self, *, failed: bool = False) -> None:
        """End; what is due is told before, for longer where the engine `failed`."""
        if self.heartbeat is not None:
            self.heartbeat.close(LAST_NOTICES_SECONDS)
        if self.desk is not None:
            self.desk.close(FAILURE_SECONDS if failed else LAST_NOTICES_SECONDS)


def tell_failed_start(path: Path, failure: str) -> None:
    """Tell that an engine could not start, by the routes that the home's configuration still names: once, then ever more seldom
    while a service manager tries on. Raises nothing, and takes no longer than a service does."""
    home = Home(Path(os.path.abspath(path)))
    try:
        config, mode = _config_of_routes(home)
        if config is None or not config.notify_route or _told_of_failed_start(home, config):
            return
        desk = notices_of(home, config, mode).desk
        assert desk is not None
        desk.start(tuple)
        desk.notify(Notify(AlertLevel.CRIT, "the engine did not start", f"{failure}; nothing watches what only the engine guards",
                           "engine-start", at_ns=time.time_ns()))
        desk.close(FAILED_START_SECONDS)
        if desk.standing().counts.told:
            _note_failed_start(home)
    except Exception as error:  # noqa: BLE001 - the failure itself is told on standard error, whatever becomes of this
        _log.error("nobody was told that the engine did not start: %s", type(error).__name__)


def forget_failed_start(home: Home) -> None:
    """The engine runs: the next failure is news."""
    with suppress(OSError, HomeUnusable):
        _failed_start_marker(home).unlink(missing_ok=True)


def _config_of_routes(home: Home) -> tuple[Config | None, str]:
    """The configuration, or, where that is broken, what it says of notices; and which money it is about."""
    text = home.config.read_text(encoding="utf-8", errors="replace") if home.config.is_file() else ""
    config = check_config(text, home.config.name).config
    if config is not None:
        live = any(config.account_named(one.account).live for one in config.portfolio)
        return config, (Mode.LIVE if live else Mode.PAPER).value
    try:
        tree = {name: part for name, part in tomllib.loads(text).items() if name in ("notify", "notify_route", "keys")}
        return Config.model_validate(tree), UNKNOWN_MODE
    except ValueError:
        return None, ""


def _failed_start_marker(home: Home) -> Path:
    """Not in the home, which may be what is broken: a full disk takes no record."""
    return runtime_folder() / f"not-started-{hashlib.sha256(os.fsencode(home.path)).hexdigest()[:16]}"


def _told_of_failed_start(home: Home, config: Config) -> bool:
    try:
        marker = _failed_start_marker(home)
        seconds_ago, times = time.time() - marker.stat().st_mtime, len(marker.read_bytes())
    except (OSError, HomeUnusable):
        return False
    first_seconds = max(config.notify.repeat_seconds, SECONDS_PER_MINUTE)
    wait_seconds = min(first_seconds << min(max(times, 1) - 1, 10), config.notify.longest_repeat_seconds)
    return 0 <= seconds_ago < wait_seconds


def _note_failed_start(home: Home) -> None:
    """One letter for each telling; its time is that of the newest."""
    with suppress(OSError, HomeUnusable), _failed_start_marker(home).open("ab") as file:
        file.write(b".")


def how_to_approve(gate: Gatekeeper, notice: Notify) -> str:
    """How a pending trade is approved from outside: by a command with the code of exactly this card, which is signed, expires
    with it and is of use once, and with an authenticator's. Empty where that is not set up, or nothing waits."""
    if not notice.alert_id.startswith(DECISION) or not gate.approves_by_code:
        return ""
    proposal_id = notice.alert_id.removeprefix(DECISION)
    deadline = time.monotonic() + SHOWN_SECONDS
    while time.monotonic() < deadline:  # a notice may be a moment ahead of the snapshot that shows what it is about
        found = next((one for one in gate.service.latest().proposals if one.proposal_id == proposal_id), None)
        if found is not None:
            pending = found.status is ProposalStatus.PENDING
            return f"\nquarterdeck approve {proposal_id} --code {gate.approval_code(found)} --totp ......" if pending else ""
        time.sleep(SHOWN_POLL_SECONDS)
    return ""


def _report(pulses: Pulses, standing: Waiting) -> None:
    """Show in the engine's health how the notices stand."""
    pulses.beat("notices", LONGEST_SILENCE_SECONDS)
    pulses.queues["notices"] = standing.waiting
    pulses.counts.update({f"notices {name.replace('_', ' ')}": count for name, count in asdict(standing.counts).items()})
    pulses.queues[IN_VAIN] = standing.in_vain
    pulses.queues["acknowledgements"] = standing.unacknowledged
    pulses.queues["routes without an address"] = standing.unset


def ailing(engine: Engine) -> str:
    """What fails in a running engine, empty while nothing does: as long as something fails there is no sign of life."""
    if engine.finished.is_set():
        return engine.failure or "the engine has stopped"
    return trouble_of(health_lines(engine.latest(), engine.parts.clock.now_ns()))


def notices_of(home: Home, config: Config, mode: str) -> Notices:
    """The notices of a home; an address that cannot be had is told in the log and by `quarterdeck notify list`, since an engine
    that tells nobody is still better than none."""
    wants_heartbeat = config.notify.heartbeat_minutes > 0
    if not config.notify_route and not wants_heartbeat:
        return Notices()
    addresses = _addresses(home, config)
    desk = heartbeat = None
    if config.notify_route:
        outbox = Outbox([route_of(one) for one in config.notify_route], terms_of(config))
        desk = NotifyDesk(outbox, addresses, mode, lambda sent: _record(home, sent))
        desk.recall(told_earlier(home, time.time_ns()))
    if wants_heartbeat and addresses.get(HEARTBEAT):
        seconds = config.notify.heartbeat_minutes * SECONDS_PER_MINUTE
        heartbeat = Heartbeat(addresses[HEARTBEAT], config.notify.heartbeat_method, seconds)
    return Notices(desk, heartbeat, wants_heartbeat and heartbeat is None)


def told_earlier(home: Home, now_ns: Nanoseconds) -> Sequence[Earlier]:
    """What earlier runs of the engine told of its alerts, by the record; nothing where that cannot be read."""
    try:
        lines = read_sent(home.logs, RECALLED_LINES)
    except HomeUnusable as error:
        _log.warning("notices: what was told before is not known: %s", error)
        return ()
    found: dict[str, Earlier] = {}
    for line in lines:
        alert_id, at_ns, raised_ns, level = (line.get(name) for name in ("alert_id", "at_ns", "raised_ns", "level"))
        if not (isinstance(alert_id, str) and isinstance(at_ns, int) and isinstance(raised_ns, int) and str(level) in LEVELS):
            continue
        if not alert_id or line.get("failure") or at_ns > now_ns:
            continue
        known = found.get(alert_id)
        routes = known.routes if known is not None and known.raised_ns == raised_ns else ()
        found[alert_id] = Earlier(alert_id, LEVELS[str(level)], raised_ns, (now_ns - at_ns) / NS_PER_SECOND,
                                  (*routes, str(line.get("route"))))
    return tuple(found.values())


def route_of(config: NotifyRouteConfig) -> Route:
    """A route as the configuration says it."""
    return Route(config.name, config.level, config.portfolios, config.decisions, config.step, minute_of(config.quiet_from),
                 minute_of(config.quiet_until), config.zone)


def terms_of(config: Config) -> Terms:
    """How often and how much is told, as the configuration says."""
    terms = config.notify
    return Terms(terms.repeat_seconds, terms.acknowledge_seconds, terms.longest_repeat_seconds, terms.queue_length)


def wanted_addresses(config: Config) -> tuple[str, ...]:
    """The names under which this configuration needs an address."""
    heartbeat = (HEARTBEAT,) if config.notify.heartbeat_minutes > 0 else ()
    return (*(one.name for one in config.notify_route), *heartbeat)


def _addresses(home: Home, config: Config) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        store = key_store(home.path, config)
        for name in wanted_addresses(config):
            key = store.read(notify_entry(name))
            if key is None:
                _log.warning("notices: no address is stored for %s; `quarterdeck notify set %s` stores one", name, name)
            else:
                found[name] = key.secret
    except KeysUnavailable as error:
        _log.error("notices: nobody is told of anything: %s", error)
    return found


def _record(home: Home, sent: SentNotice) -> None:
    record_sent(home.logs, sent._asdict())
