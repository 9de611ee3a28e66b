"""The Textual app: it follows a service's snapshots, shows them, and carries a person's commands to it."""

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, tzinfo
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.command import Provider
from textual.theme import Theme

from engine.inputs import Command, SetTradingState, TradingState
from engine.service import AccessGate, AlertLevel, Mode, ProposalStatus, Receipt, Service, Snapshot
from engine.units import NS_PER_SECOND
from tui.access import OpenGate
from tui.formats import clock, plain, plural
from tui.garbage import look_usually
from tui.guarded_app import GuardedApp
from tui.keymap import bindings_for, keymap_with, shown_key
from tui.terminal import terminal_took
from tui.theming import (
    DEFAULT_THEME,
    Tones,
    default_variables,
    packaged_themes,
    user_themes,
)
from tui.widgets.background import start
from tui.widgets.panic_button import PanicButton

if TYPE_CHECKING:
    from tui.screens.workstation import Workstation

FRAME_SECONDS = 0.1
RETRY_SECONDS = 2.0
SILENCE_SECONDS = 5.0
HALT_PATIENCE_SECONDS = 4.0
REPLAY_ENDED = "the replay has ended"
OUTSIDE_PANIC = "in another shell: quarterdeck panic"


def _commands() -> type[Provider]:
    from tui.screens.palette import ActProvider

    return ActProvider


