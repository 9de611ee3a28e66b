"""Whatever is written comes back, whatever is torn off the log leaves a whole prefix."""

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.ports import JournalRow
from store.journal import SqliteJournal
from store.memory import MemoryJournal
from store.verify import verify

INT64 = st.integers(min_value=-(1 << 63), max_value=(1 << 63) - 1)
TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
BATCHES = st.lists(st.lists(st.tuples(st.integers(1, 1_000), INT64, TEXT, st.integers(0, 99), st.binary(max_size=300)),
                            min_size=1, max_size=4), max_size=8)


def as_rows(batches: Sequence[Sequence[tuple[int, int, str, int, bytes]]]) -> list[list[JournalRow]]:
    seq = 0
    made: list[list[JournalRow]] = []
    for batch in batches:
        made.append([])
        for step, at_ns, kind, version, payload in batch:
            seq += step
            made[-1].append(JournalRow(seq, at_ns, kind, version, payload))
    return made


@settings(max_examples=40, deadline=None)
@given(batches=BATCHES, inline=st.booleans())
def test_rows_come_back_exactly_and_the_chain_is_the_same_in_memory(
        batches: list[list[tuple[int, int, str, int, bytes]]], inline: bool) -> None:
    made = as_rows(batches)
    flat = [row for batch in made for row in batch]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "journal.db"

        async def run() -> None:
            journal = SqliteJournal(path, inline=inline)
            for batch in made:
                journal.append(batch)
                if batch[0].seq % 2:
                    await journal.wait_durable()
            await journal.wait_durable()
            assert list(journal.rows()) == flat
            assert journal.head() == MemoryJournal(rows=flat).head()
            journal.close()

        asyncio.run(run())
        report = verify(path)
        assert report.sound and report.rows == len(flat)


@settings(max_examples=40, deadline=None)
@given(batches=BATCHES.filter(bool), cut=st.floats(0, 1))
def test_a_log_torn_anywhere_leaves_whole_transactions(batches: list[list[tuple[int, int, str, int, bytes]]],
                                                       cut: float) -> None:
    made = as_rows(batches)
    flat = [row for batch in made for row in batch]
    ends = {0, *(sum(len(batch) for batch in made[:count]) for count in range(1, len(made) + 1))}
    with tempfile.TemporaryDirectory() as name:
        path, torn = Path(name) / "journal.db", Path(name) / "torn.db"
        journal = SqliteJournal(path, inline=True)
        for batch in made:
            journal.append(batch)
            asyncio.run(journal.wait_durable())
        shutil.copy(path, torn)
        log = path.with_name("journal.db-wal").read_bytes()
        torn.with_name("torn.db-wal").write_bytes(log[:int(len(log) * cut)])
        journal.close()

        assert verify(torn).sound
        again = SqliteJournal(torn, inline=True)
        found = list(again.rows())
        assert found == flat[:len(found)]
        assert len(found) in ends
        again.append([JournalRow((found[-1].seq if found else 0) + 1, 0, "after", 1, b"")])
        asyncio.run(again.wait_durable())
        again.close()
        report = verify(torn)
        assert report.sound and report.rows == len(found) + 1
