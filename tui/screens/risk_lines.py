"""A portfolio's risk as lines: heat with a bar for each position, entry and bucket, strategies, exposure, a bad day, limits with
how much is used, brakes, and how the returns move together."""

from collections.abc import Sequence
from typing import NamedTuple

from engine.service import BrakeLevel, BrakeView, BudgetView, HeatView, LimitView, RiskView, ShareView
from tui.formats import MISSING, moment, money, number, percent, plain
from tui.screens.correlation_lines import correlation_lines
from tui.widgets.fact_list import wrapped

type Line = list[tuple[str, str]]

BAR = 20
EIGHTHS = " ▏▎▍▌▋▊▉█"
EMPTY = "·"
NAME = 24
WIDE = 132
GAP = 4


class Part(NamedTuple):
    """Some lines that belong together; the first is their title."""

    lines: list[Line]


def risk_lines(view: RiskView, width: int) -> list[Line]:
    """Everything, in the order of urgency; in two columns where there is room."""
    return [line for part in risk_parts(view, width) for line in [*part.lines, []]][:-1]


def risk_parts(view: RiskView, width: int) -> list[Part]:
    """Brakes that are on, heat, exposure, a bad day, limits by how much is used, correlation, and brakes that were on."""
    on = [brake for brake in view.brakes if brake.level is not BrakeLevel.NONE]
    off = [brake for brake in view.brakes if brake.level is BrakeLevel.NONE]
    column = (width - GAP) // 2 if width >= WIDE else width
    left = [Part(_heat_lines(view)), Part(_budget_lines(view)), Part(_exposure_lines(view)), Part(_tail_lines(view, column))]
    right = [Part(_limit_lines(view.limits, column))]
    middle = [Part(_beside(_joined(left), _joined(right), column))] if width >= WIDE else [*left, *right]
    last = [Part(correlation_lines(view, width)), Part(_released_lines(off, width))]
    return [part for part in (Part(_brake_lines(view, on, width)), *middle, *last) if part.lines]


def _joined(parts: Sequence[Part]) -> list[Line]:
    return [line for part in parts if part.lines for line in [*part.lines, []]][:-1]


def _beside(left: Sequence[Line], right: Sequence[Line], column: int) -> list[Line]:
    """Two stacks of lines side by side."""
    rows = max(len(left), len(right))
    padded = [*left, *([[]] * (rows - len(left)))], [*right, *([[]] * (rows - len(right)))]
    return [[*one, (" " * max(0, column + GAP - _length(one)), ""), *other] for one, other in zip(*padded, strict=True)]


def _length(line: Line) -> int:
    from rich.cells import cell_len

    return sum(cell_len(text) for text, _ in line)


def bar(fraction: float | None) -> str:
    """A part of a whole as a bar, to an eighth of a cell; what is beyond the whole fills it."""
    eighths = 0 if fraction is None else min(8 * BAR, max(0, round(fraction * 8 * BAR)))
    whole, rest = divmod(eighths, 8)
    drawn = EIGHTHS[8] * whole + (EIGHTHS[rest] if rest else "")
    return drawn + EMPTY * (BAR - len(drawn))


def tone_of(fraction: float | None) -> str:
    """The tone of a limit that is used so far."""
    if fraction is None:
        return "muted"
    return "crit" if fraction >= 1 else "warn" if fraction >= 0.8 else "good"


def _name(text: str) -> str:
    return f"{text:{NAME - 1}.{NAME - 1}} "


# ---- heat ----------------------------------------------------------------------------------------------------------------------


def _heat_lines(view: RiskView) -> list[Line]:
    limit = view.heat_limit_percent or 1.0
    used = view.heat_percent / limit
    together = _correlation(view)
    braked = ", braked" if view.size_percent < 100 else ""
    lines: list[Line] = [
        [("Heat", "head"), (f"  what all stops would lose; full bar: the limit of {percent(limit)}{braked}", "muted")],
        [(_name("all"), "strong"), (bar(used), tone_of(used)), (f" {percent(view.heat_percent):>7}", "strong"),
         (f"  {used:.0%} of the limit", tone_of(used))],
        [(_name("with correlation"), "muted"), (bar(view.correlated_heat_percent / limit), "muted"),
         (f" {percent(view.correlated_heat_percent):>7}", "muted"), (together, "muted")]]
    lines += [_risk_line(line, limit) for line in sorted(view.lines, key=lambda line: -line.risk_percent)]
    return lines + [_bucket_line(share, limit) for share in sorted(view.shares, key=lambda one: -one.heat_percent)
                    if share.kind == "bucket" and _gathers(view, share)]


def _gathers(view: RiskView, share: ShareView) -> bool:
    """Whether a bucket is more than one instrument by its own name."""
    return any(line.bucket == share.name and line.symbol != share.name for line in view.lines)


def _correlation(view: RiskView) -> str:
    if len(view.lines) < 2:
        return ""
    return "  shrunk, see below" if view.correlation_returns else "  too few bars"


def _risk_line(line: HeatView, limit: float) -> Line:
    state = {"position": "", "over time": ", over time"}.get(line.status, ", entry")
    what = f"{plain(line.symbol)} {line.side.lower()}{state}"
    stop = f"stop {number(line.stop)}" if line.stop is not None else "NO STOP"
    return [(_name(what), ""), (bar(line.risk_percent / limit), tone_of(line.risk_percent / limit)),
            (f" {percent(line.risk_percent):>7}  ", ""), (stop, "muted" if line.stop is not None else "crit")]


def _bucket_line(share: ShareView, limit: float) -> Line:
    return [(_name(f"bucket {plain(share.name)}"), "muted"), (bar(share.heat_percent / limit), ""),
            (f" {percent(share.heat_percent):>7}  ", ""), (f"holds {percent(share.gross_percent, 1)}", "muted")]


