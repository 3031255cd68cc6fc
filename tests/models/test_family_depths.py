"""Families at any depth: what a depth is, the named networks among them, and grids near some flops."""

import re
from pathlib import Path

import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn

from regnetlab.errors import InputError
from regnetlab.models.families import family_grid, is_family, without_forms
from regnetlab.models.forms import TOLERANCE, settled
from regnetlab.models.registry import ANY_DEPTH, find_model
from regnetlab.models.summary import summarise
from regnetlab.spaces.template import SMALL


def built(text: str) -> nn.Module:
    with torch.device("meta"):
        return find_model(text).build(SMALL)


@pytest.mark.parametrize(
    ("at_depth", "named"),
    [
        ("resnet@2d", "resnet18"),
        ("vgg@2d", "vgg13"),
        ("vgg_bn@2d", "vgg13_bn"),
        ("alexnet@3d", "alexnet"),
        ("nin@1d", "nin"),
        ("densenet_small@4d", "densenet_small"),
        ("bn_lenet@1d", "bn_lenet"),
    ],
)
def test_at_its_depth_a_family_is_the_named_network(at_depth: str, named: str) -> None:
    for form, template in (("", find_model(named).template), ("@0.75x", SMALL)):
        layers, others = (
            summarise(find_model(f"{name}{form}"), template).layers for name in (at_depth, named)
        )
        assert layers == others
    weights = []
    for name in (at_depth, named):
        torch.manual_seed(5)
        weights.append(find_model(f"{name}@0.75x").build(SMALL).state_dict())
    assert list(weights[0]) == list(weights[1])
    assert all(torch.equal(*pair) for pair in zip(*(each.values() for each in weights), strict=True))
    assert find_model(at_depth).family == find_model(named).family


def convolutions(text: str) -> list[tuple[str, int, int]]:
    """Part, kernel and width of each convolution."""
    return [
        (name, each.kernel_size[0], each.out_channels)
        for name, each in built(text).named_modules()
        if isinstance(each, nn.Conv2d)
    ]


def test_a_depth_is_what_the_rule_says() -> None:
    def kernels(text: str) -> list[int]:
        return [kernel for _, kernel, _ in convolutions(text)]

    assert (
        sum("block" in name and "shortcut" not in name for name, *_ in convolutions("resnet@3d@small")) == 24
    )
    assert kernels("resnet_bottleneck@2d@small").count(3) == 1 + 4 * 2
    groups = [m.groups for m in built("resnext@1d@small").modules() if isinstance(m, nn.Conv2d)]
    assert groups.count(32) == 4
    widths = [width for *_, width in convolutions("vgg@3d@small")]
    assert widths == [64] * 3 + [128] * 3 + [256] * 3 + [512] * 6
    assert kernels("densenet@5d@small") == [3, *[1, 3] * 5, *[1, *[1, 3] * 5] * 3]
    assert kernels("densenet_small@2d@small") == [3, *[3, 3], *[1, 3, 3] * 3]
    assert [width for *_, width in convolutions("alexnet@1d@small")] == [96, 256, 256]
    assert [width for *_, width in convolutions("alexnet@5d@small")] == [96, 256, *[384] * 4, 256]
    assert kernels("nin@2d@small") == [3, 1, 1, 3, 1, 1, 5, 1, 1, *[3, 1, 1] * 4]
    assert [width for *_, width in convolutions("bn_lenet@2d@4x")] == [24, 24, 64, 64]


def test_inceptions_of_a_stage_are_the_published_ones_and_then_its_last() -> None:
    def stages(text: str) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for layer in summarise(find_model(text), SMALL).parts(2):
            stage, _, block = layer.part.partition(".")
            if block[:1].isdigit():
                found.setdefault(stage, []).append(layer.output[0])
        return found

    assert stages("googlenet@1d@small") == {"b3": [256], "b4": [512], "b5": [832]}
    assert stages("googlenet@3d@small") == {
        "b3": [256, 480, 480],
        "b4": [512, 512, 512],
        "b5": [832, 1024, 1024],
    }
    assert len(stages("googlenet@28d@0.25x")["b4"]) == 28


