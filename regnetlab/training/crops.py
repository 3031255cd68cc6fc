"""Parts of images of different sizes, brought to one size on the device: random ones, or the middle.

Numbers are those of torchvision's ``resized_crop`` of tensors, bilinear and without antialiasing: a part is
seldom much larger than the input, since packs hold images of about its size.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from regnetlab.spaces.arrays import Floats, Ints
from regnetlab.training.packs.shards import CENTRE

_AREA, _RATIO = (0.08, 1.0), (3 / 4, 4 / 3)
"""Of a random part: its share of the image, and its width over its height (Szegedy et al. 2015, section 6;
the values are torchvision's)."""
_ERASED_AREA, _ERASED_RATIO = (0.02, 0.33), (0.3, 3.3)
_TRIES = 10
_WORDS = 2 * _TRIES + 4  # random numbers for each image
_PART, _COLOUR, _HOLE = range(3)  # what random numbers are for


@dataclass(frozen=True, slots=True)
class Ragged:
    """Images one after another in ``flat`` (pixels, channels), each row by row from the pixel ``offsets`` on.

    ``offsets`` and ``widths`` are (n,).
    """

    flat: torch.Tensor
    offsets: torch.Tensor
    widths: torch.Tensor


def resized(images: Ragged, boxes: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """The parts ``boxes`` (n, 4: top, left, height, width) of the images, brought to one size.

    Returns:
        float32 (n, channels, height, width), from 0 to 255, in channels_last order.
    """
    device = images.flat.device
    top, left, tall, broad = (boxes[:, i, None].to(torch.float64) for i in range(4))

    def places(start: torch.Tensor, length: torch.Tensor, size: int) -> tuple[torch.Tensor, ...]:
        """The pixel at or before each place, the one after it, and the share of the latter: (n, size)."""
        at = (torch.arange(size, device=device, dtype=torch.float64) + 0.5) * (length / size) - 0.5
        at = torch.minimum(at.clamp_min(0), length - 1)
        before = at.floor()
        after = torch.minimum(before + 1, length - 1)
        return (start + before).long(), (start + after).long(), (at - before).float()

    y0, y1, down = places(top, tall, height)
    x0, x1, across = places(left, broad, width)
    above, below = (images.offsets[:, None] + y * images.widths[:, None] for y in (y0, y1))

    def pixels(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """(n, height, width, channels)."""
        where = (rows[:, :, None] + columns[:, None, :]).reshape(-1)
        return images.flat.index_select(0, where).float().reshape(len(boxes), height, width, -1)

    across, down = across[:, None, :, None], down[:, :, None, None]
    upper = torch.lerp(pixels(above, x0), pixels(above, x1), across)
    lower = torch.lerp(pixels(below, x0), pixels(below, x1), across)
    return torch.lerp(upper, lower, down).permute(0, 3, 1, 2)


def centres(heights: Ints, widths: Ints, height: int, width: int, side: int) -> Ints:
    """The part of each image that is judged, (n, 4) as for ``resized``.

    It has the input's proportions and lies in the middle: as large as the image has room for or, where the
    images' short sides are longer than the input (``side``), ``CENTRE`` of that.
    """
    share = CENTRE if side > max(height, width) else 1.0
    scale = np.minimum(heights / height, widths / width) * share
    tall = np.clip(np.rint(height * scale), 1, heights).astype(np.int64)
    broad = np.clip(np.rint(width * scale), 1, widths).astype(np.int64)
    return np.stack([(heights - tall) // 2, (widths - broad) // 2, tall, broad], 1)


def random_parts(heights: Ints, widths: Ints, drawn: Floats) -> Ints:
    """A random part of each image, (n, 4) as for ``resized``, as torchvision's ``RandomResizedCrop`` does it.

    ``drawn`` is (n, ``_WORDS``), see ``_parts``. Where no try fits, the part is the middle with the nearest
    possible ratio.
    """
    boxes, fits = _parts(heights, widths, drawn, _AREA, _RATIO)
    ratios = np.clip(widths / heights, *_RATIO)
    tall = np.minimum(heights, np.rint(widths / ratios))
    broad = np.minimum(widths, np.rint(heights * ratios))
    middle = np.stack([(heights - tall) // 2, (widths - broad) // 2, tall, broad], 1)
    return np.where(fits[:, None], boxes, middle).astype(np.int64)


def _parts(
    heights: Ints,
    widths: Ints,
    drawn: Floats,
    area: tuple[float, float],
    ratio: tuple[float, float],
    room: int = 0,
) -> tuple[Floats, NDArray[np.bool_]]:
    """Parts whose share of the image and whose width over height lie between these, and whether one fits.

    ``drawn`` (n, ``_WORDS``) are uniform numbers: pairs for the area and the ratio of up to ten tries, then
    for the place. A part leaves so much ``room`` in either direction.
    """
    share = drawn[:, :_TRIES] * (area[1] - area[0]) + area[0]
    low, high = map(math.log, ratio)
    form = np.exp(drawn[:, _TRIES : 2 * _TRIES] * (high - low) + low)
    wanted = share * (heights * widths)[:, None]
    broad, tall = np.rint(np.sqrt(wanted * form)), np.rint(np.sqrt(wanted / form))
    fits = (broad > 0) & (broad <= widths[:, None] - room) & (tall > 0) & (tall <= heights[:, None] - room)
    first, rows = fits.argmax(1), np.arange(len(heights))
    tall, broad = tall[rows, first], broad[rows, first]
    top = np.floor(drawn[:, 2 * _TRIES] * (heights - tall + 1))
    left = np.floor(drawn[:, 2 * _TRIES + 1] * (widths - broad + 1))
    return np.stack([top, left, tall, broad], 1), fits.any(1)


def holes(seed: int, epoch: int, images: Ints, share: float, height: int, width: int) -> Ints:
    """The part of each image that is erased in this epoch, (n, 4) as for ``resized``; empty for others than
    about this ``share`` of the images (Zhong et al. 2020, "Random erasing data augmentation", algorithm 1;
    areas and ratios are those of torchvision's ``RandomErasing``)."""
    drawn = draws(seed, epoch, images, purpose=_HOLE)
    sides = np.full(len(images), height), np.full(len(images), width)
    boxes, fits = _parts(*sides, drawn, _ERASED_AREA, _ERASED_RATIO, room=1)
    return np.where(((drawn[:, -1] < share) & fits)[:, None], boxes, 0).astype(np.int64)


def inside(boxes: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Which pixels lie in each image's part: (n, height, width)."""
    top, left, tall, broad = (boxes[:, i, None] for i in range(4))

    def between(start: torch.Tensor, length: torch.Tensor, size: int) -> torch.Tensor:
        at = torch.arange(size, device=boxes.device)
        return (at >= start) & (at < start + length)

    return between(top, tall, height)[:, :, None] & between(left, broad, width)[:, None, :]


def draws(seed: int, epoch: int, images: Ints, purpose: int = _PART) -> Floats:
    """Uniform numbers (n, ``_WORDS``) of these images in this epoch, others for each purpose.

    They depend on nothing else (a counter-based generator: Salmon et al. 2011, "Parallel random numbers: as
    easy as 1, 2, 3"), so a training that goes on, or has another order, draws the same ones.
    """
    found = np.empty((len(images), _WORDS))
    for row, image in enumerate(images):
        found[row] = _generator(seed, epoch, int(image), purpose).random(_WORDS)
    return found


def _generator(seed: int, epoch: int, image: int, purpose: int) -> np.random.Generator:
    counter = np.array([0, image, purpose, 0], np.uint64)
    return np.random.Generator(
        np.random.Philox(counter=counter, key=np.array([seed % 2**64, epoch], np.uint64))
    )


def flipped(drawn: Floats) -> torch.Tensor:
    """Which images are mirrored, left to right: (n,)."""
    return torch.from_numpy(drawn[:, -1] < 0.5)


# Of ImageNet's pixels from 0 to 1, red, green, blue: as in fb.resnet.torch (datasets/imagenet.lua).
_SPREAD = np.array([0.2175, 0.0188, 0.0045])
_AXES = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])


def shifts_of_colour(seed: int, epoch: int, images: Ints, deviation: float) -> Floats:
    """What is added to the pixels of these images in this epoch, from 0 to 1 by channel: (n, 3)."""
    drawn = np.empty((len(images), 3))
    for row, image in enumerate(images):
        drawn[row] = _generator(seed, epoch, int(image), _COLOUR).standard_normal(3)
    shifts: Floats = (deviation * drawn * _SPREAD) @ _AXES.T
    return shifts
