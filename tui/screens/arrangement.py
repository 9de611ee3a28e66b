"""Which panes are visible at which size: pure functions, so that the workstation only has to obey."""

from collections.abc import Sequence
from typing import NamedTuple

from engine.service import ProposalStatus, QuoteView, Snapshot

PANES = ("positions", "decisions", "orders", "fills", "alerts", "market", "chart")
GROUPS: dict[str, tuple[tuple[str, ...], ...]] = {
    "narrow": (PANES,),
    "wide": (("positions",), ("chart",), ("decisions",), ("orders", "fills", "alerts", "market")),
    "ultra": (("positions",), ("chart",), ("decisions",), ("orders", "fills"), ("alerts", "market")),
}
TAB_WORDS = {"decisions": "Decide"}
LEAST_SIZE = (60, 16)
WIDE_SIZE = (100, 30)
ULTRA_SIZE = (150, 40)


class Place(NamedTuple):
    """One place on the screen: the pane in front, and those that share the place."""

    front: str
    others: tuple[str, ...]


def arrangement_of(width: int, height: int) -> str:
    """The arrangement of a terminal's size: one pane at a time, a dashboard, or a large dashboard."""
    for name, (least_width, least_height) in (("ultra", ULTRA_SIZE), ("wide", WIDE_SIZE)):
        if width >= least_width and height >= least_height:
            return name
    return "narrow"


def too_small(width: int, height: int) -> bool:
    """Whether nothing but the panic control can be shown."""
    return width < LEAST_SIZE[0] or height < LEAST_SIZE[1]


def places_of(arrangement: str, recent: Sequence[str], *, zoomed: bool) -> list[Place]:
    """The places and who is in front of each: of those that share one, the pane that was used last."""
    groups = (tuple(recent[:1]),) if zoomed else GROUPS[arrangement]
    places = []
    for group in groups:
        front = min(group, key=recent.index)
        shared = len(group) < len(PANES)
        places.append(Place(front, tuple(pane_id for pane_id in group if pane_id != front) if shared else ()))
    return places


def tab_words(snapshot: Snapshot | None) -> tuple[tuple[str, str], ...]:
    """Every pane's id and the words of its tab."""
    return tuple((pane_id, f"{index + 1} {TAB_WORDS.get(pane_id, pane_id.capitalize())}{_waiting(snapshot, pane_id)}")
                 for index, pane_id in enumerate(PANES))


def _waiting(snapshot: Snapshot | None, pane_id: str) -> str:
    if snapshot is None:
        return ""
    if pane_id == "positions":
        return f" {len(snapshot.positions)}"
    if pane_id == "decisions":
        pending = sum(view.status is ProposalStatus.PENDING for view in snapshot.proposals)
        return f" {pending}?" if pending else ""
    if pane_id == "alerts":
        unread = sum(not view.acknowledged for view in snapshot.alerts)
        return f" {unread}!" if unread else ""
    return ""


def first_alive(quotes: Sequence[QuoteView]) -> str:
    """The first instrument that trades now, or the first one at all; empty where there is none."""
    return next((quote.instrument_id for quote in quotes if quote.session_open and quote.last is not None),
                quotes[0].instrument_id if quotes else "")
