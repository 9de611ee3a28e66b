"""`golive`: the gates before real money, those that the engine tells and those that lie around it."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import QuarterdeckError, UsageError
from engine.service import GoLiveGate, GoLiveView, Snapshot
from tui.commands.link import existing_home, look
from tui.formats import plain
from tui.printing import print_json, print_table, words

if TYPE_CHECKING:
    from engine.config import Config
    from engine.config_accounts import AccountConfig
    from store.home import Home

NS_PER_HOUR = 3_600_000_000_000
SEARCHED_NOTICES = 10_000


def golive(path: Path, portfolio: str, *, as_json: bool) -> int:
    """Every gate of a portfolio; 1 while one is not met."""
    home = existing_home(path)
    view = _chosen(look(path).snapshot, portfolio)
    found = [*view.gates, *outside_gates(home, view.portfolio, time.time_ns())]
    unmet = [gate for gate in found if not gate.met]
    if as_json:
        print_json({"portfolio": view.portfolio, "real_money": view.live, "ready": not unmet, "gates": found})
        return 1 if unmet else 0
    rows = [["met" if gate.met else "NOT MET", gate.name, gate.found, gate.needed, "" if gate.met else gate.remedy]
            for gate in found]
    print_table(words("", "gate", "found", "needed", "what to do"), rows, empty="")
    money = "holds real money" if view.live else "is on paper money"
    print(f"{plain(view.portfolio)} {money}: " + (f"{len(unmet)} of {len(found)} gates are not met" if unmet else
                                                  "every gate is met; `quarterdeck arm` lets it open positions for a time"))
    return 1 if unmet else 0


def _chosen(snapshot: Snapshot | None, portfolio: str) -> GoLiveView:
    """The named portfolio, else the first with real money, else the first; raises `UsageError`."""
    known = snapshot.golive if snapshot is not None else ()
    if not known:
        raise QuarterdeckError("golive: no engine ever ran in this home; `quarterdeck` starts one")
    if not portfolio:
        return next((view for view in known if view.live), known[0])
    found = next((view for view in known if view.portfolio == portfolio), None)
    if found is None:
        raise UsageError(f"golive {portfolio}: no such portfolio; there is: {', '.join(view.portfolio for view in known)}")
    return found


# ---- what lies around the engine ---------------------------------------------------------------------------------------------


def outside_gates(home: "Home", portfolio: str, now_ns: int) -> list[GoLiveGate]:
    """The gates that no engine can tell: backup, journal, doctor, keys, notices. One whose look fails is not met."""
    from engine.config import load_config

    config = load_config(home.config)
    looks: tuple[tuple[str, Callable[[], GoLiveGate]], ...] = (
        ("backup", lambda: _backup(home, config, now_ns)), ("journal", lambda: _journal(home)),
        ("doctor", lambda: _doctor(home)), ("keys", lambda: _keys(home, config, portfolio)),
        ("notices", lambda: _notices(home, config, now_ns)))
    return [_guarded(name, one) for name, one in looks]


def _guarded(name: str, one: Callable[[], GoLiveGate]) -> GoLiveGate:
    try:
        return one()
    except QuarterdeckError as error:
        return GoLiveGate(name, False, "a look at it", str(error), "see to that first")
    except OSError as error:
        return GoLiveGate(name, False, "a look at it", error.strerror or str(error), "check owner and permissions")


def _backup(home: "Home", config: "Config", now_ns: int) -> GoLiveGate:
    """A backup bears its name only once it was read back and proved."""
    from store.retention import SCHEDULED, backups_in

    hours = config.golive.backup_hours
    newest = max((at for folder in (home.backups, home.backups / SCHEDULED) for at, _ in backups_in(folder)), default=None)
    age_hours = (now_ns - newest.timestamp() * 1e9) / NS_PER_HOUR if newest is not None else None
    found = "none" if age_hours is None else f"{max(0.0, age_hours):.1f} hours old"
    return GoLiveGate("backup", age_hours is not None and age_hours <= hours, f"a verified one within {hours:g} hours", found,
                      "`quarterdeck backup`")


def _journal(home: "Home") -> GoLiveGate:
    from store.verify import verify

    report = verify(home.journal)
    found = f"{report.rows} rows" if report.sound else f"row {report.damaged[0].seq}: {report.damaged[0].what}"
    return GoLiveGate("journal", report.sound and report.rows > 0, "every row proved against its hash", found,
                      "`quarterdeck journal verify`")


def _doctor(home: "Home") -> GoLiveGate:
    from tui.commands.doctoring import examine

    failed = [f"{finding.subject}: {finding.found}" for finding in examine(home.path) if finding.verdict == "fail"]
    return GoLiveGate("doctor", not failed, "nothing fails", "; ".join(failed) or "nothing fails", "`quarterdeck doctor`")


def _keys(home: "Home", config: "Config", portfolio: str) -> GoLiveGate:
    """Asks the venue; where it does not say whether a key may withdraw, a person has to look there."""
    chosen = next((one for one in config.portfolio if one.name == portfolio), None)
    account = config.account_named(chosen.account) if chosen is not None else None
    needed = "a key that may trade and may not withdraw"
    if account is None or not account.live:
        return GoLiveGate("keys", False, needed, "no account with real money is named",
                          "[[account]] in config.toml, then `quarterdeck keys set`")
    met, found = _rights(home, config, account)
    return GoLiveGate("keys", met, needed, found, f"`quarterdeck keys test {account.name}`; make a key at the venue that cannot "
                      "withdraw")


def _rights(home: "Home", config: "Config", account: "AccountConfig") -> tuple[bool, str]:
    from tui.compose_venues import key_rights
    from tui.key_access import key_store, required_key

    rights = key_rights(account, required_key(key_store(home.path, config), account.name))
    if rights.may_trade is False or rights.may_withdraw:
        wrong = ["may not trade"] * (rights.may_trade is False) + ["may WITHDRAW"] * bool(rights.may_withdraw)
        return False, f"{account.name}: the key {' and '.join(wrong)}"
    if rights.may_withdraw is None and account.kind != "alpaca":  # a key of Alpaca's trading interface has no such right
        return False, f"{account.name}: the venue does not say whether the key may withdraw"
    return True, f"{account.name}: the key may trade" + ("" if rights.may_withdraw is None else " and not withdraw")


def _notices(home: "Home", config: "Config", now_ns: int) -> GoLiveGate:
    """Each route was told something lately, and heard it."""
    from store.sent_notices import read_sent

    asked, names = config.golive.notices_days, [route.name for route in config.notify_route]
    last = {str(line["route"]): line for line in read_sent(home.logs, SEARCHED_NOTICES)}
    lacking = list(_untold(names, last, now_ns - round(asked * 24 * NS_PER_HOUR)))
    found = "; ".join(lacking) if lacking else f"{len(names)} of {len(names)} routes" if names else "no route is configured"
    return GoLiveGate("notices", bool(names) and not lacking, f"each route was told something within {asked:g} days", found,
                      "`quarterdeck notify set`, then `quarterdeck notify test`")


def _untold(names: Sequence[str], last: dict[str, dict[str, object]], since_ns: int) -> Iterator[str]:
    for name in names:
        line = last.get(name)
        if line is None:
            yield f"{name} never"
        elif line["failure"]:
            yield f"{name} failed: {line['failure']}"
        elif int(str(line["at_ns"])) < since_ns:
            yield f"{name} not lately"
