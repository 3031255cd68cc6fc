"""What the shell completes: names of studies, spaces, blocks, data sets and formats, and words of options."""

from collections.abc import Callable
from pathlib import Path


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
