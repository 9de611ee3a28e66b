"""Alert conditions and actions written as text, in the one form that `engine.alert_language` reads back as the very same."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from engine.alert_rules import (
    Action,
    AllOf,
    CloseAction,
    Condition,
    HaltAction,
    NotifyAction,
    OrderAction,
    ReduceAction,
    ResearchAction,
    Term,
    TightenAction,
    Unit,
    terms_of,
)
from engine.orders import Side

SPAN_SECONDS = (86_400, 3_600, 60, 1)
SPAN_LETTERS = "dhms"


def condition_text(condition: Condition) -> str:
    """The condition as text, in the one form that reads back as exactly this condition."""
    symbols = iter(_named_symbols(condition))
    return _written(condition, symbols, inside_all=False)


def _named_symbols(condition: Condition) -> list[str]:
    """For each comparison the symbol that has to be written: none where it goes on with the one before."""
    current = ""
    named: list[str] = []
    for term in terms_of(condition):
        named.append(term.symbol if term.symbol != current else "")
        current = term.symbol or current
    return named


def _written(condition: Condition, symbols: Iterator[str], *, inside_all: bool) -> str:
    if isinstance(condition, Term):
        symbol = next(symbols)
        return f"{symbol} {term_text(condition)}" if symbol else term_text(condition)
    kind_all = isinstance(condition, AllOf)
    parts = [_written(part, symbols, inside_all=kind_all) for part in condition.parts]
    text = (" and " if kind_all else " or ").join(parts)
    return f"({text})" if inside_all and not kind_all else text


def term_text(term: Term) -> str:
    """One comparison without its symbol."""
    bars = f"({term.bars})" if term.bars else ""
    over = f" over {span_text(term.over_seconds)}" if term.over_seconds else ""
    return f"{term.measure.value}{bars}{over} {term.comparison.value} {level_text(term)}"


def level_text(term: Term) -> str:
    """A level with its unit."""
    if term.unit is Unit.WORD:
        return term.word
    if term.unit is Unit.EMA:
        return f"ema({int(term.level)})"
    if term.unit is Unit.SECONDS:
        return span_text(int(term.level))
    return f"{number_text(term.level)}{term.unit.value}"


def number_text(number: Decimal) -> str:
    """A number without exponent and without idle zeros."""
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def span_text(seconds: int) -> str:
    """A span of time, such as `1h30m`."""
    parts = []
    for letter, size in zip(SPAN_LETTERS, SPAN_SECONDS, strict=True):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{letter}")
    return "".join(parts) or "0s"


def action_text(action: Action) -> str:
    """One action as text."""
    match action:
        case NotifyAction():
            return "notify"
        case CloseAction():
            return f"close {action.symbol}"
        case HaltAction():
            return "halt everything" if action.everything else "halt"
        case ReduceAction():
            return "reduce"
        case ResearchAction():
            return f"research {action.symbol}".rstrip()
        case TightenAction():
            if action.entry:
                return f"tighten {action.symbol} to entry"
            aim = number_text(action.price) if action.price is not None else f"{number_text(action.percent or Decimal(0))}%"
            return f"tighten {action.symbol} to {aim}"
        case OrderAction():
            return _order_text(action)


def _order_text(action: OrderAction) -> str:
    risk = f"risk {number_text(action.risk_percent or Decimal(0))}%"
    size = risk if action.quantity is None else number_text(action.quantity)
    words = ["buy" if action.side is Side.BUY else "sell", size, action.symbol]
    for name, price in (("limit", action.limit), ("stop", action.stop), ("target", action.target)):
        if price is not None:
            words += [name, number_text(price)]
    if action.trail_percent is not None:
        words += ["trail", f"{number_text(action.trail_percent)}%"]
    return " ".join(words)


def actions_text(actions: Sequence[Action]) -> str:
    """Actions as text, separated by semicolons."""
    return "; ".join(action_text(action) for action in actions)
