"""Names of weights in other libraries, so that one network's weights can be given to both."""

import re
from collections.abc import Callable, Mapping, Sequence

import torch

Pair = tuple[str, str | Callable[[re.Match[str]], str]]

TORCHVISION: Sequence[Pair] = (
    (r"^stem\.conv", "stem.0"),
    (r"^stem\.norm", "stem.1"),
    (r"^stage(\d+)\.block(\d+)", lambda m: f"trunk_output.block{m[1]}.block{m[1]}-{int(m[2]) - 1}"),
    (r"\.conv([123])\.", lambda m: f".f.{'abc'[int(m[1]) - 1]}.0."),
    (r"\.norm([123])\.", lambda m: f".f.{'abc'[int(m[1]) - 1]}.1."),
    (r"\.se\.reduce", ".f.se.fc1"),
    (r"\.se\.expand", ".f.se.fc2"),
    (r"\.shortcut", ".proj"),
    (r"^head\.", ""),
)
TIMM: Sequence[Pair] = (
    (r"^stem\.norm", "stem.bn"),
    (r"^stage(\d+)\.block(\d+)", r"s\1.b\2"),
    (r"\.conv([123])\.", r".conv\1.conv."),
    (r"\.norm([123])\.", r".conv\1.bn."),
    (r"\.se\.reduce", ".se.fc1"),
    (r"\.se\.expand", ".se.fc2"),
    (r"\.shortcut\.0", ".downsample.conv"),
    (r"\.shortcut\.1", ".downsample.bn"),
)


def renamed(state: Mapping[str, torch.Tensor], pairs: Sequence[Pair]) -> dict[str, torch.Tensor]:
    """The same weights under the other library's names."""
    found = {}
    for key, value in state.items():
        for pattern, other in pairs:
            key = re.sub(pattern, other, key)  # noqa: PLW2901
        found[key] = value
    return found
