"""A running engine with all that belongs to it: how commands talk to it, what watches it, how it ends."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Self

from engine.config import Config
from engine.effects import Notify
from engine.errors import EngineUnreachable, QuarterdeckError, StoreError
from engine.inputs import Command, PlaceOrder, Reconcile, SetTradingState, TradingState
from engine.runner import Engine
from engine.service import AlertLevel, OrderCard, Receipt, Refusal, Snapshot
from engine.state import SNAPSHOT_FORMAT, State, encode_state
from engine.units import NS_PER_SECOND
from store import snapshots
from store.halt_flag import Halt, clear_halt, read_halt
from store.home import Home, HomeLock
from store.journal import SqliteJournal
from store.read import chain_hash
from tui.access import Gatekeeper
from tui.commands.link import command_id
from tui.compose_notify import Notices
from tui.control import ControlServer
from tui.control_protocol import PROTOCOL, Hello
from tui.home_care import HomeCare
from tui.http_server import HttpServer
from tui.version import VERSION

COMMAND_SECONDS = 30.0
STOP_SECONDS = 15.0
FLAG_SECONDS = 0.25
LONGEST_SILENCE_SECONDS = 60.0
_log = logging.getLogger("quarterdeck.home")


class Checkpoints:
    """Saves states as snapshots in a thread of its own, so that the engine never waits for it."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")

    def __call__(self, state: State) -> None:
        self._worker.submit(self._save, state)

    def close(self) -> None:
        """Wait for what is being saved."""
        self._worker.shutdown()

    def _save(self, state: State) -> None:
        try:
            proof = chain_hash(self._home.journal, state.seq)
            if proof is not None:
                snapshots.save(self._home.snapshots, state.seq, proof, SNAPSHOT_FORMAT, encode_state(state))
        except StoreError as error:
            _log.warning("%s", error)


