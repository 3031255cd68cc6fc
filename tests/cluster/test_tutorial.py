"""The tutorial of clusters (docs/tutorial-cluster.md), typed as it stands, on a port of its own."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, blocks
from tests.docs.test_commands import check_shown
from tests.study import processes

PAGE = "docs/tutorial-cluster.md"
pytest.importorskip("distributed", reason="Dask is not installed: pip install 'regnetlab[cluster]'")


def _typed() -> list[tuple[str, tuple[str, ...]]]:
    """Every command of the page and what is shown below it."""
    found: list[tuple[str, tuple[str, ...]]] = []
    for block in blocks("console"):
        if block.page == PAGE:
            for part in block.text.removeprefix("$ ").split("\n$ "):
                command, *shown = part.rstrip().splitlines()
                found.append((command, tuple(line.rstrip() for line in shown)))
    return found


@contextmanager
def _in_background(command: str, folder: Path, env: dict[str, str]) -> Iterator[None]:
    words = ["bash", "-c", f"exec {command}"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(words, cwd=folder, env=env, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_the_tutorial_shows_what_happens(tmp_path: Path) -> None:
    fashion = Path("/usr/share/datasets/fashion-mnist")
    if not fashion.exists():
        pytest.skip("Fashion-MNIST is not installed")
    port = processes.free_port()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = processes.environment(PATH=path)
    (tmp_path / "studies" / "first").mkdir(parents=True)
    shutil.copy(ROOT / "tests/docs/stored/first/study.toml", tmp_path / "studies" / "first")
    with ExitStack() as held:
        for written, shown in _typed():
            command = written.replace("8786", str(port))
            if command.startswith("pip") or "--watch" in command:
                continue
            if command.endswith("&"):
                held.enter_context(_in_background(command.rstrip(" &"), tmp_path, env))
                if command.startswith("dask"):
                    processes.wait_for(partial(processes.listens, port))
                continue
            done = subprocess.run(
                ["bash", "-c", command], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            if shown:
                check_shown(shown, done.stdout.splitlines())
    studies = (tmp_path / "studies" / name / "study.toml" for name in ("first", "alone"))
    first, alone = map(processes.trials_of, studies)
    assert first == alone == processes.trials_of(ROOT / "tests/docs/stored/first/study.toml")
