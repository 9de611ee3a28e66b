"""Research at work: runs begin and end, what they decide is sealed before anything comes of it, and a person's word on what the
nightly learning found. Nothing here places an order: what passes its gates becomes a want like any other."""

from hashlib import sha256

import msgspec

from engine.decide import research_gates
from engine.effects import EndResearch, PerformLearning, PerformResearch
from engine.inputs import (
    ApplyResearchChange,
    LearningEnded,
    RejectResearchChange,
    ReleaseResearchAlarm,
    ResearchDecided,
    ResearchEnded,
    RunResearch,
    StopResearch,
)
from engine.instruments import ALWAYS_OPEN, AssetClass, Instrument
from engine.research.decided import Cell, Decided, Forecast, ResearchCause
from engine.research.opinions import Stance
from engine.research.resolution import Window, window_of
from engine.research_events import (
    CalibrationLearned,
    DecisionSealed,
    ResearchAlarmReleased,
    ResearchAlarmSet,
    ResearchBegun,
    ResearchChangeSettled,
    ResearchFinished,
)
from engine.research_state import MOST_OPEN, ResearchRun, cell_of
from engine.research_words import CalibrationView, ChangeProposed
from engine.service import AlertLevel, Refusal
from engine.trading_hours import FAR_FUTURE_NS
from engine.turn import Turn
from engine.units import NS_PER_SECOND, seconds_to_ns
from engine.want import resolve

CODE = "research"
SHARES_CALENDAR = "XNYS"
EVENT_SPACING_NS = 900 * NS_PER_SECOND
SLACK_SECONDS = 60.0
LONGEST_TEXT = 300
RECORDED = "told by a recording: it counted when it was made, and nothing comes of it again"
CUT_SHORT = "the engine ended before the run did"
SIDES = {Stance.LONG: 1, Stance.SHORT: -1}

_encoder = msgspec.json.Encoder(order="deterministic")


# ---- runs ----------------------------------------------------------------------------------------------------------------


def run(turn: Turn, command: RunResearch) -> None:
    """Begin a run that somebody asks for."""
    asked = ResearchRun("", command.portfolio, command.cause, command.symbols, replay=command.replay,
                        note=command.note[:LONGEST_TEXT], by=command.by)
    begun = begin(turn, asked, command.command_id)
    if isinstance(begun, Refusal):
        turn.refuse(command.command_id, f"research in {command.portfolio}", begun)
        return
    what = ", ".join(begun.symbols) if begun.symbols else "what a scan chooses"
    turn.accept(command.command_id, f"run {begun.run_id} looks into {what}")


def begin(turn: Turn, asked: ResearchRun, command_id: str = "") -> ResearchRun | Refusal:
    """Record a run and hand it to the desk; or why there is none now."""
    refusal = _unable(turn, asked)
    if refusal is not None:
        return refusal
    begun = msgspec.structs.replace(asked, run_id=f"r{turn.next_id()}")
    turn.emit(ResearchBegun(begun, command_id))
    turn.effects.append(PerformResearch(turn.state.research.of(begun.portfolio).run or begun))
    return begun


def _unable(turn: Turn, asked: ResearchRun) -> Refusal | None:
    if not turn.state.settings.research.enabled:
        return Refusal("research", "enabled", "disabled", "research is switched off; set enabled = true under [research]")
    if asked.portfolio not in turn.state.portfolios:
        return Refusal("portfolio", ", ".join(turn.state.portfolios), asked.portfolio,
                       f"there is no portfolio called {asked.portfolio!r}")
    known = turn.state.research.of(asked.portfolio)
    if known.run is not None and known.run.under_way:
        return Refusal("run", "one at a time", known.run.run_id, f"{known.run.run_id} is still under way in {asked.portfolio}")
    found = (resolve(turn.state, symbol, asked.portfolio) for symbol in asked.symbols)
    refusal = next((one for one in found if isinstance(one, Refusal)), None)
    if refusal is not None:
        return refusal
    if asked.cause is ResearchCause.EVENT and known.event_run_ns and turn.at_ns - known.event_run_ns < EVENT_SPACING_NS:
        ago = f"{(turn.at_ns - known.event_run_ns) // NS_PER_SECOND} s ago"
        return Refusal("spacing", "one run by events in a quarter of an hour", ago, f"an event began a run {ago}")
    return None


def stop(turn: Turn, command: StopResearch) -> None:
    """Leave a run as it is."""
    known = turn.state.research.of(command.portfolio).run
    if known is None or not known.under_way:
        turn.refuse(command.command_id, f"stop research in {command.portfolio}", Refusal(
            "run", "a run under way", "none", f"no run is under way in {command.portfolio}"))
        return
    _finish(turn, known, f"stopped by {command.by}", cost_micro_usd=_sealed_cost(turn, known))
    turn.effects.append(EndResearch(known.run_id))
    turn.accept(command.command_id, f"{known.run_id} is stopped")