class EngineLink:
    """An engine of this process, as commands talk to it; calls come from outside its loop."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def snapshot_now(self) -> Snapshot:
        return self.engine.latest()

    def send_now(self, command: Command, seconds: float | None = None) -> Receipt:
        return self._within(self.engine.send(command), seconds or COMMAND_SECONDS)

    def what_if_now(self, order: PlaceOrder) -> OrderCard | Refusal:
        return self._within(self.engine.what_if(order), COMMAND_SECONDS)

    @staticmethod
    def _within[T](work: Coroutine[Any, Any, T], seconds: float) -> T:
        try:
            return asyncio.run(asyncio.wait_for(work, seconds))
        except TimeoutError:
            raise EngineUnreachable(f"the engine did not answer in {seconds:g} s; it may hang") from None


class RunningEngine:
    """An engine with everything that belongs to it; leaving the `with` block ends it all in the right order."""

    def __init__(self, home: Home, engine: Engine, journal: SqliteJournal, lock: HomeLock,
                 checkpoints: Checkpoints | None, release_accounts: Callable[[], None] = lambda: None,
                 notices: Notices = Notices()) -> None:  # noqa: B008 - it holds nothing
        self.home = home
        self.engine = engine
        self.link = EngineLink(engine)
        self.gate = Gatekeeper(engine)
        self.keep_accounts: Callable[[], None] = lambda: None
        self._known_ns = engine.parts.state.at_ns
        self._journal = journal
        self._lock = lock
        self._release_accounts = release_accounts
        self._checkpoints = checkpoints
        self._notices = notices
        self._server: ControlServer | None = None
        self._http: HttpServer | None = None
        self._webhook: HttpServer | None = None
        self._flag_watch: FlagWatch | None = None

    def serve(self, on_stop: Callable[[], None]) -> None:
        """Answer on the control socket, obey the halt flag, and tell whoever is away from the screen."""
        self._notices.start(self.engine, self.gate)
        self._tell_unclean_end()
        hello = Hello(protocol=PROTOCOL, version=VERSION, engine_id=self.engine.parts.engine_id,
                      mode=self.engine.parts.mode, pid=os.getpid())
        self._server = ControlServer(self.engine, self.home.socket, hello, on_stop, self.engine.pulses, self.gate)
        self._server.start()
        care = HomeCare(self.home, self.engine.pulses, self.keep_accounts, lambda: self._journal.view_failure, self._notices.tell)
        self._flag_watch = FlagWatch(self.home, self.link, care)
        self._flag_watch.start()

    def _tell_unclean_end(self) -> None:
        """Tell that the engine before this one was killed, or its machine: a service manager starts the next one in silence, and
        meanwhile nothing was watched."""
        if not self._lock.left_by:
            return
        newest = datetime.fromtimestamp(self._known_ns // NS_PER_SECOND, UTC)
        text = (f"process {self._lock.left_by} ended without a word (killed, out of memory, no power); its newest record is of "
                f"{newest:%Y-%m-%d %H:%M:%S} UTC; since then only what rests at the venue guarded positions")
        _log.warning("%s", text)
        self._notices.tell(Notify(AlertLevel.ERROR, "the engine was gone", text, "engine:gone", at_ns=time.time_ns()))

    def serve_health(self, config: Config) -> None:
        """Answer `/health` and `/metrics` from now on, where the configuration names a port."""
        from tui.metrics import health_app

        if config.health.port:
            host, clock = config.health.host, self.engine.parts.clock
            self._http = HttpServer("health", lambda: health_app(self.engine.latest, host, clock.now_ns), host,
                                    config.health.port, self.engine.pulses)
            self._http.start()

    def serve_webhook(self, config: Config) -> None:
        """Take signed signals from now on, where the configuration names a port and a source."""
        from tui.compose_webhook import webhook_server

        self._webhook = webhook_server(self.home, config, self.engine)
        if self._webhook is not None:
            self._webhook.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the engine, then what serves it, then what it wrote to, and give the home back."""
        try:
            for watch in (self._webhook, self._http, self._flag_watch):
                if watch is not None:
                    watch.close()
            self.engine.stop()
            self.engine.join(STOP_SECONDS)
            if self.engine.failure:
                self._notices.tell_failure(self.engine.failure)
            self._notices.close(failed=bool(self.engine.failure))
            if self._server is not None:
                self._server.close()
            if self._checkpoints is not None:
                self._checkpoints.close()
            self._journal.close()
        finally:
            self._release_accounts()
            self._lock.release()


class FlagWatch:
    """Watches for the halt flag that a panic raises while this engine hangs: halt, look at the venue, take it down. `care` is
    called beside, each time."""

    def __init__(self, home: Home, link: EngineLink, care: Callable[[], None] = lambda: None) -> None:
        self._home = home
        self._link = link
        self._care = care
        self._obeyed: Halt | None = None
        self._told = ""
        self._ending = threading.Event()
        self._pulses = link.engine.pulses
        self._thread = threading.Thread(target=self._watch, name="halt-flag", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._ending.set()
        self._thread.join(STOP_SECONDS)

    def _watch(self) -> None:
        while not self._ending.wait(FLAG_SECONDS):
            self._pulses.beat("halt-flag", LONGEST_SILENCE_SECONDS)
            self._care()
            flag = read_halt(self._home)
            if flag is None:
                self._obeyed = None  # somebody else took it down: the next one is another, though it says the same
            else:
                self._obey(flag)

    def _obey(self, flag: Halt) -> None:
        """Once, and then take the flag down; one that cannot be taken down must not be recorded four times a second."""
        try:
            if flag != self._obeyed:
                obey_flag(self._link, flag.cause, flag.by)
                self._obeyed = flag
            clear_halt(self._home)
            self._obeyed = None
        except QuarterdeckError as error:
            if str(error) != self._told:
                _log.warning("the halt flag stays raised: %s", error)
            self._told = str(error)


def obey_flag(link: EngineLink, cause: str, by: str) -> None:
    """Latch the halt that a raised flag asks for, and look at the venue, which somebody else may have flattened."""
    link.send_now(SetTradingState(command_id(), TradingState.HALTED, "", cause, by))
    link.send_now(Reconcile(command_id(), by))
