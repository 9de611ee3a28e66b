"""Arming: an account with real money opens nothing before a person armed it, nothing after its time, and always gets out."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from engine.arming import LONGEST_ARM_HOURS, automation_in_force, is_armed, limits_digest
from engine.events import Armed, Disarmed, WantRefused
from engine.inputs import (
    Approve,
    ArmAccount,
    AutomationLevel,
    ClosePosition,
    DisarmAccount,
    Limits,
    OrderMissing,
    SetLimit,
    SetProtection,
    Settings,
    Unanswered,
)
from engine.inputs import SubmitAnswered as Answered
from engine.orders import OrderKind, Purpose
from engine.service import HealthView, Mode, Receipt, Snapshot
from engine.state import State, decode_state, encode_state
from engine.units import NS_PER_SECOND
from engine.views import snapshot
from tests.unit.engine_desk import ACCOUNT, COIN_ID, Desk, bought, settings_of

HOUR_NS = 3_600 * NS_PER_SECOND
LIMITS = Limits(max_heat_fraction=0.5)


def live_settings(automation: AutomationLevel = AutomationLevel.AUTO_EXECUTE, limits: Limits = LIMITS) -> Settings:
    made = settings_of("main", automation=automation, limits=limits)
    return msgspec.structs.replace(made, portfolios=tuple(
        msgspec.structs.replace(one, live=True) for one in made.portfolios))


def live_desk(**more: Any) -> Desk:
    return Desk(settings=more.pop("settings", live_settings()), **more)


def arm(desk: Desk, hours: float = 12.0, limits: Limits = LIMITS, account: str = ACCOUNT, command_id: str = "arm") -> Receipt:
    return desk.do(ArmAccount(command_id, account, limits_digest(limits), hours, by="ada", despite="a test"))


def refused_by(receipt: Receipt) -> str:
    assert receipt.refusal is not None, receipt
    return receipt.refusal.check


def view_of(desk: Desk) -> Snapshot:
    health = HealthView(0, 0.0, 0.0, 0, 0.0, "", "")
    return snapshot(desk.state, desk.market, desk.at_ns, version=1, mode=Mode.LIVE, health=health)


def test_real_money_opens_nothing_until_it_is_armed() -> None:
    desk = live_desk()
    receipt = desk.do(bought())
    assert refused_by(receipt) == "arming"
    assert receipt.refusal is not None
    assert f"quarterdeck arm {ACCOUNT}" in receipt.refusal.message
    assert not desk.sent
    assert desk.of(WantRefused)[-1].check == "arming"


def test_paper_is_never_asked() -> None:
    desk = Desk()
    assert desk.do(bought()).accepted
    assert "arming" not in {check.name for check in _checks(desk)}


def _checks(desk: Desk) -> tuple[Any, ...]:
    from engine.risk import entry_checks

    return entry_checks(desk.state, desk.market, desk.at_ns, desk.sent[0])


def test_a_strategy_cannot_act_on_real_money_that_is_not_armed() -> None:
    desk = live_desk()
    assert refused_by(desk.do(bought(origin="dca"))) == "arming"
    assert refused_by(desk.do(bought("c2", propose=True))) == "arming"
    assert not desk.state.proposals


def test_armed_it_trades_and_the_journal_says_who_and_until_when() -> None:
    desk = live_desk()
    receipt = arm(desk)
    assert receipt.accepted
    (armed,) = desk.of(Armed)
    assert (armed.account, armed.by, armed.limits_digest) == (ACCOUNT, "ada", limits_digest(LIMITS))
    assert armed.until_ns == desk.at_ns + 12 * HOUR_NS
    assert desk.do(bought()).accepted
    assert len(desk.sent) >= 1


def test_an_unarmed_account_only_watches_whatever_the_settings_say() -> None:
    desk = live_desk()
    (before,) = view_of(desk).accounts
    assert (before.automation, before.live, before.armed_until_ns) == (AutomationLevel.MONITOR_ONLY, True, 0)
    arm(desk, 1)
    (after,) = view_of(desk).accounts
    assert (after.automation, after.armed_until_ns, after.armed_by) == (
        AutomationLevel.AUTO_EXECUTE, desk.at_ns + HOUR_NS, "ada")
    assert after.limits_digest == limits_digest(LIMITS)


@pytest.mark.parametrize(("hours", "account", "check"), [
    (0.0, ACCOUNT, "arming"), (-1.0, ACCOUNT, "arming"), (float("nan"), ACCOUNT, "arming"),
    (float("inf"), ACCOUNT, "arming"), (LONGEST_ARM_HOURS + 1, ACCOUNT, "arming"), (12.0, "nobody", "account")])
def test_what_cannot_be_armed_is_refused(hours: float, account: str, check: str) -> None:
    desk = live_desk()
    assert refused_by(arm(desk, hours, account=account)) == check
    assert not desk.of(Armed)


def test_a_paper_account_is_not_armed() -> None:
    desk = Desk()
    assert refused_by(arm(desk)) == "arming"
    assert refused_by(desk.do(DisarmAccount("d", ACCOUNT))) == "arming"
    assert refused_by(desk.do(DisarmAccount("d2", "nobody"))) == "arming"


def test_only_the_limits_that_were_read_are_armed() -> None:
    desk = live_desk()
    assert refused_by(arm(desk, limits=Limits(max_heat_fraction=0.01))) == "limits"
    assert refused_by(desk.do(bought())) == "arming"


def test_limits_that_changed_since_open_nothing_even_before_the_next_beat() -> None:
    desk = live_desk()
    assert arm(desk).accepted
    desk.do(SetLimit("l", "main", "max_heat_fraction", "0.6", "kim"))
    assert refused_by(desk.do(bought("after"))) == "arming"


def test_it_ends_by_itself_to_the_nanosecond() -> None:
    desk = live_desk()
    arm(desk, 1)
    until_ns = desk.at_ns + HOUR_NS
    assert is_armed(desk.state, "main", until_ns - 1)
    assert not is_armed(desk.state, "main", until_ns)
    desk.at_ns = until_ns
    desk.quote(10_000)
    assert refused_by(desk.do(bought())) == "arming", "the check does not wait for the beat"
    desk.beat(0)
    assert desk.of(Disarmed)[-1].reason == "its time is over"
    desk.beat()
    assert len(desk.of(Disarmed)) == 1, "it is said once"
    assert automation_in_force(desk.state, "main", desk.at_ns) is AutomationLevel.MONITOR_ONLY


def test_arming_again_starts_the_time_anew() -> None:
    desk = live_desk()
    arm(desk, 1)
    desk.later(1_800)
    arm(desk, 1, command_id="arm-2")
    assert desk.state.accounts[ACCOUNT].armed_until_ns == desk.at_ns + HOUR_NS


def test_disarming_withdraws_entries_and_leaves_protection() -> None:
    desk = live_desk()
    arm(desk)
    desk.enter()
    working = desk.do(bought("w", 5, "80", kind=OrderKind.LIMIT, limit=Decimal(99)))
    desk.accept()
    stops = [order.client_order_id for order in desk.open(Purpose.STOP) if order.intent.parent_id != working.order_ids[0]]
    receipt = desk.do(DisarmAccount("d", ACCOUNT, by="ada"))
    assert receipt.accepted
    assert "1 working entries cancelled" in receipt.text
    assert working.order_ids[0] in desk.cancels
    assert not set(stops) & set(desk.cancels)
    assert refused_by(desk.do(bought("again"))) == "arming"
    assert desk.do(DisarmAccount("d2", ACCOUNT)).text == f"{ACCOUNT} was not armed"


def test_exits_never_need_it() -> None:
    desk = live_desk()
    arm(desk)
    desk.enter()
    desk.do(DisarmAccount("d", ACCOUNT))
    desk.forget()
    assert desk.do(SetProtection("p", "COIN", stop=Decimal(96))).accepted
    assert desk.do(ClosePosition("x", "COIN")).accepted
    desk.confirm_cancels()
    assert any(intent.purpose is Purpose.EXIT for intent in desk.sent)


def test_a_pending_trade_cannot_be_approved_once_disarmed() -> None:
    desk = live_desk()
    arm(desk)
    receipt = desk.do(bought(propose=True))
    proposal = desk.state.proposals[receipt.proposal_id]
    desk.do(DisarmAccount("d", ACCOUNT))
    assert refused_by(desk.do(Approve("ok", proposal.proposal_id, proposal.digest))) == "arming"
    assert not desk.sent


def test_an_entry_that_never_arrived_is_not_sent_again_once_disarmed() -> None:
    desk = live_desk()
    arm(desk)
    (entry, *_) = desk.do(bought()).order_ids
    desk.take(Answered(entry, Unanswered("lost")))
    desk.do(DisarmAccount("d", ACCOUNT))
    desk.forget()
    desk.take(OrderMissing(ACCOUNT, entry, definitive=True))
    assert not desk.sent


def restarted(desk: Desk, settings: Settings | None = None) -> Desk:
    """The same account under a new run, from a state that went through a snapshot."""
    state: State = decode_state(encode_state(desk.state))
    again = Desk(settings=settings or desk.settings, state=state, live=False)
    again.at_ns = desk.at_ns
    again.start()
    again.quote(10_000)
    return again


def test_a_restart_keeps_it_until_its_time() -> None:
    desk = live_desk()
    arm(desk, 2)
    desk.later(3_600)
    again = restarted(desk)
    assert again.do(bought()).accepted
    again.later(3_601)
    again.quote(10_000)
    assert refused_by(again.do(bought("late", 7))) == "arming"


def test_a_restart_after_its_time_finds_it_disarmed() -> None:
    desk = live_desk()
    arm(desk, 1)
    desk.later(7_200)
    again = restarted(desk)
    assert [one.reason for one in again.of(Disarmed)] == ["its time is over"]


def test_changed_limits_disarm_at_the_restart() -> None:
    desk = live_desk()
    arm(desk)
    wider = live_settings(limits=Limits(max_heat_fraction=0.9))
    again = restarted(desk, wider)
    assert [one.reason for one in again.of(Disarmed)] == ["its limits changed since"]
    assert refused_by(again.do(bought())) == "arming"


def test_a_journal_that_was_put_back_from_a_backup_is_not_armed() -> None:
    """Since that backup somebody may have disarmed it, or a strategy was led back; a restore gives the journal another name."""
    desk = live_desk()
    arm(desk)
    desk.changed(engine_id="the name it had")
    again = restarted(desk)
    assert [one.reason for one in again.of(Disarmed)] == ["the journal was put back from a backup"]
    assert refused_by(again.do(bought())) == "arming"


def test_an_account_that_became_paper_is_disarmed() -> None:
    desk = live_desk()
    arm(desk)
    again = restarted(desk, settings_of("main", limits=LIMITS))
    assert [one.reason for one in again.of(Disarmed)] == ["the account holds no real money any more"]
    assert again.do(bought()).accepted
    assert COIN_ID in again.state.instruments
