"""The composition root of searches: what is searched, who works on it, and where the results are kept."""

import logging
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import EngineUnreachable, UsageError
from engine.search.identity import bars_digest_of, digest_of, terms_digest_of
from engine.search.measuring import Material
from engine.search.sweeping import Crew, Progress, Search
from engine.strategies.user import user_strategy_path
from store.search_results import Heading, SearchResults
from tui.compose_backtest import cache_folder

if TYPE_CHECKING:
    from tui.commands.backtesting import Prepared

CONNECT_SECONDS = "5s"
ADDRESS = re.compile(r"(tcp|tls|ws|wss)://[^\s/:]+:\d{1,5}|tcp://\[[0-9a-fA-F:]+\]:\d{1,5}")


def material_of(home: Path, ready: "Prepared") -> Material:
    """What every set is tried on."""
    own = ready.strategy.source_hash
    path = str(user_strategy_path(home, ready.strategy.name).resolve()) if own else ""
    return Material(tuple(ready.series), ready.strategy.name, ready.setup, str(cache_folder()), path, own)


@contextmanager
def crew_of(material: Material, jobs: int, cluster: str | None) -> Iterator[Crew]:
    """Threads for a compiled rule, processes for one in Python, the workers of a cluster where its scheduler's address is given.

    Raises `UsageError` without the extra `cluster`, `EngineUnreachable` where no scheduler answers.
    """
    if cluster:
        yield from _cluster(cluster)
        return
    workers = jobs or os.cpu_count() or 1
    executor: Executor = ThreadPoolExecutor(workers)
    if material.source_hash and workers > 1:
        executor = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
        _start_deaf(executor)
    try:
        yield Crew(executor, workers)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _start_deaf(executor: ProcessPoolExecutor) -> None:
    """Start the workers so that Ctrl-C, which reaches every process of a terminal, is left to this one: it ends them in order."""
    if threading.current_thread() is not threading.main_thread():
        executor.submit(os.getpid)
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        executor.submit(os.getpid)
    finally:
        signal.signal(signal.SIGINT, before)


def _cluster(address: str) -> Iterator[Crew]:
    if not ADDRESS.fullmatch(address):
        raise UsageError(f"--cluster {address}: must be the address of a dask scheduler, such as tcp://10.0.0.5:8786")
    try:
        import distributed
    except ImportError:
        raise UsageError("--cluster needs the extra `cluster`; in the clone `uv sync --extra cluster`, or "
                         "`uv tool install '.[cluster]'`") from None
    for talker in ("distributed", "distributed.client"):  # what it has to say of lost connections is told in one line here
        logging.getLogger(talker).setLevel(logging.CRITICAL)
    security: Any = distributed.Security
    if address.startswith(("tls:", "wss:")) and security().get_connection_args("client")["ssl_context"] is None:
        raise UsageError(f"--cluster {address}: dask has no certificate to connect with; set distributed.comm.tls in its own "
                         "configuration, or use tcp:// in a network that you trust")
    try:
        connect: Any = distributed.Client
        client: Any = connect(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise EngineUnreachable(f"--cluster {address}: no dask scheduler answers there "
                                f"({' '.join(str(error).split())[:120]})") from None
    with client:
        workers = sum(client.nthreads().values())
        if not workers:
            raise EngineUnreachable(f"--cluster {address}: the scheduler has no workers; start some with `dask worker {address}`")
        share: Callable[[Material], Any] = lambda material: client.scatter(material, broadcast=True)  # noqa: E731
        with client.get_executor(pure=False) as executor:
            yield Crew(executor, workers, share, (BrokenExecutor, CancelledError, OSError, distributed.KilledWorker))


@contextmanager
def opened_search(home: Path, material: Material, crew: Crew, files: tuple[Path, ...],
                  progress: Progress) -> Iterator[tuple[Search, Path]]:
    """A search and the file with the results of its earlier runs; raises `StoreError` where another one writes them."""
    heading = Heading(material.strategy, tuple(str(path) for path in files), bars_digest_of(material.series),
                      terms_digest_of(material))
    with SearchResults(home, digest_of(material), heading) as results:
        yield Search(material, crew, results, progress), results.path
