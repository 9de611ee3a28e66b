"""Many sets over an executor: threads where the rule is compiled, processes where it is Python, or the workers of a cluster.

Results are kept as they come, so a search that was ended goes on where it stopped; they are told in the order in which they were
asked for, whichever came first.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from itertools import chain
from typing import Any, NamedTuple, Protocol

from engine.errors import QuarterdeckError
from engine.search.measuring import Material, outcomes_of
from engine.search.outcomes import WHOLE, Outcome, Span, daily_sharpe, moments_of
from engine.search.spaces import ParamSet
from engine.strategy_state import Number

LARGEST_CHUNK = 64
CHUNKS_A_WORKER = 8
AHEAD = 4

type Key = tuple[Span, tuple[tuple[str, Number], ...]]
type Progress = Callable[[int, int], None]


class Kept(Protocol):
    """Where outcomes lie between one run and the next; `elsewhere` are those of other searches of the same bars, by terms."""

    def known(self) -> Iterable[Outcome]: ...

    def elsewhere(self) -> Iterable[tuple[str, Outcome]]: ...

    def keep(self, outcomes: Sequence[Outcome]) -> None: ...


class Crew(NamedTuple):
    """Who does the work: an executor, how many work at once, how the material gets to them (as it is, in one process), and the
    errors by which the executor says that it lost those who worked."""

    executor: Executor
    workers: int
    share: Callable[[Material], Any] = lambda material: material
    lost: tuple[type[Exception], ...] = (BrokenExecutor, CancelledError)


class Job(NamedTuple):
    """One set to try over one span."""

    span: Span
    params: ParamSet


def key_of(span: Span, params: ParamSet) -> Key:
    """What makes two trials the same."""
    return Span(*span), tuple(sorted(params.items()))


class Search:
    """Tries sets on one material, each once, and knows all that was ever tried on it."""

    def __init__(self, material: Material, crew: Crew, kept: Kept, progress: Progress) -> None:
        self._material = material
        self._crew = crew
        self._kept = kept
        self._progress = progress
        self._shared: Any = None
        self._found: dict[Key, Outcome] = {key_of(one.span, one.params): one for one in kept.known()}

    def tried(self, span: Span = WHOLE) -> list[Outcome]:
        """All that was ever tried over a span by this rule on these terms, also by earlier searches: what a best is picked of."""
        return [one for (where, _), one in sorted(self._found.items(), key=lambda item: repr(item[0][1])) if where == span]

    def ratios(self) -> list[float | None]:
        """The daily Sharpe ratio of each trial ever made on these bars: of every set, under whatever rule and terms, by whichever
        search and over whichever part of the bars. A set that was tried over several is one trial, told over the whole or else
        over the longest of them."""
        found: dict[tuple[str, tuple[tuple[str, Number], ...]], tuple[tuple[bool, int], float | None]] = {}
        for terms, one in chain((("", own) for own in self._found.values()), self._kept.elsewhere()):
            moments = moments_of([one])
            key, reach = (terms, key_of(one.span, one.params)[1]), (one.span == WHOLE, moments.days)
            if key not in found or reach > found[key][0]:
                found[key] = reach, daily_sharpe(moments)
        return [ratio for _, ratio in found.values()]

    def outcomes(self, jobs: Sequence[Job]) -> list[Outcome]:
        """The outcomes in the order of the jobs; raises `QuarterdeckError` where a worker is lost."""
        keys = [key_of(job.span, job.params) for job in jobs]
        missing = {key: job for key, job in zip(keys, jobs, strict=True) if key not in self._found}
        done, total = len(jobs) - len(missing), len(jobs)
        if missing:
            self._progress(done, total)
        for outcomes in self._worked(_chunks(list(missing.values()), self._crew.workers)):
            self._kept.keep(outcomes)
            self._found.update({key_of(one.span, one.params): one for one in outcomes})
            done += len(outcomes)
            self._progress(done, total)
        return [self._found[key] for key in keys]

    def _worked(self, chunks: list[tuple[Span, list[ParamSet]]]) -> Iterable[list[Outcome]]:
        """Chunks as they get done, a few ahead of the workers; the very first set alone, so that it compiles for the others."""
        waiting: set[Future[list[Outcome]]] = set()
        try:
            if chunks and self._shared is None:
                self._shared = self._crew.share(self._material)
                span, sets = chunks[0]
                yield self._submit((span, sets[:1])).result()
                chunks[0] = (span, sets[1:])
            for chunk in chunks:
                if len(waiting) >= self._crew.workers * AHEAD:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
                waiting.add(self._submit(chunk))
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        except self._crew.lost as lost:
            raise QuarterdeckError("a worker of the search ended by itself, perhaps for want of memory, or its cluster went "
                                   "away; the same command goes on from what is kept, --jobs 1 needs the least") from lost
        finally:
            for future in waiting:
                future.cancel()

    def _submit(self, chunk: tuple[Span, list[ParamSet]]) -> Future[list[Outcome]]:
        return self._crew.executor.submit(outcomes_of, self._shared, *chunk)


def _chunks(jobs: Sequence[Job], workers: int) -> list[tuple[Span, list[ParamSet]]]:
    """Jobs by span, in pieces small enough to keep every worker busy to the end."""
    by_span: dict[Span, list[ParamSet]] = {}
    for job in jobs:
        by_span.setdefault(Span(*job.span), []).append(job.params)
    size = max(1, min(LARGEST_CHUNK, len(jobs) // (workers * CHUNKS_A_WORKER)))
    return [(span, sets[place:place + size]) for span, sets in by_span.items() for place in range(0, len(sets), size)]
