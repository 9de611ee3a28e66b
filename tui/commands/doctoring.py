"""`doctor`: what is well with a home and its surroundings, what is not, and what to do about it."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from engine.errors import EngineUnreachable, QuarterdeckError
from tui.printing import print_json, print_table, words
from tui.version import VERSION

if TYPE_CHECKING:
    from store.home import Home

MIN_COLUMNS, MIN_LINES = 80, 24
EARLIEST_YEAR = 2026
CLOCK_STEP_SECONDS = 0.25
CLOCK_AHEAD_SECONDS = 5
OLD_BACKUP_DAYS = 3

type Verdict = Literal["ok", "warn", "fail"]


class Finding(NamedTuple):
    """One thing looked at. `remedy` says what to do where it is not ok."""

    verdict: Verdict
    subject: str
    found: str
    remedy: str = ""


def doctor(path: Path, *, as_json: bool) -> int:
    """Look at everything, print a line for each; 1 where something fails."""
    findings = examine(path)
    failed = any(finding.verdict == "fail" for finding in findings)
    if as_json:
        print_json({"well": not failed, "findings": [finding._asdict() for finding in findings]})
    else:
        print_table(words("", "what", "found", "what to do"), [list(finding) for finding in findings], empty="")
    return 1 if failed else 0


def examine(path: Path) -> list[Finding]:
    """Every finding, in a fixed order; a look that itself breaks is a failure of its subject, not of the doctor."""
    from store.home import Home

    home = Home(Path(os.path.abspath(path)))
    findings = [*_versions(), *_guarded("home", lambda: _home(home))]
    if home.path.is_dir():
        findings += _guarded("free space", lambda: _space(home))
        findings += _guarded("engine", lambda: _engine(home))
        findings += _guarded("journal", lambda: _journal(home))
        findings += _guarded("backups", lambda: _backups(home))
        findings += _guarded("notices", lambda: _notices(home))
        findings += _guarded("halt flag", lambda: _halt_flag(home))
    findings += _guarded("configuration", lambda: _configuration(home))
    findings += _guarded("strategies", lambda: _strategies(home))
    findings += _guarded("keys", lambda: _keys(home))
    findings += _guarded("research", lambda: _research(home))
    findings += _guarded("access", lambda: _access(home))
    findings += [*_clock(), *_terminal()]
    return findings


def _guarded(subject: str, look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    try:
        return list(look())
    except QuarterdeckError as error:
        return [Finding("fail", subject, str(error))]
    except OSError as error:
        return [Finding("fail", subject, f"{error.strerror or error}", "check owner and permissions")]


def _versions() -> Iterator[Finding]:
    from importlib.metadata import version

    found = ", ".join(f"{name} {version(name)}" for name in ("textual", "msgspec", "pydantic"))
    yield Finding("ok", "versions", f"quarterdeck {VERSION}, Python {sys.version.split()[0]}, {found}")


def _home(home: "Home") -> Iterator[Finding]:
    if not home.path.exists():
        yield Finding("warn", "home", f"{home.path} does not exist yet", "run `quarterdeck init`")
        return
    if not home.path.is_dir():
        yield Finding("fail", "home", f"{home.path} is not a folder", "move it away, or set QUARTERDECK_HOME")
        return
    found = home.path.stat()
    mode = found.st_mode & 0o777
    if found.st_uid != os.getuid():
        yield Finding("fail", "home", f"{home.path} belongs to another user",
                      "change its owner, or set QUARTERDECK_HOME")
    elif mode & 0o077:
        yield Finding("warn", "home", f"{home.path} is open to others (mode {mode:o})", f"chmod 700 {home.path}")
    elif not os.access(home.path, os.W_OK | os.X_OK):
        yield Finding("fail", "home", f"{home.path} cannot be written", "check its permissions")
    else:
        yield Finding("ok", "home", f"{home.path}, mode {mode:o}")
    if home.unfinished.exists():
        yield Finding("fail", "restore", "one was cut short: no engine starts here",
                      "give it again: `quarterdeck restore BACKUP --replace`")
    for private in (home.journal, home.paper, home.config):
        if private.exists() and private.stat().st_mode & 0o077:
            yield Finding("warn", private.name, "is open to others", f"chmod 600 {private}")


def _space(home: "Home") -> Iterator[Finding]:
    from engine.health import LOW_SPACE_MIB
    from store.home import MIN_FREE_BYTES

    free = shutil.disk_usage(home.path).free
    told = f"{free >> 20} MiB"
    if free < MIN_FREE_BYTES:
        yield Finding("fail", "free space", told, "free some space: nothing can be journaled")
    elif free < LOW_SPACE_MIB << 20:
        yield Finding("warn", "free space", told, "free some space before the journal needs it")
    else:
        yield Finding("ok", "free space", told)


def _engine(home: "Home") -> Iterator[Finding]:
    from engine.health import engines_now_ns, health_lines
    from engine.health_words import Verdict
    from tui.control_client import ControlClient

    pid = home.holder_pid()
    if pid is None:
        left = " (a socket file was left behind; the next engine replaces it)" if home.socket.exists() else ""
        yield Finding("ok", "engine", f"none runs{left}")
        return
    try:
        client = ControlClient(home.socket, VERSION)
    except EngineUnreachable as error:
        yield Finding("fail", "engine", f"process {pid} holds the home, but: {error}",
                      "`quarterdeck panic` works without it; otherwise end that process and start again")
        return
    told = f"process {pid} answers, version {client.hello.version}, {client.hello.mode}"
    snapshot = client.snapshot_now()
    lines = health_lines(snapshot, engines_now_ns(snapshot, time.time_ns()))
    client.close()
    yield Finding("ok", "engine", told)
    for line in lines:
        if line.verdict is not Verdict.OK:
            yield Finding("fail" if line.verdict is Verdict.FAIL else "warn", f"running: {line.subject}", line.found, line.remedy)
    mode = home.socket.stat().st_mode & 0o777
    if mode & 0o077:
        yield Finding("fail", "control socket", f"mode {mode:o}: others can give commands", f"chmod 600 {home.socket}")


def _journal(home: "Home") -> Iterator[Finding]:
    from store.export import tail
    from store.wal import unread_frames

    if not home.journal.is_file():
        yield Finding("ok", "journal", "none yet")
        return
    for what in unread_frames(home.journal).damaged if home.holder_pid() is None else ():
        yield Finding("fail", "journal", what, "rows are lost, the next engine starts halted: keep a copy of the home, compare "
                      "with the venue")
    rows = list(tail(home.journal, 1_000))
    newest = rows[-1].seq if rows else 0
    ahead_seconds = (rows[-1].at_ns - time.time_ns()) // 1_000_000_000 if rows else 0
    if ahead_seconds > CLOCK_AHEAD_SECONDS:
        yield Finding("warn", "clock", f"is {ahead_seconds} s behind the newest row of the journal: it was set back",
                      "check the time service; an engine goes on from the journal's time")
    yield Finding("ok", "journal", f"{newest} rows; the newest {len(rows)} are as they were written "
                                   "(`quarterdeck journal verify` reads them all)")


def _backups(home: "Home") -> Iterator[Finding]:
    """Whether the schedule's copies are still made; only their names are looked at."""
    from store.retention import SCHEDULED, backups_in

    if not home.journal.is_file():
        return
    found = backups_in(home.backups / SCHEDULED) or backups_in(home.backups)
    if not found:
        yield Finding("warn", "backups", "none yet", "`quarterdeck backup`, or leave an engine running: it makes one each night")
        return
    at, path = found[0]
    days = max(0, int(time.time() - at.timestamp())) // 86_400
    if days > OLD_BACKUP_DAYS:
        yield Finding("warn", "backups", f"the newest, {path.name}, is {days} days old", "`quarterdeck backup`")
    else:
        yield Finding("ok", "backups", f"{len(found)}; the newest is {path.name} (`quarterdeck backup verify` reads it back)")


