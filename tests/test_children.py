"""Child processes import nothing from the current folder and see no secrets."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from regnetlab import children
from tests.study import processes
from tests.study.processes import SMALL


def test_a_child_imports_nothing_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "struct.py").write_text("raise SystemExit(9)")
    (tmp_path / "regnetlab").mkdir()
    (tmp_path / "regnetlab" / "__init__.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), "", ".", *sys.path])  # as python -m and -c have it
    words = children.python("regnetlab", "--version")
    done = subprocess.run(words, env=children.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("regnetlab ")


def test_the_folder_of_this_package_stays_where_it_is_the_current_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = Path(children.__file__).parents[1]
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "path", [str(root), *sys.path])
    assert str(root) in children.import_places()


def test_a_child_sees_what_computes_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = ("PGPASSWORD", "REGNETLAB_STORAGE", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "DASK_KEY")
    wanted = ("PATH", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "REGNETLAB_CACHE", "https_proxy", "LC_ALL")
    for name in (*secrets, *wanted):
        monkeypatch.setenv(name, f"of {name}")
    seen = children.environment(CUDA_VISIBLE_DEVICES="1")
    assert not set(secrets) & set(seen)
    assert set(wanted) <= set(seen)
    assert seen["CUDA_VISIBLE_DEVICES"] == "1"


def test_a_run_in_a_folder_with_files_named_as_modules_trains_as_anywhere(
    tmp_path: Path, data_dir: Path
) -> None:
    for name in ("struct.py", "pickle.py", "torch.py", "regnetlab.py", "sitecustomize.py"):
        (tmp_path / name).write_text(
            f"open({str(tmp_path / 'ran')!r}, 'w')\nraise RuntimeError('shadowed')\n"
        )
    (tmp_path / "study.toml").write_text(SMALL)
    command = Path(sys.executable).with_name("regnetlab")
    done = subprocess.run(
        [str(command), "run", ".", "--data-dir", str(data_dir), "--device", "cpu", "--workers", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists()
    assert all(row["ended"] == "complete" for row in processes.trials_of(tmp_path / "study.toml"))
