"""Backups in the configuration file: how many the schedule keeps, and to whom they are sealed."""

from pydantic import Field

from engine.config_limits import Section


class BackupConfig(Section):
    """Backups that the schedule makes, in backups/scheduled of the home; those made by hand are never removed. The newest of each
    of so many days, weeks and months stays; the one made last stays in any case."""

    keep_daily: int = Field(default=14, ge=1, le=10_000, description="For how many of the last days with a backup one is kept.")
    keep_weekly: int = Field(default=8, ge=0, le=10_000, description="For how many of the last weeks with a backup one is kept.")
    keep_monthly: int = Field(
        default=12, ge=0, le=10_000, description="For how many of the last months with a backup one is kept.")
    recipient: str = Field(
        default="", pattern=r"^(age1[0-9a-z]+)?$",
        description="An age public key (age1...) to which scheduled backups are sealed; empty: they are not encrypted.")
