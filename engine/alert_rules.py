"""What an alert rule is: a tree of conditions, what to do when it comes true, and what is journaled of its watch.

A rule is data; `engine.alert_language` reads and writes it as text, `engine.alerts` holds it against state and market.
"""

from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

import msgspec

from engine.orders import Side
from engine.units import NS_PER_SECOND, Nanoseconds

MOST_TERMS = 24
MOST_DEPTH = 8
MOST_ACTIONS = 8
MOST_RULES = 5_000
MOST_BARS = 200
LONGEST_SECONDS = 10 * 366 * 86_400
LARGEST_LEVEL = Decimal(10) ** 12
PLACES = 12


class Measure(StrEnum):
    """What a condition looks at."""

    PRICE = "price"
    SPREAD = "spread"
    MOVE = "move"
    VOLUME = "volume"
    ATR = "atr"
    RSI = "rsi"
    QUOTE_AGE = "quote age"
    PNL = "pnl"
    AGE = "age"
    HEAT = "heat"
    DRAWDOWN = "drawdown"
    DAY_PNL = "day pnl"
    CONNECTION = "connection"
    CALIBRATION_SKILL = "calibration skill"
    CALIBRATION_BRIER = "calibration brier"
    CALIBRATION_N = "calibration n"


class Comparison(StrEnum):
    ABOVE = ">"
    AT_LEAST = ">="
    BELOW = "<"
    AT_MOST = "<="
    CROSSES_ABOVE = "crosses above"
    CROSSES_BELOW = "crosses below"
    IS = "is"


class Unit(StrEnum):
    """What a level is counted in; NUMBER is a price, a quantity or money, EMA the number of bars of a mean."""

    NUMBER = ""
    PERCENT = "%"
    BPS = "bps"
    R = "R"
    SECONDS = "s"
    EMA = "ema"
    WORD = "word"


class AlertScope(StrEnum):
    INSTRUMENT = "instrument"
    POSITION = "position"
    PORTFOLIO = "portfolio"
    ACCOUNT = "account"


CROSSINGS = frozenset({Comparison.CROSSES_ABOVE, Comparison.CROSSES_BELOW})
LEVELS = frozenset({Comparison.ABOVE, Comparison.AT_LEAST, Comparison.BELOW, Comparison.AT_MOST})
CONNECTION_WORDS = ("down", "reconciling", "live")


class Shape(NamedTuple):
    """How a measure may be asked about: its scope, its units, and which parts it takes."""

    scope: AlertScope
    units: tuple[Unit, ...]
    over: bool = False
    bars: bool = False
    negative: bool = False
    comparisons: frozenset[Comparison] = LEVELS


SHAPES: dict[Measure, Shape] = {
    Measure.PRICE: Shape(AlertScope.INSTRUMENT, (Unit.NUMBER, Unit.EMA), comparisons=LEVELS | CROSSINGS),
    Measure.SPREAD: Shape(AlertScope.INSTRUMENT, (Unit.BPS,)),
    Measure.MOVE: Shape(AlertScope.INSTRUMENT, (Unit.PERCENT,), over=True, negative=True),
    Measure.VOLUME: Shape(AlertScope.INSTRUMENT, (Unit.NUMBER,), over=True),
    Measure.ATR: Shape(AlertScope.INSTRUMENT, (Unit.NUMBER, Unit.PERCENT), bars=True),
    Measure.RSI: Shape(AlertScope.INSTRUMENT, (Unit.NUMBER,), bars=True),
    Measure.QUOTE_AGE: Shape(AlertScope.INSTRUMENT, (Unit.SECONDS,)),
    Measure.PNL: Shape(AlertScope.POSITION, (Unit.NUMBER, Unit.PERCENT, Unit.R), negative=True),
    Measure.AGE: Shape(AlertScope.POSITION, (Unit.SECONDS,)),
    Measure.HEAT: Shape(AlertScope.PORTFOLIO, (Unit.PERCENT,)),
    Measure.DRAWDOWN: Shape(AlertScope.PORTFOLIO, (Unit.PERCENT,)),
    Measure.DAY_PNL: Shape(AlertScope.PORTFOLIO, (Unit.NUMBER, Unit.PERCENT), negative=True),
    Measure.CALIBRATION_SKILL: Shape(AlertScope.PORTFOLIO, (Unit.PERCENT,), negative=True),
    Measure.CALIBRATION_BRIER: Shape(AlertScope.PORTFOLIO, (Unit.NUMBER,)),
    Measure.CALIBRATION_N: Shape(AlertScope.PORTFOLIO, (Unit.NUMBER,)),
    Measure.CONNECTION: Shape(AlertScope.ACCOUNT, (Unit.WORD,), comparisons=frozenset({Comparison.IS})),
}

# ---- conditions ----------------------------------------------------------------------------------------------------------


