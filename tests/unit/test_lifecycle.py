"""Candidates: no stage without evidence and a person, staged capital with real money, and demotion on a broken bound."""

import math
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from engine.arming import limits_digest
from engine.candidates import (
    DemoteCandidate,
    Evidence,
    EvidenceKind,
    LifecycleSettings,
    PromoteCandidate,
    RecordEvidence,
    Stage,
    digest_of,
    stage_in_force,
)
from engine.events import OrderIntended, WantRefused
from engine.inputs import ArmAccount, AutomationLevel, EnableStrategy, PlaceOrder, Settings
from engine.lifecycle import gates
from engine.lifecycle_events import CandidateDemoted, CandidatePromoted
from engine.lifecycle_views import candidate_views
from engine.orders import OrderKind, Purpose, Side
from engine.service import CandidateView, Receipt
from engine.state import decode_state, encode_state
from engine.strategy_state import StrategySettings
from tests.unit.engine_desk import ACCOUNT, OTHER, Desk, alerts, coin, fold, rows_of, settings_of
from tests.unit.test_engine_construction import ROOMY

DAY_SECONDS = 86_400.0
MINUTE_NS = 60_000_000_000
EASY = LifecycleSettings(paper_min_days=1, paper_min_round_trips=2, staged_min_days=1, staged_min_round_trips=2)


def strategy(**more: Any) -> StrategySettings:
    return StrategySettings("s", "ema_cross", "main", ("COIN",), {"fast_bars": 2, "slow_bars": 4}, **more)


def lifecycle_settings(one: StrategySettings, *, live: bool = False, asked: LifecycleSettings = EASY) -> Settings:
    made = settings_of("main", automation=AutomationLevel.AUTO_EXECUTE, limits=ROOMY, strategies=(one,), lifecycle=asked)
    return msgspec.structs.replace(made, portfolios=(msgspec.structs.replace(made.portfolios[0], live=live),))


class Course:
    """A candidate on its way, on the bare core."""

    def __init__(self, one: StrategySettings | None = None, **more: Any) -> None:
        self.settings = one or strategy()
        self.desk = Desk(settings=lifecycle_settings(self.settings, **more))
        self.count = 0

    def command_id(self) -> str:
        self.count += 1
        return f"c{self.count}"

    def record(self, kind: EvidenceKind = EvidenceKind.BACKTEST, **found: Any) -> Receipt:
        usual = {"days": 400.0, "round_trips": 150, "drawdown_fraction": 0.1, "return_fraction": 0.2, "same": True,
                 "forecasts": 200, "brier": 0.2, "symbols": self.settings.symbols, "bar_ns": MINUTE_NS,
                 "digest": digest_of(self.settings), "source": "a file"}
        return self.desk.do(RecordEvidence(self.command_id(), "s", Evidence(kind, **{**usual, **found}), "ada"))

    def promote(self, stage: Stage, digest: str = "") -> Receipt:
        digest = digest or digest_of(self.settings)
        return self.desk.do(PromoteCandidate(self.command_id(), "s", stage, digest, "ada", "looks well"))

    def demote(self, stage: Stage | None = None) -> Receipt:
        return self.desk.do(DemoteCandidate(self.command_id(), "s", stage, "ada"))

    def want(self, lots: int | None = 10, **more: Any) -> PlaceOrder:
        return PlaceOrder(self.command_id(), "COIN", Side.BUY, quantity=None if lots is None else Decimal(lots),
                          stop=Decimal(95), origin="s", **more)

    def round_trip(self, gain_ticks: int, lots: int = 10, days: float = 1.0) -> None:
        """The strategy buys at 100.00 and leaves with that gain a lot."""
        self.desk.quote(10_000)
        receipt = self.desk.do(self.want(lots))
        assert receipt.accepted, receipt.refusal
        entry = receipt.order_ids[0]
        self.desk.accept()
        self.desk.fill(entry, lots)
        self.desk.accept()
        self.desk.later(days * DAY_SECONDS)
        self.desk.quote(10_000 + gain_ticks)
        (stop,) = self.desk.open(Purpose.STOP)
        self.desk.fill(stop.client_order_id, lots, 10_000 + gain_ticks)
        assert self.desk.position is None

    def to_paper(self) -> None:
        assert self.record().accepted
        assert self.record(EvidenceKind.PARITY).accepted
        for stage in (Stage.BACKTEST, Stage.PAPER):
            assert self.promote(stage).accepted

    def to_staged(self) -> None:
        self.to_paper()
        self.round_trip(100)
        self.round_trip(200)
        receipt = self.promote(Stage.STAGED_LIVE)
        assert receipt.accepted, receipt.refusal

    def restart(self, *, one: StrategySettings | None = None, live: bool = False) -> None:
        """The engine comes up again, with other settings; armed where it holds real money."""
        self.settings = one or self.settings
        asked = self.desk.settings.lifecycle
        again = Desk(settings=lifecycle_settings(self.settings, live=live, asked=asked), state=self.desk.state)
        again.rows = [*self.desk.rows, *again.rows]
        self.desk = again
        if live:
            armed = again.do(ArmAccount(self.command_id(), ACCOUNT, limits_digest(ROOMY), 100.0, by="ada", despite="a test"))
            assert armed.accepted

    @property
    def stage(self) -> Stage:
        return stage_in_force(self.desk.state.candidates.get("s"), self.settings)

    @property
    def view(self) -> CandidateView:
        return candidate_views(self.desk.state, self.desk.market)[0]


