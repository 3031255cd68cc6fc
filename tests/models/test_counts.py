"""Closed form, fvcore, torch and the layer-by-layer summary count the same, exactly."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from fvcore.nn import ActivationCountAnalysis, FlopCountAnalysis

from regnetlab.models.anynet import AnyNet
from regnetlab.models.registry import model_of
from regnetlab.models.summary import summarise
from regnetlab.spaces.complexity import complexity, config_complexity
from regnetlab.spaces.config import Config
from regnetlab.spaces.population import Population
from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.sampler import sample
from regnetlab.spaces.space import SPACES
from regnetlab.spaces.template import PAPER, SMALL, Template

PER_SPACE = 45


def counted_by_fvcore(config: Config, template: Template) -> dict[str, int]:
    """fvcore's counts of convolution and linear layers on the real module."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = AnyNet(config, template).eval()
        image = torch.zeros(1, template.channels, template.height, template.width)
        flops = FlopCountAnalysis(model, image).unsupported_ops_warnings(False)
        acts = ActivationCountAnalysis(model, image).unsupported_ops_warnings(False)
        by_operator = flops.by_operator()
        return {
            "flops": int(by_operator["conv"] + by_operator["linear"]),
            "params": sum(p.numel() for p in model.parameters()),
            "acts": int(acts.total()),
        }


def random_template(random: np.random.Generator) -> Template:
    height, width = random.integers(5, 40, 2).tolist()
    strides = tuple(random.integers(1, 4, 4).tolist())
    channels, stem = int(random.integers(1, 5)), 8 * int(random.integers(1, 5))
    return Template("random", channels, height, width, int(random.integers(1, 30)), stem, 2, strides)


@pytest.mark.parametrize("name", SPACES)
def test_closed_form_equals_fvcore_and_torch_on_random_networks(name: str) -> None:
    random = np.random.default_rng(len(name))
    space = SPACES[name].within(Ranges(depth=(1, 4), width=(8, 512)))
    for seed in range(3):
        template = random_template(random)
        population = sample(space, PER_SPACE // 3, template, seed=seed).population
        for index, config in enumerate(population.configs()):
            squeezed = Config(
                config.depths,
                config.widths,
                config.group_widths,
                config.bottleneck_ratios,
                se_ratio=(0.0, 0.25, 0.05)[index % 3],
            )
            assert config_complexity(squeezed, template) == counted_by_fvcore(squeezed, template)


@pytest.mark.parametrize("se_ratio", [0.0, 0.25])
def test_columns_count_what_single_networks_count(se_ratio: float) -> None:
    population = sample(SPACES["AnyNetA"], 200, PAPER).population
    squeezed = replace(population, se_ratio=se_ratio)
    counts = complexity(squeezed, PAPER)
    for index in range(0, 200, 7):
        single = complexity(squeezed.take(np.array([index])), PAPER)
        assert counts.row(index) == single.row(0)


@pytest.mark.parametrize("template", [PAPER, SMALL], ids=lambda t: t.name)
def test_the_summary_adds_up_to_the_closed_form(template: Template) -> None:
    for config in sample(SPACES["AnyNetB"], 12, template).population.configs():
        found = summarise(model_of(config), template)
        total = {"flops": found.flops, "params": found.params, "acts": found.acts}
        assert total == config_complexity(config, template)


def test_inverted_bottlenecks_are_counted_as_they_are_built() -> None:
    space = SPACES["AnyNetA"].within(
        Ranges(depth=(1, 3), width=(8, 64), bottleneck_ratio=(1 / 6, 1 / 4, 1 / 2, 1, 2))
    )
    for config in sample(space, 10, SMALL).population.configs():
        assert config_complexity(config, SMALL) == counted_by_fvcore(config, SMALL)


def test_other_numbers_of_stages_work() -> None:
    for config in (Config((2,), (16,), (8,), (1,)), Config((1,) * 6, (8,) * 6, (2,) * 6, (2,) * 6)):
        assert config_complexity(config, SMALL) == counted_by_fvcore(config, SMALL)
        assert Population.of([config]).config(0) == config
