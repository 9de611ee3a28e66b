"""A PIN or an authenticator on the command line: set, forgotten, looked at. No code is ever printed, and none an argument."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import EngineUnreachable, QuarterdeckError, UsageError
from tui.access_codes import APPROVALS, LONGEST_CODE, PIN, SHORTEST_PIN, TOTP, hashed_pin, new_totp, totp_step
from tui.commands.link import running_counts
from tui.printing import print_error, print_facts, print_json, print_note

if TYPE_CHECKING:
    from engine.config import Config
    from store.home import Home
    from store.keys import KeyStore

PARTS = {"pin": (PIN,), "totp": (TOTP, APPROVALS), "all": (PIN, TOTP, APPROVALS)}
APPROVALS_BYTES = 32
COUNTED = "socket refused: "


def set_pin(path: Path, *, from_stdin: bool) -> int:
    """Keep a PIN, hashed; asked twice on a terminal."""
    from store.keys import Key

    home, config, store = _home(path)
    pin = _line() if from_stdin else _asked_pin()
    if not SHORTEST_PIN <= len(pin) <= LONGEST_CODE:
        raise UsageError(f"access: a PIN has {SHORTEST_PIN} to {LONGEST_CODE} characters; nothing was changed")
    store.write(PIN, Key("pin", hashed_pin(pin)))
    print(f"the PIN is set; its hash is kept in {store.describe()}")
    _told(home, config)
    return 0


def set_totp(path: Path, *, from_stdin: bool, yes: bool) -> int:
    """Make an authenticator's secret, show it once, and keep it after a first right code."""
    import secrets

    from store.keys import Key

    home, config, store = _home(path)
    if TOTP in store.accounts() and not yes:
        _confirm("replace the authenticator that is set up")
    secret, address = new_totp(home.path.name)
    print(address)
    print(f"secret: {secret}", flush=True)
    print_note("this is shown once; take it into the authenticator app now")
    code = _line() if from_stdin else _asked("the code that the app shows: ")
    if not totp_step(secret, code, int(time.time())):
        print_error("access: that is not the code of this secret; nothing was changed. Are both clocks right?")
        return 1
    store.write(TOTP, Key("totp", secret))
    store.write(APPROVALS, Key("approvals", secrets.token_urlsafe(APPROVALS_BYTES)))
    print(f"the authenticator is set up; its secret is kept in {store.describe()}")
    _told(home, config)
    return 0


def clear(path: Path, way: str, *, yes: bool) -> int:
    """Forget a PIN, an authenticator or both."""
    if way not in PARTS:
        raise UsageError(f"access clear {way}: give pin, totp or all")
    if not yes:
        _confirm(f"forget {'everything' if way == 'all' else way}")
    home, config, store = _home(path)
    found = [store.delete(name) for name in PARTS[way]]
    if not any(found):
        print_error(f"access: {store.describe()} holds nothing of that")
        return 1
    print("forgotten")
    _told(home, config)
    return 0


def status(path: Path, *, as_json: bool) -> int:
    """Who has to unlock what, by which codes, and what the running engine refused."""
    home, config, store = _home(path)
    kept = store.accounts()
    terms = config.access
    facts = {"unlock": terms.unlock, "unlocked_seconds": terms.unlocked_seconds, "idle_seconds": terms.idle_seconds,
             "pin": PIN in kept, "totp": TOTP in kept, "approve_by_code": TOTP in kept and APPROVALS in kept,
             "place": store.describe(), "counts": _refused(home)}
    missing = terms.unlock != "nobody" and not (facts["pin"] or facts["totp"])
    if as_json:
        print_json(facts)
    else:
        print_facts([("has to unlock", terms.unlock), ("PIN", "set" if facts["pin"] else "not set"),
                     ("authenticator", "set" if facts["totp"] else "not set"),
                     ("approving by a notice's code", "works" if facts["approve_by_code"] else "needs an authenticator"),
                     ("stays unlocked for", f"{terms.unlocked_seconds} s"),
                     ("screen locks after", f"{terms.idle_seconds} s without a key" if terms.idle_seconds else "never"),
                     ("kept in", store.describe()), *((name, str(count)) for name, count in sorted(_refused(home).items()))])
    if missing:
        print_error("access: nobody can unlock anything, no code is set up: `quarterdeck access set-pin` or `set-totp`")
        return 1
    return 0


def _refused(home: "Home") -> dict[str, int]:
    """What the control socket of the running engine refused; nothing where none runs."""
    return {f"refused: {name}": count for name, count in running_counts(home, COUNTED).items()}


def _told(home: "Home", config: "Config") -> None:
    """Have a running engine know of it, and say where it would change nothing."""
    from tui.commands.link import connect

    if config.access.unlock == "nobody":
        print_note('nobody is asked for it yet: [access] unlock = "remote" or "everybody" in config.toml')
    if home.holder_pid() is None:
        return
    try:
        client = connect(home)
        try:
            client.reload_access_now()
        finally:
            client.close()
    except EngineUnreachable as error:
        print_note(f"{error}; the running engine knows of it once it is started anew")


def _home(path: Path) -> "tuple[Home, Config, KeyStore]":
    from engine.config import load_config
    from tui.commands.link import existing_home
    from tui.key_access import key_store

    home = existing_home(path)
    config = load_config(home.config)
    return home, config, key_store(home.path, config)


def _asked_pin() -> str:
    pin = _asked("new PIN: ")
    if _asked("the same again: ") != pin:
        raise QuarterdeckError("access: the two differ; nothing was changed")
    return pin


def _asked(question: str) -> str:
    from tui.key_access import hidden

    if not sys.stdin.isatty():
        raise UsageError("access: there is no terminal to ask on; --stdin reads it from standard input")
    return hidden(question).strip()


def _line() -> str:
    return sys.stdin.readline(LONGEST_CODE + 2).strip()


def _confirm(what: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(f"access: to {what} needs --yes where there is no terminal to ask on")
    print(f"{what}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise QuarterdeckError("access: not confirmed; nothing was changed")
