"""Research as lines: who answers and what it comes to, how good forecasts were, what is remembered, what happened. Texts from
outside are plain text; marks and words say what colours say."""

from collections.abc import Sequence

from engine.service import (
    BinView,
    CalibrationView,
    CellView,
    ChangeProposed,
    DecisionDetail,
    DecisionView,
    EventsView,
    ResearchView,
    RoleProgress,
    RunView,
    ThreadView,
)
from tui.formats import moment, number, plain, plain_float, texts_removed
from tui.panes.research_line import ROLE_MARKS, outcome_words
from tui.widgets.columns import shortened
from tui.widgets.fact_list import wrapped

type Line = list[tuple[str, str]]

LABEL = 16
NO_DATA = "no data"
PLOT_ROWS, PLOT_CELLS, AXIS = 11, 41, 6
LEAST_BESIDE = 105
PARTS_OF_RESULT, KIND = ("net", "beta", "selection", "timing", "sizing", "exit", "cost"), 40
REFERENCES = "for comparison: 0.2500 is a coin, 0.2000 is close to out of reach for directions; what counts is the skill"


def pair(label: str, text: str, tone: str = "") -> Line:
    """A label and what there is to say."""
    return [(f"{label:{LABEL}}", "muted"), (text, tone)]


def wrapped_pair(label: str, text: str, width: int, tone: str = "", most: int = 9) -> list[Line]:
    """The same for a text that may need several lines; none where there is nothing to say."""
    pieces = wrapped(text, width - LABEL)[:most] if text else []
    return [pair("" if place else label, piece, tone) for place, piece in enumerate(pieces)]


# ---- now -----------------------------------------------------------------------------------------------------------


def now_lines(view: ResearchView, width: int) -> list[Line]:
    """Who answers, what research may do and why not more, what it may still spend, and the run under way."""
    acts = pair("acts as", view.acts_as, "strong" if not view.fallback else "warn")
    lines = [
        pair("analyst", plain(view.badge), "strong"), *([pair("asked at", plain(view.host))] if view.host else []),
        pair("automation", view.automation), acts,
        *wrapped_pair("because", view.fallback, width, "warn"),
        pair("aggressiveness", f"{view.aggressiveness} of 3"),
        pair("spent today", f"${number(view.spent_usd, 4)} of ${number(view.day_budget_usd, 2)}"),
        *([pair("models", f"left alone until {view.breaker} UTC: the rules answer", "warn")] if view.breaker else []),
        pair("open forecasts", str(view.open_forecasts))]
    if view.run is not None:
        lines += [[], *run_lines(view.run, width)]
    if view.conditions:
        lines += [[], [("What auto_execute asks for", "head")]]
        lines += [[("✓ " if one.holds else "✗ ", "good" if one.holds else "warn"), (f"{plain(one.name):<24}", ""),
                   (plain(one.value), "" if one.holds else "strong"), (f"  (needed: {plain(one.asked)})", "muted")]
                  for one in view.conditions]
    return lines


def run_lines(run: RunView, width: int) -> list[Line]:
    """The run under way, a line a role; or how the last one ended."""
    state = "ended" if run.ended_at_ns else f"{run.done} of {len(run.symbols) or '?'} done"
    told = f"{run.run_id}, by {run.cause}, begun {moment(run.begun_at_ns)} UTC, {state}, ${number(run.cost_usd, 4)}"
    lines: list[Line] = [[("Run " if not place else "    ", "head"), (piece, "muted")]
                         for place, piece in enumerate(wrapped(told, width - len("Run ")))]
    if run.symbol and not run.ended_at_ns:
        lines.append(pair("looks at", plain(run.symbol), "strong"))
    lines += [_role_line(one) for one in run.roles]
    return [*lines, *wrapped_pair("it says", run.text, width)]


def _role_line(one: RoleProgress) -> Line:
    said = f"p up {100 * one.p_up:.0f} %" if one.p_up is not None else plain(one.code)
    heard = f"{one.characters:,} characters" if one.characters else ""
    return [(f"  {ROLE_MARKS.get(one.state, '?')} ", "warn" if one.state == "failed" else ""), (f"{plain(one.role):<14}", ""),
            (f"{one.state:<12}", "muted"), (f"{said:<18}", "strong"), (heard, "muted")]


# ---- decisions -----------------------------------------------------------------------------------------------------


