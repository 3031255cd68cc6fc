"""How a pack keeps an image: its pixels (``raw``), or a JPEG that is decoded when a batch asks for it.

Pillow decodes both files and packs, so that a file's own bytes give the same pixels here as there.
torchvision's decoder takes three quarters of the time and gives the same pixels, but is to be removed
(deprecated in torchvision 0.29).
"""

import io
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regnetlab.errors import InputError
from regnetlab.files import read_foreign
from regnetlab.training.folders.decode import UnreadableError

STORES = ("raw", "jpeg")
QUALITY = 95
"""Images of tests/benchmarks/packing.py at 256 px then take 28 kB instead of 250."""
_BESIDE = 2**16  # bytes that an original may have beside as many as its pixels


def jpeg(image: NDArray[np.uint8], original: Path | None = None) -> tuple[bytes, NDArray[np.uint8]]:
    """An image (channels, height, width) as JPEG, and the pixels that a network will see.

    ``original`` is the JPEG file that the image is from: its own bytes are kept where they decode to the very
    same pixels, so that nothing is lost.
    """
    channels, height, width = image.shape
    if original is not None:
        with suppress(OSError, InputError, UnreadableError):
            data = read_foreign(original, image.nbytes + _BESIDE)
            if np.array_equal(decoded(data, channels, height, width), image.transpose(1, 2, 0)):
                return data, image
    from PIL import Image

    file = io.BytesIO()
    rows = image[0] if channels == 1 else np.ascontiguousarray(image.transpose(1, 2, 0))
    Image.fromarray(rows).save(file, "JPEG", quality=QUALITY)
    data = file.getvalue()
    return data, decoded(data, channels, height, width).transpose(2, 0, 1)


def decoded(data: bytes | memoryview, channels: int, height: int, width: int) -> NDArray[np.uint8]:
    """The pixels (height, width, channels) of a JPEG; raises ``UnreadableError`` where it has not so many."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            if image.size != (width, height):
                raise UnreadableError(f"it has {image.width} × {image.height} pixels")
            levels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except UnreadableError:
        raise
    except Exception as error:  # decoders raise whatever comes up
        raise UnreadableError(" ".join(str(error).split())[:120]) from None
    return levels.reshape(height, width, channels)
