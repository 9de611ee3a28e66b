"""The schedule in the configuration file: what runs when, on whose clock, by which exchange's days."""

from collections.abc import Iterator, Sequence
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, field_validator

from engine.config_accounts import NAME_PATTERN
from engine.config_limits import Section
from engine.instruments import ALWAYS_OPEN
from engine.schedule import problem_of
from engine.schedule_words import Job, JobHours, JobKind, MissedRule

OF_A_PORTFOLIO = (JobKind.RISK_MONITOR, JobKind.REBALANCE, JobKind.AUTONOMOUS, JobKind.DAILY_ANALYSIS, JobKind.WEEKLY_ANALYSIS,
                  JobKind.END_OF_DAY_ANALYSIS)


def _one_of[E: (JobKind, JobHours, MissedRule)](kind: type[E]) -> BeforeValidator:
    def convert(value: object) -> E:
        try:
            return kind(str(value))
        except ValueError:
            raise ValueError("must be one of " + ", ".join(kind)) from None

    return BeforeValidator(convert)


class JobConfig(Section):
    """One job of the schedule. Without any of these sections there are a look at every portfolio's risk each quarter of an hour,
    a rebalancing of every portfolio with targets each Monday, a backup and a look at what forecasts were worth each night; with
    a [[research_model]] also the autonomous loop every 5 minutes of New York's session, and the analyses at 09:45 there, after
    the close and on Fridays. `job = []` at the top of the file means none at all."""

    name: str = Field(pattern=NAME_PATTERN, description="How commands and the journal name the job.")
    kind: Annotated[JobKind, _one_of(JobKind)] = Field(
        description="risk_monitor: looks at heat, protection, prices and venue, and says what is wrong; "
        "rebalance: brings a portfolio with targets back to them; backup: a verified copy; autonomous: asks the venue, looks at "
        "the alert rules and begins a research run; daily_analysis, weekly_analysis, end_of_day_analysis: a research run as far "
        "ahead as configured, two weeks, or one day; learning: scores forecasts and looks for better calibration.")
    portfolio: str = Field(
        default="", description="The portfolio that it is for; empty: one job for each, where the kind is about a portfolio.")
    at: str = Field(
        description='When: a cron expression such as "45 9 * * 1-5", or minutes beside each session: "open+5m", "close-10m".')
    zone: str = Field(default="UTC", description="The time zone whose clock the cron expression means.")
    calendar: str = Field(
        default=ALWAYS_OPEN, pattern=r"^(24/7|[A-Z0-9_]{2,12})$",
        description="Whose days and hours: 24/7, XNYS (New York), XLON (London), XTKS (Tokyo), or another exchange's code.")
    hours: Annotated[JobHours, _one_of(JobHours)] = Field(
        default=JobHours.ALWAYS,
        description="always: every time; trading_days: days with a session; session: within one; open: the others wait for it.")
    missed: Annotated[MissedRule, _one_of(MissedRule)] = Field(
        default=MissedRule.ONCE,
        description="Times at which no engine ran: skip, once (however many), or all (after a sleep of the machine: once).")

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, OSError, ValueError) as error:
            raise ValueError('must be a time zone such as "UTC" or "America/New_York"') from error
        return name

    def jobs(self, portfolios: Sequence[str]) -> Iterator[Job]:
        """The job, or one for each portfolio where it names none and its kind is about one."""
        each = portfolios if self.kind in OF_A_PORTFOLIO and not self.portfolio else (self.portfolio,)
        for portfolio in each:
            job_id = self.name if portfolio == self.portfolio else f"{self.name}:{portfolio}"
            yield Job(job_id, self.kind, self.at, portfolio, self.zone, self.calendar, self.hours, self.missed)


