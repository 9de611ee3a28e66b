"""What the record of research says, as tables or as JSON: decisions, calibration, threads, events."""

from collections.abc import Sequence
from pathlib import Path

from engine.errors import UsageError
from engine.service import (
    CalibrationView,
    CellView,
    ChangeProposed,
    DecisionDetail,
    DecisionView,
    EventsView,
    ResearchPage,
    ResearchQuery,
    ResearchQueryKind,
    ThreadView,
)
from tui.commands.link import connect, existing_home
from tui.commands.queries import NOTHING_RECORDED
from tui.formats import moment, number, plain, plain_float, texts_removed
from tui.printing import numbers, print_facts, print_json, print_note, print_table, words

NO_DATA = "no data"
MOST_DECISIONS = 1_000
PARTS_OF_RESULT = ("net", "beta", "selection", "timing", "sizing", "exit", "cost")


def page(path: Path, query: ResearchQuery) -> ResearchPage:
    """Ask the running engine, or the home's own record where none runs. Raises `UsageError`."""
    from engine.config import load_config
    from store.research_archive import ARCHIVE_FILE, ResearchArchive
    from store.research_record import StoredResearch
    from tui.compose_news import recorded_events
    from tui.folding import restored_state

    home = existing_home(path)
    if home.holder_pid() is not None:
        client = connect(home)
        try:
            return client.research_now(query)
        finally:
            client.close()
    if not home.journal.is_file():
        print_note(NOTHING_RECORDED)
        return ResearchPage()
    state, file = restored_state(home), home.path / ARCHIVE_FILE
    archive = ResearchArchive(file) if file.is_file() else None
    try:
        with recorded_events(home, load_config(home.config), state) as events:
            return StoredResearch(home.journal, lambda: state, archive, events).page(query)
    finally:
        if archive is not None:
            archive.close()


# ---- decisions ---------------------------------------------------------------------------------------------------------------


def decisions(path: Path, portfolio: str, limit: int, *, as_json: bool) -> None:
    """What research decided, the newest first."""
    found = page(path, ResearchQuery(ResearchQueryKind.DECISIONS, portfolio, limit=limit)).decisions
    if as_json:
        print_json(found)
        return
    print_decisions(found, empty="research has decided nothing yet; `quarterdeck research run` begins")


def decisions_of_run(path: Path, run_id: str) -> list[DecisionView]:
    """The decisions of one run."""
    found = page(path, ResearchQuery(ResearchQueryKind.DECISIONS, limit=MOST_DECISIONS)).decisions
    return [one for one in found if one.run_id == run_id]


def print_decisions(found: Sequence[DecisionView], *, empty: str) -> None:
    columns = (*words("id", "time (UTC)", "portfolio", "symbol", "analyst", "stance"),
               *numbers("p up", "stated", "p win", "break-even", "ev low", "ev", "days"), *words("status", "outcome", "why"))
    rows = [[one.decision_id, moment(one.at_ns), one.portfolio, one.symbol, plain(one.analyst), one.stance,
             _probability(one.p_cal), _probability(one.p_stated), _probability(one.p_win),
             _probability(one.breakeven_p if one.p_win is not None else None), plain_float(one.ev_low_bps, 1, signed=True),
             plain_float(one.ev_bps, 1, signed=True), str(one.horizon_days), one.status.value, outcome_words(one),
             plain(one.reason)] for one in found]
    print_table(columns, rows, empty=empty)


def outcome_words(one: DecisionView) -> str:
    """What became of the forecast, and whether it repeats one that counts already."""
    repeated = ", repeated" if one.repeated else ""
    if one.void:
        return f"void: {plain(one.void)}{repeated}"
    if one.up is None:
        return f"open{repeated}" if one.p_cal is not None else "-"
    won = "" if one.won is None else ", target first" if one.won else ", target missed"
    return f"{'up' if one.up else 'not up'}{won} {plain_float(one.return_bps, 0, signed=True)} bps{repeated}"


