"""Files of weights: safetensors, with the keys of the module's state dict and what they belong to."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from regnetlab.errors import InputError

METADATA = "regnetlab"


def read_weights(path: Path) -> tuple[dict[str, torch.Tensor], Mapping[str, Any]]:
    """The tensors of a file and what it says of itself, such as its model and template.

    Raises ``InputError`` where it can't be read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            metadata = json.loads((file.metadata() or {}).get(METADATA, "{}"))
    except (OSError, SafetensorError, ValueError) as error:
        raise InputError(f"{path} can't be read as weights: {error}; name a file of `train --save`") from None
    return tensors, metadata if isinstance(metadata, dict) else {}
