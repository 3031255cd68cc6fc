"""Batches: uint8 images that lie on the device become normalised, augmented input there."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats, Ints
from regnetlab.training.budget import RESIZED, Budget, Recipe
from regnetlab.training.crops import Ragged, draws, flipped, random_parts, resized, shifts_of_colour
from regnetlab.training.datasets import DataSet
from regnetlab.training.packs.images import PackedImages
from regnetlab.training.sources.parts import Split


@dataclass(frozen=True, slots=True)
class Images:
    """uint8 ``pixels`` (n, c, h, w) and ``labels`` (n,) on a device, and how to normalise them.

    Images of a pack stay in its files, and come to the device when they are needed.
    """

    pixels: torch.Tensor | PackedImages
    labels: torch.Tensor
    mean: torch.Tensor  # (1, c, 1, 1), in 0 to 255
    scale: torch.Tensor  # one over the standard deviation, likewise

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def pixel_count(self) -> int:
        """Of one image, in one channel."""
        height, width = self.pixels.shape[2:]
        return int(height * width)

    def normalised(self, which: torch.Tensor | slice) -> torch.Tensor:
        """The images at these places as float32 in channels_last order; the middle of those of a pack."""
        if isinstance(self.pixels, PackedImages):
            pixels = self.pixels.centres(_places(which, len(self)), self.labels.device)
        else:
            pixels = self.pixels[which].to(torch.float32)
        return self._normalised(pixels)

    def random_parts(self, which: torch.Tensor, drawn: Floats) -> torch.Tensor:
        """Likewise a random part of each image, in the input's size (``crops.random_parts``)."""
        device, places = self.labels.device, _places(which, len(self))
        if isinstance(self.pixels, PackedImages):
            boxes = random_parts(*self.pixels.sizes(places), drawn)
            return self._normalised(self.pixels.parts(places, boxes, device))
        channels, height, width = self.pixels.shape[1:]
        tall, broad = (np.full(len(places), side) for side in (height, width))
        there = torch.from_numpy(random_parts(tall, broad, drawn)).to(device)
        flat = self.pixels[which.to(device)].permute(0, 2, 3, 1).reshape(-1, channels)
        offsets = torch.arange(len(places), device=device) * height * width
        ragged = Ragged(flat, offsets, torch.full_like(offsets, width))
        return self._normalised(resized(ragged, there, height, width))

    def _normalised(self, pixels: torch.Tensor) -> torch.Tensor:
        return ((pixels - self.mean) * self.scale).contiguous(memory_format=torch.channels_last)


def _places(which: torch.Tensor | slice, n: int) -> Ints:
    if isinstance(which, slice):
        return np.arange(n)[which]
    places: Ints = which.cpu().numpy()
    return places


@dataclass(frozen=True, slots=True)
class DeviceData:
    """Everything a training needs, on its device; the test split only for a final training."""

    train: Images
    validation: Images
    test: Images | None = None

    def scaled(self, how: str) -> "DeviceData":
        """The same images as ``Recipe.input_scale`` says."""
        if how == "standardised":
            return self
        test = None if self.test is None else _from_0_to_1(self.test)
        return DeviceData(_from_0_to_1(self.train), _from_0_to_1(self.validation), test)


def _from_0_to_1(images: Images) -> Images:
    mean, scale = torch.zeros_like(images.mean), torch.full_like(images.scale, 1 / 255)
    return replace(images, mean=mean, scale=scale)


def on_device(data: DataSet, device: torch.device, final: bool = False) -> DeviceData:
    """Copy the data set to the device, once for all trainings there; the test split only if ``final``.

    Mean and standard deviation are those of the training images, per channel, from their exact sums.
    """
    counts = torch.from_numpy(data.levels).double()
    share = counts / counts.sum(1, keepdim=True)
    levels = torch.arange(256, dtype=torch.float64)
    mean = (share * levels).sum(1)
    variance = (share * (levels - mean[:, None]) ** 2).sum(1)
    shape = (1, -1, 1, 1)
    mean_there = mean.reshape(shape).to(device, torch.float32)
    scale_there = (variance.clamp_min(1e-12) ** -0.5).reshape(shape).to(device, torch.float32)
    train, validation = (
        _moved(split, mean_there, scale_there, device) for split in (data.train, data.validation)
    )
    there = DeviceData(train, validation)
    return with_test_split(there, data) if final else there


