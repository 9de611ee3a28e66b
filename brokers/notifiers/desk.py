"""Notices on their way: one thread a route, so that a slow service holds nobody else up, and one that asks again."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from brokers.notifiers.outbox import Counts, Delivery, Earlier, Moment, Outbox, words_of
from brokers.notifiers.sending import send, warm
from engine.effects import Notify
from engine.service import AlertLevel, AlertView
from engine.units import Nanoseconds

LOOK_SECONDS = 1.0
NO_ADDRESS = "no address is stored for it"
_log = logging.getLogger("quarterdeck.notify")

type Send = Callable[[str, AlertLevel, str, str], str]


class SentNotice(NamedTuple):
    """What became of one telling; `failure` is empty where the service took it. `alert_id` and `raised_ns` name its alert."""

    at_ns: Nanoseconds
    route: str
    level: str
    title: str
    text: str
    attempt: int
    failure: str
    alert_id: str = ""
    raised_ns: Nanoseconds = 0


class Waiting(NamedTuple):
    """How the notices stand: how many wait, how many of them their route has not taken for minutes, how many critical ones nobody
    has acknowledged, how many routes have no address, and what became of the others."""

    waiting: int
    in_vain: int
    unacknowledged: int
    unset: int
    counts: Counts


class NotifyDesk:
    """The engine's `Notifier`. `addresses` are by route; `record` keeps what was told, in the thread of its route."""

    def __init__(self, outbox: Outbox, addresses: Mapping[str, str], mode: str,
                 record: Callable[[SentNotice], None], sending: Send = send, warm: Callable[[], None] = warm) -> None:
        self._outbox = outbox
        self._addresses = addresses
        self._mode = mode
        self._record = record
        self._send = sending
        self._warm = warm
        self._alerts: Callable[[], Sequence[AlertView]] = tuple
        self._report: Callable[[Waiting], None] = lambda _: None
        self._unrecorded: Callable[[Notify], str] = lambda _: ""
        self._change = threading.Condition()
        self._ending = False
        self._threads = [threading.Thread(target=self._tell, args=(name,), name=f"notify-{name}", daemon=True)
                         for name in outbox.routes]
        self._threads.append(threading.Thread(target=self._watch, name="notify", daemon=True))

    def recall(self, told: Sequence[Earlier]) -> None:
        """Take over what an earlier run of the engine told."""
        with self._change:
            self._outbox.recall(told, _now())

    def start(self, alerts: Callable[[], Sequence[AlertView]], report: Callable[[Waiting], None] = lambda _: None,
              unrecorded: Callable[[Notify], str] = lambda _: "") -> None:
        """Begin to tell; `alerts` shows what has been acknowledged, from any thread; `report` hears each second how things
        stand; `unrecorded` adds to a notice what is for its reader alone, and is written down nowhere."""
        self._alerts = alerts
        self._report = report
        self._unrecorded = unrecorded
        for thread in self._threads:
            thread.start()

    def notify(self, notice: Notify) -> None:
        """Take a notice; never waits for a service, never raises."""
        try:
            with self._change:
                if self._outbox.put(notice, _now()):
                    self._change.notify_all()
        except Exception as error:  # noqa: BLE001 - what tells of trouble must not make any
            _log.error("a notice is lost: %s", type(error).__name__)

    def standing(self) -> Waiting:
        with self._change:
            unset = sum(not self._addresses.get(route) for route in self._outbox.routes)
            box = self._outbox
            return Waiting(len(box), box.in_vain, box.unacknowledged, unset, replace(box.counts))

    def close(self, seconds: float) -> None:
        """Let what is due be told, at most so long, and end; what waits then is lost, its alerts are not."""
        deadline = time.monotonic() + seconds
        with self._change:
            self._ending = True
            self._change.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))

    def _watch(self) -> None:
        """Look for acknowledgements, and ask again where one is overdue. Before that what sends is loaded, which takes a second
        that the first notice should not wait for."""
        self._warm()
        while not self._ending:
            try:
                alerts = self._alerts()
                self._report(self.standing())
                with self._change:
                    self._outbox.see(alerts)
                    self._outbox.escalate(_now())
                    self._change.notify_all()
                    self._change.wait_for(lambda: self._ending, LOOK_SECONDS)
            except Exception as error:  # noqa: BLE001 - whatever broke, the next look may go well
                _log.error("the look for acknowledgements failed: %s", type(error).__name__)
                time.sleep(LOOK_SECONDS)

    def _tell(self, route: str) -> None:
        while True:
            with self._change:
                delivery = self._outbox.take(route, _now())
                if delivery is None:
                    if self._ending:
                        return
                    self._change.wait(LOOK_SECONDS)
                    continue
            failure = self._deliver(delivery)
            with self._change:
                self._outbox.settle(delivery, failure, _now())

    def _deliver(self, delivery: Delivery) -> str:
        title, text = words_of(delivery, self._mode, time.time_ns())
        address = self._addresses.get(delivery.route, "")
        try:
            whole = text + self._unrecorded(delivery.notice)
            failure = self._send(address, delivery.notice.level, title, whole) if address else NO_ADDRESS
        except Exception as error:  # noqa: BLE001 - a plug-in's exception may hold the address in its text
            failure = f"the service failed ({type(error).__name__})"
        try:
            self._record(SentNotice(time.time_ns(), delivery.route, delivery.notice.level.value, title, text,
                                    delivery.attempt + 1, failure, delivery.notice.alert_id, delivery.notice.at_ns))
        except Exception as error:  # noqa: BLE001 - a full disk must not silence anybody
            _log.error("what was told could not be recorded: %s", type(error).__name__)
        if failure:
            _log.warning("route %s was not told of %s: %s", delivery.route, title, failure)
        else:
            _log.info("route %s was told of %s", delivery.route, title)
        return failure


def _now() -> Moment:
    return Moment(time.monotonic(), time.time_ns())