def probability(value: float | None) -> str:
    return NO_DATA if value is None else f"{100 * value:.1f} %"


def skill_words(view: DecisionView) -> str:
    """How good the cell of a decision has been, with its interval."""
    if view.skill_percent is None:
        return f"n={view.cell_n}, skill {NO_DATA}"
    return (f"n={view.cell_n}, skill {plain_float(view.skill_percent, 1, signed=True)} % "
            f"[{plain_float(view.skill_low_percent, 1, signed=True)}, {plain_float(view.skill_high_percent, 1, signed=True)}]")


def decision_lines(view: DecisionView, width: int) -> list[Line]:
    """A decision in short: what was said, what it is worth, what became of it."""
    stated = f", {probability(view.p_stated)} stated" if view.p_stated is not None else ""
    probation = [pair("", "on probation: what was stated counts, at the smallest risk", "warn")] if view.probation else []
    won = f"p win {probability(view.p_win)}, " if view.p_win is not None else ""
    lines = [
        *wrapped_pair("p up", f"{probability(view.p_cal)} calibrated{stated}; {skill_words(view)}", width), *probation,
        *wrapped_pair("worth", f"{won}break-even {probability(view.breakeven_p)}, EV "
                      f"{plain_float(view.ev_low_bps, 1, signed=True)} to {plain_float(view.ev_bps, 1, signed=True)} bps", width),
        pair("exits", f"from {number(view.ref_mark)}, target {view.target_bps} bps, stop {view.stop_bps} bps, "
                      f"{view.horizon_days} trading days"),
        pair("status", f"{view.status.value}, forecast {outcome_words(view)}", "strong")]
    for label, text in (("why not", view.reason), ("thesis", view.thesis), ("against", view.against), ("dissent", view.dissent),
                        ("flags", ", ".join(view.flags)), ("cut", "; ".join(view.clamps))):
        lines += wrapped_pair(label, text, width, "warn" if label == "flags" else "", most=3)
    return lines


def detail_lines(detail: DecisionDetail, width: int) -> list[Line]:
    """Everything that a decision rests on: each voice, what it was asked and said, and the snapshot."""
    lines = [*decision_lines(detail.decision, width), [], [("Voices", "head")]]
    for one in detail.answers:
        said = plain(one.code or one.stance or "-")
        cost = f"{plain(one.analyst)}, {one.tokens_in} in, {one.tokens_out} out, ${number(one.cost_usd, 4)}, {one.latency_ms} ms"
        lines.append([(f"  {plain(one.role):<14}", ""), (f"{probability(one.p_up):>9}  ", "strong"), (f"{said:<14}", ""),
                      (cost, "muted")])
    if detail.removed_at_ns:
        return [*lines, [], *([(piece, "muted")] for piece in wrapped(texts_removed(detail.removed_at_ns), width))]
    for one in detail.answers:
        for head, text in ((f"{one.role} was asked", one.prompt), (f"{one.role} said", one.raw)):
            if text:
                lines += [[], [(head, "head")], *_text_lines(text, width)]
    return [*lines, [], [(f"Snapshot {detail.decision.snapshot_id[:24]}", "head")], *_text_lines(detail.snapshot, width)]


def _text_lines(text: str, width: int) -> list[Line]:
    """Text from outside as it is, without what could draw."""
    return [[(piece, "")] for line in text.splitlines() for piece in (wrapped(plain(line), width) or [""])]


# ---- calibration ---------------------------------------------------------------------------------------------------


def calibration_lines(view: CalibrationView, width: int) -> list[Line]:
    """Each cell's scores and its reliability plot; how answers had to be mended; changes for a person to decide."""
    lines: list[Line] = []
    if not view.cells:
        lines += [[("No forecast is resolved yet.", "")],
                  [("Each is, once its horizon has passed; the nightly learning scores them.", "muted")]]
    for cell in view.cells:
        lines += [*cell_lines(cell, width), []]
    if view.cells:
        lines.append([(shortened(REFERENCES, width), "muted")])
    if view.codes:
        lines += [[], [("Answers that had to be mended or left out", "head")]]
        lines += [[(f"  {plain(one.code):<28}{one.count:>5} of {one.of}", ""), ("  ALARM" if one.alarm else "", "crit")]
                  for one in view.codes]
    return [*lines, *result_lines(view, width), *change_lines(view.changes, width)]


