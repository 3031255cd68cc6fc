"""pycls' configs as networks.

``pycls/`` holds files of pycls 5719de6 (MIT licence): configs/dds_baselines of RegNetX and RegNetY, R-50 and
EN-B0 from there too, V-56 from configs/archive. ``sweep_job.yaml`` is a job as its tools/sweep_setup.py
writes it (``tests/analysis/sweeps``), which turns a sampled RegNet into an AnyNet.
"""

import os
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from regnetlab.errors import InputError
from regnetlab.models.export.network import Network
from regnetlab.models.export.pycls import pycls
from regnetlab.models.published import LAWS, PUBLISHED
from regnetlab.models.pycls_config import network_of_config, read_config_file
from regnetlab.models.registry import find_model
from regnetlab.spaces.complexity import config_complexity
from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.sampler import sample
from regnetlab.spaces.space import SPACES
from regnetlab.spaces.template import PAPER, Template

FOLDER = Path(__file__).parent / "pycls"
ANYNET = {
    "MODEL": {"TYPE": "anynet"},
    "ANYNET": {"DEPTHS": [1], "WIDTHS": [24], "STRIDES": [2], "BOT_MULS": [1.0], "GROUP_WS": [8]},
}


def changed(section: str, **values: object) -> dict[str, dict[str, object]]:
    """A config that can be read, but for these values."""
    return {**ANYNET, section: {**ANYNET.get(section, {}), **values}}


def test_all_regnets_of_pycls_are_the_published_ones() -> None:
    files = sorted(FOLDER.glob("RegNet*.yaml"))
    assert len(files) == len(PUBLISHED)
    for file in files:
        model, ours = find_model(str(file)), find_model(file.name.split("_")[0])
        assert (model.config, model.law) == (ours.config, LAWS[ours.text])
        assert (model.template.input, model.template.classes) == (PAPER.input, PAPER.classes)
        assert config_complexity(ours.config, model.template) == config_complexity(ours.config, PAPER)


