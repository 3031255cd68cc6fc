"""Studies in a real PostgreSQL: killed under way, held by one coordinator, copied, its password kept."""

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import optuna
import pytest
from sqlalchemy.pool import NullPool

from regnetlab.training.correctness import pack
from regnetlab.trials.copy import check_store, content_of, copy_content
from regnetlab.trials.location import Database
from regnetlab.trials.store import open_store
from tests.cluster import postgres
from tests.conftest import refusal
from tests.study import processes
from tests.study.processes import COMMAND, SMALL, environment
from tests.trials.test_convert import OLD
from tests.trials.trainings import CPU, DATA, GOOD, OTHER_DATA, job, trial

MakeStudy = Callable[..., Path]
psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'regnetlab[postgres]'")
pytestmark = pytest.mark.skipif(postgres.missing() is not None, reason=postgres.missing() or "")


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    with postgres.server() as made:
        yield made


def place(server: postgres.Server, study: Path) -> Database:
    return Database(server.url, study.parent.name)


def at_least(place: Database, wanted: int) -> bool:
    return place.exists() and open_store(place).count() >= wanted


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
    assert check_store(stored).trials == open_store(calm.parent / "study.db").count()
    words = [*COMMAND, "status", str(disturbed)]
    status = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert "22 of 22 complete" in status.stdout
    said += second.stderr + status.stdout + status.stderr
    left = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    secret = postgres.PASSWORD
    assert not any(secret.encode() in content for content in (said.encode(), *left))
    assert secret not in str(open_store(stored).facts())


def test_a_store_is_copied_to_postgresql_and_back_with_the_same_hash(
    make_study: MakeStudy, data_dir: Path, server: postgres.Server, tmp_path: Path
) -> None:
    study = make_study(SMALL, "copied")
    assert processes.run(study, "--data-dir", str(data_dir), "--executor", "inline").returncode == 0
    there, back = place(server, study), tmp_path / "back.db"
    source = content_of(study.parent / "study.db")
    copy_content(source, there)
    copy_content(content_of(there), back)
    assert content_of(back).hash == content_of(there).hash == source.hash
    assert len(source.rows) == 4
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


def test_a_training_is_kept_once_though_the_server_is_killed_and_comes_back(server: postgres.Server) -> None:
    store, reader = (open_store(Database(server.url, "broken")) for _ in range(2))
    store.add(trial(0))
    assert len(reader.scores(DATA)) == 1
    server.kill()
    back = threading.Timer(2.0, server.start)
    back.start()
    store.add(trial(1))
    back.join()
    store.add(trial(1))
    store.keep("lease", {"beat": 1})
    assert reader.scores(DATA).keys() == {job(0).identity, job(1).identity}
    assert (reader.count(), reader.fact("lease")) == (2, {"beat": 1})


def test_studies_in_a_database_are_apart(server: postgres.Server) -> None:
    one, two = Database(server.url, "one"), Database(server.url, "two")
    open_store(one).add(trial(0))
    assert (one.exists(), two.exists()) == (True, False)
    assert open_store(two).scores(DATA) == {}
    assert open_store(one).count() == 1


def test_a_study_of_an_earlier_version_is_converted_beside_its_tables(
    server: postgres.Server, tmp_path: Path
) -> None:
    old = shutil.copy(OLD / "schema2.db", tmp_path / "study.db")
    url = server.url.replace("postgresql:", "postgresql+psycopg:")
    storage = optuna.storages.RDBStorage(url, engine_kwargs={"poolclass": NullPool})
    optuna.copy_study(
        from_study_name="regnetlab", from_storage=f"sqlite:///{old}", to_storage=storage, to_study_name="old"
    )
    place = Database(server.url, "old")
    assert place.exists()
    there, here = open_store(place), open_store(Path(old))
    assert there.scores(OTHER_DATA) == here.scores(OTHER_DATA)
    assert len(here.scores(OTHER_DATA)) == 2
    assert there.facts() == here.facts()
    assert there.devices(OTHER_DATA) == {CPU}
    assert len(optuna.load_study(study_name="old", storage=storage).trials) == 5


def test_studies_of_schema_3_gain_their_column_one_after_another(server: postgres.Server) -> None:
    third, other, new = (Database(server.url, name) for name in ("third", "other", "new"))
    for each in (third, other):
        open_store(each).add(trial(0))
        open_store(each).keep("schema", {"version": 3})
    with psycopg.connect(server.url) as connection:
        connection.execute("ALTER TABLE regnetlab_trials DROP COLUMN correct")
    final = replace(GOOD, test_error=50.0, correct=pack(np.array([True, False])))
    open_store(new).add(trial(1, final))  # in the tables of the others
    for each in (third, other):
        store = open_store(each)
        store.add(trial(1, final))
        assert open_store(each).scores(DATA) == {job(0).identity: GOOD, job(1).identity: final}
