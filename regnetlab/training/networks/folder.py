"""A folder for a trained network: weights, what they are, how they were judged, and ways to use them.

It is at the same time a model repository as Hugging Face has them. It is written whole or not at all.
"""

import json
import os
import platform
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regnetlab import __version__
from regnetlab.errors import InputError
from regnetlab.files import write_atomically
from regnetlab.training.folders.decode import is_folder
from regnetlab.training.networks.card import card, config_json
from regnetlab.training.networks.contents import MODEL, VERSION, WEIGHTS, check_name, checksum
from regnetlab.training.networks.judged import Judged, calibrated
from regnetlab.training.predicting import TrainedNetwork

if TYPE_CHECKING:
    from regnetlab.models.export.network import Export

_PYTORCH, _ONNX, _TIMM = "network.py", "model.onnx", "timm.safetensors"


def write_network(
    folder: Path, name: str, trained: TrainedNetwork, judged: Judged, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Write ``folder/name`` and return what its model.json says.

    Args:
        folder: Of the family; it must be there.
        name: Of the network, and of its folder, which is replaced where it holds a network already.
        trained: The network, with the classes and the preprocessing that it was trained with.
        judged: What ``judge`` found of it.
        facts: What else is known: ``model`` (its text), ``flops``, ``params``, ``acts``, ``latency``,
            ``data``, ``checksum`` of the data, ``reading``, ``recipe``, ``budget``, ``seed``, ``test_errors``
            of all seeds, ``chosen`` (how it was, in words) and ``processor``.

    Raises:
        InputError: The name can't be a folder's, something else is there, or it can't be written.
    """
    final = calibrated(trained, judged)
    document = _document(check_name(name), final, judged, facts)
    with _whole(folder / name) as part:
        _write_weights(part, final, document)
        left_out, timm = {}, None
        for file, write in ((_PYTORCH, _write_pytorch), (_ONNX, _write_onnx), (_TIMM, _write_timm)):
            try:
                timm = write(part, final, document) or timm
            except InputError as error:
                left_out[file] = error.what
        document["left_out"] = left_out
        write_atomically(part / "config.json", _json(config_json(document)))
        write_atomically(part / "README.md", card(document, None if timm is None else timm.text))
        document["files"] = {each.name: checksum(each) for each in sorted(part.iterdir())}
        write_atomically(part / MODEL, _json(document))
    return document


def _document(name: str, trained: TrainedNetwork, judged: Judged, facts: Mapping[str, Any]) -> dict[str, Any]:
    found = judged.to_json()
    template = trained.template
    data = str(facts.get("data") or trained.facts.get("data") or "")
    kind, _, place = data.partition(":")
    return {
        "version": VERSION,
        "name": name,
        "model": str(facts["model"]),
        "template": template.facts() | {"strides": list(template.strides)},
        **{each: facts.get(each) for each in ("flops", "params", "acts", "latency")},
        "classes": list(trained.classes),
        "data": f"{kind}:{Path(place).name}" if place else data,
        "data_checksum": facts.get("checksum"),
        "reading": dict(facts.get("reading") or _reading(trained)) if place or is_folder(data) else None,
        "normalisation": {"mean": trained.mean.tolist(), "std": trained.std.tolist()},
        **{each: facts.get(each) for each in ("recipe", "budget", "seed")},
        "temperature": judged.temperature,
        "validation": found["validation"],
        "test": found["test"] | {"seeds": facts.get("test_errors")},
        "chosen": facts.get("chosen"),
        "made": {
            "date": datetime.now(UTC).date().isoformat(),
            "regnetlab": __version__,
            "torch": _torch_version(),
            "processor": str(facts.get("processor") or platform.processor() or platform.machine()),
        },
    }


def _reading(trained: TrainedNetwork) -> dict[str, object]:
    said: dict[str, object] = {"fit": trained.reading.fit, "background": trained.reading.background}
    return said if trained.side is None else said | {"side": trained.side}


def _torch_version() -> str:
    import torch

    return str(torch.__version__)


def _write_weights(part: Path, trained: TrainedNetwork, document: Mapping[str, Any]) -> None:
    from regnetlab.models.weights import write_weights

    names = ("model", "template", "classes", "normalisation", "data", "reading", "recipe", "budget", "seed")
    facts = {each: document[each] for each in (*names, "temperature")}
    write_weights(
        part / WEIGHTS,
        trained.network,
        facts | {"judged_on": "validation", "error": document["validation"]["error"]},
    )


def _write_pytorch(part: Path, trained: TrainedNetwork, document: Mapping[str, Any]) -> None:
    from regnetlab.models.export.network import network_of
    from regnetlab.models.export.pytorch import Preprocessing, pytorch
    from regnetlab.models.registry import find_model

    network = network_of(find_model(document["model"]), trained.template, "pytorch")
    ways = Preprocessing(trained.mean.tolist(), trained.std.tolist(), trained.classes, trained.temperature)
    write_atomically(part / _PYTORCH, pytorch(network, ways).text)


def _write_onnx(part: Path, trained: TrainedNetwork, document: Mapping[str, Any]) -> None:
    from regnetlab.models.export.onnx import trained_onnx
    from regnetlab.models.export.standalone import Trained

    module = Trained(trained.on_cpu(), trained.mean.tolist(), trained.std.tolist(), trained.temperature)
    write_atomically(part / _ONNX, trained_onnx(module.eval(), document["model"], trained.template))


def _write_timm(part: Path, trained: TrainedNetwork, document: Mapping[str, Any]) -> "Export":
    from safetensors.torch import save

    from regnetlab.models.export.network import network_of
    from regnetlab.models.export.timm import timm, timm_state
    from regnetlab.models.registry import find_model

    written = timm(network_of(find_model(document["model"]), trained.template, "timm"))
    state = {name: tensor.contiguous() for name, tensor in timm_state(trained.on_cpu().state_dict()).items()}
    write_atomically(part / _TIMM, save(state))
    return written


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A hidden folder beside this one, which takes its name once everything is in it."""
    mark = f"{os.getpid()}-{secrets.token_hex(4)}"
    part, old = (folder.with_name(f".{folder.name}-{mark}.{ending}") for ending in ("part", "old"))
    if folder.is_symlink() or (folder.exists() and not (folder / MODEL).is_file()):
        raise InputError(
            f"{folder} is there already and is no trained network", "name another folder, or move it"
        )
    try:
        part.mkdir()
        yield part
        if folder.exists():
            folder.rename(old)
        try:
            part.rename(folder)
        except BaseException:
            with suppress(OSError):
                old.rename(folder)
            raise
    except OSError as error:
        raise InputError(f"{folder} can't be written: {error.strerror or error}") from error
    finally:
        for each in (part, old):
            shutil.rmtree(each, ignore_errors=True)


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, allow_nan=False) + "\n"