def why(receipt: Receipt) -> str:
    assert receipt.refusal is not None, receipt
    return receipt.refusal.message


# ---- the way up ----------------------------------------------------------------------------------------------------------------


def test_a_candidate_goes_its_way_stage_by_stage_with_evidence_and_a_person() -> None:
    course = Course()
    assert course.stage is Stage.RESEARCH and not course.view.ready
    course.to_staged()
    promoted = course.desk.of(CandidatePromoted)
    assert [event.stage for event in promoted] == [Stage.BACKTEST, Stage.PAPER, Stage.STAGED_LIVE]
    last = promoted[-1]
    assert (last.by, last.reason, last.digest, last.symbols) == ("ada", "looks well", digest_of(course.settings), ("COIN",))
    assert "paper round trips: 2, needed at least 2" in last.gates
    assert {one.kind for one in last.evidence} == {EvidenceKind.BACKTEST, EvidenceKind.PARITY}
    assert (last.results.round_trips, last.results.net_minor) == (2, 3_000)
    assert [one.stage for one in course.view.history] == ["staged_live", "paper", "backtest"]
    course.restart(live=True)
    for _ in range(2):
        course.round_trip(100)
    assert course.promote(Stage.FULL_LIVE).accepted
    assert course.view.next_stage == "" and course.view.gates == ()
    assert "there is no further one" in why(course.promote(Stage.FULL_LIVE))


@pytest.mark.parametrize("stage", [Stage.PAPER, Stage.STAGED_LIVE, Stage.FULL_LIVE, Stage.RESEARCH])
def test_no_stage_is_skipped(stage: Stage) -> None:
    course = Course()
    course.record()
    course.record(EvidenceKind.PARITY)
    assert why(course.promote(stage)) == "s is in research; the next one is backtest, and none is skipped"


@pytest.mark.parametrize(("found", "told"), [
    ({"days": 179.0}, "backtest days: 179.0, needed at least 180"),
    ({"round_trips": 99}, "backtest round trips: 99, needed at least 100"),
    ({"drawdown_fraction": 0.26}, "backtest drawdown: 26.0%, needed at most 25.0%"),
    ({"return_fraction": -0.01}, "backtest return: -1.0%, needed at least 0.0%")])
def test_each_bound_of_a_backtest_is_a_gate(found: dict[str, Any], told: str) -> None:
    course = Course()
    course.record(**found)
    course.record(EvidenceKind.PARITY)
    assert course.promote(Stage.BACKTEST).accepted
    message = why(course.promote(Stage.PAPER))
    assert told in message and message.count("needed") == 1


def test_a_backtest_of_other_instruments_or_at_a_lower_fee_is_no_evidence() -> None:
    course = Course(msgspec.structs.replace(strategy(), symbols=("COIN@paper", "OTHER")))
    course.record(symbols=("other",))
    course.record(EvidenceKind.PARITY)
    assert course.promote(Stage.BACKTEST).accepted
    assert "backtest symbols: none of COIN@paper, needed all that it trades" in why(course.promote(Stage.PAPER))
    course.record(symbols=("OTHER", "COIN"))
    dear = coin(taker_fee_ppm=1_000)
    course.desk = Desk(settings=course.desk.settings, state=course.desk.state, instruments=(dear, OTHER))
    course.record(symbols=("OTHER", "COIN"), fee_ppm=900)
    assert "backtest fee: 9 bps, needed at least 10 bps" in why(course.promote(Stage.PAPER))
    course.record(symbols=("OTHER", "COIN"), fee_ppm=1_000)
    assert course.promote(Stage.PAPER).accepted