def with_test_split(there: DeviceData, data: DataSet) -> DeviceData:
    """The same with the test split of these data beside it."""
    train = there.train
    return replace(there, test=_moved(data.test, train.mean, train.scale, train.labels.device))


def _moved(split: Split, mean: torch.Tensor, scale: torch.Tensor, device: torch.device) -> Images:
    images = split.images
    pixels = images if isinstance(images, PackedImages) else torch.from_numpy(np.asarray(images)).to(device)
    return Images(pixels, torch.from_numpy(split.labels).to(device), mean, scale)


def check_budget(data: DataSet, budget: Budget) -> None:
    """Raise ``InputError`` where the budget asks for more images than there are."""
    if budget.images > len(data.train):
        raise InputError(
            f"budget: images is {budget.images:,}, and {data.name} has {len(data.train):,} to train on",
            "ask for these at most, or leave images out to use all",
        )


def settled_images(data: DataSet, budget: Budget) -> tuple[Budget, str]:
    """A budget that names no number of images gets the default, or all there are; says so where these are
    fewer."""
    usual, there = Budget().images, len(data.train)
    note = (
        f"{data.name} has {there:,} images to train on, fewer than the default of {usual:,}: all are used"
        if there < usual
        else ""
    )
    return replace(budget, images=min(usual, there)), note


def training_batches(
    images: Images,
    budget: Budget,
    recipe: Recipe,
    generator: torch.Generator,
    seed: int,
    epoch: int,
    first: int = 0,
    state: torch.Tensor | None = None,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """One epoch of (batch, labels) in an order drawn from the (CPU) generator; parts of images are drawn from
    the seed, the epoch and the image's place alone.

    An epoch that was interrupted goes on at the step ``first``, where the generator had this ``state``.
    """
    size = budget.images_per_step
    order = torch.randperm(budget.images, generator=generator)
    if state is not None:
        generator.set_state(state)
    there = order.to(images.labels.device)
    for step in range(first, budget.steps_per_epoch):
        here = slice(step * size, (step + 1) * size)
        labels = images.labels[there[here]]
        if recipe.augment in RESIZED:
            drawn = draws(seed, epoch, order[here].numpy())
            batch = images.random_parts(order[here], drawn)
            if recipe.augment == "resized-crop-flip":
                batch = _mirrored(batch, flipped(drawn).to(batch.device))
        else:
            where = order if isinstance(images.pixels, PackedImages) else there
            batch = augmented(images.normalised(where[here]), recipe.augment, generator)
        if recipe.lighting:
            shifts = torch.from_numpy(shifts_of_colour(seed, epoch, order[here].numpy(), recipe.lighting))
            batch = batch + 255 * images.scale * shifts.to(batch.device, batch.dtype)[:, :, None, None]
        yield batch, labels


def augmented(batch: torch.Tensor, augment: str, generator: torch.Generator) -> torch.Tensor:
    """The batch with each image flipped and shifted at random, as ``augment`` says."""
    if augment == "none":
        return batch
    n, _, height, width = batch.shape
    if augment in ("flip", "crop-flip"):
        batch = _mirrored(batch, (torch.rand(n, generator=generator) < 0.5).to(batch.device))
    if augment in ("crop", "crop-flip"):
        up, left = max(1, height // 8), max(1, width // 8)  # an eighth of each side
        rows, columns = (
            torch.randint(0, 2 * reach + 1, (n, 1), generator=generator).to(batch.device)
            + torch.arange(size, device=batch.device)
            for size, reach in ((height, up), (width, left))
        )
        padded = torch.nn.functional.pad(batch, (left, left, up, up))
        index = torch.arange(n, device=batch.device)[:, None, None]
        moved = padded.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]]
        batch = moved.permute(0, 3, 1, 2)
    return batch.contiguous(memory_format=torch.channels_last)


def _mirrored(batch: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
    return torch.where(which[:, None, None, None], batch.flip(3), batch)
