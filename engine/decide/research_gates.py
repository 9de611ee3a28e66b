"""From a sealed decision to a want: the automation level, the conditions of a standing rule, and the ordinary way of an order.

monitor_only scores, suggest_only proposes; auto_execute sends only while every condition holds, else it falls back to proposing
and says which one does not."""

from decimal import ROUND_DOWN, Decimal

from engine.decide import commands, entries
from engine.effects import Answer
from engine.inputs import AutomationLevel, ClosePosition, PlaceOrder
from engine.instruments import Instrument
from engine.orders import Side
from engine.research.decided import Cell, Decided, ResearchCause
from engine.research.opinions import Stance
from engine.research.recalibration import CellMap, map_for
from engine.research.rule_analyst import RULE_ANALYST
from engine.research_approval import LOWER, Acting, acting, data_age_seconds, drift_text
from engine.research_events import DecisionGated
from engine.research_state import ORIGIN, ResearchRun, cell_of
from engine.research_words import ConditionView, DecisionStatus
from engine.service import AlertLevel, ProposalStatus, Refusal
from engine.turn import Turn
from engine.want import assess, resolve

BPS = Decimal(10_000)
CENT = Decimal("0.01")
MICRO_USD = 1_000_000


def pass_on(turn: Turn, run: ResearchRun, one: Decided, instrument: Instrument) -> None:
    """What becomes of a decision that passed its thresholds."""
    level, fallback = _acting(turn, one)
    kept_back = "a drill: scored, never proposed" if run.cause is ResearchCause.DRILL \
        else (fallback or "monitor_only: scored, never proposed") if level is AutomationLevel.MONITOR_ONLY \
        else "flat" if one.stance is Stance.FLAT or not one.actionable else _hindrance(turn, one, instrument)
    if kept_back:
        _gate(turn, one, DecisionStatus.SCORED_ONLY, kept_back, level)
        return
    want = None if one.stance is Stance.EXIT else _want(turn, one, instrument)
    conditions = conditions_of(turn, one, instrument, want) if level is AutomationLevel.AUTO_EXECUTE else ()
    failing = next((condition for condition in conditions if not condition.holds), None)
    if failing is not None:
        level, fallback = AutomationLevel.SUGGEST_ONLY, f"{failing.name}: {failing.value}, asked {failing.asked}"
    alone = level is AutomationLevel.AUTO_EXECUTE
    before = len(turn.effects)
    if want is None:
        _leave(turn, one, level, fallback, conditions)
    else:
        _gate(turn, one, DecisionStatus.APPROVED if alone else DecisionStatus.PROPOSED, fallback, level, conditions)
        entries.place_order(turn, PlaceOrder(**{name: getattr(want, name) for name in want.__struct_fields__}
                                             | {"propose": not alone}))
    turn.effects[before:] = [effect for effect in turn.effects[before:] if not isinstance(effect, Answer)]


def _acting(turn: Turn, one: Decided) -> Acting:
    """The portfolio's level; one lower for the rules in the place of models where their own cell has an alarm."""
    found = acting(turn.state, one.portfolio, turn.at_ns)
    cell = map_for(cell_of(one), turn.state.research.maps)
    if found.fallback or not cell.alarm or not stands_in(turn, cell.cell):
        return found
    return Acting(LOWER[found.level], f"degradation alarm: {cell.alarm}")


def _gate(turn: Turn, one: Decided, status: DecisionStatus, reason: str, level: AutomationLevel,
          conditions: tuple[ConditionView, ...] = ()) -> None:
    turn.emit(DecisionGated(one.decision_id, status, reason, level.value, conditions))


def _hindrance(turn: Turn, one: Decided, instrument: Instrument) -> str:
    """Why nothing is asked for although it would be worth it."""
    held = turn.state.position(one.portfolio, instrument.instrument_id)
    if one.stance is Stance.EXIT:
        return "" if held is not None and not held.exit_reason else "nothing is held"
    if held is not None:
        return f"{instrument.symbol} is held already, by {held.strategy}"
    if any(proposal.status is ProposalStatus.PENDING and proposal.want.portfolio == one.portfolio
           and instrument.is_called(proposal.want.symbol) for proposal in turn.state.proposals.values()):
        return f"a pending trade in {instrument.symbol} waits for an answer already"
    if turn.state.orders_in(one.portfolio, instrument.instrument_id):
        return f"an order in {instrument.symbol} is at work already"
    if not _risk_percent(one):
        risk_bps = one.worth.risk_bps if one.worth is not None else 0.0
        return f"a risk of {risk_bps:.2f} bps, costs included, is less than the smallest that is sized, 1 bps to the stop"
    return drift_text(turn.market, one, instrument)


def _want(turn: Turn, one: Decided, instrument: Instrument) -> PlaceOrder:
    """The decision as an order: levels as distances from the price now, size as a risk. The order path sizes and checks it."""
    side = Side.BUY if one.stance is Stance.LONG else Side.SELL
    mark = turn.market.marks.get(instrument.instrument_id)
    price = instrument.price(mark.take_ticks(side.sign)) if mark else one.ref_mark
    known = resolve(turn.state, instrument.symbol, one.portfolio)  # two venues may list one symbol: then the id says which
    symbol = instrument.symbol if known == instrument else instrument.instrument_id
    return PlaceOrder(
        one.decision_id, symbol, side, one.portfolio,
        risk_percent=_risk_percent(one), stop=_away(price, one.stop_bps, -side.sign),
        target=_away(price, one.target_bps, side.sign), origin=ORIGIN, rationale=one.thesis, by=ORIGIN, propose=True)