def cell_lines(cell: CellView, width: int) -> list[Line]:
    """The scores of a cell beside its plot."""
    def figure(value: float | None, decimals: int = 4) -> str:
        return NO_DATA if value is None else plain_float(value, decimals)

    skill = NO_DATA if cell.skill_percent is None else (
        f"{plain_float(cell.skill_percent, 1, signed=True)} % [{plain_float(cell.skill_low_percent, 1, signed=True)}, "
        f"{plain_float(cell.skill_high_percent, 1, signed=True)}]")
    effective = f" ({plain_float(cell.effective_n, 0)} in effect)" if cell.effective_n is not None else ""
    repeated = f", {cell.repeated} repeated" if cell.repeated else ""
    facts: list[tuple[str, str, str]] = [
        ("resolved", f"{cell.n}{effective}, {cell.open} open, {cell.void} void{repeated}", ""),
        ("Brier", f"{figure(cell.brier)}  log {figure(cell.log_score)}", ""),
        ("of it", f"REL {figure(cell.reliability)} RES {figure(cell.resolution)} UNC {figure(cell.uncertainty)}", "muted"),
        ("skill", skill, "strong"),
        ("against rules", NO_DATA if cell.skill_rules_percent is None
         else f"{plain_float(cell.skill_rules_percent, 1, signed=True)} %", ""),
        ("base rate", f"{figure(cell.base_rate, 3)}, mean p {figure(cell.mean_p, 3)}", ""),
        ("round numbers", NO_DATA if cell.multiples_of_five_percent is None
         else f"{cell.multiples_of_five_percent:.0f} % on multiples of 5", "muted"),
        ("map", plain(cell.map_text) or "none", ""), *([("ALARM", plain(cell.alarm), "crit")] if cell.alarm else [])]
    head: Line = [(f"{plain(cell.analyst)}, {cell.horizon} days, {cell.asset_class}", "head"),
                  (f"  prompts {plain(cell.prompt_version)}", "muted")]
    plot = plot_lines(cell.bins) if cell.n else []
    left = width - PLOT_CELLS - AXIS if plot and width >= LEAST_BESIDE else width
    beside = [[(f"{label:{LABEL}}", "muted"), (shortened(text, left - LABEL).rstrip(), tone)] for label, text, tone in facts]
    if left == width:
        return [head, *beside, *plot]
    rows: list[Line] = [head]
    for place in range(max(len(beside), len(plot))):
        line: Line = list(beside[place]) if place < len(beside) else []
        used = sum(len(text) for text, _ in line)
        rows.append([*line, (" " * max(1, left - used), ""), *(plot[place] if place < len(plot) else [])])
    return rows