def test_a_job_of_a_sweep_is_built_on_its_own_stem_and_size() -> None:
    model = find_model(str(FOLDER / "sweep_job.yaml"))
    assert model.config is not None
    assert model.template == Template("pycls", 3, 32, 32, 10, 16, 1, (2, 2))
    assert model.text == "anynet:d=4,5;w=128,288;g=16;b=1;se=0.25"
    assert model.build(model.template)(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("space", ["AnyNetA", "RegNet"])
@pytest.mark.parametrize("stem", [1, 2])
def test_what_export_writes_is_read_as_the_same_network(space: str, stem: int, tmp_path: Path) -> None:
    template = Template("pycls", 3, 64, 64, 7, 24, stem, (1, 2, 2, 2))
    ratios = (1 / 6, 1 / 4, 1 / 3, 1 / 2, 1, 2, 3, 4)
    ranges = Ranges(width=(8, 512), bottleneck_ratio=ratios)
    path = tmp_path / "network.yaml"
    for config in sample(SPACES[space].within(ranges), 30, template, seed=3).population.configs():
        path.write_text(pycls(Network(config, template)).text)
        found = read_config_file(path)
        assert (found.config, found.template) == (config, template)


def test_defaults_are_those_of_pycls() -> None:
    found = network_of_config({"MODEL": {"TYPE": "regnet"}})
    assert found.template == Template("pycls", 3, 224, 224, 10, 32, 2, (2,) * found.config.stages)
    assert found.config == find_model("regnet:w0=32,wa=5,wm=2.5,d=10,g=16").config


def test_a_value_may_be_spelt_as_a_text() -> None:  # YAML 1.1 takes 5e-5 for one, and pycls' reader knows
    found = network_of_config({"MODEL": {"TYPE": "regnet"}, "REGNET": {"WA": "5e0", "DEPTH": "10"}})
    assert found == network_of_config({"MODEL": {"TYPE": "regnet"}})


@pytest.mark.parametrize(("asked", "built"), [(8, 8), (16, 24), (9, 12), (5, 6)])
def test_groups_are_as_many_as_pycls_makes(asked: int, built: int) -> None:
    config = network_of_config(changed("ANYNET", GROUP_WS=[asked])).config
    assert (config.widths, config.group_widths) == ((24,), (built,))  # 24 // asked groups


@pytest.mark.parametrize(
    ("section", "values", "part"),
    [
        ("MODEL", {"TYPE": "resnet"}, "MODEL.TYPE is 'resnet'"),
        ("MODEL", {"TYPE": "vit"}, "MODEL.TYPE is 'vit'"),
        ("MODEL", {"ACTIVATION_FUN": "silu"}, "'silu'; only networks with relu"),
        ("MODEL", {"NUM_CLASES": 3}, "did you mean 'NUM_CLASSES'"),
        ("ANYNET", {"BLOCK_TYPE": "res_basic_block"}, "only res_bottleneck_block can be read"),
        ("ANYNET", {"STEM_TYPE": "res_stem_in"}, "only res_stem_cifar and simple_stem_in"),
        ("ANYNET", {"HEAD_W": 128}, "a convolution in the head"),
        ("ANYNET", {"WIDTHS": [24, 48]}, "WIDTHS has 2 entries and DEPTHS 1"),
        ("ANYNET", {"BOT_MULS": []}, "BOT_MULS is '[]'"),
        ("ANYNET", {"GROUP_WS": [32]}, "can't group"),
        ("ANYNET", {"BOT_MULS": [0.3]}, "BOT_MULS has 0.3"),
        ("ANYNET", {"BOT_MULS": [0]}, "BOT_MULS has 0"),
        ("ANYNET", {"BOT_MULS": [1 / 7], "GROUP_WS": [1]}, "width 24 over bottleneck ratio 7"),
        ("ANYNET", {"DEPTHS": [1.5]}, "DEPTHS has '1.5'; it must be a whole number"),
        ("ANYNET", {"DEPTHS": [True]}, "DEPTHS has 'True'"),
        ("ANYNET", {"DEPTHS": {"a": 1}}, "must be a list"),
        ("ANYNET", {"SE_ON": "maybe"}, "SE_ON is 'maybe'"),
        ("ANYNET", {"SE_ON": True, "SE_R": 3.0}, "ratio 3.0 is not in 0 to 1"),
        ("TRAIN", {"IM_SIZE": 0}, "IM_SIZE has '0'"),
        ("TRAIN", {"IM_SIZE": 1e300}, "IM_SIZE has"),
    ],
)
def test_what_would_be_another_network_is_refused(section: str, values: dict[str, object], part: str) -> None:
    with pytest.raises(InputError) as caught:
        network_of_config(changed(section, **values))
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("law", "part"),
    [({"W0": 25}, "multiple of 8"), ({"BOT_MUL": 1 / 3}, "rounds by a BOT_MUL"), ({"WM": 1.0}, "wm > 1")],
)
def test_laws_that_pycls_takes_otherwise_are_refused(law: dict[str, object], part: str) -> None:
    with pytest.raises(InputError, match=part):
        network_of_config({"MODEL": {"TYPE": "regnet"}, "REGNET": law})


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "no config of pycls"),
        ("- 1", "no config of pycls"),
        ("NAME: x\nSETUP: {}", "no config of pycls"),
        ("MODEL: {TYPE: regnet}\nREGNET: 3", "section REGNET is '3'"),
        ("MODEL: {TYPE: regnet}\nTRAIN: 3", "section TRAIN is '3'"),
        ("MODEL: [", "can't be read as YAML"),
        ("a: 2001-99-99", "can't be read as YAML"),
        ("a: !!python/object/apply:os.getcwd []", "can't be read as YAML"),
        ("[" * 20_000, "nested too deeply"),
        ("a: " + "9" * 5_000, "can't be read as YAML"),
        ("#" * 2**21, "over 1 MiB"),
    ],
)
def test_a_file_that_is_no_config_is_one_line(tmp_path: Path, text: str, part: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        find_model(str(path))
    assert part in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.yaml")
    with pytest.raises(InputError, match="no regular file"):
        find_model(str(tmp_path / "x.yaml"))


@pytest.mark.parametrize("name", ["R-50-1x64d_dds_8gpu", "EN-B0_dds_8gpu", "V-56_nds_1gpu"])
def test_pycls_other_networks_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=name):
        find_model(str(FOLDER / f"{name}.yaml"))


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    for depth in (10, 12):
        path.write_text(yaml.safe_dump({"MODEL": {"TYPE": "regnet"}, "REGNET": {"DEPTH": depth}}))
        config = find_model(f" {path} ").config
        assert config is not None
        assert config.depth == depth


keys = st.sampled_from(["MODEL", "TYPE", "ANYNET", "REGNET", "DEPTHS", "WIDTHS", "STRIDES", "W0", "TRAIN"])
values = st.sampled_from(["anynet", "regnet", [1, 2], [8], 0, 1.5, None, True, "x", [[1]], -1, 10**30])


@given(st.dictionaries(keys, values | st.dictionaries(keys, values, max_size=4), max_size=4))
def test_any_document_is_a_network_or_a_clean_error(document: dict[str, object]) -> None:
    try:
        network_of_config(document)
    except InputError as error:
        assert "\n" not in str(error)
