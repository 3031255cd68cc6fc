"""What a summary's parts are called, and that each one's output is what the real modules return."""

import pytest
import torch
from torch import nn

from regnetlab.models.model import Model
from regnetlab.models.registry import find_model, model_of, named_models
from regnetlab.models.summary import summarise
from regnetlab.spaces.sampler import sample
from regnetlab.spaces.space import SPACES
from regnetlab.spaces.template import PAPER, SMALL, Template

Shape = tuple[int, ...]
GREY_224 = PAPER.changed("1x224x224", 10)
GREY_96 = PAPER.changed("1x96x96", 10)


def returned(model: Model, template: Template) -> tuple[dict[str, Shape], list[str]]:
    """What each module returns, in the order in which they end, and which of them have no children."""
    with torch.device("meta"):
        module = model.build(template).eval()
        image = torch.empty(1, template.channels, template.height, template.width)
    shapes: dict[str, Shape] = {}

    def note(name: str, output: torch.Tensor) -> None:
        shapes[name] = tuple(output.shape[1:])

    for name, each in module.named_modules():
        each.register_forward_hook(lambda _module, _input, output, name=name: note(name, output))
    module(image)
    return shapes, [name for name, each in module.named_modules() if not list(each.children())]


def check(model: Model, template: Template) -> None:
    """Every part at every depth returns what the last of the modules that lie wholly inside it returns."""
    shapes, leaves = returned(model, template)
    members = {
        name: {leaf for leaf in leaves if f"{leaf}.".startswith(f"{name}." if name else "")}
        for name in shapes
    }
    found = summarise(model, template)
    assert [layer.output for layer in found.layers] == [shapes[layer.name] for layer in found.layers]
    for depth in range(1, 6):
        parts, at = found.parts(depth), 0
        assert len({part.name for part in parts}) == len(parts)
        assert sum(part.flops for part in parts) == found.flops
        for part in parts:
            inside: set[str] = set()
            while at < len(found.layers) and (found.layers[at].part + ".").startswith(part.name + "."):
                inside.add(found.layers[at].name)
                at += 1
            whole = [name for name, below in members.items() if inside >= below]
            assert part.output == shapes[whole[-1]], part.name
        assert at == len(found.layers)


@pytest.mark.parametrize("name", [model.text for model in named_models()])
def test_a_part_returns_what_its_modules_return(name: str) -> None:
    model = find_model(name)
    check(model, model.template)


@pytest.mark.parametrize("form", ["small", "0.7x", "original"])
@pytest.mark.parametrize(
    "name",
    ["bn_lenet", "alexnet", "vgg16", "nin", "googlenet_aux", "resnet50", "densenet_small", "regnety_200mf"],
)
def test_so_does_a_part_of_a_form(name: str, form: str) -> None:
    check(find_model(f"{name}@{form}"), SMALL)


def test_so_does_a_part_of_a_drawn_network() -> None:
    for template in (SMALL, GREY_96):
        for config in sample(SPACES["AnyNetA"], 3, template, seed=1).population.configs():
            check(model_of(config), template)


@pytest.mark.parametrize(
    ("name", "template", "parts"),
    [
        (
            "vgg11",
            GREY_224,
            "block1 64 112 112, block2 128 56 56, block3 256 28 28, block4 512 14 14, block5 512 7 7,"
            " flatten 25088, fc1 4096, relu1 4096, dropout1 4096, fc2 4096, relu2 4096, dropout2 4096,"
            " fc3 10",
        ),
        (
            "alexnet",
            GREY_224,
            "block1 96 26 26, block2 256 12 12, block3 384 12 12, block4 384 12 12, block5 256 5 5,"
            " flatten 6400, fc1 4096, relu1 4096, dropout1 4096, fc2 4096, relu2 4096, dropout2 4096, fc3 10",
        ),
        (
            "nin",
            GREY_224,
            "block1 96 54 54, pool1 96 26 26, block2 256 26 26, pool2 256 12 12, block3 384 12 12,"
            " pool3 384 5 5, dropout 384 5 5, block4 10 5 5, pool4 10 1 1, flatten 10",
        ),
        (
            "googlenet",
            GREY_96,
            "b1 64 24 24, b2 192 12 12, b3 480 6 6, b4 832 3 3, b5 1024, fc 10",
        ),
        (
            "resnet18",
            GREY_224,
            "stem 64 56 56, stage1 64 56 56, stage2 128 28 28, stage3 256 14 14, stage4 512 7 7, head 10",
        ),
        (
            "densenet_small",
            GREY_96,
            "stem 64 24 24, block1 192 24 24, transition1 96 12 12, block2 224 12 12, transition2 112 6 6,"
            " block3 240 6 6, transition3 120 3 3, block4 248 3 3, head 10",
        ),
    ],
)
def test_the_parts_are_the_chapters(name: str, template: Template, parts: str) -> None:
    found = summarise(find_model(name), template).parts(1)
    assert ", ".join(" ".join(map(str, (part.name, *part.output))) for part in found) == parts


def test_an_inception_block_and_a_squeeze_return_more_than_their_last_layer() -> None:
    inceptions = {each.name: each for each in summarise(find_model("googlenet"), GREY_96).parts(2)}
    assert inceptions["b3.3a"].output == (256, 12, 12)
    assert inceptions["b5.5b"].output == (1024, 3, 3)
    squeezes = {each.name: each for each in summarise(find_model("regnety_200mf"), PAPER).parts(3)}
    assert squeezes["stage1.block1.se"].output == (24, 56, 56)


def test_labels_change_no_key_of_a_state_dict() -> None:
    with torch.device("meta"):
        flat = find_model("alexnet").build(GREY_224)
        named = find_model("resnet18").build(GREY_224)
    assert isinstance(flat[0], nn.Conv2d)  # type: ignore[index]
    assert list(flat.state_dict())[:4] == ["0.weight", "0.bias", "3.weight", "3.bias"]
    assert next(iter(named.state_dict())) == "conv.weight"
