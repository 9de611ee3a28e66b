"""Looking for garbage: seldom while the program loads, as usual once it runs, but not among what was loaded."""

import gc
from collections.abc import Iterator

import pytest

from tui.garbage import RUNNING_THRESHOLDS, look_no_more, look_seldom, look_usually


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    yield
    gc.set_threshold(*before)
    if not frozen:
        gc.unfreeze()


def test_the_usual_is_what_python_does_by_itself() -> None:
    assert gc.get_threshold() == RUNNING_THRESHOLDS


def test_what_was_loaded_is_not_looked_through_again() -> None:
    look_seldom()
    assert gc.isenabled(), "a long command must not grow without bounds"
    assert gc.get_threshold()[0] > RUNNING_THRESHOLDS[0]
    frozen = gc.get_freeze_count()
    look_usually()
    assert gc.get_threshold() == RUNNING_THRESHOLDS
    assert gc.get_freeze_count() > frozen


def test_a_screen_inside_another_program_leaves_its_garbage_alone() -> None:
    frozen = gc.get_freeze_count()
    look_usually()
    assert gc.get_freeze_count() == frozen


def test_at_the_end_nothing_is_left_to_look_through() -> None:
    look_no_more()
    assert gc.get_count()[0] < RUNNING_THRESHOLDS[0]
    assert len(gc.get_objects()) < gc.get_freeze_count()