def _probability(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def decision(path: Path, decision_id: str, *, as_json: bool) -> None:
    """One decision with everything that it rests on."""
    found = page(path, ResearchQuery(ResearchQueryKind.DECISION, key=decision_id)).decision
    if found is None:
        raise UsageError(f"{decision_id}: no such decision; `quarterdeck decisions --research` lists them")
    if as_json:
        print_json(found)
        return
    print_facts(_decision_facts(found))
    rows = [[one.role, plain(one.analyst), _probability(one.p_up), one.stance or "-", one.code or "-",
             ", ".join(one.repairs) or "-", str(one.tokens_in), str(one.tokens_out), number(one.cost_usd, 4),
             str(one.latency_ms)] for one in found.answers]
    if rows:
        print()
        print_table((*words("role", "analyst"), *numbers("p up"), *words("stance", "code", "repairs"),
                     *numbers("tokens in", "out", "$", "ms")), rows, empty="")
    if found.removed_at_ns:
        print(f"\n{texts_removed(found.removed_at_ns)}")
        return
    for answer in found.answers:
        print(f"\n{answer.role} was asked:\n{_indented(answer.prompt)}\n{answer.role} said:\n{_indented(answer.raw)}")
    print(f"\nsnapshot {found.decision.snapshot_id}:\n{_indented(found.snapshot)}")


def _indented(text: str) -> str:
    """Text from outside, plain, line by line."""
    return "\n".join(f"  {plain(line)}" for line in text.splitlines()) or "  -"


def _decision_facts(found: DecisionDetail) -> list[tuple[str, str]]:
    one = found.decision
    skill = NO_DATA if one.skill_percent is None else (
        f"{plain_float(one.skill_percent, 1, signed=True)} % [{plain_float(one.skill_low_percent, 1, signed=True)}, "
        f"{plain_float(one.skill_high_percent, 1, signed=True)}]")
    worth = (f"p win {_probability(one.p_win)}, break-even {_probability(one.breakeven_p)}, EV "
             f"{plain_float(one.ev_low_bps, 1, signed=True)} to {plain_float(one.ev_bps, 1, signed=True)} bps, risk "
             f"{plain_float(one.risk_bps, 1)} bps of equity")
    said = f"{_probability(one.p_cal)} calibrated, {_probability(one.p_stated)} stated, n={one.cell_n}, skill {skill}"
    if one.probation:
        said += "; on probation: what was stated counts"
    return [
        ("decision", f"{one.decision_id} of run {one.run_id}, {moment(one.at_ns)} UTC"),
        ("portfolio", f"{one.portfolio}, thread {one.thread_id}"), ("analyst", plain(one.analyst)),
        ("stance", f"{one.stance} {one.symbol} for {one.horizon_days} trading days, from {number(one.ref_mark)}"),
        ("p up", said),
        ("worth", worth),
        ("exits", f"target {one.target_bps} bps, stop {one.stop_bps} bps"),
        ("thesis", plain(one.thesis) or "-"), ("against", plain(one.against) or "-"), ("dissent", plain(one.dissent) or "-"),
        ("flags", ", ".join(map(plain, one.flags)) or "none"), ("cuts", "; ".join(one.clamps) or "none"),
        ("status", f"{one.status.value}{f': {plain(one.reason)}' if one.reason else ''}"),
        ("pending trade", one.proposal_id or "none"), ("outcome", outcome_words(one)),
        ("cost", f"${number(one.cost_usd, 4)}, {one.latency_ms} ms")]


# ---- calibration -------------------------------------------------------------------------------------------------------------


def _calibration(path: Path) -> CalibrationView:
    found = page(path, ResearchQuery(ResearchQueryKind.CALIBRATION)).calibration
    return found if found is not None else CalibrationView((), (), (), 0)


def calibration(path: Path, *, as_json: bool) -> None:
    """Scores of each cell, reliability, and how answers had to be mended."""
    found = _calibration(path)
    if as_json:
        print_json(found)
        return
    columns = (*words("analyst", "prompts", "days", "class"),
               *numbers("n", "eff. n", "open", "void", "repeated", "brier", "log", "rel", "res", "unc", "base", "skill", "95 %",
                        "vs rules"),
               *words("map", "alarm"))
    print_table(columns, [_cell_row(cell) for cell in found.cells],
                empty="no forecast is resolved yet; each is once its horizon has passed and the nightly learning has run")
    for cell in found.cells:
        _print_bins(cell)
    if found.codes:
        print()
        rows = [[one.code, str(one.count), str(one.of), "ALARM" if one.alarm else "-"] for one in found.codes]
        print_table((*words("code"), *numbers("count", "of"), *words("alarm")), rows, empty="")
    if found.attribution:
        print()
        kinds = words("portfolio", "stance", "analyst", "event", "regime", "approved by")
        print_table((*kinds, *numbers("held", *PARTS_OF_RESULT)),
                    [[one.portfolio, one.stance, plain(one.analyst), plain(one.event_type), one.regime, one.approval,
                      str(one.positions), *(number(getattr(one, part), 2, signed=True) for part in PARTS_OF_RESULT)]
                     for one in found.attribution], empty="")
    if found.human is not None:
        print(f"\n{found.human.declined} declined: {plain_float(found.human.value_bps, 1, signed=True)} bps of equity on paper, "
              f"{plain_float(found.human.avoided_bps, 1)} avoided, {plain_float(found.human.missed_bps, 1)} missed; "
              f"{found.human.expired} expired: {plain_float(found.human.expired_bps, 1, signed=True)} bps")
    if found.changes:
        print()
        print_changes(found.changes)


def _cell_row(cell: CellView) -> list[str]:
    def figure(value: float | None, decimals: int = 4, *, signed: bool = False) -> str:
        return NO_DATA if value is None else plain_float(value, decimals, signed=signed)

    interval = "-" if cell.skill_low_percent is None else (
        f"{plain_float(cell.skill_low_percent, 1, signed=True)} to {plain_float(cell.skill_high_percent, 1, signed=True)}")
    return [plain(cell.analyst), cell.prompt_version, cell.horizon, cell.asset_class, str(cell.n), figure(cell.effective_n, 0),
            str(cell.open), str(cell.void), str(cell.repeated), figure(cell.brier), figure(cell.log_score),
            figure(cell.reliability), figure(cell.resolution), figure(cell.uncertainty), figure(cell.base_rate, 3),
            figure(cell.skill_percent, 1, signed=True), interval, figure(cell.skill_rules_percent, 1, signed=True),
            plain(cell.map_text) or "none", plain(cell.alarm) or "-"]


def _print_bins(cell: CellView) -> None:
    rows = [[f"{one.low:.1f} to {one.high:.1f}", str(one.n), f"{one.mean_p:.3f}", f"{one.rate:.3f}",
             f"{one.rate_low:.3f} to {one.rate_high:.3f}", "few" if one.hollow else "-"] for one in cell.bins if one.n]
    if rows:
        print(f"\n{plain(cell.analyst)}, {cell.horizon} days, {cell.asset_class}:")
        print_table((*words("stated"), *numbers("n", "mean", "came true", "95 %"), *words("note")), rows, empty="")


def changes(path: Path, *, as_json: bool) -> None:
    """Changes that the nightly learning proposes."""
    found = _calibration(path).changes
    if as_json:
        print_json(found)
        return
    print_changes(found)


def print_changes(found: Sequence[ChangeProposed]) -> None:
    rows = [[one.change_id, moment(one.at_ns), one.parameter, one.before, one.after, one.status, plain(one.evidence)]
            for one in found]
    print_table(words("change", "time (UTC)", "parameter", "now", "proposed", "status", "evidence"), rows,
                empty="no change is proposed")


# ---- threads and events --------------------------------------------------------------------------------------------------------


def threads(path: Path, portfolio: str, *, as_json: bool) -> None:
    """Each portfolio's digest of the last seven days."""
    found: Sequence[ThreadView] = page(path, ResearchQuery(ResearchQueryKind.THREADS, portfolio)).threads
    if as_json:
        print_json(found)
        return
    for one in found:
        print(f"{one.thread_id} ({one.portfolio}, {one.kind})\n{_indented(one.digest)}\n")
    if not found:
        print("no thread has begun yet; a run of research begins one")


def events(path: Path, day: str, portfolio: str, *, as_json: bool) -> None:
    """The events of a day, whom they concern, what may follow."""
    found = page(path, ResearchQuery(ResearchQueryKind.EVENTS, portfolio, day)).events
    found = found if found is not None else EventsView(day, (), (), (), ())
    if as_json:
        print_json(found)
        return
    rows = [[moment(one.known_at_ns), one.kind, ", ".join(one.symbols) or "-", one.direction or "-",
             plain_float(one.surprise, 1, signed=True), plain(one.source), plain(one.analyst) or "rules",
             f"WITHHELD: {one.flag}" if one.flag else plain(one.quote)]
            for one in found.notes]
    columns = (*words("known (UTC)", "kind", "names", "direction"), *numbers("surprise"), *words("source", "read by", "text"))
    print_table(columns, rows,
                empty=f"no event is known{f' of {found.day}' if found.day else ''}")
    impacts = [[one.symbol, "held" if one.held else "watched", plain(one.path), str(one.hops),
                "no history" if one.impact_bps is None else plain_float(one.impact_bps, 0, signed=True),
                plain_float(one.realised_bps, 0, signed=True), str(one.history_n), _probability(one.conviction)]
               for one in found.impacts]
    if impacts:
        print()
        print_table((*words("name", "is", "by way of"), *numbers("hops", "impact bps", "came bps", "n", "conviction")), impacts,
                    empty="")
    for line in (*found.clusters, *found.sources):
        print(plain(line))
