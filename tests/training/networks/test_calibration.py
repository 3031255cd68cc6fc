"""Temperature and reliability, on logits whose truth is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from regnetlab.training.networks.calibration import fit_temperature, reliability, softmax


def logits_and_labels(n: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits of five classes, and labels drawn with just their probabilities."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (n, 5)).astype(np.float32)
    drawn = random.random((n, 1)) > softmax(logits).cumsum(axis=1)[:, :-1]
    return logits, drawn.sum(axis=1).astype(np.int64)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_the_temperature_that_spoilt_the_logits_is_found(temperature: float) -> None:
    logits, labels = logits_and_labels(20_000)
    spoilt = (logits * temperature).astype(np.float32)
    assert fit_temperature(spoilt, labels) == pytest.approx(temperature, rel=0.03)


@given(st.floats(0.2, 5), st.integers(0, 1_000))
def test_no_other_temperature_is_likelier(other: float, seed: int) -> None:
    logits, labels = logits_and_labels(300, seed)

    def loss(temperature: float) -> float:
        return -float(np.log(softmax(logits, temperature)[np.arange(300), labels]).mean())

    assert loss(fit_temperature(logits, labels)) <= loss(other) + 1e-9


def test_it_stays_one_where_nothing_can_be_learned_from_the_images() -> None:
    logits, labels = logits_and_labels(1_000)
    assert fit_temperature(logits, logits.argmax(axis=1)) == 1
    assert fit_temperature(logits[:20], labels[:20]) == 1
    assert fit_temperature(logits[:0], labels[:0]) == 1


def test_it_stays_between_its_bounds_whatever_the_logits_are() -> None:
    _, labels = logits_and_labels(1_000)
    random = np.random.default_rng(1)
    for scale in (0.0, 1e-6, 1e6):
        noise = (scale * random.normal(size=(1_000, 5))).astype(np.float32)
        assert 0.1 <= fit_temperature(noise, labels) <= 10


def test_bins_hold_mean_probability_accuracy_and_number() -> None:
    probabilities = np.array([[0.95, 0.05], [0.93, 0.07], [0.6, 0.4], [0.0, 1.0]])
    found = reliability(probabilities, np.array([0, 1, 0, 1]))
    assert found.bins[0] == (0.6, 1.0, 1)
    assert found.bins[1] == (pytest.approx(0.96), pytest.approx(2 / 3), 3)
    assert found.error == pytest.approx(100 * (0.4 + 3 * (0.96 - 2 / 3)) / 4)


def test_honest_probabilities_have_a_small_error_and_spoilt_ones_a_large_one() -> None:
    logits, labels = logits_and_labels(20_000)
    assert reliability(softmax(logits), labels).error < 1.5
    assert reliability(softmax(logits, 0.3), labels).error > 10
