"""Searches: figures equal the report's, every executor gives the same, what is known is not tried again."""

from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, CancelledError, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from engine.analytics.measures import drawdown_fractions
from engine.analytics.report import performance
from engine.backtest import compiling
from engine.backtest.run import backtest
from engine.backtest.tracks import track_of
from engine.errors import ConfigError, QuarterdeckError
from engine.search.adaptive import Terms, optimize
from engine.search.identity import digest_of
from engine.search.measuring import Material, cut, deepest, moments_in, outcomes_of, strategy_in
from engine.search.outcomes import WHOLE, Span, daily_sharpe, moments_of, ranked, score, sharpe
from engine.search.spaces import ParamSet, longest_warmup, space_of
from engine.search.splits import Plan, splits_of
from engine.search.sweeping import Crew, Job, Search
from engine.search.walking import walk
from tests.unit.search_desk import Here, InMemory, here, material
from tui.commands.backtesting import Prepared
from tui.commands.walking import Planned, splits_for

SETS: list[ParamSet] = [{"bars": bars} for bars in range(2, 14)]
JOBS = [Job(WHOLE, one) for one in SETS]
NS_PER_DAY = 86_400_000_000_000


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return material(tmp_path_factory.mktemp("search"))


def silent(done: int, total: int) -> None:
    """Nobody watches."""


def search(ground: Material, crew: Crew, kept: InMemory | None = None) -> Search:
    return Search(ground, crew, kept or InMemory(), silent)


@pytest.mark.slow
@pytest.mark.parametrize("names", [("COIN",), ("COIN", "OTHER")])
def test_the_figures_are_those_of_the_report(names: tuple[str, ...], tmp_path: Path) -> None:
    ground = material(tmp_path, 1_500, names, night=6)
    (told,) = outcomes_of(ground, WHOLE, [{"bars": 4}], with_returns=True)
    result = backtest(ground.series, strategy_in(ground), {"bars": 4}, ground.setup)
    view = performance(track_of(result, ground.series), lambda at_ns: at_ns // NS_PER_DAY)
    shown = {figure.key: figure.value for figure in view.figures}
    assert told.round_trips == len(result.trips) > 20
    assert told.final_equity_minor == result.final_equity_minor
    assert sharpe([told]).value == pytest.approx(shown["sharpe"])
    assert told.max_drawdown * 100 == pytest.approx(shown["max_drawdown"])
    assert score("profit_factor", [told]) == pytest.approx(shown["profit_factor"])
    assert 100 * told.won / told.round_trips == pytest.approx(shown["win_rate"])
    assert len(told.returns) == view.days - 1, "of the first day only its end is known"
    assert sum(block.days for block in told.blocks) == view.days - 1


def test_a_span_trades_inside_itself_alone(ground: Material) -> None:
    at_ns = moments_in(ground.series)
    span = Span(int(at_ns[799]), int(at_ns[1_599]))
    (told,) = outcomes_of(ground, span, [{"bars": 9}])
    bars = cut(ground.series, span, 9)
    result = backtest(bars, strategy_in(ground), {"bars": 9}, ground.setup)
    assert len(bars[0].bars.closes) == 809
    assert told.round_trips == len(result.trips) > 0
    assert all(span.from_ns < fill.at_ns <= span.to_ns for fill in result.fill_rows())
    assert told.years == pytest.approx(800 / 24 / 365.25)


@pytest.mark.slow
def test_every_executor_gives_the_same(ground: Material) -> None:
    alone = search(ground, here()).outcomes(JOBS)
    for workers in (1, 3):
        with ThreadPoolExecutor(workers) as threads:
            assert search(ground, Crew(threads, workers)).outcomes(JOBS) == alone, "threads do not share a rule in Python"
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        assert search(ground, Crew(processes, 2)).outcomes(JOBS) == alone
    assert [one.params for one in alone] == SETS


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", protocol="tcp://",
                                  processes=False) as running:
        yield running.scheduler_address


@pytest.mark.slow
def test_a_cluster_gives_the_same(ground: Material, cluster: str) -> None:
    from tui.compose_search import crew_of

    with crew_of(ground, 0, cluster) as crew:
        assert crew.workers == 2
        assert search(ground, crew).outcomes(JOBS[:6]) == search(ground, here()).outcomes(JOBS[:6])


def test_what_is_known_is_not_tried_again(ground: Material) -> None:
    kept = InMemory()
    first = search(ground, here(), kept).outcomes(JOBS[:5])
    crew = here()
    whole = search(ground, crew, kept).outcomes(JOBS[:5])
    assert isinstance(crew.executor, Here)
    assert whole == first
    assert crew.executor.chunks == 0
    assert search(ground, here(), kept).outcomes(list(reversed(JOBS)))[-5:] == list(reversed(first))
    assert [one.params for one in kept.outcomes].count(SETS[0]) == 1