def _notices(home: "Home") -> Iterator[Finding]:
    """How the last telling of each configured route went; no key store is opened for that."""
    from engine.config import check_config
    from store.sent_notices import read_sent

    text = home.config.read_text(encoding="utf-8", errors="replace") if home.config.exists() else ""
    config = check_config(text, home.config.name).config
    if config is None or not config.notify_route:
        return
    last = {str(line["route"]): str(line["failure"]) for line in read_sent(home.logs, 1_000)}
    failed = [f"{one.name}: {last[one.name]}" for one in config.notify_route if last.get(one.name)]
    untried = [one.name for one in config.notify_route if one.name not in last]
    if failed:
        yield Finding("warn", "notices", f"when last told, {'; '.join(failed)}", "`quarterdeck notify test`")
    elif untried:
        yield Finding("warn", "notices", f"{', '.join(untried)} was never told of anything", "`quarterdeck notify test`")
    else:
        yield Finding("ok", "notices", f"{len(config.notify_route)} routes were told when last tried")


def _halt_flag(home: "Home") -> Iterator[Finding]:
    from store.halt_flag import read_halt

    flag = read_halt(home)
    if flag is not None:
        yield Finding("warn", "halt flag", f"raised by {flag.by}: {flag.cause}",
                      "the next engine starts halted; `quarterdeck resume` releases it")