def plot_lines(bins: Sequence[BinView]) -> list[Line]:
    """Stated (across) against came true (up): the diagonal is perfect; ● has enough forecasts, ○ under ten, │ is the interval."""
    cells = [[" "] * PLOT_CELLS for _ in range(PLOT_ROWS)]
    for column in range(PLOT_CELLS):
        cells[_row(column / (PLOT_CELLS - 1))][column] = "·"
    for one in bins:
        if not one.n:
            continue
        column = round(one.mean_p * (PLOT_CELLS - 1))
        for row in range(_row(one.rate_high), _row(one.rate_low) + 1):
            cells[row][column] = "│"
        cells[_row(one.rate)][column] = "○" if one.hollow else "●"
    lines: list[Line] = []
    for place, drawn in enumerate(cells):
        label = {0: "100%", PLOT_ROWS // 2: " 50%", PLOT_ROWS - 1: "  0%"}.get(place, "    ")
        lines.append([(f"{label} ", "muted"), ("".join(drawn), "")])
    return [*lines, [("     " + "0% stated".ljust(PLOT_CELLS // 2) + "50%".ljust(PLOT_CELLS // 2 - 3) + "100%", "muted")]]


def _row(rate: float) -> int:
    return PLOT_ROWS - 1 - round(min(1.0, max(0.0, rate)) * (PLOT_ROWS - 1))


def result_lines(view: CalibrationView, width: int) -> list[Line]:
    """Where the results of each kind of decision came from, and what saying no was worth."""
    lines: list[Line] = []
    if view.attribution:
        wide = width >= LEAST_BESIDE
        parts = PARTS_OF_RESULT if wide else PARTS_OF_RESULT[:1]
        kind_cells = width - 11 * len(parts) if not wide else KIND
        lines += [[], [("Where results came from", "head")],
                  [(" " * kind_cells + "".join(f"{name:>11}" for name in parts), "muted")]]
        for one in view.attribution:
            kind = " ".join(map(plain, (one.stance, one.analyst, one.event_type, one.regime, one.approval)))
            figures = "".join(f"{number(getattr(one, name), 2, signed=True):>11}" for name in parts)
            lines.append([(shortened(f"{kind} ({one.positions})", kind_cells), ""), (figures, "")])
    if view.human is not None:
        told = (f"{view.human.declined} declined: {plain_float(view.human.value_bps, 1, signed=True)} bps of equity, "
                f"{plain_float(view.human.avoided_bps, 1)} avoided, {plain_float(view.human.missed_bps, 1)} missed; "
                f"{view.human.expired} expired: {plain_float(view.human.expired_bps, 1, signed=True)} bps")
        lines += [[], *wrapped_pair("saying no", told, width)]
    return lines


def change_lines(changes: Sequence[ChangeProposed], width: int) -> list[Line]:
    """What the nightly learning found better; a person applies it or not."""
    if not changes:
        return []
    lines: list[Line] = [[], [("Changes proposed", "head")]]
    for one in changes:
        lines.append([(f"  {plain(one.parameter)}: ", ""), (f"{plain(one.before)} → {plain(one.after)}", "strong"),
                      (f"  {one.status}, {moment(one.at_ns)} UTC", "muted")])
        lines += [[("    ", ""), (text, "muted")] for text in wrapped(plain(one.evidence), width - 4)[:3]]
    return lines


# ---- threads and events --------------------------------------------------------------------------------------------


def thread_lines(threads: Sequence[ThreadView], width: int) -> list[Line]:
    """Each thread's digest of seven days, as models are shown it."""
    if not threads:
        return [[("No thread has begun yet; a run of research begins one.", "")]]
    lines: list[Line] = []
    for one in threads:
        lines += [[(f"{plain(one.thread_id)}", "head"), (f"  {plain(one.kind)} of {plain(one.portfolio)}", "muted")],
                  *_text_lines(one.digest, width), []]
    return lines


def event_lines(view: EventsView, width: int) -> list[Line]:
    """What happened, whom it concerns, what may follow, and how the sources are."""
    lines: list[Line] = [[(f"Events of {plain(view.day) or 'today'}", "head")]]
    if not view.notes:
        lines.append([("Nothing is known. [[news]] sections of the configuration name sources: feeds, calendars.", "")])
    for note in view.notes:
        names = plain(", ".join(note.symbols)) or "-"
        surprise = f" surprise {plain_float(note.surprise, 1, signed=True)}" if note.surprise is not None else ""
        text = f"WITHHELD ({plain(note.flag)})" if note.flag else plain(note.quote)
        lines.append([(f"{moment(note.known_at_ns)[5:16]} ", "muted"), (f"{plain(note.kind)} ", "strong"),
                      (f"{names} {plain(note.direction)}{surprise}", "")])
        lines += [[("            ", ""), (piece, "warn" if note.flag else "")] for piece in wrapped(text, width - 12)[:2]]
        by = f", read by {plain(note.analyst)}" if note.analyst else ""
        lines.append([("            ", ""), (f"{plain(note.source)}{by}", "muted")])
    if view.impacts:
        lines += [[], [("Whom it concerns", "head")]]
        for one in view.impacts:
            impact = "no history" if one.impact_bps is None else f"{plain_float(one.impact_bps, 0, signed=True)} bps"
            lines.append([(f"  {'●' if one.held else '○'} {plain(one.symbol):<12}", "strong"), (f"{impact:>12}", ""),
                          ("" if one.realised_bps is None else f"  came {plain_float(one.realised_bps, 0, signed=True)}", ""),
                          (f"  n={one.history_n:<4} {plain(one.path)}", "muted")])
        lines.append([("  ● held  ○ watched", "muted")])
    for head, texts in (("To watch", view.clusters), ("Sources", view.sources)):
        if texts:
            lines += [[], [(head, "head")]]
            lines += [[("  ", ""), (piece, "")] for text in texts for piece in wrapped(plain(text), width - 2)]
    return lines
