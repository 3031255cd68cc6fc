"""A trained network as one file: its tensors in the safetensors format, and what they belong to.

The keys are those of the module's ``state_dict``; the metadata entry ``regnetlab`` is a JSON object with
``model`` (its text) and ``template``, from which the module is built again, and whatever the trainer knows
(classes, normalisation, recipe). Nothing is pickled.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from regnetlab.errors import InputError
from regnetlab.files import check_output, open_foreign, write_atomically
from regnetlab.spaces.template import Template

ENDING = ".safetensors"
_ENTRY = "regnetlab"
_SHOWN = 3  # differences named in an error


def check_weights_path(path: Path) -> None:
    """Raise ``InputError`` before any work is done for a file that could not be written."""
    check_output(path, (ENDING,))


def write_weights(path: Path, network: nn.Module, facts: Mapping[str, Any]) -> None:
    """Write the network's parameters and statistics; ``facts`` hold at least ``model`` and ``template``."""
    from safetensors.torch import save

    tensors = {
        name: tensor.detach().cpu().contiguous().clone()  # parameters may be views of one vector
        for name, tensor in network.state_dict().items()
    }
    write_atomically(path, save(tensors, {_ENTRY: json.dumps(dict(facts))}))


def read_weights(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors by name, and the facts that were written with them; none in a file of another program.

    Raises ``InputError`` for a file that is not there or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with open_foreign(path), safe_open(path, framework="pt") as file:
            entry = (file.metadata() or {}).get(_ENTRY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise InputError(f"weights {path}: there is no such file", "train writes one with --save") from None
    except (OSError, SafetensorError, ValueError) as error:
        reason = "it is a folder" if path.is_dir() else str(error)
        hint = (
            "name a file in it that ends in .safetensors"
            if path.is_dir()
            else "give a file that regnetlab train --save wrote, or model.safetensors of a network's folder"
        )
        raise InputError(f"weights {path} can't be read as safetensors: {reason}", hint) from None
    try:
        facts = json.loads(entry or "{}")
    except (ValueError, RecursionError):
        facts = {}
    return tensors, facts if isinstance(facts, dict) else {}


def _own_weights(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """As ``read_weights``; raises ``InputError`` also where the file does not say its network."""
    tensors, facts = read_weights(path)
    if not {"model", "template"} <= facts.keys():
        raise InputError(
            f"weights {path} do not say which network they are", "give a file that train --save wrote"
        )
    return tensors, facts


def load_weights(path: Path, network: nn.Module) -> dict[str, Any]:
    """Put the file's tensors into the network and return its facts; raises ``InputError`` as above, and for
    weights of another network."""
    tensors, facts = _own_weights(path)
    state = network.state_dict()
    wrong = [f"{name} is missing" for name in state if name not in tensors]
    wrong += [f"{name} is not in this network" for name in tensors if name not in state]
    wrong += [
        f"{name} is {_size(tensors[name])} and not {_size(state[name])}"
        for name in state
        if name in tensors and tensors[name].shape != state[name].shape
    ]
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise InputError(
            f"weights {path} are those of {facts['model']} on {_input(facts)}, which is another network:"
            f" {', '.join(wrong[:_SHOWN])}{more}"
        )
    network.load_state_dict(tensors)
    return facts


def trained_network(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The network that the file was written from, ready to evaluate, and its facts; errors as above."""
    from regnetlab.models.registry import find_model

    _, facts = _own_weights(path)
    try:
        values = dict(facts["template"])
        template = Template(**values | {"strides": tuple(values["strides"])})
        network = find_model(str(facts["model"])).build(template)
    except InputError as error:
        raise error.at(f"weights {path}: their network can't be built") from None
    except (TypeError, ValueError, KeyError) as error:
        raise InputError(f"weights {path}: their network can't be built: {error}") from None
    load_weights(path, network)
    return network.eval(), facts


def _input(facts: Mapping[str, Any]) -> str:
    template = facts["template"] if isinstance(facts["template"], dict) else {}
    return "x".join(str(template.get(key, "?")) for key in ("channels", "height", "width"))


def _size(tensor: torch.Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "one number"
