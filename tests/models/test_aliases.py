"""Names of torchvision and timm, against the parameters of their own networks.

``foreign_counts.csv`` was made with torchvision 0.29.1 and timm 1.0.31 themselves: every RegNet, ResNeXt,
ResNet, DenseNet and VGG that ``list_models`` names, built without weights, its parameters summed.
"""

import csv
from pathlib import Path

import pytest

from regnetlab.errors import InputError
from regnetlab.models.aliases import OTHERS
from regnetlab.models.published import PUBLISHED
from regnetlab.models.registry import find_model
from regnetlab.models.summary import summarise
from regnetlab.spaces.complexity import config_complexity

COUNTS = {
    row["name"]: int(row["params"])
    for row in csv.DictReader((Path(__file__).parent / "foreign_counts.csv").read_text().splitlines())
}
UNKNOWN = (
    "regnetz",
    "regnetv",
    "regnety_640",
    "regnety_1280",
    "regnety_2560",
    "regnet_y_128gf",
    "regnety_040_sgn",
)
REGNETS = [name for name in COUNTS if name.startswith("regnet")]


@pytest.mark.parametrize("name", [name for name in REGNETS if not name.startswith(UNKNOWN)])
def test_a_foreign_name_of_a_regnet_is_the_network_that_it_is_there(name: str) -> None:
    model = find_model(name)
    assert model.config is not None
    assert config_complexity(model.config, model.template)["params"] == COUNTS[name]
    assert (model.text in PUBLISHED) == (name not in OTHERS)


@pytest.mark.parametrize("name", [name for name in REGNETS if name.startswith(UNKNOWN)])
def test_a_regnet_of_another_kind_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="is not known"):
        find_model(name)


@pytest.mark.parametrize(
    "name", ["resnext50_32x4d", "resnext101_32x8d", "resnet50", "densenet161", "vgg16", "vgg16_bn"]
)
def test_names_that_are_the_same_there_are_the_same_networks(name: str) -> None:
    model = find_model(name)
    assert summarise(model, model.template).params == COUNTS[name]


def test_every_published_network_has_a_name_of_timm() -> None:
    assert {find_model(name).text for name in REGNETS if not name.startswith(UNKNOWN)} >= set(PUBLISHED)


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("regnety_032", "regnety_3.2gf"),
        ("regnet_y_3_2gf", "regnety_3.2gf"),
        ("RegNet_X_800MF", "regnetx_800mf"),
        ("regnetx-120", "regnetx_12gf"),
        ("regnet_x_4.0gf", "regnetx_4gf"),
    ],
)
def test_foreign_names_are_found_however_they_are_spelt(name: str, ours: str) -> None:
    assert find_model(name) == find_model(ours)


def test_forms_of_foreign_names_are_those_of_ours() -> None:
    assert find_model("regnet_x_3_2gf@1MF").text == "regnetx_3.2gf@1MF"


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("regnety_032.ra_in1k", "regnety_3.2gf"),
        ("regnetx_500mf", "regnetx_600mf"),
        ("regnetx400mf", "regnetx_400mf"),
        ("resnet51", "resnet50"),
        ("alxnet", "alexnet"),
    ],
)
def test_a_suggestion_is_of_about_the_size_that_was_asked_for(name: str, suggested: str) -> None:
    with pytest.raises(InputError, match=f"did you mean '{suggested}'"):
        find_model(name)


@pytest.mark.parametrize("name", ["regnety_640", "regnety_32", "regnetz_c16", "regnetx_64gf", "resnet500"])
def test_nothing_is_suggested_where_it_would_be_another_size(name: str) -> None:
    with pytest.raises(InputError, match="is not known; there are"):
        find_model(name)
