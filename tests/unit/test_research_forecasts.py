"""Open forecasts against closed bars: live, after a restart, over a split, and what the learning and its alarms make of them."""

from typing import Any

import msgspec
import pytest

from engine.alert_language import parse_actions, parse_condition
from engine.alert_rules import AlertRule
from engine.alert_text import actions_text, condition_text
from engine.effects import PerformLearning, PerformResearch, RecallDays
from engine.errors import UsageError
from engine.events import PositionSplit
from engine.inputs import (
    ApplyResearchChange,
    AutomationLevel,
    Bar,
    DaysRecalled,
    EngineStarted,
    LearningEnded,
    RejectResearchChange,
    ReleaseResearchAlarm,
    RunJob,
    SetAlertRule,
)
from engine.lifecycle import model_calibration
from engine.research.decided import ResearchCause
from engine.research.parameters import parameters_of
from engine.research.settings import ModelLine
from engine.research_events import CalibrationLearned, ForecastAdjusted, ForecastResolved, ForecastTouched
from engine.research_words import CalibrationView, CellView, ChangeProposed, DecisionStatus
from engine.schedule_words import Job, JobKind
from tests.unit.engine_desk import COIN_ID, Desk, fold, rows_of, settings_of
from tests.unit.research_runs import DAY_NS, LIMITS, PROVEN, begun, day_bar, decided_on, desk_of, tell

OTHER_ID = "OTHER@paper"


