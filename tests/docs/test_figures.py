"""The figures that pages quote are those of the committed tables, or of the one page that has measured them.

A pattern finds every place that quotes a figure; rephrase what is around it as you like.
"""

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from regnetlab.analysis.statistics.differences import difference
from regnetlab.cli import main
from tests.docs.blocks import PAGES, ROOT

RESULTS = tuple(sorted(ROOT.glob("studies/*/RESULTS.md")))
_SIGNED = r"([−+]\d+\.\d\d)"
_STAGE = r"\*{0,2}(\d\.\d\d)\*{0,2} a stage \((?:95% )?(?:interval )?(\d\.\d\d) to (\d\.\d\d)"


def _text(path: Path | str) -> str:
    """A page as one line."""
    return " ".join((ROOT / path).read_text(encoding="utf-8").split())


def _rows(page: str, below: str) -> list[list[str]]:
    """The cells of the first table below the line that begins so."""
    text = (ROOT / page).read_text(encoding="utf-8").split(f"\n{below}", 1)[1]
    lines = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.fixture(scope="module")
def said() -> Callable[..., Any]:
    """The JSON of a command in this checkout."""

    @cache
    def ask(*words: str) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            printed: list[str] = []
            patch.chdir(ROOT)
            patch.setattr("sys.stdout.write", printed.append)
            assert main([*words, "--json"]) == 0
        return json.loads("".join(printed))

    return ask


