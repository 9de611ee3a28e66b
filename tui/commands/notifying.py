"""Notices on the command line: where they go, what was told, a trial. An address is a secret and is never shown."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import ConfigError, QuarterdeckError, UsageError
from engine.service import AlertLevel
from tui.formats import moment
from tui.printing import numbers, print_error, print_json, print_note, print_table, words

if TYPE_CHECKING:
    from engine.config import Config
    from engine.config_notify import NotifyRouteConfig
    from store.home import Home
    from store.keys import KeyStore

MAX_ADDRESS_BYTES = 8 << 10
SEARCHED_LINES = 10_000
TRIED = ("Quarterdeck: a test", "this route works; nothing has happened")


def list_routes(path: Path, *, as_json: bool) -> int:
    """Each route and the heartbeat, and how the last telling went."""
    from store.sent_notices import read_sent
    from tui.key_access import is_account

    home, config, store = _home(path)
    stored = {name for name in store.accounts() if not is_account(name)}
    last = {str(line["route"]): line for line in read_sent(home.logs, SEARCHED_LINES)}
    rows = [_route_facts(one, stored, last.get(one.name)) for one in config.notify_route]
    beat = _heartbeat_facts(config, stored)
    if as_json:
        print_json({"place": store.describe(), "routes": rows, "heartbeat": beat})
        return 0
    cells = [[str(row["route"]), str(row["level"]), str(row["portfolios"]), str(row["step"]), str(row["quiet"]),
              "yes" if row["stored"] else "NO", str(row["last"])] for row in rows]
    if beat["minutes"]:
        cells.append(["heartbeat", "", "", "", f"every {beat['minutes']:g} min", "yes" if beat["stored"] else "NO", ""])
    print_table((*words("route", "level", "portfolios"), *numbers("step"), *words("quiet", "address stored", "last told (UTC)")),
                cells, empty="no route is configured; [[notify_route]] sections of config.toml make them")
    return 0


def _route_facts(route: "NotifyRouteConfig", stored: set[str], last: Mapping[str, object] | None) -> dict[str, object]:
    from tui.key_access import notify_entry

    told = "-"
    if last is not None:
        told = f"{moment(int(str(last['at_ns'])))} {'FAILED: ' + str(last['failure']) if last['failure'] else 'told'}"
    return {"route": route.name, "level": route.level.value, "portfolios": ", ".join(route.portfolios) or "all",
            "decisions": route.decisions, "step": route.step, "stored": notify_entry(route.name) in stored,
            "quiet": f"{route.quiet_from}-{route.quiet_until} {route.zone}" if route.quiet_from else "never", "last": told}


def _heartbeat_facts(config: "Config", stored: set[str]) -> dict[str, object]:
    from engine.config_notify import HEARTBEAT
    from tui.key_access import notify_entry

    return {"minutes": config.notify.heartbeat_minutes, "method": config.notify.heartbeat_method,
            "stored": notify_entry(HEARTBEAT) in stored}


def set_address(path: Path, name: str, *, from_stdin: bool) -> int:
    """Store an address; raises `UsageError` where it is none, without showing it."""
    from store.keys import Key
    from tui.key_access import notify_entry

    _, config, store = _home(path)
    _require_known(config, name)
    address = _read_address(name, from_stdin=from_stdin)
    problem = _problem(name, address)
    if problem:
        raise UsageError(f"notify set {name}: {problem}; nothing was stored")
    store.write(notify_entry(name), Key(name, address))
    print(f"{name}: the address is stored in {store.describe()}; `quarterdeck notify test {name}` tries it; "
          "an engine that runs already has to be started anew to use it")
    return 0


def _read_address(name: str, *, from_stdin: bool) -> str:
    from tui.key_access import hidden

    if from_stdin:
        return sys.stdin.read(MAX_ADDRESS_BYTES).strip()
    if not sys.stdin.isatty():
        raise UsageError("notify set: there is no terminal to ask on; give the address on standard input with --stdin")
    return hidden(f"address of {name}: ").strip()


def _problem(name: str, address: str) -> str:
    from brokers.notifiers.heartbeat import address_problem
    from brokers.notifiers.sending import problem_of
    from engine.config_notify import HEARTBEAT

    return address_problem(address) if name == HEARTBEAT else problem_of(address)


def try_out(path: Path, name: str, *, as_json: bool) -> int:
    """Tell each route something now; 1 where one was not told."""
    home, config, store = _home(path)
    if name:
        _require_known(config, name)
    from tui.compose_notify import wanted_addresses

    names = (name,) if name else wanted_addresses(config)
    if not names:
        raise ConfigError("no route is configured; [[notify_route]] sections of config.toml make them")
    found = [(one, *_tried(home, config, store, one)) for one in names]
    failed = [one for one in found if one[1]]
    if as_json:
        print_json({"told": not failed, "routes": [{"route": one, "failure": failure, "seconds": round(seconds, 3)}
                                                   for one, failure, seconds in found]})
        return 1 if failed else 0
    for one, failure, seconds in found:
        if failure:
            print_error(f"{one} was not told: {failure}")
        else:
            print(f"{one} was told in {seconds:.2f} s")
    return 1 if failed else 0


def _tried(home: "Home", config: "Config", store: "KeyStore", name: str) -> tuple[str, float]:
    """Why one route was not told (empty where it was), and how long that took."""
    from brokers.notifiers.desk import NO_ADDRESS, SentNotice
    from brokers.notifiers.heartbeat import ask
    from brokers.notifiers.sending import send
    from engine.config_notify import HEARTBEAT
    from store.sent_notices import record_sent
    from tui.key_access import notify_entry

    key = store.read(notify_entry(name))
    if key is None:
        return f"{NO_ADDRESS}; `quarterdeck notify set {name}`", 0.0
    began = time.monotonic()
    if name == HEARTBEAT:
        return ask(key.secret, config.notify.heartbeat_method), time.monotonic() - began
    failure = send(key.secret, AlertLevel.INFO, *TRIED)
    seconds = time.monotonic() - began
    record_sent(home.logs, SentNotice(time.time_ns(), name, AlertLevel.INFO.value, *TRIED, 1, failure)._asdict())
    return failure, seconds


def delete(path: Path, name: str, *, yes: bool) -> int:
    """Forget an address; asks first, or needs --yes. One that the configuration no longer names can be forgotten too."""
    from tui.key_access import notify_entry

    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("notify delete: needs --yes where there is no terminal to ask on")
        print(f"forget the address of {name}? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise QuarterdeckError("notify delete: not confirmed; nothing was changed")
    _, _, store = _home(path)
    if not store.delete(notify_entry(name)):
        print_error(f"{store.describe()} holds no address of {name}")
        return 1
    print(f"{name}: the address is forgotten")
    return 0


def log(path: Path, rows: int, *, as_json: bool) -> int:
    """The newest tellings, the newest last."""
    from store.sent_notices import read_sent
    from tui.commands.link import existing_home

    found = read_sent(existing_home(path).logs, rows)
    if as_json:
        print_json(found)
        return 0
    cells = [[moment(int(str(one["at_ns"]))), str(one["route"]), str(one["title"]), str(one["text"]),
              f"FAILED: {one['failure']}" if one["failure"] else "told", str(one["attempt"])] for one in found]
    print_table((*words("time (UTC)", "route", "title", "text", "outcome"), *numbers("try")), cells,
                empty="nobody was told of anything yet")
    if any(one["failure"] for one in found):
        print_note("`quarterdeck notify test` tries each route")
    return 0


def _home(path: Path) -> "tuple[Home, Config, KeyStore]":
    from engine.config import load_config
    from tui.commands.link import existing_home
    from tui.key_access import key_store

    home = existing_home(path)
    config = load_config(home.config)
    return home, config, key_store(home.path, config)


def _require_known(config: "Config", name: str) -> None:
    from engine.config_notify import HEARTBEAT

    known = [*(route.name for route in config.notify_route), HEARTBEAT]
    if name not in known:
        raise ConfigError(f'no route is named "{name}"; config.toml has: {", ".join(known)}')
