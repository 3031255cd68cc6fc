"""The study files, the Python and the notebooks that pages and studies show: all of them work."""

import ast
import io
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from regnetlab import execution
from regnetlab.cli import main
from regnetlab.models import registry
from regnetlab.spaces.space import ANYNET_A
from regnetlab.spaces.template import SMALL
from regnetlab.study.across import LIST, study_list
from regnetlab.study.plan_file import load_plan
from regnetlab.training import datasets
from tests.committed import committed_studies
from tests.docs.blocks import ROOT, Block, blocks, commands
from tests.training.folders.pictures import plant

EXTENDING = [each for each in blocks("python") if each.page == "docs/extending.md"]
NOTEBOOKS = [ROOT / path for path in committed_studies() if path.suffix == ".ipynb"]


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_a_study_file_on_a_page_loads(block: Block, tmp_path: Path) -> None:
    """A part of one is completed by the sections that it can't be without."""
    values = tomllib.loads(block.text)
    if "project" in values:
        return
    if "studies" in values:
        (tmp_path / LIST).parent.mkdir()
        (tmp_path / LIST).write_text(block.text)
        assert study_list(tmp_path).studies == tuple(values["studies"])
        return
    lacking = "\n[derive]\nn = 6\n" * ("derive" not in values)
    lacking += '\n[[spaces]]\nspace = "AnyNetA"\nn = 12\n' * ("spaces" not in values)
    path = tmp_path / "study.toml"
    path.write_text(block.text + lacking)
    assert load_plan(path).draws


