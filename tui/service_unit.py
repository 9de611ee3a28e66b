"""The systemd unit of one installation and one home, as text; what it forbids is what the engine never needs."""

import os
import sys
from pathlib import Path
from typing import Literal, NamedTuple

from store.home import Home

type Manager = Literal["user", "system"]

UNIT_NAME = "quarterdeck.service"
WATCHDOG_SECONDS = 60  # the engine beats every half second; a reconciliation with a slow venue does not stop the beat
STOP_SECONDS = 60      # orders under way are waited for, the journal is closed; twice what the engine allows itself
RESTART_SECONDS = 10

# Neither forbids what compiled backtests need (memory that is written and then run), nor the keyring's socket.
_EVERYWHERE = (
    "UMask=0077", "LimitCORE=0", "NoNewPrivileges=yes", "LockPersonality=yes", "RestrictRealtime=yes", "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native", "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
)
_SYSTEM_ONLY = (
    "CapabilityBoundingSet=", "AmbientCapabilities=", "PrivateDevices=yes", "ProtectClock=yes", "ProtectControlGroups=yes",
    "ProtectHome=read-only", "ProtectHostname=yes", "ProtectKernelLogs=yes", "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes", "ProtectProc=invisible", "ProtectSystem=strict", "RestrictNamespaces=yes",
    "SystemCallFilter=@system-service",
)


class UnitPlan(NamedTuple):
    """What a unit is made for. `program` is the command without its arguments."""

    manager: Manager
    program: tuple[str, ...]
    home: Path
    user_name: str


def program_of_this_installation() -> tuple[str, ...]:
    """How this installation is started: its script where it has one, else the interpreter on the module."""
    script = Path(sys.executable).with_name("quarterdeck")
    return (str(script),) if os.access(script, os.X_OK) else (sys.executable, "-m", "tui.cli")


def unit_text(plan: UnitPlan) -> str:
    """The unit file. Type=notify: systemd hears READY after the reconciliation, WATCHDOG while the picture moves on."""
    system = plan.manager == "system"
    command = " ".join(_quoted(word) for word in (*plan.program, "--home", str(plan.home), "run", "--headless"))
    lines = [
        f"# {UNIT_NAME}: written by `quarterdeck service unit`; make it anew after moving the program or the home.",
        "[Unit]",
        "Description=Quarterdeck, unattended",
        *(["Wants=network-online.target", "After=network-online.target"] if system else []),
        "# tried again for as long as it takes: an engine that stays down watches no stop",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=notify",
        "NotifyAccess=main",
        f"ExecStart={command}",
        *([f"User={plan.user_name}"] if system else []),
        f"WatchdogSec={WATCHDOG_SECONDS}",
        "Restart=on-failure",
        f"RestartSec={RESTART_SECONDS}",
        "# 2: the configuration is wrong; starting again would not help",
        "RestartPreventExitStatus=2",
        f"TimeoutStopSec={STOP_SECONDS}",
        "TimeoutStartSec=300",
        "KillSignal=SIGTERM",
        "KillMode=mixed",
        "",
        *_EVERYWHERE,
    ]
    if system:
        lines += [*_SYSTEM_ONLY,
                  "# no PrivateTmp: the lock on a venue account lies in /tmp, where every engine of this user sees it",
                  f"ReadWritePaths={_quoted(str(plan.home))} /tmp"]
    else:
        lines += ["# where the kernel lets a user make namespaces, these may be added; where not, the unit would not start:",
                  "# ProtectSystem=strict", f"# ReadWritePaths={_quoted(str(plan.home))} /tmp %t"]
    lines += ["", "[Install]", f"WantedBy={'multi-user' if system else 'default'}.target", ""]
    return "\n".join(lines)


def user_unit_path(config_home: str = "") -> Path:
    """Where the user's service manager looks for the unit."""
    base = config_home or os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "systemd" / "user" / UNIT_NAME


def plan_of(home: Path, manager: Manager) -> UnitPlan:
    """The plan for a home of this user with this installation."""
    import getpass

    return UnitPlan(manager, program_of_this_installation(), Home(Path(os.path.abspath(home))).path, getpass.getuser())


def _quoted(word: str) -> str:
    """A word as systemd reads it back: its own specifiers, variables and quotes are kept from meaning anything."""
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{plain}"' if any(sign in plain for sign in " \t;'\"\\") else plain
