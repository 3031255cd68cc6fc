"""Runs on Dask, in short; ``tests/cluster`` has the long form with schedulers and workers that are lost."""

from collections.abc import Callable
from pathlib import Path

import pytest

from regnetlab.cli import main
from regnetlab.study.plan_file import load_plan
from regnetlab.study.status import LogReader
from regnetlab.trials.store import open_store
from tests.conftest import refusal
from tests.study import processes
from tests.study.processes import SMALL
from tests.study.running import rows_after

MakeStudy = Callable[..., Path]
pytest.importorskip("distributed", reason="Dask is not installed: pip install 'regnetlab[cluster]'")


def test_a_cluster_started_for_the_run_trains_the_same_bits_and_its_device_is_remembered(
    make_study: MakeStudy, data_dir: Path
) -> None:
    here, there = make_study(SMALL, "here"), make_study(SMALL, "there")
    words = ["--data-dir", str(data_dir)]
    calm = rows_after(here, data_dir)
    done = processes.run(there, *words, "--executor", "dask", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert processes.trials_of(there) == calm
    workers = LogReader(there.with_name("study.log.jsonl")).look().documents(running=False)
    assert {each["worker"].rpartition(":")[0] for each in workers} == {"tls://127.0.0.1"}
    assert sum(each["done"] for each in workers) == 4
    device = open_store(load_plan(here).store).fact("changes")["began"]["device"]
    assert {each["device"] for each in workers} == {device}

    store = open_store(load_plan(there).store)  # known once a worker had trained
    began = store.fact("changes")["began"]
    assert began["device"] == device
    store.keep("changes", {"began": began | {"device": "cuda"}})
    there.write_text(SMALL.replace("n = 4", "n = 5"))
    done = processes.run(there, *words, "--executor", "dask", "--workers", "1")
    assert done.returncode == 2
    assert f"device was 'cuda', is '{device}'" in refusal(done.stderr, alone=False)
    assert store.count() == 4
    done = processes.run(there, *words, "--executor", "dask", "--workers", "1", "--accept-change")
    assert done.returncode == 0, done.stderr
    assert store.fact("changes")["accepted"][0]["changes"] == {"device": ["cuda", device]}


def test_an_unknown_kind_of_cluster_is_refused_before_anything_is_written(
    make_study: Callable[..., Path], data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = make_study()
    words = ["run", str(study), "--scheduler", "foo", "--data-dir", str(data_dir)]
    assert main(words) == 2
    assert "scheduler 'foo' is not known" in capsys.readouterr().err
    assert [each.name for each in study.parent.iterdir()] == ["study.toml"]