def _configuration(home: "Home") -> Iterator[Finding]:
    from engine.config import check_config

    if not home.config.exists():
        yield Finding("ok", "configuration", "no file: the defaults apply")
        return
    checked = check_config(home.config.read_text(encoding="utf-8", errors="replace"), home.config.name)
    for line in checked.errors:
        yield Finding("fail", "configuration", line, f"edit {home.config}")
    for line in checked.warnings:
        yield Finding("warn", "configuration", line, f"edit {home.config}")
    if not checked.errors and not checked.warnings:
        yield Finding("ok", "configuration", f"{home.config.name} is valid")


def _strategies(home: "Home") -> Iterator[Finding]:
    """Strategies of the home's own that the configuration names: whether they load, and whether they may trade yet."""
    from engine.config import check_config
    from tui.compose_strategies import strategy_problems

    text = home.config.read_text(encoding="utf-8", errors="replace") if home.config.exists() else ""
    config = check_config(text, home.config.name).config
    if config is None or not config.strategies:
        return
    errors, warnings = strategy_problems(home.path, config)
    for line in errors:
        yield Finding("fail", "strategies", line, "correct it, or take the strategy out of the configuration")
    for line in warnings:
        yield Finding("warn", "strategies", line)
    if not errors and not warnings:
        yield Finding("ok", "strategies", f"{len(config.strategies)} configured")


def _keys(home: "Home") -> Iterator[Finding]:
    """Whether each account at a real venue and each line of models has its key. The encrypted file is not opened: that would ask
    its passphrase."""
    from engine.config import check_config
    from tui.key_access import KEYS_FILE, key_store

    text = home.config.read_text(encoding="utf-8", errors="replace") if home.config.exists() else ""
    config = check_config(text, home.config.name).config
    real = [account.name for account in config.account if account.kind != "paper"] if config is not None else []
    real += [one.name for one in config.research_model if not one.keyless] if config is not None else []
    if config is None or not real:
        return
    store = key_store(home.path, config)
    if config.keys.store == "file":
        file = home.path / (Path(config.keys.file).expanduser() if config.keys.file else KEYS_FILE)
        if not file.exists():
            yield Finding("warn", "keys", f"{file} does not exist", f"`quarterdeck keys set {real[0]}`")
        elif file.stat().st_mode & 0o077:
            yield Finding("warn", "keys", f"{file} is open to others", f"chmod 600 {file}")
        else:
            yield Finding("ok", "keys", f"in {store.describe()}; `quarterdeck keys list` opens it")
        return
    missing = [name for name in real if name not in store.accounts()]
    if missing:
        yield Finding("warn", "keys", f"none for {', '.join(missing)}", f"`quarterdeck keys set {missing[0]}`")
    else:
        yield Finding("ok", "keys", f"{len(real)} in {store.describe()}")


