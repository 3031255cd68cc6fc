"""The commands as a user or a script meets them: their JSON, their tables, their errors."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from regnetlab.cli import main
from regnetlab.spaces.space import SPACES
from regnetlab.study.plan_file import load_plan
from regnetlab.study.store import open_store
from tests.conftest import STUDY
from tests.study.test_contest import CONTEST

MakeStudy = Callable[..., Path]
Capture = pytest.CaptureFixture[str]
NETWORK = "anynet:d=1,1,1,1;w=8,16,16,32;g=8;b=1"


def answer(capsys: Capture, *words: str) -> dict:  # type: ignore[type-arg]
    """The one JSON document on stdout of a command that succeeds."""
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert isinstance(document, dict)
    return document


def complaint(capsys: Capture, words: Sequence[str], status: int = 2) -> str:
    """The one line on stderr of a command that fails; stdout stays empty."""
    capsys.readouterr()
    assert main(list(words)) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1, captured.err
    return lines[0]


@pytest.mark.parametrize("space", SPACES)
def test_sample_answers_in_json(capsys: Capture, space: str) -> None:
    document = answer(capsys, "sample", "--space", space, "--n", "5", "--flops", "300M:500M")
    assert {"space": space, "seed": 0, "n": 5, "template": "paper"}.items() <= document.items()
    assert len(document["models"]) == 5
    for model in document["models"]:
        assert {"id", "depths", "widths", "group_widths", "bottleneck_ratios"} <= set(model)
        assert 300e6 <= model["flops"] <= 500e6
        assert ("wm" in model) == (space == "RegNet")


def test_json_and_debug_may_stand_anywhere(capsys: Capture) -> None:
    capsys.readouterr()
    assert main(["--json", "--debug", "sample", "--space", "AnyNetA", "--n", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 1


@pytest.mark.parametrize("space", SPACES)
def test_the_table_of_a_sample_fits_80_columns(capsys: Capture, space: str) -> None:
    main(["sample", "--space", space, "--n", "500"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 501
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("ending", ["csv", "parquet", "json"])
def test_a_sample_is_written_in_any_format(capsys: Capture, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"sample.{ending}"
    words = ("sample", "--space", "RegNet", "--n", "7", "--template", "small")
    models = answer(capsys, *words, "-o", str(path))["models"]
    if ending == "json":
        assert json.loads(path.read_text())["models"] == models
        return
    frame = pd.read_csv(path) if ending == "csv" else pd.read_parquet(path)
    assert frame["id"].tolist() == [model["id"] for model in models]
    assert frame["widths"][0] == " ".join(map(str, models[0]["widths"]))
    if ending == "csv":
        assert len(answer(capsys, "fit-regnet", "--from", str(path))["models"]) == 7


def test_ranges_of_the_command_line_hold(capsys: Capture) -> None:
    words = "sample --space AnyNetB --n 20 --depth 2:3 --width 16:64 --group-width 8 --bottleneck-ratio 1,2"
    models = answer(capsys, *words.split())["models"]
    assert {d for m in models for d in m["depths"]} <= {2, 3}
    assert all(16 <= w <= 64 for m in models for w in m["widths"])
    assert {b for m in models for b in m["bottleneck_ratios"]} <= {1, 2}


def test_a_sample_takes_what_is_not_given_from_a_study(capsys: Capture, make_study: MakeStudy) -> None:
    document = answer(capsys, "sample", "--space", "AnyNetE", "--study", str(make_study()))
    assert {"n": 6, "seed": 3, "template": "small"}.items() <= document.items()
    assert all(50_000 <= model["flops"] <= 400_000 for model in document["models"])


def test_summary_answers_in_json(capsys: Capture) -> None:
    document = answer(capsys, "summary", "regnetx_400mf")
    assert (document["flops"], document["params"], document["acts"]) == (397_677_568, 5_157_512, 3_143_272)
    assert document["input"] == "3x224x224"
    assert sum(layer["params"] for layer in document["layers"]) == document["params"]
    small = answer(capsys, "summary", NETWORK, "--input", "1x28x28", "--classes", "10")
    assert small["layers"][-1]["output"] == [10]


def test_the_table_of_a_summary_fits_80_columns(capsys: Capture) -> None:
    for model in ("regnety_32gf", "regnetx_200mf", NETWORK):
        main(["summary", model])
        assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_train_refuses_an_input_too_small_for_the_network(capsys: Capture, data_dir: Path) -> None:
    words = ["train", "alexnet", "--images", "320", "--data-dir", str(data_dir)]
    assert "the smallest that works is 1x65x65" in complaint(capsys, words)


def test_a_summary_by_depth_adds_up(capsys: Capture) -> None:
    whole, parts = (answer(capsys, "summary", "resnet18@1MF", *more) for more in ((), ("--depth", "1")))
    assert [each["name"] for each in parts["layers"]] == [
        "conv",
        "norm",
        "relu",
        *(f"stage{i}" for i in range(1, 5)),
        "head",
    ]
    assert sum(each["flops"] for each in parts["layers"]) == whole["flops"] == parts["flops"]
    assert sum(each["share"] for each in parts["layers"]) == pytest.approx(1)
    assert abs(whole["flops"] / 1e6 - 1) < 0.1
    assert parts["layers"][-1]["receptive_field"] > parts["layers"][0]["receptive_field"] == 3


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("summary", "alexnet", "--input", "1x28x28"), "the smallest that works is 1x65x65"),
        (("summary", "resnet18@1KF"), "the smallest small form has"),
        (("summary", "resnet18@0.001x"), "the smallest that keeps it is 0.0625"),
        (("summary", "vgg11", "--classes", "0"), "between 1 and 65,536"),
        (("summary", "vgg11", "--input", "0x32x32"), "channels is 0"),
        (("summary", "vgg11", "--depth", "0"), "depth"),
        (("train", "googlenet@1MF"), "the smallest small form has 6.823104M"),
    ],
)
def test_models_that_can_not_be_are_refused(
    capsys: Capture, words: tuple[str, ...], hint: str, data_dir: Path
) -> None:
    more = ("--data-dir", str(data_dir)) if words[0] == "train" else ()
    assert hint in complaint(capsys, (*words, *more))


def test_comparing_baselines_needs_some(capsys: Capture, make_study: MakeStudy) -> None:
    assert "has no [baselines]" in complaint(capsys, ("compare-baselines", str(make_study())))
    study = make_study(STUDY + CONTEST, name="with")
    assert "has not come to its baselines" in complaint(capsys, ("compare-baselines", str(study)))
    assert not (study.parent / "study.db").exists()


def test_models_are_listed(capsys: Capture) -> None:
    models = answer(capsys, "models")["models"]
    assert {"name", "family", "paper", "year", "params", "flops", "acts", "input"} == set(models[0])
    assert {"regnetx_200mf", "regnety_32gf", "alexnet", "densenet201"} <= {m["name"] for m in models}


def test_train_answers_in_json(capsys: Capture, data_dir: Path) -> None:
    words = ("train", NETWORK, "--images", "320", "--data-dir", str(data_dir), "--device", "cpu")
    first, again = (answer(capsys, *words, "--seed", "3") for _ in range(2))
    assert first["ended"] == "complete"
    assert first["images"] == 320
    assert (first["error"], first["curve"]) == (again["error"], again["curve"])


def test_a_whole_study_from_run_to_report(capsys: Capture, make_study: MakeStudy, data_dir: Path) -> None:
    study = make_study()
    run = answer(capsys, "run", str(study), "--data-dir", str(data_dir), "--executor", "inline")
    assert (run["study"], run["planned"], run["complete"] + run["failed"]) == ("tiny", 16, 16)
    assert answer(capsys, "status", str(study)) == run
    fit = answer(capsys, "fit-regnet", str(study))
    assert {"n", "n_best", "w0", "growth", "growth_interval", "r2"} <= set(fit["population"])
    assert fit["population"]["n"] == 12  # RegNets and derived ones do not count
    for model in fit["derived"]:
        assert 50_000 <= model["flops"] <= 400_000
        assert answer(capsys, "summary", model["model"], "--template", "small")["flops"] == model["flops"]
    quantized = answer(capsys, "fit-regnet", str(study), "--law", "quantized")["models"]
    assert all(m["e_fit"] == 0 for m in quantized if m["space"] == "RegNet")
    page = Path(answer(capsys, "report", str(study))["report"])
    assert page == study.parent.parent.parent / "reports" / "tiny.html"
    assert page.stat().st_size < 6e6
    assert main(["fit-regnet", str(study)]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 100


def test_a_dry_run_shows_every_default_and_writes_nothing(capsys: Capture, make_study: MakeStudy) -> None:
    study = make_study()
    document = answer(capsys, "run", str(study), "--dry-run")
    assert document["planned"] == 16
    assert "label_smoothing" in document["plan"]
    assert [path.name for path in study.parent.iterdir()] == ["study.toml"]


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("sample --space AnyNetF --n 2", "did you mean 'AnyNetE'"),
        ("sample --space AnyNetA", "--n is missing"),
        ("sample --space AnyNetA --n 0", "n is 0"),
        ("sample --space AnyNetA --n -5", "n is -5"),
        ("sample --space AnyNetA --n two", "'--n'"),
        ("sample --n 2", "--space"),
        ("sample --space AnyNetA --n 2 --seed -1", "--seed"),
        ("sample --space AnyNetA --n 2 --flops 5M", "write it as in 300M:400M"),
        ("sample --space AnyNetA --n 2 --flops 5M:1M", "is empty"),
        ("sample --space AnyNetA --n 2 --flops 1:2", "0 of 2 networks found"),
        ("sample --space AnyNetA --n 2 --depth 3", "write it as in 1:12"),
        ("sample --space AnyNetA --n 2 --depth 5:2", "is empty"),
        ("sample --space AnyNetA --n 2 --group-width a", "whole numbers"),
        ("sample --space AnyNetA --n 2 --template smal", "did you mean 'small'"),
        ("sample --space AnyNetA --n 2 --input 224", "CxHxW"),
        ("sample --space AnyNetA --n 2 --classes 0", "classes is 0"),
        ("sample --space AnyNetA --n 2 -o x.xls", "end the name in"),
        ("sample --space AnyNetA --n 2 -o /nowhere/x.csv", "must be a folder"),
        ("sample --space AnyNetA --n 2 --study nope", "not known"),
        ("sampel --space AnyNetA", "sampel"),
        ("sample --space AnyNetA --n 2 --bogus", "--bogus"),
        ("summary", "MODEL"),
        ("summary regnetx_40mf", "did you mean 'regnetx_400mf'"),
        ("summary anynet:d=1;w=8 --input 3x0x5", "height is 0"),
        ("summary anynet:d=1;w=8 --classes -1", "classes is -1"),
        ("summary alexnet --input 1x28x28", "the smallest that works is 1x65x65"),
        ("summary vgg11 --input 3x31x99", "the smallest that works is 3x32x32"),
        ("train nothing", "not known"),
        (f"train {NETWORK} --data fasion-mnist", "did you mean 'fashion-mnist'"),
        (f"train {NETWORK} --data folder:/nowhere", "not a folder"),
        (f"train {NETWORK} --data-dir /nowhere", "no Fashion-MNIST in"),
        (f"train {NETWORK} --images 1", "images is 1"),
        (f"train {NETWORK} --epochs 0", "epochs is 0"),
        (f"train {NETWORK} --device gpu", "device 'gpu' is not known"),
        ("run nope", "not known"),
        ("status nope", "not known"),
        ("report nope", "not known"),
        ("fit-regnet nope", "not known"),
        ("fit-regnet --from /nowhere.csv", "can't be read"),
        ("fit-regnet --law cubic", "--law"),
        ("fit-regnet a --from b", "not both"),
        ("", "give a command"),
    ],
)
def test_bad_input_gets_one_line_and_status_2(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: str, part: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if words:
        assert part in complaint(capsys, words.split())
    else:
        assert main([]) == 2
        assert part in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_bad_studies_get_one_line_and_nothing_is_written(
    capsys: Capture, make_study: MakeStudy, data_dir: Path
) -> None:
    run = ["--data-dir", str(data_dir), "--device", "cpu"]
    for text, part in (
        ("[[spaces]]\nspace = 'AnyNetA'\nn = 2\n[budget]\nimages = 99999\n", "to train on"),
        ("[[spaces]]\nspace = 'AnyNetA'\nn = 2\n[regime]\nflops = '1:2'\n", "networks found"),
        ("template = 'paper'\n[[spaces]]\nspace = 'AnyNetA'\nn = 2\n", 'input = "1x28x28"'),
        ("data = 'nothing'\n[[spaces]]\nspace = 'AnyNetA'\nn = 2\n", "data set 'nothing'"),
    ):
        study = make_study(text)
        assert part in complaint(capsys, ["run", str(study), *run])
        assert part not in complaint(capsys, ["report", str(study)])
        assert "no trainings yet" in complaint(capsys, ["fit-regnet", str(study)])
        assert [path.name for path in study.parent.parent.parent.rglob("*") if path.is_file()] == [
            "study.toml"
        ]
        assert not (study.parent.parent.parent / "reports").exists()
    assert "executor 'cluster'" in complaint(capsys, ["run", str(study), "--executor", "cluster"])


def test_a_newer_store_is_refused(capsys: Capture, make_study: MakeStudy, data_dir: Path) -> None:
    study = make_study()
    open_store(load_plan(study).store).study.set_user_attr("schema", 99)
    for command in ("run", "status", "report", "fit-regnet"):
        more = ["--data-dir", str(data_dir)] if command == "run" else []
        assert "newer regnetlab" in complaint(capsys, [command, str(study), *more])


def test_an_unexpected_failure_is_one_line_and_status_1(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr("regnetlab.spaces.sampler.sample", broken)
    words = ["sample", "--space", "AnyNetA", "--n", "1"]
    assert "unexpected RuntimeError: first line (--debug" in complaint(capsys, words, status=1)
    with pytest.raises(RuntimeError):
        main([*words, "--debug"])


HEAVY = {"torch", "torchvision", "fvcore", "optuna", "sqlalchemy", "plotly", "jinja2", "pandas", "scipy"}
HEAVY |= {"pyarrow", "numpy"}


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        ("--help", ""),
        ("--version", ""),
        ("run --help", ""),
        ("models --help", ""),
        ("sample --space RegNet --n 4", "numpy"),
        ("sample --space AnyNetC --n 4 --flops 300M:400M --where depth<=30 --json", "numpy"),
        ("sample --space AnyNetC --n 4 -o {folder}/x.csv", "numpy"),
        ("sample --space AnyNetC --n 4 -o {folder}/x.json", "numpy"),
        ("sample --space AnyNetC --n 4 -o {folder}/x.parquet", "numpy pyarrow pandas"),
        ("sample --space AnyNetA --study {study}", "numpy"),
        ("status {study}", "numpy"),
        ("run {study} --dry-run", "numpy"),
        ("plan --spread 4", "numpy pandas pyarrow scipy"),
        ("plan --from {networks}", "numpy pandas pyarrow scipy"),
        ("compare --from {networks}", "numpy pandas pyarrow scipy"),
        ("fit-regnet --from {networks}", "numpy pandas pyarrow scipy"),
        ("report --from {networks} -o {folder}/x.html", "numpy pandas pyarrow scipy plotly jinja2"),
    ],
)
def test_a_command_imports_only_what_it_uses(
    tmp_path: Path, make_study: MakeStudy, words: str, needed: str
) -> None:
    places = {"folder": tmp_path, "study": make_study(), "networks": _pilot(tmp_path)}
    code = (
        "import sys; from regnetlab.cli import main; status = main(sys.argv[1:]);"
        f"print(*(set(sys.modules) & {HEAVY}), file=sys.stderr); sys.exit(status)"
    )
    command = [sys.executable, "-c", code, *words.format(**places).split()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert set(done.stderr.splitlines()[-1].split()) <= set(needed.split())


@pytest.mark.parametrize("ending", ["csv", "parquet", "json"])
def test_a_sample_is_the_same_in_whatever_portions_it_is_written(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    words = ["sample", "--space", "RegNet", "--n", "7"]
    outputs = []
    for portion in (100, 3):
        monkeypatch.setattr("regnetlab.cli.drawn._PORTION", portion)
        path = tmp_path / f"{portion}.{ending}"
        assert main([*words, "-o", str(path)]) == 0
        file = pd.read_parquet(path).to_dict() if ending == "parquet" else path.read_text()
        capsys.readouterr()
        assert main(words) == 0
        table = capsys.readouterr().out
        outputs.append((file, table, answer(capsys, *words)))
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("package", ["spaces", "models", "training"])
def test_workers_need_neither_optuna_nor_plotly_nor_pydantic_nor_fvcore(package: str) -> None:
    code = (
        "import importlib, pkgutil, sys\n"
        "for name in ('optuna', 'plotly', 'pydantic', 'fvcore', 'pandas'): sys.modules[name] = None\n"
        f"import regnetlab.{package} as package\n"
        "for each in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "    importlib.import_module(each.name)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("words", ["sample --space AnyNetA --n 20000", "summary regnety_32gf --json"])
def test_output_that_nobody_reads_to_the_end_is_no_error(words: str) -> None:
    command = f"set -o pipefail; {sys.executable} -m regnetlab {words} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def _pilot(tmp_path: Path) -> Path:
    """Three spaces of 40 networks: B is 3 points better than A, C is like B; two of C failed."""
    random = np.random.default_rng(0)
    lines = ["space,index,depths,widths,flops,error,seconds"]
    for space, middle in (("A", 30.0), ("B", 27.0), ("C", 27.0)):
        for i, error in enumerate(random.normal(middle, 1, 40)):
            text = "" if space == "C" and i < 2 else f"{error:.3f}"
            lines.append(f"{space},{i},1 2,8 {16 + 8 * (i % 4)},{1_000_000 + 1_000 * i},{text},5.0")
    path = tmp_path / "pilot.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_compare_answers_in_json(capsys: Capture, tmp_path: Path) -> None:
    document = answer(capsys, "compare", "--from", str(_pilot(tmp_path)), "--margin", "1.5")
    first, second = document["comparisons"]
    assert (first["a"], first["b"], first["n_a"], first["n_b"]) == ("A", "B", 40, 40)
    assert (first["verdict"], second["verdict"]) == ("better", "no worse")
    assert first["interval"][0] < first["median_difference"] < first["interval"][1]
    assert (second["failed_a"], second["failed_b"]) == (0, 2)
    assert second["failures_as_worst"]["verdict"] in ("no worse", "undecided")


def test_compare_prints_a_table_that_fits(capsys: Capture, tmp_path: Path) -> None:
    assert main(["compare", "--from", str(_pilot(tmp_path)), "--pair", "A:C"]) == 0
    text = capsys.readouterr().out
    assert "A → C" in text
    assert "0 and 2 failed" in text
    assert max(len(line) for line in text.splitlines() if "→ C:" not in line) <= 100


def test_plan_answers_in_json(capsys: Capture, tmp_path: Path) -> None:
    document = answer(capsys, "plan", "--from", str(_pilot(tmp_path)), "--margin", "1", "--workers", "2")
    assert [each["step"] for each in document["steps"]] == ["A → B", "B → C"]
    for each in document["steps"]:
        assert each["hours"] == pytest.approx(2 * each["n"] * 5.0 / 2 / 3600)


def test_a_file_of_networks_is_reported(capsys: Capture, tmp_path: Path) -> None:
    output = tmp_path / "page.html"
    document = answer(capsys, "report", "--from", str(_pilot(tmp_path)), "-o", str(output))
    assert document["report"] == str(output)
    assert output.stat().st_size > 1e6


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["compare", "--from", "nowhere.csv"], "nowhere.csv"),
        (["compare", "quick", "--from", "x.csv"], "not both"),
        (["compare", "quick", "--margin", "-1"], "0 to 100"),
        (["compare", "quick", "--pair", "AnyNetA"], "write two spaces"),
        (["compare", "quick", "--pair", "AnyNetA:AnyNetX"], "is not known"),
        (["plan", "--spread", "0"], "spread is 0"),
        (["plan", "--spread", "4", "--power", "1"], "power is 1"),
        (["plan", "quick", "--spread", "4"], "give one of"),
        (["sample", "--space", "AnyNetC", "--n", "2", "--where", "w[j] > 1"], "column 3"),
        (["report", "--from", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_a_comparison_that_can_not_be_is_one_line(capsys: Capture, words: list[str], reason: str) -> None:
    assert reason in complaint(capsys, words)


def test_a_margin_changed_after_the_first_training_is_refused(capsys: Capture, make_study: MakeStudy) -> None:
    path = make_study(STUDY)
    assert main(["run", str(path), "--executor", "inline"]) == 0
    path.write_text(STUDY + "[compare]\nmargin = 20.0\n")
    assert "began with margin 1 and now states 20" in complaint(capsys, ["compare", str(path)])
    document = answer(capsys, "compare", str(path), "--margin", "20")
    assert document["margin"] == 20
