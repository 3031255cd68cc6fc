"""The short form of the suite of faults; ``make test-faults`` injects thousands."""

import random
from pathlib import Path

import pytest

from regnetlab.models.native.build import find_compiler
from tests.faults.__main__ import sentence
from tests.faults.injection import Site, kill_coordinators, kill_workers
from tests.faults.rounds import result_of

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


def test_a_worker_and_a_run_killed_at_a_random_moment_lose_double_and_change_nothing(
    tmp_path: Path, data_dir: Path
) -> None:
    site = Site(tmp_path, data_dir, random.Random(5))
    site.learn_calm()
    for count in (kill_workers(site, 2), kill_coordinators(site, 2)):
        assert count.injected >= 2
        assert (count.lost, count.doubled, count.wrong) == (0, 0, 0)


@pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")
def test_system_calls_that_fail_signals_and_cut_files_lose_double_and_change_nothing(tmp_path: Path) -> None:
    result = result_of(tmp_path, seed=7, count=20)
    assert min(result.calls - 20, result.signals, result.cuts, result.interrupted) > 0
    assert result.broken == result.unexpected == []
    assert "with status 0" in sentence(result)


@pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")
def test_a_program_that_loses_its_trainings_is_noticed(tmp_path: Path) -> None:
    assert any("trainings are lost" in each for each in result_of(tmp_path, 7, 6, forgetful=True).broken)
