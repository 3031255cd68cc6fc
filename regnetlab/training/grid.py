"""A picture of a data set: some images of each class, pixel for pixel as the networks see them."""

import io

import numpy as np
from numpy.typing import NDArray

from regnetlab.training.datasets import DataSet

_ROWS, _COLUMNS = 40, 10
_SIDE = 56  # pixels that the longer side of a small image is enlarged to, in whole steps
_GAP, _NAME, _LETTERS = 4, 160, 24


def grid_png(data: DataSet) -> bytes:
    """A PNG with a row a class (40 at most, evenly chosen) and ten training images in each."""
    from PIL import Image, ImageDraw, ImageFont

    height, width = data.train.images.shape[2:]
    step = max(1, _SIDE // max(height, width))
    cell_h, cell_w = height * step + _GAP, width * step + _GAP
    n = len(data.classes)
    labels = np.unique(np.linspace(0, n - 1, min(n, _ROWS)).round().astype(int))
    row_h = max(cell_h, 20)
    picture = Image.new("RGB", (_NAME + _COLUMNS * cell_w, len(labels) * row_h + _GAP), (128, 128, 128))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    for row, label in enumerate(labels):
        top = _GAP + row * row_h
        name = data.classes[label].encode(errors="replace").decode()
        short = name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…"
        draw.text((_GAP, top + (row_h - _GAP) // 2), short, "white", font, anchor="lm")
        for column, at in enumerate(np.flatnonzero(data.train.labels == label)[:_COLUMNS]):
            image = Image.fromarray(_enlarged(data.train.images[at], step))
            picture.paste(image, (_NAME + column * cell_w, top))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _enlarged(image: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """(channels, h, w) as (h × step, w × step, 3)."""
    colours = np.repeat(image, 3, axis=0) if len(image) == 1 else image
    return np.ascontiguousarray(colours.repeat(step, axis=1).repeat(step, axis=2).transpose(1, 2, 0))
