"""A folder of trained networks: which there are, which is recommended, and an overview for its reader."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from regnetlab.files import write_atomically
from regnetlab.training.networks.card import count, milliseconds, percent, plain
from regnetlab.training.networks.contents import FAMILY, VERSION, check_name, checked_family, read_family

__all__ = ["read_family", "write_family"]


def write_family(folder: Path, document: Mapping[str, Any]) -> None:
    """Write family.json and README.md beside the networks' folders.

    Args:
        folder: With a folder for each of the networks.
        document: ``study``, ``use`` (the name of the recommended network), ``why``, and ``networks`` and
            ``baselines``, each a list of objects with ``name``, ``model``, ``flops``, ``params``, ``error``,
            ``interval`` and ``latency``.

    Raises:
        InputError: A name can't be a folder's, ``use`` is none of them, or it can't be written.
    """
    whole = checked_family({**document, "version": VERSION}, folder / FAMILY)
    write_atomically(folder / "README.md", "\n".join(_overview(whole)) + "\n")
    write_atomically(folder / FAMILY, json.dumps(whole, indent=1, allow_nan=False) + "\n")


def _overview(document: Mapping[str, Any]) -> Iterator[str]:
    use = check_name(document["use"])
    yield "# Trained networks" + (f" of {plain(document['study'])}" if document.get("study") else "")
    yield ""
    why = f": {plain(document['why'])}" if document.get("why") else ""
    another = " Another one may suit your size or time better." if len(document["networks"]) > 1 else ""
    yield f"Take **{plain(use)}**{why}.{another}"
    yield ""
    yield "| network | test error | multiply-adds | parameters | time |"
    yield "|---|---:|---:|---:|---|"
    for each in document["networks"]:
        name = plain(each["name"])
        yield _row(f"[{name}]({each['name']}/README.md)", each)
    for each in document.get("baselines") or ():
        yield _row(f"{plain(each['name'])}, for comparison", each)
    yield ""
    yield (
        "Errors are those on test images that neither trained nor chose a network, in brackets their 95%"
        " intervals. A network's README.md says what it is, how it was judged, and how to use it without"
        " regnetlab. To use the networks with regnetlab:"
    )
    yield ""
    yield "```console"
    yield f"$ regnetlab predict . IMAGE…                      # with {use}"
    yield "$ regnetlab predict . --network NAME --csv out.csv FOLDER"
    yield "```"
    yield ""
    yield "```python"
    yield "import regnetlab as rl"
    yield f'net = rl.load_network("{use}")'
    yield 'print(net.predict("image.png", top=3))'
    yield "```"


def _row(name: str, each: Mapping[str, Any]) -> str:
    cells = (
        name,
        percent(each.get("error"), each.get("interval")),
        count(each.get("flops")),
        count(each.get("params")),
        milliseconds(each.get("latency")),
    )
    return f"| {' | '.join(cells)} |"
