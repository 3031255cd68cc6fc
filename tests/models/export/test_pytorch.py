"""The standalone file: it needs only torch, and is the package's own module in weights and logits."""

import ast
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from regnetlab.models.anynet import AnyNet
from regnetlab.models.export.network import Network
from regnetlab.models.export.pytorch import pytorch
from regnetlab.spaces.complexity import config_complexity
from regnetlab.spaces.config import parse_anynet
from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.sampler import sample
from regnetlab.spaces.space import SPACES
from regnetlab.spaces.template import SMALL, STEMS, Template

BLOCKS = (
    "anynet:d=1,2;w=16,24;b=2;block=r",
    "anynet:d=1,2;w=16,24;block=v",
    "anynet:d=1,2;w=16,24;block=vr",
    "anynet:d=1,2;w=16,24;block=basic",
    "anynet:d=1,2;w=16,24;b=1/4,1;block=mbconv;k=5,3",
    "anynet:d=1,2;w=16,24;b=1/4;se=0;block=mbconv;k=3",
    "anynet:d=1,2;w=16,24;b=1/4;block=convnext;k=7,3",
)
"""One network of every block."""
ODD = Template("odd", 2, 20, 33, 5, stem_width=24, stem_stride=3, strides=(1, 3, 2))
PLAIN = Network(parse_anynet("anynet:d=1,2,1,2;w=16,32,32,64;g=8;b=2"), SMALL)


def networks() -> list[Network]:
    """Random networks, with bottlenecks of all kinds, with and without squeeze-and-excitation."""
    ratios = (1 / 6, 1 / 4, 1 / 2, 1, 2)
    space = SPACES["AnyNetA"].within(Ranges(depth=(1, 3), width=(8, 64), bottleneck_ratio=ratios))
    texts = [config.text for config in sample(space, 8, SMALL, seed=4).population.configs()]
    squeezed = ("", ";se=0.25", ";se=0.02")
    stems = [replace(ODD, stem=stem, activation="silu") for stem in STEMS]
    return [
        *(Network(parse_anynet(text + squeezed[i % 3]), (SMALL, ODD)[i % 2]) for i, text in enumerate(texts)),
        *(Network(parse_anynet(text), template) for text in BLOCKS for template in (SMALL, stems[1])),
        *(Network(PLAIN.config, template) for template in stems),
    ]


def executed(network: Network) -> type[nn.Module]:
    """The file's ``Network``."""
    names: dict[str, Any] = {"__name__": "standalone"}
    exec(compile(pytorch(network).text, "standalone.py", "exec"), names)
    found = names["Network"]
    assert issubclass(found, nn.Module)
    return found


@pytest.mark.parametrize("network", networks(), ids=lambda each: each.config.text)
def test_our_weights_load_and_give_our_logits(network: Network) -> None:
    ours = AnyNet(network.config, network.template).eval()
    theirs = executed(network)().eval()
    theirs.load_state_dict(ours.state_dict())
    template = network.template
    images = torch.randn(3, template.channels, template.height, template.width)
    with torch.no_grad():
        assert torch.equal(theirs(images), ours(images))


@pytest.mark.parametrize("network", networks()[:3], ids=lambda each: each.config.text)
def test_the_same_seed_gives_the_same_fresh_weights(network: Network) -> None:
    torch.manual_seed(5)
    ours = AnyNet(network.config, network.template).state_dict()
    torch.manual_seed(5)
    theirs = executed(network)().state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("model", BLOCKS)
def test_the_file_of_any_block_runs_alone(model: str, tmp_path: Path) -> None:
    config = parse_anynet(model)
    path = tmp_path / "standalone.py"
    path.write_text(pytorch(Network(config, SMALL)).text)
    done = subprocess.run([sys.executable, "-I", path], capture_output=True, text=True, check=True)
    assert done.stdout == f"{config_complexity(config, SMALL)['params']:,} params, logits (1, 10)\n"


def test_the_file_runs_alone_and_imports_nothing_but_torch(tmp_path: Path) -> None:
    text = pytorch(PLAIN).text
    imported = {
        name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names]
        )
    }
    assert imported == {"collections", "collections.abc", "math", "torch"}
    path = tmp_path / "standalone.py"
    path.write_text(text)
    done = subprocess.run([sys.executable, "-I", path], capture_output=True, text=True, check=True)
    params = config_complexity(PLAIN.config, PLAIN.template)["params"]
    assert done.stdout == f"{params:,} params, logits (1, 10)\n"


def test_every_name_of_the_file_is_defined_in_it() -> None:
    tree = ast.parse(pytorch(PLAIN).text)
    used = {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    assert {
        "BottleneckBlock",
        "SqueezeExcitation",
        "Stem",
        "Head",
        "assemble",
        "initialise",
    } <= used & classes


def test_two_files_differ_in_numbers_only() -> None:
    def skeleton(network: Network) -> str:
        tree = ast.parse(pytorch(network).text)
        tree.body = tree.body[1:]  # the docstring, which is the description
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
                node.value = 0
            if isinstance(node, ast.AnnAssign):
                node.value = None  # the table of stages, whose length varies
        return ast.unparse(tree)

    assert len({skeleton(network) for network in networks()[:8]}) == 1
