"""A study or data that came from someone else run nothing, write nowhere else, and don't hang."""

import gc
import os
import shutil
import sqlite3
import struct
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from regnetlab.cli import main
from regnetlab.study.plan_file import load_plan
from regnetlab.training.folders import groups
from tests.cli.asked import Capture, complaint
from tests.study.processes import SMALL
from tests.study.running import ran
from tests.training.folders.pictures import plant

MakeStudy = Callable[..., Path]


def program(path: Path, ran: Path) -> str:
    """A program that leaves a trace."""
    path.write_text(f"#!/bin/sh\ntouch {ran}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize("bare", [False, True], ids=["a repository", "a bare one beside"])
def test_a_studys_git_configuration_names_no_program_that_is_run(
    make_study: MakeStudy, data_dir: Path, tmp_path: Path, bare: bool
) -> None:
    study, trace = make_study(SMALL), tmp_path / "ran"
    evil = program(tmp_path / "evil", trace)

    def git(*words: str) -> None:
        identity = ["-c", "user.name=x", "-c", "user.email=x@y"]
        subprocess.run(["git", *identity, *words], cwd=study.parent, check=True, capture_output=True)

    git("init", "-q", *(["--bare", "."] if bare else []))
    if not bare:
        git("add", "study.toml")
        git("commit", "-qm", "a study")
    git("config", "core.fsmonitor", evil)
    git("config", "core.pager", evil)
    git("config", "filter.x.clean", evil)
    (study.parent / ".gitattributes").write_text("* filter=x\n")
    study.write_text(study.read_text() + "\n# changed\n")
    ran(load_plan(study), data_dir)
    assert not trace.exists()


@pytest.mark.parametrize(
    "text",
    [
        'scheduler = "tcp://198.51.100.7:8786"',
        'scheduler = "tls://198.51.100.7:8786"',
        'scheduler = "local"\n[run.cluster]\npreload = "import os"',
        'scheduler = "local"\n[run.cluster]\nscheduler_kwargs = { preload = "x.py" }',
        'scheduler = "slurm"\n[run.cluster]\ninterface = "lo"\njob_script_prologue = ["touch ran"]',
        'scheduler = "slurm"\n[run.cluster]\ninterface = "lo"\npython = "/tmp/evil"',
        'scheduler = "slurm"\n[run.cluster]\ninterface = "lo"\ntls = false',
        'scheduler = "slurm"\n[run.cluster]\ninterface = "lo"\nqueue = "batch\\ntouch ran"',
        'scheduler = "slurm"\n[run.cluster]\ninterface = "lo"\nqueue = "$(touch ran)"',
        'scheduler = "pbs"\n[run.cluster]\ninterface = "lo"\nqueue = "batch -S /clone/evil"',
        'scheduler = "slurm"\n[run.cluster]\ninterface = "lo"\njob_mem = "4G --chdir /clone"',
        'scheduler = "slurm"\n[run.cluster]\ninterface = "lo"\nqueue = "-x"',
        'scheduler = "slurm"\n[run.cluster]\ninterface = "lo"\ngpu_memory = true',
        'scheduler = "slurm"\n[run.cluster]\ninterface = "lo"\ncores = -3',
        'scheduler = "slurm"\n[run.cluster]\ninterface = "lo"\ncores = 1e400',
        'scheduler = "ssh"\n[run.cluster]\nhosts = ["198.51.100.7", "198.51.100.7"]',
        'scheduler = "kubernetes"\n[run.cluster]\nimage = "example.org/evil"',
        '[run.cluster]\npreload = ["x.py"]',
    ],
)
def test_a_study_file_names_no_code_no_host_and_no_way_around_encryption(
    capsys: Capture, make_study: MakeStudy, text: str
) -> None:
    study = make_study(f'{SMALL}\n[run]\nexecutor = "dask"\n{text}\n')
    for command in (["run"], ["run", "--dry-run"], ["status"]):
        assert "run" in complaint(capsys, [command[0], str(study), *command[1:]])
    assert [each.name for each in study.parent.iterdir()] == ["study.toml"]


def test_the_size_and_queue_of_a_batch_systems_jobs_may_stand_in_a_study_file(make_study: MakeStudy) -> None:
    text = (
        'scheduler = "slurm"\n[run.cluster]\ninterface = "ib0"\nqueue = "gpu-short"\nwalltime = "04:00:00"\n'
    )
    study = make_study(
        f'{SMALL}\n[run]\nexecutor = "dask"\n{text}memory = "4 GB"\ncores = 1\ngpu_memory = 60e9\n'
    )
    assert load_plan(study).running.cluster["queue"] == "gpu-short"


@pytest.mark.parametrize("name", ["study.lock", "study.log.jsonl"])
def test_a_link_in_place_of_a_file_that_a_run_writes_to_harms_nothing(
    make_study: MakeStudy, data_dir: Path, tmp_path: Path, capsys: Capture, name: str
) -> None:
    study, precious = make_study(SMALL), tmp_path / "precious"
    precious.write_text("kept")
    (study.parent / name).symlink_to(precious)
    words = ["run", str(study), "--data-dir", str(data_dir), "--device", "cpu", "--executor", "inline"]
    assert main(words) == (2 if name == "study.lock" else 0)
    capsys.readouterr()
    assert precious.read_text() == "kept"


@pytest.mark.parametrize("name", ["study.db", "searches.db"])
@pytest.mark.parametrize("linked", [True, False], ids=["a link", "the file itself"])
def test_another_programs_database_in_place_of_a_store_stays_as_it_is(
    make_study: MakeStudy, data_dir: Path, tmp_path: Path, capsys: Capture, name: str, linked: bool
) -> None:
    study = make_study(SMALL)
    precious = tmp_path / "browser.db" if linked else study.parent / name
    with closing(sqlite3.connect(precious)) as connection, connection:
        connection.execute("create table history (page text)")
    before = precious.read_bytes()
    if linked:
        (study.parent / name).symlink_to(precious)
    options = ["--data-dir", str(data_dir), "--device", "cpu", "--executor", "inline"]
    command = ["run", str(study)] if name == "study.db" else ["search", str(study), "--space", "AnyNetE"]
    said = complaint(capsys, [*command, *options])
    assert ("is a link" if linked else "another program's database") in said
    assert precious.read_bytes() == before


def test_a_link_to_a_file_that_is_not_there_makes_none(
    make_study: MakeStudy, data_dir: Path, tmp_path: Path, capsys: Capture
) -> None:
    study = make_study(SMALL)
    (study.parent / "study.db").symlink_to(tmp_path / "new")
    assert "is a link" in complaint(
        capsys, ["run", str(study), "--data-dir", str(data_dir), "--device", "cpu"]
    )
    assert not (tmp_path / "new").exists()


def test_reports_that_came_as_a_link_are_not_written_through(
    tmp_path: Path, data_dir: Path, capsys: Capture
) -> None:
    study = tmp_path / "studies" / "mine" / "study.toml"
    study.parent.mkdir(parents=True)
    study.write_text(SMALL)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "reports").symlink_to(tmp_path / "elsewhere")
    ran(load_plan(study), data_dir)
    assert "is a link" in complaint(capsys, ["report", str(study)])
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("url", ["postgresql://me@198.51.100.7/lab", "postgres://h/d?sslmode=disable"])
def test_a_study_file_names_no_server_that_would_be_sent_a_password(
    make_study: MakeStudy, capsys: Capture, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "secret")
    study = make_study(f'{SMALL}\n[run]\nstorage = "{url}"\n')
    for command in ("run", "status", "compare"):
        assert "could be anybody's" in complaint(capsys, [command, str(study)])


