"""What is asked of research, and what comes back from its desk: commands and inputs like the others in `engine.inputs`."""

import msgspec

from engine.market_items import Bar
from engine.research.decided import Decided, ResearchCause
from engine.research.recalibration import CellMap
from engine.research_words import CalibrationView


class RunResearch(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """Look into a portfolio's market now. Without `symbols` a scan in code chooses them; `replay` names a recorded run or a
    file of recorded calls: then no model is asked. A run by DRILL is scored and never proposed."""

    command_id: str
    portfolio: str = "main"
    symbols: tuple[str, ...] = ()
    cause: ResearchCause = ResearchCause.PERSON
    replay: str = ""
    note: str = ""
    by: str = "user"


class StopResearch(msgspec.Struct, frozen=True, tag=True):
    """End the run of a portfolio that is under way; what it has not decided yet it does not decide."""

    command_id: str
    portfolio: str = "main"
    by: str = "user"


class ApplyResearchChange(msgspec.Struct, frozen=True, tag=True):
    """Apply a change of a parameter that the nightly learning proposed."""

    command_id: str
    change_id: str
    by: str = "user"


class RejectResearchChange(msgspec.Struct, frozen=True, tag=True):
    """Leave a parameter as it is; the same change is not proposed again on the same evidence."""

    command_id: str
    change_id: str
    reason: str = ""
    by: str = "user"


class ReleaseResearchAlarm(msgspec.Struct, frozen=True, tag=True):
    """Let a portfolio act again on its research after a degradation alarm; the next learning may raise it anew."""

    command_id: str
    portfolio: str = "main"
    reason: str = ""
    by: str = "user"


class Halve(msgspec.Struct, frozen=True, tag=True):
    """Put half of a pending trade in its place: a new card with its own digest; an approval of the old one is void."""

    command_id: str
    proposal_id: str
    digest: str
    by: str = "user"


# ---- from the desk ---------------------------------------------------------------------------------------------------------


class ResearchDecided(msgspec.Struct, frozen=True, tag=True):
    """What a run that goes on has come to for one instrument: the models' decision and the rule's."""

    run_id: str
    decided: tuple[Decided, ...]


class ResearchEnded(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """The end of a run, however it came; `failure` is why it did not come to its end. Money in millionths of a dollar."""

    run_id: str
    failure: str = ""
    text: str = ""
    cost_micro_usd: int = 0


class LearningEnded(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """What the nightly learning found in the resolved forecasts up to `through_seq`: scores, alarms, changes to propose, and
    the calibration maps by cell as they are kept."""

    run_id: str
    through_seq: int
    learned: CalibrationView
    maps: tuple[CellMap, ...] = ()
    failure: str = ""


class DaysRecalled(msgspec.Struct, frozen=True, tag=True):
    """The past in days of an instrument whose forecasts have come to their end without a bar that told how: closed daily bars,
    oldest first, none where nobody knows."""

    instrument_id: str
    bars: tuple[Bar, ...]
