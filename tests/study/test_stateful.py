"""A study whose file, data, kernels and commands change in any order says what one begun afresh would say.

It is also stopped in the middle, killed by an error, copied to another store and cloned without its store.

``REGNETLAB_STATEFUL=50`` tries so many histories, others each time; without it a few do, always the same.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from regnetlab.errors import InputError
from regnetlab.study.fidelity import parse_ladder, run_fidelity
from regnetlab.study.observer import Observer
from regnetlab.study.plan_file import load_plan
from regnetlab.study.run import run_study
from regnetlab.study.search.definition import RANDOM, Search
from regnetlab.study.search.run import run_search
from regnetlab.study.session import Options, prepare
from regnetlab.study.stages import study_state
from regnetlab.study.status import status
from regnetlab.training.budget import Score
from regnetlab.trials.copy import check_store, content_of, copy_content
from regnetlab.trials.job import Trial
from regnetlab.trials.store import open_store
from tests.conftest import write_idx

ADDED = '[[spaces]]\nspace = "AnyNetE"\nn = 1\n'
Answer = dict[str, Any]


@dataclass(frozen=True)
class Circumstances:
    """What a study follows from."""

    n: int = 2
    seeds: int = 1
    repeated: float = 1.0
    derive: int = 0
    lr: float = 0.1
    margin: float = 1.0
    added: bool = False
    data: int = 0
    kernels: str = "native"

    @property
    def text(self) -> str:
        return f"""
seed = 3
template = {{ stem_width = 8, strides = [2, 2] }}
[regime]
flops = "0.02M:0.2M"
[ranges]
depth = [1, 2]
width = [8, 24]
[budget]
images = 64
batch_size = 32
validation = 40
seeds = {self.seeds}
repeated = {self.repeated}
[recipe]
precise_bn = 1
lr = {self.lr}
[derive]
n = {self.derive}
[compare]
margin = {self.margin}
[[spaces]]
space = "AnyNetA"
n = {self.n}
{ADDED if self.added else ""}"""


@cache
def data_folder(seed: int) -> Path:
    """One of two small data sets with one name."""
    folder = Path(tempfile.mkdtemp(prefix="regnetlab-data-"))
    random = np.random.default_rng(seed)
    for stem, count in (("train", 300), ("t10k", 50)):
        labels = np.arange(count, dtype=np.uint8) % 10
        images = random.integers(0, 60, (count, 28, 28)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[2 * label + 4 : 2 * label + 7, 4:24] += 150
        write_idx(folder / f"{stem}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{stem}-labels-idx1-ubyte.gz", labels)
    return folder


def run(folder: Path, options: Options) -> Answer:
    """What a study says at the end of a run."""
    plan = load_plan(folder / "study.toml")
    state = run_study(plan, options, Observer())
    assert not state.missing
    found = status(plan, study_state(plan, open_store(plan.store)), 0)
    return {"jobs": state.jobs, "errors": errors(state.scores), "spaces": found["spaces"]}


def fidelity(folder: Path, options: Options) -> Answer:
    plan = load_plan(folder / "study.toml")
    return {
        "errors": errors(run_fidelity(plan, options, Observer(), parse_ladder("32", plan.budget), 3).scores)
    }


def search(folder: Path, options: Options) -> Answer:
    plan = load_plan(folder / "study.toml")
    found = Search(plan, plan.draws[0].space, RANDOM, 2, batch=2)
    steps = run_search(found, prepare(plan, options), options, Observer())
    return {"steps": [(step.proposal.config.text, step.score.error) for step in steps]}


def errors(scores: Any) -> dict[str, tuple[float | None, str]]:
    found: dict[str, Score] = dict(scores)
    return {key: (score.error, score.ended) for key, score in found.items()}


def options_of(now: Circumstances) -> Options:
    return Options("inline", device="cpu", data_dir=data_folder(now.data), kernels=now.kernels)


@cache
def afresh(command: Callable[[Path, Options], Answer], now: Circumstances) -> Answer:
    """What the command gives for a study that is begun with it, in an empty folder."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "study"
        folder.mkdir()
        (folder / "study.toml").write_text(now.text)
        return command(folder, options_of(now))


def left_in(folder: Path) -> Answer:
    """Everything that a study keeps."""
    store = open_store(folder / "study.db") if (folder / "study.db").exists() else None
    tables = {path.name: path.read_text() for path in folder.glob("*.csv")}
    return {"tables": tables} | ({"rows": store.rows(), "facts": store.facts()} if store else {})


def trained(folder: Path) -> set[str]:
    """The identities in the store."""
    if not (folder / "study.db").exists():
        return set()
    return {row["identity"] for row in open_store(folder / "study.db").rows()}


