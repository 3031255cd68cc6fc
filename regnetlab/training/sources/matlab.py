"""MATLAB files, read in a process of its own: over a damaged one, SciPy's reader can end its process.

``python -m regnetlab.training.sources.matlab FILE FOLDER`` writes the arrays of ``FILE`` as NumPy files into
``FOLDER``, where their headers announce images and labels; else, in one line, why not.
"""

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regnetlab.children import environment, python
from regnetlab.errors import InputError
from regnetlab.training.sources.parts import MOST_BYTES

_NUMBERS = ("double", "single", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))
_NAMES = ("X", "y")


def read_matlab(path: Path, shape: tuple[int, ...]) -> tuple[NDArray[np.uint8], NDArray[np.generic]]:
    """``X`` (*shape, n), uint8, and ``y``, numbers, of this file.

    Raises:
        InputError: It is damaged, or its headers announce anything else.
    """
    with tempfile.TemporaryDirectory(prefix="regnetlab-") as folder:
        words = python(__name__, str(path.absolute()), folder, json.dumps(shape))
        done = subprocess.run(words, capture_output=True, env=environment(), cwd=folder, check=False)
        found = Path(folder) / "why.txt"
        why = found.read_text(encoding="utf-8") if found.exists() else "it can't be read as a MATLAB file"
        if done.returncode or found.exists():
            raise InputError(f"{path}: {why}", "it is damaged or something else: get it again")
        images, labels = (np.load(Path(folder) / f"{name}.npy", allow_pickle=False) for name in _NAMES)
    return images, labels


def _read(path: Path, folder: Path, shape: tuple[int, ...]) -> str:
    """Why this file is none; else nothing, and its arrays are in the folder."""
    from scipy.io import loadmat, whosmat  # half a second to import

    try:
        announced = {name: (size, kind) for name, size, kind in whosmat(path)}
        size, kind = announced.get("X", ((), ""))
        numbers = announced.get("y", ((), ""))[1] in _NUMBERS
        whole = size[:-1] == shape and 0 < math.prod(size) <= MOST_BYTES
        if set(announced) == set(_NAMES) and kind == "uint8" and numbers and whole:
            arrays = loadmat(path, variable_names=list(_NAMES))
            if not any(np.iscomplexobj(arrays[name]) for name in _NAMES):
                for name in _NAMES:
                    np.save(folder / f"{name}.npy", arrays[name], allow_pickle=False)
                return ""
    except Exception as error:  # the reader raises whatever a damaged length leads to
        return f"it can't be read as a MATLAB file ({' '.join(str(error).split())[:200]})"
    listed = ", ".join(f"{name[:20]} {size} {kind}" for name, (size, kind) in announced.items())
    wanted = f"X {(*shape, 'n')} uint8 and y (n, 1)".replace("'", "")
    return f"it holds {listed[:150] or 'nothing'}, where {wanted} is wanted"


if __name__ == "__main__":
    given = Path(sys.argv[1]), Path(sys.argv[2]), tuple(json.loads(sys.argv[3]))
    if reason := _read(*given):
        (given[1] / "why.txt").write_text(reason, encoding="utf-8")
