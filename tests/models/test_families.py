"""The hand-designed networks: the textbook's shapes and counts, and torchvision's logits."""

import re
from collections.abc import Callable

import pytest
import torch
import torchvision
from fvcore.nn import FlopCountAnalysis
from torch import nn

from regnetlab.errors import InputError
from regnetlab.models.densenet import DenseBlock
from regnetlab.models.forms import settled
from regnetlab.models.lenet import BatchNorm
from regnetlab.models.registry import find_model, named_models
from regnetlab.models.summary import summarise
from regnetlab.spaces.template import PAPER, Template

GREY_224 = PAPER.changed("1x224x224", 10)


def meta(name: str, template: Template) -> nn.Module:
    with torch.device("meta"):
        return find_model(name).build(template)


def outputs(name: str, template: Template) -> list[tuple[int, ...]]:
    """Shapes behind each of the network's own top-level parts."""
    shapes: list[tuple[int, ...]] = []
    with torch.device("meta"):
        x = torch.empty(1, template.channels, template.height, template.width)
        for part in meta(name, template).eval().children():
            x = part(x)
            shapes.append(tuple(x.shape[1:]))
    return shapes


def sizes(name: str, template: Template, kinds: tuple[type, ...]) -> list[int]:
    """Side of the map behind each part of these kinds."""
    parts = list(meta(name, template).children())
    return [
        shape[-1]
        for part, shape in zip(parts, outputs(name, template), strict=True)
        if isinstance(part, kinds)
    ]


def parameters(name: str, template: Template = PAPER) -> int:
    return sum(p.numel() for p in meta(name, template).parameters())


def test_alexnet_has_the_textbooks_maps_and_parameters() -> None:
    assert sizes("alexnet", GREY_224, (nn.Conv2d, nn.MaxPool2d)) == [54, 26, 26, 12, 12, 12, 12, 5]
    layers = [m for m in meta("alexnet", GREY_224).modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert [sum(p.numel() for p in layer.parameters()) for layer in layers] == [
        11_712,
        614_656,
        885_120,
        1_327_488,
        884_992,
        26_218_496,
        16_781_312,
        40_970,
    ]
    assert (6_400,) in outputs("alexnet", GREY_224)


def test_vgg_stages_halve_to_seven() -> None:
    for name in ("vgg11", "vgg19"):
        assert sizes(name, GREY_224, (nn.MaxPool2d,)) == [112, 56, 28, 14, 7]
        assert (25_088,) in outputs(name, GREY_224)
    slim = [m.out_channels for m in meta("vgg11_slim", GREY_224).modules() if isinstance(m, nn.Conv2d)]
    assert slim == [16, 32, 64, 64, 128, 128, 128, 128]


def test_nin_ends_in_a_map_of_one_pixel_per_class() -> None:
    kinds = (nn.Sequential, nn.MaxPool2d, nn.AdaptiveAvgPool2d)
    assert sizes("nin", GREY_224, kinds) == [54, 26, 26, 12, 12, 5, 5, 1]
    assert outputs("nin", GREY_224)[-1] == (10,)


def test_googlenet_has_the_papers_maps() -> None:
    shapes = outputs("googlenet", PAPER.changed("1x96x96", 10))
    behind_pools = [s for s in shapes if len(s) == 3]
    for expected in ((64, 24, 24), (192, 12, 12), (480, 6, 6), (832, 3, 3), (1024, 3, 3)):
        assert expected in behind_pools
    assert shapes[-2:] == [(1024,), (10,)]


def test_a_dense_block_stacks_what_its_layers_add() -> None:
    assert DenseBlock(2, 3, 10, bottleneck=False)(torch.zeros(4, 3, 8, 8)).shape == (4, 23, 8, 8)


def test_a_lenet_classifies_28_pixels() -> None:
    template = PAPER.changed("1x28x28", 10)
    assert sizes("bn_lenet", template, (nn.Conv2d, nn.AvgPool2d)) == [24, 12, 8, 4]
    assert parameters("bn_lenet", template) == parameters("bn_lenet_scratch", template)


@pytest.mark.parametrize("shape", [(16, 7), (5, 3, 6, 4), (2, 9), (3, 1, 2, 2)])
def test_the_written_out_batch_norm_is_torchs(shape: tuple[int, ...]) -> None:
    torch.manual_seed(sum(shape))
    own = BatchNorm(shape[1])
    theirs = nn.BatchNorm1d(shape[1]) if len(shape) == 2 else nn.BatchNorm2d(shape[1])
    with torch.no_grad():
        own.weight.copy_(torch.rand(shape[1]) + 0.5)
        own.bias.copy_(torch.randn(shape[1]))
    theirs.load_state_dict(own.state_dict(), strict=False)
    for training in (True, True, False):
        own.train(training)
        theirs.train(training)
        inputs = [
            (torch.randn(shape, generator=torch.Generator().manual_seed(7)) * 3 + 2).requires_grad_()
            for _ in "ab"
        ]
        results = [module(x) for module, x in zip((own, theirs), inputs, strict=True)]
        for result in results:
            (result**3).sum().backward()
        assert torch.allclose(*results, atol=1e-5)
        assert torch.allclose(inputs[0].grad, inputs[1].grad, rtol=1e-4, atol=1e-4)  # type: ignore[arg-type]
        assert torch.allclose(own.running_mean, theirs.running_mean, atol=1e-5)  # type: ignore[arg-type]
        assert torch.allclose(own.running_var, theirs.running_var, atol=1e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("vgg11", 132_863_336),
        ("vgg13", 133_047_848),
        ("vgg16", 138_357_544),
        ("vgg19", 143_667_240),
        ("vgg11_bn", 132_868_840),
        ("vgg13_bn", 133_053_736),
        ("vgg16_bn", 138_365_992),
        ("vgg19_bn", 143_678_248),
        ("resnet18", 11_689_512),
        ("resnet34", 21_797_672),
        ("resnet50", 25_557_032),
        ("resnet101", 44_549_160),
        ("resnet152", 60_192_808),
        ("resnext50_32x4d", 25_028_904),
        ("resnext101_32x8d", 88_791_336),
        ("densenet121", 7_978_856),
        ("densenet161", 28_681_000),
        ("densenet169", 14_149_480),
        ("densenet201", 20_013_928),
    ],
)
def test_parameters_are_torchvisions(name: str, count: int) -> None:
    assert parameters(name) == count