class QuarterdeckApp(GuardedApp, inherit_bindings=False):
    """The workstation on any `Service`.

    `ends_engine` says whether leaving the app ends the engine too (an engine in this process) or leaves it running
    (attached over the control socket); the dialog on leaving tells the truth by it. `keys` are a person's own keys by
    id; `home_themes` a folder of own themes. `zone` is the zone of display, `now_seconds` a monotonic clock, `gate` what
    stands between this screen and the engine.
    """

    CSS_PATH = Path(__file__).with_name("app.tcss")
    TITLE = "Quarterdeck"
    BINDINGS: ClassVar[list[BindingType]] = bindings_for("app")
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_commands}
    COMMAND_PALETTE_BINDING = "ctrl+p"

    def __init__(self, service: Service, *, home_themes: Path | None = None, theme_name: str = DEFAULT_THEME,
                 keys: Mapping[str, str] | None = None, ends_engine: bool = True, zone: tzinfo = UTC,
                 now_seconds: Callable[[], float] = time.monotonic, gate: AccessGate | None = None) -> None:
        self.gate = gate or OpenGate()
        self.tones = Tones(default_variables(dark=True), dark=True)
        self.halt_words = "HALT"
        self.keymap = keymap_with(keys or {})
        self.key_names = {entry.entry_id: shown_key(entry.keys.split(",")[0]) for entry in self.keymap}
        super().__init__()
        self.service = service
        self.on_painted: Callable[[], None] = lambda: None
        self.ends_engine = ends_engine
        self.zone = zone
        self.now_seconds = now_seconds
        self.snapshot: Snapshot | None = None
        self.muted = False
        self.lost_because = ""
        self._received_at = self.touched_at = now_seconds()
        self._halting = 0
        self._drawing = False
        self._covered_ns = 0
        self._rung: set[str] | None = None
        self._theme_problems = self._register_themes(home_themes, theme_name)
        if keys:
            self.set_keymap(dict(keys))

    # ---- life ------------------------------------------------------------------------------------------------------

    def get_default_screen(self) -> "Workstation":
        from tui.screens.workstation import Workstation

        return Workstation(self.zone)

    @property
    def workstation(self) -> "Workstation":
        """The main screen, under whatever dialog is open."""
        from tui.screens.workstation import Workstation

        screen = self.screen_stack[0]
        assert isinstance(screen, Workstation)
        return screen

    def on_mount(self) -> None:
        self.theme_changed_signal.subscribe(self, self._theme_changed)
        self._theme_changed(self.current_theme)

    def on_ready(self) -> None:
        look_usually()
        self.on_painted()

    def begin(self) -> None:
        """Follow the service: the workstation is there to show it."""
        start(self, self._follow, group="follow")
        self.set_interval(1.0, self._show_banner)
        self.set_interval(1.0, self.lock_where_idle)
        for problem in self._theme_problems:
            self.tell(problem, "warn")

    async def _follow(self) -> None:
        """Take snapshots as they come, at most one a frame; when they end, say so and keep trying."""
        while True:
            try:
                async for snapshot in self.service.snapshots():
                    started = time.monotonic()
                    self._receive_safely(snapshot)
                    await asyncio.sleep(max(0.0, FRAME_SECONDS - (time.monotonic() - started)))
                    await self._drawn()
                self._lost(REPLAY_ENDED if self._replaying else "the engine has stopped")
            except Exception as failure:  # noqa: BLE001 - any service may fail in its own way; the screen must outlive all of them
                self._lost(f"the engine cannot be reached ({failure})")
            await asyncio.sleep(RETRY_SECONDS)

    async def _drawn(self) -> None:
        """Return once the terminal took the frame: the next one shows the newest then, never what grew old in a queue."""
        if self._driver is not None and not self.is_headless and not self.is_web:  # a browser's does not write to the terminal
            self._drawing = True
            try:
                await terminal_took(self._driver.write)
            finally:
                self._drawing = False

    def _receive_safely(self, snapshot: Snapshot) -> None:
        try:
            self.receive(snapshot)
        except Exception as failure:  # noqa: BLE001 - a defect of the screen must not look like a calm market
            self.log(f"snapshot {snapshot.version} was not shown: {failure!r}")
            self._lost(f"this screen failed to show the newest state ({failure!r})")

    def receive(self, snapshot: Snapshot) -> None:
        """Show this snapshot, unless a newer one is already there."""
        self._received_at = self.now_seconds()
        if self.snapshot is not None and snapshot.version <= self.snapshot.version and not self.lost_because:
            return
        changed_mode = self.snapshot is None or self.snapshot.mode is not snapshot.mode
        self.snapshot, self.lost_because = snapshot, ""
        if changed_mode:
            self._show_mode(snapshot.mode)
        self._show_halt()
        self._ring(snapshot)
        # What lies under a dialog is drawn anew as a whole with it, whatever changed: once a second is enough there.
        covered_wait = 0 < snapshot.at_ns - self._covered_ns < NS_PER_SECOND
        self._covered_ns = self._covered_ns if covered_wait else snapshot.at_ns
        for screen in self.screen_stack:
            show = getattr(screen, "show_snapshot", None)
            if show is not None and screen.is_mounted and (screen is self.screen or not covered_wait):
                show(snapshot)
        self._show_banner()

    # ---- what is wrong, loudly ---------------------------------------------------------------------------------------

    @property
    def _replaying(self) -> bool:
        return self.snapshot is not None and self.snapshot.mode is Mode.REPLAY

    @property
    def silent_seconds(self) -> float:
        """How long ago the engine last said something."""
        return self.now_seconds() - self._received_at

    def _lost(self, why: str) -> None:
        self.lost_because = plain(why)
        self._show_banner()

    def _show_banner(self) -> None:
        """Say on every screen, also in a dialog that covers the others, where what it shows is old."""
        if not self.screen_stack or self._drawing:
            return  # the app is ending: its screens are gone, its timers not yet; or it is the terminal that is slow
        text, tone = self.banner
        for screen in self.screen_stack:
            show = getattr(screen, "show_banner", None)
            if show is not None and screen.is_mounted:  # one that is about to open has no widgets yet, and asks for it then
                show(text, tone)

    @property
    def out_of_touch(self) -> bool:
        """Whether what is shown is old: nothing that opens a position is sent then, to be done whenever the engine wakes."""
        return self.banner[1] == "panic" and bool(self.banner[0])

    @property
    def banner(self) -> tuple[str, str]:
        """What is wrong with everything that is shown, and its tone; "" where nothing is."""
        silent = self.silent_seconds
        as_of = "nothing was shown yet"
        if self.snapshot is not None:
            as_of = f"all below is as of {clock(self.snapshot.at_ns, self.zone)}"
        way_out = f"{self.key_names['panic']} still tries; {OUTSIDE_PANIC}"
        if self.lost_because == REPLAY_ENDED:
            return f"▷ {REPLAY_ENDED}; {as_of}", "replay"
        if self.lost_because:
            return f"✗ {self.lost_because}; {as_of}, {int(silent)}s ago. {way_out}", "panic"
        if silent >= SILENCE_SECONDS:
            return f"! No news from the engine for {int(silent)}s; {as_of}. {way_out}", "panic"
        return "", "panic"

    def _ring(self, snapshot: Snapshot) -> None:
        """The bell, once for each new decision and each new loud alert."""
        loud = {view.proposal_id for view in snapshot.proposals if view.status is ProposalStatus.PENDING}
        loud |= {view.alert_id for view in snapshot.alerts
                 if view.level in (AlertLevel.ERROR, AlertLevel.CRIT) and not view.acknowledged}
        new = loud - self._rung if self._rung is not None else set()
        self._rung = loud
        if new and not self.muted:
            self.bell()

    def tell(self, text: str, tone: str = "") -> None:
        """Say the outcome of an act in the message line: always the same place, while there is one."""
        if self.screen_stack:
            self.workstation.tell(text, tone)

    # ---- commands ----------------------------------------------------------------------------------------------------

    def next_command_id(self) -> str:
        """An id for a command of this person."""
        return f"app-{uuid.uuid4().hex}"

    def act(self, command: Command, what: str) -> None:
        """Send a command without waiting; its outcome is told in the message line."""
        start(self, partial(self.deliver, command, what), group="commands")

    async def deliver(self, command: Command, what: str) -> Receipt | None:
        """Send a command and tell its outcome; None where there was no answer at all."""
        try:
            receipt = await self.service.send(command)
        except Exception as failure:  # noqa: BLE001 - as in _follow: whatever the service raises is news for the person
            self.tell(f"✗ {what}: no answer, so it may or may not have happened ({failure})", "crit")
            return None
        if receipt.accepted:
            self.tell(f"✓ {receipt.text or what}", "good")
        else:
            self.tell(f"✗ {what} refused: {refusal_words(receipt)}", "warn")
            self.ask_to_unlock(receipt)
        return receipt

    # ---- panic -------------------------------------------------------------------------------------------------------

    def action_panic(self) -> None:
        """First stage, at once; where everything is halted already, offer the second stage as well."""
        was_halted = self._all_halted()
        self._halting += 1
        self._show_halt()
        start(self, self._halt, group="panic")
        if was_halted:
            self.action_flatten()

    async def _halt(self) -> None:
        command = SetTradingState(self.next_command_id(), TradingState.HALTED, cause="panic key")
        sending = asyncio.ensure_future(self.service.send(command))
        try:
            done, _ = await asyncio.wait({sending}, timeout=HALT_PATIENCE_SECONDS)
            if not done:
                self._say(f"✗ HALT NOT CONFIRMED after {HALT_PATIENCE_SECONDS:.0f}s; {OUTSIDE_PANIC}", "panic")
            receipt = await sending
            if receipt.accepted:
                self._say(f"■ HALTED: entries are blocked, stops stay. {self.key_names['flatten']} flattens, "
                          "the palette resumes.", "crit")
            else:
                self._say(f"✗ HALT REFUSED; {OUTSIDE_PANIC} ({refusal_words(receipt)})", "panic")
        except Exception as failure:  # noqa: BLE001 - panic must always end in an answer on the screen
            self._say(f"✗ HALT NOT CONFIRMED; {OUTSIDE_PANIC} ({failure})", "panic")
        finally:
            self._halting -= 1
            self._show_halt()

    def action_flatten(self) -> None:
        """Second stage: asks once more, with Cancel focused first."""
        from tui.screens.flatten import FlattenDialog

        if not isinstance(self.screen, FlattenDialog):  # one that lies under a lock or a page of help is seen by nobody
            self.push_screen(FlattenDialog())

    def _all_halted(self) -> bool:
        accounts = self.snapshot.accounts if self.snapshot else ()
        return bool(accounts) and all(each.trading_state is TradingState.HALTED for each in accounts)

    def _show_halt(self) -> None:
        words = "HALTED" if self._all_halted() else "HALTING…" if self._halting else "HALT"
        if words != self.halt_words:
            self.halt_words = words
            for screen in self.screen_stack:
                for button in screen.query(PanicButton):
                    button.refresh()

    # ---- leaving, help, settings -------------------------------------------------------------------------------------

    def action_leave(self) -> None:
        """Leave; where something is open, ask first and say what keeps running."""
        from tui.screens.leave import LeaveDialog, needs_asking

        if self.snapshot is None or not needs_asking(self.snapshot):
            self.exit()
        elif not any(isinstance(screen, LeaveDialog) for screen in self.screen_stack):
            self.push_screen(LeaveDialog(self.snapshot, ends_engine=self.ends_engine))

    async def action_quit(self) -> None:
        self.action_leave()

    def action_interrupt(self) -> None:
        self._say(f"ctrl+c does not leave; {self.key_names['quit']} does", "muted")

    def action_help(self) -> None:
        from tui.screens.help import HelpScreen

        if not any(isinstance(screen, HelpScreen) for screen in self.screen_stack):
            self.push_screen(HelpScreen(getattr(self.screen, "SCOPE", "")))

    # ---- looks -------------------------------------------------------------------------------------------------------

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return default_variables(dark=True)

    def _register_themes(self, home_themes: Path | None, wanted: str) -> tuple[str, ...]:
        own = user_themes(home_themes)
        themes = (*packaged_themes(), *own.themes)
        for theme in themes:
            self.register_theme(theme)
        self.own_themes = tuple(sorted({theme.name for theme in themes}))
        problems = own.problems
        if wanted not in self.available_themes:
            known = ", ".join(self.own_themes)
            problems = (*problems, f"theme {wanted!r} is not there; using {DEFAULT_THEME}. Known: {known}")
            wanted = DEFAULT_THEME
        self.theme = wanted
        return problems

    def _theme_changed(self, theme: Theme) -> None:
        self.tones = Tones(theme.variables, dark=theme.dark)
        for screen in self.screen_stack:
            redraw = getattr(screen, "redraw", None)
            if redraw is not None:
                redraw()

    def _show_mode(self, mode: Mode) -> None:
        for each in Mode:
            self.set_class(each is mode, f"-{each.value.lower()}")
        self.title = f"{'■ LIVE' if mode is Mode.LIVE else mode.value} Quarterdeck"
        if self._driver is not None and not self.is_headless:
            self._driver.write(f"\x1b]2;{self.title}\x07")


def refusal_words(receipt: Receipt) -> str:
    """A refusal in words, with its limit and its value."""
    refusal = receipt.refusal
    if refusal is None:
        return plain(receipt.text) or "no reason given"
    numbers = f" ({plain(refusal.value)} against {plain(refusal.limit)})" if refusal.limit and refusal.value else ""
    return f"{plain(refusal.message)}{numbers}"


def waiting_words(snapshot: Snapshot) -> str:
    """What is open, in words."""
    working = sum(order.working for order in snapshot.orders)
    pending = sum(view.status is ProposalStatus.PENDING for view in snapshot.proposals)
    parts = [plural(len(snapshot.positions), "open position") if snapshot.positions else "",
             plural(working, "working order") if working else "",
             plural(pending, "pending decision") if pending else ""]
    return ", ".join(filter(None, parts))
