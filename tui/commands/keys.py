"""Keys of venues and of models on the command line: stored from a hidden prompt or from standard input, never from an argument,
never shown."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import ConfigError, QuarterdeckError, UsageError
from tui.printing import print_error, print_json, print_note, print_table, words

if TYPE_CHECKING:
    from engine.config import Config
    from engine.config_accounts import AccountConfig
    from engine.config_research import ResearchModelConfig
    from store.keys import Key, KeyStore

MAX_INPUT_BYTES = 64 << 10


def set_key(path: Path, account: str, *, from_stdin: bool) -> int:
    """Store the key of an account; raises `UsageError` where there is no terminal to ask on and no --stdin."""
    config = _config(path)
    line = _line(config, account)
    if line is not None:
        key, next_step = _model_key(line, from_stdin=from_stdin), "puts one short question to the model"
    else:
        chosen = _account(config, account)
        key, next_step = _from_stdin() if from_stdin else _from_terminal(chosen), "asks the venue what it may do"
    store = _store(path, config)
    replaced = account in store.accounts()
    store.write(account, key)
    print(f"{account}: the key is {'replaced' if replaced else 'stored'} in {store.describe()}; "
          f"`quarterdeck keys test {account}` {next_step}")
    return 0


def list_keys(path: Path, *, as_json: bool) -> int:
    """Which account and which line of models has a key; never a part of one."""
    from tui.key_access import is_account

    config = _config(path)
    store = _store(path, config)
    stored = tuple(name for name in store.accounts() if is_account(name))
    rows = [{"account": one.name, "venue": one.venue, "live": one.live, "stored": one.name in stored, "configured": True}
            for one in config.account if one.kind != "paper"]
    lines = {one.name: one for one in config.research_model}
    known = {one.name for one in config.account} | set(lines)
    models = [{"model": name, "endpoint": one.endpoint, "keyless": one.keyless, "stored": name in stored}
              for name, one in lines.items()]
    rows += [{"account": name, "venue": "", "live": False, "stored": True, "configured": False}
             for name in stored if name not in known]
    if as_json:
        print_json({"place": store.describe(), "accounts": rows, "models": models})
        return 0
    cells = [[str(row["account"]), str(row["venue"]) or "not in config.toml", "real money" if row["live"] else "practice",
              "yes" if row["stored"] else "no"] for row in rows]
    cells += [[str(row["model"]), str(row["endpoint"]), "models",
               "not needed" if row["keyless"] else "yes" if row["stored"] else "no"] for row in models]
    print_table(words("account", "venue", "money", "key stored"), cells, empty="no account at a real venue is configured")
    return 0


def delete_key(path: Path, account: str, *, yes: bool) -> int:
    """Forget a key; asks first, or needs --yes."""
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("keys delete: needs --yes where there is no terminal to ask on")
        print(f"forget the key of {account}? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise QuarterdeckError("keys delete: not confirmed; nothing was changed")
    store = _store(path, _config(path))
    if not store.delete(account):
        print_error(f"{store.describe()} holds no key of {account}")
        return 1
    print(f"{account}: the key is forgotten; at the venue it goes on to exist: revoke it there too")
    return 0


def test_key(path: Path, account: str, *, as_json: bool) -> int:
    """Ask the venue what the key may do; 1 where it may not trade, with a warning where it may withdraw."""
    from tui.compose_venues import key_rights
    from tui.key_access import required_key

    config = _config(path)
    line = _line(config, account)
    if line is not None:
        return _test_model(path, config, line, as_json=as_json)
    chosen = _account(config, account)
    key = required_key(_store(path, config), account)
    rights = key_rights(chosen, key)
    if as_json:
        print_json({"account": account, "venue": chosen.venue, "live": chosen.live, **rights._asdict()})
        return 0 if rights.may_trade is not False else 1
    money = "REAL MONEY" if chosen.live else "practice money"
    print(f"{account}: {chosen.venue} knows the key ({money})")
    print_table(words("right", "answer"), [["trade", _answer(rights.may_trade)], ["withdraw", _answer(rights.may_withdraw)]],
                empty="")
    for note in rights.notes:
        print_note(note)
    if rights.may_withdraw:
        print_note("this key may WITHDRAW money: nothing here needs that; make one at the venue that cannot")
    elif rights.may_withdraw is None:
        print_note("the venue does not say whether this key may withdraw: look there, and allow trading alone")
    if rights.may_trade is False:
        print_error(f"{account}: this key may not trade; allow it at the venue, or store another one")
        return 1
    return 0


def _answer(right: bool | None) -> str:
    return "not told by the venue" if right is None else "yes" if right else "no"


def _config(path: Path) -> "Config":
    from engine.config import load_config
    from tui.commands.link import existing_home

    return load_config(existing_home(path).config)


def _account(config: "Config", account: str) -> "AccountConfig":
    chosen = config.account_named(account)
    if chosen.kind == "paper":
        raise ConfigError(f'account "{account}": the paper venue needs no key')
    return chosen


def _line(config: "Config", name: str) -> "ResearchModelConfig | None":
    """The line of models of that name."""
    return next((one for one in config.research_model if one.name == name), None)


def _test_model(path: Path, config: "Config", line: "ResearchModelConfig", *, as_json: bool) -> int:
    """Put one short question to a line's model; 1 where no answer comes."""
    from engine.research.models import Unavailable
    from tui.key_access import required_key
    from tui.model_trial import asked_once

    secret = "" if line.keyless else required_key(_store(path, config), line.name).secret
    found = asked_once(line.line(), secret)
    failed = found if isinstance(found, Unavailable) else None
    if as_json:
        print_json({"model": line.model, "endpoint": line.endpoint, "answers": failed is None,
                    "code": failed.code if failed else "", "latency_ms": found.latency_ms})
    elif failed is None:
        print(f"{line.name}: {line.model} at {line.endpoint} answers, after {found.latency_ms} ms")
    else:
        print_error(f"{line.name}: {line.model} at {line.endpoint} does not answer: {failed.code}: {failed.message}")
    return int(failed is not None)


