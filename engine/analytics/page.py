"""A report as one HTML file: nothing is loaded from anywhere, no script runs, and every word from outside is escaped."""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from engine.analytics.drawings import area_chart, histogram
from engine.performance_words import FigureView, PerformanceView, PeriodView
from engine.units import NS_PER_SECOND

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DASH = "–"
STRONGEST = 10.0

STYLE = """
:root{--ink:#1c2530;--soft:#5c6a79;--line:#d7dee6;--paper:#fff;--rise:#1d6fb8;--fall:#b4481e}
@media(prefers-color-scheme:dark){:root{--ink:#e3e9ef;--soft:#93a1b0;--line:#36424f;--paper:#141a21;--rise:#6bb3f0;--fall:#f0936b}}
*{box-sizing:border-box}body{margin:2rem auto;max-width:1000px;padding:0 1rem;background:var(--paper);color:var(--ink);
font:15px/1.45 system-ui,sans-serif}h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}
.sub,.none,.why{color:var(--soft)}
.figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(190px,1fr));gap:.4rem 1.2rem}
.figures div{border-bottom:1px solid var(--line);padding:.25rem 0;display:flex;justify-content:space-between;gap:.6rem}
.figures dt{color:var(--soft)}.figures dd{margin:0;text-align:right}dl{margin:0}.why{font-size:.8rem}
table{border-collapse:collapse;width:100%;font-size:.86rem}th{color:var(--soft);font-weight:600}
th,td{padding:.2rem .5rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
td{font-variant-numeric:tabular-nums}
th.w,td.w{text-align:left}.scroll{overflow-x:auto}svg{width:100%;height:auto}.grid{stroke:var(--line)}
.axis{fill:var(--soft);font-size:12px}.rise-line,.fall-line{fill:none;stroke-width:1.6}.rise-line{stroke:var(--rise)}
.fall-line{stroke:var(--fall)}.rise-ground,.rise-bar{fill:var(--rise);opacity:.22}.fall-ground,.fall-bar{fill:var(--fall);opacity:.25}
.rise-bar,.fall-bar{opacity:.6}
"""


def page(view: PerformanceView, title: str = "") -> str:
    """The whole file as text."""
    heading = escape(title or f"Report on {view.name}")
    span = f"{_day(view.from_ns)} to {_day(view.to_ns)} UTC" if view.to_ns else "nothing recorded"
    days = f"{view.days} {'day' if view.days == 1 else 'days'}, {view.days_per_year} a year"
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src \'unsafe-inline\'">',
        f"<title>{heading}</title><style>{STYLE}</style></head><body><h1>{heading}</h1>",
        f'<p class="sub">{escape(span)} · {days} · money in {escape(view.currency)}</p>',
        _figures(view), *_charts(view), _months(view.months), _periods(view), *_groups(view), _drawdowns(view), _trips(view),
        "</body></html>"]
    return "\n".join(part for part in parts if part)


