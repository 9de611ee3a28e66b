"""Commands that look after a home: journal, configuration, themes."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import ConfigError, HomeUnusable, JournalDamaged, UsageError
from tui.commands.link import existing_home
from tui.formats import moment
from tui.printing import print_error, print_facts, print_json, print_note, print_table, words

if TYPE_CHECKING:
    from engine.config import Config


def journal_verify(path: Path, *, as_json: bool) -> int:
    """Read the whole journal and prove its chain; 1 where a row is damaged."""
    from store.verify import verify

    report = verify(existing_home(path).journal)
    if as_json:
        print_json({"path": str(report.path), "sound": report.sound, "rows": report.rows, "first_seq": report.first_seq,
                    "last_seq": report.last_seq, "last_hash": report.last_hash,
                    "damaged": [{"seq": one.seq, "what": one.what} for one in report.damaged], "notes": report.notes,
                    "archived_rows": report.archived})
        return 0 if report.sound else 1
    for damage in report.damaged:
        where = f"row {damage.seq}" if damage.seq else "the file"
        print_error(f"{report.path}: {where}: {damage.what}")
    for note in report.notes:
        print_note(note)
    if not report.sound:
        return 1
    archived = f" and {report.archived} archived ones" if report.archived else ""
    print(f"sound: {report.rows} rows, {report.first_seq} to {report.last_seq}{archived}, last hash {report.last_hash}")
    return 0


def archive_verify(file: Path, *, as_json: bool) -> int:
    """Prove one file of archived or cut rows: each row against its hash and the row before it; 1 where one is damaged."""
    from store.archive_files import proved_rows

    first, last, rows, problem = "", "", 0, ""
    try:
        for row in proved_rows(file):
            first, last, rows = first or f"{row.seq}", f"{row.seq}, last hash {row.hash.hex()}", rows + 1
    except JournalDamaged as error:
        problem = str(error)
    if as_json:
        print_json({"path": str(file), "sound": not problem, "rows": rows, "problem": problem})
    elif problem:
        print_error(problem)
    else:
        print(f"sound: {rows} rows, {first} to {last}")
    return 1 if problem else 0


def journal_tail(path: Path, count: int, *, as_json: bool) -> int:
    """The newest rows, oldest first."""
    from store.export import as_jsonl, tail

    rows = tail(_journal(path), count)
    if as_json:
        for line in as_jsonl(rows):
            print(line)
        return 0
    shown = [[str(row.seq), moment(row.at_ns), row.kind, row.payload.decode(errors="replace")] for row in rows]
    print_table(words("row", "time (UTC)", "kind", "payload"), shown, empty="the journal is empty")
    return 0


def journal_export(path: Path, target: Path | None, *, as_csv: bool) -> int:
    """The whole journal as JSON lines or CSV, to a new file or to standard output."""
    from store import export
    from store.read import chained_rows

    rows = chained_rows(_journal(path))
    lines = export.as_csv(rows) if as_csv else export.as_jsonl(rows)
    if target is None:
        for line in lines:
            print(line)
        return 0
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            count = sum(file.write(line + "\n") > 0 for line in lines)
    except FileExistsError:
        raise UsageError(f"{target}: exists already; name another file") from None
    except OSError as error:
        raise HomeUnusable(f"{target}: cannot be written: {error.strerror}; name another file") from error
    print(f"{target}: {count} lines written")
    return 0


def _journal(path: Path) -> Path:
    journal = existing_home(path).journal
    if not journal.is_file():
        raise HomeUnusable(f"{journal}: no journal yet; an engine writes one when it first runs")
    return journal


def init(path: Path, *, force: bool) -> int:
    """Create the home and write its commented configuration file."""
    from store.home import open_home
    from tui.commands.config_text import default_text

    home = open_home(path)
    if home.config.exists():
        if not force:
            raise UsageError(f"{home.config}: exists already; --force writes a new one and keeps a copy of this one")
        kept = _copy_name(home.config)
        home.config.replace(kept)
        print(f"{kept}: the former configuration")
    descriptor = os.open(home.config, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(default_text())
    print(f"{home.config}: written with every setting and its default")
    print("next: `quarterdeck` opens the workstation on paper money; `quarterdeck doctor` looks the home over")
    return 0


def _copy_name(config: Path) -> Path:
    number = 1
    while (kept := config.with_name(f"{config.name}.{number}")).exists():
        number += 1
    return kept


def config_check(path: Path, *, as_json: bool) -> int:
    """Everything wrong in the configuration, and what in it contradicts itself; 2 where it is not valid."""
    from engine.config import check_config

    file = path / "config.toml"
    text = _config_text(file)
    checked = check_config(text or "", str(file))
    wrong, untried = _strategy_problems(checked.config, path)
    errors = (*checked.errors, *_venue_errors(checked.config, file), *wrong)
    warnings = (*checked.warnings, *untried, *_unproven_exchanges(checked.config))
    if as_json:
        print_json({"path": str(file), "exists": text is not None, "valid": not errors, "errors": errors,
                    "warnings": warnings})
        return ConfigError.exit_status if errors else 0
    for line in errors:
        print_error(line)
    for line in warnings:
        print(f"warning: {line}")
    if errors:
        return ConfigError.exit_status
    where = str(file) if text is not None else f"{file} does not exist: the defaults"
    print(f"{where}: valid" + (f", {len(warnings)} warnings" if warnings else ""))
    return 0


def _unproven_exchanges(config: "Config | None") -> list[str]:
    """Real money at an exchange whose adapter nobody verified."""
    real = [account for account in config.account if account.kind == "ccxt" and account.live] if config is not None else []
    if not real:
        return []
    from brokers.ccxt_venue.exchanges import unproven_line

    return [f'account "{account.name}": {line}' for account in real if (line := unproven_line(account.exchange))]


def _strategy_problems(config: "Config | None", home: Path) -> tuple[list[str], list[str]]:
    """What only the files of the home's own strategies tell: errors and warnings."""
    if config is None or not config.strategies:
        return [], []
    from tui.compose_strategies import strategy_problems

    return strategy_problems(home, config)