def by_position(own: nn.Module, theirs: nn.Module) -> dict[str, torch.Tensor]:
    """torchvision's state under our names: both list the same tensors in the same order of layers."""
    values = list(theirs.state_dict().values())
    names = list(own.state_dict())
    assert len(values) == len(names)
    return dict(zip(names, values, strict=True))


def resnet_keys(own: nn.Module, theirs: nn.Module) -> dict[str, torch.Tensor]:
    """layer3.1.bn2 → stage3.block2.norm2, downsample → shortcut, fc → head.2, conv1 → conv."""

    def ours(key: str) -> str:
        key = re.sub(r"^layer(\d)\.(\d+)", lambda m: f"stage{m[1]}.block{int(m[2]) + 1}", key)
        key = re.sub(r"^(conv|bn)1\.", r"\1.", key).replace("downsample", "shortcut")
        return re.sub(r"\bbn", "norm", key).replace("fc.", "head.2.")

    return {ours(key): value for key, value in theirs.state_dict().items()}


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("vgg11", by_position),
        ("vgg11_bn", by_position),
        ("vgg16_bn", by_position),
        ("resnet18", resnet_keys),
        ("resnet50", resnet_keys),
        ("resnext50_32x4d", resnet_keys),
        ("densenet121", by_position),
    ],
)
def test_with_torchvisions_weights_the_logits_are_torchvisions(
    name: str, keys: Callable[[nn.Module, nn.Module], dict[str, torch.Tensor]]
) -> None:
    torch.manual_seed(0)
    theirs = torchvision.models.get_model(name, weights=None).eval()
    own = find_model(name).build(PAPER).eval()
    own.load_state_dict(keys(own, theirs))
    image = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        assert torch.allclose(own(image), theirs(image), atol=1e-4)


@pytest.mark.parametrize("name", ["bn_lenet", "googlenet", "resnet18", "densenet_small", "vgg11_bn"])
def test_the_summary_counts_what_fvcore_counts(name: str) -> None:
    template = PAPER.changed("3x64x64", 10)
    model = find_model(name)
    image = torch.zeros(1, 3, 64, 64)
    by_operator = (
        FlopCountAnalysis(model.build(template).eval(), image).unsupported_ops_warnings(False).by_operator()
    )
    assert summarise(model, template).flops == by_operator["conv"] + by_operator["linear"]


@pytest.mark.parametrize(
    ("name", "smallest"), [("alexnet", 65), ("vgg11", 32), ("nin", 67), ("bn_lenet", 16), ("densenet121", 29)]
)
def test_an_input_too_small_is_refused_with_the_smallest_that_works(name: str, smallest: int) -> None:
    model = find_model(name)
    assert summarise(model, PAPER.changed(f"3x{smallest}x{smallest}")).params > 0
    with pytest.raises(
        InputError, match=f"`{name}` needs 3×{smallest}×{smallest} at least; `{name}@original` resizes"
    ):
        summarise(model, PAPER.changed(f"3x{smallest - 1}x{smallest - 1}"))


def test_every_named_model_takes_its_own_input_and_counting_draws_no_random_number() -> None:
    state = torch.get_rng_state()
    for model in named_models():
        assert summarise(model, model.template).layers[-1].output[0] == model.template.classes
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("text", "size", "message"),
    [
        (
            "nin",
            "1x28x28",
            "`nin` needs 1×67×67 at least; `nin@original` resizes, `nin@small` is its small form",
        ),
        (
            "bn_lenet_scratch",
            "1x8x99",
            "`bn_lenet_scratch` needs 1×16×16 at least; `bn_lenet_scratch@original`",
        ),
        ("bn_lenet@2x", "1x9x9", "`bn_lenet@2x` needs 1×16×16 at least; `bn_lenet@original` resizes"),
        ("bn_lenet@1MF", "1x9x9", "needs 1×16×16 at least; `bn_lenet@original` resizes"),
    ],
)
def test_the_way_out_of_an_input_too_small_is_one_that_works(text: str, size: str, message: str) -> None:
    template = PAPER.changed(size, 10)
    with pytest.raises(InputError, match=re.escape(message)) as refused:
        settled(find_model(text), template).build(template)
    for form in re.findall(r"`([^`]+@(?:original|small))`", str(refused.value)):
        assert summarise(find_model(form), template).layers[-1].output == (10,)


def test_a_small_form_that_does_not_help_is_not_offered() -> None:
    with pytest.raises(InputError) as refused:
        find_model("bn_lenet").build(PAPER.changed("1x8x8", 10))
    assert "small form" not in str(refused.value)