@pytest.mark.parametrize("name", ANY_DEPTH)
def test_every_family_is_counted_as_fvcore_counts_and_grows_with_depth(name: str) -> None:
    flops = []
    for depth in (1, 2, 5):
        model = find_model(f"{name}@{depth}d@{'1' if name == 'bn_lenet' else '0.25'}x")
        counted = FlopCountAnalysis(model.build(SMALL).eval(), torch.zeros(1, 1, 28, 28))
        by_operator = counted.unsupported_ops_warnings(False).by_operator()
        flops.append(summarise(model, SMALL).flops)
        assert flops[-1] == by_operator["conv"] + by_operator["linear"]
    assert flops == sorted(set(flops))


@pytest.mark.parametrize("name", ANY_DEPTH)
def test_a_family_of_depth_one_is_built_as_published_too(name: str) -> None:
    for text in (f"{name}@1d", f"{name}@1d@original"):
        model = find_model(text)
        assert summarise(model, model.template).layers[-1].output[0] == model.template.classes
        assert find_model(model.text).text == text


def depth_of(text: str) -> int:
    return int(text.split("@")[1].removesuffix("d"))


@pytest.mark.parametrize(
    ("text", "least"), [("resnet@3MF", 4), ("vgg_bn@3MF", 3), ("resnext@d@1MF", 1), ("alexnet@d@1MF", 3)]
)
def test_a_grid_holds_every_depth_that_comes_near_the_shallowest_first(text: str, least: int) -> None:
    grid = family_grid(text, SMALL)
    depths = [depth_of(each) for each in grid]
    assert len(grid) >= least
    assert depths == sorted(set(depths))
    name, form = text.partition("@")[0], text.rpartition("@")[2]
    target = find_model(f"{name}@1d@{form}").flops
    assert target is not None
    for depth in range(1, max(depths) + 2):
        one = find_model(f"{name}@{depth}d@{form}")
        if depth in depths:
            here = grid[depths.index(depth)]
            assert settled(one, SMALL).text == here
            assert abs(summarise(find_model(here), SMALL).flops / target - 1) <= TOLERANCE
        else:
            with pytest.raises(InputError, match="no multiplier comes within"):
                settled(one, SMALL)


