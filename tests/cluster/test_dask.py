"""Runs on Dask: schedulers and workers in processes of their own, on the loopback interface alone."""

import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from regnetlab.study.plan_file import load_plan
from regnetlab.trials.store import open_store
from tests.conftest import refusal
from tests.study import processes
from tests.study.processes import SMALL, background, environment, scheduler_words, worker_words

MakeStudy = Callable[..., Path]
pytest.importorskip("distributed", reason="Dask is not installed: pip install 'regnetlab[cluster]'")


def kept(study: Path) -> int:
    plan = load_plan(study)
    return open_store(plan.store).count() if plan.store.exists() else 0


def has_kept(study: Path, wanted: int) -> bool:
    return kept(study) >= wanted


def test_a_study_survives_the_loss_of_a_worker_and_of_the_scheduler(
    make_study: MakeStudy, data_dir: Path
) -> None:
    calm, disturbed = make_study(name="calm"), make_study(name="disturbed")
    assert processes.run(calm, "--data-dir", str(data_dir), "--executor", "inline").returncode == 0
    port = processes.free_port()
    address = f"tcp://127.0.0.1:{port}"
    with ExitStack() as held:
        scheduler = held.enter_context(background(*scheduler_words(port)))
        processes.wait_for(partial(processes.listens, port))
        first = held.enter_context(background(*worker_words(address)))
        words = ["--data-dir", str(data_dir), "--scheduler", address]
        run = processes.start("run", str(disturbed), "--device", "cpu", *words)
        processes.wait_for(partial(has_kept, disturbed, 2))
        inside = processes.children_of(first.pid)
        first.kill()
        processes.wait_for(lambda: not any(map(processes.alive, inside)), 30)
        held.enter_context(background(*worker_words(address)))
        processes.wait_for(partial(has_kept, disturbed, 5))
        scheduler.kill()
        scheduler.wait()
        held.enter_context(background(*scheduler_words(port)))
        _, said = run.communicate(timeout=200)
    assert run.returncode == 0, said
    assert processes.trials_of(disturbed) == processes.trials_of(calm)
    assert processes.identities_of(disturbed) == processes.identities_of(calm)


def test_workers_of_another_version_or_without_the_data_are_refused_in_a_line_and_data_can_be_sent(
    make_study: MakeStudy, data_dir: Path, tmp_path: Path
) -> None:
    study = make_study(SMALL)
    port = processes.free_port()
    address = f"tcp://127.0.0.1:{port}"
    with background(*scheduler_words(port)):
        processes.wait_for(partial(processes.listens, port))
        other = tmp_path / "other"
        other.mkdir()
        (other / "sitecustomize.py").write_text("import regnetlab\nregnetlab.__version__ = '0.0.1'\n")
        old = processes.start("worker", address, env=environment(first=str(other)))
        here = environment(REGNETLAB_DATA=str(data_dir))
        done = processes.run(study, "--scheduler", address, env=here)
        assert done.returncode == 2
        assert "has regnetlab 0.0.1 (the coordinator has " in done.stderr
        assert "no worker is left" in refusal(done.stderr, alone=False)
        _, said = old.communicate(timeout=30)
        assert old.returncode == 2
        assert "regnetlab 0.0.1" in refusal(said, alone=False)

        nowhere = environment(REGNETLAB_DATA=str(tmp_path / "nowhere"))
        bare = processes.start("worker", address, env=nowhere)
        done = processes.run(study, "--scheduler", address, env=here)
        assert done.returncode == 2
        assert "no Fashion-MNIST in" in refusal(done.stderr, alone=False)
        bare.communicate(timeout=30)
        assert kept(study) == 0

        with background(*worker_words(address), env=nowhere):
            done = processes.run(study, "--scheduler", address, "--send-data", env=here)
            assert done.returncode == 0, done.stderr
    assert len(processes.trials_of(study)) == 4


def certificates(folder: Path) -> dict[str, str]:
    """A key that signs itself, as Dask's configuration names it in the environment."""
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=regnetlab -keyout key.pem -out cert.pem"
    subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True)
    key, certificate = str(folder / "key.pem"), str(folder / "cert.pem")
    prefix = "DASK_DISTRIBUTED__COMM__"
    sides = {
        f"{prefix}TLS__{side}__{part}": path
        for side in ("SCHEDULER", "WORKER", "CLIENT")
        for part, path in (("KEY", key), ("CERT", certificate))
    }
    return {f"{prefix}REQUIRE_ENCRYPTION": "True", f"{prefix}TLS__CA_FILE": certificate, **sides}


@pytest.mark.skipif(not Path("/usr/bin/openssl").exists(), reason="openssl is not installed")
def test_over_tls_a_study_runs_and_without_it_nobody_gets_in(
    make_study: MakeStudy, data_dir: Path, tmp_path: Path
) -> None:
    study = make_study(SMALL)
    secured = environment(**certificates(tmp_path))
    port = processes.free_port()
    address = f"tls://127.0.0.1:{port}"
    words = ["--data-dir", str(data_dir), "--scheduler"]
    with background(*scheduler_words(port, "--protocol", "tls", "--interface", "lo"), env=secured):
        processes.wait_for(partial(processes.listens, port))
        with background(*worker_words(address), env=secured):
            done = processes.run(study, *words, address, env=secured)
            assert done.returncode == 0, done.stderr
        done = processes.run(make_study(SMALL, "other"), *words, address)
        assert done.returncode == 2
        assert "the scheduler can't be used: TLS expects" in refusal(done.stderr, alone=False)
    assert len(processes.trials_of(study)) == 4
