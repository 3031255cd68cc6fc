"""Sweeps of pycls and nds, as their tools leave them.

``sweeps/cifar_regnet/sweep.json`` comes from pycls 5719de6: tools/sweep_setup.py (14 jobs by configs/sweeps/
cifar/cifar_regnet.yaml, two epochs each), logs by its own logging and meters with errors made up, two jobs
stopped after one epoch and before the first, tools/sweep_collect.py. The data of nds can't be had
here; its layout is that which nni/nas/benchmarks/nds/db_gen.py reads, and the first network one of NNI's
tutorial.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regnetlab.analysis.compare import compare
from regnetlab.analysis.derive import told_template
from regnetlab.analysis.population_law import carrying
from regnetlab.analysis.space_errors import space_errors
from regnetlab.analysis.width_law import fit_law
from regnetlab.errors import InputError
from regnetlab.report.content import files_content
from regnetlab.report.page import page
from regnetlab.spaces.complexity import config_complexity
from regnetlab.spaces.config import Config, parse_anynet
from regnetlab.spaces.template import Template
from regnetlab.trials.files import read_trials
from regnetlab.trials.table import complete, incomplete
from tests.cli.asked import answer

SWEEP = Path(__file__).parent / "sweeps" / "cifar_regnet" / "sweep.json"
CIFAR = Template("pycls", 3, 32, 32, 10, 16, 1, (2, 2))


def written(path: Path, document: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def jobs() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(SWEEP.read_text())
    return found


def free_jobs() -> list[dict[str, Any]]:
    """The same as networks of free widths: every other one falls."""
    found = jobs()
    for place, job in enumerate(found):
        job["cfg"]["DESC"] = "ANYNET.WIDTHS [8, 16]"
        job["cfg"]["ANYNET"]["WIDTHS"] = job["cfg"]["ANYNET"]["WIDTHS"][:: 1 if place % 2 else -1]
    return found


def nds(ds: list[int], ws: list[int], error: float, seed: int = 1, **net: object) -> dict[str, Any]:
    """A training as nds publishes it; the first entries are the stem."""
    shape = {"ds": [1, *ds], "ws": [16, *ws], "ss": [1, 1, 2, 2][: len(ds) + 1]}
    return {
        "net": {"block_type": "res_basic_block", "bot_muls": [], "num_gs": [], **shape, **net},
        "optim": {"base_lr": 0.1, "wd": 0.0005, "max_ep": 100},
        "rng_seed": seed,
        "job_id": "1",
        "flops": 60_000_000,
        "params": 400_000,
        "min_test_top1": error,
        "test_ep_top1": [60.0, error],
    }


def test_a_sweep_is_one_space_named_by_its_folder() -> None:
    networks = read_trials([SWEEP]).frame
    assert set(networks["space"]) == {"cifar_regnet"}
    assert networks["name"].tolist() == [f"{i:06}" for i in range(14)]


def test_sweeps_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    files = [tmp_path / part / "sweep.json" for part in ("cifar/a", "cifar/b", "imagenet/a")]
    for file in files:
        file.parent.mkdir(parents=True)
        shutil.copy(SWEEP, file)
    assert set(read_trials(files[:2]).frame["space"]) == {"a", "b"}
    assert set(read_trials(files).frame["space"]) == {"cifar/a", "cifar/b", "imagenet/a"}
    other = tmp_path / "AnyNetX.json"
    shutil.copy(SWEEP, other)
    assert set(read_trials([other]).frame["space"]) == {"AnyNetX"}
    with pytest.raises(InputError, match="and in a file before it"):
        read_trials([other, other])


def test_jobs_that_stopped_early_have_no_error_and_are_counted(tmp_path: Path) -> None:
    networks = read_trials([SWEEP]).frame
    assert len(complete(networks)) == 12
    stopped = incomplete(networks)
    assert stopped["name"].tolist() == ["000003", "000008"]
    assert stopped["ended"].tolist() == ["stopped at epoch 1 of 2", "stopped at epoch 0 of 2"]

    other = written(tmp_path / "other.json", [job for job in jobs() if job.get("test_epoch")][:10])
    first, second = compare(read_trials([SWEEP, other])).to_json()["spaces"]
    assert (first["n"], first["failed"], first["incomplete"]) == (12, 0, 2)
    assert (second["n"], second["incomplete"]) == (9, 1)
    assert fit_law(read_trials([SWEEP])).incomplete == 2
    assert "2 were stopped before the end" in page(files_content([SWEEP]))


def test_the_configs_epochs_count_where_a_job_was_to_go_on(tmp_path: Path) -> None:
    found = jobs()
    for job in found:
        job["cfg"]["OPTIM"]["MAX_EPOCH"] = 3
    networks = read_trials([written(tmp_path / "x.json", found)]).frame
    assert networks["error"].isna().all()
    assert networks["ended"][0] == "stopped at epoch 2 of 3"


def test_the_error_is_that_of_the_averaged_weights() -> None:
    job = jobs()[0]
    assert read_trials([SWEEP]).frame["error"][0] == min(job["test_ema_epoch"]["min_top1_err"])
    assert min(job["test_epoch"]["min_top1_err"]) > min(job["test_ema_epoch"]["min_top1_err"])


def test_stages_and_template_of_a_job_give_the_params_and_acts_that_pycls_counted() -> None:
    for row in read_trials([SWEEP]).frame.to_dict("records"):
        assert row["template"] == CIFAR
        config = Config(
            row["depths"], row["widths"], row["group_widths"], row["bottleneck_ratios"], row["se_ratio"]
        )
        counts = config_complexity(config, row["template"])
        assert (counts["params"], counts["acts"]) == (row["params"], row["acts"])
        assert 0.99 < counts["flops"] / row["flops"] <= 1  # pycls counts biases


def test_derived_regnets_are_counted_where_the_sweep_was_trained(tmp_path: Path) -> None:
    law = fit_law(read_trials([written(tmp_path / "free.json", free_jobs())]))
    low, high = (law.networks["flops"].agg(each) for each in ("min", "max"))
    derived = law.derive(force=True)
    assert derived
    for each in derived:
        assert each.config is not None and len(each.config.depths) == 2
        assert (each.template, each.flops) == (CIFAR, config_complexity(each.config, CIFAR)["flops"])
        assert low <= each.flops <= high
        assert each.text.endswith(";se=0.25")


def test_a_template_or_an_input_that_is_given_wins(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ("fit-regnet", "--force", "--from", str(written(tmp_path / "free.json", free_jobs())))
    assert answer(capsys, *words)["template"]["input"] == "3x32x32"
    named = answer(capsys, *words, "--template", "small", "--input", "3x28x28")
    assert named["template"]["strides"] == [1, 2, 2, 2]
    assert named["template"]["input"] == "3x28x28"
    larger = answer(capsys, *words, "--input", "3x64x64", "--classes", "100", "--flops", "100M:500M")
    assert (larger["template"]["input"], larger["template"]["classes"]) == ("3x64x64", 100)
    model = larger["derived"][0]
    shape = CIFAR.changed("3x64x64", 100)
    assert model["flops"] == config_complexity(parse_anynet(model["model"]), shape)["flops"]


def test_no_regnet_is_derived_for_a_stem_or_a_size_that_is_not_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    stem, sizes = free_jobs(), free_jobs()
    for job in stem:
        job["cfg"]["ANYNET"]["STEM_TYPE"] = "res_stem_in"
    sizes[0]["cfg"]["TRAIN"]["IM_SIZE"] = 64
    for document, part in ((stem, "'res_stem_in'"), (sizes, "2 different templates (3x32x32, 3x64x64)")):
        words = ("fit-regnet", "--force", "--from", str(written(tmp_path / "x.json", document)))
        found = answer(capsys, *words)
        assert found["derived"] == []
        assert part in found["derived_reason"]
        assert found["population"]["n"] == 12
        assert answer(capsys, *words, "--template", "paper", "--flops", "1M:1G")["derived"]


def test_a_sampled_regnet_does_not_vouch_for_its_law_though_it_is_written_as_an_anynet(
    tmp_path: Path,
) -> None:
    trials = read_trials([SWEEP, written(tmp_path / "anynet.json", free_jobs())])
    assert carrying(trials) == ["anynet"]


def test_a_sweep_over_seeds_trains_networks_more_than_once(tmp_path: Path) -> None:
    found = [job for job in jobs() if "test_epoch" in job]
    again = [job | {"cfg": job["cfg"] | {"RNG_SEED": 2, "DESC": "RNG_SEED 2"}} for job in found]
    networks = read_trials([written(tmp_path / "x.json", found + again)]).frame
    assert networks["index"].nunique() == len(found)
    faster = [job | {"cfg": job["cfg"] | {"OPTIM": job["cfg"]["OPTIM"] | {"BASE_LR": 1.0}}} for job in found]
    networks = read_trials([written(tmp_path / "x.json", found + faster)]).frame
    assert networks["index"].nunique() == 2 * len(found)


def test_jobs_of_efficientnets_have_errors_only(tmp_path: Path) -> None:
    found = jobs()
    for job in found:
        job["cfg"]["MODEL"]["TYPE"] = "effnet"
    networks = read_trials([written(tmp_path / "effnet.json", found)]).frame
    assert len(complete(networks)) == 12
    assert networks["widths"].isna().all()


def test_the_stem_of_nds_bottleneck_networks_is_no_stage(tmp_path: Path) -> None:
    net = {"bot_muls": [0.0, 0.25, 0.25, 0.25], "num_gs": [1, 2, 1, 2], "block_type": "res_bottleneck_block"}
    job = nds([16, 1, 4], [64, 128, 16], 8.0, **net)
    row = read_trials([written(tmp_path / "ResNeXt-A.json", [job])]).frame.iloc[0]
    assert (row["depths"], row["widths"]) == ((16, 1, 4), (64, 128, 16))
    assert (row["group_widths"], row["bottleneck_ratios"]) == ((8, 32, 2), (4, 4, 4))
    assert row["template"] == Template("nds", 3, 32, 32, 10, 16, 1, (1, 2, 2))


def test_the_stem_of_nds_basic_networks_is_no_stage(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    found = [
        nds(
            random.integers(1, 17, 3).tolist(),
            (8 * 2 ** np.sort(random.integers(1, 6, 3))).tolist(),
            float(error),
        )
        for error in random.normal(8, 1, 40)
    ]
    networks = read_trials([written(tmp_path / "ResNet.json", found)]).frame
    assert networks["depths"].map(len).unique().tolist() == [3]
    template = told_template(networks)
    assert template.input == "3x32x32"
    assert template.strides == (1, 2, 2)

    bare = [
        job | {"net": {k: v[1:] if k in ("ds", "ws", "ss") else v for k, v in job["net"].items()}}
        for job in found
    ]
    same = read_trials([written(tmp_path / "bare.json", bare)]).frame
    assert same["widths"].tolist() == networks["widths"].tolist()


def test_nds_networks_of_imagenet_are_on_no_template_that_is_known(tmp_path: Path) -> None:
    found = [nds([2, 2, 2], [16, 32, 64], 8.0), nds([2, 3, 2], [16, 32, 64], 9.0)]
    networks = read_trials([written(tmp_path / "ResNet_in.json", found)]).frame
    assert "template" not in networks
    assert networks["depths"][0] == (2, 2, 2)


def test_a_multiplier_of_zero_elsewhere_is_named(tmp_path: Path) -> None:
    job = nds([1, 1], [16, 32], 8.0, bot_muls=[0.0, 0.0, 1.0], num_gs=[1, 1, 1])
    with pytest.raises(InputError, match="network 1: a bottleneck multiplier is 0"):
        read_trials([written(tmp_path / "x.json", [job])])


def test_reruns_are_seeds_of_two_networks(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    parts = {
        part: [
            nds(ds, [32, 64, 96], float(error), seed)
            for seed, error in enumerate(random.normal(middle, 0.2, 60))
        ]
        for part, ds, middle in (("top", [6, 7, 9], 5.5), ("mid", [2, 3, 2], 7.5))
    }
    networks = read_trials([written(tmp_path / "ResNet_reruns.json", parts)]).frame
    assert len(networks) == 120
    means = complete(networks)["error"].tolist()
    assert len(means) == 2
    assert means == pytest.approx([5.5, 7.5], abs=0.1)


def test_a_network_drawn_twice_stays_two(tmp_path: Path) -> None:
    twice = [nds([1, 2, 3], [16, 32, 64], error) for error in (8.0, 9.0)]
    assert read_trials([written(tmp_path / "x.json", twice)]).frame["index"].nunique() == 2


def test_configs_are_networks_of_one_space() -> None:
    folder = Path(__file__).parents[1] / "models" / "pycls"
    files = [folder / f"RegNet{name}_dds_8gpu.yaml" for name in ("X-400MF", "Y-400MF", "X-200MF")]
    document = fit_law(read_trials(files), "quantized").to_json()
    assert [each["name"] for each in document["models"]] == [file.stem for file in files]
    first = document["models"][0]
    assert first["depths"] == first["fitted_depths"] == (1, 2, 7, 12)
    assert first["e_fit"] == 0
    assert {each["space"] for each in document["models"]} == {"networks"}
    with pytest.raises(InputError, match=r"R-50.*res_stem_in"):
        read_trials([folder / "R-50-1x64d_dds_8gpu.yaml"])


def test_the_quantized_fit_leaves_a_network_its_own_stages(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("depths,widths\n4 2 3 13,64 32 128 16\n")
    (found,) = fit_law(read_trials([path]), "quantized").to_json()["models"]
    assert (found["depths"], found["widths"]) == ((4, 2, 3, 13), (64, 32, 128, 16))
    assert sum(found["fitted_depths"]) == 22
    assert len(found["fitted_widths"]) == len(found["fitted_depths"])


def test_a_job_whose_log_ends_before_its_config_is_incomplete(tmp_path: Path) -> None:
    whole = space_errors(read_trials([SWEEP]).frame)[0]
    path = written(tmp_path / "x" / "sweep.json", [*jobs(), {"log_file": "sweep/000099/stdout.log"}])
    (found,) = space_errors(read_trials([path]).frame)
    assert (found.incomplete, found.failed) == (whole.incomplete + 1, whole.failed)
    assert fit_law(read_trials([path])).incomplete == whole.incomplete + 1


def test_a_job_of_nds_without_a_test_is_incomplete(tmp_path: Path) -> None:
    trainings = [nds([1, 2], [16, 32], 20.0), nds([1, 2], [16, 64], 21.0)]
    path = written(tmp_path / "x.json", [*trainings, trainings[0] | {"min_test_top1": None}])
    (found,) = space_errors(read_trials([path]).frame)
    assert (len(found.errors), found.incomplete, found.failed) == (2, 1, 0)
