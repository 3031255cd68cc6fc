"""A study that goes on with another file, other data or another device: refused unless accepted."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from regnetlab.cli import main
from regnetlab.errors import InputError
from regnetlab.study.changes import check_changes
from regnetlab.study.plan_file import load_plan
from regnetlab.trials.store import open_store
from tests.study import processes
from tests.study.processes import SMALL
from tests.study.running import run_here

MakeStudy = Callable[..., Path]


def test_other_kernels_are_shown_and_refused_until_accepted(
    make_study: MakeStudy, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = make_study(SMALL.replace("n = 4", "n = 1"))
    words = ["run", str(study), "--data-dir", str(data_dir), "--device", "cpu", "--executor", "inline"]
    assert main([*words, "--kernels", "torch"]) == 0
    store = open_store(load_plan(study).store)
    began = store.fact("changes")["began"]
    assert began["device"] == "cpu with torch kernels"
    store.keep("changes", {"began": began | {"device": "cuda"}})
    study.write_text(SMALL.replace("n = 4", "n = 2"))
    capsys.readouterr()
    assert main([*words, "--kernels", "torch"]) == 2
    assert "device was 'cuda', is 'cpu with torch kernels'" in capsys.readouterr().err
    assert store.count() == 1
    assert main([*words, "--kernels", "torch", "--accept-change"]) == 0
    changes = store.fact("changes")["accepted"][0]["changes"]
    assert changes == {"device": ["cuda", "cpu with torch kernels"]}


def test_accepted_kernels_train_again_and_no_population_mixes_them(
    make_study: MakeStudy, data_dir: Path
) -> None:
    words = ["--data-dir", str(data_dir), "--device", "cpu", "--executor", "inline"]
    study, fresh = make_study(SMALL), make_study(SMALL, name="fresh")
    assert main(["run", str(study), *words, "--kernels", "torch"]) == 0
    assert main(["run", str(study), *words, "--kernels", "native"]) == 2
    assert main(["run", str(study), *words, "--kernels", "native", "--accept-change"]) == 0
    assert main(["run", str(fresh), *words, "--kernels", "native"]) == 0
    assert processes.trials_of(study) == processes.trials_of(fresh)
    assert open_store(load_plan(study).store).count() == 2 * open_store(load_plan(fresh).store).count()


def test_a_device_that_is_not_known_beforehand_changes_nothing(make_study: MakeStudy) -> None:
    plan = load_plan(make_study(SMALL))
    store = open_store(plan.store)
    check_changes(plan, store, "c" * 64, accept=False, device="cuda")
    check_changes(plan, store, "c" * 64, accept=False)
    assert store.fact("changes")["began"]["device"] == "cuda"
    with pytest.raises(InputError, match="device was 'cuda', is 'cpu with native kernels'"):
        check_changes(plan, store, "c" * 64, accept=False, device="cpu with native kernels")


def test_a_changed_study_is_shown_and_refused_until_accepted(make_study: MakeStudy, data_dir: Path) -> None:
    study = make_study(SMALL)
    assert run_here(study, "--data-dir", str(data_dir)).returncode == 0
    calm = processes.trials_of(study)
    text = study.read_text()
    study.write_text(text.replace("images = 128", "images = 160").replace("n = 4", "n = 5"))
    done = run_here(study, "--data-dir", str(data_dir))
    assert done.returncode == 2
    assert "budget.images was 128, is 160" in done.stderr
    assert processes.trials_of(study) == calm
    assert run_here(study, "--data-dir", str(data_dir), "--accept-change").returncode == 0
    changes = open_store(load_plan(study).store).fact("changes")
    assert [each["changes"] for each in changes["accepted"]] == [{"budget.images": [128, 160]}]
    assert len(processes.trials_of(study)) == 5
    study.write_text(study.read_text().replace("n = 5", "n = 6"))  # more of the same is no change
    assert run_here(study, "--data-dir", str(data_dir)).returncode == 0


def test_trainings_on_data_that_changed_since_no_longer_count(
    make_study: MakeStudy, data_dir: Path, tmp_path: Path
) -> None:
    study = make_study(SMALL)
    assert run_here(study, "--data-dir", str(data_dir)).returncode == 0
    other = tmp_path / "other"
    shutil.copytree(data_dir, other)
    for stem in ("images-idx3", "labels-idx1"):
        shutil.copy(other / f"t10k-{stem}-ubyte.gz", other / f"train-{stem}-ubyte.gz")
    refused = run_here(study, "--data-dir", str(other))
    assert refused.returncode == 2
    assert "data.checksum was" in refused.stderr
    before = processes.trials_of(study)
    assert run_here(study, "--data-dir", str(other), "--accept-change").returncode == 0
    after = processes.trials_of(study)
    assert len(after) == 4
    assert [row["error"] for row in after] != [row["error"] for row in before]
    assert len(processes.identities_of(study)) == 8


def test_another_split_of_a_folder_is_a_change_also_of_a_study_that_began_before_there_was_a_choice(
    make_study: MakeStudy,
) -> None:
    study = make_study('data = "folder:pets"\n' + SMALL)
    plan = load_plan(study)
    store = open_store(plan.store)
    check_changes(plan, store, "c" * 64, accept=False)
    began = store.fact("changes")["began"]
    assert (began["split"], began["group_by"]) == ("random", None)
    store.keep("changes", {"began": {key: began[key] for key in began.keys() - {"split", "group_by"}}})
    assert not check_changes(plan, store, "c" * 64, accept=False)
    study.write_text(f"split = 'stratified'\ngroup_by = '(\\d+)'\n{study.read_text()}")
    with pytest.raises(InputError, match=r"group_by was not there, is '.*'; split was 'random', is 'strat"):
        check_changes(load_plan(study), store, "c" * 64, accept=False)
    assert check_changes(load_plan(study), store, "c" * 64, accept=True)
    assert not check_changes(load_plan(study), store, "c" * 64, accept=False)
