"""Research in the core: runs, the chain of sealed decisions, what each automation level makes of them, approvals, and the end."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from engine.decide.research import seal_of
from engine.effects import EndResearch, PerformResearch
from engine.inputs import (
    Approve,
    AutomationLevel,
    Decline,
    EngineStarted,
    EngineStopping,
    Halve,
    ReleaseResearchAlarm,
    ResearchEnded,
    RunResearch,
    StopResearch,
)
from engine.orders import Purpose, Side
from engine.research.decided import ResearchCause
from engine.research.opinions import Stance
from engine.research.settings import ModelLine
from engine.research_events import DecisionGated, DecisionSealed, ResearchFinished
from engine.research_state import NO_SEAL, PortfolioResearchState
from engine.research_words import DecisionStatus
from engine.service import ProposalStatus
from engine.views import snapshot
from tests.unit.engine_desk import Desk, fold, rows_of
from tests.unit.research_runs import PROVEN, WORTH, begun, decided_on, desk_of, proposed, tell

AUTO, SUGGEST, MONITOR = AutomationLevel.AUTO_EXECUTE, AutomationLevel.SUGGEST_ONLY, AutomationLevel.MONITOR_ONLY


# ---- runs ----------------------------------------------------------------------------------------------------------------


def test_a_run_is_journaled_before_the_desk_hears_of_it_and_ends_once() -> None:
    desk = desk_of()
    run = begun(desk, symbols=("COIN",))
    (effect,) = [one for one in desk.effects if isinstance(one, PerformResearch)]
    assert effect.run == run and run.symbols == ("COIN",)
    desk.take(ResearchEnded(run.run_id, text="1 of 1 looked at", cost_micro_usd=7_000))
    desk.take(ResearchEnded(run.run_id, text="again", cost_micro_usd=7_000))
    (end,) = desk.of(ResearchFinished)
    assert (end.text, desk.state.research.of("main").spent_micro_usd) == ("1 of 1 looked at", 7_000)
    assert fold(rows_of(desk)) == desk.state


@pytest.mark.parametrize(("more", "check"), [
    ({"portfolio": "moon"}, "portfolio"), ({"symbols": ("NOPE",)}, "instrument"),
])
def test_a_run_that_cannot_be_is_refused(more: dict[str, Any], check: str) -> None:
    receipt = desk_of().do(RunResearch("r", **more))
    assert receipt.refusal is not None and receipt.refusal.check == check


def test_one_run_at_a_time_and_a_person_may_stop_it() -> None:
    desk = desk_of()
    run = begun(desk)
    second = desk.do(RunResearch("again"))
    assert second.refusal is not None and second.refusal.check == "run"
    assert desk.do(StopResearch("stop")).accepted
    assert EndResearch(run.run_id) in desk.effects
    late = decided_on(desk, run)
    assert tell(desk, late) == [], "what a run that is over says is not taken"
    assert not desk.do(StopResearch("stop again")).accepted
    begun(desk, "after")


def test_a_run_that_the_end_of_the_process_cut_short_is_ended_at_the_next_start() -> None:
    desk = desk_of()
    run = begun(desk)
    desk.take(EngineStarted("e", "test", desk.settings, desk.instruments, {"acct": desk.can}))
    (end,) = desk.of(ResearchFinished)
    assert end.run_id == run.run_id and "ended before" in end.failure
    begun(desk, "after")


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_what_a_run_had_spent_counts_though_it_was_cut_short(how: str) -> None:
    desk = desk_of(AutomationLevel.MONITOR_ONLY)
    run = begun(desk)
    tell(desk, decided_on(desk, run, 1, cost_micro_usd=40_000), decided_on(desk, run, 2, cost_micro_usd=2_000))
    if how == "stopped":
        assert desk.do(StopResearch("s")).accepted
        desk.take(ResearchEnded(run.run_id, cost_micro_usd=42_000))
    else:
        desk.take(EngineStarted("e", "test", desk.settings, desk.instruments, {"acct": desk.can}))
    assert desk.state.research.of("main").spent_micro_usd == 42_000


def test_a_clean_end_ends_the_runs() -> None:
    desk = desk_of()
    begun(desk)
    desk.take(EngineStopping())
    (end,) = desk.of(ResearchFinished)
    assert end.failure == "the engine was stopped"


def test_the_days_money_is_one_budget_for_all_portfolios() -> None:
    desk = desk_of(AUTO, maps=(PROVEN,))
    lines = msgspec.structs.replace(desk.state.settings.research, lines=(ModelLine("one"),))
    desk.changed(settings=msgspec.structs.replace(desk.state.settings, research=lines))
    other = PortfolioResearchState(day=desk.state.day, spent_micro_usd=lines.budgets.day_micro_usd)
    desk.changed(research=msgspec.structs.replace(desk.state.research, portfolios={"other": other}))
    (sealed,) = tell(desk, decided_on(desk, begun(desk)))
    assert [one.name for one in sealed.conditions if not one.holds] == ["day's money"]


def test_events_begin_a_run_at_most_every_quarter_of_an_hour() -> None:
    desk = desk_of()
    run = begun(desk, cause=ResearchCause.EVENT)
    desk.take(ResearchEnded(run.run_id))
    soon = desk.do(RunResearch("soon", cause=ResearchCause.EVENT))
    assert soon.refusal is not None and soon.refusal.check == "spacing"
    person = begun(desk, "a person may", cause=ResearchCause.PERSON)
    desk.take(ResearchEnded(person.run_id))
    between = desk.do(RunResearch("between", cause=ResearchCause.EVENT))
    assert between.refusal is not None and between.refusal.check == "spacing", "whoever began a run in between"
    desk.later(900)
    begun(desk, "later", cause=ResearchCause.EVENT)


# ---- the chain -----------------------------------------------------------------------------------------------------------


def test_decisions_are_sealed_in_a_chain_before_anything_comes_of_them() -> None:
    desk = desk_of()
    run = begun(desk)
    tell(desk, decided_on(desk, run), decided_on(desk, run, 2, actionable=False, reason="flat", stance=Stance.FLAT))
    first, second = desk.of(DecisionSealed)
    assert (first.previous, second.previous) == (NO_SEAL, first.seal)
    assert first.seal == seal_of(NO_SEAL, first.decided, first.window, "")
    changed = msgspec.structs.replace(first.decided, thesis="another")
    assert first.seal != seal_of(NO_SEAL, changed, first.window, "")
    kinds = [type(event) for event in desk.events]
    assert kinds.index(DecisionSealed) < kinds.index(DecisionGated)
    assert set(desk.state.research.open) == {f"{run.run_id}-1", f"{run.run_id}-2"}, "a flat call is scored as well"
    assert fold(rows_of(desk)) == desk.state


def test_what_comes_twice_counts_once() -> None:
    desk = desk_of()
    one = decided_on(desk, begun(desk))
    tell(desk, one)
    before = desk.state
    tell(desk, one)
    assert desk.state == before


@pytest.mark.parametrize(("late_seconds", "opens"), [(0.0, True), (179.0, True), (181.0, False), (-1.0, False)])
def test_a_late_forecast_is_in_the_record_and_never_scored(late_seconds: float, opens: bool) -> None:
    desk = desk_of()
    one = decided_on(desk, begun(desk))
    desk.later(late_seconds)
    desk.quote(10_000)
    (sealed,) = tell(desk, one)
    assert (one.decision_id in desk.state.research.open) is opens
    assert bool(sealed.proposal_id) is opens
    assert opens or sealed.reason


@pytest.mark.parametrize("wrong", [
    {"instrument_id": "OTHER@paper", "symbol": "OTHER"}, {"symbol": "OTHER"}, {"instrument_id": "NOPE@paper", "symbol": "NOPE"}])
def test_a_decision_on_what_was_not_asked_is_left_out(wrong: dict[str, Any]) -> None:
    desk = desk_of()
    assert tell(desk, decided_on(desk, begun(desk, symbols=("COIN",)), **wrong)) == []
    assert any("was not asked" in alert.text for alert in desk.state.alerts.values())


def test_an_analyst_that_said_nothing_is_told_apart_from_one_that_was_rejected() -> None:
    desk = desk_of()
    run = begun(desk)
    silent = tell(desk, decided_on(desk, run, worth=None, actionable=False, reason="no answer", code="TIMEOUT"))
    bad = tell(desk, decided_on(desk, run, 2, worth=None, actionable=False, reason="no", code="SIZING_FIELD", rejected=True))
    assert (silent[0].status, bad[0].status) == (DecisionStatus.ABSTAINED, DecisionStatus.REJECTED)
    assert desk.state.research.open == {}


# ---- automation ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("automation", "cause", "status"), [
    (MONITOR, ResearchCause.PERSON, DecisionStatus.SCORED_ONLY), (SUGGEST, ResearchCause.PERSON, DecisionStatus.PROPOSED),
    (AUTO, ResearchCause.PERSON, DecisionStatus.APPROVED), (AUTO, ResearchCause.DRILL, DecisionStatus.SCORED_ONLY),
    (SUGGEST, ResearchCause.DRILL, DecisionStatus.SCORED_ONLY)])
def test_the_level_decides_what_becomes_of_a_decision(automation: AutomationLevel, cause: ResearchCause,
                                                     status: DecisionStatus) -> None:
    desk = desk_of(automation, maps=(PROVEN,))
    (sealed,) = tell(desk, decided_on(desk, begun(desk, cause=cause)))
    assert sealed.status is status
    assert bool(desk.sent) is (status is DecisionStatus.APPROVED)
    assert sealed.decided.decision_id in desk.state.research.open


@pytest.mark.parametrize("automation", [AUTO, SUGGEST])
def test_what_a_recording_says_is_no_news_and_asks_for_nothing(automation: AutomationLevel) -> None:
    desk = desk_of(automation, maps=(PROVEN,))
    (sealed,) = tell(desk, decided_on(desk, begun(desk, replay="r-of-long-ago")))
    assert (sealed.status, sealed.proposal_id, desk.sent) == (DecisionStatus.SCORED_ONLY, "", [])
    assert sealed.decided.decision_id not in desk.state.research.open, "what was said before counts once"
    assert "recording" in sealed.reason


def test_an_order_of_research_is_sized_by_the_order_path_with_levels_from_the_price_now() -> None:
    desk = desk_of(AUTO, maps=(PROVEN,))
    desk.quote(10_020)
    tell(desk, decided_on(desk, begun(desk)))
    entry = next(intent for intent in desk.sent if intent.purpose is Purpose.ENTRY)
    assert (entry.side, entry.strategy) == (Side.BUY, "research")
    assert entry.plan is not None
    assert (entry.plan.stop_ticks, entry.plan.target_ticks) == (9_820, 10_320)
    assert entry.order_lots == 95, "the costs of 10 bps take one of 20 bps of 100,000.00, the rest is over 2.00 a piece"


CONDITIONS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("resolved forecasts", {"up": msgspec.structs.replace(PROVEN.up, n=199)}, {}),
    ("skill", {"skill_low_percent": 0.0}, {}),
    ("skill", {"skill_low_percent": None}, {}),
    ("consensus", {}, {"worth": msgspec.structs.replace(WORTH, consensus=False)}),
    ("flagged text", {}, {"flags": ("E3: instruction",)}),
    ("day's risk", {}, {"worth": msgspec.structs.replace(WORTH, risk_bps=201.0)}),
]


@pytest.mark.parametrize(("name", "learned", "more"), CONDITIONS)
def test_a_standing_rule_falls_back_to_proposing_and_says_why(name: str, learned: dict[str, Any], more: dict[str, Any]) -> None:
    desk = desk_of(AUTO, maps=(msgspec.structs.replace(PROVEN, **learned),))
    (sealed,) = tell(desk, decided_on(desk, begun(desk), **more))
    assert (sealed.status, sealed.acts_as, desk.sent) == (DecisionStatus.PROPOSED, SUGGEST.value, [])
    failing = [one for one in sealed.conditions if not one.holds]
    assert [one.name for one in failing] == [name]
    view = snapshot(desk.state, desk.market, desk.at_ns, version=1, mode=None, health=None).research[0]  # type: ignore[arg-type]
    assert (view.automation, view.acts_as) == (AUTO.value, SUGGEST.value)
    assert view.fallback.startswith(f"{name}: ")


def test_a_degradation_alarm_lowers_the_level_until_a_person_releases_it() -> None:
    desk = desk_of(AUTO, maps=(PROVEN,))
    alarmed = msgspec.structs.replace(desk.state.research.of("main"), alarm="worse")
    desk.changed(research=msgspec.structs.replace(desk.state.research, portfolios={"main": alarmed}))
    (sealed,) = tell(desk, decided_on(desk, begun(desk)))
    assert sealed.status is DecisionStatus.PROPOSED and desk.sent == []
    desk.do(Decline("no", sealed.proposal_id))
    assert desk.do(ReleaseResearchAlarm("release", reason="looked at it")).accepted
    assert not desk.do(ReleaseResearchAlarm("again")).accepted
    run = desk.state.research.of("main").run
    assert run is not None
    (second,) = tell(desk, decided_on(desk, run, 2))
    assert second.status is DecisionStatus.APPROVED and desk.sent


def test_an_alarm_takes_the_proposals_from_a_portfolio_that_only_suggests() -> None:
    desk = desk_of(SUGGEST)
    alarmed = msgspec.structs.replace(desk.state.research.of("main"), alarm="worse")
    desk.changed(research=msgspec.structs.replace(desk.state.research, portfolios={"main": alarmed}))
    (sealed,) = tell(desk, decided_on(desk, begun(desk)))
    assert sealed.status is DecisionStatus.SCORED_ONLY and "degradation alarm" in sealed.reason


@pytest.mark.parametrize(("drift_ticks", "asks"), [(50, True), (51, False), (-50, True), (-51, False)])
def test_a_market_that_left_the_snapshot_is_not_followed(drift_ticks: int, asks: bool) -> None:
    desk = desk_of()
    one = decided_on(desk, begun(desk))
    desk.quote(10_000 + drift_ticks)
    (sealed,) = tell(desk, one)
    assert bool(sealed.proposal_id) is asks, "200 bps are 200 ticks, of which a quarter is allowed"
    assert asks or "ATR" in sealed.reason


def test_what_is_held_or_waits_already_is_not_asked_for_again() -> None:
    desk = desk_of()
    run = begun(desk)
    tell(desk, decided_on(desk, run))
    (second,) = tell(desk, decided_on(desk, run, 2))
    assert "waits for an answer already" in second.reason
    desk.enter("own", 3, stop="90", symbol="COIN")
    (third,) = tell(desk, decided_on(desk, run, 3))
    assert "held already, by manual" in third.reason


@pytest.mark.parametrize(("automation", "holder", "leaves"), [
    (SUGGEST, "manual", False), (AUTO, "research", True), (AUTO, "manual", False), (AUTO, "breakout", False)])
def test_leaving_is_a_persons_unless_a_standing_rule_holds_what_research_opened(
        automation: AutomationLevel, holder: str, leaves: bool) -> None:
    desk = desk_of(automation, maps=(PROVEN,))
    desk.enter("own", 3, stop="90", origin=holder)
    desk.forget()
    (sealed,) = tell(desk, decided_on(desk, begun(desk), stance=Stance.EXIT))
    assert bool(desk.held.exit_reason) is leaves
    assert leaves or "close it by hand" in sealed.reason
    assert leaves or automation is SUGGEST or f"held by {holder}" in sealed.reason


# ---- approval ------------------------------------------------------------------------------------------------------------


def approval(desk: Desk, proposal_id: str, command_id: str = "a", **more: Any) -> Approve:
    return Approve(command_id, proposal_id, desk.state.proposals[proposal_id].digest, **more)


def test_an_approved_decision_is_followed_to_its_fill() -> None:
    desk = desk_of()
    sealed = proposed(desk)
    key = sealed.decided.decision_id
    assert desk.do(approval(desk, sealed.proposal_id)).accepted
    order_id = desk.state.research.decisions[key].order_id
    assert desk.state.research.decisions[key].status is DecisionStatus.APPROVED
    assert desk.state.research.of("main").risked_bps == 20.0
    desk.accept()
    desk.fill(order_id, 5)
    assert desk.state.research.decisions[key].status is DecisionStatus.FILLED
    assert fold(rows_of(desk)) == desk.state


@pytest.mark.parametrize(("act", "status"), [
    (lambda desk, key: desk.do(Decline("d", key, "not now")), DecisionStatus.DECLINED),
    (lambda desk, key: desk.beat(121), DecisionStatus.EXPIRED)])
def test_a_decision_tells_how_its_pending_trade_ended(act: Any, status: DecisionStatus) -> None:
    desk = desk_of()
    sealed = proposed(desk)
    act(desk, sealed.proposal_id)
    assert desk.state.research.decisions[sealed.decided.decision_id].status is status


def test_an_unread_mark_keeps_an_approval_out_until_it_was_opened() -> None:
    desk = desk_of()
    sealed = proposed(desk, flags=("E3: instruction",))
    refused = desk.do(approval(desk, sealed.proposal_id))
    assert refused.refusal is not None and refused.refusal.check == "unread flag"
    assert desk.state.proposals[sealed.proposal_id].status is ProposalStatus.PENDING
    assert desk.do(approval(desk, sealed.proposal_id, "read", flags_read=("E3: instruction",))).accepted


def test_old_prices_and_a_market_that_moved_block_an_approval_for_as_long_as_they_last() -> None:
    desk = desk_of()
    sealed = proposed(desk)
    desk.later(31)
    old = desk.do(approval(desk, sealed.proposal_id))
    assert old.refusal is not None and old.refusal.check == "data age"
    desk.quote(10_051)
    shown = snapshot(desk.state, desk.market, desk.at_ns, version=1, mode=None, health=None)  # type: ignore[arg-type]
    (proposal,) = shown.proposals
    assert "ATR since the snapshot" in proposal.blocked
    assert proposal.decision is not None and proposal.decision.decision_id == sealed.decided.decision_id
    moved = desk.do(approval(desk, sealed.proposal_id, "b"))
    assert moved.refusal is not None and moved.refusal.check == "drift"
    desk.quote(10_010)
    assert desk.do(approval(desk, sealed.proposal_id, "c")).accepted


def test_a_trade_whose_decision_is_no_longer_known_cannot_be_approved() -> None:
    """What its checks would be held against is gone: more decisions came while it waited than are kept."""
    desk = desk_of()
    sealed = proposed(desk, flags=("E3: instruction",))
    desk.changed(research=msgspec.structs.replace(desk.state.research, decisions={}))
    refused = desk.do(approval(desk, sealed.proposal_id))
    assert refused.refusal is not None and refused.refusal.check == "decision"


def test_half_of_it_is_another_card_and_the_old_approval_is_void() -> None:
    desk = desk_of()
    sealed = proposed(desk)
    old = approval(desk, sealed.proposal_id)
    whole = desk.state.proposals[sealed.proposal_id].card.quantity
    stranger = desk.do(Halve("h0", sealed.proposal_id, "another digest"))
    assert stranger.refusal is not None and stranger.refusal.check == "digest"
    halved = desk.do(Halve("h", sealed.proposal_id, old.digest))
    assert halved.accepted
    half = desk.state.proposals[halved.proposal_id]
    assert half.card.quantity == Decimal(int(whole) // 2)
    assert half.digest != old.digest and half.decision_id == sealed.decided.decision_id
    void = desk.do(old)
    assert void.refusal is not None and void.refusal.check == "pending"
    kept = desk.state.research.decisions[sealed.decided.decision_id]
    assert (kept.status, kept.proposal_id) == (DecisionStatus.PROPOSED, halved.proposal_id)
    assert desk.do(approval(desk, halved.proposal_id, "b")).accepted
    assert desk.sent[0].order_lots == int(whole) // 2
    assert desk.state.research.decisions[sealed.decided.decision_id].status is DecisionStatus.APPROVED


def test_what_has_expired_is_not_brought_back_by_halving_it() -> None:
    desk = desk_of()
    sealed = proposed(desk)
    proposal = desk.state.proposals[sealed.proposal_id]
    desk.at_ns = proposal.expires_at_ns
    desk.quote(10_000)
    refused = desk.do(Halve("h", proposal.proposal_id, proposal.digest))
    assert refused.refusal is not None and refused.refusal.check == "expiry"


def test_what_is_one_lot_cannot_be_halved() -> None:
    desk = desk_of()
    sealed = proposed(desk, worth=msgspec.structs.replace(WORTH, risk_bps=1.0, cost_bps=0.0))
    proposal = desk.state.proposals[sealed.proposal_id]
    while proposal.card.quantity > 1:
        receipt = desk.do(Halve(f"h{proposal.card.quantity}", proposal.proposal_id, proposal.digest))
        proposal = desk.state.proposals[receipt.proposal_id]
    refused = desk.do(Halve("last", proposal.proposal_id, proposal.digest))
    assert refused.refusal is not None and refused.refusal.check == "size"
    assert desk.state.proposals[proposal.proposal_id].status is ProposalStatus.PENDING
