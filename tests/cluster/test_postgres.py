"""Studies in a real PostgreSQL: killed under way, held by one coordinator, copied, its password kept."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from regnetlab.study.store import open_store
from regnetlab.study.stores.check import check_store
from regnetlab.study.stores.copy import copy_store
from regnetlab.study.stores.location import Database, Journal

from tests.cluster import postgres
from tests.conftest import refusal
from tests.study import processes
from tests.study.processes import COMMAND, SMALL, environment

MakeStudy = Callable[..., Path]
pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'regnetlab[postgres]'")
pytestmark = pytest.mark.skipif(postgres.missing() is not None, reason=postgres.missing() or "")


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    with postgres.server() as made:
        yield made


def place(server: postgres.Server, study: Path) -> Database:
    return Database(server.url.replace("postgresql:", "postgresql+psycopg:"), study.parent.name)


def at_least(place: Database, wanted: int) -> bool:
    return place.exists() and len(open_store(place).scores()) >= wanted


def test_a_study_goes_on_when_its_database_comes_back_and_nobody_learns_the_password(
    make_study: MakeStudy, data_dir: Path, server: postgres.Server, tmp_path: Path
) -> None:
    calm, disturbed = make_study(name="calm"), make_study(name="disturbed")
    words = ["--data-dir", str(data_dir)]
    assert processes.run(calm, *words, "--executor", "inline").returncode == 0
    slow = processes.with_fault(tmp_path / "slow", "time.sleep(2)")  # time for what comes between
    env = environment(first=slow, REGNETLAB_STORAGE=server.url)
    more = ["--device", "cpu", "--workers", "1"]
    process = processes.start("run", str(disturbed), *words, *more, env=env)
    stored = place(server, disturbed)
    processes.wait_for(partial(at_least, stored, 3))
    second = processes.run(disturbed, *words, env=env)
    assert second.returncode == 2
    assert "being run already" in second.stderr
    elsewhere = tmp_path / "elsewhere" / "disturbed"  # another folder, as on another host
    shutil.copytree(disturbed.parent, elsewhere, ignore=shutil.ignore_patterns("study.lock"))
    for wanted in (4, 7):
        server.kill()
        server.start()
        if wanted == 4:
            third = processes.run(elsewhere / "study.toml", *words, env=env)
            assert (third.returncode, "being run already" in third.stderr) == (2, True), third.stderr
        processes.wait_for(partial(at_least, stored, wanted))
    _, said = process.communicate(timeout=250)
    assert process.returncode == 0, said
    assert processes.trials_of(disturbed) == processes.trials_of(calm)
    found = check_store(stored)
    assert (found.doubled, found.unreadable) == (0, 0)
    words = [*COMMAND, "status", str(disturbed)]
    status = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert "16 of 16 complete" in status.stdout
    said += second.stderr + status.stdout + status.stderr
    left = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    secret = postgres.PASSWORD
    assert not any(secret.encode() in content for content in (said.encode(), *left))
    assert secret not in str(dict(open_store(stored).study.user_attrs))


def test_a_store_is_copied_to_postgresql_and_back_with_the_same_hash(
    make_study: MakeStudy, data_dir: Path, server: postgres.Server, tmp_path: Path
) -> None:
    study = make_study(SMALL, "copied")
    assert processes.run(study, "--data-dir", str(data_dir), "--executor", "inline").returncode == 0
    there, journal, back = place(server, study), Journal(tmp_path / "j.log"), tmp_path / "back.db"
    copies = [
        copy_store(a, b) for a, b in ((study.parent / "study.db", there), (there, journal), (journal, back))
    ]
    assert len({copied.hash for copied in copies}) == 1
    assert [copied.trials for copied in copies] == [4, 4, 4]
    done = subprocess.run(
        [*COMMAND, "store", "copy", str(study), f"{server.url}#copied"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "has a study already" in done.stderr
    assert postgres.PASSWORD not in done.stderr


def test_a_wrong_password_or_address_is_refused_without_the_password(
    make_study: MakeStudy, data_dir: Path, server: postgres.Server
) -> None:
    study = make_study(SMALL)
    wrong = server.url.replace(postgres.PASSWORD, "wr0ngS3cret")
    for url in (wrong, wrong.replace(f":{server.port}", ":1"), wrong.replace(f":{server.port}", ":port")):
        done = processes.run(study, "--data-dir", str(data_dir), env=environment(REGNETLAB_STORAGE=url))
        assert done.returncode == 2
        assert "wr0ngS3cret" not in refusal(done.stderr)
