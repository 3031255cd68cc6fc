"""What the test images say: errors, intervals, confusions and mistakes add up."""

import json

import numpy as np
import pytest

from regnetlab.errors import InputError
from regnetlab.training.networks.judged import judge, share_interval, wilson
from regnetlab.training.sources.parts import Split
from tests.training.networks.examples import images, judged, network, split


@pytest.mark.parametrize(
    ("wrong", "n", "low", "high"),
    [(10, 100, 5.52, 17.44), (0, 10, 0.0, 27.75), (10, 10, 72.25, 100.0), (0, 0, 0.0, 100.0)],
)
def test_wilson_s_intervals_are_the_published_ones(wrong: int, n: int, low: float, high: float) -> None:
    assert wilson(wrong, n) == pytest.approx((low, high), abs=0.005)


def test_errors_by_class_confusions_and_the_error_are_of_the_same_images() -> None:
    trained = network()
    test = split(trained, 200, 2)
    found = judge(trained, split(trained, 120, 1), test)
    predicted = trained.logits(test.images).argmax(axis=1)
    confusion = np.array(found.confusion)
    assert found.images == 200 == confusion.sum()
    assert found.error == pytest.approx(100 * np.mean(predicted != test.labels)) == 25
    assert found.interval[0] < found.error < found.interval[1]
    for label, each in enumerate(found.by_class):
        inside = test.labels == label
        assert each.images == inside.sum() == confusion[label].sum()
        assert each.error == pytest.approx(100 * np.mean(predicted[inside] != label))
    assert confusion.sum(axis=0).tolist() == np.bincount(predicted, minlength=3).tolist()
    assert len(found.mistakes) == 24


def test_the_worst_mistakes_are_the_most_certain_ones() -> None:
    trained = network()
    test = split(trained, 200, 2)
    found = judge(trained, split(trained, 120, 1), test)
    shares = trained.probabilities(test.images)
    predicted = shares.argmax(axis=1)
    certain = np.where(predicted != test.labels, shares.max(axis=1), 0)
    assert found.mistakes[0].index == certain.argmax()
    for each in found.mistakes:
        assert each.true == trained.classes[test.labels[each.index]] != each.predicted
        assert each.predicted == trained.classes[predicted[each.index]]
    probabilities = [each.probability for each in found.mistakes]
    assert probabilities == sorted(probabilities, reverse=True)


def test_the_temperature_makes_probabilities_more_honest() -> None:
    found = judged(network())
    assert found.temperature != 1
    assert found.calibrated.error < found.uncalibrated.error


def test_a_class_without_test_images_has_no_error_and_no_narrow_interval() -> None:
    trained = network()
    test = Split(images(30), np.zeros(30, np.int64))
    found = judge(trained, split(trained, 10, 1), test)
    assert found.temperature == 1  # ten images are too few
    assert found.by_class[1].error is None
    assert found.by_class[1].interval == (0, 100)


def test_it_is_plain_data_for_json() -> None:
    document = judged(network()).to_json()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert set(document) == {"temperature", "validation", "test", "mistakes"}
    assert set(document["test"]["calibration"]) == {"before", "after", "bins", "bins_before"}


def test_nothing_is_judged_without_test_images_or_with_other_labels() -> None:
    trained = network()
    some, none = split(trained, 8, 1), Split(images(0), np.zeros(0, np.int64))
    with pytest.raises(InputError, match="no test images"):
        judge(trained, some, none)
    with pytest.raises(InputError, match="labels go from 7 to 7 for 3 classes"):
        judge(trained, some, Split(images(2), np.full(2, 7)))
    assert judge(trained, none, some).validation_error is None


def test_images_of_one_group_count_as_fewer() -> None:
    """In simulations with known error rates of groups, the interval over groups holds the true mean."""
    random = np.random.default_rng(0)
    covered = {"images": 0, "groups": 0}
    rounds = 300
    for _ in range(rounds):
        rates = random.beta(0.5, 9.5, 20)  # of 20 groups; mean 5%, deviation 6.6 points
        sizes = random.integers(5, 60, 20)
        groups = np.repeat(np.arange(20), sizes)
        wrong = random.random(len(groups)) < rates[groups]
        low, high = share_interval(wrong)
        covered["images"] += low <= 5 <= high
        low, high = share_interval(wrong, groups)
        covered["groups"] += low <= 5 <= high
    assert covered["images"] < 0.75 * rounds
    assert covered["groups"] > 0.88 * rounds


def test_without_groups_or_with_groups_of_one_image_it_is_wilson_s_interval() -> None:
    wrong = np.arange(400) < 12
    assert share_interval(wrong) == wilson(12, 400)
    alone = share_interval(wrong, np.arange(400))
    assert alone == pytest.approx(wilson(12, 400), rel=0.02)


def test_one_group_says_nothing_and_faultless_groups_count_once_each() -> None:
    wrong = np.zeros(100, bool)
    assert share_interval(wrong, np.zeros(100, np.int64)) == (0.0, 100.0)
    assert share_interval(wrong, np.arange(100) % 5) == wilson(0, 5)
