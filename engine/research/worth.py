"""What a decision is worth and how large it may be: expected value, thresholds, and a size that every limit can only shrink."""

from math import sqrt
from typing import NamedTuple

from engine.research.aggregation import Aggregate, Agreed
from engine.research.decided import Worth
from engine.research.opinions import Stance
from engine.research.parameters import Parameters
from engine.research.recalibration import PRIOR_N, CellMap, calibrated, version_of

BPS = 10_000
KELLY_PART = 0.25
PER_TRADE_RISK_BPS = 50.0
PROBATION_RISK_BPS = 10.0
PROBATION_UNDER_N = 200
Z_80 = 0.8416212335729143
NOTHING_CHANGED = Parameters()
OPENING = (Stance.LONG, Stance.SHORT)


class Edge(NamedTuple):
    """The expected value of one bet in bps of its notional, where the target is hit with `p`; break-even may lie above 1."""

    ev_bps: float
    breakeven_p: float
    kelly_risk_fraction: float
    kelly_notional_multiple: float


class Room(NamedTuple):
    """What a new position may risk, in bps of equity: by itself, by the heat that is left and by what is left of the day."""

    per_trade_risk_bps: float = PER_TRADE_RISK_BPS
    heat_left_bps: float = BPS
    day_left_bps: float = BPS
    probation_risk_bps: float = PROBATION_RISK_BPS
    kelly_part: float = KELLY_PART


class Sized(NamedTuple):
    """A risk in bps of equity, what was asked at first, and which limit took how much."""

    risk_bps: float
    clamps: tuple[str, ...]


def round_trip_cost_bps(spread_bps: float, fee_bps: float, slippage_bps: float) -> float:
    """What a round trip costs: half the spread, fee and slippage, each way."""
    return spread_bps + 2 * fee_bps + 2 * slippage_bps


def edge_of(p: float, target_bps: float, stop_bps: float, cost_bps: float) -> Edge:
    """`p(T-c) - (1-p)(S+c)`, and the Kelly fraction as risk: the expected value over the net target, 0 without an edge.

    Kelly 1956 for two outcomes: `f = ev / ((T-c)(S+c))` of equity as notional, times `S+c` as risk.
    """
    gain, loss = target_bps - cost_bps, stop_bps + cost_bps
    ev = p * gain - (1 - p) * loss
    both = target_bps + stop_bps
    breakeven = loss / both if both > 0 else 1.0
    kelly = ev / gain if ev > 0 and gain > 0 else 0.0
    return Edge(ev, breakeven, kelly, kelly * BPS / loss if loss > 0 else 0.0)


def sized(edge: Edge, room: Room, *, probation: bool = False) -> Sized:
    """A quarter of Kelly as a brake, then each limit in turn; a limit that took something is told as "name: before -> after"."""
    if edge.kelly_risk_fraction <= 0:
        return Sized(0.0, ())
    limits = [("per-trade risk", room.per_trade_risk_bps), ("heat left", room.heat_left_bps), ("day's budget", room.day_left_bps)]
    if probation:
        limits.insert(1, ("probation", room.probation_risk_bps))
    risk = room.kelly_part * edge.kelly_risk_fraction * BPS
    clamps: list[str] = []
    for name, most in limits:
        held = max(0.0, most)
        if held < risk:
            clamps.append(f"{name}: {risk:.2f} -> {held:.2f} bps")
            risk = held
    return Sized(risk, tuple(clamps))


def low_bound(p: float, n: int) -> float:
    """The lower 80 % bound of a calibrated probability: that of `n` forecasts and the 200 that the prior counts for."""
    return max(0.0, p - Z_80 * sqrt(p * (1 - p) / (n + PRIOR_N + 1)))


def no_edge_p(target_bps: float, stop_bps: float) -> float:
    """The probability that a price without drift reaches the target before the stop (the gambler's ruin)."""
    both = target_bps + stop_bps
    return stop_bps / both if both > 0 else 0.5


