"""Numbers, ages and outside text as the screen shows them: plain functions, no colour, no Textual."""

from datetime import UTC, datetime, tzinfo
from decimal import Decimal

from engine import plain_text
from engine.units import NS_PER_SECOND

MINUS = "\u2212"
UP = "▲"
DOWN = "▼"
FLAT = "·"
MISSING = "–"

plain = plain_text.plain  # drawn and asked of models by one rule


def number(value: Decimal | None, decimals: int | None = None, *, signed: bool = False) -> str:
    """A number with thousands separators and a true minus; all its own decimals where `decimals` is None."""
    if value is None:
        return MISSING
    places = max(0, -int(value.as_tuple().exponent)) if decimals is None else decimals
    return _with_sign(f"{abs(value):,.{places}f}", negative=value < 0, signed=signed and value != 0)


def percent(value: float | None, decimals: int = 2, *, signed: bool = False) -> str:
    """A percentage with its sign: `+1.20%`."""
    if value is None:
        return MISSING
    digits = f"{abs(value):,.{decimals}f}"
    is_zero = not any(character in "123456789" for character in digits)
    return _with_sign(digits, negative=value < 0 and not is_zero, signed=signed and not is_zero) + "%"


def money(value: Decimal | None, decimals: int | None, currency: str = "", *, signed: bool = False) -> str:
    """Money with its currency, where one is given; all its own decimals where `decimals` is None."""
    return number(value, decimals, signed=signed) + (f" {plain(currency)}" if currency and value is not None else "")


def multiple(value: float | None) -> str:
    """A multiple of the initial risk: `+1.25R`."""
    return MISSING if value is None else percent(value, 2, signed=True).removesuffix("%") + "R"


def measure(value: float | None, unit: str, money_decimals: int) -> str:
    """A figure of a report in its unit: percent, money, count, seconds, ratio, or one that is written behind it."""
    match unit:
        case "percent":
            return percent(value)
        case "seconds":
            return duration(value)
        case "money" | "count":
            return plain_float(value, money_decimals if unit == "money" else 0)
        case _:
            return plain_float(value, 2) + ("" if value is None or unit == "ratio" else f" {unit}")


def plain_float(value: float | None, decimals: int, *, signed: bool = False) -> str:
    """A float as numbers are written here, a dash where there is none."""
    return percent(value, decimals, signed=signed).removesuffix("%")


def arrow(value: Decimal | float | None) -> str:
    """A direction that needs no colour."""
    if value is None or value == 0:
        return FLAT
    return UP if value > 0 else DOWN


def gain_tone(value: Decimal | float | None) -> str:
    """The tone of a result; none for nothing and for what is not known."""
    if not value:
        return ""
    return "gain" if value > 0 else "loss"


def age(seconds: float | None) -> str:
    """How old something is, in one unit: `<1s`, `12s`, `3m`, `2h`, `4d`; calm enough to be read while it changes."""
    if seconds is None:
        return "never"
    whole = int(max(0.0, seconds))
    if whole < 1:
        return "<1s"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if whole >= size:
            return f"{whole // size}{unit}"
    return f"{whole}s"


def countdown(seconds: float | None) -> str:
    """Time left, to the second: `0:42`, `12:05`, `3:02:10`."""
    if seconds is None:
        return MISSING
    whole = int(max(0.0, seconds))
    hours, rest = divmod(whole, 3_600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def duration(seconds: float | None) -> str:
    """A span in its two largest units: `45s`, `3m 20s`, `2h 05m`, `4d 03h`."""
    if seconds is None:
        return MISSING
    whole = int(max(0.0, seconds))
    for size, unit, below, below_unit in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // below:02}{below_unit}"
    return f"{whole}s"


def clock(at_ns: int, zone: tzinfo = UTC) -> str:
    """The time of day, `14:32:07`, in the zone of display."""
    return datetime.fromtimestamp(at_ns // NS_PER_SECOND, zone).strftime("%H:%M:%S")


def day_clock(at_ns: int, now_ns: int, zone: tzinfo = UTC) -> str:
    """The time of day of something of today, month and day with it where it was another day: `14:32:07`, `03-07 14:32`."""
    text = moment(at_ns, zone)
    return text[11:] if text[:10] == moment(now_ns, zone)[:10] else text[5:16]


def zone_name(at_ns: int, zone: tzinfo = UTC) -> str:
    """What the zone of display is called at that time: `UTC`, `EST`, `EDT`."""
    return datetime.fromtimestamp(at_ns // NS_PER_SECOND, zone).tzname() or ""


def moment(at_ns: int, zone: tzinfo = UTC) -> str:
    """Date and time in the zone of display."""
    return datetime.fromtimestamp(at_ns // NS_PER_SECOND, zone).strftime("%Y-%m-%d %H:%M:%S")


def texts_removed(at_ns: int) -> str:
    """What stands where the texts of a decision were removed for their age."""
    return (f"What was asked, said and shown was removed on {moment(at_ns)[:10]} for its age ([research] keep_days); "
            "a backup of before holds it.")


def plural(count: int, noun: str) -> str:
    """`1 position`, `2 positions`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _with_sign(digits: str, *, negative: bool, signed: bool) -> str:
    if negative and any(character in "123456789" for character in digits):
        return MINUS + digits
    return ("+" if signed else "") + digits
