"""How much two networks differ in test error, each trained with several seeds: estimates with intervals.

Where it is known which test images each training classifies correctly, the interval says what other seeds and
other test images would give; where only errors are known, what other seeds would give on the same images.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from regnetlab.analysis.statistics.intervals import LEVEL, Interval, welch
from regnetlab.spaces.arrays import Floats, Ints, Mask


def over_seeds(a: Sequence[float], b: Sequence[float]) -> Interval:
    """b − a in mean error with Welch's t interval (1947); an infinite one below two seeds a side.

    It is infinite, too, where the errors of both sides are all equal: errors come in steps, and a few equal
    ones tell no spread.

    Args:
        a: Errors in percent, one a training.
        b: Likewise.
    """
    estimate = float(np.mean(b) - np.mean(a))
    half = _half_width(a, b) or math.inf
    return Interval(estimate, estimate - half, estimate + half)


def _half_width(a: Sequence[float], b: Sequence[float]) -> float:
    """Of Welch's interval; 0 where the errors of both sides are all equal."""
    if min(len(a), len(b)) < 2:
        return math.inf
    error, freedom = welch(np.asarray(a, np.float64), np.asarray(b, np.float64))
    return float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * error


def over_seeds_and_images(a: Mask, b: Mask, groups: Ints | None = None) -> Interval:
    """b − a in mean error, in percentage points, for other training seeds and other test images.

    An error has a part of the image, which both networks share with all of their seeds, one of the network's
    seed, and what is left of image and seed. Seeds are crossed with images and nested in networks, as readers
    and cases are in diagnostic imaging (Obuchowski & Rockette 1995). Images add to the variance of b − a

        max(0, S² − r_a²/n_a − r_b²/n_b) / m,

    with n seeds, m images, S² the variance over images of the difference of both means over seeds, and r² the
    mean squares of what is left, which the spread of seeds holds already (analysis of variance; Searle,
    Casella & McCulloch 1992, chapter 4). The squared half-widths of the two intervals, Welch's over seeds and
    the images' normal one, are added (Zou & Donner 2008), which with few seeds covers the truth more surely
    than one t interval for the sum of variances. The pigeonhole bootstrap (Owen 2007) resamples the same two
    factors; of 3 seeds it knows two thirds of the variance. Coverage of all: docs/calibration.md.

    Args:
        a: Which images each training classifies correctly, of shape (seeds, images).
        b: Likewise; the same images, any number of seeds.
        groups: The group of each image, (images,), where images belong together: the images' part is then the
            variance over groups of the summed differences, with Student's t of one degree less than there are
            groups. It holds the seeds' part too, so that the interval is wide rather than narrow.

    Raises:
        ValueError: The two were judged on different numbers of images.
    """
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"{a.shape[1]} and {b.shape[1]} test images")
    of_seeds, of_images = ([100 - 100 * each.mean(axis) for each in (a, b)] for axis in (1, 0))
    seeds = _half_width(*(each.tolist() for each in of_seeds))
    estimate = float(of_seeds[1].mean() - of_seeds[0].mean())
    if not math.isfinite(seeds):
        return Interval(estimate, -math.inf, math.inf)
    if groups is not None:
        half = math.hypot(seeds, _over_groups(of_images[1] - of_images[0] - estimate, groups))
        return Interval(estimate, estimate - half, estimate + half)
    shared = np.var(of_images[1] - of_images[0], ddof=1)
    rest = sum(map(_residual, of_seeds, of_images)) / a.shape[1]
    images = stats.norm.ppf((1 + LEVEL) / 2) ** 2 * max(0.0, shared / a.shape[1] - rest)
    half = math.sqrt(seeds**2 + images)
    return Interval(estimate, estimate - half, estimate + half)


def _over_groups(residuals: Floats, groups: Ints) -> float:
    """Half the width of the interval of a mean, from what each image differs from it."""
    places = np.unique(groups, return_inverse=True)[1]
    count = int(places.max()) + 1
    if count == 1:
        return math.inf
    variance = count / (count - 1) * float(np.square(np.bincount(places, residuals)).sum()) / len(groups) ** 2
    return float(stats.t.isf((1 - LEVEL) / 2, count - 1)) * math.sqrt(variance)


def _residual(of_seeds: Floats, of_images: Floats) -> float:
    """What is left of a network's errors without the means of seeds and images: mean square over seeds.

    Single errors are 0 or 100, so that their sum of squares follows from their mean.
    """
    seeds, images = len(of_seeds), len(of_images)
    mean = of_seeds.mean()
    total = seeds * images * mean * (100 - mean)
    explained = images * np.square(of_seeds - mean).sum() + seeds * np.square(of_images - mean).sum()
    return float((total - explained) / ((seeds - 1) * (images - 1)) / seeds)