def cut_short(turn: Turn, cause: str = CUT_SHORT) -> None:
    """Runs under way are over: the engine stops, or ended before it could say so."""
    for known in turn.state.research.portfolios.values():
        if known.run is not None and known.run.under_way:
            _finish(turn, known.run, cause, cost_micro_usd=_sealed_cost(turn, known.run))


def ended(turn: Turn, end: ResearchEnded) -> None:
    """The desk is done with a run; the end of another run than those under way says nothing."""
    known = _under_way(turn, end.run_id)
    if known is None:
        return
    _finish(turn, known, end.failure[:LONGEST_TEXT], end.text[:LONGEST_TEXT], end.cost_micro_usd)
    if end.failure:
        turn.alert(AlertLevel.WARN, CODE, known.portfolio, f"a run failed: {end.failure[:LONGEST_TEXT]}")


def _finish(turn: Turn, known: ResearchRun, failure: str, text: str = "", cost_micro_usd: int = 0) -> None:
    turn.emit(ResearchFinished(known.run_id, known.portfolio, failure, text, max(0, cost_micro_usd)))


def _sealed_cost(turn: Turn, known: ResearchRun) -> int:
    """What the decisions of a run cost so far: all that is known of one that nobody tells the end of."""
    return sum(max(0, sealed.decided.cost_micro_usd) for sealed in turn.state.research.decisions.values()
               if sealed.decided.run_id == known.run_id)


def _under_way(turn: Turn, run_id: str) -> ResearchRun | None:
    runs = (known.run for known in turn.state.research.portfolios.values())
    return next((one for one in runs if one is not None and one.run_id == run_id and one.under_way), None)


# ---- decisions -----------------------------------------------------------------------------------------------------------


def decided(turn: Turn, told: ResearchDecided) -> None:
    """Seal what a run came to, then let each decision through its gates; what comes twice, or from no run under way, is not
    taken a second time."""
    known = _under_way(turn, told.run_id)
    if known is None:
        return
    for one in told.decided:
        instrument = turn.state.instruments.get(one.instrument_id)
        strange = instrument is None or one.portfolio != known.portfolio or one.run_id != known.run_id \
            or not _was_asked(turn, known, one)
        if strange or instrument is None:
            turn.alert(AlertLevel.ERROR, CODE, known.portfolio, f"{known.run_id} decided on what it was not asked: "
                       f"{one.symbol[:LONGEST_TEXT]}; it is left out")
            continue
        if one.decision_id in turn.state.research.decisions:
            continue
        _seal(turn, known, one, instrument)
        if not turn.state.research.decisions[one.decision_id].reason:
            research_gates.pass_on(turn, known, one, instrument)


def _was_asked(turn: Turn, known: ResearchRun, one: Decided) -> bool:
    """Whether the decision is on an instrument of the run, under the name that it has here."""
    found = resolve(turn.state, one.instrument_id, known.portfolio)
    if not isinstance(found, Instrument) or found.symbol != one.symbol:
        return False
    asked = [resolve(turn.state, symbol, known.portfolio) for symbol in known.symbols]
    return not asked or any(isinstance(each, Instrument) and each.instrument_id == one.instrument_id for each in asked)


def _seal(turn: Turn, known: ResearchRun, one: Decided, instrument: Instrument) -> None:
    """One row of the chain. A forecast that comes too late, or out of a recording, is in the record and never scored."""
    window, refused = None, RECORDED if known.replay else ""
    if one.worth is not None and not refused:
        refused = _unscorable(turn, one)
        if not refused:
            window = _window(turn, one, instrument)
            if window.ends_ns >= FAR_FUTURE_NS:
                window, refused = None, "the hours of its market are not known"
    previous = turn.state.research.seal
    turn.emit(DecisionSealed(one, previous, seal_of(previous, one, window, refused), window, refused))


def seal_of(previous: str, one: Decided, window: Window | None, refused: str) -> str:
    """The link of the chain for a decision: everything of it, and the link before."""
    return sha256(previous.encode() + _encoder.encode((one, window, refused))).hexdigest()


def _unscorable(turn: Turn, one: Decided) -> str:
    """Why a stated forecast is not opened: it must be sealed before its window opens, which is at once."""
    latest_ns = seconds_to_ns(2 * turn.state.settings.research.deadlines.cycle_seconds + SLACK_SECONDS)
    if one.as_of_ns > turn.at_ns:
        return "it is from the future"
    if turn.at_ns - one.as_of_ns > latest_ns:
        return f"sealed {(turn.at_ns - one.as_of_ns) // NS_PER_SECOND} s after its snapshot: too late to be scored"
    if len(turn.state.research.open) >= MOST_OPEN:
        return f"{MOST_OPEN} forecasts are open already"
    return "" if one.ref_mark > 0 else "it has no mark to be measured by"


def calendar_of(instrument: Instrument) -> str:
    """Whose days a horizon counts. A share that is told to trade always comes from a recording, which knows no exchange: its days
    are New York's, since at weekends it has no close to be measured by."""
    recorded_share = instrument.asset_class is AssetClass.EQUITY and instrument.session == ALWAYS_OPEN
    return SHARES_CALENDAR if recorded_share else instrument.session


