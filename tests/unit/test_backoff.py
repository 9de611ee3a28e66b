"""Waits between two tries: they grow, they spread, they are bounded, and only what held for a while begins anew."""

from brokers.waiting import Backoff


class Moment:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def waits(count: int, *, held_seconds: float, first: float = 1.0, longest: float = 20.0) -> list[float]:
    """What `count` failures in a row wait, each try holding for a while before it breaks."""
    moment = Moment()
    backoff = Backoff(first, longest, now_seconds=moment)
    found = []
    for _ in range(count):
        found.append(backoff.next_seconds())
        moment.at += found[-1] + held_seconds
    return found


def test_each_wait_is_between_half_and_all_of_twice_the_one_before_up_to_the_longest() -> None:
    for held_seconds in (0.0, 29.0):
        for wait, most in zip(waits(8, held_seconds=held_seconds), (1, 2, 4, 8, 16, 20, 20, 20), strict=True):
            assert most / 2 <= wait <= most


def test_what_held_for_a_while_begins_anew() -> None:
    assert all(wait <= 1.0 for wait in waits(8, held_seconds=31.0))


def test_a_thousand_clients_do_not_come_back_at_the_same_moment() -> None:
    assert len({round(Backoff(1.0, 20.0).next_seconds(), 4) for _ in range(1_000)}) > 500


def test_a_venue_that_is_gone_for_days_is_still_asked() -> None:
    assert max(waits(10_000, held_seconds=0.0)) <= 20.0
