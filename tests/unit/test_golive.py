"""The gates before real money: each met and unmet, from what is recorded and from what lies around the engine."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.arming import limits_digest
from engine.candidates import Evidence, EvidenceKind, digest_of
from engine.events import AlertRaised, Armed
from engine.golive import gates
from engine.golive_events import RehearsalRecorded
from engine.golive_words import GoLiveSettings, Incident, Measure, RecordRehearsal, Rehearsed
from engine.inputs import ArmAccount, AutomationLevel, RecordEvidence, Settings
from engine.research.decided import Cell, ResearchCause
from engine.research.recalibration import CellMap, Series
from engine.research_state import PortfolioResearchState, ResearchRun, ResearchState
from engine.service import GoLiveGate, Receipt
from engine.state import decode_state, encode_state
from engine.strategy_state import StrategySettings
from engine.units import NS_PER_SECOND
from store.home import open_home
from store.sent_notices import record_sent
from tests.unit.engine_desk import ACCOUNT, Desk, settings_of
from tui.cli import run
from tui.commands.gates import outside_gates

DAY_SECONDS = 86_400.0
KEPT = Measure("flat", "1 s", "5 s", met=True)
MISSED = Measure("flat", "9 s", "5 s", met=False)
RULE = StrategySettings("cross", "ema_cross", "main", ("COIN",), params={"fast": 5, "slow": 20})
MODEL = msgspec.structs.replace(RULE, uses_model=True)
RUN = ResearchRun("r1", "main", ResearchCause.PERSON, ended_at_ns=1)
CELL = Cell("rules", "v1", "days", "crypto")
RUNNING_VERSION = "test"  # of the desk's engine


def desk_with(golive: GoLiveSettings | None = None, **more: Any) -> Desk:
    asked = golive or GoLiveSettings(paper_min_days=1, paper_min_round_trips=2)
    made = settings_of("main", golive=asked, **more)
    return Desk(settings=made)


def rehearsed(*incidents: Incident, measure: Measure = KEPT) -> tuple[Rehearsed, ...]:
    return tuple(Rehearsed(one, 1, (measure,)) for one in incidents)


def record(desk: Desk, found: tuple[Rehearsed, ...], version: str = RUNNING_VERSION) -> Receipt:
    return desk.do(RecordRehearsal(f"r{desk.state.seq}", version, found, by="ada"))


def gate(desk: Desk, name: str) -> GoLiveGate:
    return next(one for one in gates(desk.state, desk.at_ns, "main") if one.name == name)


# ---- rehearsals ----------------------------------------------------------------------------------------------------------------


def test_a_rehearsal_is_a_gate_once_every_incident_passed() -> None:
    desk = desk_with()
    assert gate(desk, "rehearsal").found.startswith("0 of 10 incidents; outage never")
    assert record(desk, rehearsed(*list(Incident)[1:])).accepted
    assert not gate(desk, "rehearsal").met
    record(desk, rehearsed(Incident.OUTAGE))
    assert gate(desk, "rehearsal").met
    assert len(desk.of(RehearsalRecorded)) == 2
    assert decode_state(encode_state(desk.state)).rehearsals == desk.state.rehearsals


@pytest.mark.parametrize(("spoil", "words"), [
    (lambda desk: record(desk, rehearsed(Incident.HALT, measure=MISSED)), "halt FAILED"),
    (lambda desk: record(desk, rehearsed(Incident.HALT), "0.0.9"), "halt with 0.0.9"),
    (lambda desk: desk.later(31 * DAY_SECONDS), "outage 31 days ago"),
])
def test_what_takes_a_rehearsal_away_again(spoil: Callable[[Desk], object], words: str) -> None:
    desk = desk_with()
    record(desk, rehearsed(*Incident))
    spoil(desk)
    assert not gate(desk, "rehearsal").met
    assert words in gate(desk, "rehearsal").found


def test_a_failed_rehearsal_is_an_alert_and_one_that_measured_nothing_is_refused() -> None:
    desk = desk_with()
    record(desk, rehearsed(Incident.HALT, measure=MISSED))
    (alert,) = [one for one in desk.of(AlertRaised) if one.code == "rehearsal"]
    assert alert.text == "the rehearsal of halt FAILED: flat 9 s, asked 5 s"
    refused = record(desk, (Rehearsed(Incident.HALT, 1, ()),))
    assert refused.refusal is not None
    assert not Rehearsed(Incident.HALT, 1, ()).passed


# ---- paper ---------------------------------------------------------------------------------------------------------------------


def round_trip(desk: Desk, name: str) -> None:
    desk.enter(name)
    desk.fill(next(order.client_order_id for order in desk.state.orders.values() if order.intent.trigger_ticks), 10, 9_500)
    assert desk.position is None


def test_days_and_round_trips_on_paper_are_counted() -> None:
    desk = desk_with()
    desk.beat()
    round_trip(desk, "a")
    assert (gate(desk, "paper days").met, gate(desk, "paper round trips").met) == (True, False)
    desk.beat(60)
    desk.quote(10_000)
    round_trip(desk, "b")
    assert gate(desk, "paper round trips").met
    assert gate(desk, "paper days").found == "1"
    desk.beat(DAY_SECONDS)
    desk.quote(10_000)
    round_trip(desk, "c")
    assert gate(desk, "paper days").found == "2"


def test_round_trips_with_real_money_are_no_paper() -> None:
    made = settings_of("main")
    live = msgspec.structs.replace(made, portfolios=tuple(msgspec.structs.replace(one, live=True) for one in made.portfolios))
    desk = Desk(settings=live)
    assert desk.do(ArmAccount("arm", ACCOUNT, limits_digest(live.portfolios[0].limits), despite="a test")).accepted
    round_trip(desk, "a")
    assert gate(desk, "paper round trips").found == "0"


def test_round_trips_at_invented_prices_tell_nothing_of_real_money() -> None:
    made = settings_of("main")
    invented = tuple(msgspec.structs.replace(one, simulated=True) for one in made.portfolios)
    desk = Desk(settings=msgspec.structs.replace(made, portfolios=invented))
    round_trip(desk, "a")
    assert (gate(desk, "paper days").found, gate(desk, "paper round trips").found) == ("0", "0")


# ---- strategies ----------------------------------------------------------------------------------------------------------------


def test_strategies_parity_and_calibration_are_asked_for_where_there_is_something_to_ask() -> None:
    none = desk_with()
    assert all(gate(none, name).met for name in ("strategies", "parity", "calibration"))
    assert gate(none, "calibration").found == "no model has a say here; research is not at work here"
    desk = desk_with(strategies=(MODEL,))
    assert not any(gate(desk, name).met for name in ("strategies", "parity", "calibration"))
    assert gate(desk, "strategies").found == "cross in research"
    digest = digest_of(MODEL)
    desk.do(RecordEvidence("p", "cross", Evidence(EvidenceKind.PARITY, digest, same=True)))
    desk.do(RecordEvidence("c", "cross", Evidence(EvidenceKind.CALIBRATION, digest, forecasts=200, brier=0.3)))
    assert gate(desk, "parity").met
    assert gate(desk, "calibration").found == "cross 200 forecasts, Brier 0.300"
    desk.do(RecordEvidence("d", "cross", Evidence(EvidenceKind.CALIBRATION, digest, forecasts=200, brier=0.2)))
    assert gate(desk, "calibration").met


def researching(automation: AutomationLevel, run: ResearchRun | None = RUN, alarm: str = "",
                maps: tuple[CellMap, ...] = ()) -> GoLiveGate:
    desk = desk_with(automation=automation)
    known = ResearchState(portfolios={"main": PortfolioResearchState(run=run, alarm=alarm)}, maps=maps)
    desk.changed(research=known)
    return gate(desk, "calibration")


def test_research_that_acts_alone_needs_proven_skill() -> None:
    alone = AutomationLevel.AUTO_EXECUTE
    assert researching(AutomationLevel.SUGGEST_ONLY).found.endswith("research only proposes")
    assert researching(alone, run=None).met
    assert researching(alone).found == "research: 0 of 200 resolved forecasts with proven skill"
    good = CellMap(CELL, Series(n=250), Series(), skill_low_percent=1.5)
    assert researching(alone, maps=(good,)).met
    for bad in (msgspec.structs.replace(good, skill_low_percent=-0.5), msgspec.structs.replace(good, up=Series(n=199))):
        assert not researching(alone, maps=(bad,)).met
    assert not researching(alone, maps=(good,), alarm="its forecasts got worse").met


# ---- arming --------------------------------------------------------------------------------------------------------------------


def live_desk() -> tuple[Desk, Settings]:
    made = settings_of("main", golive=GoLiveSettings(paper_min_days=0, paper_min_round_trips=0))
    live = msgspec.structs.replace(made, portfolios=tuple(msgspec.structs.replace(one, live=True) for one in made.portfolios))
    return Desk(settings=live), live


def test_real_money_is_armed_with_every_gate_met_or_with_a_reason_that_is_kept() -> None:
    desk, settings = live_desk()
    digest = limits_digest(settings.portfolios[0].limits)
    refused = desk.do(ArmAccount("a", ACCOUNT, digest))
    assert refused.refusal is not None
    assert (refused.refusal.check, refused.refusal.value) == ("gates", "rehearsal")
    assert desk.do(ArmAccount("b", ACCOUNT, digest, despite="a trial with little", unmet=("backup",))).accepted
    (armed,) = desk.of(Armed)
    assert (armed.despite, armed.unmet) == ("a trial with little", ("rehearsal", "backup"))
    assert any("despite 2 unmet gates" in one.text for one in desk.of(AlertRaised))
    record(desk, rehearsed(*Incident))
    assert desk.do(ArmAccount("c", ACCOUNT, digest)).accepted
    assert desk.do(ArmAccount("d", ACCOUNT, digest, unmet=("backup",))).refusal is not None
    assert desk.of(Armed)[-1].unmet == ()


# ---- around the engine, and the command ----------------------------------------------------------------------------------------


ROUTE = '[[notify_route]]\nname = "phone"\n'


def outside(home: Path, now_ns: int) -> dict[str, GoLiveGate]:
    return {one.name: one for one in outside_gates(open_home(home), "main", now_ns)}


def test_the_gates_around_the_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--home", str(tmp_path)]
    (tmp_path / "config.toml").write_text(ROUTE, encoding="utf-8")
    tmp_path.chmod(0o700)
    assert run([*command, "rehearse", "partial-then-cancel"]) == 0
    now_ns = round(datetime.now(UTC).timestamp()) * NS_PER_SECOND
    before = outside(tmp_path, now_ns)
    assert {name: one.met for name, one in before.items()} == {
        "backup": False, "journal": True, "doctor": True, "keys": False, "notices": False}
    assert before["notices"].found == "phone never"
    assert run([*command, "backup"]) == 0
    record_sent(open_home(tmp_path).logs, {"route": "phone", "failure": "", "at_ns": now_ns})
    after = outside(tmp_path, now_ns)
    assert after["backup"].met
    assert after["notices"].met
    much_later = outside(tmp_path, now_ns + round(40 * DAY_SECONDS) * NS_PER_SECOND)
    assert not much_later["backup"].met
    assert much_later["notices"].found == "phone not lately"
    record_sent(open_home(tmp_path).logs, {"route": "phone", "failure": "no such host", "at_ns": now_ns})
    assert outside(tmp_path, now_ns)["notices"].found == "phone failed: no such host"


def test_golive_lists_what_is_unmet_and_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path.chmod(0o700)
    command = ["--home", str(tmp_path)]
    assert run([*command, "golive"]) == 1
    assert "no engine ever ran" in capsys.readouterr().err
    assert run([*command, "rehearse", "gap-through-stop", "halt", "--seed", "2"]) == 0
    told = capsys.readouterr()
    assert "2 of 2 rehearsals passed and are recorded" in told.err
    assert "halt … passed" in told.err
    assert run([*command, "golive", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["portfolio"], found["ready"], found["real_money"]) == ("main", False, False)
    rehearsal = next(one for one in found["gates"] if one["name"] == "rehearsal")
    assert rehearsal["found"].startswith("2 of 10 incidents; outage never")
    assert run([*command, "golive", "other"]) == 2
    assert run([*command, "golive"]) == 1
    assert "main is on paper money" in capsys.readouterr().out


def test_a_home_with_strategies_of_its_own_is_rehearsed_with_its_deadlines(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    own = '[engine]\nquery_after_seconds = 600.0\nreconcile_seconds = 80000.0\n[[strategies]]\nname = "mine"\nrule = "mine"\n'
    (tmp_path / "config.toml").write_text(f'{own}symbols = ["BTC/USD"]\n', encoding="utf-8")
    command = ["--home", str(tmp_path), "rehearse", "--no-record"]
    assert run([*command, "gap-through-stop"]) == 0
    assert run([*command, "lost-answer"]) == 1, "an order that is looked up after ten minutes is found too late"


def test_what_rehearse_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--home", str(tmp_path)]
    for arguments in (["rehearse"], ["rehearse", "flood"], ["rehearse", "halt", "--all"], ["rehearse", "halt", "--seed", "-1"]):
        assert run([*command, *arguments]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert run([*command, "rehearse", "--list", "--json"]) == 0
    assert {one["incident"] for one in json.loads(capsys.readouterr().out)} == {*Incident}
