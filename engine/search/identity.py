"""What makes two searches the same: the bars, the rule and all that runs it, and the terms; not the sets that are tried. And what
makes two of them searches of the same bars, or under the same terms."""

import hashlib
from collections.abc import Sequence
from typing import Any

from engine.backtest import actions, asked_ahead, baskets, longer_bars, passes, regime_sizes
from engine.backtest.compiling import functions_reached, stamp_of
from engine.backtest.run import Series
from engine.search.measuring import Material, strategy_in
from engine.strategies.tracks import STEPS
from engine.strategies.writing import Context


def digest_of(material: Material) -> str:
    """A hash over all that an outcome depends on beside its set and span."""
    strategy = strategy_in(material)
    functions: dict[int, Any] = {}
    rule: Any = strategy.rule
    entries: tuple[Any, ...] = (passes.one_instrument, passes.several_instruments, asked_ahead.several_asked_ahead,
                                baskets.one_basket, actions.settle_actions, regime_sizes.sizes_into)
    if material.setup.bar_ns:
        entries = (*entries, longer_bars.join_into, longer_bars.on_longer_bar, longer_bars.on_longer_bars)
    if strategy.source_hash:  # what a rule in Python is told, which it reaches through its context
        entries = (*entries, Context.deviation, Context.regime, *STEPS.values())
    for entry in entries:
        functions_reached(entry, {"rule": rule}, functions)
    stamp = stamp_of(functions, _terms(material))
    return hashlib.blake2b(f"{stamp}{bars_digest_of(material.series)}".encode(), digest_size=8).hexdigest()


def bars_digest_of(series: Sequence[Series]) -> str:
    """A hash over bars alone."""
    import numpy

    digest = hashlib.blake2b(digest_size=16)
    for one in series:
        digest.update(len(one.bars.closes).to_bytes(8))
        for column in one.bars:
            digest.update(numpy.ascontiguousarray(column).tobytes())
    return digest.hexdigest()


def terms_digest_of(material: Material) -> str:
    """A hash over the rule and the terms as a person knows them; the same in every release of the program."""
    return hashlib.blake2b(_terms(material).encode(), digest_size=16).hexdigest()


def _terms(material: Material) -> str:
    return f"{material.strategy}|{material.source_hash}|{material.setup!r}|{[one.instrument for one in material.series]!r}"
