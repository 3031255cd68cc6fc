"""A wall clock that is set back an hour and forward a day in the middle of a run: it decides nothing."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from regnetlab.models.native.build import find_compiler
from regnetlab.study.plan_file import load_plan
from tests.study import processes
from tests.study.processes import SMALL, environment, with_fault
from tests.study.running import rows_after

MakeStudy = Callable[..., Path]
_COMPILER = find_compiler()
pytestmark = pytest.mark.skipif(
    _COMPILER is None or sys.platform != "linux", reason="needs a C compiler and LD_PRELOAD"
)

JUMPS = """
def clock(seconds):
    with (here / "offset").open("r+b") as file:
        file.write(seconds.to_bytes(8, sys.byteorder, signed=True))
seeds = {seeds!r}
if seed == seeds[0]:
    clock(-3_600)
if seed == seeds[1]:
    clock(86_400)
if seed == seeds[2] and not (here / "killed").exists():
    (here / "killed").touch()
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
if seed == seeds[3]:
    clock(-3_600)
"""
"""The clock goes back and then far forward between trainings; at the third the coordinator dies."""


def jumping(folder: Path, seeds: list[int]) -> dict[str, str]:
    """An environment whose processes all read the wall clock that ``JUMPS`` sets."""
    fault = with_fault(folder, JUMPS.format(seeds=seeds))
    library, offset = folder / "clock.so", folder / "offset"
    source = Path(__file__).with_name("clock.c")
    subprocess.run([str(_COMPILER), "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    offset.write_bytes(bytes(8))
    return environment(first=fault, LD_PRELOAD=str(library), CLOCK_OFFSET=str(offset))


def test_clocks_that_jump_change_no_trial_and_end_no_training(
    make_study: MakeStudy, data_dir: Path, tmp_path: Path
) -> None:
    text = SMALL.replace("validation = 100", "validation = 100\ntime_limit = 60.0")
    calm, jumped = make_study(text, "calm"), make_study(text, "jumped")
    words = ["--data-dir", str(data_dir)]
    rows = rows_after(calm, data_dir)
    env = jumping(tmp_path / "fault", [int(row["seed"]) for row in rows])
    assert processes.run(jumped, *words, "--workers", "1", env=env).returncode == -9
    done = processes.run(jumped, *words, "--workers", "1", env=env)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("lost its worker") == 0
    assert processes.trials_of(jumped) == rows
    assert len(processes.identities_of(jumped)) == len(rows)

    log = [json.loads(line) for line in load_plan(jumped).log.read_text().splitlines()]
    times = [datetime.fromisoformat(each["time"]) for each in log]
    steps = [(after - before).total_seconds() for before, after in pairwise(times)]
    assert min(steps) < -3_000  # the clock did jump
    assert max(steps) > 80_000
    assert all(0 <= each["seconds"] < 60 for each in log if each["event"] == "finished")
