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
    groups: int | None
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
                "groups": self.groups,
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


def judge(
    trained: TrainedNetwork, validation: Split, test: Split, groups: NDArray[np.int64] | None = None
) -> Judged:
    """Fit the temperature on the validation images and judge the network on the test images.

    Test images of one of the ``groups`` (n,), where there are any, belong together: intervals then are over
    groups.

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
    wrong = found != test.labels
    return Judged(
        temperature=temperature,
        validation_images=len(validation),
        validation_error=_percent(int((known.argmax(axis=1) != validation.labels).sum()), len(validation)),
        images=len(test),
        groups=None if groups is None else len(np.unique(groups)),
        error=100 * float(wrong.mean()),
        interval=share_interval(wrong, groups),
        by_class=_by_class(trained.classes, test.labels, wrong, groups),
        confusion=tuple(map(tuple, confusion.tolist())),
        uncalibrated=reliability(softmax(logits), test.labels),
        calibrated=reliability(probabilities, test.labels),
        mistakes=_mistakes(trained.classes, probabilities, found, test.labels),
    )


def calibrated(trained: TrainedNetwork, judged: Judged) -> TrainedNetwork:
    """The network with the temperature that was fitted for it."""
    facts: Mapping[str, Any] = {**trained.facts, "temperature": judged.temperature}
    return replace(trained, temperature=judged.temperature, facts=facts)


def wilson(wrong: float, n: float) -> tuple[float, float]:
    """Wilson's 95% interval of a share (1927), in percent; 0 to 100 where there is nothing to count."""
    if not n:
        return 0.0, 100.0
    share, squared = wrong / n, _Z * _Z
    middle = (share + squared / (2 * n)) / (1 + squared / n)
    half = _Z / (1 + squared / n) * math.sqrt(share * (1 - share) / n + squared / (4 * n * n))
    low = 0.0 if wrong == 0 else 100 * (middle - half)
    high = 100.0 if wrong == n else 100 * (middle + half)
    return low, high


def share_interval(wrong: NDArray[np.bool_], groups: NDArray[np.int64] | None = None) -> tuple[float, float]:
    """The 95% interval of the share of wrong answers, in percent, for other images, or other groups of them.

    Images of one group are wrong together, so they count as fewer: n over the design effect, which is the
    variance over groups by the binomial one, and the less the fewer groups there are (Korn & Graubard 1998,
    with Wilson's interval as Franco, Little, Louis & Slud 2019 advise). Where no answer is wrong, or every
    one, each group counts as one image. With one group nothing is known.
    """
    n = len(wrong)
    if groups is None or not n:
        return wilson(float(wrong.sum()), n)
    from scipy import stats

    places = np.unique(groups, return_inverse=True)[1]
    count = int(places.max()) + 1
    if count == 1:
        return 0.0, 100.0
    share = float(wrong.mean())
    if share in (0.0, 1.0):
        return wilson(share * count, count)
    residuals = np.bincount(places, wrong - share)
    variance = count / (count - 1) * float(np.square(residuals).sum()) / n**2
    design = max(1.0, variance / (share * (1 - share) / n))
    fewer = (stats.norm.isf(0.025) / stats.t.isf(0.025, count - 1)) ** 2
    effective = n / design * float(fewer)
    return wilson(share * effective, effective)


def _percent(wrong: int, n: int) -> float | None:
    return 100 * wrong / n if n else None


def _by_class(
    names: tuple[str, ...],
    labels: NDArray[np.int64],
    wrong: NDArray[np.bool_],
    groups: NDArray[np.int64] | None,
) -> tuple[ClassError, ...]:
    found = []
    for label, name in enumerate(names):
        which = labels == label
        here, n = wrong[which], int(which.sum())
        interval = share_interval(here, None if groups is None else groups[which])
        found.append(ClassError(name, n, _percent(int(here.sum()), n), interval))
    return tuple(found)


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
