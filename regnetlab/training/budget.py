"""Budget, recipe and score: what a model may see, how it learns, and what it earned."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from types import MappingProxyType
from typing import Any, Literal, get_args, get_type_hints

from regnetlab.errors import InputError, unknown

Augment = Literal["none", "flip", "crop", "crop-flip", "resized-crop", "resized-crop-flip"]
RESIZED = ("resized-crop", "resized-crop-flip")
"""Augmentations that need an image's own size."""
COMPLETE = "complete"
"""How a training ends that earns an error; any other ending is the reason why it did not."""
INTERRUPTED = "interrupted"
"""How a training ends that someone watched and stopped."""
TIME_LIMIT = "time limit of"
"""How the ending of a training begins that took too long."""
WORST = 100.0
"""The error, in percent, of a failed training where failures are counted."""
FEWEST_STEPS, ENOUGH_STEPS = 50, 100
"""Optimiser steps below which a run is warned of, and what the warning advises: in 26 steps on 2,448 icons a
whole space had the error of guessing."""
_WARMUP = 0.4
_SECONDS_A_FLOP = 2.5e-9
"""For a training image. A core of an EPYC trained 20 MF at 224 px for 100 steps of 64 images in 64 s: 0.5 ns
a flop and image."""
# Keys of a recipe that identities of earlier studies do not hold, and what these trained with.
_LATER = MappingProxyType(
    {
        "init": "paper",
        "input_scale": "standardised",
        "decay": "weights",
        "lr_batch": 0,
        "lighting": 0.0,
        "ema": 0.0,
        "erasing": 0.0,
    }
)


