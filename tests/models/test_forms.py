"""Small forms and flops regimes: one rule for every family, and what can't be had is said."""

import numpy as np
import pytest
import torch
from torch import nn

from regnetlab.errors import InputError
from regnetlab.models.forms import TOLERANCE, Resize, settled
from regnetlab.models.registry import find_model, named_models
from regnetlab.models.scale import Scale
from regnetlab.models.summary import summarise
from regnetlab.spaces.template import PAPER, SMALL, Template

ONE_EACH = ["bn_lenet", "alexnet", "vgg16", "nin", "googlenet", "resnet18", "resnet50", "resnext50_32x4d"]
ONE_EACH += ["densenet_small", "densenet121", "regnetx_200mf"]


def built(text: str, template: Template = SMALL) -> nn.Module:
    return find_model(text).build(template)


@pytest.mark.parametrize("name", ONE_EACH)
def test_a_small_form_classifies_small_images(name: str) -> None:
    for text in (f"{name}@small", f"{name}@0.75x"):
        assert built(text).eval()(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize("name", ONE_EACH)
def test_the_widths_of_a_small_form_are_multiples_of_eight(name: str) -> None:
    model = built(f"{name}@0.7x")
    widths = [m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)]
    if "densenet" in name:
        assert widths[0] % 8 == 0  # the others are sums of growths
    else:
        assert all(width % 8 == 0 or width == SMALL.classes for width in widths)


def test_no_downsampling_leaves_less_than_two_pixels() -> None:
    layers = summarise(find_model("vgg16@small"), SMALL).layers
    sides = [layer.output[1] for layer in layers if len(layer.output) == 3]
    assert sides[0] == 14
    assert min(sides) == 3
    assert min(s for layer in summarise(find_model("resnet18@small"), SMALL).layers for s in layer.output) > 0


@pytest.mark.parametrize("name", ONE_EACH)
@pytest.mark.parametrize("flops", [500_000, 3_000_000, 20_000_000])
def test_a_regime_is_reached_within_a_tenth_or_refused_with_what_can_be_had(name: str, flops: int) -> None:
    text = f"{name}@{flops // 1000}KF"
    try:
        model = settled(find_model(text), SMALL)
    except InputError as error:
        assert any(
            word in str(error) for word in ("smallest small form has", "nearest small forms have", "largest")
        )
    else:
        assert abs(summarise(model, SMALL).flops / flops - 1) <= TOLERANCE
        assert find_model(model.text).build(SMALL)


def test_the_smallest_form_named_in_a_refusal_is_that_small() -> None:
    with pytest.raises(InputError, match=r"smallest small form has 6.823104M \(googlenet@0.25x\)"):
        settled(find_model("googlenet@1MF"), SMALL)
    assert summarise(find_model("googlenet@0.25x"), SMALL).flops == 6_823_104
    with pytest.raises(InputError, match="largest small form has"):
        settled(find_model("bn_lenet@9GF"), SMALL)


def test_flops_that_fall_with_the_multiplier_are_found() -> None:
    # 64 channels inside at 0.313x are rounded to groups otherwise than 20 at 0.2x.
    model = settled(find_model("anynet:d=1;w=64;g=2;b=8@59.86K"), SMALL)
    assert summarise(model, SMALL).flops == 59_860
    with pytest.raises(InputError, match=r"smallest small form has 47\.984K"):
        settled(find_model("anynet:d=1;w=64;g=2;b=8@1K"), SMALL)


@pytest.mark.parametrize(("form", "usual"), [("Original", "original"), ("SMALL", "small")])
def test_a_form_may_be_written_in_any_case(form: str, usual: str) -> None:
    assert find_model(f"resnet18@{form}").text == f"resnet18@{usual}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("resnet18@0.01x", "rounds a width of 64 to zero; the smallest that keeps it is 0.0625"),
        ("resnet18@0x", "must be above 0"),
        ("resnet18@9x", "at most 8"),
        ("resnet18@huge", "there are original, small"),
        ("resnet18@", "form ''"),
        ("resnet18@0MF", "without flops"),
    ],
)
def test_forms_that_can_not_be_are_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        built(text)


def test_an_original_resizes_images_to_its_own_input() -> None:
    with torch.device("meta"):
        model = built("alexnet@original").eval()
        assert model(torch.empty(2, 1, 28, 28)).shape == (2, 10)
    shapes = [layer.output for layer in summarise(find_model("alexnet@original"), SMALL).layers]
    assert shapes[0] == (1, 224, 224)
    assert summarise(find_model("alexnet@original"), SMALL).flops == 938_146_176