def test_a_search_that_ended_goes_on(ground: Material) -> None:
    class Stops(InMemory):
        def keep(self, outcomes: object) -> None:
            super().keep(outcomes)
            if len(self.outcomes) >= 4:
                raise KeyboardInterrupt

    kept = Stops()
    with pytest.raises(KeyboardInterrupt):
        search(ground, here(), kept).outcomes(JOBS)
    assert 4 <= len(kept.outcomes) < len(JOBS)
    goes_on = InMemory()
    goes_on.outcomes = list(kept.outcomes)
    assert search(ground, here(), goes_on).outcomes(JOBS) == search(ground, here()).outcomes(JOBS)


def test_all_that_was_ever_tried_counts_as_a_trial(ground: Material) -> None:
    kept = InMemory()
    search(ground, here(), kept).outcomes(JOBS[:3])
    second = search(ground, here(), kept)
    second.outcomes(JOBS[3:5])
    assert len(second.tried()) == 5
    assert second.tried(Span(1, 2)) == []
    assert len(second.ratios()) == 5


def test_a_set_is_one_trial_however_often_and_wherever_it_was_tried(ground: Material) -> None:
    at_ns = moments_in(ground.series)
    early, late = Span(0, int(at_ns[799])), Span(int(at_ns[799]), int(at_ns[-1]))
    kept = InMemory()
    one = search(ground, here(), kept)
    in_parts = one.outcomes([Job(early, SETS[0]), Job(late, SETS[0]), Job(early, SETS[1])])
    longest = [daily_sharpe(moments_of([told])) for told in in_parts[1:]]
    assert one.ratios() == longest
    assert one.tried() == [], "none of them over all bars"
    (whole,) = one.outcomes(JOBS[:1])
    assert one.ratios()[0] == daily_sharpe(moments_of([whole]))
    kept.others = [("", whole), ("other terms", whole), ("other terms", in_parts[2]), ("other terms", whole)]
    assert len(one.ratios()) == 4, "an earlier release's is the same trial, other terms are another one"


@pytest.mark.parametrize(("scheme", "number"), [("anchored", 1), ("rolling", 2), ("purged", 0), ("purged", 1), ("purged", 3)])
def test_nothing_that_is_judged_on_is_read_by_a_choice(ground: Material, scheme: str, number: int) -> None:
    """Turn the judged bars upside down: the choice and all its figures stay."""
    at_ns = moments_in(ground.series)
    warmup = longest_warmup(strategy_in(ground), SETS)
    assert warmup == 13
    split = splits_of(at_ns, Plan(scheme, 4, 0.5, warmup, warmup))[number]
    (one,) = ground.series
    columns = [column.copy() for column in one.bars]  # type: ignore[attr-defined]
    judged = (at_ns > split.judge.from_ns) & (at_ns <= split.judge.to_ns)
    for field in range(2, 6):
        columns[field][judged] = columns[field][judged] * 2 + 1
    changed = ground._replace(series=(one._replace(bars=type(one.bars)(*columns)),))
    before, after = (walk(search(ground_, here()), SETS, [split], "return").windows[0] for ground_ in (ground, changed))
    assert (before.params, before.chosen) == (after.params, after.chosen)


def test_progress_is_told_to_its_end(ground: Material) -> None:
    seen: list[tuple[int, int]] = []
    Search(ground, here(), InMemory(), lambda done, total: seen.append((done, total))).outcomes(JOBS[:7])
    assert seen[0] == (0, 7)
    assert seen[-1] == (7, 7)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize("lost", [BrokenExecutor, CancelledError])
def test_a_lost_worker_is_one_line(ground: Material, lost: type[Exception]) -> None:
    class Dies(Here):
        def submit(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
            raise lost

    with pytest.raises(QuarterdeckError, match="goes on from what is kept"):
        search(ground, Crew(Dies(), 1)).outcomes(JOBS)


@pytest.mark.slow
def test_a_cluster_that_goes_away_is_one_line_and_what_was_found_is_kept(ground: Material) -> None:
    distributed = pytest.importorskip("distributed")
    from tui.compose_search import crew_of

    kept = InMemory()
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", protocol="tcp://",
                                  processes=False) as running:

        def ends(done: int, total: int) -> None:
            if done:
                running.close()

        address = running.scheduler_address
        with pytest.raises(QuarterdeckError, match="goes on from what is kept"), crew_of(ground, 0, address) as crew:
            Search(ground, crew, kept, ends).outcomes(JOBS)
    assert 0 < len(kept.outcomes) < len(JOBS)
    assert search(ground, here(), kept).outcomes(JOBS) == search(ground, here()).outcomes(JOBS)


def test_another_file_at_a_worker_is_refused(ground: Material) -> None:
    with pytest.raises(ConfigError, match="every worker needs the same one"):
        outcomes_of(ground._replace(source_hash="0" * 64), WHOLE, SETS[:1])


def test_the_digest_knows_bars_rule_and_terms(ground: Material, tmp_path: Path) -> None:
    other_bars = material(tmp_path, 2_399)
    assert digest_of(ground) == digest_of(ground._replace(cache_folder=""))
    assert len({digest_of(ground), digest_of(other_bars), digest_of(ground._replace(setup=ground.setup._replace(slippage_bps=3))),
                digest_of(ground._replace(strategy="ema_cross", strategy_file="", source_hash=""))}) == 4


