"""Keyword sets: the other library builds the same network from them, or they are refused with the reason."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from regnetlab.errors import InputError
from regnetlab.models.anynet import AnyNet
from regnetlab.models.export.network import Network, network_of
from regnetlab.models.export.timm import timm, timm_state
from regnetlab.models.export.torchvision import torchvision
from regnetlab.models.published import LAWS, PUBLISHED
from regnetlab.models.registry import find_model
from regnetlab.models.summary import summarise
from regnetlab.spaces.complexity import config_complexity
from regnetlab.spaces.config import Config, parse_anynet
from regnetlab.spaces.law import RegNetLaw, parse_law
from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.sampler import sample
from regnetlab.spaces.space import SPACES
from regnetlab.spaces.template import PAPER, SMALL, Template
from tests.models.export.renamed import TIMM, TORCHVISION, Pair, renamed

TINY = PAPER.changed("3x32x32", 7)
RATIOS = (1 / 6, 1 / 4, 1 / 3, 1 / 2, 1, 2, 3, 4)


def built(text: str) -> nn.Module:
    """The module that a snippet makes."""
    names: dict[str, Any] = {}
    exec(compile(text, "snippet", "exec"), names)
    model = names["model"]
    assert isinstance(model, nn.Module)
    return model


def assert_same(network: Network, theirs: nn.Module, names: Sequence[Pair]) -> None:
    """Params are the counted ones; with our weights, logits are ours."""
    counts = config_complexity(network.config, network.template)
    assert sum(each.numel() for each in theirs.parameters()) == counts["params"]
    ours = AnyNet(network.config, network.template).eval()
    theirs.load_state_dict(renamed(ours.state_dict(), names))
    template = network.template
    images = torch.randn(2, template.channels, template.height, template.width)
    with torch.no_grad():
        torch.testing.assert_close(theirs.eval()(images), ours(images))


def random_configs() -> list[Config]:
    space = SPACES["AnyNetA"].within(Ranges(depth=(1, 2), width=(8, 64), bottleneck_ratio=RATIOS))
    drawn = sample(space, 12, TINY, seed=1).population.configs()
    return [
        Config(c.depths, c.widths, c.group_widths, c.bottleneck_ratios, 0.25 * (i % 2))
        for i, c in enumerate(drawn)
    ]


@pytest.mark.parametrize("config", random_configs(), ids=lambda config: config.text)
def test_torchvision_builds_the_same_network(config: Config) -> None:
    network = Network(config, TINY)
    assert_same(network, built(torchvision(network).text), TORCHVISION)


@pytest.mark.parametrize("name", PUBLISHED)
def test_torchvision_builds_the_published_networks(name: str) -> None:
    with torch.device("meta"):
        model = built(torchvision(Network(PUBLISHED[name], PAPER)).text)
    params = sum(each.numel() for each in model.parameters())
    assert params == config_complexity(PUBLISHED[name], PAPER)["params"]


def test_torchvision_takes_strides_stem_and_any_number_of_stages() -> None:
    template = Template("odd", 3, 40, 24, 5, stem_width=24, stem_stride=2, strides=(1, 3, 2))
    for text in ("anynet:d=1,1,2,1,1;w=8,16,16,32,24;g=4;b=1,2,1,0.5,1", "anynet:d=2;w=16;g=16;b=1"):
        network = Network(parse_anynet(text), template)
        assert_same(network, built(torchvision(network).text), TORCHVISION)


def test_torchvision_kwargs_are_the_snippet_s() -> None:
    from torchvision.models.regnet import BlockParams, RegNet

    network = Network(random_configs()[1], TINY)
    kwargs = dict(torchvision(network).kwargs or {})
    model = RegNet(BlockParams(**kwargs.pop("block_params")), **kwargs)
    assert_same(network, model, TORCHVISION)


def test_torchvision_s_own_law_would_give_other_widths() -> None:
    from torchvision.models.regnet import BlockParams

    law = LAWS["regnetx_400mf"]
    theirs = BlockParams.from_init_params(law.depth, int(law.w0), law.wa, law.wm, law.group_width)
    kwargs = torchvision(Network(law.config, PAPER)).kwargs
    assert kwargs is not None
    assert (theirs.widths[-1], kwargs["block_params"]["widths"][-1]) == (400, 384)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (SMALL, "3 channels, not 1; give --input 3x28x28"),
        (Template("odd", 3, 32, 32, 10, stem_width=16, stem_stride=1, strides=(2,)), "stride 2, not 1"),
    ],
)
def test_torchvision_refuses_another_stem(template: Template, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        torchvision(Network(PUBLISHED["regnetx_400mf"], template))


def test_a_squeeze_that_vanishes_in_some_blocks_is_refused_and_in_all_left_out() -> None:
    some = Network(parse_anynet("anynet:d=1,1,1,1;w=8,16,32,64;g=8;se=0.025"), TINY)
    with pytest.raises(InputError, match="no channel in 2 of 4 blocks"):
        torchvision(some)
    none = Network(parse_anynet("anynet:d=1,1;w=8,16;g=8;se=0.01"), TINY)
    assert_same(none, built(torchvision(none).text), TORCHVISION)


def sampled_laws() -> list[RegNetLaw]:
    """RegNets by their law, every second with squeeze-and-excitation."""
    space = SPACES["RegNet"].within(Ranges(depth=(1, 4), width=(8, 256), bottleneck_ratio=RATIOS))
    population = sample(space, 12, TINY, seed=2).population
    w0, wa, wm = (population.law[name].tolist() for name in ("w0", "wa", "wm"))
    return [
        RegNetLaw(w0[i], wa[i], wm[i], c.depth, max(c.group_widths), c.bottleneck_ratios[0], 0.25 * (i % 2))
        for i, c in enumerate(population.configs())
    ]


@pytest.mark.parametrize("law", sampled_laws(), ids=lambda law: law.config.text)
def test_timm_builds_the_same_network(law: RegNetLaw) -> None:
    pytest.importorskip("timm", reason="timm is no dependency; pip install timm to compare with it")
    network = Network(law.config, TINY, law)
    assert_same(network, built(timm(network).text), TIMM)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_regnet_has_its_law_as_timm_s_arguments(name: str) -> None:
    network = network_of(find_model(name), PAPER, "timm")
    kwargs = timm(network).kwargs
    assert kwargs is not None
    law: Mapping[str, Any] = kwargs["cfg"]
    again = RegNetLaw(
        law["w0"], law["wa"], law["wm"], law["depth"], law["group_size"], 1, law["se_ratio"]
    ).config
    assert again == PUBLISHED[name]


@pytest.mark.parametrize(
    ("ours", "theirs"), [("regnetx_200mf", "regnetx_002"), ("regnety_200mf", "regnety_002")]
)
def test_timm_loads_our_weights_under_its_names_as_a_checkpoint(
    ours: str, theirs: str, tmp_path: Path
) -> None:
    create_model = pytest.importorskip("timm", reason="timm is no dependency").create_model
    from safetensors.torch import save_file

    module = find_model(ours).build(PAPER).eval()
    save_file(timm_state(module.state_dict()), tmp_path / "timm.safetensors")
    loaded = create_model(theirs, checkpoint_path=str(tmp_path / "timm.safetensors")).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(loaded(images), module(images))


LAW = "regnet:w0=24,wa=24.48,wm=2.54,d=22,g=16"


@pytest.mark.parametrize(
    ("text", "template", "reason"),
    [
        (LAW, SMALL, "stage strides 1, 2, 2, 2 behind a stem of stride 2"),
        ("regnet:w0=24,wa=8,wm=2.5,d=13,g=8", TINY, "four stages of stride 2"),
        ("regnet:w0=25,wa=24.48,wm=2.54,d=22,g=16", TINY, "a multiple of 8, not 25"),
        (f"{LAW},se=0.0125", TINY, "rounds to no channel in"),
        ("regnet:w0=40,wa=24,wm=2,d=16,g=32,b=1/3", TINY, "timm rounds this law to other stages"),
    ],
)
def test_timm_refuses_what_it_cannot_build(text: str, template: Template, reason: str) -> None:
    law = parse_law(text)
    with pytest.raises(InputError, match=reason):
        timm(Network(law.config, template, law))


def test_timm_needs_a_law() -> None:
    with pytest.raises(InputError, match="no law gives exactly"):
        timm(Network(parse_anynet("anynet:d=1,1,1,1;w=64,32,16,8;g=8"), TINY))


def test_a_form_is_exported_with_its_own_widths_and_without_the_original_s_law() -> None:
    model = find_model("regnetx_400mf@0.25x")
    network = network_of(model, SMALL, "torchvision")
    assert network.law is None
    assert config_complexity(network.config, SMALL)["params"] == summarise(model, SMALL).params
    assert network.config != PUBLISHED["regnetx_400mf"]


@pytest.mark.parametrize("name", ["resnet18", "regnetx_400mf@original"])
def test_what_is_no_anynet_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="is no AnyNet"):
        network_of(find_model(name), SMALL, "pytorch")
