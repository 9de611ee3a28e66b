"""Every size has its arrangement, and every pane can come to the front."""

from hypothesis import given
from hypothesis import strategies as st

from tui.screens.arrangement import GROUPS, PANES, arrangement_of, places_of, too_small


def test_the_named_sizes() -> None:
    assert [arrangement_of(*size) for size in ((80, 24), (120, 24), (120, 35), (160, 45))] == [
        "narrow", "narrow", "wide", "ultra"]
    assert [too_small(*size) for size in ((80, 24), (60, 16), (59, 16), (60, 15))] == [False, False, True, True]


@given(st.sampled_from(list(GROUPS)), st.permutations(PANES), st.booleans())
def test_what_was_used_last_is_visible_and_nothing_twice(arrangement: str, recent: list[str], zoomed: bool) -> None:
    places = places_of(arrangement, recent, zoomed=zoomed)
    fronts = [place.front for place in places]
    assert recent[0] in fronts
    assert len(set(fronts)) == len(fronts)
    assert len(places) == (1 if zoomed else len(GROUPS[arrangement]))


def test_every_arrangement_holds_every_pane_once() -> None:
    for groups in GROUPS.values():
        assert sorted(pane_id for group in groups for pane_id in group) == sorted(PANES)
