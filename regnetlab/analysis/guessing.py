"""Whether networks have learned: their errors beside those of answers that ignore the image.

One network is clearly better than guessing if such answers earn its error, or a lower one, in at most 5% of
cases. On given images no answers that ignore them err less often on average than always the class that is
commonest among these very images, so that class's binomial distribution is the null, and no correction for
the choice of a class is needed. The error of the commonest *training* class would be a wrong null: with
classes about equally frequent, networks that always answer another class fall below it by luck.

A space has learned if more than half of its networks are clearly better, by a sign test at 5%; of fewer than
five networks, which no such test can decide, all have to be.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from regnetlab.spaces.arrays import Floats, Mask
from regnetlab.training.guessing import Guessing

LEARNED, UNCLEAR, NOT_LEARNED = "has learned", "has not clearly learned", "has not learned"
NEITHER = "neither space has clearly learned, so this verdict says nothing about the constraint"
"""What is said of a step between two spaces that are not clearly better than guessing."""

_CHANCE = 0.05
_ROUNDING = 1e-9  # of an error, a number of images over another


def clearly_better(errors: ArrayLike, guess: Guessing, tries: int = 1) -> Mask:
    """Which networks with these errors are clearly better than guessing, each the best of ``tries``.

    The best of several is held to 5% for all of them together (Bonferroni).
    """
    from scipy import stats  # half a second, which `status` of a study without errors does without

    chance = _CHANCE / tries
    wrong = stats.binom.ppf(chance, guess.images, guess.best_constant_error / 100) - 1
    return np.asarray(np.asarray(errors) <= 100 * wrong / guess.images + _ROUNDING)


def learning(errors: ArrayLike, guess: Guessing, tries: int = 1) -> str:
    """What the errors of one network or of a space's, at least one, say of their learning."""
    from scipy import stats

    values = np.asarray(errors, np.float64)
    if np.median(values) >= guess.best_constant_error - _ROUNDING:
        return NOT_LEARNED
    better = int(clearly_better(values, guess, tries).sum())
    enough = int(stats.binom.isf(_CHANCE, len(values), 0.5)) + 1
    return LEARNED if better >= min(enough, len(values)) else UNCLEAR


def has_learned(errors: ArrayLike, guess: Guessing | None) -> bool | None:
    """Whether they are clearly better than guessing; ``None`` where that or their errors are not known."""
    if guess is None or not np.size(errors):
        return None
    return learning(errors, guess) == LEARNED


def not_learned(name: str, errors: Sequence[float] | Floats, guess: Guessing | None, tries: int = 1) -> str:
    """A sentence on a network, or a space, that is not clearly better than guessing; else empty."""
    if guess is None or not len(errors):
        return ""
    found = learning(errors, guess, tries)
    if found == LEARNED:
        return ""
    what = "median" if len(errors) > 1 else "error"
    text = f"{name} {found}: {what} {np.median(errors):.1f}% where guessing gives {guess_text(guess)}"
    if found == UNCLEAR and not clearly_better(0.0, guess, tries):
        return f"{text}; {guess.images:,} images are too few to tell"
    if found == UNCLEAR and len(errors) > 1:
        better = int(clearly_better(errors, guess, tries).sum())
        text += f"; {better} of {len(errors)} networks {'is' if better == 1 else 'are'} clearly better"
    return text


def guess_text(guess: Guessing) -> str:
    """What guessing gives: the commonest class, or from the luckiest class to it where these differ."""
    low, high = (f"{error:.1f}" for error in (guess.best_constant_error, guess.majority_error))
    return f"{high}%" if low == high else f"{low} to {high}%"


def majority_error(guess: Guessing | None) -> float | None:
    """The error of always answering the commonest training class, where it is known."""
    return None if guess is None else guess.majority_error


def guessed(guess: Guessing | None, errors: Mapping[str, Any], tries: int = 1) -> dict[str, Any]:
    """What documents say of guessing: its error, and which of these, by name, are not clearly better."""
    sentences = (not_learned(name, values, guess, tries) for name, values in errors.items())
    return {
        "majority_error": majority_error(guess),
        "not_learned": [sentence for sentence in sentences if sentence],
    }
