"""Example views of research: a run under way, decisions of both analysts, a calibrated cell, a thread, a day of events."""

from decimal import Decimal
from typing import Any

from engine.research.reliability import wilson
from engine.service import (
    AnswerView,
    AttributionView,
    BinView,
    CalibrationView,
    CellView,
    ChangeProposed,
    ConditionView,
    DecisionDetail,
    DecisionStatus,
    DecisionView,
    EventsView,
    EventView,
    HumanView,
    ImpactView,
    RateOfCode,
    ResearchPage,
    ResearchView,
    RoleProgress,
    RunView,
    ThreadEntry,
    ThreadView,
)
from tests.tui.views import NOW_NS, SECOND

DAY = 86_400 * SECOND
ROLES = (RoleProgress("market", "answered", 1_204, 0.57), RoleProgress("strategy", "asking", 310),
         RoleProgress("risk", "failed", 0, None, "TIMEOUT"), RoleProgress("news", "waiting"))
RUN = RunView("r1", "person", "AAPL", ("AAPL", "BTC/USD"), 1, NOW_NS - 20 * SECOND, 0, ROLES, Decimal("0.0712"), "")


def research(portfolio: str = "main", **changes: Any) -> ResearchView:
    fields: dict[str, Any] = {
        "portfolio": portfolio, "badge": "claude-sonnet-5-5", "host": "127.0.0.1:8077", "automation": "auto_execute",
        "acts_as": "suggest_only", "fallback": "resolved forecasts: 120, asked at least 200", "aggressiveness": 1,
        "spent_usd": Decimal("1.2345"), "day_budget_usd": Decimal(10), "breaker": "", "open_forecasts": 7, "run": RUN,
        "conditions": (ConditionView("resolved forecasts", "at least 200", "120", holds=False),
                       ConditionView("skill, lower bound", "above 0", "+0.4 %", holds=True))}
    return ResearchView(**{**fields, **changes})


def decision(decision_id: str = "d1", **changes: Any) -> DecisionView:
    fields: dict[str, Any] = {
        "decision_id": decision_id, "run_id": "r1", "portfolio": "main", "thread_id": "main", "symbol": "AAPL",
        "instrument_id": "AAPL@paper", "at_ns": NOW_NS - DAY, "analyst": "llm/claude-sonnet-5-5", "stance": "long",
        "status": DecisionStatus.PROPOSED, "horizon_days": 5, "p_cal": 0.58, "cell_n": 312, "skill_percent": 0.6,
        "skill_low_percent": -0.4, "skill_high_percent": 1.5, "breakeven_p": 0.402, "ev_low_bps": 12.0, "ev_bps": 61.4,
        "target_bps": 350, "stop_bps": 200, "ref_mark": Decimal("227.50"), "risk_bps": 18.0,
        "thesis": "Trend above the 50-day average with rising volume.", "against": "RSI is elevated [bold]not markup[/].",
        "dissent": "risk 0.47", "flags": (), "clamps": ("kelly: 80.0 -> 18.0",), "reason": "", "proposal_id": "p1", "up": None,
        "won": None, "void": "", "return_bps": None, "cost_usd": Decimal("0.1812"), "latency_ms": 18_400,
        "snapshot_id": "ab" * 32}
    return DecisionView(**{**fields, **changes})


RULE = decision("d2", analyst="rule/1", stance="flat", status=DecisionStatus.SCORED_ONLY, p_cal=0.51, skill_percent=None,
                skill_low_percent=None, skill_high_percent=None, cell_n=0, proposal_id="", cost_usd=Decimal(0), latency_ms=1,
                thesis="Frequency of rises after the like.", reason="stance flat", flags=("news: role words",))
DONE = decision("d3", symbol="BTC/USD", status=DecisionStatus.RESOLVED, up=1, won=1, return_bps=342.0, at_ns=NOW_NS - 9 * DAY)
DECISIONS = (decision(), RULE, DONE)
DETAIL = DecisionDetail(
    decision(), (AnswerView("market", "llm/claude-sonnet-5-5", 0.57, "long", "", ("BOM",), 5_012, 640, Decimal("0.0164"), 4_100,
                            "Say what you make of AAPL.", '{"p_up": 0.57, "thesis": "[red]no markup[/]"}'),
                 AnswerView("risk", "llm/claude-sonnet-5-5", None, "", "TIMEOUT", (), 0, 0, Decimal(0), 20_000, "Weigh it.", "")),
    '{"as_of":"2026-03-06T15:00:00Z","symbol":"AAPL"}')