def _risk_percent(one: Decided) -> Decimal:
    """What may be lost between entry and stop: the risk of the decision less its share of the costs, which are lost beside it. In
    whole basis points, as the order path counts."""
    if one.worth is None or one.stop_bps <= 0:
        return Decimal(0)
    at_stop_bps = Decimal(str(one.worth.risk_bps)) * one.stop_bps / (one.stop_bps + Decimal(str(max(0.0, one.worth.cost_bps))))
    return (at_stop_bps / 100).quantize(CENT, ROUND_DOWN)


def _away(price: Decimal, distance_bps: int, sign: int) -> Decimal:
    return price * (BPS + sign * distance_bps) / BPS


def _leave(turn: Turn, one: Decided, level: AutomationLevel, fallback: str, conditions: tuple[ConditionView, ...]) -> None:
    """Leaving is proposed in words, since it is a person's to close by hand; a standing rule closes what research itself opened,
    as strategies leave each other's positions alone."""
    held = turn.state.position(one.portfolio, one.instrument_id)
    if held is not None and held.strategy != ORIGIN:
        level, fallback = AutomationLevel.SUGGEST_ONLY, f"it is held by {held.strategy}"
    if level is not AutomationLevel.AUTO_EXECUTE:
        why = f" ({fallback})" if fallback else ""
        _gate(turn, one, DecisionStatus.SCORED_ONLY, f"would leave: close it by hand{why}", level, conditions)
        turn.alert(AlertLevel.WARN, ORIGIN, f"{one.portfolio} {one.symbol}", f"would leave, close it by hand: {one.thesis}")
        return
    _gate(turn, one, DecisionStatus.APPROVED, "", level, conditions)
    commands.close_position(turn, ClosePosition(one.decision_id, one.instrument_id, one.portfolio, by=ORIGIN))


# ---- the conditions of a standing rule ------------------------------------------------------------------------------------


def stands_in(turn: Turn, cell: Cell) -> bool:
    """Whether these are the rules beside models: they act only while no model can be asked, and on no alarm of their own."""
    return bool(turn.state.settings.research.lines) and cell.analyst == RULE_ANALYST


def conditions_of(turn: Turn, one: Decided, instrument: Instrument, want: PlaceOrder | None) -> tuple[ConditionView, ...]:
    """What has to hold before a decision is carried out without a person, with what is."""
    settings, known = turn.state.settings.research, turn.state.research.of(one.portfolio)
    cell = map_for(cell_of(one), turn.state.research.maps)
    age = data_age_seconds(turn.market, one, instrument, turn.at_ns)
    spent = turn.state.research.spent_micro_usd(turn.state.day)
    risked = known.risked_bps if known.day == turn.state.day else 0.0
    risk = one.worth.risk_bps if one.worth is not None else 0.0
    agree = one.worth is not None and one.worth.consensus
    return (
        _condition("resolved forecasts", f"at least {settings.auto.min_resolved}", str(cell.up.n),
                   cell.up.n >= settings.auto.min_resolved),
        _skill(cell),
        _condition("consensus", "of the analysts", "yes" if agree else "no", agree),
        _condition("flagged text", "none", "; ".join(one.flags) or "none", not one.flags),
        _condition("data age", f"at most {settings.auto.max_data_age_seconds:g} s", "no price" if age is None else f"{age:.0f} s",
                   age is not None and age <= settings.auto.max_data_age_seconds),
        _condition("day's money", f"under {settings.budgets.day_micro_usd / MICRO_USD:.2f} USD", f"{spent / MICRO_USD:.2f} USD",
                   not settings.lines or spent < settings.budgets.day_micro_usd),
        _condition("day's risk", f"at most {settings.day_risk_bps:g} bps", f"{risked + risk:.1f} bps",
                   want is None or risked + risk <= settings.day_risk_bps),
        _gateway(turn, want),
        _condition("degradation alarm", "none", known.alarm or "none", not known.alarm),
    )


def _condition(name: str, asked: str, value: str, holds: bool) -> ConditionView:  # noqa: FBT001
    return ConditionView(name, asked, value, holds)


def _skill(cell: CellMap) -> ConditionView:
    low = cell.skill_low_percent
    value = "no data" if low is None else f"{low:+.1f} %"
    return _condition("skill", "lower 95 % bound above 0", value, low is not None and low > 0)


def _gateway(turn: Turn, want: PlaceOrder | None) -> ConditionView:
    """Every check of the order path, before anything is asked of it."""
    if want is None:
        return _condition("risk gateway", "passed", "only reduces", holds=True)
    found = assess(turn.state, turn.market, turn.at_ns, want)
    failed = found.message if isinstance(found, Refusal) else next((one.message for one in found.checks if not one.passed), "")
    return _condition("risk gateway", "passed", failed or "passed", not failed)
