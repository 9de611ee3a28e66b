"""Sending through apprise, imported here alone. An address is a secret: no failure, log line or exception shows one."""

import logging
import re
import threading
from typing import TYPE_CHECKING

from engine.service import AlertLevel

if TYPE_CHECKING:
    from apprise import NotifyBase

UNKNOWN_ADDRESS = "its address is none that apprise understands"
_CODE = re.compile(r"error=(\d{3})")


def problem_of(address: str) -> str:
    """Why an address cannot be used, empty where it can; asks nobody."""
    return "" if _target(address) is not None else UNKNOWN_ADDRESS


def send(address: str, level: AlertLevel, title: str, text: str) -> str:
    """Tell one address; why that failed, empty where it was taken. Waits for the service as long as apprise does, and raises
    nothing."""
    import apprise

    heard = _Heard()
    logger = logging.getLogger("apprise")
    try:
        target = _target(address)
        if target is None:
            return UNKNOWN_ADDRESS
        kind = {AlertLevel.INFO: apprise.NotifyType.INFO, AlertLevel.WARN: apprise.NotifyType.WARNING}.get(
            level, apprise.NotifyType.FAILURE)
        logger.addHandler(heard)
        taken = target.notify(body=text, title=title, notify_type=kind, body_format=apprise.NotifyFormat.TEXT)
    except Exception as error:  # noqa: BLE001 - a plug-in's exception may hold the address in its text
        return f"the service failed ({type(error).__name__})"
    finally:
        logger.removeHandler(heard)
    return "" if taken else heard.reason()


class _Heard(logging.Handler):
    """The number with which a service refused, out of what apprise logs; nothing else of it is kept."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self._code = ""
        self._unreached = False

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread != self._thread:  # another route is being told at the same time
            return
        said = record.getMessage()
        found = _CODE.search(said)
        if found:
            self._code = found[1]
        self._unreached |= "Connection" in said

    def reason(self) -> str:
        if self._code:
            return f"the service answered {self._code}"
        return "the service cannot be reached" if self._unreached else "the service did not take it"


def _target(address: str) -> "NotifyBase | None":
    import apprise

    logging.getLogger("apprise").propagate = False  # its lines name hosts and, below warnings, whole addresses
    asset = apprise.AppriseAsset(app_id="Quarterdeck", app_desc="Quarterdeck", secure_logging=True,
                                 storage_mode=apprise.PersistentStoreMode.MEMORY)
    try:
        found = apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=True)
    except Exception:  # noqa: BLE001 - the same: its words may hold the address
        return None
    return found if isinstance(found, apprise.NotifyBase) else None