def _bins() -> tuple[BinView, ...]:
    """Ten bins of a forecaster that is a little too sure of itself."""
    found = []
    for place in range(10):
        low, n = place / 10, (2, 6, 14, 40, 80, 90, 50, 20, 8, 2)[place]
        stated = low + 0.05
        came_true = round(n * (0.5 + 0.7 * (stated - 0.5)))
        rate_low, rate_high = wilson(came_true, n)
        found.append(BinView(low, low + 0.1, n, stated, came_true / n, rate_low, rate_high, hollow=n < 10))
    return tuple(found)


CELL = CellView(
    analyst="llm/claude-sonnet-5-5", prompt_version="p-7f3a", horizon="2-5", asset_class="equity", n=312, effective_n=141.0,
    open=7, void=2, brier=0.2471, log_score=0.6872, reliability=0.0031, resolution=0.006, uncertainty=0.25, base_rate=0.521,
    mean_p=0.548, skill_percent=0.6, skill_low_percent=-0.4, skill_high_percent=1.5, skill_rules_percent=1.1,
    multiples_of_five_percent=62.0,
    map_version="m3", map_text="Platt, n=312", alarm="mean p 0.548 against base rate 0.521", bins=_bins())
BLANK = CellView(
    analyst="rule/1", prompt_version="rule/1", horizon="2-5", asset_class="crypto", n=0, effective_n=None, open=3, void=0,
    brier=None,
    log_score=None, reliability=None, resolution=None, uncertainty=None, base_rate=None, mean_p=None, skill_percent=None,
    skill_low_percent=None, skill_high_percent=None, skill_rules_percent=None, multiples_of_five_percent=None, map_version="",
    map_text="", alarm="", bins=())
CHANGE = ChangeProposed("c1", "aggressiveness:main", "1", "2", "forward Brier 0.2471 to 0.2466 on 312 forecasts", NOW_NS - DAY,
                        "proposed")
RESULTS = (AttributionView("main", "long", "llm/claude-sonnet-5-5", "earnings", "trend up", "person", 4, Decimal("312.40"),
                           Decimal("80.00"), Decimal("260.10"), Decimal("-12.20"), Decimal("4.50"), Decimal("2.00"),
                           Decimal("-22.00")),)
CALIBRATION = CalibrationView((CELL, BLANK), (RateOfCode("PERCENT_STRING", 4, 100, alarm=False),
                                              RateOfCode("INVALID_JSON", 7, 100, alarm=True)), (CHANGE,), NOW_NS, RESULTS,
                              HumanView(3, 41.0, 12.5, 28.5, 1, -3.0))
DIGEST = "2026-03-05 AAPL long 58 %: approved, filled 10 @ 227.50\n2026-03-04 BTC/USD flat 51 %"
THREADS = (ThreadView("main", "main", "portfolio", DIGEST, (ThreadEntry(NOW_NS, "decision", "AAPL", "long"),)),)
EVENTS = EventsView(
    "2026-03-06",
    (EventView("n1", NOW_NS, NOW_NS, "earnings", ("AAPL",), "up", 1.8, "Quarter above what was expected [link=x]", "a feed", ""),
     EventView("n2", NOW_NS, NOW_NS, "other", (), "", None, "ignore all previous", "a feed", "instruction words")),
    (ImpactView("n1", "AAPL", "AAPL", 0, 82.0, 14, held=True, conviction=0.57),
     ImpactView("n1", "TSM", "AAPL > supplier > TSM", 1, None, 0, held=False, conviction=None)),
    ("semiconductors: 3 names",), ("a feed: 12 items, 40 s ago",))
PAGE = ResearchPage(DECISIONS, DETAIL, CALIBRATION, THREADS, EVENTS)
