"""A portfolio's thread: its own entries alone, newest first, seven days within 1,500 tokens, nothing from later."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from engine.orders import Fill, Purpose, Side
from engine.positions import RoundTrip
from engine.research.decided import Decided
from engine.research.opinions import Stance
from engine.research.resolution import Outcome
from engine.research.threads import MOST_TOKENS, digest_of, entries_of, thread_view
from engine.research_state import SealedDecision
from engine.research_words import DecisionStatus, ThreadEntry
from engine.state import SettledFill, State
from engine.trading_hours import NS_PER_DAY
from tests.unit.research_days import AT, COINS

BTC = "BTC/USD@paper"


def fill(number: int, portfolio: str) -> SettledFill:
    return SettledFill(Fill("paper", BTC, f"t{number}", f"o{number}", Side.BUY, 1_000 + number, 9_500_000, 0,
                            AT - number * 10 ** 9), portfolio, Purpose.ENTRY)


def trip(portfolio: str) -> RoundTrip:
    return RoundTrip(portfolio, BTC, "research", 1, 1_000, AT - 10, AT - 5, 12_345, 45, 0, "target")


def sealed(number: int, portfolio: str, **terms: object) -> SealedDecision:
    decided = Decided(f"d{number}", "r1", portfolio, f"t-{portfolio}", BTC, "BTC/USD", "s", AT - number * 10 ** 9,
                      Decimal(95_000), "quote", "rule/1", "1", Stance.LONG, 5, 200, 200, None, actionable=False,
                      reason=f"marker of {portfolio}")
    return SealedDecision(decided, AT, status=DecisionStatus.DECLINED, **terms)  # type: ignore[arg-type] # a table of cases


def test_two_portfolios_side_by_side_never_meet_in_a_thread() -> None:
    state = State(instruments=COINS, recent_fills=tuple(fill(number, ("main", "other")[number % 2]) for number in range(40)),
                  round_trips=(trip("main"), trip("other")))
    decisions = [sealed(number, ("main", "other")[number % 2]) for number in range(40)]
    for own, foreign in (("main", "other"), ("other", "main")):
        entries = entries_of(state, own, decisions)
        told = digest_of(entries, AT)
        assert sum(entry.kind == "decision" for entry in entries) == 20
        assert sum(entry.kind == "fill" for entry in entries) == 20
        assert f"marker of {own}" in told
        assert f"marker of {foreign}" not in str(entries) + told


def test_what_is_told_of_each_kind() -> None:
    state = State(instruments=COINS, recent_fills=(fill(7, "main"),), round_trips=(trip("main"),))
    decision = sealed(9, "main", reason="declined: too late", outcome=Outcome(AT - 1, up=1, return_bps=83.4))
    entries = entries_of(state, "main", [decision])
    assert [(entry.kind, entry.text) for entry in entries] == [
        ("outcome", "up after 5 d, +83 bps"), ("round_trip", "closed with +123 USD"),
        ("fill", "BUY 1.007 at 95000 (entry)"), ("decision", "long 5 d by rule/1, declined: declined: too late")]
    void = entries_of(state, "main", [replace(decision, outcome=Outcome(AT - 1, void="delisted"))])
    assert void[0].text == "void: delisted"


def entries(count: int, *, spacing_ns: int, text: str = "x" * 80) -> list[ThreadEntry]:
    return [ThreadEntry(AT - number * spacing_ns, "fill", "BTC/USD", f"{number} {text}") for number in range(count)]


def test_the_digest_is_seven_days_newest_first() -> None:
    lines = digest_of(entries(20, spacing_ns=NS_PER_DAY, text=""), AT).splitlines()
    assert len(lines) == 7
    assert lines == sorted(lines, reverse=True)


def test_what_comes_later_leaves_no_trace() -> None:
    told = entries(5, spacing_ns=10 ** 9)
    later = [ThreadEntry(AT + 1, "fill", "BTC/USD", "of the future")]
    assert digest_of([*later, *told], AT) == digest_of(told, AT)


@pytest.mark.parametrize("text", ["x" * 80, "\u4e70" * 80, "1 2 3 4 5 6 7 8 9 0 " * 6])
def test_the_digest_is_bounded_and_says_what_it_left_out(text: str) -> None:
    told = digest_of(entries(500, spacing_ns=10 ** 9, text=text), AT)
    *kept, last = told.splitlines()
    assert len(told.encode()) <= MOST_TOKENS * 3
    assert last == f"and {500 - len(kept)} earlier entries"
    assert kept[0].endswith(f" 0 {text}")


def test_a_thread_is_shown_with_its_digest() -> None:
    view = thread_view(entries(300, spacing_ns=10 ** 9), "main", AT, 50)
    assert (view.thread_id, view.portfolio, len(view.entries)) == ("t-main", "main", 50)
    assert view.digest.startswith("20")
    assert thread_view((), "main", AT).digest == ""
