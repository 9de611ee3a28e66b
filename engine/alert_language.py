"""Alert conditions and actions as text: read strictly, every error names its column, and written back in one form only.

    BTC/USD price > 70000 and spread < 5bps
    (BTC/USD price crosses above ema(50) or move over 15m > 3%) and heat < 4%
    connection is down or AAPL quote age > 30s

`and` binds closer than `or`. A symbol holds for the comparisons after it until another one is named.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple, NoReturn

from engine.alert_rules import (
    CONNECTION_WORDS,
    MOST_DEPTH,
    MOST_TERMS,
    SHAPES,
    Action,
    AlertScope,
    AllOf,
    AnyOf,
    CloseAction,
    Comparison,
    Condition,
    HaltAction,
    Measure,
    NotifyAction,
    OrderAction,
    ReduceAction,
    ResearchAction,
    Term,
    TightenAction,
    Unit,
    action_problem,
    term_problem,
)
from engine.alert_text import SPAN_SECONDS
from engine.errors import UsageError
from engine.orders import Side

LONGEST_TEXT = 1_000
_TOKEN = re.compile(r"\s*(?:(>=|<=|[()<>;])|([^\s()<>=;]+)|(\S))")
_SYMBOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*")
_NUMBER = re.compile(r"(-?\d+(?:\.\d+)?)(.*)", re.DOTALL)
_SPAN = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_FIRST_WORDS = frozenset(measure.value.split()[0] for measure in Measure)
_MEASURES = ", ".join(measure.value for measure in Measure)
_RESERVED = _FIRST_WORDS | {"and", "or", "over", "crosses", "above", "below", "is", "ema", "to", "entry", "risk", "everything",
                            "limit", "stop", "target", "trail", "bps", "not"}
_SECOND_WORDS = {"quote": ("age",), "day": ("pnl",), "calibration": ("skill", "brier", "n")}
_SUFFIXES = {"": Unit.NUMBER, "%": Unit.PERCENT, "bps": Unit.BPS, "R": Unit.R}
_UNIT_EXAMPLES = {Unit.NUMBER: "70000", Unit.EMA: "ema(50)", Unit.PERCENT: "3%", Unit.BPS: "5bps", Unit.R: "2R",
                  Unit.SECONDS: "90s or 2h"}


class _Token(NamedTuple):
    text: str
    column: int


# ---- reading -------------------------------------------------------------------------------------------------------------


def parse_condition(text: str) -> Condition:
    """The condition that a text says; raises `UsageError` with the column where it cannot be understood."""
    reader = _Reader(text, "condition")
    condition = reader.any_of(1)
    reader.end("and, or, or the end")
    return condition


def parse_actions(text: str) -> tuple[Action, ...]:
    """The actions that a text says, separated by semicolons; raises `UsageError` with the column."""
    reader = _Reader(text, "action")
    actions = [reader.action()]
    while reader.take_if(";"):
        actions.append(reader.action())
    reader.end("a semicolon or the end")
    return tuple(actions)


def parse_span(text: str) -> int | None:
    """A span such as `90s`, `15m`, `1h30m`, `2d` in seconds; None where it is none."""
    match = _SPAN.fullmatch(text)
    seconds = sum(int(part) * size for part, size in zip(match.groups(), SPAN_SECONDS, strict=True) if part) if match else 0
    return seconds or (0 if text == "0s" else None)


class _Reader:
    """Reads one text from left to right; `symbol` is the one named last."""

    def __init__(self, text: str, what: str) -> None:
        self.what = what
        self.text = text
        self.tokens = _tokens(text, what)
        self.at = 0
        self.symbol = ""
        self.terms = 0

    # ---- tokens ----

    def peek(self) -> str:
        return self.tokens[self.at].text

    def take(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1].text

    def take_if(self, *words: str) -> str:
        return self.take() if self.peek() and self.peek() in words else ""

    def need(self, *words: str) -> str:
        return self.take_if(*words) or self.fail(" or ".join(repr(word) for word in words))

    def end(self, expected: str) -> None:
        if self.peek():
            self.fail(expected)

    def fail(self, expected: str, *, at: int | None = None) -> NoReturn:
        token = self.tokens[self.at if at is None else at]
        found = repr(token.text) if token.text else "the end"
        raise UsageError(f"{self.what}, column {token.column}: expected {expected}, found {found}")

    def refuse(self, problem: str, *, at: int) -> NoReturn:
        raise UsageError(f"{self.what}, column {self.tokens[at].column}: {problem}")

    # ---- conditions ----

    def any_of(self, depth: int) -> Condition:
        if depth > MOST_DEPTH:
            self.refuse(f"nested deeper than {MOST_DEPTH}", at=self.at)
        parts = [self.all_of(depth)]
        while self.take_if("or"):
            parts.append(self.all_of(depth))
        return joined(AnyOf, parts)

    def all_of(self, depth: int) -> Condition:
        parts = [self.part(depth)]
        while self.take_if("and"):
            parts.append(self.part(depth))
        return joined(AllOf, parts)

    def part(self, depth: int) -> Condition:
        if self.take_if("("):
            inner = self.any_of(depth + 1)
            self.need(")")
            return inner
        return self.term()

    def term(self) -> Condition:
        self.terms += 1
        if self.terms > MOST_TERMS:
            self.refuse(f"more than {MOST_TERMS} comparisons", at=self.at)
        start = self.at
        if self.peek() not in _FIRST_WORDS:
            self.symbol = self.a_symbol(f"a symbol or what to look at ({_MEASURES})")
        if self.peek() not in _FIRST_WORDS:
            self.fail(f"what of {self.symbol} to look at ({_MEASURES})")
        named = self.at > start
        measure = self.measure()
        shape = SHAPES[measure]
        takes_symbol = shape.scope in (AlertScope.INSTRUMENT, AlertScope.POSITION)
        if named and not takes_symbol:
            self.refuse(f"{measure.value} is not of an instrument; leave the symbol out", at=start)
        if takes_symbol and not self.symbol:
            self.refuse(f"which symbol's {measure.value}? name it first, such as BTC/USD {measure.value}", at=start)
        bars = self.bars() if shape.bars else 0
        over_seconds = self.window() if shape.over else 0
        comparisons = self.comparisons(measure)
        level_at = self.at
        level, unit, word = self.level(measure)
        terms = [Term(measure, one, level, unit, self.symbol if takes_symbol else "", over_seconds, bars, word)
                 for one in comparisons]
        problem = term_problem(terms[0])
        if problem:
            self.refuse(problem, at=level_at)
        return joined(AnyOf, terms)

    def a_symbol(self, expected: str) -> str:
        word = self.peek()
        if not _SYMBOL.fullmatch(word) or word in _RESERVED:
            self.fail(expected)
        self.take()
        name, at, venue = word.partition("@")
        return f"{name.upper()}{at}{venue}"

    def measure(self) -> Measure:
        first = self.take()
        seconds = _SECOND_WORDS.get(first)
        return Measure(f"{first} {self.need(*seconds)}" if seconds else first)

    def bars(self) -> int:
        """The bars of an indicator, in parentheses."""
        self.need("(")
        if not self.peek().isdecimal() or len(self.peek()) > 4:
            self.fail("a number of bars, such as 14")
        count = int(self.take())
        self.need(")")
        return count

    def window(self) -> int:
        self.need("over")
        seconds = parse_span(self.peek())
        if not seconds:
            self.fail("a span of time, such as 15m or 1h30m")
        self.take()
        return seconds

    def comparisons(self, measure: Measure) -> tuple[Comparison, ...]:
        """One comparison; `crosses` alone stands for both ways."""
        if measure is Measure.CONNECTION:
            self.need("is")
            return (Comparison.IS,)
        if measure is Measure.PRICE and self.take_if("crosses"):
            way = self.take_if("above", "below")
            return (Comparison(f"crosses {way}"),) if way else (Comparison.CROSSES_ABOVE, Comparison.CROSSES_BELOW)
        sign = self.take_if(">", ">=", "<", "<=")
        if not sign:
            self.fail("> >= < <=" + (" or crosses" if measure is Measure.PRICE else ""))
        return (Comparison(sign),)

    def level(self, measure: Measure) -> tuple[Decimal, Unit, str]:
        units = SHAPES[measure].units
        if Unit.WORD in units:
            return Decimal(0), Unit.WORD, self.need(*CONNECTION_WORDS)
        if Unit.EMA in units and self.take_if("ema"):
            return Decimal(self.bars()), Unit.EMA, ""
        expected = " or ".join(_UNIT_EXAMPLES[unit] for unit in units)
        start = self.at
        if Unit.SECONDS in units:
            seconds = parse_span(self.peek())
            if seconds is None:
                self.fail(f"a span of time, such as {expected}")
            self.take()
            return Decimal(seconds), Unit.SECONDS, ""
        number, unit = self.number(f"a number, such as {expected}")
        if unit not in units:
            self.fail(f"a number, such as {expected}", at=start)
        return number, unit, ""

    def number(self, expected: str) -> tuple[Decimal, Unit]:
        """A number and its unit, which may stand apart."""
        match = _NUMBER.fullmatch(self.peek())
        suffix = match.group(2) if match else "?"
        if match is None or suffix not in _SUFFIXES or len(self.peek()) > 30:
            self.fail(expected)
        self.take()
        if not suffix and self.peek() in ("%", "bps", "R"):
            suffix = self.take()
        return Decimal(match.group(1)), _SUFFIXES[suffix]

    # ---- actions ----

    def action(self) -> Action:
        start = self.at
        verb = self.need("notify", "buy", "sell", "close", "tighten", "halt", "reduce", "research")
        match verb:
            case "notify":
                return NotifyAction()
            case "close":
                return CloseAction(self.a_symbol("the symbol to close"))
            case "halt":
                return HaltAction(everything=bool(self.take_if("everything")))
            case "reduce":
                return ReduceAction()
            case "research":
                return ResearchAction(self.a_symbol("the symbol to look into") if self.peek() not in ("", ";") else "")
            case "tighten":
                made: Action = self.tightening()
            case _:
                made = self.order(Side.BUY if verb == "buy" else Side.SELL)
        problem = action_problem(made)
        if problem:
            self.refuse(problem, at=start)
        return made

    def tightening(self) -> TightenAction:
        symbol = self.a_symbol("the symbol whose stop to tighten")
        self.need("to")
        if self.take_if("entry"):
            return TightenAction(symbol, entry=True)
        start = self.at
        number, unit = self.number("a price, a percent such as 1%, or entry")
        if unit is Unit.NUMBER:
            return TightenAction(symbol, price=number)
        if unit is not Unit.PERCENT:
            self.fail("a price, a percent such as 1%, or entry", at=start)
        return TightenAction(symbol, percent=number)

    def order(self, side: Side) -> OrderAction:
        quantity = risk = None
        if self.take_if("risk"):
            risk = self.typed_number(Unit.PERCENT, "a percent of equity, such as 1%")
        else:
            quantity = self.typed_number(Unit.NUMBER, "a quantity, or risk and a percent")
        symbol = self.a_symbol("the symbol to trade")
        parts: dict[str, Decimal] = {}
        while part := self.take_if("limit", "stop", "target", "trail"):
            if part in parts:
                self.refuse(f"{part} is given twice", at=self.at - 1)
            unit, example = (Unit.PERCENT, "a percent, such as 2%") if part == "trail" else (Unit.NUMBER, "a price")
            parts[part] = self.typed_number(unit, example)
        return OrderAction(side, symbol, quantity, risk, parts.get("limit"), parts.get("stop"), parts.get("target"),
                           parts.get("trail"))

    def typed_number(self, unit: Unit, expected: str) -> Decimal:
        start = self.at
        number, found = self.number(expected)
        if found is not unit:
            self.fail(expected, at=start)
        return number


def _tokens(text: str, what: str) -> list[_Token]:
    if len(text) > LONGEST_TEXT:
        raise UsageError(f"{what}, column {LONGEST_TEXT}: longer than {LONGEST_TEXT} characters")
    tokens: list[_Token] = []
    at = 0
    while match := _TOKEN.match(text, at):
        place = match.lastindex or 1
        if place == 3:
            raise UsageError(f"{what}, column {match.start(3) + 1}: {match.group(3)!r} means nothing here")
        tokens.append(_Token(match.group(place), match.start(place) + 1))
        at = match.end()
    return [*tokens, _Token("", len(text.rstrip()) + 1)]


def joined(kind: type[AllOf] | type[AnyOf], parts: Sequence[Condition]) -> Condition:
    """The parts under one `and` or `or`; a part of the same kind is taken in, so that equal meanings have equal trees."""
    flat: list[Condition] = []
    for part in parts:
        if isinstance(part, kind):
            flat.extend(part.parts)
        else:
            flat.append(part)
    return flat[0] if len(flat) == 1 else kind(tuple(flat))
