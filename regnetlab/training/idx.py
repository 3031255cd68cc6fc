"""Reading IDX files, the format of MNIST and Fashion-MNIST, plain or gzipped.

The format: two zero bytes, a type byte (8: uint8), the number of dimensions, each dimension as a
big-endian 32-bit number, then the data.
"""

import gzip
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from regnetlab.errors import InputError
from regnetlab.training.sources.parts import MOST_BYTES

_PIECE = 2**22


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The uint8 array in this file; raises ``InputError`` where it is damaged or something else."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            header = file.read(4 + 4 * dimensions)
            if header[:4] != bytes((0, 0, 8, dimensions)) or len(header) != 4 + 4 * dimensions:
                raise InputError(f"{path} is no IDX file of {dimensions} dimensions", "get it anew")
            shape = tuple(int(each) for each in np.frombuffer(header, ">u4", offset=4))
            size = int(np.prod(shape, dtype=object))
            if not 0 < size <= MOST_BYTES:
                raise InputError(f"{path} claims a shape of {shape}", "that is empty or over 2 GiB")
            data = _read_up_to(file, size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} can't be read ({error})", "it is damaged: get it anew") from error
    if len(data) != size:
        many = "more" if len(data) > size else f"only {len(data):,}"
        raise InputError(f"{path} should hold {size:,} bytes and has {many}", "it is damaged: get it anew")
    return np.frombuffer(data, np.uint8).reshape(shape)  # writable, as torch wants it


def _read_up_to(file: IO[bytes] | gzip.GzipFile, most: int) -> bytearray:
    """What is left of the file, in pieces: memory grows with what is there, not with what is claimed."""
    data = bytearray()
    while piece := file.read(min(_PIECE, most - len(data))):
        data += piece
    return data
