"""The pipeline: what models and the rule say of one instrument, down to decisions that the engine may act on.

It waits for models, never raises for what one does, and places nothing: its end is a tuple of `Decided`.
"""

import msgspec

from engine.research.decided import Decided
from engine.research.deciding import as_benchmark, decide_by_rule, digest_of
from engine.research.modelled import decide_by_models
from engine.research.task import PipelineTask

RULES_ACT = frozenset({"NO_KEY", "BREAKER"})


async def run_pipeline(task: PipelineTask) -> tuple[Decided, ...]:
    """The decisions of one instrument: the models' where there are any, and always the rule's, scored beside them.

    The rule acts itself where no model is configured, none has a key, or all are left alone after failures. What was asked is
    kept before the first call and the digest of the result after the last; raises `StoreError` where that fails.
    """
    asked, snapshot = task.asked, task.asked.snapshot
    task.store.keep_snapshot(snapshot.snapshot_id, snapshot.portfolio, snapshot.symbol, snapshot.as_of_ns, snapshot.body)
    task.store.keep_asked(asked.run_id, asked.instrument_id, msgspec.json.encode(asked))
    rule = decide_by_rule(asked)
    decided: tuple[Decided, ...] = (rule,)
    if asked.settings.lines:
        modelled = await decide_by_models(task)
        decided = (modelled, rule if modelled.code in RULES_ACT else as_benchmark(rule))
    task.store.keep_decided(asked.run_id, asked.instrument_id, digest_of(decided))
    return decided