class Breaking(Observer):
    """Raises once so many trainings are kept."""

    def __init__(self, most: int, how: type[BaseException]) -> None:
        self._most, self._how = most, how
        self.finished: set[str] = set()

    def on_finish(self, trial: Trial, replay: str) -> None:
        self.finished.add(trial.job.identity)
        if len(self.finished) == self._most:
            raise self._how


class Studies(RuleBasedStateMachine):
    """One study, its history, and after each command the same study without a history."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp()) / "study"
        self.folder.mkdir()
        self.now = Circumstances()
        self.cloned = False  # whether the tables, without a store, are all that is left

    @rule(
        change=st.one_of(
            st.builds(dict, n=st.integers(1, 4)),
            st.builds(dict, seeds=st.integers(1, 3), repeated=st.sampled_from([0.4, 1.0])),
            st.builds(dict, derive=st.integers(0, 3)),
            st.builds(dict, lr=st.sampled_from([0.05, 0.1])),
            st.builds(dict, margin=st.sampled_from([0.5, 1.0])),
            st.builds(dict, added=st.booleans()),
            st.builds(dict, data=st.integers(0, 1)),
            st.builds(dict, kernels=st.sampled_from(["native", "torch"])),
        )
    )
    def change(self, change: dict[str, Any]) -> None:
        self.now = replace(self.now, **change)

    @rule(command=st.sampled_from([run, fidelity, search]))
    def train(self, command: Callable[[Path, Options], Answer]) -> None:
        self._do(command, accept=False)

    @rule()
    def accept(self) -> None:
        assert self._do(run, accept=True) or self.cloned

    @rule(most=st.integers(1, 3), how=st.sampled_from([KeyboardInterrupt, OSError]))
    def break_off(self, most: int, how: type[BaseException]) -> None:
        """A run is stopped, or breaks down, once so many trainings are kept: none of before is lost."""
        (self.folder / "study.toml").write_text(self.now.text)
        before = left_in(self.folder)
        plan, seen = load_plan(self.folder / "study.toml"), trained(self.folder)
        breaking = Breaking(most, how)
        try:
            run_study(plan, options_of(self.now), breaking)
        except (KeyboardInterrupt, OSError):
            assert len(breaking.finished) == most
            there = trained(self.folder)
            if self.cloned:  # a clone takes in its table, too
                assert breaking.finished <= there
            else:
                assert there == seen | breaking.finished
        except InputError:
            assert left_in(self.folder) == before
            return
        assert seen <= trained(self.folder)
        self.cloned = False

    @rule()
    def copy(self) -> None:
        """The store is copied, looked over and put in the place of the old one."""
        path, target = self.folder / "study.db", self.folder / "copied.db"
        if not path.exists():
            return
        content = content_of(path)
        copy_content(content, target)
        assert content_of(target) == content
        found = check_store(target)
        assert (found.trials, found.damage, found.hash) == (len(content.rows), (), content.hash)
        for each in self.folder.glob("study.db*"):
            each.unlink()
        target.rename(path)

    @rule()
    def clone(self) -> None:
        """What a repository has: the tables of a run, and no store."""
        if (self.folder / "trials.csv").exists() and (self.folder / "provenance.json").exists():
            for each in (*self.folder.glob("study.*"), *self.folder.glob("searches.db*")):
                if each.name != "study.toml":
                    each.unlink()
            self.cloned = True

    @rule()
    def look(self) -> None:
        (self.folder / "study.toml").write_text(self.now.text)
        before = left_in(self.folder)
        plan = load_plan(self.folder / "study.toml")
        if plan.store.exists():
            status(plan, study_state(plan, open_store(plan.store)), 0)
        assert left_in(self.folder) == before

    def teardown(self) -> None:
        shutil.rmtree(self.folder.parent)

    def _do(self, command: Callable[[Path, Options], Answer], accept: bool) -> bool:
        """Whether it was accepted; then it says what a fresh study says, and else nothing changed."""
        (self.folder / "study.toml").write_text(self.now.text)
        before = left_in(self.folder)
        try:
            found = command(self.folder, replace(options_of(self.now), accept_change=accept))
        except InputError as error:
            assert "changed since it began" in str(error) or self.cloned
            assert left_in(self.folder) == before
            return False
        assert found == afresh(command, self.now)
        self.cloned = False
        return True


def test_a_study_with_a_history_says_what_a_fresh_one_says() -> None:
    count = int(os.environ.get("REGNETLAB_STATEFUL", "6"))
    run_state_machine_as_test(
        Studies,
        settings=settings(
            max_examples=count,
            derandomize="REGNETLAB_STATEFUL" not in os.environ,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