def test_a_backtest_on_bars_of_another_length_than_it_sees_is_no_evidence() -> None:
    course = Course()
    course.record(bar_ns=60 * MINUTE_NS)
    course.record(EvidenceKind.PARITY)
    assert course.promote(Stage.BACKTEST).accepted
    assert "backtest bars: of 3600 s, needed of 60 s, as it sees" in why(course.promote(Stage.PAPER))
    hourly = Course(msgspec.structs.replace(strategy(), bar_ns=60 * MINUTE_NS))
    hourly.record(bar_ns=60 * MINUTE_NS)
    hourly.record(EvidenceKind.PARITY)
    assert hourly.promote(Stage.BACKTEST).accepted and hourly.promote(Stage.PAPER).accepted


def test_paper_on_invented_prices_is_no_evidence_for_real_money() -> None:
    """Also where only some of it was made there, before a real market was named."""
    course = Course()
    invented = msgspec.structs.replace(course.desk.settings.portfolios[0], simulated=True)
    course.desk = Desk(settings=msgspec.structs.replace(course.desk.settings, portfolios=(invented,)))
    course.to_paper()
    course.round_trip(100)
    course.restart()
    course.round_trip(200)
    assert course.view.round_trips == 2
    assert why(course.promote(Stage.STAGED_LIVE)) == (
        "s may not go to staged_live yet: paper prices: invented, needed a real market's")
    assert course.demote().accepted and course.promote(Stage.PAPER).accepted
    course.round_trip(100)
    course.round_trip(200)
    assert course.promote(Stage.STAGED_LIVE).accepted


def test_a_parity_is_asked_for_unless_the_configuration_does_not() -> None:
    course = Course()
    course.record()
    course.promote(Stage.BACKTEST)
    assert "parity: none recorded" in why(course.promote(Stage.PAPER))
    lenient = Course(asked=msgspec.structs.replace(EASY, require_parity=False))
    lenient.record()
    assert lenient.promote(Stage.BACKTEST).accepted and lenient.promote(Stage.PAPER).accepted


def test_where_a_model_has_a_say_its_calibration_is_a_gate() -> None:
    course = Course(strategy(uses_model=True))
    course.to_paper()
    course.round_trip(100)
    course.round_trip(200)
    assert "calibration: none recorded" in why(course.promote(Stage.STAGED_LIVE))
    course.record(EvidenceKind.CALIBRATION, brier=0.3, forecasts=20)
    assert "Brier score: 0.300, needed at most 0.24" in why(course.promote(Stage.STAGED_LIVE))
    course.record(EvidenceKind.CALIBRATION)
    assert course.promote(Stage.STAGED_LIVE).accepted


def test_evidence_of_other_parameters_is_refused_and_so_is_a_promotion_of_them() -> None:
    course = Course()
    other = digest_of(strategy(source_hash="x"))
    assert "another rule or other parameters" in why(course.record(digest=other))
    course.record()
    assert "no longer as it was shown" in why(course.promote(Stage.BACKTEST, other))


@pytest.mark.parametrize("found", [{"days": math.nan}, {"drawdown_fraction": -0.1}, {"return_fraction": math.inf},
                                   {"round_trips": -1}])
def test_numbers_that_cannot_be_are_no_evidence(found: dict[str, Any]) -> None:
    course = Course()
    assert "one of its numbers cannot be" in why(course.record(**found))
    assert not course.desk.state.candidates


def test_an_unknown_strategy_is_told_those_there_are() -> None:
    course = Course()
    receipt = course.desk.do(DemoteCandidate("x", "t"))
    assert why(receipt) == "there is no strategy called 't'; there is: s"


# ---- own results ---------------------------------------------------------------------------------------------------------------


def test_own_round_trips_are_counted_from_the_stage_on() -> None:
    course = Course()
    course.round_trip(100)
    course.to_paper()
    assert course.view.round_trips == 0
    course.round_trip(300)
    course.round_trip(-200)
    view = course.view
    assert (view.round_trips, view.net, view.losing_streak) == (2, Decimal("10.00"), 1)
    assert view.days == pytest.approx(2.0)
    assert view.drawdown_percent == pytest.approx(0.02, rel=0.01)
    assert [gate.met for gate in gates(course.desk.state, course.desk.market, course.settings)] == [True] * 6


