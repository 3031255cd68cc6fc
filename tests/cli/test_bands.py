"""``regnetlab bands``: a study's bands, a file's, and the space that they become."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from regnetlab.cli import main
from regnetlab.spaces.config import Config
from regnetlab.spaces.sampler import sample
from regnetlab.study.plan_file import load_plan
from regnetlab.study.stages import planned_jobs
from regnetlab.training.budget import COMPLETE, Score
from regnetlab.trials.table import trials_of
from tests.cli.asked import Capture, MakeStudy, answer, complaint, pilot
from tests.committed import copy_committed_studies

STUDY = """# What this study asks: see the plan.
data = "fashion-mnist"   # small images
[regime]
flops = "0.05M:0.4M"
[ranges]
depth = [1, 6]
width = [8, 32]
[budget]
images = 128
batch_size = 32
validation = 100
[[spaces]]
space = "AnyNetC"
n = 60
"""


def shallow_is_best(config: Config) -> float:
    return 20 + 2.0 * sum(config.depths)


@pytest.fixture
def make_trained(make_study: MakeStudy) -> Callable[..., Path]:
    """A study with the trials.csv of trainings that earned the error that this function gives."""

    def make(earns: Callable[[Config], float | None] = shallow_is_best, text: str = STUDY) -> Path:
        study = make_study(text)
        jobs = planned_jobs(load_plan(study))
        scores = {}
        for job in jobs:
            assert job.config is not None
            error = earns(job.config)
            ended = "diverged" if error is None else COMPLETE
            scores[job.identity] = Score(error, (), 1.0, 128, ended)
        trials_of(jobs, scores).to_csv(study.with_name("trials.csv"))
        return study

    return make


def test_the_band_of_a_study_becomes_a_space_that_run_trains_and_compare_judges(
    make_trained: Callable[..., Path], data_dir: Path, capsys: Capture
) -> None:
    study = make_trained()
    before = study.read_text()
    document = answer(capsys, "bands", str(study), "--as-space", "shallow", "--n", "8")
    added = document["as_space"]
    assert added["constraints"] == document["constraints"]
    assert (added["parent"], added["n"], added["shared"]) == ("AnyNetC", 8, 0)
    assert study.read_text().startswith(before)
    assert "--space AnyNetC --as-space shallow\n[[spaces]]\n" in study.read_text()

    plan = load_plan(study)
    assert [draw.space.name for draw in plan.draws] == ["AnyNetC", "shallow"]
    jobs = [job for job in planned_jobs(plan) if job.space == "shallow"]
    (depth,) = (each for each in document["bands"] if each["property"] == "depth")
    assert all(job.config is not None and sum(job.config.depths) <= depth["high"] for job in jobs)

    study.with_name("trials.csv").unlink()  # these errors were made up; now all are trained
    words = ["--executor", "inline", "--device", "cpu", "--data-dir", str(data_dir), "--progress", "plain"]
    assert main(["run", str(study), *words]) == 0
    (step,) = answer(capsys, "compare", str(study))["comparisons"]
    assert (step["a"], step["b"], step["n_b"]) == ("AnyNetC", "shallow", 8)
    trained = pd.read_csv(study.with_name("trials.csv")).groupby("space")["id"].agg(set)
    assert not trained["shallow"] & trained["AnyNetC"]


def test_a_network_of_the_child_that_the_parent_has_too_is_mentioned(
    make_trained: Callable[..., Path], capsys: Capture
) -> None:
    narrow = STUDY.replace("[1, 6]", "[1, 2]").replace("[8, 32]", "[8, 16]").replace('"AnyNetC"', '"AnyNetE"')
    study = make_trained(text=narrow.replace('"0.05M:0.4M"', '"0.02M:0.4M"').replace("n = 60", "n = 100"))
    assert main(["bands", str(study), "--as-space", "shallow", "--n", "20"]) == 0
    text = capsys.readouterr().out
    plan = load_plan(study)
    parent, child = (
        set(sample(draw.space, draw.n, plan.template, plan.regime, plan.seed).population.configs())
        for draw in plan.draws
    )
    assert len(parent & child) > 0
    assert f"{len(parent & child)} of them are networks of AnyNetE too" in text
    assert text.splitlines()[-2:] == [f"next: regnetlab run {study}", f"      regnetlab compare {study}"]


def test_the_file_keeps_its_line_ends_and_its_last_line_without_one(
    make_trained: Callable[..., Path], capsys: Capture
) -> None:
    study = make_trained()
    before = study.read_text().replace("\n", "\r\n").rstrip().encode()
    study.write_bytes(before)
    answer(capsys, "bands", str(study), "--as-space", "shallow", "--n", "8")
    after = study.read_bytes()
    assert after.startswith(before + b"\r\n\r\n# ")
    assert after.count(b"\n") == after.count(b"\r\n")
    assert [draw.n for draw in load_plan(study).draws] == [60, 8]


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--as-space", "AnyNetC"), "has a space 'AnyNetC' already"),
        (("--as-space", "AnyNetB"), "space name 'AnyNetB' can't be used"),
        (("--as-space", "a/b"), "space name 'a/b' can't be used"),
        (("--space", "AnyNetD", "--as-space", "x"), "space 'AnyNetD' is not known"),
        (("--n", "5"), "name it with --as-space"),
        (("--as-space", "x", "--n", "1000000"), "ask for fewer with --n; nothing is written"),
        (("--from", "trials.csv"), "give a study or --from FILE, not both"),
    ],
)
def test_what_can_not_be_written_is_refused_and_the_file_stays(
    make_trained: Callable[..., Path], capsys: Capture, words: tuple[str, ...], part: str
) -> None:
    tiny = STUDY.replace("[1, 6]", "[1, 2]").replace("[8, 32]", "[8, 16]")
    study = make_trained(text=tiny.replace('"0.05M:0.4M"', '"0.02M:0.4M"'))
    before = study.read_bytes()
    assert part in complaint(capsys, ("bands", str(study), *words))
    assert study.read_bytes() == before


def test_errors_that_say_nothing_write_nothing(make_trained: Callable[..., Path], capsys: Capture) -> None:
    random = np.random.default_rng(0)
    study = make_trained(lambda config: float(random.normal(30, 3)))
    before = study.read_bytes()
    assert "narrower than by chance" in complaint(capsys, ("bands", str(study), "--as-space", "narrow"))
    assert study.read_bytes() == before


@pytest.mark.parametrize(
    ("earns", "part"),
    [
        (lambda config: None, "no network of AnyNetC has an error"),
        (lambda config: 30.0, "all networks of AnyNetC have the same error"),
    ],
)
def test_a_study_that_can_not_tell_says_why(
    make_trained: Callable[..., Path], capsys: Capture, earns: Callable[[Config], float | None], part: str
) -> None:
    assert part in complaint(capsys, ("bands", str(make_trained(earns))))


def test_a_study_without_trainings_or_with_one_network_says_so(
    make_study: MakeStudy, make_trained: Callable[..., Path], capsys: Capture
) -> None:
    assert "has no trainings yet" in complaint(capsys, ("bands", str(make_study(STUDY))))
    one = make_trained(text=STUDY.replace("n = 60", "n = 1"))
    assert "AnyNetC has 1 network, too few" in complaint(capsys, ("bands", str(one)))


def test_a_file_that_is_read_only_is_not_replaced(make_trained: Callable[..., Path], capsys: Capture) -> None:
    study = make_trained()
    before = study.read_bytes()
    study.chmod(0o444)
    assert "it is read-only" in complaint(capsys, ("bands", str(study), "--as-space", "shallow"))
    assert study.read_bytes() == before
    study.chmod(0o600)
    answer(capsys, "bands", str(study), "--as-space", "shallow", "--n", "8")
    assert study.stat().st_mode & 0o777 == 0o600


def test_spaces_in_one_line_are_refused_with_the_way_to_write_them(
    make_trained: Callable[..., Path], capsys: Capture
) -> None:
    inline = STUDY.partition("[[spaces]]")[0].replace(
        "[regime]", 'spaces = [{ space = "AnyNetC", n = 60 }]\n[regime]'
    )
    study = make_trained(text=inline)
    assert "must be tables under [[spaces]]" in complaint(
        capsys, ("bands", str(study), "--as-space", "shallow")
    )
    assert study.read_text() == inline


def test_a_file_of_networks_has_bands_and_no_study_to_write_into(tmp_path: Path, capsys: Capture) -> None:
    file = str(pilot(tmp_path))
    document = answer(capsys, "bands", "--from", file, "--space", "A")
    assert (document["study"], document["space"], document["n"]) == (None, "A", 40)
    assert "writes into a study's file" in complaint(capsys, ("bands", "--from", file, "--as-space", "x"))


def test_the_table_fits_and_says_which_space_it_is_of(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_committed_studies(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["bands", "fashion-mnist"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("AnyNetE, 150 networks (--space for AnyNetA")
    assert max(map(len, lines[:-1])) <= 80
    assert lines[-1] == "next: regnetlab bands fashion-mnist --space AnyNetE --as-space NAME"
