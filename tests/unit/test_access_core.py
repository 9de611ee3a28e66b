"""Codes in the core: each opens once, wrong ones are slowed by the engine's time, recorded and told, over restarts too."""

import msgspec

from engine.access import LONGEST_WAIT_SECONDS, AccessState, TryCode, wait_ns
from engine.access_events import AccessDenied, AccessGranted
from engine.apply import apply
from engine.decide import decide
from engine.effects import Answer, Notify
from engine.market import MarketView
from engine.service import Receipt
from engine.state import State, decode_state, encode_state
from engine.turn import Decision, Stamped
from engine.units import NS_PER_SECOND

MARKET = MarketView(lambda at_ns: at_ns // (86_400 * NS_PER_SECOND))
START_NS = 1_700_000_000 * NS_PER_SECOND


def tried(state: State, at_seconds: float, *, matched: bool, step: int = 0, number: int = 1) -> Decision:
    command = TryCode(f"c{number}", "pin" if not step else "totp", matched, step, "what it opens", "attach (process 7)")
    return decide(state, Stamped(START_NS + int(at_seconds * NS_PER_SECOND), command, MARKET))


def receipt(decision: Decision) -> Receipt:
    (found,) = [effect.receipt for effect in decision.effects if isinstance(effect, Answer)]
    return found


def test_a_right_code_opens_and_says_who() -> None:
    decision = tried(State(), 0, matched=True)
    assert receipt(decision).accepted
    (recorded,) = decision.events
    assert isinstance(recorded.event, AccessGranted)
    assert (recorded.event.by, recorded.event.way, recorded.event.step) == ("attach (process 7)", "pin", 0)


def test_a_time_step_opens_once_and_none_before_it_does() -> None:
    state = tried(State(), 0, matched=True, step=100).state
    for number, step in ((2, 100), (3, 99)):
        decision = tried(state, 100 * number, matched=True, step=step, number=number)
        answer = receipt(decision)
        assert not answer.accepted and answer.refusal is not None and "used before" in answer.refusal.message
    assert receipt(tried(state, 300, matched=True, step=101, number=4)).accepted


def test_wrong_codes_are_slowed_and_the_wait_records_nothing() -> None:
    first = tried(State(), 0, matched=False)
    assert [type(one.event) for one in first.events][:1] == [AccessDenied]
    assert any(isinstance(effect, Notify) for effect in first.effects)
    early = tried(first.state, 0.5, matched=True, number=2)
    assert not receipt(early).accepted and early.events == ()
    answer = receipt(early).refusal
    assert answer is not None and "try again in 1 s" in answer.message
    second = tried(first.state, 1, matched=False, number=3)
    assert second.state.access == AccessState(2, START_NS + 3 * NS_PER_SECOND)
    opened = tried(second.state, 3, matched=True, number=4).state
    assert opened.access == AccessState()


def test_the_wait_doubles_up_to_a_quarter_of_an_hour() -> None:
    waits = [wait_ns(failures) // NS_PER_SECOND for failures in range(14)]
    assert waits == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]
    assert wait_ns(10**9) == LONGEST_WAIT_SECONDS * NS_PER_SECOND


def test_the_wait_and_the_used_step_outlast_a_restart() -> None:
    state = tried(tried(State(), 0, matched=True, step=7).state, 1, matched=False, number=2).state
    woken = decode_state(encode_state(state))
    assert woken.access == state.access == AccessState(1, START_NS + 2 * NS_PER_SECOND, 7)
    replayed = State()
    for recorded in (*tried(State(), 0, matched=True, step=7).events,
                     *tried(tried(State(), 0, matched=True, step=7).state, 1, matched=False, number=2).events):
        replayed = apply(replayed, recorded)
    assert replayed.access == state.access


def test_the_same_try_sent_twice_counts_once() -> None:
    state = tried(State(), 0, matched=False).state
    again = tried(state, 60, matched=True)
    assert not receipt(again).accepted and again.state.access.failures == 1


def test_nothing_of_a_code_is_recorded() -> None:
    decision = tried(State(), 0, matched=False)
    text = msgspec.json.encode([one.event for one in decision.events]).decode()
    assert set(AccessDenied.__struct_fields__) == {"by", "what", "reason", "failures", "retry_at_ns", "command_id"}
    assert "wrong" in text
