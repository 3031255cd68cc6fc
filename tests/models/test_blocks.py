"""Blocks: they count as fvcore does, compute what torchvision's do, and are tried before they are used."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.models.convnext import CNBlock
from torchvision.models.efficientnet import MBConv as TheirMBConv
from torchvision.models.efficientnet import MBConvConfig
from torchvision.models.regnet import ResBottleneckBlock
from torchvision.models.resnet import BasicBlock as TheirBasicBlock

from regnetlab.errors import InputError
from regnetlab.models.anynet import AnyNet, block_class
from regnetlab.models.blocks import BasicBlock, ConvNeXtBlock, MBConv
from regnetlab.models.custom_block import custom_block
from regnetlab.models.folding import folded
from regnetlab.models.registry import find_model, model_of
from regnetlab.models.summary import summarise
from regnetlab.spaces import blocks
from regnetlab.spaces.blocks import BLOCKS, Cost, Own, Sizes, block_named, convolution, norm
from regnetlab.spaces.complexity import complexity, config_complexity
from regnetlab.spaces.config import Config, parse_anynet
from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.sampler import sample
from regnetlab.spaces.space import space_named
from regnetlab.spaces.template import SMALL, STEMS, Template
from tests.models.test_counts import counted_by_fvcore, random_template

NAMES = [*BLOCKS, "y"]
PER_BLOCK = 36


@pytest.mark.parametrize("name", NAMES)
def test_closed_forms_equal_fvcore_on_random_networks(name: str) -> None:
    random = np.random.default_rng(len(name))
    space = space_named("AnyNetA").made_of(name).within(Ranges(depth=(1, 3), width=(8, 96)))
    for seed, stem in enumerate(STEMS):
        template = replace(random_template(random), stem=stem)
        found = sample(space, PER_BLOCK // 3, template, seed=seed)
        for index, config in enumerate(found.population.configs()):
            assert counted_by_fvcore(config, template) == found.complexity.row(index), config.text


@pytest.mark.parametrize("name", NAMES)
def test_own_parameters_beyond_what_is_drawn_are_counted_too(name: str) -> None:
    block = block_named("x" if name == "y" else name)
    own = {each: [1, 9, 3] for each in block.own}
    ratios = [1, 2, 1 / 6] if "b" in block.uses else [1]
    squeeze = 0.1 if block.squeezes else 0
    config = Config.compatible([1, 2, 1], [16, 8, 48], [1], ratios, squeeze, block.name, own)
    template = SMALL.changed("2x15x11", 3)
    assert counted_by_fvcore(config, template) == config_complexity(config, template)


@pytest.mark.parametrize("name", NAMES)
def test_a_network_of_the_block_maps_images_to_logits_and_trains_every_weight(name: str) -> None:
    space = space_named("RegNet").made_of(name)
    space = space.within(replace(space.ranges, width=(8, 64), depth=(1, 3)))
    for config in sample(space, 4, SMALL).population.configs():
        for activation in ("", "silu"):
            model = AnyNet(config, replace(SMALL, activation=activation))
            logits = model(torch.randn(4, 1, 28, 28))
            assert logits.shape == (4, 10)
            logits.square().sum().backward()
            assert all(each.grad is not None for each in model.parameters())


def test_the_notation_of_every_block_is_read_back() -> None:
    for name in NAMES:
        space = space_named("AnyNetA").made_of(name, stages=[2, 3])
        for config in sample(space.within(space.ranges), 20, SMALL).population.configs():
            assert parse_anynet(config.text) == config
            assert find_model(config.text).text == config.text


def test_y_is_x_with_squeeze_and_excitation() -> None:
    assert parse_anynet("anynet:d=1;w=8;g=8;b=1;block=y").text == "anynet:d=1;w=8;g=8;b=1;se=0.25"
    assert parse_anynet("anynet:d=1;w=8;g=8;b=1;se=0.5;block=y").text == "anynet:d=1;w=8;g=8;b=1;se=0.5"
    assert parse_anynet("anynet:d=1;w=8;block=x").text == "anynet:d=1;w=8;g=1;b=1"


def _sizes(
    name: str, w_in: int, width: int, inner: int, stride: int, squeezed: int = 0, **own: int
) -> nn.Module:
    block = block_named(name)
    made = block_class(block)(w_in, width, inner, inner, stride, squeezed, block.activation, **own)
    return _disturbed(made)


def _disturbed(module: nn.Module) -> nn.Module:
    """With other weights and statistics than those that a new module has, which hide what is left out."""
    torch.manual_seed(1)
    for each in module.state_dict().values():
        if each.is_floating_point():
            each.copy_(torch.rand_like(each) * 0.5 + 0.1)
    return module.eval()


def _with_values_of(theirs: nn.Module, ours: nn.Module) -> nn.Module:
    """Their module with our values, whose order is the same."""
    values = list(ours.state_dict().values())
    state = {
        name: value.reshape(there.shape)
        for (name, there), value in zip(theirs.state_dict().items(), values, strict=True)
    }
    theirs.load_state_dict(state)
    return theirs.eval()


@pytest.mark.parametrize(("w_in", "width", "stride"), [(16, 16, 1), (16, 24, 1), (16, 16, 2), (16, 40, 2)])
@pytest.mark.parametrize("k", [3, 5])
def test_mbconv_is_torchvisions(w_in: int, width: int, stride: int, k: int) -> None:
    ours = _sizes("mbconv", w_in, width, 4 * w_in, stride, w_in // 4, k=k)
    config = MBConvConfig(4, k, stride, w_in, width, 1)
    theirs = _with_values_of(TheirMBConv(config, 0.0, nn.BatchNorm2d), ours)
    _check_equal(ours, theirs, w_in)


def test_mbconv_that_widens_nothing_is_torchvisions() -> None:
    ours = _sizes("mbconv", 16, 16, 16, 1, 4, k=3)
    theirs = _with_values_of(TheirMBConv(MBConvConfig(1, 3, 1, 16, 16, 1), 0.0, nn.BatchNorm2d), ours)
    _check_equal(ours, theirs, 16)


@pytest.mark.parametrize(("w_in", "width", "stride"), [(16, 16, 1), (16, 24, 1), (16, 16, 2)])
def test_a_basic_block_is_torchvisions(w_in: int, width: int, stride: int) -> None:
    ours = _sizes("basic", w_in, width, width, stride)
    assert isinstance(ours, BasicBlock)
    down = None
    if ours.shortcut is not None:
        down = nn.Sequential(nn.Conv2d(w_in, width, 1, stride, bias=False), nn.BatchNorm2d(width))
    theirs = _with_values_of(TheirBasicBlock(w_in, width, stride, down), ours)
    _check_equal(ours, theirs, w_in)


@pytest.mark.parametrize(("w_in", "width", "stride"), [(16, 16, 1), (16, 24, 1), (16, 32, 2)])
@pytest.mark.parametrize(("group_width", "squeezed"), [(4, 0), (8, 4), (0, 0)])
def test_x_y_and_r_are_torchvisions(
    w_in: int, width: int, stride: int, group_width: int, squeezed: int
) -> None:
    inner = width // 2
    group_width = group_width or inner
    made = block_class(BLOCKS["x"])(w_in, width, inner, group_width, stride, squeezed)
    ours = _disturbed(made)
    theirs = ResBottleneckBlock(
        w_in, width, stride, nn.BatchNorm2d, nn.ReLU, group_width, 0.5, squeezed / w_in or None
    )
    theirs_first = {"proj": "shortcut", "f.a": "1", "f.b": "2", "f.se": "se", "f.c": "3"}
    state = {}
    for name in theirs.state_dict():
        part = next(each for each in theirs_first if name.startswith(each))
        rest = name.removeprefix(f"{part}.")
        ours_part = theirs_first[part]
        if ours_part == "se":
            rest = rest.replace("fc1", "reduce").replace("fc2", "expand")
            state[name] = made.state_dict()[f"se.{rest}"]
        elif ours_part == "shortcut":
            state[name] = made.state_dict()[f"shortcut.{rest}"]
        else:
            kind, _, value = rest.partition(".")
            layer = ("conv" if kind == "0" else "norm") + ours_part
            state[name] = made.state_dict()[f"{layer}.{value}"]
    theirs.load_state_dict(state)
    _check_equal(ours, theirs.eval(), w_in)


@pytest.mark.parametrize("width", [8, 24])
def test_a_convnext_block_is_torchvisions(width: int) -> None:
    ours = _sizes("convnext", width, width, 4 * width, 1, k=7)
    assert isinstance(ours, ConvNeXtBlock)
    theirs = CNBlock(width, 1.0, 0.0)
    values = ours.state_dict()
    names = {
        "layer_scale": "scale",
        "block.0": "conv1",
        "block.2": "norm",
        "block.3": "conv2",
        "block.5": "conv3",
    }
    state = {}
    for name, there in theirs.state_dict().items():
        part = next(each for each in names if name.startswith(each))
        state[name] = values[names[part] + name.removeprefix(part)].reshape(there.shape)
    theirs.load_state_dict(state)
    _check_equal(ours, theirs.eval(), width)


@pytest.mark.parametrize(("w_in", "width", "stride"), [(8, 8, 1), (8, 16, 2)])
def test_v_and_vr_are_one_convolution_without_and_with_a_residual_connection(
    w_in: int, width: int, stride: int
) -> None:
    for name in ("v", "vr"):
        ours = _sizes(name, w_in, width, width, stride)
        images = torch.randn(2, w_in, 7, 5)
        values = ours.state_dict()

        def normed(x: torch.Tensor, names: str, values: Mapping[str, Any] = values) -> torch.Tensor:
            mean, variance, weight, bias = (
                values[f"{names}.{each}"][None, :, None, None]
                for each in ("running_mean", "running_var", "weight", "bias")
            )
            return (x - mean) / torch.sqrt(variance + 1e-5) * weight + bias

        expected = normed(
            functional.conv2d(images, values["conv1.weight"], stride=stride, padding=1), "norm1"
        )
        if name == "vr":
            same = w_in == width and stride == 1
            expected += (
                images
                if same
                else normed(
                    functional.conv2d(images, values["shortcut.0.weight"], stride=stride), "shortcut.1"
                )
            )
        torch.testing.assert_close(ours(images), expected.clamp(min=0), rtol=1e-5, atol=1e-5)


def _check_equal(ours: nn.Module, theirs: nn.Module, w_in: int) -> None:
    images = torch.randn(2, w_in, 9, 6)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_folding_norms_changes_no_output(name: str) -> None:
    space = space_named("AnyNetA").made_of(name)
    space = space.within(replace(space.ranges, width=(8, 32), depth=(1, 2)))
    config = sample(space, 1, SMALL).population.config(0)
    model = AnyNet(config, SMALL)
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(8, 1, 28, 28))
        images = torch.randn(4, 1, 28, 28)
        torch.testing.assert_close(folded(model)(images), model.eval()(images), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_stems_give_maps_of_the_size_that_the_template_says(stem: str, stride: int) -> None:
    template = replace(SMALL, stem=stem, stem_stride=stride, height=29, width=23)
    model = AnyNet(parse_anynet("anynet:d=1,1;w=8,16;g=8;b=1"), template)
    maps: list[torch.Tensor] = []
    model[0].register_forward_hook(lambda layer, inputs, output: maps.append(output))
    model(torch.randn(2, 1, 29, 23))
    assert tuple(maps[0].shape[2:]) == template.behind_stem


def test_unknown_stems_and_activations_are_refused() -> None:
    with pytest.raises(InputError, match="stem '3x4' is not known; did you mean '3x3'"):
        replace(SMALL, stem="3x4")
    with pytest.raises(InputError, match="activation 'rleu' is not known"):
        replace(SMALL, activation="rleu")


# A block of one's own.


class Plain(nn.Module):
    """One convolution of ``k`` pixels; ``wrong`` says what is wrong with it."""

    wrong = ""

    def __init__(
        self,
        w_in: int,
        width: int,
        inner: int,
        group_width: int,
        stride: int,
        squeezed: int,
        activation: str,
        k: int,
    ) -> None:
        super().__init__()
        if self.wrong == "width":
            width += 1
        self.conv = nn.Conv2d(w_in, width, k, stride, padding=0 if self.wrong == "padding" else k // 2)
        self.unused = nn.Parameter(torch.zeros(width)) if self.wrong == "unused" else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.wrong == "detached":
            x = x.detach()
        y: torch.Tensor = self.conv(x)
        if self.wrong == "batch":
            y = y - y.mean(0, keepdim=True)
        if self.wrong == "infinite":
            y = y / 0
        if self.wrong == "raises":
            raise ValueError("no")
        return y


def _counts(s: Sizes) -> Cost:
    return convolution(s.w_in, s.width, s.own["k"], s.area, bias=True)


def _made(counts: Callable[[Sizes], Cost] | None = _counts, module: type[nn.Module] = Plain) -> blocks.Block:
    own = {"k": Own((1, 3), range(1, 10, 2), 3)}
    return custom_block("plain", module, paper="nobody", uses="", own=own, counts=counts)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> blocks.Block:
    block = _made()
    monkeypatch.setattr(blocks, "BLOCKS", {**BLOCKS, "plain": block})
    return block


def test_a_block_of_ones_own_is_drawn_counted_and_built(plain: blocks.Block) -> None:
    space = space_named("AnyNetE").made_of("plain", {"k": (1, 3, 5)})
    found = sample(space.within(Ranges(width=(8, 64), depth=(1, 3))), 12, SMALL)
    for index, config in enumerate(found.population.configs()):
        assert set(dict(config.own)["k"]) <= {1, 3, 5}
        total = summarise(model_of(config), SMALL)
        assert {"flops": total.flops, "params": total.params, "acts": total.acts} == found.complexity.row(
            index
        )


def test_without_counts_torch_counts_the_same(plain: blocks.Block, monkeypatch: pytest.MonkeyPatch) -> None:
    space = space_named("AnyNetA").made_of("plain").within(Ranges(width=(8, 64), depth=(1, 3)))
    found = sample(space, 12, SMALL)
    monkeypatch.setattr(blocks, "BLOCKS", {**BLOCKS, "plain": _made(None)})
    again = sample(space, 12, SMALL)
    assert again.population.texts() == found.population.texts()
    for name in ("flops", "params", "acts"):
        assert (getattr(again.complexity, name) == getattr(found.complexity, name)).all()
    counted = complexity(found.population, SMALL)
    assert (counted.flops == found.complexity.flops).all()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("width", r"gives \(3, 17, 1, 1\); it must give \(3, 16, 1, 1\)"),
        ("padding", "(it must give|can't be computed)"),
        ("unused", "has no gradient of unused"),
        ("detached", "passes no gradient on to what stands before it"),
        ("batch", "mixes the images of a batch"),
        ("infinite", "gives numbers that are not finite"),
        ("raises", "can't be computed: ValueError: no"),
    ],
)
def test_a_block_that_does_something_else_than_a_block_is_refused(wrong: str, says: str) -> None:
    module = type("Wrong", (Plain,), {"wrong": wrong})
    with pytest.raises(InputError, match=rf"block plain \(w_in=16, .*{says}"):
        _made(module=module)


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        (lambda s: _counts(s) + norm(s.width), r"says that it has .* params, and torch counts"),
        (lambda s: convolution(s.w_in, s.width, 3, s.area, bias=True), "flops, and torch counts"),
        (lambda s: s.nothing, "can't be counted: AttributeError"),
        (lambda s: convolution(np.max(s.w_in), s.width, s.own["k"], s.area, bias=True), "flops, and torch"),
        (lambda s: _counts(s) + Cost(flops=(s.stride > 2) * 1), "stride=3, .* flops, and torch counts"),
        (lambda s: _counts(s) + Cost(flops=(s.width > 48) * 1), "width=96, .* flops, and torch counts"),
        (lambda s: _counts(s) if s.width > 1 else Cost(), "can't be counted: ValueError"),
    ],
)
def test_a_block_that_costs_something_else_than_it_says_is_refused(
    counts: Callable[[Sizes], Cost], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        _made(counts)


class Attention(nn.Module):
    """Torch's own attention over the pixels."""

    def __init__(self, w_in: int, width: int, inner: int, group_width: int, stride: int, *_: object) -> None:
        super().__init__()
        self.smaller = nn.Conv2d(w_in, width, 1, stride)
        self.attention = nn.MultiheadAttention(width, width // group_width, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.smaller(x)
        tokens = x.flatten(2).transpose(1, 2)
        y: torch.Tensor = self.attention(tokens, tokens, tokens, need_weights=False)[0]
        return y.transpose(1, 2).reshape(x.shape)


def test_products_of_attention_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    block = custom_block("attention", Attention, paper="nobody", uses="g", groups_of="width")
    monkeypatch.setattr(blocks, "BLOCKS", {**BLOCKS, "attention": block})
    [cost] = [block.counts(Sizes(8, 16, 16, 8, 1, 4, 4))]
    found = summarise(find_model("anynet:d=1,2;w=16,32;g=8;block=attention"), SMALL)
    model = find_model("anynet:d=1,2;w=16,32;g=8;block=attention")
    assert model.config is not None
    expected = config_complexity(model.config, SMALL)
    assert {"flops": found.flops, "params": found.params, "acts": found.acts} == expected
    linear = 16 * (8 * 16 + 16 * 48 + 16 * 16)
    assert int(cost.flops) == linear + 2 * 16 * 16 * 16
    config = Config.compatible([1], [24], [16], [1], block="attention")
    assert (config.widths, config.group_widths) == ((32,), (16,))  # g divides the width


def test_a_map_that_a_block_can_not_take_is_an_error_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    class Picky(Plain):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.shape[2] == 14:
                raise ValueError("not 14")
            return super().forward(x)

    monkeypatch.setattr(blocks, "BLOCKS", {**BLOCKS, "plain": _made(module=Picky)})
    monkeypatch.setattr("regnetlab.models.anynet.BLOCKS", BLOCKS)
    with pytest.raises(InputError, match="block plain can't take a map of 16×14×14: ValueError: not 14"):
        find_model("anynet:d=1;w=8;block=plain").build(SMALL)


def test_a_package_offers_blocks_by_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        value = "their_package:BLOCK"

        def __init__(self, name: str, found: object) -> None:
            self.name, self.found = name, found

        def load(self) -> object:
            if isinstance(self.found, Exception):
                raise self.found
            return self.found

    entries = [
        Entry("plain", _made),
        Entry("other", _made()),
        Entry("broken", ImportError("no such thing")),
        Entry("number", 3),
        Entry("refused", InputError("block refused (w_in=16) gives nothing")),
    ]
    monkeypatch.setattr(blocks, "entry_points", lambda group: entries if group == blocks.ENTRY_POINTS else [])
    assert parse_anynet("anynet:d=1;w=8;block=plain;k=5").text == "anynet:d=1;w=8;block=plain;k=5"
    for name, says in (
        ("other", "gives block .plain., and no block of this name"),
        ("broken", "can't be loaded: ImportError: no such thing"),
        ("number", "gives a int, and no block of this name"),
        ("refused", "gives nothing"),
        ("plian", "did you mean 'plain'"),
    ):
        with pytest.raises(InputError, match=says):
            block_named(name)


@pytest.mark.parametrize("name", NAMES)
def test_the_summary_adds_up_to_the_closed_form(name: str) -> None:
    space = space_named("AnyNetA").made_of(name)
    space = space.within(replace(space.ranges, width=(8, 32), depth=(1, 2)))
    for config in sample(space, 5, SMALL).population.configs():
        found = summarise(model_of(config), SMALL)
        total = {"flops": found.flops, "params": found.params, "acts": found.acts}
        assert total == config_complexity(config, SMALL)


class Shared(Plain):
    """Its convolution is used twice, which costs twice and has its weights once."""

    def __init__(self, *sizes: int, k: int) -> None:
        super().__init__(*sizes, k=k)  # type: ignore[arg-type]
        self.other = nn.Conv2d(sizes[1], sizes[1], 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.other(self.other(super().forward(x)))
        return y


def test_a_layer_that_is_used_twice_has_its_weights_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCKS", {**BLOCKS, "plain": _made(None, Shared)})
    model = find_model("anynet:d=1,1;w=8,16;block=plain;k=3")
    assert model.config is not None
    found = summarise(model, SMALL)
    expected = config_complexity(model.config, SMALL)
    assert {"flops": found.flops, "params": found.params, "acts": found.acts} == expected


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ({"own": {"k": ()}}, r"own parameter k is \(\)"),
        ({"own": {"k": (3.5,)}}, r"own parameter k is \(3.5,\)"),
        ({"own": {"k": 3}}, "own parameter k is 3"),
        ({"own": {"k": Own((3, 3), (3,), 3)}}, "different whole numbers"),
        ({"own": {"id": (3,)}}, "can't be called 'id'"),
        ({"own": {"depths": (3,)}}, "can't be called 'depths'"),
        ({"bottleneck_ratio": ()}, "has no bottleneck_ratio"),
        ({"bottleneck_ratio": (0.3,)}, "bottleneck ratio 0.3 can't be used"),
        ({"activation": "tanh"}, "activation 'tanh' is not known"),
        ({"se_ratio": 0.25}, "for a block that squeezes"),
        ({"uses": "x"}, "there are g and b"),
        ({"groups_of": "input"}, "groups_of 'input' is not known"),
    ],
)
def test_a_block_that_is_described_wrongly_is_refused(what: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        custom_block("plain", Plain, paper="nobody", **what)


def test_a_block_may_not_be_called_as_one_of_the_packages_is() -> None:
    with pytest.raises(InputError, match="block 'mbconv' is one of the package's own"):
        custom_block("mbconv", Plain, paper="nobody")
    with pytest.raises(InputError, match="others are of packages, which must be installed"):
        block_named("qqq")


def test_counts_beyond_what_an_integer_holds_are_an_error(plain: blocks.Block) -> None:
    config = parse_anynet("anynet:d=1024;w=65536;block=plain;k=9")
    with pytest.raises(InputError, match="too many to count"):
        config_complexity(config, SMALL.changed("3x65536x65536"))


def test_a_template_of_old_weights_has_the_usual_stem() -> None:
    values = {name: getattr(SMALL, name) for name in SMALL.facts()}
    assert "stem" not in values
    assert Template(**values) == SMALL


@pytest.fixture(autouse=True)
def _silent() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def test_an_mbconv_has_its_activation() -> None:
    names = [type(each).__name__ for each in MBConv(8, 8, 16, 16, 1, 2).modules()]
    assert names.count("SiLU") == 3
    assert "ReLU" not in names
