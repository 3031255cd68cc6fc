"""``regnetlab summary`` and ``models``."""

from pathlib import Path

import pytest

from regnetlab.cli import main
from tests.cli.asked import NETWORK, Capture, answer, complaint


def test_summary_answers_in_json(capsys: Capture) -> None:
    document = answer(capsys, "summary", "regnetx_400mf")
    assert (document["flops"], document["params"], document["acts"]) == (397_677_568, 5_157_512, 3_143_272)
    assert document["input"] == "3x224x224"
    assert sum(layer["params"] for layer in document["layers"]) == document["params"]
    small = answer(capsys, "summary", NETWORK, "--input", "1x28x28", "--classes", "10")
    assert small["layers"][-1]["output"] == [10]


def test_the_table_of_a_summary_fits_80_columns(capsys: Capture) -> None:
    for model in ("regnety_32gf", "regnetx_200mf", "vgg19", "googlenet", "densenet201", "resnet152", NETWORK):
        main(["summary", model])
        assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_a_summary_by_depth_adds_up(capsys: Capture) -> None:
    whole, parts = (answer(capsys, "summary", "resnet18@1MF", *more) for more in ((), ("--depth", "1")))
    assert [each["name"] for each in parts["layers"]] == [
        "stem",
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
        (
            ("summary", "alexnet", "--input", "1x28x28"),
            "`alexnet` needs 1×65×65 at least; `alexnet@original` resizes, `alexnet@small` is its",
        ),
        (("summary", "resnet18@1KF"), "the smallest small form has"),
        (("summary", "resnet18@0.001x"), "the smallest that keeps it is 0.0625"),
        (("summary", "vgg11", "--classes", "0"), "between 1 and 65,536"),
        (("summary", "vgg11", "--input", "0x32x32"), "channels is 0"),
        (("summary", "vgg11", "--depth", "0"), "depth"),
        (("models", "--input", "1x0x28"), "height is 0"),
        (("models", "--input", "28"), "CxHxW"),
        (("models", "--classes", "0"), "classes is 0"),
        (("train", "googlenet@1MF"), "the smallest small form has 6.823104M"),
    ],
)
def test_models_that_can_not_be_are_refused(
    capsys: Capture, words: tuple[str, ...], hint: str, data_dir: Path
) -> None:
    more = ("--data-dir", str(data_dir)) if words[0] == "train" else ()
    assert hint in complaint(capsys, (*words, *more))


def test_models_are_listed(capsys: Capture) -> None:
    listed = answer(capsys, "models")
    models = listed["models"]
    assert {
        "name",
        "family",
        "paper",
        "year",
        "params",
        "flops",
        "acts",
        "input",
        "classes",
        "reason",
    } == set(models[0])
    assert {"regnetx_200mf", "regnety_32gf", "alexnet", "densenet201"} <= {m["name"] for m in models}
    assert not any(m["reason"] for m in models)
    assert {"name": "resnet", "family": "ResNet"} in listed["families"]


def test_models_at_one_input_are_counted_as_summary_counts_them(capsys: Capture) -> None:
    models = {
        m["name"]: m for m in answer(capsys, "models", "--input", "1x40x48", "--classes", "7")["models"]
    }
    assert {(m["input"], m["classes"]) for m in models.values()} == {("1x40x48", 7)}
    for name in ("vgg11_slim", "resnet18", "regnetx_200mf"):
        whole = answer(capsys, "summary", name, "--input", "1x40x48", "--classes", "7")
        assert all(models[name][key] == whole[key] for key in ("params", "flops", "acts"))
    assert models["alexnet"]["params"] is None
    assert "`alexnet` needs 1×65×65 at least; `alexnet@original` resizes" in models["alexnet"]["reason"]

    assert main(["models"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
    assert main(["models", "--input", "1x40x48"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert next(line for line in lines if line.startswith("alexnet")).split()[3:] == ["–"] * 3 + [
        "1x40x48",
        "10",
    ]
    assert any("`nin` needs 1×67×67" in line for line in lines)
    assert any(line.startswith("Families of any depth: bn_lenet, alexnet, vgg, vgg_bn") for line in lines)


def test_a_network_of_a_family_is_shown_and_the_family_is_refused(capsys: Capture) -> None:
    shown = answer(capsys, "summary", "resnet@1d@1MF", "--template", "small")
    assert (shown["model"], shown["flops"]) == ("resnet@1d@0.141x", 1_050_864)
    assert "as in resnet@1d@1MF" in complaint(capsys, ("summary", "resnet@1MF", "--template", "small"))
    assert "as in resnet@2d" in complaint(capsys, ("summary", "resnet", "--study", "quick"))


SWEPT = Path(__file__).parents[1] / "models" / "pycls" / "sweep_job.yaml"


def test_a_config_of_pycls_is_shown_timed_and_written_again(capsys: Capture, tmp_path: Path) -> None:
    shown = answer(capsys, "summary", str(SWEPT))
    assert (shown["input"], shown["classes"], shown["params"]) == ("3x32x32", 10, 1_448_286)
    (timed,) = answer(capsys, "latency", str(SWEPT), "--batch", "1", "--seconds", "0.01")["latencies"]
    assert (timed["input"], timed["params"]) == ("3x32x32", shown["params"])

    for name in (str(SWEPT), "regnety_400mf"):
        counts = answer(capsys, "summary", name)
        main(["export", name, "--to", "pycls", "-o", str(tmp_path / "again.yaml")])
        capsys.readouterr()
        again = answer(capsys, "summary", str(tmp_path / "again.yaml"))
        assert all(again[key] == counts[key] for key in ("input", "classes", "flops", "params", "acts"))
    assert answer(capsys, "summary", str(SWEPT), "--input", "3x64x64")["input"] == "3x64x64"


def test_a_config_of_pycls_is_trained_on_its_own_stem(
    capsys: Capture, data_dir: Path, tmp_path: Path
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "MODEL: {TYPE: anynet}\nANYNET: {STEM_TYPE: res_stem_cifar, STEM_W: 8, DEPTHS: [1, 1],"
        " WIDTHS: [8, 16], STRIDES: [2, 2], BOT_MULS: [1.0, 1.0], GROUP_WS: [8, 8]}\n"
    )
    words = ("--images", "64", "--validation", "64", "--kernels", "torch", "--data-dir", str(data_dir))
    told = ("--stem-width", "8", "--stem-stride", "1", "--strides", "2,2")
    by_file = answer(capsys, "train", str(path), *words)
    by_text = answer(capsys, "train", by_file["model"], *words, *told)
    assert by_file["curve"] == by_text["curve"]
    assert by_file["curve"] != answer(capsys, "train", by_file["model"], *words)["curve"]


@pytest.mark.parametrize("command", ["summary", "latency", "train"])
def test_a_config_that_can_not_be_read_is_refused(capsys: Capture, command: str) -> None:
    effnet = SWEPT.with_name("EN-B0_dds_8gpu.yaml")
    assert "MODEL.TYPE is 'effnet'" in complaint(capsys, (command, str(effnet)))
    assert "No such file" in complaint(capsys, (command, "nowhere.yaml"))