def _number(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _differences(compared: Any) -> set[tuple[str, ...]]:
    """Every difference of medians with its interval, of the step alone and held together."""
    found = set()
    for step in compared["comparisons"]:
        for low, high in (step["corrected"]["interval"], step["interval"]):
            found.add(tuple(map(_number, (step["median_difference"], low, high))))
    return found


@pytest.mark.parametrize(
    ("below", "study"),
    [("## 1. Steps", "fashion-mnist"), ("## Three times larger", "fashion-mnist-3mf")],
)
def test_the_verdicts_of_fashion_mnist(said: Callable[..., Any], below: str, study: str) -> None:
    steps = said("compare", study)["comparisons"]
    rows = _rows("studies/fashion-mnist/RESULTS.md", below)
    assert len(rows) == len(steps)
    for row, step in zip(rows, steps, strict=True):
        low, high = step["corrected"]["interval"]
        difference = f"{_number(step['median_difference'])} ({_number(low)} to {_number(high)})"
        assert difference in row
        assert _number(step["matched"]["depth"]["median_difference"]) in row
        verdict = row[2 if len(row) == 6 else 1].replace("*", "")
        assert verdict.removesuffix(", within margin") == step["verdict"]
        assert ("within margin" in verdict) == step["alike"]


@pytest.mark.parametrize(
    ("study", "page"), [("blocks", "studies/blocks/RESULTS.md"), ("shallow", "docs/tutorial-space.md")]
)
def test_every_difference_with_an_interval_is_one_that_compare_finds(
    said: Callable[..., Any], study: str, page: str
) -> None:
    kept = {"blocks": ("blocks", "blocks-4mf"), "shallow": ("tests/docs/stored/shallow",)}[study]
    known = set().union(*(_differences(said("compare", each)) for each in kept))
    quoted = set(re.findall(rf"{_SIGNED}, {_SIGNED} to {_SIGNED}", _text(page)))
    assert quoted - known == set()
    assert quoted or study == "shallow"


def test_the_medians_of_the_blocks() -> None:
    trials = pd.read_csv(ROOT / "studies/blocks/trials.csv")
    medians = trials.groupby("space")["error"].median()
    for row in _rows("studies/blocks/RESULTS.md", "points. No network failed."):
        name, *quoted = row
        block, _, stages = name.partition(", ")
        end = {"three stages": "-3stages", "five stages": "-5stages"}.get(stages, "")
        end = end or ("" if block == "X" else f"-{block.lower()}")
        found = [f"{medians[f'{space}{end}']:.2f}" for space in ("AnyNetA", "AnyNetE", "RegNet")]
        assert quoted == found, name


def test_the_growth_of_the_widths_wherever_it_is_quoted(said: Callable[..., Any], together: Any) -> None:
    known = set()
    for study in ("fashion-mnist", "fashion-mnist-3mf"):
        law = said("fit-regnet", study)["population"]
        known.add(tuple(f"{each:.2f}" for each in (law["growth"], *law["growth_interval"])))
    over = together["growth"]["pooled"]["growth"]
    pooled = tuple(f"{over[key]:.2f}" for key in ("estimate", "low", "high"))
    for page in (*PAGES, *RESULTS):
        assert set(re.findall(_STAGE, _text(page))) <= known | {pooled}, page.name
    assert set(re.findall(_STAGE, _text(RESULTS[-1]))) == known


@pytest.mark.parametrize("study", ["fashion-mnist", "fashion-mnist-3mf"])
def test_the_contest(said: Callable[..., Any], study: str) -> None:
    text = _text("studies/fashion-mnist/RESULTS.md")
    contest = said("compare-baselines", study)
    for each in filter(lambda each: each["test"], contest["contenders"]):
        mean, sd = each["test"]["mean"], each["test"]["sd"]
        assert f"{mean:.2f} ± {sd:.2f}" in text, each["name"]
    for match in contest["comparisons"]:
        low, high = match["interval"]
        quoted = rf"{re.escape(_number(match['difference']))} points \((?:95% )?{re.escape(_number(low))} to"
        assert re.search(rf"{quoted} {re.escape(_number(high))}", text), match


def test_how_many_networks_the_first_picture_shows() -> None:
    networks = pd.read_csv(ROOT / "studies/fashion-mnist/trials.csv").groupby("space")["index"].nunique()
    (space, derived), *more = re.findall(
        r"a space of (\d+) networks, the grey one (\d+) networks that were derived", _text("README.md")
    )
    assert networks.to_dict() == dict.fromkeys(networks.index, int(space)) | {"derived": int(derived)}
    assert not more


def test_how_fast_it_is() -> None:
    """README.md rounds what docs/benchmarks.md shows of one run."""
    shown = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    ratio = float(re.search(r"^ratio ([\d.]+)$", shown, re.MULTILINE)[1])  # type: ignore[index]
    rates = [float(each.replace(",", "")) for each in re.findall(r"package ([\d,]+) \(", shown)]
    readme = _text("README.md")
    for quoted in re.findall(r"([\d.]+) times as many \(`make bench`", readme):
        assert float(quoted) == round(ratio, 1)
    for low, high in re.findall(r"([\d,]+) to ([\d,]+) networks an hour", readme):
        assert [float(each.replace(",", "")) for each in (low, high)] == [round(x, -2) for x in sorted(rates)]


def test_how_time_and_memory_grow() -> None:
    """README.md rounds what docs/scale.md has of 100,000 networks."""
    table = {row[0].strip("`"): row for row in _rows("docs/scale.md", "*Rise* is the exponent")}
    commands = ("compare", "fit-regnet", "report")
    seconds = [float(table[each][4].removesuffix(" s")) for each in commands]
    most = max(float(table[each][6].removesuffix(" MiB")) * 2**20 / 1e9 for each in commands)
    sentence = r"compared in ([\d.]+) s, fitted in ([\d.]+) and reported in ([\d.]+), within ([\d.]+) GB"
    for *quoted, memory in re.findall(sentence, _text("README.md")):
        assert [float(each) for each in quoted] == [round(each) for each in seconds]
        assert most <= float(memory) <= most + 0.1


def test_how_often_the_verdicts_are_right() -> None:
    contests = np.array(
        [[float(row[i]) for i in (3, 5, 6)] for row in _rows("docs/calibration.md", "## Contests")]
    )
    text = _text("docs/baselines.md")
    least = contests.min(axis=0)
    assert f"in {least[0]:.0f} to {contests[:, 0].max():.0f}% of rounds" in text
    assert f"interval alone is down to {least[1]:.0f}% and a percentile bootstrap to {least[2]:.0f}%" in text
    calibration = (ROOT / "docs/calibration.md").read_text(encoding="utf-8")
    networks = re.findall(r"planned looks \(alpha spending\).*?\| (\d+) \|$", calibration, re.MULTILINE)
    fewer = [100 * (1 - float(each) / 200) for each in networks]
    assert "with {:.0f}%, {:.0f}% and {:.0f}% fewer networks".format(*fewer) in calibration


@pytest.mark.parametrize("study", ["quick", "fashion-mnist-budget"])
def test_the_medians_of_the_ladders_of_budgets(study: str) -> None:
    """Of AnyNetA and RegNet at each budget, the last column; seeds are averaged."""
    rows = pd.read_csv(ROOT / f"studies/{study}/fidelity.csv").fillna({"error": 100})
    networks = rows.groupby(["images", "space", "index"], as_index=False)["error"].mean()
    medians = networks.groupby(["images", "space"])["error"].median().round(6)
    text = (ROOT / "docs/fidelity.md").read_text(encoding="utf-8")
    for images in sorted(networks["images"].unique()):
        quoted = re.findall(rf"^\| {images:,} \|.*\| ([\d.]+), ([\d.]+) \|$", text, re.MULTILINE)
        found = [medians[images, "AnyNetA"], medians[images, "RegNet"]]
        assert any(np.allclose([float(a), float(b)], found, atol=0.051) for a, b in quoted), (images, found)


def test_how_well_half_a_learning_curve_ranks_networks() -> None:
    """By Spearman's correlation of the last training error seen with the final error."""
    networks = pd.read_csv(ROOT / "studies/quick/trials.csv").dropna(subset="error")
    assert f"On the {len(networks)} networks of `studies/quick`" in _text("docs/fidelity.md")
    curves = networks["curve"].map(json.loads)
    rows = _rows("docs/fidelity.md", "## No extrapolation")
    assert len(rows) == 4
    for share, quoted, *_ in rows:
        end = int(share[:-1]) * len(curves.iloc[0]) // 100 - 1
        seen = pd.Series([curve[end][2] for curve in curves], networks.index)
        assert quoted == f"{seen.corr(networks['error'], method='spearman'):.2f}"


@pytest.fixture(scope="module")
def together(said: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What all studies say together."""
    return said("report", "--all", "-o", str(tmp_path_factory.mktemp("all") / "index.html"))


def _percent(interval: Any) -> str:
    text = "{estimate:+.1f}% ({low:+.1f} to {high:+.1f})".format(**interval)
    return text.replace("-", "−")


@pytest.mark.parametrize(
    ("page", "below"), [("README.md", "## What came out"), ("studies/across/RESULTS.md", "## 1. Steps")]
)
def test_what_several_studies_say_together(together: Any, page: str, below: str) -> None:
    for row, step in zip(_rows(page, below), together["steps"], strict=True):
        assert row[-1].replace("*", "") == f"{step['verdict']}: {_percent(step['pooled']['change_percent'])}"
        assert row[1] == step["claim"]
        alone = [each["verdict"] for each in step["studies"]]
        counted = ", ".join(
            f"{verdict} on {alone.count(verdict)}"
            for verdict in ("better", "no worse", "worse", "undecided")
            if verdict in alone
        )
        assert row[2].replace("*", "") == counted
    growth = together["growth"]["pooled"]["growth"]
    assert "{estimate:.2f} a stage ({low:.2f} to {high:.2f})".format(**growth) in _text(page)


def test_what_stays_decided_where_all_verdicts_hold_together(together: Any) -> None:
    """The bootstrap intervals of all steps of all studies by Bonferroni, in points."""
    steps = [(step, each["study"]) for step in together["steps"] for each in step["studies"]]
    text, decided = _text("studies/across/RESULTS.md"), set()
    for step, study in steps:
        trials = pd.read_csv(ROOT / f"studies/{study}/trials.csv").fillna({"error": 100})
        a, b = (
            trials.query("space == @name and replicate == 0")["error"].to_numpy()
            for name in (step["a"], step["b"])
        )
        held = difference(a, b).interval(1 - 0.05 / len(steps))
        quoted = f"({_number(held.low)} to {_number(held.high)}"
        alone = next(each["verdict"] for each in step["studies"] if each["study"] == study)
        if alone in ("better", "worse") and step["b"] != "RegNet":
            assert quoted in text
        if held.high < 0 or held.low > 0:
            decided.add((study, step["b"]))
    assert decided == {("mnist-1mf", "AnyNetD"), *((study, "RegNet") for study in together["studies"])}


def test_what_longer_training_changes(together: Any) -> None:
    for row, step in zip(_rows("studies/across/RESULTS.md", "## 4. Eight"), together["longer"], strict=True):
        assert row[1:] == [_percent(step[key]) for key in ("short_percent", "long_percent", "change_percent")]


def test_what_is_left_of_regnets_advantage_at_equal_depth(said: Callable[..., Any]) -> None:
    depth = {}
    for study, *quoted in _rows("studies/across/RESULTS.md", "depth, the last column"):
        step = said("compare", study.strip("`"))["comparisons"][-1]
        depth[study.strip("`")] = step["matched"]["depth"]
        left = depth[study.strip("`")]["median_difference"]
        assert quoted == [_number(step["median_difference"]), _number(left)], study
        rows = pd.read_csv(ROOT / "studies" / study.strip("`") / "trials.csv")
        blocks = rows["depths"].map(lambda text: sum(map(int, text.split()))).groupby(rows["space"]).median()
        assert blocks["RegNet"] < blocks["AnyNetE"], "shallower in every study"
    assert len(depth) == 5
    front = _text("README.md")
    for name, study in (("near 1 MF", "fashion-mnist"), ("letters", "letters-1mf")):
        all_of_them = said("compare", study)["comparisons"][-1]["median_difference"]
        (from_to,) = re.findall(rf"{name} from (\d\.\d\d) (?:points )?to (\d\.\d\d)", front)
        assert from_to == (f"{-all_of_them:.2f}", f"{-depth[study]['median_difference']:.2f}")
    (interval,) = re.findall(rf"its interval is {_SIGNED} to {_SIGNED}", front)
    assert interval == tuple(_number(end) for end in depth["fashion-mnist"]["interval"])


@pytest.mark.parametrize(
    "study", ["fashion-mnist", "fashion-mnist-3mf-100", "mnist-1mf", "fashion-mnist-long"]
)
def test_anynet_e_is_behind_anynet_a(said: Callable[..., Any], study: str) -> None:
    """As is said of Fashion-MNIST and MNIST; after the longer training it is the last of the six."""
    medians = {each["space"]: each["median"]["estimate"] for each in said("compare", study)["spaces"]}
    assert medians["AnyNetE"] > medians["AnyNetA"]
    if study == "fashion-mnist-long":
        assert medians["AnyNetE"] == max(medians.values())
