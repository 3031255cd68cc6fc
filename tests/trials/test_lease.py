import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from regnetlab.errors import InputError
from regnetlab.trials import lease as leases
from regnetlab.trials.lease import leased, locked, running_models
from regnetlab.trials.store import open_store
from tests.study.processes import SMALL, environment
from tests.study.running import run_here


def test_two_studies_on_one_store_are_not_run_at_once(
    make_study: Callable[..., Path], data_dir: Path, tmp_path: Path
) -> None:
    one, two = make_study(SMALL, "one"), make_study(SMALL, "two")
    shared = {"one": ["--storage", str(tmp_path / "x.db")], "two": ["--storage", str(tmp_path / "x.db")]}
    linked = make_study(SMALL, "linked")
    (linked.parent / "study.db").symlink_to(one.parent / "study.db")
    with locked(tmp_path / ".x.db.regnetlab-lock"):
        for study in (one, two):
            done = run_here(study, "--data-dir", str(data_dir), *shared[study.parent.name])
            assert done.returncode == 2
            assert "is being run already" in done.stderr
    with locked(one.parent / "study.lock"):
        done = run_here(linked, "--data-dir", str(data_dir))
        assert done.returncode == 2
        assert "is being run already" in done.stderr


def test_a_second_coordinator_is_told_who_holds_the_study(tmp_path: Path) -> None:
    path = tmp_path / "study.lock"
    assert running_models(path) == 0
    with locked(path) as lock:
        lock.say(2)
        assert running_models(path) == 2
        with pytest.raises(InputError, match=f"being run already \\(process {os.getpid()} on "), locked(path):
            pass
    assert running_models(path) == 0


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "study.lock"
    program = (
        "import sys, time; from pathlib import Path; from regnetlab.trials.lease import locked\n"
        "with locked(Path(sys.argv[1])) as lock:\n    lock.say(3)\n    print(flush=True)\n    time.sleep(60)"
    )
    words = [sys.executable, "-c", program, str(path)]
    holder = subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    holder.stdout.readline()
    assert running_models(path) == 3
    holder.kill()
    holder.communicate()
    assert running_models(path) == 0
    with locked(path):
        pass


def test_the_second_coordinator_of_a_shared_store_is_told_who_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "BEAT", 0.2)
    place = tmp_path / "study.db"
    notes: list[str] = []
    with locked(tmp_path / "a") as first, locked(tmp_path / "b") as second:
        with leased(open_store(place), first, notes.append) as lease:
            lease.say(3)
            held = pytest.raises(InputError, match=f"being run already \\(process {os.getpid()} on ")
            with held, leased(open_store(place), second, notes.append):
                pass
            lease.check()
        with leased(open_store(place), second, notes.append):
            pass
    assert len(notes) == 1
    assert open_store(place).fact("lease") == {}


def test_a_lease_whose_holder_is_gone_or_silent_is_taken_over_and_the_old_holder_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "STALE", 1.0)
    monkeypatch.setattr(leases, "BEAT", 3_600.0)
    store, again = (open_store(tmp_path / "study.db") for _ in range(2))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    store.keep("lease", {"holder": "x", "host": os.uname().nodename, "pid": dead.pid, "beat": 7})
    notes: list[str] = []
    with locked(tmp_path / "a") as first, leased(store, first, notes.append) as old:
        assert notes == []
        with locked(tmp_path / "b") as second, leased(again, second, notes.append) as new:
            assert "watching up to" in notes[0]
            with pytest.raises(InputError, match="took this study over"):
                old.check()
            new.check()


def test_a_process_held_up_between_looking_and_writing_lets_the_other_notice_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("STALE", 1.0), ("BEAT", 3_600.0), ("_SETTLE", 0.1)):
        monkeypatch.setattr(leases, name, seconds)
    store, quick = (open_store(tmp_path / "study.db") for _ in range(2))
    with ExitStack() as held:
        locks = [held.enter_context(locked(tmp_path / name)) for name in "ab"]
        came: list[leases.Lease] = []

        class HeldUp:
            """A store that another coordinator comes to between this one's look and its write."""

            def fact(self, name: str) -> Mapping[str, Any]:
                return store.fact(name)

            def keep(self, name: str, facts: Mapping[str, Any]) -> None:
                if not came:
                    came.append(held.enter_context(leased(quick, locks[0], lambda _: None)))
                store.keep(name, facts)

        slow = held.enter_context(leased(HeldUp(), locks[1], lambda _: None))
        with pytest.raises(InputError, match="took this study over"):
            came[0].check()
        slow.check()