DEFAULT_JOBS = (
    JobConfig(name="risk-monitor", kind=JobKind.RISK_MONITOR, at="*/15 * * * *", missed=MissedRule.SKIP),
    JobConfig(name="rebalance", kind=JobKind.REBALANCE, at="0 15 * * 1"),
    JobConfig(name="backup", kind=JobKind.BACKUP, at="10 0 * * *", missed=MissedRule.ONCE),
    JobConfig(name="learning", kind=JobKind.LEARNING, at="40 0 * * *", missed=MissedRule.ONCE),
)
# What nobody means to lose who only names a job of his own: the sections stand in place of all usual jobs.
NAMED_ANEW = {
    JobKind.RISK_MONITOR: "nobody looks at heat, protection and venue every quarter of an hour",
    JobKind.BACKUP: "no backup is made by itself",
}
NEW_YORK, XNYS, SKIP = "America/New_York", "XNYS", MissedRule.SKIP
# What costs money runs by itself only where models are configured, and the schedule is still the usual one.
MODEL_JOBS = (
    JobConfig(name="autonomous", kind=JobKind.AUTONOMOUS, at="*/5 * * * *", zone=NEW_YORK, calendar=XNYS, hours=JobHours.SESSION,
              missed=SKIP),
    JobConfig(name="daily-analysis", kind=JobKind.DAILY_ANALYSIS, at="45 9 * * *", zone=NEW_YORK, calendar=XNYS,
              hours=JobHours.TRADING_DAYS, missed=SKIP),
    JobConfig(name="end-of-day-analysis", kind=JobKind.END_OF_DAY_ANALYSIS, at="close+15m", calendar=XNYS, missed=SKIP),
    JobConfig(name="weekly-analysis", kind=JobKind.WEEKLY_ANALYSIS, at="30 15 * * 5", zone=NEW_YORK, calendar=XNYS,
              hours=JobHours.TRADING_DAYS, missed=SKIP),
)


def jobs_of(chosen: Sequence[JobConfig], portfolios: Sequence[str], aimed: Sequence[str], *,
            with_models: bool) -> tuple[Job, ...]:
    """The schedule, a job for each portfolio where it is about one; rebalancings only of those with targets (`aimed`)."""
    by_models = MODEL_JOBS if with_models and tuple(chosen) == DEFAULT_JOBS else ()
    return tuple(job for one in (*chosen, *by_models)
                 for job in one.jobs(aimed if one.kind is JobKind.REBALANCE else portfolios))


def schedule_contradictions(jobs: Sequence[JobConfig], *, researches: bool) -> Iterator[str]:
    """What the schedule leaves out although something else counts on it."""
    if researches and all(one.kind is not JobKind.LEARNING for one in jobs):
        yield ('[[job]]: none is of the kind "learning": no forecast is ever scored, and research that becomes worse raises no '
               f'alarm; add one, usually at = "{DEFAULT_JOBS[-1].at}"')
    for usual in DEFAULT_JOBS:
        if jobs and usual.kind in NAMED_ANEW and all(one.kind is not usual.kind for one in jobs):
            yield (f'[[job]]: these sections stand in place of the usual schedule, and none is of the kind "{usual.kind.value}": '
                   f'{NAMED_ANEW[usual.kind]}; add one, usually at = "{usual.at}"')


def job_errors(jobs: Sequence[JobConfig], portfolios: Sequence[str]) -> Iterator[str]:
    """What is wrong with the schedule, one line each."""
    names: dict[str, None] = {}
    for index, one in enumerate(jobs):
        where = f"job[{index}]"
        if one.name in names:
            yield f'{where}.name = "{one.name}": the name is already taken; names must differ'
        names[one.name] = None
        if one.portfolio and one.portfolio not in portfolios:
            yield f'{where}.portfolio = "{one.portfolio}": no such portfolio; there is: {", ".join(portfolios)}'
        problem = problem_of(Job(one.name, one.kind, one.at, calendar=one.calendar))
        if problem:
            yield f"{where}.{problem}"
        if one.hours is not JobHours.ALWAYS and one.calendar == ALWAYS_OPEN:
            yield f'{where}.hours = "{one.hours}": needs a calendar with sessions, such as calendar = "XNYS"'
