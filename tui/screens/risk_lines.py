"""A portfolio's risk as lines: heat with a bar for each position, entry and bucket, limits with how much is used, brakes."""

from collections.abc import Sequence

from engine.service import BrakeLevel, BrakeView, HeatView, LimitView, RiskView
from tui.formats import MISSING, moment, money, number, percent, plain
from tui.widgets.fact_list import wrapped

type Line = list[tuple[str, str]]

BAR = 20
FULL, EMPTY = "█", "·"
NAME = 24


def risk_lines(view: RiskView, width: int) -> list[Line]:
    """Everything, in the order of urgency: brakes that are on, heat, limits by how much is used, the rest."""
    on = [brake for brake in view.brakes if brake.level is not BrakeLevel.NONE]
    return [
        *_brake_lines(view, on, width),
        *_heat_lines(view), [],
        *_exposure_lines(view), [],
        *_limit_lines(view.limits, width), [],
        *_released_lines([brake for brake in view.brakes if brake.level is BrakeLevel.NONE], width),
    ]


def bar(fraction: float | None) -> str:
    """A part of a whole as a bar; what is beyond the whole fills it."""
    filled = 0 if fraction is None else min(BAR, max(0, round(fraction * BAR)))
    return FULL * filled + EMPTY * (BAR - filled)


def tone_of(fraction: float | None) -> str:
    """The tone of a limit that is used so far."""
    if fraction is None:
        return "muted"
    return "crit" if fraction >= 1 else "warn" if fraction >= 0.8 else "good"


def _heat_lines(view: RiskView) -> list[Line]:
    limit = view.heat_limit_percent or 1.0
    used = view.heat_percent / limit
    lines: list[Line] = [
        [("Heat", "head")],
        [(f"{'all':{NAME}}", "strong"), (bar(used), tone_of(used)),
         (f" {percent(view.heat_percent)} of {percent(limit)}", "strong")],
        [(f"{'with correlation':{NAME}}", "muted"), (bar(view.correlated_heat_percent / limit), "muted"),
         (f" {percent(view.correlated_heat_percent)}  {_correlation(view)}", "muted")]]
    lines += [_risk_line(line, limit) for line in view.lines]
    for share in view.shares:
        if share.kind == "bucket":
            lines.append([(f"{'bucket ' + plain(share.name):{NAME}.{NAME}}", "muted"), (bar(share.heat_percent / limit), ""),
                          (f" {percent(share.heat_percent)}", "")])
    return lines


def _correlation(view: RiskView) -> str:
    if len(view.lines) < 2:
        return ""
    if not view.correlation_returns:
        return "too few bars: taken as moving together"
    return f"{view.correlation_returns} returns, shrunk {view.correlation_shrinkage:.2f}"


def _risk_line(line: HeatView, limit: float) -> Line:
    what = f"{plain(line.symbol)} {line.side.lower()}{'' if line.status == 'position' else ' ' + line.status}"
    stop = f"stop {number(line.stop)}" if line.stop is not None else "NO STOP"
    return [(f"{what:{NAME}.{NAME}}", ""), (bar(line.risk_percent / limit), tone_of(line.risk_percent / limit)),
            (f" {percent(line.risk_percent)}  ", ""), (stop, "muted" if line.stop is not None else "crit")]


def _exposure_lines(view: RiskView) -> list[Line]:
    lines: list[Line] = [
        [("Exposure", "head")],
        [(f"{'gross, net':{NAME}}", "muted"),
         (f"{percent(view.gross_percent, 1)}, {percent(view.net_percent, 1, signed=True)}", "")],
        [(f"{'highest equity':{NAME}}", "muted"),
         (MISSING if view.high_water is None else money(view.high_water, 2, view.currency), "")],
        [(f"{'order size':{NAME}}", "muted"),
         (f"{percent(view.size_percent, 0)} of the usual", "warn" if view.size_percent < 100 else "")]]
    lines += [[(f"{share.kind + ' ' + plain(share.name):{NAME}.{NAME}}", "muted"), (percent(share.gross_percent, 1), "")]
              for share in view.shares]
    return lines


def _limit_lines(limits: Sequence[LimitView], width: int) -> list[Line]:
    used = [limit for limit in limits if limit.used_fraction is not None]
    used.sort(key=lambda limit: -(limit.used_fraction or 0.0))
    lines: list[Line] = [[("Limits, the most used first", "head")]]
    for limit in used:
        name = limit.name.removeprefix("max_").removesuffix("_fraction").replace("_", " ")
        lines.append([(f"{name:{NAME}.{NAME}}", ""), (bar(limit.used_fraction), tone_of(limit.used_fraction)),
                      (f" {limit.used} of {_allowed(limit)}  ", ""), (plain(limit.source), "muted")])
    rest = [f"{limit.name} {plain(limit.value)}" for limit in limits if limit.used_fraction is None]
    return lines + [[(text, "muted")] for text in wrapped(", ".join(rest), width)]


def _allowed(limit: LimitView) -> str:
    return percent(100 * float(limit.value)) if limit.name.endswith("_fraction") else limit.value


def _brake_lines(view: RiskView, brakes: Sequence[BrakeView], width: int) -> list[Line]:
    lines: list[Line] = []
    for brake in brakes:
        until = f", until {moment(brake.until_ns)} UTC" if brake.until_ns else ""
        base = f"measured from {money(brake.baseline, 2, view.currency)}"
        text = f"{brake.level.value} by {brake.name}: {brake.cause}; {base}, since {moment(brake.at_ns)} UTC{until}"
        lines += [[("■ " if place == 0 else "  ", "crit"), (part, "warn")] for place, part in enumerate(wrapped(text, width - 2))]
    return [*lines, []] if lines else []


def _released_lines(brakes: Sequence[BrakeView], width: int) -> list[Line]:
    lines: list[Line] = []
    for brake in brakes:
        text = (f"{brake.name} was on ({brake.cause}); released by {brake.released_by}, {moment(brake.released_at_ns)} UTC: "
                f"{brake.release_cause}")
        lines += [[(part, "muted")] for part in wrapped(text, width)]
    return [[("Brakes that were on", "head")], *lines] if lines else []
