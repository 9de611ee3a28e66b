"""`approve` of what research proposes: its words are printed, and marks count as read only after a yes to them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest

from engine.inputs import Approve, Command, PlaceOrder
from engine.service import OrderCard, ProposalView, Receipt, Refusal, Snapshot
from tests.tui.research_views import decision, research
from tests.tui.test_research_card import pending
from tests.tui.views import proposal, snapshot
from tui.commands import trading
from tui.commands.link import Link

FLAGS = ("E5: role words", "E7: \x1b[31minstruction")


class ScriptedLink:
    """An engine that shows one pending trade and keeps what it is sent."""

    def __init__(self, view: ProposalView) -> None:
        self.view = view
        self.sent: list[Command] = []

    def snapshot_now(self) -> Snapshot:
        return snapshot(proposals=(self.view,), research=(research(),))

    def send_now(self, command: Command, seconds: float | None = None) -> Receipt:
        self.sent.append(command)
        return Receipt(command.command_id, accepted=True, seq=1, text="sent")

    def what_if_now(self, order: PlaceOrder) -> OrderCard | Refusal:
        return self.view.card


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def approving(monkeypatch: pytest.MonkeyPatch, view: ProposalView, said: StringIO, *, yes: bool = False,
              digest: str = "", as_json: bool = False) -> tuple[int, list[Command]]:
    link = ScriptedLink(view)

    @contextmanager
    def linked(path: Path, portfolio: str = "") -> Iterator[Link]:
        yield link

    monkeypatch.setattr(trading, "engine_link", linked)
    monkeypatch.setattr(sys, "stdin", said)
    return trading.approve(Path(), "P-1", digest, yes=yes, as_json=as_json), link.sent


def test_marks_are_shown_and_read_by_a_yes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    view = pending(decision=decision(flags=FLAGS), blocked="the price of AAPL is too old (40 s); wait for a new one")
    status, sent = approving(monkeypatch, view, Terminal("y\n"))
    out = capsys.readouterr().out
    assert status == 0
    assert "marked text: E5: role words" in out and "E7" in out and "\x1b" not in out
    assert "up 58.0 % cal" in out and "against  RSI is elevated" in out and "`decisions d1` tells all" in out
    assert "cannot be approved now: the price of AAPL is too old" in out
    (approve,) = sent
    assert isinstance(approve, Approve) and approve.flags_read == FLAGS and approve.digest == "digest-of-P-1"


def test_a_no_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert approving(monkeypatch, pending(decision=decision(flags=FLAGS)), Terminal("n\n")) == (1, [])


@pytest.mark.parametrize("how", [{"yes": True}, {"digest": "digest-of-P-1"}, {"as_json": True}])
def test_what_nobody_was_asked_about_was_not_read(monkeypatch: pytest.MonkeyPatch, how: dict[str, object]) -> None:
    said = Terminal("y\n") if "as_json" in how else StringIO("")
    _, (approve,) = approving(monkeypatch, pending(decision=decision(flags=FLAGS)), said, **how)  # type: ignore[arg-type]
    assert isinstance(approve, Approve) and approve.flags_read == ()


def test_an_order_by_hand_is_printed_as_ever(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    status, (approve,) = approving(monkeypatch, proposal(), StringIO(""))
    out = capsys.readouterr().out
    assert status == 0 and isinstance(approve, Approve)
    assert out.startswith("order ") and "odds" not in out
