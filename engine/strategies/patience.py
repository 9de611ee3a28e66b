"""An end to rules that do not come to one: a person's own file may loop for ever, and must not hold up the engine.

A thread looks on. Where a call has run for too long it raises an exception in the calling thread, at its next line of Python.
What waits inside a library (a sleep, a request) ends only once that returns.
"""

import math
import threading
import time
from collections.abc import Callable
from typing import Any

LOOK_SECONDS = 0.25
NEVER = math.inf


class TookTooLong(BaseException):
    """Raised in the middle of a call that ran for too long; no `except Exception` of a person's own takes it for theirs."""


class Patience:
    """How long calls may take, in seconds; calls are made one at a time, from any one thread."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._deadline = NEVER
        self._caller = 0
        self._raising = False
        self._raised = False
        self._closed = threading.Event()
        self._onlooker: threading.Thread | None = None

    def guarded[**Given, Found](self, function: Callable[Given, Found]) -> Callable[Given, Found]:
        """The same function, ended by `TookTooLong` where it takes too long."""

        def patient(*values: Given.args, **terms: Given.kwargs) -> Found:
            try:
                self._begin()
                try:
                    return function(*values, **terms)
                finally:
                    self._end()
            except TookTooLong:
                self._end()  # it may have come in the middle of the end
                raise

        return patient

    def close(self) -> None:
        """Look on no more."""
        self._closed.set()

    def _begin(self) -> None:
        if self._onlooker is None:
            self._onlooker = threading.Thread(target=self._look_on, name="patience", daemon=True)
            self._onlooker.start()
        self._caller = threading.get_ident()
        self._deadline = time.monotonic() + self.seconds

    def _end(self) -> None:
        """The call is over: whatever is raised from now on would strike somebody else."""
        self._deadline = NEVER
        while self._raising:
            time.sleep(0)
        if self._raised:
            self._raised = False
            _raise_in(self._caller, None)

    def _look_on(self) -> None:
        while not self._closed.wait(LOOK_SECONDS):
            if time.monotonic() < self._deadline:
                continue
            self._raising = True
            if time.monotonic() >= self._deadline:
                self._raised = True
                _raise_in(self._caller, TookTooLong)
                self._deadline += self.seconds
            self._raising = False


def _raise_in(thread_id: int, kind: type[BaseException] | None) -> None:
    """Leave an exception with a thread; None takes back one that it has not met yet."""
    import ctypes

    argument: Any = ctypes.py_object(kind) if kind is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), argument)
