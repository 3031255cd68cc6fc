"""Reading plain numeric arrays from MATLAB's files of version 5, deflated or not.

The format: a header of 128 bytes whose last four give version and byte order, then elements, each a
type and a length (two 32-bit numbers) and as many bytes. A matrix holds four elements in turn: class
and flags, shape, name, values, column by column; a deflated element holds a matrix (MathWorks, MAT-File
Format, chapter 1). SciPy's reader is not used because it takes lengths at their word, up to 4 GiB, and
makes whatever objects a file holds; here cells, structs, objects and functions are refused unread.
"""

import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from regnetlab.errors import InputError
from regnetlab.training.sources.parts import MOST_BYTES

_MATRIX, _DEFLATED, _FLAGS, _SHAPE, _NAME = 14, 15, 6, 5, 1
_NUMERIC = range(6, 16)  # the classes of double, single and the integers
_COMPLEX = 0x800
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_PIECE = 2**20
_Array = NDArray[np.generic]


class _DamageError(Exception):
    """What is wrong with a file, in words that go behind its name."""


def read_matlab(path: Path) -> dict[str, _Array]:
    """The arrays in this file by name, in the type they are stored in, which may be smaller than their class.

    Raises ``InputError`` where it is damaged or holds anything but arrays of real numbers.
    """
    arrays: dict[str, _Array] = {}
    try:
        with path.open("rb") as file:
            ends = file.read(128)[124:]
            order = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}.get(ends)
            if order is None:
                raise _DamageError("is no MATLAB file of version 5")
            while tag := file.read(8):
                kind, length = _numbers(tag, order)
                stream = _Stream(file, length, deflated=kind == _DEFLATED)
                if kind == _DEFLATED:
                    kind, _ = _numbers(stream.take(8), order)
                if kind != _MATRIX:
                    raise _DamageError(f"holds an element of type {kind}, which is no matrix")
                name, array = _read_matrix(stream, order)
                if name in arrays:
                    raise _DamageError(f"holds {name!r} twice")
                arrays[name] = array
                stream.finish()
    except (OSError, EOFError, zlib.error, struct.error, _DamageError) as error:
        why = str(error) if isinstance(error, _DamageError) else f"can't be read ({error})"
        raise InputError(f"{path} {why}", "it is damaged or something else: get it anew") from error
    return arrays


def _read_matrix(stream: "_Stream", order: str) -> tuple[str, _Array]:
    flags = _numbers(_small(stream, order, _FLAGS, 8), order)[0]
    shape_bytes = _small(stream, order, _SHAPE, 4 * 32)
    shape = struct.unpack(f"{order}{len(shape_bytes) // 4}i", shape_bytes)
    name = _small(stream, order, _NAME, 64).decode("latin-1")
    if flags & 0xFF not in _NUMERIC or flags & _COMPLEX:
        raise _DamageError(f"holds {name!r}, which is no array of real numbers")
    kind, length, held = _tag(stream, order)
    type = np.dtype(order + _STORED.get(kind, "V1"))
    size = math.prod(shape) * type.itemsize
    if kind not in _STORED or min(shape, default=0) < 1 or not length == size <= MOST_BYTES:
        raise _DamageError(f"claims {length:,} bytes for {name!r} of shape {shape}, or over 2 GiB")
    values = held if held is not None else _padded(stream, length)
    return name, np.frombuffer(values, type).reshape(shape, order="F")


def _small(stream: "_Stream", order: str, kind: int, most: int) -> bytearray:
    """The bytes of an element that must be of this type and can't be long."""
    found, length, held = _tag(stream, order)
    if found != kind or length > most:
        raise _DamageError(f"has {length:,} bytes of type {found} where a matrix has up to {most} of {kind}")
    return held if held is not None else _padded(stream, length)


def _tag(stream: "_Stream", order: str) -> tuple[int, int, bytearray | None]:
    """Type and length of an element, and its bytes where it has so few that they share the tag."""
    tag = stream.take(8)
    kind, length = _numbers(tag, order)
    if kind >> 16 == 0:
        return kind, length, None
    if kind >> 16 > 4:
        raise _DamageError("has a short element of more than 4 bytes")
    return kind & 0xFFFF, kind >> 16, tag[4 : 4 + (kind >> 16)]


def _padded(stream: "_Stream", length: int) -> bytearray:
    """An element's bytes; what follows begins at a multiple of 8."""
    found = stream.take(length)
    stream.take(-length % 8)
    return found


def _numbers(eight: bytes | bytearray, order: str) -> tuple[int, int]:
    first, second = struct.unpack(f"{order}II", eight)
    return first, second


class _Stream:
    """The next ``left`` bytes of a file, unpacked, where they are deflated, as they are taken."""

    def __init__(self, file: BinaryIO, left: int, deflated: bool) -> None:
        self._file = file
        self._left = left
        self._inflater = zlib.decompressobj() if deflated else None

    def take(self, n: int) -> bytearray:
        """Exactly n bytes; memory grows with what is there. Raises ``EOFError`` where there are fewer."""
        found = bytearray()
        while len(found) < n:
            wanted = n - len(found)
            if self._inflater is None:
                piece = self._read(wanted)
                ended = not piece
            else:
                packed = self._inflater.unconsumed_tail or self._read(_PIECE)
                piece = self._inflater.decompress(packed, wanted)
                ended = not piece and (self._inflater.eof or not packed)
            if ended:
                raise EOFError("it ends too early")
            found += piece
        return found

    def finish(self) -> None:
        """Raise unless all was taken and, where it is deflated, its checksum is right."""
        rest = b""
        if self._inflater is not None:
            while not rest and not self._inflater.eof:
                packed = self._inflater.unconsumed_tail or self._read(_PIECE)
                rest = self._inflater.decompress(packed, 1)
                if not packed and not rest and not self._inflater.eof:
                    raise EOFError("it ends too early")
        if rest or self._left:
            raise _DamageError("holds more than its headers announce")

    def _read(self, most: int) -> bytes:
        piece = self._file.read(min(most, self._left, _PIECE))
        self._left -= len(piece)
        return piece
