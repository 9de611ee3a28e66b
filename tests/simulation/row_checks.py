"""What must hold at every row of the journal and at every look at the market, whatever the venue does."""

from collections.abc import Sequence

from engine.apply import apply
from engine.events import OrderFilled, Recorded, decode
from engine.inputs import TradingState
from engine.market import MarketView
from engine.orders import Order, Purpose
from engine.ports import JournalRow
from engine.positions import Position
from engine.protection import engine_watches, standing_lots
from engine.state import State
from engine.turn import Turn
from engine.units import NS_PER_SECOND
from engine.valuation import equity_minor, fraction, heat_minor, mark_ticks, reference_ticks
from store.memory import MemoryJournal
from tests.simulation.candidates import should_be_gone
from tests.simulation.flows import hidden_losses
from tests.simulation.world import STEP_NS

ROUNDING_MINOR = 4
RISKING = frozenset({
    "OrderIntended", "OrderResent", "OrderDenied", "OrderUnanswered", "OrderAcked", "OrderFilled", "OrderClosed", "OrderMissed",
    "CancelRequested", "CancelSettled", "ConnectivityChanged", "ProtectionChanged", "ExitWanted", "ExitRetried", "LevelTouched",
    "Reconciled", "AlertRaised", "TradingStateChanged", "BrakeSet"})


class WatchedJournal(MemoryJournal):
    """A journal in memory that shows every transaction before it is folded."""

    watcher: "RowChecks | None" = None

    def append(self, rows: Sequence[JournalRow]) -> None:
        super().append(rows)
        if self.watcher is not None:
            self.watcher.rows_written(rows)


class RowChecks:
    """Looks at one run from inside; `violations` is what it found. `state` and `market` are asked of the engine each time."""

    def __init__(self, state: State, market: MarketView, violations: list[str]) -> None:
        self.state = state
        self.market = market
        self.violations = violations
        self._unwithdrawn: dict[str, int] = {}

    # ---- every row ----

    def rows_written(self, rows: Sequence[JournalRow]) -> None:
        """Heat is within its limit wherever an entry is meant, counting UNKNOWN in full, and no row of the venue's doing takes
        it beyond: only prices, money and a person's own levels may."""
        for row in rows:
            before, event = self.state, decode(row.kind, row.payload)
            self.state = after = apply(before, Recorded(row.seq, row.at_ns, event))
            self.violations += hidden_losses(before, after, event, self.market)
            if row.kind not in RISKING or "main" not in before.portfolios:
                continue
            heat, known = heat_minor(after, self.market, "main"), heat_minor(before, self.market, "main")
            equity = equity_minor(after, self.market, "main")
            limit = after.portfolios["main"].settings.limits.max_heat_fraction
            if heat <= known + ROUNDING_MINOR or fraction(heat, equity) <= limit + 1e-9:
                continue
            if isinstance(event, OrderFilled) and heat <= known + ROUNDING_MINOR + self._moved_minor(before, after, event):
                continue
            self.violations.append(f"heat {fraction(heat, equity):.4f} after {row.kind} at row {row.seq}")

    def _moved_minor(self, before: State, after: State, event: OrderFilled) -> int:
        """What a fill may add to heat: all of it where no entry of ours asked for it, else what the price has moved since."""
        fill = event.fill
        order, position = before.order(fill.client_order_id), after.position(event.portfolio, fill.instrument_id)
        if order is None or order.intent.purpose is not Purpose.ENTRY or order.closed or order.external:
            return 1 << 62
        held = before.position(event.portfolio, fill.instrument_id)
        if position is None or (held is not None and (held.sign != position.sign or not held.stop_ticks)):
            return 1 << 62
        moved = (mark_ticks(after, self.market, position) - reference_ticks(self.market, order)) * position.sign
        return after.instruments[fill.instrument_id].notional_minor(max(0, moved), fill.last_lots)

    # ---- every look at the market ----

    def looked(self, at_ns: int) -> None:
        """Where entries are blocked, or a candidate has no right to them any more, none works that nobody asked to cancel by the
        next beat."""
        if not at_ns:  # what a restarted venue reads again
            return
        known, self._unwithdrawn = self._unwithdrawn, {}
        for order in self.state.orders.values():
            blocked = self.state.effective_state(order.intent.portfolio) is not TradingState.ACTIVE \
                or should_be_gone(self.state, order)
            if blocked and order.intent.purpose is Purpose.ENTRY and not order.external and not order.cancel_requests:
                since_ns = self._unwithdrawn[order.client_order_id] = known.get(order.client_order_id, at_ns)
                if at_ns - since_ns <= STEP_NS + NS_PER_SECOND:  # a print right behind a quote sees no beat in between
                    continue
                self.violations.append(f"entry {order.client_order_id} works while entries are blocked, and nobody withdraws it")

    # ---- every cancel ----

    def cancelled(self, client_order_id: str, at_ns: int) -> None:
        """A stop is only cancelled where others guard as much of the position, or the engine does, or it is on its way out."""
        order = self.state.order(client_order_id)
        position = self._guarded_by(order)
        if order is None or position is None:
            return
        turn = Turn(self.state, self.market, at_ns)
        others = standing_lots(turn, position, Purpose.STOP)
        if others < min(abs(position.lots), self.state.covered_lots(order)) and not engine_watches(turn, position):
            self.violations.append(f"{client_order_id} was cancelled, and nothing else guards {position.key}")

    def _guarded_by(self, order: Order | None) -> Position | None:
        if order is None or order.intent.purpose is not Purpose.STOP or order.intent.parent_id in self.state.orders:
            return None
        position = self.state.position(order.intent.portfolio, order.intent.instrument_id)
        leaving = position is not None and (bool(position.exit_reason) or not position.stop_ticks)
        other_side = position is not None and position.sign == order.intent.side.sign
        return None if leaving or other_side or self.state.flattening(order.intent.portfolio) else position
