"""The short form of the suite of faults: a few kills; ``make test-faults`` injects over a hundred."""

import random
from pathlib import Path

import pytest

from tests.faults.injection import Site, kill_coordinators, kill_workers

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


def test_kills_at_random_moments_lose_double_and_change_nothing(tmp_path: Path, data_dir: Path) -> None:
    site = Site(tmp_path, data_dir, random.Random(5))
    site.learn_calm()
    for count in (kill_workers(site, 2), kill_coordinators(site, 2)):
        assert count.injected >= 2
        assert (count.lost, count.doubled, count.wrong) == (0, 0, 0)
