"""What real money asks for before it is armed, in the configuration file."""

from pydantic import Field

from engine.config_limits import Section
from engine.golive_words import GoLiveSettings

_USUAL = GoLiveSettings()


class GoLiveConfig(Section):
    """The gates before real money: `quarterdeck golive` lists them, `arm` shows those that are not met and asks why all the
    same."""

    rehearsal_days: float = Field(
        default=_USUAL.rehearsal_days, gt=0, le=3_650,
        description="Every incident was rehearsed and passed, with this version, within so many days.")
    paper_min_days: int = Field(
        default=_USUAL.paper_min_days, ge=0, le=36_500, description="Days on which a round trip ended on paper.")
    paper_min_round_trips: int = Field(
        default=_USUAL.paper_min_round_trips, ge=0, le=1_000_000, description="Round trips on paper.")
    backup_hours: float = Field(
        default=_USUAL.backup_hours, gt=0, le=87_600, description="The newest verified backup is no older than this.")
    notices_days: float = Field(
        default=_USUAL.notices_days, gt=0, le=3_650,
        description="Each route of notices was told something within so many days (`quarterdeck notify test`).")

    def settings(self) -> GoLiveSettings:
        """What the engine needs of it."""
        return GoLiveSettings(**self.model_dump())
