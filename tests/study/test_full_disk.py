"""A disk that is full when tables and reports are written: old files stay whole, and a line says why."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from regnetlab.cli import main
from tests.conftest import refusal
from tests.study import processes
from tests.study.processes import COMMAND, SMALL, environment

MakeStudy = Callable[..., Path]


def fill(disk: Path) -> Path:
    """A file that leaves no byte; returns it."""
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(disk).free))
    assert shutil.disk_usage(disk).free == 0
    return ballast


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words], capture_output=True, text=True, timeout=250, check=False, env=environment()
    )


def test_a_table_or_report_that_finds_no_room_leaves_the_old_one_whole(
    make_study: MakeStudy, data_dir: Path, tiny_disk: Path, tmp_path: Path
) -> None:
    two = SMALL.replace("images = 128", "images = 64").replace("n = 4", "n = 2")
    three = two.replace("n = 2", "n = 3")
    where = f'[run]\nexecutor = "inline"\nstorage = "{tmp_path}/elsewhere.db"\n'
    calm, study = make_study(three), tiny_disk / "study" / "study.toml"
    words = ["--data-dir", str(data_dir), "--device", "cpu"]
    assert main(["run", str(calm), "--executor", "inline", *words]) == 0
    study.parent.mkdir()
    study.write_text(two + where)
    assert main(["run", str(study), *words]) == 0
    old = study.with_name("trials.csv").read_bytes()
    page = tiny_disk / "page.html"
    page.write_text("the old page")
    study.write_text(three + where)
    here, there = names(study.parent), names(tiny_disk)
    ballast = fill(tiny_disk)

    done = processes.run(study, "--data-dir", str(data_dir))
    assert done.returncode == 2, done.stderr
    assert "provenance.json can't be written: No space left on device" in refusal(done.stderr, alone=False)
    assert study.with_name("trials.csv").read_bytes() == old
    assert names(study.parent) == here  # no .part among them

    done = command("report", str(study), "-o", str(page))
    assert done.returncode == 2, done.stderr
    assert "page.html can't be written: No space left on device" in refusal(done.stderr)
    assert page.read_bytes() == b"the old page"

    wanted = command("sample", "--space", "AnyNetA", "--n", "2000", "-o", str(tiny_disk / "drawn.csv"))
    assert wanted.returncode == 2
    assert "drawn.csv can't be written: No space left on device" in wanted.stderr
    assert names(tiny_disk) == sorted([*there, "ballast"])

    ballast.unlink()
    assert main(["run", str(study), *words]) == 0
    assert processes.trials_of(study) == processes.trials_of(calm)
    assert len(processes.trials_of(study)) == 3
