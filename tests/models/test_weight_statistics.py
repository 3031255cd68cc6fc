"""Statistics of a network's weights, and weights that are another network's."""

import math
from collections.abc import Mapping
from dataclasses import asdict

import pytest
import torch

from regnetlab.errors import InputError
from regnetlab.models.registry import find_model
from regnetlab.models.weight_statistics import of_layer, saved_template, weight_statistics
from regnetlab.spaces.template import SMALL


def weights(name: str) -> Mapping[str, torch.Tensor]:
    torch.manual_seed(3)
    return find_model(name).build(SMALL).state_dict()


@pytest.mark.parametrize(
    "name", ["bn_lenet", "bn_lenet_scratch", "resnet18@0.1x", "regnety_200mf", "vgg11_slim@small"]
)
def test_statistics_are_those_of_the_tensors(name: str) -> None:
    tensors = weights(name)
    found = weight_statistics(find_model(name), SMALL, tensors)
    assert [each.name for each in found] == [
        key for key in tensors if not key.endswith("num_batches_tracked")
    ]
    for each in found:
        values = tensors[each.name].flatten().tolist()
        mean = math.fsum(values) / len(values)
        assert each.mean == pytest.approx(mean, abs=1e-12)
        assert each.std == pytest.approx(math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values)))
        assert (each.min, each.max) == (min(values), max(values))
        assert each.values is None or list(each.values) == values


@pytest.mark.parametrize("name", ["bn_lenet", "bn_lenet_scratch"])
def test_a_norm_has_gamma_beta_and_running_statistics(name: str) -> None:
    found = weight_statistics(find_model(name), SMALL, weights(name))
    roles = [each.role for each in of_layer(found, "block2.norm")]
    assert roles == ["gamma", "beta", "running mean", "running var"]
    assert of_layer(found, "block2.norm") == of_layer(found, "5")
    assert {each.role for each in of_layer(found, "fc1")} == {"weight", "bias"}
    assert {each.part for each in of_layer(found, "block1")} == {"block1.conv", "block1.norm"}
    with pytest.raises(InputError, match=r"layer 'block2.nrm' is not known; did you mean 'block2.norm'"):
        of_layer(found, "block2.nrm")


def test_weights_of_another_network_are_refused_with_what_differs() -> None:
    tensors = dict(weights("bn_lenet"))
    first = tensors.pop("0.weight")
    with pytest.raises(InputError, match=r"not weights of bn_lenet: 0.weight is missing; name"):
        weight_statistics(find_model("bn_lenet"), SMALL, tensors)
    with pytest.raises(InputError, match=r"0.weight is 6×1×25 instead of 6×1×5×5"):
        weight_statistics(find_model("bn_lenet"), SMALL, tensors | {"0.weight": first.flatten(2)})
    with pytest.raises(InputError, match=r"99.weight is not one of its"):
        weight_statistics(find_model("bn_lenet"), SMALL, tensors | {"0.weight": first, "99.weight": first})
    with pytest.raises(InputError, match=r"and \d+ more"):
        weight_statistics(find_model("resnet18@0.1x"), SMALL, weights("bn_lenet"))


def test_a_template_is_read_whole_or_not_at_all() -> None:
    assert (
        saved_template({"template": asdict(SMALL) | {"strides": [1, 2, 2, 2], "input": "1x28x28"}}) == SMALL
    )
    assert saved_template({}) is None
    assert saved_template({"template": {"height": 28}}) is None
    assert saved_template({"template": asdict(SMALL) | {"height": "tall"}}) is None