@pytest.mark.parametrize("module", ["passes", "baskets", "actions", "asked_ahead", "user", "writing", "tracks", "indicators",
                                    "regimes"])
def test_the_digest_knows_what_runs_a_rule(ground: Material, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its context tells it included: outcomes of an earlier release are none of this one where that changed."""
    before, source_of = digest_of(ground), compiling.source_of
    monkeypatch.setattr(compiling, "source_of",
                        lambda one: source_of(one) + "#" * one.__module__.startswith("engine.") * one.__module__.endswith(module))
    assert digest_of(ground) != before


@pytest.mark.slow
def test_optuna_finds_the_same_twice_and_goes_on(ground: Material) -> None:
    pytest.importorskip("optuna")
    space = space_of(strategy_in(ground), {}, ["bars=2:30", "risk_bps=20:200:20"])
    kept = InMemory()
    first = optimize(search(ground, here(), kept), space, Terms("sharpe", 24, 5), silent)
    crew = here()
    again = optimize(search(ground, crew, kept), space, Terms("sharpe", 24, 5), silent)
    assert isinstance(crew.executor, Here)
    assert first == again
    assert crew.executor.chunks == 0, "all of it was known"
    longer = optimize(search(ground, here(), kept), space, Terms("sharpe", 32, 5), silent)
    assert longer[:len(first)] == first
    assert all(one.params["bars"] in range(2, 31) for one in longer)


@pytest.mark.slow
def test_walking_forward_judges_what_no_choice_has_seen(ground: Material) -> None:
    at_ns = moments_in(ground.series)
    for scheme in ("anchored", "rolling", "purged"):
        splits = splits_of(at_ns, Plan(scheme, 4, 0.5, 5, 5))
        found = walk(search(ground, here()), SETS[:6], splits, "return")
        assert (found.sets, found.trials) == (6, 6)
        for window in found.windows:
            told = [outcomes_of(ground, span, [one]) for one in SETS[:6] for span in window.split.choose]
            count = len(window.split.choose)
            best = max(SETS[:6], key=lambda one: score("return", [
                told[SETS.index(one) * count + part][0] for part in range(count)]) or 0.0)
            assert window.params == best
            assert [window.judged] == outcomes_of(ground, window.split.judge, [best])
        grown = 1.0
        for window in found.windows:
            grown *= window.judged.grown
        assert found.judged_growth == pytest.approx(grown)


def test_a_choice_never_sees_the_judged_bars(ground: Material) -> None:
    """Turn the bars after the first choice upside down: the choice stays, whatever it then comes to."""
    at_ns = moments_in(ground.series)
    split = splits_of(at_ns, Plan("anchored", 2, 0.5, 0, 0))[:1]
    (one,) = ground.series
    columns = [column.copy() for column in one.bars]  # type: ignore[attr-defined]
    for field in range(2, 6):
        columns[field][1_200:] = columns[field][1_200:] * 2 + 1
    changed = ground._replace(series=(one._replace(bars=type(one.bars)(*columns)),))
    before, after = (walk(search(ground_, here()), SETS, split, "return").windows[0] for ground_ in (ground, changed))
    assert before.params == after.params
    assert before.chosen == after.chosen


def test_the_embargo_is_no_shorter_than_the_longest_warm_up(ground: Material) -> None:
    at_ns = moments_in(ground.series)
    ready = Prepared(list(ground.series), strategy_in(ground), {}, ground.setup)
    for split in splits_for(ready, SETS, Planned("purged", 4, 50.0, None, 0.0)):
        judged = np.flatnonzero((at_ns > split.judge.from_ns) & (at_ns <= split.judge.to_ns))
        chosen = np.concatenate([np.flatnonzero((at_ns > span.from_ns) & (at_ns <= span.to_ns)) for span in split.choose])
        before, after = chosen[chosen < judged[0]], chosen[chosen > judged[-1]]
        assert len(before) == max(0, judged[0] - 13)
        assert not len(after) or after[0] == judged[-1] + 14


def test_sets_without_a_value_rank_last(ground: Material) -> None:
    flat, active = search(ground, here()).outcomes([Job(WHOLE, {"bars": 50, "risk_bps": 1}), Job(WHOLE, {"bars": 3})])
    still = type(flat)(**{**{name: getattr(flat, name) for name in flat.__struct_fields__}, "max_drawdown": 0.0})
    assert ranked("calmar", [still, active]) == [active, still]


@pytest.mark.parametrize("count", [1, 2, 127, 128, 129, 700])
def test_the_deepest_drawdown_is_that_of_the_analytics(count: int) -> None:
    for seed in range(20):
        steps = np.random.default_rng(seed).standard_t(3, count) * 0.01
        equity = (1e12 * np.exp(np.cumsum(steps))).astype(np.int64)
        first = seed % count
        assert deepest(equity, first) == pytest.approx(float(drawdown_fractions(equity[first:].astype(float)).max()), abs=1e-12)
