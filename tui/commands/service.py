"""`service`: the unit with which systemd keeps the engine, printed or put in its place."""

import os
import shutil
import subprocess
import sys
from difflib import unified_diff
from pathlib import Path
from tempfile import TemporaryDirectory

from engine.errors import HomeUnusable, UsageError
from tui.formats import plain
from tui.printing import print_json, print_note
from tui.service_unit import UNIT_NAME, Manager, plan_of, unit_text, user_unit_path

VERIFY_SECONDS = 30


def unit(home: Path, manager: Manager, *, as_json: bool) -> int:
    """Print the unit for this installation and home."""
    text = unit_text(plan_of(home, manager))
    if as_json:
        print_json({"manager": manager, "name": UNIT_NAME, "text": text, "findings": checked(text, manager)})
        return 0
    print(text, end="")
    for line in checked(text, manager) or ():
        print_note(line)
    return 0


def install(home: Path, *, yes: bool) -> int:
    """Write the user's unit, after asking; what it would replace is shown, and kept beside."""
    target = user_unit_path()
    text = unit_text(plan_of(home, "user"))
    findings = checked(text, "user")
    if findings:
        raise UsageError(f"{target}: systemd would not take it: {findings[0]}; nothing was written")
    before = target.read_text(encoding="utf-8") if target.is_file() else ""
    if before == text:
        print(f"{target}: is there already, as it should be")
        return 0
    for line in unified_diff(before.splitlines(), text.splitlines(), str(target), "new", lineterm=""):
        print(line)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("there is no terminal here to ask; say --yes to write the unit")
        if input(f"write {plain(str(target))}? [y/N] ").strip().lower() not in ("y", "yes"):
            print("nothing was written")
            return 1
    _write(target, text, before)
    print(f"{target}: written" + ("" if findings is not None else "; systemd-analyze is not here to check it"))
    print("next: `systemctl --user daemon-reload`, then `systemctl --user enable --now quarterdeck`; so that it runs while "
          "nobody is logged in: `loginctl enable-linger`")
    return 0


def checked(text: str, manager: Manager) -> list[str] | None:
    """What `systemd-analyze verify` says against a unit; None where there is no systemd-analyze to ask."""
    program = shutil.which("systemd-analyze")
    if program is None:
        return None
    with TemporaryDirectory() as folder:
        path = Path(folder) / UNIT_NAME
        path.write_text(text, encoding="utf-8")
        try:
            done = subprocess.run(  # noqa: S603 - a fixed program on a file of our own
                [program, f"--{manager}", "verify", str(path)], capture_output=True, text=True, check=False,
                timeout=VERIFY_SECONDS, env={"XDG_RUNTIME_DIR": folder, **os.environ, "SYSTEMD_LOG_COLOR": "0"})
        except (OSError, subprocess.TimeoutExpired):
            return None
    # other units of this machine are none of our affair
    said = [line.strip() for line in done.stderr.splitlines() if UNIT_NAME in line]
    return said if said or done.returncode == 0 else None


def _write(target: Path, text: str, before: str) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if before:
            target.with_name(f"{UNIT_NAME}.before").write_text(before, encoding="utf-8")
        part = target.with_name(f".{UNIT_NAME}.part")
        part.write_text(text, encoding="utf-8")
        part.replace(target)
    except OSError as error:
        raise HomeUnusable(f"{target}: cannot be written: {error.strerror}; check the folder") from error
