import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from regnetlab.errors import InputError
from regnetlab.spaces.regime import Window
from regnetlab.study.plan_file import find_study, load_plan, newest_study
from regnetlab.study.plan_text import plan_toml
from regnetlab.study.stages import planned_jobs
from regnetlab.study.tomlfile import line_of, write_value
from regnetlab.training.budget import Recipe
from tests.committed import committed_studies

MakeStudy = Callable[..., Path]
MINIMAL = '[[spaces]]\nspace = "AnyNetA"\nn = 20\n'
OTHER = '[[spaces]]\nspace = "AnyNetB"\nn = 8\n'


def test_a_mistake_in_a_space_says_which_as_toml_counts(make_study: MakeStudy) -> None:
    text = MINIMAL + '[[spaces]]\nspace = "AnyNetB"\n'
    with pytest.raises(InputError, match=r"line 4: spaces\[2\]\.n is missing; add n = …"):
        load_plan(make_study(text))
    with pytest.raises(InputError, match=r"line 7: key 'm' of \[spaces\[2\]\] is not known"):
        load_plan(make_study(text + "n = 3\nm = 3\n"))


def test_only_spaces_are_needed(make_study: MakeStudy) -> None:
    plan = load_plan(make_study(MINIMAL))
    assert plan.name == "tiny"
    assert plan.template.name == "small"
    assert (plan.data, plan.seed, plan.seeds, plan.derived) == ("fashion-mnist", 0, 1, 0)
    assert [(draw.space.name, draw.n) for draw in plan.draws] == [("AnyNetA", 20)]


def test_every_key_arrives(make_study: MakeStudy) -> None:
    plan = load_plan(
        make_study(
            """
template = { input = "3x32x32", classes = 4, stem_width = 8, strides = [1, 2, 2] }
data = "folder:/somewhere"
seed = 9
[regime]
flops = "1M:2M"
acts = ":3M"
[ranges]
depth = [2, 5]
group_width = [8, 16]
[budget]
images = 100
batch_size = 10
seeds = 3
time_limit = 7
[recipe]
lr = 1
schedule = "cosine"
augment = "flip"
[[spaces]]
space = "AnyNetC"
n = 5
[derive]
n = 4
"""
        )
    )
    assert (plan.template.input, plan.template.classes, plan.template.strides) == ("3x32x32", 4, (1, 2, 2))
    assert plan.regime.flops == Window(1e6, 2e6)
    assert plan.regime.acts == Window(0, 3e6)
    assert (plan.ranges.depth, plan.ranges.group_width) == ((2, 5), (8, 16))
    assert (plan.budget.images, plan.budget.time_limit, plan.seeds) == (100, 7, 3)
    assert (plan.recipe.lr, plan.recipe.schedule, plan.recipe.augment) == (1, "cosine", "flip")
    assert plan.derived == 4


def test_the_plan_written_out_reads_back_as_itself(make_study: MakeStudy) -> None:
    text = MINIMAL + '[regime]\nflops = "0.8M:1.2M"\n[budget]\nseeds = 2\nrepeated = 0.5\n'
    plan = load_plan(make_study('template = { base = "paper", classes = 7 }\n' + text))
    again = load_plan(make_study(plan_toml(plan)))
    assert again == plan


def test_strings_are_written_as_toml_reads_them() -> None:
    for text in ('a"b\\c', "tab\tnew\nline", "ü – 日", "\x00\x1f\x7f", "\U000e0001"):
        assert tomllib.loads(f"x = {write_value(text)}")["x"] == text


