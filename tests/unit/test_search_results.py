"""Results on disk: kept as they come, found again, a line written half is dropped, one writer at a time."""

from pathlib import Path

import pytest

from engine.errors import StoreError
from store.search_results import Heading, SearchResults
from tests.unit.search_desk import outcome

HEADING = Heading("mine", ("a.csv",))


def opened(home: Path) -> SearchResults:
    return SearchResults(home, "d1", HEADING)


def test_what_was_kept_is_known_again(tmp_path: Path) -> None:
    first, second = outcome([0.01, -0.02], params={"bars": 3}), outcome([0.03], params={"bars": 4.5})
    with opened(tmp_path) as results:
        assert list(results.known()) == []
        results.keep([first])
        results.keep([second])
    with opened(tmp_path) as results:
        assert list(results.known()) == [first, second]


def test_a_line_written_half_is_dropped_and_the_rest_stands(tmp_path: Path) -> None:
    with opened(tmp_path) as results:
        results.keep([outcome([0.01], params={"bars": 3}), outcome([0.02], params={"bars": 4})])
        path = results.path
    path.write_bytes(path.read_bytes()[:-20])
    with opened(tmp_path) as results:
        assert [one.params for one in results.known()] == [{"bars": 3}]
        results.keep([outcome([0.02], params={"bars": 4})])
    with opened(tmp_path) as results:
        assert [one.params for one in results.known()] == [{"bars": 3}, {"bars": 4}]


def test_a_foreign_line_is_named(tmp_path: Path) -> None:
    with opened(tmp_path) as results:
        path = results.path
    path.write_bytes(path.read_bytes() + b"{}\n")
    with pytest.raises(StoreError, match=r"mine-d1\.jsonl:2: not a result of a search") as caught:
        opened(tmp_path)
    assert "\n" not in str(caught.value)


def test_two_searches_do_not_write_to_one_file(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(StoreError, match="another search writes to it"):
        opened(tmp_path)
    with opened(tmp_path) as results:
        assert list(results.known()) == []


def test_a_folder_that_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "searches").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="cannot be kept"):
        opened(tmp_path)
