"""Which alerts the state keeps: a flood of lesser ones ends the asking for no critical one."""

from engine.apply import apply
from engine.events import AlertAcknowledged, AlertRaised, Event, Recorded
from engine.notices import unacknowledged
from engine.service import AlertLevel
from engine.state import KEPT_ALERTS, State

FLOOD = 3 * KEPT_ALERTS


def folded(*events: Event) -> State:
    state = State()
    for number, event in enumerate(events, start=1):
        state = apply(state, Recorded(number, number, event))
    return state


def raised(level: AlertLevel, subject: str) -> AlertRaised:
    return AlertRaised(f"code:{subject}", level, "code", subject, "text")


def flood(level: AlertLevel) -> list[Event]:
    return [raised(level, f"flood {number}") for number in range(FLOOD)]


def test_a_flood_of_lesser_alerts_leaves_a_critical_one_that_nobody_has_acknowledged() -> None:
    state = folded(raised(AlertLevel.CRIT, "bare"), *flood(AlertLevel.ERROR))
    assert [one.alert_id for one in unacknowledged(state)] == ["code:bare"]
    assert len(state.alerts) <= KEPT_ALERTS * 1.1
    assert list(state.alerts)[-1] == f"code:flood {FLOOD - 1}", "the newest are kept, in their order"


def test_what_was_acknowledged_goes_with_the_others() -> None:
    state = folded(raised(AlertLevel.CRIT, "bare"), AlertAcknowledged("code:bare", "tester"), *flood(AlertLevel.ERROR))
    assert "code:bare" not in state.alerts


def test_a_flood_of_critical_alerts_is_bounded_too() -> None:
    state = folded(*flood(AlertLevel.CRIT))
    assert len(state.alerts) <= KEPT_ALERTS * 1.1 and list(state.alerts)[-1] == f"code:flood {FLOOD - 1}"