FAILED = "failed: "
"""How the ending of a training begins that raised an error, or took its process along."""
MOST_SECONDS = 30 * 86_400
"""The longest time limit of a training."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What every model of a study may see.

    ``images`` of the training split (the same for every model, a smaller budget's are among a
    larger's), ``epochs`` times, in batches of ``batch_size``; an incomplete last batch is left out
    unless ``drop_last`` is false. ``validation`` images of the validation split, or all where it has
    fewer, judge it after every epoch. A training longer than ``time_limit`` seconds ends without an error.
    """

    images: int = 6_400
    epochs: int = 1
    batch_size: int = 64
    validation: int = 5_000
    time_limit: float = 600.0
    drop_last: bool = True

    def __post_init__(self) -> None:
        least = {"images": 2, "epochs": 1, "batch_size": 2, "validation": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise InputError(f"budget: {name} is {getattr(self, name)}", f"it must be ≥ {low}")
        if not (0 < self.time_limit <= MOST_SECONDS or self.time_limit == math.inf):  # infinite: none
            raise InputError(
                f"budget: time_limit is {self.time_limit:g}", "it must be above 0 seconds, at most 30 days"
            )
        if not self.drop_last and self.images % self.batch_size == 1:
            raise InputError(
                f"budget: images is {self.images:,}, whose last batch of {self.batch_size} holds a single"
                " image, which batch norm can't take",
                "take one more or less, or drop the last batch",
            )

    def facts(self) -> dict[str, Any]:
        """What errors depend on; a key that came later is there only where it changes something."""
        facts = asdict(self)
        del facts["time_limit"]
        if self.drop_last:
            del facts["drop_last"]
        return facts

    @property
    def images_per_step(self) -> int:
        return min(self.images, self.batch_size)

    @property
    def incomplete(self) -> int:
        """Images of the smaller batch that ends an epoch; 0 where there is none."""
        return 0 if self.drop_last or self.images < self.batch_size else self.images % self.batch_size

    @property
    def complete_steps(self) -> int:
        """Steps of an epoch whose batches have ``images_per_step`` images."""
        return max(1, self.images // self.batch_size)

    @property
    def steps_per_epoch(self) -> int:
        return self.complete_steps + bool(self.incomplete)

    @property
    def steps(self) -> int:
        return self.epochs * self.steps_per_epoch

    def places(self, step: int) -> range:
        """Of the images of this step, which counts from 0 on, in the order of its epoch."""
        at = step % self.steps_per_epoch
        first = at * self.images_per_step
        return range(first, first + (self.images_per_step if at < self.complete_steps else self.incomplete))

    def long_enough(self, flops: float) -> "Budget":
        """The same with a time limit that networks of these flops don't reach on a core a fifth as fast as
        one that was measured (``_SECONDS_A_FLOP``)."""
        seconds = math.ceil(_SECONDS_A_FLOP * flops * self.steps * self.images_per_step / 100) * 100.0
        return replace(self, time_limit=min(max(self.time_limit, seconds), MOST_SECONDS))

    def few_steps(self, epochs: str = "epochs = ") -> str:
        """A warning where there are fewer than ``FEWEST_STEPS``; ``epochs`` is how more are asked for."""
        if self.steps >= FEWEST_STEPS:
            return ""
        enough = math.ceil(ENOUGH_STEPS / self.steps_per_epoch)
        return (
            f"warning: {self.steps} optimiser step{'s' * (self.steps > 1)}, in which most networks learn"
            f" nothing; {epochs}{enough} gives {enough * self.steps_per_epoch}"
        )


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model learns; the defaults were chosen by measurement (docs/recipe.md).

    The learning rate rises linearly over the first ``warmup`` share of the steps, then falls to 0:
    along a half cosine (``cosine``; Loshchilov & Hutter 2017, equation 5) or a line (``one-cycle``;
    Smith & Topin 2018, section 3, without its last phase). ``lr`` is its highest value; ``constant``
    keeps it from the first step to the last. Without ``momentum``, ``nesterov`` is false. Weight decay
    acts on the weights of convolutions and linear layers. ``precise_bn`` batches of training images
    recompute the batch norms' statistics before each evaluation (Wu & Johnson 2021, section 3);
    0 keeps the running averages. ``augment``: ``none``, ``flip`` (left-right), ``crop`` (shifted by up to
    an eighth, as suits letters and digits), ``crop-flip`` (both), or ``resized-crop`` and
    ``resized-crop-flip`` (a part of 8 to 100% of the image, as suits photographs; ``crops``). ``init``:
    ``paper`` (what each family does), ``xavier`` or ``he`` (``models.initialisation``). ``input_scale``:
    ``standardised`` (mean 0 and deviation 1 over the training images, by channel) or ``0-1``. ``decay``: the
    ``weights`` of convolutions and linear layers, or ``all`` parameters. ``lr`` is for batches of
    ``lr_batch`` images, and grows with the batch (Goyal et al. 2017, section 2.1); with 0 it is what it is.
    ``lighting`` is the deviation of random shifts along the principal components of ImageNet's colours
    (Krizhevsky et al. 2012, section 4.1). ``ema`` is what an exponential moving average of all parameters
    keeps at each step, less at first; the average is judged and kept. ``erasing`` is the share of the images
    of which a random part becomes 0, the mean of standardised ones (Zhong et al. 2020). 0 is none.
    """

    optimizer: Literal["sgd"] = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-5
    schedule: Literal["cosine", "one-cycle", "constant"] = "one-cycle"
    warmup: float = _WARMUP
    label_smoothing: float = 0.0
    augment: Augment = "none"
    precise_bn: int = 16
    init: Literal["paper", "xavier", "he"] = "paper"
    input_scale: Literal["standardised", "0-1"] = "standardised"
    decay: Literal["weights", "all"] = "weights"
    lr_batch: int = 0
    lighting: float = 0.0
    ema: float = 0.0
    erasing: float = 0.0

    def __post_init__(self) -> None:
        bounds: dict[str, tuple[float, float]] = {
            "lr": (1e-9, 1e3),
            "momentum": (0, 0.9999),
            "weight_decay": (0, 10),
            "warmup": (0, 0.9),
            "label_smoothing": (0, 0.9),
            "precise_bn": (0, 10_000),
            "lr_batch": (0, 2**20),
            "lighting": (0, 10),
            "ema": (0, 0.999999),
            "erasing": (0, 1),
        }
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"recipe: {name} is {value}", f"it must be between {low:g} and {high:g}")
        for name in ("schedule", "augment", "init", "input_scale", "decay"):
            known = get_args(get_type_hints(Recipe)[name])
            if getattr(self, name) not in known:
                raise unknown(f"recipe: {name}", str(getattr(self, name)), known)
        if self.schedule == "constant" and self.warmup not in (0, _WARMUP):
            raise InputError(
                f"recipe: warmup is {self.warmup}, and the schedule constant has none",
                "leave it out, or take one-cycle or cosine",
            )
        if self.momentum == 0:  # one way to write plain SGD, so that it is one training
            object.__setattr__(self, "nesterov", False)

    def for_batch(self, images: int) -> "Recipe":
        """The same with the learning rate for batches of so many images."""
        return replace(self, lr=self.lr * images / self.lr_batch, lr_batch=0) if self.lr_batch else self

    def check_channels(self, channels: int) -> None:
        """Raise ``InputError`` where images of so many channels can't be augmented so."""
        if self.lighting and channels != 3:
            raise InputError(f"recipe: lighting is {self.lighting}", "it is for images of 3 channels")

    def facts(self) -> dict[str, Any]:
        """What errors depend on; a key that came later is there only where it changes something."""
        facts = asdict(self)
        for name, usual in _LATER.items():
            if facts[name] == usual:
                del facts[name]
        return facts


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Where training stood after ``images`` images.

    Loss and error (percent) are means over the training batches since the point before;
    ``error`` is the validation error in percent, at the end of an epoch, else ``None``.
    """

    images: int
    train_loss: float
    train_error: float
    error: float | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """What a model earned: validation error in percent (``None`` where it has none), learning curve,
    wall-clock seconds, images seen, and how it ended: ``complete`` or the reason why not.
    ``test_error`` is there only for a final training, whose data hold the test split; ``correct`` says which
    of its images were classified correctly (``correctness``). ``ran`` is what computed it, as it turned out:
    ``native`` or ``torch`` kernels on a CPU, on a GPU ``graph`` or ``eager``; ``None`` if that is not known.
    """

    error: float | None
    curve: tuple[CurvePoint, ...]
    seconds: float
    images: int
    ended: str
    test_error: float | None = None
    correct: str | None = None
    ran: str | None = None

    @property
    def network_is_usable(self) -> bool:
        """Whether what was trained is a network, finished or not: nothing failed or diverged."""
        return self.ended in (COMPLETE, INTERRUPTED) or self.ended.startswith(TIME_LIMIT)

    def as_dict(self) -> dict[str, Any]:
        """What a person may read of it."""
        return {key: value for key, value in asdict(self).items() if key != "correct"}


def mean_error(errors: Sequence[float | None]) -> float | None:
    """The mean over trainings of one network, of which a failed one (``None``) counts as the worst.

    ``None`` where every training failed.
    """
    if all(error is None for error in errors):
        return None
    return fmean(WORST if error is None else error for error in errors)
