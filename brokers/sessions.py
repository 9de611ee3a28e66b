"""When a market is open: "24/7", or a stock exchange's weekday session in its own zone, daylight saving included."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from engine.units import NS_PER_SECOND, Nanoseconds

ALWAYS = "24/7"
NS_PER_DAY = 86_400 * NS_PER_SECOND
FAR_FUTURE_NS = 1 << 62


class SessionHours(NamedTuple):
    """The daily hours of an exchange, Monday to Friday, in its own zone."""

    zone: str
    opens: time
    closes: time


class SessionBounds(NamedTuple):
    """One session as `[open_ns, close_ns)`."""

    open_ns: Nanoseconds
    close_ns: Nanoseconds


EXCHANGES = {
    "XNYS": SessionHours("America/New_York", time(9, 30), time(16, 0)),
    "XNAS": SessionHours("America/New_York", time(9, 30), time(16, 0)),
}


def known_session(session: str) -> bool:
    """Whether the hours of `session` are known here."""
    return session == ALWAYS or session in EXCHANGES


def session_bounds(session: str, at_ns: Nanoseconds) -> SessionBounds:
    """The session that holds `at_ns`, or else the next one; a market that never closes counts days of UTC."""
    if session == ALWAYS:
        start_ns = at_ns // NS_PER_DAY * NS_PER_DAY
        return SessionBounds(start_ns, start_ns + NS_PER_DAY)
    day = at_ns // NS_PER_DAY - 1
    while True:
        bounds = bounds_of_day(session, day)
        if bounds is not None and at_ns < bounds.close_ns:
            return bounds
        day += 1


def is_open(session: str, at_ns: Nanoseconds) -> bool:
    """Whether the market trades at `at_ns`."""
    return session == ALWAYS or session_bounds(session, at_ns).open_ns <= at_ns


@lru_cache(maxsize=8192)
def bounds_of_day(session: str, day: int) -> SessionBounds | None:
    """The session on the local calendar day `day` (days since 1970-01-01), or None where there is none."""
    hours = EXCHANGES[session]
    local = date(1970, 1, 1) + timedelta(days=day)
    if local.weekday() >= 5 or _is_us_holiday(local):
        return None
    zone = ZoneInfo(hours.zone)
    closes = time(13, 0) if _is_us_half_day(local) else hours.closes
    return SessionBounds(_instant_ns(local, hours.opens, zone), _instant_ns(local, closes, zone))


def regular_hours(session: str, day: date) -> SessionBounds:
    """The usual hours on a day that is known to have been a session, whatever the calendar here says of it."""
    hours = EXCHANGES[session]
    zone = ZoneInfo(hours.zone)
    return SessionBounds(_instant_ns(day, hours.opens, zone), _instant_ns(day, hours.closes, zone))


def _instant_ns(day: date, at: time, zone: ZoneInfo) -> Nanoseconds:
    return int(datetime.combine(day, at, zone).astimezone(UTC).timestamp()) * NS_PER_SECOND


def _is_us_holiday(day: date) -> bool:
    """The ten regular full closings of New York; days of mourning and storms are not foreseen."""
    year = day.year
    if day == _easter(year) - timedelta(days=2):
        return True
    if day in (_nth_weekday(year, 1, 0, 3), _nth_weekday(year, 2, 0, 3), _last_monday_of_may(year),
               _nth_weekday(year, 9, 0, 1), _nth_weekday(year, 11, 3, 4)):
        return True
    fixed = [date(year, 7, 4), date(year, 12, 25)]
    if year >= 2022:
        fixed.append(date(year, 6, 19))
    new_year = date(year, 1, 1)  # on a Saturday it is not moved to the Friday, which belongs to the year before
    if day == (new_year + timedelta(days=1) if new_year.weekday() == 6 else new_year):
        return True
    return any(day == _observed(holiday) for holiday in fixed)


def _is_us_half_day(day: date) -> bool:
    """Early closings at 13:00: the day after Thanksgiving, Christmas Eve and 3 July where they are trading days."""
    if day == _nth_weekday(day.year, 11, 3, 4) + timedelta(days=1):
        return True
    return (day.month, day.day) in ((12, 24), (7, 3))


def _observed(holiday: date) -> date:
    if holiday.weekday() == 5:
        return holiday - timedelta(days=1)
    return holiday + timedelta(days=1) if holiday.weekday() == 6 else holiday


def _nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def _last_monday_of_may(year: int) -> date:
    last = date(year, 5, 31)
    return last - timedelta(days=last.weekday())


def _easter(year: int) -> date:
    """Easter Sunday by the anonymous Gregorian computus."""
    golden, century = year % 19, year // 100
    leap = (8 * century + 13) // 25
    epact = (19 * golden + century - century // 4 - leap + 15) % 30
    epact -= (epact // 28) * (1 - (29 // (epact + 1)) * ((21 - golden) // 11))
    weekday = (year + year // 4 + epact + 2 - century + century // 4) % 7
    offset = epact - weekday
    month = 3 + (offset + 40) // 44
    return date(year, month, offset + 28 - 31 * (month // 4))