@pytest.mark.parametrize("page", sorted({each.page for each in blocks("python")}))
def test_the_python_on_a_page_runs(
    page: str, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "studies").symlink_to(ROOT / "studies")
    plant(tmp_path / "birds", *(f"{kind}/{i}.png" for kind in ("owl", "wren") for i in range(90)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REGNETLAB_DATA", str(data_dir))
    names: dict[str, Any] = {"__name__": "example"}
    for block in blocks("python"):
        if block.page == page:
            exec(compile(block.text, str(block), "exec"), names)


def test_the_python_interface_is_typed_as_it_is_shown(tmp_path: Path) -> None:
    example = tmp_path / "example.py"
    example.write_text("\n".join(each.text for each in blocks("python") if each.page == "docs/api/index.md"))
    words = [sys.executable, "-m", "mypy", str(example)]  # with what `make lint` knows of the package
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def _example(word: str) -> dict[str, Any]:
    """What the block of docs/extending.md that holds this word defines."""
    names: dict[str, Any] = {"__name__": "example"}
    exec(next(each.text for each in EXTENDING if word in each.text), names)
    return names


def test_the_constraint_that_is_shown_narrows_a_space() -> None:
    from regnetlab.spaces.sampler import sample

    space = ANYNET_A.child("symmetric", [_example("SYMMETRIC")["SYMMETRIC"]])
    widths = sample(space, 4, SMALL).population.widths
    assert (widths == widths[:, ::-1]).all()


BLOCK_STUDY = """
seed = 3
[regime]
flops = ":2M"
[ranges]
depth = [1, 2]
width = [8, 32]
group_width = [4, 8]
[budget]
images = 128
batch_size = 32
validation = 100
[[spaces]]
space = "AnyNetA"
n = 11
[[spaces]]
space = "AnyNetA"
block = "tokens"
n = 11
"""


def test_the_block_that_is_shown_is_sampled_trained_and_compared_from_a_package_of_its_own(
    tmp_path: Path, data_dir: Path
) -> None:
    """As an installed package has it: a folder, and beside it what pip writes of its entry points."""
    site = tmp_path / "site"
    package, facts = site / "their_package", site / "their_package-0.1.dist-info"
    package.mkdir(parents=True)
    facts.mkdir()
    (package / "__init__.py").touch()
    [text] = [each.text for each in EXTENDING if "class Tokens" in each.text]
    (package / "tokens.py").write_text(text)
    [shown] = [each.text for each in blocks("toml") if "regnetlab.blocks" in each.text]
    entries = tomllib.loads(shown)["project"]["entry-points"]["regnetlab.blocks"]
    lines = [f"{name} = {value}" for name, value in entries.items()]
    (facts / "entry_points.txt").write_text("\n".join(["[regnetlab.blocks]", *lines, ""]))
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 0.1\n")
    (tmp_path / "studies" / "tokens").mkdir(parents=True)
    (tmp_path / "studies" / "tokens" / "study.toml").write_text(BLOCK_STUDY)

    def said(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "regnetlab", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    [shown_sample] = [each for each in commands() if "tokens" in each.words and each.words[0] == "sample"]
    assert said(*shown_sample.words).rstrip().splitlines() == list(shown_sample.output)
    asked = ("--space", "AnyNetE", "--n", "3", "--template", "small", "--block", "tokens", "--flops", ":20M")
    drawn = json.loads(said("sample", *asked, "--json"))["models"]
    model = drawn[0]["model"]
    counted = json.loads(said("summary", model, "--template", "small", "--json"))
    assert [counted[name] for name in ("flops", "params", "acts")] == [
        drawn[0][name] for name in ("flops", "params", "acts")
    ]
    said("run", "tokens", "--device", "cpu", "--workers", "1", "--data-dir", str(data_dir))
    compared = json.loads(said("compare", "tokens", "--json"))
    assert [(each["a"], each["b"]) for each in compared["comparisons"]] == [("AnyNetA", "AnyNetA-tokens")]
    rows = pd.read_csv(tmp_path / "studies" / "tokens" / "trials.csv")
    of_tokens = rows[rows["space"] == "AnyNetA-tokens"]
    assert of_tokens["error"].notna().all()
    assert of_tokens["model"].str.endswith("block=tokens").all()


def test_the_baseline_that_is_shown_is_found_in_every_form(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = _example("def all_cnn")
    exec(next(each.text for each in EXTENDING if "line = (" in each.text), names)
    monkeypatch.setattr(registry, "_FAMILIES", (*registry._FAMILIES, names["line"]))
    registry._named.cache_clear()
    registry._known.cache_clear()
    try:
        assert main(["summary", "all_cnn", "--json"]) == 0
        original = json.loads(capsys.readouterr().out)
        assert main(["summary", "all_cnn@2MF", "--template", "small", "--json"]) == 0
        small = json.loads(capsys.readouterr().out)
    finally:
        registry._named.cache_clear()
        registry._known.cache_clear()
    assert 1.3e6 < original["params"] < 1.4e6  # the paper: about 1.4 million
    assert 1.8e6 < small["flops"] < 2.2e6


def test_the_data_set_that_is_shown_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    for name, n in (("train", 60), ("test", 12)):
        images = random.integers(0, 256, (n, 3, 32, 32)).astype(np.uint8)
        np.savez(tmp_path / f"{name}.npz", images=images, labels=np.arange(n) % 2)
    known = MappingProxyType({**datasets.PUBLISHED, "pets": _example("def pets")["pets"]()})
    monkeypatch.setattr(datasets, "PUBLISHED", known)
    data = datasets.load_data("pets", SMALL, tmp_path)
    assert (data.input, data.classes) == ("3x32x32", ("cat", "dog"))
    assert (len(data.train), len(data.validation), len(data.test)) == (50, 10, 12)


def test_the_executor_that_is_shown_trains_a_study(
    data_dir: Path, make_study: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    makers = MappingProxyType({**execution._MAKERS, "pool": _example("def make_pool")["make_pool"]})
    monkeypatch.setattr(execution, "_MAKERS", makers)
    errors = []
    for name in ("pool", "inline"):
        study = make_study(name=name)
        words = ["run", str(study), "--executor", name, "--device", "cpu", "--data-dir", str(data_dir)]
        assert main([*words, "--progress", "plain"]) == 0
        errors.append(pd.read_csv(study.with_name("trials.csv"))["error"].tolist())
    assert errors[0] == errors[1]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda each: each.name)
def test_a_notebook_runs_from_its_folder_and_its_stored_texts_are_those_of_today(
    notebook: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for what a training earned, which here is one on other images."""
    monkeypatch.chdir(notebook.parent)
    monkeypatch.setenv("REGNETLAB_DATA", str(data_dir))
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            assert str(ROOT) not in json.dumps(cell["outputs"]), "outputs name no folder of a machine"
            source = "".join(cell["source"])
            shown = _texts_of(source, names)
            stored: dict[str, Any] = {}
            for each in cell["outputs"]:
                stored |= each["data"] if "data" in each else {"text": each["text"]}
            if stored and "rl.train(" not in source:
                assert {key: "".join(stored[key]) for key in stored if key.startswith("text")} == shown


def _texts_of(source: str, names: dict[str, Any]) -> dict[str, str]:
    """What a cell prints, and its last expression as text."""
    body = ast.parse(source)
    last = body.body.pop() if isinstance(body.body[-1], ast.Expr) else None
    with redirect_stdout(io.StringIO()) as printed:
        exec(compile(body, "cell", "exec"), names)
        value = None if last is None else eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    texts = {"text": printed.getvalue()} if printed.getvalue() else {}
    if value is not None and not isinstance(value, go.Figure):
        texts["text/plain"] = repr(value)
        if hasattr(value, "_repr_html_"):
            texts["text/html"] = value._repr_html_()
    return texts


def test_there_is_a_notebook() -> None:
    assert NOTEBOOKS
