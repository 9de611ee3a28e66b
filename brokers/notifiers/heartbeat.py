"""A dead man's switch: while all is well an address elsewhere is asked every few minutes; its silence is the alarm."""

import logging
import threading
from collections.abc import Callable
from typing import Literal
from urllib.parse import urlsplit

ASK_SECONDS = 15.0
_log = logging.getLogger("quarterdeck.notify")


def address_problem(address: str) -> str:
    """Why an address cannot be asked, empty where it can."""
    parts = urlsplit(address)
    return "" if parts.scheme in ("http", "https") and parts.hostname else "it must be an address that begins with https:// or http://"


def ask(address: str, method: str) -> str:
    """Give the sign of life; why that failed, empty where it was taken. Shows nothing of the address."""
    if problem := address_problem(address):
        return problem
    from urllib.error import HTTPError  # here, since they cost the start of every engine a twentieth of a second
    from urllib.request import Request, urlopen

    request = Request(address, method=method, data=b"" if method == "POST" else None,  # noqa: S310 - looked at above
                      headers={"User-Agent": "quarterdeck"})
    try:
        with urlopen(request, timeout=ASK_SECONDS):  # noqa: S310 - the same
            return ""
    except HTTPError as error:
        error.close()
        return f"the service answered {error.code}"
    except Exception as error:  # noqa: BLE001 - an exception's text may hold the address
        return f"the service cannot be reached ({type(error).__name__})"


class Heartbeat:
    """Asks `address` every `seconds` as long as nothing ails; what does is logged once, until it is over."""

    def __init__(self, address: str, method: Literal["GET", "POST"], seconds: float) -> None:
        self._address = address
        self._method = method
        self._seconds = seconds
        self._trouble: Callable[[], str] = str
        self._report: Callable[[bool], None] = lambda _: None
        self._logged = ""
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self, trouble: Callable[[], str], report: Callable[[bool], None] = lambda _: None) -> None:
        """Begin; `trouble` says what ails the engine, empty while all is well, in any thread; `report` hears of each sign given
        whether it was taken."""
        self._trouble = trouble
        self._report = report
        self._thread.start()

    def close(self, seconds: float) -> None:
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        while True:
            self._once()
            if self._ending.wait(self._seconds):
                return

    def _once(self) -> None:
        try:
            ailing = self._trouble()
            failure = f"withheld, {ailing}" if ailing else self._given()
        except Exception as error:  # noqa: BLE001 - silence is what tells of it
            failure = f"withheld, the look failed ({type(error).__name__})"
        if failure != self._logged:
            _log.warning("sign of life: %s", failure or "given again")
            self._logged = failure

    def _given(self) -> str:
        failure = ask(self._address, self._method)
        self._report(not failure)
        return failure
