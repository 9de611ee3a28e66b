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


def warm() -> None:
    """Load what sends."""
    problem_of("json://localhost")


def send(address: str, level: AlertLevel, title: str, text: str) -> str:
    """Tell one address; why that failed, empty where it was taken. Waits for the service as long as apprise does, and raises
    nothing."""
    import apprise

    try:
        target = _target(address)
        if target is None:
            return UNKNOWN_ADDRESS
        kind = {AlertLevel.INFO: apprise.NotifyType.INFO, AlertLevel.WARN: apprise.NotifyType.WARNING}.get(
            level, apprise.NotifyType.FAILURE)
        _heard.begin()
        taken = target.notify(body=text, title=title, notify_type=kind, body_format=apprise.NotifyFormat.TEXT)
    except Exception as error:  # noqa: BLE001 - a plug-in's exception may hold the address in its text
        return f"the service failed ({type(error).__name__})"
    return "" if taken else _heard.reason()


class _Heard(logging.Filter):
    """Takes out of what apprise logs the number with which a service refused, for each thread, and lets nothing of it into any
    log: its lines name hosts, and whole addresses."""

    def __init__(self) -> None:
        super().__init__()
        self._of_thread = threading.local()

    def begin(self) -> None:
        self._of_thread.said = ""

    def filter(self, record: logging.LogRecord) -> bool:
        self._of_thread.said = f"{getattr(self._of_thread, 'said', '')}\n{record.getMessage()}"
        return False

    def reason(self) -> str:
        said = self._of_thread.said
        code = _CODE.search(said)
        if code:
            return f"the service answered {code[1]}"
        return "the service cannot be reached" if "onnection" in said else "the service did not take it"


_heard = _Heard()


def _target(address: str) -> "NotifyBase | None":
    import apprise

    logging.getLogger("apprise").addFilter(_heard)  # a second time changes nothing
    logging.getLogger("urllib3").setLevel(logging.WARNING)  # below that its lines hold whole addresses
    asset = apprise.AppriseAsset(app_id="Quarterdeck", app_desc="Quarterdeck", secure_logging=True,
                                 storage_mode=apprise.PersistentStoreMode.MEMORY)
    try:
        found = apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=True)
    except Exception:  # noqa: BLE001 - the same: its words may hold the address
        return None
    return found if isinstance(found, apprise.NotifyBase) else None