def _research(home: "Home") -> Iterator[Finding]:
    """Who answers research, and whether its archive can be read."""
    from engine.config import check_config
    from store.research_archive import ARCHIVE_FILE, ResearchArchive

    text = home.config.read_text(encoding="utf-8", errors="replace") if home.config.exists() else ""
    config = check_config(text, home.config.name).config
    path, size = home.path / ARCHIVE_FILE, ""
    if config is None or (not config.research_model and not path.exists()):
        return
    if path.exists():
        archive = ResearchArchive(path, read_only=True)
        problem = archive.problem()
        archive.close()
        if problem:
            yield Finding("fail", "research", f"{path}: {problem}", "restore it from a backup, or move it away: prompts and raw "
                          "answers are lost then, decisions and scores are not")
            return
        kept = f"texts are kept {config.research.keep_days} days" if config.research.keep_days else "texts are kept for ever"
        size = f"; {ARCHIVE_FILE} {path.stat().st_size / 1e6:.1f} MB, {kept}"
    lines = ", ".join(f"{one.name} ({one.model} at {one.endpoint})" for one in config.research_model)
    yield Finding("ok", "research", (f"asks {lines}; prices as of {config.research.prices_as_of}" if lines
                                     else "the rules answer, no model is configured") + size)


def _access(home: "Home") -> Iterator[Finding]:
    """Whether those who have to unlock can. The encrypted file is not opened: that would ask its passphrase."""
    from engine.config import check_config
    from tui.access_codes import PIN, TOTP
    from tui.key_access import key_store

    text = home.config.read_text(encoding="utf-8", errors="replace") if home.config.exists() else ""
    config = check_config(text, home.config.name).config
    if config is None or config.access.unlock == "nobody":
        return
    who, store = config.access.unlock, key_store(home.path, config)
    if config.keys.store == "file":
        yield Finding("ok", "access", f"{who} has to unlock; `quarterdeck access status` opens {store.describe()}")
    elif {PIN, TOTP} & set(store.accounts()):
        yield Finding("ok", "access", f"{who} has to unlock, and a code is set up")
    else:
        yield Finding("fail", "access", f"{who} has to unlock, and no code is set up", "`quarterdeck access set-pin`")


def _clock() -> Iterator[Finding]:
    """The wall clock must be plausible and go as fast as the monotonic one."""
    year = time.gmtime().tm_year
    wall, steady = time.time(), time.monotonic()
    time.sleep(CLOCK_STEP_SECONDS / 5)
    drift = abs((time.time() - wall) - (time.monotonic() - steady))
    if year < EARLIEST_YEAR:
        yield Finding("fail", "clock", f"it is {year}?", "set the clock: deadlines and sessions depend on it")
    elif drift > CLOCK_STEP_SECONDS:
        yield Finding("warn", "clock", f"stepped {drift:.2f} s while we looked", "check the time service")
    else:
        yield Finding("ok", "clock", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()))


def _terminal() -> Iterator[Finding]:
    if not sys.stdout.isatty():
        yield Finding("ok", "terminal", "none here; commands print plain text")
        return
    size = shutil.get_terminal_size()
    told = f"{os.environ.get('TERM', 'unknown')}, {size.columns}x{size.lines}"
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    if size.columns < MIN_COLUMNS or size.lines < MIN_LINES:
        yield Finding("warn", "terminal", told, f"the screen wants at least {MIN_COLUMNS}x{MIN_LINES}")
    elif encoding != "utf8":
        yield Finding("warn", "terminal", f"{told}, {sys.stdout.encoding}",
                      "set a UTF-8 locale, for example LANG=C.UTF-8")
    else:
        yield Finding("ok", "terminal", told)