def _venue_errors(config: "Config | None", file: Path) -> list[str]:
    """What only a venue's library knows: an exchange or a sandbox that does not exist."""
    exchanges = [account for account in config.account if account.kind == "ccxt"] if config is not None else []
    if not exchanges:
        return []
    from brokers.ccxt_venue.exchanges import exchange_problem
    from tui.compose_venues import ccxt_endpoints

    found = [(account.name, exchange_problem(account.exchange, sandbox=account.sandbox, endpoints=ccxt_endpoints(account)))
             for account in exchanges]
    return [f'{file}: account "{name}": {problem}' for name, problem in found if problem]


def config_show(path: Path, *, as_json: bool) -> int:
    """The configuration in force, defaults included."""
    from engine.config import load_config

    config = load_config(path / "config.toml")
    if as_json:
        print_json(config.model_dump(mode="json"))
        return 0
    from tui.commands.config_text import config_text

    print(config_text(config), end="")
    return 0


def _config_text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from error


def themes_list(path: Path, *, as_json: bool) -> int:
    """The themes that come with the program and those of the home; bad ones are named with the reason."""
    from tui.theming import packaged_themes, user_themes

    own = user_themes(path / "themes")
    found = [(theme.name, "packaged", theme.dark) for theme in packaged_themes()]
    found += [(theme.name, "home", theme.dark) for theme in own.themes]
    if as_json:
        print_json({"themes": [{"name": name, "from": origin, "dark": dark} for name, origin, dark in found],
                    "problems": own.problems})
        return 0
    rows = [[name, origin, "dark" if dark else "light"] for name, origin, dark in found]
    print_table(words("theme", "from", "kind"), rows, empty="no themes")
    for problem in own.problems:
        print_note(problem)
    return 0


def locate(path: Path, *, as_json: bool) -> int:
    """Where things lie."""
    from store.home import Home

    home = Home(Path(os.path.abspath(path)))
    names = ("path", "config", "journal", "paper", "socket", "logs", "themes", "backups", "snapshots", "halt_flag")
    facts = [("home" if name == "path" else name, str(getattr(home, name))) for name in names]
    if as_json:
        print_json(dict(facts))
    else:
        print_facts(facts)
    sys.stdout.flush()
    return 0
