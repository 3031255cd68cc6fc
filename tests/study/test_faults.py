"""Faults in real processes: after each the study has the same trials as an undisturbed one."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from regnetlab.errors import InputError
from regnetlab.study.plan_file import load_plan
from regnetlab.trials.job import Trial
from regnetlab.trials.store import open_store
from tests.conftest import STUDY, refusal
from tests.study import processes
from tests.study.processes import SMALL, environment, with_fault
from tests.study.running import Heard, ran, rows_after, run_here

MakeStudy = Callable[..., Path]
pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> list[dict[str, str]]:
    """The trials of a study that nothing happens to."""
    folder = tmp_path_factory.mktemp("calm")
    (folder / "study.toml").write_text(SMALL)
    return rows_after(folder / "study.toml", data_dir)


def run(study: Path, data_dir: Path, *words: str, fault: str = "") -> subprocess.CompletedProcess[str]:
    return processes.run(
        study, "--data-dir", str(data_dir), "--workers", "2", *words, env=environment(first=fault)
    )


def kept(study: Path) -> int:
    plan = load_plan(study)
    return open_store(plan.store).count() if plan.store.exists() else 0


def test_a_worker_that_dies_or_hangs_or_has_no_memory_or_no_device_once_costs_nothing(
    make_study: MakeStudy, data_dir: Path, tmp_path: Path, calm: list[dict[str, str]]
) -> None:
    # The first training is killed, the second one's process hangs, the third runs out of memory, and an error
    # of the fourth leaves its process without a device, as a failed assertion on a GPU does.
    text = SMALL.replace("validation = 100", "validation = 100\ntime_limit = 5.0")
    study = make_study(text + '[run]\nmemory = "8GB"\n')
    fault = with_fault(
        tmp_path / "fault",
        f"""
        seeds = {[int(row["seed"]) for row in calm]!r}
        flag = here / str(seed)
        if not flag.exists():
            flag.touch()
            if seed == seeds[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            if seed == seeds[1]:
                time.sleep(3600)
            if seed == seeds[2]:
                build = lambda: bytearray(20_000_000_000)
            if seed == seeds[3]:
                build = lambda: 1 / 0
                _module.answers = lambda device: False
        """,
        coordinator="from regnetlab.study import dispatch; dispatch._HARD_MARGIN = 2.0",
    )
    done = run(study, data_dir, fault=fault)
    assert done.returncode == 0, done.stderr
    assert processes.trials_of(study) == calm
    lines = [line for line in done.stderr.splitlines() if "try 1 of 3" in line]
    assert len(lines) == 4
    for reason in ("ended by SIGKILL", "no answer within 8 s", "ran out of memory", "division by zero"):
        assert sum(reason in line for line in lines) == 1
    assert all(" Alone: regnetlab train 'anynet:" in line and "--validation 100" in line for line in lines)


def test_a_network_that_always_kills_its_worker_is_recorded_and_the_study_ends(
    make_study: MakeStudy, data_dir: Path, tmp_path: Path, calm: list[dict[str, str]]
) -> None:
    study = make_study(SMALL)
    body = f"if seed == {calm[1]['seed']}: os.kill(os.getpid(), signal.SIGSEGV)"
    done = run(study, data_dir, fault=with_fault(tmp_path / "fault", body))
    assert done.returncode == 0, done.stderr
    rows = processes.trials_of(study)
    assert [row for i, row in enumerate(rows) if i != 1] == [row for i, row in enumerate(calm) if i != 1]
    assert rows[1]["error"] == ""
    assert rows[1]["ended"].startswith("failed: its worker died 3 times")
    assert "SIGSEGV" in rows[1]["ended"]


def test_where_all_networks_fail_alike_the_run_ends_and_nothing_is_kept(
    make_study: MakeStudy, data_dir: Path, tmp_path: Path, calm: list[dict[str, str]]
) -> None:
    study = make_study(SMALL)
    fault = with_fault(tmp_path / "fault", "build = lambda: __import__('a_library_that_is_gone')")
    done = run(study, data_dir, fault=fault)
    assert done.returncode == 2
    said = refusal(done.stderr, alone=False)
    assert "failed (" in said
    assert "and so did a step of the smallest network" in said
    assert "a_library_that_is_gone" in said
    assert kept(study) == 0
    assert rows_after(study, data_dir) == calm
    study.write_text(SMALL.replace("n = 4", "n = 5"))
    done = run(study, data_dir, fault=fault)
    assert done.returncode == 2
    assert "and so did a step of a network that was trained before" in refusal(done.stderr, alone=False)
    assert kept(study) == 4
    assert rows_after(study, data_dir)[:4] == calm


def test_a_store_that_is_removed_during_a_run_ends_it_and_the_next_run_goes_on(
    make_study: MakeStudy, data_dir: Path, tmp_path: Path, calm: list[dict[str, str]]
) -> None:
    study = make_study(SMALL)
    body = f"if seed == {calm[3]['seed']}: time.sleep(3600)"
    fault = with_fault(tmp_path / "fault", body)
    words = ["--data-dir", str(data_dir), "--device", "cpu", "--workers", "1"]
    process = processes.start("run", str(study), *words, env=environment(first=fault))
    processes.wait_for(lambda: kept(study) >= 1)
    (study.parent / "study.db").unlink()
    _, said = process.communicate(timeout=100)
    assert process.returncode == 2
    assert "was removed or replaced while the study ran" in refusal(said, alone=False)
    assert rows_after(study, data_dir) == calm


def test_a_lock_that_is_removed_during_a_run_ends_it_before_another_one_trains_the_same(
    make_study: MakeStudy, data_dir: Path
) -> None:
    class Remover(Heard):
        def on_finish(self, trial: Trial, replay: str) -> None:
            super().on_finish(trial, replay)
            load_plan(study).lock.unlink(missing_ok=True)

    study, heard = make_study(SMALL), Remover()
    with pytest.raises(InputError, match="another run may have begun"):
        ran(load_plan(study), data_dir, heard)
    assert len(heard.trained) == kept(study) == 1
    assert len(processes.trials_of(study)) == 1
    ran(load_plan(study), data_dir, heard := Heard())
    assert len(heard.trained) == 3


def test_a_lock_of_a_store_elsewhere_is_watched_too(
    make_study: MakeStudy, data_dir: Path, tmp_path: Path
) -> None:
    class Remover(Heard):
        def on_finish(self, trial: Trial, replay: str) -> None:
            (tmp_path / ".mine.db.regnetlab-lock").unlink(missing_ok=True)

    plan = load_plan(make_study(SMALL), str(tmp_path / "mine.db"))
    with pytest.raises(InputError, match=r"mine\.db\.regnetlab-lock was removed"):
        ran(plan, data_dir, Remover())
    assert open_store(plan.store).count() == 1


def test_a_run_that_nobody_reads_any_more_does_not_end_as_if_it_were_done(
    make_study: MakeStudy, data_dir: Path
) -> None:
    class Gone(Heard):
        def on_finish(self, trial: Trial, replay: str) -> None:
            raise BrokenPipeError

    plan = load_plan(make_study(SMALL))
    with pytest.raises(InputError, match="nobody reads the run's output any more"):
        ran(plan, data_dir, Gone())
    assert open_store(plan.store).count() == 1


def test_where_no_network_has_enough_memory_none_is_recorded_as_too_large(
    make_study: MakeStudy, data_dir: Path, tmp_path: Path
) -> None:
    study = make_study(SMALL.replace("n = 4", "n = 3"))
    fault = with_fault(tmp_path / "fault", "build = lambda: bytearray(20_000_000_000_000_000)")
    done = run(study, data_dir, fault=fault)
    assert done.returncode == 2
    assert "failed (out of memory), and so did a step" in refusal(done.stderr, alone=False)
    assert kept(study) == 0


def test_a_folder_that_is_moved_during_a_run_is_what_the_run_tells_of(
    make_study: MakeStudy, data_dir: Path, tmp_path: Path
) -> None:
    class Mover(Heard):
        def on_finish(self, trial: Trial, replay: str) -> None:
            study.parent.rename(tmp_path / "moved")

    study = make_study(SMALL)
    with pytest.raises(InputError, match="was removed or replaced"):
        ran(load_plan(study), data_dir, Mover())
    assert kept(tmp_path / "moved" / "study.toml") == 1


def test_a_terminal_that_is_closed_leaves_the_tables_behind(
    make_study: MakeStudy, data_dir: Path, tmp_path: Path, calm: list[dict[str, str]]
) -> None:
    study = make_study(SMALL)
    body = f"if seed == {calm[3]['seed']}: time.sleep(4)"
    fault = with_fault(tmp_path / "fault", body)
    words = ["--data-dir", str(data_dir), "--device", "cpu", "--workers", "2"]
    process = processes.start("run", str(study), *words, env=environment(first=fault))
    processes.wait_for(lambda: kept(study) == 3)
    os.kill(process.pid, signal.SIGHUP)
    process.communicate(timeout=100)
    assert process.returncode == 0
    assert processes.trials_of(study) == calm


def test_sigterm_hands_back_what_does_not_finish_in_time(
    make_study: MakeStudy, data_dir: Path, tmp_path: Path, calm: list[dict[str, str]]
) -> None:
    study = make_study(SMALL)
    body = f"if seed == {calm[3]['seed']}: time.sleep(3600)"
    hasty = "from regnetlab.study import session; session.GRACE = 2.0"
    fault = with_fault(tmp_path / "fault", body, coordinator=hasty)
    words = ["--data-dir", str(data_dir), "--device", "cpu", "--workers", "2"]
    process = processes.start("run", str(study), *words, env=environment(first=fault))
    processes.wait_for(lambda: kept(study) == 3)
    children = processes.children_of(process.pid)
    os.kill(process.pid, signal.SIGTERM)
    _, said = process.communicate(timeout=100)
    assert process.returncode == 130
    assert "handed back 1 training " in said
    assert "Traceback" not in said
    processes.wait_for(lambda: not any(map(processes.alive, children)), 20)
    assert len(processes.trials_of(study)) == 3
    assert rows_after(study, data_dir) == calm


def test_a_full_disk_ends_the_run_in_a_line_and_room_lets_it_go_on(
    tiny_disk: Path, data_dir: Path, calm: list[dict[str, str]]
) -> None:
    study = tiny_disk / "full" / "study.toml"
    study.parent.mkdir()
    study.write_text(SMALL)
    open_store(load_plan(study).store)  # its tables alone
    ballast = tiny_disk / "ballast"
    free = shutil.disk_usage(tiny_disk).free
    ballast.write_bytes(bytes(max(0, free - 40_000)))
    done = run(study, data_dir)
    assert done.returncode == 2
    assert "can't be written" in refusal(done.stderr, alone=False)
    ballast.unlink()
    assert rows_after(study, data_dir) == calm


def test_a_folder_that_can_not_be_written_is_said_before_anything_is_trained(
    make_study: MakeStudy, data_dir: Path
) -> None:
    study = make_study(SMALL)
    mounted = False
    if os.geteuid() == 0:  # whom no mode stops; a read-only mount does
        words = ["mount", "--bind", "-o", "ro", str(study.parent), str(study.parent)]
        mounted = subprocess.run(words, capture_output=True, check=False).returncode == 0
        if not mounted:
            pytest.skip("nothing can be mounted here, and root may write anywhere")
    else:
        study.parent.chmod(0o500)
    try:
        done = run_here(study, "--data-dir", str(data_dir))
    finally:
        if mounted:
            subprocess.run(["umount", str(study.parent)], check=True)
        else:
            study.parent.chmod(0o700)
    assert done.returncode == 2
    assert "can't be written" in refusal(done.stderr)
    assert [each.name for each in study.parent.iterdir()] == ["study.toml"]


def test_truncated_data_are_named_and_nothing_is_written(
    make_study: MakeStudy, data_dir: Path, tmp_path: Path
) -> None:
    study = make_study(SMALL)
    broken = tmp_path / "broken"
    shutil.copytree(data_dir, broken)
    images = broken / "train-images-idx3-ubyte.gz"
    images.write_bytes(images.read_bytes()[:-2_000])
    done = run_here(study, "--data-dir", str(broken))
    assert done.returncode == 2
    assert "damaged" in refusal(done.stderr)
    assert [each.name for each in study.parent.iterdir()] == ["study.toml"]


def test_a_training_that_was_killed_goes_on_and_earns_the_same(make_study: MakeStudy, data_dir: Path) -> None:
    text = (
        STUDY.replace("[derive]\nn = 2\nforce = true\n", "")
        .replace("n = 6", "n = 2")
        .replace("n = 12", "n = 2")
    )
    whole = ran(load_plan(make_study(text, "whole")), data_dir)
    plan = load_plan(make_study(text, "killed"))
    code = (
        "import os, sys; from pathlib import Path; from regnetlab.study.plan_file import load_plan;"
        "from regnetlab.training import checkpoints; from regnetlab.study.observer import Observer;"
        "from regnetlab.study.run import run_study; from regnetlab.study.session import Options;"
        "checkpoints.EVERY = 0.0; save, times = checkpoints.Checkpoint.save, [];\n"
        "def save_and_die(*given):\n"
        "    save(*given); times.append(1); len(times) == 4 and os.kill(os.getpid(), 9)\n"
        "checkpoints.Checkpoint.save = save_and_die\n"
        "options = Options('inline', device='cpu', data_dir=Path(sys.argv[2]))\n"
        "run_study(load_plan(Path(sys.argv[1])), options, Observer())"
    )
    words = [sys.executable, "-c", code, str(plan.folder / "study.toml"), str(data_dir)]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    (kept,) = (plan.folder / "checkpoints").iterdir()
    again = ran(plan, data_dir)
    assert {key: score.curve for key, score in again.scores.items()} == {
        key: score.curve for key, score in whole.scores.items()
    }
    assert kept.stem in again.scores
    assert not (plan.folder / "checkpoints").exists()
