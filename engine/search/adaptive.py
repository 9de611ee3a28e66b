"""A search that learns from what it tried: optuna asks for sets and is told what they came to.

Each value of an axis is offered by its place, so that a list and a range are searched alike. The same seed asks for the same sets
in the same order; what is known already is told without being tried again, so that a search that was ended goes on by being
started anew: there is no second store beside the results.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from engine.errors import UsageError
from engine.search.outcomes import WHOLE, Outcome, score
from engine.search.spaces import ParamSet, Space, sensible
from engine.search.sweeping import Job, Progress, Search

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial

ASKED_PER_BATCH = 8  # fixed, so that what is asked for does not depend on how many workers there are


class Terms(NamedTuple):
    """What the search makes large, how many sets it asks for, and the seed of its choices."""

    objective: str
    trials: int
    seed: int


def optimize(search: Search, space: Space, terms: Terms, progress: Progress) -> list[Outcome]:
    """The outcomes in the order in which sets were first asked for; raises `UsageError` without the extra `optimize`."""
    study = _study(terms)
    found: dict[str, Outcome] = {}
    asked = 0
    while asked < terms.trials:
        trials = [study.ask() for _ in range(min(ASKED_PER_BATCH, terms.trials - asked))]
        sets = [_params(space, trial) for trial in trials]
        outcomes = search.outcomes([Job(WHOLE, one) for one in sets if one is not None])
        waiting = iter(outcomes)
        for trial, one in zip(trials, sets, strict=True):
            _tell(study, trial, score(terms.objective, [next(waiting)]) if one is not None else None)
        found.update({repr(sorted(one.params.items())): one for one in outcomes})
        asked += len(trials)
        progress(asked, terms.trials)
    if not found:
        raise UsageError("every combination contradicts itself; vary other values")
    return list(found.values())


def _study(terms: Terms) -> "Study":
    try:
        import optuna
    except ImportError:
        raise UsageError("a search that learns needs the extra `optimize`; in the clone `uv sync --extra optimize`, or "
                         "`uv tool install '.[optimize]'`; `quarterdeck sweep` does "
                         "without it") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=terms.seed))


def _params(space: Space, trial: "Trial") -> ParamSet | None:
    return sensible(space, {axis.name: axis.values[trial.suggest_int(axis.name, 0, len(axis.values) - 1)] for axis in space.axes})


def _tell(study: "Study", trial: "Trial", value: float | None) -> None:
    """A set without a value, or one that contradicts itself, has failed; the sampler keeps away from it."""
    from optuna.trial import TrialState

    state: Any = TrialState.FAIL if value is None else TrialState.COMPLETE
    study.tell(trial, value, state=state)