def test_postscript_under_the_name_of_a_picture_starts_no_program(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace, programs = tmp_path / "ran", tmp_path / "bin"
    programs.mkdir()
    for name in ("gs", "gswin64c"):
        program(programs / name, trace)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    for i in range(4):
        for kind in ("a", "b"):
            folder = tmp_path / "pets" / kind
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{i}.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    assert "no image by its content" in complaint(capsys, ["data", "show", str(tmp_path / "pets")])
    assert not trace.exists()


def test_a_pipe_under_the_name_of_a_picture_or_a_table_is_not_waited_for(
    tmp_path: Path, capsys: Capture, make_study: MakeStudy
) -> None:
    (tmp_path / "pets" / "a").mkdir(parents=True)
    os.mkfifo(tmp_path / "pets" / "a" / "x.png")
    complaint(capsys, ["data", "show", str(tmp_path / "pets")])
    os.mkfifo(tmp_path / "t.csv")
    for path in (tmp_path / "t.csv", Path("/dev/zero")):
        assert "no regular file" in complaint(capsys, ["compare", "--from", str(path)])
    study = make_study(SMALL)
    os.mkfifo(study.parent / "trials.csv")
    for command in ("run", "status", "compare"):
        assert "no regular file" in complaint(capsys, [command, str(study)])
    os.mkfifo(study.parent / "pipe.toml")
    complaint(capsys, ["run", str(study.parent / "pipe.toml")])


@pytest.mark.parametrize(
    "text",
    [
        "a" * 900_000,
        "a." * 450_000,
        '"!".' * 30_000 + "a = 1",
        "'a b' . " * 30_000 + "a = 1",
        "[" * 20_000 + " " * 20_000,
        "[ " * 200_000,
        '"' * 400_000,
        "a = [" * 3_000,
    ],
    ids=[
        "a key",
        "a key of many parts",
        "of quoted parts",
        "of single-quoted parts",
        "brackets",
        "brackets and spaces",
        "quotes",
        "nested",
    ],
)
def test_a_study_file_that_is_long_in_one_way_is_refused_soon(
    capsys: Capture, tmp_path: Path, text: str
) -> None:
    (tmp_path / "study.toml").write_text(text + "\n")
    complaint(capsys, ["run", str(tmp_path / "study.toml"), "--dry-run"])


@pytest.mark.parametrize("expression", ["(.*)*(.*)*(.*)*Q", "((.?){60000}){60000}"], ids=["time", "memory"])
def test_an_expression_that_would_take_for_ever_is_stopped(
    capsys: Capture, tmp_path: Path, make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch, expression: str
) -> None:
    monkeypatch.setattr(groups, "_SECONDS", 1)
    pets = plant(tmp_path / "pets", *(f"{kind}/{i:030}.png" for kind in ("cat", "dog") for i in range(12)))
    study = make_study(f"data = 'folder:{pets}'\ngroup_by = '{expression}'\n{SMALL}")
    for command in (["run", str(study)], ["data", "show", "--study", str(study)]):
        assert "takes over 1 " in complaint(capsys, command)


def test_a_table_of_very_many_columns_is_refused(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(",".join(f"c{i}" for i in range(200_000)) + "\n" + "," * 199_999 + "\n")
    assert "has 200,000 columns" in complaint(capsys, ["compare", "--from", str(path)])


def test_a_file_that_is_no_lock_of_ours_stays_as_it_is(
    make_study: MakeStudy, data_dir: Path, capsys: Capture, tmp_path: Path
) -> None:
    study = make_study(SMALL + f'\n[run]\nstorage = "{tmp_path}/uv.db"\n')
    (tmp_path / "uv.lock").write_text("version = 1")
    words = ["run", str(study), "--data-dir", str(data_dir), "--device", "cpu", "--executor", "inline"]
    assert main(words) == 0
    capsys.readouterr()
    assert (tmp_path / "uv.lock").read_text() == "version = 1"
    (study.parent / "study.lock").write_text("precious")
    assert "is not a lock of regnetlab's" in complaint(capsys, words)
    assert (study.parent / "study.lock").read_text() == "precious"


def test_a_store_with_a_view_or_trigger_is_refused(
    make_study: MakeStudy, data_dir: Path, capsys: Capture
) -> None:
    study = make_study(SMALL)
    ran(load_plan(study), data_dir)
    with closing(sqlite3.connect(study.parent / "study.db")) as store, store:
        store.execute("create trigger evil after insert on regnetlab_trials begin select 1; end")
    for command in ("status", "run", "compare"):
        assert "has a view or trigger (evil)" in complaint(capsys, [command, str(study)])


def journal_that_names(victim: Path, page_size: int = 4096) -> bytes:
    """A journal of a change to several databases, of which the one that names the others is ``victim``."""
    magic, name = bytes.fromhex("d9d505f920a163d7"), str(victim).encode()
    head = magic + struct.pack(">5I", 0, 1, 1, 512, page_size)
    checksum = sum(each - 256 if each > 127 else each for each in name) & 0xFFFFFFFF
    page = 0x40000000 // page_size + 1
    return (
        head.ljust(512, b"\0")
        + struct.pack(">I", page)
        + name
        + struct.pack(">2I", len(name), checksum)
        + magic
    )


@pytest.mark.parametrize("name", ["study.db", "searches.db"])
def test_a_journal_beside_a_store_deletes_no_other_file(
    make_study: MakeStudy, data_dir: Path, tmp_path: Path, capsys: Capture, name: str
) -> None:
    study, victim = make_study(SMALL), tmp_path / "precious"
    options = ["--data-dir", str(data_dir), "--device", "cpu", "--executor", "inline"]
    search = ["search", str(study), "--space", "AnyNetE", "--trials", "1", *options]
    assert main(["run", str(study), *options]) == main(search) == 0
    victim.write_text("kept")
    (study.parent / f"{name}-journal").write_bytes(journal_that_names(victim))
    commands = [["report", str(study)], search]
    if name == "study.db":
        commands += [["status", str(study)], ["store", "check", str(study)], ["run", str(study), *options]]
    for command in commands:
        capsys.readouterr()
        assert "would have SQLite delete another file" in complaint(capsys, command)
    assert "delete another" in complaint(capsys, ["compare", "--from", str(study.parent / name)])
    assert victim.read_text() == "kept"


@pytest.mark.parametrize("name", ["study.db", "study.db-journal", "study.db-wal"])
def test_a_pipe_in_place_of_a_store_is_not_waited_for(
    make_study: MakeStudy, data_dir: Path, capsys: Capture, name: str
) -> None:
    study = make_study(SMALL)
    if name != "study.db":
        ran(load_plan(study), data_dir)
        capsys.readouterr()
        gc.collect()  # else the run's store, closed later, would take the pipe for its log
    (study.parent / name).unlink(missing_ok=True)
    os.mkfifo(study.parent / name)
    for command in (["status"], ["store", "check"], ["run", "--data-dir", str(data_dir), "--device", "cpu"]):
        assert "no regular file" in complaint(capsys, [*command, str(study)])


@pytest.mark.parametrize(
    "change",
    [
        "create unique index u on regnetlab_trials(space)",
        "alter table regnetlab_trials add column more text",
        "alter table regnetlab_trials add column more text generated always as (space)",
    ],
)
def test_a_store_whose_tables_have_more_than_ours_is_refused(
    make_study: MakeStudy, data_dir: Path, capsys: Capture, change: str
) -> None:
    study = make_study(SMALL)
    ran(load_plan(study), data_dir)
    with closing(sqlite3.connect(study.parent / "study.db")) as store, store:
        store.execute("delete from regnetlab_trials where number > 1")
        store.execute(change)
    for command in (["status"], ["run", "--data-dir", str(data_dir)], ["store", "check"]):
        assert "is not one that regnetlab makes" in complaint(capsys, [*command, str(study)])


def test_a_view_in_an_optuna_file_is_not_computed(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "endless.db"
    endless = "with recursive c(x) as (select 1 union all select x + 1 from c) select x"
    with closing(sqlite3.connect(path)) as store, store:
        store.execute(f"create view studies as {endless} as study_id, 'a' as study_name from c where x < 0")
        store.execute(f"create view version_info as {endless} as version_info_id from c where x < 0")
    assert "has a view" in complaint(capsys, ["compare", "--from", str(path)])


def test_a_store_by_two_names_is_not_run(make_study: MakeStudy, data_dir: Path, capsys: Capture) -> None:
    one, two = make_study(SMALL, "one"), make_study(SMALL, "two")
    ran(load_plan(one), data_dir)
    os.link(one.parent / "study.db", two.parent / "study.db")
    for study in (one, two):
        words = ["run", str(study), "--data-dir", str(data_dir), "--device", "cpu"]
        assert "has another name (a hard link)" in complaint(capsys, words)


def test_a_report_of_a_folder_whose_name_is_no_text_is_written(
    make_study: MakeStudy, data_dir: Path, capsys: Capture
) -> None:
    study = make_study(SMALL, os.fsdecode(b"\xffz"))
    ran(load_plan(study), data_dir)
    assert main(["report", str(study), "-o", str(study.parent / "page.html")]) == 0
    assert "\\udcffz" in (study.parent / "page.html").read_text()