def _window(turn: Turn, one: Decided, instrument: Instrument) -> Window:
    assert one.worth is not None
    worth, side = one.worth, SIDES.get(one.stance, 0)
    forecast = Forecast(
        one.decision_id, one.portfolio, cell_of(one), one.as_of_ns, worth.p_agg, worth.p_cal, worth.p_win_agg,
        snapshot_id=one.snapshot_id, horizon_days=one.horizon_days, side=side, cost_bps=worth.cost_bps,
        breakeven_p=worth.breakeven_p if side else None,
        said=tuple((answer.analyst, answer.p_up) for answer in one.answers
                   if answer.role.startswith("judge") and answer.p_up is not None))
    return window_of(forecast, one.instrument_id, calendar_of(instrument), float(one.ref_mark / instrument.tick_size),
                     one.target_bps, one.stop_bps, turn.market.session_bounds)


# ---- learning ------------------------------------------------------------------------------------------------------------


def learn(turn: Turn, run_id: str) -> None:
    """Have the resolved forecasts looked at."""
    turn.effects.append(PerformLearning(run_id))


def learned(turn: Turn, end: LearningEnded) -> None:
    """Take over what was found; an alarm lowers the level of every portfolio whose decisions it is about."""
    if end.failure:
        turn.alert(AlertLevel.ERROR, CODE, "learning", end.failure[:LONGEST_TEXT])
        return
    turn.emit(CalibrationLearned(end.run_id, end.through_seq, _with_settled(turn, end), end.maps))
    alarms = {cell.cell: cell.alarm for cell in end.maps if cell.alarm}
    for portfolio in turn.state.portfolios:
        known, own = turn.state.research.of(portfolio), _cells_of(turn, portfolio)
        told = [f"{cell.analyst} {cell.horizon} {cell.asset_class}: {text}" for cell, text in alarms.items() if cell in own]
        text = "; ".join(told)[:LONGEST_TEXT]
        if text and text not in (known.alarm, known.released):
            turn.emit(ResearchAlarmSet(portfolio, text))
            turn.alert(AlertLevel.ERROR, "degraded", portfolio, f"its forecasts became worse: {text}; it acts one level lower")


def _cells_of(turn: Turn, portfolio: str) -> frozenset[Cell]:
    """What a portfolio is scored in: by its newest decisions, and by open forecasts whose decisions newer ones pushed out. The
    rules beside models are only what those have to beat."""
    research = turn.state.research
    still_open = (known.window.forecast for known in research.open.values())
    cells = (*(cell_of(one.decided) for one in research.decisions.values() if one.decided.portfolio == portfolio),
             *(one.cell for one in still_open if one.portfolio == portfolio))
    return frozenset(cell for cell in cells if not research_gates.stands_in(turn, cell))


def _with_settled(turn: Turn, end: LearningEnded) -> CalibrationView:
    """What was learned, with the changes that a person has settled already left as they are."""
    settled = {one.change_id: one for one in turn.state.research.learned.changes if one.status != "proposed"}
    changes = tuple(settled.get(one.change_id, one) for one in end.learned.changes)
    return msgspec.structs.replace(end.learned, changes=changes, computed_at_ns=turn.at_ns)


def apply_change(turn: Turn, command: ApplyResearchChange) -> None:
    _settle_change(turn, command.command_id, command.change_id, command.by, applied=True)


def reject_change(turn: Turn, command: RejectResearchChange) -> None:
    _settle_change(turn, command.command_id, command.change_id, command.by, applied=False, reason=command.reason)


def _settle_change(turn: Turn, command_id: str, change_id: str, by: str, *, applied: bool, reason: str = "") -> None:
    change = _proposed(turn, change_id)
    if change is None:
        ids = ", ".join(one.change_id for one in turn.state.research.learned.changes if one.status == "proposed") or "none"
        turn.refuse(command_id, f"change {change_id}", Refusal(
            "change", ids, change_id, f"no change {change_id!r} waits for an answer; there is: {ids}"))
        return
    turn.emit(ResearchChangeSettled(change_id, change.parameter, change.after, applied, by, reason[:LONGEST_TEXT], command_id))
    what = f"{change.parameter} is {change.after} from now on" if applied else f"{change.parameter} stays {change.before}"
    turn.accept(command_id, what)


def _proposed(turn: Turn, change_id: str) -> ChangeProposed | None:
    return next((one for one in turn.state.research.learned.changes
                 if one.change_id == change_id and one.status == "proposed"), None)


def release_alarm(turn: Turn, command: ReleaseResearchAlarm) -> None:
    """A person lets a portfolio act on its level again."""
    known = turn.state.research.of(command.portfolio)
    if not known.alarm:
        turn.refuse(command.command_id, f"release research in {command.portfolio}", Refusal(
            "alarm", "a degradation alarm", "none", f"{command.portfolio} has no degradation alarm"))
        return
    turn.emit(ResearchAlarmReleased(command.portfolio, command.by, command.reason[:LONGEST_TEXT], command.command_id))
    turn.accept(command.command_id, f"{command.portfolio} acts on its research again")
