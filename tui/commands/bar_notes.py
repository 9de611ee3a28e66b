"""What a person should know of recorded bars before they believe a result: gaps, rows left out, no volume, too few of them."""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from engine.alert_text import span_text
from engine.errors import TapeError
from engine.units import NS_PER_SECOND, Nanoseconds
from tui.formats import duration, moment, plain, plural
from tui.printing import print_note

WHOLE_BPS = 10_000

if TYPE_CHECKING:
    from brokers.market.recorded import RecordedTape
    from engine.backtest.actions import Split
    from engine.backtest.results import BacktestResult
    from engine.backtest.run import Series
    from engine.strategies.registry import Strategy


def tell(tapes: "Sequence[RecordedTape]", series: "Sequence[Series]") -> None:
    """A note for each thing that the bars leave open."""
    import numpy

    for tape, one in zip(tapes, series, strict=True):
        report = tape.report
        if report.gaps:
            opens_ns, closes_ns = numpy.asarray(one.bars.opens_ns), numpy.asarray(one.bars.closes_ns)
            since = moment(int(closes_ns[numpy.argmax(opens_ns[1:] - closes_ns[:-1])]))
            longest = duration(report.longest_gap_ns / NS_PER_SECOND)
            gaps = f"{plural(report.gaps, 'gap')}, the longest {longest} from {since} UTC on"
            print_note(f"{report.path}: {gaps}: what is held goes through to the next bar")
        if report.bad_count:
            print_note(f"{report.path}: {plural(report.bad_count, 'bad row')} left out, the first: {plain(report.bad_rows[0])}")
        still = len(one.bars.volumes) - numpy.count_nonzero(one.bars.volumes)
        if still:
            bars = len(one.bars.volumes)
            print_note(f"{report.path}: {still:,} of {bars:,} bars have no volume: a stop or target fills whole there")


def tell_large_fills(result: "BacktestResult", series: "Sequence[Series]", share_bps: int) -> None:
    """A note where fills were larger than what their bars traded: at an open market orders fill whole, whatever follows."""
    import numpy

    large, first_place = 0, 0
    for number, one in enumerate(series):
        mine = result.fills[result.fills[:, 0] == number]
        volumes = numpy.asarray(one.bars.volumes)[mine[:, 8] - first_place]
        large += int(numpy.count_nonzero((volumes > 0) & (mine[:, 3] > numpy.maximum(1, volumes * share_bps // WHOLE_BPS))))
        first_place += len(one.bars.volumes)
    if large:
        print_note(f"{large:,} of {len(result.fills):,} fills are larger than {share_bps / 100:g}% of their bar's volume: market "
                   "orders fill whole at an open, a market would not have given that much")


def tell_splits(series: "Sequence[Series]", splits: "Sequence[Split]") -> None:
    """A note for each split that the bars contradict: the price, told in units that it leaves alone, jumps by it all the same."""
    import numpy

    for one in series:
        opens_ns = numpy.asarray(one.bars.opens_ns)
        for split in splits:
            place = int(numpy.searchsorted(opens_ns, split.at_ns))
            if not one.instrument.is_called(split.symbol) or not 0 < place < len(opens_ns):
                continue
            jump = math.log(float(one.bars.opens[place]) / float(one.bars.closes[place - 1]))
            if abs(jump) > abs(math.log(split.ratio)) / 2:
                told = f"no split of {split.ratio.numerator}:{split.ratio.denominator} on {moment(split.at_ns)} UTC"
                print_note(f"{one.instrument.symbol}: its bars show {told}; are they adjusted already?")


def refuse_too_few(tapes: "Sequence[RecordedTape]", series: "Sequence[Series]", tried: "tuple[Strategy, Mapping[str, Any]]",
                   bar_ns: Nanoseconds) -> None:
    """Raises `TapeError` where no file is longer than what the strategy, with these parameters and on bars of that length (0: as
    they were recorded), sees before it may want anything."""
    import numpy

    from engine.backtest.longer_bars import Joining, join
    from engine.strategies.registry import BASKET, params_of
    from tui.compose_backtest import cache_folder

    strategy, params = tried
    warmup = strategy.warmup(params_of(strategy, params))
    how = Joining(bar_ns, cache_folder=cache_folder())
    seen = [join(one.bars, one.sessions, how).bars if bar_ns else one.bars for one in series]
    counts = [len(bars.closes) for bars in seen]
    bars, longest = max(zip(counts, (tape.report for tape in tapes), strict=True), key=lambda found: found[0])
    if bars <= warmup:
        long = f" of {span_text(bar_ns // NS_PER_SECOND)}" if bar_ns else ""
        raise TapeError(f"{longest.path}: {plural(bars, 'bar')}{long}, but {strategy.name} wants nothing before it has seen "
                        f"{warmup:,}; name a longer file, or shorten the warm-up with --set")
    moments = functools.reduce(numpy.intersect1d, (numpy.asarray(bars.closes_ns) for bars in seen))
    if strategy.kind == BASKET and len(moments) <= warmup:
        met = f"{plural(len(moments), 'moment')} at which a bar of every file closes"
        raise TapeError(f"{longest.path}: {met}, but {strategy.name} wants nothing before it has seen {warmup:,} of them; name "
                        "files of the same times, or a common --bar")
