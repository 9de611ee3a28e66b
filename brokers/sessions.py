"""When a market is open: "24/7", or the trading days of a stock exchange, holidays, half days and daylight saving included."""

from datetime import UTC, date, datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo

from brokers.calendars import library
from engine.instruments import ALWAYS_OPEN
from engine.trading_hours import NS_PER_DAY as NS_PER_DAY  # noqa: PLC0414 - offered beside the sessions it measures
from engine.trading_hours import SessionBounds, day_of_utc
from engine.units import NS_PER_SECOND, Nanoseconds

SAME_HOURS = {"XNAS": "XNYS"}  # two names of one calendar
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


def known_session(session: str) -> bool:
    """Whether the hours of `session` are known here."""
    exchange = SAME_HOURS.get(session, session)
    return session == ALWAYS_OPEN or exchange in library.TABLED or library.is_known(exchange)


def session_bounds(session: str, at_ns: Nanoseconds) -> SessionBounds:
    """The session that holds `at_ns`, or else the next one; a market that never closes counts days of UTC."""
    if session == ALWAYS_OPEN:
        return day_of_utc(at_ns)
    day = at_ns // NS_PER_DAY - 1
    while True:
        bounds = bounds_of_day(session, day)
        if bounds is not None and at_ns < bounds.close_ns:
            return bounds
        day += 1


def is_open(session: str, at_ns: Nanoseconds) -> bool:
    """Whether the market trades at `at_ns`."""
    return session == ALWAYS_OPEN or session_bounds(session, at_ns).open_ns <= at_ns


@lru_cache(maxsize=8192)
def bounds_of_day(session: str, day: int) -> SessionBounds | None:
    """The session on the local calendar day `day` (days since 1970-01-01), or None where there is none."""
    exchange, local = SAME_HOURS.get(session, session), date.fromordinal(EPOCH_ORDINAL + day)
    table = library.table_of(exchange)
    if table is None or not table.first <= local <= table.last:
        return library.sessions_of_year(exchange, local.year).get(local)
    own = table.hours.get(local)
    if own is None and (local.weekday() >= 5 or local in _closed_days(exchange)):
        return None
    opens, closes = own or (table.opens, table.closes)
    return _between(local, opens, closes, table.zone)


def regular_hours(session: str, day: date) -> SessionBounds:
    """The usual hours on a day that is known to have been a session, whatever the calendar here says of it."""
    table = library.table_of(SAME_HOURS.get(session, session))
    assert table is not None, "only exchanges with a table have usual hours"
    return _between(day, table.opens, table.closes, table.zone)


@lru_cache(maxsize=16)
def _closed_days(exchange: str) -> frozenset[date]:
    table = library.table_of(exchange)
    return frozenset(table.closed if table is not None else ())


def _between(day: date, opens: time, closes: time, zone_name: str) -> SessionBounds:
    zone = ZoneInfo(zone_name)
    return SessionBounds(_instant_ns(day, opens, zone), _instant_ns(day, closes, zone))


def _instant_ns(day: date, at: time, zone: ZoneInfo) -> Nanoseconds:
    return int(datetime.combine(day, at, zone).astimezone(UTC).timestamp()) * NS_PER_SECOND