def test_a_position_of_before_the_stage_is_no_evidence_but_its_loss_counts() -> None:
    course = Course()
    course.record()
    course.record(EvidenceKind.PARITY)
    receipt = course.desk.do(course.want())
    course.desk.accept()
    course.desk.fill(receipt.order_ids[0], 10)
    course.desk.accept()
    course.desk.later(60)
    assert course.promote(Stage.BACKTEST).accepted and course.promote(Stage.PAPER).accepted
    (stop,) = course.desk.open(Purpose.STOP)
    course.desk.fill(stop.client_order_id, 10, 9_900)
    assert (course.view.round_trips, course.view.net, course.view.losing_streak) == (0, Decimal("-10.00"), 1)


def test_another_strategys_and_a_persons_round_trips_are_not_its_own() -> None:
    course = Course()
    course.to_paper()
    course.desk.enter("m", 10)
    (stop,) = course.desk.open(Purpose.STOP)
    course.desk.fill(stop.client_order_id, 10, 9_900)
    assert course.view.round_trips == 0


# ---- real money ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", [Stage.RESEARCH, Stage.PAPER])
def test_before_the_staged_stage_nothing_is_entered_with_real_money(stage: Stage) -> None:
    course = Course()
    if stage is Stage.PAPER:
        course.to_paper()
    course.restart(live=True)
    message = why(course.desk.do(course.want()))
    assert message.startswith(f"s is in {stage}: it enters with real money from staged_live on")
    assert not course.view.may_enter
    assert course.desk.do(PlaceOrder("by hand", "COIN", Side.BUY, quantity=Decimal(1), stop=Decimal(95))).accepted


def test_a_stage_before_real_money_binds_nobody_on_paper() -> None:
    course = Course()
    assert course.desk.do(course.want()).accepted and course.view.may_enter


@pytest.mark.parametrize(("budget", "lots"), [({}, 50), ({"capital_fraction": 0.4}, 20), ({"capital_fixed": Decimal(8_000)}, 4)])
def test_staged_with_real_money_it_has_a_part_of_its_capital(budget: dict[str, Any], lots: int) -> None:
    """1 % of a quarter of what it has in full, at 5.00 a coin."""
    course = Course(strategy(**budget))
    course.to_staged()
    assert course.view.capital_percent == 100
    course.restart(live=True)
    assert course.view.capital_percent == 25
    assert course.desk.do(course.want(None, risk_percent=Decimal(1))).accepted
    assert course.desk.sent[0].order_lots == lots


def test_an_order_beyond_the_staged_capital_is_refused() -> None:
    course = Course()
    course.to_staged()
    course.restart(live=True)
    refusal = course.desk.do(course.want(300)).refusal
    assert refusal is not None and refusal.check == "strategy capital"


# ---- the way down --------------------------------------------------------------------------------------------------------------


def staged_live(**asked: Any) -> Course:
    course = Course(asked=msgspec.structs.replace(EASY, **asked))
    course.to_staged()
    course.restart(live=True)
    course.desk.beat()
    assert course.stage is Stage.STAGED_LIVE
    return course


def test_a_losing_streak_demotes_to_paper_and_is_told() -> None:
    course = staged_live(demote_losing_streak=2)
    course.round_trip(-10)
    course.desk.beat()
    assert course.stage is Stage.STAGED_LIVE
    course.round_trip(-10)
    course.desk.beat()
    demoted, = course.desk.of(CandidateDemoted)
    assert (demoted.stage, demoted.by) == (Stage.PAPER, "engine")
    assert demoted.reason == "2 losing round trips in a row, the bound is 2"
    assert alerts(course.desk, "candidate")[-1] == f"back in paper: {demoted.reason}"
    assert "s is in paper" in why(course.desk.do(course.want()))
    course.desk.beat()
    assert len(course.desk.of(CandidateDemoted)) == 1, "a demotion does not go on by itself"


