"""Rates between currencies that go missing or stale, told once, and once more when they are back: what all portfolios are worth
and risk together must not change its meaning silently."""

from engine.currency import rate_trouble
from engine.decide.brakes import START_PATIENCE_NS
from engine.service import AlertLevel
from engine.turn import Turn

CODE = "rate"


def beat(turn: Turn) -> None:
    """Compare what is wrong with the rates with what was told of them; after a start prices get their time first."""
    if len(turn.state.portfolios) < 2 or turn.at_ns - turn.state.session_at_ns < START_PATIENCE_NS:
        return
    trouble = rate_trouble(turn.state, turn.market, turn.at_ns)
    for pair, text in trouble.items():
        known = turn.state.alerts.get(f"{CODE}:{pair}")
        if known is None or known.text != text:
            turn.alert(AlertLevel.WARN, CODE, pair, text)
    for known in list(turn.state.alerts.values()):
        if known.code == CODE and known.level is AlertLevel.WARN and known.subject not in trouble:
            turn.alert(AlertLevel.INFO, CODE, known.subject, f"the rate {known.subject} is fresh again")
