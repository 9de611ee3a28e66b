"""Runs of research for the core's tests: decisions as a desk would deliver them, and a core that has begun a run."""

from decimal import Decimal
from typing import Any

import msgspec

from engine.inputs import AutomationLevel, Bar, Limits, ResearchDecided, RunResearch
from engine.research.decided import Cell, Decided, ResearchCause, RoleAnswer, Worth
from engine.research.opinions import Stance
from engine.research.recalibration import CellMap, Series
from engine.research_state import ResearchRun, SealedDecision, cell_of
from engine.units import NS_PER_SECOND
from tests.unit.engine_desk import COIN_ID, Desk, settings_of

DAY_NS = 86_400 * NS_PER_SECOND
LIMITS = Limits(max_heat_fraction=0.5)
CELL = Cell("rule/1", "rule/1", "2-5", "crypto")
PROVEN = CellMap(CELL, Series(n=240), Series(n=240), skill_percent=1.0, skill_low_percent=0.2, skill_high_percent=1.9)
WORTH = Worth((0.62,), 0.62, 0.58, 0.55, 0.0, 0.5, "shrink", 240, 10.0, 40.0, 12.0, 0.5, 0.1, 20.0, True, p_win_agg=0.6)


def desk_of(automation: AutomationLevel = AutomationLevel.SUGGEST_ONLY, *, maps: tuple[CellMap, ...] = (), **more: Any) -> Desk:
    """A core whose market has a COIN at 100.00; `maps` are what was learned."""
    settings = settings_of("main", automation=automation, limits=LIMITS, proposal_seconds=120.0)
    desk = Desk(settings=settings, **more)
    desk.changed(research=msgspec.structs.replace(desk.state.research, maps=maps))
    return desk


def begun(desk: Desk, command_id: str = "r", cause: ResearchCause = ResearchCause.PERSON, **more: Any) -> ResearchRun:
    """A run that is under way."""
    receipt = desk.do(RunResearch(command_id, cause=cause, **more))
    assert receipt.accepted, receipt.refusal
    run = desk.state.research.of("main").run
    assert run is not None and run.under_way
    return run


def decided_on(desk: Desk, run: ResearchRun, number: int = 1, **more: Any) -> Decided:
    """A decision to buy COIN, as the desk would deliver it now."""
    given: dict[str, Any] = {
        "instrument_id": COIN_ID, "symbol": "COIN", "stance": Stance.LONG, "worth": WORTH, "actionable": True,
        "thesis": "it rises", "against": "it may not",
        "as_of_ns": desk.at_ns, "ref_mark": Decimal(100), "analyst": "rule/1", "atr_bps": 200.0,
        "answers": (RoleAnswer("rule", "rule/1", "", 0.62, Stance.LONG),), **more}
    return Decided(
        decision_id=f"{run.run_id}-{number}", run_id=run.run_id, portfolio="main", thread_id="t-main", snapshot_id="s" * 64,
        ref_source="quotes", prompt_version="rule/1", horizon_days=2, target_bps=300, stop_bps=200, asset_class="crypto", **given)


def tell(desk: Desk, *decisions: Decided) -> list[SealedDecision]:
    """Deliver decisions of the run that is under way; what is kept of them."""
    desk.take(ResearchDecided(decisions[0].run_id, decisions))
    kept = desk.state.research.decisions
    return [kept[one.decision_id] for one in decisions if one.decision_id in kept]


def proposed(desk: Desk, **more: Any) -> SealedDecision:
    """A decision that waits for a person."""
    (sealed,) = tell(desk, decided_on(desk, begun(desk), **more))
    assert sealed.proposal_id, sealed.reason
    assert cell_of(sealed.decided) == CELL
    return sealed


def day_bar(desk: Desk, day: int, close: int, high: int = 0, low: int = 0, instrument_id: str = COIN_ID) -> Bar:
    """The closed daily bar of so many days after the core's first day."""
    open_ns = (desk.at_ns // DAY_NS + day) * DAY_NS
    return Bar(instrument_id, open_ns, open_ns + DAY_NS, close, high or close, low or close, close, 10)
