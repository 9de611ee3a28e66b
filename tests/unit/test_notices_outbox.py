"""What is told to whom and when: routing, repetitions, quiet hours, escalation, the bounded queue, retries."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from brokers.notifiers.outbox import TRIES, Delivery, Earlier, Moment, Outbox, Terms, words_of
from brokers.notifiers.routes import Route, minute_of
from engine.effects import Notify
from engine.service import AlertLevel, AlertView
from engine.units import NS_PER_SECOND

INFO, WARN, ERROR, CRIT = AlertLevel.INFO, AlertLevel.WARN, AlertLevel.ERROR, AlertLevel.CRIT
NOON_NS = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()) * NS_PER_SECOND


def at(seconds: float, at_ns: int = NOON_NS) -> Moment:
    return Moment(seconds, at_ns + int(seconds * NS_PER_SECOND))


def notice(level: AlertLevel = ERROR, alert_id: str = "feed:market data", portfolio: str = "", text: str = "no prices",
           at_ns: int = NOON_NS) -> Notify:
    return Notify(level, alert_id, text, alert_id, portfolio, at_ns)


def all_due(outbox: Outbox, now: Moment) -> list[tuple[str, str]]:
    """Route and alert of everything that can be told now, as told."""
    found: list[tuple[str, str]] = []
    for route in outbox.routes:
        while (delivery := outbox.take(route, now)) is not None:
            outbox.settle(delivery, "", now)
            found.append((route, delivery.notice.alert_id))
    return found


def view(notice: Notify, *, acknowledged: bool, at_ns: int = NOON_NS) -> AlertView:
    return AlertView(notice.alert_id, at_ns, notice.level, "code", "subject", notice.text, acknowledged, 1)


def test_a_route_is_told_of_its_levels_its_portfolios_and_of_decisions() -> None:
    outbox = Outbox([Route("phone", ERROR), Route("mail", WARN, ("main",), decisions=False), Route("all", INFO)], Terms())
    for one in (notice(INFO, "a"), notice(WARN, "b", "main"), notice(ERROR, "c", "other"), notice(ERROR, "d"),
                notice(INFO, "pending:7", "main")):
        outbox.put(one, at(0))
    assert all_due(outbox, at(0)) == [
        ("phone", "c"), ("phone", "d"), ("phone", "pending:7"), ("mail", "d"), ("mail", "b"),
        ("all", "c"), ("all", "d"), ("all", "b"), ("all", "a"), ("all", "pending:7")]


def test_the_same_alert_is_told_once_within_the_time_and_then_how_often_it_was_not() -> None:
    outbox = Outbox([Route("phone")], Terms(repeat_seconds=600))
    assert [outbox.put(notice(text=f"try {count}"), at(count)) for count in range(4)] == [True, False, False, False]
    assert len(all_due(outbox, at(4))) == 1
    assert outbox.counts.withheld == 3
    assert outbox.put(notice(), at(601))
    delivery = outbox.take("phone", at(601))
    assert delivery is not None and "3 more of these were not told" in words_of(delivery, "PAPER", NOON_NS)[1]


def test_what_became_more_important_or_critical_in_other_words_is_no_repetition() -> None:
    outbox = Outbox([Route("phone", WARN)], Terms())
    assert outbox.put(notice(WARN), at(0))
    assert outbox.put(notice(CRIT, text="one"), at(1))
    assert not outbox.put(notice(CRIT, text="one"), at(2))
    assert outbox.put(notice(CRIT, text="two"), at(3))
    assert not outbox.put(notice(ERROR, text="three"), at(4))


@pytest.mark.parametrize(("hour", "minute", "quiet"), [(21, 59, False), (22, 0, True), (6, 59, True), (7, 0, False)])
@pytest.mark.parametrize("day", [datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)])
def test_quiet_hours_pass_midnight_and_follow_the_zones_clock(day: datetime, hour: int, minute: int, quiet: bool) -> None:
    route = Route("phone", quiet_from=minute_of("22:00"), quiet_until=minute_of("07:00"), zone="Europe/Berlin")
    local = day.replace(tzinfo=ZoneInfo("Europe/Berlin"), hour=hour, minute=minute)
    assert route.is_quiet(int(local.timestamp()) * NS_PER_SECOND) is quiet


def test_in_quiet_hours_only_critical_notices_pass_and_the_others_wait_for_their_end() -> None:
    outbox = Outbox([Route("phone", quiet_from=minute_of("11:00"), quiet_until=minute_of("13:00"))], Terms())
    outbox.put(notice(ERROR, "a"), at(0))
    outbox.put(notice(CRIT, "b"), at(0))
    assert all_due(outbox, at(0)) == [("phone", "b")]
    assert all_due(outbox, at(3_599)) == []
    assert ("phone", "a") in all_due(outbox, at(3_600))


def test_a_critical_notice_is_repeated_more_slowly_and_further_until_acknowledged() -> None:
    outbox = Outbox([Route("phone"), Route("partner", step=1), Route("desk", step=2)],
                    Terms(acknowledge_seconds=100, longest_repeat_seconds=250))
    crit = notice(CRIT)
    outbox.put(crit, at(0))
    told: list[tuple[int, list[str]]] = []
    for second in range(1_200):
        outbox.see([view(crit, acknowledged=False)])
        outbox.escalate(at(second))
        routes = [route for route, _ in all_due(outbox, at(second))]
        if routes:
            told.append((second, routes))
    everyone = ["phone", "partner", "desk"]
    assert told == [(0, ["phone"]), (100, ["phone", "partner"]), (300, everyone), (550, everyone), (800, everyone),
                    (1_050, everyone)]
    outbox.see([view(crit, acknowledged=True)])
    outbox.escalate(at(9_999))
    assert all_due(outbox, at(9_999)) == [] and outbox.unacknowledged == 0
    assert outbox.put(crit, at(10_000)), "raised anew after its acknowledgement it is told at once"


def test_an_acknowledgement_of_an_earlier_alert_does_not_count() -> None:
    outbox = Outbox([Route("phone")], Terms())
    outbox.put(notice(CRIT, at_ns=NOON_NS + 5), at(0))
    outbox.see([view(notice(CRIT), acknowledged=True, at_ns=NOON_NS)])
    assert outbox.unacknowledged == 1
    outbox.see([view(notice(CRIT), acknowledged=True, at_ns=NOON_NS + 5)])
    assert outbox.unacknowledged == 0 and len(outbox) == 0


def test_an_alert_that_the_engine_no_longer_shows_is_asked_for_no_more() -> None:
    outbox = Outbox([Route("phone")], Terms())
    crit = notice(CRIT)
    outbox.put(crit, at(0))
    outbox.see([])
    assert outbox.unacknowledged == 1, "the picture may be older than the notice"
    outbox.see([view(crit, acknowledged=False)])
    outbox.see([])
    assert outbox.unacknowledged == 0


def test_where_only_later_steps_want_a_critical_notice_the_first_of_them_is_told_at_once() -> None:
    outbox = Outbox([Route("phone", portfolios=("main",)), Route("partner", step=1), Route("desk", step=2)], Terms())
    outbox.put(notice(CRIT, portfolio="other"), at(0))
    assert all_due(outbox, at(0)) == [("partner", "feed:market data")]


def test_a_full_queue_drops_the_oldest_of_the_least_important_and_says_so() -> None:
    outbox = Outbox([Route("phone", INFO)], Terms(queue_length=3))
    for level, name in ((WARN, "w1"), (ERROR, "e1"), (WARN, "w2"), (CRIT, "c1"), (ERROR, "e2"), (INFO, "i1")):
        outbox.put(notice(level, name), at(0))
    assert outbox.counts.dropped == 3 and len(outbox) == 3
    first = outbox.take("phone", at(0))
    assert first is not None and first.notice.alert_id == "c1"
    assert "3 less important notices were dropped" in words_of(first, "PAPER", NOON_NS)[1]
    assert [name for _, name in all_due(outbox, at(0))] == ["e1", "e2"]


def tries_of(outbox: Outbox, seconds: range) -> list[int]:
    """When a route that always fails is tried."""
    tried: list[int] = []
    for second in seconds:
        delivery = outbox.take("phone", at(second))
        if delivery is not None:
            tried.append(second)
            outbox.settle(delivery, "the service answered 500", at(second))
    return tried


def test_what_failed_is_tried_again_ever_more_slowly_and_given_up_after_half_a_day() -> None:
    """A line that is down for hours is when an alert is wanted most: it also told of the venue that was out of reach."""
    outbox = Outbox([Route("phone")], Terms())
    outbox.put(notice(), at(0))
    tried = tries_of(outbox, range(60_000))
    assert tried[:9] == [0, 5, 15, 35, 75, 155, 315, 635, 1235] and 40_000 < tried[-1] < 46_000
    assert (outbox.counts.failed, outbox.counts.given_up, len(outbox)) == (TRIES, 1, 0)


def test_a_route_that_takes_nothing_shows_within_minutes() -> None:
    outbox = Outbox([Route("phone")], Terms())
    outbox.put(notice(), at(0))
    tries_of(outbox, range(60))
    assert outbox.in_vain == 0
    tries_of(outbox, range(60, 200))
    assert outbox.in_vain == 1
    assert all_due(outbox, at(400)) and outbox.in_vain == 0


def test_once_a_route_works_again_all_that_waited_for_it_is_told() -> None:
    outbox = Outbox([Route("phone")], Terms())
    outbox.put(notice(alert_id="first"), at(0))
    tries_of(outbox, range(2_000))
    outbox.put(notice(alert_id="second"), at(2_000))
    assert all_due(outbox, at(2_000)) == [("phone", "second"), ("phone", "first")]


def test_what_waits_for_a_dead_route_takes_no_room_of_another() -> None:
    outbox = Outbox([Route("phone"), Route("mail", INFO)], Terms(queue_length=3))
    for count in range(5):
        outbox.put(notice(alert_id=f"e{count}"), at(0))
        for route, failure in (("phone", "the service cannot be reached"), ("mail", "")):
            while (delivery := outbox.take(route, at(0))) is not None:
                outbox.settle(delivery, failure, at(0))
    outbox.put(notice(INFO, "i"), at(1))
    assert all_due(outbox, at(1)) == [("mail", "i")] and outbox.counts.told == 6


def test_what_was_acknowledged_while_it_was_being_sent_is_not_tried_again() -> None:
    outbox = Outbox([Route("phone")], Terms())
    crit = notice(CRIT)
    outbox.put(crit, at(0))
    delivery = outbox.take("phone", at(0))
    assert delivery is not None
    outbox.see([view(crit, acknowledged=True)])
    outbox.settle(delivery, "the service cannot be reached", at(4))
    assert len(outbox) == 0


def test_what_is_told_late_says_from_when_it_is() -> None:
    outbox = Outbox([Route("phone")], Terms())
    outbox.put(notice(), at(0))
    delivery = outbox.take("phone", at(0))
    assert delivery is not None
    assert words_of(delivery, "PAPER", at(60).at_ns)[1] == "no prices"
    assert words_of(delivery, "PAPER", at(7 * 3_600).at_ns)[1] == "no prices · raised 2026-11-20 12:00 UTC"


def test_a_critical_alert_that_says_something_else_each_second_is_told_ever_more_seldom_and_escalated_as_ever() -> None:
    """Such as a disk at its brink, or an exit whose attempts are counted."""
    outbox = Outbox([Route("phone"), Route("partner", step=1)], Terms(acknowledge_seconds=300))
    told: list[tuple[int, str, str]] = []
    for second in range(400):
        outbox.put(notice(CRIT, text=f"attempt {second}"), at(second))
        outbox.escalate(at(second))
        for route in outbox.routes:
            while (delivery := outbox.take(route, at(second))) is not None:
                outbox.settle(delivery, "", at(second))
                told.append((second, route, delivery.notice.text))
    phone = [second for second, route, _ in told if route == "phone"]
    assert phone[:8] == [0, 5, 15, 35, 75, 135, 195, 255] and len(phone) <= 12
    assert [second for second, route, _ in told if route == "partner"] == [300]
    assert ("attempt 5" in told[1][2]) and "attempt 15" in told[2][2], "the newest words are told"


def test_a_route_that_is_dead_keeps_only_the_newest_words_of_an_alert() -> None:
    outbox = Outbox([Route("phone")], Terms(repeat_seconds=0))
    for second in range(10):
        outbox.put(notice(text=f"attempt {second}"), at(second))
        delivery = outbox.take("phone", at(second))
        if delivery is not None:
            outbox.settle(delivery, "the service cannot be reached", at(second))
    assert len(outbox) == 1
    last = outbox.take("phone", at(100))
    assert last is not None and last.notice.text == "attempt 9"


# ---- what an earlier run told --------------------------------------------------------------------------------------------------


def test_a_restart_does_not_tell_again_what_was_told_a_moment_ago_but_goes_on_asking() -> None:
    """An engine that its service manager starts anew every ten seconds would tell of everything each time."""
    crit = notice(CRIT)
    outbox = Outbox([Route("phone"), Route("mail"), Route("partner", step=1)], Terms())
    outbox.recall([Earlier(crit.alert_id, CRIT, crit.at_ns, 200.0, ("phone",))], at(0))
    outbox.put(crit, at(1))
    assert all_due(outbox, at(1)) == [("mail", crit.alert_id)], "that route was not told"
    assert outbox.unacknowledged == 1
    outbox.escalate(at(99))
    assert all_due(outbox, at(99)) == []
    outbox.escalate(at(101))
    assert all_due(outbox, at(101)) == [("phone", crit.alert_id), ("mail", crit.alert_id), ("partner", crit.alert_id)]


def test_what_was_raised_anew_or_told_long_ago_is_told_at_a_restart() -> None:
    crit, other = notice(CRIT), notice(CRIT, "other")
    outbox = Outbox([Route("phone")], Terms(repeat_seconds=600))
    outbox.recall([Earlier(crit.alert_id, CRIT, crit.at_ns - 1, 5.0, ("phone",)),
                   Earlier(other.alert_id, CRIT, other.at_ns, 601.0, ("phone",))], at(0))
    outbox.put(crit, at(1))
    outbox.put(other, at(1))
    assert all_due(outbox, at(1)) == [("phone", crit.alert_id), ("phone", "other")]


def test_a_lesser_alert_is_not_repeated_over_a_restart() -> None:
    outbox = Outbox([Route("phone")], Terms(repeat_seconds=600))
    outbox.recall([Earlier("feed:market data", ERROR, NOON_NS - 1, 5.0, ("phone",))], at(0))
    assert not outbox.put(notice(), at(1)) and outbox.put(notice(), at(600))


def test_words_from_outside_stay_one_plain_line() -> None:
    delivery = Delivery(1, "phone", Notify(CRIT, "unprotected BTC\n/USD", "bare\x1b[31m \u202e", "x", "main"), 0.0)
    assert words_of(delivery, "LIVE", NOON_NS) == ("LIVE CRIT [main] unprotected BTC /USD", "bare [31m  ")
