"""Codes in any order and at any time: no time step opens twice, waits are kept, right codes open, the journal tells it all."""

from hypothesis import given
from hypothesis import strategies as some

from engine.access import TryCode, wait_ns
from engine.access_events import AccessDenied, AccessGranted
from engine.apply import apply
from engine.decide import decide
from engine.effects import Answer
from engine.events import Recorded
from engine.market import MarketView
from engine.state import State
from engine.turn import Stamped
from engine.units import NS_PER_SECOND

MARKET = MarketView(lambda at_ns: at_ns // (86_400 * NS_PER_SECOND))
START_NS = 1_700_000_000 * NS_PER_SECOND
tries = some.lists(some.tuples(
    some.integers(0, 1_200 * NS_PER_SECOND), some.booleans(), some.sampled_from((0, 0, 5, 6, 7, 8, 9))), max_size=40)


@given(tries)
def test_any_sequence_of_tries(given_tries: list[tuple[int, bool, int]]) -> None:
    state, at_ns, replayed = State(), START_NS, State()
    recorded: list[Recorded] = []
    opened: list[int] = []
    failures, denied_at_ns = 0, START_NS - 10**15
    for number, (after_ns, matched, step) in enumerate(given_tries):
        at_ns += after_ns
        command = TryCode(f"c{number}", "totp" if step else "pin", matched, step, "acts")
        decision = decide(state, Stamped(at_ns, command, MARKET))
        (receipt,) = [effect.receipt for effect in decision.effects if isinstance(effect, Answer)]
        waits = failures > 0 and at_ns < denied_at_ns + wait_ns(failures)
        assert receipt.accepted is (not waits and matched and (step == 0 or step > max(opened, default=0)))
        kinds = [type(one.event) for one in decision.events]
        assert kinds.count(AccessGranted) == receipt.accepted
        assert kinds.count(AccessDenied) == (not receipt.accepted and not waits), "a wait records nothing, all else does"
        if receipt.accepted:
            failures = 0
            opened += [step] if step else []
        elif not waits:
            failures, denied_at_ns = failures + 1, at_ns
        recorded += decision.events
        state = decision.state
    assert opened == sorted(set(opened)), "no step opens twice, and none before it"
    for one in recorded:
        replayed = apply(replayed, one)
    assert replayed == state
