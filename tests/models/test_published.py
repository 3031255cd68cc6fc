"""The published RegNets, against the figures of the pycls model zoo (dev/model_complexity.json)."""

import pytest
import torch

from regnetlab.models.published import PUBLISHED
from regnetlab.models.registry import find_model
from regnetlab.spaces.complexity import config_complexity
from regnetlab.spaces.config import Config
from regnetlab.spaces.template import PAPER

# flops (with the biases of the classifier and of squeeze-and-excitation, which pycls counts), params, acts
FIGURES = {
    "regnetx_200mf": (199_040_872, 2_684_792, 2_164_056),
    "regnetx_400mf": (397_678_568, 5_157_512, 3_143_272),
    "regnetx_600mf": (600_891_112, 6_196_040, 3_975_096),
    "regnetx_800mf": (799_700_712, 7_259_656, 5_148_744),
    "regnetx_1.6gf": (1_602_850_792, 9_190_136, 7_933_512),
    "regnetx_3.2gf": (3_176_622_952, 15_296_552, 11_367_432),
    "regnetx_4gf": (3_964_499_816, 22_118_248, 12_201_608),
    "regnetx_6.4gf": (6_460_292_264, 26_209_256, 16_369_744),
    "regnetx_8gf": (7_995_133_416, 39_572_648, 14_059_688),
    "regnetx_12gf": (12_086_679_016, 46_106_056, 21_366_568),
    "regnetx_16gf": (15_940_756_456, 54_278_536, 25_515_496),
    "regnetx_32gf": (31_735_930_792, 107_811_560, 36_302_160),
    "regnety_200mf": (199_519_076, 3_162_996, 2_168_052),
    "regnety_400mf": (401_849_056, 4_344_144, 3_892_496),
    "regnety_600mf": (601_227_608, 6_055_160, 4_334_296),
    "regnety_800mf": (797_183_328, 6_263_168, 5_249_888),
    "regnety_1.6gf": (1_612_087_326, 11_202_430, 8_044_814),
    "regnety_3.2gf": (3_176_496_162, 19_436_338, 11_263_418),
    "regnety_4gf": (3_973_301_344, 20_646_656, 12_287_200),
    "regnety_6.4gf": (6_355_221_876, 30_583_252, 16_407_188),
    "regnety_8gf": (7_963_074_196, 39_180_068, 17_968_916),
    "regnety_12gf": (12_092_395_504, 51_822_544, 21_384_496),
    "regnety_16gf": (15_911_534_044, 83_590_140, 23_041_228),
    "regnety_32gf": (32_279_583_362, 145_046_770, 30_261_570),
}


def biases(config: Config) -> int:
    """The classifier's and squeeze-and-excitation's biases, on one pixel each."""
    count, w_in = 1_000, PAPER.stem_width
    for depth, width, ratio in zip(config.depths, config.widths, config.bottleneck_ratios, strict=True):
        for block_in in (w_in, *[width] * (depth - 1)):
            if squeezed := round(block_in * config.se_ratio):
                count += squeezed + width // ratio
        w_in = width
    return count


def test_all_twenty_four_are_here() -> None:
    assert set(PUBLISHED) == set(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_counts_are_the_published_ones(name: str) -> None:
    counts = config_complexity(PUBLISHED[name], PAPER)
    flops, params, acts = FIGURES[name]
    assert counts == {"flops": flops - biases(PUBLISHED[name]), "params": params, "acts": acts}


@pytest.mark.parametrize("spelling", ["RegNetX-4.0GF", "regnetx_4gf", "regnetx-4GF"])
def test_names_are_found_however_they_are_spelt(spelling: str) -> None:
    assert find_model(spelling).text == "regnetx_4gf"


def test_a_published_network_runs() -> None:
    logits = find_model("regnety_200mf").build(PAPER)(torch.zeros(2, 3, 224, 224))
    assert logits.shape == (2, 1000)
