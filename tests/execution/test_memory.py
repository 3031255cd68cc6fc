"""Out of memory: CUDA's error put into real processes, as no GPU is needed to raise it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import refusal
from tests.study import processes
from tests.study.processes import SMALL, environment, with_fault
from tests.study.running import rows_after

MakeStudy = Callable[..., Path]
pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> list[dict[str, str]]:
    """The trials of a study that nothing happens to."""
    study = tmp_path_factory.mktemp("calm") / "study.toml"
    study.write_text(SMALL)
    return rows_after(study, data_dir)


FAULT = """
(here / str(os.getpid())).touch()
others = [each.name for each in here.iterdir() if each.name.isdigit() and int(each.name) != os.getpid()]
beside = any(Path("/proc", each).exists() for each in others)
def out_of_memory():
    import torch
    raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
if seed == {always} or (seed == {beside} and beside):
    build = out_of_memory
"""
"""One network never has enough; one has not for as long as another process of the run keeps its memory."""


def test_what_has_too_little_memory_is_tried_alone_then_recorded_and_nothing_else_changes(
    make_study: MakeStudy, data_dir: Path, tmp_path: Path, calm: list[dict[str, str]]
) -> None:
    study = make_study(SMALL)
    body = FAULT.format(always=calm[0]["seed"], beside=calm[2]["seed"])
    env = environment(first=with_fault(tmp_path / "fault", body))
    done = processes.run(study, "--data-dir", str(data_dir), "--workers", "2", env=env)
    assert done.returncode == 0, done.stderr
    rows = processes.trials_of(study)
    assert (rows[0]["error"], rows[0]["ended"]) == ("", "out of memory")
    assert rows[1:] == calm[1:]
    tries = [line for line in done.stderr.splitlines() if "AnyNetE 0 ran out of memory" in line]
    assert ["again alone on its device" in line for line in tries] == [True, True, False]
    assert "it counts as failed" in tries[2]


def test_data_that_find_no_room_end_the_run_and_nothing_is_kept(
    make_study: MakeStudy, data_dir: Path, tmp_path: Path
) -> None:
    study = make_study(SMALL.replace("n = 4", "n = 2"))
    file = Path(with_fault(tmp_path / "fault", "pass")) / "sitecustomize.py"
    full = """
    def on_device(*_):
        import torch
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")
    _module.on_device = on_device
"""
    file.write_text(file.read_text() + full)
    env = environment(first=str(file.parent))
    done = processes.run(study, "--data-dir", str(data_dir), "--workers", "1", env=env)
    assert done.returncode == 2
    assert "the data don't fit into the memory" in refusal(done.stderr, alone=False)
    assert processes.trials_of(study) == []
