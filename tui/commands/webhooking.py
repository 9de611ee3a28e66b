"""Signed signals on the command line: who may send them, and what became of those that came."""

import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import ConfigError, QuarterdeckError, UsageError
from tui.commands.link import running_counts
from tui.printing import numbers, print_error, print_facts, print_json, print_note, print_table, words

if TYPE_CHECKING:
    from engine.config import Config
    from store.home import Home
    from store.keys import KeyStore

SECRET_BYTES = 32


def status(path: Path, *, as_json: bool) -> int:
    """Every source, and what the running engine took and refused."""
    from tui.key_access import webhook_entry

    home, config, store = _home(path)
    stored = store.accounts()
    terms, counts = config.webhook, running_counts(home, "webhook ")
    rows = [{"source": one.name, "portfolio": one.portfolio, "symbols": one.symbols, "per_minute": one.per_minute,
             "allow_from": one.allow_from, "stored": webhook_entry(one.name) in stored} for one in config.webhook_source]
    address = f"http://{terms.host}:{terms.port}/hook/NAME" if terms.port else "nowhere: [webhook] port = 0"
    if as_json:
        print_json({"address": address, "sources": rows, "counts": counts})
        return 0
    print_facts([("listens at", address), *((name, str(count)) for name, count in sorted(counts.items()))])
    cells = [[one.name, one.portfolio, ", ".join(one.symbols) or "all", ", ".join(one.allow_from),
              "yes" if webhook_entry(one.name) in stored else "NO", str(one.per_minute)] for one in config.webhook_source]
    print_table((*words("source", "portfolio", "symbols", "may come from", "secret stored"), *numbers("a minute")), cells,
                empty="no source is configured; [[webhook_source]] sections of config.toml make them")
    return 0


def secret(path: Path, name: str, *, yes: bool) -> int:
    """Make a secret, keep it, print it once; an earlier one is asked about first, since its sender must then be told."""
    from store.keys import Key
    from tui.key_access import webhook_entry

    _, config, store = _home(path)
    if name not in [one.name for one in config.webhook_source]:
        known = ", ".join(one.name for one in config.webhook_source) or "none"
        raise ConfigError(f'no source is named "{name}"; config.toml has: {known}')
    if webhook_entry(name) in store.accounts() and not yes:
        _confirm(f"replace the secret of {name}")
    made = secrets.token_urlsafe(SECRET_BYTES)
    store.write(webhook_entry(name), Key(name, made))
    print(made)
    print_note(f"this is shown once; it is kept in {store.describe()}, and an engine that runs already has to be started anew")
    return 0


def delete(path: Path, name: str, *, yes: bool) -> int:
    """Forget a secret; asks first, or needs --yes."""
    from tui.key_access import webhook_entry

    if not yes:
        _confirm(f"forget the secret of {name}")
    _, _, store = _home(path)
    if not store.delete(webhook_entry(name)):
        print_error(f"{store.describe()} holds no secret of {name}")
        return 1
    print(f"{name}: the secret is forgotten; an engine that runs knows it until it is started anew")
    return 0


def _confirm(what: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(f"webhook: {what} needs --yes where there is no terminal to ask on")
    print(f"{what}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise QuarterdeckError("webhook: not confirmed; nothing was changed")


def _home(path: Path) -> "tuple[Home, Config, KeyStore]":
    from engine.config import load_config
    from tui.commands.link import existing_home
    from tui.key_access import key_store

    home = existing_home(path)
    config = load_config(home.config)
    return home, config, key_store(home.path, config)
