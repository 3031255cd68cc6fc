"""A trained network judged on the test images, once: errors by class, confusions, worst mistakes."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regnetlab.errors import InputError
from regnetlab.training.networks.calibration import Reliability, fit_temperature, reliability, softmax
from regnetlab.training.predicting import TrainedNetwork
from regnetlab.training.sources.parts import Split

_Z = 1.959963984540054  # of a 95% interval
_MISTAKES = 24


@dataclass(frozen=True, slots=True)
class ClassError:
    """The error in percent on one class with its 95% interval; ``None`` where the class has no test image."""

    name: str
    images: int
    error: float | None
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Mistake:
    """A test image by its index, its class, and the class that was found with that probability instead."""

    index: int
    true: str
    predicted: str
    probability: float


@dataclass(frozen=True, slots=True)
class Judged:
    """What validation and test images say of a trained network. Errors are in percent, intervals are 95%.

    ``temperature`` was fitted on the validation images; ``uncalibrated`` and ``calibrated`` are the
    reliability of the probabilities on the test images without and with it. ``confusion`` counts test images,
    a row for each true class, a column for each predicted one. ``mistakes`` are the most certain ones, the
    worst first.
    """

    temperature: float
    validation_images: int
    validation_error: float | None
    images: int
    error: float
    interval: tuple[float, float]
    by_class: tuple[ClassError, ...]
    confusion: tuple[tuple[int, ...], ...]
    uncalibrated: Reliability
    calibrated: Reliability
    mistakes: tuple[Mistake, ...]

    def to_json(self) -> dict[str, Any]:
        """The same as plain data, as model.json has it."""
        return {
            "temperature": self.temperature,
            "validation": {"images": self.validation_images, "error": self.validation_error},
            "test": {
                "images": self.images,
                "error": self.error,
                "interval": list(self.interval),
                "by_class": [asdict(each) | {"interval": list(each.interval)} for each in self.by_class],
                "confusion": [list(row) for row in self.confusion],
                "calibration": {
                    "before": self.uncalibrated.error,
                    "after": self.calibrated.error,
                    "bins": [list(each) for each in self.calibrated.bins],
                    "bins_before": [list(each) for each in self.uncalibrated.bins],
                },
            },
            "mistakes": [
                {
                    "index": each.index,
                    "class": each.true,
                    "predicted": each.predicted,
                    "probability": each.probability,
                }
                for each in self.mistakes
            ],
        }


def judge(trained: TrainedNetwork, validation: Split, test: Split) -> Judged:
    """Fit the temperature on the validation images and judge the network on the test images.

    Raises:
        InputError: There are no test images, or images or labels are not those of this network.
    """
    classes = len(trained.classes)
    if not len(test):
        raise InputError("there are no test images to judge the network on", "add a folder test/")
    for part in (validation, test):
        if len(part) and not 0 <= part.labels.min() <= part.labels.max() < classes:
            raise InputError(
                f"labels go from {part.labels.min()} to {part.labels.max()} for {classes} classes"
            )
    known = trained.logits(validation.images)
    temperature = fit_temperature(known, validation.labels)
    logits = trained.logits(test.images)
    probabilities = softmax(logits, temperature)
    found = logits.argmax(axis=1)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (test.labels, found), 1)
    wrong = int(len(test) - confusion.trace())
    return Judged(
        temperature=temperature,
        validation_images=len(validation),
        validation_error=_percent(int((known.argmax(axis=1) != validation.labels).sum()), len(validation)),
        images=len(test),
        error=100 * wrong / len(test),
        interval=wilson(wrong, len(test)),
        by_class=_by_class(trained.classes, confusion),
        confusion=tuple(map(tuple, confusion.tolist())),
        uncalibrated=reliability(softmax(logits), test.labels),
        calibrated=reliability(probabilities, test.labels),
        mistakes=_mistakes(trained.classes, probabilities, found, test.labels),
    )


def calibrated(trained: TrainedNetwork, judged: Judged) -> TrainedNetwork:
    """The network with the temperature that was fitted for it."""
    facts: Mapping[str, Any] = {**trained.facts, "temperature": judged.temperature}
    return replace(trained, temperature=judged.temperature, facts=facts)


def wilson(wrong: int, n: int) -> tuple[float, float]:
    """Wilson's 95% interval of a share (1927), in percent; 0 to 100 where there is nothing to count."""
    if not n:
        return 0.0, 100.0
    share, squared = wrong / n, _Z * _Z
    middle = (share + squared / (2 * n)) / (1 + squared / n)
    half = _Z / (1 + squared / n) * math.sqrt(share * (1 - share) / n + squared / (4 * n * n))
    low = 0.0 if wrong == 0 else 100 * (middle - half)
    high = 100.0 if wrong == n else 100 * (middle + half)
    return low, high


def _percent(wrong: int, n: int) -> float | None:
    return 100 * wrong / n if n else None


def _by_class(names: tuple[str, ...], confusion: NDArray[np.int64]) -> tuple[ClassError, ...]:
    counts, right = confusion.sum(axis=1).tolist(), confusion.diagonal().tolist()
    return tuple(
        ClassError(name, n, _percent(n - hits, n), wilson(n - hits, n))
        for name, n, hits in zip(names, counts, right, strict=True)
    )


def _mistakes(
    names: tuple[str, ...],
    probabilities: NDArray[np.float64],
    found: NDArray[np.int64],
    labels: NDArray[np.int64],
) -> tuple[Mistake, ...]:
    wrong = np.flatnonzero(found != labels)
    certainty = probabilities[wrong, found[wrong]]
    worst = wrong[np.argsort(-certainty, kind="stable")[:_MISTAKES]]
    return tuple(
        Mistake(int(i), names[labels[i]], names[found[i]], float(probabilities[i, found[i]])) for i in worst
    )
