"""What the shell completes: names of studies, models, spaces, blocks, data sets and formats, and words of
options.
"""

from collections.abc import Callable
from pathlib import Path

_HAND_DESIGNED = (
    *("bn_lenet", "bn_lenet_scratch", "alexnet", "nin"),
    *("vgg11", "vgg13", "vgg16", "vgg19", "vgg11_slim"),
    *("vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"),
    *("googlenet", "googlenet_aux"),
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *("resnext50_32x4d", "resnext101_32x8d"),
    *("densenet_small", "densenet121", "densenet161", "densenet169", "densenet201"),
)


def among(*words: str) -> Callable[[], list[str]]:
    """Completes one of these words."""
    return lambda: list(words)


def study_names() -> list[str]:
    """The studies under studies/."""
    return sorted(each.parent.name for each in Path("studies").glob("*/study.toml"))


def data_sets(incomplete: str) -> list[str]:
    """Published data sets, and folders: by their path, as folder:PATH or as pack:DIR."""
    from regnetlab.training.datasets import PUBLISHED

    kind, colon, start = incomplete.rpartition(":")
    if not colon:
        return [*PUBLISHED, "folder:", "pack:", *_folders(incomplete)]
    return [f"{kind}:{each}" for each in _folders(start)] if kind in ("folder", "pack") else []


def _folders(start: str) -> list[str]:
    parent, slash, name = start.rpartition("/")
    try:
        found = sorted(each.name for each in Path(parent or slash or ".").iterdir() if each.is_dir())
    except OSError:
        return []
    return [f"{parent}{slash}{each}" for each in found if each.startswith(name) and not each.startswith(".")]


def spaces() -> list[str]:
    """The spaces that every study may use."""
    from regnetlab.spaces.space import SPACES

    return list(SPACES)


def blocks() -> list[str]:
    """The blocks that a space may be made of."""
    from regnetlab.spaces.blocks import block_names

    return ["x", "y", *(name for name in block_names() if name != "x")]


def examples() -> list[str]:
    """The studies that come with the package."""
    from regnetlab.study.examples import examples

    return list(examples())


def formats() -> list[str]:
    """What networks are exported to."""
    from regnetlab.models.export.formats import FORMATS

    return list(FORMATS)


def models() -> list[str]:
    """The networks that have a name (``models.registry.named_models``, which needs torch)."""
    from regnetlab.models.published import PUBLISHED

    return [*_HAND_DESIGNED, *PUBLISHED]


def models_or_studies() -> list[str]:
    """What `latency` measures."""
    return [*study_names(), *models()]
