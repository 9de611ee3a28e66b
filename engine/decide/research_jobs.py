"""Jobs of the schedule that look into the market: the autonomous loop, the analyses of a day and of a week, and the learning."""

from engine.decide import alerts, research
from engine.research.decided import ResearchCause
from engine.research_state import ResearchRun
from engine.schedule_words import Job, JobKind, JobOutcome
from engine.service import Refusal
from engine.turn import Turn

type Done = tuple[JobOutcome, str]
NOTES = {JobKind.AUTONOMOUS: "autonomous loop", JobKind.DAILY_ANALYSIS: "daily analysis",
         JobKind.WEEKLY_ANALYSIS: "weekly analysis", JobKind.END_OF_DAY_ANALYSIS: "analysis at the end of the day"}
HORIZON_DAYS = {JobKind.WEEKLY_ANALYSIS: 10, JobKind.END_OF_DAY_ANALYSIS: 1}


def autonomous(turn: Turn, job: Job) -> Done:
    """One turn of the loop: the venue is asked for everything, the alert rules are looked at, and a run is begun on what a scan
    chooses. A run that is still under way is not doubled."""
    if job.portfolio not in turn.state.portfolios:
        return JobOutcome.FAILED, f"there is no portfolio called {job.portfolio!r}"
    turn.ask_report(turn.state.portfolios[job.portfolio].settings.account)
    alerts.beat(turn)
    outcome, text = analysis(turn, job)
    return outcome, f"asked the venue, looked at {len(turn.state.alert_rules)} alert rules; {text}"


def analysis(turn: Turn, job: Job) -> Done:
    """Begin a run; weekly ones look two weeks ahead, those at the end of a day one day, the others as far as configured."""
    begun = research.begin(turn, ResearchRun("", job.portfolio, ResearchCause.SCHEDULE, (), HORIZON_DAYS.get(job.kind, 0),
                                             note=NOTES[job.kind], by="schedule"))
    if not isinstance(begun, Refusal):
        return JobOutcome.DONE, f"run {begun.run_id} is begun"
    waits = begun.check in ("run", "research")
    return JobOutcome.DONE if waits else JobOutcome.FAILED, begun.message


def learning(turn: Turn, job: Job) -> Done:
    """Have the desk look at what forecasts were worth; what it finds is recorded when it is there."""
    if not turn.state.settings.research.enabled:
        return JobOutcome.DONE, "research is switched off"
    research.learn(turn, f"{job.job_id}-{turn.next_id()}")
    return JobOutcome.DONE, f"{len(turn.state.research.open)} forecasts are open; the resolved ones are looked at"
