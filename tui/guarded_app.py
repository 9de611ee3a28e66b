"""What may be done from a screen: nothing where it only looks on, nothing but panic while it is locked."""

from collections.abc import Callable, Mapping

from textual.actions import ActionParseResult, parse
from textual.app import App
from textual.dom import DOMNode
from textual.events import Event, Key, MouseDown, MouseScrollDown, MouseScrollUp, Paste

from engine.service import AccessGate, Receipt
from tui.access import CHECK
from tui.keymap import ACTING, KEYMAP
from tui.widgets.background import start

TOUCHES = (Key, MouseDown, MouseScrollDown, MouseScrollUp, Paste)
WHILE_LOCKED = frozenset({"panic", "flatten", "leave", "back"})
IN_THE_TABLE = frozenset(parse(entry.action)[1] for entry in KEYMAP)
ACTING_ACTIONS = frozenset(parse(entry.action)[1] for entry in KEYMAP if entry.entry_id in ACTING)
READ_ONLY = "READ ONLY: this screen can look, not act"
ELSEWHERE = "; in another shell: quarterdeck panic"


class GuardedApp(App[None], inherit_bindings=False):
    """An app behind a gate; it locks itself once nobody has touched it for as long as the gate says."""

    gate: AccessGate
    now_seconds: Callable[[], float]
    touched_at = 0.0

    def tell(self, text: str, tone: str = "") -> None:
        """Say the outcome of an act in the message line."""
        raise NotImplementedError

    async def on_event(self, event: Event) -> None:
        if isinstance(event, TOUCHES):
            self.touched_at = self.now_seconds()
        await super().on_event(event)

    async def run_action(self, action: "str | ActionParseResult", default_namespace: DOMNode | None = None,
                         namespaces: Mapping[str, DOMNode] | None = None) -> bool:
        """As every app does, except that one who only looks on is told so, and a locked screen does nothing but panic."""
        name = (parse(action) if isinstance(action, str) else action)[1]
        if self.locked and name in IN_THE_TABLE and name not in WHILE_LOCKED:
            return True
        if name in ACTING_ACTIONS and self.gate.access().read_only:
            self._say(READ_ONLY + (ELSEWHERE if name in WHILE_LOCKED else ""), "warn")
            return True
        return await super().run_action(action, default_namespace, namespaces)

    @property
    def locked(self) -> bool:
        """Whether the lock covers this screen."""
        from tui.screens.lock import LockScreen

        return any(isinstance(screen, LockScreen) for screen in self.screen_stack)

    def _say(self, text: str, tone: str) -> None:
        """Say what came of a key where the person looks: a dialog may cover the message line."""
        note = getattr(self.screen, "note", None) if self.screen_stack else None
        if note is not None:
            note(text, tone)
        self.tell(text, tone)

    def lock_where_idle(self) -> None:
        """Lock a screen that nobody has touched for too long."""
        access = self.gate.access()
        if access.locks and access.idle_seconds and self.now_seconds() - self.touched_at >= access.idle_seconds:
            self.action_lock()

    def action_lock(self) -> None:
        """Cover this screen until a right code."""
        from tui.screens.lock import LockScreen

        if self.locked:
            return
        if not self.gate.access().locks:
            self.tell("nothing to lock: nobody is asked for a code here, see [access] in config.toml", "muted")
            return
        start(self, self.gate.lock, group="lock")
        self.push_screen(LockScreen())

    def ask_to_unlock(self, receipt: Receipt) -> None:
        """Ask for a code where an act was refused for want of one."""
        from tui.screens.lock import UnlockDialog

        if receipt.refusal is None or receipt.refusal.check != CHECK or not self.gate.access().locks:
            return
        if not any(isinstance(screen, UnlockDialog) for screen in self.screen_stack):
            self.push_screen(UnlockDialog())