def _model_key(line: "ResearchModelConfig", *, from_stdin: bool) -> "Key":
    """The one secret of a line of models."""
    from store.keys import Key
    from tui.key_access import hidden

    if line.keyless:
        raise ConfigError(f'research_model "{line.name}": keyless = true says that it needs no key')
    if not from_stdin and not sys.stdin.isatty():
        raise UsageError("keys set: there is no terminal to ask on; give the key on standard input with --stdin")
    secret = sys.stdin.read(MAX_INPUT_BYTES).strip() if from_stdin else hidden(f"key of {line.name} ({line.endpoint}): ").strip()
    if not secret or not secret.isprintable() or " " in secret:
        raise UsageError("keys set: the key of a line of models is one word; nothing was stored")
    return Key(line.name, secret)


def _store(path: Path, config: "Config") -> "KeyStore":
    from tui.commands.link import existing_home
    from tui.key_access import key_store

    return key_store(existing_home(path).path, config)


def _from_terminal(account: "AccountConfig") -> "Key":
    """Ask for each field without showing it."""
    from store.keys import Key
    from tui.key_access import hidden

    if not sys.stdin.isatty():
        raise UsageError("keys set: there is no terminal to ask on; give the key on standard input with --stdin")
    key_id = hidden(f"key id of {account.name} ({account.venue}): ").strip()
    secret = hidden("secret: ").strip()
    passphrase = hidden("passphrase (Enter where the venue has none): ").strip() if account.kind == "ccxt" else ""
    return _whole(Key(key_id, secret, passphrase))


def _from_stdin() -> "Key":
    """A key as JSON with key_id, secret and passphrase, or as lines in that order."""
    from store.keys import Key

    text = sys.stdin.read(MAX_INPUT_BYTES).strip()
    if text.startswith("{"):
        return _whole(_from_json(text))
    lines = [line.strip() for line in text.splitlines()]
    if len(lines) not in (2, 3):
        raise UsageError("keys set --stdin: needs a line with the key id, one with the secret, and a third with the passphrase "
                         'where there is one; or JSON with "key_id", "secret" and "passphrase"')
    return _whole(Key(*lines))


def _from_json(text: str) -> "Key":
    from store.keys import Key

    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if isinstance(found, dict) and {"key_id", "secret"} <= found.keys() <= {"key_id", "secret", "passphrase"} \
            and all(isinstance(value, str) for value in found.values()):
        return Key(**found)
    raise UsageError('keys set --stdin: is no JSON object of strings "key_id", "secret" and, where there is one, "passphrase"')


def _whole(key: "Key") -> "Key":
    if not key.key_id or not key.secret:
        raise UsageError("keys set: a key has an id and a secret; one of them is empty, nothing was stored")
    return key
