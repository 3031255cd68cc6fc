"""pycls' YAML: read back by a YAML reader and by our own import of its sweeps, it is the same network."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from regnetlab.errors import InputError
from regnetlab.models.export.network import Network, network_of
from regnetlab.models.export.pycls import pycls
from regnetlab.models.published import LAWS, PUBLISHED
from regnetlab.models.registry import find_model
from regnetlab.spaces.config import Config, parse_anynet
from regnetlab.spaces.law import RegNetLaw, parse_law
from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.sampler import sample
from regnetlab.spaces.space import SPACES
from regnetlab.spaces.template import PAPER, SMALL, Template
from regnetlab.trials.foreign import imported_rows

# Types as pycls/core/config.py has them; yacs refuses a value of another type.
ANYNET = {
    "STEM_TYPE": str,
    "STEM_W": int,
    "BLOCK_TYPE": str,
    "SE_ON": bool,
    "SE_R": float,
    "DEPTHS": list,
    "WIDTHS": list,
    "STRIDES": list,
    "BOT_MULS": list,
    "GROUP_WS": list,
}
REGNET = {
    "STEM_TYPE": str,
    "STEM_W": int,
    "BLOCK_TYPE": str,
    "SE_ON": bool,
    "SE_R": float,
    "STRIDE": int,
    "DEPTH": int,
    "W0": int,
    "WA": float,
    "WM": float,
    "GROUP_W": int,
    "BOT_MUL": float,
}


def read(network: Network) -> dict[str, Any]:
    """The YAML as a reader of YAML 1.1 sees it, with types checked."""
    export = pycls(network)
    document = yaml.safe_load(export.text)
    assert document == export.kwargs
    kind = document["MODEL"]["TYPE"]
    types = {"anynet": ANYNET, "regnet": REGNET}[kind]
    for key, value in document[kind.upper()].items():
        assert type(value) is types[key], key
    assert isinstance(document, dict)
    return document


def imported(network: Network, folder: Path) -> Config:
    """What our import makes of a sweep of pycls that trained this configuration."""
    path = folder / "sweep.json"
    job = {"cfg": read(network), "test_ema_epoch": {"min_top1_err": [50.0]}}
    (row,) = imported_rows(path, json.dumps([job]))
    columns = {
        name: [float(each) for each in row[name].split()]
        for name in ("depths", "widths", "group_widths", "bottleneck_ratios")
    }
    ints = {name: [int(each) for each in columns[name]] for name in ("depths", "widths", "group_widths")}
    return Config.compatible(**ints, bottleneck_ratios=columns["bottleneck_ratios"])


def without_squeeze(config: Config) -> Config:
    """What the import knows of a network: it has no column for squeeze-and-excitation."""
    return Config(config.depths, config.widths, config.group_widths, config.bottleneck_ratios)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_network_comes_back_by_its_law(name: str, tmp_path: Path) -> None:
    network = network_of(find_model(name), PAPER, "pycls")
    document, law = read(network), LAWS[name]
    section = document["REGNET"]
    written = tuple(section[key] for key in ("W0", "WA", "WM", "DEPTH", "GROUP_W"))
    assert written == (law.w0, law.wa, law.wm, law.depth, law.group_width)
    assert (section["SE_ON"], section.get("SE_R", 0)) == (law.se_ratio > 0, law.se_ratio)
    assert imported(network, tmp_path) == without_squeeze(PUBLISHED[name])


def test_random_networks_come_back_by_their_stages(tmp_path: Path) -> None:
    ratios = (1 / 6, 1 / 4, 1 / 3, 1 / 2, 1, 2, 3, 4)
    space = SPACES["AnyNetA"].within(Ranges(width=(8, 512), bottleneck_ratio=ratios))
    for config in sample(space, 60, PAPER, seed=6).population.configs():
        network = Network(config, PAPER)
        assert read(network)["ANYNET"]["STRIDES"] == [2, 2, 2, 2]
        assert imported(network, tmp_path) == config


def test_random_laws_come_back_by_their_law(tmp_path: Path) -> None:
    space = SPACES["RegNet"].within(Ranges(bottleneck_ratio=(1 / 4, 1 / 3, 1, 2, 4)))
    population = sample(space, 60, PAPER, seed=7).population
    w0, wa, wm = (population.law[name].tolist() for name in ("w0", "wa", "wm"))
    for i, config in enumerate(population.configs()):
        law = RegNetLaw(
            w0[i], wa[i], wm[i], config.depth, max(config.group_widths), config.bottleneck_ratios[0]
        )
        network = Network(config, PAPER, law)
        assert read(network)["MODEL"]["TYPE"] == "regnet"
        assert imported(network, tmp_path) == config


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ("regnet:w0=24,wa=24.48,wm=2.54,d=22,g=16", SMALL.changed("3x28x28")),  # strides 1, 2, 2, 2
        ("regnet:w0=25,wa=24.48,wm=2.54,d=22,g=16", PAPER),  # pycls wants a w0 in steps of 8
        ("regnet:w0=24,wa=24.48,wm=2.54,d=22,g=16,b=3", PAPER),  # 1/3 is no exact float
    ],
)
def test_what_pycls_law_would_not_give_is_written_by_its_stages(
    text: str, template: Template, tmp_path: Path
) -> None:
    law = parse_law(text)
    network = Network(law.config, template, law)
    document = read(network)
    assert document["MODEL"]["TYPE"] == "anynet"
    assert tuple(document["ANYNET"]["STRIDES"]) == network.strides
    assert imported(network, tmp_path) == law.config


def test_floats_have_a_point_and_no_exponent() -> None:
    law = RegNetLaw(32, 1e-7, 3.0, 4, 8)
    text = pycls(Network(law.config, PAPER, law)).text
    assert "  WA: 0.0000001\n  WM: 3.0\n" in text
    assert yaml.safe_load(text)["REGNET"]["WA"] == 1e-7


def test_stems_of_stride_one_and_two_are_pycls_own() -> None:
    config = parse_anynet("anynet:d=1;w=16;g=8;b=2;se=0.5")
    for stride, stem in ((1, "res_stem_cifar"), (2, "simple_stem_in")):
        section = read(Network(config, Template("t", 3, 32, 32, 10, 16, stride, (2,))))["ANYNET"]
        assert {"STEM_TYPE": stem, "STEM_W": 16, "SE_ON": True, "SE_R": 0.5}.items() <= section.items()
    with pytest.raises(InputError, match="stride 1 or 2, not 3"):
        pycls(Network(config, Template("t", 3, 32, 32, 10, 16, 3, (2,))))


@pytest.mark.parametrize("input", ["1x28x28", "3x32x24"])
def test_images_that_pycls_does_not_read_are_refused(input: str) -> None:
    with pytest.raises(InputError, match=f"square images of 3 channels, not {input}"):
        pycls(Network(PUBLISHED["regnetx_400mf"], PAPER.changed(input)))
