"""What a person types, as values: quantities, prices, shares of equity, trailing distances, durations."""

import re
from decimal import Decimal, InvalidOperation

from engine.errors import UsageError
from engine.inputs import EdgeSpec, TrailSpec

_DURATION = re.compile(r"(?:(\d{1,12})d)?(?:(\d{1,12})h)?(?:(\d{1,12})m)?(?:(\d{1,12})s)?")
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:[,_]\d{3})+(?:\.\d*)?")  # no group is a zero alone: 0,500 is half of one, not 500
_SECONDS = (86_400, 3_600, 60, 1)
MOST_DIGITS = 18  # before and behind the point; arithmetic on more ends in an overflow, not in a price


def ungrouped(text: str, option: str) -> str:
    """A number without the commas that group its thousands; raises `UsageError` for any other comma, which may stand for a
    decimal point: 0,5 is not 5, and 0,500 is not 500."""
    text = text.strip()
    if ("," in text or "_" in text) and not _GROUPED.fullmatch(text):
        raise UsageError(f"{option} {text}: write a decimal point, as in 0.5, and commas between thousands only")
    return text.replace(",", "").replace("_", "")


def positive(text: str, option: str) -> Decimal:
    """A number above zero; raises `UsageError` naming the option."""
    try:
        value = Decimal(ungrouped(text, option))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value <= 0:
        raise UsageError(f"{option} {text}: must be a number above zero")
    return sane(value, option)


def sane(value: Decimal, option: str) -> Decimal:
    """The number itself; raises `UsageError` for one so large or small that nothing could be reckoned with it."""
    if abs(value.adjusted()) > MOST_DIGITS:
        raise UsageError(f"{option} {value:.3g}: is not a number that could be meant")
    return value


def maybe_positive(text: str | None, option: str) -> Decimal | None:
    """As `positive`, None where nothing was given."""
    return None if text is None else positive(text, option)


def percent_of(text: str, option: str) -> Decimal:
    """A percentage, `1%`, `1` or `100bp`; raises `UsageError` where it is not between 0 and 100."""
    lowered = text.lower().strip()
    unit = next((unit for unit in ("bps", "bp", "%") if lowered.endswith(unit)), "")
    value = positive(lowered.removesuffix(unit).strip(), option) / (100 if unit.startswith("bp") else 1)
    if value > 100:
        raise UsageError(f"{option} {text}: must be at most 100%")
    return value


def trail_of(text: str) -> TrailSpec:
    """A trailing distance: `2%` of the price, `50` in price, `1.5atr` in average true ranges; raises `UsageError`."""
    lowered = text.lower().strip()
    if lowered.endswith("%"):
        return TrailSpec(percent=percent_of(lowered, "--trail"))
    if lowered.endswith("atr"):
        return TrailSpec(atr=positive(lowered.removesuffix("atr").strip(), "--trail"))
    return TrailSpec(price=positive(lowered, "--trail"))


def edge_of(text: str, option: str = "--edge") -> EdgeSpec:
    """An edge, `0.55,1.5,80`: the share of round trips won, mean win over mean loss, how many; raises `UsageError`."""
    parts = text.replace(",", " ").split()
    if len(parts) != 3 or not re.fullmatch(r"[0-9]{1,9}", parts[2]):
        raise UsageError(f"{option} {text}: must be a win rate, a payoff and a count, such as 0.55,1.5,80")
    win_rate = positive(parts[0], option)
    if win_rate >= 1:
        raise UsageError(f"{option} {text}: a win rate lies between 0 and 1")
    return EdgeSpec(win_rate, positive(parts[1], option), int(parts[2]))


def seconds_of(text: str, option: str) -> int:
    """A span such as `90s`, `45m`, `2h`, `1h30m`, `3d`, in seconds. A number without a unit is none: who writes `30` may mean
    minutes, and a position would be left after as many seconds. Raises `UsageError`."""
    lowered = text.lower().replace(" ", "")
    match = _DURATION.fullmatch(lowered)
    parts = match.groups() if match and lowered else ()
    total = sum(int(part) * size for part, size in zip(parts, _SECONDS, strict=False) if part)
    if total <= 0:
        raise UsageError(f"{option} {text}: must be a span such as 90s, 45m, 2h, 1h30m or 3d")
    return total