def open_one(desk: Desk, **more: Any) -> str:
    """An open forecast of COIN over two days after the one it was made in; its id."""
    (sealed,) = tell(desk, decided_on(desk, begun(desk), **more))
    key = sealed.decided.decision_id
    assert desk.state.research.open[key].window.ends_ns == (desk.at_ns // DAY_NS + 3) * DAY_NS
    return key


def show(desk: Desk, *bars: Bar) -> None:
    """Bars close, each at its time."""
    for bar in bars:
        desk.at_ns = max(desk.at_ns, bar.close_ns)
        desk.take(bar)


@pytest.mark.parametrize(("closes", "up", "won", "bps"), [
    ((10_050, 10_100, 10_120), 1, 1, 120.0), ((9_990, 9_985, 9_980), 0, 0, -20.0), ((10_000, 10_000, 10_000), 0, 0, 0.0)])
def test_a_forecast_is_told_by_the_close_of_its_last_day(closes: tuple[int, ...], up: int, won: int, bps: float) -> None:
    desk = desk_of(AutomationLevel.MONITOR_ONLY)
    key = open_one(desk)
    bars = [day_bar(desk, day, close) for day, close in enumerate(closes)]
    show(desk, *bars[:2])
    assert key in desk.state.research.open
    show(desk, bars[2])
    kept = desk.state.research.decisions[key]
    assert kept.outcome is not None and kept.status is DecisionStatus.RESOLVED
    assert (kept.outcome.up, kept.outcome.won) == (up, won)
    assert kept.outcome.return_bps == pytest.approx(bps)
    assert (desk.state.research.open, desk.state.research.index) == ({}, {})
    assert fold(rows_of(desk)) == desk.state


def test_the_first_touch_counts_and_a_bar_that_reached_both_is_the_stop() -> None:
    desk = desk_of(AutomationLevel.MONITOR_ONLY)
    key = open_one(desk)
    days = [day_bar(desk, 0, 10_000, high=11_000, low=9_000), day_bar(desk, 1, 10_000, high=10_300),
            day_bar(desk, 2, 9_500, low=9_400)]
    show(desk, *days)
    assert [event.won for event in desk.of(ForecastTouched)] == [1], "the bar that began before the forecast says nothing"
    outcome = desk.state.research.decisions[key].outcome
    assert outcome is not None and (outcome.up, outcome.won) == (0, 1)
    both = desk_of(AutomationLevel.MONITOR_ONLY)
    open_one(both)
    show(both, day_bar(both, 1, 10_000, high=10_400, low=9_700))
    assert [event.won for event in both.of(ForecastTouched)] == [0]


def test_a_bar_of_another_instrument_costs_nothing() -> None:
    desk = desk_of(AutomationLevel.MONITOR_ONLY)
    open_one(desk)
    before = desk.state
    show(desk, day_bar(desk, 1, 10_000, instrument_id=OTHER_ID))
    assert desk.state is before


def test_days_that_passed_without_an_engine_are_recalled() -> None:
    desk = desk_of(AutomationLevel.MONITOR_ONLY)
    key = open_one(desk)
    days = (day_bar(desk, 0, 10_000, low=9_990), day_bar(desk, 1, 10_050, low=9_790), day_bar(desk, 2, 10_200))
    again = Desk(settings=desk.settings, state=desk.state, live=False)
    again.at_ns = days[-1].close_ns + 3_600 * 10**9
    started = again.take(EngineStarted("e", "test", desk.settings, desk.instruments, {"acct": desk.can}))
    assert RecallDays((COIN_ID,)) in started.effects
    again.take(DaysRecalled(COIN_ID, days))
    outcome = again.state.research.decisions[key].outcome
    assert outcome is not None and (outcome.up, outcome.won) == (1, 0), "the stop was reached on the second day"


def test_without_a_bar_the_past_is_asked_and_given_up_after_three_days() -> None:
    desk = desk_of(AutomationLevel.MONITOR_ONLY)
    key = open_one(desk)
    assert RecallDays((COIN_ID,)) not in desk.beat(2 * 86_400).effects
    assert RecallDays((COIN_ID,)) in desk.beat(86_400).effects
    desk.take(DaysRecalled(COIN_ID, ()))
    assert key in desk.state.research.open
    desk.beat(3 * 86_400)
    desk.take(DaysRecalled(COIN_ID, ()))
    outcome = desk.state.research.decisions[key].outcome
    assert outcome is not None and outcome.void and outcome.up is None


def test_a_live_bar_after_a_gap_does_not_void_what_the_past_can_tell() -> None:
    desk = desk_of(AutomationLevel.MONITOR_ONLY)
    key = open_one(desk)
    days = tuple(day_bar(desk, day, 10_100) for day in range(3))
    show(desk, day_bar(desk, 3, 10_500))
    assert key in desk.state.research.open
    desk.take(DaysRecalled(COIN_ID, days))
    outcome = desk.state.research.decisions[key].outcome
    assert outcome is not None and outcome.return_bps == pytest.approx(100.0)


def test_a_split_is_found_out_from_adjusted_days_before_anything_is_concluded() -> None:
    desk = desk_of(AutomationLevel.MONITOR_ONLY)
    key = open_one(desk)
    days = tuple(day_bar(desk, day, close, high=close + 40, low=close - 40) for day, close in enumerate((5_010, 5_050, 5_060)))
    show(desk, days[1])
    assert RecallDays((COIN_ID,)) in desk.effects and desk.of(ForecastTouched) == []
    desk.take(DaysRecalled(COIN_ID, days[:2]))
    assert [event.ratio for event in desk.of(ForecastAdjusted)] == [2.0]
    desk.take(DaysRecalled(COIN_ID, days[:2]))
    assert len(desk.of(ForecastAdjusted)) == 1, "once"
    show(desk, days[2])
    outcome = desk.state.research.decisions[key].outcome
    assert outcome is not None and (outcome.up, outcome.won) == (1, 1)
    assert outcome.return_bps == pytest.approx(120.0)


@pytest.mark.parametrize("ratio", [1.5, 4 / 3, 1.25, 3.0])
def test_a_small_split_of_a_share_reaches_no_stop(ratio: float) -> None:
    """100.00 before, and 120 bps more in the end, in shares of now."""
    desk = desk_of(AutomationLevel.MONITOR_ONLY)
    one = msgspec.structs.replace(decided_on(desk, begun(desk)), asset_class="equity")
    tell(desk, one)
    was, last = round(10_000 / ratio), round(10_120 / ratio)
    days = (day_bar(desk, 0, was, high=round(10_040 / ratio), low=round(9_960 / ratio)), day_bar(desk, 1, was),
            day_bar(desk, 2, last, low=was))
    show(desk, days[1])
    assert RecallDays((COIN_ID,)) in desk.effects and desk.of(ForecastTouched) == []
    desk.take(DaysRecalled(COIN_ID, days[:2]))
    assert [event.ratio for event in desk.of(ForecastAdjusted)] == [pytest.approx(ratio)]
    show(desk, days[2])
    outcome = desk.state.research.decisions[one.decision_id].outcome
    assert outcome is not None and (outcome.up, outcome.won) == (1, 1)
    assert outcome.return_bps == pytest.approx(120.0, abs=2.0)


def test_a_jump_after_the_close_is_no_split() -> None:
    """Earnings at 22:00: the mark lies a quarter above all that the day's bar tells, and the next day opens there."""
    desk = desk_of(AutomationLevel.MONITOR_ONLY)
    one = msgspec.structs.replace(decided_on(desk, begun(desk)), asset_class="equity")
    tell(desk, one)
    days = (day_bar(desk, 0, 8_000, high=8_050, low=7_950), day_bar(desk, 1, 9_900, high=10_050, low=9_700),
            day_bar(desk, 2, 10_100, low=9_900))
    desk.take(DaysRecalled(COIN_ID, days[:1]))
    desk.take(DaysRecalled(COIN_ID, days[:2]))
    show(desk, *days[1:])
    assert desk.of(ForecastAdjusted) == []
    outcome = desk.state.research.decisions[one.decision_id].outcome
    assert outcome is not None and outcome.return_bps == pytest.approx(100.0)


def bar_of_day(first_ns: int, day: int, close: int) -> Bar:
    open_ns = first_ns + day * DAY_NS
    return Bar(COIN_ID, open_ns, open_ns + DAY_NS, close, close, close, close, 10)


def two_for_one(desk: Desk, *portfolios: str) -> None:
    """A split at midnight, told by the account of each portfolio that holds some."""
    turn = desk.turn()
    for portfolio in portfolios:
        turn.emit(PositionSplit("acct", portfolio, COIN_ID, 10, 20, 2, 1))
    desk.rows += turn.events
    desk.state = turn.state


def test_a_split_that_two_portfolios_tell_is_one_split() -> None:
    desk = desk_of(AutomationLevel.MONITOR_ONLY)
    key = open_one(desk)
    first_day = desk.at_ns // DAY_NS * DAY_NS
    two_for_one(desk, "main", "other")
    show(desk, *(bar_of_day(first_day, day, 5_060) for day in (1, 2)))
    outcome = desk.state.research.decisions[key].outcome
    assert outcome is not None and outcome.return_bps == pytest.approx(120.0)


def test_a_split_that_the_days_have_told_is_not_told_again_by_the_account() -> None:
    desk = desk_of(AutomationLevel.MONITOR_ONLY)
    key = open_one(desk)
    days = tuple(day_bar(desk, day, close, high=close + 40, low=close - 40) for day, close in enumerate((5_010, 5_050, 5_060)))
    show(desk, days[1])
    desk.take(DaysRecalled(COIN_ID, days[:2]))
    two_for_one(desk, "main")
    show(desk, days[2])
    outcome = desk.state.research.decisions[key].outcome
    assert outcome is not None and outcome.return_bps == pytest.approx(120.0)


def test_a_price_far_from_many_marks_asks_for_the_past_once() -> None:
    desk = desk_of(AutomationLevel.MONITOR_ONLY)
    run = begun(desk)
    tell(desk, *(decided_on(desk, run, number) for number in (1, 2, 3)))
    far = bar_of_day(desk.at_ns // DAY_NS * DAY_NS, 1, 16_000)
    desk.at_ns = far.close_ns
    assert desk.take(far).effects.count(RecallDays((COIN_ID,))) == 1


def test_prices_of_before_a_split_reach_no_target_of_after_it() -> None:
    desk = desk_of(AutomationLevel.MONITOR_ONLY)
    key = open_one(desk)
    first_day = desk.at_ns // DAY_NS * DAY_NS
    before, after = bar_of_day(first_day, 1, 10_050), bar_of_day(first_day, 2, 4_990)
    show(desk, before)
    two_for_one(desk, "main")
    show(desk, after)
    outcome = desk.state.research.decisions[key].outcome
    assert outcome is not None and (outcome.up, outcome.won) == (0, 0), "neither level was reached, and the close is below"


# ---- learning ------------------------------------------------------------------------------------------------------------


def learned(desk: Desk, *, alarm: str = "", changes: tuple[ChangeProposed, ...] = (), skill: float = 1.0,
            brier: float = 0.24) -> None:
    view = CellView("rule/1", "rule/1", "2-5", "crypto", 240, 120.0, 1, 0, brier, 0.69, 0.0, 0.01, 0.25, 0.5, 0.5, skill, 0.2,
                    1.9, None, 3.0, "shrink", "", alarm, ())
    desk.take(LearningEnded("l", desk.state.seq, CalibrationView((view,), (), changes, 0),
                            (msgspec.structs.replace(PROVEN, alarm=alarm),)))


def test_what_was_learned_is_journaled_and_an_alarm_lowers_the_level_once() -> None:
    desk = desk_of(AutomationLevel.AUTO_EXECUTE)
    open_one(desk)
    learned(desk, alarm="acquiescence")
    assert desk.of(CalibrationLearned) and desk.state.research.maps[0].skill_low_percent == 0.2
    assert "acquiescence" in desk.state.research.of("main").alarm
    assert any(alert.code == "degraded" for alert in desk.state.alerts.values())
    assert desk.do(ReleaseResearchAlarm("release")).accepted
    learned(desk, alarm="acquiescence")
    assert desk.state.research.of("main").alarm == "", "what a person let go is not raised again by the same news"
    learned(desk, alarm="skill below its band")
    assert "skill below" in desk.state.research.of("main").alarm
    assert fold(rows_of(desk)) == desk.state


def test_an_alarm_reaches_a_portfolio_whose_decisions_were_let_go_of_while_their_forecasts_are_open() -> None:
    desk = desk_of(AutomationLevel.AUTO_EXECUTE)
    tell(desk, decided_on(desk, begun(desk)))
    desk.changed(research=msgspec.structs.replace(desk.state.research, decisions={}))
    learned(desk, alarm="rolling skill below its band")
    assert "rolling skill below its band" in desk.state.research.of("main").alarm


def test_the_rules_beside_models_lower_nobodys_level_and_act_on_no_alarm_of_their_own() -> None:
    desk = desk_of(AutomationLevel.AUTO_EXECUTE, maps=(PROVEN,))
    research = msgspec.structs.replace(desk.state.settings.research, lines=(ModelLine("one"),))
    desk.changed(settings=msgspec.structs.replace(desk.state.settings, research=research))
    run = begun(desk)
    tell(desk, decided_on(desk, run, actionable=False, reason="scored beside the models"))
    learned(desk, alarm="leaning")
    assert desk.state.research.of("main").alarm == "", "they are what the models have to beat"
    (sealed,) = tell(desk, decided_on(desk, run, 2))  # they act while the models are left alone
    assert (sealed.status, sealed.acts_as) == (DecisionStatus.PROPOSED, "suggest_only")
    (spoken,) = tell(desk, decided_on(desk, run, 3, analyst="llm/m", instrument_id=OTHER_ID, symbol="OTHER"))
    assert "degradation" not in spoken.reason


def test_a_candidates_calibration_gate_reads_the_cells_of_its_portfolios_models() -> None:
    desk = desk_of(AutomationLevel.MONITOR_ONLY)
    open_one(desk)
    learned(desk, brier=0.21)
    assert model_calibration(desk.state, "main") is None, "the rules are no model"
    sealed = next(iter(desk.state.research.decisions.values()))
    spoken = msgspec.structs.replace(sealed, decided=msgspec.structs.replace(sealed.decided, analyst="llm/m"))
    cell = msgspec.structs.replace(desk.state.research.learned.cells[0], analyst="llm/m")
    told = msgspec.structs.replace(desk.state.research.learned, cells=(cell,))
    desk.changed(research=msgspec.structs.replace(desk.state.research, decisions={"d": spoken}, learned=told))
    assert model_calibration(desk.state, "main") == (240, 0.21)
    assert model_calibration(desk.state, "other") is None


def test_a_person_applies_or_rejects_a_change() -> None:
    desk = desk_of()
    first, second = (ChangeProposed(name, name.partition("-")[0], "52", "58", "evidence", 1, "proposed")
                     for name in ("threshold.2-a", "threshold.1-b"))
    learned(desk, changes=(first, second))
    assert desk.do(ApplyResearchChange("a", first.change_id)).accepted
    assert desk.do(RejectResearchChange("b", second.change_id, "not yet")).accepted
    assert parameters_of(desk.state.research.parameters).thresholds_percent[1:3] == (55.0, 58.0)
    again = desk.do(ApplyResearchChange("c", second.change_id))
    assert again.refusal is not None and again.refusal.check == "change"
    learned(desk, changes=(first, second))
    assert [one.status for one in desk.state.research.learned.changes] == ["applied", "rejected"]
    assert desk.state.research.applied_ns == {"threshold.2": desk.at_ns}


# ---- schedule and alerts ---------------------------------------------------------------------------------------------------


def test_a_split_that_the_venue_tells_of_what_is_held_counts_for_forecasts() -> None:
    desk = desk_of(AutomationLevel.MONITOR_ONLY)
    key = open_one(desk)
    turn = desk.turn()
    turn.emit(PositionSplit("acct", "main", COIN_ID, 10, 20, 2, 1))
    desk.rows, desk.state = [*desk.rows, *turn.events], turn.state
    show(desk, day_bar(desk, 1, 5_050), day_bar(desk, 2, 5_060))
    outcome = desk.state.research.decisions[key].outcome
    assert outcome is not None and outcome.return_bps == pytest.approx(120.0)


def test_a_crash_is_no_split() -> None:
    desk = desk_of(AutomationLevel.MONITOR_ONLY)
    key = open_one(desk)
    days = (day_bar(desk, 0, 9_900, high=10_050, low=9_800), day_bar(desk, 1, 5_000), day_bar(desk, 2, 5_050))
    show(desk, *days)
    assert key in desk.state.research.open
    desk.take(DaysRecalled(COIN_ID, days))
    outcome = desk.state.research.decisions[key].outcome
    assert outcome is not None and (outcome.up, outcome.won) == (0, 0) and desk.of(ForecastAdjusted) == []


@pytest.mark.parametrize(("kind", "horizon", "note"), [
    (JobKind.AUTONOMOUS, 0, "autonomous loop"), (JobKind.DAILY_ANALYSIS, 0, "daily analysis"),
    (JobKind.WEEKLY_ANALYSIS, 10, "weekly analysis"), (JobKind.END_OF_DAY_ANALYSIS, 1, "analysis at the end of the day")])
def test_jobs_begin_runs_and_do_not_double_them(kind: JobKind, horizon: int, note: str) -> None:
    job = Job("j", kind, "0 * * * *", "main")
    desk = Desk(settings=settings_of("main", limits=LIMITS, jobs=(job,)))
    assert desk.do(RunJob("now", "j")).accepted
    (effect,) = [one for one in desk.effects if isinstance(one, PerformResearch)]
    assert (effect.run.cause, effect.run.horizon_days, effect.run.note) == (ResearchCause.SCHEDULE, horizon, note)
    assert desk.do(RunJob("again", "j")).accepted
    assert "still under way" in desk.state.jobs["j"].text
    assert sum(isinstance(one, PerformResearch) for one in desk.effects) == 1


def test_the_nightly_learning_is_the_desks() -> None:
    desk = Desk(settings=settings_of("main", limits=LIMITS, jobs=(Job("learning", JobKind.LEARNING, "0 1 * * *"),)))
    desk.do(RunJob("now", "learning"))
    assert [type(one) for one in desk.effects if isinstance(one, PerformLearning)] == [PerformLearning]


def test_a_rule_begins_research_and_watches_the_calibration() -> None:
    desk = desk_of(AutomationLevel.MONITOR_ONLY)
    open_one(desk)
    desk.changed(research=msgspec.structs.replace(
        desk.state.research, portfolios={"main": msgspec.structs.replace(desk.state.research.of("main"), run=None)}))
    condition = parse_condition("calibration skill < -2% and calibration brier > 0.25 and calibration n >= 200")
    actions = parse_actions("research coin; notify")
    assert desk.do(SetAlertRule("s", AlertRule("watch", condition, actions=actions))).accepted
    desk.beat()
    assert desk.state.alert_rules["watch"].fired_count == 0
    learned(desk, skill=-2.5, brier=0.26)
    desk.forget()
    desk.beat()
    assert desk.state.alert_rules["watch"].fired_count == 1
    (effect,) = [one for one in desk.effects if isinstance(one, PerformResearch)]
    assert (effect.run.cause, effect.run.symbols) == (ResearchCause.ALERT, ("COIN",))


@pytest.mark.parametrize("text", ["research AAPL; notify", "research", "research; halt"])
def test_actions_of_research_read_back(text: str) -> None:
    assert actions_text(parse_actions(text)) == text


def test_conditions_of_calibration_read_back_and_are_strict() -> None:
    text = "calibration skill < -1.5% or calibration brier > 0.25 or calibration n >= 200"
    assert condition_text(parse_condition(text)) == text
    for wrong in ("calibration > 3", "calibration skill < 2", "AAPL calibration n > 3", "calibration brier > 3%"):
        with pytest.raises(UsageError, match="column"):
            parse_condition(wrong)


def test_resolved_rows_name_their_decision() -> None:
    desk = desk_of(AutomationLevel.MONITOR_ONLY)
    key = open_one(desk)
    show(desk, *(day_bar(desk, day, 10_100) for day in range(3)))
    assert [event.decision_id for event in desk.of(ForecastResolved)] == [key]
