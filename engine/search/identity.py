"""What makes two searches the same: the bars, the rule and all that runs it, and the terms; not the sets that are tried."""

import hashlib
from typing import Any

from engine.backtest import longer_bars, passes, regime_sizes
from engine.backtest.compiling import functions_reached, stamp_of
from engine.search.measuring import Material, strategy_in


def digest_of(material: Material) -> str:
    """A hash over all that an outcome depends on beside its set and span."""
    import numpy

    strategy = strategy_in(material)
    functions: dict[int, Any] = {}
    rule: Any = strategy.rule
    entries: tuple[Any, ...] = (passes.one_instrument, passes.several_instruments, regime_sizes.sizes_into)
    if material.setup.bar_ns:
        entries = (*entries, longer_bars.join_into, longer_bars.on_longer_bar, longer_bars.on_longer_bars)
    for entry in entries:
        functions_reached(entry, {"rule": rule}, functions)
    terms = f"{material.strategy}|{material.source_hash}|{material.setup!r}|{[one.instrument for one in material.series]!r}"
    digest = hashlib.blake2b(stamp_of(functions, terms).encode(), digest_size=8)
    for one in material.series:
        for column in one.bars:
            digest.update(numpy.ascontiguousarray(column).tobytes())
    return digest.hexdigest()