def test_a_resnet_10_is_in_the_grid_at_one_million() -> None:
    first = family_grid("resnet@1MF", SMALL)[0]
    model = find_model(first)
    assert without_forms(first) == "resnet@1d"
    weighed = [m for m in model.build(SMALL).modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert sum(m.kernel_size != (1, 1) if isinstance(m, nn.Conv2d) else True for m in weighed) == 10
    assert summarise(model, SMALL).flops == 1_050_864


@pytest.mark.parametrize("name", ["resnet", "vgg"])
def test_the_page_shows_what_the_grids_hold(name: str) -> None:
    page = Path(__file__).parents[2] / "docs" / "baselines.md"
    shown = [
        line for line in page.read_text().splitlines() if line.startswith(f"| `{name}`") and "1d@" in line
    ]
    grids = [family_grid(f"{name}@{flops}", SMALL) for flops in ("1MF", "3MF")]
    cells = [", ".join(f"`{each.partition('@')[2]}`" for each in grid) for grid in grids]
    assert [line.split(" | ")[1:] for line in shown] == [[cells[0], f"{cells[1]} |"]]


def test_a_grid_for_other_images_is_counted_on_them() -> None:
    grid = family_grid("resnet@3MF@40px", SMALL)
    assert all(each.endswith("@40px") for each in grid)
    assert all(abs(summarise(find_model(each), SMALL).flops / 3e6 - 1) <= TOLERANCE for each in grid)
    assert family_grid("ResNet@d@3m@040PX", SMALL) == grid


def test_a_family_that_comes_nowhere_near_is_refused_with_the_nearest() -> None:
    smallest = summarise(find_model("googlenet@1d@0.25x"), SMALL).flops
    message = f"of these flops; the nearest have {smallest / 1e6}M (googlenet@1d@0.25x)"
    with pytest.raises(InputError, match=re.escape(message)):
        family_grid("googlenet@d@1MF", SMALL)
    with pytest.raises(InputError, match=r"have .*K \(bn_lenet@1d@1.999x\) and .*M \(bn_lenet@1d@2x\)"):
        family_grid("bn_lenet@d@1MF", SMALL)
    with pytest.raises(InputError, match=r"nearest have .*M \(bn_lenet@16d@8x\)$"):
        family_grid("bn_lenet@d@900GF", SMALL)
    with pytest.raises(InputError, match="`bn_lenet@1d@1x` needs 1×16×16 at least"):
        family_grid("bn_lenet@d@1MF", SMALL.changed("1x9x9"))
    with pytest.raises(InputError, match="it must be 1 to 1,024"):
        family_grid("resnet@1MF@0px", SMALL)
    with pytest.raises(InputError, match="'resnet18@1MF' is not a family"):
        family_grid("resnet18@1MF", SMALL)


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("resnet@1MF", True),
        ("ResNet@500kf", True),
        ("resnet-bottleneck@1MF", True),
        ("resnet@d@1MF", True),
        ("alexnet@d@1MF", True),
        ("vgg_bn@1MF@96px", True),
        ("resnet18@1MF", False),
        ("resnet18@d@1MF", False),
        ("resnet@2d@1MF", False),
        ("alexnet@1MF", False),
        ("resnet", False),
        ("resnet@small", False),
        ("resnet@d", False),
        ("resnet@1MF@2MF", False),
    ],
)
def test_a_family_near_some_flops_is_told_from_one_network(text: str, family: bool) -> None:
    assert is_family(text) == family


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resnet", "'resnet' is a family of networks, not one; write a depth, as in resnet@2d or"),
        ("vgg@small", "'vgg' is a family of networks, not one; write a depth, as in vgg@2d"),
        ("resnet@1MF", "is a family of networks, not one; write a depth, as in resnet@1d@1MF"),
        ("alexnet@d@1MF@64px", "not one; write a depth, as in alexnet@1d@1MF@64px"),
        ("resnet@d@0.5x", "resnet@d: a depth without a number goes with flops alone; write resnet@2d, or"),
        ("resnet@0d", "resnet@0d: the depth is 0; it must be a whole number from 1 to 64"),
        ("resnet@99d@1MF", "the depth is 99"),
        ("nin@1.5d", "the depth is 1.5"),
        ("nin@-1d", "the depth is -1"),
        ("resnet@1d@2d", "resnet@1d@2d says twice how deep the network is; say it once"),
        ("resnet@1MF@2d", "the depth comes first; write resnet@2d@1MF"),
        ("resnet@96px@2d", "the depth comes first; write resnet@2d@96px"),
        ("resnet@1d@1MF@0.5x", "has two forms"),
        ("resnet@1d@original@64px", "says twice how many pixels"),
        ("resnet18@2d", "resnet18@2d: resnet18 has a depth of its own; families of any depth are bn_lenet,"),
        ("anynet:d=1;w=64;g=2;b=1@2d", "has a depth of its own"),
        ("rasnet@2d", "family 'rasnet' is not known; did you mean 'resnet'?"),
        (
            "alexnet@2d",
            "`alexnet@2d` needs 1×65×65 at least; `alexnet@2d@original` resizes, `alexnet@2d@small`",
        ),
    ],
)
def test_what_is_no_network_of_a_family_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        find_model(text).build(SMALL)


def test_depths_may_be_written_loosely() -> None:
    assert find_model(" ResNet@02D @0.25x").text == "resnet@2d@0.25x"
