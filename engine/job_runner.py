"""Runs what jobs ask of the world, each in a thread of its own, and brings the outcome back as an input."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from engine.effects import PerformJob
from engine.errors import QuarterdeckError
from engine.schedule_words import Job, JobEnded, JobKind, JobOutcome

JOB_SECONDS = 900.0
_log = logging.getLogger("quarterdeck.schedule")

type Runner = Callable[[Job], str]


class JobRunner:
    """Calls the runner of a kind; what it returns is the run's text, what it raises its failure."""

    def __init__(self, runners: Mapping[JobKind, Runner], deliver: Callable[[JobEnded], None],
                 job_seconds: float = JOB_SECONDS) -> None:
        self._runners = runners
        self._deliver = deliver
        self._job_seconds = job_seconds

    async def perform(self, effect: PerformJob) -> None:
        """Run one job to its end, at most so long: a runner that hangs is left alone, and its run counts as failed."""
        outcome, text = await self._outcome(effect.job)
        self._deliver(JobEnded(effect.job.job_id, effect.run_id, outcome, text))

    def withhold(self, effect: PerformJob, cause: str) -> None:
        """Answer for a job that must not run."""
        self._deliver(JobEnded(effect.job.job_id, effect.run_id, JobOutcome.FAILED, cause))

    async def _outcome(self, job: Job) -> tuple[JobOutcome, str]:
        runner = self._runners.get(job.kind)
        if runner is None:
            return JobOutcome.FAILED, f"this engine cannot run a job of kind {job.kind}"
        try:
            async with asyncio.timeout(self._job_seconds):
                return JobOutcome.DONE, await asyncio.to_thread(runner, job)
        except TimeoutError:
            return JobOutcome.FAILED, f"not done within {self._job_seconds:g} s"
        except QuarterdeckError as error:
            return JobOutcome.FAILED, str(error)
        except Exception as error:  # noqa: BLE001 - a job that fails must not take the engine with it
            _log.error("a job failed", exc_info=error)
            return JobOutcome.FAILED, f"{type(error).__name__}: the log has the details"