def test_an_open_loss_breaks_the_bound_and_what_is_held_stays_protected() -> None:
    course = staged_live(demote_drawdown_fraction=0.01)
    receipt = course.desk.do(course.want(100))
    course.desk.accept()
    course.desk.fill(receipt.order_ids[0], 100)
    course.desk.accept()
    waiting = course.desk.do(course.want(5, kind=OrderKind.LIMIT, limit=Decimal(97))).order_ids[0]
    course.desk.accept()
    (stop,) = course.desk.open(Purpose.STOP)
    course.desk.quote(9_700)  # 300.00 of 25,000.00
    course.desk.beat()
    assert course.stage is Stage.PAPER
    assert "its own drawdown is 1.2%, the bound is 1.0%" in course.desk.of(CandidateDemoted)[0].reason
    assert course.desk.cancels == [waiting], "entries are withdrawn, the stop is not"
    (kept,) = course.desk.open(Purpose.STOP)
    assert kept.client_order_id == stop.client_order_id
    course.desk.confirm_cancels()
    course.desk.fill(stop.client_order_id, 100, 9_500)
    assert course.desk.position is None
    for _ in range(3):
        course.desk.beat()
    assert (course.view.stage, course.view.round_trips) == ("paper", 0)


def test_a_broken_parity_leads_back_to_the_backtest_at_once() -> None:
    course = staged_live()
    course.record(EvidenceKind.PARITY, same=False, source="fill 3 differs")
    assert course.stage is Stage.BACKTEST
    assert course.desk.of(CandidateDemoted)[0].reason == "backtest and engine differ: fill 3 differs"
    assert "parity: not the same: fill 3 differs" in why(course.promote(Stage.PAPER))


@pytest.mark.parametrize("changed", [
    {"params": {"fast_bars": 3, "slow_bars": 4}}, {"rule": "momentum"}, {"source_hash": "x"}, {"symbols": ("COIN", "OTHER")}])
def test_another_form_than_was_approved_is_in_research(changed: dict[str, Any]) -> None:
    course = staged_live()
    course.restart(one=msgspec.structs.replace(course.settings, **changed), live=True)
    assert course.stage is Stage.RESEARCH, "before the first beat already"
    assert "s is in research" in why(course.desk.do(course.want()))
    course.desk.beat()
    assert course.desk.of(CandidateDemoted)[-1].stage is Stage.RESEARCH
    course.restart(one=strategy(), live=True)
    assert course.stage is Stage.RESEARCH, "what was given up is not given back"


def test_capital_portfolio_and_fewer_symbols_are_no_other_form() -> None:
    course = Course(strategy(capital_fraction=0.5))
    course.settings = msgspec.structs.replace(course.settings, symbols=("COIN", "OTHER"))
    course.desk = Desk(settings=lifecycle_settings(course.settings))
    course.to_paper()
    course.restart(one=msgspec.structs.replace(course.settings, symbols=("OTHER",), capital_fraction=0.1))
    course.desk.beat()
    assert course.stage is Stage.PAPER


def test_a_person_demotes_one_stage_or_further_but_never_up() -> None:
    course = Course()
    course.to_staged()
    assert "not further back" in why(course.demote(Stage.FULL_LIVE))
    assert course.demote().accepted
    assert course.view.stage == "paper"
    assert course.demote(Stage.RESEARCH).accepted
    assert course.view.stage == "research"
    assert "research is not further back" in why(course.demote())
    assert course.promote(Stage.BACKTEST).accepted, "the evidence is still of this form"


def test_stopping_a_strategy_is_no_demotion() -> None:
    course = Course()
    course.to_paper()
    assert course.desk.do(EnableStrategy("off", "s", enabled=False)).accepted
    course.desk.beat()
    assert course.stage is Stage.PAPER


def test_everything_is_found_again_from_the_journal_and_a_snapshot() -> None:
    course = Course()
    course.to_staged()
    course.demote()
    state = course.desk.state
    assert fold(rows_of(course.desk)) == state
    assert decode_state(encode_state(state)) == state
    assert not course.desk.of(WantRefused) and len(course.desk.of(OrderIntended)) >= 2


def test_a_command_that_comes_twice_takes_effect_once() -> None:
    course = Course()
    course.record()
    command = PromoteCandidate("p", "s", Stage.BACKTEST, digest_of(course.settings), "ada")
    assert course.desk.do(command).accepted
    assert "already done" in course.desk.do(command).text
    assert len(course.desk.of(CandidatePromoted)) == 1


def test_a_bound_that_broke_a_moment_ago_comes_before_a_promotion() -> None:
    course = staged_live(demote_losing_streak=2)
    course.round_trip(-10)
    course.round_trip(-10)
    assert why(course.promote(Stage.FULL_LIVE)) == "s is in paper; the next one is staged_live, and none is skipped"
