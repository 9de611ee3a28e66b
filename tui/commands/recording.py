"""What a backtest or a comparison with the engine found, kept as evidence of a strategy of the configuration."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.candidates import Evidence, EvidenceKind, form_digest
from engine.errors import QuarterdeckError, UsageError
from engine.inputs import RecordEvidence
from tui.commands.arming import person
from tui.commands.link import command_id, engine_link
from tui.commands.trading import refusal_line
from tui.formats import moment
from tui.printing import print_note

if TYPE_CHECKING:
    from engine.backtest.results import BacktestResult
    from engine.config_strategies import StrategyConfig
    from engine.service import PerformanceView
    from tui.commands.backtesting import Prepared

NS_PER_DAY = 86_400_000_000_000
PPM_A_BPS = 100
USUAL_BARS = 1_000


def configured_form(home: Path, name: str) -> tuple[str, dict[str, Any]]:
    """The rule of a strategy of the configuration and the parameters written there; raises `UsageError` where it is none."""
    one = _configured(home, name)
    return one.rule, dict(one.params)


def configured_budgets(home: Path, name: str) -> dict[str, Any]:
    """What a strategy of the configuration may use of its account; raises `UsageError` where it is none."""
    one = _configured(home, name)
    return {"capital_fraction": one.capital_fraction, "capital_fixed": one.capital_fixed,
            "heat_budget_fraction": one.heat_budget_fraction}


def configured_bar_ns(home: Path, name: str) -> int:
    """The length of the bars that a strategy of the configuration sees, 0 for those of the feed; raises `UsageError` where it is
    none."""
    return _configured(home, name).bar_ns


def _configured(home: Path, name: str) -> "StrategyConfig":
    from engine.config import CONFIG_FILE, load_config

    known = load_config(home / CONFIG_FILE).strategies
    for one in known:
        if one.name == name:
            return one
    names = ", ".join(one.name for one in known) or "none"
    raise UsageError(f"--record: {name} is no strategy of {CONFIG_FILE}, which evidence is about; there is: {names}")


def backtest_evidence(tried: "Prepared", report: "PerformanceView", return_percent: float, trips: int) -> Evidence:
    """What a backtest found, beside the strategy's capital, and what trading was taken to cost there."""
    fall = report.figure("max_drawdown")
    times = _times_its_capital(tried)
    fee_ppm = min(one.instrument.taker_fee_ppm for one in tried.series)
    costs = f"fee {fee_ppm / PPM_A_BPS:g} bps, spread {tried.setup.spread_bps} bps, slippage {tried.setup.slippage_bps} bps"
    return Evidence(
        EvidenceKind.BACKTEST, _digest(tried), f"{_source(tried, report.from_ns, report.to_ns)}, {costs}",
        days=(report.to_ns - report.from_ns) / NS_PER_DAY, round_trips=trips, return_fraction=times * return_percent / 100,
        drawdown_fraction=times * abs(fall.value) / 100 if fall is not None and fall.value is not None else 0.0,
        symbols=tuple(one.instrument.symbol for one in tried.series), fee_ppm=fee_ppm, bar_ns=_bar_ns(tried))


def parity_evidence(tried: "Prepared", tested: "BacktestResult", difference: str) -> Evidence:
    """Whether backtest and engine made the same fills; without a single one nothing was shown."""
    first, last = int(tested.equity_at_ns[0]), int(tested.equity_at_ns[-1])
    count = len(tested.fills)
    told = difference or f"{count} fills on {_source(tried, first, last)}"
    return Evidence(EvidenceKind.PARITY, _digest(tried), told, round_trips=len(tested.trips),
                    same=not difference and count > 0)


def _digest(tried: "Prepared") -> str:
    from engine.strategies.registry import params_of

    return form_digest(tried.strategy.name, tried.strategy.source_hash, params_of(tried.strategy, tried.params)._asdict(),
                       tried.setup.bar_ns)


def _bar_ns(tried: "Prepared") -> int:
    """How long the bars were that the rule saw: those asked for, else the usual ones of the file."""
    lengths = [sorted(int(close_ns) - int(open_ns) for open_ns, close_ns in zip(
        one.bars.opens_ns[:USUAL_BARS], one.bars.closes_ns[:USUAL_BARS], strict=True)) for one in tried.series]
    return tried.setup.bar_ns or max(one[len(one) // 2] for one in lengths)


def _times_its_capital(tried: "Prepared") -> float:
    """How many times its capital the account holds at the start, at least once: its gains and falls are counted beside that."""
    setup = tried.setup
    if setup.capital_fixed is not None:
        cash = tried.series[0].instrument.money(setup.cash_minor)
        return max(1.0, float(cash / setup.capital_fixed))
    return max(1.0, 1 / setup.capital_fraction) if setup.capital_fraction else 1.0


def _source(tried: "Prepared", from_ns: int, to_ns: int) -> str:
    symbols = ", ".join(one.instrument.symbol for one in tried.series)
    return f"{symbols} {moment(from_ns)[:10]} to {moment(to_ns)[:10]}"


def record(home: Path, name: str, evidence: Evidence) -> None:
    """Hand it to the engine; raises `QuarterdeckError` where it is refused."""
    with engine_link(home) as link:
        receipt = link.send_now(RecordEvidence(command_id(), name, evidence, person()))
    if receipt.refusal is not None:
        raise QuarterdeckError(f"not recorded: {refusal_line(receipt.refusal)}")
    print_note(f"{receipt.text}; `quarterdeck candidates show {name}` says what is still asked for")
