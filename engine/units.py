"""Integer units and the only rounding functions.

Prices are integer ticks, quantities integer lots, money integer minor units (cents, satoshi) inside the engine;
`Decimal` at the edges. A name carries its unit last: `stop_ticks`, `order_lots`, `cash_minor`, `at_ns`.
Rounding is always away from risk: what we pay is rounded up, what we receive is rounded down, a long's stop up.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

type Ticks = int
type Lots = int
type Minor = int
type Nanoseconds = int

NS_PER_SECOND = 1_000_000_000
MAX_PRODUCT = 1 << 62


def steps_exact(value: Decimal, step: Decimal) -> int | None:
    """`value` counted in `step`, or None where it is not a whole number of steps."""
    count = value / step
    whole = count.to_integral_value(ROUND_HALF_EVEN)
    return int(whole) if whole * step == value else None


def steps_down(value: Decimal, step: Decimal) -> int:
    """The largest whole number of steps not above `value`."""
    return int((value / step).to_integral_value(ROUND_FLOOR))


def steps_up(value: Decimal, step: Decimal) -> int:
    """The smallest whole number of steps not below `value`."""
    return int((value / step).to_integral_value(ROUND_CEILING))


def steps_nearest(value: Decimal, step: Decimal) -> int:
    """The nearest whole number of steps, halves to even; for data that comes from outside, never for our own levels."""
    return int((value / step).to_integral_value(ROUND_HALF_EVEN))


def div_up(numerator: int, denominator: int) -> int:
    """Integer division rounded toward plus infinity; `denominator` > 0."""
    return -(-numerator // denominator)


def stop_steps(value: Decimal, step: Decimal, position_side: int) -> int:
    """A protective stop in ticks, away from risk: a long's stop rounds up, a short's down (`position_side` +1 or -1)."""
    return steps_up(value, step) if position_side > 0 else steps_down(value, step)


def target_steps(value: Decimal, step: Decimal, position_side: int) -> int:
    """A profit target in ticks, toward the entry: a long's rounds down, a short's up."""
    return steps_down(value, step) if position_side > 0 else steps_up(value, step)


def seconds_to_ns(seconds: float | Decimal) -> Nanoseconds:
    """Seconds as whole nanoseconds."""
    return int(Decimal(str(seconds)) * NS_PER_SECOND)