class Term(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """One comparison. `over_seconds` is the window of a move or a volume, `bars` the length of an ATR or RSI."""

    measure: Measure
    comparison: Comparison
    level: Decimal = Decimal(0)
    unit: Unit = Unit.NUMBER
    symbol: str = ""
    over_seconds: int = 0
    bars: int = 0
    word: str = ""

    @property
    def crosses(self) -> bool:
        """Whether it is true only at the moment of a crossing."""
        return self.comparison in CROSSINGS

    @property
    def timed(self) -> bool:
        """Whether time or a bar can make it true, not a quote alone."""
        return self.measure not in (Measure.PRICE, Measure.SPREAD, Measure.PNL) or self.unit is Unit.EMA


class AllOf(msgspec.Struct, frozen=True, tag=True):
    parts: tuple["Term | AllOf | AnyOf", ...]


class AnyOf(msgspec.Struct, frozen=True, tag=True):
    parts: tuple["Term | AllOf | AnyOf", ...]


type Condition = Term | AllOf | AnyOf


def terms_of(condition: Condition) -> Iterator[Term]:
    """The comparisons of a tree, in the order of its text."""
    if isinstance(condition, Term):
        yield condition
        return
    for part in condition.parts:
        yield from terms_of(part)


def groups_of(condition: Condition) -> Iterator[AllOf | AnyOf]:
    """Every `and` and `or` of a tree."""
    if not isinstance(condition, Term):
        yield condition
        for part in condition.parts:
            yield from groups_of(part)


def depth_of(condition: Condition) -> int:
    """How deep a tree is nested; 1 for a single comparison."""
    return 1 if isinstance(condition, Term) else 1 + max((depth_of(part) for part in condition.parts), default=0)


# ---- actions -------------------------------------------------------------------------------------------------------------


class NotifyAction(msgspec.Struct, frozen=True, tag=True):
    """Tell a person away from the screen; the alert itself is raised by every firing."""


class OrderAction(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """An order: it takes the way of a strategy's order, with every check and, where the level asks for one, an approval."""

    side: Side
    symbol: str
    quantity: Decimal | None = None
    risk_percent: Decimal | None = None
    limit: Decimal | None = None
    stop: Decimal | None = None
    target: Decimal | None = None
    trail_percent: Decimal | None = None


class CloseAction(msgspec.Struct, frozen=True, tag=True):
    """Leave a position at market."""

    symbol: str


class TightenAction(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """Move a position's stop closer: to a price, to a percent behind the market, or to the entry; never away."""

    symbol: str
    price: Decimal | None = None
    percent: Decimal | None = None
    entry: bool = False


class HaltAction(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """Halt the rule's portfolio, or everything."""

    everything: bool = False


class ReduceAction(msgspec.Struct, frozen=True, tag=True):
    """Let the rule's portfolio only reduce."""


class ResearchAction(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """Have research look into a symbol, or, without one, into what a scan of the rule's portfolio chooses."""

    symbol: str = ""


type Action = NotifyAction | OrderAction | CloseAction | TightenAction | HaltAction | ReduceAction | ResearchAction


# ---- rules ---------------------------------------------------------------------------------------------------------------


class AlertRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rule as a person gives it; an empty id is filled in by the engine.

    A rule fires once, or with `repeat` again after its condition was over by `hysteresis_bps` of each level and the
    cool-down has passed. `lasts_seconds` (0: forever) counts from when it was set or enabled.
    """

    rule_id: str
    condition: Condition
    portfolio: str = "main"
    actions: tuple[Action, ...] = (NotifyAction(),)
    repeat: bool = False
    hysteresis_bps: int = 10
    cooldown_seconds: int = 60
    lasts_seconds: int = 0
    note: str = ""

    @property
    def terms(self) -> tuple[Term, ...]:
        """The comparisons of its condition, in the order of its text."""
        return tuple(terms_of(self.condition))

    @property
    def scopes(self) -> tuple[AlertScope, ...]:
        """What the rule looks at, without repetition."""
        return tuple(dict.fromkeys(SHAPES[term.measure].scope for term in terms_of(self.condition)))

    @property
    def symbols(self) -> tuple[str, ...]:
        """Every symbol that the rule names, in conditions and in actions."""
        named = [term.symbol for term in terms_of(self.condition)]
        named += [getattr(action, "symbol", "") for action in self.actions]
        return tuple(symbol for symbol in dict.fromkeys(named) if symbol)

    @property
    def timed(self) -> bool:
        """Whether time or a bar can make it true, not quotes alone."""
        return any(term.timed for term in self.terms)


class AlertRuleState(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rule and what is journaled of its watch.

    `sides` holds for each crossing, in the order of the text, the side of its level on which the price was last: 1 above,
    -1 below, 0 not seen yet. A rule that is not `armed` has fired and waits until its condition is over. `ended` says why a
    rule that is not enabled is none any more; `instruments` what its symbols mean.
    """

    rule: AlertRule
    instruments: dict[str, str]
    set_by: str
    set_at_ns: Nanoseconds
    enabled: bool = True
    armed: bool = True
    sides: tuple[int, ...] = ()
    fired_count: int = 0
    fired_at_ns: Nanoseconds = 0
    last_reading: str = ""
    ended: str = ""

    @property
    def expires_at_ns(self) -> Nanoseconds:
        """When it ends by itself; 0 is never."""
        return self.set_at_ns + self.rule.lasts_seconds * NS_PER_SECOND if self.rule.lasts_seconds else 0

    @property
    def watched_instruments(self) -> tuple[str, ...]:
        """The instruments whose quotes its conditions look at."""
        named = (self.instruments.get(term.symbol, "") for term in terms_of(self.rule.condition) if term.symbol)
        return tuple(instrument_id for instrument_id in dict.fromkeys(named) if instrument_id)


# ---- what is no rule -----------------------------------------------------------------------------------------------------


def problem_of(rule: AlertRule) -> str:
    """Why a rule cannot be meant, in one line; empty where it can."""
    if rule.rule_id and not (len(rule.rule_id) <= 40 and all(letter.isalnum() or letter in "._-" for letter in rule.rule_id)):
        return "a rule's id has at most 40 letters, digits, dots, dashes and underscores"
    terms = list(terms_of(rule.condition))
    if not 1 <= len(terms) <= MOST_TERMS or depth_of(rule.condition) > MOST_DEPTH:
        return f"a condition has 1 to {MOST_TERMS} comparisons, nested at most {MOST_DEPTH} deep"
    if any(len(group.parts) < 2 for group in groups_of(rule.condition)):
        return "and and or join at least two conditions"
    if not 1 <= len(rule.actions) <= MOST_ACTIONS:
        return f"a rule has 1 to {MOST_ACTIONS} actions; the smallest is notify"
    if not 0 <= rule.hysteresis_bps <= 5_000:
        return "the hysteresis lies between 0 % and 50 % of the level"
    if not 0 <= rule.cooldown_seconds <= LONGEST_SECONDS or not 0 <= rule.lasts_seconds <= LONGEST_SECONDS:
        return "a cool-down or a lifetime is not negative and at most ten years"
    return next(filter(None, (*map(term_problem, terms), *map(action_problem, rule.actions))), "")


def term_problem(term: Term) -> str:
    """Why one comparison cannot be meant."""
    shape, name = SHAPES[term.measure], term.measure.value
    if term.comparison not in shape.comparisons:
        return f"{name} is not compared with {term.comparison.value!r}"
    if term.unit not in shape.units:
        return f"{name} is not given in {term.unit.value or 'plain numbers'}"
    if bool(term.symbol) != (shape.scope in (AlertScope.INSTRUMENT, AlertScope.POSITION)):
        return f"{name} {'takes no' if term.symbol else 'needs a'} symbol"
    if bool(term.over_seconds) != shape.over or not 0 <= term.over_seconds <= LONGEST_SECONDS:
        return f"{name} {'needs a window, such as over 15m' if shape.over else 'takes no window'}"
    if bool(term.bars) != shape.bars or not 0 <= term.bars <= MOST_BARS:
        return f"{name} {f'looks at 1 to {MOST_BARS} bars' if shape.bars else 'takes no number of bars'}"
    if term.measure is Measure.CONNECTION:
        return "" if term.word in CONNECTION_WORDS else f"a connection is {', '.join(CONNECTION_WORDS)}"
    return _level_problem(term, shape)


def _level_problem(term: Term, shape: Shape) -> str:
    name = term.measure.value
    if not _plain(term.level) or term.word:
        return f"{name} is compared with a number of at most {PLACES} places below {LARGEST_LEVEL:f}"
    if term.unit is Unit.EMA and not (term.level == int(term.level) and 1 <= term.level <= MOST_BARS):
        return f"a mean looks at 1 to {MOST_BARS} bars"
    if term.unit is Unit.SECONDS and term.level != int(term.level):
        return f"{name} is compared with whole seconds"
    needs_more = term.measure in (Measure.PRICE, Measure.ATR)
    if not shape.negative and (term.level < 0 or (needs_more and term.level == 0)):
        return f"{name} is compared with a level {'above 0' if needs_more else 'of 0 or more'}"
    return ""


def action_problem(action: Action) -> str:
    """Why one action cannot be meant."""
    if isinstance(action, OrderAction):
        numbers = (action.quantity, action.risk_percent, action.limit, action.stop, action.target, action.trail_percent)
        if not all(number is None or (_plain(number) and number > 0) for number in numbers):
            return "the numbers of an order lie above 0"
        if (action.quantity is None) == (action.risk_percent is None) or not action.symbol:
            return "an order says what, and how much: a quantity, or a risk in percent of equity"
    elif isinstance(action, CloseAction):
        return "" if action.symbol else "close names a symbol"
    elif isinstance(action, TightenAction):
        ways = (action.price is not None) + (action.percent is not None) + action.entry
        aims = [one for one in (action.price, action.percent) if one is not None]
        if ways != 1 or not action.symbol or not all(_plain(one) and one > 0 for one in aims) \
                or (action.percent is not None and action.percent >= 100):
            return "a stop is tightened to a price, to a percent behind the market, or to the entry"
    return ""


def _plain(number: Decimal) -> bool:
    """A number that a person can have meant: finite, not huge, not of endless places."""
    return number.is_finite() and abs(number) < LARGEST_LEVEL and int(number.as_tuple().exponent) >= -PLACES
