"""What an unattended engine writes to its log: each change of a snapshot that a person would want to find there."""

import logging
import time
from collections.abc import Callable

from engine.service import AlertLevel, Snapshot
from tui.logs import EventLog

STALL_SECONDS = 10.0
HEALTH_SECONDS = 60.0
LEVELS = {AlertLevel.INFO: logging.INFO, AlertLevel.WARN: logging.WARNING, AlertLevel.ERROR: logging.ERROR,
          AlertLevel.CRIT: logging.CRITICAL}


class Narrator:
    """Compares each snapshot with the one before and logs what is new."""

    def __init__(self, log: EventLog, now_seconds: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._now_seconds = now_seconds
        self._told: dict[str, object] = {}
        self._version = -1
        self._moved_at = now_seconds()
        self._health_at = now_seconds()

    def tell(self, snapshot: Snapshot) -> bool:
        """Log what changed; whether the engine is alive: its snapshots move on."""
        now = self._now_seconds()
        if snapshot.version != self._version:
            self._version, self._moved_at = snapshot.version, now
            self._tell_accounts(snapshot)
            self._tell_orders(snapshot)
            self._tell_alerts(snapshot)
        if now - self._health_at >= HEALTH_SECONDS:
            self._health_at = now
            self._tell_health(snapshot)
        return now - self._moved_at < STALL_SECONDS

    def _is_new(self, subject: str, value: object) -> bool:
        known = self._told.get(subject)
        self._told[subject] = value
        return known != value

    def _tell_accounts(self, snapshot: Snapshot) -> None:
        for account in snapshot.accounts:
            state = (account.trading_state, account.trading_state_cause)
            if self._is_new(f"state {account.portfolio}", state):
                self._log.info("trading state", portfolio=account.portfolio, state=account.trading_state.value,
                               cause=account.trading_state_cause)
            if self._is_new(f"venue {account.portfolio}", account.connectivity):
                self._log.info("venue", account=account.account, connectivity=account.connectivity.value)

    def _tell_orders(self, snapshot: Snapshot) -> None:
        for order in reversed(snapshot.orders):
            if self._is_new(f"order {order.client_order_id}", (order.status, order.filled)):
                self._log.info("order", order_id=order.client_order_id, symbol=order.symbol, side=order.side.value,
                               purpose=order.purpose.value, quantity=str(order.quantity), filled=str(order.filled),
                               status=order.status.value, reason=order.reason)
        shown = {f"order {order.client_order_id}" for order in snapshot.orders}
        self._told = {key: value for key, value in self._told.items() if not key.startswith("order ") or key in shown}

    def _tell_alerts(self, snapshot: Snapshot) -> None:
        for alert in sorted(snapshot.alerts, key=lambda one: one.at_ns):
            if self._is_new(f"alert {alert.alert_id}", alert.count):
                self._log.write(LEVELS[alert.level], "alert", code=alert.code, subject=alert.subject, text=alert.text,
                                count=alert.count)

    def _tell_health(self, snapshot: Snapshot) -> None:
        health = snapshot.health
        self._log.info("health", journal_seq=health.journal_seq, journal_lag_ms=round(health.journal_lag_ms, 3),
                       inputs_per_second=round(health.inputs_per_second, 1), queue_depth=health.queue_depth,
                       positions=len(snapshot.positions),
                       unprotected=sum(position.unprotected_now for position in snapshot.positions))
