"""Targets of a portfolio: drift, bands, what undoes it, and the recorded run that carries it out."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from engine.construction import Plan, plan_of
from engine.inputs import AutomationLevel, Bar, Limits, PlaceOrder, Rebalance, SetTradingState, TradingState
from engine.orders import Purpose, Side
from engine.parents import OverTime
from engine.schedule_words import Job, JobKind, JobOutcome, RunJob
from engine.service import Refusal
from engine.target_events import RebalanceEnded, RebalanceStarted
from engine.targets import REBALANCE, TargetMethod, TargetSettings
from engine.units import NS_PER_SECOND
from tests.unit.engine_desk import COIN_ID, OTHER, Desk, coin, fold, rows_of, settings_of

MINUTE_NS = 60 * NS_PER_SECOND
THIRD = coin("THIRD")
JOB = Job("rebalance:main", JobKind.REBALANCE, "0 15 * * 1", "main")
ROOMY = Limits(max_order_notional_fraction=1.0, max_position_fraction=1.0, max_heat_fraction=0.5, max_risk_per_order_fraction=0.0,
               max_bucket_fraction=0.0, max_sector_fraction=0.0, duplicate_seconds=0.0)
HALVES = TargetSettings(TargetMethod.USER, ("COIN", "OTHER"), weights={"COIN": 0.5, "OTHER": 0.4}, cash_fraction=0.1)


def desk_of(targets: TargetSettings = HALVES, automation: AutomationLevel = AutomationLevel.AUTO_EXECUTE,
            limits: Limits = ROOMY, quoted: bool = True) -> Desk:
    """A desk whose portfolio has targets and cash alone: 10,000.00 of it, everything at 100.00."""
    plain = settings_of("main", automation=automation, limits=limits, jobs=(JOB,))
    (one,) = plain.portfolios
    desk = Desk(settings=replace(plain, portfolios=(replace(one, targets=targets),)),
                instruments=(coin(), OTHER, THIRD))
    for instrument in desk.instruments[0 if quoted else 3:]:
        desk.quote(10_000, instrument_id=instrument.instrument_id)
    return desk


def plan(desk: Desk) -> Plan:
    found = plan_of(desk.state, desk.market, desk.at_ns, "main")
    assert isinstance(found, Plan), found
    return found


def changes(desk: Desk) -> dict[str, int]:
    return {line.instrument.symbol: line.change_lots for line in plan(desk).lines}


def settle(desk: Desk) -> None:
    """The venue takes and fills everything that is at work, stops apart, at 100.00."""
    while True:
        desk.accept()
        waiting = [order for order in desk.state.orders.values() if order.intent.purpose in (Purpose.ENTRY, Purpose.EXIT)]
        if not waiting:
            return
        for order in waiting:
            mark = desk.market.marks[order.intent.instrument_id]
            desk.fill(order.client_order_id, order.leaves_lots, mark.take_ticks(order.intent.side.sign))


def rebalanced(desk: Desk, command_id: str = "r1", **more: Any) -> None:
    receipt = desk.do(Rebalance(command_id, **more))
    assert receipt.accepted, receipt.refusal
    for _ in range(4):
        settle(desk)
        desk.beat()


def risen(desk: Desk) -> None:
    """COIN at 125.00, in two steps: a lone jump would not be believed."""
    desk.quote(11_000)
    desk.quote(12_500)


def lots(desk: Desk) -> dict[str, int]:
    return {position.instrument_id.partition("@")[0]: position.lots for position in desk.state.positions.values()}


def ended(desk: Desk) -> str:
    (event,) = desk.of(RebalanceEnded)
    return str(event.outcome)


# ---- what would be done ------------------------------------------------------------------------------------------------------


def test_from_cash_the_plan_buys_the_targets() -> None:
    desk = desk_of()
    cash = desk.state.accounts["acct"].cash_minor
    assert changes(desk) == {"COIN": cash // 2 // 10_000, "OTHER": cash * 4 // 10 // 10_000}
    assert plan(desk).cash_fraction == 1.0


def test_a_run_reaches_the_targets_with_a_stop_on_each_and_a_second_one_changes_nothing() -> None:
    desk = desk_of()
    rebalanced(desk)
    wanted = plan(desk)
    assert [round(line.actual_fraction, 2) for line in wanted.lines] == [0.5, 0.4]
    assert all(position.strategy == REBALANCE and position.stop_ticks == 8_000 for position in desk.state.positions.values())
    assert ended(desk) == "bought COIN, OTHER"
    desk.forget()
    receipt = desk.do(Rebalance("r2"))
    assert receipt.accepted and "within its bands" in receipt.text
    assert not desk.sent and not desk.of(RebalanceStarted)


def test_drift_within_the_bands_is_left_and_beyond_them_all_go_back() -> None:
    desk = desk_of()
    rebalanced(desk)
    desk.quote(10_800)
    assert not plan(desk).is_due, "0.54 of 1.04 is within five points"
    risen(desk)
    before = lots(desk)
    assert plan(desk).lines[0].drifted and changes(desk)["COIN"] < 0 < changes(desk)["OTHER"]
    desk.forget()
    rebalanced(desk, "r2")
    assert lots(desk)["COIN"] < before["COIN"] and lots(desk)["OTHER"] > before["OTHER"]
    purposes = [intent.purpose for intent in desk.sent if intent.purpose in (Purpose.ENTRY, Purpose.EXIT)]
    assert purposes == [Purpose.EXIT, Purpose.ENTRY], "what is sold goes first, and is done before anything is bought"
    assert ended(desk) == "reduced COIN; bought OTHER"


def test_nothing_is_bought_while_a_reduction_is_at_work() -> None:
    desk = desk_of()
    rebalanced(desk)
    risen(desk)
    desk.forget()
    assert desk.do(Rebalance("r2")).accepted
    desk.accept()
    desk.beat()
    desk.beat()
    assert [intent.purpose for intent in desk.sent] == [Purpose.EXIT]
    assert desk.do(Rebalance("r3")).refusal.message == "main is being rebalanced already"  # type: ignore[union-attr]
    desk.beat(901)
    assert "given up after 15 min: COIN not reduced yet" in ended(desk)


def test_a_small_weight_drifts_by_its_relative_band() -> None:
    desk = desk_of(TargetSettings(TargetMethod.USER, ("COIN", "OTHER"), weights={"COIN": 0.04, "OTHER": 0.4},
                                  drift_band_fraction=0.05, relative_band_fraction=0.25))
    rebalanced(desk)
    desk.quote(12_000)
    assert not plan(desk).lines[0].drifted
    desk.quote(13_000)
    assert plan(desk).lines[0].drifted and plan(desk).lines[0].drift_fraction < 0.05


def test_a_weight_of_nothing_is_sold_out() -> None:
    desk = desk_of(TargetSettings(TargetMethod.USER, ("COIN", "OTHER"), weights={"OTHER": 0.5}))
    desk.enter(lots=3)
    assert changes(desk)["COIN"] == -3
    rebalanced(desk)
    assert "COIN" not in lots(desk)


def test_what_is_held_besides_the_targets_is_left_alone_and_its_money_too() -> None:
    desk = desk_of(TargetSettings(TargetMethod.EQUAL, ("OTHER", "THIRD"), cash_fraction=0.0))
    desk.enter(lots=40)
    found = plan(desk)
    assert found.base_minor == found.equity_minor - 40 * 10_000
    rebalanced(desk)
    assert lots(desk)["COIN"] == 40 and lots(desk)["OTHER"] == lots(desk)["THIRD"]


def test_a_run_turns_over_no_more_than_its_cap() -> None:
    desk = desk_of(TargetSettings(TargetMethod.USER, ("COIN", "OTHER"), weights={"COIN": 0.5, "OTHER": 0.25},
                                  max_turnover_fraction=0.3))
    found = plan(desk)
    assert found.capped and found.turnover_minor <= 0.3 * found.base_minor
    one, other = (line.change_minor for line in found.lines)
    assert one == pytest.approx(2 * other, rel=0.01)


def test_an_order_that_is_not_worth_it_is_not_sent() -> None:
    desk = desk_of(TargetSettings(TargetMethod.USER, ("COIN", "OTHER"), weights={"COIN": 0.5, "OTHER": 0.01},
                                  min_order=Decimal(2_000)))
    cash = desk.state.accounts["acct"].cash_minor
    assert cash // 100 < 200_000
    assert changes(desk)["OTHER"] == 0 < changes(desk)["COIN"]


# ---- weights -----------------------------------------------------------------------------------------------------------------


def with_bars(desk: Desk) -> None:
    """OTHER moves twice as much as COIN, to and fro at times of its own."""
    for instrument_id, step, period in ((COIN_ID, 50, 2), ("OTHER@paper", 100, 3)):
        bars = []
        for place in range(61):
            close = 10_000 + step * (place % period)
            bars.append(Bar(instrument_id, place * MINUTE_NS, (place + 1) * MINUTE_NS, close, close, close, close, 1))
        desk.market.warm(bars)


@pytest.mark.parametrize("method", [TargetMethod.INVERSE_VOLATILITY, TargetMethod.RISK_PARITY])
def test_the_calmer_gets_more(method: TargetMethod) -> None:
    desk = desk_of(TargetSettings(method, ("COIN", "OTHER"), cash_fraction=0.1))
    refusal = plan_of(desk.state, desk.market, desk.at_ns, "main")
    assert isinstance(refusal, Refusal) and "too few bars of COIN, OTHER" in refusal.message
    with_bars(desk)
    found = plan(desk)
    one, other = (line.target_fraction for line in found.lines)
    assert one + other == pytest.approx(0.9) and one > 1.5 * other
    assert found.returns == 60


def test_weights_stay_within_their_bounds() -> None:
    desk = desk_of(TargetSettings(TargetMethod.RISK_PARITY, ("COIN", "OTHER"), cash_fraction=0.1, most_fraction=0.5,
                                  least={"OTHER": 0.42}))
    with_bars(desk)
    assert [line.target_fraction for line in plan(desk).lines] == pytest.approx([0.48, 0.42])


# ---- checks, approvals, and what stands in the way ---------------------------------------------------------------------------


def test_entries_are_cut_to_what_the_limits_allow_with_a_record_of_it() -> None:
    desk = desk_of(limits=Limits(max_order_notional_fraction=0.2, max_position_fraction=0.3, max_heat_fraction=0.5,
                                 max_bucket_fraction=0.0, duplicate_seconds=0.0))
    receipt = desk.do(Rebalance("r"))
    assert receipt.accepted
    for intent in desk.sent:
        assert intent.order_lots * 10_000 <= 0.2 * desk.state.accounts["acct"].cash_minor
    assert {clamp.limit for event in desk.events for clamp in getattr(event, "clamps", ())} >= {"order notional"}
    assert ended(desk).startswith("bought COIN, OTHER; cut: COIN to 200 by order notional")


def test_a_scheduled_run_of_a_portfolio_that_asks_reduces_and_proposes() -> None:
    desk = desk_of(automation=AutomationLevel.SUGGEST_ONLY)
    assert desk.do(Rebalance("r1", scheduled=True, by="schedule")).accepted
    pending = list(desk.state.proposals.values())
    assert [proposal.want.origin for proposal in pending] == [REBALANCE, REBALANCE] and not desk.sent
    assert ended(desk) == "asked for COIN, OTHER"
    desk.forget()
    assert "waits for a person" in desk.do(Rebalance("r2", scheduled=True)).text
    assert len(desk.state.proposals) == 2


def test_a_persons_own_word_is_its_own_approval() -> None:
    desk = desk_of(automation=AutomationLevel.SUGGEST_ONLY)
    rebalanced(desk)
    assert len(lots(desk)) == 2 and not desk.state.proposals


@pytest.mark.parametrize(("automation", "halted", "check"), [
    (AutomationLevel.MONITOR_ONLY, False, "automation"), (AutomationLevel.AUTO_EXECUTE, True, "trading state")])
def test_what_stands_in_the_way_is_said(automation: AutomationLevel, halted: bool, check: str) -> None:
    desk = desk_of(automation=automation)
    if halted:
        desk.do(SetTradingState("h", TradingState.HALTED))
    refusal = desk.do(Rebalance("r")).refusal
    assert refusal is not None and refusal.check == check and not desk.sent


def test_a_portfolio_without_targets_says_so() -> None:
    refusal = Desk().do(Rebalance("r")).refusal
    assert refusal is not None and "has no targets" in refusal.message


def test_a_halt_in_between_ends_the_run() -> None:
    desk = desk_of()
    rebalanced(desk)
    risen(desk)
    desk.forget()
    desk.do(Rebalance("r2"))
    desk.do(SetTradingState("h", TradingState.HALTED))
    settle(desk)
    desk.beat()
    assert ended(desk) == "trading was halted: nothing more was bought"
    assert not [intent for intent in desk.sent if intent.purpose is Purpose.ENTRY]


def test_an_instrument_with_an_order_at_work_is_left_as_it_is() -> None:
    desk = desk_of()
    desk.do(PlaceOrder("c", "COIN", Side.BUY, quantity=Decimal(1), stop=Decimal(95)))
    assert changes(desk)["COIN"] == 0
    assert plan(desk).lines[0].note.endswith("is at work")


def test_an_instrument_with_an_order_over_time_at_work_is_left_too_between_its_slices() -> None:
    desk = desk_of()
    receipt = desk.do(PlaceOrder("c", "COIN", Side.BUY, quantity=Decimal(100), stop=Decimal(95), over=OverTime(600)))
    assert receipt.accepted, receipt.refusal
    settle(desk)
    assert not desk.open(Purpose.ENTRY)
    assert changes(desk)["COIN"] == 0
    assert plan(desk).lines[0].note.endswith("is at work")


def test_what_its_own_stop_closed_is_not_bought_again_for_a_while() -> None:
    desk = desk_of()
    rebalanced(desk)
    (stop,) = [order for order in desk.open(Purpose.STOP) if order.intent.instrument_id == COIN_ID]
    desk.fill(stop.client_order_id, stop.intent.order_lots, 8_000)
    desk.quote(8_000)
    assert changes(desk)["COIN"] == 0 and plan(desk).lines[0].note.startswith("was stopped out")
    desk.later(20 * 86_400 + 1)
    for instrument in desk.instruments:
        desk.quote(8_000, instrument_id=instrument.instrument_id)
    assert changes(desk)["COIN"] > 0


def test_a_stale_quote_holds_an_instrument_back() -> None:
    desk = desk_of()
    desk.later(60)
    desk.quote(10_000)
    assert changes(desk)["COIN"] > 0 and changes(desk)["OTHER"] == 0
    assert plan(desk).lines[1].note == "has no fresh quote"


def test_a_run_that_a_crash_cut_goes_on_and_does_nothing_twice() -> None:
    whole = desk_of()
    rebalanced(whole)
    risen(whole)
    rebalanced(whole, "r2")
    desk = desk_of()
    rebalanced(desk)
    risen(desk)
    desk.do(Rebalance("r2"))
    settle(desk)
    again = Desk(settings=desk.settings, instruments=desk.instruments, state=fold(rows_of(desk)), live=False)
    again.start()
    for instrument in again.instruments:
        again.quote(12_500 if instrument.instrument_id == COIN_ID else 10_000, instrument_id=instrument.instrument_id)
    assert again.do(Rebalance("r2")).text.startswith("already done"), "the command itself takes effect once"
    for _ in range(4):
        again.beat()
        settle(again)
    assert lots(again) == lots(whole)
    run = again.state.portfolios["main"].rebalance
    assert run is not None and run.outcome == "reduced COIN; bought OTHER"


# ---- the schedule ------------------------------------------------------------------------------------------------------------


def job_text(desk: Desk, command_id: str = "job") -> str:
    receipt = desk.do(RunJob(command_id, JOB.job_id))
    assert receipt.accepted
    return receipt.text


def test_the_schedule_rebalances_and_its_run_says_what_it_did() -> None:
    desk = desk_of()
    assert job_text(desk) == "rebalance:main: bought COIN, OTHER"
    settle(desk)
    assert "within its bands" in job_text(desk, "again")


def test_a_scheduled_run_waits_for_the_prices_that_a_start_does_not_have_yet() -> None:
    desk = desk_of(quoted=False)
    assert job_text(desk).endswith("waits: OTHER has no fresh price")
    assert desk.do(Rebalance("r")).refusal.message == "main is being rebalanced already"  # type: ignore[union-attr]
    desk.beat()
    assert not desk.sent
    desk.quote(10_000, instrument_id=OTHER.instrument_id)
    desk.beat()
    assert ended(desk) == "bought COIN, OTHER"


def test_a_scheduled_run_does_without_a_price_that_never_comes() -> None:
    desk = desk_of(quoted=False)
    job_text(desk)
    desk.later(901)
    desk.quote(10_000)
    desk.beat()
    assert ended(desk) == "bought COIN"


def test_the_schedule_leaves_a_portfolio_that_only_monitors_alone() -> None:
    desk = desk_of(automation=AutomationLevel.MONITOR_ONLY)
    assert "only monitors" in job_text(desk)
    assert desk.state.jobs[JOB.job_id].outcome is JobOutcome.DONE and not desk.sent
