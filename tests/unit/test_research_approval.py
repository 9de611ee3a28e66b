"""What keeps research within the risk that was meant: costs are a part of it, and so is what was approved on the same day."""

import msgspec

from engine.inputs import Approve, Halve, ResearchEnded
from engine.orders import Purpose
from engine.research.opinions import Stance
from engine.research_state import KEPT_DECISIONS
from engine.research_views import blocked_text
from engine.research_words import DecisionStatus
from engine.service import ProposalStatus
from tests.unit.engine_desk import OTHER, Desk, coin
from tests.unit.research_runs import WORTH, begun, decided_on, desk_of, tell


def waiting(desk: Desk, most_bps: float) -> tuple[str, str]:
    """Two pending trades of 20 bps each, COIN's and OTHER's, on a day that may risk so much."""
    research = msgspec.structs.replace(desk.state.settings.research, day_risk_bps=most_bps)
    desk.changed(settings=msgspec.structs.replace(desk.state.settings, research=research))
    desk.quote(10_000, instrument_id=OTHER.instrument_id)
    run = begun(desk)
    first, second = tell(desk, decided_on(desk, run), decided_on(desk, run, 2, instrument_id=OTHER.instrument_id, symbol="OTHER"))
    desk.take(ResearchEnded(run.run_id))
    return first.proposal_id, second.proposal_id


def approved(desk: Desk, proposal_id: str) -> str:
    """"" where an approval passed, else the check that refused it."""
    receipt = desk.do(Approve(f"a-{proposal_id}-{len(desk.rows)}", proposal_id, desk.state.proposals[proposal_id].digest))
    return "" if receipt.accepted else receipt.refusal.check if receipt.refusal else "?"


def test_what_waits_at_once_cannot_be_approved_beyond_the_days_risk() -> None:
    desk = desk_of()
    first, second = waiting(desk, 30.0)
    assert approved(desk, first) == ""
    assert approved(desk, second) == "day's risk"
    pending = desk.state.proposals[second]
    assert pending.status is ProposalStatus.PENDING
    told = blocked_text(desk.state, desk.market, desk.at_ns, pending)
    assert told == "research has risked 20.0 of 30 bps today, this asks for 19.9 more; halve or decline it"
    half = desk.do(Halve("h", second, pending.digest))
    assert half.accepted
    assert approved(desk, half.proposal_id) == "", "20 and half of 20 are 30"


def test_what_fits_the_day_is_approved_to_the_last_basis_point() -> None:
    desk = desk_of()
    first, second = waiting(desk, 40.0)
    assert [approved(desk, one) for one in (first, second)] == ["", ""]
    assert desk.state.research.of("main").risked_bps == 2 * WORTH.risk_bps
    assert [intent.order_lots for intent in desk.sent if intent.purpose is Purpose.ENTRY] == [95, 95]


def test_costs_are_a_part_of_what_an_approval_takes_of_the_days_risk() -> None:
    desk = desk_of()
    first, second = waiting(desk, 39.5)
    assert approved(desk, first) == ""
    assert approved(desk, second) == "day's risk", "19 bps to the stop, and nearly one of costs"
    assert desk.state.research.of("main").risked_bps <= 39.5


def test_costs_are_a_part_of_the_risk_that_a_decision_may_take() -> None:
    """Fees of 0.5 % each way beside a stop 2 % away: half as much again would be lost at the stop."""
    fees = coin(taker_fee_ppm=5_000)
    desk = desk_of(instruments=(fees, OTHER))
    (sealed,) = tell(desk, decided_on(desk, begun(desk), worth=msgspec.structs.replace(WORTH, cost_bps=100.0)))
    card = desk.state.proposals[sealed.proposal_id].card
    assert card.worst_loss is not None
    entry_fee = card.fee_estimate
    assert 190 <= card.worst_loss + entry_fee <= 200, "20 bps of 100,000.00, costs included"


def test_a_risk_under_the_smallest_that_is_sized_is_told_as_that() -> None:
    desk = desk_of()
    (sealed,) = tell(desk, decided_on(desk, begun(desk), worth=msgspec.structs.replace(WORTH, risk_bps=1.04)))
    assert (sealed.status, sealed.proposal_id) == (DecisionStatus.SCORED_ONLY, "")
    assert sealed.reason.startswith("a risk of 1.04 bps, costs included, is less than the smallest that is sized")


def test_what_waits_for_an_answer_is_not_let_go_of_however_many_decisions_come() -> None:
    desk = desk_of()
    run = begun(desk)
    (sealed,) = tell(desk, decided_on(desk, run))
    tell(desk, *(decided_on(desk, run, number, stance=Stance.FLAT, actionable=False) for number in range(2, 2 * KEPT_DECISIONS)))
    assert len(desk.state.research.decisions) <= KEPT_DECISIONS + KEPT_DECISIONS // 10 + 1
    assert approved(desk, sealed.proposal_id) == ""
    assert desk.state.research.orders
    desk.take(ResearchEnded(run.run_id))
    later = begun(desk, "later")
    tell(desk, *(decided_on(desk, later, number, stance=Stance.FLAT, actionable=False) for number in range(2 * KEPT_DECISIONS)))
    assert sealed.decided.decision_id not in desk.state.research.decisions, "what was answered goes its way"
