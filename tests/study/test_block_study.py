"""Studies of several blocks and numbers of stages: their files, their kernels, their tables, their steps."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from regnetlab.analysis.bands import bands
from regnetlab.analysis.compare import compare
from regnetlab.analysis.population_law import carrying
from regnetlab.analysis.trends import trends
from regnetlab.cli import main
from regnetlab.errors import InputError
from regnetlab.spaces.config import parse_anynet
from regnetlab.study.plan_file import load_plan, parse_plan
from regnetlab.study.plan_text import plan_toml
from regnetlab.study.results import study_steps, study_trials
from regnetlab.study.session import prepare
from regnetlab.study.stages import planned_jobs
from regnetlab.training.budget import Score
from regnetlab.trials.csv_tables import LATENCY, TRIALS
from regnetlab.trials.table import Trials, own_parameters, trials_of
from regnetlab.trials.terms import Terms
from tests.study.running import Heard, MakeStudy, inline, ran, scores_of

HEAD = """
seed = 3
[regime]
flops = "0.05M:0.6M"
[ranges]
depth = [1, 2]
width = [8, 32]
[budget]
images = 128
batch_size = 32
validation = 100
"""
SPACES = """
[[spaces]]
space = "AnyNetA"
n = 4
[[spaces]]
space = "AnyNetA"
n = 4
block = "mbconv"
[spaces.parameters]
k = [3, 7]
[[spaces]]
space = "rising"
parent = "AnyNetA-mbconv"
constraints = ["k[i] <= k[i+1]"]
n = 3
[[spaces]]
space = "RegNet"
n = 3
block = "mbconv"
"""
STAGES = """
[[spaces]]
space = "AnyNetA"
n = 4
stages = [2, 3]
"""
SPACES += STAGES
NAMES = ["AnyNetA", "AnyNetA-mbconv", "rising", "RegNet-mbconv", "AnyNetA-2-3stages"]


def test_a_space_says_its_block_and_stages_in_its_name(make_study: MakeStudy) -> None:
    plan = load_plan(make_study(HEAD + SPACES))
    assert [draw.space.name for draw in plan.draws] == NAMES
    for draw in plan.draws:
        for job in (job for job in planned_jobs(plan) if job.space == draw.space.name):
            assert job.config is not None
            assert parse_anynet(job.model) == job.config
            assert job.config.block == ("mbconv" if "mbconv" in draw.space.name or draw.space.parent else "x")
    values = {
        job.space: {v for _, each in job.config.own for v in each} for job in planned_jobs(plan) if job.config
    }
    assert values["AnyNetA-mbconv"] <= {3, 7}
    assert values["RegNet-mbconv"] <= {3, 5}
    rising = [dict(job.config.own)["k"] for job in planned_jobs(plan) if job.space == "rising" and job.config]
    assert all(list(each) == sorted(each) for each in rising)
    stages = [job.config.stages for job in planned_jobs(plan) if job.space == NAMES[-1] and job.config]
    assert stages == [2, 3, 2, 3]


def test_steps_stay_within_a_block_and_blocks_are_compared_in_pairs(make_study: MakeStudy) -> None:
    plan = load_plan(make_study(HEAD + SPACES))
    assert study_steps(plan) == [
        ("AnyNetA-mbconv", "rising"),
        ("rising", "RegNet-mbconv"),
        ("AnyNetA", "RegNet-mbconv"),
        ("AnyNetA", "AnyNetA-2-3stages"),
    ]


def test_the_file_that_dry_run_prints_is_the_same_study(make_study: MakeStudy, tmp_path: Path) -> None:
    plan = load_plan(make_study('template = { stem = "patch", activation = "gelu" }\n' + HEAD + SPACES))
    again = parse_plan(plan_toml(plan), plan.folder / "study.toml")
    assert [job.identity for job in planned_jobs(again)] == [job.identity for job in planned_jobs(plan)]
    assert again.template == plan.template


NO_X = """
[[spaces]]
space = "AnyNetA"
block = "v"
n = 3
[[spaces]]
space = "AnyNetA"
block = "mbconv"
n = 3
[[spaces]]
space = "even"
parent = "AnyNetA"
block = "convnext"
stages = [2, 3]
constraints = ["d[1] == 1"]
n = 3
[spaces.parameters]
k = [9]
"""


def test_so_it_does_where_no_space_is_of_x(make_study: MakeStudy, capsys: pytest.CaptureFixture[str]) -> None:
    plan = load_plan(make_study(HEAD + NO_X))
    again = parse_plan(plan_toml(plan), plan.folder / "study.toml")
    assert [job.identity for job in planned_jobs(again)] == [job.identity for job in planned_jobs(plan)]
    words = ["sample", "--study", str(plan.folder / "study.toml"), "--space", "AnyNetA-mbconv", "--json"]
    assert main(words) == 0
    found = [each["model"] for each in json.loads(capsys.readouterr().out)["models"]]
    assert found == [job.model for job in planned_jobs(plan) if job.space == "AnyNetA-mbconv"]


def test_spaces_of_different_numbers_of_stages_share_no_draw(make_study: MakeStudy) -> None:
    spaces = "".join(f'[[spaces]]\nspace = "AnyNetA"\nn = 12\nstages = {each}\n' for each in ([3], [3, 4]))
    jobs = planned_jobs(load_plan(make_study(HEAD + spaces)))
    one, several = (
        {job.model for job in jobs if job.space.endswith(end)} for end in ("-3stages", "-4stages")
    )
    assert len(one & several) <= 2  # by chance, of few networks


def test_other_values_of_a_parameter_are_a_change_of_the_study(make_study: MakeStudy, data_dir: Path) -> None:
    study = make_study(HEAD + '[[spaces]]\nspace = "AnyNetA"\nblock = "mbconv"\nn = 2\n')
    ran(load_plan(study), data_dir)
    study.write_text(study.read_text() + "[spaces.parameters]\nk = [7]\n")
    with pytest.raises(InputError, match="changed since it began"):
        ran(load_plan(study), data_dir)


def test_a_space_that_is_added_changes_no_ranges(make_study: MakeStudy, data_dir: Path) -> None:
    head = HEAD + '[[spaces]]\nspace = "AnyNetA"\nblock = "v"\nn = 2\n'
    study = make_study(head)
    ran(load_plan(study), data_dir)
    study.write_text(head + '[[spaces]]\nspace = "AnyNetA"\nblock = "r"\nn = 2\n')
    assert not ran(load_plan(study), data_dir).missing


def test_a_larger_draw_begins_with_the_smaller_one(make_study: MakeStudy) -> None:
    few = planned_jobs(load_plan(make_study(HEAD + SPACES)))
    many = planned_jobs(load_plan(make_study(HEAD + SPACES.replace("n = 4", "n = 9"))))
    known = {(job.space, job.index): job.model for job in many}
    assert all(known[job.space, job.index] == job.model for job in few)


@pytest.mark.parametrize(
    ("spaces", "says"),
    [
        ('space = "AnyNetA"\nblock = "mbcomv"', "block 'mbcomv' is not known; did you mean 'mbconv'"),
        (
            'space = "AnyNetA"\nblock = "mbconv"\n[spaces.parameters]\nk = [4]',
            "has no k of 4; it may be 1, 3",
        ),
        (
            'space = "AnyNetA"\nblock = "mbconv"\n[spaces.parameters]\nj = [3]',
            "has no j; its own parameters: k",
        ),
        (
            'space = "AnyNetA"\nblock = "v"\n[spaces.parameters]\nk = [3]',
            "has no k; its own parameters: none",
        ),
        ('space = "AnyNetA"\nstages = [0]', "stages are"),
        ('space = "AnyNetA"\nstages = [17]', "stages are"),
        ('space = "AnyNetA"\nstages = [3, 3]', "stages are"),
        ('space = "own"\nparent = "AnyNetA"\nconstraints = ["k[1] == 3"]', "only d, w, g and b have stages"),
        (
            'space = "own"\nparent = "AnyNetA"\nconstraints = ["b == 1"]\nn = 2\n'
            '[[spaces]]\nspace = "own"\nblock = "v"',
            "a custom space can't have another block",
        ),
        ('space = "AnyNetA"\nn = 2\n[[spaces]]\nspace = "AnyNetA"\nblock = "x"', "is listed twice"),
    ],
)
def test_what_can_not_be_is_refused_with_its_line(make_study: MakeStudy, spaces: str, says: str) -> None:
    head, _, rest = spaces.partition("[spaces.parameters]")
    tail = f"[spaces.parameters]{rest}" if rest else ""
    with pytest.raises(InputError, match=says):
        load_plan(make_study(f"{HEAD}\n[[spaces]]\n{head}\nn = 2\n{tail}"))


def test_a_walk_is_of_one_block(make_study: MakeStudy) -> None:
    with pytest.raises(InputError, match="of one block and one number of stages"):
        load_plan(make_study(f"{HEAD}\n[compare]\nwalk = true\n{SPACES}"))


def test_a_study_of_other_blocks_has_one_kind_of_kernels(make_study: MakeStudy, data_dir: Path) -> None:
    plan = load_plan(make_study(HEAD + SPACES))
    assert prepare(plan, inline(data_dir)).setting.kernels == "torch"
    with pytest.raises(InputError, match="native kernels take the paper's X block"):
        prepare(plan, inline(data_dir, kernels="native"))
    plain = load_plan(make_study(HEAD + STAGES))
    assert [draw.space.block for draw in plain.draws] == ["x"]
    assert prepare(plain, inline(data_dir)).setting.kernels == "auto"


def test_its_table_says_every_network_and_a_clone_takes_it_in(
    make_study: MakeStudy, data_dir: Path, tmp_path: Path
) -> None:
    plan = load_plan(make_study(HEAD + SPACES))
    ran(plan, data_dir)
    rows = TRIALS.read(plan.trials)
    known = {(job.space, job.index): job.model for job in planned_jobs(plan)}
    for row in rows.itertuples():
        model = known[row.space, row.index]
        assert row.model == (model if "block=" in model else "")
    assert {score.ran for score in scores_of(plan).values()} <= {"torch", None}
    found = compare(study_trials(plan), plan.terms)
    assert [step.name for step in found.steps] == [f"{a} → {b}" for a, b in study_steps(plan)]

    clone = tmp_path / "clone"
    clone.mkdir()
    for name in ("study.toml", "trials.csv", "provenance.json"):
        shutil.copy(plan.folder / name, clone / name)
    again, heard = load_plan(clone / "study.toml"), Heard()
    ran(again, data_dir, heard)
    assert heard.trained == []
    assert (clone / "trials.csv").read_bytes() == plan.trials.read_bytes()


def test_spaces_are_compared_at_equal_latency_where_it_was_measured(
    make_study: MakeStudy, data_dir: Path
) -> None:
    plan = load_plan(make_study(HEAD + SPACES.replace("n = 4", "n = 14")))
    ran(plan, data_dir)
    assert "latency" not in study_trials(plan).frame
    jobs = planned_jobs(plan)
    machine = {
        "device": "cpu",
        "processor": "one",
        "threads": 1,
        "low_ms": 1.0,
        "high_ms": 9.0,
        "runs": 3,
        "host": "",
    }
    rows = [
        {name: getattr(job, name) for name in ("space", "index", "model", "flops", "params", "acts")}
        | machine
        | {"batch": batch, "median_ms": float(job.index + batch)}
        for job in jobs
        for batch in (1, 256)
    ]
    rows += [row | {"processor": "another", "median_ms": 1000.0} for row in rows[:3]]
    plan.latencies.write_text(LATENCY.csv(LATENCY.frame(rows)))
    trials = study_trials(plan)
    assert trials.frame["latency"].tolist() == [index + 1.0 for index in trials.frame["index"]]
    found = compare(trials, Terms(matched="latency"))
    step = next(each for each in found.steps if each.name == "AnyNetA → AnyNetA-2-3stages")
    assert step.matched["latency"].used == (14, 14)
    assert step.claim_matched
    plan.latencies.write_text(LATENCY.csv(LATENCY.frame(rows[4:])))
    some = compare(study_trials(plan), Terms())
    assert all("latency" not in step.matched for step in some.steps if step.a.space == "AnyNetA")


def test_sample_says_what_the_block_has(capsys: pytest.CaptureFixture[str]) -> None:
    words = "sample --space AnyNetC --n 2 --template small --block mbconv --stages 3 --parameter k=3,9"
    assert main([*words.split(), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["space"] == "AnyNetC-mbconv-3stages"
    for each in found["models"]:
        assert set(each["k"]) <= {3, 9}
        assert len(each["k"]) == len(each["depths"]) == 3
        assert parse_anynet(each["model"]).id == each["id"]
    assert main(words.split()) == 0
    assert capsys.readouterr().out.split("\n")[0].split() == [
        *("#", "depths", "widths", "b", "k", "flops", "params", "acts")
    ]


def test_regnets_are_derived_and_searched_from_x_alone(
    make_study: MakeStudy, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    only = '[[spaces]]\nspace = "AnyNetA"\nblock = "vr"\nn = 4\n'
    with pytest.raises(InputError, match="derive: RegNets are derived from spaces of X blocks"):
        load_plan(make_study(f"{HEAD}\n[derive]\nn = 2\n{only}"))
    study = make_study(HEAD + only)
    assert main(["search", str(study), "--space", "AnyNetA-vr", "--trials", "2"]) == 2
    assert "searches are of X blocks so far" in capsys.readouterr().err


def test_the_law_is_of_networks_of_one_block_and_number_of_stages(make_study: MakeStudy) -> None:
    plan = load_plan(make_study(HEAD + SPACES))
    designs = {draw.space.name: draw.space for draw in plan.draws}
    frame = pd.DataFrame({"space": list(designs)})
    assert carrying(Trials(frame, template=plan.template, designs=designs)) == ["AnyNetA"]
    del designs["AnyNetA"]
    others = Trials(frame[1:], template=plan.template, designs=designs)
    assert carrying(others) == ["AnyNetA-mbconv", "rising"]


def test_own_parameters_have_trends_and_bands(make_study: MakeStudy) -> None:
    plan = load_plan(make_study(HEAD + SPACES.replace("n = 4", "n = 20")))
    jobs = [job for job in planned_jobs(plan) if job.space == "AnyNetA-mbconv"]
    scores = {job.identity: Score(float(job.index), (), 1.0, 64, "complete") for job in jobs}
    known = trials_of(jobs, scores)
    own = own_parameters(known.frame)["k"]
    assert own == [dict(job.config.own)["k"] for job in jobs if job.config]
    found = trends(known)
    means = [np.mean(each) for each in own if each is not None]
    assert found.networks["mean k"].tolist() == pytest.approx(means)
    assert found.networks["group_width"].isna().all()  # MBConv has no g
    assert "mean k" in [each.name for each in found.trends]
    assert {f"k[{i}]" for i in (1, 2, 3, 4)} <= {each.name for each in bands(known).bands}