def _day(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // NS_PER_SECOND, UTC).strftime("%Y-%m-%d %H:%M")


def number(value: float | None, decimals: int = 2, suffix: str = "") -> str:
    """A number with a true minus, but none before a zero, or a dash."""
    if value is None:
        return DASH
    digits = f"{abs(value):,.{decimals}f}"
    return f"{'−' if value < 0 and digits.strip('0.') else ''}{digits}{suffix}"


def figure_text(figure: FigureView, decimals: int) -> str:
    """A figure in its unit."""
    if figure.value is None:
        return DASH
    match figure.unit:
        case "percent":
            return number(figure.value, 2, " %")
        case "money":
            return number(figure.value, decimals)
        case "count":
            return number(figure.value, 0)
        case "seconds":
            return _span(figure.value)
        case unit:
            return number(figure.value, 2, "" if unit == "ratio" else f" {unit}")


def _span(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _figures(view: PerformanceView) -> str:
    cells = []
    for figure in view.figures:
        why = f'<br><span class="why">{escape(figure.why)}</span>' if figure.why else ""
        cells.append(f"<div><dt>{escape(figure.label)}</dt><dd>{figure_text(figure, view.money_decimals)}{why}</dd></div>")
    return f'<h2>Figures</h2><dl class="figures">{"".join(cells)}</dl>'


def _charts(view: PerformanceView) -> list[str]:
    curve = view.curve
    results = [trip.r_multiple for trip in view.trips if trip.r_multiple is not None]
    charts = ["<h2>Equity</h2>", area_chart("Equity", curve.at_ns, curve.equity), "<h2>Drawdown</h2>",
              area_chart("Drawdown", curve.at_ns, curve.drawdown_percent, unit=" %", falls=True, height=180)]
    if results:
        charts += [f"<h2>Results in R{_left_out(view)}</h2>",
                   histogram("Results of round trips in R", results, unit=" R", height=200)]
    return charts


def _table(heads: Sequence[tuple[str, bool]], rows: Sequence[Sequence[str]]) -> str:
    """A table; the flag of a head says that its column holds words. Cells come escaped."""
    head = "".join(f"<th{' class=w' if words else ''}>{escape(name)}</th>" for name, words in heads)
    body = "".join("<tr>" + "".join(f"<td{' class=w' if words else ''}>{cell}</td>" for cell, (_, words)
                                    in zip(row, heads, strict=True)) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _months(months: Sequence[PeriodView]) -> str:
    """Years by months, shaded by size, with the year at the end."""
    if not months:
        return ""
    known = {row.period: row.return_percent for row in months}
    rows = []
    for year in dict.fromkeys(row.period[:4] for row in months):
        grown, cells = 1.0, []
        for month in range(1, 13):
            value = known.get(f"{year}-{month:02}")
            grown *= 1 + (value or 0.0) / 100
            cells.append(_shaded(value))
        rows.append(f"<tr><th class=w>{year}</th>{''.join(cells)}{_shaded(100 * (grown - 1))}</tr>")
    head = "".join(f"<th>{name}</th>" for name in (*MONTHS, "Year"))
    return ('<h2>Months, return in percent</h2><div class="scroll"><table><thead><tr><th></th>'
            f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>")


def _shaded(value: float | None) -> str:
    if value is None:
        return "<td></td>"
    strength = round(min(1.0, abs(value) / STRONGEST) * 45)
    colour = "rise" if value >= 0 else "fall"
    return f'<td style="background:color-mix(in srgb,var(--{colour}) {strength}%,transparent)">{number(value)}</td>'


def _periods(view: PerformanceView) -> str:
    if not view.periods:
        return ""
    heads = ((view.period, True), ("equity", False), ("profit", False), ("return %", False), ("drawdown %", False),
             ("paid in", False), ("round trips", False))
    rows = [[escape(row.period), number(float(row.equity), view.money_decimals), number(float(row.profit), view.money_decimals),
             number(row.return_percent), number(row.drawdown_percent), number(float(row.paid_in), view.money_decimals),
             str(row.round_trips)] for row in reversed(view.periods)]
    return f"<h2>By {escape(view.period)}</h2>{_table(heads, rows)}"


def _groups(view: PerformanceView) -> list[str]:
    parts = []
    for grouping in view.groupings:
        heads = ((grouping.by, True), ("round trips", False), ("won %", False), ("result", False), ("mean", False),
                 ("profit factor", False), ("fees", False), ("slippage", False))
        rows = [[escape(row.name), str(row.round_trips), number(row.win_percent, 1), number(float(row.net), view.money_decimals),
                 number(None if row.mean is None else float(row.mean), view.money_decimals), number(row.profit_factor),
                 number(float(row.fees), view.money_decimals),
                 number(None if row.slippage is None else float(row.slippage), view.money_decimals)] for row in grouping.groups]
        parts.append(f"<h2>By {escape(grouping.by)}</h2>{_table(heads, rows)}")
    return parts


def _drawdowns(view: PerformanceView) -> str:
    if not view.drawdowns:
        return ""
    heads = (("depth %", False), ("began", True), ("lowest", True), ("recovered", True))
    rows = [[number(one.percent), _day(one.began_at_ns), _day(one.lowest_at_ns),
             _day(one.ended_at_ns) if one.ended_at_ns else "not yet"] for one in view.drawdowns]
    return f"<h2>Deepest drawdowns</h2>{_table(heads, rows)}"


def _trips(view: PerformanceView) -> str:
    if not view.trips:
        return ""
    heads = (("#", False), ("symbol", True), ("side", True), ("quantity", False), ("opened", True), ("closed", True),
             ("entry", False), ("exit", False), ("result", False), ("R", False), ("MAE %", False), ("MFE %", False),
             ("strategy", True), ("decision", True), ("ended by", True))
    rows = [[str(trip.number), escape(trip.symbol), trip.side, f"{trip.quantity:,.10g}", _day(trip.opened_at_ns),
             _day(trip.closed_at_ns), f"{trip.entry:,.10g}", f"{trip.exit:,.10g}",
             number(float(trip.net), view.money_decimals), number(trip.r_multiple), number(trip.mae_percent),
             number(trip.mfe_percent), escape(trip.strategy), escape(trip.decision),
             escape(trip.exit_reason)] for trip in view.trips]
    return f"<h2>Round trips{_left_out(view)}</h2>{_table(heads, rows)}"


def _left_out(view: PerformanceView) -> str:
    return f" (the newest {len(view.trips):,} of {view.trip_count:,})" if view.trip_count > len(view.trips) else ""