def test_tables_are_written_as_toml_reads_them() -> None:
    table = {"input": "3x8x8", "strides": [1, 2], "two words": {"deep": [{"lr": 0.1}, {}]}, "yes": True}
    assert tomllib.loads(f"x = {write_value(table)}")["x"] == table


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("[[spaces]]\nspace = 'AnyNetF'\nn = 2", 2, "did you mean 'AnyNetE'"),
        ("[[spaces]]\nspace = 'AnyNetA'\nn = 0", 3, "greater than or equal to 1"),
        ("[[spaces]]\nspace = 'AnyNetA'\nn = '2'", 3, "valid integer"),
        ("[[spaces]]\nspace = 'AnyNetA'\nn = 2.5", 3, "valid integer"),
        (MINIMAL + "[budget]\nimages = true", 5, "valid integer"),
        (MINIMAL + "[budget]\nimags = 3", 5, "did you mean 'images'"),
        (MINIMAL + "[budgett]\nimages = 3", 4, "did you mean 'budget'"),
        (MINIMAL + "[budget]\nimages = 1", 5, "must be ≥ 2"),
        (MINIMAL + "[recipe]\nschedule = 'step'", 5, "'cosine', 'one-cycle' or 'constant'"),
        (MINIMAL + "[recipe]\nlr = -1", 5, "between 1e-09 and 1000"),
        (MINIMAL + "[ranges]\ndepth = [5, 2]", 5, "is empty"),
        (MINIMAL + "[ranges]\ndepth = 5", 5, "it must be a list"),
        (MINIMAL + "[ranges]\ndepth = [1]", 5, "ranges.depth must be a list of two"),
        (MINIMAL + "[ranges]\ndepth = [1, 2, 3]", 5, "[low, high]"),
        ("budget = 3\n" + MINIMAL, 1, "a table of keys"),
        (MINIMAL + "[regime]\nflops = '5M'", 5, "LOW:HIGH"),
        (MINIMAL + "[regime]\nflops = 5", 5, "valid string"),
        ("template = 'smal'\n" + MINIMAL, 1, "did you mean 'small'"),
        ("seed = -1\n" + MINIMAL, 1, "greater than or equal to 0"),
        ("seed = 1\nseed = 2\n" + MINIMAL, None, "line 2"),
        ("spaces = []", 1, "at least one entry"),
        ("seed = 1", None, "spaces is missing"),
        ("[[spaces]]\nspace = 'AnyNetA'\nn = 2\n[regime]\nflops = '3.2:4.8M'\n" + OTHER, 5, "unit at both"),
        ("[[spaces]]\nspace = 'AnyNetA'\nn = 8\n[ranges]\nwidth = [256, 8]\n" + OTHER, 5, "is empty"),
        (MINIMAL + "[spaces]\nspace = 'AnyNetB'\nn = 2", None, "write [[spaces]], with two brackets"),
        ("[spaces]\nspace = 'AnyNetA'\nn = 2", 1, "write [[spaces]], once for each space"),
        (MINIMAL + MINIMAL, None, "listed twice"),
        ("this is no toml", None, "no TOML"),
    ],
)
def test_a_mistake_names_its_line_and_key(
    make_study: MakeStudy, text: str, line: int | None, part: str
) -> None:
    with pytest.raises(InputError) as caught:
        load_plan(make_study(text))
    message = str(caught.value)
    assert part in message
    assert "\n" not in message
    assert "study.toml" in message
    if line is not None:
        assert f", line {line}:" in message


def test_the_second_of_two_tables_is_found() -> None:
    text = "a = 1\n[[spaces]]\nn = 1\n[[spaces]]\nn = 2 # x\n"
    assert line_of(text, ("spaces", 1, "n")) == 5
    assert line_of(text, ("a",)) == 1
    assert line_of(text, ("b",)) is None


def test_how_a_folder_is_split_is_a_key_beside_the_data_and_survives_being_written(
    make_study: MakeStudy,
) -> None:
    text = 'data = "folder:x"\nsplit = "stratified"\ngroup_by = \'([^/"]+)-\\d+\\.png$\'\n' + MINIMAL
    plan = load_plan(make_study(text))
    assert (plan.reading.split, plan.reading.group_by) == ("stratified", r'([^/"]+)-\d+\.png$')
    assert load_plan(make_study(plan_toml(plan), "again")).reading == plan.reading
    assert 'split = "random"' in plan_toml(load_plan(make_study(f'data = "folder:x"\n{MINIMAL}', "usual")))


@pytest.mark.parametrize(
    ("keys", "part"),
    [
        (
            'data = "folder:x"\nsplit = "by class"',
            "line 2: split is 'by class'; it must be random or stratified",
        ),
        ('data = "folder:x"\nsplit = true', "line 2: split is True"),
        ('data = "folder:x"\n\ngroup_by = "("', "line 3: group_by '(' is no regular expression"),
        (f'data = "folder:x"\ngroup_by = "{"a" * 201}"', "group_by has 201 characters; 200 are the most"),
        ('group_by = "a"', "group_by is for folders of images; fashion-mnist is used as it is"),
        ('split = "random"', "line 1: split is for folders of images; fashion-mnist is used as it is"),
        ("test_split = false", "line 1: test_split is for folders of images"),
    ],
)
def test_a_split_that_can_not_be_is_refused_with_its_line(
    make_study: MakeStudy, keys: str, part: str
) -> None:
    with pytest.raises(InputError) as caught:
        load_plan(make_study(f"{keys}\n{MINIMAL}"))
    assert part in str(caught.value)


def test_a_study_is_a_name_a_folder_or_a_file(make_study: MakeStudy) -> None:
    path = make_study(MINIMAL)
    root = path.parent.parent
    assert find_study("tiny", root) == path
    assert find_study(str(path), root) == path
    assert find_study(str(path.parent), root) == path


