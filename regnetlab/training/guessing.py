"""What answers earn that ignore the image: the errors beside which every network's has to be read."""

from dataclasses import dataclass

import numpy as np

from regnetlab.spaces.arrays import Ints


@dataclass(frozen=True, slots=True)
class Guessing:
    """Errors in percent of answering always the same, on the ``images`` that judge a network.

    ``majority_error`` is that of the class which is commonest among the training images.
    ``best_constant_error`` is that of the class which happens to be commonest among the judging images
    themselves. Where classes are about equally frequent, chance alone sets the two apart: on the first 5,000
    validation images of Fashion-MNIST they are 90.74% and 89.42%.
    """

    majority_error: float
    best_constant_error: float
    images: int


def guessing(trained: Ints, judged: Ints) -> Guessing:
    """From the labels of the training images and those of the images that judge."""
    commonest = np.bincount(trained).argmax()
    return Guessing(
        100 * float(np.mean(judged != commonest)),
        100 * (1 - int(np.bincount(judged).max()) / len(judged)),
        len(judged),
    )
