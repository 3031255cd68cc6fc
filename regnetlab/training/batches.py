"""Batches: uint8 images that lie on the device become normalised, augmented input there."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Ints
from regnetlab.training.budget import RESIZED, Budget, Recipe
from regnetlab.training.crops import (
    Ragged,
    draws,
    flipped,
    holes,
    inside,
    random_parts,
    resized,
    shifts_of_colour,
)
from regnetlab.training.datasets import DataSet
from regnetlab.training.devices import is_gpu
from regnetlab.training.packs.images import Ahead, PackedImages
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

    def normalised(self, which: torch.Tensor | slice, collected: torch.Tensor | None = None) -> torch.Tensor:
        """The images at these places as float32 in channels_last order; the middle of those of a pack, whose
        pixels may have been ``collected`` before."""
        if isinstance(self.pixels, PackedImages):
            pixels = self.pixels.centres(_places(which, len(self)), self.labels.device, collected)
        else:
            pixels = self.pixels[which].to(torch.float32)
        return self._normalised(pixels)

    def sizes(self, places: Ints) -> tuple[Ints, Ints]:
        """Heights and widths of the images at these places."""
        if isinstance(self.pixels, PackedImages):
            return self.pixels.sizes(places)
        height, width = (np.full(len(places), side) for side in self.pixels.shape[2:])
        return height, width

    def parts(
        self, which: torch.Tensor, boxes: torch.Tensor, collected: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The parts ``boxes`` of these images (``crops.resized``), brought to the input's size, likewise."""
        device = self.labels.device
        if isinstance(self.pixels, PackedImages):
            return self._normalised(self.pixels.parts(_places(which, len(self)), boxes, device, collected))
        channels, height, width = self.pixels.shape[1:]
        flat = self.pixels[which].permute(0, 2, 3, 1).reshape(-1, channels)
        offsets = torch.arange(len(which), device=device) * height * width
        ragged = Ragged(flat, offsets, torch.full_like(offsets, width))
        return self._normalised(resized(ragged, boxes, height, width))

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


class Batches:
    """The batches of a training, epoch after epoch.

    What chance decides of an epoch is drawn on the CPU before it begins: its order, flips and shifts by one
    generator, parts, colours and holes of an image from the seed, the epoch and the image's place alone. So
    an epoch can begin at any step, and a GPU that has the images needs nothing from the CPU within one.
    """

    def __init__(self, images: Images, budget: Budget, recipe: Recipe, seed: int) -> None:
        self._images, self._budget, self._recipe, self._seed = images, budget, recipe, seed
        self._generator = torch.Generator().manual_seed(seed)
        self._device = images.labels.device
        self._epoch = 0
        self._drawn: dict[str, torch.Tensor] = {}
        self._ahead: Ahead | None = None
        if is_gpu(self._device) and isinstance(images.pixels, PackedImages):
            self._ahead = Ahead(images.pixels, budget.images_per_step)
        self.on_gpu = is_gpu(self._device) and self._ahead is None
        """Whether nothing comes from the CPU between two steps of an epoch."""

    def begin(self, epoch: int) -> None:
        """Draw this epoch, which counts from 1, and those before it that have not been."""
        while self._epoch < epoch:
            self._epoch += 1
            drawn = self._draw()
        if self.on_gpu:  # into the tensors of the last epoch: a recorded step reads those
            drawn |= self._of_images(drawn["order"])
            there = {name: each.to(self._device) for name, each in drawn.items()}
            self._drawn = self._drawn or there
            for name, each in there.items():
                self._drawn[name].copy_(each)
        else:
            self._drawn = drawn
        if self._ahead is not None:
            used = self._budget.steps_per_epoch * self._budget.images_per_step
            self._ahead.begin(drawn["order"][:used].numpy())

    def take(self, here: slice | torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The images at these places of the epoch, normalised and augmented, and their labels."""
        images, drawn = self._images, {name: each[here] for name, each in self._drawn.items()}
        order = drawn.pop("order")
        if not self.on_gpu:
            drawn |= self._of_images(order)
            drawn = {name: each.to(self._device) for name, each in drawn.items()}
        collected = None
        if self._ahead is not None and isinstance(here, slice):
            collected = self._ahead.take(here.start)
        if "part" in drawn:
            batch = images.parts(order, drawn["part"], collected)
        else:
            batch = images.normalised(order, collected)
        if "flip" in drawn:
            batch = torch.where(drawn["flip"][:, None, None, None], batch.flip(3), batch)
        if "down" in drawn:
            batch = shifted(batch, drawn["down"], drawn["right"])
        if "colour" in drawn:
            batch = batch + 255 * images.scale * drawn["colour"].to(batch.dtype)[:, :, None, None]
        if "hole" in drawn:
            batch = batch.masked_fill(inside(drawn["hole"], *batch.shape[2:])[:, None], 0)
        labels = images.labels[order.to(self._device)]
        return batch.contiguous(memory_format=torch.channels_last), labels

    def _draw(self) -> dict[str, torch.Tensor]:
        """Order, flips and shifts, by the image's place in the epoch."""
        budget, size = self._budget, self._budget.images_per_step
        order = torch.randperm(budget.images, generator=self._generator)
        height, width = self._images.pixels.shape[2:]
        steps = [
            flips_and_shifts(self._recipe.augment, len(order[at : at + size]), height, width, self._generator)
            for at in range(0, budget.steps_per_epoch * size, size)
        ]
        return {"order": order} | {name: torch.cat([each[name] for each in steps]) for name in steps[0]}

    def _of_images(self, order: torch.Tensor) -> dict[str, torch.Tensor]:
        """What the recipe has drawn for each of these images in this epoch."""
        recipe, seed, epoch, places = self._recipe, self._seed, self._epoch, order.numpy()
        drawn = {}
        if recipe.augment in RESIZED:
            uniform = draws(seed, epoch, places)
            drawn["part"] = torch.from_numpy(random_parts(*self._images.sizes(places), uniform))
            if recipe.augment == "resized-crop-flip":
                drawn["flip"] = flipped(uniform)
        if recipe.lighting:
            drawn["colour"] = torch.from_numpy(shifts_of_colour(seed, epoch, places, recipe.lighting))
        if recipe.erasing:
            height, width = self._images.pixels.shape[2:]
            drawn["hole"] = torch.from_numpy(holes(seed, epoch, places, recipe.erasing, height, width))
        return drawn


def flips_and_shifts(
    augment: str, n: int, height: int, width: int, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """Which of n images are mirrored, and by how many pixels each is shifted (from 0 on)."""
    drawn = {}
    if augment in ("flip", "crop-flip"):
        drawn["flip"] = torch.rand(n, generator=generator) < 0.5
    if augment in ("crop", "crop-flip"):
        for name, reach in (("down", _reach(height)), ("right", _reach(width))):
            drawn[name] = torch.randint(0, 2 * reach + 1, (n, 1), generator=generator)
    return drawn


def shifted(batch: torch.Tensor, down: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """The part of each image, padded by an eighth of each side, that begins ``down`` and ``right`` (n, 1)."""
    height, width = batch.shape[2:]
    up, left = _reach(height), _reach(width)
    rows, columns = (
        start + torch.arange(size, device=batch.device) for start, size in ((down, height), (right, width))
    )
    padded = torch.nn.functional.pad(batch, (left, left, up, up))
    index = torch.arange(len(batch), device=batch.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _reach(side: int) -> int:
    return max(1, side // 8)
