"""Leaving: where something is open, say what keeps running and what does not."""

from engine.service import ProposalStatus, Snapshot, StopHome
from tui.formats import plain
from tui.screens.dialog import ConfirmDialog


class LeaveDialog(ConfirmDialog):
    """Asks before the app is left."""

    def __init__(self, snapshot: Snapshot, *, ends_engine: bool) -> None:
        super().__init__("Leave Quarterdeck", leaving_lines(snapshot, ends_engine=ends_engine), safe="Stay",
                         act="Leave")

    def confirmed(self) -> None:
        self.app.exit()


def needs_asking(snapshot: Snapshot) -> bool:
    """Whether anything is open."""
    pending = any(view.status is ProposalStatus.PENDING for view in snapshot.proposals)
    return bool(snapshot.positions) or pending or any(order.working for order in snapshot.orders)


def leaving_lines(snapshot: Snapshot, *, ends_engine: bool) -> list[list[tuple[str, str]]]:
    """What is open, and what happens to it."""
    from tui.app import waiting_words

    lines = [[("Open: ", "muted"), (waiting_words(snapshot), "strong")], []]
    if not ends_engine:
        return [*lines, [("The engine keeps running in its own process and keeps watching every stop.", "good")]]
    by_venue = [plain(view.symbol) for view in snapshot.positions if view.stop_home is StopHome.VENUE]
    others = [plain(view.symbol) for view in snapshot.positions if view.stop_home is not StopHome.VENUE]
    lines.append([("The engine in this program stops with it.", "warn")])
    if by_venue:
        lines.append([("✓ stops stay at the venue: ", "good"), (", ".join(by_venue), "")])
    if others:
        lines.append([("✗ no stop works while it is off: ", "crit"), (", ".join(others), "strong")])
    if any(order.working for order in snapshot.orders):
        lines.append([("Working orders stay at the venue; their fills are found later.", "")])
    lines.append([("Trails, longest holds and decisions wait for the next start.", "muted")])
    return lines