def worth_of(agreed: Agreed, cell_map: CellMap, cost_bps: float, room: Room) -> Worth:
    """Probabilities, expected value and size of what the judges agreed on.

    With under 200 resolved forecasts the cell is on probation: calibration draws everything to the base rate, so that nothing
    could ever begin; there the expected value is that of what was stated, and the size that of probation.
    """
    found = agreed.aggregate
    opens = found.stance in OPENING and agreed.p_win is not None
    probation = cell_map.up.n < PROBATION_UNDER_N
    p_cal = calibrated(found.p_agg, cell_map.up)
    p_win = None
    edge, low_edge, p_win_low = Edge(0.0, 0.0, 0.0, 0.0), Edge(0.0, 0.0, 0.0, 0.0), None
    if opens and agreed.p_win is not None:
        p_win = calibrated(agreed.p_win, cell_map.win, no_edge_p(agreed.target_bps, agreed.stop_bps))
        weighed = agreed.p_win if probation else p_win
        p_win_low = low_bound(weighed, cell_map.win.n)
        edge = edge_of(weighed, agreed.target_bps, agreed.stop_bps, cost_bps)
        low_edge = edge_of(p_win_low, agreed.target_bps, agreed.stop_bps, cost_bps)
    size = sized(edge, room, probation=probation) if opens else Sized(0.0, ())
    return Worth(
        p_raw=found.ps, p_agg=found.p_agg, p_cal=p_cal, p_low=_bound_against(p_cal, cell_map.up.n, found.stance),
        dispersion_logit=found.dispersion_logit, base_rate=cell_map.up.base_rate, cal_version=version_of(cell_map.up),
        cal_n=cell_map.up.n, cost_bps=cost_bps, ev_bps=edge.ev_bps, ev_low_bps=low_edge.ev_bps, breakeven_p=edge.breakeven_p,
        kelly_risk_fraction=edge.kelly_risk_fraction, risk_bps=size.risk_bps, consensus=found.consensus, clamps=size.clamps,
        p_win_agg=agreed.p_win if opens else None, p_win=p_win, p_win_low=p_win_low, probation=probation)


def _bound_against(p_cal: float, n: int, stance: Stance) -> float:
    """The end of the 80 % interval that speaks against the stance: for a short the upper one."""
    return 1 - low_bound(1 - p_cal, n) if stance is Stance.SHORT else low_bound(p_cal, n)


def why_not(worth: Worth, found: Aggregate, aggressiveness: int, parameters: Parameters = NOTHING_CHANGED) -> str:
    """Why nothing may be proposed, "" where it may: consensus, the threshold of the aggressiveness, the expected value at the
    lower bound, and a size. Leaving a position needs consensus alone: it only reduces risk."""
    if not found.consensus:
        return f"no consensus: spread {found.dispersion_logit:.2f} in log-odds, at most 0.6 and two thirds of one stance asked"
    if found.stance is Stance.EXIT:
        return ""
    if found.stance is Stance.FLAT or worth.p_win is None:
        return "flat"
    asked = parameters.threshold_percent(aggressiveness)
    conviction = 100 * conviction_of(worth, found.stance)
    if conviction < asked:
        return f"conviction {conviction:.1f} % under the threshold of {asked:g} % (aggressiveness {aggressiveness})"
    if worth.ev_low_bps <= 0:
        return f"expected value {worth.ev_low_bps:+.1f} bps at the lower bound, above 0 asked"
    return "" if worth.risk_bps > 0 else f"no room for risk ({'; '.join(worth.clamps) or 'no edge'})"


def conviction_of(worth: Worth, stance: Stance) -> float:
    """The probability of the stance's direction: calibrated, or as it was stated on probation."""
    p = worth.p_agg if worth.probation else worth.p_cal
    return 1 - p if stance is Stance.SHORT else p
