"""A few kills of a short replay; `python -m tests.crash --kills 200` is the long run of the same."""

import argparse
import random
from pathlib import Path

from tests.crash.__main__ import _run


def test_a_killed_replay_ends_as_the_undisturbed_one(tmp_path: Path) -> None:
    options = argparse.Namespace(kills=4, seed=3, bars=1_500, orders=20, tape=None, script=None)
    assert _run(tmp_path, options, random.Random(3)) == 0