def test_an_unknown_study_gets_a_hint(make_study: MakeStudy, tmp_path: Path) -> None:
    root = make_study(MINIMAL).parent.parent
    with pytest.raises(InputError, match="did you mean 'tiny'"):
        find_study("tini", root)
    with pytest.raises(InputError, match=r"no \S+nowhere/tini/study.toml here.*: regnetlab new NAME"):
        find_study("tini", tmp_path / "nowhere")


def test_the_newest_study_is_the_one_with_the_newest_trials(make_study: MakeStudy) -> None:
    import os

    root = make_study(MINIMAL, "old").parent.parent
    make_study(MINIMAL, "new")
    for name, time in (("old", 1_000), ("new", 2_000)):
        (root / name / "trials.csv").write_text("")
        os.utime(root / name / "trials.csv", (time, time))
    assert newest_study(root) == "new"


OWN = """
[[spaces]]
space = "slim"
parent = "AnyNetE"
n = 3
[spaces.constraints]
"no bottleneck" = "b == 1"

[[spaces]]
space = "slimmer"
parent = "slim"
n = 3
constraints = ["depth <= 6"]
"""


def test_a_study_may_have_spaces_of_its_own(make_study: MakeStudy) -> None:
    plan = load_plan(make_study(MINIMAL + OWN))
    slim, slimmer = (draw.space for draw in plan.draws[-2:])
    assert (slim.parent, slimmer.parent) == ("AnyNetE", "slim")
    assert [each.name for each in slimmer.constraints[-2:]] == ["no bottleneck", "depth <= 6"]


def test_spaces_of_its_own_survive_the_dry_run(make_study: MakeStudy, tmp_path: Path) -> None:
    text = plan_toml(load_plan(make_study(MINIMAL + OWN)))
    path = tmp_path / "again.toml"
    path.write_text(text)
    assert plan_toml(load_plan(path)) == text


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("depth <= 6", "depht <= 6", "did you mean 'depth'"),
        ('parent = "slim"', 'parent = "slam"', "did you mean 'slim'"),
        ('parent = "AnyNetE"\n', "", "has constraints but no parent"),
        ('"slimmer"', '"AnyNetB"', "can't be used"),
        ('constraints = ["depth <= 6"]', "constraints = 6", "a table of names and texts, or a list"),
    ],
)
def test_a_wrong_space_of_its_own_is_named(make_study: MakeStudy, old: str, new: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        load_plan(make_study(MINIMAL + OWN.replace(old, new)))
    assert "line " in str(caught.value) or "no parent" in str(caught.value)


@pytest.mark.parametrize(
    "path",
    [path for path in committed_studies() if path.name == "study.toml"],
    ids=lambda path: path.parent.name,
)
def test_every_study_that_is_shipped_can_be_drawn(path: Path) -> None:
    plan = load_plan(path)
    assert len(planned_jobs(plan)) == sum(draw.n for draw in plan.draws) * plan.trainings_each


def test_without_a_time_limit_there_is_one_that_the_networks_do_not_reach(make_study: MakeStudy) -> None:
    text = (
        '[regime]\nflops = "300M:500M"\n[budget]\nimages = 20_000{}\n[[spaces]]\nspace = "AnyNetA"\nn = 2\n'
    )
    usual = load_plan(make_study(text.format(""), "usual")).budget
    assert usual.time_limit > 2e-9 * 500e6 * usual.images
    assert load_plan(make_study(text.format("\ntime_limit = 50"), "own")).budget.time_limit == 50


def test_a_recipe_begins_from_a_base_and_changes_what_it_says(make_study: MakeStudy) -> None:
    text = 'template = {{ input = "{}" }}\n[recipe]\n{}\n[[spaces]]\nspace = "AnyNetA"\nn = 2\n'
    found = load_plan(make_study(text.format("3x64x64", 'base = "paper"\nlr = 0.2'), "colour")).recipe
    assert (found.lr, found.lr_batch, found.decay, found.lighting) == (0.2, 128, "all", 0.1)
    assert (found.schedule, found.warmup, found.augment) == ("cosine", 0.0, "resized-crop-flip")
    assert load_plan(make_study(text.format("1x28x28", 'base = "paper"'), "grey")).recipe.lighting == 0
    assert load_plan(make_study(text.format("1x28x28", 'base = "short"'), "short")).recipe == Recipe()
    for said, reason in (('base = "papr"', "did you mean 'paper'"), ("lighting = 0.1", "3 channels")):
        with pytest.raises(InputError) as refused:
            load_plan(make_study(text.format("1x28x28", said), "wrong"))
        assert reason in str(refused.value)