# ---- exposure and a bad day ----------------------------------------------------------------------------------------------------


def _budget_lines(view: RiskView) -> list[Line]:
    """What each strategy uses of its capital and of its part of the heat, once any has a budget."""
    if not any(budget.capital is not None or budget.heat_limit_percent for budget in view.budgets):
        return []
    lines: list[Line] = [[("Strategies", "head")]]
    for budget in view.budgets:
        capital = "no capital of its own" if budget.capital is None else \
            f"of {money(budget.capital, view.money_decimals)}{'' if budget.compounds else ' fixed'}"
        used = budget.used_percent / 100
        lines.append([(f"{plain(budget.strategy):{NAME}.{NAME}}", ""), (bar(used), tone_of(used)),
                      (f" {percent(budget.used_percent, 0)} {capital}", "")])
        lines.append(_budget_heat(budget))
    return lines


def _budget_heat(budget: BudgetView) -> Line:
    if not budget.heat_limit_percent:
        return [(f"{'  heat':{NAME}}", "muted"), (percent(budget.heat_percent), "muted")]
    used = budget.heat_percent / budget.heat_limit_percent
    return [(f"{'  heat':{NAME}}", "muted"), (bar(used), tone_of(used)),
            (f" {percent(budget.heat_percent)} of {percent(budget.heat_limit_percent)}", "")]


def _exposure_lines(view: RiskView) -> list[Line]:
    shares = [share for share in view.shares if share.kind != "bucket"]
    gross, net = percent(view.gross_percent, 1), percent(view.net_percent, 1, signed=True)
    lines: list[Line] = [
        [("Exposure", "head"), ("  in percent of equity", "muted")],
        [(_name("gross, net"), "muted"), (f"{gross:>7} {net:>8}", "")],
        [(_name("highest equity"), "muted"),
         (MISSING if view.high_water is None else money(view.high_water, 2, view.currency), "")],
        [(_name("order size"), "muted"),
         (f"{percent(view.size_percent, 0)} of the usual", "warn" if view.size_percent < 100 else "")]]
    return lines + [[(_name(f"{share.kind} {plain(share.name)}"), "muted"), (f"{percent(share.gross_percent, 1):>7}", "")]
                    for share in shares]


def _tail_lines(view: RiskView, width: int) -> list[Line]:
    tail = view.tail
    if tail is None or not view.lines:
        return []
    days = "one trading day" if tail.horizon_days == 1 else f"{tail.horizon_days:g} trading days"
    lines: list[Line] = [
        [("A bad day", "head"), (f"  {days}, {tail.confidence_percent:g} %, {tail.returns} returns; stops not counted", "muted")],
        [(_name(""), ""), (f"{'historical':>10} {'normal':>10}", "muted")],
        _both("value at risk", tail.historical_var_percent, tail.normal_var_percent),
        _both("expected shortfall", tail.historical_shortfall_percent, tail.normal_shortfall_percent)]
    if tail.in_full_percent:
        text = f"in it {percent(tail.in_full_percent)} in full: too few bars to say more"
        lines += [[(part, "warn")] for part in wrapped(text, width)]
    return lines


def _both(name: str, historical: float, normal: float) -> Line:
    return [(_name(name), "muted"), (f"{percent(historical):>10} {percent(normal):>10}", "")]


# ---- limits --------------------------------------------------------------------------------------------------------------------


def _limit_lines(limits: Sequence[LimitView], width: int) -> list[Line]:
    used = [limit for limit in limits if limit.used_fraction is not None]
    used.sort(key=lambda limit: -(limit.used_fraction or 0.0))
    lines: list[Line] = [[("Limits, the most used first", "head")]]
    for limit in used:
        name = limit.name.removeprefix("max_").removesuffix("_fraction").replace("_", " ")
        how_much = f"{limit.used.replace(' %', '%')} of {_allowed(limit)}"
        lines.append([(_name(name), ""), (bar(limit.used_fraction), tone_of(limit.used_fraction)),
                      (f" {limit.used_fraction or 0:>5.0%}  ", tone_of(limit.used_fraction)), (how_much, "")])
    rest = [f"{limit.name} {plain(limit.value)}" for limit in limits if limit.used_fraction is None]
    return [*lines, *[[(text, "muted")] for text in wrapped(", ".join(rest), width)]]


def _allowed(limit: LimitView) -> str:
    return percent(100 * float(limit.value)) if limit.name.endswith("_fraction") else limit.value


# ---- brakes --------------------------------------------------------------------------------------------------------------------


def _brake_lines(view: RiskView, brakes: Sequence[BrakeView], width: int) -> list[Line]:
    lines: list[Line] = []
    for brake in brakes:
        until = f", until {moment(brake.until_ns)} UTC" if brake.until_ns else ""
        base = f"measured from {money(brake.baseline, 2, view.currency)}"
        text = f"{brake.level.value} by {brake.name}: {brake.cause}; {base}, since {moment(brake.at_ns)} UTC{until}"
        lines += [[("■ " if place == 0 else "  ", "crit"), (part, "warn")] for place, part in enumerate(wrapped(text, width - 2))]
    return lines


def _released_lines(brakes: Sequence[BrakeView], width: int) -> list[Line]:
    lines: list[Line] = []
    for brake in brakes:
        text = (f"{brake.name} was on ({brake.cause}); released by {brake.released_by}, {moment(brake.released_at_ns)} UTC: "
                f"{brake.release_cause}")
        lines += [[(part, "muted")] for part in wrapped(text, width)]
    return [[("Brakes that were on", "head")], *lines] if lines else []
