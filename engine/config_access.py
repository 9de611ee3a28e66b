"""Who has to unlock what, in the configuration file. The PIN and the authenticator's secret are no part of it."""

from typing import Literal

from pydantic import Field

from engine.config_limits import Section


class AccessConfig(Section):
    """A PIN or an authenticator app's code before approvals, resuming, changes of limits and what opens positions with real
    money. `quarterdeck access set-pin` and `set-totp` keep them beside the keys; panic and closing never ask."""

    unlock: Literal["nobody", "remote", "everybody"] = Field(
        default="nobody", description="Who gives the code: nobody; remote: whoever comes over the control socket (attach, serve, "
        "commands); everybody: the workstation's own screen too.")
    unlocked_seconds: int = Field(
        default=900, ge=10, le=86_400, description="How long a connection or screen stays unlocked after a right code.")
    idle_seconds: int = Field(
        default=600, ge=0, le=86_400, description="A screen that has to be unlocked shows nothing but a lock after so long "
        "without a key (0: never).")
