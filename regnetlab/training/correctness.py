"""Which images a network classifies correctly, as text: one bit an image, compressed.

The bits of 10,000 images take up to 1,700 characters, and about 1,000 at an error of 12%.
"""

import base64
import zlib

import numpy as np

from regnetlab.spaces.arrays import Mask

_MOST = 10**8
"""Bytes of bits: no test split has as many images."""


def pack(correct: Mask) -> str:
    """The bits (n,) as text: their number, a colon, then base64 of the compressed bits."""
    packed = zlib.compress(np.packbits(correct).tobytes(), 9)
    return f"{len(correct)}:{base64.b64encode(packed).decode()}"


def unpack(text: str) -> Mask:
    """The bits (n,) that ``pack`` wrote as this text; raises ``ValueError`` where it wrote none such."""
    count, colon, packed = text.partition(":")
    if not colon:
        raise ValueError("no number of images before a colon")
    size = -(-int(count) // 8)
    if not 0 < size <= _MOST:
        raise ValueError(f"{count} images")
    try:  # a byte more than there may be, and no further: a short text may hold gigabytes
        data = zlib.decompressobj().decompress(base64.b64decode(packed, validate=True), size + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    bits = np.frombuffer(data, np.uint8)
    if len(bits) != size:
        raise ValueError(f"{8 * len(bits)} bits for {count} images")
    return np.unpackbits(bits, count=int(count)).astype(bool)
