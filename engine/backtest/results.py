"""What came of a backtest: fills, round trips, the equity curve, what was refused and cut, and what is still held."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.backtest.holdings import RULE_LEFT
from engine.instruments import Instrument
from engine.kernel.exits import HOLD_OVER, STOP_HIT, TARGET_HIT
from engine.positions import RoundTrip
from engine.units import Lots, Minor, Nanoseconds, Ticks

if TYPE_CHECKING:
    from numpy import int64
    from numpy.typing import NDArray

    type Column = NDArray[int64]

EXIT_REASONS = {STOP_HIT: "stop", TARGET_HIT: "target", HOLD_OVER: "maximum time", RULE_LEFT: "rule"}
EXIT_WORDS = {STOP_HIT: "stop of the plan", TARGET_HIT: "target of the plan", HOLD_OVER: "held for its maximum time"}
TESTED = "backtest"


class TestedFill(NamedTuple):
    """One fill: `code` is ENTERED or why it left, `sign` +1 for a buy; `decided_ticks` is the price that it was meant to execute
    at, a stop's or target's level or the market as it was seen."""

    instrument_id: str
    at_ns: Nanoseconds
    sign: int
    lots: Lots
    ticks: Ticks
    fee_minor: Minor
    maker: bool
    code: int
    decided_ticks: Ticks


class Remaining(NamedTuple):
    """What is held after the last bar, valued at its close."""

    instrument_id: str
    lots: Lots
    entry_ticks: Ticks
    stop_ticks: Ticks
    value_minor: Minor


class BacktestResult(NamedTuple):
    """`fills` and `trips` are tables with the columns of FILL_FIELDS and TRIP_FIELDS, in the order in which they came about;
    `equity_minor` holds the equity at each close of `equity_at_ns`. `refused` counts wants by the check that refused them, `cuts`
    sizes by the limit that cut them. `dividends_minor` were received, less what shorts paid; `borrow_minor` was paid for
    shorts."""

    strategy: str
    instruments: tuple[Instrument, ...]
    bars: int
    cash_minor: Minor
    final_cash_minor: Minor
    fills: "Column"
    trips: "Column"
    equity_at_ns: "Column"
    equity_minor: "Column"
    refused: dict[str, int]
    cuts: dict[str, int]
    remaining: tuple[Remaining, ...]
    dividends_minor: Minor = 0
    borrow_minor: Minor = 0

    @property
    def final_equity_minor(self) -> Minor:
        return int(self.equity_minor[-1]) if len(self.equity_minor) else self.cash_minor

    def fill_rows(self) -> list[TestedFill]:
        """The fills one by one."""
        return [TestedFill(self.instruments[row[0]].instrument_id, row[1], row[2], row[3], row[4], row[5], bool(row[6]), row[7],
                           row[9])
                for row in self._rows(self.fills)]

    def round_trips(self) -> list[RoundTrip]:
        """The round trips in the words of the journal."""
        return [self._round_trip(row) for row in self._rows(self.trips)]

    def _rows(self, table: Any) -> Sequence[Sequence[int]]:
        rows: Sequence[Sequence[int]] = table.tolist()
        return rows

    def _round_trip(self, row: Sequence[int]) -> RoundTrip:
        (number, sign, lots, opened_ns, closed_ns, entry_value, exit_value, realized, fees, risk, code, low, high, _, _) = row
        return RoundTrip(
            portfolio=TESTED, instrument_id=self.instruments[number].instrument_id, strategy=self.strategy, side=sign, lots=lots,
            opened_at_ns=opened_ns, closed_at_ns=closed_ns, realized_minor=realized, fees_minor=fees, initial_risk_minor=risk,
            exit_reason=EXIT_WORDS.get(code, f"closed by {self.strategy}"), decision="strategy", entry_ticks=entry_value / lots,
            exit_ticks=exit_value / lots, low_ticks=low, high_ticks=high)
