"""Image files that tests put into folders."""

import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def plant(root: Path, *paths: str) -> Path:
    """Small PNGs at these paths below ``root``, no two alike; a path that ends in / is an empty folder."""
    for path in paths:
        if path.endswith("/"):
            (root / path).mkdir(parents=True, exist_ok=True)
            continue
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        picture(zlib.crc32(path.encode())).save(root / path, "PNG")
    return root


def picture(seed: int, width: int = 12, height: int = 8, mode: str = "RGB") -> Image.Image:
    """Noise in this mode."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)
