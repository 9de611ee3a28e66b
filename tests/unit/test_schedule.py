"""When a job is due: hand-worked times in the zones of the exchanges, over both changes of the clocks, holidays and half days;
and what becomes of times that passed unattended."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from brokers.sessions import session_bounds
from engine.schedule import MOST_COUNTED, MOST_MADE_UP, NEVER_NS, JobState, Verdict, judge, next_due_ns, problem_of
from engine.schedule_words import Job, JobHours, JobKind, MissedRule
from engine.units import NS_PER_SECOND

NEW_YORK = "America/New_York"
HOUR_NS = 3_600 * NS_PER_SECOND


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_SECOND


def told(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns // NS_PER_SECOND, UTC):%Y-%m-%dT%H:%M}"


def job(at: str, hours: JobHours = JobHours.ALWAYS, **more: object) -> Job:
    return Job("j", JobKind.RISK_MONITOR, at, **{"hours": hours, **more})  # type: ignore[arg-type]


def times(one: Job, after: str, count: int) -> list[str]:
    found, at_ns = [], ns(after)
    for _ in range(count):
        at_ns = next_due_ns(one, at_ns, session_bounds)
        found.append(told(at_ns))
    return found


@pytest.mark.parametrize(("one", "after", "expected"), [
    # 09:45 in New York on trading days: over Thanksgiving, over both changes of the clocks
    (job("45 9 * * *", JobHours.TRADING_DAYS, zone=NEW_YORK, calendar="XNYS"), "2026-11-25T14:45",
     ["2026-11-27T14:45", "2026-11-30T14:45"]),
    (job("45 9 * * *", JobHours.TRADING_DAYS, zone=NEW_YORK, calendar="XNYS"), "2026-03-05T20:00",
     ["2026-03-06T14:45", "2026-03-09T13:45"]),
    (job("45 9 * * *", JobHours.TRADING_DAYS, zone=NEW_YORK, calendar="XNYS"), "2026-10-30T20:00",
     ["2026-11-02T14:45", "2026-11-03T14:45"]),
    # within the session only: the last one of a half day, then the first one of Monday
    (job("*/30 * * * *", JobHours.SESSION, calendar="XNYS"), "2026-11-27T17:00",
     ["2026-11-27T17:30", "2026-11-30T14:30", "2026-11-30T15:00"]),
    # outside of the session it waits for the open, and two that wait are one
    (job("0 20,22 * * *", JobHours.OPEN, calendar="XNYS"), "2026-11-27T15:00", ["2026-11-30T14:30", "2026-11-30T20:00"]),
    # beside the session, half days included
    (job("close-10m", calendar="XNYS"), "2026-11-25T20:50", ["2026-11-27T17:50", "2026-11-30T20:50"]),
    (job("close+15m", calendar="XNYS"), "2026-03-06T20:00", ["2026-03-06T21:15", "2026-03-09T20:15"]),
    (job("open+5m", calendar="XLON"), "2026-03-27T08:05", ["2026-03-30T07:05"]),
    (job("open-30m", calendar="XTKS"), "2026-01-04T23:00", ["2026-01-04T23:30", "2026-01-05T23:30"]),
    (job("open", calendar="XNYS"), "2026-11-27T14:29", ["2026-11-27T14:30", "2026-11-30T14:30"]),
    # a fixed time in spring's gap runs at its end, one in autumn's double hour runs once, intervals keep their length
    (job("30 2 * * *", zone=NEW_YORK), "2026-03-07T12:00", ["2026-03-08T07:00", "2026-03-09T06:30"]),
    (job("30 1 * * *", zone=NEW_YORK), "2026-10-31T12:00", ["2026-11-01T05:30", "2026-11-02T06:30"]),
    (job("*/30 * * * *", zone=NEW_YORK), "2026-11-01T05:00", ["2026-11-01T05:30", "2026-11-01T06:00", "2026-11-01T06:30"]),
    # the third Friday, when options expire
    (job("0 15 * * 5#3", zone=NEW_YORK), "2026-11-01T00:00", ["2026-11-20T20:00", "2026-12-18T20:00"]),
])
def test_times(one: Job, after: str, expected: list[str]) -> None:
    assert times(one, after, len(expected)) == expected


def test_a_time_in_the_double_hour_is_not_found_again_from_within_it() -> None:
    one = job("30 1 * * *", zone=NEW_YORK)
    for after in ("2026-11-01T05:30", "2026-11-01T05:45", "2026-11-01T06:15", "2026-11-01T06:45"):
        assert times(one, after, 1) == ["2026-11-02T06:30"], after


def test_a_time_that_never_comes_is_never() -> None:
    assert next_due_ns(job("*/5 * * * *", JobHours.SESSION, calendar="ODD"), ns("2026-01-01T00:00"),
                       lambda _, at_ns: session_bounds("24/7", at_ns)._replace(open_ns=NEVER_NS, close_ns=NEVER_NS)) == NEVER_NS


@pytest.mark.parametrize(("one", "word"), [
    (job("61 * * * *"), "bad minute"), (job("* * *"), "wrong number of fields"), (job("0 0 30 2 *"), "day-of-month"),
    (job("noon"), "five fields"), (job("close-10m"), "calendar"), (job("open+5m", calendar="XNYS"), ""),
    (job("@daily"), "five fields"),
])
def test_a_wrong_time_is_told_in_one_line(one: Job, word: str) -> None:
    problem = problem_of(one)
    assert word in problem and bool(word) == bool(problem) and "\n" not in problem


# ---- times that passed unattended ------------------------------------------------------------------------------------------


def verdict(missed: MissedRule, now: str, *, due: str = "2026-06-10T00:00", up_since: str = "2026-06-10T00:00",
            at: str = "0 * * * *", **more: Any) -> Verdict | None:
    hours = {key: more.pop(key) for key in ("hours", "calendar") if key in more}
    known = JobState(job(at, missed=missed, **hours), ns(due), **more)
    return judge(known, ns(now), ns(up_since), session_bounds)


@pytest.mark.parametrize("missed", MissedRule)
def test_what_is_on_time_runs_whatever_the_rule(missed: MissedRule) -> None:
    assert verdict(missed, "2026-06-09T23:59") is None
    assert verdict(missed, "2026-06-10T00:01") == (ns("2026-06-10T00:00"), 0, ns("2026-06-10T01:00"))


def test_a_rule_for_what_was_missed() -> None:
    late = "2026-06-10T05:30"
    assert verdict(MissedRule.SKIP, late) == (0, 6, ns("2026-06-10T06:00"))
    assert verdict(MissedRule.ONCE, late) == (ns("2026-06-10T05:00"), 5, ns("2026-06-10T06:00"))
    assert verdict(MissedRule.ALL, late, up_since=late) == (ns("2026-06-10T00:00"), 0, ns("2026-06-10T01:00"))


def test_after_a_sleep_or_a_step_of_the_clock_nothing_is_made_up_for_more_than_once() -> None:
    assert verdict(MissedRule.ALL, "2026-06-10T05:30", up_since="2026-06-09T00:00") == (
        ns("2026-06-10T05:00"), 5, ns("2026-06-10T06:00"))


def test_what_was_missed_and_what_is_on_time_are_told_apart() -> None:
    assert verdict(MissedRule.SKIP, "2026-06-10T05:01") == (ns("2026-06-10T05:00"), 5, ns("2026-06-10T06:00"))


def test_a_year_of_every_minute_is_judged_without_walking_it() -> None:
    found = verdict(MissedRule.ONCE, "2027-06-10T00:00", at="* * * * *")
    assert found is not None
    assert found.due_ns == ns("2027-06-10T00:00") and found.next_due_ns == ns("2027-06-10T00:01")
    assert found.missed >= MOST_COUNTED
    made_up = verdict(MissedRule.ALL, "2027-06-10T00:00", at="* * * * *", up_since="2027-06-10T00:00")
    assert made_up is not None
    assert ns("2027-06-10T00:00") - made_up.due_ns == (MOST_MADE_UP - 1) * 60 * NS_PER_SECOND


def test_a_pause_and_a_run_under_way_are_waited_for() -> None:
    assert verdict(MissedRule.ONCE, "2026-06-10T00:00", paused=True) is None
    assert verdict(MissedRule.ONCE, "2026-06-10T00:00", run_id="r") is None


@pytest.mark.parametrize("hours", [JobHours.SESSION, JobHours.OPEN])
def test_what_belongs_into_a_session_is_not_made_up_for_at_night(hours: JobHours) -> None:
    more: dict[str, Any] = {"hours": hours, "calendar": "XNYS", "due": "2026-11-27T17:00", "at": "*/30 * * * *"}
    assert verdict(MissedRule.ONCE, "2026-11-28T10:00", **more) is None
    at_open = verdict(MissedRule.ONCE, "2026-11-30T14:30", **more)
    assert at_open is not None
    assert at_open.due_ns == ns("2026-11-30T14:30") and at_open.next_due_ns == ns("2026-11-30T15:00")


def test_a_verdict_never_repeats_a_time() -> None:
    known = JobState(job("*/15 * * * *", missed=MissedRule.ALL), ns("2026-06-10T00:00"))
    seen: list[int] = []
    now_ns = ns("2026-06-10T03:07")
    while (found := judge(known, now_ns, now_ns, session_bounds)) is not None:
        seen.append(found.due_ns)
        known = msgspec.structs.replace(known, next_due_ns=found.next_due_ns)
    assert len(seen) == len(set(seen)) == 13 and known.next_due_ns == ns("2026-06-10T03:15")