def test_originals_have_no_multiplier() -> None:
    assert Scale().width(13) == 13
    assert Scale(0.5).widths((64, 24)) == (32, 16)


def test_auxiliary_classifiers_speak_in_training_only() -> None:
    template = PAPER.changed("1x96x96", 10)
    model = built("googlenet_aux", template)
    images = torch.randn(2, 1, 96, 96)
    outputs = model(images)
    assert isinstance(outputs, tuple)
    assert [tuple(each.shape) for each in outputs] == [(2, 10)] * 3
    sum(each.sum() for each in outputs).backward()
    assert all(p.grad is not None for p in model.parameters())
    assert model.eval()(images).shape == (2, 10)
    plain = built("googlenet", template)
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if "auxiliary" not in k})
    assert torch.equal(plain.eval()(images), model(images))


@pytest.mark.parametrize(
    ("name", "part", "field"),
    [("resnet18", "stage4", 435), ("resnet50", "stage1", 35), ("densenet121", "block4", 2071)],
)
def test_receptive_fields_are_the_published_ones(name: str, part: str, field: int) -> None:
    """Araujo et al. 2019, table 1; ResNet-50's first stage by hand: 11 pixels and 3 · 2 · 4."""
    parts = {each.name: each for each in summarise(find_model(name), PAPER).parts(1)}
    assert parts[part].receptive_field == field


def test_a_receptive_field_is_what_the_gradient_sees() -> None:
    model = built("resnet18@0.1x", SMALL.changed("1x96x96")).eval()
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 0.01)
    image = torch.ones(1, 1, 96, 96, requires_grad=True)
    x = image
    for name, part in model.named_children():
        x = part(x)
        if name == "stage2":
            break
    x[0, 0, x.shape[2] // 2, x.shape[3] // 2].backward()
    assert image.grad is not None
    seen = int((image.grad[0, 0].abs().sum(1) > 0).sum())
    parts = {e.name: e for e in summarise(find_model("resnet18@0.1x"), SMALL.changed("1x96x96")).parts(1)}
    assert parts["stage2"].receptive_field == seen


def test_parts_add_up() -> None:
    for model in named_models()[::7]:
        found = summarise(model, model.template)
        for depth in (1, 2):
            parts = found.parts(depth)
            assert sum(part.flops for part in parts) == found.flops
            assert sum(part.params for part in parts) == found.params


@pytest.mark.parametrize("side", [14, 20, 28, 96, 224])
def test_images_are_resized_as_pillow_does_within_a_level(side: int) -> None:
    """Pillow rounds to whole levels after each axis, up to a level of 255 away from the exact mean."""
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (8, 28, 28)).astype(np.uint8)
    theirs = np.stack(
        [np.asarray(Image.fromarray(each).resize((side, side), Image.Resampling.BILINEAR)) for each in pixels]
    )
    ours = Resize(side, side)(torch.from_numpy(pixels)[:, None].float())[:, 0].numpy()
    apart = np.abs(ours - theirs)
    assert apart.max() <= 1.01
    assert apart.mean() < 0.35


def test_a_form_in_pixels_builds_the_network_for_that_many() -> None:
    for text, side in (("resnet18@96px", 96), ("alexnet@0.25x@64px", 64), ("resnet18@2MF@40px", 40)):
        network = find_model(text).build(SMALL)
        seen: list[torch.Size] = []
        network[1].register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(inputs[0].shape))
        assert network.eval()(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
        assert seen == [torch.Size((2, 1, side, side))]
    at_64 = summarise(find_model("anynet:d=1,1;w=16,32;g=8;b=1@64px"), SMALL)
    plain = summarise(find_model("anynet:d=1,1;w=16,32;g=8;b=1"), SMALL.changed("1x64x64"))
    assert (at_64.flops, at_64.params) == (plain.flops, plain.params)
    flops = summarise(find_model("resnet18@2MF@40px"), SMALL).flops
    assert abs(flops / 2e6 - 1) <= TOLERANCE
    assert find_model("resnet18@096PX").text == "resnet18@96px"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("resnet18@0px", "it must be 1 to 1,024"),
        ("resnet18@5000px", "it must be 1 to 1,024"),
        ("resnet18@96px@0.25x", "only pixels may follow another form"),
        ("resnet18@0.25x@0.5x", "has two forms"),
        ("resnet18@96px@64px", "says twice"),
        ("resnet18@original@64px", "says twice"),
        ("nin@20px", "`nin` needs 1×67×67 at least"),
    ],
)
def test_pixels_that_can_not_be_are_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        find_model(text).build(SMALL)
