"""``--study``: networks of a study by the names that they have there, on its template."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from regnetlab.study.examples import examples
from tests.cli.asked import NETWORK, Capture, MakeStudy, answer, complaint
from tests.conftest import STUDY


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    """The committed study as a clone has it: tables, and no store."""
    return Path(
        shutil.copytree(examples()["quick"], tmp_path / "quick", ignore=shutil.ignore_patterns("*.db*"))
    )


def text_of(row: pd.Series) -> str:  # type: ignore[type-arg]
    columns = {"d": "depths", "w": "widths", "g": "group_widths", "b": "bottleneck_ratios"}
    return "anynet:" + ";".join(f"{key}={str(row[name]).replace(' ', ',')}" for key, name in columns.items())


@pytest.mark.parametrize("name", ["derived1", "derived 1", "Derived:1", "RegNet derived 1"])
def test_a_derived_regnet_is_found_by_each_of_its_names(capsys: Capture, quick: Path, name: str) -> None:
    trials = pd.read_csv(quick / "trials.csv")
    row = trials[(trials["space"] == "derived") & (trials["index"] == 1)].iloc[0]
    document = answer(capsys, "summary", name, "--study", str(quick))
    assert (document["flops"], document["params"], document["input"]) == (
        row["flops"],
        row["params"],
        "1x28x28",
    )
    assert document["model"] == answer(capsys, "summary", text_of(row), "--study", str(quick))["model"]


def test_a_network_of_a_population_is_found_by_space_and_index(capsys: Capture, quick: Path) -> None:
    trials = pd.read_csv(quick / "trials.csv")
    for space, index in (("AnyNetC", 12), ("RegNet", 3), ("AnyNetA", 0)):
        row = trials[(trials["space"] == space) & (trials["index"] == index)].iloc[0]
        for name in (f"{space}:{index}", f"{space} {index}", f"{space.lower()}{index}"):
            assert answer(capsys, "summary", name, "--study", str(quick))["params"] == row["params"]


def test_the_networks_of_a_study_after_its_run_are_those_of_its_table(
    capsys: Capture, make_study: MakeStudy, data_dir: Path
) -> None:
    study = make_study(STUDY.replace("n = 6", "n = 8"))
    assert "has no derived RegNets yet" in complaint(capsys, ("summary", "derived0", "--study", str(study)))
    run = answer(capsys, "run", str(study), "--data-dir", str(data_dir), "--executor", "inline")
    assert run["failed"] == 0
    trials = pd.read_csv(study.parent / "trials.csv")
    derived = trials[trials["space"] == "derived"]
    for row in (trials.iloc[0], *[each for _, each in derived.iterrows()]):
        words = (f"{row['space']}:{row['index']}", "--study", str(study), "--data-dir", str(data_dir))
        trained = answer(capsys, "train", *words)
        assert (trained["error"], trained["seed"]) == (row["error"], row["seed"])


def test_what_is_said_goes_before_what_the_study_says(
    capsys: Capture, make_study: MakeStudy, data_dir: Path
) -> None:
    words = ("train", "AnyNetE:1", "--study", str(make_study()), "--data-dir", str(data_dir))
    usual, other = (answer(capsys, *words, *more) for more in ((), ("--images", "96", "--seed", "0")))
    assert (usual["images"], other["images"], other["seed"]) == (128, 96, 0)
    assert answer(capsys, *words, "--lr", "0.001")["error"] != usual["error"]


def test_a_study_on_other_images_gives_its_own_input_to_every_command(
    capsys: Capture, make_study: MakeStudy, tmp_path: Path
) -> None:
    study = str(make_study('template = { input = "3x40x24", classes = 7, strides = [1, 2] }\n' + STUDY))
    shown = answer(capsys, "summary", NETWORK, "--study", study)
    assert (shown["input"], shown["classes"]) == ("3x40x24", 7)
    exported = answer(capsys, "export", "RegNet:1", "--study", study, "--to", "pytorch")
    assert (exported["input"], exported["classes"]) == ("3x40x24", 7)
    timed = answer(capsys, "latency", "RegNet:1", "--study", study, "--batch", "1", "--seconds", "0.01")
    assert timed["latencies"][0]["input"] == "3x40x24"
    assert timed["latencies"][0]["flops"] == exported["flops"]


def test_a_contender_is_the_one_of_the_contest(capsys: Capture, quick: Path) -> None:
    contest = pd.read_csv(quick / "baselines.csv")
    row = contest[contest["contender"] == "resnet18@1MF"].iloc[0]
    found = answer(capsys, "summary", "resnet18@1MF", "--study", str(quick))
    assert (found["flops"], found["params"]) == (row["flops"], row["params"])


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("derived9",), "has no network derived9; there is derived0 to derived5"),
        (("AnyNetC:99",), "there is AnyNetC:0 to AnyNetC:13"),
        (("derive1",), "did you mean 'derived1'?"),
        (("AnyNetH:2",), "did you mean 'AnyNet"),
        (("xyz",), "are called as in AnyNetA:0"),
        (("resnet18@1XF",), "form '1XF'"),
        (("derived1", "--template", "paper"), "leave out --template"),
        (("derived1", "--input", "3x32x32"), "leave out --input"),
    ],
)
def test_a_name_that_the_study_does_not_have_is_refused(
    capsys: Capture, quick: Path, words: tuple[str, ...], part: str
) -> None:
    formats = {"summary": (), "export": ("--to", "pytorch"), "latency": (), "train": ()}
    for command, more in formats.items():
        assert part in complaint(capsys, (command, *words, *more, "--study", str(quick)))


def test_a_study_that_derives_none_or_is_none_says_so(capsys: Capture, quick: Path) -> None:
    assert "is not known" in complaint(capsys, ("summary", "derived0", "--study", f"{quick}k"))
    other = str(examples()["falling-widths"])
    assert "[derive] n = 6" in complaint(capsys, ("summary", "derived0", "--study", other))
    (quick / "trials.csv").write_text("space,index\nderived,x\n")
    assert "not what `regnetlab run` writes" in complaint(
        capsys, ("summary", "derived0", "--study", str(quick))
    )
