"""A folded network answers as the original, which stays as it was."""

import pytest
import torch
from torch import nn

from regnetlab.models.folding import folded
from regnetlab.models.registry import find_model
from regnetlab.spaces.template import Template

TEMPLATE = Template("tiny", 2, 64, 64, 5, stem_width=8, stem_stride=2, strides=(2, 1))


@pytest.mark.parametrize(
    "text",
    [
        "anynet:d=1,2;w=16,24;g=8;b=0.5,1;se=0.25",
        "resnet18@small",
        "densenet121@0.25x",
        "bn_lenet_scratch",
        "vgg11@0.125x",
        "googlenet@0.25x",
    ],
)
def test_outputs_are_those_of_the_original(text: str) -> None:
    torch.manual_seed(0)
    network = find_model(text).build(TEMPLATE)
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(8, 2, 64, 64) * 3)
    network.eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    images = torch.randn(4, 2, 64, 64)
    with torch.no_grad():
        expected, found = network(images), folded(network)(images)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_no_norm_is_left_in_an_anynet() -> None:
    network = folded(find_model("anynet:d=1,2;w=16,24;g=8;b=1").build(TEMPLATE))
    assert not any(isinstance(each, nn.BatchNorm2d) for each in network.modules())


def test_norms_without_statistics_and_elsewhere_stay() -> None:
    parts = (nn.BatchNorm2d(2), nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4, track_running_stats=False), nn.ReLU())
    kept = [type(each) for each in folded(nn.Sequential(*parts))]
    assert kept == [nn.BatchNorm2d, nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
