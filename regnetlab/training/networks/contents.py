"""What folders of trained networks hold, and the way from such a folder to the weights that are meant.

A folder may come from elsewhere: names in it lead nowhere else, and weights are refused that are not those
that model.json was written for.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from regnetlab.errors import InputError, unknown
from regnetlab.files import open_foreign, read_foreign

VERSION = 1
"""Of model.json and family.json; another one is refused."""
MODEL, FAMILY, WEIGHTS = "model.json", "family.json", "model.safetensors"
_MOST_BYTES = 2**26
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_REMEDY = "write the folder again with regnetlab finish"
_WHAT_TO_GIVE = "give a folder that regnetlab finish wrote, or a file of train --save"


def check_name(name: object) -> str:
    """The name of a network's folder; raises ``InputError`` for one that could lead elsewhere."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(
            f"a network can't be named {str(name)[:100]!r}",
            "take up to 100 letters, digits, '.', '-' and '_', a letter or digit first",
        )
    return name


def weights_in(path: Path, name: str | None = None) -> Path:
    """The file of weights that a path means: the file itself, a network's folder, or a family's.

    Args:
        path: As the user gave it.
        name: Of the network in a family's folder; by default the one that the family recommends.

    Raises:
        InputError: There is nothing, the folder is neither, is damaged or of another version, or its weights
            were changed.
    """
    if not path.is_dir() or not (path / FAMILY).exists():
        if name is not None:
            raise InputError(f"{path} is no family of networks", "leave --network out")
        if not path.exists():
            raise InputError(f"{path}: there is no such folder or file", _WHAT_TO_GIVE)
        return _checked_weights(path) if path.is_dir() else path
    family = read_family(path)
    names = [each["name"] for each in family["networks"]]
    chosen = family["use"] if name is None else name
    if chosen not in names:
        raise unknown(f"{path}: network", chosen, names)
    if (path / chosen).is_symlink():
        raise InputError(f"{path / chosen} is a link, which may lead anywhere", "name where it leads to")
    return _checked_weights(path / chosen)


def read_family(folder: Path) -> dict[str, Any]:
    """What family.json says; the names of its networks are sound, and ``use`` is one of them.

    Raises:
        InputError: It is not there, damaged, or of another version.
    """
    path = folder / FAMILY
    return checked_family(_read(path), path)


def checked_family(document: dict[str, Any], path: Path) -> dict[str, Any]:
    """The document of a family itself; raises ``InputError`` with the path where its names are not sound."""
    networks = document.get("networks")
    if not isinstance(networks, list) or not all(isinstance(each, dict) for each in networks):
        raise InputError(f"{path}: networks must be a list of objects", _REMEDY)
    try:
        names = [check_name(each.get("name")) for each in networks]
        use = check_name(document.get("use"))
    except InputError as error:
        raise error.at(path) from None
    if use not in names or len(set(names)) != len(names):
        raise InputError(f"{path}: use must be the name of one of its networks", _REMEDY)
    return document


def checksum(path: Path) -> str:
    """The SHA-256 of a file's content; raises ``OSError`` and as ``open_foreign``."""
    digest = hashlib.sha256()
    with open_foreign(path) as file:
        while part := file.read(2**20):
            digest.update(part)
    return digest.hexdigest()


def _checked_weights(folder: Path) -> Path:
    """The weights in a network's folder, which must be those that model.json was written for."""
    path, weights = folder / MODEL, folder / WEIGHTS
    if not path.exists():
        raise InputError(
            f"{folder} holds no trained network",
            _WHAT_TO_GIVE,
        )
    files = _read(path).get("files")
    if not isinstance(files, dict) or not isinstance(files.get(WEIGHTS), str):
        raise InputError(f"{path} does not say the checksum of {WEIGHTS}", _REMEDY)
    try:
        found = checksum(weights)
    except OSError as error:
        raise InputError(f"{weights} can't be read: {error.strerror}", _REMEDY) from None
    if found != files[WEIGHTS]:
        raise InputError(
            f"{weights} was changed since {MODEL} was written",
            f"{_REMEDY}; to use these weights all the same, give the file itself",
        )
    return weights


def _read(path: Path) -> dict[str, Any]:
    """The object in a JSON file of our version."""
    try:
        document = json.loads(read_foreign(path, _MOST_BYTES).decode())
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}", _REMEDY) from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged: it is no JSON", _REMEDY) from None
    if not isinstance(document, dict):
        raise InputError(f"{path} is damaged: it is no JSON object", _REMEDY)
    if type(version := document.get("version")) is not int or version != VERSION:
        raise InputError(
            f"{path} is of version {str(version)[:40]}, and this regnetlab reads version {VERSION}",
            "install the regnetlab that wrote it",
        )
    return document
