"""Sending through apprise, imported here alone. An address is a secret: no failure, log line or exception shows one.

A service is not trusted with our time or memory: whoever sends waits `LONGEST_SECONDS`, an answer is read up to
`LONGEST_ANSWER_BYTES`, and one that sends us elsewhere has told nobody, since a posted notice would become a look at some page.
"""

import logging
import re
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from engine.service import AlertLevel

if TYPE_CHECKING:
    from apprise import NotifyBase
    from requests import Response

UNKNOWN_ADDRESS = "its address is none that apprise understands"
LONGEST_SECONDS = 30.0
LONGEST_ANSWER_BYTES = 64 << 10
MOST_HANGING = 2  # for each address: what hangs cannot be ended, only left alone
TOO_LONG = f"its answer is longer than {LONGEST_ANSWER_BYTES >> 10} KiB, or never came to an end"
_CODE = re.compile(r"error=(\d{3})")


def problem_of(address: str) -> str:
    """Why an address cannot be used, empty where it can; asks nobody."""
    return "" if _target(address) is not None else UNKNOWN_ADDRESS


def warm() -> None:
    """Load what sends."""
    problem_of("json://localhost")


def send(address: str, level: AlertLevel, title: str, text: str) -> str:
    """Tell one address; why that failed, empty where it was taken. Comes back in bounded time, and raises nothing."""
    with _counting:
        if _hanging.get(address, 0) >= MOST_HANGING:
            return "the service still hangs on what it was told before"
        _hanging[address] = _hanging.get(address, 0) + 1
    answers: list[str] = []
    telling = threading.Thread(target=_tell, args=(address, level, title, text, answers), name="notify-send", daemon=True)
    telling.start()
    telling.join(LONGEST_SECONDS)
    return answers[0] if answers else f"the service did not come to an end in {LONGEST_SECONDS:g} s"


_counting = threading.Lock()
_hanging: dict[str, int] = {}


def _tell(address: str, level: AlertLevel, title: str, text: str, answers: list[str]) -> None:
    try:
        answers.append(_told(address, level, title, text))
    except Exception as error:  # noqa: BLE001 - a plug-in's exception may hold the address in its text
        answers.append(f"the service failed ({type(error).__name__})")
    finally:
        with _counting:
            _hanging[address] -= 1
            if not _hanging[address]:
                del _hanging[address]


def _told(address: str, level: AlertLevel, title: str, text: str) -> str:
    import apprise

    target = _target(address)
    if target is None:
        return UNKNOWN_ADDRESS
    kind = {AlertLevel.INFO: apprise.NotifyType.INFO, AlertLevel.WARN: apprise.NotifyType.WARNING}.get(
        level, apprise.NotifyType.FAILURE)
    _heard.begin()
    taken = target.notify(body=text, title=title, notify_type=kind, body_format=apprise.NotifyFormat.TEXT)
    return "" if taken else _heard.reason()


class _Heard(logging.Filter):
    """Takes out of what apprise logs the number with which a service refused, for each thread, and lets nothing of it into any
    log: its lines name hosts, and whole addresses."""

    def __init__(self) -> None:
        super().__init__()
        self._of_thread = threading.local()

    def begin(self) -> None:
        self._of_thread.said = self._of_thread.found = ""

    def filter(self, record: logging.LogRecord) -> bool:
        self._of_thread.said = f"{getattr(self._of_thread, 'said', '')}\n{record.getMessage()}"
        return False

    def add(self, words: str) -> None:
        """What we found ourselves about the sending under way."""
        self._of_thread.found = words

    def reason(self) -> str:
        if self._of_thread.found:
            return str(self._of_thread.found)
        said = self._of_thread.said
        code = _CODE.search(said)
        if code:
            return f"the service answered {code[1]}"
        return "the service cannot be reached" if "onnection" in said else "the service did not take it"


_heard = _Heard()


class _ShortAnswers:
    """Stands for the library `requests` in apprise's plug-ins: the same, but an answer is read only so far and so long."""

    def __init__(self, requests: Any) -> None:
        self._requests = requests

    def __getattr__(self, name: str) -> Any:
        return getattr(self._requests, name)

    def request(self, method: str, url: str, **terms: Any) -> "Response":
        deadline = time.monotonic() + LONGEST_SECONDS
        answer: Response = self._requests.request(method, url, **{**terms, "stream": True})
        read = bytearray()
        with answer:
            for piece in answer.iter_content(1):  # more at once would wait for as many bytes as that
                read += piece
                if len(read) > LONGEST_ANSWER_BYTES or time.monotonic() > deadline:
                    _heard.add(TOO_LONG)
                    raise self._requests.exceptions.ContentDecodingError(TOO_LONG)
        answer._content = bytes(read)  # noqa: SLF001 - as the library itself would have kept it
        return answer

    def get(self, url: str, **terms: Any) -> "Response":
        return self.request("GET", url, **terms)

    def post(self, url: str, **terms: Any) -> "Response":
        return self.request("POST", url, **terms)

    def put(self, url: str, **terms: Any) -> "Response":
        return self.request("PUT", url, **terms)


def _read_short_answers(plug_in: type) -> None:
    """Give a plug-in and those that it is made of `_ShortAnswers`; a second time changes nothing."""
    for made_of in plug_in.__mro__:
        module = sys.modules.get(made_of.__module__)
        requests = getattr(module, "requests", None)
        if made_of.__module__.startswith("apprise.") and requests is not None and not isinstance(requests, _ShortAnswers):
            vars(module)["requests"] = _ShortAnswers(requests)


def _target(address: str) -> "NotifyBase | None":
    import apprise

    logging.getLogger("apprise").addFilter(_heard)  # a second time changes nothing
    logging.getLogger("urllib3").setLevel(logging.WARNING)  # below that its lines hold whole addresses
    asset = apprise.AppriseAsset(app_id="Quarterdeck", app_desc="Quarterdeck", secure_logging=True, http_redirects=False,
                                 storage_mode=apprise.PersistentStoreMode.MEMORY)
    try:
        found = apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=True)
    except Exception:  # noqa: BLE001 - the same: its words may hold the address
        return None
    if not isinstance(found, apprise.NotifyBase):
        return None
    _read_short_answers(type(found))
    return found
