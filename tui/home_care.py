"""What has to be looked at now and then while an engine holds a home: the room on its disk, whether its tables follow the
journal, the locks of its accounts."""

import logging
import shutil
import time
from collections.abc import Callable

from engine.effects import Notify
from engine.health import DISK_FREE, LOW_SPACE_MIB, TABLES_STOPPED
from engine.pulses import Pulses
from engine.service import AlertLevel
from store.home import Home

LOOK_SECONDS = 60.0
KEEP_SECONDS = 3_600.0
_log = logging.getLogger("quarterdeck.home")


class HomeCare:
    """Called as often as one likes, from one thread; `tell` takes a notice for whoever is away from the screen."""

    def __init__(self, home: Home, pulses: Pulses, keep_accounts: Callable[[], None], view_failure: Callable[[], str],
                 tell: Callable[[Notify], None], now_seconds: Callable[[], float] = time.monotonic) -> None:
        self._home = home
        self._pulses = pulses
        self._keep_accounts = keep_accounts
        self._view_failure = view_failure
        self._tell = tell
        self._now_seconds = now_seconds
        self._looked_at = self._kept_at = float("-inf")
        self._told_of_space = False

    def __call__(self) -> None:
        """Do what is due; raises nothing."""
        now = self._now_seconds()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            self._look_at_disk()
            self._look_at_tables()
        if now - self._kept_at >= KEEP_SECONDS:
            self._kept_at = now
            self._keep()

    def _look_at_disk(self) -> None:
        """Tell while there still is room, once until there is plenty again: with none left nothing can be journaled."""
        try:
            free_mib = shutil.disk_usage(self._home.path).free >> 20
        except OSError as error:
            _log.warning("the room on the disk is not known: %s", error)
            return
        self._pulses.counts[DISK_FREE] = free_mib
        if free_mib >= 2 * LOW_SPACE_MIB:
            self._told_of_space = False
        elif free_mib < LOW_SPACE_MIB and not self._told_of_space:
            self._told_of_space = True
            text = f"{self._home.path}: {free_mib} MiB free; where nothing can be journaled, entries are halted"
            _log.error("the disk fills up: %s", text)
            self._tell(Notify(AlertLevel.ERROR, "the disk fills up", text, "disk:space", at_ns=time.time_ns()))

    def _look_at_tables(self) -> None:
        """Tell once that the tables stand still: the journal and the engine go on, what is read from them does not."""
        failure = self._view_failure()
        if failure and TABLES_STOPPED not in self._pulses.counts:
            self._pulses.counts[TABLES_STOPPED] = 1
            _log.error("the tables beside the journal stand still: %s", failure)
            text = f"reports and lists of the past miss what is new, the journal does not: {failure}; a new start makes them anew"
            self._tell(Notify(AlertLevel.ERROR, "the tables stand still", text, "tables:stopped", at_ns=time.time_ns()))

    def _keep(self) -> None:
        try:
            self._keep_accounts()
        except OSError as error:
            text = f"the lock of an account was removed: a second engine could trade it; start this one anew ({error.strerror})"
            _log.error("%s", text)
            self._tell(Notify(AlertLevel.ERROR, "an account is not locked", text, "account:lock", at_ns=time.time_ns()))
