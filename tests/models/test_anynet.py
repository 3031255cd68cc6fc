import math

import pytest
import torch
from torch import nn

from regnetlab.errors import InputError
from regnetlab.models.anynet import AnyNet
from regnetlab.models.blocks import BottleneckBlock
from regnetlab.models.registry import find_model
from regnetlab.models.summary import summarise
from regnetlab.spaces.law import parse_config
from regnetlab.spaces.template import PAPER, SMALL

CONFIG = parse_config("anynet:d=1,2,1,2;w=16,32,32,64;g=8;b=2;se=0.25")


def test_images_become_logits_through_halving_stages() -> None:
    model = AnyNet(CONFIG, SMALL)
    x = model.stem(torch.zeros(2, 1, 28, 28))
    assert x.shape == (2, 16, 14, 14)
    for stage, shape in zip(
        (model.stage1, model.stage2, model.stage3, model.stage4),
        ((16, 14, 14), (32, 7, 7), (32, 4, 4), (64, 2, 2)),
        strict=True,
    ):
        x = stage(x)
        assert x.shape == (2, *shape)
    assert model.head(x).shape == (2, 10)


def test_a_shortcut_convolution_stands_only_where_the_shape_changes() -> None:
    blocks = [m for m in AnyNet(CONFIG, SMALL).modules() if isinstance(m, BottleneckBlock)]
    # stage 1 keeps 16 channels at stride 1; stages 2 to 4 halve the resolution in their first block
    assert [block.shortcut is not None for block in blocks] == [False, True, False, True, True, False]


def test_a_block_is_the_sum_of_its_parts() -> None:
    block = BottleneckBlock(8, 16, 8, 4, stride=2).eval()
    x = torch.randn(1, 8, 6, 6)
    f = block.norm3(block.conv3(block.norm2(block.conv2(block.norm1(block.conv1(x)).relu())).relu()))
    assert block.shortcut is not None
    assert torch.equal(block(x), (f + block.shortcut(x)).relu())


def test_initialisation_is_the_published_one() -> None:
    torch.manual_seed(0)
    model = find_model("regnetx_400mf").build(PAPER)
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 5_000:
            wanted = math.sqrt(2 / (module.kernel_size[0] ** 2 * module.out_channels))
            assert module.weight.std().item() == pytest.approx(wanted, rel=0.06)
        if isinstance(module, nn.Linear):
            assert module.weight.std().item() == pytest.approx(0.01, rel=0.02)
            assert not module.bias.any()


def test_the_summary_names_layers_with_their_shapes() -> None:
    found = summarise(find_model(CONFIG.text), SMALL)
    first, grouped = found.layers[0], next(x for x in found.layers if "groups" in x.type)
    assert (first.name, first.type, first.output) == ("stem.conv", "Conv2d 3×3/2", (16, 14, 14))
    assert (first.params, first.flops, first.acts) == (144, 144 * 196, 16 * 196)
    assert grouped.name == "stage2.block1.conv2"
    assert found.layers[-1].name == "head.fc"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("regnetx_40mf", "did you mean 'regnetx_400mf'"),
        ("anyhow:d=1", "write a config as anynet:"),
        ("", "not known"),
    ],
)
def test_an_unknown_model_gets_a_hint(text: str, part: str) -> None:
    with pytest.raises(InputError) as caught:
        find_model(text)
    assert part in str(caught.value)


def test_a_log_linear_law_is_the_network_that_it_gives() -> None:
    law = "regnet:w0=24,growth=2.1,stages=4,d=16,g=16,b=1"
    model, network = find_model(law), find_model("anynet:d=1,2,5,8;w=32,48,96,224;g=16;b=1")
    assert (model.text, model.config, model.law) == (network.text, network.config, None)
    forms = [find_model(f"{each}@0.5x") for each in (law, network.text)]
    assert len({summarise(each, SMALL).params for each in forms}) == 1
