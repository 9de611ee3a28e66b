"""Arming: an account with real money opens nothing until a person armed it, for a time, knowing its limits.

What is armed is bound to the limits that the person was shown: changed limits disarm. Exits never ask.
"""

from hashlib import sha256

import msgspec

from engine.inputs import AutomationLevel, Limits, PortfolioSettings
from engine.state import State
from engine.units import Nanoseconds

LONGEST_ARM_HOURS = 168.0

_encoder = msgspec.json.Encoder(order="deterministic")


def limits_digest(limits: Limits) -> str:
    """A digest of exactly these limits: what an arming is bound to."""
    return sha256(_encoder.encode(limits)).hexdigest()[:16]


def live_settings(state: State, account: str) -> PortfolioSettings | None:
    """The settings of the portfolio that trades an account with real money, None where the account is none."""
    for portfolio in state.portfolios.values():
        if portfolio.settings.account == account and portfolio.settings.live:
            return portfolio.settings
    return None


def is_armed(state: State, portfolio: str, at_ns: Nanoseconds) -> bool:
    """Whether a portfolio may open positions as far as arming goes: always on paper, for a time with real money."""
    settings = state.portfolios[portfolio].settings
    account = state.accounts.get(settings.account)
    if not settings.live or account is None:
        return not settings.live
    return at_ns < account.armed_until_ns and account.armed_digest == limits_digest(settings.limits)


def automation_in_force(state: State, portfolio: str, at_ns: Nanoseconds) -> AutomationLevel:
    """The automation level that holds now: real money that is not armed is only watched, whatever the settings say."""
    if not is_armed(state, portfolio, at_ns):
        return AutomationLevel.MONITOR_ONLY
    return state.portfolios[portfolio].settings.automation
