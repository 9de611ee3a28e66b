"""Telling systemd how we are: READY, WATCHDOG, STOPPING over its datagram socket; silent where there is none."""

import os
import socket
from collections.abc import Mapping

SEND_SECONDS = 1.0


def notify(state: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Send one state such as `READY=1`; whether a service manager was told."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    target = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.settimeout(SEND_SECONDS)
            channel.sendto(state.encode(), target)
    except OSError:
        return False  # the service manager is gone, or hangs; the engine's work does not
    return True


def watchdog_seconds(environ: Mapping[str, str] = os.environ) -> float | None:
    """How often the service manager wants to hear from us: half the time it allows, None where it does not ask."""
    try:
        allowed_us = int(environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    for_us = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return allowed_us / 2_000_000 if allowed_us > 0 and for_us else None
