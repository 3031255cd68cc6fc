"""Whether probabilities mean what they say: temperature scaling and the reliability of probabilities.

After Guo et al. 2017, "On Calibration of Modern Neural Networks": one number divides all logits. It changes
probabilities, but never which class is the most probable.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_FEWEST = 50  # validation images; with fewer, and with no mistake among them, the temperature stays 1
_COLDEST, _HOTTEST = 0.1, 10.0
_HALVINGS = 40
_BINS = 10

Bin = tuple[float, float, int]
"""Mean probability and share of right answers, 0 to 1, and number of the images in a bin."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """How far probabilities are from the shares of right answers.

    ``error`` is the expected calibration error in percent: the mean distance over ``bins`` of the probability
    of the predicted class, weighted by their images. Bins without images are left out.
    """

    error: float
    bins: tuple[Bin, ...]


def softmax(logits: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities (n, classes) of logits (n, classes)."""
    scaled = logits.astype(np.float64) / temperature
    shares: NDArray[np.float64] = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return shares


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The temperature of the least negative log-likelihood of these labels, between 0.1 and 10.

    The likelihood is convex in one over the temperature, so that halving by its slope always ends there. It
    has no least where every answer is right, and is not to be trusted with few images; then this is 1.
    """
    if len(labels) < _FEWEST or bool((logits.argmax(axis=1) == labels).all()):
        return 1.0
    chosen = logits[np.arange(len(labels)), labels].mean(dtype=np.float64)
    low, high = np.log(_COLDEST), np.log(_HOTTEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        expected = (softmax(logits, float(np.exp(middle))) * logits).sum(axis=1).mean()
        if expected > chosen:  # more certain than right: hotter is better
            low = middle
        else:
            high = middle
    return float(np.exp((low + high) / 2))


def reliability(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> Reliability:
    """The reliability of probabilities (n, classes), in ten bins of equal width."""
    certain = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    which = np.minimum((certain * _BINS).astype(np.int64), _BINS - 1)
    bins = tuple(
        (float(certain[inside].mean()), float(right[inside].mean()), int(inside.sum()))
        for inside in (which == each for each in range(_BINS))
        if inside.any()
    )
    apart = sum(n * abs(certainty - accuracy) for certainty, accuracy, n in bins)
    return Reliability(float(100 * apart / max(len(labels), 1)), bins)
